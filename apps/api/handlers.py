"""Events that webhooks subscribed to become deliveries."""

from __future__ import annotations

from apps.api.services import webhooks
from apps.core.actor import Actor
from apps.core.events import Event, on_every


@on_every(webhooks.is_subscribed)
def tell_webhooks(event: Event, *, actor: Actor) -> None:
    webhooks.record_deliveries(event, actor=actor)
