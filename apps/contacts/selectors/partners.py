"""Reads about partners: whose contact somebody is, which address to use, who looks like a duplicate."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, F, Min, Q, QuerySet
from django.db.models.functions import Lower

from apps.access.models import User
from apps.contacts.constants import PartnerType
from apps.contacts.models import BankAccount, Partner
from apps.core.actor import Actor
from apps.core.rules import visible


def partner_of(user: User) -> Partner | None:
    """The contact of a user's own person."""
    return Partner.objects.filter(user_id=user.pk).first()


def partners_by_email(
    addresses: Iterable[str], *, actor: Actor, company_pk: int | None = None
) -> dict[str, Partner]:
    """The best partner of each address, in one query: one with a login first, then one of the company, then the
    oldest. Only active partners that the actor sees. ``company_pk`` leaves out those of other companies."""
    wanted = {address.strip().lower() for address in addresses if address.strip()}
    if not wanted:
        return {}
    rows = visible(Partner, actor).filter(email_normalized__in=wanted, active=True)
    if company_pk is not None:
        rows = rows.filter(Q(company_id=company_pk) | Q(company__isnull=True))
    found: dict[str, Partner] = {}
    for partner in rows.order_by(
        F("user_id").asc(nulls_last=True), F("company_id").asc(nulls_last=True), "pk"
    ):
        found.setdefault(partner.email_normalized, partner)
    return found


def address_get(
    partners: Sequence[Partner], types: Iterable[str] = (), *, actor: Actor | None = None
) -> dict[int, dict[str, Partner]]:
    """For each partner the nearest contact of each type, in one query whatever their number.

    Search goes down through the people and addresses of the partner first, then up to its ancestors, and stays
    within the organisation. A type that is nowhere falls back to the contact, and that to the partner itself.
    """
    wanted = {PartnerType.CONTACT.value, *map(str, types)}
    entities = {partner.commercial_entity_id or partner.pk for partner in partners}
    family: dict[int, Partner] = {
        row.pk: row
        for row in Partner.objects.filter(Q(commercial_entity_id__in=entities) | Q(pk__in=entities))
        .filter(Q(active=True) | Q(pk__in=[partner.pk for partner in partners]))
        .order_by("pk")
    }
    for partner in partners:
        family.setdefault(partner.pk, partner)
    children: dict[int | None, list[Partner]] = {}
    for row in family.values():
        children.setdefault(row.parent_id, []).append(row)
    return {partner.pk: _nearest(family[partner.pk], wanted, family, children) for partner in partners}


def _nearest(
    start: Partner, wanted: set[str], family: dict[int, Partner], children: dict[int | None, list[Partner]]
) -> dict[str, Partner]:
    found: dict[str, Partner] = {}
    seen: set[int] = set()
    current: Partner | None = start
    while current is not None and len(found) < len(wanted):
        waiting = [current]
        while waiting and len(found) < len(wanted):
            row = waiting.pop(0)
            seen.add(row.pk)
            if row.type in wanted:
                found.setdefault(row.type, row)
            below = [c for c in children.get(row.pk, ()) if c.pk not in seen and not c.is_company]
            waiting = below + waiting
        if current.is_company or current.parent_id is None:
            break
        current = family.get(current.parent_id)
    fallback = found.get(PartnerType.CONTACT, start)
    return {kind: found.get(kind, fallback) for kind in wanted}


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A partner that shares something with the one looked at which should be its own."""

    partner: Partner
    field: str


def duplicates_of(partner: Partner, *, actor: Actor) -> list[Duplicate]:
    """Partners of other organisations with the same tax number or registry; archived ones too. One query."""
    condition = Q()
    if len(partner.tax_id) > 1:
        condition |= Q(tax_id__iexact=partner.tax_id)
    if partner.registry:
        condition |= Q(registry__iexact=partner.registry)
    if not condition:
        return []
    entity = partner.commercial_entity_id or partner.pk
    rows = (
        visible(Partner, actor)
        .filter(condition, pk=F("commercial_entity_id"))
        .exclude(commercial_entity_id=entity)
        .order_by("pk")[:5]
    )
    if partner.company_id is not None:
        rows = (
            visible(Partner, actor)
            .filter(
                condition,
                Q(company_id=partner.company_id) | Q(company__isnull=True),
                pk=F("commercial_entity_id"),
            )
            .exclude(commercial_entity_id=entity)
            .order_by("pk")[:5]
        )
    return [
        Duplicate(
            row, "tax_id" if row.tax_id and row.tax_id.lower() == partner.tax_id.lower() else "registry"
        )
        for row in rows
    ]


def same_account_elsewhere(account: BankAccount, *, actor: Actor) -> QuerySet[BankAccount]:
    """The same account number of other partners: worth a warning, since it may be a mistake or a fraud."""
    return (
        visible(BankAccount, actor).filter(sanitized=account.sanitized).exclude(partner_id=account.partner_id)
    )


GROUPINGS: dict[str, Any] = {
    "email": F("email_normalized"),
    "name": Lower("name"),
    "tax_id": Lower("tax_id"),
    "is_company": F("is_company"),
    "parent": F("parent_id"),
}


def duplicate_groups(by: Sequence[str], *, actor: Actor, limit: int = 100) -> list[list[int]]:
    """Groups of at least two active partners that agree in all of ``by`` (email, name, tax_id, is_company, parent).

    Partners with a login are left out. Answers primary keys, the oldest first; two queries.
    """
    unknown = set(by) - set(GROUPINGS)
    if unknown or not by:
        raise ValueError(
            f"Group by some of {', '.join(GROUPINGS)}; not by {', '.join(sorted(unknown)) or 'nothing'}."
        )
    rows = visible(Partner, actor).filter(active=True, user__isnull=True, represents__isnull=True)
    keys = {f"key_{name}": GROUPINGS[name] for name in by}
    rows = rows.annotate(**keys)
    for name in by:
        if name not in ("is_company", "parent"):
            rows = rows.exclude(**{f"key_{name}": ""})
    heads = (
        rows.order_by()
        .values(*keys)
        .annotate(number=Count("pk"), first=Min("pk"))
        .filter(number__gt=1)
        .order_by("-number", "first")[:limit]
    )
    wanted = {tuple(head[key] for key in keys): head["first"] for head in heads}
    if not wanted:
        return []
    condition = Q()
    for values in wanted:
        condition |= Q(
            **{key: value for key, value in zip(keys, values, strict=True) if value is not None}
        ) & Q(**{f"{key}__isnull": True for key, value in zip(keys, values, strict=True) if value is None})
    groups: dict[tuple[Any, ...], list[int]] = {}
    for row in rows.filter(condition).order_by("pk").values("pk", *keys):
        groups.setdefault(tuple(row[key] for key in keys), []).append(row["pk"])
    return [groups[values] for values in wanted if values in groups]


def format_address(partner: Partner, *, with_name: bool = False) -> str:
    """The postal address as it is written in the partner's country; empty lines are left out. No query when
    ``state`` and ``country`` were selected with the partner."""
    country, state = partner.country, partner.state
    template = country.address_format if country else "{street}\n{street2}\n{zip} {city}"
    values = {
        "street": partner.street,
        "street2": partner.street2,
        "zip": partner.zip,
        "city": partner.city,
        "state_code": state.code if state else "",
        "state_name": state.name if state else "",
        "country_name": country.name if country else "",
        "country_code": country.code if country else "",
        "company_name": partner.company_name,
    }
    text = template
    for name, value in values.items():
        text = text.replace("{" + name + "}", value)
    lines = [" ".join(line.split()).strip(" ,-") for line in text.splitlines()]
    if with_name:
        lines.insert(0, partner.complete_name)
    return "\n".join(line for line in lines if line)
