"""Checks: which payments are paid by one, and what each of them pays."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.db import connection

from apps.accounting.models import Invoice, Payment

CHECK = "check"
ON_A_STUB = 9  # documents that a stub has room for
ZERO = Decimal(0)


def is_check(payment: Payment) -> bool:
    """Whether the way to pay is a check. One query unless the method was selected with the payment."""
    return payment.method_line is not None and payment.method_line.code == CHECK


@dataclass(frozen=True, slots=True)
class Settled:
    """A document that a payment settles: ``paid`` in the payment's currency, zero when it is only promised."""

    payment_pk: int
    number: str
    reference: str
    date: datetime.date
    currency_pk: int
    total: Decimal
    left: Decimal
    paid: Decimal


def pages_needed(documents: int, *, overflow: bool) -> int:
    """How many sheets of paper a check takes that names so many documents."""
    return max(1, -(-documents // ON_A_STUB)) if overflow else 1


# What matchings took of the counterpart of each payment's entry, by document.
_PAID = """
SELECT e.payment_id, n.invoice_id, sum(m.own)
FROM accounting_journalentry e
JOIN accounting_payment p ON p.id = e.payment_id AND p.journal_entry_id = e.id
JOIN accounting_journalitem i ON i.entry_id = e.id AND i.account_id = p.counterpart_account_id
CROSS JOIN LATERAL (
    SELECT credit_item_id AS other, debit_amount_currency AS own FROM accounting_partialmatch WHERE debit_item_id = i.id
    UNION ALL
    SELECT debit_item_id, credit_amount_currency FROM accounting_partialmatch WHERE credit_item_id = i.id
) AS m
JOIN accounting_journalitem o ON o.id = m.other JOIN accounting_journalentry n ON n.id = o.entry_id
WHERE e.payment_id = ANY(%s::bigint[]) AND n.invoice_id IS NOT NULL
GROUP BY 1, 2
"""


def settled_by(payments: Sequence[Payment]) -> dict[int, list[Settled]]:
    """What each payment settles, by date and number: documents matched with it and those it names. Three queries."""
    pks = [payment.pk for payment in payments]
    with connection.cursor() as cursor:
        cursor.execute(_PAID, [pks])
        paid = {(payment, invoice): Decimal(own) for payment, invoice, own in cursor.fetchall()}
    link = Payment.invoices.through
    named = set(link.objects.filter(payment__in=pks).values_list("payment_id", "invoice_id"))
    rows = Invoice._base_manager.in_bulk({invoice for _payment, invoice in named | paid.keys()})
    found: dict[int, list[Settled]] = {pk: [] for pk in pks}
    for payment, invoice in named | paid.keys():
        row = rows[invoice]
        found[payment].append(
            Settled(
                payment_pk=payment,
                number=row.number,
                reference=row.reference,
                date=row.date or row.accounting_date,  # type: ignore[arg-type]
                currency_pk=row.currency_id,
                total=row.total_amount,
                left=row.residual_amount,
                paid=paid.get((payment, invoice), ZERO),
            )
        )
    for settled in found.values():
        settled.sort(key=lambda one: (one.date, one.number))
    return found
