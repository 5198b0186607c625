"""Who a document is to, as it is printed: kept on the document when it is posted, read from contacts before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from apps.accounting.models import Invoice
from apps.contacts.models import Partner
from apps.contacts.selectors.partners import format_address
from apps.core.models import Country, CountryState

PARTS = ("street", "street2", "zip", "city")


@dataclass(frozen=True, slots=True)
class Party:
    """Name, lines of the postal address in the habit of its country, and what identifies it to the authorities."""

    name: str
    address: tuple[str, ...] = ()
    tax_id: str = ""
    registry: str = ""
    ref: str = ""


def party_of(partner: Partner) -> Party:
    """A contact as it is now. No query when ``country`` and ``state`` were selected with it."""
    return Party(
        name=partner.complete_name or partner.name,
        address=tuple(format_address(partner).splitlines()),
        tax_id=partner.tax_id,
        registry=partner.registry,
        ref=partner.ref,
    )


def kept_party(snapshot: Mapping[str, Any], countries: Mapping[str, Country]) -> Party:
    """A contact as a document kept it. The order of the lines is that of the country."""
    values = {name: str(snapshot.get(name) or "") for name in (*PARTS, "tax_id", "registry", "ref")}
    state = str(snapshot.get("state") or "")
    country = countries.get(str(snapshot.get("country") or ""))
    code = str(snapshot.get("state_code") or state)
    row = Partner(
        complete_name=str(snapshot.get("name") or ""),
        country=country,
        state=CountryState(country=country, code=code, name=state) if state and country is not None else None,
        **values,
    )
    return party_of(row)


def countries_of(invoices: Iterable[Invoice]) -> dict[str, Country]:
    """The countries that documents kept, by code. One query, none when all of them are drafts."""
    snapshots = [invoice.partner_snapshot or {} for invoice in invoices]
    snapshots += [snapshot["shipping"] for snapshot in snapshots if snapshot.get("shipping")]
    codes = {str(snapshot["country"]) for snapshot in snapshots if snapshot.get("country")}
    return {row.code: row for row in Country.objects.filter(code__in=codes)} if codes else {}


def parties_of_invoice(invoice: Invoice, countries: Mapping[str, Country]) -> tuple[Party, Party | None]:
    """The partner of a document, and where it is delivered to if that is somewhere else: as they were at posting, or as
    they are now while the document is a draft."""
    snapshot = invoice.partner_snapshot
    if snapshot:
        shipping = snapshot.get("shipping")
        return kept_party(snapshot, countries), kept_party(shipping, countries) if shipping else None
    partner, other = invoice.partner, invoice.shipping_partner
    party = party_of(partner) if partner is not None else Party("")
    elsewhere = other is not None and invoice.shipping_partner_id != invoice.partner_id
    return party, party_of(other) if other is not None and elsewhere else None
