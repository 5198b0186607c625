"""The use of background work: starting it, running a job by hand, cancelling, trying again, declared jobs.

A person sees the runs that he started; the technical role sees all of them. Work that somebody started runs with his
own rights as they are when it runs, and fails with a clear message when his account is archived by then.
"""

from __future__ import annotations

import datetime
import zoneinfo
from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings
from django.db import connections, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.core import modules
from apps.core.actions import action
from apps.core.actor import Actor
from apps.core.declarations import JobSpec
from apps.core.errors import ValidationFailed, WrongState
from apps.core.jobs import engine
from apps.core.jobs.handle import RunHandle, publish_run
from apps.core.jobs.registry import background_task
from apps.core.jobs.schedule import first_call
from apps.core.models.job import JobRun, JobTrigger, ScheduledJob
from apps.core.outbox import purge as purge_outbox
from apps.core.queue import enqueue_on_commit
from apps.core.records import RecordService, Values, service
from apps.core.rules import rule

State = JobRun.State
TECHNICAL = "core.technical"


# ------------------------------------------------------------------------------------------------------------ rules
@rule(ScheduledJob, mandatory=True)
def jobs_of_running_modules(actor: Actor, op: str) -> Q:
    """Jobs of a module that does not run are absent."""
    return Q(module__in=[config.key for config in modules.running()])


@rule(JobRun, kinds=("internal", "portal"))
def runs_somebody_started(actor: Actor, op: str) -> Q:
    return Q(user_id=actor.user_pk, kind=JobRun.Kind.BACKGROUND)


@rule(JobRun, roles=(TECHNICAL,))
def all_runs_for_technicians(actor: Actor, op: str) -> Q:
    return Q()


# ------------------------------------------------------------------------------------------------------- background
def start_background(
    task: str, *, inputs: Mapping[str, Any] | None = None, actor: Actor, title: str = ""
) -> JobRun:
    """Queue the background task registered as ``task`` on behalf of ``actor``; its run starts after commit.

    ``inputs`` must be JSON (primary keys rather than records). The caller has checked that the actor may do this; the
    task's own services check again with his rights at run time. With the broker down the run waits in the database.
    Errors: ``UnknownTask`` for a name nobody registered.
    """
    registered = background_task(task)
    with transaction.atomic():
        run = JobRun.objects.create(
            kind=JobRun.Kind.BACKGROUND,
            task=task,
            title=title or str(registered.title),
            user_id=actor.user_pk,
            inputs=dict(inputs or {}),
            actor=actor.snapshot(),
            sent_at=timezone.now(),
        )
        enqueue_on_commit(engine.RUN_BACKGROUND_TASK, run.pk, queue=registered.queue)
    return run


@action(
    JobRun,
    name="cancel",
    permission="cancel",
    source={State.QUEUED, State.RUNNING},
    title=gettext_lazy("Cancel"),
    dangerous=True,
    icon="cancel",
)
def cancel_runs(runs: Sequence[JobRun], *, actor: Actor) -> None:
    """Waiting work is cancelled at once; running work at its next report, and its open transaction is undone."""
    for run in runs:
        if run.state == State.QUEUED:
            run.state, run.finished_at = State.CANCELLED, timezone.now()
        run.cancel_requested = True
        run.save(update_fields=["state", "finished_at", "cancel_requested"])
        if run.state == State.CANCELLED:
            publish_run(run.pk, run.user_id, state=run.state, done=run.done, total=run.total)


@action(
    JobRun,
    name="retry",
    permission="retry",
    source={State.FAILED, State.PARTIAL, State.CANCELLED},
    title=gettext_lazy("Run again"),
    icon="replay",
)
def retry_runs(runs: Sequence[JobRun], *, actor: Actor) -> None:
    """Background work is queued again under the same number; a scheduled job is run once more."""
    for run in runs:
        if run.kind != JobRun.Kind.BACKGROUND:
            if run.job is None:
                raise WrongState(_("The job of run %(pk)s does not exist any more.") % {"pk": run.pk})
            request_run(run.job, actor=actor)
            continue
        registered = background_task(run.task)
        run.state, run.attempts, run.cancel_requested = State.QUEUED, 0, False
        run.error, run.result, run.finished_at, run.done, run.total = "", None, None, 0, None
        run.sent_at = timezone.now()
        run.save(
            update_fields=[
                "state",
                "attempts",
                "cancel_requested",
                "error",
                "result",
                "finished_at",
                "done",
                "total",
                "sent_at",
            ]
        )
        enqueue_on_commit(engine.RUN_BACKGROUND_TASK, run.pk, queue=registered.queue)


# -------------------------------------------------------------------------------------------------------- scheduled
def request_run(
    job: ScheduledJob, *, actor: Actor, at: datetime.datetime | None = None, manual: bool = True
) -> None:
    """Ask for one run of a job besides its schedule, now or ``at`` a moment.

    By hand (``manual``) an inactive job runs too, and a job that is being executed refuses with ``WrongState``.
    """
    if manual and is_running(job):
        raise WrongState(
            _("The job “%(job)s” is being executed. Try again when it is done.") % {"job": job.title}
        )
    JobTrigger.objects.create(job=job, at=at or timezone.now(), manual=manual, actor=actor.snapshot())
    if at is None:
        enqueue_on_commit(engine.RUN_JOB_TASK, job.pk)


def trigger_job(code: str, *, actor: Actor, at: datetime.datetime | None = None) -> None:
    """For services: have the declared job ``code`` run soon (or ``at`` a moment), if it is active."""
    request_run(ScheduledJob.objects.get(code=code), actor=actor, at=at, manual=False)


def is_running(job: ScheduledJob) -> bool:
    return JobRun.objects.filter(job=job, state=State.RUNNING).exists()


@action(ScheduledJob, name="run", permission="run", title=gettext_lazy("Run now"), icon="play_arrow")
def run_now(jobs: Sequence[ScheduledJob], *, actor: Actor) -> None:
    """Run the jobs once, now, whether active or not. Refused for one that is being executed."""
    for job in jobs:
        request_run(job, actor=actor)


@service(ScheduledJob)
class ScheduledJobService(RecordService[ScheduledJob]):
    """Changes of a job's schedule. What a job does is declared by its module and cannot be edited."""

    def prepare_create(self, rows: list[Values], actor: Actor) -> None:
        raise ValidationFailed(_("Jobs are declared by modules; they cannot be created here."))

    def prepare_update(self, records: Sequence[ScheduledJob], values: Values, actor: Actor) -> None:
        busy = JobRun.objects.filter(job__in=records, state=State.RUNNING).values_list(
            "job__title", flat=True
        )
        names = ", ".join(sorted(set(busy)))
        if names:
            raise WrongState(_("“%(jobs)s” is being executed right now. Try again.") % {"jobs": names})

    def validate(self, records: Sequence[ScheduledJob], actor: Actor) -> None:
        for record in records:
            errors: dict[str, list[str]] = {}
            if record.every < 1:
                errors["every"] = [_("A job runs every 1 or more of its unit.")]
            if record.timezone not in zoneinfo.available_timezones():
                errors["timezone"] = [
                    _("There is no time zone of this name; write one such as Europe/Brussels.")
                ]
            if errors:
                raise ValidationFailed(fields=errors)

    def after_update(
        self,
        records: Sequence[ScheduledJob],
        before: Mapping[Any, Mapping[str, Any]],
        values: Values,
        actor: Actor,
    ) -> None:
        for record in records:
            old = before[record.pk]
            if {"next_call", "every", "unit", "timezone"} & set(values):
                record.anchor = record.next_call
            if values.get("active") and not old["active"]:
                record.failure_count, record.first_failure_at, record.lost_in_a_row = 0, None, 0
            ScheduledJob.objects.filter(pk=record.pk).update(
                anchor=record.anchor,
                failure_count=record.failure_count,
                first_failure_at=record.first_failure_at,
                lost_in_a_row=record.lost_in_a_row,
            )

    def before_delete(self, records: Sequence[ScheduledJob], actor: Actor) -> None:
        if not actor.is_system:
            raise ValidationFailed(_("Jobs are declared by modules. Switch this one off instead."))


# ----------------------------------------------------------------------------------------------------- declarations
def declared_jobs() -> dict[str, tuple[str, JobSpec]]:
    """What the running modules declare: (module key, declaration) by code."""
    return {spec.code: (config.key, spec) for config in modules.running() for spec in config.jobs}


def sync_declared(*, now: datetime.datetime | None = None) -> dict[str, int]:
    """Bring the job rows in line with the declarations; answers how many were made, changed and removed.

    Title, task and module follow the declaration. The schedule is the declaration's at first and the administrator's
    from then on. Jobs that a running module declares no longer go, their history stays; jobs of modules that do not
    run are left as they are, and do not run.
    """
    now = now or timezone.now()
    wanted = declared_jobs()
    known = {job.code: job for job in ScheduledJob.objects.all()}
    fresh = [_from_spec(key, spec, now) for code, (key, spec) in wanted.items() if code not in known]
    ScheduledJob.objects.bulk_create(fresh)
    changed = []
    for code, (key, spec) in wanted.items():
        job = known.get(code)
        facts = {"module": key, "title": str(spec.title), "task": spec.task}
        if job is not None and any(getattr(job, name) != value for name, value in facts.items()):
            for name, value in facts.items():
                setattr(job, name, value)
            changed.append(job)
    ScheduledJob.objects.bulk_update(changed, ["module", "title", "task"])
    running = [config.key for config in modules.running()]
    gone = ScheduledJob.objects.filter(module__in=running).exclude(code__in=wanted)
    removed = gone.count()
    if removed:
        gone.delete()
    return {"made": len(fresh), "changed": len(changed), "removed": removed}


def _from_spec(module: str, spec: JobSpec, now: datetime.datetime) -> ScheduledJob:
    zone = settings.TIME_ZONE
    start = first_call(now, at=spec.at, tz=zone)
    return ScheduledJob(
        code=spec.code,
        module=module,
        title=str(spec.title),
        task=spec.task,
        every=spec.every,
        unit=ScheduledJob.Unit(spec.unit),
        priority=spec.priority,
        timezone=zone,
        next_call=start,
        anchor=start,
    )


def sync_after_migrate(*, using: str = "default", **_kwargs: Any) -> None:
    """Receiver of ``post_migrate``. Does nothing while the table is not there (a partial migration)."""
    if using == "default" and ScheduledJob._meta.db_table in connections[using].introspection.table_names():
        sync_declared()


# ------------------------------------------------------------------------------------------------------------- jobs
def housekeeping(run: RunHandle) -> None:
    """The kernel's own daily job: finished runs, unused triggers and delivered events go after their time."""
    runs, events = engine.purge(), purge_outbox()
    run.log(f"deleted {runs} runs and triggers, {events} delivered events")
