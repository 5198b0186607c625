"""Fixed words of the REST interface."""

from __future__ import annotations

from datetime import timedelta

from django.db import models
from django.utils.translation import gettext_lazy as _

PREFIX = "api/v1/"

# --- idempotency keys
KEY_LENGTH = 200
KEPT_FOR = timedelta(hours=24)
# A request that takes longer than this has died; its key may be used again. What it did was rolled back.
IN_FLIGHT_FOR = timedelta(minutes=5)
# Answers that a repetition may change: nothing is kept, the client simply sends again.
RETRYABLE = frozenset({401, 403, 408, 409, 412, 423, 425, 429})

# --- webhooks
SIGNATURE_HEADER = "X-Meridian-Signature"
PAUSES = tuple(timedelta(seconds=s) for s in (30, 120, 600, 3600, 21600))
LEASE = timedelta(minutes=2)
SEND_TIMEOUT = 10  # seconds for the whole exchange
EXCERPT = 2000  # characters of an answer that are kept
DELIVERIES_KEPT_FOR = timedelta(days=30)
VERBS = {"created": "core.RecordsCreated", "updated": "core.RecordsUpdated", "deleted": "core.RecordsDeleted"}


class DeliveryState(models.TextChoices):
    WAITING = "waiting", _("waiting")
    DELIVERED = "delivered", _("delivered")
    FAILED = "failed", _("given up")
