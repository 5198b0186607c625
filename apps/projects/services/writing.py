"""Set-based writes that leave the same marks as those of a ``RecordService``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection
from django.db.models import F
from django.utils import timezone

from apps.core.actor import Actor
from apps.core.unit_of_work import current
from apps.projects.constants import GRAPH_LOCK
from apps.projects.models import Task

# Constraint triggers made by AddCompanyGuard: a task's project and parent are of its company.
GUARDS = "projects_task_project_company, projects_task_parent_company, projects_task_company"


def write_tasks(tasks: Sequence[Task], values: Mapping[str, Any], actor: Actor, *, bump: bool = True) -> None:
    """Give locked tasks the same ``values`` (attribute names) in one statement, and track what changes.

    ``bump`` is off inside an action, whose wrapper counts the version itself.
    """
    if not tasks:
        return
    stamps: dict[str, Any] = {"updated_at": timezone.now(), "updated_by_id": actor.user_pk}
    if bump:
        stamps["version"] = F("version") + 1
    Task._base_manager.filter(pk__in=[task.pk for task in tasks]).update(**values, **stamps)
    work = current()
    assert work is not None, "write_tasks belongs inside a unit of work"
    followed = {f.attname: f.name for f in Task._meta.concrete_fields if f.name in Task.erp.tracked}
    for task in tasks:
        before = {followed[name]: getattr(task, name) for name in values if name in followed}
        after = {followed[name]: values[name] for name in values if name in followed}
        for name, value in values.items():
            setattr(task, name, value)
        if before != after:
            work.track(task, before, after)
        task.updated_by_id = actor.user_pk
        if bump:
            task.version += 1


def in_groups(pairs: Sequence[tuple[Task, Any]]) -> dict[Any, list[Task]]:
    """Tasks by the value they are to get."""
    groups: dict[Any, list[Task]] = {}
    for task, value in pairs:
        groups.setdefault(value, []).append(task)
    return groups


def lock_graph() -> None:
    """Until the end of the transaction nobody else changes parents or blockers. Take it before any row lock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [GRAPH_LOCK])


def defer_company_guards() -> None:
    """Let a task or project change company before the rows that hang on it have followed."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET CONSTRAINTS {GUARDS} DEFERRED")


def enforce_company_guards() -> None:
    """Check now what ``defer_company_guards`` put off; a row left behind in another company is refused."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET CONSTRAINTS {GUARDS} IMMEDIATE")
