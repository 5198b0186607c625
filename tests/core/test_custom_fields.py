"""Custom fields: typed on the way in, indexed when filterable, gone from view when archived."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection
from meridian_dummy.models import Gadget

from apps.core.custom_fields import definitions_for, filter_q, index_name
from apps.core.errors import Conflict, ValidationFailed
from apps.core.models import CustomField
from apps.core.records import service_for

gadgets = service_for(Gadget)
fields = service_for(CustomField)


def define(world: SimpleNamespace, key: str, kind: str, **values: Any) -> CustomField:
    return fields.create_one(
        {"model": "dummy.gadget", "key": key, "label": key.title(), "type": kind, **values},
        actor=world.system,
    )


@pytest.mark.parametrize(
    ("kind", "given", "stored"),
    [
        ("text", "red", "red"),
        ("integer", "12", 12),
        ("decimal", "1.50", "1.50"),
        ("decimal", 0.1, "0.1"),
        ("boolean", "true", True),
        ("date", "2026-11-20", "2026-11-20"),
        ("datetime", "2026-11-20T12:00:00+01:00", "2026-11-20T11:00:00+00:00"),
        ("choice", "a", "a"),
        ("tags", ["b", "a", "b"], ["a", "b"]),
        ("text", "", None),
    ],
)
def test_values_are_typed(world: SimpleNamespace, kind: str, given: Any, stored: Any) -> None:
    define(world, "extra", kind, choices=[["a", "A"], ["b", "B"]])

    made = gadgets.create_one({"name": "Lamp", "custom": {"extra": given}}, actor=world.ann)

    assert Gadget.objects.get(pk=made.pk).custom == {"extra": stored}


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("integer", "1.5"),
        ("integer", True),
        ("decimal", "NaN"),
        ("boolean", "perhaps"),
        ("date", "2026-02-30"),
        ("datetime", "soon"),
        ("choice", "z"),
        ("tags", ["z"]),
        ("text", "x" * 501),
        ("record", "none"),
    ],
)
def test_wrong_values_name_the_field(world: SimpleNamespace, kind: str, given: Any) -> None:
    define(world, "extra", kind, choices=[["a", "A"]], target="contacts.partner")

    with pytest.raises(ValidationFailed) as refusal:
        gadgets.create_one({"name": "Lamp", "custom": {"extra": given}}, actor=world.ann)

    assert list(refusal.value.fields) == ["custom.extra"]
    assert not Gadget.objects.exists()


def test_required_field_is_asked_of_new_records_only(world: SimpleNamespace, gadget: Gadget) -> None:
    define(world, "colour", "text", required=True)

    with pytest.raises(ValidationFailed):
        gadgets.create_one({"name": "Torch"}, actor=world.ann)
    gadgets.update([gadget], {"note": "still fine"}, actor=world.ann)
    with pytest.raises(ValidationFailed):
        gadgets.update([gadget], {"custom": {"colour": None}}, actor=world.ann)


def test_a_change_keeps_the_other_values(world: SimpleNamespace) -> None:
    define(world, "colour", "text")
    define(world, "size", "integer")
    made = gadgets.create_one({"name": "Lamp", "custom": {"colour": "red", "size": 1}}, actor=world.ann)

    gadgets.update([made], {"custom": {"size": 2}}, actor=world.ann)

    assert Gadget.objects.get().custom == {"colour": "red", "size": 2}


@pytest.mark.parametrize(
    ("kind", "values", "lookup", "wanted", "found"),
    [
        ("integer", [1, 5, 10], "gte", "5", ["g1", "g2"]),
        ("decimal", ["1.5", "10", "9"], "gt", "9", ["g1"]),
        ("text", ["red", "blue", None], "exact", "red", ["g0"]),
        ("text", ["red", "blue", None], "contains", "LU", ["g1"]),
        ("text", ["red", "blue", None], "isnull", "1", ["g2"]),
        ("date", ["2026-01-01", "2026-06-01", None], "lt", "2026-02-01", ["g0"]),
        ("boolean", [True, False, None], "exact", "true", ["g0"]),
        ("choice", ["a", "b", "a"], "in", "a", ["g0", "g2"]),
        ("tags", [["a"], ["a", "b"], []], "exact", "b", ["g1"]),
    ],
)
def test_filters(
    world: SimpleNamespace, kind: str, values: list[Any], lookup: str, wanted: str, found: list[str]
) -> None:
    define(world, "extra", kind, filterable=True, choices=[["a", "A"], ["b", "B"]])
    gadgets.create(
        [{"name": f"g{n}", "custom": {"extra": value}} for n, value in enumerate(values)], actor=world.ann
    )

    rows = Gadget.objects.filter(filter_q(Gadget, "extra", lookup, wanted, world.ann))

    assert sorted(row.name for row in rows) == found


def test_filterable_field_has_an_index_that_the_planner_can_use(world: SimpleNamespace) -> None:
    definition = define(world, "size", "integer", filterable=True)
    gadgets.create([{"name": f"g{n}", "custom": {"size": n}} for n in range(300)], actor=world.ann)

    with connection.cursor() as cursor:
        cursor.execute("ANALYZE dummy_gadget")
        cursor.execute("SET LOCAL enable_seqscan = off")
    plan = Gadget.objects.filter(filter_q(Gadget, "size", "exact", "7", world.ann)).explain()

    assert index_name(definition) in plan


def test_index_goes_with_filterability(world: SimpleNamespace) -> None:
    definition = define(world, "size", "integer", filterable=True)

    fields.update([definition], {"filterable": False}, actor=world.system)

    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_indexes WHERE indexname = %s", [index_name(definition)])
        assert cursor.fetchone() == (0,)
    with pytest.raises(ValidationFailed):
        filter_q(Gadget, "size", "exact", "1", world.ann)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"key": "Bad Key"}, None),
        ({"key": "name"}, "key"),
        ({"model": "core.currency"}, "model"),
        ({"type": "choice"}, "choices"),
        ({"type": "record", "target": "no.thing"}, "target"),
    ],
)
def test_bad_definitions_are_refused(
    world: SimpleNamespace, values: dict[str, Any], field: str | None
) -> None:
    base = {"model": "dummy.gadget", "key": "extra", "label": "Extra", "type": "text"}

    with pytest.raises(ValidationFailed) as refusal:
        fields.create_one({**base, **values}, actor=world.system)

    if field:
        assert list(refusal.value.fields) == [field]
    assert not CustomField.objects.exists()


def test_key_is_unique_and_fixed(world: SimpleNamespace) -> None:
    definition = define(world, "colour", "text")

    with pytest.raises(Conflict):
        define(world, "colour", "integer")
    with pytest.raises(ValidationFailed):
        fields.update([definition], {"type": "integer"}, actor=world.system)


def test_archived_field_is_gone_from_view_and_its_values_are_kept(world: SimpleNamespace) -> None:
    definition = define(world, "colour", "text")
    gadgets.create_one({"name": "Lamp", "custom": {"colour": "red"}}, actor=world.ann)

    fields.archive([definition], actor=world.system)

    assert definitions_for(Gadget) == []
    assert Gadget.objects.get().custom == {"colour": "red"}
    with pytest.raises(ValidationFailed):
        fields.delete([definition], actor=world.system)
