"""What payments and open items have to do with each other when a bank line comes in."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from django.db import connection

from apps.accounting.models import Payment

_MONEY = """
SELECT p.id, i.id FROM accounting_payment p
JOIN accounting_journalitem i ON i.entry_id = p.journal_entry_id
JOIN accounting_account a ON a.id = i.account_id AND a.reconcile
WHERE p.id = ANY(%s::bigint[]) AND i.account_id IS DISTINCT FROM p.counterpart_account_id
  AND a.type NOT IN ('asset_receivable', 'liability_payable') AND (i.residual <> 0 OR i.residual_currency <> 0)
ORDER BY i.id
"""
_PROMISED = """
SELECT p.id, i.id FROM accounting_payment p
JOIN accounting_payment_invoices l ON l.payment_id = p.id
JOIN accounting_invoice v ON v.id = l.invoice_id AND v.state = 'posted'
JOIN accounting_journalitem i ON i.entry_id = v.journal_entry_id AND i.kind = 'payment_term'
  AND i.account_id = p.counterpart_account_id
WHERE p.id = ANY(%s::bigint[]) AND p.journal_entry_id IS NULL AND (i.residual <> 0 OR i.residual_currency <> 0)
ORDER BY i.date_maturity, i.date, i.id
"""
_PROMISES = """
SELECT i.id, p.id FROM accounting_journalitem i
JOIN accounting_journalentry e ON e.id = i.entry_id
JOIN accounting_payment_invoices l ON l.invoice_id = e.invoice_id
JOIN accounting_payment p ON p.id = l.payment_id AND p.journal_entry_id IS NULL AND p.state = 'in_process'
WHERE i.id = ANY(%s::bigint[])
"""


def open_parts_of(payments: Sequence[Payment]) -> tuple[dict[int, list[int]], dict[int, list[int]]]:
    """(what payments with an entry put aside for the bank, the open parts of documents that promises name), as keys of
    items by payment."""
    money: dict[int, list[int]] = {}
    promised: dict[int, list[int]] = {}
    if not payments:
        return money, promised
    pks = [payment.pk for payment in payments]
    with connection.cursor() as cursor:
        for statement, found in ((_MONEY, money), (_PROMISED, promised)):
            cursor.execute(statement, [pks])
            for payment_pk, item_pk in cursor.fetchall():
                found.setdefault(payment_pk, []).append(item_pk)
    return money, promised


def promises_for(item_pks: Collection[int]) -> dict[int, list[int]]:
    """The promised payments over the documents of items, by item."""
    found: dict[int, list[int]] = {}
    if not item_pks:
        return found
    with connection.cursor() as cursor:
        cursor.execute(_PROMISES, [list(item_pks)])
        for item_pk, payment_pk in cursor.fetchall():
            found.setdefault(item_pk, []).append(payment_pk)
    return found
