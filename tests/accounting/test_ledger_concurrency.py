"""Many at once, with real transactions: gapless numbers, journals that never wait for one another, races that lose."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from django.db import connection, connections, transaction

from apps.accounting.models import JournalEntry, JournalItem, NumberSeries
from apps.accounting.selectors.balances import differences
from apps.accounting.selectors.chain import verify_journals
from apps.accounting.services.balances import fold
from apps.accounting.services.entry_posting import post_drafts
from apps.accounting.services.ledger import post_entries
from apps.accounting.services.locks import set_lock_dates
from apps.core.errors import BusinessError
from apps.core.records import service_for
from apps.core.testkit import run_in_threads
from apps.core.unit_of_work import unit_of_work
from tests.accounting.factories import Books, make_books
from tests.accounting.raw_ledger import DAY, Forgery, draft_of, post, spec_of, sql

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)


class GivenUp(Exception):
    """A caller that changes its mind after posting."""


def numbers(books: Books, journal: str) -> list[int]:
    rows = JournalEntry.objects.filter(journal=getattr(books.journals, journal)).order_by("series_number")
    return list(rows.values_list("series_number", flat=True))


def assert_sound(books: Books) -> None:
    assert [proof.problem for proof in verify_journals([j.pk for j in vars(books.journals).values()])] == [
        ""
    ] * 8
    assert differences() == []


def in_workers(jobs: list[Callable[[], Any]], workers: int) -> list[Any]:
    """All jobs, a few at a time, each worker on one connection; answers results or exceptions in order."""
    results: list[Any] = [None] * len(jobs)
    queue = list(enumerate(jobs))
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                if not queue:
                    return
                place, job = queue.pop(0)
            try:
                results[place] = job()
            except Exception as exc:
                results[place] = exc

    run_in_threads([work] * workers, timeout=300)
    return results


def test_two_hundred_posts_with_a_fifth_rolled_back_leave_no_hole() -> None:
    books = make_books()

    def attempt(number: int) -> Callable[[], Any]:
        def run() -> str:
            with unit_of_work(books.system):
                made = post_entries([spec_of(books, f"{number + 1}.00", "sale")], actor=books.system)
                if number % 5 == 0:
                    raise GivenUp
            return made[0].number

        return run

    results = in_workers([attempt(number) for number in range(200)], 16)

    assert sum(isinstance(result, GivenUp) for result in results) == 40
    assert sum(isinstance(result, str) for result in results) == 160, results
    assert numbers(books, "sale") == list(range(1, 161))
    assert NumberSeries.objects.get().next_number == 161
    assert_sound(books)


def test_fifty_drafts_posted_at_once_are_numbered_one_to_fifty() -> None:
    books = make_books()
    actor = books.actor()
    rows = [
        {
            "company": books.company,
            "journal": books.journals.general,
            "date": DAY,
            "items": [
                {"account": books.accounts.expense, "debit": "5.00"},
                {"account": books.accounts.payable, "credit": "5.00"},
            ],
        }
        for _n in range(50)
    ]
    drafts = service_for(JournalEntry).create(rows, actor=actor)

    results = in_workers([lambda pk=entry.pk: post_drafts([pk], actor=actor) for entry in drafts], 10)

    assert results == [{"moved": []}] * 50
    assert numbers(books, "general") == list(range(1, 51))
    assert_sound(books)


def test_journals_never_wait_for_one_another() -> None:
    """While one transaction holds the numbers of a journal, others post elsewhere without waiting a moment."""
    books = make_books()
    post(books, spec_of(books, journal="sale"), spec_of(books, journal="general"))
    release, holding = threading.Event(), threading.Event()

    def hold() -> None:
        with unit_of_work(books.system):
            post_entries([spec_of(books, journal="sale")], actor=books.system)
            holding.set()
            assert release.wait(60)

    def others() -> list[str]:
        assert holding.wait(60)
        made = []
        try:
            for journal in ("general", "purchase", "bank", "exchange"):
                with unit_of_work(books.system):
                    sql("SET LOCAL lock_timeout = '50ms'")
                    made.append(post_entries([spec_of(books, journal=journal)], actor=books.system)[0].number)
            with pytest.raises(Exception, match="lock timeout"), unit_of_work(books.system):
                sql("SET LOCAL lock_timeout = '50ms'")
                post_entries([spec_of(books, journal="sale")], actor=books.system)
        finally:
            release.set()
        return made

    results = run_in_threads([hold, others])

    assert results[0] is None
    assert results[1] == ["MISC/2026/03/0002", "BILL/2026/03/0001", "BNK1/2026/00001", "EXCH/2026/03/0001"]
    assert_sound(books)


def test_bulk_and_single_across_journals_never_deadlock() -> None:
    """Sets that name the same journals in every order, single posts, drafts and folding at the same time."""
    books = make_books()
    names = ["sale", "general", "purchase", "bank"]
    post(books, *[spec_of(books, journal=name) for name in names])
    chance = random.Random(7)

    def bulk(order: list[str]) -> Callable[[], int]:
        def run() -> int:
            with unit_of_work(books.system):
                return len(
                    post_entries([spec_of(books, journal=name) for name in order * 5], actor=books.system)
                )

        return run

    def single(name: str) -> Callable[[], int]:
        def run() -> int:
            with unit_of_work(books.system):
                return len(post_entries([spec_of(books, journal=name)], actor=books.system))

        return run

    def folding() -> int:
        with transaction.atomic():
            fold()
        return 0

    jobs: list[Callable[[], int]] = []
    for _round in range(12):
        jobs += [
            bulk(chance.sample(names, 3)),
            single(chance.choice(names)),
            single(chance.choice(names)),
            folding,
        ]
    results = in_workers(jobs, 8)

    assert all(isinstance(result, int) for result in results), results
    assert JournalEntry.objects.count() == 4 + sum(results)
    for name in names:
        assert numbers(books, name) == list(range(1, len(numbers(books, name)) + 1))
    assert_sound(books)


# ------------------------------------------------------------------------------------------------------------- races
def _other() -> psycopg.Connection[Any]:
    """A second session of the application's role."""
    options = connection.get_connection_params()
    keep = {
        name: options[name] for name in ("dbname", "user", "password", "host", "port") if options.get(name)
    }
    return psycopg.connect(**keep)


def test_an_item_written_beside_a_posting_of_its_draft_is_refused() -> None:
    """A session adds an item to a draft and waits; posting waits for it and sees it, whichever comes first."""
    books = make_books()
    actor = books.actor()
    draft = draft_of(books)
    row = Forgery(books, pk=draft.pk).item(books.accounts.bank, 10, posted=False, position=7).items[0]
    names = ", ".join(row)

    with _other() as session:
        session.execute(
            f"INSERT INTO accounting_journalitem ({names}) VALUES ({', '.join(['%s'] * len(row))})",
            list(row.values()),
        )
        results: list[Any] = []

        def run() -> None:
            try:
                results.append(post_drafts([draft.pk], actor=actor))
            except BusinessError as exc:
                results.append(exc)
            finally:
                connections.close_all()

        thread = threading.Thread(target=run)
        thread.start()
        time.sleep(0.3)
        assert thread.is_alive(), "posting waits for the item that is being written"
        session.commit()
        thread.join(30)

    assert isinstance(results[0], BusinessError), "the entry does not balance any more"
    assert JournalEntry.objects.get(pk=draft.pk).state == "draft"
    assert_sound(books)


def test_items_written_ahead_for_the_key_of_another_posting_are_refused() -> None:
    """The keys of entries can be guessed: a session writes posted items for one that another session is about to use."""
    books = make_books()
    key = sql("SELECT last_value + 1 FROM accounting_document_key")[0][0]
    sneaked = Forgery(books, pk=key).item(books.accounts.bank, 10).item(books.accounts.cash, 0, 10)
    made: list[Any] = []

    with _other() as session:
        with pytest.raises(psycopg.errors.CheckViolation) as caught:
            _insert_into(session, [{**row, "position": row["position"] + 50} for row in sneaked.items])
        session.rollback()
        _insert_into(session, sneaked.items)
        poster = threading.Thread(target=lambda: (made.extend(post(books)), connections.close_all()))
        poster.start()
        time.sleep(0.3)
        assert poster.is_alive(), "the first item of the key is taken"
        with pytest.raises(psycopg.errors.ForeignKeyViolation) as refused:
            session.commit()
        session.rollback()
        poster.join(30)

    assert caught.value.diag.constraint_name == "accounting_item_first"
    assert refused.value.diag.constraint_name == "accounting_item_with_entry"
    assert [entry.pk for entry in made] == [key]
    assert JournalItem.objects.filter(entry=key).count() == 2
    assert_sound(books)


def _insert_into(session: psycopg.Connection[Any], rows: list[dict[str, Any]]) -> None:
    for row in rows:
        names, marks = ", ".join(row), ", ".join(["%s"] * len(row))
        session.execute(f"INSERT INTO accounting_journalitem ({names}) VALUES ({marks})", list(row.values()))


def test_a_session_that_sees_the_past_does_not_post() -> None:
    books = make_books()
    forged = Forgery(books).sound()

    with pytest.raises(Exception, match="does not see the present") as caught, transaction.atomic():
        sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        forged.write()

    assert caught.value.__cause__.diag.constraint_name == "accounting_entry_sees_present"
    assert not JournalEntry.objects.exists()


def test_a_lock_date_and_a_posting_at_the_same_moment() -> None:
    """A lock waits for a posting that is being committed; a posting that comes later meets it."""
    books = make_books()
    actor = books.actor()
    checked, locked = threading.Event(), threading.Event()

    def poster() -> str:
        with unit_of_work(books.system):
            made = post_entries([spec_of(books)], actor=books.system)
            sql("SET CONSTRAINTS ALL IMMEDIATE")  # the look at the locks that a commit begins with
            checked.set()
            assert not locked.wait(0.5), "the lock date waits for the posting"
        return made[0].number

    def locker() -> str:
        assert checked.wait(30)
        set_lock_dates(books.settings, actor=actor, fiscal=DAY)
        locked.set()
        return "locked"

    results = run_in_threads([poster, locker])

    assert results == ["MISC/2026/03/0001", "locked"]
    with pytest.raises(Exception, match="locked up to"):
        post(books)
    assert JournalEntry.objects.count() == 1


def test_a_posting_waits_for_a_lock_that_is_being_set() -> None:
    books = make_books()

    with _other() as session:
        session.execute(
            "UPDATE accounting_accountingsettings SET hard_lock_date = %s WHERE company_id = %s",
            [DAY, books.company.pk],
        )
        results: list[Any] = []

        def run() -> None:
            try:
                results.extend(post(books))
            except BusinessError as exc:
                results.append(exc)
            finally:
                connections.close_all()

        thread = threading.Thread(target=run)
        thread.start()
        time.sleep(0.4)
        assert thread.is_alive()
        session.commit()
        thread.join(30)

    assert isinstance(results[0], BusinessError)
    assert not JournalEntry.objects.exists()


def test_an_account_changes_its_nature_before_or_after_its_items() -> None:
    """Switching matching on waits for items being written, so that none is left without its open amount."""
    books = make_books()
    spec = spec_of(books)
    spec.items[0].account_pk = books.accounts.suspense.pk
    with _other() as session:
        done = threading.Event()

        def switch() -> None:
            try:
                sql(
                    "UPDATE accounting_account SET reconcile = true WHERE id = %s", books.accounts.suspense.pk
                )
            finally:
                done.set()
                connections.close_all()

        with unit_of_work(books.system):
            post_entries([spec], actor=books.system)
            thread = threading.Thread(target=switch)
            thread.start()
            assert not done.wait(0.4), "it waits"
        thread.join(30)
        session.rollback()

    assert list(
        JournalItem.objects.filter(account=books.accounts.suspense).values_list("residual", flat=True)
    ) == [100]
    assert differences() == []
