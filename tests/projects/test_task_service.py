"""Making and changing tasks: what follows from project, parent, stage and state."""

from __future__ import annotations

import datetime
from types import SimpleNamespace

import pytest
from django.utils import timezone

from apps.core.errors import NotVisible, PermissionDenied, StaleVersion, ValidationFailed
from apps.core.models.outbox import OutboxEvent
from apps.core.records import service_for
from apps.core.testkit import count_queries
from apps.projects.models import Milestone, Task, TaskStageHistory
from tests.projects.factories import (
    make_partner,
    make_project,
    make_stage,
    make_task,
    make_tasks,
    partner_of,
    stages_of,
    system,
)

service = service_for(Task)


# --------------------------------------------------------------------------------------------------------- defaults
def test_new_task_takes_stage_customer_and_company_of_its_project(world: SimpleNamespace) -> None:
    folded, first, second = (
        make_stage("F", fold=True, sequence=1),
        make_stage("A", sequence=5),
        make_stage("B", sequence=6),
    )
    project = make_project(company=world.company, partner=world.prime, stages=[second, folded, first])

    task = make_task(project, actor=world.bob)

    assert (task.stage_id, task.partner_id, task.company_id) == (first.pk, world.prime.pk, world.company.pk)
    assert (task.state, task.date_end, task.date_closed, task.date_assign) == (
        "in_progress",
        None,
        None,
        None,
    )


def test_sub_task_takes_after_its_parent(world: SimpleNamespace) -> None:
    customer = make_partner("Own customer")
    project = make_project(partner=world.prime)
    milestone = Milestone.objects.create(project=project, name="M1")
    parent = make_task(project, partner=customer, milestone=milestone)

    child = service.create_one({"name": "Child", "parent": parent}, actor=world.bob)
    elsewhere = make_task(make_project(), parent=parent)

    assert (child.project_id, child.milestone_id, child.partner_id) == (project.pk, milestone.pk, customer.pk)
    assert child.display_in_project is False
    assert (elsewhere.display_in_project, elsewhere.milestone_id) == (True, None)


def test_project_shared_by_companies_gives_a_task_the_company_of_its_customer(world: SimpleNamespace) -> None:
    customer = make_partner("Alpha's own", company=world.company)

    task = make_task(make_project(company=None), partner=customer)

    assert task.company_id == world.company.pk


def test_private_task_belongs_to_its_maker_and_is_named_by_its_text(world: SimpleNamespace) -> None:
    named = service.create_one({"description": "<p>Buy milk</p><p>and bread</p>"}, actor=world.bob)
    long = service.create_one({"description": f"<p>{'x' * 150}</p>"}, actor=world.bob)
    nameless = service.create_one({"name": "  "}, actor=world.bob)

    assert (named.name, nameless.name) == ("Buy milk", "Untitled to-do")
    assert long.name == "x" * 97 + "..."
    assert list(named.assignees.all()) == [world.users.bob]
    assert (named.project_id, named.stage_id, named.partner_id) == (None, None, None)
    assert named.date_assign is not None


def test_description_is_cleaned(world: SimpleNamespace) -> None:
    task = make_task(make_project(), description="<p onclick='x()'>Hi<script>alert(1)</script></p>")

    assert task.description == "<p>Hi</p>"


@pytest.mark.parametrize("place", ["stage", "milestone"])
def test_stage_and_milestone_of_another_project_are_refused(world: SimpleNamespace, place: str) -> None:
    project, other = make_project(), make_project()
    value = stages_of(other)[0] if place == "stage" else Milestone.objects.create(project=other, name="M")

    with pytest.raises(ValidationFailed) as caught:
        make_task(project, **{place: value})

    assert list(caught.value.fields) == [place]
    task = make_task(project)
    with pytest.raises(ValidationFailed):
        service.update([task], {place: value}, actor=world.bob)
    assert Task.objects.get().version == 1


def test_only_active_employees_are_assigned(world: SimpleNamespace) -> None:
    project = make_project()

    with pytest.raises(ValidationFailed) as caught:
        make_task(project, assignees=[world.users.pia])

    assert list(caught.value.fields) == ["assignees"]
    assert not Task.objects.exists()


# ------------------------------------------------------------------------------------------------- stages and state
def test_entering_a_stage_starts_the_task_afresh_and_a_folded_one_ends_it(world: SimpleNamespace) -> None:
    project = make_project()
    todo, doing, finished = stages_of(project)
    task = make_task(project, state="approved")
    long_ago = timezone.now() - datetime.timedelta(days=9)
    Task.objects.filter(pk=task.pk).update(date_last_stage_update=long_ago)

    moved = service.update([task], {"stage": doing}, actor=world.bob)[0]
    assert (moved.state, moved.date_end) == ("in_progress", None)
    assert moved.date_last_stage_update > long_ago

    ended = service.update([moved], {"stage": finished}, actor=world.bob)[0]
    assert ended.date_end == ended.date_last_stage_update or ended.date_end is not None
    assert ended.date_closed is None

    back = service.update([ended], {"stage": todo}, actor=world.bob)[0]
    back.refresh_from_db()
    assert (back.date_end, back.stage_id, back.version) == (None, todo.pk, 4)


def test_state_written_like_any_field_sets_the_dates(world: SimpleNamespace) -> None:
    task = make_task(make_project())

    service.update([task], {"state": "done"}, actor=world.bob)
    task.refresh_from_db()
    closed_at = task.date_closed
    assert closed_at is not None and task.date_end is not None

    service.update([task], {"state": "cancelled"}, actor=world.bob)
    task.refresh_from_db()
    assert task.date_closed == closed_at  # it stayed closed

    service.update([task], {"state": "in_progress"}, actor=world.bob)
    task.refresh_from_db()
    assert (task.date_closed, task.date_end, task.is_closed) == (None, None, False)


def test_setting_a_stage_keeps_a_state_that_is_written_with_it(world: SimpleNamespace) -> None:
    project = make_project()
    task = make_task(project)

    task = service.update([task], {"stage": stages_of(project)[1], "state": "approved"}, actor=world.bob)[0]

    assert task.state == "approved"


def test_moves_are_in_the_history_once_each(world: SimpleNamespace) -> None:
    project = make_project()
    todo, doing, _finished = stages_of(project)
    task = make_task(project, actor=world.bob)

    service.update([task], {"stage": doing, "state": "done"}, actor=world.cid)
    service.update([task], {"name": "New name"}, actor=world.cid)

    rows = list(TaskStageHistory.objects.filter(task=task).values_list("stage_id", "state", "user_pk"))
    assert rows == [(todo.pk, "in_progress", world.users.bob.pk), (doing.pk, "done", world.users.cid.pk)]


# ------------------------------------------------------------------------------------------------------- assignment
def test_date_of_assignment_comes_with_the_first_and_goes_with_the_last(world: SimpleNamespace) -> None:
    bob, cid = world.users.bob, world.users.cid
    task = make_task(make_project())

    task = service.update([task], {"assignees": [bob]}, actor=world.ann)[0]
    since = task.date_assign
    assert since is not None
    task = service.update([task], {"assignees": [bob, cid]}, actor=world.ann)[0]
    assert task.date_assign == since
    task = service.update([task], {"assignees": []}, actor=world.ann)[0]
    task.refresh_from_db()
    assert task.date_assign is None


def test_assignment_is_announced_for_the_new_ones_only(world: SimpleNamespace) -> None:
    bob, cid = world.users.bob, world.users.cid
    task = make_task(make_project(), assignees=[bob])
    OutboxEvent.objects.all().delete()

    service.update([task], {"assignees": [bob, cid]}, actor=world.ann)

    events = OutboxEvent.objects.filter(name="projects.TaskAssigned")
    assert [event.payload["user_pks"] for event in events] == [[cid.pk]]


def test_assignees_follow_and_are_told_once_but_nobody_tells_himself(world: SimpleNamespace) -> None:
    from apps.chatter.models import Follower, Message

    bob, cid = world.users.bob, world.users.cid

    task = make_task(make_project(), actor=world.bob, assignees=[bob, cid])

    followers = set(
        Follower.objects.filter(model="projects.task", object_id=task.pk).values_list("partner_id", flat=True)
    )
    assert {partner_of(bob).pk, partner_of(cid).pk} <= followers
    notices = Message.objects.filter(
        model="projects.task", object_id=task.pk, message_type="user_notification"
    )
    told = [list(notice.notifications.values_list("partner_id", flat=True)) for notice in notices]
    assert told == [[partner_of(cid).pk]]


# --------------------------------------------------------------------------------------------------- other projects
def test_moving_a_parent_takes_along_the_parts_that_follow_it(world: SimpleNamespace) -> None:
    shared_stage = make_stage("Shared", sequence=20)
    old = make_project(company=world.company, stages=[make_stage("Old"), shared_stage])
    new = make_project(company=world.company, stages=[make_stage("New"), shared_stage])
    milestone = Milestone.objects.create(project=old, name="M")
    parent = make_task(old, milestone=milestone)
    child = service.create_one({"name": "c", "parent": parent, "stage": shared_stage}, actor=system())
    grandchild = service.create_one({"name": "g", "parent": child}, actor=system())
    shown = service.create_one({"name": "s", "parent": parent, "display_in_project": True}, actor=system())

    service.update([parent], {"project": new}, actor=world.bob)

    first = new.stages.exclude(pk=shared_stage.pk).get()
    for task in (parent, child, grandchild, shown):
        task.refresh_from_db()
    assert (parent.project_id, parent.stage_id, parent.milestone_id) == (new.pk, first.pk, None)
    assert (child.project_id, child.stage_id, child.milestone_id) == (new.pk, shared_stage.pk, None)
    assert (grandchild.project_id, grandchild.stage_id) == (new.pk, first.pk)
    assert (shown.project_id, shown.milestone_id) == (old.pk, milestone.pk)


def test_moving_to_a_project_of_another_company_takes_the_company_of_all_parts(
    world: SimpleNamespace,
) -> None:
    old, new = make_project(company=world.company), make_project(company=world.other)
    parent = make_task(old)
    child = service.create_one({"name": "c", "parent": parent}, actor=system())

    service.update([parent], {"project": new}, actor=system())

    child.refresh_from_db()
    assert (child.project_id, child.company_id) == (new.pk, world.other.pk)


def test_task_with_parts_cannot_become_private(world: SimpleNamespace) -> None:
    parent = make_task(make_project())
    service.create_one({"name": "c", "parent": parent}, actor=system())

    with pytest.raises(ValidationFailed) as caught:
        service.update([parent], {"project": None}, actor=world.bob)

    assert list(caught.value.fields) == ["project"]
    parent.refresh_from_db()
    assert parent.project_id is not None


def test_task_that_becomes_private_loses_what_only_projects_have(world: SimpleNamespace) -> None:
    project = make_project(partner=world.prime)
    blocker, dependent = make_task(project), make_task(project)
    service.update([dependent], {"depends_on": [blocker]}, actor=world.bob)

    private = service.update([blocker], {"project": None}, actor=world.bob)[0]

    dependent.refresh_from_db()
    assert (private.stage_id, private.partner_id, private.milestone_id) == (None, None, None)
    assert list(private.assignees.all()) == [world.users.bob]
    assert (dependent.state, dependent.depends_on.count()) == ("in_progress", 0)


def test_private_task_put_under_a_parent_joins_its_project(world: SimpleNamespace) -> None:
    parent = make_task(make_project())
    todo = make_task(None, actor=world.bob)

    todo = service.update([todo], {"parent": parent}, actor=world.bob)[0]

    assert (todo.project_id, todo.stage_id) == (parent.project_id, parent.stage_id)


def test_milestone_of_a_parent_spreads_to_open_parts_that_had_none_or_the_same(
    world: SimpleNamespace,
) -> None:
    project = make_project()
    first, second, other = (Milestone.objects.create(project=project, name=n) for n in "abc")
    parent = make_task(project, milestone=first)
    same = service.create_one({"name": "same", "parent": parent}, actor=system())
    none = service.create_one({"name": "none", "parent": parent, "milestone": None}, actor=system())
    own = service.create_one({"name": "own", "parent": parent, "milestone": other}, actor=system())
    closed = service.create_one({"name": "closed", "parent": parent, "state": "done"}, actor=system())

    service.update([parent], {"milestone": second}, actor=world.bob)

    found = dict(Task.objects.values_list("name", "milestone_id"))
    assert [found[n] for n in ("same", "none", "own", "closed")] == [second.pk, second.pk, other.pk, first.pk]
    assert {same.pk, none.pk, own.pk, closed.pk} == set(parent.children.values_list("pk", flat=True))


def test_parent_below_itself_is_refused_in_words(world: SimpleNamespace) -> None:
    parent = make_task(make_project())
    child = service.create_one({"name": "c", "parent": parent}, actor=system())

    with pytest.raises(ValidationFailed) as caught:
        service.update([parent], {"parent": child}, actor=world.bob)

    assert caught.value.fields == {"parent": ["A task cannot be a part of itself."]}


# ---------------------------------------------------------------------------------------------------------- deleting
def test_deleting_a_parent_removes_two_levels_and_frees_what_they_blocked(world: SimpleNamespace) -> None:
    from apps.chatter.models import Message

    project = make_project()
    parent = make_task(project)
    child = service.create_one({"name": "c", "parent": parent}, actor=system())
    grandchild = service.create_one({"name": "g", "parent": child}, actor=system())
    waiting = make_task(project, depends_on=[grandchild])
    assert waiting.state == "waiting"

    service.delete([parent], actor=world.bob)

    waiting.refresh_from_db()
    assert list(Task.objects.all()) == [waiting]
    assert waiting.state == "in_progress"
    gone = [parent.pk, child.pk, grandchild.pk]
    assert not Message.objects.filter(model="projects.task", object_id__in=gone).exists()
    assert TaskStageHistory.objects.filter(task_id__in=[t.pk for t in (child, grandchild)]).count() == 2


# ------------------------------------------------------------------------------------------------------------ rights
def test_stale_version_and_missing_right_change_nothing(world: SimpleNamespace) -> None:
    task = make_task(make_project())

    with pytest.raises(StaleVersion):
        service.update([task], {"name": "x"}, actor=world.bob, expected_version=7)
    with pytest.raises(PermissionDenied):
        service.update([task], {"name": "x"}, actor=world.eve)

    task.refresh_from_db()
    assert (task.name != "x", task.version) == (True, 1)


def test_task_of_another_company_does_not_exist(world: SimpleNamespace) -> None:
    task = make_task(make_project(company=world.company))

    with pytest.raises(NotVisible):
        service.update([task], {"name": "x"}, actor=world.otto)

    task.refresh_from_db()
    assert task.version == 1


# ------------------------------------------------------------------------------------------------------------- cost
def test_writing_costs_the_same_for_any_number_of_tasks(world: SimpleNamespace) -> None:
    project = make_project()
    doing = stages_of(project)[1]
    make_tasks(project, 2, actor=world.bob, assignees=[world.users.cid])
    costs = []
    for number in (2, 12):
        with count_queries() as creating:
            tasks = make_tasks(project, number, actor=world.bob, assignees=[world.users.cid])
        with count_queries() as changing:
            service.update(tasks, {"stage": doing, "assignees": [world.users.bob]}, actor=world.ann)
        with count_queries() as closing:
            service.update(tasks, {"state": "done"}, actor=world.ann)
        with count_queries() as deleting:
            service.delete(tasks, actor=world.ann)
        costs.append([len(seen) for seen in (creating, changing, closing, deleting)])

    assert costs[0] == costs[1]
