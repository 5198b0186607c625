"""Threads take part in every change of a record that has one."""

from __future__ import annotations

from typing import Any

from apps.chatter.services import tracking
from apps.contacts.hooks import collect_merge
from apps.core.actor import Actor
from apps.core.hooks import collect_changes, collect_created, collect_deleting
from apps.core.unit_of_work import Change


@collect_changes.register
def log_changes(changes: list[Change], actor: Actor) -> None:
    tracking.log_changes(changes, actor=actor)


@collect_created.register
def log_created(created: list[Any], actor: Actor) -> None:
    tracking.log_created(created, actor=actor)


@collect_deleting.register
def forget_records(records: list[Any], actor: Actor) -> None:
    tracking.forget_records(records, actor=actor)


@collect_merge.register
def keep_threads(destination: Any, sources: list[Any], journal: Any, actor: Actor) -> tuple[str, Any]:
    """The threads of merged contacts go on in the one that stays."""
    return "chatter.threads", tracking.move_threads(destination, sources)
