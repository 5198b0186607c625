"""Ctrl-K: menu entries and records, found within the rights of whoever types."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from unfold.dataclasses import SearchResult

from apps.backoffice.menus import sidebar
from apps.backoffice.rights import actor_of
from apps.backoffice.site import record_url
from apps.core.search import global_search

PER_KIND = 5


def search(site: Any, request: HttpRequest) -> HttpResponseBase:
    """A fragment for the command palette. Nothing is cached: rights and records change."""
    text = request.GET.get("s", "").strip()
    if not text:
        return HttpResponse()
    results = [*_menu_hits(request, text), *_record_hits(request, text)]
    context = {"results": results, "query": text}
    return TemplateResponse(
        request, "backoffice/search_results.html", context, headers={"HX-Trigger": "search"}
    )


def _menu_hits(request: HttpRequest, text: str) -> list[SearchResult]:
    words = text.casefold().split()
    return [
        SearchResult(title=item["title"], description=group["title"], link=item["link"], icon=item["icon"])
        for group in sidebar(request)
        for item in group["items"]
        if all(word in f"{group['title']} {item['title']}".casefold() for word in words)
    ]


def _record_hits(request: HttpRequest, text: str) -> list[SearchResult]:
    found = []
    for hit in global_search(text, actor_of(request), limit=PER_KIND):
        link = record_url(apps.get_model(hit.model), hit.pk)
        if link:
            found.append(
                SearchResult(title=hit.title, description=hit.kind.capitalize(), link=link, icon="article")
            )
    return found
