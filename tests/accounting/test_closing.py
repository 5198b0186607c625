"""Opening balances, closing a year, moving amounts between periods and accounts."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from apps.accounting.models import AccountingSettings, FiscalYear, JournalEntry, JournalItem
from apps.accounting.services.closing import (
    change_period,
    close_year,
    transfer_account,
)
from apps.accounting.services.ledger import EntrySpec, ItemSpec, post_entries
from apps.accounting.services.opening import set_opening_balances
from apps.core.errors import Conflict, PermissionDenied, ValidationFailed
from apps.core.unit_of_work import unit_of_work
from tests.accounting.factories import Books

DAY = datetime.date(2026, 12, 31)


def checked() -> None:
    """What PostgreSQL checks at commit."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")


def post(books: Books, day: datetime.date, amount: str, **more: Any) -> JournalEntry:
    value, currency = Decimal(amount), books.company.currency_id
    with unit_of_work(books.system):
        return post_entries(
            [
                EntrySpec(
                    journal=books.journals.general,
                    date=day,
                    company_pk=books.company.pk,
                    currency_pk=currency,
                    items=[
                        ItemSpec(books.accounts.bank.pk, value, currency, value),
                        ItemSpec(books.accounts.income.pk, -value, currency, -value, name="Sale"),
                    ],
                    **more,
                )
            ],
            actor=books.system,
        )[0]


def balance(account: Any) -> Decimal:
    return sum((i.debit - i.credit for i in JournalItem.objects.posted().filter(account=account)), Decimal(0))


@pytest.mark.django_db
def test_opening_balances_leave_the_rest_to_the_result(books: Books) -> None:
    a = books.accounts
    pk = set_opening_balances(
        [books.settings],
        actor=books.actor("adviser"),
        date=datetime.date(2026, 1, 1),
        balances={str(a.bank.pk): "1500.00", str(a.payable.pk): "-400.00"},
    )
    checked()

    entry = JournalEntry.objects.get(pk=pk)
    assert entry.origin == "opening"
    assert (balance(a.bank), balance(a.payable), balance(a.unaffected)) == (1500, -400, -1100)
    assert AccountingSettings.objects.get(pk=books.settings.pk).opening_entry_id == pk


@pytest.mark.django_db
def test_setting_them_again_takes_the_first_ones_back(books: Books) -> None:
    a, adviser = books.accounts, books.actor("adviser")
    for amount in ("100.00", "70.00"):
        set_opening_balances(
            [AccountingSettings.objects.get(pk=books.settings.pk)],
            actor=adviser,
            date=datetime.date(2026, 1, 1),
            balances={str(a.bank.pk): amount},
        )
    checked()

    assert (balance(a.bank), balance(a.unaffected)) == (70, -70)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("balances", "field"),
    [({"x": "1"}, "balances"), ({"999999999": "1.00"}, "balances.999999999"), ({"1": "1.001"}, "balances.1")],
)
def test_wrong_opening_balances_name_the_field(books: Books, balances: dict[str, str], field: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        set_opening_balances([books.settings], actor=books.actor("adviser"), date=DAY, balances=balances)

    assert field in refused.value.fields
    assert not JournalEntry.objects.exists()


@pytest.mark.django_db
def test_an_accountant_does_not_set_opening_balances(books: Books) -> None:
    with pytest.raises(PermissionDenied):
        set_opening_balances([books.settings], actor=books.actor("accountant"), date=DAY, balances={})


@pytest.mark.django_db
def test_closing_a_year_locks_it_and_allocates_its_result(books: Books) -> None:
    year = FiscalYear.objects.create(
        company=books.company, name="2026", date_from=datetime.date(2026, 1, 1), date_to=DAY
    )
    post(books, datetime.date(2026, 5, 1), "250.00")
    post(books, datetime.date(2027, 1, 5), "40.00")

    answer = close_year([year], actor=books.actor("adviser"), allocate_to=books.accounts.retained)
    checked()

    assert answer["result"] == "250.00"
    assert (balance(books.accounts.unaffected), balance(books.accounts.retained)) == (250, -250)
    assert AccountingSettings.objects.get(pk=books.settings.pk).fiscal_lock_date == DAY
    with pytest.raises(Conflict, match="closed already"):
        close_year([FiscalYear.objects.get(pk=year.pk)], actor=books.actor("adviser"))


@pytest.mark.django_db
def test_years_close_in_order(books: Books) -> None:
    rows = [
        FiscalYear.objects.create(
            company=books.company,
            name=str(n),
            date_from=datetime.date(n, 1, 1),
            date_to=datetime.date(n, 12, 31),
        )
        for n in (2025, 2026)
    ]

    with pytest.raises(Conflict, match="Close 2025 first"):
        close_year([rows[1]], actor=books.actor("adviser"))


@pytest.mark.django_db
def test_a_share_moves_to_another_period_through_an_accrual(books: Books) -> None:
    entry = post(books, DAY, "100.00")
    item = JournalItem.objects.get(entry=entry, account=books.accounts.income)

    made = change_period(
        [item],
        actor=books.actor("accountant"),
        date=datetime.date(2027, 1, 1),
        accrual_account=books.accounts.cash_basis_base,
        percent="60",
    )
    checked()

    by_year = {
        n: sum(
            (i.credit - i.debit for i in JournalItem.objects.filter(account=item.account, date__year=n)),
            Decimal(0),
        )
        for n in (2026, 2027)
    }
    assert len(made) == 2
    assert by_year == {2026: Decimal(40), 2027: Decimal(60)}
    assert balance(books.accounts.cash_basis_base) == 0


@pytest.mark.django_db
def test_items_are_transferred_with_partner_and_currency(books: Books, customer: Any) -> None:
    currency = books.company.currency_id
    with unit_of_work(books.system):
        entry = post_entries(
            [
                EntrySpec(
                    journal=books.journals.general,
                    date=DAY,
                    company_pk=books.company.pk,
                    currency_pk=currency,
                    items=[
                        ItemSpec(
                            books.accounts.receivable.pk,
                            Decimal(90),
                            currency,
                            Decimal(90),
                            partner_pk=customer.pk,
                        ),
                        ItemSpec(books.accounts.income.pk, Decimal(-90), currency, Decimal(-90)),
                    ],
                )
            ],
            actor=books.system,
        )[0]
    item = JournalItem.objects.get(entry=entry, account=books.accounts.receivable)

    transfer_account(
        [item], actor=books.actor("accountant"), account=books.accounts.receivable2, date=DAY, percent="100"
    )
    checked()

    assert (balance(books.accounts.receivable), balance(books.accounts.receivable2)) == (0, 90)
    assert JournalItem.objects.get(account=books.accounts.receivable2).partner_id == customer.pk
