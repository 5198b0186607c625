"""Which deliveries are whose: those of the webhooks that the actor may see."""

from __future__ import annotations

from django.db.models import Q

from apps.api.models import WebhookDelivery, WebhookEndpoint
from apps.core.actor import Actor
from apps.core.rules import rule, visible


@rule(WebhookDelivery, mandatory=True)
def of_a_visible_webhook(actor: Actor, op: str) -> Q:
    return Q(endpoint__in=visible(WebhookEndpoint, actor).values("pk"))
