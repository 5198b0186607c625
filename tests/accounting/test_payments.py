"""Payments and registering them: entries, states, grouping, differences, discounts, keys, checks, transfers."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest

from apps.accounting.constants import EntryOrigin, InvoiceType, PaymentState, PaymentStatus
from apps.accounting.events import InvoicePaid
from apps.accounting.models import (
    AccountingSettings,
    Invoice,
    JournalEntry,
    JournalItem,
    PartialMatch,
    Payment,
    PaymentMethodLine,
)
from apps.accounting.services.matching import reconcile, unmatch_items
from apps.accounting.services.payment_state import block, unblock
from apps.accounting.services.payments import cancel, mark_paid, post_payments, reject, reset, transfer
from apps.accounting.services.register import assign_credit, register_payment, remove_match
from apps.contacts.models import BankAccount, Partner
from apps.core.errors import Conflict, PermissionDenied, ValidationFailed, WrongState
from apps.core.models.outbox import OutboxEvent
from apps.core.records import service_for
from apps.core.testkit import count_queries, run_in_threads
from tests.accounting.factories import Books, get_currency, make_books, make_partner, make_term, set_rate
from tests.accounting.payment_helpers import (
    DAY,
    account_balance,
    book,
    day,
    fresh,
    lefts,
    lines_of,
    make_invoices,
    settled,
    term_item,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def billing(books: Books) -> Any:
    return books.actor("billing")


def invoice_of(books: Books, partner: Partner, total: str, **more: Any) -> Invoice:
    return make_invoices(books, partner, untaxed=total, **more)[0]


def pay(invoices: Invoice | list[Invoice], actor: Any, **inputs: Any) -> list[Payment]:
    inputs.setdefault("date", DAY)
    wanted = invoices if isinstance(invoices, list) else [invoices]
    pks = register_payment([invoice.pk for invoice in wanted], actor=actor, **inputs)
    settled()
    rows = Payment.objects.in_bulk(pks)
    return [rows[pk] for pk in pks]


def state(invoice: Invoice) -> tuple[str, str]:
    row = fresh(invoice)
    return row.payment_state, f"{row.residual_amount:.2f}"


# ------------------------------------------------------------------------------------------------------- registering
def test_a_payment_of_all_settles_the_invoice(books: Books, customer: Partner, billing: Any) -> None:
    invoice = invoice_of(books, customer, "1210.00")

    (payment,) = pay(invoice, billing)

    assert (payment.amount, payment.direction, payment.state) == (Decimal("1210"), "inbound", "in_process")
    assert payment.number == "PBNK1/2026/00001"
    assert payment.memo == invoice.number
    assert list(payment.invoices.all()) == [invoice]
    entry = payment.journal_entry
    assert entry is not None
    assert (entry.origin, entry.number, entry.date) == (EntryOrigin.PAYMENT, payment.number, DAY)
    assert lines_of(entry) == [
        ("499100", "1210.00", "0.00", "1210.00"),
        ("400000", "0.00", "1210.00", "-1210.00"),
    ]
    assert state(invoice) == (PaymentState.IN_PAYMENT, "0.00")
    events = OutboxEvent.objects.filter(name=InvoicePaid.name)
    assert [event.payload["pks"] for event in events] == [[invoice.pk]]


def test_payment_in_part_then_the_rest_with_a_write_off(
    books: Books, customer: Partner, billing: Any
) -> None:
    invoice = invoice_of(books, customer, "1210.00")

    pay(invoice, billing, amount=Decimal("400.00"))
    assert state(invoice) == (PaymentState.PARTIAL, "810.00")

    (second,) = pay(
        invoice,
        billing,
        amount=Decimal("815.00"),
        write_off_account=books.accounts.write_off,
        write_off_label="Tip",
    )

    assert second.journal_entry is not None
    assert lines_of(second.journal_entry) == [
        ("499100", "815.00", "0.00", "815.00"),
        ("400000", "0.00", "810.00", "-810.00"),
        ("658000", "0.00", "5.00", "-5.00"),
    ]
    assert state(invoice) == (PaymentState.IN_PAYMENT, "0.00")


def test_too_much_stays_as_credit(books: Books, customer: Partner, billing: Any) -> None:
    invoice = invoice_of(books, customer, "100.00")

    (payment,) = pay(invoice, billing, amount=Decimal("120.00"))

    assert state(invoice) == (PaymentState.IN_PAYMENT, "0.00")
    credit = JournalItem.objects.get(entry=payment.journal_entry, account=books.accounts.receivable)
    assert lefts(credit) == [("-20.00", "-20.00")]


def test_the_invoice_is_paid_when_the_bank_has_the_money(
    books: Books, customer: Partner, billing: Any
) -> None:
    invoice = invoice_of(books, customer, "100.00")
    (payment,) = pay(invoice, billing)
    money = JournalItem.objects.get(entry=payment.journal_entry, account=books.accounts.outstanding_in)
    statement = book(
        books,
        books.journals.bank,
        "2026-03-20",
        (books.accounts.outstanding_in, "-100.00"),
        (books.accounts.bank, "100.00"),
        origin=EntryOrigin.STATEMENT,
    )[0]

    reconcile([money, statement], actor=books.system)
    settled()

    assert fresh(payment).state == PaymentStatus.PAID
    assert state(invoice) == (PaymentState.PAID, "0.00")

    unmatch_items([statement], actor=books.system)

    assert fresh(payment).state == PaymentStatus.IN_PROCESS
    assert state(invoice) == (PaymentState.IN_PAYMENT, "0.00")


def test_a_vendor_is_paid_from_the_outstanding_payments(books: Books, vendor: Partner, billing: Any) -> None:
    bill = invoice_of(books, vendor, "500.00", kind=InvoiceType.VENDOR_BILL)

    (payment,) = pay(bill, billing)

    assert (payment.direction, payment.partner_side) == ("outbound", "supplier")
    assert payment.journal_entry is not None
    assert lines_of(payment.journal_entry) == [
        ("499200", "0.00", "500.00", "-500.00"),
        ("440000", "500.00", "0.00", "500.00"),
    ]
    assert state(bill) == (PaymentState.IN_PAYMENT, "0.00")
    assert fresh(bill).residual_company == 0


def test_many_documents_become_one_payment_a_partner_when_grouped(
    books: Books, customer: Partner, billing: Any
) -> None:
    rival = make_partner("Rival")
    mine = make_invoices(books, customer, 2, untaxed="100.00")
    theirs = make_invoices(books, rival, 1, untaxed="50.00")

    payments = pay([*mine, *theirs], billing, group=True)

    assert sorted((p.partner_id, p.amount) for p in payments) == sorted(
        [(customer.pk, Decimal("200")), (rival.pk, Decimal("50"))]
    )
    assert [state(invoice)[0] for invoice in [*mine, *theirs]] == [PaymentState.IN_PAYMENT] * 3


def test_without_grouping_every_document_has_its_payment(
    books: Books, customer: Partner, billing: Any
) -> None:
    invoices = make_invoices(books, customer, 3, untaxed="100.00")

    payments = pay(invoices, billing)

    assert [payment.number for payment in payments] == [f"PBNK1/2026/0000{n}" for n in (1, 2, 3)]
    assert [list(p.invoices.values_list("pk", flat=True)) for p in payments] == [[i.pk] for i in invoices]


PARTS = ((day("2026-03-01"), "300.00"), (day("2026-03-31"), "300.00"), (day("2026-04-30"), "400.00"))


@pytest.mark.parametrize(
    ("inputs", "amount", "left"),
    [
        ({"instalments": "full"}, "1000", "0.00"),
        ({"instalments": "next"}, "300", "700.00"),
        ({"instalments": "overdue", "date": day("2026-04-15")}, "600", "400.00"),
        ({"instalments": "before_date", "before_date": day("2026-04-30")}, "1000", "0.00"),
        ({"instalments": "before_date", "before_date": day("2026-03-31")}, "600", "400.00"),
    ],
)
def test_instalments_chosen(
    books: Books, customer: Partner, billing: Any, inputs: dict[str, Any], amount: str, left: str
) -> None:
    invoice = invoice_of(books, customer, "1000.00", due=PARTS)

    (payment,) = pay(invoice, billing, **inputs)

    assert payment.amount == Decimal(amount)
    assert state(invoice)[1] == left


def test_a_foreign_invoice_is_paid_in_company_currency_at_the_rate_of_the_day(
    books: Books, customer: Partner, billing: Any
) -> None:
    set_rate("USD", "2026-03-01", "1.05")
    invoice = invoice_of(books, customer, "700.00", currency="USD", rate="1.10")
    assert fresh(invoice).residual_company == Decimal("636.36")

    (payment,) = pay(invoice, billing, currency=books.currency)

    assert (payment.amount, payment.currency_id) == (Decimal("666.67"), books.currency.pk)
    assert state(invoice) == (PaymentState.IN_PAYMENT, "0.00")
    exchange = JournalEntry.objects.get(origin=EntryOrigin.EXCHANGE)
    assert lines_of(exchange)[1] == ("754000", "0.00", "30.31", "-30.31")
    assert account_balance(books, books.accounts.receivable) == 0


def test_a_payment_in_a_third_currency_settles_at_the_rates_of_the_day(
    books: Books, customer: Partner, billing: Any
) -> None:
    set_rate("USD", "2026-03-01", "1.20")
    set_rate("GBP", "2026-03-01", "0.80")
    invoice = invoice_of(books, customer, "1200.00", currency="USD", rate="1.10")

    (payment,) = pay(invoice, billing, currency=get_currency("GBP"))

    assert (payment.amount, payment.currency.code) == (Decimal("800"), "GBP")
    assert payment.journal_entry is not None
    assert lines_of(payment.journal_entry)[0] == ("499100", "1000.00", "0.00", "800.00")
    assert state(invoice) == (PaymentState.IN_PAYMENT, "0.00")
    assert account_balance(books, books.accounts.exchange_loss) == Decimal("90.91")


def test_the_worked_case_through_documents_and_payments(
    books: Books, customer: Partner, billing: Any
) -> None:
    set_rate("USD", "2026-02-01", "1.20")
    set_rate("USD", "2026-03-01", "1.05")
    invoice = invoice_of(books, customer, "1200.00", currency="USD", rate="1.10", date=day("2026-01-10"))

    pay(invoice, billing, amount=Decimal("500"), date=day("2026-02-10"))

    row = fresh(invoice)
    assert (row.payment_state, row.residual_amount, row.residual_company) == (
        PaymentState.PARTIAL,
        Decimal("700.00"),
        Decimal("636.36"),
    )

    pay(invoice, billing, date=day("2026-03-10"))

    assert state(invoice) == (PaymentState.IN_PAYMENT, "0.00")
    entries = JournalEntry.objects.filter(origin=EntryOrigin.EXCHANGE).order_by("pk")
    assert [lines_of(entry) for entry in entries] == [
        [("400000", "0.00", "37.88", "0.00"), ("654000", "37.88", "0.00", "0.00")],
        [("400000", "30.31", "0.00", "0.00"), ("754000", "0.00", "30.31", "0.00")],
    ]


# ---------------------------------------------------------------------------------------------------- early discounts
def discounted(
    books: Books, customer: Partner, mode: str, untaxed: str, tax: str, settles: str, rate: str
) -> Invoice:
    term = make_term(
        books,
        f"2 % {mode}",
        ("percent", 100, 30),
        early_discount=True,
        discount_percent=Decimal(10),
        discount_days=10,
        discount_mode=mode,
    )
    return make_invoices(
        books,
        customer,
        untaxed=untaxed,
        tax=getattr(books.taxes, rate),
        tax_amount=tax,
        term=term,
        discount=(day("2026-03-25"), settles),
    )[0]


EPD = [
    (
        "included",
        ("1500.00", "225.00", "1552.50", "sale15"),
        [
            ("499100", "1552.50", "0.00", "1552.50"),
            ("400000", "0.00", "1725.00", "-1725.00"),
            ("657000", "150.00", "0.00", "150.00"),
            ("451000", "22.50", "0.00", "22.50"),
        ],
    ),
    (
        "included",
        ("1000.00", "210.00", "1185.80", "sale21"),
        [
            ("499100", "1185.80", "0.00", "1185.80"),
            ("400000", "0.00", "1210.00", "-1210.00"),
            ("657000", "20.00", "0.00", "20.00"),
            ("451000", "4.20", "0.00", "4.20"),
        ],
    ),
    (
        "excluded",
        ("1000.00", "210.00", "1190.00", "sale21"),
        [
            ("499100", "1190.00", "0.00", "1190.00"),
            ("400000", "0.00", "1210.00", "-1210.00"),
            ("657000", "20.00", "0.00", "20.00"),
        ],
    ),
    (
        "mixed",
        ("1000.00", "205.80", "1185.80", "sale21"),
        [
            ("499100", "1185.80", "0.00", "1185.80"),
            ("400000", "0.00", "1205.80", "-1205.80"),
            ("657000", "20.00", "0.00", "20.00"),
        ],
    ),
]


@pytest.mark.parametrize(("mode", "amounts", "expected"), EPD)
def test_early_discounts_to_the_cent(
    books: Books,
    customer: Partner,
    billing: Any,
    mode: str,
    amounts: tuple[str, str, str, str],
    expected: list[tuple[str, str, str, str]],
) -> None:
    invoice = discounted(books, customer, mode, *amounts)

    (payment,) = pay(invoice, billing)

    assert payment.journal_entry is not None
    assert lines_of(payment.journal_entry) == expected
    assert state(invoice) == (PaymentState.IN_PAYMENT, "0.00")


def test_the_discount_corrects_the_boxes_of_the_return(books: Books, customer: Partner, billing: Any) -> None:
    invoice = discounted(books, customer, "included", "1500.00", "225.00", "1552.50", "sale15")

    (payment,) = pay(invoice, billing)

    loss, tax = JournalItem.objects.filter(
        entry=payment.journal_entry, account__in=[books.accounts.discount_loss, books.accounts.tax_collected]
    ).order_by("position")
    assert (loss.tax_pks, loss.tag_pks) == ([books.taxes.sale15.pk], [books.tags.sale_base.pk])
    assert (tax.tax_id, tax.tag_pks) == (books.taxes.sale15.pk, [books.tags.sale_tax.pk])
    assert tax.tax_base_amount == Decimal("150.00")


@pytest.mark.parametrize(
    "inputs",
    [
        pytest.param({"date": day("2026-03-26")}, id="late"),
        pytest.param({"early_discount": False}, id="not wanted"),
        pytest.param({"amount": Decimal("1725.00")}, id="all paid"),
    ],
)
def test_no_discount(books: Books, customer: Partner, billing: Any, inputs: dict[str, Any]) -> None:
    invoice = discounted(books, customer, "included", "1500.00", "225.00", "1552.50", "sale15")

    (payment,) = pay(invoice, billing, **inputs)

    assert payment.amount == Decimal("1725.00")
    assert state(invoice) == (PaymentState.IN_PAYMENT, "0.00")
    assert not JournalItem.objects.filter(account=books.accounts.discount_loss).exists()


def test_no_discount_after_a_first_payment(books: Books, customer: Partner, billing: Any) -> None:
    invoice = discounted(books, customer, "included", "1500.00", "225.00", "1552.50", "sale15")
    pay(invoice, billing, amount=Decimal("25.00"))

    (payment,) = pay(invoice, billing)

    assert payment.amount == Decimal("1700.00")


# ----------------------------------------------------------------------------------------------------------- promises
def test_without_outstanding_account_the_payment_is_a_promise(
    books: Books, customer: Partner, billing: Any
) -> None:
    invoice = invoice_of(books, customer, "100.00")

    (payment,) = pay(invoice, billing, method_line=books.methods.bank_in_direct)

    assert (payment.state, payment.journal_entry_id) == (PaymentStatus.IN_PROCESS, None)
    number = payment.number
    assert re.fullmatch(r"PAY/2026/\d{5}", number)  # promises may leave gaps: their numbers are drawn fast
    assert state(invoice) == (PaymentState.IN_PAYMENT, "100.00")
    assert not PartialMatch.objects.exists()

    mark_paid([payment], actor=billing)
    assert fresh(payment).state == PaymentStatus.PAID
    reset([payment], actor=billing)

    assert (fresh(payment).state, fresh(payment).number) == (PaymentStatus.DRAFT, number)
    assert state(invoice) == (PaymentState.NOT_PAID, "100.00")


def test_a_promise_of_a_part_leaves_the_invoice_partly_paid(
    books: Books, customer: Partner, billing: Any
) -> None:
    invoice = invoice_of(books, customer, "100.00")

    pay(invoice, billing, method_line=books.methods.bank_in_direct, amount=Decimal("30"))

    assert state(invoice) == (PaymentState.PARTIAL, "100.00")


def test_the_write_off_of_a_promise_has_its_own_entry(books: Books, customer: Partner, billing: Any) -> None:
    invoice = invoice_of(books, customer, "100.00")

    pay(
        invoice,
        billing,
        method_line=books.methods.bank_in_direct,
        amount=Decimal("97"),
        write_off_account=books.accounts.write_off,
    )

    entry = JournalEntry.objects.get(origin=EntryOrigin.WRITE_OFF)
    assert lines_of(entry) == [("400000", "0.00", "3.00", "-3.00"), ("658000", "3.00", "0.00", "3.00")]
    assert state(invoice) == (PaymentState.IN_PAYMENT, "97.00")


def test_an_entry_is_not_marked_paid_by_hand(books: Books, customer: Partner, billing: Any) -> None:
    (payment,) = pay(invoice_of(books, customer, "100.00"), billing)

    with pytest.raises(WrongState):
        mark_paid([payment], actor=billing)

    assert fresh(payment).state == PaymentStatus.IN_PROCESS


def test_money_booked_on_the_bank_itself_is_paid_at_once(
    books: Books, customer: Partner, billing: Any
) -> None:
    PaymentMethodLine.objects.filter(pk=books.methods.cash_in.pk).update(
        outstanding_account=books.accounts.cash
    )
    invoice = invoice_of(books, customer, "100.00")

    (payment,) = pay(invoice, billing, journal=books.journals.cash)

    assert payment.state == PaymentStatus.PAID
    assert state(invoice) == (PaymentState.PAID, "0.00")


# ------------------------------------------------------------------------------------------------------- taking back
@pytest.mark.parametrize(
    ("undo", "after"),
    [
        (cancel, PaymentStatus.CANCELLED),
        (reject, PaymentStatus.REJECTED),
        (reset, PaymentStatus.DRAFT),
    ],
)
def test_taking_a_payment_back_opens_the_invoice(
    books: Books, customer: Partner, billing: Any, undo: Any, after: str
) -> None:
    invoice = invoice_of(books, customer, "100.00")
    (payment,) = pay(invoice, billing)
    entry = payment.journal_entry
    assert entry is not None

    undo([payment], actor=billing)
    settled()

    row = fresh(payment)
    assert (row.state, row.journal_entry_id, row.number) == (after, None, "PBNK1/2026/00001")
    assert state(invoice) == (PaymentState.NOT_PAID, "100.00")
    reversal = JournalEntry.objects.get(reversal_of=entry)
    assert (reversal.number, reversal.revision, reversal.payment_id) == (entry.number, 1, payment.pk)
    assert account_balance(books, books.accounts.outstanding_in) == 0
    assert JournalItem.objects.open().filter(account=books.accounts.outstanding_in).count() == 0


def test_a_payment_confirmed_again_keeps_its_number_and_settles_again(
    books: Books, customer: Partner, billing: Any
) -> None:
    invoice = invoice_of(books, customer, "100.00")
    (payment,) = pay(invoice, billing)
    reset([payment], actor=billing)
    service_for(Payment).update([payment], {"amount": Decimal("60.00")}, actor=billing)

    post_payments([payment], actor=billing)
    settled()

    assert payment.number == "PBNK1/2026/00001"
    assert payment.journal_entry is not None
    assert payment.journal_entry.revision == 2
    assert state(invoice) == (PaymentState.PARTIAL, "40.00")

    reset([payment], actor=billing)
    service_for(Payment).update([payment], {"date": day("2027-01-05")}, actor=billing)
    post_payments([payment], actor=billing)
    settled()
    assert payment.number == "PBNK1/2027/00001"


def test_a_payment_on_a_statement_is_not_taken_back(books: Books, customer: Partner, billing: Any) -> None:
    invoice = invoice_of(books, customer, "100.00")
    (payment,) = pay(invoice, billing)
    money = JournalItem.objects.get(entry=payment.journal_entry, account=books.accounts.outstanding_in)
    line = book(
        books,
        books.journals.bank,
        "2026-03-20",
        (books.accounts.outstanding_in, "-100.00"),
        (books.accounts.bank, "100.00"),
        origin=EntryOrigin.STATEMENT,
    )[0]
    reconcile([money, line], actor=books.system)

    with pytest.raises(Conflict) as refused:
        reset([fresh(payment)], actor=billing)

    assert refused.value.code == "on_statement"
    assert fresh(payment).state == PaymentStatus.PAID
    assert state(invoice) == (PaymentState.PAID, "0.00")


def test_a_confirmed_payment_keeps_its_amount(books: Books, customer: Partner, billing: Any) -> None:
    (payment,) = pay(invoice_of(books, customer, "100.00"), billing)

    with pytest.raises(WrongState):
        service_for(Payment).update([payment], {"amount": Decimal("1")}, actor=billing)
    service_for(Payment).update([payment], {"memo": "Thanks"}, actor=billing)
    with pytest.raises(Conflict):
        service_for(Payment).delete([payment], actor=billing)

    assert (fresh(payment).amount, fresh(payment).memo) == (Decimal("100"), "Thanks")


# ------------------------------------------------------------------------------------------------- states of documents
def test_a_credit_note_reverses_the_invoice(books: Books, customer: Partner) -> None:
    invoice = invoice_of(books, customer, "100.00")
    note = invoice_of(books, customer, "100.00", kind=InvoiceType.CUSTOMER_CREDIT_NOTE)

    reconcile([term_item(invoice), term_item(note)], actor=books.system)
    settled()

    assert state(invoice) == (PaymentState.REVERSED, "0.00")
    assert state(note) == (PaymentState.PAID, "0.00")
    assert (fresh(invoice).residual_company, fresh(note).residual_company) == (0, 0)


def test_credit_note_and_payment_make_it_paid(books: Books, customer: Partner, billing: Any) -> None:
    invoice = invoice_of(books, customer, "100.00")
    note = invoice_of(books, customer, "40.00", kind=InvoiceType.CUSTOMER_CREDIT_NOTE)
    assert fresh(note).residual_company == Decimal("-40.00")

    assign_credit([invoice], actor=billing, items=[term_item(note)])
    assert state(invoice) == (PaymentState.PARTIAL, "60.00")
    pay(invoice, billing)

    assert state(invoice) == (PaymentState.IN_PAYMENT, "0.00")


def test_a_document_of_nothing_is_paid(books: Books, customer: Partner) -> None:
    assert state(invoice_of(books, customer, "0.00")) == (PaymentState.PAID, "0.00")


def test_a_blocked_document_waits(books: Books, customer: Partner, billing: Any) -> None:
    invoice = invoice_of(books, customer, "100.00")

    block([invoice], actor=billing)

    assert state(invoice) == (PaymentState.BLOCKED, "100.00")
    with pytest.raises(Conflict) as refused:
        pay(invoice, billing)
    assert refused.value.code == "blocked"
    assert not Payment.objects.exists()
    with pytest.raises(WrongState):
        block([invoice], actor=billing)

    unblock([invoice], actor=billing)
    assert state(invoice) == (PaymentState.NOT_PAID, "100.00")
    with pytest.raises(WrongState):
        unblock([invoice], actor=billing)


def test_a_chosen_matching_is_undone(books: Books, customer: Partner, billing: Any) -> None:
    invoice = invoice_of(books, customer, "100.00")
    other = invoice_of(books, customer, "10.00")
    first, second = pay(invoice, billing, amount=Decimal("30")) + pay(invoice, billing, amount=Decimal("20"))
    match = PartialMatch.objects.get(credit_item__entry=first.journal_entry)

    with pytest.raises(ValidationFailed):
        remove_match([other], actor=billing, matches=[match])
    remove_match([invoice], actor=billing, matches=[match])

    assert state(invoice) == (PaymentState.PARTIAL, "80.00")
    assert PartialMatch.objects.get().credit_item.entry_id == second.journal_entry_id


# ----------------------------------------------------------------------------------------------------------- refusals
def test_nothing_left_is_refused(books: Books, customer: Partner, billing: Any) -> None:
    invoice = invoice_of(books, customer, "100.00")
    pay(invoice, billing)

    with pytest.raises(ValidationFailed) as refused:
        pay(invoice, billing)

    assert refused.value.code == "nothing_open"
    assert Payment.objects.count() == 1


def test_one_amount_for_two_payments_is_refused(books: Books, customer: Partner, billing: Any) -> None:
    invoices = make_invoices(books, customer, 2)

    with pytest.raises(ValidationFailed) as refused:
        pay(invoices, billing, amount=Decimal("150"))

    assert set(refused.value.fields) == {"amount"}
    assert not Payment.objects.exists()
    pay(invoices, billing, amount=Decimal("150"), group=True)
    assert [state(invoice) for invoice in invoices] == [
        (PaymentState.IN_PAYMENT, "0.00"),
        (PaymentState.PARTIAL, "50.00"),
    ]


@pytest.mark.parametrize("amount", ["0", "-5", "10.001"])
def test_bad_amounts_are_refused(books: Books, customer: Partner, billing: Any, amount: str) -> None:
    invoice = invoice_of(books, customer, "100.00")

    with pytest.raises(ValidationFailed):
        pay(invoice, billing, amount=Decimal(amount))

    assert not Payment.objects.exists()


@pytest.mark.parametrize("role", ["auditor", "plain"])
def test_paying_needs_the_right(books: Books, customer: Partner, role: str) -> None:
    invoice = invoice_of(books, customer, "100.00")

    with pytest.raises(PermissionDenied):
        pay(invoice, books.actor(role))

    assert not Payment.objects.exists()
    assert state(invoice) == (PaymentState.NOT_PAID, "100.00")


def test_customers_and_vendors_are_paid_apart(
    books: Books, customer: Partner, vendor: Partner, billing: Any
) -> None:
    both = [
        invoice_of(books, customer, "1.00"),
        invoice_of(books, vendor, "1.00", kind=InvoiceType.VENDOR_BILL),
    ]

    with pytest.raises(ValidationFailed) as refused:
        pay(both, billing)

    assert refused.value.code == "two_sides"
    assert not Payment.objects.exists()


def test_an_untrusted_bank_account_is_refused_when_the_company_says_so(
    books: Books, vendor: Partner, billing: Any
) -> None:
    account = service_for(BankAccount).create_one(
        {"partner": vendor, "number": "BE68 5390 0754 7034"}, actor=books.system
    )
    bill = invoice_of(books, vendor, "10.00", kind=InvoiceType.VENDOR_BILL, bank_account=account)
    AccountingSettings.objects.filter(company=books.company).update(require_trusted_bank=True)

    with pytest.raises(ValidationFailed) as refused:
        pay(bill, billing)

    assert refused.value.code == "untrusted_bank"
    assert not Payment.objects.exists()
    AccountingSettings.objects.filter(company=books.company).update(require_trusted_bank=False)
    (payment,) = pay(bill, billing)
    assert payment.bank_account_id == account.pk


# ----------------------------------------------------------------------------------------------------------------- keys
def test_the_same_key_answers_the_same_payment(books: Books, customer: Partner, billing: Any) -> None:
    invoices = make_invoices(books, customer, 2)

    first = pay(invoices, billing, idempotency_key="bank-77")
    second = pay(invoices, billing, idempotency_key="bank-77")

    assert [payment.pk for payment in first] == [payment.pk for payment in second]
    assert Payment.objects.count() == 2
    assert JournalEntry.objects.filter(origin=EntryOrigin.PAYMENT).count() == 2


def test_a_key_of_other_documents_is_refused(books: Books, customer: Partner, billing: Any) -> None:
    one, two = make_invoices(books, customer, 2)
    pay(one, billing, idempotency_key="bank-77")

    with pytest.raises(Conflict) as refused:
        pay(two, billing, idempotency_key="bank-77")

    assert refused.value.code == "key_used"
    assert state(two) == (PaymentState.NOT_PAID, "100.00")


def test_creating_with_a_known_key(books: Books, customer: Partner, billing: Any) -> None:
    row = {
        "direction": "inbound",
        "partner": customer.pk,
        "amount": Decimal("12.00"),
        "date": DAY,
        "journal": books.journals.bank.pk,
        "idempotency_key": "web-1",
    }

    first = service_for(Payment).create_one(row, actor=billing)
    again = service_for(Payment).create_one(row, actor=billing)

    assert first.pk == again.pk
    with pytest.raises(Conflict) as refused:
        service_for(Payment).create_one({**row, "amount": Decimal("13.00")}, actor=billing)
    assert refused.value.code == "key_used"
    assert Payment.objects.get().amount == Decimal("12.00")


# --------------------------------------------------------------------------------------------------- checks, transfers
def test_checks_are_numbered_and_void_ones_keep_their_number(
    books: Books, vendor: Partner, billing: Any
) -> None:
    line = PaymentMethodLine.objects.create(
        journal=books.journals.bank,
        direction="outbound",
        code="check",
        name="Check",
        outstanding_account=books.accounts.outstanding_out,
        next_check_number=501,
    )
    bills = make_invoices(books, vendor, 3, kind=InvoiceType.VENDOR_BILL)

    first, second = pay(bills[:2], billing, method_line=line)
    cancel([first], actor=billing)
    (third,) = pay(bills[2], billing, method_line=line)

    assert [fresh(payment).check_number for payment in (first, second, third)] == [501, 502, 503]
    repeated = service_for(Payment).create_one(
        {
            "direction": "outbound",
            "partner_side": "supplier",
            "partner": vendor,
            "amount": Decimal("5"),
            "date": DAY,
            "journal": books.journals.bank,
            "method_line": line,
            "check_number": 501,
        },
        actor=billing,
    )
    with pytest.raises(Conflict):
        post_payments([repeated], actor=billing)
    assert fresh(repeated).state == PaymentStatus.DRAFT


def draft_out(books: Books, actor: Any, **more: Any) -> Payment:
    return service_for(Payment).create_one(
        {
            "direction": "outbound",
            "amount": Decimal("250.00"),
            "date": DAY,
            "journal": books.journals.bank,
            "memo": "To savings",
            **more,
        },
        actor=actor,
    )


def test_a_transfer_is_two_payments_that_meet_on_the_transfer_account(books: Books, billing: Any) -> None:
    out = draft_out(books, billing)

    transfer([out], actor=billing, journal=books.journals.bank2)
    settled()

    out = fresh(out)
    half = Payment.objects.exclude(pk=out.pk).get()
    assert (out.paired_payment_id, half.paired_payment_id) == (half.pk, out.pk)
    assert (half.direction, half.amount, half.journal_id) == (
        "inbound",
        Decimal("250"),
        books.journals.bank2.pk,
    )
    assert out.journal_entry is not None
    assert half.journal_entry is not None
    assert lines_of(out.journal_entry) == [
        ("499200", "0.00", "250.00", "-250.00"),
        ("580000", "250.00", "0.00", "250.00"),
    ]
    assert lines_of(half.journal_entry) == [
        ("499100", "250.00", "0.00", "250.00"),
        ("580000", "0.00", "250.00", "-250.00"),
    ]
    assert not JournalItem.objects.open().filter(account=books.accounts.transfer).exists()
    assert [out.state, half.state] == [PaymentStatus.IN_PROCESS] * 2


def test_a_transfer_needs_another_account(books: Books, billing: Any) -> None:
    out = draft_out(books, billing)

    with pytest.raises(ValidationFailed):
        transfer([out], actor=billing, journal=books.journals.bank)

    assert fresh(out).state == PaymentStatus.DRAFT
    assert Payment.objects.count() == 1


# --------------------------------------------------------------------------------------------------------------- sets
def test_many_documents_cost_what_few_cost(books: Books, customer: Partner, billing: Any) -> None:
    pay(invoice_of(books, customer, "1.00"), billing)
    few, many = make_invoices(books, customer, 2), make_invoices(books, customer, 15)

    with count_queries() as small:
        pay(few, billing)
    with count_queries() as large:
        pay(many, billing)

    assert len(small) == len(large)
    assert Payment.objects.count() == 18
    assert {state(invoice) for invoice in many} == {(PaymentState.IN_PAYMENT, "0.00")}


# --------------------------------------------------------------------------------------------------------- concurrency
@pytest.mark.django_db(transaction=True)
def test_two_payments_at_once_never_pay_more_than_is_open() -> None:
    books = make_books()
    customer = make_partner()
    invoice = invoice_of(books, customer, "100.00")
    actor = books.actor("billing")

    outcome = run_in_threads(
        [lambda: register_payment([invoice.pk], actor=actor, date=DAY) for _n in range(4)]
    )

    paid = [result for result in outcome if not isinstance(result, Exception)]
    assert len(paid) == 1
    assert {getattr(e, "code", repr(e)) for e in outcome if isinstance(e, Exception)} == {"nothing_open"}
    assert Payment.objects.count() == 1
    assert state(invoice) == (PaymentState.IN_PAYMENT, "0.00")


@pytest.mark.django_db(transaction=True)
def test_one_key_at_once_books_one_payment() -> None:
    books = make_books()
    customer = make_partner()
    invoice = invoice_of(books, customer, "100.00")
    actor = books.actor("billing")
    row = {
        "direction": "inbound",
        "partner": customer.pk,
        "amount": Decimal("12.00"),
        "date": DAY,
        "journal": books.journals.bank.pk,
        "idempotency_key": "web-1",
    }

    created = run_in_threads(
        [lambda: service_for(Payment).create_one(row, actor=actor).pk for _n in range(4)]
    )
    registered = run_in_threads(
        [
            lambda: register_payment(
                [invoice.pk], actor=actor, date=DAY, amount=Decimal("40"), idempotency_key="web-2"
            )
            for _n in range(4)
        ]
    )

    assert len(set(created)) == 1
    assert len({tuple(pks) for pks in registered}) == 1
    assert Payment.objects.count() == 2
    assert state(invoice) == (PaymentState.PARTIAL, "60.00")
