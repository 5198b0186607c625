"""Trial balance, balance sheet and drilling down: exact cases, equality with sums over all items, rights, queries."""

from __future__ import annotations

import datetime
import random
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.access.selectors import actor_for
from apps.accounting.models import AccountingSettings, FiscalYear, LedgerGroup
from apps.accounting.selectors.reports import (
    balance_sheet,
    drill,
    previous_periods,
    same_period_last_years,
    scope_of,
    trial_balance,
)
from apps.accounting.services.balances import fold
from apps.contacts.models import Partner
from apps.core.errors import NotVisible, PermissionDenied, ValidationFailed
from tests.accounting.factories import Books, make_company, make_user
from tests.accounting.report_books import ZERO, day, invoice, item, post, slow_trial, spec

D = Decimal
EDGES = (1, 2, 15, 16, 17, 18, 28)


def rows_of(report: Any, number: int = 0) -> dict[int | None, tuple[Decimal, Decimal, Decimal]]:
    return {
        row.account_pk: (row.figures[number].initial, row.figures[number].debit, row.figures[number].credit)
        for row in report.rows
        if row.kind == "account"
    }


def unallocated(report: Any, number: int = 0) -> Decimal:
    return sum((row.figures[number].initial for row in report.rows if row.kind == "unallocated"), ZERO)


def balanced(report: Any) -> None:
    for totals in report.totals:
        assert totals.initial_debit == totals.initial_credit
        assert totals.debit == totals.credit
        assert totals.end_debit == totals.end_credit


def scatter(books: Books, count: int, seed: int, *, first: str = "2024-06-01", days: int = 900) -> None:
    """Random entries of two to four items over the accounts, posted together."""
    chance = random.Random(seed)
    accounts = [
        getattr(books.accounts, name)
        for name in ("receivable", "payable", "bank", "income", "income2", "expense", "equity", "fixed_asset")
    ]
    specs = []
    for _number in range(count):
        date = day(first) + datetime.timedelta(days=chance.randrange(days))
        amounts = [D(chance.randint(-99999, 99999)) / 100 for _n in range(chance.randint(1, 3))]
        chosen = chance.sample(accounts, len(amounts) + 1)
        items = [
            item(account, amount) for account, amount in zip(chosen, [*amounts, -sum(amounts)], strict=True)
        ]
        specs.append(spec(books, date, items))
    post(books, *specs)


# ----------------------------------------------------------------------------------------------------- trial balance
@pytest.mark.django_db
def test_balance_sheet_accounts_carry_forward_and_results_start_with_the_year(
    books: Books, customer: Partner
) -> None:
    a = books.accounts
    post(
        books,
        invoice(books, "2025-11-20", "100.00", customer),
        invoice(books, "2026-02-10", "30.00", customer),
        invoice(books, "2026-03-20", "7.00", customer),
        spec(books, "2026-03-21", [item(a.expense, "2.50"), item(a.bank, "-2.50")]),
        invoice(books, "2026-04-01", "1000.00", customer),
    )

    report = trial_balance(books.actor("auditor"), day("2026-03-05"), day("2026-03-31"))

    assert rows_of(report) == {
        a.receivable.pk: (D("130.00"), D("7.00"), D("0.00")),
        a.bank.pk: (D("0.00"), D("0.00"), D("2.50")),
        a.expense.pk: (D("0.00"), D("2.50"), D("0.00")),
        a.income.pk: (D("-30.00"), D("0.00"), D("7.00")),
    }
    (row,) = [row for row in report.rows if row.kind == "unallocated"]
    assert (row.account_pk, row.code, row.figures[0].initial) == (a.unaffected.pk, "149000", D("-100.00"))
    assert [row.code for row in report.rows] == ["149000", "400000", "550000", "604000", "700000"]
    totals = report.totals[0]
    assert (totals.initial_debit, totals.initial_credit) == (D("130.00"), D("130.00"))
    assert (totals.debit, totals.credit) == (D("9.50"), D("9.50"))
    assert (totals.end_debit, totals.end_credit) == (D("139.50"), D("139.50"))
    assert all(
        type(value) is Decimal and value.as_tuple().exponent == -2 for value in rows_of(report)[a.bank.pk]
    )


@pytest.mark.django_db
@pytest.mark.parametrize("folded", [False, True])
def test_any_period_equals_the_sums_over_all_items(books: Books, folded: bool) -> None:
    scatter(books, 120, 1)
    if folded:
        fold()
    actor = books.actor("auditor")
    chance = random.Random(2)

    for _number in range(40):
        since = datetime.date(chance.choice((2024, 2025, 2026)), chance.randint(1, 12), chance.choice(EDGES))
        until = since + datetime.timedelta(days=chance.choice((0, 1, 13, 14, 15, 30, 45, 200, 500)))
        report = trial_balance(actor, since, until)
        expected, earlier = slow_trial(
            [books.company.pk], since, until, {books.company.pk: since.replace(month=1, day=1)}
        )

        assert rows_of(report) == expected, (since, until)
        assert unallocated(report) == earlier, (since, until)
        balanced(report)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("month", "last", "start"), [(6, 30, "2025-07-01"), (4, 5, "2025-04-06"), (2, 28, "2025-03-01")]
)
def test_the_fiscal_year_may_end_on_any_day(books: Books, month: int, last: int, start: str) -> None:
    AccountingSettings.objects.filter(company=books.company).update(
        fiscal_year_last_month=month, fiscal_year_last_day=last
    )
    scatter(books, 80, 3)
    since, until = day("2025-11-10"), day("2026-01-20")

    report = trial_balance(books.actor("auditor"), since, until)

    expected, earlier = slow_trial([books.company.pk], since, until, {books.company.pk: day(start)})
    assert rows_of(report) == expected
    assert unallocated(report) == earlier != 0
    balanced(report)


@pytest.mark.django_db
def test_a_fiscal_year_of_its_own_counts_before_the_usual_one(books: Books) -> None:
    FiscalYear.objects.create(
        company=books.company, name="Short", date_from=day("2025-01-01"), date_to=day("2025-09-14")
    )
    scope = scope_of(books.system)

    starts = [
        scope.year_start(books.company.pk, day(text)) for text in ("2025-09-14", "2025-09-15", "2026-02-01")
    ]

    assert starts == [day("2025-01-01"), day("2025-09-15"), day("2026-01-01")]
    scatter(books, 60, 4)
    report = trial_balance(books.system, day("2025-10-01"), day("2025-12-31"))
    expected, earlier = slow_trial(
        [books.company.pk], day("2025-10-01"), day("2025-12-31"), {books.company.pk: day("2025-09-15")}
    )
    assert rows_of(report) == expected
    assert unallocated(report) == earlier


@pytest.mark.django_db
def test_branches_are_read_alone_or_together(books: Books) -> None:
    branch = make_company("Alpha North", currency="EUR", parent=books.company)
    user = make_user("auditor", company=books.company, companies=[books.company, branch])
    post(
        books,
        spec(books, "2025-12-30", [item(books.accounts.bank, 70), item(books.accounts.income, -70)]),
        spec(books, "2026-01-10", [item(books.accounts.bank, 100), item(books.accounts.equity, -100)]),
        spec(
            books,
            "2025-12-31",
            [item(books.accounts.bank, 5), item(books.accounts.income, -5)],
            company_pk=branch.pk,
        ),
    )

    both = actor_for(user, company_pk=books.company.pk, company_pks=[books.company.pk, branch.pk])
    since, until = day("2026-01-05"), day("2026-01-31")

    together = trial_balance(both, since, until)
    alone = trial_balance(both, since, until, company_pks=[branch.pk])

    bank, equity = books.accounts.bank.pk, books.accounts.equity.pk
    assert rows_of(together) == {bank: (D(75), D(100), D(0)), equity: (D(0), D(0), D(100))}
    assert unallocated(together) == D(-75)
    assert rows_of(alone) == {bank: (D(5), D(0), D(0))}
    assert unallocated(alone) == D(-5)
    balanced(together)
    balanced(alone)


@pytest.mark.django_db
def test_companies_of_two_currencies_are_not_added_up(books: Books, other_books: Books) -> None:

    user = make_user("auditor", company=books.company, companies=[books.company, other_books.company])
    actor = actor_for(
        user, company_pk=books.company.pk, company_pks=[books.company.pk, other_books.company.pk]
    )

    with pytest.raises(ValidationFailed, match="one currency"):
        trial_balance(actor, day("2026-01-01"), day("2026-12-31"))

    assert (
        trial_balance(actor, day("2026-01-01"), day("2026-12-31"), company_pks=[books.company.pk]).rows == ()
    )


@pytest.mark.django_db
def test_a_ledger_group_leaves_out_its_journals(books: Books, customer: Partner) -> None:
    group = LedgerGroup.objects.create(company=books.company, name="Tax books")
    group.excluded_journals.add(books.journals.general)
    a = books.accounts
    post(
        books,
        invoice(books, "2025-05-05", "40.00", customer),
        invoice(books, "2026-03-05", "10.00", customer),
        spec(books, "2025-05-06", [item(a.expense, 1), item(a.bank, -1)]),
        spec(books, "2026-02-06", [item(a.expense, 2), item(a.bank, -2)]),
        spec(books, "2026-03-06", [item(a.expense, 4), item(a.receivable, -4)]),
    )

    report = trial_balance(
        books.actor("auditor"), day("2026-03-03"), day("2026-03-31"), ledger_group=group.pk
    )

    assert rows_of(report) == {
        a.receivable.pk: (D("40.00"), D("10.00"), D("0.00")),
        a.income.pk: (D("0.00"), D("0.00"), D("10.00")),
    }
    assert unallocated(report) == D("-40.00")
    balanced(report)


@pytest.mark.django_db
def test_comparisons_stand_beside_the_period(books: Books) -> None:
    scatter(books, 60, 5)
    since, until = day("2026-02-01"), day("2026-02-28")
    others = [*previous_periods(since, until, 2), *same_period_last_years(since, until, 1)]

    report = trial_balance(books.actor("auditor"), since, until, comparisons=others)

    assert report.periods == ((since, until), *others)
    for number, (first, last) in enumerate(report.periods):
        expected, earlier = slow_trial(
            [books.company.pk], first, last, {books.company.pk: first.replace(month=1, day=1)}
        )
        assert {pk: f for pk, f in rows_of(report, number).items() if any(f)} == expected
        assert unallocated(report, number) == earlier
    balanced(report)


def test_periods_to_compare_with() -> None:
    assert previous_periods(day("2026-03-01"), day("2026-03-31"), 2) == [
        (day("2026-02-01"), day("2026-02-28")),
        (day("2026-01-01"), day("2026-01-31")),
    ]
    assert previous_periods(day("2026-01-01"), day("2026-03-31"), 1) == [
        (day("2025-10-01"), day("2025-12-31"))
    ]
    assert previous_periods(day("2026-03-10"), day("2026-03-19"), 2) == [
        (day("2026-02-28"), day("2026-03-09")),
        (day("2026-02-18"), day("2026-02-27")),
    ]
    assert same_period_last_years(day("2025-02-01"), day("2025-02-28"), 2) == [
        (day("2024-02-01"), day("2024-02-29")),
        (day("2023-02-01"), day("2023-02-28")),
    ]
    assert same_period_last_years(day("2024-02-29"), day("2024-03-10"), 1) == [
        (day("2023-02-28"), day("2023-03-10"))
    ]


@pytest.mark.django_db
def test_a_period_that_ends_before_it_begins_is_refused(books: Books) -> None:
    with pytest.raises(ValidationFailed):
        trial_balance(books.actor("auditor"), day("2026-03-02"), day("2026-03-01"))


# ---------------------------------------------------------------------------------------------- §13.14 as a property
ENTRIES = st.lists(
    st.tuples(
        st.dates(datetime.date(2025, 1, 1), datetime.date(2026, 12, 31)),
        st.lists(st.tuples(st.integers(0, 9), st.integers(-1_000_000, 1_000_000)), min_size=1, max_size=4),
        st.integers(0, 9),
    ),
    min_size=1,
    max_size=12,
)
ROLES = (
    "receivable",
    "payable",
    "bank",
    "fixed_asset",
    "tax_collected",
    "equity",
    "unaffected",
    "income",
    "expense",
    "exchange_gain",
)


@pytest.mark.django_db
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    entries=ENTRIES,
    on=st.dates(datetime.date(2024, 12, 31), datetime.date(2027, 1, 2)),
    end=st.sampled_from([(12, 31), (6, 30), (4, 5)]),
)
def test_both_sides_are_equal_on_any_day(
    books: Books, entries: Any, on: datetime.date, end: tuple[int, int]
) -> None:
    accounts = [getattr(books.accounts, role) for role in ROLES]
    with transaction.atomic():
        AccountingSettings.objects.filter(company=books.company).update(
            fiscal_year_last_month=end[0], fiscal_year_last_day=end[1]
        )
        post(
            books,
            *(
                spec(
                    books,
                    date,
                    [
                        *(item(accounts[place], D(cents) / 100) for place, cents in parts),
                        item(accounts[rest], -sum((D(cents) / 100 for _place, cents in parts), ZERO)),
                    ],
                )
                for date, parts, rest in entries
            ),
        )
        scope = scope_of(books.system)
        start = scope.year_start(books.company.pk, on)

        sheet = balance_sheet(books.system, on)
        report = trial_balance(books.system, start, on)

        expected, earlier = slow_trial([books.company.pk], start, on, {books.company.pk: start})
        assert sheet.assets == sheet.liabilities + sheet.equity
        assert rows_of(report) == expected
        assert unallocated(report) == earlier
        balanced(report)
        assets = {account.pk for account in accounts if account.type.startswith("asset")}
        assert sheet.assets == sum((sum(f[:2]) - f[2] for pk, f in expected.items() if pk in assets), ZERO)
        transaction.set_rollback(True)


@pytest.mark.django_db
def test_off_balance_belongs_to_neither_side(books: Books) -> None:
    a = books.accounts
    other = type(a.off_balance).objects.create(
        company=books.company, code="900001", name="Counterpart", type="off_balance"
    )
    post(
        books,
        spec(books, "2026-01-10", [item(a.off_balance, 500), item(other, -500)]),
        spec(books, "2026-01-10", [item(a.bank, 80), item(a.payable, -30), item(a.income, -50)]),
    )

    sheet = balance_sheet(books.actor("auditor"), day("2026-01-10"))

    assert (sheet.assets, sheet.liabilities, sheet.equity, sheet.result) == (D(80), D(30), D(50), D(50))
    assert balance_sheet(books.actor("auditor"), day("2026-01-09")).assets == 0


# ------------------------------------------------------------------------------------------------------ drilling down
@pytest.mark.django_db
def test_every_figure_leads_to_items_that_add_up_to_it(books: Books) -> None:
    AccountingSettings.objects.filter(company=books.company).update(
        fiscal_year_last_month=6, fiscal_year_last_day=30
    )
    scatter(books, 90, 6)
    actor, since, until = books.actor("auditor"), day("2025-11-10"), day("2026-01-20")

    report = trial_balance(actor, since, until)

    seen = 0
    for row in report.rows:
        figures = row.figures[0]
        wanted = {"initial": figures.initial, "moved": figures.debit - figures.credit, "end": figures.end}
        if row.kind == "unallocated":
            wanted = {"unallocated": figures.initial}
        for name, value in wanted.items():
            items = drill(actor, name, since, until, account_pk=row.account_pk).items(actor)
            assert sum((i.debit - i.credit for i in items), ZERO) == value, (row.code, name)
            seen += 1
    assert seen > 15


@pytest.mark.django_db
def test_an_unknown_figure_is_refused(books: Books) -> None:
    with pytest.raises(ValidationFailed):
        drill(
            books.actor("auditor"),
            "profit",
            day("2026-01-01"),
            day("2026-01-31"),
            account_pk=books.accounts.bank.pk,
        )
    with pytest.raises(ValidationFailed):
        drill(books.actor("auditor"), "initial", day("2026-01-01"), day("2026-01-31"))


# ------------------------------------------------------------------------------------------------- rights and queries
@pytest.mark.django_db
def test_only_who_may_read_the_books_reads_reports(
    books: Books, other_books: Books, customer: Partner
) -> None:
    post(books, invoice(books, "2026-01-10", "10.00", customer))
    since, until = day("2026-01-01"), day("2026-01-31")

    for role in ("billing", "accountant", "adviser", "auditor"):
        assert len(trial_balance(books.actor(role), since, until).rows) == 2
    with pytest.raises(PermissionDenied):
        trial_balance(books.actor("plain"), since, until)
    with pytest.raises(PermissionDenied):
        trial_balance(other_books.actor("auditor"), since, until, company_pks=[books.company.pk])
    assert trial_balance(other_books.actor("auditor"), since, until).rows == ()
    group = LedgerGroup.objects.create(company=books.company, name="Mine")
    with pytest.raises(NotVisible):
        trial_balance(other_books.actor("auditor"), since, until, ledger_group=group.pk)


@pytest.mark.django_db
def test_queries_do_not_grow_with_the_ledger(books: Books) -> None:
    actor, since, until = books.actor("auditor"), day("2025-03-10"), day("2026-02-20")
    scatter(books, 10, 7)
    with CaptureQueriesContext(connection) as few:
        trial_balance(actor, since, until)

    scatter(books, 150, 8)

    with CaptureQueriesContext(connection) as many:
        trial_balance(actor, since, until)
    assert len(few) == len(many) <= 4


@pytest.mark.django_db
def test_a_company_without_settings_or_entries_has_an_empty_report(db: None) -> None:
    company = make_company("New Ltd")
    user = make_user("auditor", company=company)

    report = trial_balance(actor_for(user), day("2026-01-01"), day("2026-12-31"))

    assert (report.rows, report.totals[0].debit) == ((), ZERO)
