"""Writing records: checks in order, sets in constant statements, nothing half-written."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace

import pytest
from django.db import connection, transaction
from django.db.utils import IntegrityError
from meridian_dummy.models import Gadget, GadgetMaker, GadgetPart

from apps.core.errors import (
    BusinessError,
    Conflict,
    NotVisible,
    PermissionDenied,
    StaleVersion,
    ValidationFailed,
)
from apps.core.models import OutboxEvent
from apps.core.records import service_for
from apps.core.testkit import count_queries

gadgets = service_for(Gadget)


def test_create_fills_company_author_and_defaults(world: SimpleNamespace) -> None:
    made = gadgets.create_one({"name": "Lamp", "price": "10.00"}, actor=world.ann)

    stored = Gadget.objects.get(pk=made.pk)
    assert (stored.company_id, stored.created_by_id, stored.note, stored.version) == (
        world.a.pk,
        world.ann.user_pk,
        "new",
        1,
    )
    assert stored.price == Decimal("10.00")
    event = OutboxEvent.objects.get(name="core.RecordsCreated")
    assert event.payload["pks"] == [made.pk]
    assert event.actor["user"] == world.ann.user_pk


def test_create_without_permission_writes_nothing(world: SimpleNamespace) -> None:
    with pytest.raises(PermissionDenied) as refusal:
        gadgets.create_one({"name": "Lamp"}, actor=world.eve)

    assert "'add'" in refusal.value.message and "gadget" in refusal.value.message
    assert not Gadget.objects.exists()
    assert not OutboxEvent.objects.exists()


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 81}, "name"),
        ({"name": "L", "price": "many"}, "price"),
        ({"name": "L", "maker": 987654}, "maker"),
        ({"name": "L", "makers": [987654]}, "makers"),
        ({"name": "L", "colour": "red"}, "colour"),
        ({"name": "L", "version": 7}, "version"),
        ({"name": "L", "state": "sold"}, "state"),
        ({"name": "L", "cost": "1"}, "cost"),
        ({"name": "L", "pin": "1234"}, "pin"),
        ({"name": "bomb"}, "name"),
        ({"name": "L", "custom": {"nope": 1}}, "custom.nope"),
        ({"name": "L", "ext": {"nope": {"a": 1}}}, "ext.nope"),
    ],
)
def test_bad_input_names_the_field_and_writes_nothing(
    world: SimpleNamespace, values: dict[str, object], field: str
) -> None:
    with pytest.raises(ValidationFailed) as refusal:
        gadgets.create_one(values, actor=world.ann)

    assert list(refusal.value.fields) == [field]
    assert not Gadget.objects.exists()


def test_many_rows_are_all_or_nothing_and_name_the_row(world: SimpleNamespace) -> None:
    with pytest.raises(ValidationFailed) as refusal:
        gadgets.create([{"name": "one"}, {"name": "two"}, {"name": ""}], actor=world.ann)

    assert list(refusal.value.fields) == ["2.name"]
    assert not Gadget.objects.exists()


def test_statements_do_not_grow_with_rows(world: SimpleNamespace, maker: GadgetMaker) -> None:
    def rows(prefix: str, count: int) -> list[dict[str, object]]:
        return [{"name": f"{prefix}{n}", "maker": maker, "makers": [maker.pk]} for n in range(count)]

    gadgets.create(rows("warm", 1), actor=world.ann)
    with count_queries() as few:
        gadgets.create(rows("few", 2), actor=world.ann)
    with count_queries() as many:
        made = gadgets.create(rows("many", 60), actor=world.ann)
    with count_queries() as few_updates:
        gadgets.update(made[:2], {"note": "a", "makers": []}, actor=world.ann)
    with count_queries() as many_updates:
        gadgets.update(made[2:], {"note": "b", "makers": []}, actor=world.ann)

    assert len(few) == len(many)
    assert len(few_updates) == len(many_updates)
    assert Gadget.makers.through.objects.filter(gadget__in=made).count() == 0


def test_duplicate_name_is_a_conflict_in_the_words_of_the_constraint(
    world: SimpleNamespace, gadget: Gadget
) -> None:
    with pytest.raises(Conflict) as refusal:
        gadgets.create_one({"name": "Lamp"}, actor=world.ann)

    assert refusal.value.message == "This company already has a gadget of that name."
    assert set(refusal.value.fields) == {"company", "name"}
    assert Gadget.objects.count() == 1


def test_check_constraint_comes_out_in_its_own_words(world: SimpleNamespace) -> None:
    with pytest.raises(ValidationFailed) as refusal:
        gadgets.create_one({"name": "Lamp", "price": "-1"}, actor=world.ann)

    assert refusal.value.message == "A gadget is not sold below zero."


def test_stale_version_is_refused_and_nothing_changes(world: SimpleNamespace, gadget: Gadget) -> None:
    gadgets.update([gadget], {"note": "first"}, actor=world.ann, expected_version=1)

    with pytest.raises(StaleVersion):
        gadgets.update([gadget], {"note": "second"}, actor=world.ann, expected_version=1)

    gadget.refresh_from_db()
    assert (gadget.note, gadget.version, gadget.updated_by_id) == ("first", 2, world.ann.user_pk)


def test_rows_are_locked_in_key_order_before_the_write(world: SimpleNamespace) -> None:
    made = gadgets.create([{"name": "one"}, {"name": "two"}], actor=world.ann)

    with count_queries() as seen:
        gadgets.update(reversed(made), {"note": "x"}, actor=world.ann)

    statements = [query["sql"] for query in seen.captured_queries]
    lock = next(n for n, sql in enumerate(statements) if "FOR UPDATE" in sql)
    write = next(n for n, sql in enumerate(statements) if sql.startswith('UPDATE "dummy_gadget"'))
    assert lock < write
    assert 'ORDER BY "dummy_gadget"."id" ASC FOR UPDATE OF "dummy_gadget"' in statements[lock]


def test_another_companys_record_looks_missing(world: SimpleNamespace, gadget: Gadget) -> None:
    with pytest.raises(NotVisible):
        gadgets.update([gadget], {"note": "mine"}, actor=world.bob)
    with pytest.raises(NotVisible):
        gadgets.delete([gadget], actor=world.bob)

    gadget.refresh_from_db()
    assert gadget.note == "new"


def test_company_outside_the_selection_is_refused(world: SimpleNamespace) -> None:
    with pytest.raises(ValidationFailed) as refusal:
        gadgets.create_one({"name": "Lamp", "company": world.b}, actor=world.ann)

    assert list(refusal.value.fields) == ["company"]


def test_links_stay_within_the_company(world: SimpleNamespace) -> None:
    foreign = service_for(GadgetMaker).create_one(
        {"name": "B's own", "company": world.b.pk}, actor=world.system
    )

    with pytest.raises(ValidationFailed) as hidden:
        gadgets.create_one({"name": "Lamp", "maker": foreign.pk}, actor=world.ann)
    with pytest.raises(ValidationFailed) as mismatch:
        gadgets.create_one({"name": "Lamp", "maker": foreign.pk, "company": world.a.pk}, actor=world.system)

    assert "cannot see it" in hidden.value.fields["maker"][0]
    assert mismatch.value.code == "company_mismatch"
    assert not Gadget.objects.exists()


def test_the_database_refuses_a_link_into_another_company(world: SimpleNamespace, gadget: Gadget) -> None:
    foreign = service_for(GadgetMaker).create_one(
        {"name": "B's own", "company": world.b.pk}, actor=world.system
    )
    shared = service_for(GadgetMaker).create_one({"name": "Everybody's"}, actor=world.system)

    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE dummy_gadget SET maker_id = %s WHERE id = %s", [foreign.pk, gadget.pk])
    with connection.cursor() as cursor:
        cursor.execute("UPDATE dummy_gadget SET maker_id = %s WHERE id = %s", [shared.pk, gadget.pk])
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE dummy_gadgetmaker SET company_id = %s WHERE id = %s", [world.b.pk, shared.pk])

    gadget.refresh_from_db()
    assert gadget.maker_id == shared.pk


def test_a_record_cannot_be_pushed_out_of_reach(world: SimpleNamespace) -> None:
    theirs = gadgets.create_one({"name": "Lamp"}, actor=world.max)

    with pytest.raises(NotVisible):
        gadgets.update([theirs], {"note": "seen"}, actor=world.ann)


def test_reserved_field_needs_the_role(world: SimpleNamespace, gadget: Gadget) -> None:
    gadgets.update([gadget], {"cost": "7.50"}, actor=world.max)

    with pytest.raises(ValidationFailed):
        gadgets.update([gadget], {"cost": "1.00"}, actor=world.ann)

    gadget.refresh_from_db()
    assert gadget.cost == Decimal("7.50")


def test_delete_in_use_says_so(world: SimpleNamespace, maker: GadgetMaker) -> None:
    gadgets.create_one({"name": "Lamp", "maker": maker}, actor=world.ann)

    with pytest.raises(Conflict) as refusal:
        service_for(GadgetMaker).delete([maker], actor=world.system)

    assert refusal.value.code == "in_use"
    assert GadgetMaker.objects.filter(pk=maker.pk).exists()


def test_delete_takes_children_along(world: SimpleNamespace, gadget: Gadget) -> None:
    service_for(GadgetPart).create_one({"gadget": gadget, "name": "bulb"}, actor=world.system)

    gadgets.delete([gadget], actor=world.max)

    assert not Gadget.objects.exists()
    assert not GadgetPart.objects.exists()


def test_archive_and_back(world: SimpleNamespace, gadget: Gadget) -> None:
    gadgets.archive([gadget], actor=world.ann)
    gadget.refresh_from_db()
    assert gadget.active is False

    gadgets.unarchive([gadget], actor=world.ann)
    gadget.refresh_from_db()
    assert (gadget.active, gadget.version) == (True, 3)


def test_an_error_in_an_outer_unit_of_work_undoes_everything(world: SimpleNamespace) -> None:
    from apps.core.unit_of_work import unit_of_work

    with pytest.raises(BusinessError), unit_of_work(world.ann):
        gadgets.create_one({"name": "Lamp"}, actor=world.ann)
        gadgets.create_one({"name": "Lamp"}, actor=world.ann)

    assert not Gadget.objects.exists()
    assert not OutboxEvent.objects.exists()


def test_a_refused_inner_step_leaves_the_outer_one_whole(world: SimpleNamespace) -> None:
    from apps.core.unit_of_work import unit_of_work

    with unit_of_work(world.ann):
        gadgets.create_one({"name": "Lamp"}, actor=world.ann)
        with pytest.raises(Conflict):
            gadgets.create_one({"name": "Lamp"}, actor=world.ann)
        gadgets.create_one({"name": "Torch"}, actor=world.ann)

    assert sorted(Gadget.objects.values_list("name", flat=True)) == ["Lamp", "Torch"]
    assert OutboxEvent.objects.filter(name="core.RecordsCreated").count() == 2
