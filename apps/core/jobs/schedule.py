"""When a scheduled job runs next.

A job runs every n minutes, hours, days, weeks or months, counted from an *anchor*: the moment of its first run, or the
one that somebody typed in last.

* Minutes and hours are lengths of time: every 6 hours is every 6 hours, across a change of the clocks too.
* Days, weeks and months are places in the calendar of the job's time zone: daily at 08:00 stays at 08:00 when the
  clocks change. A time that a change skips (02:30 in spring) happens as much later as the clocks jumped, that day only;
  one that happens twice (02:30 in autumn) counts once, at its first occurrence.
* Months keep the anchor's day: a job of the 30th runs on 28 February and on 30 March again. An anchor on the last day
  of its month means the last day of every month.

Runs that were missed while nothing was running collapse into one: the next call is the first moment of the grid after
now, however many lie between.
"""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo


class Unit(StrEnum):
    """The units of a job's interval; days and longer follow the calendar."""

    MINUTES = "minutes"
    HOURS = "hours"
    DAYS = "days"
    WEEKS = "weeks"
    MONTHS = "months"


_LENGTHS = {
    Unit.MINUTES: timedelta(minutes=1),
    Unit.HOURS: timedelta(hours=1),
    Unit.DAYS: timedelta(days=1),
    Unit.WEEKS: timedelta(weeks=1),
}
_ELAPSED = (Unit.MINUTES, Unit.HOURS)


def next_call(
    old_next: datetime,
    *,
    every: int,
    unit: Unit | str,
    now: datetime,
    tz: str | ZoneInfo = "UTC",
    anchor: datetime | None = None,
) -> datetime:
    """The first moment of the job's grid after ``now``, in UTC; ``old_next`` itself when that is still to come.

    ``anchor`` fixes the grid; without it ``old_next`` does. All arguments are aware datetimes. A job that lost its anchor
    can drift once (31 January → 28 February → 28 March was the 31st before), one with an anchor never does.

    Errors: ``ValueError`` for an interval below 1 or a naive datetime.
    """
    unit = Unit(unit)
    if every < 1:
        raise ValueError(f"A job's interval must be at least 1, not {every}.")
    start = anchor or old_next
    for moment in (old_next, now, start):
        if moment.utcoffset() is None:
            raise ValueError("Schedules are computed from aware datetimes.")
    if old_next > now:
        return old_next.astimezone(UTC)
    if unit in _ELAPSED:
        return _after_elapsed(start.astimezone(UTC), every * _LENGTHS[unit], now.astimezone(UTC))
    zone = tz if isinstance(tz, ZoneInfo) else ZoneInfo(tz)
    return _after_calendar(start.astimezone(zone), every, unit, now)


def first_call(now: datetime, *, at: str, tz: str | ZoneInfo = "UTC") -> datetime:
    """The first moment after ``now`` when clocks in ``tz`` show ``at`` (``08:00``); ``now`` itself for an empty ``at``."""
    if not at:
        return now.astimezone(UTC)
    zone = tz if isinstance(tz, ZoneInfo) else ZoneInfo(tz)
    hour, minute = (int(part) for part in at.split(":"))
    today = now.astimezone(zone).replace(hour=hour, minute=minute, second=0, microsecond=0, fold=0)
    yesterday = today - timedelta(days=1)
    return _after_calendar(yesterday, 1, Unit.DAYS, now)


def _after_elapsed(start: datetime, length: timedelta, now: datetime) -> datetime:
    steps = max(0, (now - start) // length + 1)
    return start + steps * length


def _after_calendar(start: datetime, every: int, unit: Unit, now: datetime) -> datetime:
    """``start`` is aware in the job's zone; candidates are its wall time moved by whole intervals."""
    local_now = now.astimezone(start.tzinfo)
    if unit is Unit.MONTHS:
        months = (local_now.year - start.year) * 12 + local_now.month - start.month
        step = max(0, months // every)
    else:
        step = max(0, (local_now.date() - start.date()) // (every * _LENGTHS[unit]))
    # The estimate is the last candidate on or before today; at most two steps lead past ``now``.
    while True:
        candidate = _shifted(start, step * every, unit).astimezone(UTC)
        if candidate > now:
            return candidate
        step += 1


def _shifted(start: datetime, count: int, unit: Unit) -> datetime:
    """``start`` moved by ``count`` units on the wall clock, first occurrence where that is ambiguous."""
    if unit is not Unit.MONTHS:
        return (start.replace(tzinfo=None) + count * _LENGTHS[unit]).replace(tzinfo=start.tzinfo, fold=0)
    years, month_index = divmod(start.month - 1 + count, 12)
    year, month = start.year + years, month_index + 1
    last = monthrange(year, month)[1]
    is_last_day = start.day == monthrange(start.year, start.month)[1]
    return start.replace(year=year, month=month, day=last if is_last_day else min(start.day, last), fold=0)
