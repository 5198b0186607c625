"""Template tags of the back office."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils.text import capfirst

from apps.backoffice.menus import group_title
from apps.backoffice.site import record_url
from apps.backoffice.table import foot_of, header_of, rows_of

register = template.Library()


@register.simple_tag(takes_context=True)
def breadcrumbs(context: template.Context) -> list[dict[str, Any]]:
    """Where this page is: the menu group, the list, the record; the last one is the title."""
    opts = context.get("opts")
    title = context.get("title") or ""
    if opts is None:
        return [{"title": title, "link": ""}]
    crumbs = []
    group = group_title(opts.model)
    if group:
        crumbs.append({"title": group, "link": ""})
    plural = capfirst(str(opts.verbose_name_plural))
    if context.get("cl") is not None:
        return [*crumbs, {"title": capfirst(str(title)) or plural, "link": ""}]
    crumbs.append({"title": plural, "link": record_url(opts.model)})
    record = context.get("original") or context.get("object")
    if record is not None and not isinstance(record, str) and str(record) != str(title):
        crumbs.append({"title": str(record), "link": record_url(record)})
    return [*crumbs, {"title": capfirst(str(title)), "link": ""}]


@register.inclusion_tag("backoffice/includes/table.html", takes_context=True)
def record_table(context: template.Context, cl: Any) -> dict[str, Any]:
    """The table of a list."""
    head, body = (header_of(cl), rows_of(cl)) if cl.result_list else ("", "")
    foot = foot_of(cl) if cl.result_list else ""
    return {
        "cl": cl,
        "head": head,
        "body": body,
        "foot": foot,
        "has_add_permission": context.get("has_add_permission"),
    }
