"""Two people post at once: one document gets one number, and numbers have no hole."""

from __future__ import annotations

from typing import Any

import pytest

from apps.accounting.models import Invoice, JournalEntry
from apps.accounting.services.posting import post_invoices
from apps.accounting.services.unposting import reset_invoices
from apps.core.errors import Conflict, WrongState
from apps.core.testkit import run_in_threads
from tests.accounting.factories import make_books, make_partner
from tests.accounting.invoice_tools import line, make


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
