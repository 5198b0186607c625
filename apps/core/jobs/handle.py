"""What a task sees of its run: who it works for, what it was asked, and where it tells how far it is.

Progress and log lines are kept in memory and written by a thread with a database connection of its own, at most once
a second while there is news and every ``BEAT`` otherwise. So they are seen while the task's own transaction is still
open, they cost the task nothing, and they are the run's sign of life. The thread also learns that somebody cancelled
the run or that it was taken over; the task hears of it at its next ``progress``, ``report``, ``log`` or ``check``.
"""

from __future__ import annotations

import datetime
import logging
import threading
import uuid
from collections.abc import Mapping
from typing import Any

from django.db import DatabaseError, InterfaceError, connections
from django.db.models import Value
from django.db.models.functions import Concat, Now
from django.utils import timezone

from apps.core import live
from apps.core.actor import Actor
from apps.core.jobs.registry import JobCancelled, LeaseLost
from apps.core.models.job import JobRun

logger = logging.getLogger("meridian.jobs")

BEAT = datetime.timedelta(seconds=15)
LEASE = datetime.timedelta(seconds=90)  # six missed beats: the worker is taken for dead
_TICK_SECONDS = 1.0
_MAX_LOG = 200_000


class RunHandle:
    """The run as its task sees it."""

    def __init__(self, row: JobRun, actor: Actor) -> None:
        self.pk: int = row.pk
        self.title = row.title
        self.inputs: Mapping[str, Any] = row.inputs
        self.actor = actor
        self.started_at = row.started_at or timezone.now()
        self.attempt = row.attempts
        self.user_pk: int | None = row.user_id
        self.lease: uuid.UUID | None = row.lease
        self.done = 0
        self.total: int | None = row.total
        self.remaining = 0
        self.deactivate_job = False
        self._reported = False
        self._batch_done = 0
        self._done_before = 0
        self._log_size = len(row.log)
        self._news: list[str] = []
        self._changed = False
        self._cancelled = False
        self._lost = False
        self._lock = threading.Lock()

    # -------------------------------------------------------------------- for tasks
    def progress(self, done: int, total: int | None = None) -> None:
        """``done`` of ``total`` pieces are dealt with. Cheap enough to call for every piece."""
        with self._lock:
            self.done = max(0, done)
            if total is not None:
                self.total = max(0, total)
            self._changed = True
        self.check()

    def report(self, done: int, remaining: int = 0) -> None:
        """For tasks that work in batches: this call dealt with ``done`` pieces, ``remaining`` are left for further
        calls. A task that never reports is done when it returns."""
        with self._lock:
            self._reported = True
            self._batch_done += max(0, done)
            self.done += max(0, done)
            self.remaining = max(0, remaining)
            self.total = self.done + self.remaining
            self._changed = True
        self.check()

    def log(self, text: str) -> None:
        """Add a line to the run's log, with the time in front."""
        line = f"{timezone.now():%Y-%m-%d %H:%M:%S} {text}\n"
        with self._lock:
            if self._log_size < _MAX_LOG:
                self._news.append(line if self._log_size + len(line) < _MAX_LOG else "… the log ends here\n")
                self._log_size += len(line)
                self._changed = True
        self.check()

    def check(self) -> None:
        """Raise if the run was cancelled or taken over. Long loops that report nothing call it now and then."""
        if self._lost:
            raise LeaseLost(f"run {self.pk} was taken over")
        if self._cancelled:
            raise JobCancelled(f"run {self.pk} was cancelled")

    def deactivate(self) -> None:
        """Ask that the scheduled job be switched off after this run: it has nothing to do any more."""
        self.deactivate_job = True

    # ------------------------------------------------------------------- for the engine
    def begin_batch(self) -> None:
        with self._lock:
            self._reported, self._batch_done, self.remaining = False, 0, 0
            self._done_before = self.done

    def undo_batch(self) -> None:
        """The batch was rolled back: what it reported is not done."""
        with self._lock:
            self.done = self._done_before

    @property
    def batch_advanced(self) -> bool:
        return self._batch_done > 0

    @property
    def has_more(self) -> bool:
        return self._reported and self.remaining > 0

    def write(self) -> bool:
        """Write news and the sign of life; answers whether the run is still this worker's own. On the connection of
        the calling thread, so inside a task's transaction it also proves at commit that nobody took over."""
        with self._lock:
            news, self._news = "".join(self._news), []
            done, total, self._changed = self.done, self.total, False
        values: dict[str, Any] = {"heartbeat_at": Now(), "done": done, "total": total}
        if news:
            values["log"] = Concat("log", Value(news))
        mine = JobRun.objects.filter(pk=self.pk, lease=self.lease, state=JobRun.State.RUNNING)
        written = 0
        try:
            written = mine.update(**values)
        finally:
            if not written:
                with self._lock:
                    self._news.insert(0, news)
                    self._changed = True
        if not written:
            return False
        self._publish(done, total)
        return True

    def take_news(self) -> str:
        """Log lines that were not written yet, for the statement that ends the run."""
        with self._lock:
            news, self._news = "".join(self._news), []
        return news

    def _publish(self, done: int, total: int | None) -> None:
        publish_run(self.pk, self.user_pk, state=JobRun.State.RUNNING, done=done, total=total)

    def _beat(self) -> None:
        if not self.write():
            self._lost = True
            return
        self._cancelled = JobRun.objects.filter(pk=self.pk, cancel_requested=True).exists()


def publish_run(pk: int, user_pk: int | None, *, state: str, done: int, total: int | None) -> None:
    """Tell whoever watches the run, and the person who started it."""
    data = {"pk": pk, "state": str(state), "done": done, "total": total}
    notices = [(live.record_channel(JobRun, pk), "progress", data)]
    if user_pk is not None:
        notices.append((live.user_channel(user_pk), "job", data))
    live.publish_many(notices)


class Pulse:
    """The thread that writes a run's news and signs of life while its task works: ``with Pulse(handle): …``."""

    def __init__(self, handle: RunHandle) -> None:
        self._handle = handle
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"pulse-{handle.pk}", daemon=True)

    def __enter__(self) -> Pulse:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join(timeout=30)

    def _work(self) -> None:
        waited = 0.0
        try:
            while not self._stop.wait(_TICK_SECONDS):
                waited += _TICK_SECONDS
                if self._handle._changed or waited >= BEAT.total_seconds():
                    waited = 0.0
                    self._once()
        finally:
            connections.close_all()

    def _once(self) -> None:
        try:
            self._handle._beat()
        except (DatabaseError, InterfaceError) as exc:
            # The database may be away for a moment; the next beat tries again, and the lease outlives six of them.
            logger.warning("no sign of life for run %s: %s", self._handle.pk, exc)
            connections.close_all()
