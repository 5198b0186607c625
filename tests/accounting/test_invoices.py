"""Documents as drafts: defaults, totals, changes, refusals."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import pytest

from apps.accounting.models import Invoice, InvoiceLine
from apps.core.records import service_for
from tests.accounting.factories import Books

DAY = datetime.date(2026, 3, 15)


def make(books: Books, partner: Any = None, *, lines: Any = None, **values: Any) -> Invoice:
    row = {"type": "customer_invoice", "partner": partner, "date": DAY, "lines": lines or [], **values}
    return service_for(Invoice).create_one(row, actor=books.actor("billing"))


@pytest.mark.django_db
def test_a_draft_gets_its_defaults_and_totals(books: Books, customer: Any) -> None:
    invoice = make(books, customer, lines=[{"description": "Work", "quantity": "3", "unit_price": "33.33"}])

    assert (invoice.state, invoice.number, invoice.payment_state) == ("draft", "", "not_paid")
    assert invoice.journal_id == books.journals.sale.pk
    assert invoice.currency_id == books.currency.pk
    assert (invoice.untaxed_amount, invoice.tax_amount, invoice.total_amount) == (
        Decimal("99.99"),
        Decimal("21.00"),
        Decimal("120.99"),
    )
    (line,) = InvoiceLine.objects.filter(invoice=invoice)
    assert line.account_id == books.accounts.income.pk
    assert [tax.pk for tax in line.taxes.all()] == [books.taxes.sale21.pk]
