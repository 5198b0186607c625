"""Whose books a report reads, in which currency, and where their fiscal years begin."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from django.utils.translation import gettext as _

from apps.accounting.compute.numbering import MonthDay, fiscal_year
from apps.accounting.models import (
    Account,
    FiscalYear,
    Journal,
    JournalItem,
    LedgerGroup,
    PartnerBalance,
    PeriodBalance,
)
from apps.accounting.selectors.setup import settings_of_many
from apps.core.actor import Actor
from apps.core.errors import NotVisible, PermissionDenied, ValidationFailed
from apps.core.models import Currency
from apps.core.rules import get_visible, visible

DAY = datetime.timedelta(days=1)
Custom = tuple[datetime.date, datetime.date]


@dataclass(frozen=True, slots=True)
class Scope:
    """Companies of one currency whose books are read together, as the actor may read them.

    ``left_out`` are journals of a ledger group: balances do not know journals, so their items are read and subtracted.
    """

    company_pks: tuple[int, ...]
    currency: Currency
    lines: Mapping[int, tuple[int, ...]]  # a company and its parents, nearest first
    year_ends: Mapping[int, MonthDay]
    years: Mapping[int, tuple[Custom, ...]]  # fiscal years that differ, by company
    left_out: tuple[int, ...] = ()

    def year_start(self, company_pk: int, day: datetime.date) -> datetime.date:
        """First day of the fiscal year of a company that holds ``day``: of a year of its own or a parent's, else of the
        usual one, which begins later when another one ended within it."""
        customs = next((self.years[pk] for pk in self.lines[company_pk] if self.years.get(pk)), ())
        start = fiscal_year(day, self.year_ends[company_pk]).start
        for begins, ends in customs:
            if begins <= day <= ends:
                return begins
            if start <= ends < day:
                start = ends + DAY
        return start

    def year_starts(self, day: datetime.date) -> dict[int, datetime.date]:
        return {pk: self.year_start(pk, day) for pk in self.company_pks}

    @property
    def tree(self) -> list[int]:
        """The companies and all above them, whose accounts they use."""
        return sorted({pk for line in self.lines.values() for pk in line})


def scope_of(
    actor: Actor, company_pks: Collection[int] | None = None, *, ledger_group: int | None = None
) -> Scope:
    """The scope of a report: the actor's companies, or some of them. Two queries, one more for a ledger group.

    Reading sums tells about every item, so the actor needs the right to view items and balances. Errors:
    ``PermissionDenied`` without it or for another company, ``ValidationFailed`` for companies of different currencies.
    """
    for model in (JournalItem, PeriodBalance, PartnerBalance):
        actor.require(model, "view")
    wanted = tuple(sorted(set(actor.company_pks if company_pks is None else company_pks)))
    if not wanted:
        raise ValidationFailed(fields={"company": [_("Choose a company.")]})
    if not actor.is_system and not set(wanted) <= set(actor.company_pks):
        raise PermissionDenied(_("You do not see the books of that company."))
    settings = settings_of_many(wanted)
    currencies = {row.company.currency_id for row in settings.values()}
    if len(currencies) > 1:
        text = _("Choose companies of one currency; their sums would mean nothing.")
        raise ValidationFailed(text, code="several_currencies", fields={"company": [text]})
    lines = {pk: tuple(row.line_pks) for pk, row in settings.items()}  # type: ignore[attr-defined]
    years: dict[int, tuple[Custom, ...]] = {}
    rows = FiscalYear.objects.filter(company__in={pk for line in lines.values() for pk in line})
    for company_pk, begins, ends in rows.order_by("date_from").values_list(
        "company_id", "date_from", "date_to"
    ):
        years[company_pk] = (*years.get(company_pk, ()), (begins, ends))
    return Scope(
        company_pks=wanted,
        currency=settings[wanted[0]].company.currency,
        lines=lines,
        year_ends={
            pk: (row.fiscal_year_last_month, row.fiscal_year_last_day) for pk, row in settings.items()
        },
        years=years,
        left_out=_left_out(actor, ledger_group) if ledger_group else (),
    )


def _left_out(actor: Actor, ledger_group: int) -> tuple[int, ...]:
    group = get_visible(LedgerGroup, ledger_group, actor)
    return tuple(
        visible(Journal, actor)
        .filter(pk__in=group.excluded_journals.values("pk"))
        .order_by("pk")
        .values_list("pk", flat=True)
    )


def account_of(scope: Scope, account_pk: int) -> Account:
    """An account that the companies of the scope use, else ``NotVisible``."""
    account = Account.objects.filter(pk=account_pk, company__in=scope.tree).first()
    if account is None:
        raise NotVisible()
    return account


def check_period(date_from: datetime.date, date_to: datetime.date) -> None:
    if date_from > date_to:
        raise ValidationFailed(fields={"date_to": [_("The period cannot end before it begins.")]})
