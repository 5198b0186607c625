"""Documents between sister companies."""

from __future__ import annotations

import datetime
from decimal import Decimal

import pytest

from apps.accounting.models import Invoice
from apps.accounting.services.mirroring import mirror_documents
from apps.accounting.services.posting import post_invoices as post
from apps.contacts.models import Partner
from apps.core.records import service_for
from apps.core.testkit import drain_outbox
from tests.accounting.factories import Books, make_books


@pytest.fixture
def sister(books: Books) -> Books:
    return make_books("EUR", "BE", "Beta Ltd")


def bill_to(books: Books, other: Books) -> Invoice:
    partner = Partner.objects.get(represents=other.company)
    invoice = service_for(Invoice).create_one(
        {
            "type": "customer_invoice",
            "company": books.company,
            "partner": partner,
            "date": datetime.date(2026, 4, 1),
            "lines": [{"description": "Consulting", "quantity": Decimal(3), "unit_price": Decimal("33.33")}],
        },
        actor=books.actor("billing"),
    )
    post([invoice], actor=books.actor("billing"))
    return Invoice.objects.get(pk=invoice.pk)


@pytest.mark.django_db(transaction=True)
def test_a_posted_invoice_is_a_draft_bill_of_the_sister_company(books: Books, sister: Books) -> None:
    invoice = bill_to(books, sister)

    drain_outbox()

    mirror = Invoice.objects.get(mirrored_invoice=invoice)
    assert (mirror.type, mirror.state, mirror.company_id) == ("vendor_bill", "draft", sister.company.pk)
    assert mirror.reference == invoice.number
    assert mirror.partner == Partner.objects.get(represents=books.company)
    assert mirror.untaxed_amount == invoice.untaxed_amount == Decimal("99.99")
    assert [line.account_id for line in mirror.lines.all()] == [sister.accounts.expense.pk]


@pytest.mark.django_db(transaction=True)
def test_it_is_mirrored_once_and_never_back(books: Books, sister: Books) -> None:
    invoice = bill_to(books, sister)
    mirror_documents([invoice.pk])
    mirror_documents([invoice.pk])
    drain_outbox()

    mirror = Invoice.objects.get(mirrored_invoice=invoice)
    post([mirror], actor=sister.actor("billing"))
    drain_outbox()

    assert Invoice.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_a_company_that_does_not_want_mirrors_gets_none(books: Books, sister: Books) -> None:
    type(sister.settings).objects.filter(pk=sister.settings.pk).update(mirror_invoices=False)

    bill_to(books, sister)
    drain_outbox()

    assert Invoice.objects.count() == 1
