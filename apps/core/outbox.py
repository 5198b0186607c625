"""Delivering the outbox: each event to each of its handlers, exactly once as far as the database goes.

A batch of waiting events is claimed with ``FOR UPDATE SKIP LOCKED``, so any number of workers may run at once. Each
handler runs in its own savepoint together with the row that records its delivery; a handler that fails is tried
again with growing pauses, the others are not repeated. After the last try the event is marked dead and stays
visible in the back office, from where it can be retried.
"""

from __future__ import annotations

import datetime
import logging
from typing import Any

from django.db import transaction
from django.utils import timezone

from apps.core.actor import system_from_snapshot
from apps.core.events import event_class, handlers_of
from apps.core.models.outbox import OutboxDelivery, OutboxEvent
from apps.core.unit_of_work import unit_of_work

logger = logging.getLogger("meridian.outbox")

BATCH = 50
PAUSES = tuple(datetime.timedelta(seconds=s) for s in (5, 30, 120, 600, 1800, 7200, 21600, 43200))
KEEP = datetime.timedelta(days=14)


class HandlerFailed(Exception):
    """One or more handlers of an event raised; the others were delivered."""


def dispatch(*, limit: int = 1000) -> int:
    """Deliver waiting events that are due; answers how many events were dealt with."""
    handled = 0
    while handled < limit:
        done = _dispatch_batch(min(BATCH, limit - handled))
        handled += done
        if done == 0:
            break
    return handled


def _dispatch_batch(size: int) -> int:
    with transaction.atomic():
        waiting = list(
            OutboxEvent.objects.select_for_update(skip_locked=True)
            .filter(done_at__isnull=True, dead=False, next_attempt_at__lte=timezone.now())
            .order_by("pk")[:size]
        )
        delivered = set(OutboxDelivery.objects.filter(event__in=waiting).values_list("event_id", "handler"))
        for row in waiting:
            _deliver(row, {handler for event_pk, handler in delivered if event_pk == row.pk})
    return len(waiting)


def _deliver(row: OutboxEvent, delivered: set[str]) -> None:
    handlers = handlers_of(row.name)
    errors = []
    cls = event_class(row.name)
    if cls is not None:
        event = cls.from_payload(row.payload)
        actor = system_from_snapshot(row.actor)
        for path, handler in handlers.items():
            if path in delivered:
                continue
            error = _run(row, path, handler, event, actor)
            if error:
                errors.append(f"{path}: {error}")
    row.attempts += 1
    row.error = "\n".join(errors)[:20000]
    if not errors:
        row.done_at = timezone.now()
    elif row.attempts > len(PAUSES):
        row.dead = True
        logger.error("event %s (%s) is given up after %s attempts", row.pk, row.name, row.attempts)
    else:
        row.next_attempt_at = timezone.now() + PAUSES[row.attempts - 1]
    row.save(update_fields=["attempts", "error", "done_at", "dead", "next_attempt_at"])


def _run(row: OutboxEvent, path: str, handler: Any, event: Any, actor: Any) -> str:
    """Run one handler with its delivery record in one savepoint; answers the error text, empty for success."""
    try:
        with unit_of_work(actor):
            OutboxDelivery.objects.create(event=row, handler=path)
            handler(event, actor=actor)
    except Exception as exc:
        logger.exception("handler %s failed on event %s (%s)", path, row.pk, row.name)
        return f"{type(exc).__name__}: {exc}"
    return ""


def retry(pks: list[int]) -> int:
    """Make dead or waiting events due now; answers how many."""
    return OutboxEvent.objects.filter(pk__in=pks, done_at__isnull=True).update(
        dead=False, attempts=0, next_attempt_at=timezone.now()
    )


def purge(*, now: datetime.datetime | None = None) -> int:
    """Delete delivered events older than two weeks; answers how many rows went, deliveries included."""
    before = (now or timezone.now()) - KEEP
    deleted, _rows = OutboxEvent.objects.filter(done_at__lt=before).delete()
    return deleted
