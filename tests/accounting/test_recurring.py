"""Documents that repeat and post themselves, and posting in the background."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from django.utils import timezone

from apps.accounting.models import Invoice
from apps.accounting.services.copies import following_day
from apps.accounting.services.posting import post_invoices
from apps.accounting.services.recurring import (
    post_batch,
    post_due_documents,
    post_in_background,
    start_posting,
)
from apps.chatter.models import Activity
from apps.core.errors import PermissionDenied, ValidationFailed
from apps.core.records import service_for
from apps.core.testkit import drain_outbox
from tests.accounting.factories import Books
from tests.accounting.invoice_tools import D, line, make

pytestmark = pytest.mark.django_db


class Run:
    """The part of a run that tasks use."""

    def __init__(self, actor: Any = None, **inputs: Any) -> None:
        self.actor, self.inputs, self.attempt = actor, inputs, 1
        self.lines: list[str] = []
        self.at: tuple[int, int | None] = (0, None)

    def progress(self, done: int, total: int | None = None) -> None:
        self.at = (done, total)

    def log(self, text: str) -> None:
        self.lines.append(text)


def chain(first: Invoice, actor: Any, count: int) -> list[datetime.date]:
    """Post a document and its successors; the days of those that follow."""
    days, current = [], first
    for _n in range(count):
        post_invoices([current], actor=actor)
        current = Invoice.objects.get(auto_post_origin=first, state="draft")
        days.append(current.date)
    return days


def test_every_month_from_the_last_of_january(books: Books, customer: Any) -> None:
    first = make(
        books,
        customer,
        date=datetime.date(2026, 1, 31),
        auto_post="monthly",
        reference="Rent",
        lines=[line(100)],
    )

    days = chain(first, books.actor("billing"), 3)

    assert days == [datetime.date(2026, 2, 28), datetime.date(2026, 3, 31), datetime.date(2026, 4, 30)]
    last = Invoice.objects.get(state="draft")
    assert (last.auto_post, last.total_amount, last.reference) == ("monthly", D("121.00"), "Rent")


@pytest.mark.parametrize(
    ("day", "period", "keep", "expected"),
    [
        ("2026-01-30", "monthly", 30, "2026-02-28"),
        ("2026-02-28", "monthly", 30, "2026-03-30"),
        ("2026-02-28", "monthly", 31, "2026-03-31"),
        ("2026-11-30", "quarterly", 31, "2027-02-28"),
        ("2024-02-29", "yearly", 31, "2025-02-28"),
        ("2025-12-15", "yearly", 15, "2026-12-15"),
    ],
)
def test_the_day_of_the_month_is_kept(day: str, period: str, keep: int, expected: str) -> None:
    assert following_day(datetime.date.fromisoformat(day), period, keep) == datetime.date.fromisoformat(
        expected
    )


def test_a_chain_ends_where_it_should(books: Books, customer: Any) -> None:
    until = datetime.date(2026, 2, 20)
    first = make(
        books,
        customer,
        date=datetime.date(2026, 1, 15),
        auto_post="monthly",
        auto_post_until=until,
        lines=[line(1)],
    )
    actor = books.actor("billing")

    (second,) = chain(first, actor, 1)
    post_invoices([Invoice.objects.get(state="draft")], actor=actor)

    assert second == datetime.date(2026, 2, 15)
    assert not Invoice.objects.filter(state="draft").exists()


def test_a_bill_of_a_chain_has_no_reference_yet(books: Books, vendor: Any) -> None:
    bill = make(books, vendor, type="vendor_bill", reference="V-1", auto_post="monthly", lines=[line(1)])

    post_invoices([bill], actor=books.actor("billing"))

    assert Invoice.objects.get(state="draft").reference == ""


def test_what_repeats_needs_a_date(books: Books, customer: Any) -> None:
    with pytest.raises(ValidationFailed) as refused:
        make(books, customer, date=None, auto_post="monthly")
    assert list(refused.value.fields) == ["date"]

    with pytest.raises(ValidationFailed) as refused:
        make(books, customer, auto_post="monthly", auto_post_until=datetime.date(2026, 1, 1))
    assert list(refused.value.fields) == ["auto_post_until"]


def test_the_job_posts_what_is_due_and_names_what_it_cannot(books: Books, customer: Any) -> None:
    tomorrow = timezone.localdate() + datetime.timedelta(days=2)
    due = make(books, customer, auto_post="at_date", lines=[line(1)])
    wrong = make(books, None, auto_post="at_date", lines=[line(1)])
    later = make(books, customer, date=tomorrow, auto_post="at_date", lines=[line(1)])
    plain = make(books, customer, lines=[line(1)])
    run = Run()

    post_due_documents(run)  # type: ignore[arg-type]

    states = dict(Invoice.objects.values_list("pk", "state"))
    assert states == {due.pk: "posted", wrong.pk: "draft", later.pk: "draft", plain.pk: "draft"}
    assert Invoice.objects.get(pk=due.pk).auto_post == "no"
    assert run.at == (2, 2)
    assert len(run.lines) == 1
    assert run.lines[0].startswith(f"{wrong.pk}: ")
    told = Activity.objects.get(active=True)
    assert (told.model, told.object_id, told.automated) == ("accounting.invoice", wrong.pk, True)
    assert (told.assignee_id, told.note) == (books.user("billing").pk, "Choose the customer.")


def test_a_failure_is_told_once_and_withdrawn_when_the_document_is_posted(
    books: Books, customer: Any
) -> None:
    wrong = make(books, None, auto_post="at_date", lines=[line(1)])
    post_due_documents(Run())  # type: ignore[arg-type]
    first = Activity.objects.get(active=True)
    service_for(Invoice).update([wrong], {"partner": customer}, actor=books.actor("billing"))
    service_for(Invoice).update([wrong], {"lines": []}, actor=books.actor("billing"))

    post_due_documents(Run())  # type: ignore[arg-type]

    again = Activity.objects.get(active=True)
    assert again.pk == first.pk
    assert again.note != first.note
    service_for(Invoice).update([wrong], {"lines": [line(1)]}, actor=books.actor("billing"))
    post_invoices([wrong], actor=books.actor("billing"))
    drain_outbox()
    assert not Activity.objects.exists()


def test_one_wrong_document_stops_no_other(books: Books, customer: Any) -> None:
    good = [make(books, customer, lines=[line(1)]) for _n in range(3)]
    wrong = make(books, None, lines=[line(1)])
    actor = books.actor("billing")
    run = Run(actor, pks=[*(row.pk for row in good), wrong.pk])

    answer = post_in_background(run)  # type: ignore[arg-type]

    assert (answer["done"], answer["refused_count"]) == (3, 1)
    ((pk, reason),) = answer["refused"]
    assert (pk, reason) == (wrong.pk, "Choose the customer.")
    numbers = Invoice.objects.filter(state="posted").order_by("number").values_list("number", flat=True)
    assert list(numbers) == ["INV/2026/00001", "INV/2026/00002", "INV/2026/00003"]
    again = Run(actor, pks=[*(row.pk for row in good), wrong.pk])
    again.attempt = 2
    assert post_in_background(again)["done"] == 3  # type: ignore[arg-type]


def test_posting_in_the_background_needs_the_right(books: Books, customer: Any) -> None:
    invoice = make(books, customer, lines=[line(1)])

    with pytest.raises(PermissionDenied):
        start_posting([invoice.pk], actor=books.actor("auditor"))

    run = start_posting([invoice.pk], actor=books.actor("billing"))
    assert (run.task, run.inputs) == ("accounting.post_invoices", {"pks": [invoice.pk], "soft": False})


def test_a_batch_answers_by_document(books: Books, customer: Any) -> None:
    invoice = make(books, None, lines=[line(1)])

    assert post_batch([invoice.pk], actor=books.actor("billing")) == (
        0,
        [(invoice.pk, "Choose the customer.")],
    )
