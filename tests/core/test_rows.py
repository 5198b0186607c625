"""Rows read by a plain condition are the rows that the ORM reads."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.access.models import Company
from apps.core.actor import system_actor
from apps.core.models import Country, Currency
from apps.core.records import service_for
from apps.core.rows import read_by_key, read_joined, read_rows, set_link

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
