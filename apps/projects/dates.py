"""What day it is for somebody."""

from __future__ import annotations

import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.utils import timezone

from apps.core.actor import Actor


def zone_of(actor: Actor) -> datetime.tzinfo:
    """The actor's time zone; UTC when it is unknown to this system."""
    try:
        return ZoneInfo(actor.timezone)
    except (ZoneInfoNotFoundError, ValueError):
        return datetime.UTC


def today_of(actor: Actor) -> datetime.date:
    return timezone.now().astimezone(zone_of(actor)).date()
