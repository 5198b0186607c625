"""Fixtures of the kernel's tests: two companies, people with and without rights, gadgets of the third-party module."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
from django.db import transaction
from meridian_dummy.models import Gadget, GadgetMaker

from apps.access.models import Company, User
from apps.core.actor import Actor, system_actor
from apps.core.models import Currency
from apps.core.records import service_for

GADGET_USER = frozenset(
    {
        "dummy.gadget:view",
        "dummy.gadget:add",
        "dummy.gadget:change",
        "dummy.gadget:sell",
        "dummy.gadgetmaker:view",
    }
)
GADGET_MANAGER = GADGET_USER | {"dummy.gadget:delete", "dummy.gadget:scrap", "dummy.gadgetmaker:add"}


@pytest.fixture
def world(db: None) -> SimpleNamespace:
    """Companies A and B, a gadget user and a gadget manager of A, a manager of B, an employee without a role."""
    euro, _made = Currency.objects.get_or_create(code="EUR", defaults={"name": "Euro", "active": True})
    system = system_actor()
    company_a = Company.objects.create(name="A Ltd", currency=euro)
    company_b = Company.objects.create(name="B Ltd", currency=euro)
    with transaction.atomic():
        users = {
            name: User.objects.create(login=name, name=name, company=company)
            for name, company in (
                ("ann", company_a),
                ("max", company_a),
                ("bob", company_b),
                ("eve", company_a),
            )
        }
        for user in users.values():
            user.companies.set([user.company])

    def actor(name: str, permissions: frozenset[str], *roles: str) -> Actor:
        user = users[name]
        return Actor(
            kind="internal",
            user_pk=user.pk,
            company_pk=user.company_id,
            company_pks=(user.company_id,),
            permissions=permissions,
            roles=frozenset({"access.internal", *roles}),
            name=name,
        )

    return SimpleNamespace(
        a=company_a,
        b=company_b,
        system=replace(system, company_pk=company_a.pk, company_pks=(company_a.pk, company_b.pk)),
        ann=actor("ann", GADGET_USER, "dummy.user"),
        max=actor("max", GADGET_MANAGER, "dummy.user", "dummy.manager"),
        bob=actor("bob", GADGET_MANAGER, "dummy.user", "dummy.manager"),
        eve=actor("eve", frozenset()),
        users=users,
    )


@pytest.fixture
def maker(world: SimpleNamespace) -> GadgetMaker:
    return service_for(GadgetMaker).create_one({"name": "Acme"}, actor=world.system)


@pytest.fixture
def gadget(world: SimpleNamespace) -> Gadget:
    return service_for(Gadget).create_one({"name": "Lamp", "price": "10.00"}, actor=world.ann)
