"""Guessing what a file does not say, from the whole file: the order of day and month, and the decimal mark.

A guess comes with how sure it is. One date such as 8/15/13 settles the order for all; where every date fits both orders,
the one that leaves the dates sorted is taken and reported as a guess.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import pairwise

from apps.accounting.compute.bank import text as t

_PARTS = re.compile(
    r"(\d{1,4})\s*([./\-' ])\s*(\d{1,2})\s*([./\-' ])\s*(\d{1,4})(?:[T ,].*)?", re.ASCII | re.DOTALL
)
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})", re.ASCII)

DAY_FIRST, MONTH_FIRST, YEAR_FIRST = "dmy", "mdy", "ymd"
Parts = tuple[str, str, str, bool]


def split_date(text: str) -> Parts:
    """Three numbers as written and whether an apostrophe marks a year from 2000 on. Raises ``ValueError``."""
    text = text.strip()
    if match := _COMPACT.fullmatch(text):
        return match.group(1), match.group(2), match.group(3), False
    match = _PARTS.fullmatch(text)
    if match is None:
        raise ValueError(f"not a date: {text[:40]!r}")
    first, _mark, second, mark, third = match.groups()
    return first, second, third, mark == "'"


def read_date(parts: Parts, order: str) -> dt.date:
    """The day that the parts mean in the given order. Raises ``ValueError``."""
    first, second, third, apostrophe = parts
    if order == YEAR_FIRST:
        year, month, number = first, second, third
    elif order == MONTH_FIRST:
        month, number, year = first, second, third
    else:
        number, month, year = first, second, third
    if len(year) not in (1, 2, 4) or len(month) > 2 or len(number) > 2:
        raise ValueError("not a date in this order")
    value = int(year)
    if len(year) < 4:
        value = value + 2000 if apostrophe else t.full_year(value)
    return t.day(value, int(month), int(number))


def date_order(texts: Iterable[str], *, prefer: str = "") -> tuple[str, bool]:
    """The order that fits most dates, and whether it is certain. ``prefer`` decides among equals."""
    split: list[tuple[Parts, str]] = []
    for text in texts:
        try:
            split.append((split_date(text), text))
        except ValueError:
            continue
    if not split:
        return prefer or DAY_FIRST, False
    read = {order: _read_all([parts for parts, _text in split], order) for order in _orders(split, prefer)}
    best = max(len(days) for days in read.values())
    fitting = [order for order, days in read.items() if len(days) == best]
    if len(fitting) > 1 and YEAR_FIRST in fitting and prefer != YEAR_FIRST:
        # A year of two digits in front is so rare that it has to be the only reading.
        fitting.remove(YEAR_FIRST)
    if len(fitting) == 1 or len({tuple(read[order]) for order in fitting}) == 1:
        return fitting[0], True
    if prefer in fitting:
        return prefer, True
    return min(fitting, key=lambda order: _disorder(read[order])), False


def _orders(split: Sequence[tuple[Parts, str]], prefer: str) -> list[str]:
    """Candidates, likeliest first: points are European, slashes and apostrophes come from American programs."""
    if any(len(parts[0]) == 4 for parts, _text in split):
        return [YEAR_FIRST]
    points = sum("." in text for _parts, text in split)
    orders = [DAY_FIRST, MONTH_FIRST] if points * 2 > len(split) else [MONTH_FIRST, DAY_FIRST]
    if not any(len(parts[2]) == 4 or parts[3] for parts, _text in split):
        orders.append(YEAR_FIRST)
    return sorted(orders, key=lambda order: order != prefer)


def _read_all(parts: Iterable[Parts], order: str) -> list[dt.date]:
    days = []
    for one in parts:
        try:
            days.append(read_date(one, order))
        except ValueError:
            continue
    return days


def _disorder(days: Sequence[dt.date]) -> tuple[int, int]:
    """Steps against the prevailing direction, then the span in days: the right reading is sorted and short."""
    ups = sum(1 for one, two in pairwise(days) if two > one)
    downs = sum(1 for one, two in pairwise(days) if two < one)
    return min(ups, downs), (max(days) - min(days)).days


def decimal_mark(texts: Iterable[str]) -> tuple[str, bool]:
    """The decimal mark used throughout, and whether it is certain: 1,234 alone may be either."""
    votes = {".": 0, ",": 0}
    grouped = {".": 0, ",": 0}
    for text in texts:
        body = re.sub(r"[^0-9.,]", "", text)
        last = max(".,", key=body.rfind)
        position = body.rfind(last)
        if position < 0:
            continue
        if body.count(last) > 1:
            votes["," if last == "." else "."] += 1
        elif ("," if last == "." else ".") in body or len(body) - position - 1 != 3:
            votes[last] += 1
        else:
            grouped[last] += 1
    if votes["."] == votes[","]:
        if votes["."] == 0 and (grouped["."] or grouped[","]):
            # Only amounts such as 1,234: a mark with three digits behind it groups thousands.
            return (",", False) if grouped["."] >= grouped[","] else (".", False)
        return ".", votes["."] == 0
    return max(votes, key=lambda mark: votes[mark]), True


def read_amount(text: str, mark: str) -> Decimal:
    """An amount with a known decimal mark; the other mark groups thousands. Raises ``ValueError``."""
    return t.amount(text, decimal=mark, thousands="," if mark == "." else ".")
