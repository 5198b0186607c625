"""General ledger, partner ledger and aged reports: pages with running balance, what is open on a day, items behind figures."""

from __future__ import annotations

import datetime
import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.access.selectors import actor_for
from apps.accounting.models import Account, Invoice, JournalItem, LedgerGroup, PartialMatch
from apps.accounting.selectors.reports import (
    Line,
    aged,
    aged_items,
    drill,
    general_ledger,
    partner_ledger,
    partner_lines,
    trial_balance,
)
from apps.accounting.services.balances import fold
from apps.contacts.models import Partner
from apps.core.errors import NotVisible, PermissionDenied, ValidationFailed
from tests.accounting.factories import Books, get_currency, make_company, make_partner, make_user
from tests.accounting.report_books import ZERO, day, invoice, item, post, settle, spec

D = Decimal


# ---------------------------------------------------------------------------------------------------- general ledger
def many_entries(books: Books, count: int, seed: int) -> None:
    chance = random.Random(seed)
    specs = []
    for _number in range(count):
        date = day("2025-10-03") + datetime.timedelta(days=chance.randrange(150))
        amount = D(chance.randint(-50_000, 50_000)) / 100
        other = books.accounts.income if chance.random() < 0.5 else books.accounts.expense
        specs.append(spec(books, date, [item(books.accounts.bank, amount, name="x"), item(other, -amount)]))
    post(books, *specs)


def all_pages(read: Callable[..., Any], limit: int) -> list[list[Line]]:
    pages, after = [], None
    while True:
        page = read(limit=limit, after=after).page
        pages.append(list(page.lines))
        if page.after is None:
            return pages
        after = page.after


def slow_lines(
    account: Account, since: datetime.date, until: datetime.date, initial: Decimal
) -> list[tuple[int, Decimal, Decimal, Decimal]]:
    found, balance = [], initial
    rows = JournalItem.objects.filter(account=account, posted=True, date__gte=since, date__lte=until)
    for pk, debit, credit in rows.order_by("date", "pk").values_list("pk", "debit", "credit"):
        balance += debit - credit
        found.append((pk, debit, credit, balance))
    return found


@pytest.mark.django_db
@pytest.mark.parametrize("role", ["bank", "income"])
@pytest.mark.parametrize("since", ["2025-11-01", "2025-11-20", "2026-01-04"])
def test_pages_of_an_account_follow_each_other_with_the_running_balance(
    books: Books, role: str, since: str
) -> None:
    many_entries(books, 70, 11)
    fold()
    actor, account = books.actor("auditor"), getattr(books.accounts, role)
    first, last = day(since), day("2026-02-17")
    trial = {
        row.account_pk: row.figures[0]
        for row in trial_balance(actor, first, last).rows
        if row.kind == "account"
    }

    def read(**more: Any) -> Any:
        return general_ledger(actor, account.pk, first, last, **more)

    expected = slow_lines(account, first, last, trial[account.pk].initial)
    assert len(expected) > 5
    for limit in (1, 7, 80):
        pages = all_pages(read, limit)
        assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)
        shown = [(line.pk, line.debit, line.credit, line.balance) for page in pages for line in page]
        assert shown == expected
    found = read()
    assert (found.figures, found.page.opening) == (trial[account.pk], trial[account.pk].initial)
    assert found.figures.end == expected[-1][-1]


@pytest.mark.django_db
def test_pages_are_read_backwards_from_the_last(books: Books) -> None:
    many_entries(books, 40, 12)
    actor, account = books.actor("auditor"), books.accounts.bank
    first, last = day("2025-10-20"), day("2026-02-20")
    initial = general_ledger(actor, account.pk, first, last).figures.initial
    expected = slow_lines(account, first, last, initial)

    found = general_ledger(actor, account.pk, first, last, limit=9, last=True).page
    assert found.after is None
    pages = [found]
    while found.before is not None:
        found = general_ledger(actor, account.pk, first, last, limit=9, before=found.before).page
        pages.insert(0, found)

    shown = [(line.pk, line.debit, line.credit, line.balance) for page in pages for line in page.lines]
    assert shown == expected
    assert pages[0].opening == initial
    assert [page.opening for page in pages[1:]] == [page.lines[-1].balance for page in pages[:-1]]
    again = general_ledger(actor, account.pk, first, last, limit=9, after=pages[0].after).page
    assert again.opening == pages[0].lines[-1].balance
    assert again.lines[: len(pages[1].lines)] == pages[1].lines


@pytest.mark.django_db
def test_a_line_tells_what_it_is(books: Books, customer: Partner) -> None:
    dollar = get_currency("USD")
    (made,) = post(
        books,
        invoice(
            books, "2026-01-10", "90.91", customer, due="2026-02-09", currency=dollar, in_currency="100.00"
        ),
    )

    (line,) = general_ledger(
        books.actor("auditor"), books.accounts.receivable.pk, day("2026-01-01"), day("2026-01-31")
    ).page.lines

    assert line.pk == made.items[0].pk
    assert (line.number, line.journal_code, line.partner_name) == ("INV/2026/00001", "INV", "Prime Customer")
    assert (line.debit, line.credit, line.balance, line.residual) == (
        D("90.91"),
        D("0.00"),
        D("90.91"),
        D("90.91"),
    )
    assert (line.currency_code, line.amount_currency, line.date_maturity) == (
        "USD",
        D("100.00"),
        day("2026-02-09"),
    )


@pytest.mark.django_db
def test_a_ledger_group_shows_the_ledger_without_its_journals(books: Books) -> None:
    many_entries(books, 30, 13)
    account = books.accounts.bank
    post(
        books,
        *(
            spec(
                books,
                f"2025-{month}-11",
                [item(account, month), item(books.accounts.equity, -month)],
                journal="cash",
            )
            for month in (10, 11, 12)
        ),
    )
    group = LedgerGroup.objects.create(company=books.company, name="Cash only")
    group.excluded_journals.add(books.journals.general)
    actor, first, last = books.actor("auditor"), day("2025-10-01"), day("2026-03-31")

    pages = all_pages(
        lambda **more: general_ledger(actor, account.pk, first, last, ledger_group=group.pk, **more), 1
    )

    assert [[line.balance for line in page] for page in pages] == [[D(10)], [D(21)], [D(33)]]


@pytest.mark.django_db
def test_the_ledger_of_several_companies_is_one(books: Books) -> None:
    branch = make_company("Alpha East", currency="EUR", parent=books.company)
    user = make_user("auditor", company=books.company, companies=[books.company, branch])
    actor = actor_for(user, company_pk=books.company.pk, company_pks=[books.company.pk, branch.pk])
    bank, equity = books.accounts.bank, books.accounts.equity
    post(
        books,
        *(
            spec(books, f"2026-01-{10 + n}", [item(bank, 1), item(equity, -1)], company_pk=pk)
            for n, pk in enumerate([books.company.pk, branch.pk] * 4)
        ),
    )

    pages = all_pages(
        lambda **more: general_ledger(actor, bank.pk, day("2026-01-12"), day("2026-01-31"), **more), 4
    )

    assert [[line.balance for line in page] for page in pages] == [[D(3), D(4), D(5), D(6)], [D(7), D(8)]]
    assert {line.company_pk for page in pages for line in page} == {books.company.pk, branch.pk}


@pytest.mark.django_db
def test_the_ledger_costs_the_same_queries_whatever_it_holds(books: Books) -> None:
    actor, account = books.actor("auditor"), books.accounts.bank
    many_entries(books, 12, 14)
    first, last = day("2025-10-01"), day("2026-03-31")
    position = general_ledger(actor, account.pk, first, last, limit=5).page.after
    with CaptureQueriesContext(connection) as few:
        general_ledger(actor, account.pk, first, last, limit=5, after=position)

    many_entries(books, 200, 15)

    with CaptureQueriesContext(connection) as many:
        general_ledger(actor, account.pk, first, last, limit=200, after=position)
    assert len(few) == len(many) <= 7


@pytest.mark.django_db
def test_accounts_and_pages_that_do_not_exist_are_refused(books: Books, other_books: Books) -> None:
    actor, first, last = books.actor("auditor"), day("2026-01-01"), day("2026-01-31")

    with pytest.raises(NotVisible):
        general_ledger(actor, other_books.accounts.bank.pk, first, last)
    with pytest.raises(ValidationFailed):
        general_ledger(actor, books.accounts.bank.pk, first, last, limit=0)
    with pytest.raises(ValidationFailed):
        general_ledger(actor, books.accounts.bank.pk, first, last, after=(first, 1), last=True)
    with pytest.raises(PermissionDenied):
        general_ledger(books.actor("plain"), books.accounts.bank.pk, first, last)
    assert general_ledger(actor, books.accounts.bank.pk, first, last).page.lines == ()


# ---------------------------------------------------------------------------------------------------- partner ledger
@pytest.mark.django_db
def test_each_partner_has_his_figures(books: Books, customer: Partner, vendor: Partner) -> None:
    a = books.accounts
    post(
        books,
        invoice(books, "2025-12-10", "100.00", customer),
        invoice(books, "2026-01-20", "50.00", customer),
        invoice(books, "2026-01-21", "5.00", None),
        spec(books, "2026-01-22", [item(a.expense, "80.00"), item(a.payable, "-80.00", partner=vendor)]),
        spec(books, "2026-01-25", [item(a.bank, "30.00"), item(a.receivable, "-30.00", partner=customer)]),
        invoice(books, "2026-02-01", "9.00", customer),
    )
    actor, first, last = books.actor("auditor"), day("2026-01-18"), day("2026-01-31")

    report = partner_ledger(actor, first, last)

    assert [
        (row.partner_pk, row.name, row.figures.initial, row.figures.debit, row.figures.credit)
        for row in report.rows
    ] == [
        (None, "", D("0.00"), D("5.00"), D("0.00")),
        (vendor.pk, "Good Vendor", D("0.00"), D("0.00"), D("80.00")),
        (customer.pk, "Prime Customer", D("100.00"), D("50.00"), D("30.00")),
    ]
    assert (report.total.initial, report.total.debit, report.total.credit, report.total.end) == (
        D("100.00"),
        D("55.00"),
        D("110.00"),
        D("45.00"),
    )
    only = partner_ledger(actor, first, last, types=("liability_payable",))
    assert [row.partner_pk for row in only.rows] == [vendor.pk]
    first_page = partner_ledger(actor, first, last, limit=2)
    second_page = partner_ledger(actor, first, last, limit=2, after=first_page.after)
    assert [*first_page.rows, *second_page.rows] == list(report.rows)
    assert (first_page.count, first_page.total, second_page.after) == (3, report.total, None)


@pytest.mark.django_db
def test_the_lines_of_a_partner_run_and_may_leave_out_what_is_settled(
    books: Books, customer: Partner, vendor: Partner
) -> None:
    a = books.accounts
    old, new, paid, other = post(
        books,
        invoice(books, "2025-12-10", "100.00", customer),
        invoice(books, "2026-01-20", "50.00", customer),
        spec(books, "2026-01-25", [item(a.receivable, "-50.00", partner=customer), item(a.bank, "50.00")]),
        invoice(books, "2026-01-26", "7.00", vendor),
    )
    settle(books, new.items[0], paid.items[0], "50.00", "2026-01-25")
    actor, first, last = books.actor("auditor"), day("2026-01-05"), day("2026-01-31")

    found = partner_lines(actor, customer.pk, first, last)
    second = partner_lines(actor, customer.pk, first, last, limit=1, after=found.page.lines[0].position)
    still = partner_lines(actor, customer.pk, day("2025-12-01"), last, open_only=True)
    nobody = partner_lines(actor, None, first, last)

    assert [(line.pk, line.balance) for line in found.page.lines] == [
        (new.items[0].pk, D("150.00")),
        (paid.items[0].pk, D("100.00")),
    ]
    assert (found.figures.initial, found.figures.debit, found.figures.credit) == (D(100), D(50), D(50))
    assert (second.page.opening, [line.balance for line in second.page.lines]) == (D(150), [D(100)])
    assert [(line.pk, line.balance) for line in still.page.lines] == [(old.items[0].pk, D("100.00"))]
    assert still.figures.end == D("100.00")
    assert (nobody.figures.end, nobody.page.lines) == (ZERO, ())
    assert other.items[0].pk not in {line.pk for line in found.page.lines}


@pytest.mark.django_db
def test_the_partner_ledger_equals_the_sums_over_all_items(books: Books) -> None:
    chance = random.Random(21)
    partners: list[Partner | None] = [make_partner(f"Somebody {n}") for n in range(4)] + [None]
    accounts = [books.accounts.receivable, books.accounts.payable, books.accounts.bank]
    specs = []
    for _number in range(120):
        date = day("2025-09-01") + datetime.timedelta(days=chance.randrange(200))
        amount = D(chance.randint(-9999, 9999)) / 100
        left, right = chance.sample(accounts, 2)
        specs.append(
            spec(
                books,
                date,
                [
                    item(left, amount, partner=chance.choice(partners)),
                    item(right, -amount, partner=chance.choice(partners)),
                ],
            )
        )
    post(books, *specs)
    actor = books.actor("auditor")

    for first, last in (
        ("2025-11-05", "2025-11-07"),
        ("2025-10-20", "2026-01-31"),
        ("2025-01-01", "2026-12-31"),
    ):
        since, until = day(first), day(last)
        expected: dict[int | None, list[Decimal]] = {}
        rows = JournalItem.objects.filter(account__in=accounts[:2], posted=True, date__lte=until)
        for partner, date, debit, credit in rows.values_list("partner_id", "date", "debit", "credit"):
            figures = expected.setdefault(partner, [ZERO] * 3)
            if date < since:
                figures[0] += debit - credit
            else:
                figures[1] += debit
                figures[2] += credit
        report = partner_ledger(actor, since, until)
        shown = {
            row.partner_pk: [row.figures.initial, row.figures.debit, row.figures.credit]
            for row in report.rows
        }
        assert shown == {pk: figures for pk, figures in expected.items() if any(figures)}
        for row in report.rows:
            found = partner_lines(actor, row.partner_pk, since, until, limit=1000)
            assert found.figures == row.figures
            if found.page.lines:
                assert found.page.lines[-1].balance == row.figures.end
            for figure, value in (("initial", row.figures.initial), ("end", row.figures.end)):
                drilled = drill(
                    actor,
                    figure,
                    since,
                    until,
                    partner_pk=row.partner_pk,
                    types=("asset_receivable", "liability_payable"),
                )
                assert sum((i.debit - i.credit for i in drilled.items(actor)), ZERO) == value


# --------------------------------------------------------------------------------------------------------------- aged
@pytest.mark.django_db
def test_invoices_fall_into_the_bucket_of_the_days_they_are_late(books: Books, customer: Partner) -> None:
    dues = ("2026-06-30", "2026-06-29", "2026-05-31", "2026-05-30", "2026-03-01")
    post(books, *(invoice(books, "2026-02-01", "100.00", customer, due=due) for due in dues))

    report = aged(books.actor("auditor"), "receivable", day("2026-06-30"))

    assert report.labels == ("not_due", "1-30", "31-60", "61-90", "91-120", "older")
    assert report.totals == (D("100.00"), D("200.00"), D("100.00"), D("0.00"), D("0.00"), D("100.00"))
    assert report.total == D("500.00")
    (row,) = report.rows
    assert (row.partner_pk, row.name, row.amounts, row.total) == (
        customer.pk,
        "Prime Customer",
        report.totals,
        D("500.00"),
    )
    items = aged_items(books.actor("auditor"), "receivable", day("2026-06-30"), partner_pk=customer.pk)
    assert [(found.due.isoformat(), found.days, found.bucket) for found in items] == [
        ("2026-03-01", 121, 5),
        ("2026-05-30", 31, 2),
        ("2026-05-31", 30, 1),
        ("2026-06-29", 1, 1),
        ("2026-06-30", 0, 0),
    ]
    one = aged_items(
        books.actor("auditor"), "receivable", day("2026-06-30"), partner_pk=customer.pk, bucket=1, limit=1
    )
    two = aged_items(
        books.actor("auditor"),
        "receivable",
        day("2026-06-30"),
        partner_pk=customer.pk,
        bucket=1,
        after=(one[0].due, one[0].pk),
    )
    assert [found.days for found in [*one, *two]] == [30, 1]


@pytest.mark.django_db
@pytest.mark.parametrize(("late", "bucket"), [(0, 0), (1, 1), (10, 1), (11, 2), (20, 2), (40, 4), (41, 5)])
def test_the_length_of_a_bucket_is_chosen(books: Books, customer: Partner, late: int, bucket: int) -> None:
    on = day("2026-06-30")
    due = on - datetime.timedelta(days=late)
    post(books, invoice(books, "2026-05-01", "1.00", customer, due=due.isoformat()))

    report = aged(books.actor("auditor"), "receivable", on, days=10)

    assert [place for place, amount in enumerate(report.totals) if amount] == [bucket]
    (found,) = aged_items(books.actor("auditor"), "receivable", on, days=10, any_partner=True)
    assert found.bucket == bucket


@pytest.mark.django_db
def test_what_was_open_on_a_day_does_not_know_later_matchings(books: Books, customer: Partner) -> None:
    a = books.accounts
    bill, early, late = post(
        books,
        invoice(books, "2026-01-10", "100.00", customer, due="2026-02-09"),
        spec(books, "2026-02-15", [item(a.receivable, "-30.00", partner=customer), item(a.bank, "30.00")]),
        spec(books, "2026-03-20", [item(a.receivable, "-70.00", partner=customer), item(a.bank, "70.00")]),
    )
    settle(books, bill.items[0], early.items[0], "30.00", "2026-02-15")
    settle(books, bill.items[0], late.items[0], "70.00", "2026-03-20")
    actor = books.actor("auditor")

    totals = {
        on: aged(actor, "receivable", day(on))
        for on in ("2026-01-09", "2026-02-14", "2026-03-19", "2026-03-20")
    }

    assert [report.total for report in totals.values()] == [D(0), D("100.00"), D("70.00"), D(0)]
    assert totals["2026-03-19"].totals == (D(0), D(0), D("70.00"), D(0), D(0), D(0))
    assert totals["2026-03-20"].rows == ()
    (found,) = aged_items(actor, "receivable", day("2026-03-19"), partner_pk=customer.pk)
    assert (found.pk, found.amount, found.residual, found.days) == (
        bill.items[0].pk,
        D("100.00"),
        D("70.00"),
        38,
    )


@pytest.mark.django_db
def test_any_day_equals_items_less_the_matchings_of_then(books: Books) -> None:
    chance = random.Random(31)
    partners = [make_partner(f"Debtor {n}") for n in range(5)]
    specs = [
        invoice(
            books,
            (day("2026-01-01") + datetime.timedelta(days=chance.randrange(120))).isoformat(),
            chance.randint(1, 900),
            chance.choice(partners),
            due=(day("2026-01-10") + datetime.timedelta(days=chance.randrange(180))).isoformat(),
        )
        for _n in range(60)
    ]
    post(books, *specs)
    matches = []
    for made in chance.sample(specs, 40):
        debit = made.items[0]
        paid = made.date + datetime.timedelta(days=chance.randrange(90))
        amount = D(chance.randint(1, int(debit.balance)))
        partner = next(p for p in partners if p.pk == debit.partner_pk)
        (payment,) = post(
            books,
            spec(
                books,
                paid,
                [
                    item(books.accounts.receivable, -amount, partner=partner),
                    item(books.accounts.bank, amount),
                ],
            ),
        )
        settle(books, debit, payment.items[0], str(amount), paid.isoformat())
        matches.append((debit.pk, payment.items[0].pk, amount, paid))
    actor = books.actor("auditor")

    for shift in range(0, 240, 17):
        on = day("2026-01-01") + datetime.timedelta(days=shift)
        expected: dict[int, dict[int, Decimal]] = {}
        rows = JournalItem.objects.filter(account=books.accounts.receivable, date__lte=on)
        for pk, partner_pk, balance, due, date in rows.values_list(
            "pk", "partner_id", "balance", "date_maturity", "date"
        ):
            for debit_pk, credit_pk, amount, paid in matches:
                if paid <= on and pk in (debit_pk, credit_pk):
                    balance += amount if pk == credit_pk else -amount
            late = (on - (due or date)).days
            bucket = 0 if late <= 0 else min(5, (late + 29) // 30)
            mine = expected.setdefault(partner_pk, dict.fromkeys(range(6), ZERO))
            mine[bucket] += balance
        report = aged(actor, "receivable", on)
        shown = {row.partner_pk: dict(enumerate(row.amounts)) for row in report.rows}
        assert shown == {pk: amounts for pk, amounts in expected.items() if any(amounts.values())}, on
        assert report.total == sum((sum(amounts.values()) for amounts in expected.values()), ZERO)


@pytest.mark.django_db
def test_payables_are_positive_and_trade_only_unless_asked(books: Books, vendor: Partner) -> None:
    a = books.accounts
    loans = Account.objects.create(
        company=books.company,
        code="449000",
        name="Other creditors",
        type="liability_payable",
        reconcile=True,
        non_trade=True,
    )
    post(
        books,
        spec(
            books, "2026-01-10", [item(a.expense, 80), item(a.payable, -80, partner=vendor, due="2026-01-20")]
        ),
        spec(books, "2026-01-10", [item(a.bank, 500), item(loans, -500, partner=vendor)]),
        spec(books, "2026-01-12", [item(a.expense, 4), item(a.payable, -4)]),
    )
    actor, on = books.actor("auditor"), day("2026-01-31")

    trade, everything = (aged(actor, "payable", on, non_trade=flag) for flag in (False, True))

    assert [(row.partner_pk, row.total) for row in trade.rows] == [(vendor.pk, D(80)), (None, D(4))]
    assert [(row.partner_pk, row.total) for row in everything.rows] == [(vendor.pk, D(580)), (None, D(4))]
    assert aged(actor, "receivable", on).rows == ()
    (found,) = aged_items(actor, "payable", on)
    assert (found.partner_pk, found.residual) == (None, D(4))


@pytest.mark.django_db
def test_one_foreign_currency_is_shown_beside(books: Books, customer: Partner, vendor: Partner) -> None:
    dollar = get_currency("USD")
    foreign = {"currency": dollar}
    post(
        books,
        invoice(books, "2026-01-10", "90.00", customer, in_currency="100.00", **foreign),
        invoice(books, "2026-01-11", "45.00", customer, in_currency="50.00", **foreign),
        invoice(books, "2026-01-12", "9.00", vendor, in_currency="10.00", **foreign),
        invoice(books, "2026-01-12", "1.00", vendor),
    )

    report = aged(books.actor("auditor"), "receivable", day("2026-01-31"))

    assert [(row.name, row.total, row.currency_code, row.amount_currency) for row in report.rows] == [
        ("Prime Customer", D("135.00"), "USD", D("150.00")),
        ("Good Vendor", D("10.00"), None, None),
    ]
    found = aged_items(books.actor("auditor"), "receivable", day("2026-01-31"), partner_pk=customer.pk)
    assert [(i.residual, i.currency_code, i.residual_currency) for i in found] == [
        (D("90.00"), "USD", D("100.00")),
        (D("45.00"), "USD", D("50.00")),
    ]


@pytest.mark.django_db
def test_days_may_count_from_the_date_of_the_invoice(books: Books, customer: Partner) -> None:
    document = Invoice.objects.create(
        company=books.company,
        type="vendor_bill",
        journal=books.journals.purchase,
        partner=customer,
        commercial_partner=customer,
        date=day("2026-01-02"),
        currency=books.currency,
    )
    post(
        books,
        invoice(books, "2026-01-20", "100.00", customer, due="2026-03-20"),
        spec(
            books,
            "2026-01-20",
            [item(books.accounts.receivable, 5, partner=customer), item(books.accounts.income, -5)],
            invoice_pk=document.pk,
        ),
    )
    actor, on = books.actor("auditor"), day("2026-02-05")

    by_due, by_invoice = aged(actor, "receivable", on), aged(actor, "receivable", on, by="invoice")

    assert by_due.totals == (D(100), D(5), D(0), D(0), D(0), D(0))
    assert by_invoice.totals == (D(0), D(100), D(5), D(0), D(0), D(0))


@pytest.mark.django_db
@pytest.mark.parametrize("order", ["name", "total"])
def test_aged_partners_come_in_pages_with_the_totals_of_all(books: Books, order: str) -> None:
    partners = [make_partner(f"Page {n}") for n in range(5)]
    amounts = [10, 20, 10, 30, 20]
    post(
        books,
        *(
            invoice(books, "2026-01-10", amount, partner)
            for partner, amount in zip(partners, amounts, strict=True)
        ),
    )
    expected = list(range(5))
    if order == "total":  # equal totals by the higher key
        expected = sorted(range(5), key=lambda n: (amounts[n], partners[n].pk), reverse=True)
    actor, on = books.actor("auditor"), day("2026-01-31")

    seen, after, pages = [], None, 0
    while pages == 0 or after is not None:
        report = aged(actor, "receivable", on, order=order, limit=2, after=after)
        assert (report.total, report.count) == (D("90.00"), 5)
        seen += [row.partner_pk for row in report.rows]
        after, pages = report.after, pages + 1

    assert (seen, pages) == ([partners[n].pk for n in expected], 3)


@pytest.mark.django_db
def test_aged_costs_the_same_queries_and_minds_rights(books: Books, customer: Partner) -> None:
    actor, on = books.actor("auditor"), day("2026-06-30")
    post(books, invoice(books, "2026-01-10", "10.00", customer))
    with CaptureQueriesContext(connection) as few:
        aged(actor, "receivable", on)

    post(books, *(invoice(books, "2026-01-10", "10.00", customer) for _n in range(50)))

    with CaptureQueriesContext(connection) as many:
        aged(actor, "receivable", on)
    assert len(few) == len(many) <= 4
    with pytest.raises(PermissionDenied):
        aged(books.actor("plain"), "receivable", on)
    for wrong in ({"by": "weight"}, {"days": 0}):
        with pytest.raises(ValidationFailed):
            aged(actor, "receivable", on, **wrong)  # type: ignore[arg-type]
    with pytest.raises(ValidationFailed):
        aged(actor, "neither", on)


@pytest.mark.django_db
def test_an_item_matched_in_a_branch_is_seen_from_the_parent(books: Books, customer: Partner) -> None:
    branch = make_company("Alpha West", currency="EUR", parent=books.company)
    a = books.accounts
    mine, theirs = post(
        books,
        invoice(books, "2026-01-10", "60.00", customer),
        spec(
            books,
            "2026-03-01",
            [item(a.receivable, "-60.00", partner=customer), item(a.bank, "60.00")],
            company_pk=branch.pk,
        ),
    )
    PartialMatch.objects.create(
        company=branch,
        debit_item_id=mine.items[0].pk,
        credit_item_id=theirs.items[0].pk,
        amount=D(60),
        debit_amount_currency=D(60),
        credit_amount_currency=D(60),
        date=day("2026-03-01"),
    )
    actor = books.actor("auditor")

    assert aged(actor, "receivable", day("2026-02-28")).total == D("60.00")
    assert aged(actor, "receivable", day("2026-03-01")).total == D(0)
