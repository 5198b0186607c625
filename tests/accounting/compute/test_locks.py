"""Lock dates: the one that binds, and where entries of a closed period go."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.accounting.compute.locks import (
    KINDS,
    Lock,
    binding_lock,
    effective_lock,
    lock_kinds,
    shifted_date,
    strictest,
)

NOW = datetime(2026, 6, 10, 12, tzinfo=UTC)
MARCH, JUNE = date(2026, 3, 31), date(2026, 6, 30)
ANNA, BEN = 1, 2
days = st.dates(min_value=date(2020, 1, 1), max_value=date(2032, 12, 31))


@dataclass
class Leave:
    kind: str = "fiscal"
    lock_date: date | None = None
    user_id: int | None = ANNA
    until: datetime = NOW + timedelta(hours=1)
    revoked_at: datetime | None = None


@pytest.mark.parametrize(
    ("_case", "locks", "kinds", "expected"),
    [
        ("nothing is locked", {}, KINDS, None),
        ("the latest counts", {"fiscal": MARCH, "tax": JUNE}, KINDS, JUNE),
        ("of the kinds that apply", {"fiscal": MARCH, "tax": JUNE}, ("fiscal", "hard"), MARCH),
        ("the hard one too", {"fiscal": None, "hard": JUNE}, ("fiscal", "hard"), JUNE),
    ],
)
def test_the_latest_lock_that_applies_binds(
    _case: str, locks: dict[str, date | None], kinds: tuple[str, ...], expected: date | None
) -> None:
    assert effective_lock(locks, [], user=ANNA, now=NOW, kinds=kinds) == expected


@pytest.mark.parametrize(
    ("_case", "leave", "user", "expected"),
    [
        ("the user's own", Leave(), ANNA, None),
        ("of somebody else", Leave(), BEN, MARCH),
        ("for the system", Leave(), None, MARCH),
        ("for everybody", Leave(user_id=None), None, None),
        ("an earlier date", Leave(lock_date=date(2026, 2, 28)), ANNA, date(2026, 2, 28)),
        ("a later date opens nothing", Leave(lock_date=JUNE), ANNA, MARCH),
        ("over", Leave(until=NOW), ANNA, MARCH),
        ("revoked", Leave(revoked_at=NOW), ANNA, MARCH),
        ("of another lock", Leave(kind="sale"), ANNA, MARCH),
    ],
)
def test_exceptions(_case: str, leave: Leave, user: int | None, expected: date | None) -> None:
    assert effective_lock({"fiscal": MARCH}, [leave], user=user, now=NOW) == expected


def test_the_hard_lock_has_no_exceptions() -> None:
    lock = binding_lock(
        {"fiscal": JUNE, "hard": MARCH}, [Leave(), Leave(kind="hard", user_id=None)], user=ANNA, now=NOW
    )

    assert lock == Lock(MARCH, "hard")
    assert lock.reopens == date(2026, 4, 1)


def test_the_most_generous_of_several_exceptions_counts() -> None:
    leaves = [Leave(lock_date=date(2026, 1, 31)), Leave(lock_date=date(2025, 12, 31)), Leave(lock_date=MARCH)]

    assert effective_lock({"fiscal": MARCH}, leaves, user=ANNA, now=NOW) == date(2025, 12, 31)


def test_a_branch_obeys_its_parents_too() -> None:
    own, parent = Lock(MARCH, "fiscal"), Lock(MARCH, "hard")

    assert strictest([own, None, parent]) == parent
    assert strictest([Lock(JUNE, "sale"), parent]) == Lock(JUNE, "sale")
    assert strictest([None]) is None


def test_journals_obey_the_locks_of_their_kind() -> None:
    assert set(lock_kinds("sale", has_taxes=True)) == {"fiscal", "hard", "tax", "sale"}
    assert set(lock_kinds("purchase", has_taxes=False)) == {"fiscal", "hard", "purchase"}
    assert set(lock_kinds("bank", has_taxes=False)) == {"fiscal", "hard"}


@pytest.mark.parametrize(
    ("journal", "reset", "today", "invoice_date", "expected"),
    [
        # sales: the first open day, then on to today within month or year of the series
        ("sale", "month", "2026-04-10", None, "2026-04-10"),
        ("sale", "month", "2026-06-10", None, "2026-04-30"),
        ("sale", "year", "2026-06-10", None, "2026-06-10"),
        ("sale", "year", "2027-02-01", None, "2026-12-31"),
        ("sale", "never", "2026-06-10", None, "2026-04-01"),
        ("sale", "month", "2026-03-20", None, "2026-04-01"),
        # others: end of the month when it is over, else today or the document's date
        ("purchase", "month", "2026-04-10", None, "2026-04-10"),
        ("purchase", "month", "2026-06-10", None, "2026-04-30"),
        ("purchase", "month", "2026-06-10", "2026-05-07", "2026-05-31"),
        ("purchase", "month", "2026-06-10", "2026-06-15", "2026-06-15"),
        ("purchase", "month", "2026-06-10", "2026-01-05", "2026-04-30"),
        ("general", "month", "2026-06-10", None, "2026-04-30"),
        ("general", "month", "2026-03-20", None, "2026-04-01"),
    ],
)
def test_a_date_in_a_closed_period_moves(
    journal: str, reset: str, today: str, invoice_date: str | None, expected: str
) -> None:
    moved = shifted_date(
        date(2026, 3, 15),
        MARCH,
        journal,
        reset,
        today=date.fromisoformat(today),
        invoice_date=date.fromisoformat(invoice_date) if invoice_date else None,
    )

    assert moved.isoformat() == expected


def test_a_series_by_fiscal_year_reaches_to_its_end() -> None:
    moved = shifted_date(
        date(2026, 3, 15), MARCH, "sale", "year", today=date(2026, 9, 1), fiscal_year_end=(6, 30)
    )

    assert moved == date(2026, 6, 30)


def test_an_open_date_stays() -> None:
    assert shifted_date(date(2026, 4, 1), MARCH, "sale", "month", today=JUNE) == date(2026, 4, 1)
    assert shifted_date(date(2020, 4, 1), None, "general", "month", today=JUNE) == date(2020, 4, 1)


@given(
    day=days,
    lock=days,
    journal=st.sampled_from(["sale", "purchase", "general", "bank"]),
    reset=st.sampled_from(["month", "year", "never"]),
    today=days,
    invoice_date=st.none() | days,
)
def test_the_answer_is_always_open(
    day: date, lock: date, journal: str, reset: str, today: date, invoice_date: date | None
) -> None:
    moved = shifted_date(day, lock, journal, reset, today=today, invoice_date=invoice_date)

    assert moved > lock
    assert moved == day or day <= lock
    assert shifted_date(moved, lock, journal, reset, today=today, invoice_date=invoice_date) == moved
    if day <= lock and today > lock and invoice_date is None:
        assert moved <= today
