"""Statements with their lines over REST, proposals with their reasons, and mappings that stay with the journal."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.access.services.tokens import make_token
from apps.accounting.models import BankStatement, Invoice, Journal, JournalEntry, StatementLine
from apps.contacts.models import Partner
from tests.accounting.factories import Books, make_books
from tests.accounting.payment_helpers import account_balance, make_invoices, settled, term_item

pytestmark = pytest.mark.django_db
STATEMENTS = "/api/v1/accounting/bank-statements/"
LINES = "/api/v1/accounting/statement-lines/"


class Api:
    """A client with a token of somebody who has this role."""

    def __init__(self, books: Books, role: str = "accountant") -> None:
        self.client = Client(headers={"authorization": f"Bearer {make_token(books.user(role), name='t')[0]}"})

    def get(self, url: str) -> Any:
        return self.client.get(url)

    def post(self, url: str, body: Any) -> Any:
        return self.client.post(url, body, content_type="application/json")

    def patch(self, url: str, body: Any) -> Any:
        return self.client.patch(url, body, content_type="application/json")


def statement(books: Books, *lines: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "journal": books.journals.bank.pk,
        "name": "2026-3",
        "date": "2026-03-31",
        "balance_start": "1000.00",
        "balance_end": "1174.50",
        "lines": list(lines),
        **more,
    }


TWO = (
    {"date": "2026-03-10", "label": "Rent", "amount": "250.00"},
    {"label": "Wages", "amount": "-75.50", "partner_name": "Pia"},
)


def test_a_statement_is_made_with_its_lines_and_booked(books: Books) -> None:
    made = Api(books).post(STATEMENTS, statement(books, *TWO))
    settled()

    shown = made.json()
    assert made.status_code == 201, shown
    assert [(row["date"], row["amount"], row["label"]) for row in shown["lines"]] == [
        ("2026-03-10", "250.00", "Rent"),
        ("2026-03-31", "-75.50", "Wages"),  # without a date: the statement's
    ]
    assert all(row["entry"] and row["reconciled"] is False for row in shown["lines"])
    assert (shown["figures"]["computed_end"], shown["figures"]["is_complete"]) == ("1174.5", True)
    assert account_balance(books, books.accounts.bank) == Decimal("174.50")


def test_the_next_statement_that_begins_elsewhere_is_flagged(books: Books) -> None:
    api = Api(books)
    api.post(STATEMENTS, statement(books, *TWO))

    after = api.post(
        STATEMENTS,
        statement(books, date="2026-04-30", name="2026-4", balance_start="1174.40", balance_end="1174.40"),
    ).json()

    assert (after["figures"]["is_valid"], after["figures"]["gap"]) == (False, "-0.1")


def test_patching_adds_and_mends_and_never_removes(books: Books) -> None:
    api = Api(books)
    made = api.post(STATEMENTS, statement(books, *TWO)).json()
    first = made["lines"][0]

    added = api.patch(
        f"{STATEMENTS}{made['id']}/",
        {"lines": [{"id": first["id"], "label": "Rent of March"}, {"label": "Fee", "amount": "-1.50"}]},
    )
    settled()

    shown = added.json()
    assert added.status_code == 200, shown
    assert sorted((row["label"], row["amount"]) for row in shown["lines"]) == [
        ("Fee", "-1.50"),
        ("Rent of March", "250.00"),
        ("Wages", "-75.50"),
    ]
    assert account_balance(books, books.accounts.bank) == Decimal("173.00")
    assert JournalEntry.objects.count() == 3


@pytest.mark.parametrize(
    ("lines", "field"),
    [
        ([{"label": "No amount"}], "lines.0.amount"),
        ([TWO[0], {"label": "Nothing", "amount": "0"}], ""),
        ([TWO[0], {"label": "Too fine", "amount": "1.001"}], "lines.1.amount"),
        ([{"id": 999999999, "label": "Strange"}], "lines.0.id"),
        ([{"amount": "1.00", "reconciled": True}], "lines.0.reconciled"),
        ([{"amount": "1.00", "colour": "red"}], "lines.0.colour"),
    ],
)
def test_a_wrong_line_is_named_and_nothing_is_made(
    books: Books, lines: list[dict[str, Any]], field: str
) -> None:
    answer = Api(books).post(STATEMENTS, statement(books, *lines))

    assert answer.status_code in (400, 409), answer.content
    if field:
        assert field in answer.json()["fields"], answer.json()
    assert not BankStatement.objects.exists()
    assert not StatementLine.objects.exists()
    assert not JournalEntry.objects.exists()


def test_what_the_bank_said_is_not_changed_through_the_statement(books: Books) -> None:
    api = Api(books)
    made = api.post(STATEMENTS, statement(books, *TWO)).json()
    first = made["lines"][0]

    answer = api.patch(f"{STATEMENTS}{made['id']}/", {"lines": [{"id": first["id"], "amount": "251.00"}]})

    assert answer.status_code == 400
    assert list(answer.json()["fields"]) == ["lines.0.amount"]
    assert StatementLine.objects.get(pk=first["id"]).amount == Decimal("250.00")


def test_lines_of_another_statement_are_not_mended_through_this_one(books: Books) -> None:
    api = Api(books)
    one = api.post(STATEMENTS, statement(books, *TWO)).json()
    other = api.post(STATEMENTS, statement(books, name="B")).json()

    answer = api.patch(
        f"{STATEMENTS}{other['id']}/", {"lines": [{"id": one["lines"][0]["id"], "label": "Mine"}]}
    )

    assert answer.status_code == 400
    assert list(answer.json()["fields"]) == ["lines.0.id"]
    assert StatementLine.objects.get(pk=one["lines"][0]["id"]).label == "Rent"


def test_who_may_not_write_lines_makes_no_statement_with_them(books: Books) -> None:
    answers = [Api(books, role).post(STATEMENTS, statement(books, *TWO)) for role in ("auditor", "billing")]

    assert [a.status_code for a in answers] == [403, 403]
    assert not StatementLine.objects.exists()


def test_many_lines_cost_no_more_statements(books: Books) -> None:
    api = Api(books)

    def count(lines: int) -> int:
        body = statement(books, *[{"amount": "1.00", "label": str(n)} for n in range(lines)])
        with CaptureQueriesContext(connection) as seen:
            assert api.post(STATEMENTS, body).status_code == 201
        return len(seen)

    count(1)

    assert count(40) == count(3)


def test_proposals_tell_their_reasons_and_what_is_certain(books: Books, customer: Partner) -> None:
    api = Api(books)
    invoice = make_invoices(books, customer, untaxed="70.00")[0]
    Invoice.objects.filter(pk=invoice.pk).update(payment_reference="RF07 0007")
    made = api.post(STATEMENTS, statement(books, {"label": "RF070007", "amount": "70.00"})).json()
    line = made["lines"][0]["id"]

    answer = api.get(f"{LINES}{line}/proposals/")
    best = answer.json()["results"][0]
    done = api.post(f"{LINES}{line}/actions/reconcile/", {"items": best["items"]})
    settled()
    after = api.get(f"{LINES}{line}/proposals/")

    assert answer.status_code == 200
    assert (best["items"], best["rank"], best["certain"]) == ([term_item(invoice).pk], 1, True)
    assert "the label names it" in best["reason"]
    assert (done.status_code, done.json()["reconciled"]) == (200, True)
    assert after.json() == {"results": []}


def test_proposals_are_those_of_the_own_company(books: Books, customer: Partner) -> None:
    made = Api(books).post(STATEMENTS, statement(books, TWO[0])).json()
    stranger = Api(make_books("EUR", "BE", "Beta Ltd"))

    answers = [
        stranger.get(f"{LINES}{made['lines'][0]['id']}/proposals/").status_code,
        Api(books, "plain").get(f"{LINES}{made['lines'][0]['id']}/proposals/").status_code,
    ]

    assert answers == [404, 403]


def test_what_is_certain_is_accepted_in_one_call(books: Books, customer: Partner) -> None:
    api = Api(books)
    invoice = make_invoices(books, customer, untaxed="70.00")[0]
    Invoice.objects.filter(pk=invoice.pk).update(payment_reference="RF07 0007")
    made = api.post(
        STATEMENTS,
        statement(books, {"label": "RF070007", "amount": "70.00"}, {"label": "Who knows", "amount": "5.00"}),
    ).json()
    pks = sorted(row["id"] for row in made["lines"])

    answer = api.post(f"{LINES}actions/accept_proposals/", {"ids": pks})
    settled()

    assert answer.status_code == 200, answer.content
    assert list(StatementLine.objects.order_by("pk").values_list("label", "reconciled")) == [
        ("RF070007", True),
        ("Who knows", False),
    ]


def test_a_mapping_is_remembered_when_asked_and_used_when_none_is_sent(books: Books) -> None:
    api = Api(books)
    data = b"when,how much\n01/02/2026,7.25\n"
    mapping = json.dumps({"columns": {"date": 0, "amount": 1}, "date_format": "DD/MM/YYYY", "decimal": "."})

    def send(content: bytes, **more: Any) -> Any:
        file = SimpleUploadedFile("a.csv", content)
        return api.client.post(
            f"{STATEMENTS}import/", {"file": file, "journal": books.journals.bank.pk, **more}
        )

    without = send(data)
    forgotten = send(data, mapping=mapping)
    kept = (Journal.objects.get(pk=books.journals.bank.pk).import_mapping, StatementLine.objects.count())
    remembered = send(data.replace(b"7.25", b"8.25"), mapping=mapping, remember="true")
    used = send(data.replace(b"7.25", b"9.25"))

    assert without.status_code == 400
    assert forgotten.json()["created"] == 1
    assert kept == ({}, 1)
    assert remembered.json()["created"] == 1
    assert used.json()["created"] == 1, used.json()
    assert Journal.objects.get(pk=books.journals.bank.pk).import_mapping["decimal"] == "."
