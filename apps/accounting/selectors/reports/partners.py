"""Partner ledger: what customers and vendors owed before a period, in it and after it, and their items."""

from __future__ import annotations

import datetime
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.db import connection

from apps.accounting.constants import PARTNER_TYPES, AccountType
from apps.accounting.selectors.reports.paging import (
    PAGE,
    Page,
    Position,
    Source,
    Window,
    companies_source,
    read_page,
)
from apps.accounting.selectors.reports.scope import DAY, Scope, check_period, scope_of
from apps.accounting.selectors.reports.sums import SCOPE, SIDES, cut_list, in_order
from apps.accounting.selectors.reports.trial import Figures
from apps.core.actor import Actor
from apps.core.models import Currency

NOBODY = 0  # stands for items without a partner
NamePosition = tuple[str, int]


@dataclass(frozen=True, slots=True)
class PartnerRow:
    """What one partner owes us (positive) or we owe him (negative). ``partner_pk`` is ``None`` for items without one."""

    partner_pk: int | None
    name: str
    figures: Figures


@dataclass(frozen=True, slots=True)
class PartnerLedger:
    """Partners by name, with the sums over all of them; ``after`` is where the next page begins."""

    currency: Currency
    rows: tuple[PartnerRow, ...]
    total: Figures
    count: int
    after: NamePosition | None


@dataclass(frozen=True, slots=True)
class PartnerPage:
    """A page of one partner's items; ``figures`` are those of the whole period."""

    partner_pk: int | None
    currency: Currency
    figures: Figures
    page: Page


_MOVES = """
WITH {scope}, moves(partner, section, debit, credit) AS (
    SELECT coalesce(b.partner_id, 0), 1 + (b.month >= s.m2)::int, sum(b.debit), sum(b.credit)
    FROM scope s JOIN accounting_partnerbalance b ON b.company_id = s.company AND b.month < s.m3 {balances}
    JOIN accounting_account a ON a.id = b.account_id AND a.type = ANY(%(types)s)
    GROUP BY 1, 2
    UNION ALL
    SELECT coalesce(i.partner_id, 0), v.section, sum(v.sign * i.debit), sum(v.sign * i.credit)
    FROM edge e
    JOIN accounting_account a ON a.type = ANY(%(types)s) AND a.company_id = ANY(%(tree)s)
    JOIN accounting_journalitem i ON i.posted AND i.account_id = a.id AND i.company_id = e.company
         AND i.date >= e.since AND i.date < e.until {items}
    {sides} WHERE e.cut > 1 AND v.section < 3
    GROUP BY 1, 2
)
"""
_SUMS = """
SELECT m.partner, sum(m.debit - m.credit) FILTER (WHERE m.section = 1) AS initial,
       sum(m.debit) FILTER (WHERE m.section = 2) AS debit, sum(m.credit) FILTER (WHERE m.section = 2) AS credit
FROM moves m GROUP BY 1
"""
_FIGURES = """
SELECT round(coalesce(sum(initial), 0), %(decimals)s), round(coalesce(sum(debit), 0), %(decimals)s),
       round(coalesce(sum(credit), 0), %(decimals)s)
FROM ({sums}) AS f
"""
_LIST = """
, found AS MATERIALIZED (
    SELECT f.partner, coalesce(p.complete_name, '') AS name, coalesce(f.initial, 0) AS initial, coalesce(f.debit, 0) AS debit,
           coalesce(f.credit, 0) AS credit
    FROM ({sums}) AS f LEFT JOIN contacts_partner p ON p.id = f.partner
    WHERE f.initial <> 0 OR f.debit <> 0 OR f.credit <> 0
)
SELECT partner, name, round(initial, %(decimals)s), round(debit, %(decimals)s), round(credit, %(decimals)s)
FROM (
    (SELECT 0 AS part, * FROM found {position} ORDER BY name, partner LIMIT %(limit)s)
    UNION ALL
    SELECT 1, count(*), '', coalesce(sum(initial), 0), coalesce(sum(debit), 0), coalesce(sum(credit), 0) FROM found
) AS answer ORDER BY part, name, partner
"""


def partner_ledger(
    actor: Actor,
    date_from: datetime.date,
    date_to: datetime.date,
    *,
    company_pks: Collection[int] | None = None,
    types: Collection[str] = PARTNER_TYPES,
    limit: int | None = None,
    after: NamePosition | None = None,
) -> PartnerLedger:
    """Each partner's figures on receivable and payable accounts (or on one of the ``types``), by name. Three queries."""
    check_period(date_from, date_to)
    scope = scope_of(actor, company_pks)
    parameters = {
        **_cuts(scope, date_from, date_to),
        "types": in_order(frozenset(types) & PARTNER_TYPES),
        "limit": None if limit is None else limit + 1,
        "name": after[0] if after else "",
        "partner": after[1] if after else 0,
    }
    statement = _MOVES.format(scope=SCOPE, balances="", items="", sides=SIDES) + _LIST.format(
        sums=_SUMS, position="WHERE (name, partner) > (%(name)s, %(partner)s)" if after else ""
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        *rows, (count, _name, initial, debit, credit) = cursor.fetchall()
    more = limit is not None and len(rows) > limit
    rows = rows[:limit]
    return PartnerLedger(
        currency=scope.currency,
        rows=tuple(PartnerRow(pk or None, name, Figures(*figures)) for pk, name, *figures in rows),
        total=Figures(initial, debit, credit),
        count=count,
        after=(rows[-1][1], rows[-1][0]) if more else None,
    )


def partner_lines(
    actor: Actor,
    partner_pk: int | None,
    date_from: datetime.date,
    date_to: datetime.date,
    *,
    company_pks: Collection[int] | None = None,
    types: Collection[str] = PARTNER_TYPES,
    open_only: bool = False,
    limit: int = PAGE,
    after: Position | None = None,
    before: Position | None = None,
    last: bool = False,
) -> PartnerPage:
    """A page of the items of a partner (``None``: of nobody) on receivable and payable accounts. ``open_only`` leaves out
    what is settled, from every figure as well. At most five queries."""
    check_period(date_from, date_to)
    window = Window(date_from, date_to, limit, after, before, last)
    scope = scope_of(actor, company_pks)
    wanted = in_order(frozenset(types) & PARTNER_TYPES)
    source = _source(scope, partner_pk, wanted, open_only=open_only)
    figures = (
        _open_figures(scope, source, date_from, date_to)
        if open_only
        else _figures(scope, partner_pk, wanted, date_from, date_to)
    )
    return PartnerPage(
        partner_pk=partner_pk,
        currency=scope.currency,
        figures=figures,
        page=read_page(source, window, figures.initial),
    )


def _cuts(scope: Scope, since: datetime.date, until: datetime.date) -> dict[str, Any]:
    """What partners owe is carried forward for ever, so that the first cut is not used."""
    cuts = cut_list(dict.fromkeys(scope.company_pks, (since, since, until + DAY)))
    return {**cuts.parameters(), "tree": scope.tree, "decimals": scope.currency.decimals}


def _is(table: str, partner_pk: int | None) -> str:
    return f"{table}.partner_id IS NULL" if partner_pk is None else f"{table}.partner_id = %(partner)s"


def _figures(
    scope: Scope, partner_pk: int | None, types: list[str], since: datetime.date, until: datetime.date
) -> Figures:
    statement = _MOVES.format(
        scope=SCOPE,
        balances=f"AND {_is('b', partner_pk)}",
        items=f"AND {_is('i', partner_pk)}",
        sides=SIDES,
    ) + _FIGURES.format(sums=_SUMS)
    with connection.cursor() as cursor:
        cursor.execute(statement, {**_cuts(scope, since, until), "types": types, "partner": partner_pk})
        row = cursor.fetchone()
    return Figures(*row) if row else Figures()


def _source(scope: Scope, partner_pk: int | None, types: list[str], *, open_only: bool) -> Source:
    of_partner = _is("i", partner_pk)
    # The accounts are few and the partner's items may be many, on all accounts: the page walks his items by date.
    on_accounts = (
        "i.account_id IN (SELECT a.id FROM accounting_account a WHERE a.type = ANY(%(types)s) "
        "AND a.company_id = ANY(%(tree)s))"
    )
    return Source(
        sources=companies_source(scope),
        condition=f"i.company_id = s.company AND {of_partner} AND {on_accounts}",
        parameters={
            "companies": list(scope.company_pks),
            "partner": partner_pk,
            "types": types,
            "tree": scope.tree,
        },
        more="AND NOT (i.residual = 0 AND i.residual_currency = 0)" if open_only else "",
        balances=None if open_only else "accounting_partnerbalance b",
        balances_condition=f"{_is('b', partner_pk)} AND {on_accounts.replace('i.account_id', 'b.account_id')} "
        "AND b.company_id = ANY(%(companies)s)",
    )


_OPEN_FIGURES = """
SELECT round(coalesce(sum(i.debit - i.credit) FILTER (WHERE i.date < %(since)s), 0), %(decimals)s),
       round(coalesce(sum(i.debit) FILTER (WHERE i.date >= %(since)s), 0), %(decimals)s),
       round(coalesce(sum(i.credit) FILTER (WHERE i.date >= %(since)s), 0), %(decimals)s)
FROM {sources} JOIN accounting_journalitem i ON {condition} WHERE i.posted AND i.date <= %(until)s {more}
"""


def _open_figures(scope: Scope, source: Source, since: datetime.date, until: datetime.date) -> Figures:
    statement = _OPEN_FIGURES.format(sources=source.sources, condition=source.condition, more=source.more)
    parameters = {
        **source.parameters,
        "since": since,
        "until": until,
        "decimals": scope.currency.decimals,
    }
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        row = cursor.fetchone()
    return Figures(*row) if row else Figures()


RECEIVABLE = (AccountType.ASSET_RECEIVABLE.value,)
PAYABLE = (AccountType.LIABILITY_PAYABLE.value,)
