"""Proof that what is kept beside the items equals them: balances of months, of partners, and what is open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import connection

_PERIODS = """
SELECT coalesce(b.company_id, i.company_id), coalesce(b.account_id, i.account_id), NULL::bigint, coalesce(b.month, i.month),
       coalesce(b.currency_id, i.currency_id), b.debit, i.debit, b.credit, i.credit, b.amount, i.amount, b.items, i.items
FROM (
    SELECT company_id, account_id, month, currency_id, sum(debit) AS debit, sum(credit) AS credit,
           sum(amount_currency) AS amount, sum(items) AS items
    FROM accounting_periodbalance GROUP BY 1, 2, 3, 4
) b FULL JOIN (
    SELECT company_id, account_id, date_trunc('month', date)::date AS month, currency_id, sum(debit) AS debit,
           sum(credit) AS credit, sum(amount_currency) AS amount, count(*) AS items
    FROM accounting_journalitem WHERE posted GROUP BY 1, 2, 3, 4
) i USING (company_id, account_id, month, currency_id)
WHERE (b.debit, b.credit, b.amount, b.items) IS DISTINCT FROM (i.debit, i.credit, i.amount, i.items::numeric)
ORDER BY 1, 2, 4, 5 LIMIT %s
"""
# Partners may be missing; 0 stands for none, so that the join can hash.
_PARTNERS = """
SELECT coalesce(b.company_id, i.company_id), coalesce(b.account_id, i.account_id), nullif(coalesce(b.partner, i.partner), 0),
       coalesce(b.month, i.month), coalesce(b.currency_id, i.currency_id), b.debit, i.debit, b.credit, i.credit, b.amount,
       i.amount, b.items, i.items
FROM (
    SELECT company_id, account_id, coalesce(partner_id, 0) AS partner, month, currency_id, sum(debit) AS debit,
           sum(credit) AS credit, sum(amount_currency) AS amount, sum(items) AS items
    FROM accounting_partnerbalance GROUP BY 1, 2, 3, 4, 5
) b FULL JOIN (
    SELECT i.company_id, i.account_id, coalesce(i.partner_id, 0) AS partner, date_trunc('month', i.date)::date AS month,
           i.currency_id, sum(i.debit) AS debit, sum(i.credit) AS credit, sum(i.amount_currency) AS amount, count(*) AS items
    FROM accounting_journalitem i JOIN accounting_account a ON a.id = i.account_id
    WHERE i.posted AND a.type IN ('asset_receivable', 'liability_payable') GROUP BY 1, 2, 3, 4, 5
) i USING (company_id, account_id, partner, month, currency_id)
WHERE (b.debit, b.credit, b.amount, b.items) IS DISTINCT FROM (i.debit, i.credit, i.amount, i.items::numeric)
ORDER BY 1, 2, 3, 4, 5 LIMIT %s
"""
_RESIDUALS = """
SELECT i.id, i.residual, i.residual_currency,
       CASE WHEN a.reconcile THEN i.debit - i.credit - coalesce(m.amount, 0) ELSE 0 END,
       CASE WHEN a.reconcile THEN i.amount_currency - coalesce(m.currency, 0) ELSE 0 END
FROM accounting_journalitem i
JOIN accounting_account a ON a.id = i.account_id
LEFT JOIN (
    SELECT item, sum(amount) AS amount, sum(currency) AS currency FROM (
        SELECT debit_item_id AS item, amount, debit_amount_currency AS currency FROM accounting_partialmatch
        UNION ALL SELECT credit_item_id, -amount, -credit_amount_currency FROM accounting_partialmatch
    ) AS both_sides GROUP BY item
) m ON m.item = i.id
WHERE i.posted AND (i.residual, i.residual_currency) IS DISTINCT FROM (
    CASE WHEN a.reconcile THEN i.debit - i.credit - coalesce(m.amount, 0) ELSE 0 END,
    CASE WHEN a.reconcile THEN i.amount_currency - coalesce(m.currency, 0) ELSE 0 END
) ORDER BY i.id LIMIT %s
"""
NAMES = ("debit", "credit", "amount_currency", "items")


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure that is not what its items say: ``text`` for people, ``key`` what it is of."""

    kind: str  # period | partner | residual
    key: tuple[Any, ...]
    kept: tuple[Any, ...]
    items: tuple[Any, ...]

    @property
    def text(self) -> str:
        if self.kind == "residual":
            return f"item {self.key[0]}: open {self.kept}, by its matchings {self.items}"
        company, account, partner, month, currency = self.key
        of = f" partner {partner}" if self.kind == "partner" else ""
        told = ", ".join(
            f"{name} {kept if kept is not None else '–'} kept, {real if real is not None else '–'} in items"
            for name, kept, real in zip(NAMES, self.kept, self.items, strict=True)
            if kept != real
        )
        return f"{self.kind} balance of company {company} account {account}{of} {month:%Y-%m} currency {currency}: {told}"


def differences(*, limit: int = 50) -> list[Difference]:
    """Where balances or open amounts differ from the items and matchings; empty when the books are sound. Three statements,
    each over one snapshot, so that postings going on do not show."""
    found: list[Difference] = []
    with connection.cursor() as cursor:
        for kind, statement in (("period", _PERIODS), ("partner", _PARTNERS)):
            cursor.execute(statement, [limit])
            for row in cursor.fetchall():
                found.append(Difference(kind, row[:5], row[5::2], row[6::2]))
        cursor.execute(_RESIDUALS, [limit])
        for pk, *rest in cursor.fetchall():
            found.append(Difference("residual", (pk,), tuple(rest[:2]), tuple(rest[2:])))
    return found
