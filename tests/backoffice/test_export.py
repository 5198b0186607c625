"""Export: what may leave, how it looks, that it cannot hurt, and that it is on record."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from openpyxl import load_workbook

from apps.access.models import AuditEntry, Company, User
from apps.backoffice.export import guarded
from apps.core.models import Country, CountryState, Currency, Sequence
from apps.core.testkit import count_queries
from tests.backoffice.conftest import SPARE_CODES

pytestmark = pytest.mark.django_db


def download(browser: Client, model: str, **data: Any) -> Any:
    return browser.post(reverse(f"admin:core_{model}_export"), {"format": "csv", **data})


def rows_of(response: Any) -> list[list[str]]:
    text = b"".join(response.streaming_content).decode()
    assert text.startswith("\ufeff")
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))


@pytest.fixture
def sequences(company: Company) -> list[Sequence]:
    return [
        Sequence.objects.create(code=f"tests.{title.lower()}", title=title, company=company, prefix=prefix)
        for title, prefix in (("Alpha", "A"), ("Beta", "=1+1"), ("Gamma", "C"))
    ]


def test_the_whole_filtered_list_in_words(admin: Client, sequences: list[Sequence]) -> None:
    response = download(
        admin, "sequence", field=["title", "implementation", "company"], query="q=tests.&o=-2"
    )

    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert "attachment" in response["Content-Disposition"]
    rows = rows_of(response)
    assert rows[0] == ["Title", "Kind", "Company"]
    assert sorted(row[0] for row in rows[1:]) == ["Alpha", "Beta", "Gamma"]
    assert rows[1][1:] == ["fast, a cancelled transaction leaves a gap", "My company"]


def test_a_selection_as_stored(admin: Client, sequences: list[Sequence]) -> None:
    response = download(
        admin, "sequence", field=["title", "implementation", "company"], pk=[sequences[2].pk], values="stored"
    )

    assert rows_of(response) == [
        ["title", "implementation", "company"],
        ["Gamma", "fast", str(sequences[2].company_id)],
    ]


def test_a_filter_narrows_the_export(admin: Client, sequences: list[Sequence]) -> None:
    Sequence.objects.filter(pk=sequences[0].pk).update(active=False)

    exported = {query: {row[0] for row in rows_of(download(admin, "sequence", field=["title"], query=query))[1:]}
                for query in ("q=tests", "q=tests&archived=yes", "q=gamma")}  # fmt: skip

    assert exported == {"q=tests": {"Beta", "Gamma"}, "q=tests&archived=yes": {"Alpha"}, "q=gamma": {"Gamma"}}


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_no_text_becomes_a_formula(text: str) -> None:
    assert guarded(text) == "'" + text


@pytest.mark.parametrize("value", [-1, "a=b", "", None, True])
def test_harmless_values_stay_as_they_are(value: Any) -> None:
    assert guarded(value) == value


def test_formulas_are_defused_in_both_formats(admin: Client, sequences: list[Sequence]) -> None:
    text = rows_of(download(admin, "sequence", field=["prefix"], pk=[sequences[1].pk]))
    sheet = download(admin, "sequence", field=["prefix", "step"], pk=[sequences[1].pk], format="xlsx")

    cells = list(
        load_workbook(io.BytesIO(b"".join(sheet.streaming_content))).active.iter_rows(values_only=True)
    )
    assert text[1] == ["'=1+1"]
    assert cells == [("Prefix", "Step"), ("'=1+1", 1)]


def test_export_needs_its_own_role(
    sequences: list[Sequence], make_user: Callable[..., User], sign_in: Callable[[User], Client]
) -> None:
    browser = sign_in(make_user({"core.sequence": "view change"}))

    listed = browser.get(reverse("admin:core_sequence_changelist"))
    response = download(browser, "sequence", field=["title"])

    assert reverse("admin:core_sequence_export") not in listed.content.decode()
    assert response.status_code == 403
    assert not AuditEntry.objects.filter(kind="export").exists()


def test_rows_of_another_company_stay_out(
    sequences: list[Sequence],
    other_company: Company,
    make_user: Callable[..., User],
    sign_in: Callable[[User], Client],
) -> None:
    theirs = Sequence.objects.create(code="tests.theirs", title="Theirs", company=other_company)
    browser = sign_in(make_user({"core.sequence": "view export"}))

    whole = rows_of(download(browser, "sequence", field=["title"]))
    picked = rows_of(download(browser, "sequence", field=["title"], pk=[theirs.pk]))

    titles = {row[0] for row in whole[1:]}
    assert {"Alpha", "Beta", "Gamma"} <= titles
    assert "Theirs" not in titles
    assert picked == [["Title"]]


def test_who_exported_what_is_on_record(admin: Client, boss: User, sequences: list[Sequence]) -> None:
    download(admin, "sequence", field=["title", "code"], query="q=alpha")

    entry = AuditEntry.objects.get(kind="export")
    assert entry.user_pk == boss.pk
    assert entry.after == {
        "model": "core.sequence",
        "rows": 1,
        "fields": ["title", "code"],
        "format": "csv",
        "filter": "q=alpha",
        "selection": [],
    }


def test_unknown_fields_are_ignored_and_none_is_told(admin: Client, sequences: list[Sequence]) -> None:
    response = download(admin, "sequence", field=["nothing"])

    assert response.status_code == 200
    assert "Choose at least one field." in response.content.decode()


def test_the_number_of_queries_does_not_grow_with_the_rows(admin: Client, euro: Currency) -> None:
    def make(count: int) -> None:
        start = Country.objects.filter(name__startswith="Land ").count()
        for number in range(start, start + count):
            country = Country.objects.create(code=SPARE_CODES[number], name=f"Land {number}", currency=euro)
            CountryState.objects.create(country=country, code="N", name="North")

    def export() -> int:
        with count_queries() as seen:
            rows_of(download(admin, "countrystate", field=["name", "country"]))
        return len(seen)

    make(2)
    export()
    few = export()
    make(10)

    assert export() == few
