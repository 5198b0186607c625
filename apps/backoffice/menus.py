"""The sidebar: groups of menu entries that the running modules declare, as far as the actor may view them."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.db import models
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _

from apps.backoffice.rights import actor_of
from apps.backoffice.site import record_url
from apps.core.actor import Actor
from apps.core.declarations import MenuItem
from apps.core.modules import running


def menu_address(item: MenuItem) -> str:
    """Where an entry leads; empty when its screen does not exist in this installation."""
    if item.url_name:
        try:
            address = reverse(item.url_name)
        except NoReverseMatch:
            return ""
    else:
        address = record_url(apps.get_model(item.model))
    return f"{address}?{item.query}" if address and item.query else address


def menu_allows(item: MenuItem, actor: Actor) -> bool:
    if item.role and not actor.has_role(item.role):
        return False
    return not item.model or actor.can(item.model, "view")


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """Groups in Unfold's form. Modules with one title share a group; inside, ``group`` then ``sequence`` order."""
    actor = actor_of(request)
    groups: dict[str, dict[str, Any]] = {}
    for config in running():
        entries = []
        for item in config.menu:
            address = menu_address(item) if menu_allows(item, actor) else ""
            if address:
                entries.append((str(item.group), item.sequence, str(item.title), item, address))
        if not entries:
            continue
        title = str(config.menu_title or config.title)
        group = groups.setdefault(
            title, {"title": title, "sequence": config.menu_sequence, "collapsible": False, "entries": []}
        )
        group["sequence"] = min(group["sequence"], config.menu_sequence)
        group["entries"].extend(entries)
    found = [_home(request)]
    for group in sorted(groups.values(), key=lambda g: (g["sequence"], g["title"])):
        ordered = sorted(group["entries"], key=lambda entry: entry[:3])
        found.append(
            {
                "title": group["title"],
                "collapsible": group["sequence"] >= 90,
                "items": [_entry(request, item, address) for *_key, item, address in ordered],
            }
        )
    return found


def _home(request: HttpRequest) -> dict[str, Any]:
    address = reverse("admin:index")
    entry = {
        "title": _("Dashboard"),
        "icon": "space_dashboard",
        "link": address,
        "active": request.path == address,
    }
    return {"title": "", "items": [{**entry, "has_permission": True}]}


def _entry(request: HttpRequest, item: MenuItem, address: str) -> dict[str, Any]:
    path, _mark, query = address.partition("?")
    active = request.path.startswith(path) and (not query or query in request.GET.urlencode())
    return {
        "title": str(item.title),
        "icon": item.icon,
        "link": address,
        "active": active,
        "has_permission": True,
    }


def group_title(model: type[models.Model]) -> str:
    """The menu group in which a model is listed; of its own module when it is in no menu."""
    label = model._meta.label_lower
    home = ""
    for config in running():
        title = str(config.menu_title or config.title)
        if any(item.model.lower() == label for item in config.menu):
            return title
        if config.label == model._meta.app_label:
            home = title
    return home
