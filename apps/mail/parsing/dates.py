"""Date headers, including the ones no standard knows."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_tz

_COMMENT = re.compile(r"\([^()]*\)")
_SPACED_COLON = re.compile(r"\s*:\s*")
_WEEKDAY = re.compile(r"^\s*[^\W\d_]+\.?,?\s+(?=[^\W\d_]|\d)")
_FORMATS = (
    "%B %d, %Y %I:%M %p",
    "%B %d, %Y %I:%M:%S %p",
    "%B %d, %Y %H:%M:%S",
    "%d %B %Y %H:%M:%S",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%m/%d/%Y %I:%M:%S %p",
)


def parse_date(text: str) -> datetime | None:
    """Aware UTC datetime of a Date header; a date without a zone counts as UTC; None when it makes no sense."""
    text = _SPACED_COLON.sub(":", _COMMENT.sub(" ", text[:200])).strip()
    if not text:
        return None
    moment = _from_iso(text) or _from_rfc(text) or _from_formats(text)
    if moment is None:
        return None
    try:
        moment = moment.astimezone(UTC)
    except OverflowError:
        return None
    # Year 1 to 1969 is a broken clock (zero timestamps shifted by a zone included), never a mail.
    return moment if 1970 <= moment.year <= 9998 else None


def _from_rfc(text: str) -> datetime | None:
    try:
        fields = parsedate_tz(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if fields is None:
        return None
    year, month, day, hour, minute, second = fields[:6]
    offset = fields[9] or 0
    try:
        local = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)
        return local - timedelta(seconds=offset if abs(offset) <= 86_400 else 0)
    except (ValueError, OverflowError):
        return None


def _from_iso(text: str) -> datetime | None:
    if not re.match(r"\d{4}-\d{2}-\d{2}", text):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _from_formats(text: str) -> datetime | None:
    for candidate in (text, _WEEKDAY.sub("", text)):
        for form in _FORMATS:
            try:
                return datetime.strptime(candidate, form).replace(tzinfo=UTC)
            except ValueError:
                continue
    return None
