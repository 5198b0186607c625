"""What people do to tasks. Each body gets locked tasks and costs the same whatever their number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.access.models import User
from apps.core.actions import action
from apps.core.actor import Actor
from apps.core.errors import ValidationFailed
from apps.core.links import check_targets, pk_of
from apps.core.unit_of_work import emit
from apps.projects.constants import ACTIVE_STATES, CLOSED_STATES, OPEN_STATES, TaskState
from apps.projects.events import TaskClosed, TaskReopened, TaskStageChanged, TaskStateChanged
from apps.projects.models import Task, TaskStage
from apps.projects.selectors.tasks import stage_pairs
from apps.projects.services.assignees import set_assignees
from apps.projects.services.waiting import refresh_dependents, refresh_waiting
from apps.projects.services.writing import write_tasks


def _close(tasks: Sequence[Task], state: TaskState, actor: Actor) -> None:
    now = timezone.now()
    values: dict[str, Any] = {"state": state.value, "date_closed": now, "date_last_stage_update": now}
    ended = [task for task in tasks if task.date_end is not None]
    write_tasks(ended, values, actor, bump=False)
    write_tasks([t for t in tasks if t.date_end is None], {**values, "date_end": now}, actor, bump=False)
    refresh_dependents(tasks, actor=actor)


@action(
    Task,
    source=OPEN_STATES,
    target=TaskState.DONE.value,
    permission="change",
    event=TaskClosed,
    title=gettext_lazy("Mark as done"),
    icon="task_alt",
    portal=True,
)
def mark_done(tasks: Sequence[Task], *, actor: Actor) -> None:
    """The work is finished. A waiting task may be closed too; tasks that only it blocked go on."""
    _close(tasks, TaskState.DONE, actor)


@action(
    Task,
    source=OPEN_STATES,
    target=TaskState.CANCELLED.value,
    permission="change",
    event=TaskClosed,
    title=gettext_lazy("Cancel"),
    icon="cancel",
    portal=True,
)
def cancel(tasks: Sequence[Task], *, actor: Actor) -> None:
    """The work will not be done. Tasks that only it blocked go on."""
    _close(tasks, TaskState.CANCELLED, actor)


@action(
    Task,
    source=CLOSED_STATES,
    permission="change",
    event=TaskReopened,
    title=gettext_lazy("Reopen"),
    icon="undo",
    portal=True,
)
def reopen(tasks: Sequence[Task], *, actor: Actor) -> None:
    """Back to in progress, or to waiting while something still blocks it. What it blocks waits again."""
    now = timezone.now()
    values = {"state": TaskState.IN_PROGRESS.value, "date_closed": None, "date_last_stage_update": now}
    folded = set(
        TaskStage.objects.filter(pk__in={task.stage_id for task in tasks}, fold=True).values_list(
            "pk", flat=True
        )
    )
    write_tasks([t for t in tasks if t.stage_id in folded], values, actor, bump=False)
    write_tasks(
        [t for t in tasks if t.stage_id not in folded], {**values, "date_end": None}, actor, bump=False
    )
    for pk, state in refresh_waiting([t.pk for t in tasks], actor=actor, bump=False).items():
        next(t for t in tasks if t.pk == pk).state = state
    refresh_dependents(tasks, actor=actor)


def _judge(tasks: Sequence[Task], state: TaskState, actor: Actor) -> None:
    write_tasks(tasks, {"state": state.value, "date_last_stage_update": timezone.now()}, actor, bump=False)
    emit(TaskStateChanged(tuple(t.pk for t in tasks), state.value, actor.company_pk), actor=actor)


@action(
    Task,
    source={TaskState.IN_PROGRESS.value, TaskState.CHANGES_REQUESTED.value},
    target=TaskState.APPROVED.value,
    permission="change",
    title=gettext_lazy("Approve"),
    icon="thumb_up",
    portal=True,
)
def approve(tasks: Sequence[Task], *, actor: Actor) -> None:
    """The work so far is right."""
    _judge(tasks, TaskState.APPROVED, actor)


@action(
    Task,
    source={TaskState.IN_PROGRESS.value, TaskState.APPROVED.value},
    target=TaskState.CHANGES_REQUESTED.value,
    permission="change",
    title=gettext_lazy("Request changes"),
    icon="rate_review",
    portal=True,
)
def request_changes(tasks: Sequence[Task], *, actor: Actor) -> None:
    """Something has to be done differently."""
    _judge(tasks, TaskState.CHANGES_REQUESTED, actor)


@action(
    Task,
    source={TaskState.CHANGES_REQUESTED.value, TaskState.APPROVED.value},
    target=TaskState.IN_PROGRESS.value,
    permission="change",
    title=gettext_lazy("Back to in progress"),
    icon="play_arrow",
    portal=True,
)
def resume(tasks: Sequence[Task], *, actor: Actor) -> None:
    """The approval or the request for changes is taken back."""
    _judge(tasks, TaskState.IN_PROGRESS, actor)


@action(Task, permission="change", title=gettext_lazy("Move to stage"), icon="view_column", portal=True)
def move_stage(tasks: Sequence[Task], *, actor: Actor, stage: TaskStage) -> None:
    """Put the tasks into a stage of their project. Open ones start afresh there, waiting ones keep waiting."""
    stage_pk = pk_of(stage)
    check_targets(Task, {"stage": [stage_pk]}, actor)
    pairs = stage_pairs({task.project_id for task in tasks if task.project_id is not None})
    if any((task.project_id, stage_pk) not in pairs for task in tasks):
        raise ValidationFailed(fields={"stage": [_("The project of the task does not use this stage.")]})
    moved = [task for task in tasks if task.stage_id != stage_pk]
    if not moved:
        return
    now = timezone.now()
    fold = TaskStage.objects.filter(pk=stage_pk, fold=True).exists()
    values: dict[str, Any] = {"stage_id": stage_pk, "date_last_stage_update": now}
    fresh = [t for t in moved if t.state in ACTIVE_STATES]
    waiting = [t for t in moved if t.state == TaskState.WAITING]
    closed = [t for t in moved if t.is_closed]
    end = now if fold else None
    write_tasks(fresh, {**values, "state": TaskState.IN_PROGRESS.value, "date_end": end}, actor, bump=False)
    write_tasks(waiting, {**values, "date_end": end}, actor, bump=False)
    write_tasks(closed, {**values, "date_end": now} if fold else values, actor, bump=False)
    emit(TaskStageChanged(tuple(t.pk for t in moved), stage_pk, actor.company_pk), actor=actor)


@action(Task, permission="change", title=gettext_lazy("Assign"), icon="person_add")
def assign(tasks: Sequence[Task], *, actor: Actor, users: list[User]) -> None:
    """Make exactly these employees the assignees. New ones follow the task and are told; nobody tells himself."""
    wanted = [pk_of(user) for user in users]
    check_targets(Task, {"assignees": wanted}, actor)
    set_assignees(tasks, wanted, actor=actor)


@action(
    Task,
    permission="change",
    title=gettext_lazy("Assign to me"),
    icon="how_to_reg",
    condition=lambda task, actor: actor.is_internal,
)
def assign_to_me(tasks: Sequence[Task], *, actor: Actor) -> None:
    """Join the assignees of the tasks."""
    if not actor.is_internal or actor.user_pk is None:
        raise ValidationFailed(_("Only an employee can take a task."))
    set_assignees(tasks, [actor.user_pk], actor=actor, keep=True)
