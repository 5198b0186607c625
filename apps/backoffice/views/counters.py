"""The counters of the header by themselves, asked for after a live event."""

from __future__ import annotations

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse

from apps.backoffice.hooks import collect_counters, ordered
from apps.backoffice.rights import actor_of


def counters(request: HttpRequest) -> HttpResponseBase:
    context = {"counters": ordered(collect_counters.run(actor=actor_of(request)))}
    return TemplateResponse(request, "backoffice/includes/counters.html", context)
