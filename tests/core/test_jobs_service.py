"""Using background work: starting it with one's own rights, watching, cancelling, repeating; editing schedules."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from apps.core.actor import Actor
from apps.core.declarations import JobSpec
from apps.core.errors import NotVisible, PermissionDenied, Unavailable, ValidationFailed, WrongState
from apps.core.jobs import engine, registry, service
from apps.core.jobs.engine import claim_job, ready_jobs, recover, run_background, run_job, tick
from apps.core.jobs.handle import RunHandle
from apps.core.jobs.registry import UnknownTask, background
from apps.core.jobs.service import (
    cancel_runs,
    request_run,
    retry_runs,
    run_now,
    start_background,
    sync_declared,
    trigger_job,
)
from apps.core.models import JobRun, JobTrigger, ScheduledJob
from apps.core.records import service_for
from apps.core.rules import visible
from tests.core.jobs_helpers import mark, marks

pytestmark = pytest.mark.django_db
State = JobRun.State
NAME = "tests.background"
HOUR = datetime.timedelta(hours=1)

Task = Callable[[RunHandle], Any]


@pytest.fixture
def background_does() -> Iterator[Callable[[Task], None]]:
    """``background_does(function)`` registers what the background task of this test does."""

    def put(function: Task) -> None:
        registry.forget_background(NAME)
        background(NAME, title="Test work", attempts=2)(function)

    put(lambda run: None)
    yield put
    registry.forget_background(NAME)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Messages that would have gone to the workers."""
    messages: list[tuple[Any, ...]] = []

    def note(name: str, *args: Any, queue: str | None = None, **kwargs: Any) -> None:
        messages.append((name, *args, queue))

    monkeypatch.setattr(engine, "enqueue", note)
    monkeypatch.setattr(engine, "enqueue_on_commit", note)
    monkeypatch.setattr(service, "enqueue_on_commit", note)
    return messages


def make_job(code: str = "tests.job", **values: Any) -> ScheduledJob:
    start = values.pop("next_call", timezone.now() + HOUR)
    defaults = {
        "module": "core",
        "title": "Nightly work",
        "task": "apps.core.jobs.service.housekeeping",
        "next_call": start,
        "anchor": start,
    }
    return ScheduledJob.objects.create(code=code, **{**defaults, **values})


def employee(actor: Actor, *operations: str) -> Actor:
    return replace(actor, permissions=frozenset(f"core.jobrun:{operation}" for operation in operations))


def technician(actor: Actor, *operations: str) -> Actor:
    keys = {f"core.{model}:{op}" for model in ("jobrun", "scheduledjob") for op in operations}
    return replace(actor, permissions=frozenset(keys), roles=actor.roles | {"core.technical"})


# -------------------------------------------------------------------------------------------------------- background
def test_work_runs_with_the_rights_of_who_started_it(
    world: SimpleNamespace, background_does: Any, sent: list[Any]
) -> None:
    seen: list[Actor] = []

    def work(run: RunHandle) -> dict[str, Any]:
        seen.append(run.actor)
        run.progress(2, 2)
        return {"pks": run.inputs["pks"], "on": datetime.date(2026, 1, 2)}

    background_does(work)
    run = start_background(NAME, inputs={"pks": [4, 5]}, actor=world.ann, title="Post 2 invoices")
    assert sent == [("core.run_background", run.pk, "bulk")]
    assert (run.state, run.title, run.user_id) == ("queued", "Post 2 invoices", world.ann.user_pk)

    ended = run_background(run.pk)

    assert ended is not None
    assert (ended.state, ended.done, ended.total) == ("done", 2, 2)
    assert ended.result == {"pks": [4, 5], "on": "2026-01-02"}
    assert (seen[0].kind, seen[0].user_pk, seen[0].channel) == ("internal", world.ann.user_pk, "job")
    assert seen[0].company_pk == world.a.pk
    assert run_background(run.pk) is None, "it is done"


def test_the_title_of_the_task_is_the_default(
    world: SimpleNamespace, background_does: Any, sent: Any
) -> None:
    assert start_background(NAME, actor=world.system).title == "Test work"


def test_unknown_work_is_refused_at_once(world: SimpleNamespace, sent: list[Any]) -> None:
    with pytest.raises(UnknownTask, match=r"tests\.nothing"):
        start_background("tests.nothing", actor=world.ann)

    assert not JobRun.objects.exists()
    assert sent == []


def test_work_of_an_archived_person_is_not_done(
    world: SimpleNamespace, background_does: Any, sent: Any
) -> None:
    background_does(lambda run: mark("done"))
    run = start_background(NAME, actor=world.eve)
    type(world.users["eve"]).objects.filter(pk=world.eve.user_pk).update(active=False)

    ended = run_background(run.pk)

    assert ended is not None
    assert ended.state == "failed"
    assert "archived" in ended.error
    assert marks() == []


def test_a_failure_keeps_error_and_traceback(world: SimpleNamespace, background_does: Any, sent: Any) -> None:
    def work(run: RunHandle) -> None:
        with transaction.atomic():
            mark("committed")
        run.progress(1, 3)
        with transaction.atomic():
            mark("undone")
            raise ValidationFailed("Invoice 7 has no lines.")

    background_does(work)
    ended = run_background(start_background(NAME, actor=world.ann).pk)

    assert ended is not None
    assert (ended.state, ended.error, ended.done, ended.total) == ("partial", "Invoice 7 has no lines.", 1, 3)
    assert "ValidationFailed" in ended.log
    assert marks() == ["committed"]


def test_nothing_is_queued_by_a_transaction_that_is_undone(
    world: SimpleNamespace, background_does: Any, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks() as callbacks, transaction.atomic():
        start_background(NAME, actor=world.ann)
        transaction.set_rollback(True)

    assert callbacks == []
    assert not JobRun.objects.exists()


def test_a_lost_message_is_sent_again(world: SimpleNamespace, background_does: Any, sent: list[Any]) -> None:
    ScheduledJob.objects.all().delete()
    run = start_background(NAME, actor=world.ann)
    sent.clear()
    now = timezone.now()

    assert tick(now=now) == 0
    assert tick(now=now + datetime.timedelta(minutes=6)) == 1
    assert tick(now=now + datetime.timedelta(minutes=7)) == 0

    assert sent == [("core.run_background", run.pk, "bulk")]


def test_lost_work_is_tried_again_as_often_as_it_allows(
    world: SimpleNamespace, background_does: Any, sent: list[Any]
) -> None:
    run = start_background(NAME, actor=world.ann)
    sent.clear()
    at_once = datetime.timedelta(seconds=-1)

    assert engine._claim_background(run.pk) is not None
    assert recover(lease=at_once) == 1
    run.refresh_from_db()
    assert (run.state, run.attempts, run.lease) == ("queued", 1, None)
    assert "trying again (2 of 2)" in run.log
    assert sent == [("core.run_background", run.pk, "bulk")]

    assert engine._claim_background(run.pk) is not None
    assert recover(lease=at_once) == 1
    run.refresh_from_db()
    assert (run.state, run.attempts, run.error) == ("failed", 2, "The worker stopped without a word.")
    assert recover(lease=at_once) == 0


# ------------------------------------------------------------------------------------------- watching, cancelling
def test_everybody_sees_the_work_he_started_and_technicians_all(
    world: SimpleNamespace, background_does: Any, sent: Any
) -> None:
    of_ann = start_background(NAME, actor=world.ann)
    of_bob = start_background(NAME, actor=world.bob)
    scheduled = JobRun.objects.create(kind="scheduled", title="x", task="x", user_id=world.ann.user_pk)

    assert list(visible(JobRun, employee(world.ann, "view"))) == [of_ann]
    assert list(visible(JobRun, employee(world.ann))) == []
    assert list(visible(JobRun, technician(world.eve, "view"))) == [scheduled, of_bob, of_ann]


def test_cancelling_waiting_work(world: SimpleNamespace, background_does: Any, sent: Any) -> None:
    run = start_background(NAME, actor=world.ann)

    with pytest.raises(NotVisible):
        cancel_runs([run], actor=employee(world.bob, "view", "cancel"))
    with pytest.raises(PermissionDenied):
        cancel_runs([run], actor=employee(world.ann, "view"))
    assert JobRun.objects.get(pk=run.pk).state == "queued"

    cancel_runs([run], actor=employee(world.ann, "view", "cancel"))

    assert run.state == "cancelled"
    assert run_background(run.pk) is None
    with pytest.raises(WrongState):
        cancel_runs([run], actor=employee(world.ann, "view", "cancel"))


def test_cancelling_running_work_asks_its_worker(
    world: SimpleNamespace, background_does: Any, sent: Any
) -> None:
    run = start_background(NAME, actor=world.ann)
    assert engine._claim_background(run.pk) is not None

    cancel_runs([run], actor=employee(world.ann, "view", "cancel"))

    run.refresh_from_db()
    assert (run.state, run.cancel_requested) == ("running", True)
    recover(lease=datetime.timedelta(seconds=-1))
    run.refresh_from_db()
    assert run.state == "cancelled", "a worker that died before it heard of it is not replaced"


def test_failed_work_runs_again_under_its_number(
    world: SimpleNamespace, background_does: Any, sent: list[Any]
) -> None:
    attempts: list[int] = []

    def work(run: RunHandle) -> str:
        attempts.append(run.attempt)
        if len(attempts) == 1:
            raise ZeroDivisionError
        return "better"

    background_does(work)
    run = start_background(NAME, actor=world.ann)
    run_background(run.pk)
    sent.clear()

    retry_runs([run], actor=employee(world.ann, "view", "retry"))
    ended = run_background(run.pk)

    assert sent == [("core.run_background", run.pk, "bulk")]
    assert ended is not None
    assert (ended.state, ended.error, ended.result, attempts) == ("done", "", "better", [1, 1])
    with pytest.raises(WrongState):
        retry_runs([run], actor=employee(world.ann, "view", "retry"))


# --------------------------------------------------------------------------------------------------------- by hand
def test_running_a_job_by_hand(world: SimpleNamespace, sent: list[Any]) -> None:
    job = make_job(active=False)
    before = job.next_call

    run_now([job], actor=technician(world.ann, "view", "run"))
    run = run_job(job.pk)

    assert sent == [("core.run_job", job.pk, None)]
    assert run is not None
    assert (run.state, run.kind, run.user_id) == ("done", "manual", world.ann.user_pk)
    assert run.actor["kind"] == "system"
    job.refresh_from_db()
    assert (job.next_call, job.active) == (before, False)


def test_running_by_hand_needs_the_right(world: SimpleNamespace, sent: list[Any]) -> None:
    job = make_job()

    with pytest.raises(PermissionDenied, match="'run' on scheduled job"):
        run_now([job], actor=technician(world.ann, "view", "change"))

    assert not JobTrigger.objects.filter(job=job).exists()
    assert sent == []


def test_a_job_that_is_being_executed_is_neither_run_nor_edited(
    world: SimpleNamespace, sent: list[Any]
) -> None:
    job = make_job(next_call=timezone.now() - HOUR)
    assert claim_job(job.pk, now=timezone.now()) is not None
    admin = technician(world.ann, "view", "run", "change")

    with pytest.raises(WrongState, match="“Nightly work” is being executed"):
        run_now([job], actor=admin)
    with pytest.raises(WrongState, match="Try again"):
        service_for(ScheduledJob).update([job], {"every": 3}, actor=admin)

    job.refresh_from_db()
    assert job.every == 1
    assert not JobTrigger.objects.filter(job=job).exists()


def test_services_can_ask_for_a_run(world: SimpleNamespace, sent: list[Any]) -> None:
    job = make_job()
    later = timezone.now() + datetime.timedelta(minutes=10)

    trigger_job("tests.job", actor=world.system, at=later)

    assert sent == []
    assert not ready_jobs(timezone.now()).filter(pk=job.pk).exists()
    assert ready_jobs(later).filter(pk=job.pk).exists()
    assert run_job(job.pk, now=later) is not None


def test_a_scheduled_run_is_repeated_by_running_its_job(world: SimpleNamespace, sent: list[Any]) -> None:
    job = make_job(task="nowhere.at_all")
    request_run(job, actor=world.system)
    run = run_job(job.pk)
    assert run is not None
    assert run.state == "failed"

    retry_runs([run], actor=technician(world.ann, "view", "retry"))

    assert JobTrigger.objects.get(job=job).manual is True
    ScheduledJob.objects.filter(pk=job.pk).update(code="gone")
    job.delete()
    run.refresh_from_db()
    with pytest.raises(WrongState, match="does not exist any more"):
        retry_runs([run], actor=technician(world.ann, "view", "retry"))


# --------------------------------------------------------------------------------------------------------- editing
def test_a_new_next_call_is_the_new_anchor(world: SimpleNamespace) -> None:
    job = make_job(unit="months")
    start = datetime.datetime(2026, 1, 31, 8, tzinfo=datetime.UTC)

    service_for(ScheduledJob).update(
        [job], {"next_call": start}, actor=technician(world.ann, "view", "change")
    )

    job.refresh_from_db()
    assert (job.next_call, job.anchor) == (start, start)


def test_switching_on_again_forgets_the_failures(world: SimpleNamespace) -> None:
    job = make_job(active=False, failure_count=5, first_failure_at=timezone.now(), lost_in_a_row=1)

    service_for(ScheduledJob).unarchive([job], actor=technician(world.ann, "view", "change"))

    job.refresh_from_db()
    assert (job.active, job.failure_count, job.first_failure_at, job.lost_in_a_row) == (True, 0, None, 0)


@pytest.mark.parametrize(
    ("values", "field"),
    [({"every": 0}, "every"), ({"timezone": "Mars/Base"}, "timezone"), ({"unit": "years"}, "unit")],
)
def test_schedules_that_make_no_sense_are_refused(
    world: SimpleNamespace, values: dict[str, Any], field: str
) -> None:
    job = make_job()

    with pytest.raises(ValidationFailed) as refusal:
        service_for(ScheduledJob).update([job], values, actor=technician(world.ann, "view", "change"))

    assert field in refusal.value.fields
    job.refresh_from_db()
    assert (job.every, job.timezone, job.unit) == (1, "UTC", "days")


def test_what_a_job_does_cannot_be_edited(world: SimpleNamespace) -> None:
    job = make_job()
    admin = technician(world.ann, "view", "change", "add", "delete")

    with pytest.raises(ValidationFailed) as refusal:
        service_for(ScheduledJob).update([job], {"task": "os.system"}, actor=admin)
    assert list(refusal.value.fields) == ["task"]
    with pytest.raises(ValidationFailed, match="declared by modules"):
        service_for(ScheduledJob).create_one({"every": 1}, actor=admin)
    with pytest.raises(ValidationFailed, match="Switch this one off"):
        service_for(ScheduledJob).delete([job], actor=admin)

    job.refresh_from_db()
    assert job.task == "apps.core.jobs.service.housekeeping"


def test_jobs_of_modules_that_do_not_run_are_absent(world: SimpleNamespace) -> None:
    here, elsewhere = make_job(), make_job("tests.elsewhere", module="elsewhere")

    seen = visible(ScheduledJob, technician(world.ann, "view"))

    assert here in seen
    assert elsewhere not in seen


# ---------------------------------------------------------------------------------------------------- declarations
def test_declared_jobs_are_kept_in_line(monkeypatch: pytest.MonkeyPatch, world: SimpleNamespace) -> None:
    specs: list[JobSpec] = [
        JobSpec("tests.nightly", "Nightly", "some.task", at="03:00", priority=2),
        JobSpec("tests.often", "Often", "other.task", every=5, unit="minutes"),
    ]
    monkeypatch.setattr(service, "declared_jobs", lambda: {spec.code: ("core", spec) for spec in specs})
    ScheduledJob.objects.all().delete()
    now = datetime.datetime(2026, 3, 10, 12, tzinfo=datetime.UTC)

    assert sync_declared(now=now) == {"made": 2, "changed": 0, "removed": 0}
    nightly, often = ScheduledJob.objects.order_by("code")
    assert nightly.next_call == nightly.anchor == datetime.datetime(2026, 3, 11, 3, tzinfo=datetime.UTC)
    assert (nightly.module, nightly.title, nightly.task, nightly.priority) == (
        "core",
        "Nightly",
        "some.task",
        2,
    )
    assert (often.next_call, often.every, often.unit) == (now, 5, "minutes")
    assert sync_declared(now=now) == {"made": 0, "changed": 0, "removed": 0}

    service_for(ScheduledJob).update([nightly], {"every": 2, "active": False}, actor=world.system)
    elsewhere = make_job("tests.elsewhere", module="elsewhere")
    run = run_job(often.pk, now=now)
    specs[:] = [JobSpec("tests.nightly", "By night", "new.task", at="05:00")]

    assert sync_declared(now=now) == {"made": 0, "changed": 1, "removed": 1}

    nightly.refresh_from_db()
    assert (nightly.title, nightly.task) == ("By night", "new.task")
    assert (nightly.every, nightly.active, nightly.next_call.hour) == (2, False, 3)
    assert set(ScheduledJob.objects.all()) == {nightly, elsewhere}
    assert run is not None
    assert JobRun.objects.get(pk=run.pk).job is None


def test_the_declared_jobs_of_the_running_modules_have_rows() -> None:
    codes = set(ScheduledJob.objects.values_list("code", flat=True))

    assert "core.housekeeping" in codes
    assert set(service.declared_jobs()) <= codes


def test_the_housekeeping_job_runs(world: SimpleNamespace) -> None:
    job = ScheduledJob.objects.get(code="core.housekeeping")

    run = run_job(job.pk, now=job.next_call)

    assert run is not None
    assert (run.state, run.error) == ("done", "")
    assert "deleted 0 runs and triggers, 0 delivered events" in run.log


def test_starting_work_with_a_dead_broker_keeps_it(
    world: SimpleNamespace,
    background_does: Any,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Any,
) -> None:
    def dead(*args: Any, **kwargs: Any) -> None:
        raise Unavailable("gone")

    monkeypatch.setattr("apps.core.queue.enqueue", dead)

    with django_capture_on_commit_callbacks(execute=True):
        run = start_background(NAME, actor=world.ann)

    assert JobRun.objects.get(pk=run.pk).state == "queued"
