"""Keys of repeatable requests: claim, finish, give back, purge."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.api.constants import IN_FLIGHT_FOR, KEPT_FOR
from apps.api.models import IdempotentRequest
from apps.core.errors import BusinessError, Conflict


class KeyReused(BusinessError):
    """The key came before with another request."""

    code = "idempotency_key_reused"
    status = 422


class InFlight(Conflict):
    """The same request is being worked on; ask again in a moment."""

    code = "in_flight"


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to do a request. ``stored`` is set when it was done before."""

    pk: int
    attempt: uuid.UUID
    stored: IdempotentRequest | None = None


def claim(user_pk: int, key: str, fingerprint: str) -> Claim:
    """Claim a key for a request, or answer what it came to before. Commits by itself, outside the request's own
    transaction. Raises ``KeyReused`` for another request under the key, ``InFlight`` while the first is at work."""
    now = timezone.now()
    fresh = IdempotentRequest(user_id=user_pk, key=key, fingerprint=fingerprint, begun_at=now)
    with transaction.atomic():
        IdempotentRequest.objects.bulk_create([fresh], ignore_conflicts=True)
        row = IdempotentRequest.objects.select_for_update(of=("self",)).get(user_id=user_pk, key=key)
        if row.attempt == fresh.attempt:
            return Claim(row.pk, row.attempt)
        if row.begun_at < now - KEPT_FOR:
            return _take(row, fingerprint, now)
        if row.fingerprint != fingerprint:
            raise KeyReused(_("This Idempotency-Key was used for another request. Use a new one."))
        if row.status is not None:
            return Claim(row.pk, row.attempt, stored=row)
        if row.begun_at < now - IN_FLIGHT_FOR:
            return _take(row, fingerprint, now)
    raise InFlight(_("The first request with this Idempotency-Key is still at work. Ask again in a moment."))


def _take(row: IdempotentRequest, fingerprint: str, now: datetime) -> Claim:
    """Take over a key whose request is too old to be alive. Should it live after all, it cannot finish."""
    row.attempt, row.begun_at, row.fingerprint = uuid.uuid4(), now, fingerprint
    row.status, row.body, row.headers = None, b"", {}
    row.save()
    return Claim(row.pk, row.attempt)


def finish(held: Claim, *, status: int, body: bytes, headers: dict[str, str]) -> None:
    """Store the answer; within the transaction of the effects when there are any. Raises ``InFlight`` when somebody
    took the key over, which undoes the effects."""
    done = IdempotentRequest.objects.filter(pk=held.pk, attempt=held.attempt, status=None).update(
        status=status, body=body, headers=headers
    )
    if not done:
        raise InFlight(_("Another request with this Idempotency-Key took over."))


def give_back(held: Claim) -> None:
    """Forget a key whose request came to nothing that would be the same the next time."""
    IdempotentRequest.objects.filter(pk=held.pk, attempt=held.attempt, status=None).delete()


def purge(*, now: datetime | None = None) -> int:
    """Delete keys that are past their time."""
    return IdempotentRequest.objects.filter(begun_at__lt=(now or timezone.now()) - KEPT_FOR).delete()[0]
