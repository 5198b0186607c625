"""Rendered documents: one row a report, set of records, version of these, language and company."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from apps.chatter.models import Attachment
from apps.core.declarations import ModelOptions
from apps.core.models import BaseModel


class RenderedDocument(BaseModel):
    """A document that was asked for. ``key`` is the digest of all that its content depends on, so that the same
    document is rendered once and then served byte for byte; a change of a record gives another key."""

    class State(models.TextChoices):
        QUEUED = "queued", _("waiting")
        RENDERING = "rendering", _("being rendered")
        READY = "ready", _("ready")
        FAILED = "failed", _("failed")

    erp: ClassVar[ModelOptions] = ModelOptions(
        exempt={
            "company": "reached through the records that it shows, whose rules were checked when it was asked for"
        }
    )

    key = models.CharField(_("key"), max_length=64, unique=True)
    report = models.CharField(_("report"), max_length=120)
    model = models.CharField(_("kind of record"), max_length=100)
    pks = models.JSONField(_("records"))
    language = models.CharField(_("language"), max_length=10)
    actor = models.JSONField(_("asked for by"), default=dict)
    state = models.CharField(
        _("state"), max_length=10, choices=State.choices, default=State.QUEUED, editable=False
    )
    attachment = models.ForeignKey(
        Attachment,
        verbose_name=_("file"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        editable=False,
    )
    filename = models.CharField(_("file name"), max_length=255)
    seconds = models.DecimalField(
        _("rendered in"), max_digits=9, decimal_places=3, null=True, blank=True, editable=False
    )
    error = models.TextField(_("error"), blank=True, editable=False)
    claimed_at = models.DateTimeField(_("being rendered since"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("rendered document")
        verbose_name_plural = _("rendered documents")
        ordering = ("-pk",)
        indexes = (
            models.Index(
                fields=["id"], name="reports_document_waiting", condition=Q(state__in=("queued", "rendering"))
            ),
        )
        constraints = (
            models.CheckConstraint(
                condition=Q(state__in=("queued", "rendering", "ready", "failed")),
                name="reports_document_state",
            ),
        )

    def __str__(self) -> str:
        return self.filename
