"""Background tasks of the kernel: thin shells around services."""

from __future__ import annotations

from celery import shared_task

from apps.core import outbox


@shared_task(name="core.dispatch_outbox", ignore_result=True)
def dispatch_outbox() -> int:
    """Deliver waiting events; woken after each commit and every few seconds by the beat."""
    return outbox.dispatch()
