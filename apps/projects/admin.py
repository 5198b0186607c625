"""Back-office screens of projects and tasks."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.backoffice.base import (
    Button,
    Card,
    CardLine,
    RecordAdmin,
    RecordInline,
    Tab,
    actor_of,
    backoffice,
    collect_cards,
    record_url,
)
from apps.core.actor import Actor
from apps.core.html import sanitize_html
from apps.core.rules import visible
from apps.projects.constants import CLOSED_STATES, STATUS_COLORS
from apps.projects.dates import today_of
from apps.projects.models import (
    Milestone,
    Project,
    ProjectCollaborator,
    ProjectStage,
    ProjectTag,
    ProjectUpdate,
    Task,
    TaskStage,
)
from apps.projects.selectors.projects import (
    aliases_of_projects,
    completion_text,
    milestone_figures,
    task_counts_of,
)
from apps.projects.selectors.tasks import assignee_names, board_columns, part_counts
from apps.projects.types import MilestoneFigures, TaskCounts

TASK_LIST = "admin:projects_task_changelist"


def rendered_html(text: str) -> SafeString:
    """Stored text is clean already; cleaning it again costs little and needs no trust in who wrote the row."""
    return mark_safe(sanitize_html(text)) if text else SafeString("")  # noqa: S308


# ------------------------------------------------------------------------------------------------------------- tasks
class SubTaskInline(RecordInline):
    """Parts of the task; more is said on their own forms."""

    model = Task
    fk_name = "parent"
    fields = ("name", "state", "priority", "date_deadline")
    readonly_fields = ("state",)
    verbose_name = gettext_lazy("sub-task")
    verbose_name_plural = gettext_lazy("sub-tasks")
    tab = True
    show_change_link = True
    can_delete = False


@backoffice(Task)
class TaskAdmin(RecordAdmin):
    list_display = ("name", "project", "stage", "people", "state", "priority", "deadline", "partner")
    list_filter = (
        "project",
        "stage",
        "assignees",
        "state",
        "priority",
        "date_deadline",
        "tags",
        "milestone",
        "partner",
    )
    list_optional = ("created_at", "date_last_stage_update", "milestone", "allocated_hours", "company")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "name",
                    ("project", "parent"),
                    ("stage", "state"),
                    ("assignees", "tags"),
                    ("partner", "milestone"),
                    ("date_deadline", "priority"),
                )
            },
        ),
        (gettext_lazy("Description"), {"classes": ["tab"], "fields": ("shown_description", "description")}),
        (gettext_lazy("Blocked by"), {"classes": ["tab"], "fields": ("depends_on", "blocks")}),
        (
            gettext_lazy("Extra"),
            {
                "classes": ["tab"],
                "fields": (
                    ("allocated_hours", "display_in_project"),
                    ("sequence", "color"),
                    ("email_from", "email_cc"),
                    ("created_at", "date_assign"),
                    ("date_last_stage_update", "date_end"),
                    ("company", "active"),
                ),
            },
        ),
    )
    add_fieldsets = (
        (
            None,
            {
                "fields": (
                    "name",
                    ("project", "parent"),
                    ("assignees", "tags"),
                    ("partner", "milestone"),
                    ("date_deadline", "priority"),
                    "description",
                )
            },
        ),
    )
    # The state is changed by the actions above the form, which check where it may go.
    readonly_fields = (
        "shown_description",
        "blocks",
        "state",
        "email_from",
        "created_at",
        "date_assign",
        "date_last_stage_update",
        "date_end",
    )
    inlines = (SubTaskInline,)

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        return self.inlines if obj is not None and obj.project_id is not None else ()

    def limit_choices(
        self, request: HttpRequest, field: Any, rows: models.QuerySet[Any]
    ) -> models.QuerySet[Any]:
        """Assignees are employees; stages are those of projects (the service checks which)."""
        if field.name == "assignees":
            return rows.filter(kind="internal")
        if field.name == "stage":
            return rows.filter(owner__isnull=True)
        return rows

    def prepare_rows(self, request: HttpRequest, rows: list[Any]) -> None:
        names = assignee_names([row.pk for row in rows])
        for row in rows:
            row.people_shown = ", ".join(names.get(row.pk, ()))

    @staticmethod
    def people(task: Any) -> str:
        return getattr(task, "people_shown", "") or "–"

    people.short_description = gettext_lazy("assignees")  # type: ignore[attr-defined]

    @staticmethod
    def deadline(task: Any) -> Any:
        if task.date_deadline is None:
            return None
        text = timezone.localtime(task.date_deadline).strftime("%Y-%m-%d %H:%M")
        late = task.state not in CLOSED_STATES and task.date_deadline < timezone.now()
        return format_html('<span class="projects-late">{}</span>', text) if late else text

    deadline.short_description = gettext_lazy("deadline")  # type: ignore[attr-defined]
    deadline.admin_order_field = "date_deadline"  # type: ignore[attr-defined]

    @staticmethod
    def shown_description(task: Any) -> Any:
        return rendered_html(task.description) or "–"

    shown_description.short_description = gettext_lazy("text")  # type: ignore[attr-defined]

    def blocks(self, task: Any) -> Any:
        """Tasks that wait for this one, as far as the reader sees them (the form's actor put them there)."""
        links = [(record_url(other), other) for other in getattr(task, "dependents_shown", ())]
        return format_html_join(", ", '<a href="{}" class="bo-link">{}</a>', links) or "–"

    blocks.short_description = gettext_lazy("blocks")  # type: ignore[attr-defined]

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        task = super().get_object(request, object_id, from_field)
        if task is not None:
            links = Task.depends_on.through.objects.filter(blocker=task).values("task_id")
            task.dependents_shown = list(visible(Task, actor_of(request)).filter(pk__in=links)[:50])
        return task

    def get_buttons(self, request: HttpRequest, record: Any) -> list[Button]:
        counts = part_counts([record.pk]).get(record.pk)
        if counts is None:
            return []
        url = f"{reverse(TASK_LIST)}?parent__id__exact={record.pk}"
        title = _("Sub-tasks %(closed)s / %(total)s") % {"closed": counts.closed, "total": counts.total}
        return [Button(key="parts", title=title, url=url, icon="account_tree")]

    class Media:
        css = {"all": ("projects/backoffice.css",)}


# ---------------------------------------------------------------------------------------------------------- projects
class MilestoneInline(RecordInline):
    model = Milestone
    fields = ("name", "deadline", "reached", "reached_date")
    readonly_fields = ("reached_date",)
    tab = True


class CollaboratorInline(RecordInline):
    """With whom the project is shared; the action *Share with contacts* makes them."""

    model = ProjectCollaborator
    fields = ("partner", "limited")
    tab = True


@backoffice(Project)
class ProjectAdmin(RecordAdmin):
    list_display = ("name", "partner", "manager", "status", "tasks_closed", "privacy", "date_end")
    list_filter = ("manager", "partner", "stage", "privacy", "last_status", "tags")
    list_optional = ("date_start", "stage", "company", "created_at")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "name",
                    ("partner", "manager"),
                    ("date_start", "date_end"),
                    ("stage", "tags"),
                    ("privacy", "address"),
                    "stages",
                )
            },
        ),
        (gettext_lazy("Description"), {"classes": ["tab"], "fields": ("shown_description", "description")}),
        (
            gettext_lazy("Settings"),
            {
                "classes": ["tab"],
                "fields": (
                    ("label_tasks", "sequence"),
                    ("allow_task_dependencies", "allow_milestones"),
                    ("color", "company"),
                    "active",
                ),
            },
        ),
    )
    add_fieldsets = (
        (
            None,
            {
                "fields": (
                    "name",
                    ("partner", "manager"),
                    ("date_start", "date_end"),
                    ("privacy", "tags"),
                    "stages",
                    "company",
                )
            },
        ),
    )
    readonly_fields = ("address", "shown_description")
    inlines = (MilestoneInline, CollaboratorInline)
    select_fields = ("stage",)

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        if obj is None:
            return ()
        return tuple(i for i in self.inlines if i is not MilestoneInline or obj.allow_milestones)

    def limit_choices(
        self, request: HttpRequest, field: Any, rows: models.QuerySet[Any]
    ) -> models.QuerySet[Any]:
        if field.name == "manager":
            return rows.filter(kind="internal")
        return rows.filter(owner__isnull=True) if field.name == "stages" else rows

    def prepare_rows(self, request: HttpRequest, rows: list[Any]) -> None:
        counts = task_counts_of([row.pk for row in rows])
        for row in rows:
            row.counts = counts.get(row.pk, TaskCounts())

    @staticmethod
    def tasks_closed(project: Any) -> str:
        return completion_text(getattr(project, "counts", TaskCounts()))

    tasks_closed.short_description = gettext_lazy("tasks")  # type: ignore[attr-defined]

    @staticmethod
    def status(project: Any) -> Any:
        color = STATUS_COLORS[project.last_status]
        return format_html(
            '<span class="projects-status projects-status-{}">{}</span>',
            color,
            project.get_last_status_display(),
        )

    status.short_description = gettext_lazy("status")  # type: ignore[attr-defined]
    status.admin_order_field = "last_status"  # type: ignore[attr-defined]

    @staticmethod
    def address(project: Any) -> str:
        return aliases_of_projects([project.pk]).get(project.pk, "") or "–"

    address.short_description = gettext_lazy("e-mail address")  # type: ignore[attr-defined]

    @staticmethod
    def shown_description(project: Any) -> Any:
        return rendered_html(project.description) or "–"

    shown_description.short_description = gettext_lazy("text")  # type: ignore[attr-defined]

    def get_buttons(self, request: HttpRequest, record: Any) -> list[Button]:
        counts = task_counts_of([record.pk]).get(record.pk, TaskCounts())
        url = f"{reverse(TASK_LIST)}?project__id__exact={record.pk}"
        title = f"{record.label_tasks} {completion_text(counts)}"
        buttons = [Button(key="tasks", title=title, url=url, icon="task_alt", sequence=1)]
        if record.allow_milestones:
            figures = milestone_figures([record.pk], on=today_of(actor_of(request))).get(
                record.pk, MilestoneFigures()
            )
            text = _("Milestones %(reached)s / %(total)s") % {
                "reached": figures.reached,
                "total": figures.total,
            }
            link = f"{reverse('admin:projects_milestone_changelist')}?project__id__exact={record.pk}"
            buttons.append(Button(key="milestones", title=text, url=link, icon="flag", sequence=2))
        return buttons

    def get_tabs(self, request: HttpRequest, record: Any) -> list[Tab]:
        """The board: a column a stage, with the first tasks of each."""
        rows = visible(Task, actor_of(request)).filter(project=record, active=True, display_in_project=True)
        columns = board_columns(rows, record)
        return [
            Tab(key="board", title=_("Board"), template="projects/board.html", context={"columns": columns})
        ]

    class Media:
        css = {"all": ("projects/backoffice.css",)}


@backoffice(Milestone)
class MilestoneAdmin(RecordAdmin):
    list_display = ("name", "project", "deadline", "reached", "reached_date")
    list_filter = ("project", "reached", "deadline")
    fieldsets = ((None, {"fields": (("name", "project"), ("deadline", "reached"), "reached_date")}),)
    readonly_fields = ("reached_date",)


@backoffice(ProjectUpdate)
class ProjectUpdateAdmin(RecordAdmin):
    list_display = ("name", "project", "status", "progress", "author", "date")
    list_filter = ("project", "status", "author", "date")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("name", "project"),
                    ("status", "progress"),
                    ("author", "date"),
                    ("task_count", "closed_task_count"),
                    "description",
                )
            },
        ),
    )
    readonly_fields = ("task_count", "closed_task_count")


@backoffice(TaskStage)
class TaskStageAdmin(RecordAdmin):
    list_display = ("name", "sequence", "fold", "owner")
    list_filter = ("fold",)


@backoffice(ProjectStage)
class ProjectStageAdmin(RecordAdmin):
    list_display = ("name", "sequence", "fold", "company")


@backoffice(ProjectTag)
class ProjectTagAdmin(RecordAdmin):
    list_display = ("name", "color")


@collect_cards.register
def my_open_tasks(*, actor: Actor) -> Card | None:
    """The dashboard: what is assigned to the reader, late ones first."""
    if not actor.can(Task, "view") or actor.user_pk is None:
        return None
    mine = Task.assignees.through.objects.filter(user_id=actor.user_pk).values("task_id")
    rows = visible(Task, actor).filter(pk__in=mine, active=True).exclude(state__in=CLOSED_STATES)
    now = timezone.now()
    lines = []
    for task in rows.order_by(models.F("date_deadline").asc(nulls_last=True), "-priority", "pk")[:6]:
        late = task.date_deadline is not None and task.date_deadline < now
        note = timezone.localtime(task.date_deadline).strftime("%Y-%m-%d") if task.date_deadline else ""
        lines.append(CardLine(text=task.name, url=record_url(task), note=note, tone="danger" if late else ""))
    return Card(
        key="projects.my_tasks",
        title=_("My tasks"),
        icon="task_alt",
        value=rows.count(),
        url=f"{reverse(TASK_LIST)}?assignees__id__exact={actor.user_pk}",
        lines=tuple(lines),
        empty=_("Nothing is assigned to you."),
        sequence=20,
    )
