"""Reading activities: of a record, of a person, and how urgent they are."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import Any

from django.db import models
from django.db.models import Case, Count, DateField, F, Func, Min, QuerySet, Value, When
from django.utils import timezone

from apps.chatter.constants import ActivityState, DelayFrom
from apps.chatter.dates import shift, today_in
from apps.chatter.models import Activity, ActivityType
from apps.chatter.models.threads import ref_of
from apps.chatter.selectors.files import file_views
from apps.chatter.selectors.threads import can_post
from apps.chatter.types import ActivityView
from apps.core.actor import Actor


def today_of_assignee(now: datetime.datetime | None = None) -> Func:
    """The date in the calendar of an activity's assignee, as SQL."""
    moment: Any = Value(now or timezone.now(), output_field=models.DateTimeField())
    return Func(
        moment,
        F("assignee__timezone"),
        template="(%(expressions)s)::date",
        arg_joiner=" AT TIME ZONE ",
        output_field=DateField(),
    )


def with_state(rows: QuerySet[Activity], now: datetime.datetime | None = None) -> QuerySet[Activity]:
    """Adds ``state_now``: overdue, today, planned or done, by the calendar of each assignee."""
    return rows.annotate(today_there=today_of_assignee(now)).annotate(
        state_now=Case(
            When(active=False, then=Value(ActivityState.DONE.value)),
            When(deadline__lt=F("today_there"), then=Value(ActivityState.OVERDUE.value)),
            When(deadline=F("today_there"), then=Value(ActivityState.TODAY.value)),
            default=Value(ActivityState.PLANNED.value),
            output_field=models.CharField(),
        )
    )


def default_deadline(
    kind: ActivityType, *, today: datetime.date, previous: datetime.date | None = None
) -> datetime.date:
    """When an activity of this kind is due: counted from the previous deadline if the kind says so and there is one,
    else from today."""
    base = previous if kind.delay_from == DelayFrom.DEADLINE and previous is not None else today
    return shift(base, kind.delay_count, kind.delay_unit)


def activities_of(record: models.Model, actor: Actor) -> list[ActivityView]:
    """Open activities of a record that was checked already, most urgent first; four queries at most."""
    if not actor.is_internal and not actor.is_system:
        return []
    ref = ref_of(record)
    rows = Activity.objects.of_record(ref.model, ref.pk).open().select_related("type", "assignee")
    found = list(rows.prefetch_related("attachments").order_by("deadline", "pk"))
    writes = bool(found) and can_post(record, actor)
    return [_view(row, actor, writes=writes) for row in found]


def _view(row: Activity, actor: Actor, *, writes: bool) -> ActivityView:
    today = today_in(row.assignee.timezone)
    mine = row.assignee_id == actor.user_pk
    return ActivityView(
        pk=row.pk,
        type_title=row.type.name,
        icon=row.type.icon,
        category=row.type.category,
        summary=row.summary,
        note=row.note,
        deadline=row.deadline,
        state=row.state_on(today),
        days=(row.deadline - today).days,
        assignee=str(row.assignee),
        assignee_pk=row.assignee_id,
        is_mine=mine,
        may_change=writes,
        may_finish=mine or writes,
        files=file_views(row.attachments.all()),
    )


def next_activities(model: type[models.Model], pks: Iterable[int]) -> dict[int, dict[str, Any]]:
    """For lists of records that were checked already: the state of the most urgent activity, its day and how many
    there are. One query."""
    rows = with_state(
        Activity.objects.filter(model=model._meta.label_lower, object_id__in=list(pks), active=True)
    )
    order = {ActivityState.OVERDUE.value: 0, ActivityState.TODAY.value: 1, ActivityState.PLANNED.value: 2}
    grouped = rows.order_by().values("object_id", "state_now").annotate(n=Count("pk"), first=Min("deadline"))  # type: ignore[misc]
    found: dict[int, dict[str, Any]] = {}
    for row in grouped:
        entry = found.setdefault(
            row["object_id"], {"state": row["state_now"], "deadline": row["first"], "count": 0}
        )
        entry["count"] += row["n"]
        if order[row["state_now"]] < order[entry["state"]]:
            entry["state"] = row["state_now"]
        entry["deadline"] = min(entry["deadline"], row["first"])
    return found


def activity_counts(actor: Actor) -> list[dict[str, Any]]:
    """The actor's open activities by kind of record: ``{model, overdue, today, planned}``. One query."""
    if actor.user_pk is None:
        return []
    rows = with_state(Activity.objects.filter(assignee_id=actor.user_pk, active=True))
    found: dict[str, dict[str, Any]] = {}
    for row in rows.order_by().values("model", "state_now").annotate(n=Count("pk")):  # type: ignore[misc]
        entry = found.setdefault(
            row["model"], {"model": row["model"], "overdue": 0, "today": 0, "planned": 0}
        )
        entry[row["state_now"]] = row["n"]
    return [found[model] for model in sorted(found)]


def due_count(actor: Actor) -> int:
    """The actor's activities that are overdue or due today, for the badge."""
    return sum(entry["overdue"] + entry["today"] for entry in activity_counts(actor))


def offered_types(model_label: str) -> QuerySet[ActivityType]:
    """Types of activity that can be planned for a kind of record."""
    return ActivityType.objects.filter(active=True, hidden=False, model__in=("", model_label.lower()))
