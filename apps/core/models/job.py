"""Scheduled jobs, what wakes them, and the history of all background work."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from apps.core.declarations import ModelOptions
from apps.core.models.base import ArchivableMixin, BaseModel


class ScheduledJob(ArchivableMixin, BaseModel):
    """A task that a module declared, and when it runs. See ``apps.core.jobs.schedule`` for the calendar.

    The module owns code, task and title; people own the schedule, the user it runs as and whether it runs at all.
    ``anchor`` fixes the grid of calls: the moment that somebody last set as the next call.
    """

    class Unit(models.TextChoices):
        MINUTES = "minutes", _("minutes")
        HOURS = "hours", _("hours")
        DAYS = "days", _("days")
        WEEKS = "weeks", _("weeks")
        MONTHS = "months", _("months")

    erp: ClassVar[ModelOptions] = ModelOptions(
        tracked=("every", "unit", "next_call", "priority", "user", "timezone", "active"),
        exempt={"company": "a job serves the whole system and passes the company on itself"},
    )

    code = models.CharField(_("code"), max_length=80, unique=True, editable=False)
    module = models.CharField(_("module"), max_length=60, editable=False)
    title = models.CharField(_("title"), max_length=120, editable=False)
    task = models.CharField(_("task"), max_length=200, editable=False)
    every = models.PositiveIntegerField(_("every"), default=1)
    unit = models.CharField(_("unit"), max_length=8, choices=Unit.choices, default=Unit.DAYS)
    timezone = models.CharField(_("time zone"), max_length=64, default="UTC")
    priority = models.PositiveSmallIntegerField(_("priority"), default=5, help_text=_("0 runs first."))
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("runs as"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text=_("Empty: the system, which no rule stops."),
    )
    next_call = models.DateTimeField(_("next call"), default=now)
    anchor = models.DateTimeField(_("counted from"), default=now, editable=False)
    last_call = models.DateTimeField(_("last call"), null=True, editable=False)
    sent_at = models.DateTimeField(_("sent to a worker on"), null=True, editable=False)
    failure_count = models.PositiveIntegerField(_("failures in a row"), default=0, editable=False)
    first_failure_at = models.DateTimeField(_("failing since"), null=True, editable=False)
    lost_in_a_row = models.PositiveSmallIntegerField(_("lost in a row"), default=0, editable=False)

    class Meta:
        verbose_name = _("scheduled job")
        verbose_name_plural = _("scheduled jobs")
        ordering = ("priority", "code")
        indexes = (models.Index(fields=["next_call"], name="core_job_due", condition=models.Q(active=True)),)
        constraints = (
            models.CheckConstraint(
                condition=models.Q(every__gte=1),
                name="core_job_every_positive",
                violation_error_message=_("A job runs every 1 or more of its unit."),
            ),
            models.CheckConstraint(
                condition=models.Q(unit__in=["minutes", "hours", "days", "weeks", "months"]),
                name="core_job_unit_known",
            ),
        )

    def __str__(self) -> str:
        return self.title


class JobTrigger(models.Model):
    """A request to run a job once at a moment, besides its schedule. Consumed by the run that follows."""

    erp: ClassVar[ModelOptions] = ModelOptions(
        exempt={
            "company": "kernel table, read by the scheduler alone",
            "version": "inserted and deleted only",
        }
    )

    id = models.BigAutoField(primary_key=True)
    job = models.ForeignKey(ScheduledJob, on_delete=models.CASCADE, related_name="triggers")
    at = models.DateTimeField(default=now)
    manual = models.BooleanField(default=False)
    actor = models.JSONField(encoder=DjangoJSONEncoder, default=dict)

    class Meta:
        verbose_name = _("extra run of a job")
        verbose_name_plural = _("extra runs of jobs")
        ordering = ("at", "pk")
        indexes = (models.Index(fields=["job", "at"], name="core_job_trigger_due"),)

    def __str__(self) -> str:
        return f"job {self.job_id} at {self.at:%Y-%m-%d %H:%M}"


class JobRun(models.Model):
    """One execution of a scheduled job, or one piece of background work that somebody started.

    A running row is *leased*: its worker renews ``heartbeat_at`` and proves with ``lease`` that the row is still its
    own whenever it commits. A row whose heartbeat stopped is taken from its worker and tried again.
    """

    class Kind(models.TextChoices):
        SCHEDULED = "scheduled", _("scheduled")
        MANUAL = "manual", _("started by hand")
        BACKGROUND = "background", _("background")

    class State(models.TextChoices):
        QUEUED = "queued", _("waiting")
        RUNNING = "running", _("running")
        DONE = "done", _("done")
        PARTIAL = "partial", _("partly done")
        FAILED = "failed", _("failed")
        CANCELLED = "cancelled", _("cancelled")

    erp: ClassVar[ModelOptions] = ModelOptions(
        exempt={
            "company": "a person sees the work he started, whatever company was selected",
            "version": "written by the job engine alone",
        }
    )

    id = models.BigAutoField(primary_key=True)
    job = models.ForeignKey(
        ScheduledJob,
        verbose_name=_("job"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="runs",
    )
    kind = models.CharField(_("kind"), max_length=12, choices=Kind.choices)
    task = models.CharField(_("task"), max_length=200)
    title = models.CharField(_("title"), max_length=200)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("user"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.QUEUED)
    done = models.PositiveIntegerField(_("done"), default=0)
    total = models.PositiveIntegerField(_("of"), null=True)
    log = models.TextField(_("log"), blank=True, default="")
    error = models.TextField(_("error"), blank=True, default="")
    inputs = models.JSONField(_("inputs"), encoder=DjangoJSONEncoder, default=dict)
    result = models.JSONField(_("result"), encoder=DjangoJSONEncoder, null=True)
    actor = models.JSONField(encoder=DjangoJSONEncoder, default=dict, editable=False)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    cancel_requested = models.BooleanField(_("to be cancelled"), default=False)
    created_at = models.DateTimeField(_("created on"), default=now)
    sent_at = models.DateTimeField(_("sent to a worker on"), null=True)
    started_at = models.DateTimeField(_("started"), null=True)
    finished_at = models.DateTimeField(_("finished"), null=True)
    heartbeat_at = models.DateTimeField(_("last sign of life"), null=True)
    lease = models.UUIDField(null=True, editable=False)

    class Meta:
        verbose_name = _("job run")
        verbose_name_plural = _("job runs")
        ordering = ("-pk",)
        indexes = (
            models.Index(fields=["job", "-id"], name="core_run_history"),
            models.Index(fields=["user", "-id"], name="core_run_of_user"),
            models.Index(
                fields=["state", "heartbeat_at"],
                name="core_run_live",
                condition=models.Q(state__in=["queued", "running"]),
            ),
            models.Index(fields=["finished_at"], name="core_run_finished"),
        )
        constraints = (
            models.UniqueConstraint(
                fields=["job"],
                name="core_run_one_at_a_time",
                condition=models.Q(state="running"),
                violation_error_message=_("This job is running already."),
            ),
            models.CheckConstraint(
                condition=~models.Q(state="running")
                | models.Q(lease__isnull=False, heartbeat_at__isnull=False),
                name="core_run_running_is_leased",
            ),
        )

    def __str__(self) -> str:
        return f"{self.title} #{self.pk}"
