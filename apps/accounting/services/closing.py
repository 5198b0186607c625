"""Closing a fiscal year, and moving amounts between periods or accounts.

A year needs no closing entry: reports let income and expenses start at zero and show what earlier years earned as
unallocated. Closing locks the year, and may post the allocation of that result from *current year earnings* to equity.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from decimal import Decimal

from django.db.models import F, Sum
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.access.models import Company
from apps.accounting.constants import EntryOrigin, EntryState, JournalType
from apps.accounting.models import (
    Account,
    AccountingSettings,
    FiscalYear,
    Invoice,
    Journal,
    JournalEntry,
    JournalItem,
    PeriodBalance,
    StatementLine,
)
from apps.accounting.selectors.setup import default_journal, settings_of
from apps.accounting.services.ledger import EntrySpec, ItemSpec, post_entries
from apps.accounting.services.opening import unaffected_account
from apps.core.actions import action
from apps.core.actor import Actor
from apps.core.errors import Conflict, ValidationFailed
from apps.core.money import exact, round_money

ZERO = Decimal(0)
MAX_PERCENT = Decimal(100)


# ------------------------------------------------------------------------------------------------------- year end
def result_of(company_pk: int, date_from: datetime.date, date_to: datetime.date) -> Decimal:
    """Income less expenses of a period, positive for a gain. Reads month balances; both dates are month ends."""
    found = PeriodBalance.objects.filter(
        company=company_pk, account__in=Account.objects.of_result(), month__range=(date_from, date_to)
    ).aggregate(net=Sum(F("credit") - F("debit")))
    return found["net"] or ZERO


def closing_findings(company_pk: int, on: datetime.date) -> list[str]:
    """What stands against closing up to a day: drafts, unreconciled movements; empty when nothing does."""
    findings = []
    drafts = JournalEntry.objects.filter(company=company_pk, state=EntryState.DRAFT, date__lte=on).count()
    if drafts:
        findings.append(_("%(n)d draft entries are dated in the period.") % {"n": drafts})
    documents = Invoice.objects.filter(company=company_pk, state=EntryState.DRAFT, date__lte=on).count()
    if documents:
        findings.append(_("%(n)d draft documents are dated in the period.") % {"n": documents})
    movements = StatementLine.objects.filter(company=company_pk, reconciled=False, date__lte=on).count()
    if movements:
        findings.append(_("%(n)d bank movements are not reconciled.") % {"n": movements})
    return findings


@action(FiscalYear, permission="close", title=_("Close the year"), bulk=False)
def close_year(
    years: Sequence[FiscalYear],
    *,
    actor: Actor,
    allocate_to: Account | None = None,
    force: bool = False,
) -> dict[str, object]:
    """Lock a fiscal year and, with ``allocate_to``, move its result there from *current year earnings*.

    Refused while drafts or unreconciled movements are dated in it, unless ``force``. Years close in order.
    """
    year = years[0]
    if year.closed_at is not None:
        raise Conflict(_("%(year)s is closed already.") % {"year": year.name})
    earlier = FiscalYear.objects.filter(
        company=year.company_id, date_to__lt=year.date_from, closed_at__isnull=True
    ).first()
    if earlier is not None:
        raise Conflict(_("Close %(year)s first.") % {"year": earlier.name})
    findings = closing_findings(year.company_id, year.date_to)
    if findings and not force:
        raise Conflict(" ".join(findings), code="not_ready")
    effective = settings_of(year.company_id)
    company = effective.company
    result = round_money(_result_by_items(year), company.currency)
    entry_pk = None
    if allocate_to is not None and result:
        currency = company.currency_id
        entry = post_entries(
            [
                EntrySpec(
                    journal=default_journal(effective, JournalType.GENERAL),
                    date=year.date_to,
                    items=[
                        ItemSpec(unaffected_account(company.pk).pk, result, currency, result, name=year.name),
                        ItemSpec(allocate_to.pk, -result, currency, -result, name=year.name),
                    ],
                    company_pk=company.pk,
                    currency_pk=currency,
                    origin=EntryOrigin.CLOSING.value,
                    reference=_("Result of %(year)s") % {"year": year.name},
                )
            ],
            actor=actor,
        )[0]
        entry_pk = entry.pk
    year.closed_at = timezone.now()
    year.save(update_fields=["closed_at"])
    AccountingSettings.objects.filter(company=year.company_id).exclude(
        fiscal_lock_date__gte=year.date_to
    ).update(fiscal_lock_date=year.date_to)
    return {"entry": entry_pk, "result": str(result), "findings": findings}


def _result_by_items(year: FiscalYear) -> Decimal:
    """The result of a year; by month balances where it is made of whole months, else by its items."""
    next_day = year.date_to + datetime.timedelta(days=1)
    if year.date_from.day == 1 and next_day.day == 1:
        return result_of(year.company_id, year.date_from, year.date_to)
    found = (
        JournalItem.objects.posted()
        .filter(
            company=year.company_id,
            account__in=Account.objects.of_result(),
            date__range=(year.date_from, year.date_to),
        )
        .aggregate(net=Sum(F("credit") - F("debit")))
    )
    return found["net"] or ZERO


# ------------------------------------------------------------------------------------------------ automatic entries
@action(JournalItem, permission="reconcile", title=_("Move to another period"), bulk=True)
def change_period(
    items: Sequence[JournalItem],
    *,
    actor: Actor,
    date: datetime.date,
    accrual_account: Account,
    percent: str = "100",
    journal: Journal | None = None,
) -> list[int]:
    """Move a share of income or expense items to another day, through an accrual account.

    Two entries an original day: one there that takes the share out, one on ``date`` that books it. Answers their ids.
    """
    company_pk = _one_company(items)
    effective = settings_of(company_pk)
    share = _percent(percent)
    book = journal or default_journal(effective, JournalType.GENERAL)
    moved: dict[datetime.date, list[tuple[JournalItem, Decimal]]] = {}
    for item in items:
        if not item.posted:
            raise ValidationFailed(_("Only posted items can be moved."))
        amount = round_money((item.debit - item.credit) * share / MAX_PERCENT, effective.company.currency)
        if amount:
            moved.setdefault(item.date, []).append((item, amount))
    if not moved:
        raise ValidationFailed(_("There is nothing to move."))
    specs = []
    for day, rows in sorted(moved.items()):
        label = _("Moved from %(day)s to %(date)s") % {"day": day.isoformat(), "date": date.isoformat()}
        for when, sign in ((day, -1), (date, 1)):
            lines = [_line(item, sign * amount, effective.company, name=label) for item, amount in rows]
            total = sum((line.balance for line in lines), ZERO)
            lines.append(
                ItemSpec(accrual_account.pk, -total, effective.company.currency_id, -total, name=label)
            )
            specs.append(_entry(book, when, lines, effective.company, label))
    return [entry.pk for entry in post_entries(specs, actor=actor)]


@action(JournalItem, permission="reconcile", title=_("Transfer to another account"), bulk=True)
def transfer_account(
    items: Sequence[JournalItem],
    *,
    actor: Actor,
    account: Account,
    date: datetime.date,
    percent: str = "100",
    journal: Journal | None = None,
) -> list[int]:
    """Move a share of items to another account; partner and currency stay. Answers the entry's id."""
    company_pk = _one_company(items)
    effective = settings_of(company_pk)
    share = _percent(percent)
    book = journal or default_journal(effective, JournalType.GENERAL)
    label = _("Transfer to %(account)s") % {"account": account.code}
    lines: list[ItemSpec] = []
    for item in items:
        if not item.posted:
            raise ValidationFailed(_("Only posted items can be transferred."))
        amount = round_money((item.debit - item.credit) * share / MAX_PERCENT, effective.company.currency)
        foreign = round_money(item.amount_currency * share / MAX_PERCENT, item.currency)
        if not amount and not foreign:
            continue
        lines.append(
            ItemSpec(
                item.account_id, -amount, item.currency_id, -foreign, partner_pk=item.partner_id, name=label
            )
        )
        lines.append(
            ItemSpec(account.pk, amount, item.currency_id, foreign, partner_pk=item.partner_id, name=label)
        )
    if not lines:
        raise ValidationFailed(_("There is nothing to transfer."))
    made = post_entries([_entry(book, date, lines, effective.company, label)], actor=actor)
    return [entry.pk for entry in made]


def _percent(value: str) -> Decimal:
    try:
        share = exact(Decimal(value))
    except (ArithmeticError, ValueError, TypeError) as exc:
        raise ValidationFailed(fields={"percent": [_("Send a number such as 50 or 33.33.")]}) from exc
    if not 0 < share <= MAX_PERCENT:
        raise ValidationFailed(fields={"percent": [_("A share lies above 0 and up to 100 percent.")]})
    return share


def _one_company(items: Sequence[JournalItem]) -> int:
    companies = {item.company_id for item in items}
    if len(companies) != 1:
        raise ValidationFailed(_("Choose items of one company."))
    return companies.pop()


def _line(item: JournalItem, amount: Decimal, company: Company, *, name: str) -> ItemSpec:
    own = item.currency_id == company.currency_id
    return ItemSpec(
        item.account_id,
        amount,
        item.currency_id,
        amount if own else ZERO,
        partner_pk=item.partner_id,
        name=name,
    )


def _entry(
    journal: Journal, day: datetime.date, lines: list[ItemSpec], company: Company, label: str
) -> EntrySpec:
    return EntrySpec(
        journal=journal,
        date=day,
        items=lines,
        company_pk=company.pk,
        currency_pk=company.currency_id,
        origin=EntryOrigin.TRANSFER.value,
        reference=label,
    )
