"""Rows read by a plain condition are the rows that the ORM reads."""

from __future__ import annotations

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from apps.access.models import Company
from apps.core.actor import system_actor
from apps.core.copying import FEW, insert_records
from apps.core.models import Country, Currency, OutboxEvent
from apps.core.records import service_for
from apps.core.rows import read_by_key, read_joined, read_records, read_rows, read_values, set_link

pytestmark = pytest.mark.django_db


def make_company(name: str, country: str | None) -> Company:
    values = {
        "name": name,
        "currency": Currency.objects.get(code="EUR"),
        "country": Country.objects.get(code=country) if country else None,
    }
    return service_for(Company).create_one(values, actor=system_actor(channel="test"))


def as_dict(record: object) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name != "_state"}


def test_rows_are_those_of_the_orm() -> None:
    made = make_company("Rows Ltd", "BE")

    (row,) = read_rows(Company, "t.name = %s ORDER BY t.id", ["Rows Ltd"])

    assert as_dict(row) == as_dict(Company.objects.get(pk=made.pk))
    assert row == made
    assert not row._state.adding
    row.name = "Rows and Sons"
    row.save(update_fields=["name"])
    assert Company.objects.get(pk=made.pk).name == "Rows and Sons"


def test_by_key_in_one_statement_and_none_without_keys() -> None:
    pks = [make_company(f"Rows {n}", None).pk for n in range(3)]

    with CaptureQueriesContext(connection) as seen:
        found = read_by_key(Company, pks)
        nothing = read_by_key(Company, [])

    assert (sorted(found), nothing, len(seen)) == (sorted(pks), {}, 1)


def test_joined_rows_stand_side_by_side() -> None:
    make_company("Rows A", "BE")
    make_company("Rows B", None)

    rows = read_joined(
        ((Company, "c"), (Country, "l")),
        "FROM access_company c LEFT JOIN core_country l ON l.id = c.country_id WHERE c.name LIKE %s ORDER BY c.name",
        ["Rows %"],
        extra={"shouted": "upper(c.name)"},
    )

    assert [(company.name, company.shouted, country and country.code) for company, country in rows] == [
        ("Rows A", "ROWS A", "BE"),
        ("Rows B", "ROWS B", None),
    ]
    company, country = rows[0]
    set_link(company, "country", country)
    with CaptureQueriesContext(connection) as seen:
        assert company.country.code == "BE"
    assert len(seen) == 0


@pytest.mark.parametrize(
    "names",
    [
        ("id", "name", "country_id", "created_at"),
        ("pk", "name"),  # what the plain list does not know
        ("name", "currency__code", "country__name", "parent__name"),
        ("name", "country__states__name"),
    ],
)
def test_values_are_those_of_the_orm(names: tuple[str, ...]) -> None:
    for n, country in enumerate(("BE", None, "NL")):
        make_company(f"Rows {n}", country)
    rows = Company.objects.filter(name__startswith="Rows ").order_by("-name")

    assert [tuple(row) for row in read_values(rows, names)] == list(rows.values_list(*names))
    assert [tuple(row) for row in read_values(rows[1:2], names)] == list(rows[1:2].values_list(*names))
    assert read_values(rows.none(), names) == []
    assert read_values(rows.filter(pk__in=[]), names) == []


def test_records_are_those_of_the_orm_locked_or_not() -> None:
    for n, country in enumerate(("BE", "NL")):
        make_company(f"Rows {n}", country)
    rows = Company.objects.filter(name__startswith="Rows ").order_by("-name")

    with CaptureQueriesContext(connection) as seen:
        locked = read_records(rows.select_for_update(of=("self",)))
    assert "FOR UPDATE OF" in seen[0]["sql"]
    for found in (locked, read_records(rows), read_records(rows.select_related("country"))):
        assert [as_dict(row) for row in found] == [as_dict(row) for row in rows]
    assert read_records(rows.select_related("country"))[0].country.code == "NL"
    assert [row.doubled for row in read_records(rows.annotate(doubled=F("pk") * 2))] == [
        row.pk * 2 for row in rows
    ]


@pytest.mark.parametrize("count", [1, FEW + 1])
def test_inserted_records_are_those_of_the_orm(count: int) -> None:
    made = [
        OutboxEvent(name=f"tests.Copied{n}", payload={"text": "a\tb\\n\n“c”", "n": n}, actor={}, error="x\ny")
        for n in range(count)
    ]

    insert_records(made)

    assert len({row.pk for row in made}) == count
    for row, stored in zip(made, OutboxEvent.objects.order_by("pk"), strict=True):
        assert as_dict(row) == as_dict(stored)
        assert not row._state.adding
