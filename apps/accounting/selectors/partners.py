"""What a company has agreed with its partners, and which fiscal position a document of theirs gets."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from apps.access.models import Company
from apps.accounting.compute.positions import (
    Place,
    PositionFacts,
    choose_position,
    is_tax_id,
    same_country_in_union,
)
from apps.accounting.models import (
    FiscalPosition,
    FiscalPositionAccount,
    FiscalPositionTax,
    PartnerTerms,
)
from apps.accounting.selectors.setup import settings_of
from apps.contacts.identifiers import EU_COUNTRIES
from apps.contacts.models import Partner
from apps.core.links import company_line
from apps.core.rows import read_rows

_FIELDS = (
    "receivable_account_id",
    "payable_account_id",
    "sale_term_id",
    "purchase_term_id",
    "fiscal_position_id",
    "credit_limit",
)


# --------------------------------------------------------------------------------------------------------------- terms
def terms_of(
    company_pk: int, partners: Iterable[Partner], *, line: Sequence[int] | None = None
) -> dict[int, PartnerTerms]:
    """What holds between a company and each partner, by partner: field by field its own, its commercial entity's, and those of
    the company's parents. Copies for reading; empty fields mean the company's settings. One or two queries; one
    with ``line``, the company and its parents, nearest first."""
    people = {partner.pk: partner for partner in partners}
    line = line or _line(company_pk)
    keys = {pk for partner in people.values() for pk in (partner.pk, partner.commercial_entity_id)} - {None}
    found = read_rows(
        PartnerTerms, "t.partner_id = ANY (%s) AND t.company_id = ANY (%s)", [list(keys), list(line)]
    )
    rows = {(row.partner_id, row.company_id): row for row in found}
    answer = {}
    for pk, partner in people.items():
        merged = PartnerTerms(partner_id=pk, company_id=company_pk)
        for owner in (pk, partner.commercial_entity_id):
            for company in line:
                row = rows.get((owner, company)) if owner is not None else None
                if row is None:
                    continue
                for name in _FIELDS:
                    if getattr(merged, name) is None:
                        setattr(merged, name, getattr(row, name))
        answer[pk] = merged
    return answer


def _line(company_pk: int) -> list[int]:
    """The company, then its parents; keys of parents are always lower, as companies are made after them."""
    line = company_line(company_pk)
    return sorted(line, reverse=True)


# ----------------------------------------------------------------------------------------------------------- positions
@dataclass(frozen=True, slots=True)
class PositionMap:
    """What a fiscal position replaces. Without a position nothing is: ``PositionMap()``."""

    pk: int | None = None
    taxes: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    accounts: Mapping[int, int] = field(default_factory=dict)


def position_maps(pks: Iterable[int]) -> dict[int, PositionMap]:
    """What each position replaces: two queries."""
    wanted = set(pks)
    taxes: dict[int, dict[int, tuple[int, ...]]] = {pk: {} for pk in wanted}
    accounts: dict[int, dict[int, int]] = {pk: {} for pk in wanted}
    rows = FiscalPositionTax.objects.filter(position__in=wanted).order_by("position_id", "pk")
    for position, source, target in rows.values_list("position_id", "source_id", "target_id"):
        held = taxes[position].get(source, ())
        taxes[position][source] = held if target is None else (*held, target)
    pairs = FiscalPositionAccount.objects.filter(position__in=wanted)
    for position, source, target in pairs.values_list("position_id", "source_id", "target_id"):
        accounts[position][source] = target
    return {pk: PositionMap(pk, taxes[pk], accounts[pk]) for pk in wanted}


def map_taxes(position: PositionMap | None, tax_pks: Sequence[int]) -> tuple[int, ...]:
    """The taxes a document of that position has instead: replaced, left out, or as they are; each once, in order."""
    if position is None:
        return tuple(dict.fromkeys(tax_pks))
    mapped = [target for pk in tax_pks for target in position.taxes.get(pk, (pk,))]
    return tuple(dict.fromkeys(mapped))


def map_account(position: PositionMap | None, account_pk: int) -> int:
    """The account a document of that position uses instead."""
    return account_pk if position is None else position.accounts.get(account_pk, account_pk)


class PositionChooser:
    """Chooses fiscal positions for many documents of one company; reads the positions once (two queries, one with
    ``line``). ``home`` is the country whose tax law the company is under, when known; else its settings say it."""

    def __init__(
        self, company: Company, *, line: Sequence[int] | None = None, home: int | None = None
    ) -> None:
        self.company = company
        self.home = home or settings_of(company.pk).fiscal_country_id
        line = line or _line(company.pk)
        distance = {pk: number for number, pk in enumerate(line)}
        rows: list[Any] = read_rows(
            FiscalPosition,
            "t.company_id = ANY (%s) AND t.active AND t.auto_apply ORDER BY t.id",
            [list(line)],
            extra={
                "state_pks": "ARRAY(SELECT x.countrystate_id FROM accounting_fiscalposition_states x"
                " WHERE x.fiscalposition_id = t.id)"
            },
        )
        self.candidates = [
            PositionFacts(
                pk=row.pk,
                sequence=row.sequence,
                vat_required=row.vat_required,
                country_pk=row.country_id,
                country_group=row.country_group,
                state_pks=frozenset(row.state_pks),
                zip_from=row.zip_from,
                zip_to=row.zip_to,
                distance=distance[row.company_id],
            )
            for row in rows
        ]

    def choose(
        self,
        partner: Partner,
        shipping: Partner | None = None,
        *,
        agreed: Mapping[int, PartnerTerms] | None = None,
    ) -> int | None:
        """The position for a buyer (or vendor) and the address of delivery: one agreed with the address, else with the
        partner, else the best that applies by itself. ``agreed``: what ``terms_of`` answered for them."""
        for person in (shipping, partner):
            if person is not None and agreed is not None and person.pk in agreed:
                chosen = agreed[person.pk].fiscal_position_id
                if chosen is not None:
                    return chosen
        address = shipping or partner
        if same_country_in_union(self.company.tax_id, partner.tax_id, EU_COUNTRIES):
            address = partner
        country = address.country
        return choose_position(
            self.candidates,
            Place(
                country_pk=address.country_id,
                # Positions for the Union mean its other members: a sale at home is never one within the Union.
                is_eu=country is not None and country.is_eu and country.pk != self.home,
                state_pk=address.state_id,
                zip=address.zip,
                has_tax_id=is_tax_id(partner.tax_id),
            ),
        )


def position_for(partner: Partner, shipping: Partner | None, company: Company) -> int | None:
    """The fiscal position of one document. Give partners with their country loaded; four queries at most."""
    people = [person for person in (partner, shipping) if person is not None]
    return PositionChooser(company).choose(partner, shipping, agreed=terms_of(company.pk, people))


def positions_for(cases: Collection[tuple[Partner, Partner | None]], company: Company) -> list[int | None]:
    """``position_for`` for many documents of one company, in the same number of queries."""
    people = [person for case in cases for person in case if person is not None]
    agreed = terms_of(company.pk, people)
    chooser = PositionChooser(company)
    return [chooser.choose(partner, shipping, agreed=agreed) for partner, shipping in cases]
