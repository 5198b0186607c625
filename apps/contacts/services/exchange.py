"""Contacts in and out as vCards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.utils.html import escape
from django.utils.translation import gettext as _

from apps.contacts.constants import PartnerType
from apps.contacts.hooks import collect_pictures
from apps.contacts.identifiers import is_email, website_url
from apps.contacts.models import Partner
from apps.contacts.selectors import partners_by_email
from apps.contacts.vcards import Address, Card, VCardError, parse_vcards, write_vcards
from apps.core.actor import Actor
from apps.core.errors import ValidationFailed
from apps.core.html import html_to_text
from apps.core.models import Country, CountryState
from apps.core.records import service_for
from apps.core.rules import visible
from apps.core.unit_of_work import unit_of_work


@dataclass(slots=True)
class Imported:
    """What came of a file: new partners, and the names of cards whose address is a contact already."""

    partners: list[Partner] = field(default_factory=list)
    known: list[str] = field(default_factory=list)


class _World:
    """Countries and states by any of their names, read once an import."""

    def __init__(self) -> None:
        self.countries: dict[str, int] = {}
        for pk, code, name in Country.objects.values_list("pk", "code", "name"):
            self.countries[code.lower()] = self.countries[name.lower()] = pk
        for alias, code in (
            ("united states of america", "us"),
            ("usa", "us"),
            ("uk", "gb"),
            ("great britain", "gb"),
        ):
            if code in self.countries:
                self.countries[alias] = self.countries[code]
        self.states: dict[tuple[int, str], int] = {}
        for pk, country, code, name in CountryState.objects.values_list("pk", "country_id", "code", "name"):
            self.states[country, code.lower()] = self.states[country, name.lower()] = pk

    def address(self, address: Address) -> dict[str, Any]:
        country = self.countries.get(address.country.strip().lower())
        state = self.states.get((country, address.region.strip().lower())) if country else None
        city = address.city
        if state is None and address.region and address.region.lower() != city.lower():
            city = ", ".join(part for part in (city, address.region) if part)
        lines = [address.street, address.street2]
        if country is None and address.country:
            lines[1] = ", ".join(part for part in (address.street2, address.country) if part)
        return {
            "street": lines[0][:200],
            "street2": lines[1][:200],
            "zip": address.zip[:24],
            "city": city[:120],
            "country": country,
            "state": state,
        }


def import_vcards(data: bytes | str, *, actor: Actor) -> Imported:
    """Make a partner of each card whose e-mail address is not a partner's yet. All or nothing; further addresses of
    a card become addresses below the partner. Raises ``ValidationFailed`` for what is no vCard file."""
    try:
        cards = parse_vcards(data)
    except VCardError as exc:
        raise ValidationFailed(
            fields={"file": [_("This file cannot be read as vCard: %(reason)s") % {"reason": exc}]}
        ) from exc
    actor.require(Partner, "add")
    known = partners_by_email([mail for card in cards for mail in card.emails], actor=actor)
    world, result = _World(), Imported()
    fresh: list[Card] = []
    seen: set[str] = set()
    for card in cards:
        mails = {mail.lower() for mail in card.emails}
        if mails & (set(known) | seen) or not card.name:
            result.known.append(card.name)
            continue
        seen |= mails
        fresh.append(card)
    with unit_of_work(actor):
        service = service_for(Partner)
        result.partners = service.create([_row(card, world) for card in fresh], actor=actor)
        below = [
            {
                "parent": partner.pk,
                "type": PartnerType.OTHER,
                "name": {"home": _("Home"), "work": _("Work")}.get(address.kind, ""),
                **world.address(address),
            }
            for partner, card in zip(result.partners, fresh, strict=True)
            for address in card.addresses[1:]
        ]
        if below:
            service.create(below, actor=actor)
        pictures = [
            (p, card.photo, card.photo_type)
            for p, card in zip(result.partners, fresh, strict=True)
            if card.photo
        ]
        if pictures:
            collect_pictures.run(pictures=pictures, actor=actor)
    return result


def _row(card: Card, world: _World) -> dict[str, Any]:
    mails = [mail for mail in card.emails if is_email(mail)]
    languages = {code for code, _name in settings.LANGUAGES}
    row: dict[str, Any] = {
        "name": card.name[:200],
        "is_company": card.is_company,
        "company_name": "" if card.is_company else card.organization[:200],
        "title": card.title[:40],
        "job_position": card.job[:120],
        "email": mails[0] if mails else "",
        "phone": (card.phones or [""])[0][:40],
        "mobile": (card.mobiles or [""])[0][:40],
        "website": _website(card.urls),
        "language": card.language if card.language in languages else "",
        "comment": escape(card.note).replace("\n", "<br>"),
    }
    further = [*mails[1:], *card.phones[1:], *card.mobiles[1:], *card.urls[1:]]
    if further:
        row["comment"] += ("<br>" if row["comment"] else "") + "<br>".join(escape(text) for text in further)
    if card.addresses:
        row |= world.address(card.addresses[0])
    return row


def _website(urls: Sequence[str]) -> str:
    for url in urls:
        try:
            return website_url(url)[:200]
        except ValidationFailed:
            continue
    return ""


def export_vcards(partners: Sequence[Partner], *, actor: Actor) -> str:
    """The partners as a vCard file. Three queries, whatever their number."""
    actor.require(Partner, "view")
    rows = visible(Partner, actor).filter(pk__in=[partner.pk for partner in partners])
    rows = rows.select_related("country", "state", "parent", "commercial_entity").prefetch_related("tags")
    return write_vcards(_to_card(partner) for partner in rows.order_by("complete_name", "pk"))


def _to_card(partner: Partner) -> Card:
    card = Card(
        name=partner.name or str(partner),
        title=partner.title,
        job=partner.job_position,
        is_company=partner.is_company,
        note=html_to_text(partner.comment) if partner.comment else "",
        emails=[partner.email] if partner.email else [],
        phones=[partner.phone] if partner.phone else [],
        mobiles=[partner.mobile] if partner.mobile else [],
        urls=[partner.website] if partner.website else [],
        categories=[tag.name for tag in partner.tags.all()],
    )
    if partner.is_company:
        card.organization = partner.name
    elif partner.commercial_entity is not None and partner.commercial_entity_id != partner.pk:
        card.organization = partner.commercial_entity.name
    else:
        card.organization = partner.company_name
    if any((partner.street, partner.zip, partner.city, partner.country_id)):
        card.addresses = [
            Address(
                street=partner.street,
                street2=partner.street2,
                city=partner.city,
                region=partner.state.name if partner.state else "",
                zip=partner.zip,
                country=partner.country.name if partner.country else "",
                kind="work",
            )
        ]
    return card
