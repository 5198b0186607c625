"""Bank lines explained: by items, payments, promises and write-offs, in part, in foreign money; undone to the cent."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import pytest

from apps.accounting.models import BankStatement, Invoice, JournalEntry, JournalItem, Payment, StatementLine
from apps.accounting.selectors.statements import statement_figures
from apps.accounting.services.bank_reconcile import (
    Choice,
    WriteOff,
    reconcile,
    reconcile_line,
    reconcile_lines,
    undo,
    undo_reconcile,
)
from apps.accounting.services.matching import unmatch_chosen
from apps.accounting.services.payments import post_payments
from apps.contacts.models import Partner
from apps.core.actions import get_action
from apps.core.errors import Conflict, PermissionDenied, ValidationFailed
from apps.core.records import service_for
from tests.accounting.factories import Books, get_currency, set_rate
from tests.accounting.payment_helpers import (
    account_balance,
    fresh,
    lefts,
    lines_of,
    make_invoices,
    settled,
    term_item,
)

pytestmark = pytest.mark.django_db
DAY = datetime.date(2026, 3, 20)


def make_line(books: Books, amount: str, **more: Any) -> StatementLine:
    values = {"journal": books.journals.bank, "date": DAY, "amount": Decimal(amount), **more}
    return service_for(StatementLine).create_one(values, actor=books.actor())


def suspense_of(line: StatementLine) -> JournalItem:
    return JournalItem.objects.get(entry=line.entry, position=1)


def pay(books: Books, invoice: Invoice, method: str = "bank_in", **more: Any) -> Payment:
    payment = service_for(Payment).create_one(
        {
            "direction": "inbound",
            "partner": invoice.partner,
            "amount": invoice.total_amount,
            "date": DAY,
            "journal": books.journals.bank,
            "method_line": getattr(books.methods, method),
            "invoices": [invoice],
            **more,
        },
        actor=books.actor(),
    )
    post_payments([payment], actor=books.actor())
    settled()
    return payment


def state_of(record: Any) -> str:
    row = fresh(record)
    return str(row.payment_state if isinstance(row, Invoice) else row.state)


# ---------------------------------------------------------------------------------------------------- items, in one go
def test_a_line_pays_an_invoice(books: Books, customer: Partner) -> None:
    invoice = make_invoices(books, customer, untaxed="250.00")[0]
    line = make_line(books, "250.00", label="INV")

    result = reconcile([line], items=[term_item(invoice)], actor=books.actor())
    settled()

    entry = JournalEntry.objects.get(pk=result["entries"][0])
    assert lines_of(entry) == [
        ("499000", "250.00", "0.00", "250.00"),
        ("400000", "0.00", "250.00", "-250.00"),
    ]
    assert (entry.origin, entry.caused_by_id, entry.date) == ("statement", line.entry_id, DAY)
    assert line.reconciled
    assert fresh(line).version == line.version
    assert fresh(line).partner_id == customer.pk
    assert state_of(invoice) == "paid"
    assert account_balance(books, books.accounts.suspense) == 0
    assert account_balance(books, books.accounts.bank) == Decimal("250.00")


def test_one_line_pays_several_and_takes_a_credit_note_into_account(books: Books, customer: Partner) -> None:
    one, two = make_invoices(books, customer, 2, untaxed="100.00")
    note = make_invoices(books, customer, untaxed="30.00", kind="customer_credit_note")[0]
    line = make_line(books, "170.00")

    reconcile_line(line, counterparts=[term_item(d) for d in (one, note, two)], actor=books.actor())
    settled()

    assert [state_of(d) for d in (one, two)] == ["paid", "paid"]
    assert fresh(note).residual_amount == 0
    assert fresh(line).reconciled


def test_too_little_money_pays_the_last_in_part(books: Books, customer: Partner) -> None:
    one, two = make_invoices(books, customer, 2, untaxed="100.00")
    line = make_line(books, "150.00")

    reconcile_line(line, counterparts=[term_item(one), term_item(two)], actor=books.actor())
    settled()

    assert (state_of(one), state_of(two)) == ("paid", "partial")
    assert fresh(two).residual_amount == Decimal("50.00")
    assert fresh(line).reconciled


def test_too_much_money_stays_in_suspense_and_is_explained_later(books: Books, customer: Partner) -> None:
    one, two = make_invoices(books, customer, 2, untaxed="100.00")
    line = make_line(books, "200.00")
    reconcile_line(line, counterparts=[term_item(one)], actor=books.actor())
    settled()
    assert (fresh(line).reconciled, lefts(suspense_of(line))) == (False, [("-100.00", "-100.00")])

    reconcile_line(line, counterparts=[term_item(two)], actor=books.actor())
    settled()

    assert (fresh(line).reconciled, state_of(two)) == (True, "paid")
    assert account_balance(books, books.accounts.suspense) == 0


def test_the_rest_stays_on_the_partners_account(books: Books, customer: Partner) -> None:
    invoice = make_invoices(books, customer, untaxed="100.00")[0]
    line = make_line(books, "130.00")

    reconcile_line(
        line, counterparts=[term_item(invoice)], partner=customer, rest_to_partner=True, actor=books.actor()
    )
    settled()

    rest = JournalItem.objects.get(account=books.accounts.receivable, residual__lt=0)
    assert (rest.residual, rest.partner_id) == (Decimal("-30.00"), customer.pk)
    assert fresh(line).reconciled


def test_an_amount_limits_what_an_item_takes(books: Books, customer: Partner) -> None:
    invoice = make_invoices(books, customer, untaxed="100.00")[0]
    item = term_item(invoice)
    line = make_line(books, "100.00")

    with pytest.raises(ValidationFailed):
        reconcile([line], items=[item], amounts={str(item.pk): "100.01"}, actor=books.actor())
    reconcile([line], items=[item], amounts={str(item.pk): "40.00"}, actor=books.actor())
    settled()

    assert fresh(invoice).residual_amount == Decimal("60.00")
    assert lefts(suspense_of(line)) == [("-60.00", "-60.00")]


# ------------------------------------------------------------------------------------------------------------ write-offs
def test_a_fee_makes_up_the_difference(books: Books, customer: Partner) -> None:
    invoice = make_invoices(books, customer, untaxed="1210.00")[0]
    line = make_line(books, "1205.00")

    result = reconcile(
        [line],
        items=[term_item(invoice)],
        write_offs=[{"account": books.accounts.write_off.pk, "amount": "-5.00", "label": "Fee"}],
        actor=books.actor(),
    )
    settled()

    assert lines_of(JournalEntry.objects.get(pk=result["entries"][0])) == [
        ("499000", "1205.00", "0.00", "1205.00"),
        ("658000", "5.00", "0.00", "5.00"),
        ("400000", "0.00", "1210.00", "-1210.00"),
    ]
    assert (state_of(invoice), fresh(line).reconciled) == ("paid", True)


def test_a_write_off_holds_its_tax(books: Books) -> None:
    line = make_line(books, "-121.00", label="Office rent")

    result = reconcile(
        [line],
        write_offs=[{"account": books.accounts.expense.pk, "taxes": [books.taxes.purchase21.pk]}],
        actor=books.actor(),
    )
    settled()

    entry = JournalEntry.objects.get(pk=result["entries"][0])
    assert lines_of(entry) == [
        ("499000", "0.00", "121.00", "-121.00"),
        ("604000", "100.00", "0.00", "100.00"),
        ("411000", "21.00", "0.00", "21.00"),
    ]
    base, tax = entry.items.order_by("position")[1:]
    assert (base.tax_pks, base.tag_pks) == ([books.taxes.purchase21.pk], [books.tags.purchase_base.pk])
    assert (tax.tax_id, tax.tag_pks) == (books.taxes.purchase21.pk, [books.tags.purchase_tax.pk])
    assert tax.tax_base_amount == Decimal("100.00")


def test_many_lines_go_to_one_account(books: Books, django_assert_max_num_queries: Any) -> None:
    lines = [make_line(books, f"-{n}.00") for n in (1, 2, 3)]

    with django_assert_max_num_queries(60):
        reconcile(lines, write_offs=[{"account": books.accounts.expense.pk}], actor=books.actor())
    settled()

    assert all(line.reconciled for line in lines)
    assert account_balance(books, books.accounts.expense) == Decimal(6)


@pytest.mark.parametrize(
    "write_off",
    [
        {"account": "1"},
        {"account": 1, "amount": 5.0},
        {"account": 1, "price": "5"},
        {"account": 1, "amount": "NaN"},
        {"account": 999999999},
    ],
)
def test_write_offs_that_mean_nothing_are_refused(books: Books, write_off: dict[str, Any]) -> None:
    line = make_line(books, "-5.00")
    if write_off["account"] == 1:
        write_off = {**write_off, "account": books.accounts.expense.pk}

    with pytest.raises(ValidationFailed) as refused:
        reconcile([line], write_offs=[write_off], actor=books.actor())

    assert "write_offs" in refused.value.fields
    assert JournalEntry.objects.count() == 1


def test_more_than_the_line_is_refused(books: Books) -> None:
    line = make_line(books, "-5.00")

    with pytest.raises(ValidationFailed, match=r"-6\.00"):
        reconcile_line(
            line, write_offs=[WriteOff(books.accounts.expense.pk, Decimal("-6.00"))], actor=books.actor()
        )

    assert JournalEntry.objects.count() == 1


# ------------------------------------------------------------------------------------------------------------- payments
def test_a_payment_is_paid_when_its_money_is_on_the_statement(books: Books, customer: Partner) -> None:
    invoice = make_invoices(books, customer, untaxed="80.00")[0]
    payment = pay(books, invoice)
    assert (state_of(payment), state_of(invoice)) == ("in_process", "in_payment")
    line = make_line(books, "80.00")

    reconcile([line], payments=[payment], actor=books.actor())
    settled()

    assert (state_of(payment), state_of(invoice)) == ("paid", "paid")
    assert account_balance(books, books.accounts.outstanding_in) == 0
    assert fresh(line).reconciled


def test_a_promise_is_kept_without_counting_the_cash_twice(books: Books, customer: Partner) -> None:
    invoice = make_invoices(books, customer, untaxed="80.00")[0]
    payment = pay(books, invoice, "bank_in_direct")
    assert (state_of(payment), state_of(invoice)) == ("in_process", "in_payment")
    line = make_line(books, "80.00")

    reconcile([line], payments=[payment], actor=books.actor())
    settled()

    assert (state_of(payment), state_of(invoice)) == ("paid", "paid")
    assert account_balance(books, books.accounts.bank) == Decimal("80.00")
    assert account_balance(books, books.accounts.receivable) == 0
    assert fresh(payment).journal_entry_id is None


def test_the_document_chosen_instead_keeps_the_promise_too(books: Books, customer: Partner) -> None:
    invoice = make_invoices(books, customer, untaxed="80.00")[0]
    payment = pay(books, invoice, "bank_in_direct")
    line = make_line(books, "80.00")

    reconcile_line(line, counterparts=[term_item(invoice)], actor=books.actor())
    settled()

    assert (state_of(payment), state_of(invoice)) == ("paid", "paid")


def test_undoing_makes_a_promise_of_it_again(books: Books, customer: Partner) -> None:
    invoice = make_invoices(books, customer, untaxed="80.00")[0]
    payment = pay(books, invoice, "bank_in_direct")
    line = make_line(books, "80.00")
    reconcile([line], payments=[payment], actor=books.actor())

    undo([line], actor=books.actor())
    settled()

    assert (state_of(payment), state_of(invoice)) == ("in_process", "in_payment")
    assert fresh(invoice).residual_amount == Decimal("80.00")
    assert lefts(suspense_of(line)) == [("-80.00", "-80.00")]


# ------------------------------------------------------------------------------------------------------ foreign currency
def test_foreign_money_settles_a_foreign_invoice_with_its_difference(books: Books, customer: Partner) -> None:
    set_rate("USD", "2026-03-01", "1.10")
    set_rate("USD", "2026-03-20", "1.20")
    invoice = make_invoices(books, customer, untaxed="1200.00", currency="USD", rate="1.10")[0]
    books.journals.bank2.currency = get_currency("USD")
    books.journals.bank2.save(update_fields=["currency"])
    line = make_line(books, "1200.00", journal=books.journals.bank2)

    result = reconcile_line(line, counterparts=[term_item(invoice)], actor=books.actor())
    settled()

    assert state_of(invoice) == "paid"
    assert lines_of(result.exchange_entries[0]) == [
        ("400000", "0.00", "90.91", "0.00"),
        ("654000", "90.91", "0.00", "0.00"),
    ]
    assert account_balance(books, books.accounts.receivable) == 0
    assert fresh(line).reconciled


def test_euros_pay_a_dollar_invoice_at_the_rate_of_the_day(books: Books, customer: Partner) -> None:
    set_rate("USD", "2026-03-01", "1.10")
    set_rate("USD", "2026-03-20", "1.20")
    invoice = make_invoices(books, customer, untaxed="1200.00", currency="USD", rate="1.10")[0]
    line = make_line(books, "1000.00")

    reconcile_line(line, counterparts=[term_item(invoice)], actor=books.actor())
    settled()

    assert (state_of(invoice), fresh(invoice).residual_amount) == ("paid", Decimal(0))
    assert account_balance(books, books.accounts.receivable) == 0
    assert account_balance(books, books.accounts.exchange_loss) == Decimal("90.91")


def test_the_banks_foreign_amount_settles_the_invoice_whole(books: Books, customer: Partner) -> None:
    set_rate("USD", "2026-03-01", "1.10")
    invoice = make_invoices(books, customer, untaxed="110.00", currency="USD", rate="1.10")[0]
    line = make_line(books, "97.35", foreign_currency=get_currency("USD"), foreign_amount=Decimal("110.00"))

    reconcile_line(line, counterparts=[term_item(invoice)], actor=books.actor())
    settled()

    assert (state_of(invoice), fresh(line).reconciled) == ("paid", True)
    assert account_balance(books, books.accounts.bank) == Decimal("97.35")
    assert account_balance(books, books.accounts.exchange_loss) == Decimal("2.65")


def test_foreign_money_pays_an_invoice_in_company_currency(books: Books, customer: Partner) -> None:
    set_rate("USD", "2026-03-01", "1.25")
    invoice = make_invoices(books, customer, untaxed="80.00")[0]
    books.journals.bank2.currency = get_currency("USD")
    books.journals.bank2.save(update_fields=["currency"])
    line = make_line(books, "100.00", journal=books.journals.bank2)

    reconcile_line(line, counterparts=[term_item(invoice)], actor=books.actor())
    settled()

    assert (state_of(invoice), fresh(line).reconciled) == ("paid", True)
    assert account_balance(books, books.accounts.suspense) == 0


# ----------------------------------------------------------------------------------------------------------------- undo
def test_undo_restores_every_residual_and_balance(books: Books, customer: Partner) -> None:
    set_rate("USD", "2026-03-01", "1.10")
    set_rate("USD", "2026-03-20", "1.20")
    invoice = make_invoices(books, customer, untaxed="1200.00", currency="USD", rate="1.10")[0]
    line = make_line(books, "995.00")
    items = [term_item(invoice), suspense_of(line)]
    before = lefts(*items)
    write_off = WriteOff(books.accounts.write_off.pk, Decimal("-5.00"))
    reconcile_line(line, counterparts=[items[0]], write_offs=[write_off], actor=books.actor())
    settled()
    assert state_of(invoice) == "paid"

    undo([line], actor=books.actor())
    settled()

    assert lefts(*items) == before
    assert (state_of(invoice), fresh(line).reconciled) == ("not_paid", False)
    assert fresh(invoice).residual_amount == Decimal("1200.00")
    for account in ("exchange_loss", "exchange_gain", "write_off"):
        assert account_balance(books, getattr(books.accounts, account)) == 0
    assert account_balance(books, books.accounts.suspense) == Decimal("-995.00")
    assert undo_reconcile([line], actor=books.actor()) == []


def test_an_undone_line_is_explained_anew_or_deleted(books: Books) -> None:
    line = make_line(books, "-9.00")
    reconcile([line], write_offs=[{"account": books.accounts.expense.pk}], actor=books.actor())
    lines = service_for(StatementLine)
    with pytest.raises(Conflict):
        lines.delete([line], actor=books.actor())
    undo([line], actor=books.actor())

    reconcile([line], write_offs=[{"account": books.accounts.expense2.pk}], actor=books.actor())
    settled()
    assert account_balance(books, books.accounts.expense2) == Decimal(9)
    undo([line], actor=books.actor())
    lines.delete([line], actor=books.actor())
    settled()

    assert account_balance(books, books.accounts.bank) == 0
    assert account_balance(books, books.accounts.suspense) == 0


def test_taking_the_suspense_apart_by_hand_opens_the_line(books: Books) -> None:
    line = make_line(books, "-9.00")
    reconcile([line], write_offs=[{"account": books.accounts.expense.pk}], actor=books.actor())

    unmatch_chosen([suspense_of(line)], actor=books.actor())
    settled()

    assert not fresh(line).reconciled
    with pytest.raises(Conflict):  # an entry still stands for it
        service_for(StatementLine).delete([line], actor=books.actor())


# -------------------------------------------------------------------------------------------------------------- refusals
def test_a_line_is_explained_once(books: Books, customer: Partner) -> None:
    one, two = make_invoices(books, customer, 2, untaxed="10.00")
    line = make_line(books, "10.00")
    reconcile_line(line, counterparts=[term_item(one)], actor=books.actor())

    with pytest.raises(Conflict):
        reconcile_line(line, counterparts=[term_item(two)], actor=books.actor())

    assert state_of(two) == "not_paid"


def test_a_settled_item_is_refused(books: Books, customer: Partner) -> None:
    invoice = make_invoices(books, customer, untaxed="10.00")[0]
    first, second = make_line(books, "10.00"), make_line(books, "10.00")
    reconcile_line(first, counterparts=[term_item(invoice)], actor=books.actor())
    count = JournalEntry.objects.count()

    with pytest.raises(Conflict):
        reconcile_line(second, counterparts=[term_item(invoice)], actor=books.actor())

    assert JournalEntry.objects.count() == count
    assert not fresh(second).reconciled


def test_an_item_against_the_line_alone_is_refused(books: Books, customer: Partner) -> None:
    invoice = make_invoices(books, customer, untaxed="10.00")[0]
    line = make_line(books, "-10.00")

    with pytest.raises(ValidationFailed):
        reconcile_line(line, counterparts=[term_item(invoice)], actor=books.actor())

    assert state_of(invoice) == "not_paid"


def test_reading_does_not_allow_reconciling(books: Books) -> None:
    line = make_line(books, "-9.00")

    with pytest.raises(PermissionDenied):
        reconcile([line], write_offs=[{"account": books.accounts.expense.pk}], actor=books.actor("auditor"))
    with pytest.raises(PermissionDenied):
        undo([line], actor=books.actor("billing"))

    assert not fresh(line).reconciled


def test_a_locked_day_moves_the_reconciling_entry_only(books: Books, customer: Partner) -> None:
    invoice = make_invoices(books, customer, untaxed="10.00")[0]
    line = make_line(books, "10.00")
    settled()
    books.settings.hard_lock_date = "2026-03-31"
    books.settings.save(update_fields=["hard_lock_date"])

    result = reconcile_line(line, counterparts=[term_item(invoice)], actor=books.actor())
    settled()

    assert result.entries[0].date > datetime.date(2026, 3, 31)
    assert state_of(invoice) == "paid"


def test_the_number_of_statements_does_not_grow(
    books: Books, customer: Partner, django_assert_max_num_queries: Any
) -> None:
    invoices = make_invoices(books, customer, 60, untaxed="10.00")
    actor = books.actor()
    rows = [{"journal": books.journals.bank, "date": DAY, "amount": Decimal(10)} for _n in invoices]
    lines = service_for(StatementLine).create(rows, actor=actor)
    choices = [
        Choice(line, items=[term_item(invoice).pk]) for line, invoice in zip(lines, invoices, strict=True)
    ]

    with django_assert_max_num_queries(50):
        reconcile_lines(choices, actor=actor)
    settled()

    assert StatementLine.objects.filter(reconciled=True).count() == 60
    assert set(Invoice.objects.values_list("payment_state", flat=True)) == {"paid"}


def test_figures_count_what_is_reconciled(books: Books) -> None:
    statement = service_for(BankStatement).create_one(
        {"journal": books.journals.bank, "name": "S", "date": DAY, "balance_end": Decimal("-3.00")},
        actor=books.actor(),
    )
    one, _two = (make_line(books, amount, statement=statement) for amount in ("-1.00", "-2.00"))

    reconcile([one], write_offs=[{"account": books.accounts.expense.pk}], actor=books.actor())

    figures = statement_figures([statement.pk])[statement.pk]
    assert (figures.lines, figures.reconciled, figures.is_complete) == (2, 1, True)


# ------------------------------------------------------------------------------------------- promises on a statement
@pytest.mark.parametrize("way", ["reset", "cancel"])
def test_a_promise_that_a_statement_keeps_is_not_taken_back(
    books: Books, customer: Partner, way: str
) -> None:
    invoice = make_invoices(books, customer, untaxed="80.00")[0]
    payment = pay(books, invoice, "bank_in_direct")
    line = make_line(books, "80.00")
    reconcile([line], payments=[payment], actor=books.actor())
    settled()
    declared = get_action(Payment, way)
    assert declared is not None
    if way == "cancel":  # paid ones cannot be cancelled anyway; one that is said to be in process
        Payment.objects.filter(pk=payment.pk).update(state="in_process")

    with pytest.raises(Conflict) as refused:
        declared([payment.pk], actor=books.actor())

    assert refused.value.code == "on_statement"
    assert str(line.entry) in refused.value.message
    assert state_of(invoice) == "paid"
    assert fresh(line).reconciled


def test_a_promise_is_taken_back_once_its_reconciliation_is_undone(books: Books, customer: Partner) -> None:
    invoice = make_invoices(books, customer, untaxed="80.00")[0]
    payment = pay(books, invoice, "bank_in_direct")
    line = make_line(books, "80.00")
    reconcile([line], payments=[payment], actor=books.actor())
    undo([line], actor=books.actor())
    settled()
    declared = get_action(Payment, "reset")
    assert declared is not None

    declared([payment.pk], actor=books.actor())
    settled()

    assert (state_of(payment), state_of(invoice)) == ("draft", "not_paid")
