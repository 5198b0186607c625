"""Lock dates as they bind somebody now: which one closes a day, who set it and why, and the next open day.

A branch also obeys the locks of its parents. An exception puts another date, or none, in place of one soft lock, for one user
or everybody. The rules themselves are ``compute.locks``; PostgreSQL checks every posting by the same rules at commit.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from apps.accounting.compute.locks import KINDS, Lock, binding_lock, lock_kinds, shifted_date, strictest
from apps.accounting.compute.numbering import CALENDAR, MonthDay, Reset, detect
from apps.accounting.constants import BANK_LIKE, JournalType, LockKind, SeriesKind
from apps.accounting.models import AccountingSettings, Journal, JournalEntry, LockException, NumberSeries
from apps.accounting.selectors.company_tree import UP
from apps.core.actor import Actor

# A company and those above it, nearest first, with their lock dates.
_LINES = f"""
{UP}
SELECT up.origin, up.id, s.fiscal_lock_date, s.tax_lock_date, s.sale_lock_date, s.purchase_lock_date, s.hard_lock_date,
       s.fiscal_year_last_month, s.fiscal_year_last_day
FROM up LEFT JOIN accounting_accountingsettings s ON s.company_id = up.id ORDER BY up.origin, up.depth
"""  # noqa: S608 - made of constants


@dataclass(frozen=True, slots=True)
class CompanyLock:
    """The lock that closes a day for somebody, and the company that set it."""

    lock: Lock
    company_pk: int


@dataclass(frozen=True, slots=True)
class OpenDateRequest:
    """An entry whose accounting date is asked for: the day wanted and what decides over it."""

    company_pk: int
    date: datetime.date
    journal_type: str
    taxed: bool = False
    invoice_date: datetime.date | None = None
    reset: Reset = "month"


@dataclass(frozen=True, slots=True)
class LockExplanation:
    """Why a day is closed. ``text`` is for people; ``reopens`` the date that an entry would move to."""

    kind: str
    date: datetime.date
    company_pk: int
    company_name: str
    set_by: str
    set_at: datetime.datetime | None
    reason: str
    reopens: datetime.date
    text: str


@dataclass(slots=True)
class LockBook:
    """The locks of some companies as they bind one actor at one moment. Get it from ``read_locks``."""

    user_pk: Any
    now: datetime.datetime
    today: datetime.date
    lines: dict[int, list[int]] = field(default_factory=dict)
    dates: dict[int, dict[str, datetime.date | None]] = field(default_factory=dict)
    year_ends: dict[int, MonthDay] = field(default_factory=dict)
    exceptions: dict[int, list[LockException]] = field(default_factory=dict)

    def binding(
        self, company_pk: int, kinds: Collection[str] = KINDS, *, without_exceptions: bool = False
    ) -> CompanyLock | None:
        """The latest lock of these kinds in the company's line."""
        found = {
            owner: binding_lock(
                self.dates[owner],
                () if without_exceptions else self.exceptions.get(owner, ()),
                user=self.user_pk,
                now=self.now,
                kinds=kinds,
            )
            for owner in self.lines[company_pk]
            if owner in self.dates
        }
        last = strictest(found.values())
        if last is None:
            return None
        return CompanyLock(last, next(owner for owner, lock in found.items() if lock == last))

    def closing(
        self, company_pk: int, date: datetime.date, journal_type: str, *, taxed: bool
    ) -> CompanyLock | None:
        """The lock that keeps an entry out of its date, or ``None`` when the day is open."""
        bound = self.binding(company_pk, lock_kinds(journal_type, has_taxes=taxed))
        return bound if bound is not None and date <= bound.lock.date else None

    def open_date(self, wanted: OpenDateRequest) -> datetime.date:
        """The accounting date of an entry: its own, or the first open one by the rule for its kind of journal."""
        bound = self.binding(wanted.company_pk, lock_kinds(wanted.journal_type, has_taxes=wanted.taxed))
        return shifted_date(
            wanted.date,
            bound.lock.date if bound else None,
            wanted.journal_type,
            wanted.reset,
            today=self.today,
            invoice_date=wanted.invoice_date,
            fiscal_year_end=self.year_ends.get(wanted.company_pk, CALENDAR),
        )


def today_of(actor: Actor) -> datetime.date:
    """Today where the actor is."""
    return timezone.localdate(timezone=ZoneInfo(actor.timezone or "UTC"))


def read_locks(
    company_pks: Iterable[int],
    *,
    actor: Actor,
    today: datetime.date | None = None,
    now: datetime.datetime | None = None,
) -> LockBook:
    """The locks of these companies and of those above them. One statement, two when something is locked."""
    book = LockBook(actor.user_pk, now or timezone.now(), today or today_of(actor))
    with connection.cursor() as cursor:
        cursor.execute(_LINES, [sorted(set(company_pks))])
        rows = cursor.fetchall()
    for origin, owner, *dates, month, day in rows:
        book.lines.setdefault(origin, []).append(owner)
        if month is None:
            continue
        # the order of the columns in ``_LINES`` is that of KINDS
        book.dates[owner] = dict(zip(KINDS, dates, strict=True))
        book.year_ends[origin] = (month, day)  # the last one is the root's, which the whole tree shares
    locked = [owner for owner, dates in book.dates.items() if any(dates.values())]
    if locked:
        for row in LockException.objects.filter(
            company__in=locked, revoked_at__isnull=True, until__gt=book.now
        ).order_by("pk"):
            book.exceptions.setdefault(row.company_id, []).append(row)
    return book


def effective_locks(company_pk: int, *, actor: Actor) -> dict[str, CompanyLock]:
    """The date up to which each kind of lock binds the actor in a company; kinds without a lock are missing."""
    book = read_locks([company_pk], actor=actor)
    found = {kind: book.binding(company_pk, (kind,)) for kind in KINDS}
    return {kind: bound for kind, bound in found.items() if bound is not None}


def open_date(
    company_pk: int,
    date: datetime.date,
    journal_type: str,
    *,
    actor: Actor,
    taxed: bool = False,
    invoice_date: datetime.date | None = None,
    series_reset: Reset = "month",
    today: datetime.date | None = None,
) -> datetime.date:
    """The accounting date of one entry; ``open_dates`` for many."""
    wanted = OpenDateRequest(company_pk, date, journal_type, taxed, invoice_date, series_reset)
    return open_dates([wanted], actor=actor, today=today)[0]


def open_dates(
    wanted: Collection[OpenDateRequest], *, actor: Actor, today: datetime.date | None = None
) -> list[datetime.date]:
    """The accounting dates of entries, in their order. Two statements at most, whatever the number."""
    if not wanted:
        return []
    book = read_locks({request.company_pk for request in wanted}, actor=actor, today=today)
    return [book.open_date(request) for request in wanted]


def resets_of(
    journals: Iterable[Journal], *, kind: str = SeriesKind.ENTRY.value, fiscal_year_end: MonthDay = CALENDAR
) -> dict[int, Reset]:
    """When the numbers of each journal start again, as its latest series shows; one statement."""
    rows = {journal.pk: journal for journal in journals}
    usual: dict[int, Reset] = {
        pk: "year" if journal.type == JournalType.SALE or journal.type in BANK_LIKE else "month"
        for pk, journal in rows.items()
    }
    latest = (
        NumberSeries.objects.filter(journal__in=rows, kind=kind)
        .order_by("journal_id", "-pk")
        .distinct("journal_id")
    )
    for series in latest:
        text = f"{series.prefix}{series.first_number:0{series.padding}d}{series.suffix}"
        usual[series.journal_id] = detect(text, fiscal_year_end=fiscal_year_end).reset
    return usual


def explain_lock(
    company_pk: int,
    date: datetime.date,
    journal_type: str,
    *,
    actor: Actor,
    taxed: bool = False,
    invoice_date: datetime.date | None = None,
    series_reset: Reset = "month",
    today: datetime.date | None = None,
) -> LockExplanation | None:
    """Which lock closes a day, who set it when and why, and where an entry would go; ``None`` when the day is open."""
    book = read_locks([company_pk], actor=actor, today=today)
    closed = book.closing(company_pk, date, journal_type, taxed=taxed)
    if closed is None:
        return None
    kind, owner = closed.lock.kind, closed.company_pk
    settings = AccountingSettings.objects.select_related("company").get(company=owner)
    note = settings.lock_notes.get(kind, {})
    reopens = book.open_date(
        OpenDateRequest(company_pk, date, journal_type, taxed, invoice_date, series_reset)
    )
    text = _("%(company)s: entries up to %(date)s are locked (%(kind)s).") % {
        "company": settings.company.name,
        "date": closed.lock.date.isoformat(),
        "kind": LockKind(kind).label,
    }
    if note.get("name"):
        text += " " + _("Set by %(name)s: %(reason)s.") % {
            "name": note["name"],
            "reason": note.get("reason") or _("no reason given"),
        }
    text += " " + _("The next open date is %(date)s.") % {"date": reopens.isoformat()}
    return LockExplanation(
        kind=kind,
        date=closed.lock.date,
        company_pk=owner,
        company_name=settings.company.name,
        set_by=note.get("name", ""),
        set_at=parse_datetime(note["at"]) if note.get("at") else None,
        reason=note.get("reason", ""),
        reopens=reopens,
        text=text,
    )


def entry_is_taxed(entry_pks: Collection[int]) -> set[int]:
    """Those of the entries that the tax return sees: an item with taxes, of a tax, or with a box."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT entry_id FROM accounting_journalitem WHERE entry_id = ANY(%s) "
            "AND (tax_id IS NOT NULL OR tax_pks <> '{}' OR tag_pks <> '{}')",
            [list(entry_pks)],
        )
        return {row[0] for row in cursor.fetchall()}


def draft_entries_up_to(company_pks: Collection[int], date: datetime.date) -> list[JournalEntry]:
    """Drafts that a lock on ``date`` would catch, oldest first."""
    rows = JournalEntry.objects.draft().filter(company__in=company_pks, date__lte=date)
    return list(rows.select_related("journal").order_by("date", "pk"))
