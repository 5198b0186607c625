"""Checks: their numbers, own and pre-printed, what is void, and what stands on the paper."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
from django.db import IntegrityError, transaction

from apps.accounting.constants import InvoiceType
from apps.accounting.models import Payment, PaymentMethodLine
from apps.accounting.reports import check_document
from apps.accounting.services.checks import number_checks
from apps.accounting.services.payments import cancel, post_payments, reset
from apps.accounting.services.register import register_payment
from apps.contacts.models import Partner
from apps.core.errors import Conflict, PermissionDenied, ValidationFailed
from apps.core.records import service_for
from apps.core.testkit import count_queries
from apps.reports.engine import available_reports, render_html, render_pdf
from tests.accounting.factories import Books
from tests.accounting.payment_helpers import DAY, fresh, make_invoices, settled
from tests.accounting.portal_tools import text_of

pytestmark = pytest.mark.django_db
Pay = Callable[..., list[Payment]]


@pytest.fixture
def billing(books: Books) -> Any:
    return books.actor("billing")


@pytest.fixture
def paper(books: Books) -> PaymentMethodLine:
    """A way to pay by check that this system numbers, the check at the top of the page."""
    return PaymentMethodLine.objects.create(
        journal=books.journals.bank,
        direction="outbound",
        code="check",
        name="Check",
        outstanding_account=books.accounts.outstanding_out,
        next_check_number=501,
        check_layout="top",
    )


@pytest.fixture
def pay(books: Books, vendor: Partner, billing: Any, paper: PaymentMethodLine) -> Pay:
    """Bills paid by check, one check each or one for all of them."""

    def make(number: int = 1, *, untaxed: str = "100.00", **inputs: Any) -> list[Payment]:
        bills = make_invoices(books, vendor, number, kind=InvoiceType.VENDOR_BILL, untaxed=untaxed)
        pks = register_payment(
            [bill.pk for bill in bills], actor=billing, date=DAY, method_line=paper, **inputs
        )
        settled()
        return list(Payment.objects.filter(pk__in=pks).order_by("pk"))

    return make


def change(paper: PaymentMethodLine, **values: Any) -> None:
    PaymentMethodLine.objects.filter(pk=paper.pk).update(**values)


def sheets_of(actor: Any, *payments: Payment) -> list[Any]:
    return check_document([payment.pk for payment in payments], actor=actor)["sheets"]


def pdf_of(actor: Any, *payments: Payment) -> bytes:
    spec = available_reports()["accounting.check"]
    context = check_document([payment.pk for payment in payments], actor=actor)
    pdf = render_pdf(render_html(spec.template, context, language=context["language"], tz="UTC"))
    if folder := os.environ.get("SCREENSHOTS"):
        layout = context["sheets"][0].pages[0].panels.index("check")
        Path(folder, f"check-{layout}-{len(context['sheets'][0].pages)}.pdf").write_bytes(pdf)
    return pdf


# ------------------------------------------------------------------------------------------------------------ numbers
def test_pre_printed_checks_get_their_numbers_when_the_paper_is_loaded(
    pay: Pay, paper: PaymentMethodLine, billing: Any
) -> None:
    change(paper, check_preprinted=True, next_check_number=None)
    first, second = pay(2)
    assert (first.check_number, second.check_number) == (None, None)

    with pytest.raises(ValidationFailed) as unknown:
        number_checks([first], actor=billing)
    numbers = number_checks([first.pk, second.pk], actor=billing, first_number=9001)

    assert "first_number" in unknown.value.fields
    assert numbers == [9001, 9002]
    assert [fresh(one).check_number for one in (first, second)] == [9001, 9002]
    (third,) = pay(1)
    assert number_checks([third], actor=billing) == [9003], "the next sheet of the same stack"
    assert fresh(paper).next_check_number == 9004


def test_a_void_check_keeps_its_number_and_nobody_else_gets_it(
    pay: Pay, paper: PaymentMethodLine, billing: Any
) -> None:
    change(paper, check_preprinted=True)
    spoiled, other = pay(2)
    number_checks([spoiled], actor=billing, first_number=77)
    cancel([spoiled], actor=billing)

    with pytest.raises(Conflict):
        number_checks([other], actor=billing, first_number=77)
    with pytest.raises(IntegrityError), transaction.atomic():
        Payment.objects.filter(pk=other.pk).update(check_number=77)

    assert (fresh(spoiled).state, fresh(spoiled).check_number) == ("cancelled", 77)
    assert fresh(other).check_number is None
    assert number_checks([other], actor=billing) == [78]


def test_further_pages_take_numbered_paper_too(pay: Pay, paper: PaymentMethodLine, billing: Any) -> None:
    change(paper, check_preprinted=True, check_overflow=True)
    (long,) = pay(20, untaxed="10.00", group=True)
    (short,) = pay(1)

    numbers = number_checks([long, short], actor=billing, first_number=40)

    assert numbers == [40, 43], "41 and 42 are the void checks above the second and the third page of stubs"
    assert fresh(paper).next_check_number == 44


def test_a_numbered_check_is_not_numbered_again(pay: Pay, paper: PaymentMethodLine, billing: Any) -> None:
    (payment,) = pay(1)
    assert payment.check_number == 501

    with pytest.raises(Conflict) as twice:
        number_checks([payment], actor=billing, first_number=900)

    assert twice.value.code == "numbered"
    assert fresh(payment).check_number == 501
    assert fresh(paper).next_check_number == 502


def test_only_checks_are_numbered_by_those_who_may_post(
    books: Books, pay: Pay, paper: PaymentMethodLine, billing: Any
) -> None:
    change(paper, check_preprinted=True)
    (payment,) = pay(1)
    by_hand = service_for(Payment).create_one(
        {"direction": "outbound", "amount": Decimal("5"), "date": DAY, "journal": books.journals.bank,
         "counterpart_account": books.accounts.payable}, actor=billing
    )  # fmt: skip
    post_payments([by_hand], actor=billing)

    with pytest.raises(ValidationFailed) as no_check:
        number_checks([by_hand], actor=billing, first_number=1)
    with pytest.raises(PermissionDenied):
        number_checks([payment], actor=books.actor("auditor"), first_number=1)

    assert no_check.value.code == "no_check"
    assert fresh(by_hand).check_number is None
    assert fresh(payment).check_number is None


@pytest.mark.parametrize("number", [0, -5])
def test_numbers_begin_with_one(pay: Pay, paper: PaymentMethodLine, billing: Any, number: int) -> None:
    change(paper, check_preprinted=True, next_check_number=None)
    (payment,) = pay(1)

    with pytest.raises(ValidationFailed):
        number_checks([payment], actor=billing, first_number=number)
    with pytest.raises(IntegrityError), transaction.atomic():
        Payment.objects.filter(pk=payment.pk).update(check_number=number)

    assert fresh(payment).check_number is None


def test_numbering_costs_the_same_for_two_and_for_many(
    pay: Pay, paper: PaymentMethodLine, billing: Any
) -> None:
    change(paper, check_preprinted=True)
    few, many = pay(2), pay(12)

    with count_queries() as two:
        number_checks(few, actor=billing, first_number=1)
    with count_queries() as twelve:
        number_checks(many, actor=billing, first_number=101)

    assert len(twelve) == len(two)


# -------------------------------------------------------------------------------------------------------------- paper
def test_a_check_says_who_gets_what_in_figures_and_words(
    books: Books, vendor: Partner, pay: Pay, billing: Any
) -> None:
    (payment,) = pay(1, untaxed="1234.56")

    (sheet,) = sheets_of(billing, payment)
    text = text_of(pdf_of(billing, payment))

    assert sheet.words == ("One thousand, two hundred and thirty-four euros and 56/100 " + "*" * (96 - 59))
    assert sheet.figure == "*******1,234.56"
    assert (sheet.number, sheet.printed_number, sheet.amount) == ("501", "501", "€1,234.56")
    assert sheet.payee.name == "Good Vendor"
    (page,) = sheet.pages
    assert [(row.number, row.total, row.left, row.paid) for row in page.rows] == [
        ("BILL/2026/03/0001", "1,234.56", "0.00", "1,234.56")
    ]
    assert "One thousand, two hundred and thirty-four euros and 56/100 ****" in text
    assert "*******1,234.56" in text
    assert text.count("Good Vendor") == 4, "payee, address and two stubs"


def test_pre_printed_paper_is_not_numbered_twice(pay: Pay, paper: PaymentMethodLine, billing: Any) -> None:
    change(paper, check_preprinted=True)
    (payment,) = pay(1)
    number_checks([payment], actor=billing, first_number=987654)

    assert sheets_of(billing, payment)[0].number == "987654"
    assert "987654" not in text_of(pdf_of(billing, payment))


@pytest.mark.parametrize(("layout", "place"), [("top", 0), ("middle", 1), ("bottom", 2)])
def test_the_check_stands_where_the_perforation_is(
    pay: Pay, paper: PaymentMethodLine, billing: Any, layout: str, place: int
) -> None:
    change(paper, check_layout=layout)
    (payment,) = pay(1, untaxed="20.00")

    document = pypdfium2.PdfDocument(pdf_of(billing, payment))

    assert len(document) == 1
    width, height = document[0].get_size()
    assert (round(width), round(height)) == (612, 792), "letter"
    words = document[0].get_textpage()
    found = words.search("Twenty euros and 00/100").get_next()
    assert found is not None
    bottom = words.get_charbox(found[0])[1]
    assert place == int((height - bottom) // (height / 3))


@pytest.mark.parametrize(
    ("documents", "overflow", "rows", "more"),
    [
        (9, False, [9], ""),
        (9, True, [9], ""),
        (10, False, [8], "and 2 more documents"),
        (12, False, [8], "and 4 more documents"),
        (10, True, [9, 1], ""),
        (20, True, [9, 9, 2], ""),
    ],
)
def test_a_stub_names_nine_documents(
    pay: Pay,
    paper: PaymentMethodLine,
    billing: Any,
    documents: int,
    overflow: bool,
    rows: list[int],
    more: str,
) -> None:
    change(paper, check_overflow=overflow)
    (payment,) = pay(documents, untaxed="10.00", group=True)

    (sheet,) = sheets_of(billing, payment)

    assert [len(page.rows) for page in sheet.pages] == rows
    assert sheet.pages[0].more == more
    assert [page.void for page in sheet.pages] == [False] + [True] * (len(rows) - 1)
    named = [row.number for page in sheet.pages for row in page.rows]
    assert named == sorted(named) and len(set(named)) == sum(rows)
    if documents in (10, 20) and overflow:
        document = pypdfium2.PdfDocument(pdf_of(billing, payment))
        texts = [page.get_textpage().get_text_range() for page in document]
        assert len(texts) == len(rows)
        assert ["VOID" in text.replace(" ", "") for text in texts] == [page.void for page in sheet.pages]
        assert ["euros and 00/100" in text for text in texts] == [True] + [False] * (len(rows) - 1)


def test_checks_are_printed_in_the_order_of_their_numbers(pay: Pay, billing: Any) -> None:
    payments = pay(3)

    sheets = sheets_of(billing, *reversed(payments))

    assert [sheet.number for sheet in sheets] == ["501", "502", "503"]
    assert len(pypdfium2.PdfDocument(pdf_of(billing, *payments))) == 3


def test_what_is_no_check_is_not_printed(
    books: Books, pay: Pay, paper: PaymentMethodLine, billing: Any, vendor: Partner
) -> None:
    good, void, draft = pay(3)
    cancel([void], actor=billing)
    reset([draft], actor=billing)
    change(paper, check_preprinted=True)
    (unnumbered,) = pay(1)
    by_hand = register_payment(
        [make_invoices(books, vendor, 1, kind=InvoiceType.VENDOR_BILL)[0].pk], actor=billing, date=DAY
    )

    refusals = {}
    for name, pk in {
        "void": void.pk, "draft": draft.pk, "unnumbered": unnumbered.pk, "by hand": by_hand[0]
    }.items():  # fmt: skip
        with pytest.raises(Conflict) as refused:
            check_document([good.pk, pk], actor=billing)
        refusals[name] = refused.value.code
    change(paper, check_layout="")
    with pytest.raises(Conflict) as refused:
        check_document([good.pk], actor=billing)

    assert refusals == {
        "void": "void_check",
        "draft": "draft",
        "unnumbered": "no_number",
        "by hand": "no_check",
    }
    assert refused.value.code == "no_layout"


def test_a_part_payment_says_what_is_left(
    books: Books, vendor: Partner, billing: Any, paper: PaymentMethodLine
) -> None:
    bill = make_invoices(books, vendor, 1, kind=InvoiceType.VENDOR_BILL, untaxed="300.00", date=DAY)[0]
    (pk,) = register_payment(
        [bill.pk],
        actor=billing,
        date=DAY + datetime.timedelta(1),
        method_line=paper,
        amount=Decimal("120.00"),
    )
    settled()

    (sheet,) = sheets_of(billing, Payment.objects.get(pk=pk))

    (row,) = sheet.pages[0].rows
    assert (row.total, row.left, row.paid) == ("300.00", "180.00", "120.00")


def test_printing_many_costs_the_same_as_two(pay: Pay, billing: Any) -> None:
    few, many = pay(2), pay(9)

    with count_queries() as two:
        sheets_of(billing, *few)
    with count_queries() as nine:
        sheets_of(billing, *many)

    assert len(nine) == len(two)
