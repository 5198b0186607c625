"""Random documents: whatever is on them, the entry balances in both currencies and the credit note mirrors it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.accounting.models import AccountingSettings, CashRounding, Invoice, JournalItem
from apps.accounting.services.credit_notes import make_credit_notes
from apps.accounting.services.posting import post_invoices
from apps.core.records import service_for
from tests.accounting.factories import Books, get_currency, make_tax, make_term, set_rate
from tests.accounting.invoice_tools import DAY, D, items, settled

PRICES = st.decimals("-50", "900", places=3)
QUANTITIES = st.decimals("0", "40", places=2)
DISCOUNTS = st.sampled_from(["0", "0", "5", "33.33", "100"])
TERMS = ("none", "thirds", "discount", "mixed")


@st.composite
def documents(draw: Any) -> dict[str, Any]:
    rows = draw(
        st.lists(
            st.tuples(QUANTITIES, PRICES, DISCOUNTS, st.sets(st.integers(0, 4), max_size=2)),
            min_size=1,
            max_size=5,
        )
    )
    return {
        "rows": rows,
        "type": draw(st.sampled_from(["customer_invoice", "customer_receipt"])),
        "foreign": draw(st.booleans()),
        "coins": draw(st.sampled_from(["", "add_line", "biggest_tax"])),
        "term": draw(st.sampled_from(TERMS)),
        "mode": draw(st.sampled_from(["line", "total"])),
    }


@pytest.mark.django_db
def test_random_documents_balance_and_are_mirrored(books: Books, customer: Any) -> None:
    set_rate("USD", "2026-01-01", "1.0937")
    usd = get_currency("USD")
    taxes = [
        books.taxes.sale21,
        books.taxes.sale6_included,
        books.taxes.sale15_on_payment,
        make_tax(books, "Fixed 0.30", "0.30", amount_type="fixed", include_base_amount=True, sequence=0),
        make_tax(books, "Division 7", 7, amount_type="division"),
    ]
    early = {"early_discount": True, "discount_percent": D(2), "discount_days": 10}
    terms = {
        "none": None,
        "thirds": make_term(
            books, "Thirds", ("percent", "33.33", 0), ("percent", "33.33", 30), ("percent", "33.34", 60)
        ),
        "discount": make_term(books, "Early", ("percent", 100, 30), **early),
        "mixed": make_term(books, "Mixed", ("percent", 100, 30), discount_mode="mixed", **early),
    }
    coins = {
        strategy: CashRounding.objects.create(
            company=books.company,
            name=strategy,
            rounding=D("0.05"),
            strategy=strategy,
            profit_account=books.accounts.cash_gain,
            loss_account=books.accounts.cash_loss,
        )
        for strategy in ("add_line", "biggest_tax")
    }
    actor = books.actor("billing")

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(documents())
    def check(document: dict[str, Any]) -> None:
        with transaction.atomic():
            AccountingSettings.objects.filter(pk=books.settings.pk).update(tax_rounding=document["mode"])
            receipt = document["type"] == "customer_receipt"
            row = {
                "type": document["type"],
                "partner": customer,
                "date": DAY,
                "currency": usd if document["foreign"] else None,
                "cash_rounding": coins.get(document["coins"]),
                "payment_term": None if receipt else terms[document["term"]],
                "lines": [
                    {
                        "quantity": quantity,
                        "unit_price": price,
                        "discount": discount,
                        "taxes": [taxes[n].pk for n in chosen],
                    }
                    for quantity, price, discount, chosen in document["rows"]
                ],
            }
            invoice = service_for(Invoice).create_one(row, actor=actor)
            if invoice.total_amount >= 0:
                _check_posted(invoice, actor)
            transaction.set_rollback(True)

    check()


def _check_posted(invoice: Invoice, actor: Any) -> None:
    post_invoices([invoice], actor=actor)
    (note,) = make_credit_notes([invoice], actor=actor, date=DAY)
    post_invoices([note], actor=actor)
    settled()

    for document in (invoice, note):
        rows = JournalItem.objects.filter(entry=document.journal_entry_id)
        assert sum((row.balance for row in rows), Decimal(0)) == 0
        assert sum((row.amount_currency for row in rows), Decimal(0)) == 0
        due = [row for row in rows if row.kind == "payment_term"]
        assert abs(sum((row.amount_currency for row in due), Decimal(0))) == document.total_amount
        assert sum((row.balance for row in due), Decimal(0)) == document.total_company
    assert note.total_amount == invoice.total_amount
    mine = sorted((kind, code, -balance) for kind, code, balance in items(note) if kind != "payment_term")
    theirs = sorted(row for row in items(invoice) if row[0] != "payment_term")
    assert mine == theirs
