"""Writing projects: dates in pairs, company and archive carried to the tasks, what a change of privacy brings."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.contacts.models import Partner
from apps.core.actor import Actor
from apps.core.config import get_setting
from apps.core.errors import ValidationFailed
from apps.core.hooks import collect_deleting
from apps.core.html import sanitize_html
from apps.core.links import pk_of
from apps.core.records import RecordService, Values, service
from apps.core.unit_of_work import emit
from apps.projects.constants import TaskState
from apps.projects.events import ProjectArchived
from apps.projects.models import Milestone, Project, ProjectUpdate, Task, TaskStage
from apps.projects.services.aliases import alias_follows_company, give_alias
from apps.projects.services.followers import privacy_changed
from apps.projects.services.tasks import clean_up_tasks, release_dependents
from apps.projects.services.waiting import refresh_waiting
from apps.projects.services.writing import defer_company_guards, enforce_company_guards

DATES = ("date_start", "date_end")


@service(Project)
class ProjectService(RecordService[Project]):
    """The one writer of projects."""

    def prepare_create(self, rows: list[Values], actor: Actor) -> None:
        partners = dict(
            Partner._base_manager.filter(
                pk__in={pk_of(row.get("partner")) for row in rows} - {None}
            ).values_list("pk", "company_id")
        )
        unstaged = [row for row in rows if not row.get("stages")]
        stages = TaskStage.objects.bulk_create(
            [
                TaskStage(name=_("New"), created_by_id=actor.user_pk, updated_by_id=actor.user_pk)
                for _row in unstaged
            ]
        )
        for row, stage in zip(unstaged, stages, strict=True):
            row["stages"] = [stage.pk]
        for row in rows:
            if "manager" not in row and actor.is_internal:
                row["manager"] = actor.user_pk
            if row.get("company") is None:
                # A customer that one company alone knows makes it that company's project.
                row["company"] = partners.get(pk_of(row.get("partner")))
            company_pk = pk_of(row.get("company"))
            for name in ("allow_task_dependencies", "allow_milestones"):
                if row.get(name) is None:
                    row[name] = get_setting(f"projects.{name}", company_pk=company_pk)
            row["description"] = sanitize_html(str(row.get("description") or ""))
            _pair_dates(row)

    def prepare_update(self, records: Sequence[Project], values: Values, actor: Actor) -> None:
        if values.get("description"):
            values["description"] = sanitize_html(str(values["description"]))
        _pair_dates_of(records, values)
        if "stages" in values:
            self._check_stages(records, {pk_of(stage) for stage in values["stages"] or ()})
        if "company" in values:
            defer_company_guards()
        elif values.get("partner") is not None and all(record.company_id is None for record in records):
            company = Partner._base_manager.filter(pk=pk_of(values["partner"])).values_list(
                "company", flat=True
            )
            if (pk := company.first()) is not None:
                values["company"] = pk
                defer_company_guards()

    def _check_stages(self, records: Sequence[Project], wanted: Collection[int]) -> None:
        left = (
            Task._base_manager.filter(project__in=records, stage__isnull=False)
            .exclude(stage__in=wanted)
            .order_by()
            .values_list("stage__name", flat=True)
            .distinct()
        )
        names = sorted(left)
        if names:
            text = _("There are still tasks in: %(names)s. Move them first.") % {"names": ", ".join(names)}
            raise ValidationFailed(fields={"stages": [text]})

    def after_create(self, records: Sequence[Project], rows: Sequence[Values], actor: Actor) -> None:
        privacy_changed(records, before={}, actor=actor)

    def after_update(
        self,
        records: Sequence[Project],
        before: Mapping[Any, Mapping[str, Any]],
        values: Values,
        actor: Actor,
    ) -> None:
        def changed(name: str) -> list[Project]:
            attribute = f"{name}_id" if name == "company" else name
            return [r for r in records if name in values and before[r.pk][name] != getattr(r, attribute)]

        if "company" in values:
            self._carry_company(changed("company"), actor)
        if archived := changed("active"):
            self._carry_active(archived, actor)
        if switched := changed("allow_task_dependencies"):
            affected = Task._base_manager.filter(project__in=switched).filter(
                Q(state=TaskState.WAITING) | Q(blocker_links__isnull=False)
            )
            refresh_waiting(set(affected.values_list("pk", flat=True)), actor=actor)
        if opened := changed("privacy"):
            privacy_changed(opened, before={r.pk: before[r.pk]["privacy"] for r in opened}, actor=actor)

    def _carry_company(self, projects: Sequence[Project], actor: Actor) -> None:
        """The tasks go along; a customer or parent of another company keeps the project where it is (trigger)."""
        for project in projects:
            Task._base_manager.filter(project=project).update(
                company_id=project.company_id,
                version=F("version") + 1,
                updated_at=timezone.now(),
                updated_by_id=actor.user_pk,
            )
        enforce_company_guards()
        alias_follows_company(projects, actor=actor)

    def _carry_active(self, projects: Sequence[Project], actor: Actor) -> None:
        for active in (True, False):
            pks = [project.pk for project in projects if project.active is active]
            if pks:
                Task._base_manager.filter(project__in=pks, active=not active).update(
                    active=active,
                    version=F("version") + 1,
                    updated_at=timezone.now(),
                    updated_by_id=actor.user_pk,
                )
                emit(ProjectArchived(tuple(pks), active, actor.company_pk), actor=actor)

    def before_delete(self, records: Sequence[Project], actor: Actor) -> None:
        """Tasks, milestones, updates and the address go with the project, and so do the threads."""
        for project in records:
            give_alias(project, "", policy="everyone", actor=actor)
        pks = list(Task._base_manager.filter(project__in=records).order_by("pk").values_list("pk", flat=True))
        release_dependents(pks, actor=actor)
        clean_up_tasks(pks, actor=actor)
        for model in (Milestone, ProjectUpdate):
            rows = list(model._base_manager.filter(project__in=records))
            if rows:
                collect_deleting.run(records=rows, actor=actor)


def ensure_access_token(record: Project | Task) -> str:
    """The secret that opens the portal page of a project or task, made when first asked for.

    Two askers at the same moment get the same one: the row is written only while it has none.
    """
    if record.access_token is None:
        model = type(record)
        model._base_manager.filter(pk=record.pk, access_token__isnull=True).update(access_token=uuid.uuid4())
        record.access_token = model._base_manager.values_list("access_token", flat=True).get(pk=record.pk)
    return str(record.access_token)


def _pair_dates(row: Values) -> None:
    """Both dates or none: one without the other is dropped."""
    if (row.get("date_start") is None) != (row.get("date_end") is None):
        row["date_start"] = row["date_end"] = None


def _pair_dates_of(records: Sequence[Project], values: Values) -> None:
    given = [name for name in DATES if name in values]
    if len(given) == 2:
        _pair_dates(values)
    elif given:
        other = DATES[1 - DATES.index(given[0])]
        if values[given[0]] is None:
            values[other] = None
        elif all(getattr(record, other) is None for record in records):
            del values[given[0]]
