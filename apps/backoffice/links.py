"""Addresses of other apps' own pages about the signed-in person. Those of modules that have none are left out."""

from __future__ import annotations

from typing import Any

from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _


def address(*names: str, args: tuple[Any, ...] = ()) -> str:
    """The address of the first of these named URLs that exists, or nothing."""
    for name in names:
        try:
            return reverse(name, args=args)
        except NoReverseMatch:
            continue
    return ""


def user_links() -> list[dict[str, str]]:
    """The user menu: preferences, and the page for sessions, tokens and second factors."""
    security = address("security")
    wanted = (
        (address("preferences"), _("Preferences"), "tune"),
        (security, _("Sign-in and security"), "verified_user"),
        (f"{security}#sessions" if security else "", _("Sessions"), "devices"),
        (f"{security}#tokens" if security else "", _("API tokens"), "key"),
    )
    return [{"title": title, "link": link, "icon": icon} for link, title, icon in wanted if link]
