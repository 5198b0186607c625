"""Figures of projects: tasks by state, milestones. All take sets and cost a fixed number of queries."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterable
from typing import Any

from django.db.models import Count, Exists, F, IntegerField, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from apps.core.actor import Actor
from apps.mail.selectors.addresses import aliases_of
from apps.projects.constants import CLOSED_STATES
from apps.projects.models import Milestone, Project, Task
from apps.projects.types import MilestoneFigures, TaskCounts


def project_counts(queryset: QuerySet[Project]) -> QuerySet[Project]:
    """Adds ``task_count`` and ``closed_task_count`` to projects, archived tasks left out."""
    tasks = Task._base_manager.filter(project=OuterRef("pk"), active=True).order_by().values("project")

    def counted(rows: QuerySet[Any]) -> Coalesce:
        return Coalesce(Subquery(rows.annotate(n=Count("pk")).values("n"), output_field=IntegerField()), 0)

    return queryset.annotate(
        task_count=counted(tasks), closed_task_count=counted(tasks.filter(state__in=CLOSED_STATES))
    )


def task_counts_of(project_pks: Iterable[int], *, actor: Actor | None = None) -> dict[int, TaskCounts]:
    """Counts by project, in one query. All active tasks count, whoever asks: the project is what was checked."""
    rows = (
        Task._base_manager.filter(project__in=list(project_pks), active=True)
        .order_by()
        .values("project_id")
        .annotate(total=Count("pk"), closed=Count("pk", filter=Q(state__in=CLOSED_STATES)))
    )
    return {row["project_id"]: TaskCounts(row["total"], row["closed"]) for row in rows}


def completion_text(counts: TaskCounts) -> str:
    """``4 / 8 (50%)``; percentages are rounded half up."""
    percent = (200 * counts.closed + counts.total) // (2 * counts.total) if counts.total else 0
    return f"{counts.closed} / {counts.total} ({percent}%)"


def milestone_figures(project_pks: Iterable[int], *, on: datetime.date) -> dict[int, MilestoneFigures]:
    """Milestones by project, in one query. *Next* is the earliest one that is not reached."""
    gathered: dict[int, list[Milestone]] = {pk: [] for pk in project_pks}
    # Undated milestones come last.
    rows = Milestone._base_manager.filter(project__in=list(gathered)).order_by(
        F("deadline").asc(nulls_last=True), "name", "pk"
    )
    for row in rows:
        gathered[row.project_id].append(row)
    figures = {}
    for pk, milestones in gathered.items():
        ahead = [m for m in milestones if not m.reached]
        following = ahead[0] if ahead else None
        figures[pk] = MilestoneFigures(
            total=len(milestones),
            reached=len(milestones) - len(ahead),
            next_pk=following.pk if following else None,
            next_name=following.name if following else "",
            next_deadline=following.deadline if following else None,
            exceeded=any(m.deadline is not None and m.deadline < on for m in ahead),
        )
    return figures


def aliases_of_projects(project_pks: Collection[int]) -> dict[int, str]:
    """E-mail addresses by project; projects without one are left out. One query."""
    return aliases_of(Project._meta.label_lower, project_pks)


def favourites_of(project_pks: Iterable[int], actor: Actor) -> set[int]:
    """Those of the projects that are the actor's favourites."""
    if actor.user_pk is None:
        return set()
    links = Project.favourite_of.through.objects.filter(user_id=actor.user_pk, project__in=list(project_pks))
    return set(links.values_list("project_id", flat=True))


def with_reach(queryset: QuerySet[Milestone]) -> QuerySet[Milestone]:
    """Adds ``can_be_marked_done``: not reached, with at least one closed task and no open one."""
    tasks = Task._base_manager.filter(milestone=OuterRef("pk"), active=True)
    return queryset.annotate(
        has_closed_task=Exists(tasks.filter(state__in=CLOSED_STATES)),
        has_open_task=Exists(tasks.exclude(state__in=CLOSED_STATES)),
    ).annotate(can_be_marked_done=Q(reached=False, has_closed_task=True, has_open_task=False))
