"""What payments and matchings need beside the settings: journals, rates on many days, first open days."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.utils import timezone

from apps.access.models import Company
from apps.accounting.compute.locks import binding_lock, lock_kinds, shifted_date, strictest
from apps.accounting.constants import BANK_LIKE, JournalType
from apps.accounting.models import AccountingSettings, Journal, LockException
from apps.accounting.selectors.setup import company_line_of, default_journal, journals_of, settings_of_many
from apps.contacts.selectors.rates import MissingRate, rates_on_days
from apps.core.actor import Actor
from apps.core.models import Currency

OpenDayRequest = tuple[int, datetime.date, Journal, bool]  # company, day wanted, journal, has taxes


class Journals:
    """Journals by key, read when first asked for; for one call of a service."""

    def __init__(self) -> None:
        self._rows: dict[int, Journal] = {}
        self._general: dict[int | None, Journal] = {}

    def get(self, pk: int) -> Journal:
        if pk not in self._rows:
            self._rows[pk] = Journal.objects.get(pk=pk)
        return self._rows[pk]

    def general(self, settings: AccountingSettings) -> Journal:
        """The journal for entries made beside a document: the first general one that is not kept for side effects."""
        if settings.company_id not in self._general:
            special = {settings.exchange_journal_id, settings.cash_basis_journal_id}
            rows = journals_of(settings, JournalType.GENERAL)
            fitting = [row for row in rows if row.pk not in special] or rows
            if not fitting:
                default_journal(settings, JournalType.GENERAL)  # says what is missing
            self._general[settings.company_id] = fitting[0]
        return self._general[settings.company_id]


def bank_journal(settings: AccountingSettings) -> Journal:
    """The first journal that money goes through: bank before cash and cards."""
    rows = sorted(journals_of(settings, *sorted(BANK_LIKE)), key=lambda row: row.type != JournalType.BANK)
    if not rows:
        return default_journal(settings, JournalType.BANK)  # says what is missing
    return rows[0]


def today_of(actor: Actor) -> datetime.date:
    """Today where the actor is."""
    return timezone.localdate(timezone=ZoneInfo(actor.timezone or "UTC"))


def rates_between(
    wanted: Iterable[tuple[int, datetime.date]], company_pk: int
) -> dict[tuple[int, datetime.date], Decimal]:
    """Units of each currency for one of the company's, by (currency, day); those without a rate are missing."""
    asked = set(wanted)
    if not asked:
        return {}
    company = Company.objects.select_related("currency").get(pk=company_pk)
    currencies = Currency.objects.in_bulk({pk for pk, _day in asked})
    try:
        return rates_on_days([(currencies[pk], day) for pk, day in asked], company)
    except MissingRate:
        found: dict[tuple[int, datetime.date], Decimal] = {}
        for pk, day in asked:
            try:
                found |= rates_on_days([(currencies[pk], day)], company)
            except MissingRate:
                continue  # whoever asked goes on without a rate
        return found


def open_days(requests: Sequence[OpenDayRequest], *, actor: Actor) -> list[datetime.date]:
    """The accounting dates of entries that are made beside others: each its own day, or in a locked period the first open
    one by the rule of lock dates. Two statements, whatever the number."""
    if not requests:
        return []
    settings = settings_of_many({company for company, *_rest in requests})
    owners = {pk for row in settings.values() for pk in company_line_of(row)}
    locks = {
        row["company_id"]: {
            kind: row[f"{kind}_lock_date"] for kind in ("fiscal", "tax", "sale", "purchase", "hard")
        }
        for row in AccountingSettings.objects.filter(company__in=owners).values()
    }
    if not any(day for dates in locks.values() for day in dates.values()):
        return [day for _company, day, _journal, _taxed in requests]
    now = timezone.now()
    exceptions: dict[int, list[LockException]] = {}
    for row in LockException.objects.filter(company__in=owners, revoked_at__isnull=True, until__gt=now):
        exceptions.setdefault(row.company_id, []).append(row)
    today = today_of(actor)
    answer = []
    for company, day, journal, taxed in requests:
        binding = strictest(
            binding_lock(
                locks[owner],
                exceptions.get(owner, ()),
                user=actor.user_pk,
                now=now,
                kinds=lock_kinds(journal.type, has_taxes=taxed),
            )
            for owner in company_line_of(settings[company])
            if owner in locks
        )
        answer.append(
            shifted_date(day, binding.date if binding else None, journal.type, "month", today=today)
        )
    return answer

