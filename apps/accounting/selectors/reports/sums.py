"""Sums of the ledger up to given days, from the balances of months and, at the edges, the items of partial months.

A *cut* is a day; three cuts a company divide its history in the sections 0, 1 and 2 (what lies on or after the third is
left out). Whole months come from the balances. A cut within a month is moved to the nearer end of the month, and the
items between the cut and that end are added or taken away: half a month of items at most is ever read.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from apps.accounting.selectors.reports.scope import Scope

DAY = datetime.timedelta(days=1)
FIRST_DAY = datetime.date(1, 1, 1)
MIDDLE = 16

Cuts = tuple[datetime.date, datetime.date, datetime.date]


def month_start(day: datetime.date) -> datetime.date:
    return day.replace(day=1)


def next_month(day: datetime.date) -> datetime.date:
    return (day.replace(day=28) + 4 * DAY).replace(day=1)


@dataclass(slots=True)
class CutList:
    """The cuts of companies as arrays for a statement. ``edges`` are the pieces of months to be read from items: those
    of sign +1 are missing below their cut, those of sign -1 were counted below it too much."""

    companies: list[int] = field(default_factory=list)
    days: tuple[list[datetime.date], list[datetime.date], list[datetime.date]] = field(
        default_factory=lambda: ([], [], [])
    )
    months: tuple[list[datetime.date], list[datetime.date], list[datetime.date]] = field(
        default_factory=lambda: ([], [], [])
    )
    edges: list[tuple[int, int, datetime.date, datetime.date, int]] = field(default_factory=list)

    def parameters(self) -> dict[str, Any]:
        columns = list(zip(*self.edges, strict=True)) if self.edges else [(), (), (), (), ()]
        return {
            "companies": self.companies,
            **{f"d{number}": days for number, days in enumerate(self.days, 1)},
            **{f"m{number}": months for number, months in enumerate(self.months, 1)},
            "edge_companies": list(columns[0]),
            "edge_cuts": list(columns[1]),
            "edge_since": list(columns[2]),
            "edge_until": list(columns[3]),
            "edge_signs": list(columns[4]),
        }


def cut_list(cuts: Mapping[int, Cuts]) -> CutList:
    """Arrays of the cuts of each company; the cuts of a company ascend."""
    made = CutList()
    for company_pk, days in cuts.items():
        made.companies.append(company_pk)
        for number, day in enumerate(days):
            month, edge = _month_of(day)
            made.days[number].append(day)
            made.months[number].append(month)
            if edge is not None:
                since, until, sign = edge
                made.edges.append((company_pk, number + 1, since, until, sign))
    return made


def _month_of(day: datetime.date) -> tuple[datetime.date, tuple[datetime.date, datetime.date, int] | None]:
    """The nearer end of the month of a cut, and the days between, with the sign of their items below the cut."""
    if day.day == 1:
        return day, None
    if day.day <= MIDDLE:
        start = month_start(day)
        return start, (start, day, 1)
    end = next_month(day)
    return end, (day, end, -1)


SCOPE = """
scope AS MATERIALIZED (
    SELECT * FROM unnest(%(companies)s::bigint[], %(d1)s::date[], %(d2)s::date[], %(d3)s::date[],
                         %(m1)s::date[], %(m2)s::date[], %(m3)s::date[])
        AS s(company, d1, d2, d3, m1, m2, m3)
), edge AS MATERIALIZED (
    SELECT * FROM unnest(%(edge_companies)s::bigint[], %(edge_cuts)s::int[], %(edge_since)s::date[],
                         %(edge_until)s::date[], %(edge_signs)s::int[])
        AS e(company, cut, since, until, sign)
)
"""
# An edge below cut k belongs to section k - 1 and not to section k; there is no section 3.
SIDES = "CROSS JOIN LATERAL (VALUES (e.cut - 1, e.sign), (e.cut, -e.sign)) AS v(section, sign)"

# Account by account, because the index of balances begins with it and holds the sums: no row of the table is visited.
_BY_ACCOUNT = """
SELECT a.id, t.section, t.debit, t.credit
FROM scope s
JOIN accounting_account a ON a.company_id = ANY(%(tree)s) {account}
CROSS JOIN LATERAL (
    SELECT (b.month >= s.m1)::int + (b.month >= s.m2)::int AS section, sum(b.debit) AS debit, sum(b.credit) AS credit
    FROM accounting_periodbalance b
    WHERE b.account_id = a.id AND b.company_id = s.company AND b.month < s.m3 GROUP BY 1
) AS t
UNION ALL
SELECT a.id, v.section, v.sign * t.debit, v.sign * t.credit
FROM edge e
JOIN accounting_account a ON a.company_id = ANY(%(tree)s) {account}
CROSS JOIN LATERAL (
    SELECT sum(i.debit) AS debit, sum(i.credit) AS credit FROM accounting_journalitem i
    WHERE i.posted AND i.account_id = a.id AND i.company_id = e.company AND i.date >= e.since AND i.date < e.until
) AS t
{sides} WHERE v.section < 3 AND t.debit IS NOT NULL
"""
_LEFT_OUT = """
UNION ALL
SELECT b.account_id, (b.date >= s.d1)::int + (b.date >= s.d2)::int, -sum(b.debit), -sum(b.credit)
FROM scope s
JOIN accounting_journalentry n ON n.journal_id = ANY(%(left_out)s) AND n.company_id = s.company AND n.date < s.d3
JOIN accounting_journalitem b ON b.entry_id = n.id AND b.posted {item}
GROUP BY 1, 2
"""


def moves(scope: Scope, *, one_account: bool = False) -> str:
    """CTEs ``scope``, ``edge`` and ``moves(account_id, section, debit, credit)``; several rows an account and section.

    Parameters: those of ``CutList.parameters``, ``tree`` and ``left_out`` of the scope, and ``account`` with ``one_account``.
    """
    body = _BY_ACCOUNT.format(account="AND a.id = %(account)s" if one_account else "", sides=SIDES)
    if scope.left_out:
        body += _LEFT_OUT.format(item="AND b.account_id = %(account)s" if one_account else "")
    return f"WITH {SCOPE}, moves(account_id, section, debit, credit) AS ({body})"


def in_order(types: Sequence[str] | frozenset[str]) -> list[str]:
    return sorted(str(kind) for kind in types)
