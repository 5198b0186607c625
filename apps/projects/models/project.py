"""Projects: what work is gathered under, who sees it, and how far it is."""

from __future__ import annotations

import datetime
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _
from guardian.models import UserObjectPermissionBase

from apps.core.declarations import ModelOptions, SearchField
from apps.core.models import ArchivableMixin, BaseModel, CompanySharedMixin, CustomFieldsMixin
from apps.projects.constants import Privacy, ProjectStatus
from apps.projects.models.stage import TaskStage

OF_A_PROJECT = "belongs to its project, whose company it follows"


class ProjectStage(ArchivableMixin, CompanySharedMixin, BaseModel):
    """A phase in the life of projects themselves, such as planned, running or closed."""

    erp: ClassVar[ModelOptions] = ModelOptions(search=(SearchField("name", "A"),))

    name = models.CharField(_("name"), max_length=120)
    sequence = models.PositiveIntegerField(_("sequence"), default=10)
    fold = models.BooleanField(_("folded"), default=False)

    class Meta:
        verbose_name = _("project stage")
        verbose_name_plural = _("project stages")
        ordering = ("sequence", "pk")

    def __str__(self) -> str:
        return self.name


class ProjectTag(BaseModel):
    """A label for tasks and projects; its name is unique whatever the case."""

    erp: ClassVar[ModelOptions] = ModelOptions(
        search=(SearchField("name", "A"),), exempt={"company": "labels are shared by all companies"}
    )

    name = models.CharField(_("name"), max_length=80)
    color = models.PositiveSmallIntegerField(_("colour"), default=0)

    class Meta:
        verbose_name = _("tag")
        verbose_name_plural = _("tags")
        ordering = ("name", "pk")
        constraints = (
            models.UniqueConstraint(
                Lower("name"),
                name="projects_tag_name_once",
                violation_error_message=_("There is a tag of this name already."),
            ),
            models.CheckConstraint(condition=models.Q(name__regex=r"\S"), name="projects_tag_has_name"),
        )

    def __str__(self) -> str:
        return self.name


class ProjectQuerySet(models.QuerySet["Project"]):
    def active(self) -> ProjectQuerySet:
        return self.filter(active=True)


class Project(ArchivableMixin, CompanySharedMixin, CustomFieldsMixin, BaseModel):
    """A set of tasks with a manager, perhaps a customer, and the stages its tasks move through.

    ``privacy`` says who sees it; followers are those of its thread. ``date_start`` and ``date_end`` are both set
    or both empty. ``last_status`` mirrors the newest ``ProjectUpdate``. ``access_token`` opens the portal page to
    whoever holds the link; it is made when first needed and never copied.
    """

    erp: ClassVar[ModelOptions] = ModelOptions(
        tracked=(
            "name",
            "partner",
            "manager",
            "privacy",
            "stage",
            "date_start",
            "date_end",
            "last_status",
            "active",
        ),
        search=(SearchField("name", "A"),),
        secret=("access_token",),
        thread=True,
    )

    name = models.CharField(_("name"), max_length=255)
    sequence = models.PositiveIntegerField(_("sequence"), default=10)
    color = models.PositiveSmallIntegerField(_("colour"), default=0)
    description = models.TextField(
        _("description"), blank=True, help_text=_("HTML; unsafe parts are removed.")
    )
    label_tasks = models.CharField(_("name of the tasks"), max_length=60, default="Tasks")
    partner = models.ForeignKey(
        "contacts.Partner",
        verbose_name=_("customer"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="projects",
    )
    manager = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("project manager"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="managed_projects",
    )
    privacy = models.CharField(
        _("visible to"), max_length=10, choices=Privacy.choices, default=Privacy.PORTAL
    )
    date_start = models.DateField(_("start"), null=True, blank=True)
    date_end = models.DateField(_("end"), null=True, blank=True)
    stage = models.ForeignKey(
        ProjectStage,
        verbose_name=_("stage"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="projects",
    )
    stages = models.ManyToManyField(
        TaskStage,
        through="projects.ProjectTaskStage",
        verbose_name=_("stages of its tasks"),
        related_name="projects",
        blank=True,
    )
    tags = models.ManyToManyField(ProjectTag, verbose_name=_("tags"), related_name="projects", blank=True)
    favourite_of = models.ManyToManyField(
        settings.AUTH_USER_MODEL,
        verbose_name=_("favourite of"),
        related_name="favourite_projects",
        blank=True,
        editable=False,
    )
    allow_task_dependencies = models.BooleanField(_("tasks may block each other"), default=True)
    allow_milestones = models.BooleanField(_("milestones"), default=True)
    last_update = models.ForeignKey(
        "projects.ProjectUpdate",
        verbose_name=_("last update"),
        null=True,
        blank=True,
        editable=False,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    last_status = models.CharField(
        _("status"),
        max_length=10,
        choices=ProjectStatus.choices,
        default=ProjectStatus.TO_DEFINE,
        editable=False,
    )
    access_token = models.UUIDField(null=True, blank=True, unique=True, editable=False)

    objects = ProjectQuerySet.as_manager()

    class Meta:
        verbose_name = _("project")
        verbose_name_plural = _("projects")
        ordering = ("sequence", "name", "pk")
        constraints = (
            models.CheckConstraint(
                condition=models.Q(date_start__isnull=True, date_end__isnull=True)
                | models.Q(
                    date_start__isnull=False, date_end__isnull=False, date_end__gte=models.F("date_start")
                ),
                name="projects_project_dates",
                violation_error_message=_("A project has a start and an end not before it, or neither."),
            ),
            models.CheckConstraint(
                condition=models.Q(name__regex=r"\S"),
                name="projects_project_has_name",
                violation_error_message=_("A project needs a name."),
            ),
            models.CheckConstraint(
                condition=models.Q(label_tasks__regex=r"\S"),
                name="projects_project_names_tasks",
                violation_error_message=_("The name of the tasks cannot be empty."),
            ),
            models.CheckConstraint(
                condition=models.Q(privacy__in=Privacy.values), name="projects_project_privacy_known"
            ),
        )
        indexes = (
            models.Index(fields=["sequence", "name", "id"], name="projects_project_order"),
            models.Index(fields=["privacy"], name="projects_project_privacy"),
        )

    def __str__(self) -> str:
        return self.name


class ProjectTaskStage(models.Model):
    """That a project uses a stage. A task's (project, stage) must be such a pair: a foreign key says so."""

    erp: ClassVar[ModelOptions] = ModelOptions(
        exempt={"company": OF_A_PROJECT, "version": "a link without content of its own"}
    )

    id = models.BigAutoField(primary_key=True)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="stage_links", db_index=False)
    stage = models.ForeignKey(TaskStage, on_delete=models.CASCADE, related_name="project_links")

    class Meta:
        verbose_name = _("stage of a project")
        verbose_name_plural = _("stages of projects")
        ordering = ("pk",)
        constraints = (
            models.UniqueConstraint(fields=["project", "stage"], name="projects_project_stage_once"),
        )

    def __str__(self) -> str:
        return f"{self.project_id}: {self.stage_id}"


class ProjectUserObjectPermission(UserObjectPermissionBase):
    """An explicit share of one project with one employee (``view_project`` or ``change_project``)."""

    erp: ClassVar[ModelOptions] = ModelOptions(
        exempt={"company": OF_A_PROJECT, "version": "given and taken, never edited"}
    )

    content_object = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="user_shares")

    class Meta(UserObjectPermissionBase.Meta):
        verbose_name = _("share of a project")
        verbose_name_plural = _("shares of projects")
        ordering = ("pk",)

    def __str__(self) -> str:
        return f"{self.content_object_id}: {self.user_id}"


class ProjectCollaborator(BaseModel):
    """A contact with whom a project is shared in the portal.

    With ``limited`` the contact works on the tasks that its company follows only, otherwise on all of them.
    """

    erp: ClassVar[ModelOptions] = ModelOptions(exempt={"company": OF_A_PROJECT})

    project = models.ForeignKey(
        Project,
        verbose_name=_("project"),
        on_delete=models.CASCADE,
        related_name="collaborators",
        db_index=False,
    )
    partner = models.ForeignKey(
        "contacts.Partner",
        verbose_name=_("contact"),
        on_delete=models.CASCADE,
        related_name="project_collaborations",
    )
    limited = models.BooleanField(_("followed tasks only"), default=False)

    class Meta:
        verbose_name = _("collaborator")
        verbose_name_plural = _("collaborators")
        ordering = ("project_id", "pk")
        constraints = (
            models.UniqueConstraint(
                fields=["project", "partner"],
                name="projects_collaborator_once",
                violation_error_message=_("The project is shared with this contact already."),
            ),
        )

    def __str__(self) -> str:
        return f"{self.project_id}: {self.partner_id}"


class MilestoneQuerySet(models.QuerySet["Milestone"]):
    def unreached(self) -> MilestoneQuerySet:
        return self.filter(reached=False)

    def exceeded(self, on: datetime.date) -> MilestoneQuerySet:
        """Not reached although the deadline is past."""
        return self.filter(reached=False, deadline__lt=on)


class Milestone(BaseModel):
    """A point that a project wants to reach; ``reached_date`` is set exactly while it is reached."""

    erp: ClassVar[ModelOptions] = ModelOptions(
        tracked=("name", "deadline", "reached"),
        search=(SearchField("name", "A"),),
        thread=True,
        exempt={"company": OF_A_PROJECT},
    )

    project = models.ForeignKey(
        Project, verbose_name=_("project"), on_delete=models.CASCADE, related_name="milestones"
    )
    name = models.CharField(_("name"), max_length=255)
    deadline = models.DateField(_("deadline"), null=True, blank=True)
    reached = models.BooleanField(_("reached"), default=False)
    reached_date = models.DateField(_("reached on"), null=True, blank=True, editable=False)

    objects = MilestoneQuerySet.as_manager()

    class Meta:
        verbose_name = _("milestone")
        verbose_name_plural = _("milestones")
        ordering = ("deadline", "-reached", "name", "pk")
        constraints = (
            models.CheckConstraint(
                condition=models.Q(reached=True, reached_date__isnull=False)
                | models.Q(reached=False, reached_date__isnull=True),
                name="projects_milestone_reached_on",
            ),
            # The target of the composite key from tasks: a task's milestone is one of its project.
            models.UniqueConstraint(fields=["id", "project"], name="projects_milestone_of_project"),
            models.CheckConstraint(condition=models.Q(name__regex=r"\S"), name="projects_milestone_has_name"),
        )

    def __str__(self) -> str:
        return self.name


class ProjectUpdate(BaseModel):
    """A report on how a project stands, with the task counts of that day. The newest one is the project's status."""

    erp: ClassVar[ModelOptions] = ModelOptions(
        search=(SearchField("name", "A"),), thread=True, exempt={"company": OF_A_PROJECT}
    )

    project = models.ForeignKey(
        Project, verbose_name=_("project"), on_delete=models.CASCADE, related_name="updates"
    )
    name = models.CharField(_("title"), max_length=255)
    status = models.CharField(
        _("status"), max_length=10, choices=ProjectStatus.choices, default=ProjectStatus.ON_TRACK
    )
    progress = models.PositiveSmallIntegerField(_("progress in %"), default=0)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("author"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="project_updates",
    )
    date = models.DateField(_("date"))
    description = models.TextField(_("description"), blank=True)
    task_count = models.PositiveIntegerField(_("tasks"), default=0, editable=False)
    closed_task_count = models.PositiveIntegerField(_("closed tasks"), default=0, editable=False)

    class Meta:
        verbose_name = _("project update")
        verbose_name_plural = _("project updates")
        ordering = ("-date", "-pk")
        constraints = (
            models.CheckConstraint(
                condition=models.Q(progress__lte=100),
                name="projects_update_progress_max",
                violation_error_message=_("Progress is between 0 and 100 %."),
            ),
            # "No status yet" is only what a project without updates has.
            models.CheckConstraint(
                condition=~models.Q(status=ProjectStatus.TO_DEFINE),
                name="projects_update_has_status",
                violation_error_message=_("Choose a status."),
            ),
        )

    def __str__(self) -> str:
        return self.name
