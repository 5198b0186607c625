"""Test data built through the services, so that it obeys the rules."""

from __future__ import annotations

import itertools
from typing import Any

from apps.access.models import Company, Role, User, UserRole
from apps.access.selectors.actors import actor_for
from apps.contacts.models import Partner
from apps.core.actor import Actor, system_actor
from apps.core.models import Currency
from apps.core.records import service_for

_numbers = itertools.count(1)

# The smallest PNG there is: one transparent pixel.
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d4944415478da63fcffff3f030005fe02fea7"
    "9a3a5f0000000049454e44ae426082"
)
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


def system(company: Company | None = None) -> Actor:
    return system_actor(company_pk=company.pk if company else None)


def make_company(name: str = "") -> Company:
    currency, _made = Currency.objects.get_or_create(code="EUR", defaults={"name": "Euro", "active": True})
    return service_for(Company).create_one(
        {"name": name or f"Company {next(_numbers)}", "currency": currency}, actor=system()
    )


def make_user(
    login: str = "",
    *roles: str,
    company: Company,
    companies: list[Company] | None = None,
    kind: str = "internal",
    **values: Any,
) -> User:
    """A user with a contact of the same name and address."""
    login = login or f"user{next(_numbers)}"
    email = values.pop("email", f"{login}@example.com")
    user = User.objects.create_user(
        login,
        "a long password",
        name=login.title(),
        email=email,
        kind=kind,
        company=company,
        companies=companies or [company],
        **values,
    )
    UserRole.objects.bulk_create(
        [UserRole(user=user, role=role) for role in Role.objects.filter(code__in=roles)]
    )
    if not Partner.objects.filter(user=user).exists():
        partner = make_partner(login.title(), email=email)
        Partner.objects.filter(pk=partner.pk).update(user=user)
    return user


def actor_of(user: User, **options: Any) -> Actor:
    return actor_for(User.objects.get(pk=user.pk), **options)


def partner_of(user: User) -> Partner:
    return Partner.objects.get(user=user)


def make_partner(name: str = "", *, actor: Actor | None = None, **values: Any) -> Partner:
    return service_for(Partner).create_one(
        {"name": name or f"Partner {next(_numbers)}", **values}, actor=actor or system()
    )
