"""Record rules: mandatory ones narrow, granting ones widen, strangers see nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from django.db.models import Q
from meridian_dummy.models import Gadget, GadgetMaker

from apps.core.actor import Actor, scope_allows
from apps.core.errors import NotVisible, PermissionDenied
from apps.core.records import service_for
from apps.core.rules import explain, get_visible, require_visible, rule, unregister, visible
from apps.core.testkit import count_queries


@pytest.fixture
def gadgets(world: SimpleNamespace) -> dict[str, Gadget]:
    service = service_for(Gadget)
    made = {
        "ann's": service.create_one({"name": "ann's"}, actor=world.ann),
        "max's": service.create_one({"name": "max's"}, actor=world.max),
        "bob's": service.create_one({"name": "bob's"}, actor=world.bob),
    }
    return made


def names(actor: Actor, op: str = "view") -> list[str]:
    return sorted(visible(Gadget, actor, op).values_list("name", flat=True))


def test_role_rules_widen_company_rule_narrows(world: SimpleNamespace, gadgets: dict[str, Gadget]) -> None:
    assert names(world.ann) == ["ann's"]
    assert names(world.max) == ["ann's", "max's"]
    assert names(world.bob) == ["bob's"]
    assert names(world.system) == ["ann's", "bob's", "max's"]


def test_selected_companies_decide(world: SimpleNamespace, gadgets: dict[str, Gadget]) -> None:
    both = replace(world.max, company_pks=(world.a.pk, world.b.pk))

    assert names(both) == ["ann's", "bob's", "max's"]
    assert names(replace(world.max, company_pks=())) == []


def test_no_permission_no_rows_and_no_query(world: SimpleNamespace, gadgets: dict[str, Gadget]) -> None:
    with count_queries() as seen:
        assert names(world.eve) == []
        assert names(world.ann, "delete") == []

    assert len(seen) == 0


@pytest.mark.parametrize("kind", ["portal", "public"])
def test_outsiders_see_nothing_without_a_rule_for_them(
    world: SimpleNamespace, gadgets: dict[str, Gadget], kind: str
) -> None:
    outsider = replace(world.max, kind=kind)

    assert names(outsider) == []


def test_internal_user_whom_no_rule_addresses_sees_nothing(
    world: SimpleNamespace, gadgets: dict[str, Gadget]
) -> None:
    with_permission_only = replace(world.max, roles=frozenset({"access.internal"}))

    assert names(with_permission_only) == []


@pytest.fixture
def nothing_named_max() -> Iterator[None]:
    @rule(Gadget, mandatory=True)
    def not_max(actor: Actor, op: str) -> Q:
        return ~Q(name="max's")

    yield
    unregister(not_max)


def test_mandatory_rule_binds_even_those_who_see_all(
    world: SimpleNamespace, gadgets: dict[str, Gadget], nothing_named_max: None
) -> None:
    assert names(world.max) == ["ann's"]
    assert "max's" in names(world.system)
    assert any("not_max" in line for line in explain(Gadget, world.max, "view", gadgets["max's"].pk))


@pytest.fixture
def portal_rule() -> Iterator[None]:
    @rule(Gadget, kinds=("portal",), ops=("view",))
    def cheap_ones(actor: Actor, op: str) -> Q:
        return Q(name="ann's")

    yield
    unregister(cheap_ones)


def test_portal_rule_grants_only_its_operations(
    world: SimpleNamespace, gadgets: dict[str, Gadget], portal_rule: None
) -> None:
    outsider = replace(world.max, kind="portal", roles=frozenset({"access.portal"}))

    assert names(outsider) == ["ann's"]
    assert names(outsider, "change") == []
    assert names(outsider, "sell") == []


def test_missing_and_forbidden_look_the_same(world: SimpleNamespace, gadgets: dict[str, Gadget]) -> None:
    errors = []
    for pk in (gadgets["bob's"].pk, 999999):
        with pytest.raises(NotVisible) as refusal:
            get_visible(Gadget, pk, world.ann)
        errors.append(refusal.value.as_dict())

    assert errors[0] == errors[1]


def test_seen_but_not_deletable_is_said_so(world: SimpleNamespace, gadgets: dict[str, Gadget]) -> None:
    with pytest.raises(PermissionDenied) as refusal:
        require_visible([gadgets["ann's"]], world.ann, "delete")

    assert "delete" in refusal.value.message and "gadget" in refusal.value.message.lower()


def test_shared_rows_belong_to_every_company(world: SimpleNamespace) -> None:
    makers = service_for(GadgetMaker)
    makers.create_one({"name": "all"}, actor=world.system)
    makers.create_one({"name": "b only", "company": world.b.pk}, actor=world.system)

    assert [m.name for m in visible(GadgetMaker, world.ann)] == ["all"]


def test_every_visible_list_is_one_query(world: SimpleNamespace, gadgets: dict[str, Gadget]) -> None:
    with count_queries() as seen:
        list(visible(Gadget, world.ann))

    assert len(seen) == 1


@pytest.mark.parametrize(
    ("scopes", "label", "operation", "allowed"),
    [
        (["*"], "dummy.gadget", "delete", True),
        (["read"], "dummy.gadget", "view", True),
        (["read"], "dummy.gadget", "change", False),
        (["dummy"], "dummy.gadget", "sell", True),
        (["dummy:read"], "dummy.gadget", "view", True),
        (["dummy:read"], "dummy.gadget", "add", False),
        (["dummy.gadget"], "dummy.gadgetmaker", "view", False),
        (["dummy.gadget:sell"], "dummy.gadget", "sell", True),
        (["dummy.gadget:sell"], "dummy.gadget", "scrap", False),
        (["other", "dummy.gadget:view"], "dummy.gadget", "view", True),
        ([], "dummy.gadget", "view", False),
    ],
)
def test_token_scopes(scopes: list[str], label: str, operation: str, allowed: bool) -> None:
    assert scope_allows(scopes, label, operation) is allowed


def test_a_scope_never_widens(world: SimpleNamespace) -> None:
    narrow: Any = replace(world.eve, scopes=frozenset({"*"}))

    assert not narrow.can(Gadget, "view")
    assert not replace(world.max, scopes=frozenset({"read"})).can(Gadget, "sell")
