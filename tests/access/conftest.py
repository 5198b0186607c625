"""Factories of this app: plain functions that build through services."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from apps.access.constants import UserKind
from apps.access.models import Company, User
from apps.access.selectors import actor_for
from apps.access.services import create_user
from apps.core.actor import Actor, system_actor
from apps.core.models import Currency
from apps.core.records import service_for

PASSWORD = "correct horse battery"


@pytest.fixture
def system() -> Actor:
    return system_actor(channel="test")


@pytest.fixture
def make_company(system: Actor) -> Callable[..., Company]:
    def make(name: str = "Alpha", currency: str = "EUR", **values: Any) -> Company:
        row = {"name": name, "currency": Currency.objects.get(code=currency), **values}
        return service_for(Company).create_one(row, actor=system)

    return make


@pytest.fixture
def company(make_company: Callable[..., Company]) -> Company:
    return make_company("Alpha")


@pytest.fixture
def other_company(make_company: Callable[..., Company]) -> Company:
    return make_company("Beta", "USD")


@pytest.fixture
def make_user(company: Company, system: Actor) -> Callable[..., User]:
    def make(login: str = "ann@example.com", **values: Any) -> User:
        values.setdefault("company", company)
        values.setdefault("password", PASSWORD)
        values.setdefault("name", login.partition("@")[0].capitalize())
        return create_user(login, actor=system, **values)

    return make


@pytest.fixture
def admin(make_user: Callable[..., User]) -> User:
    return make_user("root@example.com", name="Root", roles=["access.administrator"])


@pytest.fixture
def admin_actor(admin: User) -> Actor:
    return actor_for(admin)


@pytest.fixture
def portal_user(make_user: Callable[..., User]) -> User:
    return make_user("customer@example.org", name="Customer", kind=UserKind.PORTAL)
