"""Executing background work: claiming, batches, counting failures, taking over what a dead worker left.

Claiming a scheduled job locks its row ``FOR NO KEY UPDATE SKIP LOCKED``, looks again whether it is due, and inserts a
running ``JobRun`` with a lease; a partial unique index keeps two running rows of one job out of the database whatever
the code does. The lock is gone before the task starts: from then on the lease counts. Its worker renews it
(``apps.core.jobs.handle``) and confirms it in the transaction of every batch, so a worker that was only slow can never
commit after another one took over.

What a run comes to:

* *done*: the next call is the next moment of the job's calendar after now; missed ones collapse into one;
* *partial*: ten batches were not enough, or an error came after some were committed: the job goes on as soon as the
  other due jobs had their turn;
* *failed*: an error with nothing committed; counted. After ``MAX_FAILURES`` in a row over more than
  ``FAILING_TOO_LONG`` the job is switched off. The first failure is announced (``JobFailed``), so is the last but one
  before that, and the switching off;
* lost (the worker died): tried again at once; the third loss in a row without progress counts as a failure.
"""

from __future__ import annotations

import datetime
import logging
import traceback
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Concat, Now
from django.utils import timezone
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from apps.core import modules
from apps.core.actor import SYSTEM, Actor, system_actor, system_from_snapshot
from apps.core.errors import BusinessError, Unavailable
from apps.core.events import JobFailed
from apps.core.jobs.handle import LEASE, Pulse, RunHandle, publish_run
from apps.core.jobs.registry import (
    JobCancelled,
    LeaseLost,
    Task,
    UnknownTask,
    background_task,
    opens_own_transactions,
    resolve_path,
)
from apps.core.jobs.schedule import next_call
from apps.core.models.job import JobRun, JobTrigger, ScheduledJob
from apps.core.queue import enqueue, enqueue_on_commit
from apps.core.unit_of_work import emit, unit_of_work

logger = logging.getLogger("meridian.jobs")

RUN_JOB_TASK, RUN_BACKGROUND_TASK = "core.run_job", "core.run_background"
MAX_BATCHES = 10
MAX_FAILURES = 5
MAX_LOST = 3
FAILING_TOO_LONG = datetime.timedelta(days=7)
RESEND_AFTER = datetime.timedelta(minutes=5)
RESEND_JOB_AFTER = datetime.timedelta(minutes=1)  # while the workers are busy, ticks do not pile up messages

# The kernel stands below the app that knows users; like ``access.Company`` in foreign keys, it is named by path.
ACTOR_FROM_SNAPSHOT = "apps.access.selectors.actor_from_snapshot"

State = JobRun.State


@dataclass(frozen=True, slots=True)
class Outcome:
    """What executing a run came to, before it is written down."""

    state: str
    error: str = ""
    details: str = ""
    result: Any = None
    more: bool = False  # go on as soon as possible
    timed_out: bool = False


# ------------------------------------------------------------------------------------------------------ choosing
def ready_jobs(now: datetime.datetime) -> QuerySet[ScheduledJob]:
    """Due jobs of running modules that are not being executed: fewest failures first, then priority."""
    due = JobTrigger.objects.filter(job=OuterRef("pk"), at__lte=now)
    return (
        ScheduledJob.objects.filter(module__in=[config.key for config in modules.running()])
        .filter(
            Q(active=True, next_call__lte=now)
            | Q(Exists(due), active=True)
            | Q(Exists(due.filter(manual=True)))
        )
        .exclude(Exists(JobRun.objects.filter(job=OuterRef("pk"), state=State.RUNNING)))
        .order_by("failure_count", "priority", "pk")
    )


def tick(*, now: datetime.datetime | None = None) -> int:
    """Called every few seconds: take over what dead workers left, and send what is due to the workers.

    Answers how many messages were sent. Sending one twice is harmless: the second worker finds nothing to claim.
    """
    now = now or timezone.now()
    recover()
    sent = 0
    try:
        waiting = ready_jobs(now).filter(Q(sent_at__isnull=True) | Q(sent_at__lte=now - RESEND_JOB_AFTER))
        for pk in list(waiting.values_list("pk", flat=True)):
            enqueue(RUN_JOB_TASK, pk)
            ScheduledJob.objects.filter(pk=pk).update(sent_at=now)
            sent += 1
        sent += _resend_background(now)
    except Unavailable as exc:
        logger.warning("due jobs wait for the queue: %s", exc)
    return sent


def _resend_background(now: datetime.datetime) -> int:
    """Send queued background runs whose message was lost or never sent."""
    waiting = JobRun.objects.filter(kind=JobRun.Kind.BACKGROUND, state=State.QUEUED).filter(
        Q(sent_at__isnull=True, created_at__lte=now - datetime.timedelta(seconds=30))
        | Q(sent_at__lte=now - RESEND_AFTER)
    )
    sent = 0
    for run in waiting.order_by("pk")[:200]:
        try:
            queue = background_task(run.task).queue
        except UnknownTask:
            continue  # its module does not run here; the run waits until it does
        enqueue(RUN_BACKGROUND_TASK, run.pk, queue=queue)
        JobRun.objects.filter(pk=run.pk, state=State.QUEUED).update(sent_at=now)
        sent += 1
    return sent


# --------------------------------------------------------------------------------------------------- scheduled jobs
def run_job(
    job_pk: int, *, now: datetime.datetime | None = None, timeouts: tuple[type[BaseException], ...] = ()
) -> JobRun | None:
    """Execute a job if it is due and nobody executes it; answers its run, or ``None``.

    ``timeouts`` are the exceptions that mean the worker's time limit was reached.
    """
    run = claim_job(job_pk, now=now or timezone.now())
    if run is None or run.job is None:
        return None
    actor, outcome = _actor_or_failure(run)
    handle = RunHandle(run, actor)
    if outcome is None:
        outcome = _execute_batches(handle, run.task, timeouts)
    if outcome is not None:
        _finish_job(run, handle, outcome, now=now or timezone.now())
    return JobRun.objects.get(pk=run.pk)


def claim_job(job_pk: int, *, now: datetime.datetime) -> JobRun | None:
    """Take a due job: its new running run, or ``None`` when it is not due, locked or executed elsewhere."""
    with transaction.atomic():
        job = (
            ScheduledJob.objects.select_for_update(no_key=True, skip_locked=True, of=("self",))
            .filter(pk=job_pk)
            .first()
        )
        # Only the locked row tells the truth: another worker may have finished between our message and our lock.
        if job is None or not ready_jobs(now).filter(pk=job_pk).exists():
            return None
        ScheduledJob.objects.filter(pk=job_pk).update(sent_at=None)
        triggers = list(JobTrigger.objects.filter(job=job, at__lte=now).order_by("pk"))
        manual = next((trigger for trigger in triggers if trigger.manual), None)
        JobTrigger.objects.filter(pk__in=[trigger.pk for trigger in triggers]).delete()
        snapshot = system_actor(user_pk=job.user_id).snapshot()
        if job.user_id is not None:
            snapshot["kind"] = "user"
        return JobRun.objects.create(
            job=job,
            kind=JobRun.Kind.MANUAL if manual else JobRun.Kind.SCHEDULED,
            task=job.task,
            title=job.title,
            user_id=(manual.actor.get("user") if manual else None) or job.user_id,
            state=State.RUNNING,
            actor=snapshot,
            attempts=job.lost_in_a_row + 1,
            started_at=timezone.now(),
            heartbeat_at=Now(),
            lease=uuid.uuid4(),
        )


def _execute_batches(
    handle: RunHandle, path: str, timeouts: tuple[type[BaseException], ...]
) -> Outcome | None:
    """Call the task until it has nothing left, at most ``MAX_BATCHES`` times. ``None``: the run was taken over."""
    result = None
    try:
        function = resolve_path(path)
        with Pulse(handle):
            for _batch in range(MAX_BATCHES):
                handle.begin_batch()
                result = _call(handle, function)
                if not handle.has_more or not handle.batch_advanced:
                    break
    except LeaseLost:
        logger.warning("run %s was taken over while it worked; its last batch was undone", handle.pk)
        return None
    except JobCancelled:
        return Outcome(State.CANCELLED)
    except Exception as exc:  # noqa: BLE001 - a task of any module may fail in any way; the run keeps the error
        if handle.done > 0:
            return _failure(exc, State.PARTIAL, timeouts, more=True)
        return _failure(exc, State.FAILED, timeouts)
    if handle.has_more:
        # A batch that did nothing although something is left waits for the next regular call.
        return Outcome(State.PARTIAL, result=result, more=handle.batch_advanced)
    return Outcome(State.DONE, result=result)


def _call(handle: RunHandle, function: Task) -> Any:
    if opens_own_transactions(function):
        result = function(handle)
        _confirm(handle)
        return result
    try:
        with unit_of_work(handle.actor):
            result = function(handle)
            _confirm(handle)
    except BaseException:
        handle.undo_batch()  # what it reported was rolled back with what it did
        raise
    return result


def _confirm(handle: RunHandle) -> None:
    if not handle.write():
        raise LeaseLost(f"run {handle.pk} was taken over")


def _failure(
    exc: Exception, state: str, timeouts: tuple[type[BaseException], ...], *, more: bool = False
) -> Outcome:
    timed_out = bool(timeouts) and isinstance(exc, timeouts)
    if timed_out:
        text = _("The time limit was reached.")
    elif isinstance(exc, BusinessError):
        text = exc.message
    else:
        text = f"{type(exc).__name__}: {exc}"
        logger.error("background work failed", exc_info=exc)
    details = "".join(traceback.format_exception(exc))[-20_000:]
    return Outcome(state, error=text[:2_000], details=details, more=more, timed_out=timed_out)


def _actor_or_failure(run: JobRun) -> tuple[Actor, Outcome | None]:
    """The actor that the run works as, with the rights of today; or why there is none."""
    snapshot = run.actor
    if snapshot.get("kind") == SYSTEM:
        return system_from_snapshot(snapshot), None
    try:
        return import_string(ACTOR_FROM_SNAPSHOT)(snapshot, channel="job"), None
    except BusinessError as exc:
        return system_from_snapshot(snapshot), _failure(exc, State.FAILED, ())


def _finish_job(run: JobRun, handle: RunHandle, outcome: Outcome, *, now: datetime.datetime) -> None:
    """Write the outcome, count failures, and set the next call. Does nothing when the run was taken over meanwhile."""
    with transaction.atomic():
        job = _locked_job(run.job_id)
        if not _end(run, handle, outcome) or job is None:
            return
        job.last_call = run.started_at
        if outcome.state == State.FAILED and outcome.timed_out:
            _count_lost(job, outcome.error, now)
        elif outcome.state == State.FAILED:
            _count_failure(job, outcome.error, now)
        elif outcome.state != State.CANCELLED:
            job.failure_count, job.first_failure_at, job.lost_in_a_row = 0, None, 0
        if outcome.more:
            JobTrigger.objects.create(job=job, at=now, manual=not job.active)
            enqueue_on_commit(RUN_JOB_TASK, job.pk)
        if handle.deactivate_job and outcome.state == State.DONE:
            job.active = False
        _plan(job, now)


def _locked_job(pk: int | None) -> ScheduledJob | None:
    if pk is None:
        return None
    return ScheduledJob.objects.select_for_update(no_key=True, of=("self",)).filter(pk=pk).first()


def _plan(job: ScheduledJob, now: datetime.datetime) -> None:
    job.next_call = next_call(
        job.next_call, every=job.every, unit=job.unit, now=now, tz=job.timezone, anchor=job.anchor
    )
    job.save(
        update_fields=[
            "next_call",
            "last_call",
            "failure_count",
            "first_failure_at",
            "lost_in_a_row",
            "active",
        ]
    )


def _count_failure(job: ScheduledJob, error: str, now: datetime.datetime) -> None:
    job.failure_count += 1
    job.lost_in_a_row = 0
    job.first_failure_at = job.first_failure_at or now
    too_many = job.failure_count >= MAX_FAILURES
    following = next_call(
        job.next_call, every=job.every, unit=job.unit, now=now, tz=job.timezone, anchor=job.anchor
    )
    last_warning = (
        job.failure_count + 1 >= MAX_FAILURES and following - job.first_failure_at > FAILING_TOO_LONG
    )
    if too_many and now - job.first_failure_at > FAILING_TOO_LONG:
        job.active = False
    if job.failure_count == 1 or not job.active or last_warning:
        emit(
            JobFailed(job=job.code, error=error, failures=job.failure_count, deactivated=not job.active),
            actor=system_actor(),
        )


def _count_lost(job: ScheduledJob, error: str, now: datetime.datetime) -> None:
    """A run that a dead or overdue worker left: tried again, and counted as a failure the third time in a row."""
    if job.lost_in_a_row + 1 >= MAX_LOST:
        _count_failure(job, error, now)
        return
    job.lost_in_a_row += 1
    JobTrigger.objects.create(job=job, at=now, manual=not job.active)
    enqueue_on_commit(RUN_JOB_TASK, job.pk)


# --------------------------------------------------------------------------------------------------- background work
def run_background(run_pk: int, *, timeouts: tuple[type[BaseException], ...] = ()) -> JobRun | None:
    """Execute queued background work; answers its run, or ``None`` when it is not waiting any more."""
    run = _claim_background(run_pk)
    if run is None:
        return None
    actor, outcome = _actor_or_failure(run)
    handle = RunHandle(run, actor)
    if outcome is None:
        outcome = _execute_background(handle, run.task, timeouts)
    if outcome is not None:
        with transaction.atomic():
            _end(run, handle, outcome)
    return JobRun.objects.get(pk=run.pk)


def _claim_background(run_pk: int) -> JobRun | None:
    with transaction.atomic():
        run = (
            JobRun.objects.select_for_update(skip_locked=True, of=("self",))
            .filter(pk=run_pk, state=State.QUEUED)
            .first()
        )
        if run is None:
            return None
        run.state, run.lease = State.RUNNING, uuid.uuid4()
        run.started_at = timezone.now()
        run.attempts += 1
        run.heartbeat_at = Now()
        run.save(update_fields=["state", "lease", "started_at", "attempts", "heartbeat_at"])
        return run


def _execute_background(
    handle: RunHandle, name: str, timeouts: tuple[type[BaseException], ...]
) -> Outcome | None:
    try:
        function = background_task(name).function
        with Pulse(handle):
            result = function(handle)
            _confirm(handle)
    except LeaseLost:
        logger.warning(
            "run %s was taken over while it worked; what it had not committed was undone", handle.pk
        )
        return None
    except JobCancelled:
        return Outcome(State.CANCELLED)
    except Exception as exc:  # noqa: BLE001 - a task of any module may fail in any way; the run keeps the error
        return _failure(exc, State.PARTIAL if handle.done > 0 else State.FAILED, timeouts)
    return Outcome(State.DONE, result=result)


def _end(run: JobRun, handle: RunHandle, outcome: Outcome) -> bool:
    """Write the end of a run that is still this worker's; answers whether it was."""
    news = handle.take_news()
    if outcome.details:
        news += outcome.details
    ended = JobRun.objects.filter(pk=run.pk, lease=run.lease, state=State.RUNNING).update(
        state=outcome.state,
        done=handle.done,
        total=handle.total,
        log=Concat("log", Value(news)),
        error=outcome.error,
        result=outcome.result,
        finished_at=timezone.now(),
        lease=None,
    )
    if ended:
        transaction.on_commit(
            lambda: publish_run(
                run.pk, run.user_id, state=outcome.state, done=handle.done, total=handle.total
            )
        )
    return bool(ended)


# ---------------------------------------------------------------------------------------------------------- recovery
def recover(*, lease: datetime.timedelta = LEASE, now: datetime.datetime | None = None) -> int:
    """Take running runs from workers that gave no sign of life for ``lease``; answers how many."""
    now = now or timezone.now()
    recovered = 0
    stale = JobRun.objects.filter(state=State.RUNNING, heartbeat_at__lt=Now() - lease)
    for pk in stale.order_by("pk").values_list("pk", flat=True):
        with transaction.atomic():
            # The job before its run, as everywhere: a worker that ends right now holds the job's row.
            job_pk = JobRun.objects.filter(pk=pk).values_list("job_id", flat=True).first()
            job = _locked_job(job_pk)
            run = stale.select_for_update(skip_locked=True, of=("self",)).filter(pk=pk).first()
            if run is None:
                continue
            recovered += 1
            logger.error("run %s (%s) gave no sign of life: it is taken from its worker", run.pk, run.title)
            if run.kind == JobRun.Kind.BACKGROUND:
                _recover_background(run)
            else:
                _recover_job(run, job, now)
    return recovered


def _recover_job(run: JobRun, job: ScheduledJob | None, now: datetime.datetime) -> None:
    error = _("The worker stopped without a word.")
    advanced = run.done > 0
    _take_away(run, State.PARTIAL if advanced else State.FAILED, error)
    if job is None:
        return
    job.last_call = run.started_at
    if advanced:
        job.failure_count, job.first_failure_at, job.lost_in_a_row = 0, None, 0
        JobTrigger.objects.create(job=job, at=now, manual=not job.active)
        enqueue_on_commit(RUN_JOB_TASK, job.pk)
    else:
        _count_lost(job, error, now)
    _plan(job, now)


def _recover_background(run: JobRun) -> None:
    try:
        task = background_task(run.task)
    except UnknownTask:
        task = None
    if task is None or run.attempts >= task.attempts or run.cancel_requested:
        state = State.CANCELLED if run.cancel_requested else State.FAILED
        _take_away(run, state, _("The worker stopped without a word."))
        return
    line = _("The worker stopped without a word; trying again (%(number)s of %(limit)s).") % {
        "number": run.attempts + 1,
        "limit": task.attempts,
    }
    JobRun.objects.filter(pk=run.pk).update(
        state=State.QUEUED,
        lease=None,
        heartbeat_at=None,
        done=0,
        sent_at=timezone.now(),
        log=Concat("log", Value(f"{timezone.now():%Y-%m-%d %H:%M:%S} {line}\n")),
    )
    enqueue_on_commit(RUN_BACKGROUND_TASK, run.pk, queue=task.queue)


def _take_away(run: JobRun, state: str, error: str) -> None:
    JobRun.objects.filter(pk=run.pk).update(state=state, error=error, lease=None, finished_at=timezone.now())


def purge(*, now: datetime.datetime | None = None) -> int:
    """Delete finished runs: after a week, failed ones after a month; and triggers that nobody consumed for a week."""
    now = now or timezone.now()
    week, month = now - datetime.timedelta(days=7), now - datetime.timedelta(days=30)
    finished: Iterable[str] = (State.DONE, State.PARTIAL, State.CANCELLED)
    runs, _rows = JobRun.objects.filter(
        Q(state__in=finished, finished_at__lt=week) | Q(state=State.FAILED, finished_at__lt=month)
    ).delete()
    triggers, _rows = JobTrigger.objects.filter(at__lt=week).delete()
    return runs + triggers
