"""Addresses of other apps' own pages: preferences, sessions, tokens, inbox. Missing ones are left out."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _


def address(name: str, *args: Any) -> str:
    """The address of a named URL, or nothing where no running module has it."""
    try:
        return reverse(name, args=args)
    except NoReverseMatch:
        return ""


def user_links(request: HttpRequest) -> list[dict[str, str]]:
    """The user menu: pages of the access app about the signed-in person."""
    wanted = (
        ("access:preferences", _("Preferences"), "tune"),
        ("access:sessions", _("Sessions"), "devices"),
        ("access:tokens", _("API tokens"), "key"),
        ("access:second_factor", _("Two-factor sign-in"), "verified_user"),
    )
    found = []
    for name, title, icon in wanted:
        link = address(name)
        if link:
            found.append({"title": title, "link": link, "icon": icon})
    return found
