"""Portal pages of customers and vendors: whose documents, by login and by link; downloads; what is overdue."""

from __future__ import annotations

import io
import zipfile
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client

from apps.access.selectors import actor_for
from apps.accounting.handlers import name_and_tax_id_once_invoiced
from apps.accounting.models import Invoice, JournalItem
from apps.accounting.selectors.documents import official_documents
from apps.accounting.selectors.portal import NextPayment, next_payment, payment_signature
from apps.accounting.services.register import register_payment
from apps.accounting.services.unposting import reset_invoices
from apps.chatter.constants import COMMENT
from apps.chatter.models import Message
from apps.chatter.selectors.files import read_attachment
from apps.chatter.services.attachments import attach_files
from apps.chatter.services.posting import post_message, post_note
from apps.chatter.types import NewFile
from apps.contacts.models import Partner
from apps.core.errors import PermissionDenied
from apps.core.records import service_for
from apps.core.testkit import count_queries
from apps.portal.tokens import ensure_token, link, rotate_token, share_link
from apps.reports.services.rendering import request_document
from tests.accounting.factories import get_currency, make_term, set_rate
from tests.accounting.portal_tools import (
    TODAY,
    at_once,
    body_of,
    days,
    draft,
    files,
    posted,
    shop,
    signed_in,
    text_of,
)

__all__ = ["at_once", "files", "shop"]  # fixtures
pytestmark = pytest.mark.django_db
DOWNLOAD = "/account/download_invoice_documents"


def page_of(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, (path, answer.status_code, answer.get("Location"))
    return answer.content.decode()


def numbers_in(page: str, *invoices: Invoice) -> list[bool]:
    return [f'href="/my/invoices/{invoice.pk}"' in page for invoice in invoices]


def away(answer: Any) -> tuple[int, str | None]:
    return answer.status_code, answer.get("Location")


def official(invoice: Invoice, shop: SimpleNamespace) -> bytes:
    """Have an employee print the document; answers the PDF that is kept."""
    request_document("accounting.invoice", [invoice.pk], actor=shop.books.actor("billing"))
    return read_attachment(official_documents([invoice.pk])[invoice.pk])


# ---------------------------------------------------------------------------------------------------------------- list
def test_a_customer_lists_what_was_posted_to_her_organisation(shop: SimpleNamespace) -> None:
    mine = posted(shop.books, shop.prime, "100.00")
    my_draft = draft(shop.books, shop.prime)
    hers = posted(shop.books, shop.rival)
    receipt = posted(shop.books, shop.prime, type="customer_receipt")

    page = page_of(shop.pia, "/my/invoices")

    assert numbers_in(page, mine, my_draft, hers, receipt) == [True, False, False, False]
    assert "€121.00" in page
    assert "Waiting for Payment" in page
    assert numbers_in(page_of(shop.paul, "/my/invoices"), mine, hers) == [True, False]
    assert numbers_in(page_of(shop.rob, "/my/invoices"), mine, hers) == [False, True]


def test_visitors_sign_in_first(shop: SimpleNamespace) -> None:
    for path in ("/my/invoices", "/my/invoices/page/2", f"{DOWNLOAD}/1/pdf"):
        status, target = away(shop.visitor.get(path))
        assert status == 303
        assert target is not None and target.startswith("/web/login?redirect=%2F")


def test_filters_sort_search_and_dates(shop: SimpleNamespace) -> None:
    books = shop.books
    new = posted(books, shop.prime, "10.00", reference="PO 4711")
    old = posted(books, shop.prime, "20.00", date=days(-60), due_date=days(-30))
    bill = posted(books, shop.prime, "30.00", type="vendor_bill", reference="V-1")
    credit = posted(books, shop.prime, "40.00", type="customer_credit_note")
    documents = (new, old, bill, credit)

    def listed(query: str) -> list[bool]:
        return numbers_in(page_of(shop.pia, f"/my/invoices?{query}"), *documents)

    assert listed("") == listed("filterby=all") == listed("filterby=nonsense&sortby=nonsense") == [True] * 4
    assert listed("filterby=overdue_invoices") == [False, True, False, False]
    assert listed("filterby=invoices") == [True, True, False, True]
    assert listed("filterby=bills") == [False, False, True, False]
    assert listed("search=4711") == [True, False, False, False]
    assert listed(f"search={old.number}") == [False, True, False, False]
    assert listed(f"date_begin={days(-2)}&date_end={days(1)}") == [True] * 4
    assert listed(f"date_begin={days(1)}&date_end={days(2)}") == [False] * 4
    assert listed(f"date_begin={days(1)}") == [True] * 4  # both or nothing
    by_date = page_of(shop.pia, "/my/invoices?sortby=date")
    by_name = page_of(shop.pia, "/my/invoices?sortby=name")
    assert by_date.index(f'/{old.pk}"') > by_date.index(f'/{new.pk}"')
    assert by_name.index(old.number) != by_date.index(old.number)
    for key in ("duedate", "state"):
        assert listed(f"sortby={key}") == [True] * 4


def test_amounts_and_badges_of_the_list(shop: SimpleNamespace) -> None:
    books = shop.books
    credit = posted(books, shop.prime, "40.00", type="customer_credit_note")
    late = posted(books, shop.prime, "20.00", date=days(-60), due_date=days(-30))
    paid = posted(books, shop.prime, "10.00")
    register_payment(
        [paid], actor=books.actor("billing"), journal=books.journals.bank, method_line=books.methods.bank_in
    )

    page = page_of(shop.pia, "/my/invoices")

    assert "-€48.40" in page.replace("−", "-")
    assert page.count('data-label="Due date" class="late">') == 1
    assert "Processing Payment" in page
    assert page.count("Waiting for Payment") == 2
    assert numbers_in(page, credit, late, paid) == [True] * 3


def test_the_list_costs_the_same_whatever_is_on_it(shop: SimpleNamespace) -> None:
    posted(shop.books, shop.prime)
    shop.pia.get("/my/invoices")  # what a session needs once
    with count_queries() as few:
        shop.pia.get("/my/invoices?sortby=name")
    for _n in range(12):
        posted(shop.books, shop.prime)
    shop.pia.get("/my/invoices?sortby=name")

    with count_queries() as many:
        shop.pia.get("/my/invoices?sortby=name")

    assert len(many) <= len(few)
    of_invoices = [q["sql"] for q in many.captured_queries if "accounting_invoice" in q["sql"]]
    assert len(of_invoices) == 3  # overdue, count, rows


def test_cards_and_counters(shop: SimpleNamespace) -> None:
    books = shop.books
    posted(books, shop.prime, date=days(-60), due_date=days(-30))
    posted(books, shop.prime, type="vendor_bill", reference="V-1")

    names = ["invoice_count", "bill_count", "overdue_invoice_count"]

    def counted(client: Client) -> dict[str, int]:
        body = {"params": {"counters": names}}
        return client.post("/my/counters", body, content_type="application/json").json()["result"]

    assert counted(shop.pia) == {"invoice_count": 1, "bill_count": 1, "overdue_invoice_count": 1}
    assert counted(shop.rob) == {"invoice_count": 0, "bill_count": 0, "overdue_invoice_count": 0}
    home = page_of(shop.pia, "/my")
    assert "/my/invoices?filterby=invoices" in home and "/my/invoices?filterby=bills" in home
    assert "/my/invoices" not in page_of(shop.rob, "/my")


# ------------------------------------------------------------------------------------------------------------ document
def test_a_document_opens_by_login_by_link_and_for_nobody_else(shop: SimpleNamespace) -> None:
    invoice = posted(shop.books, shop.prime, "100.00")
    path, token = f"/my/invoices/{invoice.pk}", ensure_token(invoice)
    wrong = token[:-1] + ("0" if token[-1] != "0" else "1")

    mine = page_of(shop.pia, path)
    by_link = page_of(shop.visitor, f"{path}?access_token={token}")

    for page in (mine, by_link):
        assert invoice.number in page and "€121.00" in page
    assert away(shop.visitor.get(path)) == (303, "/my")
    assert away(shop.visitor.get(f"{path}?access_token={wrong}")) == (303, "/my")
    assert away(shop.rob.get(path)) == (303, "/my")
    assert away(shop.rob.get("/my/invoices/999999999")) == (303, "/my")
    assert page_of(shop.rob, f"{path}?access_token={token}")
    rotate_token(invoice)
    assert away(shop.visitor.get(f"{path}?access_token={token}")) == (303, "/my")


def test_drafts_open_by_link_only(shop: SimpleNamespace) -> None:
    invoice = draft(shop.books, shop.prime)

    assert away(shop.pia.get(f"/my/invoices/{invoice.pk}")) == (303, "/my")
    page = page_of(shop.visitor, link(invoice, f"/my/invoices/{invoice.pk}"))
    assert "This is a pro forma, not an invoice." in page


def test_the_share_link_leads_everybody_to_his_place(shop: SimpleNamespace) -> None:
    invoice = posted(shop.books, shop.prime)
    address = share_link(invoice)
    clerk = signed_in(shop.books.user("billing"))

    to_customer, to_visitor, to_clerk = (client.get(address) for client in (shop.pia, shop.visitor, clerk))

    token = str(invoice.access_token)
    assert away(to_customer) == (303, f"/my/invoices/{invoice.pk}")
    assert away(to_visitor) == (303, f"/my/invoices/{invoice.pk}?access_token={token}")
    assert to_clerk.status_code == 303 and "/my/" not in to_clerk["Location"]
    nobody = shop.visitor.get(address.replace(token, "x" * 36))
    assert nobody.status_code == 303 and nobody["Location"].startswith("/web/login")


def test_a_link_that_asks_for_an_amount_is_signed(shop: SimpleNamespace) -> None:
    invoice = posted(shop.books, shop.prime, "100.00")
    path = f"/my/invoices/{invoice.pk}?access_token={ensure_token(invoice)}"
    forty = payment_signature(invoice.pk, "40")

    assert "You were asked to pay 40 of it." in page_of(
        shop.visitor, f"{path}&amount=40&payment_token={forty}"
    )
    assert away(shop.visitor.get(f"{path}&amount=50&payment_token={forty}")) == (303, "/my")
    assert away(shop.visitor.get(f"{path}&amount=40")) == (303, "/my")


def test_what_was_paid_and_what_is_left(shop: SimpleNamespace) -> None:
    books = shop.books
    invoice = posted(books, shop.prime, "100.00", date=days(-10), due_date=days(-3))
    register_payment(
        [invoice],
        actor=books.actor("billing"),
        journal=books.journals.bank,
        method_line=books.methods.bank_in,
        amount=Decimal("21.00"),
    )

    page = page_of(shop.pia, f"/my/invoices/{invoice.pk}")

    assert "Already paid" in page and "€21.00" in page
    assert "Left to pay" in page and "€100.00" in page
    assert "due 3 days ago" in page
    assert f"reference {invoice.payment_reference}" in page


def test_what_to_pay_next(shop: SimpleNamespace) -> None:
    books = shop.books
    parts = make_term(books, "Parts", ("percent", 30, 0), ("percent", 30, 30), ("percent", 40, 60))
    early = make_term(
        books,
        "Early",
        early_discount=True,
        discount_percent=Decimal(2),
        discount_days=10,
        discount_mode="included",
    )
    in_parts = posted(books, shop.prime, "1000.00", payment_term=parts, date=days(-40))
    with_discount = posted(books, shop.prime, "1000.00", payment_term=early, date=days(-5))
    plain = posted(books, shop.prime, "10.00")
    credit = posted(books, shop.prime, "10.00", type="customer_credit_note")

    number = in_parts.number
    assert next_payment(in_parts, TODAY) == NextPayment(
        "overdue", Decimal("726.0000"), days(-40), f"{number}-1", late=True
    )
    assert next_payment(in_parts, days(-40)) == NextPayment(
        "instalment", Decimal("363.0000"), days(-40), f"{number}-1"
    )
    reference = with_discount.payment_reference
    assert next_payment(with_discount, days(-5)) == NextPayment(
        "early", Decimal("1185.8000"), days(5), reference
    )
    assert next_payment(with_discount, days(6)).kind == "overdue"
    assert next_payment(plain, TODAY) == NextPayment(
        "all", Decimal("12.1000"), TODAY, plain.payment_reference
    )
    assert next_payment(credit, TODAY) is None
    page = page_of(shop.pia, f"/my/invoices/{in_parts.pk}")
    assert "€726.00" in page and f"{number}-1" in page


def test_previous_and_next_follow_the_list(shop: SimpleNamespace) -> None:
    first, second, third = (posted(shop.books, shop.prime, date=days(-n)) for n in (1, 2, 3))
    page_of(shop.pia, "/my/invoices?sortby=date")

    page = page_of(shop.pia, f"/my/invoices/{second.pk}")

    assert f'href="/my/invoices/{first.pk}" rel="prev"' in page
    assert f'href="/my/invoices/{third.pk}" rel="next"' in page


# -------------------------------------------------------------------------------------------------------------- thread
def test_customers_write_in_the_thread_and_never_read_notes(shop: SimpleNamespace) -> None:
    invoice = posted(shop.books, shop.prime)
    clerk = shop.books.actor("billing")
    post_note(invoice, "Pays late as ever", actor=clerk)
    post_message(invoice, actor=clerk, body="<p>Any questions?</p>", subtype=COMMENT)

    page = page_of(shop.paul, f"/my/invoices/{invoice.pk}")

    assert "Any questions?" in page and "Pays late" not in page
    post_message(invoice, actor=actor_for(shop.users.paul), body="<p>None.</p>", subtype=COMMENT)
    assert Message.objects.filter(body__contains="None.").get().author.name == "Paul"


def test_an_auditor_reads_the_thread_and_writes_nothing(shop: SimpleNamespace) -> None:
    invoice, auditor = posted(shop.books, shop.prime), shop.books.actor("auditor")
    before = Message.objects.count()

    with pytest.raises(PermissionDenied):
        post_note(invoice, "Hm", actor=auditor)

    assert Message.objects.count() == before


# ---------------------------------------------------------------------------------------------------------------- PDFs
def test_report_types(shop: SimpleNamespace, at_once: None) -> None:
    invoice = posted(shop.books, shop.prime, "100.00")
    path = f"/my/invoices/{invoice.pk}"
    pdf = official(invoice, shop)

    shown = shop.pia.get(f"{path}?report_type=pdf")
    saved = shop.pia.get(f"{path}?report_type=pdf&download=true")
    html = shop.pia.get(f"{path}?report_type=html")
    text = shop.pia.get(f"{path}?report_type=text")
    wrong = shop.pia.get(f"{path}?report_type=docx")

    assert (shown["Content-Type"], saved["Content-Type"]) == ("application/pdf", "application/pdf")
    assert shown["Content-Disposition"].startswith("inline")
    assert saved["Content-Disposition"] == f'attachment; filename="{invoice.number.replace("/", "_")}.pdf"'
    assert int(saved["Content-Length"]) == len(pdf)
    assert body_of(shown) == body_of(saved) == pdf
    assert html["Content-Type"].startswith("text/html") and "PROFORMA" not in html.content.decode()
    assert "sandbox" in html["Content-Security-Policy"]
    assert text["Content-Type"].startswith("text/plain") and "€121.00" in text.content.decode()
    assert wrong.status_code == 400


def test_a_posted_document_without_an_official_pdf_comes_as_pro_forma(
    shop: SimpleNamespace, at_once: None
) -> None:
    invoice = posted(shop.books, shop.prime)

    answer = shop.pia.get(f"/my/invoices/{invoice.pk}?report_type=pdf&download=True")
    by_link = shop.visitor.get(
        f"/my/invoices/{invoice.pk}?report_type=pdf&access_token={ensure_token(invoice)}"
    )

    for response in (answer, by_link):
        assert response.status_code == 200
        assert "PROFORMA" in text_of(body_of(response))
    assert official_documents([invoice.pk]) == {}


def test_the_link_of_one_document_opens_the_pdf_of_no_other(shop: SimpleNamespace, at_once: None) -> None:
    mine, other = posted(shop.books, shop.prime), posted(shop.books, shop.rival)
    token = ensure_token(mine)
    official(other, shop)

    answer = shop.visitor.get(f"/my/invoices/{other.pk}?report_type=pdf&access_token={token}")

    assert away(answer) == (303, "/my")


# ----------------------------------------------------------------------------------------------------------- downloads
def test_several_documents_come_as_a_zip_of_the_stored_bytes(shop: SimpleNamespace, at_once: None) -> None:
    first, second = posted(shop.books, shop.prime, "1.00"), posted(shop.books, shop.prime, "2.00")
    pdfs = [official(invoice, shop) for invoice in (first, second)]

    answer = shop.pia.get(f"{DOWNLOAD}/{second.pk},{first.pk},{second.pk}/pdf")

    assert answer["Content-Type"] == "application/zip"
    assert answer["Content-Disposition"] == 'attachment; filename="invoices.zip"'
    assert answer["X-Content-Type-Options"] == "nosniff"
    archive = zipfile.ZipFile(io.BytesIO(body_of(answer)))
    year = TODAY.year
    assert archive.namelist() == [f"INV_{year}_00002.pdf", f"INV_{year}_00001.pdf"]
    assert [archive.read(name) for name in archive.namelist()] == pdfs[::-1]


def test_one_document_comes_as_it_is(shop: SimpleNamespace, at_once: None) -> None:
    invoice = posted(shop.books, shop.prime)
    pdf = official(invoice, shop)

    for path in (f"{DOWNLOAD}/{invoice.pk}/pdf", f"{DOWNLOAD}/{invoice.pk}", f"{DOWNLOAD}/{invoice.pk}/all"):
        answer = shop.pia.get(path)
        assert (answer.status_code, answer["Content-Type"]) == (200, "application/pdf")
        assert answer["Content-Disposition"] == f'attachment; filename="INV_{TODAY.year}_00001.pdf"'
        assert body_of(answer) == pdf


def test_one_forbidden_document_refuses_the_whole_download(shop: SimpleNamespace, at_once: None) -> None:
    mine, hers = posted(shop.books, shop.prime), posted(shop.books, shop.rival)
    for invoice in (mine, hers):
        official(invoice, shop)

    refused = shop.pia.get(f"{DOWNLOAD}/{mine.pk},{hers.pk}/pdf")
    missing = shop.pia.get(f"{DOWNLOAD}/{mine.pk},999999999/pdf")

    for answer in (refused, missing):
        assert answer.status_code == 403
        assert b"%PDF" not in answer.content
    assert refused.content == missing.content
    assert shop.rob.get(f"{DOWNLOAD}/{mine.pk}/pdf").status_code == 403


def test_visitors_get_a_login_and_no_byte(shop: SimpleNamespace, at_once: None) -> None:
    invoices = [posted(shop.books, shop.prime) for _n in range(2)]
    for invoice in invoices:
        official(invoice, shop)

    answer = shop.visitor.get(f"{DOWNLOAD}/{invoices[0].pk},{invoices[1].pk}/pdf", follow=True)

    assert answer.status_code == 200
    assert b'name="password"' in answer.content and b"%PDF" not in answer.content


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 200),
        ("?allow_fallback=true", 200),
        ("?allow_fallback=1", 200),
        ("?allow_fallback=false", 404),
        ("?allow_fallback=0", 404),
        ("?allow_fallback=", 404),
        ("?allow_fallback=maybe", 400),
    ],
)
def test_without_an_official_pdf_a_pro_forma_takes_its_place_if_wanted(
    shop: SimpleNamespace, at_once: None, query: str, status: int
) -> None:
    invoice = posted(shop.books, shop.prime)

    answer = shop.pia.get(f"{DOWNLOAD}/{invoice.pk}/pdf{query}")

    assert answer.status_code == status
    if status == 200:
        assert "PROFORMA" in text_of(body_of(answer))
    assert official_documents([invoice.pk]) == {}


@pytest.mark.parametrize(
    ("path", "status"),
    [("{pk}/docx", 404), ("{pk}/ubl", 404), (",,/pdf", 404), ("99999999999999999999/pdf", 404)],
)
def test_downloads_of_nothing(shop: SimpleNamespace, path: str, status: int) -> None:
    invoice = posted(shop.books, shop.prime)

    assert shop.pia.get(f"{DOWNLOAD}/{path.format(pk=invoice.pk)}").status_code == status


def test_more_documents_than_a_request_serves_are_refused(shop: SimpleNamespace) -> None:
    answer = shop.pia.get(f"{DOWNLOAD}/{','.join(str(n) for n in range(1, 202))}/pdf")

    assert answer.status_code == 400


def test_names_in_a_zip_are_single_and_each_once(shop: SimpleNamespace) -> None:
    invoice = posted(shop.books, shop.prime)
    clerk = shop.books.actor("billing")
    wanted = [NewFile("../../plan.txt", b"one"), NewFile("plan.txt", b"two"), NewFile("Plan.txt", b"three")]
    made = attach_files(invoice, wanted, actor=clerk)
    post_message(invoice, actor=clerk, body="<p>See</p>", subtype=COMMENT, attachments=made)
    hidden = attach_files(invoice, [NewFile("secret.txt", b"x")], actor=clerk)[0]
    path = "/account/download_invoice_attachments/"

    answer = shop.pia.get(path + ",".join(str(row.pk) for row in made))
    single = shop.pia.get(f"{path}{made[1].pk}")
    refused = shop.pia.get(f"{path}{made[0].pk},{hidden.pk}")

    archive = zipfile.ZipFile(io.BytesIO(body_of(answer)))
    assert answer["Content-Disposition"] == f'attachment; filename="INV_{TODAY.year}_00001.zip"'
    assert archive.namelist() == ["plan.txt", "plan (2).txt", "Plan (3).txt"]
    assert [archive.read(name) for name in archive.namelist()] == [b"one", b"two", b"three"]
    assert body_of(single) == b"two"
    assert refused.status_code == 403


# ------------------------------------------------------------------------------------------------------------- overdue
def test_overdue_documents_with_their_sums(shop: SimpleNamespace) -> None:
    books = shop.books
    assert away(shop.pia.get("/my/invoices/overdue")) == (303, "/my/invoices")
    assert away(shop.visitor.get("/my/invoices/overdue")) == (303, "/my")
    untaxed = [{"description": "Thing", "unit_price": price, "taxes": []} for price in ("100.00", "60.00")]
    for row in untaxed:
        posted(books, shop.prime, lines=[row], date=days(-60), due_date=days(-30))
    posted(books, shop.prime, "5.00", date=days(-60), due_date=days(3))
    posted(books, shop.rival, "7.00", date=days(-60), due_date=days(-30))

    page = page_of(shop.pia, "/my/invoices/overdue")

    assert "€160.00" in page and "€100.00" in page and "€60.00" in page
    assert "one payment" not in page
    assert "2 invoices are overdue." in page_of(shop.pia, "/my/invoices")

    set_rate("USD", "2020-01-01", "1.25", company=books.company)
    posted(
        books, shop.prime, lines=untaxed[:1], currency=get_currency("USD"), date=days(-60), due_date=days(-30)
    )
    mixed = page_of(shop.pia, "/my/invoices/overdue")
    assert "These invoices are in different currencies. They cannot be paid in one payment." in mixed
    assert "€160.00" in mixed and "$100.00" in mixed


def test_a_reset_document_leaves_the_portal(shop: SimpleNamespace) -> None:
    invoice = posted(shop.books, shop.prime)
    reset_invoices([invoice], actor=shop.books.actor("billing"))

    assert numbers_in(page_of(shop.pia, "/my/invoices"), invoice) == [False]
    assert away(shop.pia.get(f"/my/invoices/{invoice.pk}")) == (303, "/my")
    assert JournalItem.objects.filter(entry__invoice=invoice).count() == 6


# ------------------------------------------------------------------------------------------------------------- details
def test_name_and_tax_id_are_frozen_once_invoiced(shop: SimpleNamespace) -> None:
    person = service_for(Partner).create_one(
        {"name": "Solo", "email": "solo@example.com"}, actor=shop.books.system
    )
    draft(shop.books, person)
    assert name_and_tax_id_once_invoiced(partner=person, actor=shop.books.system) is None
    posted(shop.books, person)
    assert name_and_tax_id_once_invoiced(partner=person, actor=shop.books.system) == {
        "name",
        "tax_id",
        "company_name",
    }
