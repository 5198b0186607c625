"""Never two at once, signs of life, and what becomes of a dead or slow worker's run."""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from apps.core.jobs import engine, handle, schedule, service
from apps.core.jobs.engine import claim_job, ready_jobs, recover, run_job
from apps.core.jobs.handle import RunHandle
from apps.core.models import JobRun, JobTrigger, ScheduledJob
from apps.core.testkit import run_in_threads
from tests.core.jobs_helpers import DAY, HOUR, NOW, OtherProcess, does, failures, make, mark, marks

pytestmark = pytest.mark.usefixtures("no_jobs")

ROOT = Path(__file__).resolve().parents[2]
State = JobRun.State


@pytest.fixture
def no_jobs(db: None) -> None:
    """The jobs that modules declare stay out of these tests."""
    ScheduledJob.objects.all().delete()


# ------------------------------------------------------------------------------------------------- never two at once
@pytest.mark.django_db(transaction=True)
def test_many_workers_run_a_job_once() -> None:
    job = make()
    started: list[int] = []

    def work(run: RunHandle) -> None:
        started.append(run.pk)
        time.sleep(0.3)

    does(work)
    results = run_in_threads([lambda: run_job(job.pk, now=NOW) for _worker in range(8)])

    assert [type(result).__name__ for result in results if result is not None] == ["JobRun"]
    assert len(started) == 1
    assert JobRun.objects.filter(state=State.DONE).count() == JobRun.objects.count() == 1


@pytest.mark.django_db
def test_postgresql_refuses_a_second_running_run() -> None:
    job = make()
    run = claim_job(job.pk, now=NOW)
    assert run is not None

    second = JobRun(job=job, kind="manual", title="x", task="x", state=State.RUNNING, lease=run.lease)
    second.heartbeat_at = timezone.now()
    with pytest.raises(IntegrityError, match="core_run_one_at_a_time"), transaction.atomic():
        second.save()
    with pytest.raises(IntegrityError, match="core_run_running_is_leased"), transaction.atomic():
        JobRun.objects.filter(pk=run.pk).update(lease=None)

    assert claim_job(job.pk, now=NOW) is None


# ----------------------------------------------------------------------------------------------------- signs of life
def wait_for(condition: Callable[[], Any], seconds: float = 20) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("waited in vain")


@pytest.mark.django_db(transaction=True)
def test_progress_is_seen_while_the_task_s_transaction_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    monkeypatch.setattr(handle.live, "publish_many", lambda notices: told.extend(notices))
    monkeypatch.setattr(handle, "_TICK_SECONDS", 0.05)
    job = make()
    go_on = threading.Event()

    def work(run: RunHandle) -> None:
        mark("first")
        run.progress(2, 5)
        run.log("half-way")
        assert go_on.wait(30)

    does(work)
    worker = threading.Thread(target=lambda: (run_job(job.pk, now=NOW), connection.close()), daemon=True)
    worker.start()
    try:
        run = wait_for(lambda: JobRun.objects.filter(done=2, log__contains="half-way").first())
        assert (run.state, run.total) == ("running", 5)
        assert marks() == []
        wait_for(lambda: told)
        channel, kind, data = told[0]
        assert (channel, kind) == (f"record:core.jobrun:{run.pk}", "progress")
        assert data == {"pk": run.pk, "state": "running", "done": 2, "total": 5}
    finally:
        go_on.set()
        worker.join(30)

    run.refresh_from_db()
    assert (run.state, run.log.count("half-way")) == ("done", 1)
    assert marks() == ["first"]
    assert told[-1][2]["state"] == "done"


@pytest.mark.django_db(transaction=True)
def test_cancelling_a_running_job_undoes_its_open_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handle, "_TICK_SECONDS", 0.05)
    job = make()

    def work(run: RunHandle) -> None:
        mark("first")
        OtherProcess(run.pk).cancel()
        for number in range(600):
            run.progress(number, 600)
            time.sleep(0.05)

    does(work)
    run = run_job(job.pk, now=NOW)

    assert run is not None
    assert (run.state, run.error, run.done) == ("cancelled", "", 0)
    assert marks() == []
    job.refresh_from_db()
    assert (job.failure_count, job.next_call) == (0, NOW + DAY)


@pytest.mark.django_db(transaction=True)
def test_a_database_that_is_away_for_a_moment_ends_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handle, "_TICK_SECONDS", 0.02)
    job = make()
    beats: list[int] = []
    beat = RunHandle._beat

    def shaky(run: RunHandle) -> None:
        beats.append(run.pk)
        if len(beats) == 1:
            connection.ensure_connection()
            connection.connection.close()  # the next statement of this thread finds its connection gone
        beat(run)

    monkeypatch.setattr(RunHandle, "_beat", shaky)

    def work(run: RunHandle) -> None:
        run.progress(1, 2)
        wait_for(lambda: len(beats) >= 1)
        run.progress(2, 2)
        wait_for(lambda: len(beats) >= 2)

    does(work)
    run = run_job(job.pk, now=NOW)

    assert run is not None
    assert (run.state, run.done) == ("done", 2)


# -------------------------------------------------------------------------------------------------------- recovery
@pytest.mark.django_db(transaction=True)
def test_a_worker_that_was_only_slow_cannot_commit_after_it_was_replaced() -> None:
    """Its run is taken over while its transaction is open: the transaction is undone, the second run does the work."""
    job = make()
    attempts: list[int] = []

    def work(run: RunHandle) -> None:
        attempts.append(run.pk)
        mark("first" if len(attempts) == 1 else "second")
        if len(attempts) == 1:
            other = OtherProcess(run.pk)
            other.look_dead()
            other.recover()

    does(work)
    first = run_job(job.pk, now=NOW)
    second = run_job(job.pk)

    assert first is not None
    assert second is not None
    assert (first.state, first.error) == ("failed", "The worker stopped without a word.")
    assert (second.state, second.attempts) == ("done", 2)
    assert marks() == ["second"]
    assert len(attempts) == 2


SLEEPER = """
import os, sys, time
sys.path.insert(0, os.getcwd())
import django
django.setup()
from apps.core.jobs import engine
from apps.core.models import Setting

def sleep(run):
    Setting.objects.create(key="mark:never committed")
    print("working", flush=True)
    time.sleep(60)

engine.resolve_path = lambda path: sleep
engine.run_job(int(sys.argv[1]))
"""


@pytest.mark.django_db(transaction=True)
def test_a_killed_worker_s_run_is_noticed_and_done_again() -> None:
    """A real process, killed with SIGKILL in the middle of its transaction."""
    job = make(next_call=timezone.now() - HOUR)
    at = connection.settings_dict
    url = f"postgres://{at['USER']}:{at['PASSWORD']}@{at['HOST']}:{at['PORT']}/{at['NAME']}"
    environment = {**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": settings.SETTINGS_MODULE}
    worker = subprocess.Popen(
        [sys.executable, "-c", SLEEPER, str(job.pk)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "working\n"
        lost = JobRun.objects.get(job=job)
        assert lost.state == "running"
        assert run_job(job.pk) is None, "somebody else runs it"
        assert recover() == 0, "it is alive"
    finally:
        worker.kill()
        worker.communicate(timeout=20)

    assert recover() == 0, "its lease has not run out yet"
    assert recover(lease=datetime.timedelta(0)) == 1

    lost.refresh_from_db()
    assert (lost.state, lost.error) == ("failed", "The worker stopped without a word.")
    assert marks() == []
    job.refresh_from_db()
    assert (job.lost_in_a_row, job.failure_count) == (1, 0)
    does(lambda run: mark("second"))
    run = run_job(job.pk)
    assert run is not None
    assert (run.state, run.attempts) == ("done", 2)
    job.refresh_from_db()
    assert job.lost_in_a_row == 0
    assert marks() == ["second"]


@pytest.mark.django_db
def test_the_third_loss_in_a_row_is_a_failure() -> None:
    job = make()
    seen = []
    for _loss in range(3):
        assert claim_job(job.pk, now=NOW) is not None
        assert recover(lease=datetime.timedelta(seconds=-1), now=NOW) == 1
        job.refresh_from_db()
        seen.append((job.lost_in_a_row, job.failure_count, ready_jobs(NOW).exists()))

    assert seen == [(1, 0, True), (2, 0, True), (0, 1, False)]
    assert failures() == [(1, False)]
    assert job.next_call == NOW + DAY


@pytest.mark.django_db
def test_a_lost_run_with_committed_progress_is_partial() -> None:
    job = make(lost_in_a_row=2)
    run = claim_job(job.pk, now=NOW)
    assert run is not None
    JobRun.objects.filter(pk=run.pk).update(done=3)

    assert recover(lease=datetime.timedelta(seconds=-1), now=NOW) == 1

    run.refresh_from_db()
    job.refresh_from_db()
    assert run.state == "partial"
    assert (job.lost_in_a_row, job.failure_count) == (0, 0)
    assert ready_jobs(NOW).exists()


@pytest.mark.django_db
def test_a_lost_run_whose_job_is_gone_ends_all_the_same() -> None:
    job = make()
    run = claim_job(job.pk, now=NOW)
    assert run is not None
    job.delete()

    assert recover(lease=datetime.timedelta(seconds=-1), now=NOW) == 1

    run.refresh_from_db()
    assert (run.state, run.job_id) == ("failed", None)


# ---------------------------------------------------------------------------------------------------------- history
@pytest.mark.django_db
def test_a_log_has_an_end() -> None:
    job = make()

    def chatty(run: RunHandle) -> None:
        for _line in range(300):
            run.log("x" * 1000)

    does(chatty)
    run = run_job(job.pk, now=NOW)

    assert run is not None
    assert len(run.log) < 201_000
    assert run.log.endswith("… the log ends here\n")


@pytest.mark.django_db
def test_housekeeping_forgets_what_is_old() -> None:
    job = make()
    ages = {"done": 8, "partial": 6, "failed": 29, "cancelled": 8}
    for state, days in ages.items():
        JobRun.objects.create(
            job=job, kind="scheduled", title=state, task="x", state=state, finished_at=NOW - days * DAY
        )
    JobRun.objects.create(
        kind="background", title="old failure", task="x", state="failed", finished_at=NOW - 31 * DAY
    )
    JobRun.objects.create(kind="background", title="waiting", task="x", created_at=NOW - 90 * DAY)
    JobTrigger.objects.create(job=job, at=NOW - 8 * DAY)
    JobTrigger.objects.create(job=job, at=NOW - 6 * DAY)

    assert engine.purge(now=NOW) == 4

    assert sorted(JobRun.objects.values_list("title", flat=True)) == ["failed", "partial", "waiting"]
    assert JobTrigger.objects.count() == 1
    assert service.declared_jobs()["core.housekeeping"][1].task == "apps.core.jobs.service.housekeeping"


def test_units_of_the_model_are_those_of_the_calendar() -> None:
    assert [unit.value for unit in schedule.Unit] == [str(value) for value in ScheduledJob.Unit.values]
