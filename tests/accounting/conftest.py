"""Fixtures of the accounting tests: one company's books, those of another, a customer and a vendor."""

from __future__ import annotations

import pytest

from apps.contacts.models import Partner
from tests.accounting.factories import Books, make_books, make_partner


@pytest.fixture
def books(db: None) -> Books:
    """Books in euro, in Belgium."""
    return make_books("EUR", "BE", "Alpha Ltd")


@pytest.fixture
def other_books(db: None) -> Books:
    """Books of an unrelated company, in dollar."""
    return make_books("USD", "US", "Omega Inc")


@pytest.fixture
def customer(db: None) -> Partner:
    return make_partner("Prime Customer", country="BE", email="prime@example.com")


@pytest.fixture
def vendor(db: None) -> Partner:
    return make_partner("Good Vendor", country="BE", email="vendor@example.com")
