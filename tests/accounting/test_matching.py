"""Matching in the ledger: partials, exchange differences to the cent, numbers of connected sets, undoing, refusals."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from apps.accounting.constants import EntryOrigin
from apps.accounting.models import (
    AccountingSettings,
    FullMatch,
    JournalEntry,
    JournalItem,
    PartialMatch,
)
from apps.accounting.services.matching import (
    reconcile,
    reconcile_groups,
    reconcile_items,
    unmatch_chosen,
    unmatch_items,
    write_off_items,
)
from apps.core.errors import Conflict, PermissionDenied, ValidationFailed
from apps.core.testkit import count_queries, run_in_threads
from tests.accounting.factories import Books, make_books, make_partner, set_rate
from tests.accounting.payment_helpers import account_balance, book, day, fresh, lefts, lines_of, settled

pytestmark = pytest.mark.django_db


def receivable(
    books: Books, date: str, balance: str, own: str | None = None, *, currency: str | None = None, **more: Any
) -> JournalItem:
    """An open item on the receivable account, against income."""
    own = own or balance
    other, other_own = str(-Decimal(balance)), str(-Decimal(own))
    return book(
        books,
        books.journals.general,
        date,
        (books.accounts.receivable, balance, own),
        (books.accounts.income, other, other_own),
        currency=currency,
        **more,
    )[0]


def test_two_items_of_one_amount_settle_each_other(books: Books) -> None:
    debit, credit = receivable(books, "2026-03-01", "100.00"), receivable(books, "2026-03-05", "-100.00")

    result = reconcile([debit, credit], actor=books.system)
    settled()

    assert result.is_full
    assert lefts(debit, credit) == [("0.00", "0.00"), ("0.00", "0.00")]
    match = PartialMatch.objects.get()
    assert (match.debit_item_id, match.credit_item_id, match.amount) == (debit.pk, credit.pk, Decimal("100"))
    assert match.date == day("2026-03-05")
    full = FullMatch.objects.get()
    assert {fresh(item).matching_number for item in (debit, credit)} == {str(full.pk)}
    assert {fresh(item).full_match_id for item in (debit, credit)} == {full.pk}


def test_what_is_left_stays_open_under_a_partial_number(books: Books) -> None:
    debit, credit = receivable(books, "2026-03-01", "100.00"), receivable(books, "2026-03-05", "-40.00")

    result = reconcile([debit, credit], actor=books.system)

    assert not result.is_full
    assert lefts(debit, credit) == [("60.00", "60.00"), ("0.00", "0.00")]
    first = PartialMatch.objects.get()
    assert {fresh(item).matching_number for item in (debit, credit)} == {f"P{first.pk}"}

    more = receivable(books, "2026-03-06", "-60.00")
    reconcile([debit, more], actor=books.system)

    full = FullMatch.objects.get()
    assert {fresh(item).matching_number for item in (debit, credit, more)} == {str(full.pk)}


def test_many_items_settle_many_oldest_first(books: Books) -> None:
    debits = [receivable(books, f"2026-03-0{n}", amount) for n, amount in ((1, "10"), (2, "20"), (3, "30"))]
    credits_ = [receivable(books, f"2026-03-1{n}", amount) for n, amount in ((0, "-25"), (1, "-25"))]

    reconcile([*credits_, *reversed(debits)], actor=books.system)

    pairs = [(m.debit_item_id, m.credit_item_id, m.amount) for m in PartialMatch.objects.order_by("pk")]
    assert pairs == [
        (debits[0].pk, credits_[0].pk, 10),
        (debits[1].pk, credits_[0].pk, 15),
        (debits[1].pk, credits_[1].pk, 5),
        (debits[2].pk, credits_[1].pk, 20),
    ]
    assert lefts(*debits, *credits_) == [
        ("0.00", "0.00"),
        ("0.00", "0.00"),
        ("10.00", "10.00"),
        ("0.00", "0.00"),
        ("0.00", "0.00"),
    ]


FX = [
    # debit, credit (company, foreign), partial, exchange entry (receivable debit, credit), left
    (("60", "120"), ("-80", "-240"), "40", ("0.00", "20.00"), [("0.00", "0.00"), ("-40.00", "-120.00")]),
    (("40", "120"), ("-120", "-240"), "40", ("20.00", "0.00"), [("0.00", "0.00"), ("-60.00", "-120.00")]),
    (("60", "120"), ("-40", "-120"), "40", ("0.00", "20.00"), [("0.00", "0.00"), ("0.00", "0.00")]),
]


@pytest.mark.parametrize(("debit", "credit", "amount", "exchange", "left"), FX)
def test_exchange_differences_of_the_table(
    books: Books,
    debit: tuple[str, str],
    credit: tuple[str, str],
    amount: str,
    exchange: tuple[str, str],
    left: list[tuple[str, str]],
) -> None:
    one = receivable(books, "2026-03-01", *debit, currency="USD")
    two = receivable(books, "2026-03-05", *credit, currency="USD")

    result = reconcile([one, two], actor=books.system)
    settled()

    assert lefts(one, two) == left
    main = PartialMatch.objects.get(exchange_entry__isnull=False)
    assert (main.amount, main.debit_amount_currency, main.credit_amount_currency) == (
        Decimal(amount),
        120,
        120,
    )
    (entry,) = result.exchange_entries
    assert main.exchange_entry_id == entry.pk
    assert (entry.journal_id, entry.origin) == (books.journals.exchange.pk, EntryOrigin.EXCHANGE)
    loss = exchange[1] != "0.00"
    other = books.accounts.exchange_loss if loss else books.accounts.exchange_gain
    assert lines_of(entry) == [
        ("400000", *exchange, "0.00"),
        (other.code, exchange[1], exchange[0], "0.00"),
    ]


def test_an_invoice_in_company_currency_takes_a_foreign_payment_at_the_payments_rate(books: Books) -> None:
    invoice = receivable(books, "2026-03-01", "60")
    payment = receivable(books, "2026-03-05", "-30", "-90", currency="USD", origin=EntryOrigin.PAYMENT)

    reconcile([invoice, payment], actor=books.system)
    settled()

    assert lefts(invoice, payment) == [("30.00", "30.00"), ("0.00", "0.00")]
    assert not JournalEntry.objects.filter(origin=EntryOrigin.EXCHANGE).exists()


def worked_case(books: Books) -> tuple[JournalItem, JournalItem, JournalItem]:
    """Invoice USD 1,200.00 at 1.10, payments of 500 at 1.20 and of 700 at 1.05."""
    a = books.accounts
    invoice = receivable(books, "2026-01-10", "1090.91", "1200.00", currency="USD")
    first = book(
        books,
        books.journals.bank,
        "2026-02-10",
        (a.outstanding_in, "416.67", "500.00"),
        (a.receivable, "-416.67", "-500.00"),
        currency="USD",
    )[1]
    second = book(
        books,
        books.journals.bank,
        "2026-03-10",
        (a.outstanding_in, "666.67", "700.00"),
        (a.receivable, "-666.67", "-700.00"),
        currency="USD",
    )[1]
    return invoice, first, second


def test_worked_case_in_dollars_to_the_cent(books: Books) -> None:
    invoice, first, second = worked_case(books)

    one = reconcile([invoice, first], actor=books.system)

    assert lines_of(one.exchange_entries[0]) == [
        ("400000", "0.00", "37.88", "0.00"),
        ("654000", "37.88", "0.00", "0.00"),
    ]
    assert one.exchange_entries[0].date == day("2026-02-10")
    assert lefts(invoice, first) == [("636.36", "700.00"), ("0.00", "0.00")]

    two = reconcile([invoice, second], actor=books.system)
    settled()

    assert lines_of(two.exchange_entries[0]) == [
        ("400000", "30.31", "0.00", "0.00"),
        ("754000", "0.00", "30.31", "0.00"),
    ]
    assert lefts(invoice, first, second) == [("0.00", "0.00")] * 3
    assert account_balance(books, books.accounts.receivable) == 0
    gain = account_balance(books, books.accounts.exchange_gain)
    assert gain + account_balance(books, books.accounts.exchange_loss) == Decimal("7.57")
    numbers = set(
        JournalItem.objects.filter(account=books.accounts.receivable).values_list("matching_number")
    )
    assert numbers == {(str(FullMatch.objects.get().pk),)}


def test_undoing_the_first_match_restores_everything(books: Books) -> None:
    invoice, first, _second = worked_case(books)
    made = reconcile([invoice, first], actor=books.system)

    undone = unmatch_items([first], actor=books.system)
    settled()

    assert lefts(invoice, first) == [("1090.91", "1200.00"), ("-416.67", "-500.00")]
    assert [fresh(item).matching_number for item in (invoice, first)] == ["", ""]
    (reversal,) = undone.reversals
    assert reversal.reversal_of_id == made.exchange_entries[0].pk
    assert lines_of(reversal) == [
        ("400000", "37.88", "0.00", "0.00"),
        ("654000", "0.00", "37.88", "0.00"),
    ]
    assert account_balance(books, books.accounts.exchange_loss) == 0
    open_items = JournalItem.objects.open().filter(account=books.accounts.receivable)
    assert open_items.count() == 3  # invoice and both payments; the exchange entry settled its reversal


def test_undoing_one_of_two_matches_leaves_the_other(books: Books) -> None:
    invoice, first, second = worked_case(books)
    reconcile([invoice, first], actor=books.system)
    reconcile([invoice, second], actor=books.system)

    unmatch_items([second], actor=books.system)
    settled()

    assert lefts(invoice, first, second) == [("636.36", "700.00"), ("0.00", "0.00"), ("-666.67", "-700.00")]
    assert fresh(second).matching_number == ""
    assert fresh(invoice).full_match_id is None
    kept = PartialMatch.objects.get(credit_item=first)
    assert fresh(invoice).matching_number == fresh(first).matching_number == f"P{kept.pk}"
    assert account_balance(books, books.accounts.exchange_gain) == 0
    assert account_balance(books, books.accounts.exchange_loss) == Decimal("37.88")


def test_company_money_pays_a_foreign_invoice_at_the_rate_of_its_day(books: Books) -> None:
    set_rate("USD", "2026-02-01", "1.20")
    invoice = receivable(books, "2026-01-10", "1090.91", "1200.00", currency="USD")
    payment = receivable(books, "2026-02-10", "-1000.00", origin=EntryOrigin.PAYMENT)

    result = reconcile([invoice, payment], actor=books.system)
    settled()

    assert result.is_full
    assert lines_of(result.exchange_entries[0])[1] == ("654000", "90.91", "0.00", "0.00")


def test_without_a_rate_money_counts_in_company_currency(books: Books) -> None:
    invoice = receivable(books, "2026-01-10", "1090.91", "1200.00", currency="USD")
    payment = receivable(books, "2026-02-10", "-1000.00", origin=EntryOrigin.PAYMENT)

    reconcile([invoice, payment], actor=books.system)

    assert lefts(invoice, payment) == [("90.91", "100.00"), ("0.00", "0.00")]


def test_rest_is_written_off(books: Books) -> None:
    invoice, payment = receivable(books, "2026-03-01", "100"), receivable(books, "2026-03-05", "-95.50")

    result = reconcile(
        [invoice, payment],
        actor=books.system,
        write_off_account=books.accounts.write_off,
        write_off_label="Small difference",
    )
    settled()

    assert result.is_full
    (entry,) = result.write_off_entries
    assert (entry.origin, entry.journal_id, entry.date) == (
        EntryOrigin.WRITE_OFF,
        books.journals.general.pk,
        day("2026-03-05"),
    )
    assert lines_of(entry) == [("400000", "0.00", "4.50", "-4.50"), ("658000", "4.50", "0.00", "4.50")]


def test_foreign_rest_is_written_off_in_both_units(books: Books) -> None:
    invoice = receivable(books, "2026-01-10", "1090.91", "1200.00", currency="USD")
    payment = receivable(books, "2026-01-12", "-1081.82", "-1190.00", currency="USD")

    result = reconcile([invoice, payment], actor=books.system, write_off_account=books.accounts.write_off)
    settled()

    assert result.is_full
    assert lines_of(result.write_off_entries[0]) == [
        ("400000", "0.00", "9.09", "-10.00"),
        ("658000", "9.09", "0.00", "10.00"),
    ]


def test_undoing_a_write_off_leaves_its_entry_open(books: Books) -> None:
    invoice, payment = receivable(books, "2026-03-01", "100"), receivable(books, "2026-03-05", "-95.50")
    reconcile([invoice, payment], actor=books.system, write_off_account=books.accounts.write_off)

    undone = unmatch_items([invoice], actor=books.system)

    assert undone.removed == 2
    assert lefts(invoice, payment) == [("100.00", "100.00"), ("-95.50", "-95.50")]
    entry = JournalEntry.objects.get(origin=EntryOrigin.WRITE_OFF)
    assert entry.items.get(account=books.accounts.receivable).residual == Decimal("-4.50")


def test_side_effects_in_a_locked_period_move_to_the_first_open_day(books: Books) -> None:
    invoice, first, _second = worked_case(books)
    settled()
    AccountingSettings.objects.filter(company=books.company).update(hard_lock_date=day("2026-03-31"))

    made = reconcile([invoice, first], actor=books.system)
    settled()

    shifted = made.exchange_entries[0].date
    assert shifted.isoformat().startswith("2026-04")
    assert made.exchange_entries[0].number.startswith("EXCH/2026/04/")
    matches = PartialMatch.objects.order_by("pk").values_list("date", flat=True)
    assert list(matches) == [day("2026-02-10"), shifted]

    AccountingSettings.objects.filter(company=books.company).update(hard_lock_date=day("2026-05-31"))
    undone = unmatch_items([first], actor=books.system)
    settled()

    assert undone.reversals[0].date.isoformat().startswith("2026-06")
    assert lefts(invoice, first) == [("1090.91", "1200.00"), ("-416.67", "-500.00")]


# ---------------------------------------------------------------------------------------------------------- refusals
def nothing_happened(*items: JournalItem) -> None:
    assert not PartialMatch.objects.exists()
    rows = JournalItem.objects.in_bulk([item.pk for item in items]).values()
    assert all(
        row.residual == row.balance and row.matching_number == "" for row in rows if row.account.reconcile
    )


def test_items_of_two_accounts_are_refused(books: Books) -> None:
    one = receivable(books, "2026-03-01", "100")
    two = book(
        books,
        books.journals.general,
        "2026-03-01",
        (books.accounts.payable, "-100"),
        (books.accounts.expense, "100"),
    )[0]

    with pytest.raises(ValidationFailed) as refused:
        reconcile([one, two], actor=books.system)

    assert refused.value.code == "two_accounts"
    nothing_happened(one, two)


def test_an_account_without_matching_is_refused(books: Books) -> None:
    rows = [
        book(
            books,
            books.journals.general,
            "2026-03-01",
            (books.accounts.bank, sign + "9"),
            (books.accounts.income, other),
        )[0]
        for sign, other in (("", "-9"), ("-", "9"))
    ]

    with pytest.raises(ValidationFailed) as refused:
        reconcile(rows, actor=books.system)

    assert refused.value.code == "not_matchable"
    assert not PartialMatch.objects.exists()


def test_draft_items_are_refused(books: Books) -> None:
    one = receivable(books, "2026-03-01", "100")
    entry = JournalEntry.objects.create(
        company=books.company, journal=books.journals.general, date=day("2026-03-01"), currency=books.currency
    )
    two = JournalItem.objects.create(
        entry=entry,
        company=books.company,
        journal=books.journals.general,
        date=entry.date,
        account=books.accounts.receivable,
        credit=100,
        currency=books.currency,
        amount_currency=-100,
    )

    with pytest.raises(ValidationFailed) as refused:
        reconcile([one, two], actor=books.system)

    assert refused.value.code == "not_posted"
    nothing_happened(one)


def test_items_of_companies_apart_are_refused(books: Books) -> None:
    other = make_books("EUR", "BE", "Beta Ltd")
    one, two = receivable(books, "2026-03-01", "100"), receivable(other, "2026-03-01", "-100")

    with pytest.raises(ValidationFailed) as refused:
        reconcile([one, two], actor=books.system)

    assert refused.value.code == "two_accounts"
    nothing_happened(one, two)


def test_debits_alone_settle_nothing(books: Books) -> None:
    one, two = receivable(books, "2026-03-01", "100"), receivable(books, "2026-03-02", "50")

    with pytest.raises(ValidationFailed) as refused:
        reconcile([one, two], actor=books.system)

    assert refused.value.code == "nothing_to_match"
    nothing_happened(one, two)


def test_settled_items_are_refused(books: Books) -> None:
    one, two = receivable(books, "2026-03-01", "100"), receivable(books, "2026-03-02", "-100")
    reconcile([one, two], actor=books.system)
    three = receivable(books, "2026-03-03", "-10")

    with pytest.raises(Conflict) as refused:
        reconcile([one, three], actor=books.system)

    assert refused.value.code == "settled"
    assert PartialMatch.objects.count() == 1


def test_a_rest_is_refused_when_all_must_be_settled(books: Books) -> None:
    one, two = receivable(books, "2026-03-01", "100"), receivable(books, "2026-03-02", "-99")

    with pytest.raises(Conflict) as refused:
        reconcile([one, two], actor=books.system, allow_partial=False)

    assert refused.value.code == "not_balanced"
    nothing_happened(one, two)


def test_postgresql_refuses_more_than_an_item_has(books: Books) -> None:
    one, two = receivable(books, "2026-03-01", "100"), receivable(books, "2026-03-02", "-100")
    row = {"company": books.company, "debit_item": one, "credit_item": two, "date": day("2026-03-02")}

    with pytest.raises(IntegrityError, match="accounting_item_residual_range"), transaction.atomic():
        PartialMatch.objects.create(**row, amount=101, debit_amount_currency=101, credit_amount_currency=101)

    nothing_happened(one, two)


# ------------------------------------------------------------------------------------------------------------ actions
def test_actions_match_write_off_and_undo(books: Books) -> None:
    accountant = books.actor("accountant")
    one, two = receivable(books, "2026-03-01", "100"), receivable(books, "2026-03-02", "-98")

    answer = reconcile_items([one, two], actor=accountant)
    assert answer["full"] is False
    write_off_items([one], actor=accountant, account=books.accounts.write_off, label="Cents")
    settled()
    assert lefts(one, two) == [("0.00", "0.00"), ("0.00", "0.00")]

    answer = unmatch_chosen([one], actor=accountant)
    assert answer == {"removed": 2, "reversed": []}
    assert lefts(one, two) == [("100.00", "100.00"), ("-98.00", "-98.00")]


@pytest.mark.parametrize("role", ["billing", "auditor", "plain"])
def test_matching_needs_the_right(books: Books, role: str) -> None:
    one, two = receivable(books, "2026-03-01", "100"), receivable(books, "2026-03-02", "-100")

    with pytest.raises(PermissionDenied):
        reconcile_items([one, two], actor=books.actor(role))

    nothing_happened(one, two)


# -------------------------------------------------------------------------------------------------------------- sets
def pairs(books: Books, number: int) -> list[list[JournalItem]]:
    partner = make_partner()
    return [
        [
            receivable(books, "2026-03-01", "55.00", "60.00", currency="USD", partner=partner),
            receivable(books, "2026-03-02", "-50.00", "-60.00", currency="USD", partner=partner),
        ]
        for _n in range(number)
    ]


def test_many_groups_cost_what_one_costs(books: Books) -> None:
    reconcile_groups(pairs(books, 1), actor=books.system)  # numbers of the exchange journal begin
    few, many = pairs(books, 2), pairs(books, 12)

    with count_queries() as small:
        reconcile_groups(few, actor=books.system)
    with count_queries() as large:
        result = reconcile_groups(many, actor=books.system)
    settled()

    assert len(small) == len(large)
    assert len(large) <= 26
    assert result.is_full
    assert len(result.exchange_entries) == 12
    assert FullMatch.objects.count() == 15


@pytest.mark.django_db(transaction=True)
def test_two_matchings_at_once_never_take_more_than_there_is() -> None:
    books = make_books()
    invoice = receivable(books, "2026-03-01", "100")
    payments = [receivable(books, "2026-03-02", "-80") for _n in range(4)]

    outcome = run_in_threads(
        [lambda item=item: reconcile([invoice.pk, item.pk], actor=books.system) for item in payments]
    )

    refused = [result for result in outcome if isinstance(result, Exception)]
    assert [type(error) for error in refused] == [Conflict, Conflict]
    assert {error.code for error in refused} == {"settled"}
    assert lefts(invoice) == [("0.00", "0.00")]
    assert sorted(lefts(*payments)) == [
        ("-60.00", "-60.00"),
        ("-80.00", "-80.00"),
        ("-80.00", "-80.00"),
        ("0.00", "0.00"),
    ]
    with connection.cursor() as cursor:
        cursor.execute("SELECT sum(amount) FROM accounting_partialmatch")
        assert cursor.fetchone() == (Decimal("100"),)


def test_dates_of_matchings_are_the_later_of_both(books: Books) -> None:
    late, early = receivable(books, "2026-03-20", "100"), receivable(books, "2026-03-05", "-100")

    reconcile([late, early], actor=books.system)

    assert PartialMatch.objects.get().date == datetime.date(2026, 3, 20)
