"""Extension models and search."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from meridian_dummy.models import Gadget, PartnerExtra

from apps.contacts.models import Partner
from apps.core.errors import ValidationFailed
from apps.core.extensions import extensions_of, values_of, with_extensions
from apps.core.records import service_for
from apps.core.search import global_search, search
from apps.core.testkit import count_queries

partners = service_for(Partner)


def test_fields_of_another_module_are_written_and_read_with_the_record(world: SimpleNamespace) -> None:
    made = partners.create(
        [
            {"name": "Zoe", "ext": {"gadgets": {"loves_gadgets": True, "gadget_limit": "5"}}},
            {"name": "Yan"},
        ],
        actor=world.system,
    )

    with count_queries() as seen:
        rows = list(with_extensions(Partner.objects.filter(pk__in=[p.pk for p in made]).order_by("pk")))
        values = [values_of(row)["gadgets"] for row in rows]

    assert values == [
        {"loves_gadgets": True, "gadget_limit": 5},
        {"loves_gadgets": False, "gadget_limit": None},
    ]
    assert len(seen) == 1
    assert extensions_of(Partner) == (PartnerExtra,)


def test_extension_values_change_and_bad_ones_name_the_field(world: SimpleNamespace) -> None:
    zoe = partners.create_one({"name": "Zoe", "ext": {"gadgets": {"gadget_limit": 5}}}, actor=world.system)

    partners.update([zoe], {"ext": {"gadgets": {"loves_gadgets": True}}}, actor=world.system)
    with pytest.raises(ValidationFailed) as refusal:
        partners.update([zoe], {"ext": {"gadgets": {"gadget_limit": "many"}}}, actor=world.system)

    row = PartnerExtra.objects.get()
    assert (row.gadget_limit, row.loves_gadgets) == (5, True)
    assert list(refusal.value.fields) == ["ext.gadgets.gadget_limit"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("lampe", ["Lampe à huile"]),
        ("HUILE a", ["Lampe à huile"]),
        ("ampe", ["Lampe à huile"]),
        ("50%", ["Torch 50%"]),
        ("_", []),
        ("torch lampe", []),
        ("", ["Lampe à huile", "Torch 50%"]),
        ("x'; DROP TABLE dummy_gadget; --", []),
    ],
)
def test_search_folds_accents_and_case_and_escapes_wildcards(
    world: SimpleNamespace, text: str, found: list[str]
) -> None:
    service_for(Gadget).create([{"name": "Lampe à huile"}, {"name": "Torch 50%"}], actor=world.ann)

    assert sorted(row.name for row in search(Gadget.objects.all(), text)) == found


def test_search_uses_its_index(world: SimpleNamespace) -> None:
    from django.db import connection

    service_for(Gadget).create([{"name": f"gadget {n}"} for n in range(500)], actor=world.ann)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE dummy_gadget")
        cursor.execute("SET LOCAL enable_seqscan = off")

    assert "dummy_gadget_search" in search(Gadget.objects.order_by(), "gadget 77").explain()


def test_global_search_shows_only_what_the_actor_may_see(world: SimpleNamespace) -> None:
    service_for(Gadget).create_one({"name": "Secret lamp"}, actor=world.max)
    service_for(Gadget).create_one({"name": "Open lamp"}, actor=world.ann)

    assert [hit.title for hit in global_search("lamp", world.ann)] == ["Open lamp"]
    assert len(global_search("lamp", world.max)) == 2
    assert global_search("lamp", world.eve) == []
