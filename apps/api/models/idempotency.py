"""Requests with an ``Idempotency-Key``: sent twice, done once."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from apps.api.constants import KEY_LENGTH
from apps.core.declarations import ModelOptions


class IdempotentRequest(models.Model):
    """One key of one user. Without ``status`` the request is being worked on by the holder of ``attempt``.

    The answer is written in the transaction of the request's own effects, so either both exist or neither.
    """

    erp: ClassVar[ModelOptions] = ModelOptions(
        secret=("body",),
        exempt={"company": "belongs to a user's request", "version": "written by the REST interface alone"},
    )

    id = models.BigAutoField(primary_key=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=KEY_LENGTH)
    # SHA-256 over method, path, company and body: the same key for another request is a mistake of the client.
    fingerprint = models.CharField(max_length=64)
    attempt = models.UUIDField(default=uuid.uuid4)
    begun_at = models.DateTimeField(default=timezone.now, db_index=True)
    status = models.PositiveSmallIntegerField(null=True)
    body = models.BinaryField(default=bytes)
    headers = models.JSONField(default=dict)

    class Meta:
        ordering = ("pk",)
        constraints = (models.UniqueConstraint(fields=["user", "key"], name="api_idempotency_key_once"),)

    def __str__(self) -> str:
        return self.key
