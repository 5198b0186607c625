"""The reports in REST: shape of the answers, pages, CSV, what is refused, and the items behind figures."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client

from apps.access.services.tokens import make_token
from apps.accounting.models import LedgerGroup
from apps.contacts.models import Partner
from tests.accounting.factories import Books
from tests.accounting.report_books import invoice, item, post, spec

pytestmark = pytest.mark.django_db
BASE = "/api/v1/accounting/reports/"


class Reader:
    """A program that reads reports with the token of a user of one role."""

    def __init__(self, books: Books, role: str = "auditor") -> None:
        token = make_token(books.user(role), name="test")[0]
        self.client = Client(headers={"authorization": f"Bearer {token}"})

    def get(self, report: str, **query: Any) -> Any:
        return self.client.get(f"{BASE}{report}/?{urlencode(query)}")

    def json(self, report: str, **query: Any) -> Any:
        answer = self.get(report, **query)
        assert answer.status_code == 200, answer.content
        return answer.json()


@pytest.fixture
def reader(books: Books) -> Reader:
    return Reader(books)


PERIOD = {"date_from": "2026-03-01", "date_to": "2026-03-31"}


@pytest.fixture
def march(books: Books, customer: Partner) -> None:
    a = books.accounts
    post(
        books,
        invoice(books, "2025-11-20", "100.00", customer, due="2025-12-20"),
        invoice(books, "2026-03-05", "30.50", customer, due="2026-04-04"),
        spec(books, "2026-03-10", [item(a.bank, "20.00"), item(a.receivable, "-20.00", partner=customer)]),
    )


@pytest.mark.usefixtures("march")
def test_trial_balance_as_json(books: Books, reader: Reader) -> None:
    answer = reader.json("trial-balance", **PERIOD)

    assert (answer["currency"], answer["date_from"], answer["date_to"]) == ("EUR", "2026-03-01", "2026-03-31")
    rows = {row["code"]: row for row in answer["rows"]}
    assert list(rows) == ["149000", "400000", "550000", "700000"]
    assert rows["149000"]["kind"] == "unallocated"
    assert {name: rows["400000"][name] for name in ("initial", "debit", "credit", "end", "end_credit")} == {
        "initial": "100.00",
        "debit": "30.50",
        "credit": "20.00",
        "end": "110.50",
        "end_credit": "0.00",
    }
    assert rows["400000"]["account"] == books.accounts.receivable.pk
    assert answer["totals"] == {
        "initial_debit": "100.00",
        "initial_credit": "100.00",
        "debit": "50.50",
        "credit": "50.50",
        "end_debit": "130.50",
        "end_credit": "130.50",
    }


@pytest.mark.usefixtures("march")
def test_trial_balance_with_comparisons_and_ledger_group(books: Books, reader: Reader) -> None:
    group = LedgerGroup.objects.create(company=books.company, name="Without sales")
    group.excluded_journals.add(books.journals.sale)

    compared = reader.json("trial-balance", **PERIOD, compare="previous", comparisons=2)
    grouped = reader.json("trial-balance", **PERIOD, ledger_group=group.pk)

    assert [period["date_from"] for period in compared["comparisons"]] == ["2026-02-01", "2026-01-01"]
    row = next(row for row in compared["rows"] if row["code"] == "400000")
    assert [figures["end"] for figures in row["comparisons"]] == ["100.00", "100.00"]
    assert {row["code"]: row["end"] for row in grouped["rows"]} == {"400000": "-20.00", "550000": "20.00"}
    assert reader.get("trial-balance", **PERIOD, compare="previous", comparisons=13).status_code == 400
    assert reader.get("trial-balance", **PERIOD, compare="next").status_code == 400
    assert reader.get("trial-balance", **PERIOD, ledger_group=group.pk + 99).status_code == 400


@pytest.mark.usefixtures("march")
def test_reports_as_csv(reader: Reader) -> None:
    answer = reader.get("trial-balance", **PERIOD, format="csv", compare="last_year")

    assert answer["Content-Type"].startswith("text/csv")
    assert 'filename="trial-balance.csv"' in answer["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert [(row["code"], row["end"], row["end_1"]) for row in rows] == [
        ("149000", "-100.00", "0.00"),
        ("400000", "110.50", "0.00"),
        ("550000", "20.00", "0.00"),
        ("700000", "-30.50", "0.00"),
    ]
    assert sum(Decimal(row["end"]) for row in rows) == 0
    assert reader.get("aged-receivable", format="xml").status_code == 400


def test_text_that_a_spreadsheet_would_run_is_made_harmless(books: Books, reader: Reader) -> None:
    a = books.accounts
    post(books, spec(books, "2026-03-10", [item(a.bank, 1, name="=1+1"), item(a.equity, -1)]))

    answer = reader.get("general-ledger", **PERIOD, account=a.bank.pk, format="csv")

    (row,) = csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig")))
    assert (row["name"], row["debit"], row["balance"]) == ("'=1+1", "1.00", "1.00")


@pytest.mark.usefixtures("march")
def test_general_ledger_follows_its_own_links(books: Books, reader: Reader) -> None:
    account = books.accounts.receivable.pk

    summary = reader.json("general-ledger", **PERIOD)
    first = reader.json("general-ledger", **PERIOD, account=account, limit=1)
    second = reader.client.get(first["next"]).json()
    back = reader.client.get(second["previous"]).json()
    last = reader.json("general-ledger", **PERIOD, account=account, limit=1, last="true")

    assert {row["code"]: row["end"] for row in summary["rows"]}["400000"] == "110.50"
    assert (first["opening"], first["initial"], first["end"]) == ("100.00", "100.00", "110.50")
    assert [row["balance"] for row in first["rows"]] == ["130.50"]
    assert [row["balance"] for row in second["rows"]] == ["110.50"]
    assert (first["previous"], second["next"]) == (None, None)
    assert back["rows"] == first["rows"]
    assert last["rows"] == second["rows"]
    assert second["rows"][0]["credit"] == "20.00"
    for wrong in ({"after": "yesterday"}, {"limit": 0}, {"limit": 10_001}, {"account": account + 9999}):
        assert reader.get("general-ledger", **{**PERIOD, "account": account, **wrong}).status_code == 400


@pytest.mark.usefixtures("march")
def test_partner_ledger(customer: Partner, reader: Reader) -> None:
    summary = reader.json("partner-ledger", **PERIOD)
    lines = reader.json("partner-ledger", **PERIOD, partner=customer.pk)
    nobody = reader.json("partner-ledger", **PERIOD, unknown="true")
    payable = reader.json("partner-ledger", **PERIOD, kind="payable")

    (row,) = summary["rows"]
    assert (row["partner"], row["name"], row["initial"], row["end"]) == (
        customer.pk,
        "Prime Customer",
        "100.00",
        "110.50",
    )
    assert (summary["count"], summary["next"], summary["totals"]["end"]) == (1, None, "110.50")
    assert [line["balance"] for line in lines["rows"]] == ["130.50", "110.50"]
    assert (nobody["rows"], payable["rows"]) == ([], [])
    assert reader.get("partner-ledger", **PERIOD, kind="both").status_code == 400


@pytest.mark.usefixtures("march")
def test_aged_receivable_and_its_items(
    books: Books, customer: Partner, vendor: Partner, reader: Reader
) -> None:
    post(books, invoice(books, "2026-01-05", "7.00", vendor, due="2026-03-30"))

    report = reader.json("aged-receivable", date_to="2026-03-31", limit=1)
    second = reader.client.get(report["next"]).json()
    named = reader.json("aged-receivable", date_to="2026-03-31", limit=1, order="name")
    named_second = reader.client.get(named["next"]).json()
    items = reader.json("aged-receivable", date_to="2026-03-31", partner=customer.pk, limit=2)
    more = reader.client.get(items["next"]).json()
    late = reader.json("aged-receivable", date_to="2026-03-31", partner=customer.pk, bucket=4)

    assert report["buckets"] == ["not_due", "1-30", "31-60", "61-90", "91-120", "older"]
    assert report["totals"] == {
        "not_due": "30.50",
        "1-30": "-13.00",
        "31-60": "0.00",
        "61-90": "0.00",
        "91-120": "100.00",
        "older": "0.00",
        "total": "117.50",
    }
    assert [row["name"] for row in [*report["rows"], *second["rows"]]] == ["Prime Customer", "Good Vendor"]
    assert [row["name"] for row in [*named["rows"], *named_second["rows"]]] == [
        "Good Vendor",
        "Prime Customer",
    ]
    assert (report["count"], second["next"]) == (2, None)
    assert [row["residual"] for row in [*items["rows"], *more["rows"]]] == ["100.00", "-20.00", "30.50"]
    assert [row["due"] for row in late["rows"]] == ["2025-12-20"]
    assert reader.json("aged-payable", date_to="2026-03-31")["rows"] == []
    for wrong in ({"by": "weight"}, {"order": "size"}, {"days": 0}, {"after": "x"}, {"date_to": "soon"}):
        assert reader.get("aged-receivable", **wrong).status_code == 400


@pytest.mark.usefixtures("march")
def test_every_figure_shows_its_items(books: Books, customer: Partner, reader: Reader) -> None:
    account = books.accounts.receivable.pk

    end = reader.json("items", figure="end", account=account, **PERIOD, limit=2)
    more = reader.client.get(end["next"]).json()
    partner = reader.json("items", figure="initial", partner=customer.pk, kind="receivable", **PERIOD)
    earlier = reader.json("items", figure="unallocated", **PERIOD)

    assert [(row["debit"], row["credit"]) for row in [*end["rows"], *more["rows"]]] == [
        ("100.00", "0.00"),
        ("30.50", "0.00"),
        ("0.00", "20.00"),
    ]
    assert [row["debit"] for row in partner["rows"]] == ["100.00"]
    assert [row["credit"] for row in earlier["rows"]] == ["100.00"]
    for found in (end, partner, earlier):
        (query,) = found["filters"]
        listed = reader.client.get(f"/api/v1/accounting/journal-items/?{query}").json()
        expected = 3 if found is end else 1
        assert listed["count"] == expected, (query, listed)
    assert reader.get("items", figure="profit", account=account, **PERIOD).status_code == 400
    assert reader.get("items", account=account, **PERIOD).status_code == 400


@pytest.mark.usefixtures("march")
def test_the_period_defaults_to_the_fiscal_year_up_to_today(reader: Reader) -> None:
    answer = reader.json("trial-balance", date_to="2026-05-17")

    assert (answer["date_from"], answer["date_to"]) == ("2026-01-01", "2026-05-17")


@pytest.mark.usefixtures("march")
@pytest.mark.parametrize(
    "report",
    ["trial-balance", "general-ledger", "partner-ledger", "aged-receivable", "aged-payable", "items"],
)
def test_who_may_not_read_the_books_reads_no_report(books: Books, other_books: Books, report: str) -> None:
    query = {"figure": "unallocated"} if report == "items" else {}

    assert Reader(books, "plain").get(report, **PERIOD, **query).status_code == 403
    assert Client().get(f"{BASE}{report}/").status_code == 401
    assert Reader(other_books).json(report, **PERIOD, **query)["rows"] == []


def test_the_reports_are_described_in_openapi(reader: Reader) -> None:
    schema = reader.client.get("/api/v1/schema/").json()

    operation = schema["paths"]["/api/v1/accounting/reports/aged-receivable/"]["get"]
    shared = schema["components"]["parameters"]
    names = {shared[parameter["$ref"].rpartition("/")[2]]["name"] for parameter in operation["parameters"]}
    assert {"date_to", "by", "days", "order", "partner", "bucket", "format"} <= names
    assert operation["summary"] == "Aged receivable"
