"""Fixtures of the gateway's tests: a company, a domain, and a kind of record that takes mail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from meridian_dummy.models import Gadget

from apps.access.models import Company
from apps.core.actor import Actor, system_actor
from apps.core.models import Currency
from apps.core.records import service_for
from apps.mail.models import Alias, AliasDomain
from apps.mail.targets import MailTarget, MailView, mail_targets


class GadgetTarget(MailTarget):
    """A mail becomes a gadget named like its subject."""

    makes_contact = True

    def create(
        self, mail: MailView, *, defaults: Mapping[str, Any], alias: Alias, owner: Any, actor: Actor
    ) -> Gadget:
        values = {"name": mail.subject[:80] or "No Subject", "customer": mail.author, **defaults}
        return service_for(Gadget).create_one(values, actor=actor)


class MakerTarget(MailTarget):
    """A mail becomes a maker: no contact is made for it."""

    def create(
        self, mail: MailView, *, defaults: Mapping[str, Any], alias: Alias, owner: Any, actor: Actor
    ) -> Any:
        return service_for(Gadget).create_one({"name": f"maker {mail.subject}"[:80]}, actor=actor)


@pytest.fixture
def world(db: None) -> Iterator[SimpleNamespace]:
    euro, _made = Currency.objects.get_or_create(code="EUR", defaults={"name": "Euro", "active": True})
    company = Company.objects.create(name="Example Ltd", currency=euro)
    actor = system_actor(company_pk=company.pk)
    domain = AliasDomain.objects.create(name="example.com", company=None)
    mail_targets.register("dummy.gadget", GadgetTarget())
    alias = service_for(Alias).create_one(
        {"local_part": "support", "target": "dummy.gadget", "company": company, "domain": domain}, actor=actor
    )
    yield SimpleNamespace(company=company, actor=actor, domain=domain, alias=alias)
    mail_targets.unregister("dummy.gadget")
