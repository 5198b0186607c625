"""Whose books a report reads, in which currency, and where their fiscal years begin."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.utils.translation import gettext as _

from apps.accounting.compute.numbering import CALENDAR, MonthDay, fiscal_year
from apps.accounting.models import (
    Account,
    Journal,
    JournalItem,
    LedgerGroup,
    PartnerBalance,
    PeriodBalance,
)
from apps.accounting.selectors.company_tree import UP
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
    rows = _lines(wanted)
    currencies = {row[4] for row in rows if row[0] == row[1]}
    if len(currencies) > 1:
        text = _("Choose companies of one currency; their sums would mean nothing.")
        raise ValidationFailed(text, code="several_currencies", fields={"company": [text]})
    lines: dict[int, tuple[int, ...]] = {}
    year_ends = dict.fromkeys(wanted, CALENDAR)
    years: dict[int, tuple[Custom, ...]] = {}
    for company_pk, member, month, day, _currency, begins, ends in rows:
        lines[company_pk] = (*lines.get(company_pk, ()), member)
        if month is not None:  # the farthest parent with settings comes last: the tree has one fiscal year
            year_ends[company_pk] = (month, day)
        if begins:
            years[member] = tuple(zip(begins, ends, strict=True))
    if len(lines) < len(wanted):
        raise NotVisible()
    return Scope(
        company_pks=wanted,
        currency=Currency.objects.get(pk=currencies.pop()),
        lines=lines,
        year_ends=year_ends,
        years=years,
        left_out=_left_out(actor, ledger_group) if ledger_group else (),
    )


# Companies with those above them, nearest first, and what says when their fiscal years begin.
_LINES = f"""
{UP}
SELECT up.origin, up.id, s.fiscal_year_last_month, s.fiscal_year_last_day, up.currency_id,
       array(SELECT y.date_from FROM accounting_fiscalyear y WHERE y.company_id = up.id ORDER BY y.date_from),
       array(SELECT y.date_to FROM accounting_fiscalyear y WHERE y.company_id = up.id ORDER BY y.date_from)
FROM up LEFT JOIN accounting_accountingsettings s ON s.company_id = up.id
ORDER BY up.origin, up.depth
"""  # noqa: S608 - made of constants


def _lines(company_pks: tuple[int, ...]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(_LINES, [list(company_pks)])
        return cursor.fetchall()


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
