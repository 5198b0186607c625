"""The first page: cards that the modules collect."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from apps.backoffice.hooks import collect_cards, ordered
from apps.backoffice.rights import actor_of


def dashboard(site: Any, request: HttpRequest) -> TemplateResponse:
    actor = actor_of(request)
    context = {
        **site.each_context(request),
        "title": _("Dashboard"),
        "cards": ordered(collect_cards.run(actor=actor)),
    }
    return TemplateResponse(request, "backoffice/dashboard.html", context)
