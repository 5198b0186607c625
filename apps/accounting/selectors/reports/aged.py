"""Aged receivables and payables: what is open at the end of a day, by how long it has been due.

What is open now is on the items, under a partial index of the open ones. As of an earlier day, matchings dated after it are
undone in the sums; so today's report reads open items only, and a report of last month those and last month's matchings.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import connection
from django.utils.translation import gettext as _

from apps.accounting.constants import AccountType
from apps.accounting.selectors.company_tree import DOWN
from apps.accounting.selectors.reports.scope import Scope, scope_of
from apps.core.actor import Actor
from apps.core.errors import ValidationFailed
from apps.core.models import Currency

RECEIVABLE, PAYABLE = "receivable", "payable"
DUE, INVOICE = "due", "invoice"
TOTAL, NAME = "total", "name"
TYPES = {RECEIVABLE: AccountType.ASSET_RECEIVABLE.value, PAYABLE: AccountType.LIABILITY_PAYABLE.value}
BUCKETS = 6  # not due, four of equal length, older
PartnerPosition = tuple[str | Decimal, int]  # name or total, and partner; 0 for nobody
ItemPosition = tuple[datetime.date, int]
MOST = 10_000
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class AgedRow:
    """What is open of one partner, positive when it is owed as usual (to us on receivables, by us on payables).

    ``amounts``: not due, four buckets, older. ``currency_code`` and ``amount_currency`` are given when everything that is
    open is in one foreign currency.
    """

    partner_pk: int | None
    name: str
    amounts: tuple[Decimal, ...]
    total: Decimal
    currency_code: str | None
    amount_currency: Decimal | None


@dataclass(frozen=True, slots=True)
class Aged:
    """Partners, the largest or by name, and the sums over all; ``count`` partners have something open; ``after`` leads to the next page."""

    kind: str
    on: datetime.date
    by: str
    days: int
    currency: Currency
    rows: tuple[AgedRow, ...]
    totals: tuple[Decimal, ...]
    total: Decimal
    count: int
    after: PartnerPosition | None

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the buckets: ``not_due``, ``1-30``, …, ``older``."""
        size = self.days
        between = (f"{size * number + 1}-{size * (number + 1)}" for number in range(BUCKETS - 2))
        return ("not_due", *between, "older")


@dataclass(frozen=True, slots=True)
class AgedItem:
    """One open item behind a figure. ``bucket`` is the place in ``amounts`` that it counts in, ``days`` how late it is."""

    pk: int
    entry_pk: int
    number: str
    invoice_pk: int | None
    account_pk: int
    partner_pk: int | None
    company_pk: int
    date: datetime.date
    due: datetime.date
    days: int
    bucket: int
    amount: Decimal
    residual: Decimal
    currency_code: str
    residual_currency: Decimal


_LATER = """
later AS MATERIALIZED (
    SELECT item, sum(amount) AS amount, sum(currency) AS currency FROM (
        SELECT m.debit_item_id AS item, m.amount, m.debit_amount_currency AS currency FROM accounting_partialmatch m
        WHERE m.company_id = ANY(%(family)s) AND m.date > %(on)s
        UNION ALL
        SELECT m.credit_item_id, -m.amount, -m.credit_amount_currency FROM accounting_partialmatch m
        WHERE m.company_id = ANY(%(family)s) AND m.date > %(on)s
    ) AS sides GROUP BY item
)
"""
# What is open now …
_NOW = """
    SELECT i.id, i.partner_id, {due} AS due, i.residual, i.currency_id, i.residual_currency
    FROM wanted w JOIN accounting_journalitem i
         ON i.posted AND NOT (i.residual = 0 AND i.residual_currency = 0)
            AND i.account_id = w.id AND i.company_id = ANY(%(companies)s) AND i.date <= %(on)s {partner}
    {joins}
"""
# … and what later matchings took. An item may be in both, so the sums are added up.
_THEN = """
    UNION ALL
    SELECT i.id, i.partner_id, {due}, l.amount, i.currency_id, l.currency
    FROM later l JOIN accounting_journalitem i ON i.id = l.item
    JOIN wanted w ON w.id = i.account_id
    {joins}
    WHERE i.posted AND i.company_id = ANY(%(companies)s) AND i.date <= %(on)s {partner}
"""
_WANTED = """
wanted AS MATERIALIZED (
    SELECT a.id FROM accounting_account a
    WHERE a.company_id = ANY(%(tree)s) AND a.type = %(type)s AND (%(non_trade)s OR NOT a.non_trade)
)
"""
_BUCKET = "greatest(0, least(5, ceil((%(on)s::date - due) / %(days)s::numeric)::int))"
# One pass over the open items, each added to one bucket; sums in foreign currency are made for the rows that are shown.
_PARTNERS = """
, found AS MATERIALIZED (
    SELECT * FROM (
        SELECT o.partner_id, {sums}, bool_or(o.currency_id <> %(own_currency)s) AS in_foreign
        FROM open o GROUP BY 1
    ) AS f WHERE {something}
)
(
    SELECT coalesce(f.partner_id, 0) AS partner, coalesce(p.complete_name, '') AS name, {each}, f.in_foreign
    FROM {page} AS f
    LEFT JOIN contacts_partner p ON p.id = f.partner_id
    {position} ORDER BY {order} LIMIT %(limit)s
)
UNION ALL
SELECT count(*), '', {all}, NULL FROM found
"""
# The largest first: names are then joined to the rows of the page only.
_LARGEST = """(
    SELECT * FROM (SELECT *, %(sign)s * ({total}) AS total FROM found) AS every {position}
    ORDER BY total DESC, coalesce(partner_id, 0) DESC LIMIT %(limit)s
)"""
_LIMITS = (
    "o.due >= %(on)s::date",
    *(
        f"o.due < %(on)s::date - {number} * %(days)s AND o.due >= %(on)s::date - {number + 1} * %(days)s"
        for number in range(BUCKETS - 2)
    ),
    f"o.due < %(on)s::date - {BUCKETS - 2} * %(days)s",
)
_SUMS = ", ".join(
    f"sum(o.residual) FILTER (WHERE {limits}) AS b{number}" for number, limits in enumerate(_LIMITS)
)
_SOMETHING = " OR ".join(f"f.b{number} <> 0" for number in range(BUCKETS))
_TOTAL = " + ".join(f"coalesce(b{number}, 0)" for number in range(BUCKETS))
_EACH = ", ".join(f"round(%(sign)s * coalesce(f.b{number}, 0), %(decimals)s)" for number in range(BUCKETS))
_ALL = ", ".join(f"round(%(sign)s * coalesce(sum(b{number}), 0), %(decimals)s)" for number in range(BUCKETS))


def aged(
    actor: Actor,
    kind: str,
    on: datetime.date,
    *,
    by: str = DUE,
    days: int = 30,
    non_trade: bool = False,
    company_pks: Collection[int] | None = None,
    order: str = TOTAL,
    limit: int | None = None,
    after: PartnerPosition | None = None,
) -> Aged:
    """What partners owe (``kind`` receivable) or are owed (payable) at the end of ``on``, by partner and in total.

    Late by one day is 1: an item due on the day is not due yet. ``by`` counts from the due date or from the date of the
    invoice; ``days`` is the length of a bucket; ``order`` puts the largest total or the first name on top. Accounts marked as not from trade are left out unless ``non_trade``. Three
    queries. Errors: as ``scope_of``; ``ValidationFailed`` for an unknown ``kind`` or ``by`` or a bucket below one day.
    """
    if order not in (TOTAL, NAME):
        raise ValidationFailed(fields={"order": [_("Choose total or name.")]})
    scope, parameters = _prepared(actor, kind, on, by, days, non_trade, company_pks)
    parameters |= {
        "limit": None if limit is None else limit + 1,
        "key": after[0] if after else None,
        "partner": after[1] if after else None,
    }
    statement = _with_open(by, parameters["later"]) + _PARTNERS.format(
        sums=_SUMS, something=_SOMETHING, each=_EACH, all=_ALL, **_ordered(order, after is not None)
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        *rows, last = cursor.fetchall()
    more = limit is not None and len(rows) > limit
    rows = rows[:limit]
    foreign = _foreign([row[0] for row in rows if row[-1]], by, parameters)
    return Aged(
        kind=kind,
        on=on,
        by=by,
        days=days,
        currency=scope.currency,
        rows=tuple(_aged_row(row, foreign) for row in rows),
        totals=last[2 : 2 + BUCKETS],
        total=sum(last[2 : 2 + BUCKETS], ZERO),
        count=int(last[0]),
        after=_place(rows[-1], order) if more else None,
    )


def _ordered(order: str, continued: bool) -> dict[str, str]:
    """The parts of the statement that put partners in order and begin after a position."""
    if order == NAME:
        position = "(coalesce(p.complete_name, ''), coalesce(f.partner_id, 0)) > (%(key)s, %(partner)s)"
        return {
            "page": "found",
            "position": f"WHERE {position}" if continued else "",
            "order": "name, partner",
        }
    position = "WHERE (total, coalesce(partner_id, 0)) < (%(key)s, %(partner)s)" if continued else ""
    return {
        "page": _LARGEST.format(total=_TOTAL, position=position),
        "position": "",
        "order": "f.total DESC, partner DESC",
    }


def _place(row: tuple[Any, ...], order: str) -> PartnerPosition:
    return (row[1] if order == NAME else sum(row[2 : 2 + BUCKETS], ZERO), row[0])


_FOREIGN = """
SELECT coalesce(f.partner_id, 0), c.code, round(%(sign)s * f.amount, c.decimals::int)
FROM (
    SELECT partner_id, min(currency_id) AS currency, max(currency_id) AS other, sum(residual_currency) AS amount
    FROM open GROUP BY 1
) AS f JOIN core_currency c ON c.id = f.currency AND f.currency = f.other
"""


def _foreign(partners: list[int], by: str, parameters: dict[str, Any]) -> dict[int, tuple[str, Decimal]]:
    """Code and amount for those of the partners who owe in one foreign currency only. No query without partners."""
    if not partners:
        return {}
    chosen = "AND i.partner_id = ANY(%(partners)s)"
    if 0 in partners:
        chosen = "AND (i.partner_id = ANY(%(partners)s) OR i.partner_id IS NULL)"
    with connection.cursor() as cursor:
        cursor.execute(
            _with_open(by, parameters["later"], chosen) + _FOREIGN, {**parameters, "partners": partners}
        )
        return {partner: (code, amount) for partner, code, amount in cursor.fetchall()}


def _aged_row(row: tuple[Any, ...], foreign: dict[int, tuple[str, Decimal]]) -> AgedRow:
    partner, name, *amounts, _in_foreign = row
    code, in_currency = foreign.get(partner, (None, None))
    return AgedRow(partner or None, name, tuple(amounts), sum(amounts, ZERO), code, in_currency)


_ITEMS = f"""
, summed AS (
    SELECT id, min(due) AS due, sum(residual) AS residual, sum(residual_currency) AS residual_currency
    FROM open GROUP BY id HAVING sum(residual) <> 0 OR sum(residual_currency) <> 0
)
SELECT i.id, i.entry_id, e.number, e.invoice_id, i.account_id, i.partner_id, i.company_id, i.date, o.due,
       %(on)s::date - o.due, {_BUCKET}, round(%(sign)s * (i.debit - i.credit), %(decimals)s), round(%(sign)s * o.residual, %(decimals)s),
       c.code, round(%(sign)s * o.residual_currency, c.decimals::int)
FROM summed o
JOIN accounting_journalitem i ON i.id = o.id
JOIN accounting_journalentry e ON e.id = i.entry_id
JOIN core_currency c ON c.id = i.currency_id
WHERE (%(bucket)s::int IS NULL OR {_BUCKET} = %(bucket)s)
  AND (%(at_due)s::date IS NULL OR (o.due, i.id) > (%(at_due)s, %(at_id)s))
ORDER BY o.due, i.id LIMIT %(limit)s
"""  # noqa: S608 - constants only


def aged_items(
    actor: Actor,
    kind: str,
    on: datetime.date,
    *,
    partner_pk: int | None = None,
    any_partner: bool = False,
    bucket: int | None = None,
    by: str = DUE,
    days: int = 30,
    non_trade: bool = False,
    company_pks: Collection[int] | None = None,
    limit: int = 80,
    after: ItemPosition | None = None,
) -> list[AgedItem]:
    """The items behind a figure of ``aged``, the oldest first: of a partner (``None``: of nobody) or of all with
    ``any_partner``, in one bucket or all. ``after`` is (due, pk) of the last item of the page before."""
    if not 1 <= limit <= MOST:
        raise ValidationFailed(fields={"limit": [_("Ask for 1 to %(most)s rows at once.") % {"most": MOST}]})
    _scope, parameters = _prepared(actor, kind, on, by, days, non_trade, company_pks)
    parameters |= {
        "partner": partner_pk,
        "bucket": bucket,
        "limit": limit,
        "at_due": after[0] if after else None,
        "at_id": after[1] if after else None,
    }
    partner = "" if any_partner else "AND i.partner_id = %(partner)s"
    if partner_pk is None and not any_partner:
        partner = "AND i.partner_id IS NULL"
    with connection.cursor() as cursor:
        cursor.execute(_with_open(by, parameters["later"], partner) + _ITEMS, parameters)
        return [AgedItem(*row) for row in cursor.fetchall()]


def _with_open(by: str, later: bool, partner: str = "") -> str:
    """CTEs up to ``open(id, partner_id, due, residual, currency_id, residual_currency)``; an item may have two rows."""
    if by == INVOICE:
        due = "coalesce(v.date, i.date)"
        joins = "JOIN accounting_journalentry e ON e.id = i.entry_id LEFT JOIN accounting_invoice v ON v.id = e.invoice_id"
    else:
        due, joins = "coalesce(i.date_maturity, i.date)", ""
    if later:
        statement = f"WITH {_WANTED}, {_LATER}, open AS ({_NOW} {_THEN})"
    else:
        statement = f"WITH {_WANTED}, open AS ({_NOW})"
    return statement.format(due=due, joins=joins, partner=partner)


def _prepared(
    actor: Actor,
    kind: str,
    on: datetime.date,
    by: str,
    days: int,
    non_trade: bool,
    company_pks: Collection[int] | None,
) -> tuple[Scope, dict[str, Any]]:
    errors = {}
    if kind not in TYPES:
        errors["kind"] = [_("Choose receivable or payable.")]
    if by not in (DUE, INVOICE):
        errors["by"] = [_("Choose due or invoice.")]
    if not 1 <= days <= 366:
        errors["days"] = [_("A bucket has 1 to 366 days.")]
    if errors:
        raise ValidationFailed(fields=errors)
    scope = scope_of(actor, company_pks)
    return scope, {
        "companies": list(scope.company_pks),
        "tree": scope.tree,
        **_later(scope, on),
        "type": TYPES[kind],
        "sign": 1 if kind == RECEIVABLE else -1,
        "non_trade": non_trade,
        "on": on,
        "days": days,
        "decimals": scope.currency.decimals,
        "own_currency": scope.currency.pk,
    }


_FAMILY = f"""
{DOWN}, family(ids) AS (
    SELECT array_agg(id ORDER BY id) FROM down
)
SELECT ids, EXISTS (SELECT 1 FROM accounting_partialmatch m WHERE m.company_id = ANY(ids) AND m.date > %s) FROM family
"""  # noqa: S608 - made of constants


def _later(scope: Scope, on: datetime.date) -> dict[str, Any]:
    """Whether anything was matched after a day, in all companies of the trees that the scope is in: a branch's item may be
    matched in the company of another. Usually nothing was, and then open items are all that is read."""
    with connection.cursor() as cursor:
        cursor.execute(_FAMILY, [sorted({line[-1] for line in scope.lines.values()}), on])
        family, later = cursor.fetchone() or ([], False)
    return {"family": family, "later": later}
