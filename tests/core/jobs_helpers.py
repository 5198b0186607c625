"""Jobs for the tests of the job engine: a task that does what the test says, and marks that show what was committed."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

from django.utils import timezone

from apps.core.jobs.engine import recover
from apps.core.jobs.handle import RunHandle
from apps.core.jobs.registry import own_transactions
from apps.core.models import JobRun, OutboxEvent, ScheduledJob, Setting
from apps.core.testkit import run_in_threads

NOW = datetime.datetime(2026, 3, 10, 12, 0, tzinfo=datetime.UTC)
DAY, HOUR = datetime.timedelta(days=1), datetime.timedelta(hours=1)

Behaviour = Callable[[RunHandle], Any]
_behaviours: dict[str, Behaviour] = {}


def task(run: RunHandle) -> Any:
    """A scheduled task in the engine's transaction."""
    return _behaviours[run.title](run)


@own_transactions
def piecewise(run: RunHandle) -> Any:
    """A scheduled task that commits on its own."""
    return _behaviours[run.title](run)


def make(code: str = "tests.job", function: Behaviour = task, **values: Any) -> ScheduledJob:
    """A due job that does nothing until ``does`` says otherwise."""
    does(lambda run: None, code)
    start = values.pop("next_call", NOW)
    defaults = {
        "module": "core",
        "title": code,
        "task": f"{__name__}.{function.__name__}",
        "every": 1,
        "unit": "days",
        "next_call": start,
        "anchor": start,
    }
    return ScheduledJob.objects.create(code=code, **{**defaults, **values})


def does(function: Behaviour, code: str = "tests.job") -> None:
    """From now on, running the job means calling ``function``."""
    _behaviours[code] = function


def mark(name: str) -> None:
    """Something that a task writes, to see whether it was committed."""
    Setting.objects.create(key=f"mark:{name}")


def marks() -> list[str]:
    """The committed marks, in alphabetical order."""
    keys = Setting.objects.filter(key__startswith="mark:").order_by("key").values_list("key", flat=True)
    return [key.removeprefix("mark:") for key in keys]


def failures() -> list[tuple[int, bool]]:
    """(failures, deactivated) of the announced failures, in order."""
    rows = OutboxEvent.objects.filter(name="core.JobFailed").order_by("pk")
    return [(row.payload["failures"], row.payload["deactivated"]) for row in rows]


class OtherProcess:
    """Touches a run the way another process would: on a connection of its own."""

    def __init__(self, pk: int) -> None:
        self.rows = JobRun.objects.filter(pk=pk)

    def _do(self, function: Callable[[], Any]) -> None:
        result = run_in_threads([function])[0]
        if isinstance(result, Exception):
            raise result

    def cancel(self) -> None:
        self._do(lambda: self.rows.update(cancel_requested=True))

    def look_dead(self) -> None:
        self._do(lambda: self.rows.update(heartbeat_at=timezone.now() - HOUR))

    def recover(self) -> None:
        self._do(recover)
