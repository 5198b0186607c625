"""Credit notes, debit notes, and crediting to invoice again."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounting.models import CashRounding, Invoice, JournalItem
from apps.accounting.services.credit_notes import debit_note, reverse, reverse_and_reinvoice
from apps.accounting.services.posting import post_invoices
from apps.core.errors import Conflict, PermissionDenied, WrongState
from tests.accounting.factories import Books, get_currency, make_term, set_rate
from tests.accounting.invoice_tools import DAY, D, items, line, make, settled

pytestmark = pytest.mark.django_db


def posted(books: Books, partner: Any, **values: Any) -> Invoice:
    invoice = make(books, partner, **values)
    post_invoices([invoice], actor=books.actor("billing"))
    settled()
    return invoice


def mirror(invoice: Invoice) -> list[tuple[str, str, Any]]:
    return [(kind, code, -balance) for kind, code, balance in items(invoice)]


def test_a_credit_note_is_a_draft_that_names_its_invoice(books: Books, customer: Any) -> None:
    invoice = posted(books, customer, lines=[line(100, discount="10")])

    answer = reverse([invoice], actor=books.actor("billing"), reason="Broken", date=DAY)

    note = Invoice.objects.get(pk=answer["created"][0])
    assert (note.type, note.state, note.reversed_invoice_id) == ("customer_credit_note", "draft", invoice.pk)
    assert (note.total_amount, note.total_company) == (D("108.90"), D("-108.90"))
    assert note.reference == "Reversal of INV/2026/00001, Broken"
    post_invoices([note], actor=books.actor("billing"))
    settled()
    assert note.number == "RINV/2026/00001"
    assert mirror(note) == items(invoice)


def test_a_credit_note_mirrors_rate_rounding_terms_and_typed_taxes(
    books: Books, customer: Any, vendor: Any
) -> None:
    set_rate("USD", "2026-01-01", "3")
    set_rate("USD", "2026-03-20", "2")
    coins = CashRounding.objects.create(
        company=books.company,
        name="5 cents",
        rounding=D("0.05"),
        profit_account=books.accounts.cash_gain,
        loss_account=books.accounts.cash_loss,
    )
    mixed = make_term(
        books,
        "2 % in 10 days",
        ("percent", 100, 30),
        early_discount=True,
        discount_percent=D(2),
        discount_days=10,
        discount_mode="mixed",
    )
    group = str(books.groups.vat21.pk)
    documents = [
        posted(books, customer, currency=get_currency("USD"), lines=[line("33.34"), line("0.02")]),
        posted(books, customer, cash_rounding=coins, lines=[line("19.76")]),
        posted(books, customer, payment_term=mixed, lines=[line("33.33"), line("12.17")]),
        posted(books, vendor, type="vendor_bill", manual_taxes={group: "21.03"}, lines=[line(100)]),
    ]

    reverse(documents, actor=books.actor("billing"), date=datetime.date(2026, 3, 25))
    notes = [document.credit_notes.get() for document in documents]
    post_invoices(notes, actor=books.actor("billing"))
    settled()

    for document, note in zip(documents, notes, strict=True):
        assert note.total_amount == document.total_amount
        assert mirror(note) == items(document)


def test_crediting_and_invoicing_again(books: Books, customer: Any) -> None:
    term = make_term(books, "30/70", ("percent", 30, 0), ("percent", 70, 60))
    invoice = posted(books, customer, payment_term=term, reference="PO 7", lines=[line(1000)])

    answer = reverse_and_reinvoice([invoice], actor=books.actor("billing"), date=DAY)
    settled()

    invoice.refresh_from_db()
    note = Invoice.objects.get(pk=answer["credit_notes"][0])
    draft = Invoice.objects.get(pk=answer["created"][0])
    assert (invoice.payment_state, invoice.residual_amount) == ("reversed", 0)
    assert (note.state, note.payment_state, note.residual_amount) == ("posted", "paid", 0)
    assert (draft.state, draft.total_amount, draft.reference) == ("draft", invoice.total_amount, "PO 7")
    assert draft.payment_term_id is None or draft.payment_term_id == term.pk
    assert not JournalItem.objects.exclude(residual=0, residual_currency=0).exists()


def test_taxes_on_payment_are_settled_with_the_credit_note(books: Books, customer: Any) -> None:
    invoice = posted(books, customer, lines=[line(100, taxes=[books.taxes.sale21_on_payment.pk])])

    reverse_and_reinvoice([invoice], actor=books.actor("billing"), date=DAY)
    settled()

    rows = JournalItem.objects.filter(account=books.accounts.transition)
    assert sum(row.balance for row in rows) == 0
    assert {row.residual for row in rows} == {D(0)}


def test_a_credit_note_of_the_future_posts_itself(books: Books, customer: Any) -> None:
    invoice = posted(books, customer, lines=[line(100)])
    later = timezone.localdate() + datetime.timedelta(days=10)

    reverse([invoice], actor=books.actor("billing"), date=later)

    assert invoice.credit_notes.get().auto_post == "at_date"


def test_what_cannot_be_credited(books: Books, customer: Any) -> None:
    invoice = posted(books, customer, lines=[line(100)])
    draft = make(books, customer, lines=[line(100)])
    note = posted(books, customer, type="customer_credit_note", lines=[line(100)])
    actor = books.actor("billing")

    with pytest.raises(WrongState):
        reverse([draft], actor=actor)
    with pytest.raises(Conflict):
        reverse([note], actor=actor)
    with pytest.raises(PermissionDenied):
        reverse([invoice], actor=books.actor("auditor"))

    assert Invoice.objects.count() == 3


def test_a_debit_note_charges_more(books: Books, customer: Any) -> None:
    invoice = posted(books, customer, lines=[line(100)])
    note = posted(books, customer, type="customer_credit_note", lines=[line(100)])
    actor = books.actor("billing")

    empty = debit_note([invoice], actor=actor, reason="Freight", date=DAY)["created"][0]
    again = debit_note([note], actor=actor, copy_lines=True, date=DAY)["created"][0]

    first, second = Invoice.objects.get(pk=empty), Invoice.objects.get(pk=again)
    assert (first.type, first.debited_invoice_id, first.reference) == (
        "customer_invoice",
        invoice.pk,
        "INV/2026/00001, Freight",
    )
    assert (first.total_amount, invoice.debit_notes.count()) == (0, 1)
    assert (second.type, second.total_amount) == ("customer_invoice", D("121.00"))
    post_invoices([second], actor=actor)
    with pytest.raises(Conflict):
        debit_note([second], actor=actor)


def test_credit_notes_cost_the_same_statements_for_two_and_for_many(books: Books, customer: Any) -> None:
    actor = books.actor("billing")
    documents = [make(books, customer, lines=[line(10 + n)]) for n in range(14)]
    post_invoices(documents, actor=actor)

    def cost(chosen: list[Invoice]) -> int:
        with CaptureQueriesContext(connection) as seen:
            reverse(chosen, actor=actor, date=DAY)
        return len(seen)

    cost(documents[:2])
    assert cost(documents[:2]) == cost(documents[2:])
