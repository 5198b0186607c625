"""The transactional outbox: events stored with the change they announce, delivered afterwards by workers."""

from __future__ import annotations

from typing import ClassVar

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.utils import timezone

from apps.core.declarations import ModelOptions

KERNEL_TABLE = ModelOptions(
    exempt={"company": "kernel table, read by the dispatcher alone", "version": "append-only kernel table"}
)


class OutboxEvent(models.Model):
    """An event waiting for, or done with, delivery. Rows are inserted in the transaction of their cause."""

    erp: ClassVar[ModelOptions] = KERNEL_TABLE

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(max_length=120)
    payload = models.JSONField(encoder=DjangoJSONEncoder)
    actor = models.JSONField(encoder=DjangoJSONEncoder)
    created_at = models.DateTimeField(default=timezone.now)
    done_at = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(default=timezone.now)
    error = models.TextField(blank=True, default="")
    dead = models.BooleanField(default=False)

    class Meta:
        ordering = ("pk",)
        indexes = (
            models.Index(
                fields=["next_attempt_at", "id"],
                name="core_outbox_waiting",
                condition=models.Q(done_at__isnull=True, dead=False),
            ),
        )

    def __str__(self) -> str:
        return f"{self.name} #{self.pk}"


class OutboxDelivery(models.Model):
    """That one handler dealt with one event: written in the handler's own transaction, so never twice."""

    erp: ClassVar[ModelOptions] = KERNEL_TABLE

    id = models.BigAutoField(primary_key=True)
    event = models.ForeignKey(OutboxEvent, on_delete=models.CASCADE, related_name="deliveries")
    handler = models.CharField(max_length=200)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("pk",)
        constraints = (
            models.UniqueConstraint(fields=["event", "handler"], name="core_outbox_delivered_once"),
        )

    def __str__(self) -> str:
        return f"{self.handler} of event {self.event_id}"
