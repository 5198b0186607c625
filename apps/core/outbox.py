"""Delivering the outbox: each event to each of its handlers, exactly once as far as the database goes.

A batch of waiting events is claimed with ``FOR UPDATE SKIP LOCKED``, so any number of workers may run at once. Each
handler runs in its own savepoint together with the row that records its delivery; a handler that fails is tried
again with growing pauses, the others are not repeated. After the last try the event is marked dead and stays
visible in the back office, from where it can be retried.
"""

from __future__ import annotations

import datetime
import json
import logging
import time
from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from apps.core.actor import system_from_snapshot
from apps.core.events import event_class, handlers_of, takes_together
from apps.core.models.outbox import OutboxDelivery, OutboxEvent
from apps.core.queue import asleep, awake
from apps.core.unit_of_work import DISPATCH_TASK, unit_of_work

logger = logging.getLogger("meridian.outbox")

BATCH = 50
PAUSES = tuple(datetime.timedelta(seconds=s) for s in (5, 30, 120, 600, 1800, 7200, 21600, 43200))
KEEP = datetime.timedelta(days=14)


class HandlerFailed(Exception):
    """One or more handlers of an event raised; the others were delivered."""


def drain(*, seconds: float = 2.0, pause: float = 0.15) -> int:
    """Deliver what waits and what comes meanwhile, until nothing does or the time is over; answers how many events were
    dealt with. While it looks by itself, commits need not wake anybody."""
    handled = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        awake(DISPATCH_TASK)
        done = dispatch()
        handled += done
        if not done:
            break
        time.sleep(pause)
    asleep(DISPATCH_TASK)
    return handled + dispatch()


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
        if not waiting:
            return 0
        delivered: dict[int, set[str]] = {row.pk: set() for row in waiting}
        for event_pk, handler in OutboxDelivery.objects.filter(event__in=waiting).values_list(
            "event_id", "handler"
        ):
            delivered[event_pk].add(handler)
        _deliver_together(waiting, delivered)
        done = [row.pk for row in waiting if _deliver(row, delivered[row.pk])]
        OutboxEvent.objects.filter(pk__in=done).update(
            attempts=F("attempts") + 1, error="", done_at=timezone.now()
        )
    return len(waiting)


def _deliver_together(waiting: Sequence[OutboxEvent], delivered: dict[int, set[str]]) -> None:
    """Events that differ in their ``pks`` alone go as one to the handlers that take them so. What fails is left to be
    delivered one by one."""
    groups: dict[tuple[str, str], list[OutboxEvent]] = {}
    for row in waiting:
        if any(takes_together(path) for path in handlers_of(row.name)) and "pks" in row.payload:
            rest = {key: value for key, value in row.payload.items() if key != "pks"}
            alike = json.dumps([rest, row.actor], sort_keys=True, default=str)
            groups.setdefault((row.name, alike), []).append(row)
    for (name, _alike), rows in groups.items():
        cls = event_class(name)
        if len(rows) < 2 or cls is None:
            continue
        for path, handler in handlers_of(name).items():
            own = [row for row in rows if takes_together(path) and path not in delivered[row.pk]]
            if not own:
                continue
            pks = dict.fromkeys(pk for row in own for pk in row.payload["pks"])
            event = cls.from_payload({**own[0].payload, "pks": list(pks)})
            if not _run(own, path, handler, event, system_from_snapshot(own[0].actor)):
                for row in own:
                    delivered[row.pk].add(path)


def _deliver(row: OutboxEvent, delivered: set[str]) -> bool:
    """Hand an event to those of its handlers that have not dealt with it; answers whether all have now."""
    errors = []
    cls = event_class(row.name)
    handlers = {path: handler for path, handler in handlers_of(row.name).items() if path not in delivered}
    if cls is not None and handlers:
        event = cls.from_payload(row.payload)
        actor = system_from_snapshot(row.actor)
        for path, handler in handlers.items():
            error = _run([row], path, handler, event, actor)
            if error:
                errors.append(f"{path}: {error}")
    if not errors:
        return True
    row.attempts += 1
    row.error = "\n".join(errors)[:20000]
    if row.attempts > len(PAUSES):
        row.dead = True
        logger.error("event %s (%s) is given up after %s attempts", row.pk, row.name, row.attempts)
    else:
        row.next_attempt_at = timezone.now() + PAUSES[row.attempts - 1]
    row.save(update_fields=["attempts", "error", "dead", "next_attempt_at"])
    return False


def _run(rows: Sequence[OutboxEvent], path: str, handler: Any, event: Any, actor: Any) -> str:
    """Run one handler with its delivery records in one savepoint; answers the error text, empty for success."""
    try:
        with unit_of_work(actor):
            OutboxDelivery.objects.bulk_create([OutboxDelivery(event=row, handler=path) for row in rows])
            handler(event, actor=actor)
    except Exception as exc:
        logger.exception("handler %s failed on event %s (%s)", path, rows[0].pk, rows[0].name)
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
