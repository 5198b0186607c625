"""Webhooks: endpoints, deliveries written with the event, sending with retries, replay."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import secrets
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.apps import apps
from django.core.cache import cache
from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.api.constants import (
    DELIVERIES_KEPT_FOR,
    EXCERPT,
    LEASE,
    PAUSES,
    SEND_TIMEOUT,
    SIGNATURE_HEADER,
    VERBS,
    DeliveryState,
)
from apps.api.models import WebhookDelivery, WebhookEndpoint
from apps.api.services import targets
from apps.core.actions import action
from apps.core.actor import Actor
from apps.core.errors import ValidationFailed
from apps.core.events import Event, RecordsCreated, RecordsDeleted, RecordsUpdated, event_class
from apps.core.queue import enqueue_on_commit
from apps.core.records import RecordService, Values, service
from apps.core.unit_of_work import current

logger = logging.getLogger("meridian.webhooks")

SUBSCRIBED_KEY = "api.webhooks.subscribed.v1"
SUBSCRIBED_SECONDS = 300
SEND_TASK = "api.send_webhooks"


# ------------------------------------------------------------------------------------------------- endpoints
@service(WebhookEndpoint)
class WebhookEndpointService(RecordService[WebhookEndpoint]):
    """Endpoints. The secret is made here and shown once, in the answer that creates the endpoint."""

    def prepare_create(self, rows: list[Values], actor: Actor) -> None:
        for row in rows:
            row["secret"] = new_secret()

    def validate(self, records: Sequence[WebhookEndpoint], actor: Actor) -> None:
        for record in records:
            errors: dict[str, list[str]] = {}
            try:
                targets.check_url(record.url)
            except targets.TargetRefused as exc:
                errors["url"] = [str(exc)]
            problem = _event_problem(record.events)
            if problem:
                errors["events"] = [problem]
            if errors:
                raise ValidationFailed(fields=errors)

    def after_create(self, records: Sequence[WebhookEndpoint], rows: Sequence[Values], actor: Actor) -> None:
        forget_subscriptions()

    def after_update(
        self,
        records: Sequence[WebhookEndpoint],
        before: Mapping[Any, Mapping[str, Any]],
        values: Values,
        actor: Actor,
    ) -> None:
        forget_subscriptions()

    def before_delete(self, records: Sequence[WebhookEndpoint], actor: Actor) -> None:
        forget_subscriptions()


def new_secret() -> str:
    return secrets.token_urlsafe(32)


def _event_problem(events: Any) -> str:
    if not isinstance(events, list) or not events or not all(isinstance(name, str) for name in events):
        return _("Give a list of at least one event name.")
    for name in events:
        if not is_event_name(name):
            return _("'%(name)s' is not an event. Examples: projects.TaskClosed, projects.task.created.") % {
                "name": name
            }
    return ""


def is_event_name(name: str) -> bool:
    """``<app>.<Event>`` as declared, or ``<app>.<model>.created|updated|deleted``."""
    label, _dot, verb = name.rpartition(".")
    if verb in VERBS and "." in label:
        try:
            apps.get_model(label)
        except (LookupError, ValueError):
            return False
        return label == label.lower()
    return event_class(name) is not None and name not in VERBS.values()


@action(
    WebhookEndpoint,
    name="rotate_secret",
    permission="change",
    title=gettext_lazy("New secret"),
    icon="key",
    dangerous=True,
    bulk=False,
)
def rotate_secret(endpoints: Sequence[WebhookEndpoint], *, actor: Actor) -> dict[str, str]:
    """Make a new secret and answer it, once. Messages are signed with it from now on."""
    for endpoint in endpoints:
        endpoint.secret = new_secret()
        endpoint.save(update_fields=["secret"])
    return {"secret": endpoints[0].secret} if len(endpoints) == 1 else {}


# -------------------------------------------------------------------------------------------- subscriptions
def forget_subscriptions() -> None:
    """Endpoints changed: what is kept about them is read again after commit."""
    work = current()
    if work is None:
        _drop_subscriptions()
    else:
        work.on_commit(_drop_subscriptions)


def _drop_subscriptions() -> None:
    cache.delete(SUBSCRIBED_KEY)


def is_subscribed(event_name: str) -> bool:
    """Whether any active endpoint may want an event of this name. Kept in the cache; no query as a rule."""
    names = cache.get(SUBSCRIBED_KEY)
    if names is None:
        names = set()
        for events in WebhookEndpoint.objects.filter(active=True).values_list("events", flat=True):
            for name in events:
                verb = name.rpartition(".")[2]
                names.add(VERBS.get(verb, name))
        cache.set(SUBSCRIBED_KEY, names, SUBSCRIBED_SECONDS)
    return event_name in names


def public_name(event: Event) -> str:
    """What subscribers call an event."""
    if isinstance(event, RecordsCreated):
        return f"{event.model}.created"
    if isinstance(event, RecordsUpdated):
        return f"{event.model}.updated"
    if isinstance(event, RecordsDeleted):
        return f"{event.model}.deleted"
    return event.name


def record_deliveries(event: Event, *, actor: Actor) -> int:
    """Write a waiting delivery for every active endpoint that wants the event; answers how many.

    Runs in the transaction that marks the event as delivered to us, so each endpoint gets exactly one delivery.
    """
    name = public_name(event)
    company_pk = getattr(event, "company_pk", None) or actor.company_pk
    endpoints = WebhookEndpoint.objects.filter(
        Q(company__isnull=True) | Q(company_id=company_pk), active=True, events__contains=[name]
    )
    data = {_public_key(key): value for key, value in event.payload().items()}
    rows = [
        WebhookDelivery(
            endpoint=endpoint,
            event=name,
            payload={"event": name, "company": company_pk, "user": actor.user_pk, "data": data},
        )
        for endpoint in endpoints
    ]
    if rows:
        WebhookDelivery.objects.bulk_create(rows)
        enqueue_on_commit(SEND_TASK)
    return len(rows)


def _public_key(key: str) -> str:
    """Outside, primary keys are called ids and links by their names."""
    if key == "pks":
        return "ids"
    return "id" if key == "pk" else key.removesuffix("_pk")


# --------------------------------------------------------------------------------------------------- sending
def signature(secret: str, timestamp: int, body: bytes) -> str:
    """``t=<unix time>,v1=<HMAC-SHA256 in hex>`` over ``<time>.<body>``. Receivers recompute it and refuse old times."""
    digest = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"


def send_due(*, limit: int = 200, now: datetime | None = None) -> int:
    """Send waiting deliveries that are due, each once; answers how many were tried.

    A delivery is leased before it is sent and no transaction is open meanwhile: a slow receiver holds no lock, and what
    a dying worker had in hand is sent again when the lease is over.
    """
    tried = 0
    while tried < limit:
        delivery = _lease_one(now or timezone.now())
        if delivery is None:
            break
        _send(delivery)
        tried += 1
    return tried


def _lease_one(now: datetime) -> WebhookDelivery | None:
    with transaction.atomic():
        delivery = (
            WebhookDelivery.objects.select_for_update(of=("self",), skip_locked=True)
            .select_related("endpoint")
            .filter(state=DeliveryState.WAITING, next_attempt_at__lte=now)
            .order_by("next_attempt_at", "pk")
            .first()
        )
        if delivery is not None:
            delivery.attempts += 1
            delivery.next_attempt_at = now + LEASE
            delivery.save(update_fields=["attempts", "next_attempt_at"])
        return delivery


def _send(delivery: WebhookDelivery) -> None:
    endpoint, moment = delivery.endpoint, int(time.time())
    if not endpoint.active:
        _give_up(delivery, _("The webhook is archived."))
        return
    message = {"id": str(delivery.uid), "created_at": delivery.created_at, **delivery.payload}
    body = json.dumps(message, cls=DjangoJSONEncoder, separators=(",", ":"), sort_keys=True).encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Meridian-Webhook/1",
        "X-Meridian-Event": delivery.event,
        "X-Meridian-Delivery": str(delivery.uid),
        SIGNATURE_HEADER: signature(endpoint.secret, moment, body),
    }
    started = time.monotonic()
    try:
        answer = targets.post(endpoint.url, body, headers, timeout=SEND_TIMEOUT, keep=EXCERPT)
    except targets.TargetRefused as exc:
        _give_up(delivery, str(exc))
        return
    except targets.SendFailed as exc:
        delivery.response_status, delivery.response = None, ""
        _try_later(delivery, str(exc), started)
        return
    delivery.response_status, delivery.response = answer.status, answer.body[:EXCERPT]
    if 200 <= answer.status < 300:
        delivery.state, delivery.error, delivery.next_attempt_at = DeliveryState.DELIVERED, "", None
        delivery.done_at = timezone.now()
        _save(delivery, started)
    else:
        _try_later(delivery, _("The receiver answered %(status)s.") % {"status": answer.status}, started)


def _try_later(delivery: WebhookDelivery, error: str, started: float) -> None:
    delivery.error = error
    if delivery.attempts > len(PAUSES):
        delivery.state, delivery.next_attempt_at, delivery.done_at = (
            DeliveryState.FAILED,
            None,
            timezone.now(),
        )
        logger.warning("webhook delivery %s is given up: %s", delivery.uid, error)
    else:
        delivery.next_attempt_at = timezone.now() + PAUSES[delivery.attempts - 1]
    _save(delivery, started)


def _give_up(delivery: WebhookDelivery, error: str) -> None:
    delivery.state, delivery.error, delivery.next_attempt_at = DeliveryState.FAILED, error, None
    delivery.done_at = timezone.now()
    _save(delivery, time.monotonic())


def _save(delivery: WebhookDelivery, started: float) -> None:
    delivery.milliseconds = int((time.monotonic() - started) * 1000)
    delivery.save(
        update_fields=[
            "state",
            "next_attempt_at",
            "response_status",
            "response",
            "error",
            "milliseconds",
            "done_at",
        ]
    )


@action(WebhookDelivery, name="replay", permission="replay", title=gettext_lazy("Send again"), icon="replay")
def replay_deliveries(deliveries: Sequence[WebhookDelivery], *, actor: Actor) -> None:
    """Send the same messages again, with the same message id, whatever became of them."""
    now = timezone.now()
    for delivery in deliveries:
        delivery.state, delivery.attempts, delivery.next_attempt_at = DeliveryState.WAITING, 0, now
        delivery.done_at, delivery.error = None, ""
    WebhookDelivery.objects.bulk_update(
        deliveries, ["state", "attempts", "next_attempt_at", "done_at", "error"]
    )
    enqueue_on_commit(SEND_TASK)


def purge(*, now: datetime | None = None) -> int:
    """Delete finished deliveries older than a month."""
    before = (now or timezone.now()) - DELIVERIES_KEPT_FOR
    rows = WebhookDelivery.objects.filter(created_at__lt=before).exclude(state=DeliveryState.WAITING)
    return rows.delete()[0]
