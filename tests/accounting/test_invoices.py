"""Documents as drafts: defaults, totals, changes, refusals."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.accounting.models import (
    AccountingSettings,
    CashRounding,
    FiscalPosition,
    FiscalPositionAccount,
    FiscalPositionTax,
    Invoice,
    InvoiceLine,
    PartnerTerms,
    PaymentTerm,
)
from apps.accounting.services.copies import duplicate
from apps.contacts.models import BankAccount
from apps.core.errors import Conflict, PermissionDenied, StaleVersion, ValidationFailed
from apps.core.records import service_for
from tests.accounting.factories import Books, make_partner, make_tax, make_term, set_rate
from tests.accounting.invoice_tools import DAY, D, line, make

pytestmark = pytest.mark.django_db


def change(books: Books, invoice: Invoice, **values: Any) -> Invoice:
    return service_for(Invoice).update([invoice], values, actor=books.actor("billing"))[0]


def amounts(invoice: Invoice) -> tuple[Decimal, Decimal, Decimal]:
    return invoice.untaxed_amount, invoice.tax_amount, invoice.total_amount


def stored(invoice: Invoice) -> Invoice:
    return Invoice.objects.get(pk=invoice.pk)


# ------------------------------------------------------------------------------------------------------------ defaults
def test_a_draft_gets_its_defaults_and_totals(books: Books, customer: Any) -> None:
    invoice = make(books, customer, lines=[line("33.33", quantity=3)])

    assert (invoice.state, invoice.number, invoice.payment_state) == ("draft", "", "not_paid")
    assert invoice.journal_id == books.journals.sale.pk
    assert invoice.currency_id == books.currency.pk
    assert invoice.commercial_partner_id == customer.pk
    assert (invoice.date, invoice.accounting_date, invoice.due_date) == (DAY, DAY, DAY)
    assert invoice.salesperson_id == books.user("billing").pk
    assert amounts(stored(invoice)) == (D("99.99"), D("21.00"), D("120.99"))
    assert stored(invoice).residual_amount == 0
    (row,) = InvoiceLine.objects.filter(invoice=invoice)
    assert (row.account_id, row.subtotal, row.total) == (
        books.accounts.income.pk,
        D("99.99"),
        D("120.99"),
    )
    assert [tax.pk for tax in row.taxes.all()] == [books.taxes.sale21.pk]


def test_a_bill_takes_the_other_side(books: Books, vendor: Any) -> None:
    account = BankAccount.objects.create(
        partner=vendor, number="BE68539007547034", sanitized="BE68539007547034"
    )

    bill = make(books, vendor, type="vendor_bill", lines=[line(100)])

    row = bill.lines.get()
    assert (bill.journal_id, row.account_id) == (books.journals.purchase.pk, books.accounts.expense.pk)
    assert [tax.pk for tax in row.taxes.all()] == [books.taxes.purchase21.pk]
    assert bill.bank_account_id == account.pk
    assert (bill.untaxed_company, bill.total_company) == (D("-100.00"), D("-121.00"))


def test_an_empty_list_means_no_taxes_and_no_key_the_default(books: Books, customer: Any) -> None:
    invoice = make(books, customer, lines=[line(100, taxes=[]), line(100)])

    assert amounts(invoice) == (D("200.00"), D("21.00"), D("221.00"))


def test_the_commercial_entity_is_found(books: Books, customer: Any) -> None:
    person = make_partner("Ann", is_company=False, parent=customer)

    invoice = make(books, person, lines=[line(1)])

    assert (invoice.partner_id, invoice.commercial_partner_id) == (person.pk, customer.pk)


def test_what_was_agreed_with_the_partner_counts(books: Books, customer: Any) -> None:
    term = make_term(books, "30 days", ("percent", 100, 30))
    PartnerTerms.objects.create(company=books.company, partner=customer, sale_term=term)

    invoice = make(books, customer, lines=[line(100)])
    note = make(books, customer, type="customer_credit_note", lines=[line(100)])
    receipt = make(books, customer, type="customer_receipt", lines=[line(100)])

    assert (invoice.payment_term_id, invoice.due_date) == (term.pk, datetime.date(2026, 4, 14))
    assert (note.payment_term_id, receipt.payment_term_id) == (None, None)
    assert receipt.due_date == DAY


def test_a_due_date_stands_instead_of_terms(books: Books, customer: Any) -> None:
    term = make_term(books, "30 days", ("percent", 100, 30))
    PartnerTerms.objects.create(company=books.company, partner=customer, sale_term=term)
    due = datetime.date(2026, 5, 5)

    invoice = make(books, customer, due_date=due, lines=[line(100)])

    assert (invoice.payment_term_id, invoice.due_date) == (None, due)


def test_terms_of_the_company_stand_on_invoices(books: Books, customer: Any, vendor: Any) -> None:
    AccountingSettings.objects.filter(pk=books.settings.pk).update(invoice_terms="Pay or else")

    assert make(books, customer).narration == "Pay or else"
    assert make(books, customer, narration="").narration == ""
    assert make(books, vendor, type="vendor_bill").narration == ""


def test_a_fiscal_position_maps_default_taxes_and_accounts(books: Books, customer: Any) -> None:
    position = FiscalPosition.objects.create(company=books.company, name="Reduced")
    FiscalPositionTax.objects.create(position=position, source=books.taxes.sale21, target=books.taxes.sale6)
    FiscalPositionAccount.objects.create(
        position=position, source=books.accounts.income, target=books.accounts.income2
    )

    invoice = make(books, customer, fiscal_position=position, lines=[line(100)])

    row = invoice.lines.get()
    assert row.account_id == books.accounts.income2.pk
    assert amounts(invoice) == (D("100.00"), D("6.00"), D("106.00"))


def test_a_position_that_applies_by_itself(books: Books) -> None:
    abroad = make_partner("Abroad", country="US")
    position = FiscalPosition.objects.create(
        company=books.company, name="Export", auto_apply=True, country=abroad.country
    )
    FiscalPositionTax.objects.create(position=position, source=books.taxes.sale21, target=books.taxes.sale0)

    assert make(books, abroad, lines=[line(100)]).fiscal_position_id == position.pk
    assert make(books, make_partner("Home", country="BE"), lines=[line(100)]).fiscal_position_id is None


def test_sections_and_notes_have_no_amounts(books: Books, customer: Any) -> None:
    rows = [
        {"kind": "section", "description": "Part one"},
        line(100),
        {"kind": "note", "description": "Thanks"},
    ]

    invoice = make(books, customer, lines=rows)

    assert amounts(invoice) == (D("100.00"), D("21.00"), D("121.00"))
    assert [(row.kind, row.quantity, row.account_id is None) for row in invoice.lines.all()] == [
        ("section", 0, True),
        ("product", 1, False),
        ("note", 0, True),
    ]


# -------------------------------------------------------------------------------------------------- foreign currency
def test_a_foreign_document_takes_the_rate_of_its_day(books: Books, customer: Any) -> None:
    set_rate("USD", "2026-03-01", "1.10")
    set_rate("USD", "2026-03-20", "1.25")

    invoice = make(books, customer, currency=_usd(), lines=[line(1000, taxes=[])])
    assert (invoice.rate, invoice.total_amount, invoice.total_company) == (
        D("1.10"),
        D("1000.00"),
        D("909.09"),
    )

    later = change(books, invoice, date=datetime.date(2026, 3, 21))
    assert (later.rate, later.total_company, later.accounting_date) == (
        D("1.25"),
        D("800.00"),
        datetime.date(2026, 3, 21),
    )


def test_a_rate_typed_by_hand_stays(books: Books, customer: Any) -> None:
    set_rate("USD", "2026-03-01", "1.10")

    invoice = make(books, customer, currency=_usd(), rate="2", lines=[line(1000, taxes=[])])
    later = change(books, invoice, date=datetime.date(2026, 3, 21))

    assert (later.rate, later.rate_is_manual, later.total_company) == (D(2), True, D("500.00"))


def test_without_a_rate_nothing_is_guessed(books: Books, customer: Any) -> None:
    with pytest.raises(ValidationFailed) as refused:
        make(books, customer, currency=_usd(), lines=[line(1)])

    assert "USD" in refused.value.fields["currency"][0]
    assert not Invoice.objects.exists()


def _usd() -> Any:
    from tests.accounting.factories import get_currency

    return get_currency("USD")


# ------------------------------------------------------------------------------------------------------------ refusals
@pytest.mark.parametrize(
    ("row", "where"),
    [
        ({"quantity": "x"}, "lines.0.quantity"),
        ({"unit_price": 1.5}, "lines.0.unit_price"),
        ({"unit_price": "1.0000001"}, "lines.0.unit_price"),
        ({"discount": "101"}, "lines.0.discount"),
        ({"taxes": [999999]}, "lines.0.taxes"),
        ({"taxes": "no"}, "lines.0.taxes"),
        ({"account": 999999}, "lines.0.account"),
        ({"product": 7}, "lines.0.product"),
        ({"kind": "song"}, "lines.0.kind"),
        ({"colour": 1}, "lines.0.colour"),
        ({"id": 5}, "lines.0.id"),
        ({"product_code": "x" * 81}, "lines.0.product_code"),
        ({"unit_price": "1e13", "quantity": "1e13"}, "lines"),
    ],
)
def test_a_wrong_line_is_named(books: Books, customer: Any, row: dict[str, Any], where: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        make(books, customer, lines=[row])

    assert list(refused.value.fields) == [where]
    assert not Invoice.objects.exists()


def test_of_many_documents_the_wrong_one_is_named(books: Books, customer: Any) -> None:
    rows = [
        {"type": "customer_invoice", "partner": customer, "lines": [line(1)]},
        {"type": "customer_invoice", "partner": customer, "lines": [line(1), line("x")]},
    ]

    with pytest.raises(ValidationFailed) as refused:
        service_for(Invoice).create(rows, actor=books.actor("billing"))

    assert list(refused.value.fields) == ["1.lines.1.unit_price"]
    assert not Invoice.objects.exists()


def test_taxes_of_the_other_side_and_accounts_of_partners_are_refused(books: Books, customer: Any) -> None:
    rows = [
        line(1, taxes=[books.taxes.purchase21.pk]),
        line(1, account=books.accounts.receivable.pk),
        line(1, account=books.accounts.off_balance.pk),
    ]

    with pytest.raises(ValidationFailed) as refused:
        make(books, customer, lines=rows)

    assert sorted(refused.value.fields) == ["lines.0.taxes", "lines.1.account", "lines.2.account"]


def test_nothing_of_another_company_is_taken(books: Books, other_books: Books, customer: Any) -> None:
    with pytest.raises(ValidationFailed) as refused:
        make(books, customer, lines=[line(1, taxes=[other_books.taxes.sale21.pk])])
    assert list(refused.value.fields) == ["lines.0.taxes"]

    with pytest.raises(ValidationFailed) as refused:
        make(books, customer, lines=[line(1, account=other_books.accounts.income.pk)])
    assert list(refused.value.fields) == ["lines.0.account"]

    with pytest.raises(ValidationFailed) as refused:
        make(books, customer, journal=other_books.journals.sale)
    assert list(refused.value.fields) == ["journal"]

    theirs = make_partner("Theirs", company=other_books.company)
    with pytest.raises(ValidationFailed) as refused:
        make(books, theirs)
    assert list(refused.value.fields) == ["partner"]
    assert not Invoice.objects.exists()


def test_a_sale_does_not_stand_in_a_journal_of_purchases(books: Books, customer: Any) -> None:
    with pytest.raises(ValidationFailed) as refused:
        make(books, customer, journal=books.journals.purchase)

    assert list(refused.value.fields) == ["journal"]


def test_who_only_reads_makes_nothing(books: Books, customer: Any) -> None:
    with pytest.raises(PermissionDenied):
        make(books, customer, role="auditor", lines=[line(1)])

    assert not Invoice.objects.exists()


def test_lines_have_no_life_of_their_own(books: Books, customer: Any) -> None:
    invoice = make(books, customer, lines=[line(1)])
    lines = service_for(InvoiceLine)
    actor = books.actor("billing")

    with pytest.raises(Conflict):
        lines.create([{"invoice": invoice, "unit_price": 5}], actor=actor)
    with pytest.raises(Conflict):
        lines.update(list(invoice.lines.all()), {"unit_price": 5}, actor=actor)
    with pytest.raises(Conflict):
        lines.delete(list(invoice.lines.all()), actor=actor)

    assert [row.unit_price for row in invoice.lines.all()] == [1]


# ------------------------------------------------------------------------------------------------------------- changes
def test_lines_are_changed_added_and_dropped_by_id(books: Books, customer: Any) -> None:
    invoice = make(books, customer, lines=[line(100), line(50), line(25)])
    first, second, third = invoice.lines.all()

    rows = [{"id": second.pk, "unit_price": "60"}, {"id": first.pk, "sequence": 99}, line(7, taxes=[])]
    changed = change(books, invoice, lines=rows)

    assert amounts(stored(invoice)) == amounts(changed) == (D("167.00"), D("33.60"), D("200.60"))
    kept = {row.pk: row for row in invoice.lines.all()}
    assert third.pk not in kept
    assert (kept[second.pk].unit_price, kept[second.pk].subtotal, kept[first.pk].sequence) == (60, 60, 99)
    assert [tax.pk for tax in kept[second.pk].taxes.all()] == [books.taxes.sale21.pk]
    assert changed.version == 2


def test_taxes_of_a_line_are_replaced(books: Books, customer: Any) -> None:
    invoice = make(books, customer, lines=[line(100)])
    row = invoice.lines.get()

    change(books, invoice, lines=[{"id": row.pk, "taxes": [books.taxes.sale6.pk]}])

    assert stored(invoice).total_amount == D("106.00")
    assert [tax.pk for tax in invoice.lines.get().taxes.all()] == [books.taxes.sale6.pk]


def test_a_stale_change_of_lines_writes_nothing(books: Books, customer: Any) -> None:
    invoice = make(books, customer, lines=[line(100)])

    with pytest.raises(StaleVersion):
        service_for(Invoice).update(
            [invoice], {"lines": [line(5)]}, actor=books.actor("billing"), expected_version=7
        )

    assert stored(invoice).total_amount == D("121.00")


def test_a_switch_of_the_fiscal_position_moves_the_lines_when_asked(books: Books, customer: Any) -> None:
    position = FiscalPosition.objects.create(company=books.company, name="Reduced")
    FiscalPositionTax.objects.create(
        position=position, source=books.taxes.sale21_included, target=books.taxes.sale6_included
    )
    FiscalPositionAccount.objects.create(
        position=position, source=books.accounts.income, target=books.accounts.income2
    )
    invoice = make(books, customer, lines=[line(121, taxes=[books.taxes.sale21_included.pk])])

    change(books, invoice, fiscal_position=position)
    assert stored(invoice).total_amount == D("121.00")
    back = change(books, invoice, fiscal_position=None)
    moved = change(books, back, fiscal_position=position, update_lines=True)

    row = moved.lines.get()
    assert amounts(stored(moved)) == (D("100.00"), D("6.00"), D("106.00"))
    assert (row.unit_price, row.account_id) == (106, books.accounts.income2.pk)

    home = change(books, moved, fiscal_position=None, update_lines=True)
    assert amounts(home) == (D("100.00"), D("21.00"), D("121.00"))
    assert home.lines.get().account_id == books.accounts.income.pk


def test_another_partner_brings_his_terms(books: Books, customer: Any) -> None:
    other = make_partner("Other")
    term = make_term(books, "10 days", ("percent", 100, 10))
    PartnerTerms.objects.create(company=books.company, partner=other, sale_term=term)
    invoice = make(books, customer, lines=[line(100)])

    changed = change(books, invoice, partner=other)

    assert (changed.commercial_partner_id, changed.payment_term_id) == (other.pk, term.pk)
    assert stored(invoice).due_date == datetime.date(2026, 3, 25)


def test_an_invoice_turns_into_a_credit_note_while_it_has_no_number(books: Books, customer: Any) -> None:
    invoice = make(books, customer, lines=[line(100)])

    changed = change(books, invoice, type="customer_credit_note")
    assert (changed.type, changed.total_company) == ("customer_credit_note", D("-121.00"))

    with pytest.raises(ValidationFailed) as refused:
        change(books, changed, type="vendor_bill")
    assert list(refused.value.fields) == ["type"]
    assert stored(invoice).type == "customer_credit_note"


def test_a_draft_can_be_deleted(books: Books, customer: Any) -> None:
    invoice = make(books, customer, lines=[line(100)])

    service_for(Invoice).delete([invoice], actor=books.actor("billing"))

    assert not Invoice.objects.exists()
    assert not InvoiceLine.objects.exists()


def test_a_duplicate_starts_afresh(books: Books, vendor: Any) -> None:
    bill = make(books, vendor, type="vendor_bill", reference="A-1", lines=[line(100, discount="10")])

    answer = duplicate([bill], actor=books.actor("billing"))

    copy = Invoice.objects.get(pk=answer["created"][0])
    assert (copy.state, copy.reference, copy.date, copy.total_amount) == ("draft", "", None, D("108.90"))
    assert copy.lines.get().discount == 10


# ------------------------------------------------------------------------------------------- totals of particular kinds
def test_quick_total_solves_the_price(books: Books, vendor: Any) -> None:
    bill = make(books, vendor, type="vendor_bill", quick_total="250.00")

    row = bill.lines.get()
    assert (row.unit_price, amounts(bill)) == (D("206.61"), (D("206.61"), D("43.39"), D("250.00")))
    assert bill.expected_total == D("250.00")
    changed = change(books, bill, quick_total="121.00")
    assert (changed.total_amount, changed.expected_total) == (D("121.00"), D("121.00"))
    assert changed.lines.get().unit_price == 100


def test_a_total_that_no_price_reaches_is_refused(books: Books, vendor: Any) -> None:
    with pytest.raises(ValidationFailed) as refused:
        make(books, vendor, type="vendor_bill", quick_total="0.03")

    assert list(refused.value.fields) == ["quick_total"]


def test_taxes_typed_from_a_bill_live_as_long_as_their_base(books: Books, vendor: Any) -> None:
    group = str(books.groups.vat21.pk)

    bill = make(books, vendor, type="vendor_bill", manual_taxes={group: "21.02"}, lines=[line(100)])
    assert amounts(bill) == (D("100.00"), D("21.02"), D("121.02"))

    same = change(books, bill, date=datetime.date(2026, 3, 16))
    assert same.total_amount == D("121.02")
    row = bill.lines.get()
    other = change(books, bill, lines=[{"id": row.pk, "unit_price": "200"}])
    assert (other.total_amount, stored(other).manual_taxes) == (D("242.00"), {})


def test_taxes_are_typed_on_bills_only(books: Books, customer: Any) -> None:
    with pytest.raises(ValidationFailed) as refused:
        make(books, customer, manual_taxes={str(books.groups.vat21.pk): "1"}, lines=[line(100)])

    assert list(refused.value.fields) == ["manual_taxes"]


@pytest.mark.parametrize(
    ("strategy", "untaxed", "tax", "coins", "total"),
    [
        ("add_line", "19.76", "4.15", "-0.01", "23.90"),
        ("biggest_tax", "19.76", "4.14", "0.00", "23.90"),
    ],
)
def test_cash_rounding(
    books: Books, customer: Any, strategy: str, untaxed: str, tax: str, coins: str, total: str
) -> None:
    rule = CashRounding.objects.create(
        company=books.company,
        name="5 cents",
        rounding=D("0.05"),
        strategy=strategy,
        profit_account=books.accounts.cash_gain,
        loss_account=books.accounts.cash_loss,
    )

    invoice = make(books, customer, cash_rounding=rule, lines=[line("19.76")])

    assert amounts(invoice) == (D(untaxed), D(tax), D(total))
    assert invoice.rounding_amount == D(coins)


def test_terms_divide_the_document(books: Books, customer: Any) -> None:
    term = make_term(books, "30/70", ("percent", 30, 0), ("percent", 70, 60))

    invoice = make(books, customer, payment_term=term, lines=[line(1000)])

    assert [(part["date"], part["amount"]) for part in invoice.instalments] == [
        ("2026-03-15", "363.00"),
        ("2026-05-14", "847.00"),
    ]
    assert invoice.due_date == datetime.date(2026, 5, 14)


@pytest.mark.parametrize(
    ("mode", "total", "pays"),
    [
        ("included", "1210.00", "1185.80"),
        ("excluded", "1210.00", "1190.00"),
        ("mixed", "1205.80", "1185.80"),
    ],
)
def test_early_discount(books: Books, customer: Any, mode: str, total: str, pays: str) -> None:
    term = _discount(books, mode)

    invoice = make(books, customer, payment_term=term, lines=[line(1000)])

    (part,) = invoice.instalments
    assert (invoice.total_amount, part["discount_amount"]) == (D(total), pays)
    assert part["discount_date"] == "2026-03-25"


def _discount(books: Books, mode: str) -> PaymentTerm:
    return make_term(
        books,
        "2 % in 10 days",
        ("percent", 100, 30),
        early_discount=True,
        discount_percent=D(2),
        discount_days=10,
        discount_mode=mode,
    )


def test_a_receipt_has_no_terms(books: Books, customer: Any) -> None:
    term = make_term(books, "30 days", ("percent", 100, 30))

    with pytest.raises(ValidationFailed) as refused:
        make(books, customer, type="customer_receipt", payment_term=term, lines=[line(1)])

    assert list(refused.value.fields) == ["payment_term"]


def test_taxes_of_another_country_need_a_position(books: Books, customer: Any) -> None:
    from apps.core.models import Country

    abroad = make_tax(books, "20 % abroad", 20, country=Country.objects.get(code="FR"))

    with pytest.raises(ValidationFailed) as refused:
        make(books, customer, lines=[line(1, taxes=[abroad.pk])])
    assert list(refused.value.fields) == ["lines.0.taxes"]

    position = FiscalPosition.objects.create(
        company=books.company, name="France", country=abroad.country, foreign_tax_id="FR83404833048"
    )
    invoice = make(books, customer, fiscal_position=position, lines=[line(100, taxes=[abroad.pk])])
    assert invoice.total_amount == D("120.00")


# ------------------------------------------------------------------------------------------------------------- figures
def test_making_costs_the_same_statements_for_two_and_for_many(books: Books, customer: Any) -> None:
    set_rate("USD", "2026-01-01", "1.10")
    usd = _usd()
    term = make_term(books, "30/70", ("percent", 30, 0), ("percent", 70, 60))
    actor = books.actor("billing")
    partners = [make_partner() for _n in range(12)]

    def rows(count: int, lines: int) -> list[dict[str, Any]]:
        return [
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

    def cost(count: int, lines: int) -> int:
        with CaptureQueriesContext(connection) as seen:
            service_for(Invoice).create(rows(count, lines), actor=actor)
        return len(seen)

    cost(2, 2)
    assert cost(2, 2) == cost(12, 2) == cost(2, 40) <= 40
