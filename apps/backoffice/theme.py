"""Looks of the back office: what Unfold reads from its settings, kept beside the code that relies on it."""

from __future__ import annotations

from typing import Any

from django.templatetags.static import static
from django.utils.translation import gettext_lazy as _

BASE = {
    "50": "oklch(98.4% .003 247)",
    "100": "oklch(96.6% .005 250)",
    "200": "oklch(92.4% .009 252)",
    "300": "oklch(86.6% .015 253)",
    "400": "oklch(70% .027 256)",
    "500": "oklch(54% .032 257)",
    "600": "oklch(44.2% .034 257)",
    "700": "oklch(36.8% .035 258)",
    "800": "oklch(27.6% .033 259)",
    "900": "oklch(20.6% .031 262)",
    "950": "oklch(14.4% .028 265)",
}
PRIMARY = {
    "50": "oklch(97.2% .016 235)",
    "100": "oklch(94.2% .032 235)",
    "200": "oklch(88.6% .062 234)",
    "300": "oklch(80.4% .1 233)",
    "400": "oklch(70.6% .126 235)",
    "500": "oklch(60% .13 240)",
    "600": "oklch(50.6% .122 243)",
    "700": "oklch(44.4% .107 244)",
    "800": "oklch(38.4% .09 245)",
    "900": "oklch(33.2% .074 246)",
    "950": "oklch(24.2% .055 247)",
}

CONFIG: dict[str, Any] = {
    "SITE_TITLE": _("Meridian"),
    "SITE_HEADER": _("Meridian"),
    "SITE_SYMBOL": "explore",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("backoffice/favicon.svg")}
    ],
    "SITE_URL": None,
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_LANGUAGES": False,
    "SHOW_BACK_BUTTON": False,
    "BORDER_RADIUS": "6px",
    "COLORS": {
        "base": BASE,
        "primary": PRIMARY,
        "font": {
            "subtle-light": "var(--color-base-600)",
            "subtle-dark": "var(--color-base-400)",
            "default-light": "var(--color-base-700)",
            "default-dark": "var(--color-base-300)",
            "important-light": "var(--color-base-900)",
            "important-dark": "var(--color-base-100)",
        },
    },
    "SIDEBAR": {
        "show_search": False,
        "command_search": True,
        "show_all_applications": False,
        "navigation": [],
    },
    "COMMAND": {"search_models": False, "show_history": False, "search_callback": None},
}
STYLES = ("backoffice/backoffice.css",)
SCRIPTS = ("chatter/live.js", "backoffice/backoffice.js")
