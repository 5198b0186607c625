"""The screens of an accountant's day: how they look on a desk, in the dark and on a phone; what the form of a bill warns of
and works out; taxes in a manual entry."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from apps.accounting.models import (
    AccountingSettings,
    FiscalPosition,
    Invoice,
    JournalEntry,
)
from apps.accounting.services.posting import post_invoices
from apps.contacts.models import Partner
from apps.core.records import service_for
from tests.accounting.factories import Books
from tests.accounting.invoice_tools import line, make
from tests.e2e.browser import DESKTOP, PHONE
from tests.e2e.looks import fault_free, keep

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.e2e,
    pytest.mark.xdist_group("e2e"),
]
OpenPage = Callable[..., Any]
BASE = "/admin/accounting/"
DAY = datetime.date(2026, 3, 2)


def cell(page: Any, place: int, name: str) -> Any:
    return page.locator("tr.ac-line").nth(place).locator(f"[data-col={name}]")


def shows(page: Any, selector: str, text: str) -> None:
    page.wait_for_function(
        "([selector, text]) => [...document.querySelectorAll(selector)].some((e) => (e.value ?? e.textContent).includes(text))",
        arg=[selector, text],
    )


def choose_partner(page: Any, name: str) -> None:
    page.locator(".field-partner .select2-selection").click()
    page.locator(".select2-search__field").last.fill(name[:6])
    page.locator(".select2-results__option", has_text=name).click()


@pytest.mark.parametrize(
    ("size", "dark"), [(DESKTOP, False), (DESKTOP, True), (PHONE, False)], ids=["desk", "dark", "phone"]
)
def test_screens_are_without_fault(
    open_page: OpenPage,
    books: Books,
    customer: Partner,
    vendor: Partner,
    size: tuple[int, int],
    dark: bool,
) -> None:
    draft = make(books, vendor, type="vendor_bill", reference="F-1", date=DAY, lines=[line(100)])
    make(books, vendor, type="vendor_bill", reference="F-1", date=DAY, lines=[line(100)])
    sale = make(books, customer, date=DAY, lines=[{"kind": "section", "description": "Work"}, line(250)])
    credit = make(books, customer, type="customer_credit_note", date=DAY, lines=[line(50)])
    post_invoices([sale, credit], actor=books.actor("accountant"))
    sale.refresh_from_db()
    page = open_page(books.user("accountant"), size=size, dark=dark)
    name = f"{'dark' if dark else 'light'}-{size[0]}"

    for place, address in enumerate(
        (
            "dashboard/",
            "invoice/?type__exact=customer_invoice",
            f"invoice/{sale.pk}/change/",
            f"invoice/{sale.pk}/actions/reset/",
            f"register/?pk={sale.pk}",
            f"journalentry/{sale.journal_entry_id}/change/",
            "journalentry/add/",
            "reconcile/",
            "settings/",
        )
    ):
        page.goto(BASE + address)
        page.wait_for_load_state("networkidle")
        keep(page, f"screen-{place}-{name}")
        fault_free(page)
    page.goto(BASE + f"invoice/{draft.pk}/change/")
    shows(page, "[data-warnings] a", "Draft")
    keep(page, f"screen-draft-{name}")
    fault_free(page)


def test_a_bill_by_its_total_with_the_tax_as_printed(
    open_page: OpenPage, books: Books, vendor: Partner
) -> None:
    AccountingSettings.objects.filter(company=books.company).update(quick_totals=True)
    first = make(books, vendor, type="vendor_bill", reference="F 2026-7", date=DAY, lines=[line(55)])
    page = open_page(books.user("billing"))
    page.goto(BASE + "invoice/add/?type=vendor_bill")
    page.wait_for_selector("tr.ac-line")

    choose_partner(page, vendor.name)
    page.locator("#id_reference").fill("f2026-7")
    page.locator("#id_date").fill("2026-03-02")
    page.locator("#ac-quick-total").fill("242.01")
    page.keyboard.press("Enter")
    shows(page, "[data-total=total]", "€242.01")
    shows(page, "[data-warnings]", "is on Draft")

    assert page.locator("[data-warnings] a").get_attribute("href") == f"{BASE}invoice/{first.pk}/change/"
    assert cell(page, 0, "unit_price").input_value() == "200.01"
    assert page.locator("#id_expected_total").input_value() == "242.01"
    page.locator(".ac-tax").fill("41.99")
    page.keyboard.press("Enter")
    shows(page, "[data-total=total]", "€242.00")
    page.keyboard.press("Control+s")
    page.wait_for_url(re.compile(r"/invoice/\d+/change/"))
    bill = Invoice.objects.exclude(pk=first.pk).get()
    assert (bill.untaxed_amount, bill.tax_amount) == (Decimal("200.01"), Decimal("41.99"))
    assert bill.expected_total == Decimal("242.01")

    # Another base: what was typed says nothing about it.
    cell(page, 0, "unit_price").fill("300")
    shows(page, "[data-total=total]", "€363.00")
    page.keyboard.press("Control+s")
    page.wait_for_load_state("load")
    shows(page, "[data-total=untaxed]", "€300.00")
    bill.refresh_from_db()
    assert (bill.tax_amount, bill.manual_taxes) == (Decimal("63.00"), {})


def test_lines_follow_another_fiscal_position(open_page: OpenPage, books: Books, customer: Partner) -> None:
    position = service_for(FiscalPosition).create_one(
        {
            "name": "Reduced",
            "company": books.company,
            "tax_map": [{"source": books.taxes.sale21, "target": books.taxes.sale6}],
            "account_map": [{"source": books.accounts.income, "target": books.accounts.income2}],
        },
        actor=books.actor("adviser"),
    )
    invoice = make(books, customer, date=DAY, lines=[line(100), line(10, taxes=[books.taxes.sale15.pk])])
    page = open_page(books.user("billing"))
    page.goto(BASE + f"invoice/{invoice.pk}/change/")
    shows(page, "[data-total=total]", "€132.50")

    page.locator("#id_fiscal_position").select_option(str(position.pk))
    page.get_by_role("button", name="Update taxes and accounts").click()
    shows(page, "[data-total=total]", "€117.50")
    assert cell(page, 0, "taxes").input_value() == "6 %"
    assert cell(page, 1, "taxes").input_value() == "15 %"
    page.keyboard.press("Control+s")
    page.wait_for_load_state("load")
    shows(page, "[data-total=total]", "€117.50")

    invoice.refresh_from_db()
    assert (invoice.fiscal_position, invoice.total_amount) == (position, Decimal("117.50"))
    assert [row.account for row in invoice.lines.order_by("sequence")] == [books.accounts.income2] * 2


def test_taxes_of_an_entry_are_shown_and_balanced(open_page: OpenPage, books: Books) -> None:
    page = open_page(books.user("accountant"))
    page.goto(BASE + "journalentry/add/")
    page.wait_for_selector("tr.ac-line")
    page.locator("#id_date").fill("2026-03-02")
    page.keyboard.press("Control+Enter")  # to the items
    page.keyboard.type("604")
    page.locator("[role=option][aria-selected=true]").wait_for()
    page.keyboard.press("Enter")
    cell(page, 0, "debit").fill("100")
    cell(page, 0, "taxes").click()
    page.keyboard.type("21 % (Pur")
    page.locator("[role=option][aria-selected=true]").wait_for()
    page.keyboard.press("Enter")
    shows(page, "[data-tax-items]", "€21.00")
    cell(page, 1, "account").click()
    page.keyboard.type("550000")
    page.locator("[role=option][aria-selected=true]").wait_for()
    page.keyboard.press("Enter")

    assert cell(page, 1, "credit").input_value() == "121.00"
    page.keyboard.press("Control+Shift+S")
    page.wait_for_url(re.compile(r"/journalentry/\d+/change/"))
    entry = JournalEntry.objects.get()
    assert entry.state == "posted"
    assert sorted(entry.items.values_list("account__code", "balance")) == [
        ("411000", Decimal("21.00")),
        ("550000", Decimal("-121.00")),
        ("604000", Decimal("100.00")),
    ]
