"""Bank lines with real transactions: two who want the same, and files that arrive twice at once."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import pytest

from apps.accounting.models import Invoice, JournalEntry, JournalItem, StatementLine
from apps.accounting.services.bank_import import import_bank_file
from apps.accounting.services.bank_reconcile import WriteOff, reconcile_line, undo_reconcile
from apps.core.errors import Conflict
from apps.core.records import service_for
from apps.core.testkit import run_in_threads
from tests.accounting.bank_file_tools import camt053
from tests.accounting.factories import Books, make_books, make_partner
from tests.accounting.payment_helpers import account_balance, make_invoices, term_item

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)
DAY = datetime.date(2026, 3, 20)


def at_once(*jobs: Any) -> list[Any]:
    """Results or exceptions of jobs that run together, in their order."""
    outcome: list[Any] = [None] * len(jobs)

    def worker(place: int) -> Any:
        def work() -> None:
            try:
                outcome[place] = jobs[place]()
            except Conflict as exc:
                outcome[place] = exc

        return work

    run_in_threads([worker(place) for place in range(len(jobs))], timeout=120)
    return outcome


def make_line(books: Books, amount: str) -> StatementLine:
    values = {"journal": books.journals.bank, "date": DAY, "amount": Decimal(amount)}
    return service_for(StatementLine).create_one(values, actor=books.system)


def test_one_line_is_explained_by_one_of_two() -> None:
    books = make_books()
    line = make_line(books, "-10.00")

    def explain(account: Any) -> Any:
        return lambda: reconcile_line(line, write_offs=[WriteOff(account.pk)], actor=books.system)

    outcome = at_once(explain(books.accounts.expense), explain(books.accounts.expense2))

    assert sorted(isinstance(result, Conflict) for result in outcome) == [False, True]
    assert JournalEntry.objects.filter(caused_by=line.entry).count() == 1
    assert account_balance(books, books.accounts.suspense) == 0


def test_one_invoice_is_settled_by_one_of_two_lines() -> None:
    books = make_books()
    invoice: Invoice = make_invoices(books, make_partner("P"), untaxed="10.00")[0]
    item = term_item(invoice).pk
    one, two = make_line(books, "10.00"), make_line(books, "10.00")

    outcome = at_once(
        lambda: reconcile_line(one, counterparts=[item], actor=books.system),
        lambda: reconcile_line(two, counterparts=[item], actor=books.system),
    )

    assert sorted(isinstance(result, Conflict) for result in outcome) == [False, True]
    assert JournalItem.objects.get(pk=item).residual == 0
    assert sorted(StatementLine.objects.values_list("reconciled", flat=True)) == [False, True]
    assert account_balance(books, books.accounts.receivable) == 0


def test_undoing_twice_at_once_undoes_once() -> None:
    books = make_books()
    line = make_line(books, "-10.00")
    reconcile_line(line, write_offs=[WriteOff(books.accounts.expense.pk)], actor=books.system)

    outcome = at_once(*[lambda: undo_reconcile([line], actor=books.system)] * 2)

    assert sorted(len(reversals) for reversals in outcome) == [0, 1]
    assert account_balance(books, books.accounts.expense) == 0
    assert account_balance(books, books.accounts.suspense) == Decimal("10.00")


def test_a_file_that_arrives_twice_at_once_is_imported_once() -> None:
    books = make_books()
    data = camt053()

    outcome = at_once(*[lambda: import_bank_file(data, "a.xml", books.journals.bank, actor=books.system)] * 2)

    assert sorted((result.created, result.duplicates) for result in outcome) == [(0, 2), (2, 0)]
    assert StatementLine.objects.count() == 2
    assert account_balance(books, books.accounts.bank) == Decimal("174.50")
