"""Actions: order of checks, locks, states, events, and one success among many simultaneous callers."""

from __future__ import annotations

import threading
from decimal import Decimal
from types import SimpleNamespace

import pytest
from django.db import OperationalError, connection, transaction
from meridian_dummy.hooks import filter_price
from meridian_dummy.models import Gadget
from meridian_dummy.services import scrap_gadgets, sell_gadgets

from apps.core.actions import actions_of, get_action, run_each
from apps.core.errors import NotVisible, PermissionDenied, StaleVersion, ValidationFailed, WrongState
from apps.core.models import OutboxEvent
from apps.core.records import service_for
from apps.core.testkit import count_queries, drain_outbox, run_in_threads


def test_declaration_is_found_and_typed() -> None:
    assert [a.name for a in actions_of(Gadget)] == ["sell", "scrap"]
    declared = get_action(Gadget, "sell")
    assert declared is sell_gadgets
    assert [(i.name, i.type, i.required, i.default) for i in declared.inputs] == [
        ("buyer", str, False, ""),
        ("discount", int, False, 0),
    ]
    assert declared.help == "Sell gadgets today."


def test_action_changes_state_version_and_announces(world: SimpleNamespace, gadget: Gadget) -> None:
    sell_gadgets([gadget], actor=world.ann, buyer="Zoe", discount=2)

    stored = Gadget.objects.get()
    assert (stored.state, stored.version, stored.price) == ("sold", 2, Decimal("8.00"))
    assert (gadget.state, gadget.version) == ("sold", 2)
    event = OutboxEvent.objects.get(name="dummy.GadgetSold")
    assert event.payload == {"pks": [gadget.pk], "buyer": "Zoe"}


def test_wrong_state_is_refused_and_nothing_changes(world: SimpleNamespace, gadget: Gadget) -> None:
    sell_gadgets([gadget.pk], actor=world.ann)

    with pytest.raises(WrongState) as refusal:
        sell_gadgets([gadget.pk], actor=world.ann, buyer="again")

    assert "sold" in refusal.value.message and "draft" in refusal.value.message
    assert OutboxEvent.objects.filter(name="dummy.GadgetSold").count() == 1
    assert Gadget.objects.get().version == 2


def test_one_wrong_record_stops_the_whole_set(world: SimpleNamespace) -> None:
    made = service_for(Gadget).create([{"name": "one"}, {"name": "two"}], actor=world.ann)
    sell_gadgets(made[1:], actor=world.ann)

    with pytest.raises(WrongState):
        sell_gadgets(made, actor=world.ann)

    assert Gadget.objects.get(name="one").state == "draft"


@pytest.mark.parametrize(("who", "error"), [("eve", PermissionDenied), ("bob", NotVisible)])
def test_without_right_or_sight_nothing_happens(
    world: SimpleNamespace, gadget: Gadget, who: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        sell_gadgets([gadget], actor=getattr(world, who))

    assert Gadget.objects.get().state == "draft"
    assert not OutboxEvent.objects.filter(name="dummy.GadgetSold").exists()


def test_permission_of_the_action_is_asked_not_that_of_change(world: SimpleNamespace, gadget: Gadget) -> None:
    with pytest.raises(PermissionDenied):
        scrap_gadgets([gadget], actor=world.ann)

    scrap_gadgets([gadget], actor=world.max)
    assert Gadget.objects.get().state == "scrapped"


def test_missing_record_and_stale_version(world: SimpleNamespace, gadget: Gadget) -> None:
    with pytest.raises(NotVisible):
        sell_gadgets([gadget.pk, 999999], actor=world.ann)
    with pytest.raises(StaleVersion):
        sell_gadgets([gadget], actor=world.ann, expected_version=5)

    assert Gadget.objects.get().state == "draft"


def test_unknown_and_missing_inputs_are_named(world: SimpleNamespace, gadget: Gadget) -> None:
    with pytest.raises(ValidationFailed) as refusal:
        sell_gadgets([gadget], actor=world.ann, price=3)

    assert list(refusal.value.fields) == ["price"]


def test_veto_hook_of_another_module_stops_it(world: SimpleNamespace) -> None:
    gadget = service_for(Gadget).create_one({"name": "Untouchable"}, actor=world.ann)

    with pytest.raises(ValidationFailed) as refusal:
        sell_gadgets([gadget], actor=world.ann)

    assert refusal.value.code == "untouchable"
    assert Gadget.objects.get().state == "draft"


def test_filter_hook_changes_the_value(world: SimpleNamespace, gadget: Gadget) -> None:
    def dearer(price: Decimal, *, gadget: Gadget) -> Decimal:
        return price * 2

    filter_price.register(dearer)
    try:
        sell_gadgets([gadget], actor=world.ann)
    finally:
        filter_price.unregister(dearer)

    assert Gadget.objects.get().price == Decimal("20.00")


def test_statements_do_not_grow_with_records(world: SimpleNamespace) -> None:
    made = service_for(Gadget).create([{"name": f"g{n}"} for n in range(62)], actor=world.ann)

    with count_queries() as few:
        sell_gadgets(made[:2], actor=world.ann)
    with count_queries() as many:
        sell_gadgets(made[2:], actor=world.ann)

    assert len(few) == len(many)


def test_lock_precedes_the_write(world: SimpleNamespace, gadget: Gadget) -> None:
    with count_queries() as seen:
        sell_gadgets([gadget], actor=world.ann)

    statements = [query["sql"] for query in seen.captured_queries]
    lock = next(n for n, sql in enumerate(statements) if "FOR UPDATE" in sql)
    write = next(n for n, sql in enumerate(statements) if sql.startswith('UPDATE "dummy_gadget"'))
    assert lock < write and "ORDER BY" in statements[lock]


def test_bulk_answers_for_each(world: SimpleNamespace) -> None:
    made = service_for(Gadget).create([{"name": "one"}, {"name": "two"}], actor=world.ann)
    sell_gadgets(made[:1], actor=world.ann)

    outcome = run_each(sell_gadgets, [made[0].pk, made[1].pk, 999999], actor=world.ann)

    assert [type(error).__name__ for _pk, error in outcome] == ["WrongState", "NoneType", "NotVisible"]
    assert Gadget.objects.filter(state="sold").count() == 2


def test_availability_follows_state_and_permission(world: SimpleNamespace, gadget: Gadget) -> None:
    assert sell_gadgets.available(gadget, world.ann)
    assert not sell_gadgets.available(gadget, world.eve)
    sell_gadgets([gadget], actor=world.ann)
    assert not sell_gadgets.available(gadget, world.ann)


@pytest.mark.django_db(transaction=True)
def test_eight_simultaneous_callers_one_success(world: SimpleNamespace, gadget: Gadget) -> None:
    results = run_in_threads([lambda: sell_gadgets([gadget.pk], actor=world.ann) for _ in range(8)])

    assert sorted(type(result).__name__ for result in results) == ["NoneType"] + ["WrongState"] * 7
    assert OutboxEvent.objects.filter(name="dummy.GadgetSold").count() == 1
    assert Gadget.objects.get().version == 2


@pytest.mark.django_db(transaction=True)
def test_the_victim_of_a_deadlock_is_run_again(world: SimpleNamespace) -> None:
    """Each sells its own gadget and then reaches for the other's: PostgreSQL ends one of them, which then sells after all."""
    made = service_for(Gadget).create([{"name": "one"}, {"name": "two"}], actor=world.ann)
    both_hold, attempts = threading.Barrier(2, timeout=30), []

    @filter_price.register
    def reach_for_the_other(price: Decimal, *, gadget: Gadget) -> Decimal:
        attempts.append(gadget.pk)
        if attempts.count(gadget.pk) == 1:
            both_hold.wait()
        Gadget.objects.select_for_update().get(name="two" if gadget.name == "one" else "one")
        return price

    try:
        results = run_in_threads([lambda g=gadget: sell_gadgets([g.pk], actor=world.ann) for gadget in made])
    finally:
        filter_price.unregister(reach_for_the_other)

    assert results == [None, None]
    assert len(attempts) == 3, "one of them twice"
    assert sorted(Gadget.objects.values_list("state", "version")) == [("sold", 2), ("sold", 2)]
    assert OutboxEvent.objects.filter(name="dummy.GadgetSold").count() == 2


@pytest.mark.django_db(transaction=True)
def test_within_a_larger_transaction_a_deadlock_is_the_callers_to_handle(
    world: SimpleNamespace, gadget: Gadget
) -> None:
    attempts = []

    @filter_price.register
    def end_it(price: Decimal, *, gadget: Gadget) -> Decimal:
        attempts.append(gadget.pk)
        with connection.cursor() as cursor:
            cursor.execute("DO $$ BEGIN RAISE EXCEPTION 'ended' USING ERRCODE = '40P01'; END $$")
        return price

    try:
        with pytest.raises(OperationalError), transaction.atomic():
            sell_gadgets([gadget.pk], actor=world.ann)
    finally:
        filter_price.unregister(end_it)

    assert attempts == [gadget.pk]
    assert Gadget.objects.get().state == "draft"


def test_event_reaches_its_handler_once(world: SimpleNamespace, gadget: Gadget) -> None:
    sell_gadgets([gadget], actor=world.ann, buyer="Zoe")

    drain_outbox()
    drain_outbox()

    assert Gadget.objects.get().note == "new sold to Zoe"
