"""Figures of bank statements: what their lines make of the opening balance, and whether one begins where another ended.

Nothing here blocks work: gaps are shown. Every function answers for many records with one statement.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal

from django.db import connection

# A statement follows the one before it in its journal, by date and then by key.
_FIGURES = """
WITH chosen AS (
    SELECT DISTINCT company_id, journal_id FROM accounting_bankstatement WHERE id = ANY(%(pks)s::bigint[])
), chain AS (
    SELECT s.id, s.balance_start, s.balance_end, lag(s.balance_end) OVER w AS before, lag(s.id) OVER w AS before_pk
    FROM accounting_bankstatement s JOIN chosen USING (company_id, journal_id)
    WINDOW w AS (PARTITION BY s.company_id, s.journal_id ORDER BY s.date, s.id)
)
SELECT c.id, c.balance_start, c.balance_end, c.before, c.before_pk, coalesce(l.total, 0), coalesce(l.lines, 0),
       coalesce(l.done, 0)
FROM chain c LEFT JOIN LATERAL (
    SELECT sum(amount) AS total, count(*) AS lines, count(*) FILTER (WHERE reconciled) AS done
    FROM accounting_statementline WHERE statement_id = c.id
) AS l ON true
WHERE c.id = ANY(%(pks)s::bigint[])
"""
# What all movements up to a line make, beginning with the opening balance of the journal's first statement: the movements
# before that are counted backwards from it.
_RUNNING = """
WITH wanted AS MATERIALIZED (
    SELECT company_id, journal_id, min(date) AS since, max(date) AS until FROM accounting_statementline
    WHERE id = ANY(%(pks)s::bigint[]) GROUP BY company_id, journal_id
), anchor AS MATERIALIZED (
    SELECT w.company_id, w.journal_id, coalesce(f.balance_start, 0) - coalesce((
        SELECT sum(l.amount) FROM accounting_statementline l
        WHERE l.journal_id = w.journal_id AND l.company_id = w.company_id AND l.date < f.first_day
    ), 0) AS opening
    FROM wanted w LEFT JOIN LATERAL (
        SELECT s.balance_start, coalesce(
            (SELECT min(date) FROM accounting_statementline WHERE statement_id = s.id), s.date) AS first_day
        FROM accounting_bankstatement s WHERE s.journal_id = w.journal_id AND s.company_id = w.company_id
        ORDER BY s.date, s.id LIMIT 1
    ) AS f ON true
), earlier AS (
    SELECT w.company_id, w.journal_id, coalesce(sum(l.amount), 0) AS amount
    FROM wanted w LEFT JOIN accounting_statementline l
      ON l.journal_id = w.journal_id AND l.company_id = w.company_id AND l.date < w.since
    GROUP BY w.company_id, w.journal_id
), running AS (
    SELECT l.id, a.opening + e.amount + sum(l.amount) OVER (
        PARTITION BY l.company_id, l.journal_id ORDER BY l.date, l.sequence DESC, l.id
    ) AS balance
    FROM accounting_statementline l
    JOIN wanted w ON w.journal_id = l.journal_id AND w.company_id = l.company_id
     AND l.date BETWEEN w.since AND w.until
    JOIN anchor a ON a.journal_id = l.journal_id AND a.company_id = l.company_id
    JOIN earlier e ON e.journal_id = l.journal_id AND e.company_id = l.company_id
)
SELECT id, balance FROM running WHERE id = ANY(%(pks)s::bigint[])
"""
# Lines that something explains: part of their suspense is matched, or an entry that moved it on still stands.
_EXPLAINED = """
SELECT l.id FROM accounting_statementline l
WHERE l.id = ANY(%(pks)s::bigint[]) AND (
    EXISTS (SELECT 1 FROM accounting_journalitem i WHERE i.entry_id = l.entry_id AND i.position = 1
            AND (i.residual <> i.balance OR i.residual_currency <> i.amount_currency))
    OR EXISTS (SELECT 1 FROM accounting_journalentry e WHERE e.caused_by_id = l.entry_id AND e.origin = 'statement'
               AND NOT EXISTS (SELECT 1 FROM accounting_journalentry r WHERE r.reversal_of_id = e.id)))
"""
_MOVES = """
SELECT l.id, e.id FROM accounting_statementline l
JOIN accounting_journalentry e ON e.caused_by_id = l.entry_id AND e.origin = 'statement'
WHERE l.id = ANY(%(pks)s::bigint[])
  AND NOT EXISTS (SELECT 1 FROM accounting_journalentry r WHERE r.reversal_of_id = e.id)
ORDER BY e.id
"""
_OPEN = """
SELECT l.id, i.id, i.residual, i.residual_currency, i.currency_id FROM accounting_statementline l
JOIN accounting_journalitem i ON i.entry_id = l.entry_id AND i.position = 1
WHERE l.id = ANY(%(pks)s::bigint[])
"""


@dataclass(frozen=True, slots=True)
class StatementFigures:
    """``computed_end`` = opening + lines. *Complete*: that is the closing balance. *Valid*: it begins where ``previous``
    ended; the first of a journal always does. ``gap`` is by how much it does not."""

    computed_end: Decimal
    is_complete: bool
    is_valid: bool
    gap: Decimal
    previous_pk: int | None
    lines: int
    reconciled: int


@dataclass(frozen=True, slots=True)
class OpenAmount:
    """What of a line nobody has explained yet, signed like the line: in the currency of its suspense, and in the company's."""

    item_pk: int
    currency_pk: int
    amount: Decimal
    company: Decimal

    @property
    def is_open(self) -> bool:
        return bool(self.amount or self.company)


def statement_figures(pks: Collection[int]) -> dict[int, StatementFigures]:
    """The figures of statements by key."""
    found = {}
    for pk, start, end, before, before_pk, total, lines, done in _rows(_FIGURES, pks):
        gap = Decimal(0) if before is None else start - before
        found[pk] = StatementFigures(
            start + total, start + total == end, not gap, gap, before_pk, lines, done
        )
    return found


def running_balances(pks: Collection[int]) -> dict[int, Decimal]:
    """The balance of the account after each line, by key of the line."""
    return dict(_rows(_RUNNING, pks))


def explained_lines(pks: Collection[int]) -> set[int]:
    """Those of the lines that are reconciled, were so it only in part."""
    return {row[0] for row in _rows(_EXPLAINED, pks)}


def reconciling_entries(pks: Collection[int]) -> dict[int, list[int]]:
    """The entries in force that moved lines out of suspense, by key of the line."""
    found: dict[int, list[int]] = {}
    for line_pk, entry_pk in _rows(_MOVES, pks):
        found.setdefault(line_pk, []).append(entry_pk)
    return found


def open_amounts(pks: Collection[int]) -> dict[int, OpenAmount]:
    """What is left to explain of lines, by key of the line."""
    return {
        line_pk: OpenAmount(item_pk, currency, -own, -company)
        for line_pk, item_pk, company, own, currency in _rows(_OPEN, pks)
    }


def earlier_ids(journal_pk: int, ids: Collection[str]) -> dict[str, int]:
    """Keys of the journal's lines that have one of the bank's ids."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT unique_id, id FROM accounting_statementline WHERE journal_id = %s AND unique_id <> '' "
            "AND unique_id = ANY(%s::text[])",
            [journal_pk, list(ids)],
        )
        return dict(cursor.fetchall())


def last_closing(company_pk: int, journal_pk: int, until: datetime.date) -> Decimal | None:
    """The closing balance of the journal's latest statement up to a day."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT balance_end FROM accounting_bankstatement WHERE company_id = %s AND journal_id = %s AND date <= %s "
            "ORDER BY date DESC, id DESC LIMIT 1",
            [company_pk, journal_pk, until],
        )
        row = cursor.fetchone()
    return row[0] if row else None


def _rows(statement: str, pks: Collection[int]) -> list[tuple]:  # type: ignore[type-arg]
    if not pks:
        return []
    with connection.cursor() as cursor:
        cursor.execute(statement, {"pks": list(pks)})
        return list(cursor.fetchall())
