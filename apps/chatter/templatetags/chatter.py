"""The panel of a record's thread, for the back office and for the portal."""

from __future__ import annotations

from typing import Any

from django import template
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from apps.chatter.panel import frame_context, panel_context
from apps.chatter.selectors.access import OpenThread, open_thread
from apps.chatter.selectors.threads import can_post, reads_internal
from apps.core.errors import BusinessError

register = template.Library()


@register.simple_tag(takes_context=True)
def chatter_panel(context: template.Context, record: Any, *, lazy: bool = False) -> SafeString | str:
    """``{% chatter_panel record %}``: thread, composer, followers, activities and files of a record that the page
    has checked already. With ``lazy=True`` only the frame; the script loads what is in it."""
    request = context["request"]
    actor = request.actor
    opened = OpenThread(record, actor, not reads_internal(actor), can_post(record, actor))
    values = frame_context(opened, {}) if lazy else panel_context(opened, {})
    return render_to_string("chatter/panel.html", {**values, "lazy": lazy}, request=request)


@register.simple_tag(takes_context=True)
def portal_thread(context: template.Context, record: Any, token: str = "") -> SafeString | str:
    """``{% portal_thread record access_token %}``: the public part of a thread. Empty when neither the reader's rules
    nor the link open it; ``pid`` and ``hash`` are taken from the page's address."""
    request = context["request"]
    params = {**request.GET.dict(), **({"access_token": token} if token else {})}
    try:
        opened = open_thread(record._meta.label_lower, record.pk, request.actor, params)
    except BusinessError:
        return ""
    shown = OpenThread(
        opened.record, opened.actor, True, opened.may_post, opened.by_token, opened.writes_as
    )  # an employee who looks at the customer's page sees what the customer sees
    return render_to_string(
        "chatter/panel.html", {**panel_context(shown, params), "lazy": False, "portal": True}, request=request
    )


@register.filter
def filesize(value: Any) -> str:
    """Bytes for people: 980 B, 12 kB, 3.4 MB."""
    size = float(value or 0)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:.0f} {unit}" if unit in ("B", "kB") or size >= 10 else f"{size:.1f} {unit}"
        size /= 1000
    return ""
