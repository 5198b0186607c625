"""Writing tasks: defaults from project and parent, dates that follow from stage and state, parts that move along.

``TaskService`` keeps these true for every interface:

* a task of a project has the project's company, and its stage is one of the project's;
* entering another stage or project takes an open task back to *in progress* (a waiting one keeps waiting);
* ``date_last_stage_update`` is the time of the last change of stage, project or state; ``date_end`` that of being
  closed or put into a folded stage, ``date_closed`` that of being closed, ``date_assign`` that of getting somebody;
* sub-tasks that are not shown in the project go where their parent goes.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.core.actor import Actor
from apps.core.errors import PermissionDenied, ValidationFailed
from apps.core.events import RecordsDeleted
from apps.core.hooks import collect_deleting
from apps.core.html import html_to_text, sanitize_html
from apps.core.links import pk_of
from apps.core.records import RecordService, Values, service
from apps.core.unit_of_work import emit, unit_of_work
from apps.projects.constants import (
    ACTIVE_STATES,
    CLOSED_STATES,
    PORTAL_WRITABLE,
    UNTITLED,
    UNTITLED_LENGTH,
    TaskState,
)
from apps.projects.events import TaskClosed, TaskMoved, TaskReopened, TaskStageChanged
from apps.projects.models import Milestone, Project, Task, TaskAssignee, TaskDependency, TaskStage
from apps.projects.selectors.tasks import descendants_of, first_stages, following_parts_of, stage_pairs
from apps.projects.services.assignees import announce_assignees, assignees_of, check_assignable
from apps.projects.services.waiting import hold_blockers, refresh_dependents, refresh_waiting
from apps.projects.services.writing import (
    defer_company_guards,
    enforce_company_guards,
    in_groups,
    lock_graph,
    write_tasks,
)

# Any of these written together or alone makes the task "move": dates and state may follow.
MOVING = ("project", "stage", "state")
GRAPH = ("parent", "depends_on")


@dataclass(frozen=True, slots=True)
class _Was:
    """What a locked task was before the values of an update were applied to it."""

    state: str
    stage_pk: int | None
    project_pk: int | None
    date_closed: datetime.datetime | None
    date_end: datetime.datetime | None
    date_assign: datetime.datetime | None
    moving: bool
    assigned: bool = False
    will_be_assigned: bool | None = None  # None: the update says nothing about assignees

    @property
    def is_closed(self) -> bool:
        return self.state in CLOSED_STATES


@service(Task)
class TaskService(RecordService[Task]):
    """The one writer of tasks."""

    def writable_fields(self, actor: Actor) -> set[str] | None:
        # A portal user names the project when making a task and can never change it afterwards.
        return {*PORTAL_WRITABLE, "project"} if actor.kind in ("portal", "public") else None

    # ----------------------------------------------------------------- create
    def create(self, rows: Sequence[Mapping[str, Any]], *, actor: Actor) -> list[Task]:
        blockers = {pk_of(item) for row in rows for item in row.get("depends_on") or ()}
        if not blockers:
            return super().create(rows, actor=actor)
        with unit_of_work(actor):
            lock_graph()
            hold_blockers(blockers)
            return super().create(rows, actor=actor)

    def prepare_create(self, rows: list[Values], actor: Actor) -> None:
        now = timezone.now()
        parents = _by_pk(Task, rows, "parent")
        for row in rows:
            parent = parents.get(pk_of(row.get("parent")))
            if parent is not None and row.get("project") is None:
                row["project"] = parent.project_id
        projects = _by_pk(Project, rows, "project")
        partners = _companies_of_partners(rows, parents, projects)
        firsts = first_stages(projects)
        stages = _by_pk(TaskStage, rows, "stage")
        for row in rows:
            project = projects.get(pk_of(row.get("project")))
            parent = parents.get(pk_of(row.get("parent")))
            _fill_from_parent_and_project(row, parent, project, actor)
            if project is not None and row.get("stage") is None:
                row["stage"] = firsts.get(project.pk)
            if row.get("company") is None:
                row["company"] = partners.get(pk_of(row.get("partner")))
            stage = (
                row["stage"]
                if isinstance(row.get("stage"), TaskStage)
                else stages.get(pk_of(row.get("stage")))
            )
            _stamp_new(row, stage, now)
        _clean_texts(rows)
        for row in rows:
            if row.get("project") is None and not str(row.get("name") or "").strip():
                row["name"] = _name_from(row.get("description") or "")
        check_assignable({pk_of(user) for row in rows for user in row.get("assignees") or ()})
        _check_stage_and_milestone(rows, numbered=len(rows) > 1)

    def after_create(self, records: Sequence[Task], rows: Sequence[Values], actor: Actor) -> None:
        blocked = {
            record.pk: record for record, row in zip(records, rows, strict=True) if row.get("depends_on")
        }
        for pk, state in refresh_waiting(blocked, actor=actor, bump=False).items():
            blocked[pk].state = state
        added = {
            r.pk: {pk_of(u) for u in row.get("assignees") or ()} for r, row in zip(records, rows, strict=True)
        }
        announce_assignees(records, added, actor=actor)

    # ----------------------------------------------------------------- update
    def update(
        self,
        records: Any,
        values: Mapping[str, Any],
        *,
        actor: Actor,
        expected_version: int | None = None,
        operation: str = "change",
    ) -> list[Task]:
        records = list(records)
        if not any(name in values for name in GRAPH):
            return super().update(
                records, values, actor=actor, expected_version=expected_version, operation=operation
            )
        with unit_of_work(actor):
            # All row locks in one order: the tasks and what they will depend on.
            lock_graph()
            blockers = {pk_of(item) for item in values.get("depends_on") or ()}
            pks = {record.pk for record in records} | blockers
            list(Task._base_manager.filter(pk__in=pks).order_by("pk").select_for_update().values_list("pk"))
            return super().update(
                records, values, actor=actor, expected_version=expected_version, operation=operation
            )

    def prepare_update(self, records: Sequence[Task], values: Values, actor: Actor) -> None:
        if "project" in values and writable_only_at_birth(actor):
            raise PermissionDenied(
                _("You may not move a task to another project."),
                fields={"project": [_("You may not write this field.")]},
            )
        if values.get("parent") is not None:
            self._prepare_parent(records, values)
        if "project" in values:
            self._prepare_project(records, values)
        elif "partner" in values:
            _adopt_company_of_partner(records, values)
        _clean_texts([values])
        if "assignees" in values:
            held = assignees_of(record.pk for record in records)
            wanted = {pk_of(user) for user in values["assignees"] or ()}
            check_assignable({pk for users in held.values() for pk in wanted - users})
            values["date_assign"] = None
        else:
            held = {}
        moving = any(name in values for name in MOVING)
        if moving:
            values |= {"date_closed": None, "date_end": None, "date_last_stage_update": timezone.now()}
        if "parent" in values and values["parent"] is None:
            values["display_in_project"] = True
        _check_moves(records, values)
        for record in records:
            # Read again in ``validate``, when the new values are set and not yet saved.
            record._was = _Was(  # type: ignore[attr-defined]
                record.state,
                record.stage_id,
                record.project_id,
                record.date_closed,
                record.date_end,
                record.date_assign,
                moving,
                bool(held.get(record.pk)),
                bool(values["assignees"]) if "assignees" in values else None,
            )

    def _prepare_parent(self, records: Sequence[Task], values: Values) -> None:
        parent_pk = pk_of(values["parent"])
        own = {record.pk for record in records}
        if parent_pk in own or parent_pk in descendants_of(own):
            raise ValidationFailed(fields={"parent": [_("A task cannot be a part of itself.")]})
        if "project" not in values and all(record.project_id is None for record in records):
            values["project"] = (
                Task._base_manager.filter(pk=parent_pk).values_list("project", flat=True).first()
            )

    def _prepare_project(self, records: Sequence[Task], values: Values) -> None:
        project_pk = pk_of(values["project"])
        if project_pk is None:
            own = [record.pk for record in records]
            if Task._base_manager.filter(parent__in=own, project__isnull=False).exists():
                raise ValidationFailed(
                    fields={"project": [_("A task with sub-tasks cannot become private.")]}
                )
            values |= {"parent": None, "stage": None, "milestone": None, "display_in_project": True}
            values.setdefault("partner", None)
            return
        defer_company_guards()
        project = Project._base_manager.filter(pk=project_pk).first()
        if project is not None:
            company = project.company_id
            if company is None and values.get("partner") is not None:
                company = _companies_of([pk_of(values["partner"])]).get(pk_of(values["partner"]))
            values["company"] = company

    def validate(self, records: Sequence[Task], actor: Actor) -> None:
        """The dates that follow from an update, task by task; ``prepare_update`` put their names on the list."""
        moving = [record for record in records if hasattr(record, "_was") and _was(record).moving]
        folded = _folded({record.stage_id for record in moving})
        now = timezone.now()
        for record in moving:
            was = _was(record)
            record.date_closed = (was.date_closed or now) if record.is_closed else None
            entered = record.stage_id != was.stage_pk and record.stage_id in folded
            ended = record.is_closed or record.stage_id in folded
            record.date_end = (now if entered else was.date_end or now) if ended else None
        for record in records:
            held: _Was | None = getattr(record, "_was", None)
            if held is not None and held.will_be_assigned is not None:
                since = (held.date_assign if held.assigned else None) or now
                record.date_assign = since if held.will_be_assigned else None

    def after_update(
        self, records: Sequence[Task], before: Mapping[Any, Mapping[str, Any]], values: Values, actor: Actor
    ) -> None:
        moved = [r for r in records if "project" in values and before[r.pk]["project"] != r.project_id]
        if moved:
            self._settle_in_project(moved, values, actor)
        changed = [r for r in records if _was(r).stage_pk != r.stage_id or _was(r).project_pk != r.project_id]
        if "state" not in values:
            stale = [r for r in changed if r.state in ACTIVE_STATES and r.state != TaskState.IN_PROGRESS]
            write_tasks(stale, {"state": TaskState.IN_PROGRESS.value}, actor, bump=False)
        closed = [r for r in records if r.is_closed and not _was(r).is_closed]
        opened = [r for r in records if not r.is_closed and _was(r).is_closed]
        if "depends_on" in values or "state" in values or moved:
            for pk, state in refresh_waiting([r.pk for r in records], actor=actor, bump=False).items():
                next(r for r in records if r.pk == pk).state = state
        if closed or opened:
            refresh_dependents([*closed, *opened], actor=actor)
        self._spread(records, before, values, actor)
        self._announce(records, before, values, closed, opened, changed, moved, actor)
        for record in records:
            del record._was  # type: ignore[attr-defined]

    def _settle_in_project(self, moved: Sequence[Task], values: Values, actor: Actor) -> None:
        """Stage, milestone, place and people of tasks that came into another project, and their parts."""
        project_pk = moved[0].project_id
        if project_pk is None:
            links = TaskDependency.objects.filter(
                models.Q(task__in=[t.pk for t in moved]) | models.Q(blocker__in=[t.pk for t in moved])
            )
            freed = set(links.values_list("task_id", flat=True)) - {t.pk for t in moved}
            links.delete()
            refresh_waiting(freed, actor=actor)
            _keep_somebody(moved, actor)
            return
        if "milestone" not in values:
            write_tasks([t for t in moved if t.milestone_id], {"milestone_id": None}, actor, bump=False)
        _settle_stage(moved, project_pk, actor, bump=False)
        parents = dict(
            Task._base_manager.filter(pk__in={t.parent_id for t in moved}).values_list("pk", "project_id")
        )
        apart = [t for t in moved if t.parent_id and parents.get(t.parent_id) != project_pk]
        write_tasks(
            [t for t in apart if not t.display_in_project], {"display_in_project": True}, actor, bump=False
        )
        parts = list(
            Task._base_manager.filter(pk__in=following_parts_of(t.pk for t in moved))
            .order_by("pk")
            .select_for_update(of=("self",))
        )
        if parts:
            target = {"project_id": project_pk, "company_id": moved[0].company_id, "milestone_id": None}
            now = timezone.now()
            write_tasks(parts, {**target, "date_last_stage_update": now}, actor)
            _settle_stage(parts, project_pk, actor, bump=False)
            stale = [t for t in parts if t.state in ACTIVE_STATES and t.state != TaskState.IN_PROGRESS]
            write_tasks(stale, {"state": TaskState.IN_PROGRESS.value}, actor, bump=False)
            refresh_waiting([t.pk for t in parts], actor=actor, bump=False)
        enforce_company_guards()

    def _spread(
        self, records: Sequence[Task], before: Mapping[Any, Mapping[str, Any]], values: Values, actor: Actor
    ) -> None:
        """A new milestone goes to the open sub-tasks that had none or the same old one."""
        if "milestone" not in values:
            return
        changed = {r.pk: r for r in records if before[r.pk]["milestone"] != r.milestone_id}
        children = (
            Task._base_manager.filter(parent__in=changed).order_by("pk").select_for_update(of=("self",))
        )
        pairs = []
        for child in children:
            parent = changed[child.parent_id or 0]
            old = before[parent.pk]["milestone"]
            if (
                not child.is_closed
                and child.project_id == parent.project_id
                and child.milestone_id in (None, old)
            ):
                pairs.append((child, parent.milestone_id))
        for milestone_pk, group in in_groups(pairs).items():
            write_tasks(
                [t for t in group if t.milestone_id != milestone_pk], {"milestone_id": milestone_pk}, actor
            )

    def _announce(
        self,
        records: Sequence[Task],
        before: Mapping[Any, Mapping[str, Any]],
        values: Values,
        closed: Sequence[Task],
        opened: Sequence[Task],
        changed: Sequence[Task],
        moved: Sequence[Task],
        actor: Actor,
    ) -> None:
        if closed:
            emit(TaskClosed(tuple(t.pk for t in closed), actor.company_pk), actor=actor)
        if opened:
            emit(TaskReopened(tuple(t.pk for t in opened), actor.company_pk), actor=actor)
        if moved:
            emit(TaskMoved(tuple(t.pk for t in moved), moved[0].project_id, actor.company_pk), actor=actor)
        restaged = [(t, t.stage_id) for t in changed if t.stage_id != _was(t).stage_pk]
        for stage_pk, group in in_groups(restaged).items():
            emit(TaskStageChanged(tuple(t.pk for t in group), stage_pk, actor.company_pk), actor=actor)
        if "assignees" in values:
            wanted = {pk_of(user) for user in values["assignees"] or ()}
            added = {r.pk: wanted - set(before[r.pk]["assignees"]) for r in records}
            announce_assignees(records, added, actor=actor)

    # ----------------------------------------------------------------- delete
    def before_delete(self, records: Sequence[Task], actor: Actor) -> None:
        """All descendants go too; what hangs on them is cleaned up as for the tasks themselves."""
        pks = {record.pk for record in records}
        below = [pk for pk in descendants_of(pks) if pk not in pks]
        release_dependents([*pks, *below], actor=actor)
        clean_up_tasks(below, actor=actor)


def release_dependents(going: Collection[int], *, actor: Actor) -> None:
    """Before tasks are deleted: nothing waits for them any more."""
    links = TaskDependency.objects.filter(blocker__in=going)
    waiting = set(links.values_list("task_id", flat=True)) - set(going)
    links.delete()
    refresh_waiting(waiting, actor=actor, wait=False)


def clean_up_tasks(pks: Sequence[int], *, actor: Actor) -> None:
    """Before tasks go together with their project or parent: threads and whatever else hangs on them, and the event."""
    if not pks:
        return
    tasks = list(Task._base_manager.filter(pk__in=pks).order_by("pk").select_for_update(of=("self",)))
    collect_deleting.run(records=tasks, actor=actor)
    with unit_of_work(actor) as work:
        work.deleted(tasks)
        work.emit(RecordsDeleted(Task._meta.label_lower, tuple(pks), actor.company_pk))


# ------------------------------------------------------------------------------------------------------- helpers
def writable_only_at_birth(actor: Actor) -> bool:
    return actor.kind in ("portal", "public")


def _was(record: Task) -> _Was:
    return record._was  # type: ignore[attr-defined, no-any-return]


def _by_pk(model: type[Any], rows: Sequence[Values], name: str) -> dict[Any, Any]:
    pks = {pk_of(row.get(name)) for row in rows} - {None}
    return model._base_manager.in_bulk(pks) if pks else {}


def _companies_of(partner_pks: Collection[int]) -> dict[int, int | None]:
    partner = Task._meta.get_field("partner").related_model
    return dict(partner._base_manager.filter(pk__in=partner_pks).values_list("pk", "company_id"))


def _companies_of_partners(
    rows: Sequence[Values], parents: Mapping[Any, Task], projects: Mapping[Any, Project]
) -> dict[int, int | None]:
    pks = {pk_of(row.get("partner")) for row in rows}
    pks |= {parent.partner_id for parent in parents.values()} | {p.partner_id for p in projects.values()}
    pks -= {None}
    return _companies_of(pks) if pks else {}


def _fill_from_parent_and_project(
    row: Values, parent: Task | None, project: Project | None, actor: Actor
) -> None:
    same = parent is not None and project is not None and parent.project_id == project.pk
    if parent is not None and same:
        row.setdefault("display_in_project", False)
        row.setdefault("milestone", parent.milestone_id)
    else:
        row["display_in_project"] = True
    if project is None:
        people = [pk_of(user) for user in row.get("assignees") or ()]
        if actor.is_internal and actor.user_pk is not None and actor.user_pk not in people:
            people.append(actor.user_pk)
        row["assignees"] = people
        return
    if "partner" not in row:
        row["partner"] = (parent.partner_id if parent is not None else None) or project.partner_id
    if project.company_id is not None:
        if pk_of(row.get("company")) not in (None, project.company_id):
            raise ValidationFailed(fields={"company": [_("A task has the company of its project.")]})
        row["company"] = project.company_id


def _stamp_new(row: Values, stage: TaskStage | None, now: datetime.datetime) -> None:
    closed = row.get("state") in CLOSED_STATES
    if row.get("state") == TaskState.WAITING:
        row["state"] = TaskState.IN_PROGRESS.value  # it waits when something blocks it
    row["date_closed"] = now if closed else None
    row["date_end"] = now if closed or (stage is not None and stage.fold) else None
    row["date_assign"] = now if row.get("assignees") else None
    row["date_last_stage_update"] = now


def _clean_texts(rows: Sequence[Values]) -> None:
    for row in rows:
        if row.get("description"):
            row["description"] = sanitize_html(str(row["description"]))


def _name_from(description: str) -> str:
    """The first line of the text of a to-do, cut to 100 characters."""
    lines = [line.strip() for line in html_to_text(description, sanitized=True).splitlines() if line.strip()]
    first = lines[0] if lines else str(UNTITLED)
    return first if len(first) <= UNTITLED_LENGTH else first[: UNTITLED_LENGTH - 3] + "..."


def _check_stage_and_milestone(rows: Sequence[Values], *, numbered: bool) -> None:
    """Each row's stage and milestone are those of its project; a private task has none. Two queries."""
    asked = [(number, row) for number, row in enumerate(rows) if row.get("stage") or row.get("milestone")]
    pairs = stage_pairs({pk_of(row.get("project")) for _n, row in asked} - {None})
    milestones = dict(
        Milestone._base_manager.filter(
            pk__in={pk_of(row.get("milestone")) for _n, row in asked} - {None}
        ).values_list("pk", "project_id")
    )
    errors: dict[str, list[str]] = {}
    for number, row in asked:
        prefix = f"{number}." if numbered else ""
        project_pk, stage_pk = pk_of(row.get("project")), pk_of(row.get("stage"))
        milestone_pk = pk_of(row.get("milestone"))
        if stage_pk is not None and (project_pk, stage_pk) not in pairs:
            errors[f"{prefix}stage"] = [_("The project of the task does not use this stage.")]
        if milestone_pk is not None and milestones.get(milestone_pk, project_pk) != project_pk:
            errors[f"{prefix}milestone"] = [_("The milestone belongs to another project.")]
    if errors:
        raise ValidationFailed(fields=errors)


def _check_moves(records: Sequence[Task], values: Values) -> None:
    """The same for an update: the values together with what each task keeps."""
    if not values.get("stage") and not values.get("milestone"):
        return
    rows = [
        {
            "project": values.get("project", record.project_id),
            "stage": values.get("stage"),
            "milestone": values.get("milestone"),
        }
        for record in records
    ]
    _check_stage_and_milestone(rows, numbered=False)


def _adopt_company_of_partner(records: Sequence[Task], values: Values) -> None:
    """A task of a project that all companies share takes the company of its customer."""
    pk = pk_of(values["partner"])
    company = _companies_of([pk]).get(pk) if pk is not None else None
    if (
        company is not None
        and "company" not in values
        and all(record.company_id is None for record in records)
    ):
        values["company"] = company


def _folded(stage_pks: Collection[int | None]) -> set[int]:
    pks = {pk for pk in stage_pks if pk is not None}
    return set(TaskStage.objects.filter(pk__in=pks, fold=True).values_list("pk", flat=True)) if pks else set()


def _settle_stage(tasks: Sequence[Task], project_pk: int, actor: Actor, *, bump: bool) -> None:
    """Tasks whose stage the project does not use enter its first one."""
    known = stage_pairs([project_pk])
    strangers = [t for t in tasks if (project_pk, t.stage_id) not in known]
    if not strangers:
        return
    first = first_stages([project_pk]).get(project_pk)
    write_tasks(strangers, {"stage_id": first.pk if first else None}, actor, bump=bump)
    ended = first is not None and first.fold
    if not ended:
        write_tasks(
            [t for t in strangers if not t.is_closed and t.date_end], {"date_end": None}, actor, bump=False
        )


def _keep_somebody(tasks: Sequence[Task], actor: Actor) -> None:
    """A task that became private without anybody assigned goes to who made it private."""
    if not actor.is_internal or actor.user_pk is None:
        return
    held = assignees_of(task.pk for task in tasks)
    orphans = [task for task in tasks if actor.user_pk not in held[task.pk]]
    TaskAssignee.objects.bulk_create(
        [TaskAssignee(task_id=task.pk, user_id=actor.user_pk) for task in orphans], ignore_conflicts=True
    )
    write_tasks(
        [t for t in orphans if t.date_assign is None], {"date_assign": timezone.now()}, actor, bump=False
    )
