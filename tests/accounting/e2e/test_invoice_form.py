"""An accountant at the keyboard: an invoice of three lines, posted and paid; pasted rows; an entry."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from apps.accounting.models import Invoice, JournalEntry
from apps.contacts.models import Partner
from tests.accounting.factories import Books

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.e2e,
    pytest.mark.xdist_group("e2e"),
]
OpenPage = Callable[..., Any]
ADD = "/admin/accounting/invoice/add/?type=customer_invoice"


def cell(page: Any, line: int, name: str) -> Any:
    """A cell of the grid: line from zero, name of the column."""
    return page.locator(f"tr.ac-line >> nth={line}").locator(f"[data-col={name}]")


def choose_partner(page: Any, name: str) -> None:
    page.locator(".field-partner .select2-selection").click()
    page.locator(".select2-search__field").last.fill(name[:6])
    page.locator(".select2-results__option", has_text=name).click()


def total(page: Any, name: str = "total") -> str:
    return str(page.locator(f"[data-total={name}]").inner_text())


def wait_total(page: Any, text: str, name: str = "total") -> None:
    page.wait_for_function(
        "([name, text]) => document.querySelector(`[data-total=${name}]`).textContent === text",
        arg=[name, text],
    )


def test_three_lines_by_keyboard_posted_and_paid(
    open_page: OpenPage, books: Books, customer: Partner
) -> None:
    page = open_page(books.user("billing"))
    page.goto(ADD)
    page.wait_for_selector("tr.ac-line")
    choose_partner(page, "Prime Customer")
    cell(page, 0, "description").click()

    # Text, account by code, quantity, unit, price, discount, tax as proposed: Enter goes on.
    page.keyboard.type("Lamps")
    for typed in ("", "2", "", "100", ""):
        page.keyboard.press("Enter")
        if typed:
            page.keyboard.type(typed)
    wait_total(page, "€242.00")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")  # a new line
    page.keyboard.type("Assembly")
    page.keyboard.press("Tab")
    page.keyboard.type("705")
    page.locator("[role=option][aria-selected=true]").wait_for()
    for typed in ("3", "", "10.50", "10"):
        page.keyboard.press("Tab")
        if typed:
            page.keyboard.type(typed)
    page.keyboard.press("Tab")
    page.keyboard.type("6 %")
    page.locator("[role=option][aria-selected=true]").wait_for()
    page.keyboard.press("Tab")  # takes the tax and makes a third line
    page.keyboard.type("Free of charge")
    cell(page, 2, "unit_price").fill("0")
    wait_total(page, "€272.05")

    assert total(page, "untaxed") == "€228.35"
    assert cell(page, 1, "account").input_value() == "705000 Services sold"
    page.keyboard.press("Control+Shift+S")
    page.wait_for_url(re.compile(r"/admin/accounting/invoice/\d+/change/"))
    invoice = Invoice.objects.get()
    assert (invoice.state, invoice.total_amount, invoice.partner) == ("posted", Decimal("272.05"), customer)
    assert [line.subtotal for line in invoice.lines.order_by("sequence")] == [
        Decimal("200.00"),
        Decimal("28.35"),
        Decimal("0.00"),
    ]

    page.get_by_role("link", name="Register payment").click()
    page.get_by_text("received €272.05").wait_for()
    page.get_by_role("button", name="Register", exact=True).click()
    page.wait_for_url(re.compile(r"/admin/accounting/invoice/\d+/change/"))
    invoice.refresh_from_db()
    assert invoice.residual_amount == 0
    assert invoice.payment_state in ("paid", "in_payment")


def test_rows_of_a_spreadsheet_are_pasted_and_lines_moved_by_keys(
    open_page: OpenPage, books: Books, customer: Partner
) -> None:
    page = open_page(books.user("billing"))
    page.goto(ADD)
    page.wait_for_selector("tr.ac-line")
    cell(page, 0, "description").click()
    page.evaluate(
        """() => {
            const data = new DataTransfer();
            data.setData("text/plain", "Lamp\\t700000\\t2\\tpc\\t1.250,50\\t\\t21 %\\nCable\\t705000\\t10\\tm\\t3.5\\t5\\t6 %\\n");
            document.activeElement.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
        }"""
    )
    wait_total(page, "€2,534.25", "untaxed")

    assert page.locator("tr.ac-line").count() == 2
    assert cell(page, 0, "unit_price").input_value() == "1,250.50"
    assert cell(page, 1, "account").input_value() == "705000 Services sold"
    cell(page, 1, "description").click()
    page.keyboard.press("Alt+ArrowUp")
    assert cell(page, 0, "description").input_value() == "Cable"
    page.keyboard.press("Control+d")
    assert page.locator("tr.ac-line").count() == 3
    wait_total(page, "€2,567.50", "untaxed")
    page.keyboard.press("Control+Delete")
    page.keyboard.press("ArrowDown")
    wait_total(page, "€2,534.25", "untaxed")
    assert page.locator("tr.ac-line").count() == 2


def test_an_entry_is_balanced_by_itself_and_posted(open_page: OpenPage, books: Books) -> None:
    page = open_page(books.user("accountant"))
    page.goto("/admin/accounting/journalentry/add/")
    page.wait_for_selector("tr.ac-line")
    page.locator("#id_date").fill("2026-03-02")
    cell(page, 0, "account").click()
    page.keyboard.type("604")
    page.locator("[role=option][aria-selected=true]").wait_for()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.type("Stamps")
    page.keyboard.press("Tab")
    page.keyboard.type("12.50")
    wait_total(page, "12.50", "balance")
    cell(page, 1, "account").click()
    page.keyboard.press("Control+Delete")
    page.keyboard.press("Control+Enter")

    assert cell(page, 1, "credit").input_value() == "12.50"
    assert cell(page, 1, "name").input_value() == "Stamps"
    wait_total(page, "0.00", "balance")
    page.keyboard.type("550000")
    page.locator("[role=option][aria-selected=true]").wait_for()
    page.keyboard.press("Enter")
    page.keyboard.press("Control+Shift+S")
    page.wait_for_url(re.compile(r"/admin/accounting/journalentry/\d+/change/"))

    entry = JournalEntry.objects.get()
    assert entry.state == "posted"
    assert sorted(entry.items.values_list("account__code", "balance")) == [
        ("550000", Decimal("-12.50")),
        ("604000", Decimal("12.50")),
    ]
