"""Lock dates: which one binds a posting, and the date that an entry of a locked period moves to.

A lock date is inclusive: with a lock on 2026-03-31 the first open day is 2026-04-01. A company has one date a kind; the
hard one has no exceptions. An exception puts another date (or none) in place of one kind of lock, for one user or for
everybody, until a moment. A branch also obeys the locks of its parents: compute each company's own and take the
``strictest``.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Protocol

from apps.accounting.compute.numbering import CALENDAR, MonthDay, Reset, fiscal_year

Day = date  # under a name that fields called ``date`` do not hide
FISCAL = "fiscal"
TAX = "tax"
SALE = "sale"
PURCHASE = "purchase"
HARD = "hard"
KINDS = (FISCAL, TAX, SALE, PURCHASE, HARD)


class LockExceptionLike(Protocol):
    """What is needed of an exception; stored rows satisfy it."""

    @property
    def kind(self) -> str: ...
    @property
    def lock_date(self) -> date | None: ...
    @property
    def user_id(self) -> Any: ...
    @property
    def until(self) -> datetime: ...
    @property
    def revoked_at(self) -> datetime | None: ...


@dataclass(frozen=True, slots=True)
class Lock:
    """The lock that binds: everything up to ``date`` is closed by ``kind``; ``reopens`` is the first open day."""

    date: Day
    kind: str

    @property
    def reopens(self) -> Day:
        return self.date + timedelta(days=1)


def lock_kinds(journal_type: str, *, has_taxes: bool) -> tuple[str, ...]:
    """The locks that an entry of such a journal obeys."""
    kinds = [FISCAL, HARD]
    if has_taxes:
        kinds.append(TAX)
    if journal_type in (SALE, PURCHASE):
        kinds.append(journal_type)
    return tuple(kinds)


def binding_lock(
    locks: Mapping[str, date | None],
    exceptions: Iterable[LockExceptionLike],
    *,
    user: Any,
    now: datetime,
    kinds: Collection[str] = KINDS,
) -> Lock | None:
    """The latest of the lock dates of ``kinds``, each replaced by the most generous exception that holds for ``user``.

    ``user`` is the primary key of the acting user, None for the system, which only exceptions for everybody concern.
    Of two locks on one date the hard one is named, because no exception opens it. None when nothing is locked.
    """
    dates = {kind: locks.get(kind) for kind in kinds}
    for exception in exceptions:
        kind = exception.kind
        current = dates.get(kind)
        if kind == HARD or current is None or not _holds(exception, user=user, now=now):
            continue
        if exception.lock_date is None or exception.lock_date < current:
            dates[kind] = exception.lock_date
    return strictest(Lock(day, kind) for kind, day in dates.items() if day is not None)


def _holds(exception: LockExceptionLike, *, user: Any, now: datetime) -> bool:
    if exception.revoked_at is not None or exception.until <= now:
        return False
    return exception.user_id is None or (user is not None and exception.user_id == user)


def strictest(locks: Iterable[Lock | None]) -> Lock | None:
    """The latest of several locks, of a branch and its parents for instance."""
    return max(
        (lock for lock in locks if lock is not None),
        key=lambda lock: (lock.date, lock.kind == HARD),
        default=None,
    )


def effective_lock(
    locks: Mapping[str, date | None],
    exceptions: Iterable[LockExceptionLike],
    *,
    user: Any,
    now: datetime,
    kinds: Collection[str] = KINDS,
) -> date | None:
    """The date of the ``binding_lock``."""
    lock = binding_lock(locks, exceptions, user=user, now=now, kinds=kinds)
    return lock.date if lock else None


def shifted_date(
    day: date,
    lock: date | None,
    journal_type: str,
    reset: Reset,
    *,
    today: date,
    invoice_date: date | None = None,
    fiscal_year_end: MonthDay = CALENDAR,
) -> date:
    """The accounting date of an entry dated ``day``: ``day`` itself when open, else a day of the first open period.

    Sales move to the first open day and on to today, as far as the number series of that day reaches (``reset``): a
    series that never starts again keeps the first open day. All others take the first open day or their document's
    date, whichever is later, and move to the end of that month when it is over, else to today.

    The answer is always later than ``lock``, even when the lock lies in the future. ``fiscal_year_end`` is for series
    that count by fiscal year.
    """
    if lock is None or day > lock:
        return day
    first_open = lock + timedelta(days=1)
    if journal_type == SALE:
        if reset == "never":
            return first_open
        reach = fiscal_year(first_open, fiscal_year_end).end if reset == "year" else _month_end(first_open)
        return max(first_open, min(today, reach))
    base = max(first_open, invoice_date or first_open)
    return max(base, min(today, _month_end(base)))


def _month_end(day: date) -> date:
    return day.replace(day=monthrange(day.year, day.month)[1])
