"""The portal's home, its counters, and the redirector that mails link to."""

from __future__ import annotations

import json
import re
from typing import Any

from django.apps import apps
from django.db import models
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from apps.backoffice.base import record_url
from apps.core import modules
from apps.core.actor import Actor
from apps.core.checks import resolve
from apps.core.declarations import PortalCard
from apps.core.rules import visible
from apps.portal.base import HOME, actor_of, login_redirect, portal_page, portal_path, see_other
from apps.portal.tokens import token_fits

_NUMBER = re.compile(r"[0-9]{1,18}")
_CARRIED = ("access_token", "pid", "hash")


def cards() -> list[PortalCard]:
    """Cards of all running modules in order."""
    found = [card for config in modules.running() for card in config.portal_cards]
    return sorted(found, key=lambda card: (card.sequence, card.key))


def count_of(card: PortalCard, actor: Actor) -> int:
    return int(resolve(card.counter)(actor))


@require_safe
@portal_page()
def home(request: HttpRequest) -> HttpResponseBase:
    """Cards with their counts; a card with nothing behind it hides."""
    actor = actor_of(request)
    shown = [(card, count_of(card, actor)) for card in cards()]
    return render(request, "portal/home.html", {"cards": [(card, count) for card, count in shown if count]})


@require_POST
@portal_page()
def counters(request: HttpRequest) -> HttpResponseBase:
    """JSON-RPC: ``params.counters`` names counters, such as ``task_count``; unknown ones are left out."""
    try:
        body: Any = json.loads(request.body or b"{}")
        wanted = body.get("params", body).get("counters", [])
        names = {name for name in wanted if isinstance(name, str)}
    except (ValueError, AttributeError, TypeError, RecursionError):
        return JsonResponse(
            {"code": "invalid", "message": 'Send {"params": {"counters": ["task_count"]}}.'}, status=400
        )
    actor = actor_of(request)
    result = {card.key: count_of(card, actor) for card in cards() if card.key in names}
    return JsonResponse({"jsonrpc": "2.0", "id": body.get("id"), "result": result})


@never_cache
@require_safe
def mail_view(request: HttpRequest) -> HttpResponseBase:
    """``/mail/view?model=&res_id=&access_token=``: employees to the back office, customers and bearers of a token to
    the portal page, nobody to the login. What is not there and what is forbidden lead to the same place."""
    actor = actor_of(request)
    model, pk = _model_of(request.GET.get("model", "")), request.GET.get("res_id", "")
    away = see_other(HOME) if actor.user_pk is not None else login_redirect(request)
    if model is None or not _NUMBER.fullmatch(pk):
        return away
    if actor.user_pk is not None:
        own = visible(model, actor).filter(pk=int(pk)).first()
        if own is not None:
            target = (record_url(own) if actor.is_internal else "") or portal_path(own)
            return see_other(target) if target else away
    given = request.GET.get("access_token", "")
    record = model._base_manager.filter(pk=int(pk)).first() if given else None
    if record is None or not token_fits(record, given) or not portal_path(record):
        return away
    carried = {name: request.GET[name] for name in _CARRIED if name in request.GET}
    return see_other(f"{portal_path(record)}?{urlencode(carried)}")


def _model_of(label: str) -> type[models.Model] | None:
    try:
        return apps.get_model(label)
    except (LookupError, ValueError):
        return None
