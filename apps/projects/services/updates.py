"""Reports on how a project stands; the newest by date is the project's status."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from django.db.models import F
from django.utils import timezone

from apps.core.actor import Actor
from apps.core.html import sanitize_html
from apps.core.links import pk_of
from apps.core.records import RecordService, Values, service
from apps.core.unit_of_work import unit_of_work
from apps.projects.constants import ProjectStatus
from apps.projects.dates import today_of
from apps.projects.models import Project, ProjectUpdate
from apps.projects.selectors.projects import task_counts_of
from apps.projects.types import TaskCounts


@service(ProjectUpdate)
class ProjectUpdateService(RecordService[ProjectUpdate]):
    """Stores the task counts of the day with a report and makes it the project's last one."""

    internal_fields = frozenset({"task_count", "closed_task_count"})

    def prepare_create(self, rows: list[Values], actor: Actor) -> None:
        project_pks = {pk_of(row.get("project")) for row in rows} - {None}
        counts = task_counts_of(project_pks)
        last = dict(
            Project._base_manager.filter(pk__in=project_pks, last_update__isnull=False).values_list(
                "pk", "last_update__progress"
            )
        )
        for row in rows:
            project_pk = pk_of(row.get("project"))
            row.setdefault("date", today_of(actor))
            row.setdefault("author", actor.user_pk)
            row.setdefault("progress", last.get(project_pk, 0))
            row["description"] = sanitize_html(str(row.get("description") or ""))
            tasks = counts.get(project_pk, TaskCounts())
            row["task_count"], row["closed_task_count"] = tasks.total, tasks.closed

    def prepare_update(self, records: Sequence[ProjectUpdate], values: Values, actor: Actor) -> None:
        if values.get("description"):
            values["description"] = sanitize_html(str(values["description"]))

    def after_create(self, records: Sequence[ProjectUpdate], rows: Sequence[Values], actor: Actor) -> None:
        _mirror_status({record.project_id for record in records}, actor)

    def after_update(
        self, records: Sequence[ProjectUpdate], before: object, values: Values, actor: Actor
    ) -> None:
        if {"status", "date", "project"} & set(values):
            _mirror_status({record.project_id for record in records}, actor)

    def before_delete(self, records: Sequence[ProjectUpdate], actor: Actor) -> None:
        _mirror_status({record.project_id for record in records}, actor, without=[r.pk for r in records])


def _mirror_status(project_pks: Collection[int], actor: Actor, *, without: Iterable[int] = ()) -> None:
    """Bring ``last_update`` and ``last_status`` of the projects in line with their reports."""
    newest = {
        update.project_id: update
        for update in ProjectUpdate._base_manager.filter(project__in=project_pks)
        .exclude(pk__in=list(without))
        .order_by("project_id", "-date", "-pk")
        .distinct("project_id")
    }
    projects = Project._base_manager.filter(pk__in=project_pks).order_by("pk").select_for_update(of=("self",))
    with unit_of_work(actor) as work:
        changed = []
        for project in projects:
            update = newest.get(project.pk)
            status = update.status if update else ProjectStatus.TO_DEFINE.value
            if (project.last_update_id, project.last_status) == (update.pk if update else None, status):
                continue
            work.track(project, {"last_status": project.last_status}, {"last_status": status})
            project.last_update, project.last_status = update, status
            project.version = F("version") + 1
            project.updated_at, project.updated_by_id = timezone.now(), actor.user_pk
            changed.append(project)
        Project._base_manager.bulk_update(
            changed, ["last_update", "last_status", "version", "updated_at", "updated_by"]
        )
