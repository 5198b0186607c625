"""Short ways to make documents and to read what they booked."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

from django.db import connection

from apps.accounting.models import Invoice, JournalItem
from apps.core.records import service_for
from tests.accounting.factories import Books

D = Decimal
DAY = datetime.date(2026, 3, 15)


def make(books: Books, partner: Any = None, *, role: str = "billing", **values: Any) -> Invoice:
    """A draft dated 2026-03-15, a customer invoice unless ``type`` says otherwise."""
    row = {"type": "customer_invoice", "partner": partner, "date": DAY, **values}
    return service_for(Invoice).create_one(row, actor=books.actor(role))


def line(price: Any, *, quantity: Any = 1, **values: Any) -> dict[str, Any]:
    return {"description": "Thing", "quantity": str(quantity), "unit_price": str(price), **values}


def items(invoice: Invoice) -> list[tuple[str, str, Decimal]]:
    """(kind, account code, balance) of the items in force, in their order."""
    rows = JournalItem.objects.filter(entry=invoice.journal_entry_id).order_by("position")
    return [(row.kind, row.account.code, row.balance) for row in rows.select_related("account")]


def settled() -> None:
    """Run what PostgreSQL checks at commit."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
