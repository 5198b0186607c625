"""Actions on tasks: states, refusals, contention."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from apps.core.actions import actions_of, run_each
from apps.core.errors import NotVisible, PermissionDenied, ValidationFailed, WrongState
from apps.core.models.outbox import OutboxEvent
from apps.core.testkit import count_queries, run_in_threads
from apps.projects.constants import TaskState
from apps.projects.models import Task
from apps.projects.services import (
    approve,
    assign,
    assign_to_me,
    cancel,
    mark_done,
    move_stage,
    reopen,
    request_changes,
    resume,
)
from tests.projects.conftest import build_world
from tests.projects.factories import make_project, make_stage, make_task, make_tasks, stages_of


def fresh(task: Task) -> Task:
    return Task._base_manager.get(pk=task.pk)


def test_life_of_a_task(world: SimpleNamespace) -> None:
    task = make_task(make_project())

    request_changes([task], actor=world.bob)
    assert (task.state, task.version) == ("changes_requested", 2)
    approve([task], actor=world.bob)
    assert task.state == "approved"
    resume([task], actor=world.bob)
    assert task.state == "in_progress"
    mark_done([task], actor=world.bob)
    stored = fresh(task)
    assert (stored.state, stored.version, stored.date_closed, stored.date_end) == (
        "done",
        5,
        task.date_closed,
        task.date_end,
    )
    assert stored.date_closed is not None and stored.updated_by_id == world.users.bob.pk
    reopen([task], actor=world.bob)
    stored = fresh(task)
    assert (stored.state, stored.version, stored.date_closed, stored.date_end) == (
        "in_progress",
        6,
        None,
        None,
    )


@pytest.mark.parametrize(
    ("action", "state"),
    [
        (mark_done, "done"),
        (mark_done, "cancelled"),
        (cancel, "done"),
        (reopen, "in_progress"),
        (reopen, "waiting"),
        (approve, "approved"),
        (approve, "waiting"),
        (approve, "done"),
        (request_changes, "cancelled"),
        (resume, "in_progress"),
    ],
)
def test_wrong_state_changes_nothing(world: SimpleNamespace, action: object, state: str) -> None:
    project = make_project()
    blocker = make_task(project)
    task = make_task(project, **({"depends_on": [blocker]} if state == "waiting" else {"state": state}))
    before = fresh(task).__dict__ | {"_state": None}
    OutboxEvent.objects.all().delete()

    with pytest.raises(WrongState):
        action([task], actor=world.bob)  # type: ignore[operator]

    assert fresh(task).__dict__ | {"_state": None} == before
    assert not OutboxEvent.objects.exists()


def test_without_right_nothing_happens(world: SimpleNamespace) -> None:
    task = make_task(make_project(company=world.company))

    for actor, error in ((world.eve, PermissionDenied), (world.pia, NotVisible), (world.otto, NotVisible)):
        with pytest.raises(error):
            mark_done([task], actor=actor)

    assert (fresh(task).state, fresh(task).version) == ("in_progress", 1)


def test_one_wrong_task_stops_all(world: SimpleNamespace) -> None:
    good, bad = make_task(make_project()), make_task(make_project(), state="done")

    with pytest.raises(WrongState):
        mark_done([good, bad], actor=world.bob)
    outcome = run_each(mark_done, [good.pk, bad.pk], actor=world.bob)

    assert [(pk, type(error).__name__) for pk, error in outcome] == [
        (good.pk, "NoneType"),
        (bad.pk, "WrongState"),
    ]
    assert fresh(good).state == "done"


def test_moving_to_a_stage_sets_dates_by_the_stage(world: SimpleNamespace) -> None:
    project = make_project()
    _todo, doing, finished = stages_of(project)
    open_task, approved, closed = (
        make_task(project),
        make_task(project, state="approved"),
        make_task(project, state="done"),
    )
    closed_at = fresh(closed).date_end

    move_stage([open_task, approved, closed], actor=world.bob, stage=doing)
    assert [fresh(t).state for t in (open_task, approved, closed)] == ["in_progress", "in_progress", "done"]
    assert [fresh(t).date_end for t in (open_task, approved, closed)] == [None, None, closed_at]

    move_stage([open_task, closed], actor=world.bob, stage=finished.pk)
    assert fresh(open_task).date_end is not None and fresh(open_task).date_closed is None
    assert fresh(closed).date_end is not None and fresh(closed).date_end > closed_at  # type: ignore[operator]
    move_stage([open_task], actor=world.bob, stage=doing)
    assert fresh(open_task).date_end is None
    assert fresh(open_task).version == 4


def test_stage_of_another_project_is_refused(world: SimpleNamespace) -> None:
    task, foreign = make_task(make_project()), make_stage("Foreign")

    with pytest.raises(ValidationFailed) as caught:
        move_stage([task], actor=world.bob, stage=foreign)

    assert list(caught.value.fields) == ["stage"]
    assert fresh(task).version == 1


def test_assigning_replaces_and_taking_adds(world: SimpleNamespace) -> None:
    bob, cid = world.users.bob, world.users.cid
    tasks = make_tasks(make_project(), 2)

    assign(tasks, actor=world.ann, users=[bob, cid])
    assert {u.pk for u in tasks[0].assignees.all()} == {bob.pk, cid.pk}
    assert fresh(tasks[0]).date_assign is not None

    assign(tasks, actor=world.ann, users=[cid.pk])
    assert [list(t.assignees.all()) for t in tasks] == [[cid], [cid]]

    assign_to_me(tasks, actor=world.bob)
    assert {u.pk for u in tasks[1].assignees.all()} == {bob.pk, cid.pk}

    assign(tasks, actor=world.ann, users=[])
    assert (tasks[0].assignees.count(), fresh(tasks[0]).date_assign) == (0, None)
    with pytest.raises(ValidationFailed):
        assign(tasks, actor=world.ann, users=[world.users.pia])


def test_actions_offered_follow_state_and_right(world: SimpleNamespace) -> None:
    task = make_task(make_project())

    offered = {action.name for action in actions_of(Task) if action.available(task, world.bob)}

    assert offered == {
        "mark_done",
        "cancel",
        "approve",
        "request_changes",
        "move_stage",
        "assign",
        "assign_to_me",
    }
    assert not any(action.available(task, world.eve) for action in actions_of(Task))


@pytest.mark.django_db(transaction=True)
def test_eight_at_once_close_a_task_once() -> None:
    world = build_world()
    task = make_task(make_project())
    OutboxEvent.objects.all().delete()

    outcome = run_in_threads([lambda: mark_done([task.pk], actor=world.bob)] * 8)

    assert sorted(type(result).__name__ for result in outcome) == ["NoneType"] + ["WrongState"] * 7
    assert (fresh(task).state, fresh(task).version) == ("done", 2)
    assert OutboxEvent.objects.filter(name="projects.TaskClosed").count() == 1


@pytest.mark.parametrize("action", [mark_done, cancel, approve, request_changes])
def test_actions_cost_the_same_for_any_number_of_tasks(world: SimpleNamespace, action: object) -> None:
    project = make_project()
    costs = []
    action(make_tasks(project, 2), actor=world.bob)  # type: ignore[operator]
    for number in (2, 12):
        tasks = make_tasks(project, number)
        with count_queries() as seen:
            action(tasks, actor=world.bob)  # type: ignore[operator]
        costs.append(len(seen))

    assert costs[0] == costs[1]


def test_moving_and_assigning_cost_the_same_for_any_number_of_tasks(world: SimpleNamespace) -> None:
    project = make_project()
    doing = stages_of(project)[1]
    costs = []
    for number in (2, 2, 12):
        tasks = make_tasks(project, number)
        with count_queries() as moving:
            move_stage(tasks, actor=world.bob, stage=doing)
        with count_queries() as assigning:
            assign(tasks, actor=world.bob, users=[world.users.cid])
        costs.append((len(moving), len(assigning)))

    assert costs[1] == costs[2]


def test_states_known_to_actions_are_those_of_the_model() -> None:
    named = {state for action in actions_of(Task) for state in (action.source or ())}
    targets = {action.target for action in actions_of(Task) if action.target}

    assert named | targets <= set(TaskState.values)
