"""What a person is told before posting: duplicates, credit limits, locks; and the due parts."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from apps.accounting.models import AccountingSettings, Invoice
from apps.accounting.selectors.invoices import due_parts, references_twice, similar_documents, warnings_of
from apps.accounting.services.posting import post_invoices
from apps.accounting.services.unposting import cancel_invoices
from apps.contacts.models import BankAccount
from apps.core.actor import system_actor
from apps.core.records import service_for
from tests.accounting.factories import Books, make_partner, make_term
from tests.accounting.invoice_tools import D, line, make

pytestmark = pytest.mark.django_db


def codes(books: Books, invoice: Invoice) -> list[str]:
    return [warning.code for warning in warnings_of(invoice, books.actor("billing"))]


def test_the_same_reference_of_a_vendor_warns(books: Books, vendor: Any) -> None:
    first = make(books, vendor, type="vendor_bill", reference="F 2026-7", lines=[line(100)])
    second = make(books, vendor, type="vendor_bill", reference="f2026-7", lines=[line(55)])
    other = make(books, make_partner("Else"), type="vendor_bill", reference="F 2026-7", lines=[line(100)])
    actor = books.actor("billing")

    (warning,) = warnings_of(second, actor)
    assert (warning.code, warning.pks, warning.blocks) == ("same_reference", (first.pk,), False)
    assert codes(books, other) == []
    found = references_twice([first, second, other], actor)
    assert {pk: [row.pk for row in rows] for pk, rows in found.items()} == {
        first.pk: [second.pk],
        second.pk: [first.pk],
    }
    post_invoices([first, second], actor=actor)
    assert Invoice.objects.filter(state="posted").count() == 2


def test_a_cancelled_bill_warns_no_more(books: Books, vendor: Any) -> None:
    first = make(books, vendor, type="vendor_bill", reference="F-1", lines=[line(100)])
    second = make(books, vendor, type="vendor_bill", reference="F-1", lines=[line(100)])

    cancel_invoices([first], actor=books.actor("billing"))

    assert codes(books, second) == []


def test_documents_alike_are_shown(books: Books, customer: Any) -> None:
    first = make(books, customer, lines=[line(100)])
    near = make(books, customer, date=datetime.date(2026, 3, 20), lines=[line(100)])
    far = make(books, customer, date=datetime.date(2026, 5, 20), lines=[line(100)])
    actor = books.actor("billing")

    assert similar_documents(near, actor) == [first]
    assert similar_documents(far, actor) == []
    assert codes(books, near) == ["similar"]


def test_going_over_the_credit_limit_warns(books: Books, customer: Any) -> None:
    AccountingSettings.objects.filter(pk=books.settings.pk).update(credit_limit=D("200"))
    first = make(books, customer, date=datetime.date(2026, 1, 1), lines=[line(100)])
    second = make(books, customer, lines=[line(100)])
    assert codes(books, second) == []

    post_invoices([first], actor=books.actor("billing"))

    (warning,) = warnings_of(second, books.actor("billing"))
    assert (warning.code, warning.blocks) == ("credit_limit", False)
    assert "242.00" in warning.text


def test_a_locked_day_says_where_the_document_goes(books: Books, customer: Any) -> None:
    invoice = make(books, customer, lines=[line(100)])
    AccountingSettings.objects.filter(pk=books.settings.pk).update(sale_lock_date=datetime.date(2026, 3, 31))
    actor = books.actor("billing")

    (warning,) = warnings_of(invoice, actor)
    post_invoices([invoice], actor=actor)

    assert warning.code == "locked"
    assert invoice.accounting_date.isoformat() in warning.text
    assert warnings_of(invoice, actor) == []


def test_open_credits_are_offered(books: Books, customer: Any) -> None:
    note = make(books, customer, type="customer_credit_note", lines=[line(10)])
    post_invoices([note], actor=books.actor("billing"))

    assert codes(books, make(books, customer, lines=[line(100)])) == ["open_credits"]


def test_due_parts_of_drafts_and_posted_documents(books: Books, customer: Any) -> None:
    term = make_term(books, "30/70", ("percent", 30, 0), ("percent", 70, 60))
    invoice = make(books, customer, payment_term=term, lines=[line(1000)])
    draft = [(part.date, part.amount, part.left, part.item_pk) for part in due_parts(invoice)]

    post_invoices([invoice], actor=books.actor("billing"))

    posted = due_parts(invoice)
    assert draft == [(part.date, part.amount, part.left, None) for part in posted]
    assert [part.amount for part in posted] == [D("363.00"), D("847.00")]
    assert all(part.item_pk for part in posted)


def test_money_for_an_account_that_nobody_confirmed(books: Books, vendor: Any) -> None:
    account = service_for(BankAccount).create_one(
        {"partner": vendor, "number": "BE71096123456769"}, actor=system_actor(company_pk=books.company.pk)
    )
    bill = make(
        books, vendor, type="vendor_bill", reference="F-1", bank_account=account.pk, lines=[line(100)]
    )
    actor = books.actor("billing")

    (warning,) = warnings_of(bill, actor)
    assert (warning.code, warning.blocks) == ("untrusted_bank", False)
    assert account.number in warning.text

    AccountingSettings.objects.filter(company=books.company).update(require_trusted_bank=True)
    assert [warning.blocks for warning in warnings_of(bill, actor)] == [True]
    bill.bank_account = None
    assert [warning.code for warning in warnings_of(bill, actor)] == ["untrusted_bank"]
    BankAccount.objects.filter(pk=account.pk).update(trusted=True)
    bill.bank_account_id = account.pk
    assert warnings_of(bill, actor) == []


def test_references_are_one_whatever_blanks_and_capitals(books: Books, vendor: Any) -> None:
    first = make(books, vendor, type="vendor_bill", reference="Straße\t12 a", lines=[line(10)])
    second = make(books, vendor, type="vendor_bill", reference="straße12A", lines=[line(20)])

    assert references_twice([second], books.actor("billing")) == {second.pk: [first]}
