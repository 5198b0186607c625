"""Background work of the REST interface: thin shells around services."""

from __future__ import annotations

from celery import shared_task

from apps.api.services import idempotency, webhooks
from apps.core.jobs.handle import RunHandle
from apps.core.jobs.registry import own_transactions


@shared_task(name="api.send_webhooks", ignore_result=True)
def send_webhooks() -> int:
    """Send webhook deliveries that are due."""
    return webhooks.send_due()


@own_transactions
def send_due_webhooks(run: RunHandle) -> None:
    """Scheduled: retries whose pause is over, and what a lost message left behind."""
    run.log(f"{webhooks.send_due()} deliveries were tried")


def purge(run: RunHandle) -> None:
    """Scheduled: forget idempotency keys after a day and finished deliveries after a month."""
    run.log(f"{idempotency.purge()} keys and {webhooks.purge()} deliveries deleted")
