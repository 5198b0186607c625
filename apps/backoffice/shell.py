"""What every page has around it: companies, counters, the user's links."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse

from apps.access.selectors import companies_of
from apps.backoffice.hooks import collect_counters, ordered
from apps.backoffice.links import address, user_links
from apps.backoffice.rights import actor_of
from apps.backoffice.theme import SCRIPTS, STYLES

THEMES = {"light": "light", "dark": "dark"}


def shell_context(request: HttpRequest) -> dict[str, Any]:
    """Context of the frame: one query for the companies, and what the counters need."""
    actor = actor_of(request)
    companies = list(companies_of(request.user)) if request.user.is_authenticated else []  # type: ignore[arg-type]
    popup = "_popup" in request.GET or "_popup" in request.POST
    return {
        "actor": actor,
        "styles": [static(path) for path in STYLES],
        "scripts": [static(path) for path in SCRIPTS],
        "theme": THEMES.get(getattr(request.user, "theme", "")),
        "shell_companies": companies,
        "shell_company": next((c for c in companies if c.pk == actor.company_pk), None),
        "shell_counters": [] if popup else ordered(collect_counters.run(actor=actor)),
        "shell_counters_url": reverse("admin:counters"),
        "shell_live_url": "/live/",
        "shell_switch_url": address("switch_company"),
        "shell_links": user_links(),
        "available_apps": [],
    }
