"""Tasks: pieces of work, in a project or private, with people, stages, parts and blockers."""

from __future__ import annotations

import datetime
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.core.declarations import ModelOptions, SearchField
from apps.core.models import ArchivableMixin, BaseModel, CompanySharedMixin, CustomFieldsMixin
from apps.projects.constants import CLOSED_STATES, NAME_LENGTH, Priority, TaskState
from apps.projects.models.project import Milestone, Project, ProjectTag
from apps.projects.models.stage import TaskStage

OF_A_TASK = "belongs to its task, whose company it follows"


class TaskQuerySet(models.QuerySet["Task"]):
    def open(self) -> TaskQuerySet:
        return self.exclude(state__in=CLOSED_STATES)

    def closed(self) -> TaskQuerySet:
        return self.filter(state__in=CLOSED_STATES)

    def private(self) -> TaskQuerySet:
        """To-dos without a project."""
        return self.filter(project__isnull=True)

    def overdue(self, at: datetime.datetime) -> TaskQuerySet:
        return self.open().filter(date_deadline__lt=at)


class Task(ArchivableMixin, CompanySharedMixin, CustomFieldsMixin, BaseModel):
    """A piece of work.

    Without a project it is a private to-do: no parent, stage or milestone. ``stage`` is one of the project's,
    ``milestone`` too (composite foreign keys). ``state`` is *waiting* exactly while the project uses dependencies and an
    open task blocks it, unless it is closed; ``date_closed`` is set exactly while it is closed, ``date_end`` while it
    is closed or its stage is folded. Parents and blockers form no circles (triggers). Each change of project,
    stage or state leaves a row in ``TaskStageHistory`` (trigger).
    """

    erp: ClassVar[ModelOptions] = ModelOptions(
        tracked=(
            "name",
            "project",
            "stage",
            "state",
            "priority",
            "assignees",
            "partner",
            "milestone",
            "date_deadline",
            "parent",
            "active",
        ),
        search=(SearchField("name", "A"),),
        secret=("access_token",),
        thread=True,
    )

    name = models.CharField(_("title"), max_length=NAME_LENGTH)
    description = models.TextField(
        _("description"), blank=True, help_text=_("HTML; unsafe parts are removed.")
    )
    project = models.ForeignKey(
        Project,
        verbose_name=_("project"),
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="tasks",
        db_index=False,  # the board index begins with it
        help_text=_("Empty: a private to-do."),
    )
    parent = models.ForeignKey(
        "self",
        verbose_name=_("parent task"),
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="children",
        db_index=False,
    )
    display_in_project = models.BooleanField(
        _("shown in the project"), default=True, help_text=_("A sub-task may be shown under its parent only.")
    )
    stage = models.ForeignKey(
        TaskStage,
        verbose_name=_("stage"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="tasks",
    )
    state = models.CharField(
        _("state"), max_length=20, choices=TaskState.choices, default=TaskState.IN_PROGRESS
    )
    priority = models.PositiveSmallIntegerField(
        _("priority"), choices=Priority.choices, default=Priority.NORMAL
    )
    sequence = models.PositiveIntegerField(_("sequence"), default=10)
    color = models.PositiveSmallIntegerField(_("colour"), default=0)
    tags = models.ManyToManyField(ProjectTag, verbose_name=_("tags"), related_name="tasks", blank=True)
    milestone = models.ForeignKey(
        Milestone,
        verbose_name=_("milestone"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="tasks",
        db_index=False,
    )
    assignees = models.ManyToManyField(
        settings.AUTH_USER_MODEL,
        through="projects.TaskAssignee",
        verbose_name=_("assignees"),
        related_name="assigned_tasks",
        blank=True,
    )
    depends_on = models.ManyToManyField(
        "self",
        through="projects.TaskDependency",
        through_fields=("task", "blocker"),
        symmetrical=False,
        verbose_name=_("blocked by"),
        related_name="dependents",
        blank=True,
    )
    partner = models.ForeignKey(
        "contacts.Partner",
        verbose_name=_("customer"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="tasks",
        db_index=False,
    )
    email_from = models.CharField(_("sender"), max_length=320, blank=True)
    email_cc = models.TextField(_("also to"), blank=True, help_text=_("Addresses, separated by commas."))
    date_deadline = models.DateTimeField(_("deadline"), null=True, blank=True)
    date_assign = models.DateTimeField(_("assigned on"), null=True, blank=True, editable=False)
    date_end = models.DateTimeField(_("ended on"), null=True, blank=True, editable=False)
    date_closed = models.DateTimeField(_("closed on"), null=True, blank=True, editable=False)
    date_last_stage_update = models.DateTimeField(_("last moved on"), default=timezone.now, editable=False)
    allocated_hours = models.DecimalField(_("planned hours"), max_digits=10, decimal_places=2, default=0)
    access_token = models.UUIDField(null=True, blank=True, unique=True, editable=False)

    objects = TaskQuerySet.as_manager()

    class Meta:
        verbose_name = _("task")
        verbose_name_plural = _("tasks")
        ordering = ("-priority", "sequence", "date_deadline", "-pk")
        constraints = (
            models.CheckConstraint(
                condition=models.Q(project__isnull=False) | models.Q(parent__isnull=True),
                name="projects_task_part_has_project",
                violation_error_message=_("A private task cannot have a parent task."),
            ),
            models.CheckConstraint(
                condition=models.Q(project__isnull=False)
                | models.Q(stage__isnull=True, milestone__isnull=True),
                name="projects_task_private_unstaged",
                violation_error_message=_("A private task has neither a stage nor a milestone."),
            ),
            models.CheckConstraint(
                condition=~models.Q(parent=models.F("id")),
                name="projects_task_not_own_parent",
                violation_error_message=_("A task cannot be its own parent."),
            ),
            models.CheckConstraint(
                condition=models.Q(display_in_project=True) | models.Q(parent__isnull=False),
                name="projects_task_top_is_shown",
                violation_error_message=_("Only a sub-task can be hidden from the project."),
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=CLOSED_STATES, date_closed__isnull=False, date_end__isnull=False)
                | (~models.Q(state__in=CLOSED_STATES) & models.Q(date_closed__isnull=True)),
                name="projects_task_closed_on",
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=TaskState.values), name="projects_task_state_known"
            ),
            models.CheckConstraint(
                condition=models.Q(priority__lte=Priority.URGENT), name="projects_task_priority_max"
            ),
            models.CheckConstraint(
                condition=models.Q(name__regex=r"\S"),
                name="projects_task_has_name",
                violation_error_message=_("A task needs a title."),
            ),
            models.CheckConstraint(
                condition=models.Q(allocated_hours__gte=0),
                name="projects_task_hours_positive",
                violation_error_message=_("Planned hours cannot be negative."),
            ),
        )
        indexes = (
            # The three orders in which lists are read: everywhere, within a project, within a column of a board.
            models.Index(
                fields=["-priority", "sequence", "date_deadline", "-id"],
                name="projects_task_order",
                condition=models.Q(active=True),
            ),
            models.Index(
                fields=["project", "-priority", "sequence", "date_deadline", "-id"],
                name="projects_task_of_project",
            ),
            models.Index(
                fields=["project", "stage", "-priority", "sequence", "date_deadline", "-id"],
                name="projects_task_board",
            ),
            models.Index(
                fields=["date_deadline"],
                name="projects_task_open_deadline",
                condition=models.Q(active=True, date_closed__isnull=True, date_deadline__isnull=False),
            ),
            models.Index(fields=["-created_at", "-id"], name="projects_task_newest"),
            models.Index(
                fields=["parent"], name="projects_task_parts", condition=models.Q(parent__isnull=False)
            ),
            models.Index(
                fields=["milestone"],
                name="projects_task_milestone",
                condition=models.Q(milestone__isnull=False),
            ),
            models.Index(
                fields=["partner", "-id"],
                name="projects_task_customer",
                condition=models.Q(partner__isnull=False),
            ),
        )

    def __str__(self) -> str:
        return self.name

    @property
    def is_closed(self) -> bool:
        return self.state in CLOSED_STATES

    @property
    def is_private(self) -> bool:
        return self.project_id is None


class TaskAssignee(models.Model):
    """That a user works on a task, and in which of his own stages he keeps it.

    A trigger refuses users who are not employees, and personal stages of somebody else.
    """

    erp: ClassVar[ModelOptions] = ModelOptions(
        exempt={"company": OF_A_TASK, "version": "a link; its personal stage concerns one user only"}
    )

    id = models.BigAutoField(primary_key=True)
    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="assignee_links", db_index=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="assigned_task_links", db_index=False
    )
    personal_stage = models.ForeignKey(
        TaskStage,
        verbose_name=_("personal stage"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="personal_task_links",
    )
    at = models.DateTimeField(_("assigned on"), default=timezone.now)

    class Meta:
        verbose_name = _("assignee")
        verbose_name_plural = _("assignees")
        ordering = ("pk",)
        constraints = (models.UniqueConstraint(fields=["task", "user"], name="projects_assignee_once"),)
        indexes = (models.Index(fields=["user", "task"], name="projects_assignee_of_user"),)

    def __str__(self) -> str:
        return f"{self.task_id}: {self.user_id}"


class TaskDependency(models.Model):
    """That ``task`` cannot go on before ``blocker`` is closed. Circles of any length are refused by a trigger."""

    erp: ClassVar[ModelOptions] = ModelOptions(
        exempt={"company": OF_A_TASK, "version": "a link without content of its own"}
    )

    id = models.BigAutoField(primary_key=True)
    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="blocker_links", db_index=False)
    blocker = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="dependent_links")

    class Meta:
        verbose_name = _("dependency")
        verbose_name_plural = _("dependencies")
        ordering = ("pk",)
        constraints = (
            models.UniqueConstraint(fields=["task", "blocker"], name="projects_dependency_once"),
            models.CheckConstraint(
                condition=~models.Q(task=models.F("blocker")),
                name="projects_dependency_not_itself",
                violation_error_message=_("Two tasks cannot depend on each other."),
            ),
        )

    def __str__(self) -> str:
        return f"{self.task_id} ← {self.blocker_id}"


class TaskStageHistory(models.Model):
    """Where a task stood from ``at`` on. Written by a trigger, never changed; burn-down charts are read from it.

    The links carry no foreign keys: the history outlives tasks, stages and projects.
    """

    erp: ClassVar[ModelOptions] = ModelOptions(
        exempt={
            "company": OF_A_TASK,
            "version": "append-only, written by a trigger",
            "index:stage": "charts read by project and time, never by stage alone; no foreign key looks it up",
        }
    )

    id = models.BigAutoField(primary_key=True)
    task = models.ForeignKey(
        Task, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="history"
    )
    project = models.ForeignKey(
        Project, null=True, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    stage = models.ForeignKey(
        TaskStage,
        null=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    state = models.CharField(_("state"), max_length=20)
    user_pk = models.BigIntegerField(_("by"), null=True)
    at = models.DateTimeField(_("from"))

    class Meta:
        verbose_name = _("move of a task")
        verbose_name_plural = _("moves of tasks")
        ordering = ("pk",)
        indexes = (
            models.Index(fields=["task", "id"], name="projects_history_of_task"),
            models.Index(fields=["project", "at"], name="projects_history_of_project"),
        )

    def __str__(self) -> str:
        return f"{self.task_id}: {self.state}"
