"""The worked table of taxes through documents: draft, post, items; both roundings; the credit note mirrors to the cent."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from apps.accounting.constants import TaxRounding
from apps.accounting.models import AccountingSettings, Invoice
from apps.accounting.services.credit_notes import reverse
from apps.accounting.services.posting import post_invoices
from tests.accounting.factories import Books, get_currency, make_books, make_tax
from tests.accounting.invoice_tools import D, items, line, make, settled

Setup = Callable[[Books], list[dict[str, Any]]]


def taxed(price: str, *taxes: Any, quantity: Any = 1, **values: Any) -> dict[str, Any]:
    return line(price, quantity=quantity, taxes=[tax.pk for tax in taxes], **values)


def t1(books: Books) -> list[dict[str, Any]]:
    return [taxed("21.53", books.taxes.sale21_included)] * 2


def t2(books: Books) -> list[dict[str, Any]]:
    return [taxed("10.01", books.taxes.sale21)] * 3


def t3(books: Books) -> list[dict[str, Any]]:
    return [taxed("0.55", books.taxes.sale21)] * 5


def t4(books: Books) -> list[dict[str, Any]]:
    return [taxed("52.50", make_tax(books, "12 % included", 12, included=True))]


def t5(books: Books) -> list[dict[str, Any]]:
    return [taxed("124.40", make_tax(books, "8 % included", 8, included=True))]


def t6(books: Books) -> list[dict[str, Any]]:
    return [
        taxed(
            "2300",
            make_tax(books, "15 % on top", 15),
            make_tax(books, "5.5 % included", "5.5", included=True),
        )
    ]


def t10(books: Books) -> list[dict[str, Any]]:
    return [taxed("11.90", books.taxes.sale21_included), taxed("2.80", books.taxes.sale21_included)]


def t11(books: Books) -> list[dict[str, Any]]:
    return [taxed("200", make_tax(books, "Division 10", 10, amount_type="division"))]


def t12(books: Books) -> list[dict[str, Any]]:
    inside = [
        make_tax(books, "Division 10", 10, amount_type="division", sequence=1),
        make_tax(books, "Fixed 10", 10, amount_type="fixed", sequence=2),
        make_tax(books, "Percent 10", 10, sequence=3),
    ]
    return [taxed("200", make_tax(books, "Group", 0, amount_type="group", children=inside))]


def t15(books: Books) -> list[dict[str, Any]]:
    taxes = [
        make_tax(books, "Fixed 1", 1, amount_type="fixed", sequence=1),
        make_tax(books, "21 % later", 21, sequence=2),
        make_tax(books, "Fixed 2", 2, amount_type="fixed", sequence=3),
    ]
    return [taxed("20", *taxes, quantity=5)]


def t16(books: Books) -> list[dict[str, Any]]:
    taxes = [
        make_tax(books, "Fixed 1", 1, amount_type="fixed", sequence=1, include_base_amount=True),
        make_tax(books, "21 % later", 21, sequence=2),
        make_tax(books, "Fixed 2", 2, amount_type="fixed", sequence=3),
    ]
    return [taxed("19", *taxes, quantity=5)]


def t17(books: Books) -> list[dict[str, Any]]:
    return [taxed("0", make_tax(books, "Fixed 0.05 included", "0.05", amount_type="fixed", included=True))]


def t18(books: Books) -> list[dict[str, Any]]:
    first = make_tax(books, "6 % first", 6, sequence=1, include_base_amount=True)
    second = make_tax(books, "6 % second", 6, sequence=2, include_base_amount=True, is_base_affected=False)
    third = make_tax(books, "3 %", 3, sequence=3)
    return [taxed("15.89", first, second, third)] * 2


def t19(books: Books) -> list[dict[str, Any]]:
    return [taxed("121.00", books.taxes.sale21_included, discount="10")]


# lines, (untaxed, tax, total) by line, the same by total
TABLE: dict[str, tuple[Setup, tuple[str, str, str], tuple[str, str, str]]] = {
    "T1": (t1, ("35.58", "7.48", "43.06"), ("35.59", "7.47", "43.06")),
    "T2": (t2, ("30.03", "6.30", "36.33"), ("30.03", "6.31", "36.34")),
    "T3": (t3, ("2.75", "0.60", "3.35"), ("2.75", "0.58", "3.33")),
    "T4": (t4, ("46.87", "5.63", "52.50"), ("46.87", "5.63", "52.50")),
    "T5": (t5, ("115.19", "9.21", "124.40"), ("115.19", "9.21", "124.40")),
    "T6": (t6, ("2180.09", "446.92", "2627.01"), ("2180.09", "446.92", "2627.01")),
    "T10": (t10, ("12.14", "2.56", "14.70"), ("12.15", "2.55", "14.70")),
    "T11": (t11, ("200.00", "22.22", "222.22"), ("200.00", "22.22", "222.22")),
    "T12": (t12, ("200.00", "52.22", "252.22"), ("200.00", "52.22", "252.22")),
    "T15": (t15, ("100.00", "36.00", "136.00"), ("100.00", "36.00", "136.00")),
    "T16": (t16, ("95.00", "36.00", "131.00"), ("95.00", "36.00", "131.00")),
    "T17": (t17, ("-0.05", "0.05", "0.00"), ("-0.05", "0.05", "0.00")),
    "T18": (t18, ("31.78", "4.86", "36.64"), ("31.78", "4.89", "36.67")),
    "T19": (t19, ("90.00", "18.90", "108.90"), ("90.00", "18.90", "108.90")),
}


def rounding(books: Books, mode: str) -> None:
    AccountingSettings.objects.filter(pk=books.settings.pk).update(tax_rounding=mode)


def amounts(invoice: Invoice) -> tuple[Decimal, Decimal, Decimal]:
    return invoice.untaxed_amount, invoice.tax_amount, invoice.total_amount


def balance_of(invoice: Invoice) -> tuple[Decimal, Decimal]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(debit - credit), sum(amount_currency) FROM accounting_journalitem WHERE entry_id = %s",
            [invoice.journal_entry_id],
        )
        return cursor.fetchone()


@pytest.mark.django_db
@pytest.mark.parametrize("mode", TaxRounding.values)
@pytest.mark.parametrize("name", TABLE)
def test_the_table_by_documents(books: Books, customer: Any, name: str, mode: str) -> None:
    rounding(books, mode)
    lines, by_line, by_total = TABLE[name]
    expected = by_line if mode == TaxRounding.LINE else by_total
    actor = books.actor("billing")

    invoice = make(books, customer, lines=lines(books))
    assert amounts(invoice) == tuple(D(text) for text in expected)
    post_invoices([invoice], actor=actor)
    reverse([invoice], actor=actor)
    note = invoice.credit_notes.get()
    post_invoices([note], actor=actor)
    settled()

    invoice.refresh_from_db()
    assert amounts(invoice) == tuple(D(text) for text in expected)
    assert balance_of(invoice) == balance_of(note) == (0, 0)
    assert amounts(note) == amounts(invoice)
    assert [(kind, code, -balance) for kind, code, balance in items(note)] == items(invoice)
    rows = sum((D(row["amount"]) for row in invoice.tax_totals["rows"]), D(0))
    assert (
        rows
        == sum((D(group["amount"]) for group in invoice.tax_totals["groups"]), D(0))
        == invoice.tax_amount
    )
    assert sum((row.subtotal for row in invoice.lines.all()), D(0)) == invoice.untaxed_amount
    assert sum((row.total for row in invoice.lines.all()), D(0)) == invoice.total_amount


@pytest.mark.django_db
@pytest.mark.parametrize(("mode", "untaxed", "tax"), [("line", "24694", "2470"), ("total", "24695", "2469")])
def test_t9_yen(customer: Any, mode: str, untaxed: str, tax: str) -> None:
    books = make_books("JPY", "JP", "Nippon")
    rounding(books, mode)
    included = make_tax(books, "10 % included", 10, included=True)

    invoice = make(books, customer, lines=[taxed("13582", included)] * 2)

    assert amounts(invoice) == (D(untaxed), D(tax), D(27164))


@pytest.mark.django_db
@pytest.mark.parametrize(("price", "untaxed", "tax"), [("27000", "22689", "4311"), ("10920", "9176", "1744")])
def test_t7_coin_of_one(customer: Any, price: str, untaxed: str, tax: str) -> None:
    books = make_books("JPY", "JP", "Nippon")

    invoice = make(books, customer, lines=[taxed(price, make_tax(books, "19 %", 19, included=True))])

    assert amounts(invoice) == (D(untaxed), D(tax), D(price))


@pytest.mark.django_db
@pytest.mark.parametrize(("price", "untaxed", "tax"), [("5.00", "4.75", "0.25"), ("50.00", "47.60", "2.40")])
def test_t8_coin_of_five_cents(customer: Any, price: str, untaxed: str, tax: str) -> None:
    currency = get_currency("CHF")
    currency.rounding = D("0.05")
    currency.save()
    books = make_books("CHF", "CH", "Helvetia")

    invoice = make(books, customer, lines=[taxed(price, make_tax(books, "5 %", 5, included=True))])

    assert amounts(invoice) == (D(untaxed), D(tax), D(price))


@pytest.mark.django_db
def test_t20_reverse_charge_leaves_the_total(books: Books, vendor: Any) -> None:
    bill = make(books, vendor, type="vendor_bill", lines=[taxed("100", books.taxes.purchase21_reverse)])
    post_invoices([bill], actor=books.actor("billing"))
    settled()

    assert amounts(bill) == (D("100.00"), D("0.00"), D("100.00"))
    assert items(bill) == [
        ("product", "604000", D("100.00")),
        ("tax", "411000", D("21.00")),
        ("tax", "451000", D("-21.00")),
        ("payment_term", "440000", D("-100.00")),
    ]


@pytest.mark.django_db
def test_items_carry_taxes_and_boxes_as_they_were(books: Books, customer: Any) -> None:
    invoice = make(books, customer, lines=[taxed("100", books.taxes.sale21)])
    post_invoices([invoice], actor=books.actor("billing"))

    product, tax, due = invoice.journal_entry.items.order_by("position")

    assert (product.tax_pks, product.tag_pks) == ([books.taxes.sale21.pk], [books.tags.sale_base.pk])
    assert (tax.tax_id, tax.tax_base_amount, tax.tag_pks) == (
        books.taxes.sale21.pk,
        D("-100.00"),
        [books.tags.sale_tax.pk],
    )
    assert (due.tax_pks, due.tag_pks, due.partner_id) == ([], [], customer.pk)


@pytest.mark.django_db
def test_taxes_on_payment_wait_on_their_transition_account(books: Books, customer: Any) -> None:
    invoice = make(books, customer, lines=[taxed("100", books.taxes.sale21_on_payment)])
    post_invoices([invoice], actor=books.actor("billing"))
    settled()

    assert items(invoice)[1] == ("tax", "451900", D("-21.00"))
    product, tax, _due = invoice.journal_entry.items.order_by("position")
    assert (product.tag_pks, tax.tag_pks) == ([], [])
    (row,) = invoice.tax_totals["rows"]
    assert (row["final_account"], row["final_tags"]) == (
        books.accounts.tax_collected.pk,
        [books.tags.sale_tax.pk],
    )
