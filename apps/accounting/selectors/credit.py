"""What customers owe."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal

from django.db import connection


def owed_by(keys: Collection[tuple[int, int]]) -> dict[tuple[int, int], Decimal]:
    """What is open on receivables by (company, commercial entity), in company currency. One statement, by open items only."""
    if not keys:
        return {}
    companies = sorted({company for company, _partner in keys})
    partners = sorted({partner for _company, partner in keys})
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT i.company_id, i.partner_id, sum(i.residual)
            FROM accounting_journalitem i JOIN accounting_account a ON a.id = i.account_id
            WHERE i.posted AND NOT (i.residual = 0 AND i.residual_currency = 0)
              AND a.type = 'asset_receivable' AND i.company_id = ANY (%s) AND i.partner_id = ANY (%s)
            GROUP BY 1, 2
            """,
            [companies, partners],
        )
        return {(company, partner): amount for company, partner, amount in cursor.fetchall()}
