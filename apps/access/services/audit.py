"""Writing and sealing the audit trail."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from django.core.cache import cache
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, models, transaction
from django.utils import timezone

from apps.access.constants import AuditKind
from apps.access.models import AuditEntry, AuditSeal
from apps.access.types import Client
from apps.core.actor import Actor
from apps.core.errors import Unavailable
from apps.core.queue import enqueue

log = structlog.get_logger("audit")

# Longer than any transaction lives: an entry that commits late must not fall into a sealed range.
SEAL_AFTER = timedelta(hours=2)
SEAL_BATCH = 5_000
DENIAL_PAUSE = 60  # seconds in which the same refusal of the same user is written once
RECORD_TASK = "access.write_audit_entry"


def record(
    kind: str,
    *,
    actor: Actor | None = None,
    client: Client | None = None,
    user_pk: int | None = None,
    user_name: str = "",
    target: models.Model | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str = "",
) -> AuditEntry:
    """Write one entry in the current transaction: it stands exactly when what it tells stands."""
    entry = AuditEntry(
        **_facts(
            kind,
            actor=actor,
            client=client,
            user_pk=user_pk,
            user_name=user_name,
            target=target,
            before=before,
            after=after,
            reason=reason,
        )
    )
    entry.save(force_insert=True)
    return entry


def record_many(kind: str, rows: Sequence[Mapping[str, Any]], *, actor: Actor) -> None:
    """Entries about many records in one statement; each row has ``target``, ``before``, ``after``, ``reason``."""
    AuditEntry.objects.bulk_create([AuditEntry(**_facts(kind, actor=actor, **row)) for row in rows])


def record_denial(
    actor: Actor, model: type[models.Model] | str, op: str, rule: str = "", pk: Any = None
) -> None:
    """Note that a right was refused. It outlives the refused transaction: inside one, a worker writes the entry.

    The same refusal of the same actor is noted once a minute, so that nobody fills the trail by trying.
    """
    label = model.lower() if isinstance(model, str) else model._meta.label_lower
    log.info("denied", user=actor.user_pk, model=label, operation=op, pk=pk, rule=rule, ip=actor.ip)
    if not cache.add(f"access:denial:{actor.user_pk or actor.ip}:{label}:{op}:{pk}", 1, DENIAL_PAUSE):
        return
    facts = _facts(AuditKind.DENIAL, actor=actor, reason=f"{op}: {rule}" if rule else op)
    facts |= {"model": label[:120], "object_pk": pk if isinstance(pk, int) else None}
    if not connection.in_atomic_block:
        AuditEntry.objects.create(**facts)
        return
    try:
        enqueue(RECORD_TASK, json.loads(json.dumps(facts, cls=DjangoJSONEncoder)))
    except Unavailable as exc:
        log.warning(
            "denial was not written to the audit trail", user=actor.user_pk, model=label, error=str(exc)
        )


def write_entry(facts: Mapping[str, Any]) -> AuditEntry:
    """What the worker does with an entry that could not be written where it arose."""
    return AuditEntry.objects.create(**facts)


def _facts(
    kind: str,
    *,
    actor: Actor | None = None,
    client: Client | None = None,
    user_pk: int | None = None,
    user_name: str = "",
    target: models.Model | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str = "",
) -> dict[str, Any]:
    return {
        "at": timezone.now(),
        "kind": str(kind),
        "user_pk": user_pk if user_pk is not None else (actor.user_pk if actor else None),
        "user_name": (user_name or (actor.name if actor else ""))[:150],
        "ip": (client.ip if client else actor.ip if actor else "")[:45],
        "channel": (client.channel if client else actor.channel if actor else "")[:20],
        "request_id": (client.request_id if client else actor.request_id if actor else "")[:64],
        "company_pk": actor.company_pk if actor else None,
        "model": target._meta.label_lower if target is not None else "",
        "object_pk": target.pk if target is not None else None,
        "object_name": str(target)[:200] if target is not None else "",
        "before": dict(before) if before is not None else None,
        "after": dict(after) if after is not None else None,
        "reason": str(reason)[:300],
    }


# ----------------------------------------------------------------------------------------------------- sealing
def _canonical(row: tuple[Any, ...]) -> bytes:
    return json.dumps(
        list(row), cls=DjangoJSONEncoder, sort_keys=True, separators=(",", ":"), ensure_ascii=False
    ).encode()


_COLUMNS = tuple(field.attname for field in AuditEntry._meta.concrete_fields)


def _digest(previous: str, first_pk: int, last_pk: int) -> tuple[str, int]:
    """SHA-256 over the seal before and, in order of primary key, one line of JSON an entry; and their number."""
    digest = hashlib.sha256(previous.encode())
    count = 0
    rows = AuditEntry.objects.filter(pk__range=(first_pk, last_pk)).order_by("pk").values_list(*_COLUMNS)
    for row in rows.iterator(chunk_size=2_000):
        digest.update(_canonical(row) + b"\n")
        count += 1
    return digest.hexdigest(), count


def seal_audit(*, now: Any = None) -> int:
    """Seal what is old enough, in batches; answers how many seals were set. Safe to run twice."""
    limit = (now or timezone.now()) - SEAL_AFTER
    made = 0
    while True:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(hashtext('access_seal_audit'))")
            last = AuditSeal.objects.order_by("pk").last()
            start = last.last_pk + 1 if last else 0
            # Up to the first entry that is still too young: primary keys and times need not run in step.
            young = (
                AuditEntry.objects.filter(pk__gte=start, at__gte=limit)
                .order_by("pk")
                .values_list("pk", flat=True)
                .first()
            )
            ripe = AuditEntry.objects.filter(pk__gte=start).order_by("pk").values_list("pk", flat=True)
            if young is not None:
                ripe = ripe.filter(pk__lt=young)
            pks = list(ripe[:SEAL_BATCH])
            if not pks:
                return made
            digest, count = _digest(last.digest if last else "", start, pks[-1])
            AuditSeal.objects.create(first_pk=start, last_pk=pks[-1], count=count, digest=digest)
            made += 1


@dataclass(frozen=True, slots=True)
class BrokenSeal:
    """A range of entries that is not what was sealed."""

    seal_pk: int
    first_pk: int
    last_pk: int
    reason: str


def broken_seals() -> Iterator[BrokenSeal]:
    """Every seal whose entries were altered, removed or added to; nothing when the trail is whole."""
    previous, expected_start = "", 0
    for seal in AuditSeal.objects.order_by("pk").iterator():
        if seal.first_pk != expected_start:
            yield BrokenSeal(seal.pk, seal.first_pk, seal.last_pk, "a seal before this one is missing")
        digest, count = _digest(previous, seal.first_pk, seal.last_pk)
        if count != seal.count:
            yield BrokenSeal(
                seal.pk, seal.first_pk, seal.last_pk, f"{seal.count} entries were sealed, {count} are there"
            )
        elif digest != seal.digest:
            yield BrokenSeal(seal.pk, seal.first_pk, seal.last_pk, "an entry was altered")
        previous, expected_start = seal.digest, seal.last_pk + 1
