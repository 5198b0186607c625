"""Webhooks: where events are sent, and what was sent."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.api.constants import DeliveryState
from apps.core.declarations import ModelOptions, SearchField
from apps.core.models import ArchivableMixin, BaseModel, CompanySharedMixin


class WebhookEndpoint(ArchivableMixin, CompanySharedMixin, BaseModel):
    """An address that is told about events. With a company it hears of that company only.

    Messages name what happened and the ids of the records, never their contents: what the receiver may read he reads
    through REST with rights of his own. Each is signed with ``secret``.
    """

    erp: ClassVar[ModelOptions] = ModelOptions(
        tracked=("name", "url", "events", "active"), search=(SearchField("name", "A"),), secret=("secret",)
    )

    name = models.CharField(_("name"), max_length=100)
    url = models.URLField(_("address"), max_length=500)
    secret = models.CharField(_("secret"), max_length=100, editable=False)
    events = models.JSONField(
        _("events"),
        default=list,
        help_text=_("Names such as projects.TaskClosed or projects.task.created."),
    )

    class Meta:
        verbose_name = _("webhook")
        verbose_name_plural = _("webhooks")
        ordering = ("name", "pk")

    def __str__(self) -> str:
        return self.name


class WebhookDelivery(models.Model):
    """One message to one endpoint, with its fate. Sent at least once; ``uid`` lets the receiver drop repetitions."""

    erp: ClassVar[ModelOptions] = ModelOptions(
        exempt={"company": "follows its endpoint by rule", "version": "written by the sender alone"}
    )

    id = models.BigAutoField(primary_key=True)
    uid = models.UUIDField(_("message id"), default=uuid.uuid4, unique=True, editable=False)
    endpoint = models.ForeignKey(
        WebhookEndpoint, verbose_name=_("webhook"), on_delete=models.CASCADE, related_name="deliveries"
    )
    event = models.CharField(_("event"), max_length=120)
    payload = models.JSONField(_("message"), encoder=DjangoJSONEncoder, editable=False)
    state = models.CharField(
        _("state"),
        max_length=10,
        choices=DeliveryState.choices,
        default=DeliveryState.WAITING,
        editable=False,
    )
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0, editable=False)
    next_attempt_at = models.DateTimeField(_("next attempt"), null=True, default=timezone.now, editable=False)
    response_status = models.PositiveSmallIntegerField(_("status of the answer"), null=True, editable=False)
    response = models.TextField(_("beginning of the answer"), blank=True, default="", editable=False)
    error = models.TextField(_("error"), blank=True, default="", editable=False)
    milliseconds = models.PositiveIntegerField(_("duration (ms)"), null=True, editable=False)
    created_at = models.DateTimeField(_("created on"), default=timezone.now, editable=False)
    done_at = models.DateTimeField(_("finished on"), null=True, editable=False)

    class Meta:
        verbose_name = _("webhook delivery")
        verbose_name_plural = _("webhook deliveries")
        ordering = ("-pk",)
        indexes = (
            models.Index(
                fields=["next_attempt_at"],
                name="api_webhook_waiting",
                condition=models.Q(state=DeliveryState.WAITING),
            ),
            models.Index(fields=["created_at"], name="api_webhook_age"),
        )

    def __str__(self) -> str:
        return f"{self.event} #{self.pk}"
