"""Documents in the ledger: posting, numbers, dates, references, guards, taking back."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounting.compute.references import is_valid_iso11649, iso11649
from apps.accounting.models import (
    Account,
    AccountingSettings,
    CashRounding,
    Invoice,
    InvoiceLine,
    Journal,
    JournalEntry,
    JournalItem,
    PartnerTerms,
    Tax,
    TaxRepartition,
)
from apps.accounting.services.matching import reconcile
from apps.accounting.services.posting import PostingRefused, post_invoices
from apps.accounting.services.unposting import cancel_invoices, reset_invoices
from apps.contacts.models import BankAccount
from apps.core.errors import Conflict, PermissionDenied, WrongState
from apps.core.models.outbox import OutboxEvent
from apps.core.records import service_for
from apps.core.testkit import drain_outbox
from tests.accounting.factories import Books, get_currency, make_partner, make_term, set_rate
from tests.accounting.invoice_tools import DAY, D, items, line, make, settled

pytestmark = pytest.mark.django_db


def post(books: Books, *invoices: Invoice, **inputs: Any) -> None:
    post_invoices(list(invoices), actor=books.actor("billing"), **inputs)
    settled()


def refusal(books: Books, invoice: Invoice) -> dict[str, list[str]]:
    """Why posting is refused; nothing may have changed."""
    with pytest.raises(PostingRefused) as refused:
        post_invoices([invoice], actor=books.actor("billing"))
    assert str(invoice) in refused.value.message
    stored = Invoice.objects.get(pk=invoice.pk)
    assert (stored.state, stored.number) == ("draft", "")
    assert not JournalEntry.objects.filter(invoice=invoice).exists()
    return refused.value.fields


def configure(books: Books, **values: Any) -> None:
    AccountingSettings.objects.filter(pk=books.settings.pk).update(**values)


# -------------------------------------------------------------------------------------------------------------- booked
def test_posting_books_lines_taxes_and_due_parts(books: Books, customer: Any) -> None:
    invoice = make(books, customer, lines=[line("33.33", quantity=3), line("10")])

    post(books, invoice)

    assert (invoice.state, invoice.number, invoice.payment_state) == ("posted", "INV/2026/00001", "not_paid")
    assert items(invoice) == [
        ("product", "700000", D("-99.99")),
        ("product", "700000", D("-10.00")),
        ("tax", "451000", D("-23.10")),
        ("payment_term", "400000", D("133.09")),
    ]
    stored = Invoice.objects.get(pk=invoice.pk)
    assert (stored.residual_amount, stored.residual_company, stored.version) == (D("133.09"), D("133.09"), 2)
    assert stored.partner_snapshot["name"] == "Prime Customer"
    entry = stored.journal_entry
    assert (entry.number, entry.date, entry.origin, entry.invoice_id) == (
        "INV/2026/00001",
        DAY,
        "invoice",
        invoice.pk,
    )
    assert {row.partner_id for row in entry.items.all()} == {customer.pk}


def test_a_bill_is_booked_the_other_way_round(books: Books, vendor: Any) -> None:
    bill = make(books, vendor, type="vendor_bill", reference="V-77", lines=[line(100)])
    note = make(books, vendor, type="vendor_credit_note", lines=[line(40)])

    post(books, bill, note)

    assert (bill.number, note.number) == ("BILL/2026/03/0001", "RBILL/2026/03/0001")
    assert items(bill) == [
        ("product", "604000", D("100.00")),
        ("tax", "411000", D("21.00")),
        ("payment_term", "440000", D("-121.00")),
    ]
    assert items(note) == [
        ("product", "604000", D("-40.00")),
        ("tax", "411000", D("-8.40")),
        ("payment_term", "440000", D("48.40")),
    ]
    assert (bill.residual_amount, bill.residual_company) == (D("121.00"), D("-121.00"))
    assert bill.journal_entry.reference == "V-77"


def test_each_due_part_is_an_item(books: Books, customer: Any) -> None:
    term = make_term(books, "30/70", ("percent", 30, 0), ("percent", 70, 60))
    invoice = make(books, customer, payment_term=term, lines=[line(1000)])

    post(books, invoice)

    rows = invoice.journal_entry.items.filter(kind="payment_term").order_by("position")
    assert [(row.date_maturity, row.balance, row.residual) for row in rows] == [
        (datetime.date(2026, 3, 15), D("363.00"), D("363.00")),
        (datetime.date(2026, 5, 14), D("847.00"), D("847.00")),
    ]


def test_the_receivable_takes_what_conversion_leaves(books: Books, customer: Any) -> None:
    set_rate("USD", "2026-01-01", "3")
    term = make_term(
        books, "Thirds", ("percent", "33.33", 0), ("percent", "33.33", 30), ("percent", "33.34", 60)
    )
    invoice = make(
        books,
        customer,
        currency=get_currency("USD"),
        payment_term=term,
        lines=[line("0.01", taxes=[]), line("0.02", taxes=[]), line("100.01"), line("33.34")],
    )

    post(books, invoice)

    rows = list(invoice.journal_entry.items.order_by("position"))
    assert sum(row.balance for row in rows) == sum(row.amount_currency for row in rows) == 0
    assert [row.balance for row in rows] == [
        D("0.00"),
        D("-0.01"),
        D("-33.34"),
        D("-11.11"),
        D("-9.33"),
        D("17.93"),
        D("17.93"),
        D("17.93"),
    ]
    assert invoice.total_company == invoice.residual_company == D("53.79")


def test_mixed_terms_tax_the_discounted_base(books: Books, customer: Any) -> None:
    term = make_term(
        books,
        "2 % in 10 days",
        ("percent", 100, 30),
        early_discount=True,
        discount_percent=D(2),
        discount_days=10,
        discount_mode="mixed",
    )
    invoice = make(books, customer, payment_term=term, lines=[line(1000)])

    post(books, invoice)

    assert items(invoice) == [
        ("product", "700000", D("-1000.00")),
        ("early_discount", "700000", D("20.00")),
        ("early_discount", "700000", D("-20.00")),
        ("tax", "451000", D("-205.80")),
        ("payment_term", "400000", D("1205.80")),
    ]
    base = books.tags.sale_base.pk
    tagged = [row for row in invoice.journal_entry.items.all() if base in row.tag_pks]
    assert sum(row.balance for row in tagged) == D("-980.00")
    due = invoice.journal_entry.items.get(kind="payment_term")
    assert (due.discount_date, due.discount_amount_currency) == (datetime.date(2026, 3, 25), D("1185.80"))


def test_cash_rounding_is_a_loss_or_a_gain(books: Books, customer: Any) -> None:
    rule = CashRounding.objects.create(
        company=books.company,
        name="5 cents",
        rounding=D("0.05"),
        profit_account=books.accounts.cash_gain,
        loss_account=books.accounts.cash_loss,
    )
    down = make(books, customer, cash_rounding=rule, lines=[line("23.91", taxes=[])])
    up = make(books, customer, cash_rounding=rule, lines=[line("23.98", taxes=[])])

    post(books, down, up)

    assert items(down)[1:] == [("rounding", "657100", D("0.01")), ("payment_term", "400000", D("23.90"))]
    assert items(up)[1:] == [("rounding", "757100", D("-0.02")), ("payment_term", "400000", D("24.00"))]


def test_a_document_of_nothing_is_paid(books: Books, customer: Any) -> None:
    invoice = make(books, customer, lines=[line(100), line(-100)])

    post(books, invoice)

    assert (invoice.payment_state, invoice.residual_amount) == ("paid", 0)
    names = list(OutboxEvent.objects.filter(name__startswith="accounting.").values_list("name", flat=True))
    assert sorted(names) == ["accounting.InvoicePaid", "accounting.InvoicePosted"]


def test_nothing_and_a_conversion_rest_stays_balanced(books: Books, customer: Any) -> None:
    set_rate("USD", "2026-01-01", "3")
    rows = [line("0.05", taxes=[]) for _n in range(3)] + [line("-0.15", taxes=[])]
    invoice = make(books, customer, currency=get_currency("USD"), lines=rows)

    post(books, invoice)

    assert invoice.total_amount == invoice.total_company == 0
    assert not JournalItem.objects.exclude(residual=0, residual_currency=0).exists()


def test_a_whole_discount_a_zero_quantity_and_negative_lines_are_fine(books: Books, customer: Any) -> None:
    rows = [line(100, discount="100"), line(100, quantity=0), line(50), line("-20")]
    invoice = make(books, customer, lines=rows)

    post(books, invoice)

    assert invoice.total_amount == D("36.30")


def test_the_accounts_agreed_with_the_partner_are_used(books: Books, customer: Any) -> None:
    PartnerTerms.objects.create(
        company=books.company, partner=customer, receivable_account=books.accounts.receivable2
    )
    person = make_partner("Ann", is_company=False, parent=customer)
    invoice = make(books, person, lines=[line(100)])

    post(books, invoice)

    row = invoice.journal_entry.items.get(kind="payment_term")
    assert (row.account_id, row.partner_id) == (books.accounts.receivable2.pk, customer.pk)


def test_taxes_edited_later_change_nothing_that_was_booked(books: Books, customer: Any) -> None:
    invoice = make(books, customer, lines=[line(100)])
    post(books, invoice)
    before = list(invoice.journal_entry.items.order_by("pk").values_list("tax_pks", "tag_pks"))

    with pytest.raises(DatabaseError, match="stands on posted documents"), transaction.atomic():
        Tax.objects.filter(pk=books.taxes.sale21.pk).update(amount=22)
    with pytest.raises(DatabaseError, match="stands on posted documents"), transaction.atomic():
        TaxRepartition.objects.filter(tax=books.taxes.sale21).update(account=None)
    share = TaxRepartition.objects.get(tax=books.taxes.sale21, document="invoice", kind="base")
    share.tags.set([books.tags.purchase_base])

    assert list(invoice.journal_entry.items.order_by("pk").values_list("tax_pks", "tag_pks")) == before


# ------------------------------------------------------------------------------------------------ dates and references
def test_a_sale_without_a_date_is_of_today(books: Books, customer: Any) -> None:
    term = make_term(books, "30 days", ("percent", 100, 30))
    invoice = make(books, customer, date=None, payment_term=term, lines=[line(100)])
    assert invoice.due_date is None
    today = timezone.localdate()

    post(books, invoice)

    stored = Invoice.objects.get(pk=invoice.pk)
    assert (stored.date, stored.accounting_date) == (today, today)
    assert stored.due_date == today + datetime.timedelta(days=30)


@pytest.mark.parametrize(
    ("kind", "model", "ref", "expected"),
    [
        ("invoice", "plain", "", "INV/2026/00001"),
        ("none", "plain", "", ""),
        ("partner", "plain", "C-654", "C-654"),
        ("partner", "iso11649", "654", "RF97 654"),
    ],
)
def test_payment_references(books: Books, kind: str, model: str, ref: str, expected: str) -> None:
    Journal.objects.filter(pk=books.journals.sale.pk).update(reference_type=kind, reference_model=model)
    partner = make_partner("Referred", ref=ref)
    invoice = make(books, partner, lines=[line(1)])

    post(books, invoice)

    assert Invoice.objects.get(pk=invoice.pk).payment_reference == expected


def test_a_structured_reference_is_of_the_document(books: Books, customer: Any) -> None:
    Journal.objects.filter(pk=books.journals.sale.pk).update(reference_model="iso11649")
    invoice = make(books, customer, lines=[line(1)])

    post(books, invoice)

    assert invoice.payment_reference == iso11649(invoice.pk)
    assert is_valid_iso11649(invoice.payment_reference)


def test_the_first_number_may_be_typed(books: Books, customer: Any) -> None:
    first = make(books, customer, wanted_number="F-2026-0100", lines=[line(1)])
    second = make(books, customer, lines=[line(1)])

    post(books, first)
    post(books, second)

    assert (first.number, second.number) == ("F-2026-0100", "F-2026-0101")


def test_locked_days_move_to_the_first_open_one(books: Books, customer: Any, vendor: Any) -> None:
    invoice = make(books, customer, date=datetime.date(2026, 2, 10), lines=[line(100)])
    bill = make(books, vendor, type="vendor_bill", date=datetime.date(2026, 2, 10), lines=[line(100)])
    configure(books, fiscal_lock_date=datetime.date(2026, 3, 31))

    post(books, invoice, bill)

    assert invoice.date == bill.date == datetime.date(2026, 2, 10)
    assert invoice.accounting_date > datetime.date(2026, 3, 31)
    assert bill.accounting_date > datetime.date(2026, 3, 31)
    assert bill.number == f"BILL/2026/{bill.accounting_date:%m}/0001"


def test_a_tax_lock_moves_taxed_documents_only(books: Books, customer: Any) -> None:
    taxed = make(books, customer, lines=[line(100)])
    plain = make(books, customer, lines=[line(100, taxes=[])])
    configure(books, tax_lock_date=datetime.date(2026, 3, 31))

    post(books, plain, taxed)

    assert plain.accounting_date == DAY
    assert taxed.accounting_date > datetime.date(2026, 3, 31)


# -------------------------------------------------------------------------------------------------------------- guards
def test_a_document_needs_a_partner(books: Books) -> None:
    assert list(refusal(books, make(books, None, lines=[line(1)]))) == ["partner"]


def test_a_bill_needs_its_date(books: Books, vendor: Any) -> None:
    bill = make(books, vendor, type="vendor_bill", date=None, lines=[line(1)])

    assert list(refusal(books, bill)) == ["date"]


def test_a_document_needs_a_line_that_counts(books: Books, customer: Any) -> None:
    invoice = make(books, customer, lines=[{"kind": "note", "description": "Nothing"}])

    assert list(refusal(books, invoice)) == ["lines"]


def test_a_negative_total_is_a_credit_note(books: Books, customer: Any) -> None:
    fields = refusal(books, make(books, customer, lines=[line(-1)]))

    assert "credit note" in fields["lines"][0]


def test_the_journal_the_currency_and_accounts_must_be_in_use(books: Books, customer: Any) -> None:
    set_rate("USD", "2026-01-01", "1.10")
    invoice = make(books, customer, currency=get_currency("USD"), lines=[line(1)])
    Journal.objects.filter(pk=books.journals.sale.pk).update(active=False)
    Account.objects.filter(pk=books.accounts.income.pk).update(deprecated=True)
    type(books.currency).objects.filter(code="USD").update(active=False)

    assert sorted(refusal(books, invoice)) == ["currency", "journal", "lines.0.account"]


def test_the_expected_total_must_be_met(books: Books, vendor: Any) -> None:
    bill = make(books, vendor, type="vendor_bill", expected_total="122", lines=[line(100)])

    assert list(refusal(books, bill)) == ["expected_total"]


def test_a_draft_whose_taxes_changed_is_looked_at_again(books: Books, customer: Any) -> None:
    invoice = make(books, customer, lines=[line(100)])
    Tax.objects.filter(pk=books.taxes.sale21.pk).update(amount=22)

    assert "122.00 instead of 121.00" in refusal(books, invoice)["lines"][0]

    service_for(Invoice).update([invoice], {"date": DAY}, actor=books.actor("billing"))
    post(books, invoice)
    assert invoice.total_amount == D("122.00")


def test_the_bank_account_must_be_active_and_trusted(books: Books, vendor: Any) -> None:
    account = BankAccount.objects.create(
        partner=vendor, number="BE68539007547034", sanitized="BE68539007547034"
    )
    bill = make(books, vendor, type="vendor_bill", lines=[line(1)])
    configure(books, require_trusted_bank=True)
    assert "confirmed" in refusal(books, bill)["bank_account"][0]

    BankAccount.objects.filter(pk=account.pk).update(active=False)
    assert "archived" in refusal(books, bill)["bank_account"][0]

    BankAccount.objects.filter(pk=account.pk).update(active=True, trusted=True)
    post(books, bill)
    assert bill.state == "posted"


def test_a_company_may_block_above_the_credit_limit(books: Books, customer: Any) -> None:
    configure(books, block_over_limit=True, credit_limit=D("200"))
    first, second = (make(books, customer, lines=[line(100)]) for _n in range(2))
    post(books, first)

    with pytest.raises(Conflict, match=r"242\.00"):
        post(books, second)

    assert Invoice.objects.get(pk=second.pk).state == "draft"
    PartnerTerms.objects.create(company=books.company, partner=customer, credit_limit=D("242"))
    post(books, second)
    assert second.state == "posted"


def test_of_many_all_wrong_ones_are_named_and_none_is_posted(books: Books, customer: Any) -> None:
    good = make(books, customer, lines=[line(1)])
    bad = make(books, None, lines=[line(1)])
    worse = make(books, customer, lines=[line(-1)])

    with pytest.raises(PostingRefused) as refused:
        post(books, good, bad, worse)

    assert sorted(refused.value.fields) == sorted([f"{bad.pk}.partner", f"{worse.pk}.lines"])
    assert not JournalEntry.objects.exists()


def test_who_only_reads_posts_nothing(books: Books, customer: Any) -> None:
    invoice = make(books, customer, lines=[line(1)])

    with pytest.raises(PermissionDenied):
        post_invoices([invoice], actor=books.actor("auditor"))

    assert Invoice.objects.get(pk=invoice.pk).state == "draft"


def test_posting_twice_is_refused(books: Books, customer: Any) -> None:
    invoice = make(books, customer, lines=[line(1)])
    post(books, invoice)

    with pytest.raises(WrongState):
        post(books, invoice)

    assert JournalEntry.objects.count() == 1


def test_a_document_of_the_future_posts_itself_when_softly_asked(books: Books, customer: Any) -> None:
    later = timezone.localdate() + datetime.timedelta(days=40)
    future = make(books, customer, date=later, lines=[line(1)])
    now = make(books, customer, lines=[line(1)])

    answer = post_invoices([future, now], actor=books.actor("billing"), soft=True)
    settled()

    assert answer == {"posted": [now.pk], "scheduled": [future.pk]}
    stored = Invoice.objects.get(pk=future.pk)
    assert (stored.state, stored.auto_post, stored.version) == ("draft", "at_date", 2)
    assert (future.state, now.state) == ("draft", "posted")


# ------------------------------------------------------------------------------------------------------- taking back
def test_reset_and_post_again_keeps_the_number(books: Books, customer: Any) -> None:
    invoice = make(books, customer, lines=[line(100)])
    actor = books.actor("billing")
    post(books, invoice)

    reset_invoices([invoice], actor=actor)
    settled()
    assert (invoice.state, invoice.number, invoice.journal_entry_id) == ("draft", "INV/2026/00001", None)
    assert not JournalItem.objects.exclude(residual=0).exists()
    service_for(Invoice).update([invoice], {"lines": [line(200)]}, actor=actor)
    post(books, invoice)

    assert (invoice.state, invoice.number, invoice.residual_amount) == (
        "posted",
        "INV/2026/00001",
        D("242.00"),
    )
    assert [e.revision for e in invoice.entries.order_by("pk")] == [0, 1, 2]
    assert Invoice.objects.get(pk=invoice.pk).version == invoice.version == 5


def test_reset_undoes_matchings_first(books: Books, customer: Any) -> None:
    invoice = make(books, customer, lines=[line(100)])
    note = make(books, customer, type="customer_credit_note", lines=[line(100)])
    actor = books.actor("accountant")
    post(books, invoice, note)
    rows = JournalItem.objects.filter(kind="payment_term")
    reconcile(list(rows), actor=actor)
    settled()
    assert {row.payment_state for row in Invoice.objects.all()} == {"reversed", "paid"}

    reset_invoices([invoice], actor=actor)
    settled()

    note.refresh_from_db()
    assert (note.payment_state, note.residual_amount) == ("not_paid", D("121.00"))
    stored = Invoice.objects.get(pk=invoice.pk)
    assert (stored.state, stored.payment_state, stored.residual_amount) == ("draft", "not_paid", 0)
    assert stored.version == invoice.version


def test_cancel_takes_a_posted_document_out_and_reset_brings_it_back(books: Books, customer: Any) -> None:
    invoice = make(books, customer, lines=[line(100)])
    actor = books.actor("billing")
    post(books, invoice)

    cancel_invoices([invoice], actor=actor)
    settled()
    assert (invoice.state, invoice.number) == ("cancelled", "INV/2026/00001")
    assert sum(row.balance for row in JournalItem.objects.filter(account=books.accounts.receivable)) == 0

    reset_invoices([invoice], actor=actor)
    post(books, invoice)
    assert (invoice.state, invoice.number) == ("posted", "INV/2026/00001")


def test_restricted_journals_and_locked_days_keep_what_was_booked(books: Books, customer: Any) -> None:
    invoice = make(books, customer, lines=[line(100)])
    actor = books.actor("billing")
    post(books, invoice)
    configure(books, sale_lock_date=datetime.date(2026, 3, 31))
    with pytest.raises(Conflict, match="2026-03-31"):
        reset_invoices([invoice], actor=actor)

    configure(books, sale_lock_date=None)
    Journal.objects.filter(pk=books.journals.sale.pk).update(restricted=True)
    with pytest.raises(Conflict, match="credit note"):
        cancel_invoices([invoice], actor=actor)

    assert Invoice.objects.get(pk=invoice.pk).state == "posted"
    assert JournalEntry.objects.count() == 1


def test_a_number_does_not_leave_its_period(books: Books, vendor: Any) -> None:
    bill = make(books, vendor, type="vendor_bill", lines=[line(100)])
    actor = books.actor("billing")
    post(books, bill)
    reset_invoices([bill], actor=actor)
    service_for(Invoice).update([bill], {"date": datetime.date(2026, 4, 2)}, actor=actor)

    with pytest.raises(PostingRefused) as refused:
        post(books, bill)

    assert list(refused.value.fields) == ["accounting_date"]
    service_for(Invoice).update([bill], {"accounting_date": DAY}, actor=actor)
    post(books, bill)
    assert bill.number == "BILL/2026/03/0001"


def test_a_posted_document_keeps_what_was_booked(books: Books, customer: Any) -> None:
    invoice = make(books, customer, lines=[line(100)])
    post(books, invoice)
    service = service_for(Invoice)
    actor = books.actor("billing")

    for values in ({"date": DAY}, {"lines": [line(5)]}, {"partner": None}):
        with pytest.raises(WrongState):
            service.update([invoice], values, actor=actor)
    with pytest.raises(Conflict):
        service.delete([invoice], actor=actor)
    service.update([invoice], {"payment_reference": "By hand", "narration": "Thanks"}, actor=actor)

    stored = Invoice.objects.get(pk=invoice.pk)
    assert (stored.total_amount, stored.payment_reference) == (D("121.00"), "By hand")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE accounting_invoice SET total_amount = 1, untaxed_amount = 1, tax_amount = 0",
        "UPDATE accounting_invoice SET partner_id = NULL",
        "UPDATE accounting_invoice SET number = 'X'",
        "UPDATE accounting_invoice SET state = 'draft'",
        "UPDATE accounting_invoice SET state = 'draft', journal_entry_id = NULL",
        "UPDATE accounting_invoice SET tax_totals = '{}'",
        "DELETE FROM accounting_invoice",
        "TRUNCATE accounting_invoice CASCADE",
        "UPDATE accounting_invoiceline SET quantity = 7",
        "DELETE FROM accounting_invoiceline",
        "DELETE FROM accounting_invoiceline_taxes",
        """INSERT INTO accounting_invoiceline (invoice_id, sequence, kind, description, product_code, unit, quantity,
           unit_price, discount, subtotal, total)
           SELECT id, 1, 'product', '', '', '', 1, 1, 0, 1, 1 FROM accounting_invoice""",
    ],
)
def test_postgresql_refuses_changes_of_posted_documents(books: Books, customer: Any, statement: str) -> None:
    invoice = make(books, customer, lines=[line(100)])
    post(books, invoice)

    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")

    stored = Invoice.objects.get(pk=invoice.pk)
    assert (stored.state, stored.total_amount, stored.number) == ("posted", D("121.00"), "INV/2026/00001")
    assert InvoiceLine.objects.get(invoice=invoice).quantity == 1


# ------------------------------------------------------------------------------------------------------------- figures
def test_posting_costs_the_same_statements_for_two_and_for_many(books: Books) -> None:
    set_rate("USD", "2026-01-01", "1.10")
    usd = get_currency("USD")
    term = make_term(books, "30/70", ("percent", 30, 0), ("percent", 70, 60))
    actor = books.actor("billing")
    partners = [make_partner() for _n in range(12)]

    def cost(count: int, lines: int) -> int:
        rows = [
            {
                "type": "customer_invoice",
                "partner": partners[n],
                "date": DAY + datetime.timedelta(days=n),
                "currency": usd if n % 2 else None,
                "payment_term": term,
                "lines": [line(10 + k) for k in range(lines)],
            }
            for n in range(count)
        ]
        made = service_for(Invoice).create(rows, actor=actor)
        with CaptureQueriesContext(connection) as seen:
            post_invoices(made, actor=actor)
        return len(seen)

    cost(2, 2)
    assert cost(2, 2) == cost(12, 2) == cost(2, 40) <= 45
    settled()


def test_partners_are_counted_after_the_posting(books: Books, customer: Any) -> None:
    invoices = [make(books, customer, lines=[line(1)]) for _n in range(2)]
    post(books, *invoices)

    drain_outbox()

    customer.refresh_from_db()
    assert (customer.customer_rank, customer.supplier_rank) == (2, 0)
