"""Background work of access: thin shells around services."""

from __future__ import annotations

from typing import Any

from celery import shared_task

from apps.access.services import audit, links, sessions, tokens
from apps.core.jobs.handle import RunHandle


@shared_task(name=audit.RECORD_TASK, ignore_result=True)
def write_audit_entry(facts: dict[str, Any]) -> None:
    """Write a denial that was met inside a transaction which then rolled back."""
    audit.write_entry(facts)


def seal_audit(run: RunHandle) -> None:
    """Scheduled: seal the entries of the audit trail that are old enough."""
    run.log(f"{audit.seal_audit()} seals set")


def purge_expired(run: RunHandle) -> None:
    """Scheduled: remove sessions, links, devices and tokens whose time is over."""
    run.log(
        f"{sessions.purge_old_sessions()} sessions, {links.purge_old_links()} links, "
        f"{tokens.purge_expired_tokens()} tokens removed"
    )
