"""Every action: titled, permitted, typed; refused without the right; hooks and events by the book."""

from __future__ import annotations

import pytest

from apps.core.actions import Action, all_actions
from apps.core.actor import Actor
from apps.core.errors import PermissionDenied
from apps.core.modules import running
from apps.core.testkit import count_queries

ACTIONS = sorted(all_actions(), key=lambda a: a.label)


@pytest.mark.parametrize("declared", ACTIONS, ids=[a.label for a in ACTIONS])
def test_says_what_it_does(declared: Action) -> None:
    assert str(declared.title).strip()
    assert declared.help.strip(), "the docstring is what people read before they press the button"


@pytest.mark.parametrize("declared", ACTIONS, ids=[a.label for a in ACTIONS])
def test_some_role_grants_its_permission(declared: Action) -> None:
    label = declared.model._meta.label.lower()
    granted = set()
    for config in running():
        for grants in [*(role.grants for role in config.roles), *config.grants.values()]:
            for model, operations in grants.items():
                if model == "*" or model.lower() == label:
                    granted |= set(operations.split())

    assert declared.permission in granted or "*" in granted


@pytest.mark.django_db
@pytest.mark.parametrize("declared", ACTIONS, ids=[a.label for a in ACTIONS])
def test_is_refused_without_the_right_before_anything_is_read(declared: Action) -> None:
    nobody = Actor(kind="internal", user_pk=1, company_pk=1, company_pks=(1,))
    inputs = {spec.name: None for spec in declared.inputs if spec.required}

    with count_queries() as seen, pytest.raises(PermissionDenied):
        declared([1], actor=nobody, **inputs)

    assert len(seen) == 0


@pytest.mark.parametrize("declared", ACTIONS, ids=[a.label for a in ACTIONS])
def test_states_are_states(declared: Action) -> None:
    if declared.source is None and declared.target is None:
        return
    field = declared.model._meta.get_field(declared.state_field)
    known = {str(key) for key, _label in field.choices or ()}
    for state in [*(declared.source or ()), *([declared.target] if declared.target else [])]:
        assert not known or str(state) in known
