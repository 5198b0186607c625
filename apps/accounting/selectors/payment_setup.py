"""What payments and matchings need beside the settings: journals, and rates on many days."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from decimal import Decimal

from apps.access.models import Company
from apps.accounting.constants import BANK_LIKE, JournalType
from apps.accounting.models import AccountingSettings, Journal
from apps.accounting.selectors.setup import default_journal, journals_of
from apps.contacts.selectors.rates import known_rates_on_days
from apps.core.models import Currency


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


def rates_between(
    wanted: Iterable[tuple[int, datetime.date]], company_pk: int
) -> dict[tuple[int, datetime.date], Decimal]:
    """Units of each currency for one of the company's, by (currency, day); those without a rate are missing."""
    asked = set(wanted)
    if not asked:
        return {}
    company = Company.objects.select_related("currency").get(pk=company_pk)
    currencies = Currency.objects.in_bulk({pk for pk, _day in asked})
    return known_rates_on_days([(currencies[pk], day) for pk, day in asked], company)
