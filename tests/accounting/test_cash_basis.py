"""Taxes due on payment: every matching moves its part, the last one the rest, and undoing it takes it back."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from apps.accounting.constants import EntryOrigin, InvoiceType
from apps.accounting.models import (
    AccountingSettings,
    Invoice,
    JournalEntry,
    JournalItem,
    PartialMatch,
    Payment,
)
from apps.accounting.services.matching import reconcile, reconcile_groups, unmatch_items
from apps.accounting.services.payments import cancel
from apps.accounting.services.register import register_payment
from apps.contacts.models import Partner
from apps.core.errors import Conflict
from apps.core.testkit import count_queries, run_in_threads
from tests.accounting.factories import Books, make_books, make_partner, make_term, set_rate
from tests.accounting.payment_helpers import (
    DAY,
    account_balance,
    book,
    day,
    lefts,
    lines_of,
    make_invoices,
    settled,
    term_item,
)

pytestmark = pytest.mark.django_db


def invoice_on_payment(
    books: Books, partner: Partner, untaxed: str = "100.00", tax: str = "21.00", **more: Any
) -> Invoice:
    return make_invoices(
        books, partner, untaxed=untaxed, tax=books.taxes.sale21_on_payment, tax_amount=tax, **more
    )[0]


def pay(books: Books, invoice: Invoice, amount: str | None = None, **more: Any) -> Payment:
    more.setdefault("date", DAY)
    (pk,) = register_payment(
        [invoice], actor=books.system, amount=Decimal(amount) if amount else None, **more
    )
    settled()
    return Payment.objects.get(pk=pk)


def tax_entries() -> list[JournalEntry]:
    return list(JournalEntry.objects.filter(origin=EntryOrigin.CASH_BASIS).order_by("pk"))


def test_half_paid_makes_half_the_tax_due(books: Books, customer: Partner) -> None:
    invoice = invoice_on_payment(books, customer)
    assert account_balance(books, books.accounts.tax_collected) == 0

    pay(books, invoice, "60.50", date=day("2026-03-20"))

    (entry,) = tax_entries()
    assert (entry.journal_id, entry.date, entry.caused_by_id) == (
        books.journals.cash_basis.pk,
        day("2026-03-20"),
        invoice.journal_entry_id,
    )
    assert lines_of(entry) == [
        ("489000", "50.00", "0.00", "50.00"),
        ("489000", "0.00", "50.00", "-50.00"),
        ("451900", "10.50", "0.00", "10.50"),
        ("451000", "0.00", "10.50", "-10.50"),
    ]
    without, base, _waiting, tax = JournalItem.objects.filter(entry=entry).order_by("position")
    assert (without.tax_pks, without.tag_pks) == ([], [])
    assert (base.tax_pks, base.tag_pks) == ([books.taxes.sale21_on_payment.pk], [books.tags.sale_base.pk])
    assert (tax.tax_id, tax.tag_pks) == (books.taxes.sale21_on_payment.pk, [books.tags.sale_tax.pk])
    match = PartialMatch.objects.get(debit_tax_entry=entry)
    assert match.amount == Decimal("60.50")
    source = JournalItem.objects.get(entry=invoice.journal_entry, account=books.accounts.transition)
    assert lefts(source) == [("-10.50", "-10.50")]


def test_parts_of_the_specification(books: Books, customer: Partner) -> None:
    invoice = invoice_on_payment(books, customer, "100.00", "33.33", plain="0.03")

    pay(books, invoice, "33.34")
    pay(books, invoice, "11.11")

    moved = [(lines_of(entry)[1][2], lines_of(entry)[3][2]) for entry in tax_entries()]
    assert moved == [("25.00", "8.33"), ("8.33", "2.78")]


def test_the_last_payment_moves_exactly_the_rest(books: Books, customer: Partner) -> None:
    invoice = invoice_on_payment(books, customer, "100.00", "21.00")

    for amount in ("40.33", "40.33", "40.34"):
        pay(books, invoice, amount)

    taxes = [Decimal(lines_of(entry)[3][2]) for entry in tax_entries()]
    assert taxes == [Decimal("7.00"), Decimal("7.00"), Decimal("7.00")]
    bases = [Decimal(lines_of(entry)[1][2]) for entry in tax_entries()]
    assert sum(bases) == Decimal("100.00")
    assert account_balance(books, books.accounts.transition) == 0
    assert account_balance(books, books.accounts.tax_collected) == Decimal("-21.00")
    assert account_balance(books, books.accounts.cash_basis_base) == 0
    assert not JournalItem.objects.open().filter(account=books.accounts.transition).exists()
    waiting = JournalItem.objects.filter(account=books.accounts.transition)
    assert waiting.count() == 4
    assert len({item.full_match_id for item in waiting}) == 1


def test_taking_the_payment_back_takes_the_tax_back(books: Books, customer: Partner) -> None:
    invoice = invoice_on_payment(books, customer)
    payment = pay(books, invoice)
    assert account_balance(books, books.accounts.tax_collected) == Decimal("-21.00")

    cancel([payment], actor=books.system)
    settled()

    assert account_balance(books, books.accounts.tax_collected) == 0
    assert account_balance(books, books.accounts.transition) == Decimal("-21.00")
    source = JournalItem.objects.get(entry=invoice.journal_entry, account=books.accounts.transition)
    assert lefts(source) == [("-21.00", "-21.00")]
    assert source.matching_number == ""
    reversal = JournalEntry.objects.get(reversal_of=tax_entries()[0])
    assert reversal.date == tax_entries()[0].date

    pay(books, invoice)
    assert account_balance(books, books.accounts.tax_collected) == Decimal("-21.00")
    assert not JournalItem.objects.open().filter(account=books.accounts.transition).exists()


def test_undoing_one_of_two_keeps_the_other(books: Books, customer: Partner) -> None:
    invoice = invoice_on_payment(books, customer)
    first = pay(books, invoice, "40.33")
    pay(books, invoice, "80.67")
    item = JournalItem.objects.get(entry=first.journal_entry, account=books.accounts.receivable)

    unmatch_items([item], actor=books.system)
    settled()

    assert account_balance(books, books.accounts.tax_collected) == Decimal("-14.00")
    source = JournalItem.objects.get(entry=invoice.journal_entry, account=books.accounts.transition)
    assert lefts(source) == [("-7.00", "-7.00")]

    reconcile([item, term_item(invoice)], actor=books.system)
    settled()
    assert account_balance(books, books.accounts.transition) == 0
    assert account_balance(books, books.accounts.tax_collected) == Decimal("-21.00")


def test_a_credit_note_makes_nothing_due_in_the_end(books: Books, customer: Partner) -> None:
    invoice = invoice_on_payment(books, customer)
    note = invoice_on_payment(books, customer, kind=InvoiceType.CUSTOMER_CREDIT_NOTE)

    reconcile([term_item(invoice), term_item(note)], actor=books.system)
    settled()

    match = PartialMatch.objects.get(debit_item=term_item(invoice))
    assert match.debit_tax_entry_id is not None
    assert match.credit_tax_entry_id is not None
    assert account_balance(books, books.accounts.tax_collected) == 0
    assert account_balance(books, books.accounts.transition) == 0
    assert not JournalItem.objects.open().filter(account=books.accounts.transition).exists()


def test_a_vendor_bill_moves_to_the_deductible_tax(books: Books, vendor: Partner) -> None:
    bill = make_invoices(
        books,
        vendor,
        untaxed="100.00",
        tax=books.taxes.purchase21_on_payment,
        tax_amount="21.00",
        kind=InvoiceType.VENDOR_BILL,
    )[0]

    pay(books, bill, "60.50")

    assert account_balance(books, books.accounts.tax_deductible) == Decimal("10.50")
    assert account_balance(books, books.accounts.transition) == Decimal("10.50")


def test_foreign_payments_move_by_what_they_take_off(books: Books, customer: Partner) -> None:
    set_rate("USD", "2026-02-01", "1.20")
    set_rate("USD", "2026-03-01", "1.05")
    invoice = invoice_on_payment(
        books, customer, "1000.00", "200.00", currency="USD", rate="1.10", date=day("2026-01-10")
    )

    pay(books, invoice, "500.00", date=day("2026-02-10"))
    pay(books, invoice, date=day("2026-03-10"))

    taxes = [lines_of(entry)[3] for entry in tax_entries()]
    assert taxes == [("451000", "0.00", "75.76", "-83.33"), ("451000", "0.00", "106.06", "-116.67")]
    assert account_balance(books, books.accounts.transition) == 0
    assert account_balance(books, books.accounts.tax_collected) == Decimal("-181.82")
    assert not JournalItem.objects.open().filter(account=books.accounts.transition).exists()


def test_instalments_are_parts_of_the_whole(books: Books, customer: Partner) -> None:
    due = ((day("2026-03-31"), "60.50"), (day("2026-04-30"), "60.50"))
    invoice = invoice_on_payment(books, customer, due=due)

    pay(books, invoice, instalments="next")
    pay(books, invoice, instalments="next")

    assert [lines_of(entry)[3][2] for entry in tax_entries()] == ["10.50", "10.50"]


def test_a_discount_is_corrected_where_the_tax_ends(books: Books, customer: Partner) -> None:
    term = make_term(
        books,
        "2 %",
        ("percent", 100, 30),
        early_discount=True,
        discount_percent=Decimal(2),
        discount_days=10,
        discount_mode="included",
    )
    invoice = invoice_on_payment(
        books, customer, "1000.00", "210.00", term=term, discount=(day("2026-03-25"), "1185.80")
    )

    pay(books, invoice)

    assert account_balance(books, books.accounts.transition) == 0
    assert account_balance(books, books.accounts.tax_collected) == Decimal("-205.80")
    assert account_balance(books, books.accounts.discount_loss) == Decimal("20.00")


def test_the_tax_lock_moves_the_entry_but_not_the_payment(books: Books, customer: Partner) -> None:
    invoice = invoice_on_payment(books, customer)
    settled()
    AccountingSettings.objects.filter(company=books.company).update(tax_lock_date=day("2026-03-31"))

    payment = pay(books, invoice, date=day("2026-03-20"))

    assert payment.journal_entry is not None
    assert payment.journal_entry.date == day("2026-03-20")
    assert tax_entries()[0].date.isoformat().startswith("2026-04")


def test_the_waiting_tax_is_not_unmatched_by_itself(books: Books, customer: Partner) -> None:
    invoice = invoice_on_payment(books, customer)
    pay(books, invoice, "60.50")
    source = JournalItem.objects.get(entry=invoice.journal_entry, account=books.accounts.transition)

    with pytest.raises(Conflict) as refused:
        unmatch_items([source], actor=books.system)

    assert refused.value.code == "side_effect"
    assert lefts(source) == [("-10.50", "-10.50")]


def test_many_documents_cost_what_few_cost(books: Books, customer: Partner) -> None:
    def pairs(number: int) -> list[list[int]]:
        invoices = make_invoices(
            books, customer, number, untaxed="100.00", tax=books.taxes.sale21_on_payment, tax_amount="21.00"
        )
        rows = [
            book(
                books,
                books.journals.bank,
                DAY,
                (books.accounts.receivable, "-60.50"),
                (books.accounts.bank, "60.50"),
                partner=customer,
            )[0].pk
            for _n in range(number)
        ]
        return [[term_item(invoice).pk, pk] for invoice, pk in zip(invoices, rows, strict=True)]

    reconcile_groups(pairs(1), actor=books.system)
    few, many = pairs(2), pairs(9)

    with count_queries() as small:
        reconcile_groups(few, actor=books.system)
    with count_queries() as large:
        reconcile_groups(many, actor=books.system)
    settled()

    assert len(small) == len(large)
    assert len(tax_entries()) == 12


@pytest.mark.django_db(transaction=True)
def test_instalments_paid_at_once_share_the_tax_exactly() -> None:
    books = make_books()
    customer = make_partner()
    due = tuple((day(f"2026-0{n}-28"), amount) for n, amount in ((4, "40.33"), (5, "40.33"), (6, "40.34")))
    invoice = invoice_on_payment(books, customer, due=due)
    parts = list(
        JournalItem.objects.filter(entry=invoice.journal_entry, kind="payment_term").order_by("date_maturity")
    )
    money = [
        book(
            books,
            books.journals.bank,
            DAY,
            (books.accounts.receivable, f"-{amount}"),
            (books.accounts.bank, amount),
            partner=customer,
        )[0].pk
        for _day, amount in due
    ]

    outcome = run_in_threads(
        [
            lambda part=part, pk=pk: reconcile([part.pk, pk], actor=books.system)
            for part, pk in zip(parts, money, strict=True)
        ]
    )

    assert not [result for result in outcome if isinstance(result, Exception)]
    assert account_balance(books, books.accounts.transition) == 0
    assert account_balance(books, books.accounts.tax_collected) == Decimal("-21.00")
    assert Invoice.objects.get(pk=invoice.pk).residual_amount == 0
