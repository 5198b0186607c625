"""Posting straight into the ledger: numbers, chain, reversal, and what PostgreSQL finds at commit."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.accounting.models import JournalChain, JournalEntry, JournalItem, NumberSeries, PeriodBalance
from apps.accounting.services.ledger import EntrySpec, ItemSpec, post_entries, reverse_entries
from apps.core.errors import ValidationFailed
from apps.core.unit_of_work import unit_of_work

DAY = datetime.date(2026, 3, 15)


def sale(books: Any, amount: str = "100.00", *, date: datetime.date = DAY, **more: Any) -> EntrySpec:
    value, currency = Decimal(amount), books.company.currency_id
    return EntrySpec(
        journal=books.journals.sale,
        date=date,
        company_pk=books.company.pk,
        currency_pk=currency,
        items=[
            ItemSpec(books.accounts.receivable.pk, value, currency, value, name="Receivable"),
            ItemSpec(books.accounts.income.pk, -value, currency, -value, name="Sale “x”\t\\ ü"),
        ],
        **more,
    )


def settled() -> None:
    """Run what PostgreSQL checks at commit."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")


@pytest.mark.django_db
def test_numbers_follow_each_other_and_the_chain(books: Any) -> None:
    with unit_of_work(books.system):
        entries = post_entries([sale(books), sale(books), sale(books)], actor=books.system)
    settled()

    assert [entry.number for entry in entries] == ["INV/2026/00001", "INV/2026/00002", "INV/2026/00003"]
    stored = list(JournalEntry.objects.filter(journal=books.journals.sale).order_by("chain_index"))
    assert [entry.chain_index for entry in stored] == [1, 2, 3]
    chain = JournalChain.objects.get(journal=books.journals.sale)
    assert (chain.length, chain.last_hash) == (3, stored[-1].hash)
    assert NumberSeries.objects.get(journal=books.journals.sale).next_number == 4


@pytest.mark.django_db
def test_posting_costs_the_same_statements_for_one_and_for_many(books: Any) -> None:
    with unit_of_work(books.system):
        post_entries([sale(books)], actor=books.system)
        with CaptureQueriesContext(connection) as one:
            post_entries([sale(books)], actor=books.system)
        with CaptureQueriesContext(connection) as many:
            post_entries([sale(books) for _n in range(30)], actor=books.system)
    settled()

    assert len(one) == len(many) <= 12


@pytest.mark.django_db
def test_the_balances_know_at_once(books: Any) -> None:
    with unit_of_work(books.system):
        post_entries([sale(books, "100.00"), sale(books, "20.50")], actor=books.system)
    settled()

    rows = PeriodBalance.objects.filter(account=books.accounts.income).values_list(
        "month", "debit", "credit", "items"
    )
    assert list(rows) == [(datetime.date(2026, 3, 1), Decimal("0"), Decimal("120.50"), 2)]


@pytest.mark.django_db
def test_an_entry_that_does_not_balance_is_refused(books: Any) -> None:
    spec = sale(books)
    spec.items[0].balance += 1

    with pytest.raises(ValidationFailed, match="does not balance"), unit_of_work(books.system):
        post_entries([spec], actor=books.system)

    assert not JournalEntry.objects.exists()


@pytest.mark.django_db
def test_the_first_number_is_typed_and_continued(books: Any) -> None:
    with unit_of_work(books.system):
        first = post_entries([sale(books, wanted_number="F-2026-0100")], actor=books.system)
        then = post_entries([sale(books)], actor=books.system)
        later = post_entries([sale(books, date=datetime.date(2027, 1, 2))], actor=books.system)
    settled()

    assert [e.number for e in (*first, *then, *later)] == ["F-2026-0100", "F-2026-0101", "F-2027-0001"]
    with pytest.raises(ValidationFailed, match="F-2026-0102"), unit_of_work(books.system):
        post_entries([sale(books, wanted_number="F-2026-0200")], actor=books.system)


@pytest.mark.django_db
def test_a_reversal_takes_everything_back_and_settles_it(books: Any) -> None:
    with unit_of_work(books.system):
        entries = post_entries([sale(books)], actor=books.system)
        mirrors = reverse_entries(entries, actor=books.system, dates=DAY)
    settled()

    assert (mirrors[0].number, mirrors[0].reversal_of_id) == ("INV/2026/00002", entries[0].pk)
    items = JournalItem.objects.filter(account=books.accounts.receivable)
    assert {item.residual for item in items} == {Decimal(0)}
    assert len({item.full_match_id for item in items}) == 1


@pytest.mark.django_db
def test_a_document_that_is_reset_keeps_its_number(books: Any) -> None:
    with unit_of_work(books.system):
        entries = post_entries([sale(books)], actor=books.system)
        mirrors = reverse_entries(entries, actor=books.system, dates=DAY, same_number=True)
        series = NumberSeries.objects.get(pk=entries[0].series_id)
        again = post_entries([sale(books, series=series, series_number=1)], actor=books.system)
        other = post_entries([sale(books)], actor=books.system)
    settled()

    assert [(e.number, e.revision) for e in (*entries, *mirrors, *again)] == [
        ("INV/2026/00001", 0),
        ("INV/2026/00001", 1),
        ("INV/2026/00001", 2),
    ]
    assert other[0].number == "INV/2026/00002"
