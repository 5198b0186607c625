"""The contact behind each user and each company of ours: made, linked and kept in step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

from apps.access.models import Company, User
from apps.contacts.constants import ADDRESS_FIELDS
from apps.contacts.models import Partner
from apps.core.actor import Actor, system_actor
from apps.core.errors import Conflict, NotVisible
from apps.core.links import pk_of
from apps.core.records import service_for
from apps.core.rules import get_visible

_OF_COMPANY = ("name", "email", "phone", "website", "tax_id", "registry", *ADDRESS_FIELDS)
_LINKS = ("state", "country")
_OF_USER = ("name", "email", "language", "timezone")


def _on_behalf(actor: Actor) -> Actor:
    """Who may make a user may have its contact made, without a right on contacts."""
    if actor.is_system:
        return actor
    return system_actor(
        company_pk=actor.company_pk,
        company_pks=actor.company_pks,
        user_pk=actor.user_pk,
        name=actor.name,
        channel=actor.channel,
        ip=actor.ip,
        request_id=actor.request_id,
    )


def partners_for_users(
    users: Sequence[User], links: Sequence[Mapping[str, Any]], actor: Actor
) -> list[Partner]:
    """Give each new user a contact: the one in ``links`` if there is, else a new one."""
    service = service_for(Partner)
    own = _on_behalf(actor)
    fresh = [user for user, link in zip(users, links, strict=True) if not link.get("partner")]
    rows = [
        {
            "name": user.name,
            "email": user.email,
            "language": user.language,
            "timezone": user.timezone,
            "user": user.pk,
        }
        for user in fresh
    ]
    partners = service.create(rows, actor=own) if rows else []
    for user, link in zip(users, links, strict=True):
        if link.get("partner"):
            partners.append(_join(user, pk_of(link["partner"]), actor))
    return partners


def _join(user: User, partner_pk: int, actor: Actor) -> Partner:
    partner = (
        Partner.objects.filter(pk=partner_pk).first()
        if actor.is_system
        else get_visible(Partner, partner_pk, actor)
    )
    if partner is None:
        raise NotVisible()
    if partner.user_id is not None and partner.user_id != user.pk:
        raise Conflict(
            _("%(name)s is the contact of another user already.") % {"name": partner.complete_name}
        )
    return service_for(Partner).update([partner], {"user": user.pk}, actor=_on_behalf(actor))[0]


def follow_users(
    users: Sequence[User], before: Mapping[Any, Mapping[str, Any]], values: Mapping[str, Any], actor: Actor
) -> None:
    """What changed on users shows on their contacts: name, address, language; and the company when it had one."""
    names = [name for name in _OF_USER if name in values]
    revived = values.get("active") is True
    moved = "company" in values
    if not (names or revived or moved):
        return
    service = service_for(Partner)
    own = _on_behalf(actor)
    partners = list(Partner.objects.filter(user__in=users))
    if names:
        shared = {name: values[name] for name in names}
        service.update(partners, shared, actor=own)
    if revived:
        service.update([partner for partner in partners if not partner.active], {"active": True}, actor=own)
    if moved:
        homes = [
            partner for partner in partners if partner.company_id is not None and partner.parent_id is None
        ]
        if homes:
            service.update(homes, {"company": pk_of(values["company"])}, actor=own)


def partners_for_companies(companies: Sequence[Company], actor: Actor) -> list[Partner]:
    """Each company of ours is a contact too, shared with the others."""
    rows = [
        {
            **{name: getattr(company, f"{name}_id" if name in _LINKS else name) for name in _OF_COMPANY},
            "is_company": True,
            "represents": company.pk,
            "parent": None,
        }
        for company in companies
    ]
    return service_for(Partner).create(rows, actor=_on_behalf(actor)) if rows else []


def follow_companies(
    companies: Sequence[Company],
    before: Mapping[Any, Mapping[str, Any]],
    values: Mapping[str, Any],
    actor: Actor,
) -> None:
    names = [name for name in _OF_COMPANY if name in values]
    if not names:
        return
    partners = list(Partner.objects.filter(represents__in=companies))
    if partners:
        service_for(Partner).update(partners, {name: values[name] for name in names}, actor=_on_behalf(actor))


def actor_context(user: User) -> dict[str, Any] | None:
    """What an actor knows of its own contact."""
    row = Partner.objects.filter(user_id=user.pk).values_list("pk", "commercial_entity_id").first()
    return {"partner_pk": row[0], "commercial_partner_pk": row[1]} if row else None
