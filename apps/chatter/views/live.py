"""``/live/``: server-sent events for whoever is signed in, and the same by asking now and then.

Who may listen to what is decided once, when a client connects, and again when it connects after ``LIFETIME``. No query
runs while a stream is open, and the database connection and thread that authorising needed are given back first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing
from typing import Any

import redis
from asgiref.sync import SyncToAsync, sync_to_async
from django.apps import apps
from django.core.cache import caches
from django.core.handlers.asgi import ASGIRequest
from django.db import connections
from django.http import HttpRequest, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from apps.access.http import build_actor
from apps.access.selectors.actors import actor_for, allowed_company_pks
from apps.chatter.selectors.threads import reads_internal
from apps.chatter.services.notices import public_channel
from apps.chatter.types import RecordRef
from apps.core import live
from apps.core.actor import Actor
from apps.core.errors import BusinessError
from apps.core.rules import visible

PING_SECONDS = 15
RETRY_MS = 3_000
LIFETIME = 600  # seconds; then the client connects again and is authorised afresh
MAX_WATCHES = 20
MAX_STREAMS_OF_USER = 12
MAX_STREAMS = 2_000
POLL_LIMIT = 200

_open_streams: Counter[int] = Counter()


async def stream(request: HttpRequest) -> HttpResponseBase:
    """The stream of the signed-in user: his own channel, and records named by ``watch=<app.model>:<pk>``."""
    if request.method != "GET":
        return _refusal("method_not_allowed", 405)
    if not isinstance(request, ASGIRequest):
        # A stream would hold this worker for good: the live process serves it, and without one, asking does.
        return _refusal("unavailable", 503)
    user_pk, channels = await sync_to_async(_authorise)(request)
    _give_thread_back()
    if user_pk is None:
        return _refusal("not_authenticated", 401)
    if _open_streams[user_pk] >= MAX_STREAMS_OF_USER or sum(_open_streams.values()) >= MAX_STREAMS:
        return _refusal("throttled", 429)
    since = live.parse_position(request.headers.get("Last-Event-ID", "") or request.GET.get("since", ""))
    answer = StreamingHttpResponse(_events(user_pk, channels, since), content_type="text/event-stream")
    answer["Cache-Control"] = "no-cache, no-transform"
    answer["X-Accel-Buffering"] = "no"
    return answer


@never_cache
@require_GET
def poll(request: HttpRequest) -> HttpResponseBase:
    """What happened on the channels after ``since``, for clients that cannot keep a stream open. Answers
    ``{last, events, reset}``; ``reset`` means that some may be missing."""
    user_pk, channels = _authorise(request)
    if user_pk is None:
        return _refusal("not_authenticated", 401)
    since = live.parse_position(request.GET.get("since", ""))
    try:
        last, notices, missed = live.read_since(since, channels)
    except (redis.RedisError, OSError):
        return _refusal("unavailable", 503)
    events = [{"channel": n.channel, "kind": n.kind, "data": n.data} for n in notices[-POLL_LIMIT:]]
    missed = missed or len(notices) > POLL_LIMIT
    return JsonResponse({"last": live.format_position(last), "events": events, "reset": missed})


# ---------------------------------------------------------------------------------------------------- authorising
def _authorise(request: HttpRequest) -> tuple[int | None, list[str]]:
    """The user and the channels that he may listen to; channels that he may not are left out without a word."""
    try:
        actor = _actor(request)
        if actor is None or actor.user_pk is None:
            return None, []
        return actor.user_pk, [
            live.user_channel(actor.user_pk),
            *_watched(request.GET.getlist("watch"), actor),
        ]
    except BusinessError:
        return None, []
    finally:
        if isinstance(request, ASGIRequest):
            _let_go()


def _actor(request: HttpRequest) -> Actor | None:
    """Somebody listens for all companies that he works for, whichever are selected on the page."""
    user: Any = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return None
    first = build_actor(request, channel="live")
    if first.is_internal:
        return actor_for(
            user, company_pk=first.company_pk, company_pks=allowed_company_pks(user), channel="live"
        )
    return first


def _watched(wanted: Iterable[str], actor: Actor) -> list[str]:
    channels = []
    for item in list(dict.fromkeys(wanted))[:MAX_WATCHES]:
        label, _colon, pk = item.partition(":")
        model = _model(label)
        if model is None or not pk.isdigit() or int(pk) >= 2**63:
            continue
        if visible(model, actor).filter(pk=int(pk)).exists():
            ref = RecordRef(model._meta.label_lower, int(pk))
            public = not reads_internal(actor)
            channels.append(public_channel(ref) if public else live.record_channel(ref.model, ref.pk))
    return channels


def _model(label: str) -> Any | None:
    try:
        return apps.get_model(label)
    except (LookupError, ValueError):
        return None


def _let_go() -> None:
    """The stream needs neither database nor cache any more, and others do. Django keeps a client of the cache, with
    connections of its own, for every request that is open under ASGI, and its ``close()`` leaves them open."""
    connections.close_all()
    for backend in caches.all(initialized_only=True):
        for pool in getattr(getattr(backend, "_cache", None), "_pools", {}).values():
            pool.disconnect()


def _give_thread_back() -> None:
    """Each request under ASGI has a thread of its own, kept until the response ends. A stream lasts, so it would keep
    hundreds of idle threads; nothing needs this one any more, and a new one is made should the end of the response
    ask for it."""
    context = SyncToAsync.thread_sensitive_context.get(None)
    executor = SyncToAsync.context_to_thread_executor.pop(context, None) if context is not None else None
    if executor is not None:
        executor.shutdown(wait=False)


# ------------------------------------------------------------------------------------------------------- answering
async def _events(user_pk: int, channels: list[str], since: live.Position | None) -> AsyncIterator[bytes]:
    _open_streams[user_pk] += 1
    try:
        yield f"retry: {RETRY_MS}\n\n".encode()
        async with aclosing(
            live.listen(channels, since=since, ping=PING_SECONDS, lifetime=LIFETIME)
        ) as notices:
            async for notice in notices:
                if notice is None:
                    yield b": ping\n\n"
                else:
                    yield f"id: {notice.event_id}\ndata: {notice.as_json()}\n\n".encode()
    finally:
        _open_streams[user_pk] -= 1
        if not _open_streams[user_pk]:
            del _open_streams[user_pk]


def _refusal(code: str, status: int) -> JsonResponse:
    answer = JsonResponse({"code": code}, status=status)
    answer["Cache-Control"] = "no-store"
    if status in (429, 503):
        answer["Retry-After"] = "30"
    return answer
