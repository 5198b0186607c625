"""Reads about tasks: trees, blockers, stages. Set-based."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import connection
from django.db.models import Count, F, Q, QuerySet, Window
from django.db.models.functions import RowNumber

from apps.projects.constants import CLOSED_STATES
from apps.projects.models import Project, ProjectTaskStage, Task, TaskAssignee, TaskDependency, TaskStage
from apps.projects.types import TaskCounts

_DESCENDANTS = """
WITH RECURSIVE part(id) AS (
    SELECT id FROM projects_task WHERE parent_id = ANY(%(roots)s)
    UNION SELECT t.id FROM part JOIN projects_task t ON t.parent_id = part.id
) SELECT id FROM part ORDER BY id
"""

# Sub-tasks that are not shown in the project themselves go where their parent goes.
_FOLLOWING = """
WITH RECURSIVE part(id) AS (
    SELECT id FROM projects_task WHERE parent_id = ANY(%(roots)s) AND NOT display_in_project
    UNION SELECT t.id FROM part JOIN projects_task t ON t.parent_id = part.id AND NOT t.display_in_project
) SELECT id FROM part ORDER BY id
"""


def _tree(statement: str, roots: Sequence[int]) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(statement, {"roots": list(roots)})
        return [row[0] for row in cursor.fetchall()]


def descendants_of(task_pks: Iterable[int]) -> list[int]:
    """Primary keys of all parts, parts of parts and so on. Not limited to what somebody may see."""
    return _tree(_DESCENDANTS, list(task_pks))


def following_parts_of(task_pks: Iterable[int]) -> list[int]:
    """Descendants that move with their parents from project to project."""
    return _tree(_FOLLOWING, list(task_pks))


def first_stages(project_pks: Iterable[int]) -> dict[int, TaskStage]:
    """The stage that a new task of each project enters: the first one, folded stages last. One query."""
    links = (
        ProjectTaskStage.objects.filter(project__in=list(project_pks), stage__active=True)
        .select_related("stage")
        .order_by("project_id", "stage__fold", "stage__sequence", "stage_id")
        .distinct("project_id")
    )
    return {link.project_id: link.stage for link in links}


def stage_pairs(project_pks: Iterable[int]) -> set[tuple[int, int]]:
    """All (project, stage) that exist for these projects."""
    rows = ProjectTaskStage.objects.filter(project__in=list(project_pks))
    return set(rows.values_list("project_id", "stage_id"))


def part_counts(task_pks: Iterable[int]) -> dict[int, TaskCounts]:
    """Direct sub-tasks by parent, archived ones included as the parent still shows them. One query."""
    rows = (
        Task._base_manager.filter(parent__in=list(task_pks))
        .order_by()
        .values("parent_id")
        .annotate(total=Count("pk"), closed=Count("pk", filter=Q(state__in=CLOSED_STATES)))
    )
    return {row["parent_id"]: TaskCounts(row["total"], row["closed"]) for row in rows}


def open_blocker_counts(task_pks: Iterable[int]) -> dict[int, int]:
    """How many open tasks block each task; tasks that nothing blocks are left out. One query."""
    rows = (
        TaskDependency.objects.filter(task__in=list(task_pks))
        .exclude(blocker__state__in=CLOSED_STATES)
        .order_by()
        .values("task_id")
        .annotate(n=Count("pk"))
    )
    return {row["task_id"]: row["n"] for row in rows}


def assignee_names(task_pks: Iterable[int]) -> dict[int, list[str]]:
    """Names of the assignees by task, in alphabetical order. One query."""
    names: dict[int, list[str]] = defaultdict(list)
    rows = TaskAssignee.objects.filter(task__in=list(task_pks)).order_by("user__name", "user_id")
    for task_pk, name in rows.values_list("task_id", "user__name"):
        names[task_pk].append(name)
    return dict(names)


@dataclass(frozen=True, slots=True)
class BoardColumn:
    """A stage of a board: how many tasks are in it, and the first of them."""

    stage: TaskStage
    count: int
    tasks: Sequence[Task]

    @property
    def hidden(self) -> int:
        return self.count - len(self.tasks)


def board_columns(rows: QuerySet[Task], project: Project, *, limit: int = 20) -> list[BoardColumn]:
    """The columns of a project over rows that the reader may see. Three queries, whatever their number."""
    stages = list(project.stages.order_by("sequence", "pk"))
    counted = rows.order_by().values("stage_id").annotate(n=Count("pk"))
    counts = {row["stage_id"]: row["n"] for row in counted}
    order = [F("priority").desc(), F("sequence").asc(), F("date_deadline").asc(), F("pk").desc()]
    ranked = rows.annotate(place=Window(RowNumber(), partition_by="stage_id", order_by=order))
    shown: dict[int | None, list[Task]] = defaultdict(list)
    for task in ranked.filter(place__lte=limit).order_by("place"):
        shown[task.stage_id].append(task)
    return [BoardColumn(stage, counts.get(stage.pk, 0), shown[stage.pk]) for stage in stages]
