"""Template tags of the back office."""

from __future__ import annotations

from typing import Any

from django import template
from django.template.loader import render_to_string

register = template.Library()


@register.simple_tag(takes_context=True)
def record_thread(context: template.Context, record: Any) -> str:
    """The chatter panel of a record: thread, composer, files, activities. It loads and refreshes itself."""
    request = context["request"]
    return render_to_string("backoffice/includes/thread.html", {"record": record}, request=request)
