"""Dates of documents that repeat: every month, quarter or year, keeping the day of the first one.

The day is always taken from the *first* date of the chain, so that a short month does not shorten the following ones:
30 January → 28 February → 30 March. A chain that starts on the last day of its month stays on last days:
28 February → 31 March → 30 April.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from datetime import date
from enum import StrEnum


class Period(StrEnum):
    """How often a document repeats."""

    MONTHLY = "monthly"
    QUARTERLY = "quarterly"
    YEARLY = "yearly"


MONTHS: dict[str, int] = {Period.MONTHLY: 1, Period.QUARTERLY: 3, Period.YEARLY: 12}


def is_month_end(day: date) -> bool:
    return day.day == monthrange(day.year, day.month)[1]


def add_months(day: date, months: int, *, keep_month_end: bool = False) -> date:
    """``day`` so many months on (or back), or the last day of that month where it is shorter.

    With ``keep_month_end`` the last day of a month goes to the last day of the other, whatever its length.
    """
    index = day.year * 12 + day.month - 1 + months
    year, month = index // 12, index % 12 + 1
    length = monthrange(year, month)[1]
    if keep_month_end and is_month_end(day):
        return date(year, month, length)
    return date(year, month, min(day.day, length))


def occurrence(first: date, period: str, index: int) -> date:
    """The date of the ``index``-th repetition of a chain that starts on ``first`` (index 0 is ``first`` itself).

    Errors: ``ValueError`` for a period that is none of ``Period``.
    """
    try:
        months = MONTHS[period]
    except KeyError:
        raise ValueError(f"Documents do not repeat “{period}”; use one of {', '.join(MONTHS)}.") from None
    return add_months(first, months * index, keep_month_end=True)


def next_date(current: date, period: str, *, first: date | None = None) -> date:
    """The date after ``current``. With ``first``, the start of the chain, the day is that of ``first``.

    ``current`` need not be a date of the chain exactly (a copy that was moved to Monday): the first date of the chain
    after it counts.
    """
    if first is None:
        return occurrence(current, period, 1)
    months = (current.year - first.year) * 12 + current.month - first.month
    index = max(0, months // MONTHS.get(period, 1))
    while occurrence(first, period, index) <= current:
        index += 1
    return occurrence(first, period, index)


def occurrences(first: date, period: str, *, until: date) -> Iterator[date]:
    """All dates of the chain up to and including ``until``."""
    index = 0
    while (day := occurrence(first, period, index)) <= until:
        yield day
        index += 1
