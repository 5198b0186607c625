"""Which fiscal position a document gets, and what the position replaces."""

from __future__ import annotations

from typing import Any

import pytest

from apps.accounting.compute.positions import (
    Place,
    PositionFacts,
    choose_position,
    country_of_tax_id,
    same_country_in_union,
    zip_in_range,
)
from apps.accounting.models import FiscalPosition, FiscalPositionAccount, FiscalPositionTax, PartnerTerms
from apps.accounting.selectors.partners import (
    PositionMap,
    map_account,
    map_taxes,
    position_for,
    position_maps,
    positions_for,
)
from apps.contacts.models import Partner
from apps.core.errors import Conflict, PermissionDenied, ValidationFailed
from apps.core.models import Country, CountryState
from apps.core.records import service_for
from apps.core.testkit import count_queries
from tests.accounting.factories import Books, make_partner

BE, NL, US = 1, 2, 3
UNION = frozenset({"BE", "NL", "GR"})


def facts(pk: int, **values: Any) -> PositionFacts:
    return PositionFacts(pk=pk, **values)


@pytest.mark.parametrize(
    ("candidates", "place", "chosen"),
    [
        ([facts(1)], Place(), None),
        ([facts(1)], Place(country_pk=US), 1),
        ([facts(1, country_pk=BE)], Place(country_pk=NL), None),
        ([facts(1, vat_required=True)], Place(country_pk=BE), None),
        ([facts(1), facts(2, vat_required=True)], Place(country_pk=BE, has_tax_id=True), 2),
        # a tax id asked for beats closeness, closeness beats the country
        ([facts(1, country_pk=BE, distance=1), facts(2)], Place(country_pk=BE), 2),
        ([facts(1, vat_required=True, distance=1), facts(2)], Place(country_pk=BE, has_tax_id=True), 1),
        # postal codes, then states, then country, then group
        (
            [
                facts(1, country_pk=BE, state_pks=frozenset({7})),
                facts(2, country_pk=BE, zip_from="1000", zip_to="1999"),
            ],
            Place(country_pk=BE, state_pk=7, zip="1050"),
            2,
        ),
        (
            [facts(1, country_pk=BE), facts(2, state_pks=frozenset({7}))],
            Place(country_pk=BE, state_pk=7),
            2,
        ),
        ([facts(1, country_group="EU"), facts(2, country_pk=BE)], Place(country_pk=BE, is_eu=True), 2),
        ([facts(1), facts(2, country_group="EU")], Place(country_pk=BE, is_eu=True), 2),
        ([facts(2, country_group="EU")], Place(country_pk=US), None),
        ([facts(1, sequence=20), facts(2, sequence=10)], Place(country_pk=BE), 2),
        ([facts(3), facts(2)], Place(country_pk=BE), 2),
        ([facts(1, zip_from="1000", zip_to="1999")], Place(country_pk=BE), None),
    ],
)
def test_choice(candidates: list[PositionFacts], place: Place, chosen: int | None) -> None:
    assert choose_position(candidates, place) == chosen


@pytest.mark.parametrize(
    ("code", "first", "last", "inside"),
    [
        ("1050", "1000", "1999", True),
        ("900", "1000", "1999", False),
        ("0900", "800", "1000", True),
        ("2000", "1000", "1999", False),
        ("1011 AB", "1000AA", "1099ZZ", True),
        ("", "1000", "1999", False),
    ],
)
def test_postal_codes(code: str, first: str, last: str, inside: bool) -> None:
    assert zip_in_range(code, first, last) is inside


def test_tax_ids_of_one_country_of_the_union() -> None:
    assert same_country_in_union("BE0477472701", "BE0428759497", UNION)
    assert same_country_in_union("EL123456789", "el987654321", UNION)
    assert not same_country_in_union("BE0477472701", "NL004495445B01", UNION)
    assert not same_country_in_union("US12", "US34", UNION)
    assert not same_country_in_union("", "", UNION)
    assert country_of_tax_id("12345") == ""


def country(code: str) -> Country:
    return Country.objects.get(code=code)


@pytest.fixture
def union(books: Books) -> FiscalPosition:
    """For buyers in other countries of the Union with a tax id."""
    return FiscalPosition.objects.create(
        company=books.company, name="Intra-Union", auto_apply=True, vat_required=True, country_group="EU"
    )


@pytest.fixture
def home(books: Books) -> FiscalPosition:
    return FiscalPosition.objects.create(
        company=books.company, name="Home", auto_apply=True, vat_required=True, country=country("BE")
    )


def test_the_country_of_delivery_decides(books: Books, union: FiscalPosition, home: FiscalPosition) -> None:
    german = make_partner("GmbH", country="DE", tax_id="DE136695976")
    belgian_dock = make_partner("Dock", is_company=False, type="delivery", parent=german, country="BE")
    american = make_partner("Inc", country="US")
    nowhere = make_partner("Nowhere")

    with count_queries() as seen:
        chosen = positions_for(
            [(german, None), (german, belgian_dock), (american, None), (nowhere, None)], books.company
        )

    assert chosen == [union.pk, home.pk, None, None]
    assert len(seen) <= 8


def test_the_invoice_address_decides_when_both_tax_ids_are_of_one_country(
    books: Books, union: FiscalPosition, home: FiscalPosition
) -> None:
    books.company.tax_id = "BE0477472701"
    belgian = make_partner("NV", country="BE", tax_id="BE0428759497")
    french_dock = make_partner("Dock", is_company=False, type="delivery", parent=belgian, country="FR")

    assert position_for(belgian, french_dock, books.company) == home.pk


def test_the_own_country_is_not_another_member_of_the_union(books: Books, union: FiscalPosition) -> None:
    belgian = make_partner("NV", country="BE", tax_id="BE0428759497")

    assert position_for(belgian, None, books.company) is None


def test_a_slash_is_no_tax_id(books: Books, union: FiscalPosition) -> None:
    exempt = make_partner("Verein", country="DE", tax_id="/")

    assert position_for(exempt, None, books.company) is None


def test_what_was_agreed_goes_before_what_applies(books: Books, union: FiscalPosition) -> None:
    agreed = FiscalPosition.objects.create(company=books.company, name="Agreed")
    other = FiscalPosition.objects.create(company=books.company, name="At the dock")
    german = make_partner("GmbH", country="DE", tax_id="DE136695976")
    dock = make_partner("Dock", is_company=False, type="delivery", parent=german, country="FR")
    PartnerTerms.objects.create(company=books.company, partner=german, fiscal_position=agreed)

    assert position_for(german, None, books.company) == agreed.pk
    assert position_for(german, dock, books.company) == agreed.pk
    PartnerTerms.objects.create(company=books.company, partner=dock, fiscal_position=other)
    assert position_for(german, dock, books.company) == other.pk


def test_maps(books: Books) -> None:
    a, t = books.accounts, books.taxes
    position = service_for(FiscalPosition).create_one(
        {
            "name": "Mapped",
            "company": books.company,
            "tax_map": [
                {"source": t.sale21, "target": t.sale6},
                {"source": t.sale21, "target": t.sale15},
                {"source": t.sale0},
            ],
            "account_map": [{"source": a.income, "target": a.income2}],
        },
        actor=books.actor("adviser"),
    )

    with count_queries() as seen:
        mapped = position_maps([position.pk])[position.pk]

    assert len(seen) == 2
    assert map_taxes(mapped, [t.sale21.pk, t.sale0.pk, t.sale15.pk]) == (t.sale6.pk, t.sale15.pk)
    assert map_taxes(None, [t.sale21.pk, t.sale21.pk]) == (t.sale21.pk,)
    assert map_taxes(PositionMap(), [t.sale0.pk]) == (t.sale0.pk,)
    assert map_account(mapped, a.income.pk) == a.income2.pk
    assert map_account(mapped, a.expense.pk) == a.expense.pk
    assert map_account(None, a.expense.pk) == a.expense.pk


def test_the_map_is_written_as_a_whole(books: Books) -> None:
    t, adviser = books.taxes, books.actor("adviser")
    service = service_for(FiscalPosition)
    position = service.create_one(
        {"name": "P", "tax_map": [{"source": t.sale21, "target": t.sale6}, {"source": t.sale15}]},
        actor=adviser,
    )
    kept = FiscalPositionTax.objects.get(position=position, source=t.sale21)

    service.update([position], {"tax_map": [{"id": kept.pk, "target": t.sale0}]}, actor=adviser)

    rows = FiscalPositionTax.objects.filter(position=position)
    assert [(r.pk, r.source_id, r.target_id) for r in rows] == [(kept.pk, t.sale21.pk, t.sale0.pk)]
    service.update([position], {"tax_map": []}, actor=adviser)
    assert not FiscalPositionTax.objects.filter(position=position).exists()


def test_refused_positions(books: Books, other_books: Books) -> None:
    adviser, t = books.actor("adviser"), books.taxes
    be, us = country("BE"), country("US")
    oregon = CountryState.objects.get(country=us, code="OR")
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"country": be, "zip_from": "2000"}, "zip_to"),
        ({"country": be, "zip_from": "2000", "zip_to": "900"}, "zip_to"),
        ({"zip_from": "1", "zip_to": "2"}, "country"),
        ({"country_group": "Mars"}, "country_group"),
        ({"country": be, "states": [oregon]}, "states"),
        ({"tax_map": [{"source": t.sale21, "target": t.purchase21}]}, "tax_map"),
        ({"tax_map": [{"target": t.sale21}]}, "tax_map.0.source"),
        ({"tax_map": [{"source": t.sale21, "nonsense": 1}]}, "tax_map.0.nonsense"),
        ({"tax_map": "none"}, "tax_map"),
        (
            {"account_map": [{"source": books.accounts.income, "target": other_books.accounts.income}]},
            "account_map.target",
        ),
    ]
    for values, field in wrong:
        with pytest.raises(ValidationFailed) as refused:
            service_for(FiscalPosition).create_one({"name": "P", **values}, actor=adviser)
        assert set(refused.value.fields) == {field}, values

    assert not FiscalPosition.objects.exists()
    assert not FiscalPositionTax.objects.exists()


def test_padded_range_of_postal_codes(books: Books) -> None:
    position = service_for(FiscalPosition).create_one(
        {"name": "P", "country": country("BE"), "zip_from": "900", "zip_to": "1000"},
        actor=books.actor("adviser"),
    )

    assert (position.zip_from, position.zip_to) == ("0900", "1000")


def test_parts_have_no_door_of_their_own(books: Books, union: FiscalPosition) -> None:
    adviser = books.actor("adviser")
    row = FiscalPositionAccount.objects.create(
        position=union, source=books.accounts.income, target=books.accounts.income2
    )

    with pytest.raises(Conflict):
        service_for(FiscalPositionAccount).delete([row], actor=adviser)
    with pytest.raises(Conflict):
        service_for(FiscalPositionTax).create(
            [{"position": union, "source": books.taxes.sale21}], actor=adviser
        )

    assert FiscalPositionAccount.objects.get() == row


def test_billing_cannot_write_positions(books: Books, customer: Partner) -> None:
    with pytest.raises(PermissionDenied):
        service_for(FiscalPosition).create_one({"name": "P"}, actor=books.actor("billing"))

    assert not FiscalPosition.objects.exists()
