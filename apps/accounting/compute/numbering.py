"""Numbers of documents: the format that a number shows, the series that it belongs to, the number that follows.

A number is literal text, the period it belongs to, literal text, a counter, and a suffix without digits:
``RINV/2026/11/0007-b`` has year 2026, month 11, counter 7, suffix ``-b``. The next number copies the format of the
previous one, so that whoever types the first number of a journal chooses it. A number is tried as, in this order:

| kind | example | starts again |
|---|---|---|
| year_range_month | ``BILL/25-26/11/0001`` | every month |
| month | ``BILL/2026/11/0001`` | every month |
| year_range | ``INV/25-26/0001`` | every fiscal year |
| year | ``INV/2026/00001`` | every calendar year |
| fixed | ``INV00001`` | never |

The period stands directly before the counter, a year has four digits (19.. to 21..) or two, and the second year of a range
follows the first. A text may fit more than one kind (``X/11-12/1`` is December 2011 or the year 2011-2012): given the
accounting date, a kind whose period holds the date is preferred, and a company whose fiscal year is not the calendar year
prefers ranges.

The years of a range are those in which the fiscal year begins and the one after. ``fiscal_year_end`` is (month, day)
everywhere; the last of February means the last day of it in every year.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum
from typing import Literal

from django.utils.translation import gettext as _

from apps.core.errors import ValidationFailed

CALENDAR = (12, 31)
MAX_COUNTER_DIGITS = 9
MAX_LENGTH = 60
LARGEST = 10**MAX_COUNTER_DIGITS - 1

_RUNS = re.compile(r"([0-9]+)")
_FULL_YEAR = re.compile(r"(?:19|20|21)[0-9]{2}")
_YEAR_AND_MONTH = re.compile(r"((?:19|20|21)[0-9]{2})(0[1-9]|1[0-2])")

Reset = Literal["month", "year", "never"]
MonthDay = tuple[int, int]


class InvalidNumber(ValidationFailed):
    """A text that cannot be a document number."""

    code = "invalid_number"


class NumberDateMismatch(ValidationFailed):
    """The period in a number is not that of its accounting date."""

    code = "number_date"


class Kind(StrEnum):
    YEAR_RANGE_MONTH = "year_range_month"
    MONTH = "month"
    YEAR_RANGE = "year_range"
    YEAR = "year"
    FIXED = "fixed"


_RESETS: dict[Kind, Reset] = {
    Kind.YEAR_RANGE_MONTH: "month",
    Kind.MONTH: "month",
    Kind.YEAR_RANGE: "year",
    Kind.YEAR: "year",
    Kind.FIXED: "never",
}
_USUAL = (Kind.YEAR_RANGE_MONTH, Kind.MONTH, Kind.YEAR_RANGE, Kind.YEAR, Kind.FIXED)
_RANGES_FIRST = (Kind.YEAR_RANGE_MONTH, Kind.YEAR_RANGE, Kind.MONTH, Kind.YEAR, Kind.FIXED)
_WITH_RANGE = (Kind.YEAR_RANGE, Kind.YEAR_RANGE_MONTH)
_WITH_MONTH = (Kind.MONTH, Kind.YEAR_RANGE_MONTH)


@dataclass(frozen=True, slots=True)
class Format:
    """How numbers of a series look. Texts between the parts are literal; unused ones are empty.

    ``head`` year ``year_gap`` end year ``month_gap`` month ``tail`` counter ``suffix``; ``year_digits`` and
    ``end_digits`` are 0, 2 or 4; ``padding`` is the least number of digits of the counter.
    """

    kind: Kind
    head: str = ""
    year_digits: int = 0
    year_gap: str = ""
    end_digits: int = 0
    month_gap: str = ""
    tail: str = ""
    padding: int = 0
    suffix: str = ""
    fiscal_year_end: MonthDay = CALENDAR

    @property
    def reset(self) -> Reset:
        """When the counter starts again."""
        return _RESETS[self.kind]


@dataclass(frozen=True, slots=True)
class ReadNumber:
    """A number taken apart. Years are as written (26 or 2026); None where the format has none."""

    format: Format
    counter: int
    year: int | None = None
    end_year: int | None = None
    month: int | None = None


@dataclass(frozen=True, slots=True)
class PeriodBounds:
    """First and last day of the period of a series, both included."""

    start: date
    end: date

    def __contains__(self, day: date) -> bool:
        return self.start <= day <= self.end


# ---- periods


def fiscal_year(day: date, fiscal_year_end: MonthDay = CALENDAR) -> PeriodBounds:
    """The fiscal year that holds ``day``: 2026-03-01 with (6, 30) → 2025-07-01 … 2026-06-30."""
    end = _year_end(day.year, fiscal_year_end)
    if day > end:
        return PeriodBounds(end + timedelta(days=1), _year_end(day.year + 1, fiscal_year_end))
    return PeriodBounds(_year_end(day.year - 1, fiscal_year_end) + timedelta(days=1), end)


def _year_end(year: int, fiscal_year_end: MonthDay) -> date:
    month, day = fiscal_year_end
    length = monthrange(year, month)[1]
    whole_february = month == 2 and day >= 28
    return date(year, month, length if whole_february else min(day, length))


def period_bounds(form: Format, day: date) -> PeriodBounds | None:
    """The period around ``day`` within which the series of this format runs; None when it never starts again."""
    if form.kind is Kind.FIXED:
        return None
    if form.kind in _WITH_MONTH:
        length = monthrange(day.year, day.month)[1]
        month = PeriodBounds(day.replace(day=1), day.replace(day=length))
        if form.kind is Kind.MONTH:
            return month
        # a fiscal year that ends within a month cuts it, because the years in the prefix change there
        year = fiscal_year(day, form.fiscal_year_end)
        return PeriodBounds(max(month.start, year.start), min(month.end, year.end))
    if form.kind is Kind.YEAR_RANGE:
        return fiscal_year(day, form.fiscal_year_end)
    return PeriodBounds(date(day.year, 1, 1), date(day.year, 12, 31))


def _years(form: Format, day: date) -> tuple[int, int]:
    """(first year, second year) as a number of this format shows them for ``day``."""
    if form.kind in _WITH_RANGE:
        first = fiscal_year(day, form.fiscal_year_end).start.year
        return first, first + 1
    return day.year, day.year


# ---- writing


def _shown(year: int, digits: int) -> str:
    return f"{year:04d}" if digits == 4 else f"{year % 100:02d}"


def series_key(form: Format, day: date) -> str:
    """The text before the counter, which identifies the series within its journal: ``INV/2026/``."""
    if form.kind is Kind.FIXED:
        return form.head
    first, second = _years(form, day)
    text = form.head + _shown(first, form.year_digits)
    if form.kind in _WITH_RANGE:
        text += form.year_gap + _shown(second, form.end_digits)
    if form.kind in _WITH_MONTH:
        text += f"{form.month_gap}{day.month:02d}"
    return text + form.tail


def render(form: Format, day: date, counter: int) -> str:
    """The number with this counter in the period of ``day``.

    Errors: ``InvalidNumber`` (``number_range``) for a counter below 0 or of more than nine digits.
    """
    if not 0 <= counter <= LARGEST:
        raise InvalidNumber(_("The counter of a number lies between 0 and 999999999."), code="number_range")
    return f"{series_key(form, day)}{counter:0{form.padding}d}{form.suffix}"


# ---- reading


def _clean(number: str) -> str:
    text = number.strip()
    if not text or text == "/":
        raise InvalidNumber(_("Give a number."), code="number_empty")
    if len(text) > MAX_LENGTH or not text.isprintable():
        raise InvalidNumber(
            _("A number has at most %(most)d characters and no line breaks.") % {"most": MAX_LENGTH},
            code="number_text",
        )
    return text


def _is_year(run: str) -> bool:
    return len(run) == 2 or _FULL_YEAR.fullmatch(run) is not None


def _follows(first: str, second: str) -> bool:
    """Whether the second year is the one after the first; of two digits if one of them has only two."""
    if len(first) == len(second) == 4:
        return int(second) == int(first) + 1
    return int(second) % 100 == (int(first) + 1) % 100


def _read_as(kind: Kind, pieces: list[str], end: MonthDay) -> ReadNumber | None:
    """The number read as one kind. ``pieces`` alternates literal text and digits and ends with counter and suffix."""
    *before, counter, suffix = pieces
    if kind is Kind.FIXED:
        cut = max(0, len(counter) - MAX_COUNTER_DIGITS)
        head, counter = "".join(before) + counter[:cut], counter[cut:]
        form = Format(kind, head=head, padding=len(counter), suffix=suffix, fiscal_year_end=end)
        return ReadNumber(form, int(counter or 0))
    if not counter or len(counter) > MAX_COUNTER_DIGITS or len(before) < 3:
        return None

    tail = before.pop()
    month = month_gap = end_year = year_gap = ""
    if kind in _WITH_MONTH:
        run = before[-1]
        joined = _YEAR_AND_MONTH.fullmatch(run) if kind is Kind.MONTH else None
        if joined:
            before[-1], month = joined[1], joined[2]
        elif len(before) >= 4 and len(run) == 2 and 1 <= int(run) <= 12:
            month = before.pop()
            month_gap = before.pop()
        else:
            return None
    if kind in _WITH_RANGE:
        if len(before) < 4 or len(before[-2]) != 1:
            return None
        end_year, year_gap = before.pop(), before.pop()
    year = before.pop()
    if not _is_year(year) or (end_year and not (_is_year(end_year) and _follows(year, end_year))):
        return None
    if kind is Kind.YEAR_RANGE_MONTH and len(month_gap) != 1:
        return None
    form = Format(
        kind,
        head="".join(before),
        year_digits=len(year),
        year_gap=year_gap,
        end_digits=len(end_year),
        month_gap=month_gap,
        tail=tail,
        padding=len(counter),
        suffix=suffix,
        fiscal_year_end=end,
    )
    return ReadNumber(
        form,
        int(counter),
        int(year),
        int(end_year) if end_year else None,
        int(month) if month else None,
    )


def _readings(text: str, end: MonthDay) -> Iterator[ReadNumber]:
    pieces = _RUNS.split(text)
    if len(pieces) == 1:  # no digit at all: the counter comes after it
        pieces = [text, "", ""]
    for kind in _USUAL if end == CALENDAR else _RANGES_FIRST:
        found = _read_as(kind, list(pieces), end)
        if found is not None:
            yield found


def read(number: str, *, day: date | None = None, fiscal_year_end: MonthDay = CALENDAR) -> ReadNumber:
    """``number`` taken apart by the first kind that fits; with ``day``, by the first whose period holds that day.

    When the day fits none, the first kind that fits the text is answered, so that ``check_date`` can complain.

    Errors: ``InvalidNumber`` for an empty text or one that is no single printable line.
    """
    first: ReadNumber | None = None
    for found in _readings(_clean(number), fiscal_year_end):
        if day is None or (found.year is not None and _agrees(found, day)):
            return found
        if first is None:
            first = found
    assert first is not None  # every text fits the fixed kind
    return first


def detect(number: str, *, day: date | None = None, fiscal_year_end: MonthDay = CALENDAR) -> Format:
    """The format that a number shows; see ``read``."""
    return read(number, day=day, fiscal_year_end=fiscal_year_end).format


def read_with(form: Format, number: str) -> ReadNumber | None:
    """``number`` taken apart as one of this format (any padding), or None when it is not."""
    for found in _readings(_clean(number), form.fiscal_year_end):
        if replace(found.format, padding=form.padding) == form:
            return found
    return None


def _agrees(found: ReadNumber, day: date) -> bool:
    """Whether the period in the number is that of ``day``."""
    form = found.format
    if form.kind is Kind.FIXED:
        return True
    first, second = _years(form, day)
    assert found.year is not None
    if _shown(first, form.year_digits) != _shown(found.year, form.year_digits):
        return False
    if found.end_year is not None and _shown(second, form.end_digits) != _shown(
        found.end_year, form.end_digits
    ):
        return False
    return found.month is None or found.month == day.month


def check_date(form: Format, number: str, day: date) -> ReadNumber:
    """Refuse a number whose year or month is not that of the accounting date; answer it taken apart.

    Errors: ``InvalidNumber`` (``number_format``) when the number is not of the format, ``NumberDateMismatch``.
    """
    found = read_with(form, number)
    if found is None:
        raise InvalidNumber(
            _("The number %(number)s does not look like the others of its series, such as %(example)s.")
            % {"number": number, "example": render(form, day, 1)},
            code="number_format",
        )
    if not _agrees(found, day):
        raise NumberDateMismatch(
            _(
                "The number %(number)s does not belong to the accounting date %(date)s: numbers of that period look"
                " like %(example)s. Change the number or the date."
            )
            % {"number": number, "date": day.isoformat(), "example": render(form, day, found.counter)}
        )
    return found


def next_after(
    number: str,
    *,
    day: date | None = None,
    previous_day: date | None = None,
    fiscal_year_end: MonthDay = CALENDAR,
) -> str:
    """The number that follows ``number``; for a ``day`` in another period, the first of that period's series.

    ``previous_day`` is the accounting date of the document that has ``number``; it settles which kind is meant.
    """
    found = read(number, day=previous_day, fiscal_year_end=fiscal_year_end)
    form = found.format
    text = _clean(number)
    prefix = _prefix_of(text, form)
    if day is not None and series_key(form, day) != prefix:
        return render(form, day, 1)
    if found.counter >= LARGEST:
        raise InvalidNumber(_("The counter of a number lies between 0 and 999999999."), code="number_range")
    return f"{prefix}{found.counter + 1:0{form.padding}d}{form.suffix}"


def _prefix_of(text: str, form: Format) -> str:
    """The text before the counter of a number from which ``form`` was read."""
    end = len(text) - len(form.suffix) - form.padding
    return text[:end]


# ---- starting


def first_format(
    journal_code: str,
    journal_type: str,
    *,
    is_refund: bool = False,
    is_payment: bool = False,
    fiscal_year_end: MonthDay = CALENDAR,
) -> Format:
    """The format of a journal that has no number yet.

    Sales and money journals count by year, the others by month. Credit notes get the prefix R, payments P. When the
    fiscal year is not the calendar year, the years read ``25-26`` and the counter has four digits, to stay short.
    """
    by_year = journal_type in ("sale", "bank", "cash", "credit")
    head = f"{'P' if is_payment else ''}{'R' if is_refund else ''}{journal_code}/"
    if _year_end(2024, fiscal_year_end) == date(2024, 12, 31):
        form = Format(
            Kind.YEAR if by_year else Kind.MONTH, head=head, year_digits=4, padding=5 if by_year else 4
        )
    else:
        form = Format(
            Kind.YEAR_RANGE if by_year else Kind.YEAR_RANGE_MONTH,
            head=head,
            year_digits=2,
            year_gap="-",
            end_digits=2,
            padding=4,
            fiscal_year_end=fiscal_year_end,
        )
    return replace(form, month_gap="" if by_year else "/", tail="/")


def first_number(
    journal_code: str,
    journal_type: str,
    day: date,
    *,
    is_refund: bool = False,
    is_payment: bool = False,
    fiscal_year_end: MonthDay = CALENDAR,
) -> str:
    """The first number of a journal that has none: ``INV/2026/00001``, ``BILL/2026/11/0001``, ``INV/25-26/0001``."""
    form = first_format(
        journal_code,
        journal_type,
        is_refund=is_refund,
        is_payment=is_payment,
        fiscal_year_end=fiscal_year_end,
    )
    return render(form, day, 1)
