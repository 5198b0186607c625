"""Creating, changing, deleting: one or many, all or nothing, stale versions, what may not be written."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from meridian_dummy.models import Gadget, GadgetMaker, GadgetPart

from apps.core.models import Currency, OutboxEvent
from apps.core.records import service_for
from tests.api.support import Rest, make_gadgets

GADGETS = "test/gadgets/"


def test_create_one(world: SimpleNamespace, ann: Rest) -> None:
    acme = service_for(GadgetMaker).create_one({"name": "Acme"}, actor=world.system)

    response = ann.post(
        GADGETS,
        {"name": "Lamp", "price": "12.50", "maker": acme.pk, "makers": [acme.pk], "sold_on": "2026-11-20"},
    )

    assert response.status_code == 201, response.content
    gadget = Gadget.objects.get()
    assert response["Location"] == f"http://testserver/api/v1/{GADGETS}{gadget.pk}/"
    assert response["ETag"] == 'W/"1"'
    assert response.data["id"] == gadget.pk
    assert response.data["price"] == "12.50"
    assert response.data["state"] == "draft"
    assert response.data["makers"] == [acme.pk]
    assert response.data["available_actions"] == ["sell", "archive"]
    assert gadget.company_id == world.a.pk
    assert gadget.created_by_id == world.users["ann"].pk


def test_create_many_answers_the_list(world: SimpleNamespace, ann: Rest) -> None:
    response = ann.post(GADGETS, [{"name": "one"}, {"name": "two", "price": "2"}])

    assert response.status_code == 201
    assert [(row["name"], row["price"]) for row in response.data] == [("one", "0.00"), ("two", "2.00")]
    assert Gadget.objects.count() == 2


@pytest.mark.parametrize(
    ("second", "status", "field"),
    [
        ({"name": "Bomb"}, 400, "name"),
        ({"name": "one"}, 409, "company"),
        ({"name": "two", "price": "-1"}, 400, None),
        ({"name": "two", "price": "abc"}, 400, "1.price"),
        ({"name": "two", "nmae": "x"}, 400, "1.nmae"),
        ({}, 400, "1.name"),
        ("two", 400, "1"),
        ({"name": "x" * 81}, 400, "1.name"),
        ({"name": "two", "maker": 999}, 400, "maker"),
    ],
)
def test_create_many_is_all_or_nothing(
    world: SimpleNamespace, ann: Rest, second: object, status: int, field: str | None
) -> None:
    response = ann.post(GADGETS, [{"name": "one"}, second])

    assert response.status_code == status, response.content
    if field is not None:
        assert field in response.data["fields"]
    assert Gadget.objects.count() == 0
    assert not OutboxEvent.objects.filter(name="core.RecordsCreated").exists()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "x", "nope": 1}, "nope"),
        ({"name": "x", "pin": "1234"}, "pin"),
        ({"name": "x", "cost": "1"}, "cost"),
        ({"name": "x", "state": "sold"}, "state"),
        ({"name": "x", "id": 7}, "id"),
        ({"name": "x", "version": 7}, "version"),
        ({"name": "x", "doubled": "7"}, "doubled"),
        ({"name": 5}, "name"),
        ({"name": None}, "name"),
        ({"name": "x", "price": 1.5e400}, None),
        ({"name": "x", "price": "NaN"}, "price"),
        ({"name": "x", "price": "1e999999"}, "price"),
        ({"name": "x", "price": True}, "price"),
        ({"name": "x", "maker": "1"}, "maker"),
        ({"name": "x", "maker": True}, "maker"),
        ({"name": "x", "maker": 2**70}, None),
        ({"name": "x", "makers": 1}, "makers"),
        ({"name": "x", "makers": [1, "2"]}, "makers"),
        ({"name": "x", "makers": None}, "makers"),
        ({"name": "x", "sold_on": "31.12.2026"}, "sold_on"),
        ({"name": "x", "active": "yes"}, "active"),
        ({"name": "x", "custom": {"nope": 1}}, "custom.nope"),
        ({"name": "x", "custom": 5}, "custom"),
        ({"name": "x", "ext": {"nope": {}}}, "ext"),
        ({"name": "x", "parts": [{"name": 5}]}, "parts.0.name"),
        ({"name": "x", "parts": [{"name": "p", "gadget": 5}]}, "parts.0.gadget"),
        ({"name": "x", "parts": 5}, "parts"),
    ],
)
def test_bad_input_names_the_field(
    world: SimpleNamespace, ann: Rest, body: dict[str, object], field: str | None
) -> None:
    response = ann.post(GADGETS, body)

    assert response.status_code == 400, response.content
    if field is not None:
        assert list(response.data["fields"]) == [field], response.data
    assert Gadget.objects.count() == 0


def test_amounts_are_exact_whether_text_or_number(world: SimpleNamespace, ann: Rest) -> None:
    made = ann.post(GADGETS, '[{"name": "a", "price": 0.07}, {"name": "b", "price": "1234567890.12"}]')

    assert [row["price"] for row in made.data] == ["0.07", "1234567890.12"]


def test_extra_inputs_reach_the_resource(world: SimpleNamespace, ann: Rest) -> None:
    made = ann.post(GADGETS, {"name": "Lamp", "nickname": "Lux"})

    assert made.data["note"] == "alias Lux"


def test_change_some_fields(world: SimpleNamespace, ann: Rest) -> None:
    pk = ann.post(GADGETS, {"name": "Lamp", "price": "1"}).data["id"]

    response = ann.patch(f"{GADGETS}{pk}/", {"price": "2"})

    assert response.status_code == 200
    assert (response.data["name"], response.data["price"], response.data["version"]) == ("Lamp", "2.00", 2)
    assert response["ETag"] == 'W/"2"'


def test_put_wants_what_is_required(world: SimpleNamespace, ann: Rest) -> None:
    pk = ann.post(GADGETS, {"name": "Lamp"}).data["id"]

    missing = ann.put(f"{GADGETS}{pk}/", {"price": "2"})
    company = ann.get(f"{GADGETS}{pk}/").data["company"]
    whole = ann.put(f"{GADGETS}{pk}/", {"name": "Lantern", "company": company})

    assert missing.status_code == 400
    assert set(missing.data["fields"]) == {"name", "company"}
    assert whole.status_code == 200
    assert whole.data["name"] == "Lantern"


def test_what_was_read_can_be_sent_back_whole(world: SimpleNamespace, ann: Rest) -> None:
    pk = ann.post(GADGETS, {"name": "Lamp"}).data["id"]
    read = ann.get(f"{GADGETS}{pk}/").data

    response = ann.put(f"{GADGETS}{pk}/", {**read, "name": "Lantern"})
    forged = ann.put(f"{GADGETS}{pk}/", {**response.data, "state": "sold"})

    assert response.status_code == 200, response.content
    assert response.data["name"] == "Lantern"
    assert list(forged.data["fields"]) == ["state"]


@pytest.mark.parametrize("stale", ['W/"1"', '"1"', 'W/"99"', '"abc"', 'W/"1", W/"3"'])
@pytest.mark.parametrize("method", ["patch", "put", "delete", "action"])
def test_a_stale_version_is_refused(world: SimpleNamespace, boss: Rest, stale: str, method: str) -> None:
    pk = boss.post(GADGETS, {"name": "Lamp"}).data["id"]
    boss.patch(f"{GADGETS}{pk}/", {"price": "5"})
    url = f"{GADGETS}{pk}/"

    calls = {
        "patch": lambda: boss.patch(url, {"name": "Other"}, if_match=stale),
        "put": lambda: boss.put(url, {"name": "Other", "company": world.a.pk}, if_match=stale),
        "delete": lambda: boss.delete(url, if_match=stale),
        "action": lambda: boss.post(f"{url}actions/sell/", {}, if_match=stale),
    }
    response = calls[method]()

    assert response.status_code == 412, response.content
    assert response.data["code"] == "stale_version"
    gadget = Gadget.objects.get()
    assert (gadget.name, gadget.state, gadget.version) == ("Lamp", "draft", 2)


def test_a_stale_version_in_the_body_is_refused(world: SimpleNamespace, boss: Rest) -> None:
    pk = boss.post(GADGETS, {"name": "Lamp"}).data["id"]
    boss.patch(f"{GADGETS}{pk}/", {"price": "5"})

    assert boss.patch(f"{GADGETS}{pk}/", {"name": "x", "version": 1}).status_code == 412
    assert boss.patch(f"{GADGETS}{pk}/", {"name": "x", "version": 2}, if_match='W/"1"').status_code == 412
    assert boss.patch(f"{GADGETS}{pk}/", {"name": "x", "version": 2}, if_match='W/"2"').status_code == 200
    assert boss.patch(f"{GADGETS}{pk}/", {"name": "y"}, if_match="*").status_code == 200


def test_records_without_a_version_have_an_etag_too(world: SimpleNamespace) -> None:
    admin = Rest(world.tokens["adm"])
    euro = Currency.objects.get(code="EUR")
    tag = admin.get(f"test/currencies/{euro.pk}/")["ETag"]

    first = admin.patch(f"test/currencies/{euro.pk}/", {"symbol": "Eu"}, if_match=tag)
    second = admin.patch(f"test/currencies/{euro.pk}/", {"symbol": "E"}, if_match=tag)

    assert first.status_code == 200, first.content
    assert first["ETag"] != tag
    assert second.status_code == 412
    assert Currency.objects.get(code="EUR").symbol == "Eu"


def test_delete(world: SimpleNamespace, ann: Rest, boss: Rest) -> None:
    pk = ann.post(GADGETS, {"name": "Lamp"}).data["id"]

    refused = ann.delete(f"{GADGETS}{pk}/")
    done = boss.delete(f"{GADGETS}{pk}/")

    assert refused.status_code == 403
    assert done.status_code == 204
    assert done.content == b""
    assert boss.get(f"{GADGETS}{pk}/").status_code == 404


def test_what_is_in_use_is_not_deleted(world: SimpleNamespace) -> None:
    admin = Rest(world.tokens["adm"])
    acme = service_for(GadgetMaker).create_one({"name": "Acme"}, actor=world.system)
    make_gadgets(world, 1, maker=acme.pk)

    response = admin.delete(f"test/makers/{acme.pk}/")

    assert response.status_code == 409
    assert response.data["code"] == "in_use"
    assert GadgetMaker.objects.filter(pk=acme.pk).exists()


def test_nested_rows_come_with_the_document(world: SimpleNamespace, ann: Rest) -> None:
    made = ann.post(
        GADGETS,
        {"name": "Lamp", "parts": [{"name": "bulb", "quantity": "2"}, {"name": "shade", "quantity": "1.5"}]},
    )

    assert made.status_code == 201, made.content
    parts = made.data["parts"]
    assert [(part["name"], part["quantity"]) for part in parts] == [("bulb", "2.000"), ("shade", "1.500")]

    kept, dropped = parts
    changed = ann.patch(
        f"{GADGETS}{made.data['id']}/",
        {"parts": [{**kept, "quantity": "3"}, {"name": "cable", "quantity": "1"}]},
    )

    assert changed.status_code == 200, changed.content
    assert [(p["id"] == kept["id"], p["name"], p["quantity"]) for p in changed.data["parts"]] == [
        (True, "bulb", "3.000"),
        (False, "cable", "1.000"),
    ]
    assert not GadgetPart.objects.filter(pk=dropped["id"]).exists()


def test_nested_rows_of_another_document_are_refused(world: SimpleNamespace, ann: Rest) -> None:
    first = ann.post(GADGETS, {"name": "a", "parts": [{"name": "bulb"}]}).data
    second = ann.post(GADGETS, {"name": "b", "parts": [{"name": "wire"}]}).data

    response = ann.patch(
        f"{GADGETS}{first['id']}/",
        {"name": "c", "parts": [{"id": second["parts"][0]["id"], "name": "stolen"}]},
    )

    assert response.status_code == 400
    assert list(response.data["fields"]) == ["parts.0.id"]
    assert Gadget.objects.get(pk=first["id"]).name == "a"
    assert sorted(GadgetPart.objects.values_list("name", flat=True)) == ["bulb", "wire"]


def test_a_bad_nested_row_undoes_the_document(world: SimpleNamespace, ann: Rest) -> None:
    response = ann.post(GADGETS, {"name": "Lamp", "parts": [{"name": "x" * 99}]})

    assert response.status_code == 400
    assert Gadget.objects.count() == 0


def test_company_of_the_header(world: SimpleNamespace) -> None:
    admin = Rest(world.tokens["adm"])

    own = admin.post(GADGETS, {"name": "own"})
    other = admin.post(GADGETS, {"name": "other"}, x_company=str(world.b.pk))
    listed = admin.get(GADGETS, x_company=str(world.b.pk))
    both = admin.get(GADGETS, x_company=str(world.a.pk), x_companies=f"{world.a.pk},{world.b.pk}")
    short = admin.post(GADGETS, {"name": "third"}, x_company=f"{world.b.pk},{world.a.pk}")

    assert own.data["company"] == world.a.pk
    assert other.data["company"] == world.b.pk
    assert [row["name"] for row in listed.data["results"]] == ["other"]
    assert [row["name"] for row in both.data["results"]] == ["other", "own"]
    assert short.data["company"] == world.b.pk
    assert admin.get(GADGETS, x_companies="1;2").status_code == 400


@pytest.mark.parametrize(("header", "status"), [("b", 403), ("999999", 403), ("x", 400), ("1.5", 400)])
def test_a_company_that_is_not_ones_own(world: SimpleNamespace, ann: Rest, header: str, status: int) -> None:
    value = str(world.b.pk) if header == "b" else header

    response = ann.get(GADGETS, x_company=value)

    assert response.status_code == status
    if status == 403:
        assert response.data["code"] == "company_not_allowed"
        assert value in response.data["message"]


def test_a_body_cannot_reach_into_another_company(world: SimpleNamespace, ann: Rest) -> None:
    response = ann.post(GADGETS, {"name": "Lamp", "company": world.b.pk})

    assert response.status_code == 400
    assert list(response.data["fields"]) == ["company"]
    assert Gadget.objects.count() == 0
