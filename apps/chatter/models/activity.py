"""Activities: what somebody means to do about a record by some day."""

from __future__ import annotations

import datetime
from typing import ClassVar
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.chatter.constants import (
    ActivityCategory,
    ActivityState,
    Chaining,
    Decoration,
    DelayFrom,
    DelayUnit,
)
from apps.chatter.models.attachment import Attachment
from apps.core.declarations import ModelOptions
from apps.core.models import ArchivableMixin, BaseModel, CompanySharedMixin

VOCABULARY = ModelOptions(exempt={"company": "a vocabulary, the same for every company"})


class ActivityType(ArchivableMixin, BaseModel):
    """A kind of activity and what follows from one. Types with a ``code`` are used by the program: they cannot be
    deleted (trigger) and keep their kind of record."""

    erp: ClassVar[ModelOptions] = VOCABULARY

    code = models.CharField(_("code"), max_length=40, blank=True, editable=False)
    name = models.CharField(_("name"), max_length=80)
    summary = models.CharField(_("usual summary"), max_length=200, blank=True)
    icon = models.CharField(_("icon"), max_length=40, default="task_alt", blank=True)
    decoration = models.CharField(
        _("shown as"), max_length=10, choices=Decoration.choices, default=Decoration.NONE, blank=True
    )
    category = models.CharField(
        _("finished by"), max_length=20, choices=ActivityCategory.choices, default=ActivityCategory.DEFAULT
    )
    model = models.CharField(
        _("kind of record"), max_length=100, blank=True, help_text=_("Empty: every kind.")
    )
    delay_count = models.PositiveIntegerField(_("due after"), default=0)
    delay_unit = models.CharField(_("unit"), max_length=10, choices=DelayUnit.choices, default=DelayUnit.DAYS)
    delay_from = models.CharField(
        _("counted"), max_length=20, choices=DelayFrom.choices, default=DelayFrom.COMPLETION
    )
    chaining = models.CharField(
        _("afterwards"), max_length=10, choices=Chaining.choices, default=Chaining.SUGGEST
    )
    suggested = models.ManyToManyField(
        "self", verbose_name=_("suggested next"), symmetrical=False, related_name="+", blank=True
    )
    triggered = models.ForeignKey(
        "self",
        verbose_name=_("planned next"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    default_assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("usually assigned to"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    default_note = models.TextField(_("usual note"), blank=True)
    keep_done = models.BooleanField(_("keep when done"), default=False)
    hidden = models.BooleanField(_("not offered"), default=False, editable=False)
    sequence = models.PositiveIntegerField(_("sequence"), default=10)

    class Meta:
        verbose_name = _("type of activity")
        verbose_name_plural = _("types of activities")
        ordering = ("sequence", "name", "pk")
        constraints = (
            models.UniqueConstraint(
                fields=["code"], condition=~Q(code=""), name="chatter_activity_type_code_once"
            ),
            models.CheckConstraint(
                condition=(Q(chaining=Chaining.SUGGEST) & Q(triggered__isnull=True))
                | (Q(chaining=Chaining.TRIGGER) & Q(triggered__isnull=False)),
                name="chatter_activity_type_one_chaining",
                violation_error_message=_("Name the activity that is planned next, and only then."),
            ),
            models.CheckConstraint(
                condition=Q(triggered__isnull=True) | ~Q(triggered=F("id")) | Q(delay_count__gt=0),
                name="chatter_activity_type_not_at_once_again",
                violation_error_message=_("An activity that plans itself again needs a delay."),
            ),
        )

    def __str__(self) -> str:
        return self.name


class ActivityQuerySet(models.QuerySet["Activity"]):
    def of_record(self, model_label: str, pk: int) -> ActivityQuerySet:
        return self.filter(model=model_label.lower(), object_id=pk)

    def open(self) -> ActivityQuerySet:
        return self.filter(active=True)


class Activity(ArchivableMixin, BaseModel):
    """Something to do about a record by ``deadline``, a date in the calendar of the assignee.

    Done ones are deleted, or archived when their type says so; the thread keeps what came of them.
    """

    erp: ClassVar[ModelOptions] = ModelOptions(
        company_links=(), exempt={"company": "belongs to the record that it names and is seen with it"}
    )

    model = models.CharField(_("kind of record"), max_length=100)
    object_id = models.BigIntegerField(_("record"))
    type = models.ForeignKey(
        ActivityType, verbose_name=_("type"), on_delete=models.PROTECT, related_name="activities"
    )
    summary = models.CharField(_("summary"), max_length=200, blank=True)
    note = models.TextField(_("note"), blank=True)
    deadline = models.DateField(_("due"))
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("assigned to"),
        on_delete=models.CASCADE,
        related_name="activities",
    )
    automated = models.BooleanField(_("planned by the system"), default=False, editable=False)
    previous_type = models.ForeignKey(
        ActivityType,
        verbose_name=_("followed from"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        editable=False,
    )
    done_on = models.DateField(_("done on"), null=True, blank=True, editable=False)
    feedback = models.TextField(_("what came of it"), blank=True, editable=False)
    attachments = models.ManyToManyField(
        Attachment, verbose_name=_("files"), related_name="activities", blank=True
    )
    record_name = models.CharField(_("record's name"), max_length=300, blank=True, editable=False)

    objects = ActivityQuerySet.as_manager()

    class Meta:
        verbose_name = _("activity")
        verbose_name_plural = _("activities")
        ordering = ("deadline", "pk")
        indexes = (
            models.Index(fields=["model", "object_id", "deadline"], name="chatter_activity_record"),
            models.Index(
                fields=["assignee", "deadline"], condition=Q(active=True), name="chatter_activity_of_user"
            ),
        )
        constraints = (
            models.CheckConstraint(
                condition=~Q(model="") & ~Q(object_id=0), name="chatter_activity_names_record"
            ),
            models.CheckConstraint(
                condition=(Q(active=True) & Q(done_on__isnull=True))
                | (Q(active=False) & Q(done_on__isnull=False)),
                name="chatter_activity_archived_when_done",
                violation_error_message=_("An activity is archived by marking it as done."),
            ),
        )

    def __str__(self) -> str:
        return self.summary or f"{_('activity')} {self.pk}"

    def state_on(self, today: datetime.date) -> str:
        """State for somebody whose calendar shows ``today``."""
        if not self.active:
            return ActivityState.DONE.value
        if self.deadline < today:
            return ActivityState.OVERDUE.value
        return (ActivityState.TODAY if self.deadline == today else ActivityState.PLANNED).value

    @property
    def state(self) -> str:
        """State in the calendar of the assignee (reads the assignee)."""
        return self.state_on(timezone.now().astimezone(ZoneInfo(self.assignee.timezone)).date())


class ActivityPlan(ArchivableMixin, CompanySharedMixin, BaseModel):
    """A set of activities that are planned together, around one date."""

    name = models.CharField(_("name"), max_length=120)
    model = models.CharField(_("kind of record"), max_length=100)

    class Meta:
        verbose_name = _("plan of activities")
        verbose_name_plural = _("plans of activities")
        ordering = ("name", "pk")
        constraints = (models.CheckConstraint(condition=~Q(model=""), name="chatter_plan_names_model"),)

    def __str__(self) -> str:
        return self.name


class ActivityPlanLine(BaseModel):
    """One activity of a plan, so long before or after the plan's date."""

    erp: ClassVar[ModelOptions] = ModelOptions(exempt={"company": "part of its plan"})

    plan = models.ForeignKey(
        ActivityPlan, verbose_name=_("plan"), on_delete=models.CASCADE, related_name="lines"
    )
    sequence = models.PositiveIntegerField(_("sequence"), default=10)
    type = models.ForeignKey(ActivityType, verbose_name=_("type"), on_delete=models.PROTECT, related_name="+")
    summary = models.CharField(_("summary"), max_length=200, blank=True)
    note = models.TextField(_("note"), blank=True)
    delay_count = models.PositiveIntegerField(_("so long"), default=0)
    delay_unit = models.CharField(_("unit"), max_length=10, choices=DelayUnit.choices, default=DelayUnit.DAYS)
    before = models.BooleanField(_("before the plan's date"), default=False)
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("assigned to"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text=_("Empty: who is chosen when the plan is launched."),
    )

    class Meta:
        verbose_name = _("line of a plan")
        verbose_name_plural = _("lines of a plan")
        ordering = ("plan_id", "sequence", "pk")

    def __str__(self) -> str:
        return self.summary or f"{_('line')} {self.pk}"
