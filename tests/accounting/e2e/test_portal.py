"""A customer's invoices in a real browser: on a desk and on a phone, in the light and in the dark."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from apps.accounting.services.register import register_payment
from apps.chatter.constants import COMMENT
from apps.chatter.models import Message
from apps.chatter.services.posting import post_message
from apps.portal.tokens import link
from tests.accounting.factories import make_term
from tests.accounting.invoice_tools import line
from tests.accounting.portal_tools import days, files, posted, shop
from tests.e2e.browser import DESKTOP, PHONE
from tests.e2e.looks import fault_free, keep

__all__ = ["files", "shop"]  # fixtures
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.django_db(transaction=True),
    pytest.mark.xdist_group("e2e"),
]


@pytest.fixture
def business(shop: SimpleNamespace) -> SimpleNamespace:
    """A long invoice in parts, overdue; a part paid one; a paid one; a credit note and a bill."""
    books = shop.books
    parts = make_term(
        books, "30/70", ("percent", 30, 0), ("percent", 70, 60), note="30 % now, 70 % in 60 days"
    )
    lines = [
        {"kind": "section", "description": "Hardware"},
        line(
            "249.90", quantity=4, description="Lamp, brushed steel\nwith a dimmer", unit="pcs", discount="10"
        ),
        line("19.50", quantity=12, description="Averylongwordwithoutanyblankthatmustnotpushthepageapart"),
        {"kind": "section", "description": "Work"},
        line("85", quantity="7.5", description="Mounting", unit="h", taxes=[books.taxes.sale6.pk]),
        {"kind": "note", "description": "Carried out on site by two people."},
    ]
    shop.long = posted(
        books,
        shop.prime,
        lines=lines,
        payment_term=parts,
        date=days(-20),
        reference="PO 4711",
        narration="Thank you.",
    )
    shop.part = posted(books, shop.prime, "100.00", date=days(-30), due_date=days(-3))
    paid = posted(books, shop.prime, "80.00")
    clerk = books.actor("billing")
    for invoice, amount in ((shop.part, "21.00"), (paid, "96.80")):
        register_payment(
            [invoice],
            actor=clerk,
            journal=books.journals.bank,
            method_line=books.methods.bank_in,
            amount=Decimal(amount),
        )
    posted(books, shop.prime, "40.00", type="customer_credit_note")
    posted(books, shop.prime, "1250.00", type="vendor_bill", reference="V-1")
    post_message(shop.long, actor=clerk, body="<p>Our people will call you.</p>", subtype=COMMENT)
    return shop


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_pages_are_usable_by_everybody(
    open_page: Callable[..., Any], business: SimpleNamespace, size: tuple[int, int], dark: bool
) -> None:
    page = open_page(business.users.pia, size=size, dark=dark)

    for name, path in (
        ("home", "/my"),
        ("invoices", "/my/invoices"),
        ("overdue-list", "/my/invoices?filterby=overdue_invoices"),
        ("invoice", f"/my/invoices/{business.long.pk}"),
        ("part-paid", f"/my/invoices/{business.part.pk}"),
        ("overdue", "/my/invoices/overdue"),
    ):
        answer = page.goto(path)
        assert answer.status == 200, path
        keep(page, f"portal-{name}-{size[0]}-{'dark' if dark else 'light'}")
        fault_free(page)


def test_a_customer_finds_what_is_overdue_and_asks_about_it(
    open_page: Callable[..., Any], business: SimpleNamespace
) -> None:
    page = open_page(business.users.pia)
    page.goto("/my/invoices")

    page.get_by_role("link", name="See what is to pay").click()
    page.wait_for_url("**/my/invoices/overdue")
    page.get_by_role("link", name=business.part.number).click()
    page.wait_for_url(f"**/my/invoices/{business.part.pk}")
    page.get_by_label("Your message").fill("The rest comes on Friday")
    page.get_by_role("button", name="Send").click()
    page.get_by_text("The rest comes on Friday").wait_for()

    message = Message.objects.get(body__contains="The rest comes on Friday")
    assert (message.object_id, message.author.name) == (business.part.pk, "Pia")


def test_the_bearer_of_a_link_reads_the_invoice(
    open_page: Callable[..., Any], business: SimpleNamespace
) -> None:
    page = open_page()

    page.goto(link(business.part, f"/my/invoices/{business.part.pk}"))

    assert page.get_by_role("heading", name=business.part.number).is_visible()
    assert page.get_by_text("€100.00").first.is_visible()
    fault_free(page)
