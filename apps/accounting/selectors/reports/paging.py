"""Pages of items in the order of the books: by date, then by id, with the balance after each."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from operator import itemgetter
from typing import Any, NamedTuple

from django.db import connection
from django.utils.translation import gettext as _

from apps.accounting.selectors.reports.scope import Scope
from apps.accounting.selectors.reports.sums import month_start, next_month
from apps.core.errors import ValidationFailed

PAGE = 80
MOST = 10_000
Position = tuple[datetime.date, int]
ZERO = Decimal(0)


class Line(NamedTuple):
    """One item in a ledger; ``balance`` is the running one, after the item. A tuple, because pages may have thousands."""

    pk: int
    date: datetime.date
    entry_pk: int
    number: str
    journal_code: str
    account_pk: int
    partner_pk: int | None
    partner_name: str
    name: str
    debit: Decimal
    credit: Decimal
    currency_code: str
    amount_currency: Decimal
    date_maturity: datetime.date | None
    residual: Decimal
    matching_number: str
    company_pk: int
    balance: Decimal

    @property
    def position(self) -> Position:
        return (self.date, self.pk)


@dataclass(frozen=True, slots=True)
class Page:
    """Lines, the balance before the first of them, and where the neighbouring pages begin (``None``: there is none)."""

    opening: Decimal
    lines: tuple[Line, ...]
    after: Position | None  # give as ``after`` for the next page
    before: Position | None  # give as ``before`` for the one before


@dataclass(frozen=True, slots=True)
class Window:
    """Which page of a period: the first, the one ``after`` or ``before`` a position, or the ``last``."""

    date_from: datetime.date
    date_to: datetime.date
    limit: int = PAGE
    after: Position | None = None
    before: Position | None = None
    last: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.limit <= MOST:
            text = _("Ask for 1 to %(most)s rows at once.") % {"most": MOST}
            raise ValidationFailed(fields={"limit": [text]})
        if sum((self.after is not None, self.before is not None, self.last)) > 1:
            raise ValidationFailed(fields={"after": [_("Give only one of after, before and last.")]})

    @property
    def backwards(self) -> bool:
        return self.last or self.before is not None


# The innermost select walks an index in the order of the page and stops at the limit; names are joined to its rows only.
_PAGE = """
SELECT i.id, i.date, i.entry_id, CASE WHEN e.revision > 0 THEN e.number || '-' || e.revision ELSE e.number END, j.code,
       i.account_id, i.partner_id, coalesce(p.complete_name, ''), i.name, i.debit, i.credit, c.code, i.amount_currency,
       i.date_maturity, i.residual, i.matching_number, i.company_id
FROM (
    SELECT x.* FROM {sources} CROSS JOIN LATERAL (
        SELECT i.* FROM accounting_journalitem i
        WHERE i.posted AND {condition} AND i.date >= %(date_from)s AND i.date <= %(date_to)s {position} {more}
        ORDER BY i.date {way}, i.id {way} LIMIT %(limit)s
    ) AS x ORDER BY x.date {way}, x.id {way} LIMIT %(limit)s
) AS i
JOIN accounting_journalentry e ON e.id = i.entry_id
JOIN accounting_journal j ON j.id = i.journal_id
JOIN core_currency c ON c.id = i.currency_id
LEFT JOIN contacts_partner p ON p.id = i.partner_id
"""


def companies_source(scope: Scope) -> str:
    """The row source of the companies: of a single one it is a constant, so that an index gives its rows in order."""
    if len(scope.company_pks) == 1:
        return f"(SELECT {int(scope.company_pks[0])}::bigint AS company) AS s"
    return "unnest(%(companies)s::bigint[]) AS s(company)"


@dataclass(frozen=True, slots=True)
class Source:
    """Where the lines come from: a row source, the condition that ties ``i`` to it, a further condition on items, and
    parameters. ``balances`` is the table of balances with its condition ``b``; ``None``: sums are read from the items."""

    sources: str
    condition: str
    parameters: Mapping[str, Any]
    more: str = ""
    balances: str | None = None
    balances_condition: str = ""


def read_page(source: Source, window: Window, initial: Decimal) -> Page:
    """A page of the period; ``initial`` is the balance before ``date_from``. Two queries, one for the first page."""
    rows = _rows(source, window)
    has_more = len(rows) > window.limit
    if has_more:
        rows = rows[1:] if window.backwards else rows[: window.limit]
    if not rows:
        return Page(initial, (), None, None)
    first: Position = (rows[0][1], rows[0][0])
    at_start = window.after is None and not (window.backwards and has_more)
    opening = initial if at_start else initial + _movement(source, window.date_from, first)
    lines, balance = [], opening
    for row in rows:
        balance += row[9] - row[10]
        lines.append(Line(*row, balance))  # type: ignore[call-arg]
    more_after = window.before is not None or (has_more and not window.backwards)
    return Page(
        opening=opening,
        lines=tuple(lines),
        after=lines[-1].position if more_after else None,
        before=None if at_start else first,
    )


def _rows(source: Source, window: Window) -> list[tuple[Any, ...]]:
    position = ""
    if window.after is not None:
        position = "AND (i.date, i.id) > (%(at_date)s, %(at_id)s)"
    elif window.before is not None:
        position = "AND (i.date, i.id) < (%(at_date)s, %(at_id)s)"
    at = window.after or window.before or (None, None)
    statement = _PAGE.format(
        sources=source.sources,
        condition=source.condition,
        position=position,
        more=source.more,
        way="DESC" if window.backwards else "ASC",
    )
    parameters = {
        **source.parameters,
        "date_from": window.date_from,
        "date_to": window.date_to,
        "at_date": at[0],
        "at_id": at[1],
        "limit": window.limit + 1,
    }
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        rows = cursor.fetchall()
    rows.sort(key=itemgetter(1, 0))  # joins keep no order, and rows that come in order cost nothing to sort
    return rows


_ITEMS = """
SELECT sum(i.debit - i.credit) AS value FROM {sources} JOIN accounting_journalitem i ON {condition}
WHERE i.posted AND i.date >= %({since})s AND {until} {more}
"""
_MONTHS = """
SELECT sum(b.debit - b.credit) FROM {balances} WHERE {condition} AND b.month >= %(head_end)s AND b.month < %(tail)s
"""
_LEFT_OUT = """
SELECT -sum(i.debit - i.credit) FROM {sources} JOIN accounting_journalitem i ON {condition}
WHERE i.posted AND i.date >= %(head_end)s AND i.date < %(tail)s {left_out}
"""


def _movement(source: Source, since: datetime.date, position: Position) -> Decimal:
    """What items from ``since`` on, but before a position, add up to: whole months from balances, the rest from items."""
    day, pk = position
    head_end, tail = next_month(since), month_start(day)
    whole = source.balances is not None and head_end <= tail
    if since.day == 1 and whole:
        head_end = since
    before = "(i.date, i.id) < (%(at_date)s, %(at_id)s)"
    parts = [_items(source, "tail" if whole else "since", before)]
    if whole:
        if head_end > since:
            parts.append(_items(source, "since", "i.date < %(head_end)s"))
        parts.append(_MONTHS.format(balances=source.balances, condition=source.balances_condition))
        if source.parameters.get("left_out"):
            parts.append(
                _LEFT_OUT.format(
                    sources=source.sources,
                    condition=source.condition,
                    left_out=source.more.replace("<> ALL", "= ANY"),
                )
            )
    parameters = {
        **source.parameters,
        "since": since,
        "head_end": head_end,
        "tail": tail,
        "at_date": day,
        "at_id": pk,
    }
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT coalesce(sum(value), 0) FROM ({' UNION ALL '.join(parts)}) AS parts",  # noqa: S608 - constants
            parameters,
        )
        (value,) = cursor.fetchone() or (ZERO,)
    return Decimal(value)


def _items(source: Source, since: str, until: str) -> str:
    return _ITEMS.format(
        sources=source.sources, condition=source.condition, since=since, until=until, more=source.more
    )
