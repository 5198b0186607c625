"""Printed documents: what stands on them, in which language, and that the official PDF is made once."""

from __future__ import annotations

import ctypes
import datetime
import os
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pypdfium2
import pytest

from apps.access.selectors import actor_for
from apps.accounting.models import Invoice, JournalEntry
from apps.accounting.reports.archive import invoice_archive
from apps.accounting.reports.entry import entry_document
from apps.accounting.reports.invoice import invoice_document, invoice_sheets
from apps.accounting.selectors.documents import official_documents, official_field
from apps.accounting.services.posting import post_invoices
from apps.accounting.services.unposting import cancel_invoices, reset_invoices
from apps.chatter.models import Attachment
from apps.chatter.selectors.files import read_attachment
from apps.chatter.services.messages import remove_message
from apps.chatter.services.posting import post_comment
from apps.chatter.types import NewFile
from apps.contacts.models import Partner
from apps.core.errors import Conflict
from apps.core.records import service_for
from apps.core.testkit import count_queries, run_in_threads
from apps.reports.engine import render_html, render_pdf
from apps.reports.models import RenderedDocument
from apps.reports.services.rendering import render, request_document, wait_for
from tests.accounting.factories import (
    Books,
    get_currency,
    make_books,
    make_partner,
    make_tax,
    make_term,
    set_rate,
)
from tests.accounting.invoice_tools import line
from tests.accounting.portal_tools import TODAY, at_once, draft, files, posted, shop, text_of

__all__ = ["at_once", "files", "shop"]  # fixtures
pytestmark = pytest.mark.django_db
DAY = datetime.date(2026, 3, 15)
REPORT = "accounting.invoice"


def printed(invoice: Invoice, actor: Any) -> bytes:
    return read_attachment(wait_for(request_document(REPORT, [invoice.pk], actor=actor), seconds=0))


def pdf_of(books: Books, *invoices: Invoice, internal: bool = True) -> bytes:
    """A document rendered on the spot, kept nowhere; with SCREENSHOTS=<folder> a copy for people to look at."""
    context = invoice_document([invoice.pk for invoice in invoices], actor=books.system)
    html = render_html(
        "accounting/reports/invoice.html", {**context, "internal": internal}, language="en", tz="UTC"
    )
    pdf = render_pdf(html)
    folder = os.environ.get("SCREENSHOTS")
    if folder:
        Path(folder, f"invoice-{'-'.join(str(invoice.pk) for invoice in invoices)}.pdf").write_bytes(pdf)
    return pdf


def drawn(books: Books, *invoices: Invoice, internal: bool = True) -> str:
    return text_of(pdf_of(books, *invoices, internal=internal))


def sheet_of(invoice: Invoice) -> Any:
    return invoice_sheets([invoice.pk])[0]


# ------------------------------------------------------------------------------------------------------- what it shows
def test_an_invoice_shows_number_lines_taxes_totals_and_where_to_pay(shop: SimpleNamespace) -> None:
    books = shop.books
    lines = [
        {"kind": "section", "description": "Hardware"},
        line("100.00", quantity=2, description="Lamp", product_code="L-7", unit="pcs", discount="10"),
        line("50.00", description="Cable", taxes=[books.taxes.sale6.pk]),
        {"kind": "section", "description": "Work"},
        line("33.333", quantity=3, description="Mounting"),
        {"kind": "note", "description": "Carried out on site."},
    ]
    invoice = posted(books, shop.prime, lines=lines, date=DAY, reference="PO 4711", narration="Thank you.")

    text = drawn(books, invoice)

    sheet = sheet_of(invoice)
    assert (sheet.untaxed, sheet.tax, sheet.total) == ("€330.00", "€61.80", "€391.80")
    assert [(row.label, row.base, row.amount) for row in sheet.taxes] == [
        ("Tax 21 %", "€280.00", "€58.80"),
        ("Tax 6 %", "€50.00", "€3.00"),
    ]
    assert [row.amount for row in sheet.lines] == ["230.00", "180.00", "50.00", "100.00", "100.00", ""]
    for shown in (
        "Invoice INV/2026/00001",
        "Prime Ltd",
        "Station street 5",
        "1000 Brussels",
        "BE0477472701",
        "March 15, 2026",
        "PO 4711",
        "Lamp",
        "L-7",
        "10 %",
        "2 pcs",
        "33.333",
        "Carried out on site.",
        "€330.00",
        "on €280.00",
        "€58.80",
        "€391.80",
        "BE68 5390 0754 7034",
        "BIC BBRUBEBB",
        "Thank you.",
        "Taxes are rounded on each line.",
        "1 / 1",
    ):
        assert shown in text, shown
    assert "PROFORMA" not in text


def test_what_was_printed_at_posting_stays_when_the_customer_moves(shop: SimpleNamespace) -> None:
    invoice = posted(shop.books, shop.prime)
    service_for(Partner).update(
        [shop.prime], {"name": "Prime Group", "street": "Elsewhere 9"}, actor=shop.books.system
    )

    text = drawn(shop.books, invoice)

    assert "Station street 5" in text and "Prime Ltd" in text
    assert "Elsewhere" not in text and "Prime Group" not in text
    moved = drawn(shop.books, draft(shop.books, shop.prime))
    assert "Elsewhere 9" in moved


def test_due_parts_and_early_discounts_are_printed(shop: SimpleNamespace) -> None:
    books = shop.books
    parts = make_term(books, "30/70", ("percent", 30, 0), ("percent", 70, 60), note="30 % now, 70 % later")
    early = make_term(
        books,
        "Early",
        early_discount=True,
        discount_percent=Decimal(2),
        discount_days=10,
        discount_mode="included",
    )
    in_parts = posted(books, shop.prime, "1000.00", payment_term=parts, date=DAY)
    with_discount = posted(books, shop.prime, "1000.00", payment_term=early, date=DAY)

    first, second = drawn(books, in_parts), drawn(books, with_discount)

    assert [(part.day, part.amount) for part in sheet_of(in_parts).due] == [
        ("March 15, 2026", "€363.00"),
        ("May 14, 2026", "€847.00"),
    ]
    for shown in ("Payment plan", "€363.00", "€847.00", "May 14, 2026", "30 % now, 70 % later"):
        assert shown in first, shown
    assert "€1,185.80 if paid by March 25, 2026" in second
    assert "€1,210.00 due on March 15, 2026" in second


def test_legal_notes_of_taxes_and_positions_stand_once(shop: SimpleNamespace) -> None:
    books = shop.books
    exempt = make_tax(books, "Exempt", 0, group="vat0", category="E", legal_note="Exempt, article 44.")
    lines = [line("10", taxes=[exempt.pk]), line("20", taxes=[exempt.pk])]

    text = drawn(books, posted(books, shop.prime, lines=lines))

    assert text.count("Exempt, article 44.") == 1
    assert "on €30.00" in text
    assert "Taxes are rounded" not in text


def test_prices_that_contain_tax_are_marked(shop: SimpleNamespace) -> None:
    books = shop.books
    invoice = posted(books, shop.prime, lines=[line("121.00", taxes=[books.taxes.sale21_included.pk])])

    text = drawn(books, invoice)

    (row,) = sheet_of(invoice).lines
    assert (row.price, row.with_tax, row.amount) == ("121.00", True, "100.00")
    assert "121.00*" in text
    assert "* This price contains tax." in text


def test_a_foreign_document_says_its_tax_in_the_own_currency(shop: SimpleNamespace) -> None:
    set_rate("USD", "2026-01-01", "1.25", company=shop.books.company)
    invoice = posted(shop.books, shop.prime, "100.00", currency=get_currency("USD"), date=DAY)

    text = drawn(shop.books, invoice)

    assert "$121.00" in text
    assert "Taxes in EUR: €16.80, at 1 EUR = 1.25 USD." in text


@pytest.mark.parametrize(
    ("kind", "title"),
    [
        ("customer_credit_note", "Credit note"),
        ("customer_receipt", "Receipt"),
        ("vendor_bill", "Vendor bill"),
        ("vendor_credit_note", "Vendor credit note"),
    ],
)
def test_titles_of_the_other_documents(shop: SimpleNamespace, kind: str, title: str) -> None:
    invoice = posted(shop.books, shop.prime, type=kind, reference="V-9")

    text = drawn(shop.books, invoice)

    assert f"{title} {invoice.number}" in text
    assert ("PAY TO" in text) == (kind == "customer_receipt")


def test_drafts_are_pro_forma_and_have_no_number(shop: SimpleNamespace) -> None:
    books = shop.books
    new = draft(books, shop.prime)
    reset = posted(books, shop.prime)
    reset_invoices([reset], actor=books.actor("billing"))

    for invoice in (new, reset):
        text = drawn(books, invoice)
        assert "PROFORMA" in text
        assert "pro forma, not an invoice" in text
        assert "INV/2026" not in text.replace(invoice.payment_reference or "-", "")
    cancel_invoices([new], actor=books.actor("billing"))
    assert "CANCELLED" in drawn(books, new)


def test_documents_speak_the_language_of_their_partner(shop: SimpleNamespace) -> None:
    service_for(Partner).update([shop.prime], {"language": "de"}, actor=shop.books.system)
    german = posted(shop.books, shop.prime, "1234.50", date=DAY)
    english = posted(shop.books, shop.rival, "1234.50", date=DAY)

    text = drawn(shop.books, german, english)

    assert sheet_of(german).total == "1.493,75\u00a0€"
    assert sheet_of(german).facts[0][1] == "15. März 2026"
    for shown in ("1.493,75 €", "1.234,50", "15. März 2026", "€1,493.75", "1,234.50", "March 15, 2026"):
        assert shown in text, shown


def test_long_documents_repeat_their_head_on_every_page(shop: SimpleNamespace) -> None:
    lines = [line("1.00", description=f"Part {number:03}\nwith a second row") for number in range(120)]
    invoice = posted(shop.books, shop.prime, lines=lines, date=DAY)

    pdf = pypdfium2.PdfDocument(pdf_of(shop.books, invoice))

    pages = [page.get_textpage().get_text_bounded() for page in pdf]
    assert len(pages) > 3
    assert all("Description" in page for page in pages[:-1])
    assert all(f"Invoice {invoice.number}" in page for page in pages)
    assert [f"{n} / {len(pages)}" in page for n, page in enumerate(pages, 1)] == [True] * len(pages)
    everything = "\n".join(pages)
    assert all(f"Part {number:03}" in everything for number in range(120))


def test_the_pdf_is_tagged_titled_and_in_a_language(shop: SimpleNamespace) -> None:
    invoice = posted(shop.books, shop.prime, date=DAY)

    document = pypdfium2.PdfDocument(pdf_of(shop.books, invoice))

    assert document.get_metadata_value("Title").split() == ["Invoice", invoice.number]
    assert document.is_tagged()
    language = ctypes.create_string_buffer(20)
    pypdfium2.raw.FPDFCatalog_GetLanguage(
        document, ctypes.cast(language, ctypes.POINTER(ctypes.c_ushort)), 20
    )
    assert language.raw.decode("utf-16-le").rstrip("\0") == "en"


def test_the_number_of_queries_does_not_grow_with_documents_and_lines(shop: SimpleNamespace) -> None:
    one = posted(shop.books, shop.prime)
    many = [posted(shop.books, shop.prime, *range(1, 20)) for _n in range(4)]

    with count_queries() as few:
        invoice_sheets([one.pk])
    with count_queries() as more:
        invoice_sheets([invoice.pk for invoice in many])

    assert len(few) == len(more) <= 6


# --------------------------------------------------------------------------------------------------- the official one
def test_the_official_pdf_is_made_once_and_served_byte_for_byte(shop: SimpleNamespace, at_once: None) -> None:
    invoice = posted(shop.books, shop.prime)
    first = printed(invoice, shop.books.actor("billing"))
    # What changes later, payments for example, is not on it.
    Invoice.objects.filter(pk=invoice.pk).update(version=99, residual_amount=0)

    again = printed(invoice, shop.books.actor("auditor"))

    assert first.startswith(b"%PDF-")
    assert again == first
    file = Attachment.objects.get(model="accounting.invoice", object_id=invoice.pk)
    assert file.name == f"INV_{TODAY.year}_00001.pdf"
    assert file.field == official_field(invoice.journal_entry_id)
    assert "PROFORMA" not in text_of(first)


def test_a_reset_document_has_no_official_pdf_and_gets_a_new_one(
    shop: SimpleNamespace, at_once: None
) -> None:
    actor = shop.books.actor("billing")
    invoice = posted(shop.books, shop.prime, "100.00")
    first = printed(invoice, actor)

    reset_invoices([invoice], actor=actor)
    between = printed(invoice, actor)
    service_for(Invoice).update(
        [Invoice.objects.get(pk=invoice.pk)], {"lines": [line("200.00")]}, actor=actor
    )
    invoice.refresh_from_db()
    post_invoices([invoice], actor=actor)
    second = printed(invoice, actor)

    assert "PROFORMA" in text_of(between)
    assert "€121.00" in text_of(first) and "€242.00" in text_of(second)
    assert "PROFORMA" not in text_of(second)
    assert read_attachment(official_documents([invoice.pk])[invoice.pk]) == second
    # The one that was in the world before is kept beside it.
    assert Attachment.objects.filter(object_id=invoice.pk, field__startswith="official:").count() == 2


def test_the_official_pdf_cannot_be_thrown_away(shop: SimpleNamespace, at_once: None) -> None:
    actor = shop.books.actor("adviser")
    invoice = posted(shop.books, shop.prime)
    printed(invoice, actor)
    file = official_documents([invoice.pk])[invoice.pk]
    message = post_comment(invoice, "Here it is", actor=actor, attachments=[file, NewFile("a.txt", b"x")])

    with pytest.raises(Conflict, match="official PDF"):
        service_for(Attachment).delete([file], actor=actor)
    remove_message(message, actor=actor)

    assert list(official_documents([invoice.pk])) == [invoice.pk]
    assert not Attachment.objects.filter(name="a.txt").exists()


@pytest.mark.django_db(transaction=True)
def test_of_several_renderings_at_once_the_first_stays(tmp_path: Any, settings: Any) -> None:
    books = make_books()
    invoice = posted(books, make_partner("Prime"))
    actors = [books.actor("billing"), books.actor("auditor"), books.actor("accountant")]
    mark = invoice_archive.mark(invoice.pk, internal=True)

    def keep(number: int) -> Attachment:
        return invoice_archive.keep(
            invoice.pk, mark, NewFile("x.pdf", f"%PDF-{number}".encode(), trusted=True), actor=actors[number]
        )

    kept = run_in_threads([lambda n=number: keep(n) for number in range(3)])

    assert len({file.pk for file in kept}) == 1, kept
    assert Attachment.objects.filter(object_id=invoice.pk, field=mark).count() == 1


def test_customers_never_cause_the_official_pdf(shop: SimpleNamespace, at_once: None) -> None:
    invoice = posted(shop.books, shop.prime)

    text = text_of(printed(invoice, actor_for(shop.users.pia)))

    assert "PROFORMA" in text
    assert official_documents([invoice.pk]) == {}


def test_documents_of_several_records_are_not_official(shop: SimpleNamespace, at_once: None) -> None:
    invoices = [posted(shop.books, shop.prime), posted(shop.books, shop.prime)]
    actor = shop.books.actor("billing")
    order = request_document(REPORT, [row.pk for row in invoices], actor=actor)

    text = text_of(read_attachment(wait_for(order, seconds=0)))

    assert all(invoice.number in text for invoice in invoices)
    assert "PROFORMA" not in text
    assert official_documents([row.pk for row in invoices]) == {}


def test_a_failed_rendering_keeps_nothing(
    shop: SimpleNamespace, at_once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    invoice = posted(shop.books, shop.prime)

    def broken(html: str) -> bytes:
        raise OSError("no fonts")

    monkeypatch.setattr("apps.reports.services.rendering.render_pdf", broken)
    order = request_document(REPORT, [invoice.pk], actor=shop.books.actor("billing"))

    assert RenderedDocument.objects.get(pk=order.pk).error == "OSError: no fonts"
    assert official_documents([invoice.pk]) == {}
    assert render(order.pk) == "failed"


# -------------------------------------------------------------------------------------------------------------- entries
def test_a_journal_entry_is_printed_with_its_items(shop: SimpleNamespace) -> None:
    invoice = posted(shop.books, shop.prime, "100.00", date=DAY)
    entry = JournalEntry.objects.get(pk=invoice.journal_entry_id)
    context = entry_document([entry.pk], actor=shop.books.actor("accountant"))

    text = text_of(
        render_pdf(
            render_html(
                "accounting/reports/entry.html", {**context, "internal": True}, language="en", tz="UTC"
            )
        )
    )

    (sheet,) = context["sheets"]
    assert (sheet.debit, sheet.credit) == ("121.00", "121.00")
    assert [(row.account, row.debit, row.credit) for row in sheet.rows] == [
        ("700000 Sales", "", "100.00"),
        ("451000 Tax to pay", "", "21.00"),
        ("400000 Customers", "121.00", ""),
    ]
    for shown in ("Journal entry INV/2026/00001", "700000 Sales", "INV Customer invoices", entry.hash):
        assert shown in text.replace("\n", "") or shown in text, shown
