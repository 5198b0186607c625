"""Waiting for blockers: the acceptance cases, switches, and what happens when two do it at the same moment."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.db import connection

from apps.core.errors import ValidationFailed
from apps.core.records import service_for
from apps.core.testkit import count_queries, drain_outbox, run_in_threads
from apps.projects.models import Project, Task, TaskDependency
from apps.projects.services import cancel, mark_done, reopen
from tests.projects.conftest import build_world
from tests.projects.factories import make_project, make_task, make_tasks, stages_of

service = service_for(Task)


def states(*tasks: Task) -> list[str]:
    found = dict(Task._base_manager.values_list("pk", "state"))
    return [found[task.pk] for task in tasks]


def test_task_waits_until_its_blocker_is_closed_and_again_when_it_is_reopened(world: SimpleNamespace) -> None:
    project = make_project()
    first = make_task(project)
    second = make_task(project, depends_on=[first], actor=world.bob)
    assert (second.state, *states(first, second)) == ("waiting", "in_progress", "waiting")

    mark_done([first], actor=world.bob)
    assert states(first, second) == ["done", "in_progress"]

    reopen([first], actor=world.bob)
    assert states(first, second) == ["in_progress", "waiting"]

    with pytest.raises(ValidationFailed) as caught:
        service.update([first], {"depends_on": [second]}, actor=world.bob)
    assert caught.value.message == "Two tasks cannot depend on each other."
    assert TaskDependency.objects.count() == 1


def test_waiting_task_may_be_closed_and_waits_again_when_set_in_progress(world: SimpleNamespace) -> None:
    project = make_project()
    first = make_task(project)
    second = make_task(project, depends_on=[first])

    mark_done([second], actor=world.bob)
    assert states(second) == ["done"]

    second = service.update([second], {"state": "in_progress"}, actor=world.bob)[0]
    assert (second.state, *states(second)) == ("waiting", "waiting")
    second.refresh_from_db()
    assert (second.date_closed, second.date_end) == (None, None)

    cancel([second], actor=world.bob)
    reopen([second], actor=world.bob)
    assert (second.state, *states(second)) == ("waiting", "waiting")


def test_all_blockers_must_be_closed(world: SimpleNamespace) -> None:
    project = make_project()
    one, two = make_tasks(project, 2)
    waiting = make_task(project, depends_on=[one, two])

    cancel([one], actor=world.bob)
    assert states(waiting) == ["waiting"]
    mark_done([two], actor=world.bob)
    assert states(waiting) == ["in_progress"]


def test_nobody_sets_waiting_by_hand(world: SimpleNamespace) -> None:
    task = make_task(make_project(), state="waiting")
    assert states(task) == ["in_progress"]

    service.update([task], {"state": "waiting"}, actor=world.bob)

    assert states(task) == ["in_progress"]


def test_stage_change_leaves_a_waiting_task_waiting(world: SimpleNamespace) -> None:
    project = make_project()
    waiting = make_task(project, depends_on=[make_task(project)])

    waiting = service.update([waiting], {"stage": stages_of(project)[1]}, actor=world.bob)[0]

    assert (waiting.state, waiting.stage_id) == ("waiting", stages_of(project)[1].pk)


def test_switching_dependencies_off_and_on(world: SimpleNamespace) -> None:
    project = make_project()
    waiting = make_task(project, depends_on=[make_task(project)])

    service_for(Project).update([project], {"allow_task_dependencies": False}, actor=world.ann)
    assert states(waiting) == ["in_progress"]

    service_for(Project).update([project], {"allow_task_dependencies": True}, actor=world.ann)
    assert states(waiting) == ["waiting"]


def test_blockers_of_other_projects_count_and_removing_them_frees(world: SimpleNamespace) -> None:
    blocker = make_task(make_project())
    task = make_task(make_project(), depends_on=[blocker])
    assert states(task) == ["waiting"]

    service.update([task], {"depends_on": []}, actor=world.bob)

    assert states(task) == ["in_progress"]


def test_closing_costs_the_same_for_any_number_of_dependents(world: SimpleNamespace) -> None:
    project = make_project()
    costs = []
    for number in (2, 12):
        blocker = make_task(project)
        rows = [{"name": f"d{n}", "project": project, "depends_on": [blocker]} for n in range(number)]
        dependents = service.create(rows, actor=world.bob)
        assert set(states(*dependents)) == {"waiting"}
        with count_queries() as seen:
            mark_done([blocker], actor=world.bob)
        assert set(states(*dependents)) == {"in_progress"}
        costs.append(len(seen))

    assert costs[0] == costs[1]


# ------------------------------------------------------------------------------------------------------ at one moment
@pytest.mark.django_db(transaction=True)
def test_two_that_close_the_last_blockers_together_leave_nobody_waiting() -> None:
    world = build_world()
    project = make_project()
    pairs = [make_tasks(project, 2) for _round in range(6)]
    waiting = [make_task(project, depends_on=pair) for pair in pairs]

    for pair in pairs:
        outcome = run_in_threads([lambda task=task: mark_done([task], actor=world.bob) for task in pair])
        assert outcome == [None, None]
    drain_outbox()

    assert states(*waiting) == ["in_progress"] * 6


@pytest.mark.django_db(transaction=True)
def test_blocker_closed_while_somebody_begins_to_wait_for_it() -> None:
    world = build_world()
    project = make_project()
    for _round in range(6):
        blocker, task = make_tasks(project, 2)
        run_in_threads(
            [
                lambda blocker=blocker: mark_done([blocker], actor=world.bob),
                lambda task=task, blocker=blocker: service.update(
                    [task], {"depends_on": [blocker]}, actor=world.cid
                ),
            ]
        )
        drain_outbox()
        assert states(blocker, task) == ["done", "in_progress"]


@pytest.mark.django_db(transaction=True)
def test_two_cannot_close_a_circle_between_them() -> None:
    world = build_world()
    project = make_project()
    for _round in range(4):
        one, two = make_tasks(project, 2)
        outcome = run_in_threads(
            [
                lambda one=one, two=two: service.update([one], {"depends_on": [two]}, actor=world.bob),
                lambda one=one, two=two: service.update([two], {"depends_on": [one]}, actor=world.cid),
            ]
        )
        refused = [result for result in outcome if isinstance(result, Exception)]
        assert [type(error) for error in refused] == [ValidationFailed]
        assert TaskDependency.objects.filter(task__in=[one, two]).count() == 1


def test_rows_are_locked_in_order_before_they_are_written(world: SimpleNamespace) -> None:
    tasks = make_tasks(make_project(), 3)

    with count_queries() as seen:
        mark_done(tasks[::-1], actor=world.bob)

    statements = [query["sql"] for query in seen.captured_queries]
    locking = next(n for n, sql in enumerate(statements) if "FOR UPDATE" in sql)
    writing = next(n for n, sql in enumerate(statements) if sql.startswith('UPDATE "projects_task"'))
    assert locking < writing
    assert 'ORDER BY "projects_task"."id"' in statements[locking]
    assert connection.in_atomic_block
