"""What the REST interface stores: repeatable requests and webhooks."""

from apps.api.models.idempotency import IdempotentRequest
from apps.api.models.webhook import WebhookDelivery, WebhookEndpoint

__all__ = ["IdempotentRequest", "WebhookDelivery", "WebhookEndpoint"]
