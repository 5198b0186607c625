"""What the screens offer and sum up: choices for the cells of a grid, and the currency of the books."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import Count, Q, QuerySet, Sum
from django.db.models.functions import Coalesce, TruncMonth

from apps.access.models import Company
from apps.accounting.constants import BANK_LIKE, PARTNER_TYPES, AccountType, EntryState, TaxUse
from apps.accounting.models import (
    Account,
    Invoice,
    Journal,
    JournalEntry,
    JournalItem,
    PeriodBalance,
    StatementLine,
    Tax,
)
from apps.contacts.models import Partner
from apps.core.actor import Actor
from apps.core.models import Currency
from apps.core.rules import visible

#: Beyond so many accounts a page asks the server while somebody types, instead of carrying them all.
MOST = 3_000


def books_currency(actor: Actor) -> Currency | None:
    """The currency that all selected companies keep their books in, or ``None`` when they differ. One query."""
    rows = Company.objects.filter(pk__in=actor.company_pks).select_related("currency")
    found = {company.currency_id: company.currency for company in rows}
    return next(iter(found.values())) if len(found) == 1 else None


def account_choices(
    actor: Actor, line: Collection[int], *, for_documents: bool = False
) -> tuple[list[dict[str, Any]], bool]:
    """Accounts for the cells of a grid, of the companies in ``line``, and whether these are all. One query.

    ``for_documents`` leaves out what lines of invoices cannot use: receivables, payables and accounts off balance.
    """
    rows = visible(Account, actor).filter(company__in=line, deprecated=False)
    if for_documents:
        rows = rows.exclude(type__in=[*PARTNER_TYPES, AccountType.OFF_BALANCE])
    titles = dict(AccountType.choices)
    found = list(rows.order_by("code", "pk").values_list("pk", "code", "name", "type")[: MOST + 1])
    choices = [
        {"pk": pk, "text": f"{code} {name}", "hint": str(titles[AccountType(kind)])}
        for pk, code, name, kind in found[:MOST]
    ]
    return choices, len(found) <= MOST


def tax_choices(actor: Actor, line: Collection[int], use: str = "") -> list[dict[str, Any]]:
    """Taxes for the cells of a grid, of the companies in ``line``. Where sales and purchases are mixed, taxes of one name say
    what they are for: a cell knows its choices by their text. One query."""
    rows = visible(Tax, actor).filter(company__in=line, active=True)
    rows = rows.filter(use=use) if use else rows.exclude(use="none")
    found = list(
        rows.order_by("sequence", "name", "pk").values_list("pk", "name", "label", "use", "country__code")
    )
    names = Counter(name for _pk, name, *_rest in found)
    texts = {
        pk: name if names[name] == 1 else f"{name} ({TaxUse(kind).label})" for pk, name, _l, kind, _c in found
    }
    again = Counter(texts.values())
    return [
        {
            "pk": pk,
            "text": texts[pk] if again[texts[pk]] == 1 else f"{texts[pk]} {country or pk}",
            "hint": label if label != name else "",
        }
        for pk, name, label, _kind, country in found
    ]


def account_labels(actor: Actor, pks: Collection[int]) -> dict[int, str]:
    """Names of accounts that are used but no longer offered. One query, none for nothing."""
    if not pks:
        return {}
    rows = visible(Account, actor).filter(pk__in=pks).values_list("pk", "code", "name")
    return {pk: f"{code} {name}" for pk, code, name in rows}


def tax_labels(actor: Actor, pks: Collection[int]) -> dict[int, str]:
    """Names of taxes that are used but no longer offered. One query, none for nothing."""
    return dict(visible(Tax, actor).filter(pk__in=pks).values_list("pk", "name")) if pks else {}


def currency_choices(actor: Actor) -> list[dict[str, Any]]:
    """Currencies in use, for the cells of a grid. One query."""
    rows = visible(Currency, actor).filter(active=True).order_by("code")
    return [{"pk": pk, "text": code} for pk, code in rows.values_list("pk", "code")]


def partner_labels(actor: Actor, pks: Collection[int]) -> dict[int, str]:
    """Names of partners by key, as far as the actor may see them. One query, none for nothing."""
    return {row.pk: str(row) for row in visible(Partner, actor).filter(pk__in=pks)} if pks else {}


def entry_amounts(actor: Actor, pks: Collection[int]) -> dict[int, Decimal]:
    """What each entry comes to: the sum of its debits. One query."""
    rows = visible(JournalItem, actor).filter(entry__in=pks).values("entry").annotate(amount=Sum("debit"))
    return {row["entry"]: row["amount"] for row in rows.order_by()}


@dataclass(frozen=True, slots=True)
class ItemGroup:
    """Items of a list that belong together, added up. ``key`` is what the list is filtered by to show them."""

    key: Any
    title: str
    count: int
    debit: Decimal
    credit: Decimal
    residual: Decimal


#: What items may be grouped by: the field of the key, and the fields of the title.
ITEM_GROUPS: dict[str, tuple[str, tuple[str, ...]]] = {
    "account": ("account_id", ("account__code", "account__name")),
    "partner": ("partner_id", ("partner__complete_name",)),
    "journal": ("journal_id", ("journal__name",)),
    "month": ("month", ()),
    "matching": ("matching_number", ()),
}


def item_groups(rows: QuerySet[JournalItem], by: str, limit: int = 200) -> list[ItemGroup]:
    """The items of ``rows`` added up by account, partner, journal, month or matching; the first ``limit`` groups. One query."""
    key, titles = ITEM_GROUPS[by]
    if by == "month":
        rows = rows.annotate(month=TruncMonth("date"))
    sums = {
        "n": Count("pk"),
        "sum_debit": Sum("debit"),
        "sum_credit": Sum("credit"),
        "sum_residual": Sum("residual"),
    }
    found = rows.order_by().values(key, *titles).annotate(**sums).order_by(*(titles or (key,)))[:limit]
    groups = []
    for row in found:
        value = row[key]
        title = " ".join(str(row[name]) for name in titles if row[name]) if titles else str(value or "")
        if by == "month":
            title = f"{value:%Y-%m}"
        groups.append(
            ItemGroup(value, title, row["n"], row["sum_debit"], row["sum_credit"], row["sum_residual"])
        )
    return groups


# ------------------------------------------------------------------------------------------------------ reconciliation
@dataclass(frozen=True, slots=True)
class OpenGroup:
    """An account and a partner that have open items on both sides, or on one."""

    account_pk: int
    account: str
    partner_pk: int | None
    partner: str
    debits: int
    credits: int


def open_groups(actor: Actor, *, both_sides: bool = True, limit: int = 300) -> list[OpenGroup]:
    """Where items wait to be matched, by account and partner. One query, of open items only."""
    rows = (
        visible(JournalItem, actor)
        .filter(posted=True, company__in=actor.company_pks)
        .exclude(residual=0, residual_currency=0)
        .order_by()
        .values("account_id", "account__code", "account__name", "partner_id", "partner__complete_name")
        .annotate(
            debits=Count("pk", filter=Q(residual__gt=0) | Q(residual=0, residual_currency__gt=0)),
            credits=Count("pk", filter=Q(residual__lt=0) | Q(residual=0, residual_currency__lt=0)),
        )
    )
    if both_sides:
        rows = rows.filter(debits__gt=0, credits__gt=0)
    return [
        OpenGroup(
            row["account_id"],
            f"{row['account__code']} {row['account__name']}",
            row["partner_id"],
            row["partner__complete_name"] or "",
            row["debits"],
            row["credits"],
        )
        for row in rows.order_by("account__code", "partner__complete_name", "partner_id")[:limit]
    ]


def open_items(actor: Actor, account_pk: int, partner_pk: int | None, limit: int = 500) -> list[JournalItem]:
    """Open items of an account and a partner (``None``: without one), the oldest due first. One query."""
    rows = visible(JournalItem, actor).filter(posted=True, company__in=actor.company_pks, account=account_pk)
    rows = rows.filter(partner=partner_pk) if partner_pk else rows.filter(partner__isnull=True)
    rows = rows.exclude(residual=0, residual_currency=0)
    return list(
        rows.select_related("entry", "currency", "company__currency").order_by(
            Coalesce("date_maturity", "date"), "date", "pk"
        )[:limit]
    )


# ----------------------------------------------------------------------------------------------------------- dashboard
@dataclass(slots=True)
class JournalFigures:
    """What the card of a journal shows. Amounts are in the currency of the books."""

    journal: Journal
    drafts: int = 0
    drafts_amount: Decimal = Decimal(0)
    open: int = 0
    open_amount: Decimal = Decimal(0)
    late: int = 0
    late_amount: Decimal = Decimal(0)
    balance: Decimal | None = None
    unreconciled: int = 0
    draft_entries: int = 0


def journal_figures(actor: Actor, on: datetime.date) -> list[JournalFigures]:
    """The figures of all journals on the dashboard: six queries, whatever their number."""
    journals = visible(Journal, actor).filter(active=True, on_dashboard=True)
    found = {
        journal.pk: JournalFigures(journal)
        for journal in journals.select_related("company__currency").order_by("sequence", "type", "code", "pk")
    }
    invoices = visible(Invoice, actor).filter(journal__in=found)
    rows = invoices.filter(state=EntryState.DRAFT).order_by().values("journal")
    for row in rows.annotate(n=Count("pk"), amount=Sum("total_company")):
        card = found[row["journal"]]
        card.drafts, card.drafts_amount = row["n"], row["amount"]
    late = Q(due_date__lt=on)
    rows = invoices.filter(state=EntryState.POSTED).exclude(residual_amount=0).order_by().values("journal")
    for row in rows.annotate(
        n=Count("pk"),
        amount=Sum("residual_company"),
        late=Count("pk", filter=late),
        late_amount=Sum("residual_company", filter=late),
    ):
        card = found[row["journal"]]
        card.open, card.open_amount = row["n"], row["amount"]
        card.late, card.late_amount = row["late"], row["late_amount"] or Decimal(0)
    _bank_figures(actor, found)
    entries = visible(JournalEntry, actor).filter(journal__in=found, state=EntryState.DRAFT)
    for pk, count in entries.order_by().values_list("journal_id").annotate(n=Count("pk")):
        found[pk].draft_entries = count
    return list(found.values())


def _bank_figures(actor: Actor, found: dict[int, JournalFigures]) -> None:
    banks = {
        card.journal.default_account_id: card for card in found.values() if card.journal.type in BANK_LIKE
    }
    balances = visible(PeriodBalance, actor).filter(account__in=[pk for pk in banks if pk])
    for row in balances.order_by().values("account").annotate(amount=Sum("debit") - Sum("credit")):
        banks[row["account"]].balance = row["amount"]
    lines = visible(StatementLine, actor).filter(journal__in=found, reconciled=False)
    for pk, count in lines.order_by().values_list("journal_id").annotate(n=Count("pk")):
        found[pk].unreconciled = count
