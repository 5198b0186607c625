"""Factories of this app: plain functions that build through services."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from apps.access.constants import UserKind
from apps.access.models import Company, User
from apps.access.selectors import actor_for
from apps.access.services import create_user
from apps.contacts.models import Partner
from apps.core.actor import Actor, system_actor
from apps.core.models import Country, Currency
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
def admin_actor(make_user: Callable[..., User]) -> Actor:
    return actor_for(make_user("root@example.com", roles=["access.administrator"]))


@pytest.fixture
def clerk_actor(make_user: Callable[..., User]) -> Actor:
    """Somebody who may make and merge contacts, and no more."""
    return actor_for(make_user("clerk@example.com", roles=["contacts.user"]))


@pytest.fixture
def reader_actor(make_user: Callable[..., User]) -> Actor:
    return actor_for(make_user("reader@example.com"))


@pytest.fixture
def make_partner(system: Actor) -> Callable[..., Partner]:
    def make(name: str = "Acme", **values: Any) -> Partner:
        return service_for(Partner).create_one({"name": name, **values}, actor=values.pop("actor", system))

    return make


@pytest.fixture
def make_portal_user(make_user: Callable[..., User]) -> Callable[..., User]:
    def make(login: str, partner: Partner) -> User:
        return make_user(login, kind=UserKind.PORTAL, links={"partner": partner.pk})

    return make


def country(code: str) -> Country:
    return Country.objects.get(code=code)
