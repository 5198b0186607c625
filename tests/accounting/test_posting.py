"""Documents in the ledger: posting, numbers, dates, guards, taking back."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from apps.accounting.models import JournalItem
from apps.accounting.services.posting import post_invoices
from apps.accounting.services.unposting import cancel_invoices, reset_invoices
from tests.accounting.factories import Books
from tests.accounting.invoice_tools import D, items, make, settled

DAY = datetime.date(2026, 3, 15)


@pytest.mark.django_db
def test_posting_books_lines_taxes_and_due_parts(books: Books, customer: Any) -> None:
    invoice = make(books, customer, lines=[{"description": "Work", "quantity": "3", "unit_price": "33.33"}])

    post_invoices([invoice], actor=books.actor("billing"))
    settled()

    assert (invoice.state, invoice.number, invoice.payment_state) == ("posted", "INV/2026/00001", "not_paid")
    assert items(invoice) == [
        ("product", "700000", D("-99.99")),
        ("tax", "451000", D("-21.00")),
        ("payment_term", "400000", D("120.99")),
    ]
    assert invoice.residual_amount == D("120.99")
    assert invoice.payment_reference == "INV/2026/00001"


@pytest.mark.django_db
def test_reset_and_post_again_keeps_the_number(books: Books, customer: Any) -> None:
    invoice = make(books, customer, lines=[{"description": "Work", "quantity": "3", "unit_price": "33.33"}])
    actor = books.actor("billing")
    post_invoices([invoice], actor=actor)

    reset_invoices([invoice], actor=actor)
    settled()
    assert (invoice.state, invoice.number, invoice.journal_entry_id) == ("draft", "INV/2026/00001", None)
    post_invoices([invoice], actor=actor)
    settled()

    assert (invoice.state, invoice.number) == ("posted", "INV/2026/00001")
    assert [e.revision for e in invoice.entries.order_by("pk")] == [0, 1, 2]
    cancel_invoices([invoice], actor=actor)
    settled()
    assert invoice.state == "cancelled"
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(debit - credit) FROM accounting_journalitem WHERE account_id = %s",
            [books.accounts.receivable.pk],
        )
        assert cursor.fetchone()[0] == 0
    assert not JournalItem.objects.filter(posted=True).exclude(residual=0).exists()
