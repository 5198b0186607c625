"""People from outside: what rules give them, of the fields that are meant for them."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from django.db import transaction
from django.db.models import Q
from django.test import Client
from django.urls import clear_url_caches
from meridian_dummy.models import Gadget, GadgetMaker

from apps.access.models import Role, RoleGrant, User
from apps.api.api import TokenResource
from apps.core.records import service_for
from apps.core.rules import rule, unregister
from tests.api.support import GadgetResource, MakerResource, build_urlconf, make_gadgets

GADGETS = "/api/v1/test/gadgets/"


class PortalGadgets(GadgetResource):
    portal_fields: ClassVar[tuple[str, ...]] = ("name", "makers", "shout")


@pytest.fixture
def shared(world: SimpleNamespace, settings: Any) -> Iterator[Client]:
    """A portal user who is shown gadgets whose name begins with 'shared', and makers of that name."""

    def gadgets(actor: Any, op: str) -> Q:
        return Q(name__startswith="shared")

    def makers(actor: Any, op: str) -> Q:
        return Q(name__startswith="shared")

    settings.ROOT_URLCONF = build_urlconf(PortalGadgets, MakerResource, TokenResource)
    clear_url_caches()
    rule(Gadget, kinds=("portal",), ops=("view", "change"))(gadgets)
    rule(GadgetMaker, kinds=("portal",), ops=("view",))(makers)
    role = Role.objects.get(code="access.portal")
    for model, operation in (
        ("dummy.gadget", "view"),
        ("dummy.gadget", "change"),
        ("dummy.gadgetmaker", "view"),
    ):
        RoleGrant.objects.create(role=role, model=model, operation=operation)
    with transaction.atomic():
        user = User.objects.create(login="customer", name="customer", kind="portal", company=world.a)
        user.companies.set([world.a])
    client = Client()
    client.force_login(user)
    yield client
    unregister(gadgets)
    unregister(makers)


def test_only_what_rules_give_and_what_is_meant_for_them(world: SimpleNamespace, shared: Client) -> None:
    seen, unseen = service_for(GadgetMaker).create(
        [{"name": "shared maker"}, {"name": "other"}], actor=world.system
    )
    mine = make_gadgets(
        world, name="shared lamp", makers=[seen.pk, unseen.pk], price="9", note="internal talk"
    )[0]
    theirs = make_gadgets(world, name="lamp")[0]

    listed = shared.get(GADGETS).json()
    detail = shared.get(f"{GADGETS}{mine.pk}/").json()

    expected = {"id": mine.pk, "name": "shared lamp", "makers": [seen.pk], "shout": "SHARED LAMP"}
    assert listed["results"] == [expected]
    assert {name: value for name, value in detail.items() if name != "available_actions"} == expected
    assert shared.get(f"{GADGETS}{theirs.pk}/").status_code == 404


@pytest.mark.parametrize(
    "query",
    [
        "price=9",
        "price__gte=1",
        "state=draft",
        "ordering=price",
        "ordering=doubled",
        "fields=price",
        "cheaper_than=100",
        "maker_name=x",
        "custom.x=1",
        "company=1",
    ],
)
def test_what_is_not_meant_for_them_cannot_be_asked(
    world: SimpleNamespace, shared: Client, query: str
) -> None:
    make_gadgets(world, name="shared lamp")

    assert shared.get(f"{GADGETS}?{query}").status_code == 400


def test_search_looks_into_what_they_see_only(world: SimpleNamespace, shared: Client) -> None:
    make_gadgets(world, name="shared lamp", note="internal talk")

    assert shared.get(f"{GADGETS}?search=lamp").json()["count"] == 1
    assert shared.get(f"{GADGETS}?search=internal").json()["count"] == 0


def test_what_they_may_write(world: SimpleNamespace, shared: Client) -> None:
    gadget = make_gadgets(world, name="shared lamp", price="9")[0]

    def patch(body: dict[str, Any]) -> Any:
        return shared.patch(f"{GADGETS}{gadget.pk}/", body, content_type="application/json")

    allowed = patch({"name": "shared lantern"})
    refused = patch({"price": "1"})
    action = shared.post(f"{GADGETS}{gadget.pk}/actions/sell/", {}, content_type="application/json")
    archive = shared.post(f"{GADGETS}{gadget.pk}/actions/archive/", {}, content_type="application/json")
    made = shared.post(GADGETS, {"name": "shared"}, content_type="application/json")

    assert allowed.status_code == 200, allowed.content
    assert refused.status_code == 400
    assert list(refused.json()["fields"]) == ["price"]
    assert (action.status_code, archive.status_code, made.status_code) == (403, 403, 403)
    stored = Gadget.objects.get()
    assert (stored.name, str(stored.price), stored.state, stored.active) == (
        "shared lantern",
        "9.00",
        "draft",
        True,
    )


def test_a_portal_user_cannot_have_a_token(world: SimpleNamespace, shared: Client) -> None:
    user = User.objects.get(login="customer")
    user.set_password("pass word 1")
    user.save(update_fields=["password"])
    body = {"username": "customer", "password": "pass word 1", "name": "x"}

    response = Client().post("/api/v1/auth/tokens/", body, content_type="application/json")

    assert response.status_code == 403
