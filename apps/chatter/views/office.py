"""The inbox and the activities of the signed-in person: pages, cards and counters of the back office."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.text import Truncator
from django.utils.translation import gettext as _

from apps.backoffice.base import (
    Card,
    CardLine,
    Counter,
    actor_of,
    collect_cards,
    collect_counters,
    collect_opened,
    record_url,
    register_page,
    site,
)
from apps.chatter.models import Activity
from apps.chatter.selectors.activities import due_count, with_state
from apps.chatter.selectors.inbox import failure_count, failures, inbox, unread_count
from apps.chatter.services.inbox import mark_thread_read
from apps.core.actor import Actor

SHOWN = 6
ACTIVITY_TONES = {"overdue": "danger", "today": "warning", "planned": ""}
PAGE = 30
BOXES = ("unread", "history", "failed")
ACTIVITY_LIMIT = 200


def record_address(label: str, pk: int | None) -> str:
    """The form of a record that is named by kind and key; nothing when its module does not run."""
    try:
        model = apps.get_model(label)
    except (LookupError, ValueError):
        return ""
    return record_url(model, pk) if pk else ""


def my_activities(actor: Actor) -> Any:
    """Open activities of the actor with their state in his calendar, most urgent first."""
    rows = (
        Activity.objects.open().filter(assignee_id=actor.user_pk)
        if actor.user_pk
        else Activity.objects.none()
    )
    return with_state(rows).select_related("type").order_by("deadline", "pk")


@collect_cards.register
def activity_card(*, actor: Actor) -> Card:
    """What the actor has to do, most urgent first."""
    rows = my_activities(actor)[:SHOWN]
    lines = tuple(
        CardLine(
            text=f"{row.type.name}: {row.summary or row.record_name}",
            url=record_address(row.model, row.object_id),
            note=date_format(row.deadline, "SHORT_DATE_FORMAT"),
            tone=ACTIVITY_TONES.get(row.state_now, ""),
        )
        for row in rows
    )
    return Card(
        key="activities",
        title=_("My activities"),
        icon="task_alt",
        value=due_count(actor),
        url=reverse("admin:activities"),
        lines=lines,
        empty=_("Nothing is planned for you."),
        sequence=20,
    )


@collect_cards.register
def inbox_card(*, actor: Actor) -> Card:
    """Unread messages."""
    lines = tuple(
        CardLine(
            text=f"{entry.message.author.name}: {entry.record_name or Truncator(entry.message.subject).chars(60)}",
            url=record_address(entry.model, entry.object_pk) or reverse("admin:inbox"),
            note=date_format(timezone.localtime(entry.message.date), "SHORT_DATE_FORMAT"),
        )
        for entry in inbox(actor, limit=SHOWN)
    )
    return Card(
        key="inbox",
        title=_("Inbox"),
        icon="inbox",
        value=unread_count(actor),
        url=reverse("admin:inbox"),
        lines=lines,
        empty=_("You have read everything."),
        sequence=10,
    )


@collect_counters.register
def chatter_counters(*, actor: Actor) -> list[Counter]:
    """The bell: unread messages, activities that are due, and, if there are any, own messages that did not arrive."""
    counters = [
        Counter(
            key="inbox",
            title=_("Unread messages"),
            url=reverse("admin:inbox"),
            icon="notifications",
            value=unread_count(actor),
        ),
        Counter(
            key="activities",
            title=_("Activities due"),
            url=reverse("admin:activities"),
            icon="task_alt",
            value=due_count(actor),
            sequence=20,
        ),
    ]
    failed = failure_count(actor)
    if failed:
        counters.append(
            Counter(
                key="undelivered",
                title=_("Messages that did not arrive"),
                url=f"{reverse('admin:inbox')}?box=failed",
                icon="mark_email_unread",
                value=failed,
                sequence=30,
            )
        )
    return counters


@collect_opened.register
def whoever_opens_a_thread_has_read_it(*, record: Any, actor: Actor) -> None:
    """The unread messages of a record are dealt with when its form is opened."""
    mark_thread_read(record, actor=actor)


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


register_page("inbox/", inbox_page, name="inbox")
register_page("activities/", activities_page, name="activities")
