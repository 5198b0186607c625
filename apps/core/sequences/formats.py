"""What a document number looks like: prefix and suffix with dates in them, and a zero-padded counter between.

A prefix such as ``SO/%(range_year)s/`` holds placeholders of three families:

* plain (``%(year)s``): the document's date; its time of day, which a date does not have, is taken from the clock;
* ``range_`` (``%(range_year)s``): the first day of the date range that the number is drawn from, so that all numbers
  of a fiscal year 2026-07-01…2027-06-30 read 2026; the document's date where the sequence has no ranges;
* ``current_`` (``%(current_year)s``): the moment of drawing.

| name | gives | name | gives |
|---|---|---|---|
| year | 2026 | weekday | 0 (Sunday) … 6 |
| y | 26 | h24 | 00 … 23 |
| month | 01 … 12 | h12 | 01 … 12 |
| day | 01 … 31 | min | 00 … 59 |
| doy | day of year 001 … 366 | sec | 00 … 59 |
| woy | week of year 00 … 53, Monday first | | |

Weeks count within the calendar year, so that ``%(year)s-%(woy)s`` never pairs a week with the wrong year as the ISO
week would in the first days of January. ``%%`` is a percent sign. Everything is checked when a sequence is saved,
never when a number is drawn.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import lru_cache

from django.utils.translation import gettext as _

from apps.core.errors import ValidationFailed

_PARTS: dict[str, Callable[[datetime], str]] = {
    "year": lambda at: f"{at.year:04d}",
    "y": lambda at: f"{at.year % 100:02d}",
    "month": lambda at: f"{at.month:02d}",
    "day": lambda at: f"{at.day:02d}",
    "doy": lambda at: f"{at.timetuple().tm_yday:03d}",
    "woy": lambda at: at.strftime("%W"),
    "weekday": lambda at: str(at.isoweekday() % 7),
    "h24": lambda at: f"{at.hour:02d}",
    "h12": lambda at: f"{at.hour % 12 or 12:02d}",
    "min": lambda at: f"{at.minute:02d}",
    "sec": lambda at: f"{at.second:02d}",
}
FAMILIES = ("", "range_", "current_")
#: Parts that need a time of day; in the plain family it is that of the clock.
TIMES = frozenset({"h24", "h12", "min", "sec"})
PLACEHOLDERS: tuple[str, ...] = tuple(family + name for family in FAMILIES for name in _PARTS)

_TOKEN = re.compile(r"%(?:(?P<percent>%)|\((?P<name>[^()%]*)\)(?P<kind>.?)|(?P<stray>\(?\w*))", re.DOTALL)


class PlaceholderError(ValidationFailed):
    """A prefix or suffix with something in it that is not a placeholder; ``placeholder`` is the text at fault."""

    code = "invalid_placeholder"

    def __init__(self, message: str, *, placeholder: str, field: str = "") -> None:
        self.placeholder = placeholder
        super().__init__(message, fields={field: [message]} if field else None)


@dataclass(frozen=True, slots=True)
class Moments:
    """The three points in time that placeholders read."""

    document: datetime
    range_start: datetime
    current: datetime


@dataclass(frozen=True, slots=True)
class Format:
    """A checked prefix or suffix: literal texts and (family, part) pairs in order."""

    text: str
    pieces: tuple[str | tuple[str, str], ...]

    @property
    def placeholders(self) -> frozenset[str]:
        return frozenset(family + name for family, name in (p for p in self.pieces if isinstance(p, tuple)))

    def render(self, moments: Moments) -> str:
        sources = {"": moments.document, "range_": moments.range_start, "current_": moments.current}
        return "".join(
            piece if isinstance(piece, str) else _PARTS[piece[1]](sources[piece[0]]) for piece in self.pieces
        )


@lru_cache(maxsize=1024)
def compile_format(text: str, *, field: str = "") -> Format:
    """``text`` checked and taken apart; ``field`` is the form field that the error is shown at.

    Errors: ``PlaceholderError`` naming the wrong placeholder and the nearest right one.
    """
    pieces: list[str | tuple[str, str]] = []
    end = 0
    for token in _TOKEN.finditer(text):
        pieces.append(text[end : token.start()])
        end = token.end()
        if token["percent"]:
            pieces.append("%")
        else:
            pieces.append(_checked(token, field))
    pieces.append(text[end:])
    return Format(text, tuple(piece for piece in pieces if piece))


def _checked(token: re.Match[str], field: str) -> tuple[str, str]:
    name, kind = token["name"], token["kind"]
    if name is None:
        message = _(
            "“{found}” is not a placeholder. Write “{example}” for a part of the date, “{percent}” for a percent sign."
        )
        raise PlaceholderError(
            message.format(found=token[0], example="%(year)s", percent="%%"),
            placeholder=token[0],
            field=field,
        )
    if name in PLACEHOLDERS and kind == "s":
        family = next(family for family in reversed(FAMILIES) if name.startswith(family))
        return family, name.removeprefix(family)
    near = difflib.get_close_matches(name, PLACEHOLDERS, n=1, cutoff=0.5)
    hint = _(" Did you mean “{placeholder}”?").format(placeholder=f"%({near[0]})s") if near else ""
    message = _("“{placeholder}” is not a known placeholder.").format(placeholder=token[0]) + hint
    raise PlaceholderError(message, placeholder=token[0], field=field)


def check_format(prefix: str, suffix: str) -> None:
    """Refuse a sequence whose prefix or suffix could not be rendered; called when it is saved."""
    compile_format(prefix, field="prefix")
    compile_format(suffix, field="suffix")


def render(
    number: int,
    *,
    prefix: str = "",
    suffix: str = "",
    padding: int = 0,
    on: date,
    range_start: date | None = None,
    now: datetime,
) -> str:
    """The document number for counter value ``number``.

    ``on`` is the document's date, ``range_start`` the first day of its range if the sequence has ranges, ``now`` the moment
    of drawing in the company's time zone.
    """
    moments = moments_for(on=on, range_start=range_start, now=now)
    head, tail = compile_format(prefix, field="prefix"), compile_format(suffix, field="suffix")
    return f"{head.render(moments)}{pad(number, padding)}{tail.render(moments)}"


def pad(number: int, padding: int) -> str:
    """The counter with leading zeros, its sign in front of them and not counted."""
    digits = str(abs(number)).rjust(padding, "0")
    return f"-{digits}" if number < 0 else digits


def moments_for(*, on: date, range_start: date | None, now: datetime) -> Moments:
    document = on if isinstance(on, datetime) else datetime.combine(on, now.time())
    start = document if range_start is None else datetime.combine(range_start, time.min)
    return Moments(document=document, range_start=start, current=now)
