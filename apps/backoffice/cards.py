"""The kernel's cards on the dashboard: background work and what failed."""

from __future__ import annotations

import datetime

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from apps.backoffice.hooks import collect_cards
from apps.backoffice.site import record_url
from apps.backoffice.types import Card, CardLine
from apps.core.actor import Actor
from apps.core.models import JobRun, OutboxEvent
from apps.core.rules import visible

SHOWN = 6
RECENT = datetime.timedelta(days=7)


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
