"""A small world: one company, employees of each sort, a customer with a portal login, and a record with a thread."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from apps.access.models import Company, User
from apps.chatter import hooks
from apps.contacts.models import Partner
from apps.core.actor import Actor
from tests.chatter.factories import actor_of, make_company, make_partner, make_user, partner_of


@dataclass
class World:
    """``record`` is the customer's own contact: employees with the contacts role may change it, he may see it."""

    company: Company
    ann: User  # employee who may change contacts; told in the inbox
    bob: User  # employee who may change contacts; told by e-mail
    eve: User  # employee who may only read contacts
    admin: User
    carl: User  # customer
    record: Partner

    def actor(self, name: str) -> Actor:
        return actor_of(getattr(self, name))

    def partner(self, name: str) -> Partner:
        return partner_of(getattr(self, name))


@pytest.fixture
def world(db: None) -> World:
    company = make_company()
    ann = make_user("ann", "contacts.user", company=company, notification="inbox")
    bob = make_user("bob", "contacts.user", company=company)
    eve = make_user("eve", company=company)
    admin = make_user("adm", "access.administrator", company=company)
    carl = make_user("carl", company=company, kind="portal")
    return World(company, ann, bob, eve, admin, carl, partner_of(carl))


@pytest.fixture
def other_record(world: World) -> Partner:
    return make_partner("Somebody else", email="else@example.com")


@pytest.fixture
def open_threads() -> Any:
    """Whoever sees a contact may write in its thread, as it is with tasks."""
    hooks.set_post_access("contacts.Partner", "view")
    yield
    hooks.set_post_access("contacts.Partner", hooks.DEFAULT_POST_ACCESS)


@pytest.fixture
def files(settings: Any, tmp_path: Path) -> Path:
    """An empty object store."""
    from django.core.files.storage import storages

    folder = tmp_path / "files"
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": str(folder)},
        },
    }
    assert storages["default"].exists("x") is False
    return folder
