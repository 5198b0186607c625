"""Matchings with exchange differences made and undone at once: nobody is turned away by a deadlock, and the books hold."""

from __future__ import annotations

import datetime
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError

from apps.accounting.models import Invoice, JournalEntry, JournalItem, Payment
from apps.accounting.selectors.balances import differences
from apps.accounting.selectors.chain import verify_journals
from apps.accounting.services.entry_posting import reverse_posted
from apps.accounting.services.matching import reconcile
from apps.accounting.services.payments import cancel as cancel_payments
from apps.accounting.services.posting import post_invoices
from apps.accounting.services.register import assign_credit, register_payment
from apps.accounting.services.unposting import reset_invoices
from apps.core.errors import BusinessError
from apps.core.testkit import run_in_threads
from tests.accounting.factories import Books, get_currency, make_books, make_partner, set_rate
from tests.accounting.invoice_tools import line, make
from tests.accounting.payment_helpers import account_balance, book, fresh

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)
SECONDS = 2.5
PAID_ON = datetime.date(2026, 3, 15)


def in_rounds(*jobs: Callable[[], Any]) -> list[Exception]:
    """Every job over and over for some seconds, each on a connection of its own; what was refused, other than by rule, is answered.

    A refusal in words (a document is not in the state any more) is what a person is told who comes second.
    """
    broken: list[Exception] = []
    refused: Counter[str] = Counter()
    turns = [0] * len(jobs)

    def worker(place: int) -> Callable[[], None]:
        def work() -> None:
            until = time.monotonic() + SECONDS
            while time.monotonic() < until and not broken:
                try:
                    jobs[place]()
                    turns[place] += 1
                except (BusinessError, JournalItem.DoesNotExist) as exc:
                    refused[str(exc)] += 1
                except Exception as exc:
                    broken.append(exc)

        return work

    assert run_in_threads([worker(place) for place in range(len(jobs))], timeout=120) == [None] * len(jobs)
    assert broken or any(turns), f"nobody got anything done: {refused}"
    return broken


def assert_sound(books: Books) -> None:
    proofs = verify_journals([journal.pk for journal in vars(books.journals).values()])
    assert [proof.problem for proof in proofs if proof.problem] == []
    assert differences() == []


def in_dollars(books: Books, partner: Any, day: str, rate: str, kind: str = "customer_invoice") -> Invoice:
    made = make(
        books,
        partner,
        type=kind,
        date=datetime.date.fromisoformat(day),
        currency=get_currency("USD"),
        rate=rate,
        rate_is_manual=True,
        lines=[line(1200)],
    )
    post_invoices([made.pk], actor=books.actor("billing"))
    return Invoice.objects.get(pk=made.pk)


def test_an_invoice_and_its_credit_note_are_reset_posted_and_matched_at_once() -> None:
    books, partner = make_books(), make_partner()
    set_rate("USD", "2026-01-01", "1.10")
    actor = books.actor("billing")
    invoice = in_dollars(books, partner, "2026-03-01", "1.10")
    note = in_dollars(books, partner, "2026-03-15", "1.20", "customer_credit_note")

    def turn(document: Invoice) -> Callable[[], None]:
        def work() -> None:
            reset_invoices([document.pk], actor=actor)
            post_invoices([document.pk], actor=actor)
            item = JournalItem.objects.get(entry=fresh(note).journal_entry_id, kind="payment_term")
            assign_credit([invoice.pk], actor=actor, items=[item])

        return work

    broken = in_rounds(turn(invoice), turn(note))

    assert broken == []
    assert JournalEntry.objects.filter(origin="exchange").exists()
    assert_sound(books)


def test_payments_of_unrelated_documents_are_made_and_cancelled_at_once() -> None:
    """Paying books the bank and then the exchange difference; cancelling takes back the difference and then the bank."""
    books = make_books()
    set_rate("USD", "2026-01-01", "1.10")
    set_rate("USD", "2026-03-10", "1.20")
    actor = books.actor("billing")
    invoices = [in_dollars(books, make_partner(f"P{n}"), "2026-03-01", "1.10") for n in range(3)]

    def turn(invoice: Invoice) -> Callable[[], None]:
        def work() -> None:
            pks = register_payment([invoice.pk], actor=actor, date=PAID_ON)
            cancel_payments(pks, actor=actor)

        return work

    broken = in_rounds(*[turn(invoice) for invoice in invoices])

    assert broken == []
    assert Payment.objects.filter(state="cancelled").count() == Payment.objects.count() > 3
    assert account_balance(books, books.accounts.exchange_loss) == 0
    assert [invoice.payment_state for invoice in Invoice.objects.all()] == ["not_paid"] * 3
    assert_sound(books)


def test_documents_are_reset_while_unrelated_ones_are_paid() -> None:
    books = make_books()
    set_rate("USD", "2026-01-01", "1.10")
    set_rate("USD", "2026-03-10", "1.20")
    actor = books.actor("billing")
    invoices = [in_dollars(books, make_partner(f"P{n}"), "2026-03-01", "1.10") for n in range(3)]

    def turn(invoice: Invoice) -> Callable[[], None]:
        def work() -> None:
            register_payment([invoice.pk], actor=actor, date=PAID_ON)
            reset_invoices([invoice.pk], actor=actor)
            post_invoices([invoice.pk], actor=actor)

        return work

    assert in_rounds(*[turn(invoice) for invoice in invoices]) == []
    assert_sound(books)


def test_an_entry_is_reversed_while_its_item_is_written_off() -> None:
    books, partner = make_books(), make_partner()
    actor, account = books.actor(), books.accounts

    def turn() -> None:
        item = book(
            books, books.journals.general, "2026-03-15", (account.receivable, "10"), (account.income, "-10"),
            partner=partner,
        )[0]  # fmt: skip
        results = run_in_threads(
            [
                lambda: reconcile([item.pk], actor=actor, write_off_account=account.write_off),
                lambda: reverse_posted([item.entry_id], actor=actor, date=item.date),
            ]
        )
        deadlocks = [one for one in results if isinstance(one, OperationalError)]
        assert deadlocks == []

    assert in_rounds(turn) == []
    assert_sound(books)
