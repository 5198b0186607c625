"""Lists: shape, filters, order, pages, what must not be guessed, and how many queries they take."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from meridian_dummy.models import Gadget, GadgetMaker, GadgetPart

from apps.core.models import CustomField
from apps.core.records import service_for
from apps.core.testkit import count_queries
from tests.api.support import Rest, make_gadgets

GADGETS = "test/gadgets/"


def names(response: object) -> list[str]:
    assert response.status_code == 200, response.content  # type: ignore[attr-defined]
    return [row["name"] for row in response.data["results"]]  # type: ignore[attr-defined]


def test_a_list_answers_count_next_previous_results(world: SimpleNamespace, boss: Rest) -> None:
    maker = service_for(GadgetMaker).create_one({"name": "Acme"}, actor=world.system)
    gadget = make_gadgets(
        world, name="Lamp", price="10.50", maker=maker.pk, makers=[maker.pk], sold_on="2026-11-20"
    )[0]

    response = boss.get(GADGETS)

    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"
    assert set(response.data) == {"count", "next", "previous", "results"}
    assert (response.data["count"], response.data["next"], response.data["previous"]) == (1, None, None)
    row = response.data["results"][0]
    assert row["id"] == gadget.pk
    assert row["price"] == "10.50"
    assert row["doubled"] == "21"
    assert row["maker"] == maker.pk
    assert row["makers"] == [maker.pk]
    assert row["maker_name"] == "Acme"
    assert row["shout"] == "LAMP"
    assert row["sold_on"] == "2026-11-20"
    assert row["created_at"].endswith("Z")
    assert row["custom"] == {}
    assert row["version"] == 1
    assert "pin" not in row
    assert "note" not in row  # only with the record itself
    assert "parts" not in row


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("name=a", ["a"]),
        ("name__in=a,c", ["a", "c"]),
        ("name=a&name=b", ["a", "b"]),
        ("name__contains=B", ["b"]),
        ("name__startswith=c", ["c"]),
        ("price__gt=10", ["c"]),
        ("price__gte=10&price__lt=20", ["b"]),
        ("price=5.00", ["a"]),
        ("state=draft", ["a", "b", "c"]),
        ("state__in=sold,scrapped", []),
        ("sold_on=2026-01-02", ["a"]),
        ("sold_on__gte=2026-01-03", ["b"]),
        ("sold_on__isnull=true", ["c"]),
        ("maker__isnull=false", ["a"]),
        ("makers__isnull=true", ["c"]),
        ("maker_name=Acme", ["a"]),
        ("maker_name__contains=cm", ["a"]),
        ("cheaper_than=6", ["a"]),
        ("search=note%20of", ["a"]),
        ("active=false", ["archived"]),
        ("active=all&name__in=a,archived", ["a", "archived"]),
        ("created_at__gte=2020-01-01", ["a", "b", "c"]),
        ("created_at__lt=2020-01-01", []),
        ("created_at=2020-01-01", []),
        ("ordering=-price", ["c", "b", "a"]),
        ("ordering=-doubled", ["c", "b", "a"]),
        ("ordering=sold_on", ["a", "b", "c"]),
        ("limit=1&offset=1", ["b"]),
    ],
)
def test_filters(world: SimpleNamespace, boss: Rest, query: str, expected: list[str]) -> None:
    acme, bolt = service_for(GadgetMaker).create([{"name": "Acme"}, {"name": "Bolt"}], actor=world.system)
    make_gadgets(
        world,
        name="a",
        price="5",
        sold_on="2026-01-02",
        maker=acme.pk,
        makers=[acme.pk, bolt.pk],
        note="note of a",
    )
    make_gadgets(world, name="b", price="10", sold_on="2026-01-03", makers=[bolt.pk])
    make_gadgets(world, name="c", price="20")
    make_gadgets(world, name="archived", active=False)

    assert names(boss.get(f"{GADGETS}?{query}")) == expected


def test_a_filter_on_many_links_never_shows_a_row_twice(world: SimpleNamespace, boss: Rest) -> None:
    acme, bolt = service_for(GadgetMaker).create([{"name": "Acme"}, {"name": "Bolt"}], actor=world.system)
    make_gadgets(world, name="both", makers=[acme.pk, bolt.pk])

    response = boss.get(f"{GADGETS}?makers__in={acme.pk},{bolt.pk}")

    assert names(response) == ["both"]
    assert response.data["count"] == 1


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("nmae=x", "nmae"),
        ("name__regex=x", "name__regex"),
        ("maker__name=x", "maker__name"),
        ("price=abc", "price"),
        ("price__contains=1", "price__contains"),
        ("state=flying", "state"),
        ("sold_on=tomorrow", "sold_on"),
        ("maker=x", "maker"),
        ("maker=99999999999999999999999", "maker"),
        ("active=perhaps", "active"),
        ("limit=0", "limit"),
        ("limit=5000", "limit"),
        ("limit=-1", "limit"),
        ("offset=x", "offset"),
        ("count=maybe", "count"),
        ("cursor=abc", "cursor"),
        ("cursor=&offset=1", "cursor"),
        ("ordering=nothing", "ordering"),
        ("ordering=maker__name", "ordering"),
        ("fields=nothing", "fields"),
        ("omit=nothing", "omit"),
        ("expand=name", "expand"),
        ("custom.nothing=1", "custom.nothing"),
        ("ext.nothing.x=1", "ext.nothing.x"),
        ("name=%00", None),
        ("page=2", "page"),
    ],
)
def test_what_means_nothing_is_named(
    world: SimpleNamespace, boss: Rest, query: str, field: str | None
) -> None:
    make_gadgets(world, 2)

    response = boss.get(f"{GADGETS}?{query}")

    assert response.status_code == 400, response.content
    assert set(response.data) == {"code", "message", "fields", "trace_id"}
    if field is not None:
        assert list(response.data["fields"]) == [field]


@pytest.mark.parametrize(
    "query",
    [
        "{name}=x",
        "{name}__gt=1",
        "{name}__startswith=a",
        "{name}__contains=a",
        "{name}__isnull=true",
        "ordering={name}",
        "ordering=-{name}",
        "fields=id,{name}",
        "omit={name}",
    ],
)
@pytest.mark.parametrize("name", ["pin", "cost"])
def test_hidden_fields_cannot_be_guessed(
    world: SimpleNamespace, ann: Rest, boss: Rest, name: str, query: str
) -> None:
    make_gadgets(world, 1, pin="abc", cost="3.00")
    asked = f"{GADGETS}?{query.format(name=name)}"

    hidden = ann.get(asked)
    unknown = ann.get(f"{GADGETS}?{query.format(name='xyzzy')}")

    assert hidden.status_code == 400
    assert (
        hidden.content.replace(name.encode(), b"").split(b"trace_id")[0]
        == unknown.content.replace(b"xyzzy", b"").split(b"trace_id")[0]
    )
    if name == "pin":  # a secret, for everybody
        assert boss.get(asked).status_code == 400


def test_hidden_fields_are_not_shown(world: SimpleNamespace, ann: Rest, boss: Rest) -> None:
    gadget = make_gadgets(world, 1, pin="abc", cost="3.00")[0]

    shown = ann.get(f"{GADGETS}{gadget.pk}/").data
    managers = boss.get(f"{GADGETS}{gadget.pk}/").data

    assert "cost" not in shown
    assert "pin" not in shown
    assert managers["cost"] == "3.00"
    assert "pin" not in managers
    assert names(boss.get(f"{GADGETS}?cost__gte=3&ordering=cost")) == [gadget.name]


def test_search_does_not_look_into_secrets(world: SimpleNamespace, boss: Rest) -> None:
    make_gadgets(world, 1, pin="abcdef")

    assert boss.get(f"{GADGETS}?search=abcdef").data["count"] == 0


def test_fields_omit_and_expand(world: SimpleNamespace, boss: Rest) -> None:
    acme = service_for(GadgetMaker).create_one({"name": "Acme"}, actor=world.system)
    gadget = make_gadgets(world, 1, maker=acme.pk, makers=[acme.pk], note="hello")[0]

    few = boss.get(f"{GADGETS}?fields=name,note,maker,makers,parts&expand=maker,makers&omit=name").data[
        "results"
    ][0]

    link = {"id": acme.pk, "name": "Acme"}
    assert few == {"id": gadget.pk, "note": "hello", "maker": link, "makers": [link], "parts": []}


def test_expanding_a_link_to_what_one_cannot_see_gives_no_name(world: SimpleNamespace, boss: Rest) -> None:
    theirs = service_for(GadgetMaker).create_one(
        {"name": "Secret Ltd", "company": world.b.pk}, actor=world.system
    )
    gadget = make_gadgets(world, 1)[0]
    Gadget.objects.filter(pk=gadget.pk).update(maker=None)
    Gadget.makers.through.objects.create(gadget=gadget, gadgetmaker=theirs)

    row = boss.get(f"{GADGETS}?expand=makers").data["results"][0]

    assert row["makers"] == [{"id": theirs.pk, "name": None}]


def test_the_same_statements_whatever_the_rows(world: SimpleNamespace, boss: Rest) -> None:
    maker = service_for(GadgetMaker).create_one({"name": "Acme"}, actor=world.system)

    def grow(count: int) -> None:
        for gadget in make_gadgets(world, count, maker=maker.pk, makers=[maker.pk]):
            service_for(GadgetPart).create([{"gadget": gadget.pk, "name": "p"}], actor=world.system)

    counts = []
    asked = f"{GADGETS}?expand=maker,makers&fields=name,maker,makers,maker_name,parts,doubled,custom"
    grow(2)
    boss.get(asked)
    for more in (0, 10):
        grow(more)
        with count_queries() as seen:
            response = boss.get(asked)
        assert response.status_code == 200
        counts.append(len(seen))

    assert counts[0] == counts[1]
    # Token, rows, many-to-many, batch, nested rows, two expanded links.
    assert counts[0] == 7, [q["sql"][:90] for q in seen.captured_queries]


def test_a_plain_list_takes_three_statements(world: SimpleNamespace, boss: Rest) -> None:
    make_gadgets(world, 12)
    boss.get(GADGETS)

    with count_queries() as seen:
        boss.get(f"{GADGETS}?fields=name,price,maker&limit=5")

    statements = [q["sql"] for q in seen.captured_queries]
    assert len(statements) == 3, statements  # token, rows, count
    assert "COUNT(*)" in statements[2]


def test_count_can_be_left_out(world: SimpleNamespace, boss: Rest) -> None:
    make_gadgets(world, 3)

    response = boss.get(f"{GADGETS}?limit=2&count=0")

    assert response.data["count"] is None
    assert "offset=2" in response.data["next"]


def test_pages_by_offset_cover_everything_once(world: SimpleNamespace, boss: Rest) -> None:
    make_gadgets(world, 7)
    seen, url, counts = [], f"{GADGETS}?limit=3&ordering=-name", set()

    while url:
        page = boss.get(url.replace("http://testserver", "")).data
        seen += [row["id"] for row in page["results"]]
        counts.add(page["count"])
        url = page["next"]

    assert len(seen) == len(set(seen)) == 7
    assert counts == {7}


@pytest.mark.parametrize(
    "ordering",
    ["name", "-price,name", "sold_on", "-sold_on,-name", "maker", "-created_at", "state", "doubled"],
)
def test_a_cursor_walks_there_and_back(world: SimpleNamespace, boss: Rest, ordering: str) -> None:
    acme = service_for(GadgetMaker).create_one({"name": "Acme"}, actor=world.system)
    for number in range(9):
        make_gadgets(
            world,
            price=str(number // 2),
            sold_on=None if number % 3 == 0 else f"2026-01-0{1 + number % 2}",
            maker=acme.pk if number % 2 else None,
        )
    everything = [row["id"] for row in boss.get(f"{GADGETS}?ordering={ordering}").data["results"]]

    forth, back, url = [], [], f"/api/v1/{GADGETS}?ordering={ordering}&limit=2&cursor="
    last = url
    while url:
        page = boss.get(url.replace("http://testserver", "")).data
        assert page["count"] is None
        forth += [row["id"] for row in page["results"]]
        last, url = page["previous"], page["next"]
    url = last
    while url:
        page = boss.get(url.replace("http://testserver", "")).data
        back = [row["id"] for row in page["results"]] + back
        url = page["previous"]

    assert forth == everything
    assert back == everything[: len(back)]
    assert len(back) == 8  # all but the last page, from which the way back began


def test_a_cursor_is_not_moved_by_new_rows(world: SimpleNamespace, boss: Rest) -> None:
    make_gadgets(world, 4)
    first = boss.get(f"{GADGETS}?limit=2&cursor=&ordering=name").data
    make_gadgets(world, 1, name="aaa")

    second = boss.get(first["next"].replace("http://testserver", "")).data

    ids = [row["id"] for row in first["results"] + second["results"]]
    assert len(set(ids)) == 4


def test_a_cursor_of_another_order_is_refused(world: SimpleNamespace, boss: Rest) -> None:
    make_gadgets(world, 3)
    cursor = (
        boss.get(f"{GADGETS}?limit=1&cursor=&ordering=name").data["next"].split("cursor=")[1].split("&")[0]
    )

    response = boss.get(f"{GADGETS}?limit=1&cursor={cursor}&ordering=price")

    assert response.status_code == 400
    assert list(response.data["fields"]) == ["cursor"]


def test_custom_fields_are_shown_filtered_and_written(world: SimpleNamespace, boss: Rest) -> None:
    service_for(CustomField).create(
        [
            {
                "model": "dummy.gadget",
                "key": "weight",
                "label": "Weight",
                "type": "decimal",
                "filterable": True,
            },
            {"model": "dummy.gadget", "key": "colour", "label": "Colour", "type": "text"},
        ],
        actor=world.system,
    )
    made = boss.post(GADGETS, {"name": "Heavy", "custom": {"weight": "12.5", "colour": "red"}})
    boss.post(GADGETS, {"name": "Light", "custom": {"weight": "1"}})

    assert made.status_code == 201, made.content
    assert made.data["custom"] == {"weight": "12.5", "colour": "red"}
    assert names(boss.get(f"{GADGETS}?custom.weight__gt=2")) == ["Heavy"]
    assert boss.get(f"{GADGETS}?custom.colour=red").status_code == 400
    assert boss.post(GADGETS, {"name": "X", "custom": {"nope": 1}}).data["fields"] == {
        "custom.nope": ["There is no custom field 'nope'."]
    }


def test_only_rows_of_the_own_company_and_rules(
    world: SimpleNamespace, ann: Rest, boss: Rest, bob: Rest
) -> None:
    mine = ann.post(GADGETS, {"name": "mine"}).data["id"]
    other = boss.post(GADGETS, {"name": "boss's"}).data["id"]

    assert names(ann.get(GADGETS)) == ["mine"]
    assert names(boss.get(GADGETS)) == ["boss's", "mine"]
    assert names(bob.get(GADGETS)) == []
    assert ann.get(f"{GADGETS}{other}/").status_code == 404
    assert bob.get(f"{GADGETS}{mine}/").status_code == 404
    assert bob.get(f"{GADGETS}?id={mine}").data["count"] == 0
