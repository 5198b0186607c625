"""The outbox: nothing is announced that did not happen, and nothing that happened is lost or handled twice."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone
from meridian_dummy.models import Gadget
from meridian_dummy.services import sell_gadgets

from apps.core import outbox, queue
from apps.core.events import Event, off, on
from apps.core.models import OutboxDelivery, OutboxEvent
from apps.core.testkit import run_in_threads
from apps.core.unit_of_work import DISPATCH_TASK, emit, unit_of_work


@dataclass(frozen=True)
class Rang(Event):
    """A bell rang; for these tests."""

    name = "tests.Rang"
    times: int
    days: tuple[datetime.date, ...] = ()


@pytest.fixture
def heard() -> Any:
    """A handler that remembers, and fails when told to."""
    calls: list[Rang] = []
    state = SimpleNamespace(calls=calls, failing=False)

    def listen(event: Rang, *, actor: Any) -> None:
        if state.failing:
            raise RuntimeError("deaf")
        calls.append(event)

    on(Rang)(listen)
    yield state
    off(listen)


def test_a_rolled_back_change_announces_nothing(world: SimpleNamespace, heard: Any) -> None:
    with pytest.raises(RuntimeError), unit_of_work(world.ann) as work:
        work.emit(Rang(1))
        raise RuntimeError

    outbox.dispatch()
    assert heard.calls == [] and not OutboxEvent.objects.exists()


def test_event_survives_until_somebody_dispatches(world: SimpleNamespace, heard: Any) -> None:
    emit(Rang(3), actor=world.ann)
    assert heard.calls == []

    assert outbox.dispatch() == 1
    assert outbox.dispatch() == 0
    assert heard.calls == [Rang(3)]
    assert OutboxEvent.objects.get().done_at is not None


def test_failing_handler_is_tried_again_later_and_others_are_not_repeated(
    world: SimpleNamespace, heard: Any
) -> None:
    others: list[int] = []

    def other(event: Rang, *, actor: Any) -> None:
        others.append(event.times)

    on(Rang)(other)
    heard.failing = True
    try:
        emit(Rang(1), actor=world.ann)
        outbox.dispatch()
        row = OutboxEvent.objects.get()
        assert row.done_at is None and "deaf" in row.error and row.next_attempt_at > timezone.now()
        assert outbox.dispatch() == 0, "it waits"

        heard.failing = False
        outbox.retry([row.pk])
        outbox.dispatch()
    finally:
        off(other)

    assert others == [1]
    assert heard.calls == [Rang(1)]
    assert OutboxEvent.objects.get().error == ""


def test_failed_handler_leaves_no_trace_of_its_work(world: SimpleNamespace, gadget: Gadget) -> None:
    def half(event: Rang, *, actor: Any) -> None:
        Gadget.objects.update(note="half")
        raise RuntimeError("broke off")

    on(Rang)(half)
    try:
        emit(Rang(1), actor=world.ann)
        outbox.dispatch()
    finally:
        off(half)

    assert Gadget.objects.get().note == "new"
    assert not OutboxDelivery.objects.filter(handler__endswith="half").exists()


def test_event_is_given_up_in_the_end_and_stays_visible(world: SimpleNamespace, heard: Any) -> None:
    heard.failing = True
    emit(Rang(1), actor=world.ann)

    for _attempt in range(len(outbox.PAUSES) + 1):
        OutboxEvent.objects.update(next_attempt_at=timezone.now())
        outbox.dispatch()

    row = OutboxEvent.objects.get()
    assert row.dead and row.done_at is None and "deaf" in row.error
    assert outbox.dispatch() == 0


@pytest.mark.django_db(transaction=True)
def test_several_dispatchers_deliver_each_event_once(world: SimpleNamespace, heard: Any) -> None:
    with unit_of_work(world.ann) as work:
        for number in range(200):
            work.emit(Rang(number))

    run_in_threads([outbox.dispatch for _ in range(4)])
    outbox.dispatch()

    assert sorted(event.times for event in heard.calls) == list(range(200))


@pytest.mark.django_db(transaction=True)
def test_a_dead_broker_neither_stops_the_change_nor_loses_the_event(
    world: SimpleNamespace, gadget: Gadget, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from celery import current_app
    from kombu.exceptions import OperationalError

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise OperationalError("no broker")

    monkeypatch.setattr(current_app.tasks["core.dispatch_outbox"], "apply_async", refuse)

    sell_gadgets([gadget], actor=world.ann, buyer="Zoe")

    assert Gadget.objects.get().state == "sold"
    outbox.dispatch()
    assert Gadget.objects.get().note == "new sold to Zoe"


def test_net_change_only(world: SimpleNamespace, gadget: Gadget) -> None:
    from apps.core.hooks import collect_changes
    from apps.core.records import service_for

    seen: list[tuple[str, Any, Any]] = []

    def watch(*, changes: Any, actor: Any) -> None:
        seen.extend((c.field, c.old, c.new) for c in changes)

    collect_changes.register(watch)
    try:
        with unit_of_work(world.ann):
            service_for(Gadget).update([gadget], {"name": "B"}, actor=world.ann)
            service_for(Gadget).update([gadget], {"name": "C"}, actor=world.ann)
        with unit_of_work(world.ann):
            service_for(Gadget).update([gadget], {"name": "D"}, actor=world.ann)
            service_for(Gadget).update([gadget], {"name": "C"}, actor=world.ann)
        sell_gadgets([gadget], actor=world.ann)
    finally:
        collect_changes.unregister(watch)

    assert seen == [("name", "Lamp", "C"), ("state", "draft", "sold")]


def test_old_events_are_purged_with_their_deliveries(world: SimpleNamespace, heard: Any) -> None:
    emit(Rang(1), actor=world.ann)
    outbox.dispatch()

    assert outbox.purge() == 0
    outbox.purge(now=timezone.now() + datetime.timedelta(days=15))

    assert not OutboxEvent.objects.exists() and not OutboxDelivery.objects.exists()


@dataclass(frozen=True)
class Told(Event):
    """Some things were told; for these tests."""

    name = "tests.Told"
    pks: tuple[int, ...]
    company_pk: int | None = None


@pytest.fixture
def told() -> Any:
    """A handler that takes several events as one, and one that does not."""
    state = SimpleNamespace(together=[], alone=[], refuses=None)

    def listen(event: Told, *, actor: Any) -> None:
        if state.refuses in event.pks:
            raise RuntimeError("no")
        state.together.append(event.pks)

    def listen_alone(event: Told, *, actor: Any) -> None:
        state.alone.append(event.pks)

    on(Told, together=True)(listen)
    on(Told)(listen_alone)
    yield state
    off(listen)
    off(listen_alone)


def test_events_that_wait_together_come_as_one(world: SimpleNamespace, told: Any) -> None:
    for pks, company in (((1, 2), 1), ((3,), 1), ((4,), 2), ((2, 5), 1)):
        emit(Told(pks, company), actor=world.ann)

    assert outbox.dispatch() == 4

    assert told.together == [(1, 2, 3, 5), (4,)]
    assert told.alone == [(1, 2), (3,), (4,), (2, 5)]
    assert not OutboxEvent.objects.filter(done_at=None).exists()
    assert OutboxDelivery.objects.count() == 8


def test_one_that_fails_does_not_hold_up_those_it_came_with(world: SimpleNamespace, told: Any) -> None:
    told.refuses = 2
    for pk in (1, 2, 3):
        emit(Told((pk,)), actor=world.ann)

    outbox.dispatch()

    assert told.together == [(1,), (3,)]
    assert told.alone == [(1,), (2,), (3,)]
    (failed,) = OutboxEvent.objects.filter(done_at=None)
    assert failed.payload["pks"] == [2] and failed.attempts == 1


@pytest.mark.django_db(transaction=True)
def test_many_commits_wake_the_dispatcher_once(
    world: SimpleNamespace, heard: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    monkeypatch.setattr(queue, "enqueue", lambda name, *args, **kwargs: sent.append(name))
    queue.asleep(DISPATCH_TASK)

    for number in range(5):
        emit(Rang(number), actor=world.ann)
    assert sent == [DISPATCH_TASK]

    assert outbox.drain(seconds=5, pause=0) == 5
    emit(Rang(9), actor=world.ann)
    assert sent == [DISPATCH_TASK, DISPATCH_TASK]
    assert outbox.drain(seconds=5, pause=0) == 1
    assert [event.times for event in heard.calls] == [0, 1, 2, 3, 4, 9]
