"""``Idempotency-Key`` on POST: a request that is sent again answers what it answered the first time.

The answer is stored in the same transaction as the effects. If the process dies, both are gone and the key is free
again after a while; if the client never saw the answer, he gets it by asking again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpResponse
from django.utils.translation import gettext as _

from apps.api import problems
from apps.api.constants import KEY_LENGTH, RETRYABLE
from apps.api.encoding import dumps
from apps.api.services import idempotency
from apps.core.actor import Actor
from apps.core.errors import ValidationFailed
from apps.core.unit_of_work import unit_of_work

KEY_HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotency-Replayed"
KEPT_HEADERS = ("Content-Type", "ETag", "Location")

Handler = Callable[..., Any]


def replayable(handler: Handler) -> Callable[..., HttpResponse]:
    """Make a view's handler honour the key. Without the header nothing changes."""

    @wraps(handler)
    def handle(view: Any, request: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        key = request.headers.get(KEY_HEADER)
        if key is None:
            return handler(view, request, *args, **kwargs)
        actor: Actor = view.actor
        held = idempotency.claim(_user(actor), _checked(key), _fingerprint(request, actor))
        if held.stored is not None:
            return _replay(held.stored)
        try:
            return _first(handler, held, view, request, args, kwargs)
        except BaseException:
            idempotency.give_back(held)
            raise

    return handle


def _first(
    handler: Handler, held: idempotency.Claim, view: Any, request: Any, args: Any, kwargs: Any
) -> HttpResponse:
    try:
        with unit_of_work(view.actor):
            response = handler(view, request, *args, **kwargs)
            if _final(response):
                _store(held, response)
    except idempotency.InFlight:
        raise
    except Exception as exc:  # noqa: BLE001 - every failure has one answer, made by the same function as always
        response = problems.answer(request, exc, view.actor)
        if _final(response):
            _store(held, response)
    if not _final(response):
        idempotency.give_back(held)
    return response


def _final(response: HttpResponse) -> bool:
    return response.status_code < 500 and response.status_code not in RETRYABLE


def _store(held: idempotency.Claim, response: HttpResponse) -> None:
    headers = {name: response[name] for name in KEPT_HEADERS if name in response}
    idempotency.finish(held, status=response.status_code, body=response.content, headers=headers)


def _replay(stored: Any) -> HttpResponse:
    response = HttpResponse(bytes(stored.body), status=stored.status)
    for name, value in stored.headers.items():
        response[name] = value
    response[REPLAYED_HEADER] = "true"
    return response


def _checked(key: str) -> str:
    if not 1 <= len(key) <= KEY_LENGTH or not key.isascii() or not key.isprintable():
        raise ValidationFailed(
            _("An Idempotency-Key has 1 to %(length)s printable characters.") % {"length": KEY_LENGTH},
            fields={KEY_HEADER: [_("Send a random text, such as a UUID.")]},
        )
    return key


def _user(actor: Actor) -> int:
    assert actor.user_pk is not None  # views with keys are for signed-in users only
    return actor.user_pk


def _fingerprint(request: Any, actor: Actor) -> str:
    """What makes two requests the same: method, address, company and the parsed body, whatever its spacing."""
    parts = [request.method, request.get_full_path(), actor.company_pk, _body(request)]
    return hashlib.sha256(dumps(parts, sort=True)).hexdigest()


def _body(request: Any) -> dict[str, Any]:
    data = request.data
    files = {name: hashlib.sha256(file.read()).hexdigest() for name, file in request.FILES.items()}
    for file in request.FILES.values():
        file.seek(0)
    plain = {key: data.getlist(key) for key in data if key not in files} if hasattr(data, "getlist") else data
    return {"data": plain, "files": files}
