"""The bank at the keyboard: movements explained one after the other, a file mapped and imported, books opened."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from apps.accounting.models import (
    Invoice,
    JournalEntry,
    JournalItem,
    ReconcileRule,
    StatementLine,
)
from apps.contacts.models import Partner
from apps.core.records import service_for
from tests.accounting.factories import Books
from tests.accounting.payment_helpers import make_invoices
from tests.e2e.browser import DESKTOP, PHONE
from tests.e2e.looks import fault_free, keep

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.e2e,
    pytest.mark.xdist_group("e2e"),
]
OpenPage = Callable[..., Any]
DAY = datetime.date(2026, 3, 20)
BANK = "/admin/accounting/bank/"


def ready(page: Any, line: StatementLine | None) -> None:
    """The panel of this movement is on the page, and the server has said what its choice leaves."""
    wanted = str(line.pk) if line is not None else "none"
    page.wait_for_function("wanted => document.body.dataset.ready === wanted", arg=wanted)


def left(page: Any, text: str) -> None:
    page.wait_for_function("text => document.querySelector('[data-left]')?.textContent === text", arg=text)


@pytest.fixture
def account(books: Books, customer: Partner, vendor: Partner) -> SimpleNamespace:
    """Four movements: one that names its invoice, one short of a fee, one that nothing is alike, one of a rule."""
    named, short = make_invoices(books, customer, 2, untaxed="250.00")
    Invoice.objects.filter(pk=named.pk).update(payment_reference="RF07 4711")
    bill = make_invoices(books, vendor, untaxed="90.00", kind="vendor_bill")[0]
    service_for(ReconcileRule).create_one(
        {
            "name": "Card fees",
            "account": books.accounts.expense2,
            "label_test": "contains",
            "label_text": "CARD FEE",
        },
        actor=books.actor(),
    )
    rows = [
        {"amount": "250.00", "label": "Payment RF074711", "partner_name": "Prime Customer"},
        {"amount": "245.00", "label": "March", "partner": customer},
        {"amount": "-12.50", "label": "CARD FEE 03"},
        {"amount": "33.00", "label": "A gift"},
    ]
    lines = service_for(StatementLine).create(
        [
            {
                **row,
                "journal": books.journals.bank,
                "date": DAY + datetime.timedelta(days=n),
                "amount": Decimal(str(row["amount"])),
            }
            for n, row in enumerate(rows)
        ],
        actor=books.actor(),
    )
    return SimpleNamespace(books=books, named=named, short=short, bill=bill, lines=lines, customer=customer)


def test_four_movements_by_keyboard_and_one_taken_back(open_page: OpenPage, account: SimpleNamespace) -> None:
    page = open_page(account.books.user("accountant"))
    page.goto(BANK)
    first, second, third, fourth = account.lines
    ready(page, first)
    left(page, "€0.00")

    # The reference is in the label: Enter, and the next movement comes.
    page.keyboard.press("Enter")
    ready(page, second)
    page.get_by_role("status").get_by_text("is reconciled").wait_for()
    # Five are missing: the invoice by its box, the fee to an account.
    page.keyboard.press("o")
    page.locator("[data-item-search]").fill(account.short.number)
    box = page.locator("[data-items] label", has_text=account.short.number).locator("input")
    box.wait_for()
    if not box.is_checked():
        box.check()
    page.keyboard.press("Escape")
    left(page, "€0.00")  # the invoice takes all of the 245.00
    page.keyboard.press("w")
    page.keyboard.type("658")
    page.locator("[role=option][aria-selected=true]").wait_for()
    page.keyboard.press("Enter")
    page.locator("[data-off-amount]").fill("-5")
    page.locator("[data-off-label]").fill("Fee of the bank")
    page.keyboard.press("Enter")
    page.locator("[data-parts]").get_by_text("Fee of the bank").wait_for()
    left(page, "€0.00")
    page.keyboard.press("Enter")
    ready(page, third)
    # A rule proposes its account.
    page.locator("[data-proposal]").get_by_text("Card fees").wait_for()
    left(page, "€0.00")
    page.keyboard.press("Enter")
    ready(page, fourth)
    # Nothing is alike: it stays open on the partner.
    assert page.locator("[data-accept]").is_disabled()
    page.keyboard.press("p")
    page.keyboard.type("Prime")
    page.locator("[role=option][aria-selected=true]").wait_for()
    page.keyboard.press("Enter")
    page.locator("[data-rest-add]").click()
    left(page, "€0.00")
    page.keyboard.press("Enter")
    page.get_by_text("Everything is explained").wait_for()

    assert [Invoice.objects.get(pk=i.pk).payment_state for i in (account.named, account.short)] == [
        "paid"
    ] * 2
    assert not StatementLine.objects.filter(reconciled=False).exists()
    on_partner = JournalItem.objects.get(
        account=account.books.accounts.receivable, entry__caused_by=fourth.entry, partner=account.customer
    )
    assert on_partner.residual == Decimal("-33.00")
    page.get_by_role("link", name="Explained", exact=True).click()
    ready(page, fourth)
    page.get_by_role("button", name="Undo the reconciliation").click()
    page.wait_for_url(re.compile(rf"line={fourth.pk}"))
    ready(page, fourth)
    assert not StatementLine.objects.get(pk=fourth.pk).reconciled


def test_a_refusal_is_told_and_the_movement_stays(open_page: OpenPage, account: SimpleNamespace) -> None:
    page = open_page(account.books.user("accountant"))
    page.goto(BANK)
    ready(page, account.lines[0])
    left(page, "€0.00")
    page.locator("[data-part-item]").fill("999")
    page.locator("[data-part-item]").press("Tab")

    page.locator("[data-refused]").get_by_text("at most").wait_for()

    assert page.locator("[data-accept]").is_disabled()
    page.locator("[data-clear]").click()
    left(page, "€250.00")
    assert not StatementLine.objects.get(pk=account.lines[0].pk).reconciled


def test_an_auditor_looks_by_the_same_keys_and_changes_nothing(
    open_page: OpenPage, account: SimpleNamespace
) -> None:
    page = open_page(account.books.user("auditor"))
    page.goto(BANK)
    ready(page, account.lines[0])

    page.keyboard.press("ArrowDown")
    ready(page, account.lines[1])
    page.keyboard.press("Enter")
    page.keyboard.press("1")

    assert page.locator("[data-accept]").count() == 0
    assert page.get_by_role("heading", name="Prime Customer").is_visible()
    assert not StatementLine.objects.filter(reconciled=True).exists()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_screens_are_usable_by_everybody(
    open_page: OpenPage, account: SimpleNamespace, size: tuple[int, int], dark: bool
) -> None:
    page = open_page(account.books.user("adviser"), size=size, dark=dark)
    look = f"{size[0]}-{'dark' if dark else 'light'}"

    page.goto(BANK)
    left(page, "€0.00")
    page.locator("[data-add=account] summary").click()
    page.locator("[data-add=items] summary").click()
    keep(page, f"bank-{look}")
    fault_free(page)
    page.goto("/admin/accounting/bank-import/")
    page.set_input_files(
        "input[type=file]",
        {"name": "a.csv", "mimeType": "text/csv", "buffer": b"when;amount;text\n01.02.2026;-7,25;Fee\n"},
    )
    fault_free(page)
    page.get_by_role("button", name="Look at it").click()
    page.locator("select[name=col_0]").wait_for()
    page.get_by_text("Please say which columns").or_(page.get_by_text("Say which columns")).first.wait_for()
    keep(page, f"bank-file-{look}")
    fault_free(page)
    page.goto("/admin/accounting/opening/")
    page.wait_for_selector("tr.ac-line")
    keep(page, f"opening-{look}")
    fault_free(page)


def test_a_table_is_mapped_while_the_server_shows_what_comes_of_it(
    open_page: OpenPage, account: SimpleNamespace
) -> None:
    page = open_page(account.books.user("accountant"))
    page.goto(f"/admin/accounting/bank-import/?journal={account.books.journals.bank2.pk}")
    data = b"when;what;in and out\n13/02/2026;Rent;1.234,50\n14/02/2026;Fee;-7,25\n"
    page.set_input_files("input[type=file]", {"name": "feb.csv", "mimeType": "text/csv", "buffer": data})
    page.get_by_role("button", name="Look at it").click()
    page.locator("select[name=col_0]").select_option("date")
    page.locator("select[name=col_1]").select_option("label")
    page.locator("select[name=col_2]").select_option("amount")
    page.get_by_text("2 movements are new").wait_for()

    page.get_by_role("button", name="Import", exact=True).click()

    page.wait_for_url(re.compile(r"/admin/accounting/bank/"))
    page.get_by_text("2 movements imported").wait_for()
    lines = StatementLine.objects.filter(journal=account.books.journals.bank2).order_by("date")
    assert [(line.amount, line.label) for line in lines] == [
        (Decimal("1234.50"), "Rent"),
        (Decimal("-7.25"), "Fee"),
    ]
    account.books.journals.bank2.refresh_from_db()
    assert account.books.journals.bank2.import_mapping["columns"] == {"date": 0, "label": 1, "amount": 2}


def test_books_are_opened_with_an_open_item(open_page: OpenPage, account: SimpleNamespace) -> None:
    books = account.books
    page = open_page(books.user("adviser"))
    page.goto("/admin/accounting/opening/")
    page.wait_for_selector("tr.ac-line")
    page.locator("#id_date").fill("2026-01-01")

    def row(code: str) -> Any:
        inputs = page.locator("[data-col=account]")
        at = next(n for n in range(inputs.count()) if inputs.nth(n).input_value().startswith(code))
        return page.locator("tr.ac-line").nth(at)

    row("550000").locator("[data-col=debit]").fill("1000")
    row("400000").locator("[data-col=debit]").fill("120")
    row("400000").locator("[data-col=partner]").click()
    page.keyboard.type("Prime")
    page.locator("[role=option][aria-selected=true]").wait_for()
    page.keyboard.press("Tab")
    row("440000").locator("[data-col=credit]").fill("300")
    page.wait_for_function("() => document.querySelector('[data-total=rest]').textContent === '820.00'")

    page.get_by_role("button", name="Post the opening entry").click()

    page.wait_for_url(re.compile(r"/admin/accounting/journalentry/\d+/change/"))
    entry = JournalEntry.objects.get(origin="opening")
    assert sorted(entry.items.values_list("account__code", "balance", "partner")) == [
        ("149000", Decimal("-820.00"), None),
        ("400000", Decimal("120.00"), account.customer.pk),
        ("440000", Decimal("-300.00"), None),
        ("550000", Decimal("1000.00"), None),
    ]
