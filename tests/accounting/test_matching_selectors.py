"""Open items, what was open on a day, proposals of the matching screen, warnings about payments."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from apps.accounting.models import Payment
from apps.accounting.selectors.matching import open_items, propose_matches, residuals_as_of
from apps.accounting.selectors.payments import duplicates_of, warnings_of
from apps.accounting.services.matching import reconcile
from apps.accounting.services.payments import cancel
from apps.contacts.models import BankAccount, Partner
from apps.core.records import service_for
from tests.accounting.factories import Books, make_partner
from tests.accounting.payment_helpers import DAY, book, day, make_invoices, term_item

pytestmark = pytest.mark.django_db


def credit(books: Books, partner: Partner, amount: str, **more: Any) -> Any:
    return book(
        books,
        books.journals.bank,
        more.pop("date", DAY),
        (books.accounts.receivable, f"-{amount}"),
        (books.accounts.bank, amount),
        partner=partner,
        **more,
    )[0]


def test_open_items_of_a_partner_by_due_date(books: Books, customer: Partner) -> None:
    late, early = (
        make_invoices(books, customer, due=((day(text), "100.00"),))[0]
        for text in ("2026-05-01", "2026-04-01")
    )
    make_invoices(books, make_partner())
    paid = make_invoices(books, customer)[0]
    reconcile([term_item(paid), credit(books, customer, "100.00")], actor=books.system)

    found = open_items(books.actor("auditor"), company_pk=books.company.pk, partner_pk=customer.pk)

    assert [item.pk for item in found] == [term_item(early).pk, term_item(late).pk]
    assert not open_items(books.actor("plain"), company_pk=books.company.pk).exists()


def test_what_was_open_on_a_day(books: Books, customer: Partner) -> None:
    item = term_item(make_invoices(books, customer, date=day("2026-01-10"))[0])
    reconcile([item, credit(books, customer, "30.00", date="2026-02-10")], actor=books.system)
    reconcile([item, credit(books, customer, "70.00", date="2026-03-10")], actor=books.system)

    seen = {
        text: residuals_as_of([item.pk], day(text)).get(item.pk)
        for text in ("2026-01-09", "2026-01-31", "2026-02-10", "2026-03-09", "2026-03-10")
    }

    assert seen == {
        "2026-01-09": None,
        "2026-01-31": (Decimal(100), Decimal(100)),
        "2026-02-10": (Decimal(70), Decimal(70)),
        "2026-03-09": (Decimal(70), Decimal(70)),
        "2026-03-10": (Decimal(0), Decimal(0)),
    }


def test_proposals_the_surest_first(books: Books, customer: Partner) -> None:
    named, same, *rest = (term_item(row) for row in make_invoices(books, customer, 2))
    rest = [term_item(make_invoices(books, customer, untaxed=amount)[0]) for amount in ("12.00", "13.00")]
    by_name = credit(books, customer, "90.00", reference=f"Re {named.entry.number}")
    by_amount = credit(books, customer, "100.00")
    of_both = credit(books, customer, "25.00")

    found = propose_matches(
        books.actor("accountant"),
        company_pk=books.company.pk,
        account_pk=books.accounts.receivable.pk,
        partner_pk=customer.pk,
    )

    assert [(set(proposal.item_pks), proposal.left) for proposal in found] == [
        ({named.pk, by_name.pk}, Decimal("10")),
        ({same.pk, by_amount.pk}, Decimal("0")),
        ({*(item.pk for item in rest), of_both.pk}, Decimal("0")),
    ]


def outbound(books: Books, partner: Partner, **more: Any) -> Payment:
    return service_for(Payment).create_one(
        {
            "direction": "outbound",
            "partner_side": "supplier",
            "partner": partner,
            "amount": Decimal("10.00"),
            "date": DAY,
            "journal": books.journals.bank,
            **more,
        },
        actor=books.system,
    )


def test_the_same_payment_twice_is_noticed(books: Books, vendor: Partner) -> None:
    actor = books.actor("billing")
    first, second = outbound(books, vendor), outbound(books, vendor)
    other = outbound(books, vendor, amount=Decimal("11.00"))

    assert list(duplicates_of(second, actor)) == [first]
    assert [(w.payment_pk, w.code) for w in warnings_of([first, second, other], actor)] == [
        (first.pk, "duplicate"),
        (second.pk, "duplicate"),
    ]

    cancel([first], actor=actor)
    assert warnings_of([second, other], actor) == []


def test_an_untrusted_account_is_noticed(books: Books, vendor: Partner) -> None:
    account = service_for(BankAccount).create_one(
        {"partner": vendor, "number": "BE68539007547034"}, actor=books.system
    )
    payment = outbound(books, vendor, bank_account=account)

    (warning,) = warnings_of([payment], books.actor("billing"))

    assert (warning.code, account.number in warning.text) == ("untrusted_bank", True)
