"""Executing jobs: what is due, batches, failures and their counting, and when a job runs again."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from django.db import transaction

from apps.core.errors import Unavailable, ValidationFailed
from apps.core.jobs import engine
from apps.core.jobs.engine import claim_job, ready_jobs, run_job, tick
from apps.core.jobs.handle import RunHandle
from apps.core.models import JobRun, JobTrigger, ScheduledJob
from tests.core.jobs_helpers import DAY, HOUR, NOW, does, failures, make, mark, marks, piecewise

pytestmark = pytest.mark.usefixtures("no_jobs")

State = JobRun.State


@pytest.fixture
def no_jobs(db: None) -> None:
    """The jobs that modules declare stay out of these tests."""
    ScheduledJob.objects.all().delete()


# ------------------------------------------------------------------------------------------------------- one run
@pytest.mark.django_db
def test_a_run_leaves_its_history_and_the_next_call() -> None:
    job = make()

    def work(run: RunHandle) -> dict[str, int]:
        run.progress(3, 4)
        run.log("three of four")
        mark("first")
        return {"sent": 3}

    does(work)
    run = run_job(job.pk, now=NOW)

    assert run is not None
    assert (run.state, run.kind, run.done, run.total, run.result) == ("done", "scheduled", 3, 4, {"sent": 3})
    assert run.log.endswith(" three of four\n")
    assert (run.error, run.lease, run.job_id) == ("", None, job.pk)
    assert run.finished_at is not None
    job.refresh_from_db()
    assert job.next_call == NOW + DAY
    assert job.last_call == run.started_at
    assert marks() == ["first"]


@pytest.mark.django_db
def test_a_job_that_is_not_due_does_not_run() -> None:
    job = make(next_call=NOW + HOUR)
    does(lambda run: mark("first"))

    assert run_job(job.pk, now=NOW) is None
    assert run_job(job.pk + 1, now=NOW) is None

    assert marks() == []
    assert not JobRun.objects.exists()


@pytest.mark.django_db
def test_missed_runs_collapse_into_one() -> None:
    job = make(next_call=NOW - 10 * DAY - HOUR)

    assert run_job(job.pk, now=NOW) is not None
    assert run_job(job.pk, now=NOW) is None

    job.refresh_from_db()
    assert job.next_call == NOW + DAY - HOUR


@pytest.mark.django_db
def test_daily_at_eight_in_brussels_when_summer_time_begins() -> None:
    first = datetime.datetime(2026, 3, 28, 7, 0, tzinfo=datetime.UTC)
    job = make(next_call=first, timezone="Europe/Brussels")

    found = []
    for _day in range(3):
        job.refresh_from_db()
        found.append(f"{job.next_call:%m-%d %H:%M}")
        assert run_job(job.pk, now=job.next_call) is not None

    assert found == ["03-28 07:00", "03-29 06:00", "03-30 06:00"]


@pytest.mark.django_db
def test_an_anchor_brings_the_thirty_first_back() -> None:
    job = make(next_call=datetime.datetime(2026, 1, 31, 8, tzinfo=datetime.UTC), unit="months")

    found = []
    for _month in range(4):
        job.refresh_from_db()
        found.append(f"{job.next_call:%m-%d}")
        run_job(job.pk, now=job.next_call)

    assert found == ["01-31", "02-28", "03-31", "04-30"]


# ------------------------------------------------------------------------------------------------------ readiness
@pytest.mark.django_db
def test_fewest_failures_first_then_priority_then_age() -> None:
    make("failing", failure_count=2, priority=0)
    make("late", priority=9)
    make("first", priority=1)
    make("second", priority=1)
    make("once failed", failure_count=1, priority=0)
    make("not due", next_call=NOW + HOUR)
    make("off", active=False)
    make("of a module that does not run", module="elsewhere")

    assert [job.code for job in ready_jobs(NOW)] == ["first", "second", "late", "once failed", "failing"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("_case", "active", "manual", "at", "ready"),
    [
        ("due trigger", True, False, NOW, True),
        ("trigger still to come", True, False, NOW + HOUR, False),
        ("trigger of an inactive job", False, False, NOW, False),
        ("by hand, inactive", False, True, NOW, True),
    ],
)
def test_triggers(_case: str, active: bool, manual: bool, at: datetime.datetime, ready: bool) -> None:
    job = make(next_call=NOW + 5 * DAY, active=active)
    JobTrigger.objects.create(job=job, at=at, manual=manual)

    run = run_job(job.pk, now=NOW)

    assert (run is not None) is ready
    if run is not None:
        assert run.kind == ("manual" if manual else "scheduled")
        assert not JobTrigger.objects.exists()
        job.refresh_from_db()
        assert job.next_call == NOW + 5 * DAY, "an extra run does not move the plan"


@pytest.mark.django_db
def test_tick_sends_what_is_due_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(engine, "enqueue", lambda *args, **kwargs: sent.append(args))
    late, first = make("late", priority=9), make("first", priority=1)
    make("running", priority=0)
    assert claim_job(ScheduledJob.objects.get(code="running").pk, now=NOW) is not None

    assert tick(now=NOW) == 2

    assert sent == [("core.run_job", first.pk), ("core.run_job", late.pk)]


@pytest.mark.django_db
def test_ticks_do_not_pile_up_messages_while_workers_are_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(engine, "enqueue", lambda *args, **kwargs: sent.append(args))
    job = make(unit="minutes")
    seconds = datetime.timedelta(seconds=1)

    assert [tick(now=NOW + number * 10 * seconds) for number in range(7)] == [1, 0, 0, 0, 0, 0, 1]
    assert run_job(job.pk, now=NOW + 61 * seconds) is not None
    assert [tick(now=NOW + 70 * seconds), tick(now=NOW + 120 * seconds)] == [0, 1]


@pytest.mark.django_db
def test_a_dead_broker_stops_nothing_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    def dead(*args: Any, **kwargs: Any) -> None:
        raise Unavailable("gone")

    monkeypatch.setattr(engine, "enqueue", dead)
    job = make()

    assert tick(now=NOW) == 0

    assert [item.pk for item in ready_jobs(NOW)] == [job.pk]


# -------------------------------------------------------------------------------------------------------- batches
@pytest.mark.django_db
def test_batches_go_on_until_nothing_is_left() -> None:
    job = make()
    left = [7]

    def work(run: RunHandle) -> None:
        done = min(3, left[0])
        left[0] -= done
        run.report(done, remaining=left[0])

    does(work)
    run = run_job(job.pk, now=NOW)

    assert run is not None
    assert (run.state, run.done, run.total) == ("done", 7, 7)
    assert not JobTrigger.objects.exists()


@pytest.mark.django_db
def test_ten_batches_a_slot_then_the_others_have_their_turn() -> None:
    job = make(failure_count=1, first_failure_at=NOW - DAY)
    calls = []

    def work(run: RunHandle) -> None:
        calls.append(run.pk)
        run.report(1, remaining=15 - len(calls))

    does(work)
    run = run_job(job.pk, now=NOW)

    assert run is not None
    assert (run.state, run.done, run.total, len(calls)) == ("partial", 10, 15, 10)
    job.refresh_from_db()
    assert (job.failure_count, job.first_failure_at, job.next_call) == (0, None, NOW + DAY)
    assert [item.pk for item in ready_jobs(NOW)] == [job.pk]
    again = run_job(job.pk, now=NOW)
    assert again is not None
    assert (again.state, again.done, len(calls)) == ("done", 5, 15)
    assert not ready_jobs(NOW).exists()


@pytest.mark.django_db
def test_a_batch_that_does_nothing_waits_for_the_next_call() -> None:
    job = make()
    does(lambda run: run.report(0, remaining=5))

    run = run_job(job.pk, now=NOW)

    assert run is not None
    assert run.state == "partial"
    assert not ready_jobs(NOW).exists()


@pytest.mark.django_db
def test_a_job_can_switch_itself_off() -> None:
    job = make()
    does(lambda run: run.deactivate())

    run_job(job.pk, now=NOW)

    job.refresh_from_db()
    assert job.active is False


# ------------------------------------------------------------------------------------------------------- failures
def fail(run: RunHandle) -> None:
    run.report(5, remaining=5)
    mark("first")
    raise ZeroDivisionError("by hand")


@pytest.mark.django_db
def test_a_failure_undoes_everything_and_is_counted() -> None:
    job = make()
    does(fail)

    run = run_job(job.pk, now=NOW)

    assert run is not None
    assert (run.state, run.error, run.done) == ("failed", "ZeroDivisionError: by hand", 0)
    assert "in fail" in run.log
    assert marks() == []
    job.refresh_from_db()
    assert (job.failure_count, job.first_failure_at, job.active) == (1, NOW, True)
    assert job.next_call == NOW + DAY
    assert failures() == [(1, False)]


@pytest.mark.django_db
def test_a_business_error_is_told_in_its_own_words() -> None:
    def refuse(run: RunHandle) -> None:
        raise ValidationFailed("The mail server is not set up.")

    job = make()
    does(refuse)
    run = run_job(job.pk, now=NOW)

    assert run is not None
    assert run.error == "The mail server is not set up."


@pytest.mark.django_db
def test_a_task_that_does_not_exist_is_a_failure() -> None:
    run = run_job(make(task="apps.core.jobs.nowhere.task").pk, now=NOW)

    assert run is not None
    assert run.state == "failed"
    assert "There is no task at 'apps.core.jobs.nowhere.task'" in run.error


@pytest.mark.django_db
def test_success_resets_the_count() -> None:
    job = make()
    does(fail)
    run_job(job.pk, now=NOW)
    run_job(job.pk, now=NOW + DAY)
    does(lambda run: None)

    run_job(job.pk, now=NOW + 2 * DAY)

    job.refresh_from_db()
    assert (job.failure_count, job.first_failure_at) == (0, None)
    assert failures() == [(1, False)]
    does(fail)
    run_job(job.pk, now=NOW + 3 * DAY)
    assert failures() == [(1, False), (1, False)]


@pytest.mark.django_db
def test_five_failures_over_more_than_a_week_switch_a_job_off() -> None:
    """Told at the first failure, once before it is switched off, and when it is."""
    job = make(every=2)
    does(fail)

    seen = []
    for number in range(6):
        run_job(job.pk, now=NOW + number * 2 * DAY)
        job.refresh_from_db()
        seen.append((job.failure_count, job.active))

    assert seen == [(1, True), (2, True), (3, True), (4, True), (5, False), (5, False)]
    assert failures() == [(1, False), (4, False), (5, True)]


@pytest.mark.django_db
def test_many_failures_within_a_week_do_not() -> None:
    job = make(unit="hours")
    does(fail)

    for number in range(12):
        run_job(job.pk, now=NOW + number * HOUR)

    job.refresh_from_db()
    assert (job.failure_count, job.active) == (12, True)
    assert failures() == [(1, False)]


@pytest.mark.django_db
def test_an_error_after_committed_batches_is_a_partial_run() -> None:
    job = make()
    calls = []

    def work(run: RunHandle) -> None:
        calls.append(1)
        mark(f"batch {len(calls)}")
        run.report(4, remaining=4)
        if len(calls) == 2:
            raise ZeroDivisionError

    does(work)
    run = run_job(job.pk, now=NOW)

    assert run is not None
    assert (run.state, run.done) == ("partial", 4)
    assert run.error.startswith("ZeroDivisionError")
    assert marks() == ["batch 1"]
    job.refresh_from_db()
    assert job.failure_count == 0
    assert ready_jobs(NOW).exists()
    assert failures() == []


@pytest.mark.django_db
def test_a_piecewise_task_keeps_what_it_committed() -> None:
    job = make(function=piecewise)

    def work(run: RunHandle) -> None:
        with transaction.atomic():
            mark("first")
        run.progress(1, 2)
        with transaction.atomic():
            mark("second")
            raise ZeroDivisionError

    does(work)
    run = run_job(job.pk, now=NOW)

    assert run is not None
    assert (run.state, run.done, run.total) == ("partial", 1, 2)
    assert marks() == ["first"]


@pytest.mark.django_db
def test_a_time_limit_is_tried_again_and_counts_the_third_time() -> None:
    class TimeIsUp(Exception):
        pass

    def slow(run: RunHandle) -> None:
        raise TimeIsUp

    job = make()
    does(slow)
    seen = []
    for number in range(3):
        run = run_job(job.pk, now=NOW, timeouts=(TimeIsUp,))
        assert run is not None
        job.refresh_from_db()
        seen.append((run.error, job.lost_in_a_row, job.failure_count, ready_jobs(NOW).exists()))
        assert run.attempts == number + 1

    assert seen == [
        ("The time limit was reached.", 1, 0, True),
        ("The time limit was reached.", 2, 0, True),
        ("The time limit was reached.", 0, 1, False),
    ]
