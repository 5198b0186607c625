"""Effective rights: closure, exact removal, no staleness, constant queries."""

from __future__ import annotations

import pytest

from apps.access.models import Company, Role, User


@pytest.mark.django_db
def test_smoke() -> None:
    assert Role.objects.filter(code="access.administrator").exists()
    user = User.objects.create_superuser("boss", "x")
    assert user.companies.count() == 1
    assert Company.objects.count() == 1
