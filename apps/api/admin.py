"""Back-office screens of webhooks and their deliveries."""

from __future__ import annotations

from apps.api.models import WebhookDelivery, WebhookEndpoint
from apps.backoffice.base import RecordAdmin, backoffice


@backoffice(WebhookEndpoint)
class WebhookEndpointAdmin(RecordAdmin):
    list_display = ("name", "url", "company", "active")
    list_filter = ("active",)
    fields = ("name", "url", "events", "company", "active")


@backoffice(WebhookDelivery)
class WebhookDeliveryAdmin(RecordAdmin):
    list_display = ("created_at", "endpoint", "event", "state", "attempts", "response_status", "error")
    list_filter = ("state", "event", "endpoint")
