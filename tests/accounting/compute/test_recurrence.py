"""Dates of repeating documents keep the day of the first one."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.accounting.compute.recurrence import (
    Period,
    add_months,
    is_month_end,
    next_date,
    occurrence,
    occurrences,
)

days = st.dates(min_value=date(1990, 1, 1), max_value=date(2190, 12, 31))


@pytest.mark.parametrize(
    ("first", "period", "expected"),
    [
        ("2026-01-31", "monthly", ["2026-02-28", "2026-03-31", "2026-04-30"]),
        ("2024-01-31", "monthly", ["2024-02-29", "2024-03-31"]),
        ("2026-01-30", "monthly", ["2026-02-28", "2026-03-30", "2026-04-30"]),
        ("2026-02-28", "monthly", ["2026-03-31", "2026-04-30"]),
        ("2026-01-15", "monthly", ["2026-02-15", "2026-03-15"]),
        ("2026-11-30", "quarterly", ["2027-02-28", "2027-05-31", "2027-08-31"]),
        ("2026-11-29", "quarterly", ["2027-02-28", "2027-05-29"]),
        ("2024-02-29", "yearly", ["2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29"]),
        ("2025-12-31", "yearly", ["2026-12-31"]),
    ],
)
def test_chains(first: str, period: str, expected: list[str]) -> None:
    start = date.fromisoformat(first)

    chain = [occurrence(start, period, index + 1).isoformat() for index in range(len(expected))]
    stepped, current = [], start
    for _ in expected:
        current = next_date(current, period, first=start)
        stepped.append(current.isoformat())

    assert chain == expected
    assert stepped == expected


def test_month_end_is_kept_without_knowing_the_start() -> None:
    assert next_date(date(2026, 2, 28), Period.MONTHLY) == date(2026, 3, 31)
    assert next_date(date(2026, 2, 27), Period.MONTHLY) == date(2026, 3, 27)


def test_a_moved_copy_does_not_shift_the_chain() -> None:
    moved = date(2026, 3, 2)  # the one of 28 February, moved to Monday

    assert next_date(moved, Period.MONTHLY, first=date(2026, 1, 31)) == date(2026, 3, 31)


def test_dates_up_to_a_limit_include_it() -> None:
    found = list(occurrences(date(2026, 1, 31), Period.MONTHLY, until=date(2026, 4, 30)))

    assert found == [date(2026, 1, 31), date(2026, 2, 28), date(2026, 3, 31), date(2026, 4, 30)]


def test_an_unknown_period_is_refused() -> None:
    with pytest.raises(ValueError, match="fortnightly"):
        occurrence(date(2026, 1, 1), "fortnightly", 1)


@given(first=days, period=st.sampled_from(list(Period)), index=st.integers(0, 60))
def test_chains_rise_and_keep_the_day(first: date, period: Period, index: int) -> None:
    here, following = occurrence(first, period, index), occurrence(first, period, index + 1)

    assert following > here
    assert next_date(here, period, first=first) == following
    assert next_date(following - timedelta(days=1), period, first=first) == following
    assert here.day == first.day or is_month_end(here)
    assert not is_month_end(first) or is_month_end(here)


@given(day=days, months=st.integers(-240, 240))
def test_months_added_can_be_counted(day: date, months: int) -> None:
    moved = add_months(day, months)

    assert (moved.year - day.year) * 12 + moved.month - day.month == months
    assert moved.day == day.day or (moved.day < day.day and is_month_end(moved))
