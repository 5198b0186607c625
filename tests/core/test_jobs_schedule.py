"""When a job runs next: clock changes, ends of months, missed runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.jobs.schedule import Unit, first_call, next_call

BRUSSELS = "Europe/Brussels"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def walk(start: str, count: int, **interval: object) -> list[str]:
    """The next ``count`` calls of a job that is never late."""
    moment = anchor = utc(start)
    found = []
    for _ in range(count):
        moment = next_call(moment, now=moment, anchor=anchor, **interval)  # type: ignore[arg-type]
        found.append(moment.strftime("%Y-%m-%d %H:%M"))
    return found


def test_daily_at_eight_stays_at_eight_when_summer_time_begins() -> None:
    """08:00 in Brussels is 07:00 UTC on 28 March 2026 and 06:00 UTC from the 29th."""
    assert walk("2026-03-27T07:00", 3, every=1, unit="days", tz=BRUSSELS) == [
        "2026-03-28 07:00",
        "2026-03-29 06:00",
        "2026-03-30 06:00",
    ]


def test_daily_at_eight_stays_at_eight_when_summer_time_ends() -> None:
    assert walk("2026-10-24T06:00", 2, every=1, unit="days", tz=BRUSSELS) == [
        "2026-10-25 07:00",
        "2026-10-26 07:00",
    ]


def test_a_time_that_the_change_skips_moves_that_day_only() -> None:
    """02:30 does not exist on 29 March: it runs at 03:30 then, and at 02:30 again afterwards."""
    assert walk("2026-03-27T01:30", 3, every=1, unit="days", tz=BRUSSELS) == [
        "2026-03-28 01:30",
        "2026-03-29 01:30",
        "2026-03-30 00:30",
    ]


def test_a_time_that_happens_twice_counts_once() -> None:
    assert walk("2026-10-24T00:30", 2, every=1, unit="days", tz=BRUSSELS) == [
        "2026-10-25 00:30",
        "2026-10-26 01:30",
    ]


def test_hours_are_lengths_of_time() -> None:
    assert walk("2026-03-28T23:00", 3, every=1, unit="hours", tz=BRUSSELS) == [
        "2026-03-29 00:00",
        "2026-03-29 01:00",
        "2026-03-29 02:00",
    ]
    assert walk("2026-10-24T22:00", 3, every=2, unit="hours", tz=BRUSSELS) == [
        "2026-10-25 00:00",
        "2026-10-25 02:00",
        "2026-10-25 04:00",
    ]


@pytest.mark.parametrize(
    ("_case", "start", "every", "expected"),
    [
        ("last day stays last", "2026-01-31", 1, ["2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31"]),
        ("a short month's last day is the last day", "2026-02-28", 1, ["2026-03-31", "2026-04-30"]),
        ("the 30th comes back after February", "2026-01-30", 1, ["2026-02-28", "2026-03-30", "2026-04-30"]),
        ("leap day", "2028-01-29", 1, ["2028-02-29", "2028-03-29"]),
        ("quarterly", "2026-11-30", 3, ["2027-02-28", "2027-05-31", "2027-08-31"]),
        ("yearly", "2026-07-15", 12, ["2027-07-15", "2028-07-15"]),
    ],
)
def test_months(_case: str, start: str, every: int, expected: list[str]) -> None:
    found = walk(f"{start}T12:00", len(expected), every=every, unit="months", tz=BRUSSELS)

    assert [text[:10] for text in found] == expected


def test_the_month_is_the_one_of_the_zone() -> None:
    """00:30 on the 1st in Brussels is still the last day of the month before in UTC."""
    assert walk("2026-05-31T22:30", 2, every=1, unit="months", tz=BRUSSELS) == [
        "2026-06-30 22:30",
        "2026-07-31 22:30",
    ]


def test_without_an_anchor_the_last_day_still_stays_last() -> None:
    february = utc("2026-02-28T12:00")

    assert next_call(february, every=1, unit="months", now=february, tz="UTC") == utc("2026-03-31T12:00")


@pytest.mark.parametrize(
    ("every", "unit", "now", "expected"),
    [
        (5, "minutes", "2026-03-10T12:02", "2026-03-10T12:05"),
        (5, "minutes", "2026-03-10T12:05", "2026-03-10T12:10"),
        (6, "hours", "2026-03-10T13:00", "2026-03-10T14:00"),
        (1, "days", "2026-03-10T12:00", "2026-03-11T08:00"),
        (1, "days", "2026-03-10T07:59", "2026-03-10T08:00"),
        (2, "weeks", "2026-03-10T12:00", "2026-03-16T08:00"),
        (1, "months", "2026-03-10T12:00", "2026-04-02T08:00"),
    ],
)
def test_missed_runs_collapse_into_the_next_one(every: int, unit: str, now: str, expected: str) -> None:
    long_ago = utc("2026-02-02T08:00")

    assert next_call(long_ago, every=every, unit=unit, now=utc(now)) == utc(expected)


def test_a_call_still_to_come_is_kept() -> None:
    """An extra run before its time does not move the plan."""
    planned = utc("2026-03-10T08:00")

    assert next_call(planned, every=1, unit="days", now=utc("2026-03-09T23:00"), tz=BRUSSELS) == planned


@pytest.mark.parametrize("every", [0, -1])
def test_intervals_are_positive(every: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        next_call(utc("2026-01-01"), every=every, unit="days", now=utc("2026-01-01"))


def test_naive_moments_and_unknown_units_are_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        next_call(datetime(2026, 1, 1), every=1, unit="days", now=utc("2026-01-01"))
    with pytest.raises(ValueError, match="years"):
        next_call(utc("2026-01-01"), every=1, unit="years", now=utc("2026-01-01"))


moments = st.datetimes(datetime(2000, 1, 1), datetime(2060, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))


@given(
    start=moments,
    delay=st.timedeltas(timedelta(0), timedelta(days=4000)),
    every=st.integers(1, 40),
    unit=st.sampled_from(list(Unit)),
    zone=st.sampled_from([BRUSSELS, "UTC", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
)
def test_the_next_call_is_the_first_of_the_grid_after_now(
    start: datetime, delay: timedelta, every: int, unit: Unit, zone: str
) -> None:
    now = start + delay

    found = next_call(start, every=every, unit=unit, now=now, tz=zone)
    following = next_call(found, every=every, unit=unit, now=found, tz=zone, anchor=start)
    again = next_call(start, every=every, unit=unit, now=found - timedelta(microseconds=1), tz=zone)

    assert found > now
    assert again == found, "nothing of the grid lies between now and the next call"
    assert following > found
    if unit not in (Unit.MINUTES, Unit.HOURS):
        wall, local = start.astimezone(ZoneInfo(zone)), found.astimezone(ZoneInfo(zone))
        jump = abs((local.hour * 60 + local.minute) - (wall.hour * 60 + wall.minute))
        assert min(jump, 1440 - jump) in (0, 30, 60), "the wall time only moves where the clocks skip it"


@pytest.mark.parametrize(
    ("now", "at", "expected"),
    [
        ("2026-03-28T06:00", "08:00", "2026-03-28T07:00"),
        ("2026-03-28T07:00", "08:00", "2026-03-29T06:00"),
        ("2026-03-28T09:00", "08:00", "2026-03-29T06:00"),
        ("2026-03-28T09:00", "", "2026-03-28T09:00"),
    ],
)
def test_first_call(now: str, at: str, expected: str) -> None:
    assert first_call(utc(now), at=at, tz=BRUSSELS) == utc(expected)
