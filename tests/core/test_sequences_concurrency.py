"""Numbers under load: real threads, each with its own connection to PostgreSQL."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction

from apps.core.actor import system_actor
from apps.core.errors import Conflict
from apps.core.models import Sequence, SequenceRange
from apps.core.records import service_for
from apps.core.sequences.service import draw, draw_each, draw_many, set_next_number
from apps.core.testkit import run_in_threads

pytestmark = pytest.mark.django_db(transaction=True)

DAY = datetime.date(2026, 5, 1)
GAPLESS = Sequence.Implementation.GAPLESS


class RollBack(Exception):
    """Raised on purpose, to undo a draw."""


def make(code: str = "tests.load", **values: Any) -> Sequence:
    return service_for(Sequence).create_one(
        {"code": code, "title": code, "padding": 0, "implementation": GAPLESS, **values}, actor=system_actor()
    )


def numbers(results: list[Any]) -> list[int]:
    """The drawn numbers of all threads; an error of a thread is an error of the test."""
    for result in results:
        if isinstance(result, Exception):
            raise result
    return sorted(int(number) for result in results for number in result)


def drawing(
    rounds: int, *, fail_at: frozenset[int] = frozenset(), code: str = "tests.load"
) -> Callable[[], list[str]]:
    """A thread's work: ``rounds`` transactions of one draw each, those in ``fail_at`` rolled back."""

    def work() -> list[str]:
        kept = []
        for number in range(rounds):
            try:
                with transaction.atomic():
                    drawn = draw(code, company_pk=None, on=DAY)
                    if number in fail_at:
                        raise RollBack
                kept.append(drawn)
            except RollBack:
                continue
        return kept

    return work


@pytest.mark.parametrize("ranges", [False, True])
def test_a_hundred_gapless_draws_with_twenty_roll_backs_are_contiguous(ranges: bool) -> None:
    sequence = make(use_date_ranges=ranges)

    results = run_in_threads([drawing(10, fail_at=frozenset({3, 7})) for _thread in range(10)])

    assert numbers(results) == list(range(1, 81))
    counter: Any = sequence.ranges.get() if ranges else Sequence.objects.get(pk=sequence.pk)
    assert counter.next_number == 81


def test_fast_draws_are_unique_and_never_wait() -> None:
    make(implementation=Sequence.Implementation.FAST)
    run_in_threads([drawing(1)])

    with transaction.atomic():
        draw("tests.load", company_pk=None, on=DAY)  # not committed while the others draw
        results = run_in_threads([drawing(10, fail_at=frozenset({5})) for _thread in range(8)], timeout=20)

    drawn = numbers(results)
    assert len(drawn) == len(set(drawn)) == 72
    assert 2 not in drawn


def waits(code: str, on: datetime.date = DAY) -> bool:
    """Whether a draw in another connection has to wait for somebody."""

    def attempt() -> bool:
        try:
            with transaction.atomic():
                with connection.cursor() as cursor:
                    cursor.execute("SET LOCAL lock_timeout = '300ms'")
                draw(code, company_pk=None, on=on)
        except OperationalError as exc:
            return "lock timeout" in str(exc)
        return False

    return run_in_threads([attempt])[0]


def test_only_the_same_gapless_counter_makes_others_wait() -> None:
    make("tests.one")
    make("tests.two")
    make("tests.yearly", use_date_ranges=True)
    next_year = DAY.replace(year=2027)
    draw_each("tests.yearly", [DAY, next_year], company_pk=None)

    with transaction.atomic():
        draw("tests.one", company_pk=None, on=DAY)
        draw("tests.yearly", company_pk=None, on=DAY)

        assert waits("tests.one") is True
        assert waits("tests.two") is False
        assert waits("tests.yearly") is True
        assert waits("tests.yearly", next_year) is False

    assert waits("tests.one") is False


@pytest.mark.parametrize("kind", list(Sequence.Implementation))
def test_the_first_draws_of_a_new_year_make_one_range(kind: str) -> None:
    sequence = make(implementation=kind, use_date_ranges=True)

    results = run_in_threads([drawing(5) for _thread in range(8)])

    assert numbers(results) == list(range(1, 41))
    assert SequenceRange.objects.filter(sequence=sequence).count() == 1


def test_draws_of_two_years_in_opposite_order_do_not_deadlock() -> None:
    make(use_date_ranges=True)
    days = [DAY, DAY.replace(year=2027)]
    draw_each("tests.load", days, company_pk=None)

    def work(order: list[datetime.date]) -> Callable[[], list[str]]:
        def draws() -> list[str]:
            for _round in range(20):
                with transaction.atomic():
                    draw_each("tests.load", order, company_pk=None)
            return []

        return draws

    results = run_in_threads([work(days), work(days[::-1]), work(days), work(days[::-1])])

    assert results == [[], [], [], []]
    assert set(SequenceRange.objects.values_list("next_number", flat=True)) == {82}


@pytest.mark.parametrize("ranges", [False, True])
def test_switching_the_kind_under_load_gives_no_number_twice(ranges: bool) -> None:
    sequence = make(implementation=Sequence.Implementation.FAST, use_date_ranges=ranges)
    run_in_threads([drawing(1)])

    def switch() -> list[str]:
        for kind in (GAPLESS, Sequence.Implementation.FAST) * 6:
            service_for(Sequence).update([sequence], {"implementation": kind}, actor=system_actor())
        return []

    def draws() -> list[str]:
        kept = []
        for _round in range(50):
            try:
                kept += draw_many("tests.load", 2, company_pk=None, on=DAY)
            except Conflict:  # a draw that met the switch is refused and may be repeated
                continue
        return kept

    results = run_in_threads([switch, draws, draws, draws])

    drawn = numbers(results)
    assert len(drawn) == len(set(drawn))
    assert len(drawn) > 150


def test_restarting_waits_for_no_open_fast_draw() -> None:
    sequence = make(implementation=Sequence.Implementation.FAST)
    run_in_threads([drawing(3)])

    set_next_number([sequence], actor=system_actor(), number=50)

    assert numbers(run_in_threads([drawing(2), drawing(2)])) == [50, 51, 52, 53]
