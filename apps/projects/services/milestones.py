"""Milestones: reached or not, and since when."""

from __future__ import annotations

from collections.abc import Sequence

from apps.core.actor import Actor
from apps.core.records import RecordService, Values, service
from apps.projects.dates import today_of
from apps.projects.models import Milestone


@service(Milestone)
class MilestoneService(RecordService[Milestone]):
    """``reached_date`` is the actor's day on which the milestone was first marked as reached."""

    def prepare_update(self, records: Sequence[Milestone], values: Values, actor: Actor) -> None:
        if "reached" in values:
            values["reached_date"] = None
            for record in records:
                record._reached_before = record.reached_date  # type: ignore[attr-defined]

    def validate(self, records: Sequence[Milestone], actor: Actor) -> None:
        today = today_of(actor)
        for record in records:
            if record.pk is None or hasattr(record, "_reached_before"):
                held = getattr(record, "_reached_before", None)
                record.reached_date = (held or today) if record.reached else None
