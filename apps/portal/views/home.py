"""The portal's home, its counters, and the redirector that mails link to."""

from __future__ import annotations

import json
from typing import Any

from django.apps import apps
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.utils.http import urlencode
from django.views.decorators.http import require_GET, require_POST

from apps.chatter.hooks import collect_record_urls
from apps.core import modules
from apps.core.checks import resolve
from apps.core.declarations import PortalCard
from apps.core.rules import visible
from apps.portal.base import actor_of, portal_page, portal_path, see_other
from apps.portal.tokens import token_fits


def cards() -> list[PortalCard]:
    """Cards of all running modules in order."""
    found = [card for config in modules.running() for card in config.portal_cards]
    return sorted(found, key=lambda card: (card.sequence, card.key))


@require_GET
@portal_page()
def home(request: HttpRequest) -> HttpResponseBase:
    """Cards with their counts; a card with nothing behind it hides."""
    actor = actor_of(request)
    shown = [(card, resolve(card.counter)(actor)) for card in cards()]
    return render(request, "portal/home.html", {"cards": [(card, count) for card, count in shown if count]})


@require_POST
@portal_page()
def counters(request: HttpRequest) -> HttpResponseBase:
    """JSON-RPC: ``params.counters`` names counters, such as ``task_count``; unknown ones are left out."""
    try:
        body: Any = json.loads(request.body or b"{}")
        wanted = body.get("params", body).get("counters", [])
    except (ValueError, AttributeError):
        return JsonResponse({"code": "invalid", "message": "Send {\"params\": {\"counters\": [...]}}."}, status=400)
    known = {card.key: card for card in cards()}
    actor = actor_of(request)
    result = {name: resolve(known[name].counter)(actor) for name in wanted if name in known}
    return JsonResponse({"jsonrpc": "2.0", "id": body.get("id"), "result": result})


@require_GET
def mail_view(request: HttpRequest) -> HttpResponseBase:
    """``/mail/view?model=&res_id=&access_token=``: to the back office, to the portal page, or to the login."""
    actor = actor_of(request)
    login = see_other(f"/web/login?{urlencode({'redirect': request.get_full_path()})}")
    label, pk = request.GET.get("model", ""), request.GET.get("res_id", "")
    if not pk.isdigit() or len(pk) > 18:
        return see_other("/my")
    try:
        model = apps.get_model(label)
    except (LookupError, ValueError):
        return see_other("/my") if actor.user_pk else login
    own = visible(model, actor).filter(pk=int(pk)).first() if actor.user_pk else None
    if own is not None and actor.is_internal:
        offered = [url for url in collect_record_urls.run(record=own, audience="internal") if url]
        return see_other(offered[0] if offered else "/admin/")
    if own is not None and portal_path(own):
        return see_other(portal_path(own))
    record = model._base_manager.filter(pk=int(pk)).first()
    given = request.GET.get("access_token", "")
    if record is not None and given and token_fits(record, given) and portal_path(record):
        kept = {key: request.GET[key] for key in ("access_token", "pid", "hash") if key in request.GET}
        return see_other(f"{portal_path(record)}?{urlencode(kept)}")
    return see_other("/my") if actor.user_pk else login
