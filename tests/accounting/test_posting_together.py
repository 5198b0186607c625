"""Two people post at once: one document gets one number, and numbers have no hole."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import OperationalError

from apps.accounting.models import Invoice, JournalEntry
from apps.accounting.selectors.chain import verify_journals
from apps.accounting.services.entry_posting import post_drafts
from apps.accounting.services.posting import post_invoices
from apps.accounting.services.register import register_payment
from apps.accounting.services.unposting import reset_invoices
from apps.core.errors import Conflict, WrongState
from apps.core.testkit import run_in_threads
from apps.core.unit_of_work import unit_of_work
from tests.accounting.factories import make_books, make_partner
from tests.accounting.invoice_tools import DAY, line, make
from tests.accounting.raw_ledger import draft_of, sql


@pytest.mark.django_db(transaction=True)
def test_one_draft_is_posted_once() -> None:
    books, customer = make_books(), make_partner()
    invoice = make(books, customer, lines=[line(100)])
    actor = books.actor("billing")

    results = run_in_threads([lambda: post_invoices([invoice.pk], actor=actor)] * 4)

    assert sum(isinstance(result, dict) for result in results) == 1
    assert sum(isinstance(result, WrongState) for result in results) == 3
    assert [entry.number for entry in JournalEntry.objects.all()] == ["INV/2026/00001"]


@pytest.mark.django_db(transaction=True)
def test_numbers_of_many_at_once_have_no_hole() -> None:
    books, customer = make_books(), make_partner()
    drafts = [make(books, customer if n % 5 else None, lines=[line(1)]) for n in range(15)]
    actor = books.actor("billing")

    jobs: list[Any] = [lambda pk=draft.pk: post_invoices([pk], actor=actor) for draft in drafts]
    results = run_in_threads(jobs)

    posted = sum(isinstance(result, dict) for result in results)
    assert posted == 12
    numbers = sorted(Invoice.objects.filter(state="posted").values_list("number", flat=True))
    assert numbers == [f"INV/2026/{n:05}" for n in range(1, 13)]


@pytest.mark.django_db(transaction=True)
def test_a_reset_beside_another_takes_back_once() -> None:
    books, customer = make_books(), make_partner()
    invoice = make(books, customer, lines=[line(100)])
    actor = books.actor("billing")
    post_invoices([invoice], actor=actor)

    results = run_in_threads([lambda: reset_invoices([invoice.pk], actor=actor)] * 3)

    refused = [result for result in results if isinstance(result, Conflict)]
    assert len(refused) == 2
    assert [entry.revision for entry in JournalEntry.objects.order_by("pk")] == [0, 1]


@pytest.mark.django_db(transaction=True)
def test_documents_of_other_journals_never_wait() -> None:
    """While one transaction has posted an invoice and not ended, others post for the same partner elsewhere at once."""
    books, partner = make_books(), make_partner()
    actor, billing = books.actor(), books.actor("billing")
    owed = make(books, partner, lines=[line(50)])
    post_invoices([owed], actor=billing)
    sale, second = make(books, partner, lines=[line(100)]), make(books, partner, lines=[line(100)])
    bill = make(books, partner, type="vendor_bill", lines=[line(10)])
    entry = draft_of(books)
    release, holding = threading.Event(), threading.Event()

    def hold() -> None:
        with unit_of_work(billing):
            post_invoices([sale.pk], actor=billing)
            sql("SET CONSTRAINTS ALL IMMEDIATE")  # all that a commit looks at, and locks for it
            holding.set()
            assert release.wait(60)

    def others() -> list[Any]:
        assert holding.wait(60)
        done: list[Any] = []
        try:
            for work in (
                lambda: post_invoices([bill.pk], actor=billing),
                lambda: register_payment([owed.pk], actor=billing, date=DAY),
                lambda: post_drafts([entry.pk], actor=actor),
                lambda: post_invoices([second.pk], actor=billing),
            ):
                try:
                    with unit_of_work(billing):
                        sql("SET LOCAL lock_timeout = '100ms'")
                        work()
                        sql("SET CONSTRAINTS ALL IMMEDIATE")
                    done.append("done")
                except OperationalError as exc:
                    done.append(getattr(exc.__cause__, "sqlstate", ""))
        finally:
            release.set()
        return done

    results = run_in_threads([hold, others])

    assert results[0] is None
    assert results[1] == ["done", "done", "done", "55P03"], (
        "only the one in the same journal would have to wait"
    )
    numbers = list(
        JournalEntry.objects.filter(state="posted").order_by("number").values_list("number", flat=True)
    )
    assert numbers == [
        "BILL/2026/03/0001",
        "INV/2026/00001",
        "INV/2026/00002",
        "MISC/2026/03/0001",
        "PBNK1/2026/00001",
    ]


@pytest.mark.django_db(transaction=True)
def test_documents_posted_by_many_who_change_their_mind_leave_no_hole() -> None:
    """Sixty documents, a fifth of them rolled back after posting, twelve at a time: 1 to 48, in one chain."""
    books, customer = make_books(), make_partner()
    billing = books.actor("billing")
    drafts = [make(books, customer, lines=[line(n + 1)]) for n in range(60)]

    class ChangedMind(Exception):
        pass

    def attempt(number: int) -> str:
        try:
            with unit_of_work(billing):
                post_invoices([drafts[number].pk], actor=billing)
                if number % 5 == 0:
                    raise ChangedMind
        except ChangedMind:
            return "back"
        return "posted"

    results: list[list[str] | Exception] = run_in_threads(
        [lambda k=worker: [attempt(n) for n in range(k, 60, 12)] for worker in range(12)], timeout=200
    )

    done = [one for result in results for one in result]  # type: ignore[union-attr]
    assert (done.count("posted"), done.count("back")) == (48, 12)
    rows = Invoice.objects.filter(state="posted").values_list("number", flat=True)
    assert sorted(rows) == [f"INV/2026/{n:05}" for n in range(1, 49)]
    assert {row.number for row in Invoice.objects.filter(state="draft")} == {""}
    assert [proof.problem for proof in verify_journals([books.journals.sale.pk])] == [""]
