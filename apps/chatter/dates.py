"""Dates of activities: pure calendar arithmetic."""

from __future__ import annotations

import datetime
from calendar import monthrange
from zoneinfo import ZoneInfo

from django.utils import timezone

from apps.chatter.constants import DelayUnit


def today_in(zone: str, *, now: datetime.datetime | None = None) -> datetime.date:
    """The date that a calendar in ``zone`` shows."""
    return (now or timezone.now()).astimezone(ZoneInfo(zone)).date()


def shift(day: datetime.date, count: int, unit: str) -> datetime.date:
    """``count`` days, weeks or months after ``day`` (before it when negative). Months keep the day where there is
    one, else take the month's last: a month before 31 May is 30 April."""
    if unit == DelayUnit.DAYS:
        return day + datetime.timedelta(days=count)
    if unit == DelayUnit.WEEKS:
        return day + datetime.timedelta(weeks=count)
    years, month_index = divmod(day.month - 1 + count, 12)
    year, month = day.year + years, month_index + 1
    return day.replace(year=year, month=month, day=min(day.day, monthrange(year, month)[1]))


def snoozed(deadline: datetime.date, today: datetime.date, days: int) -> datetime.date:
    """A later deadline: ``days`` from today for what is overdue, else from the old deadline."""
    return max(deadline, today) + datetime.timedelta(days=days)
