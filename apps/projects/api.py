"""REST: ``projects/projects``, ``tasks``, ``stages``, ``milestones``, ``tags``, ``updates`` and what belongs to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar

from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from apps.api.base import Computed, Filter, Input, Resource, resource, route
from apps.core.actor import Actor
from apps.core.rules import get_visible
from apps.core.unit_of_work import unit_of_work
from apps.projects.constants import CLOSED_STATES
from apps.projects.models import (
    Milestone,
    Project,
    ProjectCollaborator,
    ProjectStage,
    ProjectTag,
    ProjectUpdate,
    Task,
    TaskDependency,
    TaskStage,
)
from apps.projects.selectors.projects import aliases_of_projects, favourites_of, task_counts_of
from apps.projects.selectors.tasks import open_blocker_counts, part_counts
from apps.projects.services import quick_create, set_alias
from apps.projects.types import TaskCounts

NO_TASKS = TaskCounts()


def _task_count(pks: Sequence[int], *, actor: Actor) -> dict[int, int]:
    counts = task_counts_of(pks)
    return {pk: counts.get(pk, NO_TASKS).total for pk in pks}


def _closed_task_count(pks: Sequence[int], *, actor: Actor) -> dict[int, int]:
    counts = task_counts_of(pks)
    return {pk: counts.get(pk, NO_TASKS).closed for pk in pks}


def _alias_address(pks: Sequence[int], *, actor: Actor) -> dict[int, str]:
    known = aliases_of_projects(pks)
    return {pk: known.get(pk, "") for pk in pks}


def _is_favourite(pks: Sequence[int], *, actor: Actor) -> dict[int, bool]:
    mine = favourites_of(pks, actor)
    return {pk: pk in mine for pk in pks}


@resource("projects/projects")
class ProjectResource(Resource):
    """Projects. ``alias`` sets the local part of the address whose mail becomes tasks."""

    model = Project
    detail_only = ("description",)
    computed: ClassVar[Mapping[str, Any]] = {
        "alias_address": Computed(
            batch=_alias_address, type=str, nullable=False, help="Mail to it becomes a task."
        ),
        "task_count": Computed(batch=_task_count, type=int, nullable=False),
        "closed_task_count": Computed(batch=_closed_task_count, type=int, nullable=False),
        "is_favourite": Computed(batch=_is_favourite, type=bool, nullable=False),
    }
    portal_fields = ("id", "name", "label_tasks", "partner", "date_start", "date_end", "stages", "company")
    inputs: ClassVar[Mapping[str, Input]] = {
        "alias": Input(str, nullable=True, help="Local part of the project's address; empty takes it away."),
        "alias_policy": Input(str, default="everyone", help="everyone, partners or followers"),
    }
    filters: ClassVar[Mapping[str, Any]] = {
        "mine": Filter(apply=lambda value, *, actor: _either(value, Q(manager_id=actor.user_pk)), type=bool),
        "favourite": Filter(
            apply=lambda value, *, actor: _either(
                value,
                Q(
                    pk__in=Project.favourite_of.through.objects.filter(user_id=actor.user_pk).values(
                        "project_id"
                    )
                ),
            ),
            type=bool,
        ),
    }

    def create(self, rows: Sequence[Mapping[str, Any]], *, actor: Actor) -> list[Project]:
        drafts = [dict(row) for row in rows]
        aliases = [(draft.pop("alias", None), draft.pop("alias_policy", "everyone")) for draft in drafts]
        with unit_of_work(actor):
            records = super().create(drafts, actor=actor)
            for record, (local_part, policy) in zip(records, aliases, strict=True):
                if local_part:
                    set_alias([record], actor=actor, local_part=local_part, policy=policy)
        return records

    def update(
        self, record: Any, values: Mapping[str, Any], *, actor: Actor, expected_version: int | None = None
    ) -> Any:
        draft = dict(values)
        given, policy = "alias" in draft, draft.pop("alias_policy", "everyone")
        local_part = draft.pop("alias", None)
        with unit_of_work(actor):
            record = super().update(record, draft, actor=actor, expected_version=expected_version)
            if given:
                set_alias([record], actor=actor, local_part=local_part or "", policy=policy)
        return record


def _either(value: bool, condition: Q) -> Q:
    return condition if value else ~condition


def _open(value: bool, *, actor: Actor) -> Q:
    return _either(not value, Q(state__in=CLOSED_STATES))


def _mine(value: bool, *, actor: Actor) -> Q:
    return _either(
        value, Q(pk__in=Task.assignees.through.objects.filter(user_id=actor.user_pk).values("task_id"))
    )


def _unassigned(value: bool, *, actor: Actor) -> Q:
    return _either(not value, Q(Exists(Task.assignees.through.objects.filter(task=OuterRef("pk")))))


def _overdue(value: bool, *, actor: Actor) -> Q:
    return _either(value, Q(date_deadline__lt=timezone.now(), date_closed__isnull=True))


def _blocked(value: bool, *, actor: Actor) -> Q:
    links = TaskDependency.objects.filter(task=OuterRef("pk")).exclude(blocker__state__in=CLOSED_STATES)
    return _either(value, Q(Exists(links)))


def _private(value: bool, *, actor: Actor) -> Q:
    return Q(project__isnull=value)


def _parts(pks: Sequence[int], *, actor: Actor) -> dict[int, int]:
    counts = part_counts(pks)
    return {pk: counts.get(pk, NO_TASKS).total for pk in pks}


def _closed_parts(pks: Sequence[int], *, actor: Actor) -> dict[int, int]:
    counts = part_counts(pks)
    return {pk: counts.get(pk, NO_TASKS).closed for pk in pks}


def _open_blockers(pks: Sequence[int], *, actor: Actor) -> dict[int, int]:
    counts = open_blocker_counts(pks)
    return {pk: counts.get(pk, 0) for pk in pks}


@resource("projects/tasks")
class TaskResource(Resource):
    """Tasks and private to-dos."""

    model = Task
    detail_only = ("description",)
    computed: ClassVar[Mapping[str, Any]] = {
        "is_closed": Computed(
            row=lambda row, *, actor: row["state"] in CLOSED_STATES,
            needs=("state",),
            type=bool,
            nullable=False,
        ),
        "subtask_count": Computed(batch=_parts, type=int, nullable=False, in_list=False),
        "closed_subtask_count": Computed(batch=_closed_parts, type=int, nullable=False, in_list=False),
        "open_blocker_count": Computed(batch=_open_blockers, type=int, nullable=False, in_list=False),
    }
    # What a customer is shown of a task that is shared with him, and what he can filter and sort by.
    portal_fields = (
        "id",
        "version",
        "active",
        "name",
        "description",
        "project",
        "parent",
        "stage",
        "state",
        "is_closed",
        "priority",
        "sequence",
        "color",
        "tags",
        "milestone",
        "partner",
        "email_from",
        "date_deadline",
        "date_assign",
        "date_last_stage_update",
        "created_at",
        "updated_at",
        "company",
        "subtask_count",
        "closed_subtask_count",
        "open_blocker_count",
    )
    filters: ClassVar[Mapping[str, Any]] = {
        "open": Filter(apply=_open, type=bool),
        "mine": Filter(apply=_mine, type=bool),
        "unassigned": Filter(apply=_unassigned, type=bool),
        "overdue": Filter(apply=_overdue, type=bool),
        "blocked": Filter(apply=_blocked, type=bool),
        "private": Filter(apply=_private, type=bool),
    }
    prefetch = ()

    @route(
        "quick",
        methods=("POST",),
        detail=False,
        permission="add",
        summary="Make a task from one line: title 2h #tag @user !",
        inputs={"line": Input(str, required=True), "project": Input(Project, nullable=True)},
    )
    def quick(self, request: Any, *, line: str, project: Any = None) -> dict[str, Any]:
        pk = getattr(project, "pk", project)
        found = get_visible(Project, pk, request.actor) if pk is not None else None
        task = quick_create(line, project=found, actor=request.actor)
        return {"id": task.pk, "name": task.name, "allocated_hours": f"{Decimal(task.allocated_hours):.2f}"}


@resource("projects/stages")
class TaskStageResource(Resource):
    """Stages of tasks: those of projects, and one's own personal ones."""

    model = TaskStage
    portal_fields = ("id", "name", "sequence", "fold")


@resource("projects/milestones")
class MilestoneResource(Resource):
    """Milestones of projects."""

    model = Milestone
    portal_fields = ("id", "name", "project", "deadline", "reached", "reached_date")


@resource("projects/tags")
class ProjectTagResource(Resource):
    """Labels of tasks and projects."""

    model = ProjectTag
    portal_fields = ("id", "name", "color")


@resource("projects/updates")
class ProjectUpdateResource(Resource):
    """Reports on how a project stands."""

    model = ProjectUpdate
    detail_only = ("description",)


@resource("projects/project-stages")
class ProjectStageResource(Resource):
    """Phases in the life of projects."""

    model = ProjectStage


@resource("projects/collaborators")
class ProjectCollaboratorResource(Resource):
    """Contacts with whom projects are shared in the portal. Use the project's action ``share`` to invite."""

    model = ProjectCollaborator
    portal_fields = ("id", "project", "partner", "limited")
