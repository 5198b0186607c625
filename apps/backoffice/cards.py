"""The platform's own cards and counters: messages, activities, background work, what failed."""

from __future__ import annotations

import datetime
from typing import Any

from django.apps import apps
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.text import Truncator
from django.utils.translation import gettext as _

from apps.backoffice.hooks import collect_cards, collect_counters
from apps.backoffice.site import record_url
from apps.backoffice.types import Card, CardLine, Counter
from apps.chatter.models import Activity
from apps.chatter.selectors.activities import due_count, with_state
from apps.chatter.selectors.inbox import failure_count, inbox, unread_count
from apps.core.actor import Actor
from apps.core.models import JobRun, OutboxEvent
from apps.core.rules import visible

SHOWN = 6
RECENT = datetime.timedelta(days=7)
ACTIVITY_TONES = {"overdue": "danger", "today": "warning", "planned": ""}


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


@collect_cards.register
def work_card(*, actor: Actor) -> Card | None:
    """Background work of the actor that waits, runs, or failed lately."""
    states = (JobRun.State.QUEUED, JobRun.State.RUNNING)
    mine = visible(JobRun, actor).filter(user_id=actor.user_pk, kind=JobRun.Kind.BACKGROUND)
    rows = list(mine.filter(state__in=states).order_by("-pk")[:SHOWN])
    if not rows:
        return None
    lines = tuple(
        CardLine(
            text=run.title,
            url=record_url(run),
            note=f"{run.done} / {run.total}" if run.total else run.get_state_display(),
            tone="info",
        )
        for run in rows
    )
    return Card(key="work", title=_("In the background"), icon="hourglass_top", lines=lines, sequence=30)


@collect_cards.register
def failures_card(*, actor: Actor) -> Card | None:
    """For technical administrators: runs that failed in the last week and events that were given up."""
    if not actor.has_role("core.technical"):
        return None
    since = timezone.now() - RECENT
    failed = visible(JobRun, actor).filter(state=JobRun.State.FAILED, finished_at__gte=since).order_by("-pk")
    dead = visible(OutboxEvent, actor).filter(dead=True).order_by("-pk")
    runs, events = list(failed[: SHOWN + 1]), list(dead[: SHOWN + 1])
    lines = [
        CardLine(
            text=run.title,
            url=record_url(run),
            note=date_format(timezone.localtime(run.finished_at), "SHORT_DATETIME_FORMAT")
            if run.finished_at
            else "",
            tone="danger",
        )
        for run in runs[:SHOWN]
    ]
    lines += [
        CardLine(text=event.name, url=record_url(event), note=_("given up"), tone="danger")
        for event in events[:SHOWN]
    ]
    return Card(
        key="failures",
        title=_("Failed jobs and events"),
        icon="error",
        value=failed.count() + dead.count() if lines else 0,
        url=f"{record_url(JobRun)}?state__exact=failed",
        lines=tuple(lines),
        empty=_("Everything ran in the last seven days."),
        tone="danger" if lines else "",
        sequence=90,
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
