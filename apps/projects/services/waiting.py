"""Waiting: a task waits while its project uses dependencies and an open task blocks it.

The state follows from other rows, so it is computed where those change: when a task is closed or opened, when blockers
are set, when a project switches dependencies on or off. Locks are taken so that no two of these overlook each
other: a dependency is written under a share lock on the blockers, and a waiting task is judged under its own lock.
Closing a task must not wait for whoever holds its dependents (that could go round in circles), so dependents in use are
left to the event ``BlockersChanged``, which judges them after the transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from django.db import connection
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from apps.core.actor import Actor
from apps.core.unit_of_work import unit_of_work
from apps.projects.constants import CLOSED_STATES, TaskState
from apps.projects.events import BlockersChanged, TaskStateChanged
from apps.projects.models import Task, TaskDependency
from apps.projects.services.writing import write_tasks


def refresh_waiting(
    pks: Iterable[int], *, actor: Actor, wait: bool = True, bump: bool = True
) -> dict[int, str]:
    """Make *waiting* true for these tasks; answers the new state of those that changed.

    Without ``wait`` tasks that another transaction holds are left for later. Four statements at most, plus one for each
    direction that occurs.
    """
    wanted = set(pks)
    if not wanted:
        return {}
    with unit_of_work(actor) as work:
        rows = Task._base_manager.filter(pk__in=wanted).order_by("pk")
        locked = list(rows.select_for_update(of=("self",), skip_locked=not wait))
        skipped = tuple(sorted(wanted - {task.pk for task in locked})) if not wait else ()
        if skipped:
            work.emit(BlockersChanged(skipped))
        # A statement of its own: it sees what was committed while this one waited for the locks.
        blocked = blocked_pks([task.pk for task in locked if not task.is_closed])
        stopping = [t for t in locked if not t.is_closed and t.state != TaskState.WAITING and t.pk in blocked]
        going = [t for t in locked if t.state == TaskState.WAITING and t.pk not in blocked]
        for tasks, state in ((stopping, TaskState.WAITING.value), (going, TaskState.IN_PROGRESS.value)):
            if tasks:
                write_tasks(
                    tasks, {"state": state, "date_last_stage_update": timezone.now()}, actor, bump=bump
                )
                work.emit(TaskStateChanged(tuple(t.pk for t in tasks), state, actor.company_pk))
    return {task.pk: task.state for task in (*stopping, *going)}


def refresh_dependents(tasks: Sequence[Task], *, actor: Actor) -> None:
    """After these tasks were closed or opened: the tasks that they block."""
    pks = [task.pk for task in tasks]
    rows = TaskDependency.objects.filter(blocker__in=pks).exclude(task__state__in=CLOSED_STATES)
    dependents = set(rows.values_list("task_id", flat=True)) - set(pks)
    refresh_waiting(dependents, actor=actor, wait=False)


def blocked_pks(pks: Collection[int]) -> set[int]:
    """Those of the tasks that must wait now."""
    if not pks:
        return set()
    blockers = TaskDependency.objects.filter(task=OuterRef("pk")).exclude(blocker__state__in=CLOSED_STATES)
    rows = Task._base_manager.filter(Q(pk__in=pks), Exists(blockers), project__allow_task_dependencies=True)
    return set(rows.values_list("pk", flat=True))


def hold_blockers(pks: Collection[int]) -> None:
    """Keep tasks from being closed or opened until the dependency on them is committed."""
    if pks:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT id FROM projects_task WHERE id = ANY(%s) ORDER BY id FOR SHARE", [sorted(pks)]
            )
