"""What the screens offer and sum up: choices for the cells of a grid, and the currency of the books."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import Count, QuerySet, Sum
from django.db.models.functions import TruncMonth

from apps.access.models import Company
from apps.accounting.constants import PARTNER_TYPES, AccountType
from apps.accounting.models import Account, JournalItem, Tax
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
    """Taxes for the cells of a grid, of the companies in ``line``. One query."""
    rows = visible(Tax, actor).filter(company__in=line, active=True)
    rows = rows.filter(use=use) if use else rows.exclude(use="none")
    return [
        {"pk": pk, "text": name, "hint": label if label != name else ""}
        for pk, name, label in rows.order_by("sequence", "name", "pk").values_list("pk", "name", "label")
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
