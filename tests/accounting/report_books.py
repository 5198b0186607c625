"""Entries for the tests of reports, and the same sums made the slow way: over every item, in Python."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from django.db import connection

from apps.accounting.constants import RESULT_TYPES
from apps.accounting.models import Account, JournalItem, PartialMatch
from apps.accounting.services.ledger import EntrySpec, ItemSpec, post_entries
from apps.contacts.models import Partner
from apps.core.models import Currency
from apps.core.unit_of_work import unit_of_work
from tests.accounting.factories import Books

ZERO = Decimal(0)


def day(text: str) -> datetime.date:
    return datetime.date.fromisoformat(text)


def item(
    account: Account,
    amount: Decimal | str | int,
    *,
    partner: Partner | None = None,
    due: str | None = None,
    currency: Currency | None = None,
    in_currency: Decimal | str | int | None = None,
    name: str = "",
) -> dict[str, Any]:
    return {
        "account": account,
        "amount": Decimal(amount),
        "partner": partner,
        "due": due,
        "currency": currency,
        "in_currency": in_currency,
        "name": name,
    }


def spec(
    books: Books,
    date: str | datetime.date,
    items: Sequence[dict[str, Any]],
    *,
    journal: str = "general",
    **more: Any,
) -> EntrySpec:
    own = books.company.currency_id
    return EntrySpec(
        journal=getattr(books.journals, journal),
        date=day(date) if isinstance(date, str) else date,
        company_pk=more.pop("company_pk", books.company.pk),
        currency_pk=own,
        items=[
            ItemSpec(
                account_pk=row["account"].pk,
                balance=row["amount"],
                currency_pk=row["currency"].pk if row["currency"] else own,
                amount_currency=row["amount"] if row["in_currency"] is None else Decimal(row["in_currency"]),
                partner_pk=row["partner"].pk if row["partner"] else None,
                date_maturity=day(row["due"]) if row["due"] else None,
                name=row["name"],
            )
            for row in items
        ],
        **more,
    )


def post(books: Books, *specs: EntrySpec) -> list[EntrySpec]:
    """Post entries and let PostgreSQL check them; the items' keys are on the specs."""
    with unit_of_work(books.system):
        post_entries(list(specs), actor=books.system)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
    return list(specs)


def invoice(
    books: Books,
    date: str,
    amount: str | int,
    partner: Partner | None,
    *,
    due: str | None = None,
    **more: Any,
) -> EntrySpec:
    """A sale without tax."""
    return spec(
        books,
        date,
        [
            item(books.accounts.receivable, amount, partner=partner, due=due, **more),
            item(books.accounts.income, -Decimal(amount)),
        ],
        journal="sale",
    )


def settle(
    books: Books, debit: ItemSpec, credit: ItemSpec, amount: str, date: str, in_currency: str | None = None
) -> None:
    """A partial matching of two items of one currency."""
    PartialMatch.objects.create(
        company=books.company,
        debit_item_id=debit.pk,
        credit_item_id=credit.pk,
        amount=Decimal(amount),
        debit_amount_currency=Decimal(in_currency or amount),
        credit_amount_currency=Decimal(in_currency or amount),
        date=day(date),
    )


# ------------------------------------------------------------------------------------------------------ the slow way
def slow_trial(
    companies: Iterable[int], since: datetime.date, until: datetime.date, year_start: dict[int, datetime.date]
) -> tuple[dict[int, tuple[Decimal, Decimal, Decimal]], Decimal]:
    """Initial, debit and credit by account, and what earlier years left, from all items."""
    found: dict[int, list[Decimal]] = {}
    earlier = ZERO
    rows = JournalItem.objects.filter(posted=True, company__in=list(companies), date__lte=until)
    for company, account, kind, date, debit, credit in rows.values_list(
        "company_id", "account_id", "account__type", "date", "debit", "credit"
    ):
        figures = found.setdefault(account, [ZERO, ZERO, ZERO])
        if date >= since:
            figures[1] += debit
            figures[2] += credit
        elif kind in RESULT_TYPES and date < year_start[company]:
            earlier += debit - credit
        else:
            figures[0] += debit - credit
    return {pk: tuple(figures) for pk, figures in found.items() if any(figures)}, earlier  # type: ignore[misc]
