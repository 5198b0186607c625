"""Actions alone and in bulk."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.db.models import QuerySet
from django.urls import clear_url_caches
from meridian_dummy.models import Gadget, GadgetMaker

from apps.api import base
from apps.core.records import service_for
from apps.core.testkit import count_queries
from tests.api.support import GadgetResource, Rest, build_urlconf, make_gadgets

GADGETS = "test/gadgets/"


def test_an_action_answers_the_record(world: SimpleNamespace, ann: Rest) -> None:
    gadget = make_gadgets(world, 1, price="10")[0]

    response = ann.post(f"{GADGETS}{gadget.pk}/actions/sell/", {"buyer": "Joe", "discount": 3})

    assert response.status_code == 200, response.content
    assert response.data["state"] == "sold"
    assert response.data["price"] == "7.00"
    assert response.data["version"] == 2
    assert response.data["available_actions"] == ["archive"]
    assert response["ETag"] == 'W/"2"'


def test_an_action_without_a_body(world: SimpleNamespace, ann: Rest) -> None:
    gadget = make_gadgets(world, 1)[0]

    assert ann.post(f"{GADGETS}{gadget.pk}/actions/sell/", "").status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"price": 1}, "price"),
        ({"buyer": 5}, "buyer"),
        ({"discount": "3"}, "discount"),
        ({"discount": 2.5}, "discount"),
        ({"buyer": None}, "buyer"),
        ([], None),
    ],
)
def test_inputs_are_typed(world: SimpleNamespace, ann: Rest, body: object, field: str | None) -> None:
    gadget = make_gadgets(world, 1)[0]

    response = ann.post(f"{GADGETS}{gadget.pk}/actions/sell/", body)

    assert response.status_code == 400
    assert list(response.data["fields"]) == ([field] if field else [])
    assert Gadget.objects.get().state == "draft"


def test_refusals(world: SimpleNamespace, ann: Rest, boss: Rest, bob: Rest, eve: Rest, anybody: Rest) -> None:
    sold, draft, veto = (
        make_gadgets(world, 1)[0],
        make_gadgets(world, 1)[0],
        make_gadgets(world, name="Untouchable")[0],
    )
    boss.post(f"{GADGETS}{sold.pk}/actions/sell/")

    wrong_state = boss.post(f"{GADGETS}{sold.pk}/actions/sell/")
    answers = {
        "wrong state": wrong_state.status_code,
        "no permission": ann.post(f"{GADGETS}{draft.pk}/actions/scrap/").status_code,
        "no role": eve.post(f"{GADGETS}{draft.pk}/actions/sell/").status_code,
        "another company": bob.post(f"{GADGETS}{draft.pk}/actions/sell/").status_code,
        "no such record": boss.post(f"{GADGETS}999999/actions/sell/").status_code,
        "no such action": boss.post(f"{GADGETS}{draft.pk}/actions/fly/").status_code,
        "vetoed": boss.post(f"{GADGETS}{veto.pk}/actions/sell/").data["code"],
        "anonymous": anybody.post(f"{GADGETS}{draft.pk}/actions/sell/").status_code,
        "wrong method": boss.get(f"{GADGETS}{draft.pk}/actions/sell/").status_code,
    }

    assert answers == {
        "wrong state": 409,
        "no permission": 403,
        "no role": 403,
        "another company": 404,
        "no such record": 404,
        "no such action": 404,
        "vetoed": "untouchable",
        "anonymous": 401,
        "wrong method": 405,
    }
    assert wrong_state.data["code"] == "wrong_state"
    assert list(Gadget.objects.order_by("pk").values_list("state", flat=True)) == ["sold", "draft", "draft"]


def test_in_bulk_every_id_gets_its_answer(world: SimpleNamespace, boss: Rest) -> None:
    first, second, third = make_gadgets(world, 3)
    boss.post(f"{GADGETS}{second.pk}/actions/sell/")

    response = boss.post(
        f"{GADGETS}actions/sell/", {"ids": [first.pk, second.pk, 999999, third.pk], "buyer": "Joe"}
    )

    assert response.status_code == 207
    shown = [(row["id"], row["ok"], row["status"]) for row in response.data["results"]]
    assert shown == [
        (first.pk, True, 200),
        (second.pk, False, 409),
        (999999, False, 404),
        (third.pk, True, 200),
    ]
    assert response.data["results"][1]["error"]["code"] == "wrong_state"
    assert set(Gadget.objects.values_list("state", flat=True)) == {"sold"}


def test_in_bulk_without_any_success_the_status_says_why(
    world: SimpleNamespace, bob: Rest, eve: Rest
) -> None:
    pks = [gadget.pk for gadget in make_gadgets(world, 2)]

    foreign = bob.post(f"{GADGETS}actions/sell/", {"ids": pks})
    missing = bob.post(f"{GADGETS}actions/sell/", {"ids": [888888, 999999]})
    without = eve.post(f"{GADGETS}actions/sell/", {"ids": pks})

    assert foreign.status_code == missing.status_code == 404
    assert {key: foreign.data[key] for key in ("code", "message", "fields")} == {
        key: missing.data[key] for key in ("code", "message", "fields")
    }
    assert without.status_code == 403
    assert set(Gadget.objects.values_list("state", flat=True)) == {"draft"}


def test_in_bulk_the_statements_do_not_grow(world: SimpleNamespace, boss: Rest) -> None:
    few = [g.pk for g in make_gadgets(world, 2)]
    many = [g.pk for g in make_gadgets(world, 12)]
    boss.post(f"{GADGETS}actions/archive/", {"ids": [make_gadgets(world, 1)[0].pk]})

    counts = []
    for pks in (few, many):
        with count_queries() as seen:
            response = boss.post(f"{GADGETS}actions/sell/", {"ids": pks})
        assert response.status_code == 200
        counts.append(len(seen))

    assert counts[0] == counts[1]


@pytest.mark.parametrize("ids", [None, [], "1", [0], [True], ["1"], [1.5], list(range(1, 10_002))])
def test_in_bulk_ids_are_checked(world: SimpleNamespace, boss: Rest, ids: object) -> None:
    response = boss.post(f"{GADGETS}actions/sell/", {"ids": ids})

    assert response.status_code == 400
    assert list(response.data["fields"]) == ["ids"]


def test_archive_and_take_back(world: SimpleNamespace, ann: Rest, eve: Rest) -> None:
    gadget = make_gadgets(world, 1)[0]

    archived = ann.post(f"{GADGETS}{gadget.pk}/actions/archive/")
    hidden = ann.get(GADGETS).data["count"]
    back = ann.post(f"{GADGETS}actions/unarchive/", {"ids": [gadget.pk]})

    assert archived.data["active"] is False
    assert archived.data["available_actions"] == ["sell", "unarchive"]
    assert hidden == 0
    assert back.status_code == 200
    assert ann.get(GADGETS).data["count"] == 1
    assert eve.post(f"{GADGETS}{gadget.pk}/actions/archive/").status_code == 403


def test_extra_routes(world: SimpleNamespace, ann: Rest, boss: Rest, bob: Rest) -> None:
    gadget = make_gadgets(world, name="Lamp")[0]

    label = ann.get(f"{GADGETS}{gadget.pk}/label/")

    assert (label.status_code, label.content, label["Content-Type"]) == (200, b"GADGET Lamp", "text/plain")
    assert bob.get(f"{GADGETS}{gadget.pk}/label/").status_code == 404
    assert ann.post(f"{GADGETS}audit/", {"depth": 1}).status_code == 403
    assert boss.post(f"{GADGETS}audit/", {"depth": 1}).data == {"depth": 1, "by": "max"}
    assert boss.post(f"{GADGETS}audit/", {"deep": 1}).status_code == 400
    assert boss.get(f"{GADGETS}audit/").status_code == 405


def test_sub_collections(
    world: SimpleNamespace, ann: Rest, bob: Rest, settings: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another app attaches to records: rows of its own resource below each of them."""

    def rows(parent: Gadget, *, actor: object, queryset: QuerySet[GadgetMaker]) -> QuerySet[GadgetMaker]:
        return queryset.filter(pk__in=parent.makers.values("pk"))

    def create(parent: Gadget, drafts: list[dict[str, object]], *, actor: object) -> list[GadgetMaker]:
        made = service_for(GadgetMaker).create([{"name": d["title"]} for d in drafts], actor=world.system)
        parent.makers.add(*made)
        return made

    sub = base.SubResource(
        name="candidates",
        model="dummy.GadgetMaker",
        applies=lambda model: model is Gadget,
        rows=rows,
        create=create,
        inputs={"title": base.Input(str, required=True)},
        ordering=("-name",),
    )
    monkeypatch.setitem(base._subresources, "candidates", sub)
    settings.ROOT_URLCONF = build_urlconf(GadgetResource)  # type: ignore[attr-defined]
    clear_url_caches()
    gadget, other = make_gadgets(world, 2)
    url = f"{GADGETS}{gadget.pk}/candidates/"

    one = ann.post(url, {"title": "Acme"})
    many = ann.post(url, [{"title": "Bolt"}, {"title": "Cog"}])

    assert one.status_code == 201, one.content
    assert one.data["name"] == "Acme"
    assert [row["name"] for row in many.data] == ["Bolt", "Cog"]
    assert [row["name"] for row in ann.get(url).data["results"]] == ["Cog", "Bolt", "Acme"]
    assert [row["name"] for row in ann.get(f"{url}?name__startswith=b").data["results"]] == ["Bolt"]
    assert ann.get(f"{GADGETS}{other.pk}/candidates/").data["count"] == 0
    assert bob.get(url).status_code == bob.post(url, {"title": "x"}).status_code == 404
    assert list(ann.post(url, {"name": "x"}).data["fields"]) == ["name", "title"]
    assert ann.delete(url).status_code == 405
