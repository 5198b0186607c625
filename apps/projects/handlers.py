"""What projects do about events, and what they say about their threads."""

from __future__ import annotations

from typing import Any

from apps.access.constants import UserKind
from apps.access.hooks import collect_users_updated
from apps.chatter.hooks import (
    filter_change_subtype,
    filter_creation_subtype,
    filter_default_followers,
    set_post_access,
)
from apps.core.actor import Actor
from apps.core.events import on
from apps.mail.hooks import filter_reply_owner
from apps.projects.constants import Privacy, TaskState
from apps.projects.events import BlockersChanged
from apps.projects.models import Project, Task, TaskAssignee
from apps.projects.services.waiting import refresh_waiting

# Whoever sees a task or project may write in its thread, customers included.
for label in ("projects.task", "projects.project", "projects.milestone", "projects.projectupdate"):
    set_post_access(label, "view")

STATE_SUBTYPES = {
    TaskState.DONE.value: "projects.task_done",
    TaskState.CANCELLED.value: "projects.task_cancelled",
    TaskState.IN_PROGRESS.value: "projects.task_in_progress",
    TaskState.APPROVED.value: "projects.task_approved",
    TaskState.CHANGES_REQUESTED.value: "projects.task_changes_requested",
    TaskState.WAITING.value: "projects.task_waiting",
}


@on(BlockersChanged)
def judge_dependents(event: BlockersChanged, *, actor: Actor) -> None:
    """Tasks that were in use when a blocker was closed or opened: whether they wait now."""
    refresh_waiting(event.pks, actor=actor)


@filter_change_subtype.register
def changes_of_a_task(code: str, *, model: type[Any], record: Any, changes: list[Any], actor: Actor) -> str:
    """A change of state or stage is something that one can follow; the state says more than the stage."""
    if model is Task and not code:
        fields = {change.field: change.new for change in changes}
        if "state" in fields:
            return STATE_SUBTYPES.get(fields["state"], code)
        if "stage" in fields and fields["stage"] is not None:
            return "projects.stage_changed"
    return code


@filter_creation_subtype.register
def creation_of_a_task(code: str, *, model: type[Any], record: Any, actor: Actor) -> str:
    return code or ("projects.task_created" if model is Task and record.project_id is not None else "")


@filter_default_followers.register
def first_followers(partner_pks: set[int], *, record: Any, actor: Actor) -> set[int]:
    """The maker of an open project does not follow it for that alone; a portal user follows the tasks he makes."""
    if isinstance(record, Project) and record.privacy != Privacy.FOLLOWERS:
        return partner_pks - {actor.partner_pk}
    if isinstance(record, Task) and actor.is_portal and actor.partner_pk is not None:
        return partner_pks | {actor.partner_pk}
    return partner_pks


@filter_reply_owner.register
def answers_go_to_the_project(owner: Any, *, record: Any) -> Any:
    """Mails about a task, milestone or report are answered to the address of the project."""
    project = getattr(record, "project", None) if record._meta.app_label == "projects" else None
    return project or owner


@collect_users_updated.register
def leavers_work_on_no_task(
    users: list[Any], *, before: dict[int, dict[str, Any]], values: dict[str, Any], actor: Actor
) -> None:
    """Who is no employee any more is taken off all tasks; archived employees stay on theirs."""
    gone = [user.pk for user in users if "kind" in values and user.kind != UserKind.INTERNAL]
    TaskAssignee.objects.filter(user__in=gone).delete()
