"""Background tasks of the kernel: thin shells around services."""

from __future__ import annotations

from celery import shared_task
from celery.exceptions import SoftTimeLimitExceeded

from apps.core import outbox
from apps.core.jobs import engine

_TIMEOUTS = (SoftTimeLimitExceeded,)


@shared_task(name="core.dispatch_outbox", ignore_result=True)
def dispatch_outbox() -> int:
    """Deliver waiting events; woken after commits and every few seconds by the beat."""
    return outbox.drain()


@shared_task(name="core.tick", ignore_result=True)
def tick() -> int:
    """Send due jobs and forgotten background work to the workers; take over what dead workers left."""
    return engine.tick()


@shared_task(name="core.run_job", ignore_result=True)
def run_job(job_pk: int) -> None:
    """Execute a scheduled job if it is due and nobody executes it. Outcome and errors are in its ``JobRun``."""
    engine.run_job(job_pk, timeouts=_TIMEOUTS)


@shared_task(name="core.run_background", ignore_result=True)
def run_background(run_pk: int) -> None:
    """Execute background work that somebody started. Outcome and errors are in its ``JobRun``."""
    engine.run_background(run_pk, timeouts=_TIMEOUTS)
