"""What concerns the signed-in person: messages, activities, messages of his own that did not arrive."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.backoffice.cards import my_activities, record_address
from apps.backoffice.rights import actor_of
from apps.backoffice.site import site
from apps.chatter.selectors.inbox import failures, inbox

PAGE = 30
BOXES = ("unread", "history", "failed")
ACTIVITY_LIMIT = 200


def inbox_page(request: HttpRequest) -> HttpResponseBase:
    """Unread messages, those dealt with, and own ones that failed; ``before`` continues a list."""
    actor = actor_of(request)
    box = request.GET.get("box", "unread")
    box = box if box in BOXES else "unread"
    before = request.GET.get("before", "")
    entries: list[dict[str, Any]] = []
    rows: list[Any] = []
    if box == "failed":
        failed = [{**row, "url": record_address(row["model"], row["object_id"])} for row in failures(actor)]
    else:
        failed = []
        cursor = int(before) if before.isdigit() and len(before) < 19 else None
        rows = inbox(actor, history=box == "history", before=cursor, limit=PAGE)
        entries = [{"entry": row, "url": record_address(row.model, row.object_pk)} for row in rows]
    context = {
        **site.each_context(request),
        "title": _("Inbox"),
        "box": box,
        "boxes": [("unread", _("Unread")), ("history", _("Read")), ("failed", _("Not delivered"))],
        "entries": entries,
        "failed": failed,
        "older": rows[-1].notification_pk if len(rows) == PAGE else None,
        "read_url": reverse("chatter_inbox_read"),
    }
    return TemplateResponse(request, "backoffice/inbox.html", context)


def activities_page(request: HttpRequest) -> HttpResponseBase:
    """The open activities of the signed-in person by urgency, with what can be done about each."""
    rows = list(my_activities(actor_of(request))[:ACTIVITY_LIMIT])
    titles = (("overdue", _("Overdue")), ("today", _("Today")), ("planned", _("Planned")))
    groups = []
    for state, title in titles:
        found = [
            {"row": row, "url": record_address(row.model, row.object_id)}
            for row in rows
            if row.state_now == state
        ]
        if found:
            groups.append({"state": state, "title": title, "rows": found})
    context = {**site.each_context(request), "title": _("My activities"), "groups": groups}
    return TemplateResponse(request, "backoffice/activities.html", context)
