"""Stages: the columns through which tasks move."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.core.declarations import ModelOptions, SearchField
from apps.core.models import ArchivableMixin, BaseModel


class TaskStageQuerySet(models.QuerySet["TaskStage"]):
    def shared(self) -> TaskStageQuerySet:
        """Stages of projects, as opposed to personal ones."""
        return self.filter(owner__isnull=True)

    def personal(self, user_pk: int) -> TaskStageQuerySet:
        return self.filter(owner_id=user_pk)

    def in_order(self) -> TaskStageQuerySet:
        """The order in which a new task looks for its first stage: folded ones last."""
        return self.order_by("fold", "sequence", "pk")


class TaskStage(ArchivableMixin, BaseModel):
    """A column of a board. It serves any number of projects, or is the personal one of ``owner``; never both.

    Tasks in a folded stage count as ended (``Task.date_end``).
    """

    erp: ClassVar[ModelOptions] = ModelOptions(
        search=(SearchField("name", "A"),),
        exempt={
            "company": "a stage may serve projects of several companies; it holds a name and nothing else"
        },
    )

    name = models.CharField(_("name"), max_length=120)
    sequence = models.PositiveIntegerField(_("sequence"), default=10)
    fold = models.BooleanField(
        _("folded"), default=False, help_text=_("Tasks in it count as ended; the board shows it closed.")
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("personal stage of"),
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="personal_task_stages",
    )

    objects = TaskStageQuerySet.as_manager()

    class Meta:
        verbose_name = _("task stage")
        verbose_name_plural = _("task stages")
        ordering = ("sequence", "pk")
        constraints = (
            models.CheckConstraint(
                condition=models.Q(name__regex=r"\S"),
                name="projects_task_stage_has_name",
                violation_error_message=_("A stage needs a name."),
            ),
        )

    def __str__(self) -> str:
        return self.name
