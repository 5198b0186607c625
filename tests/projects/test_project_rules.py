"""Who sees and touches what."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from apps.core.actor import Actor
from apps.core.errors import NotVisible, PermissionDenied, ValidationFailed
from apps.core.records import service_for
from apps.core.rules import visible
from apps.core.testkit import count_queries
from apps.projects.constants import Privacy
from apps.projects.models import (
    Milestone,
    Project,
    ProjectCollaborator,
    ProjectTag,
    ProjectUpdate,
    Task,
    TaskStage,
    TaskStageHistory,
)
from apps.projects.services import share, toggle_favourite, unshare
from apps.projects.services.project_actions import share_with_employees
from tests.projects.factories import (
    actor_of,
    follows,
    make_partner,
    make_project,
    make_stage,
    make_task,
    make_tasks,
    make_user,
    partner_of,
    stages_of,
    system,
)


def seen(model: type, actor: Actor, op: str = "view") -> set[str]:
    return {row.name for row in visible(model, actor, op)}


# --------------------------------------------------------------------------------------------------------- employees
def test_project_for_invited_employees(world: SimpleNamespace) -> None:
    """An employee who does not follow gets no project, but sees the one task he works on, and nothing beside it."""
    project = make_project("Secret", privacy=Privacy.FOLLOWERS, manager=world.users.ann)
    make_task(project, "Sibling")
    mine = make_task(project, "Mine", assignees=[world.users.bob])
    Milestone.objects.create(project=project, name="Hidden milestone")

    assert seen(Project, world.bob) == set()
    assert seen(Task, world.bob) == {"Mine"}
    assert seen(Milestone, world.bob) == set()
    assert set(visible(TaskStageHistory, world.bob).values_list("task_id", flat=True)) == {mine.pk}
    assert seen(Task, world.ann) == {"Sibling", "Mine"}

    follows(project, world.users.bob)
    assert seen(Project, world.bob) == {"Secret"}
    assert seen(Task, world.bob) == {"Sibling", "Mine"}


def test_project_for_all_employees(world: SimpleNamespace) -> None:
    make_task(make_project("Open", privacy=Privacy.EMPLOYEES), "T")

    assert (seen(Project, world.eve), seen(Task, world.eve)) == ({"Open"}, {"T"})
    assert seen(Task, world.eve, "change") == set()
    assert seen(Project, world.pia) == seen(Task, world.pia) == set()


def test_private_tasks_are_for_assignees_and_followers_and_not_for_managers(world: SimpleNamespace) -> None:
    todo = make_task(None, "Buy milk", actor=world.bob)

    assert seen(Task, world.bob) == {"Buy milk"}
    assert seen(Task, world.ann) == seen(Task, world.cid) == seen(Task, world.eve) == set()
    with pytest.raises(NotVisible):
        service_for(Task).update([todo], {"name": "x"}, actor=world.ann)

    follows(todo, world.users.eve)
    assert seen(Task, world.eve) == {"Buy milk"}


def test_companies_stay_apart(world: SimpleNamespace) -> None:
    make_task(make_project("Ours", company=world.company), "Ours")
    make_task(make_project("Theirs", company=world.other), "Theirs")
    make_task(make_project("Everybody's", company=None), "Everybody's")

    assert seen(Project, world.bob) == {"Ours", "Everybody's"}
    assert seen(Task, world.otto) == {"Theirs", "Everybody's"}
    both = make_user("both", "projects.user", company=world.company, companies=[world.company, world.other])
    assert seen(Task, actor_of(both, companies=[world.company, world.other])) == {
        "Ours",
        "Theirs",
        "Everybody's",
    }


def test_given_project_is_seen_and_with_the_right_to_edit_changed(world: SimpleNamespace) -> None:
    project = make_project("Given", privacy=Privacy.FOLLOWERS)
    make_task(project, "T")

    share_with_employees([project], actor=world.ann, users=[world.users.bob])
    assert (seen(Project, world.bob), seen(Task, world.bob)) == ({"Given"}, {"T"})
    assert seen(Project, world.bob, "change") == set()
    assert seen(Project, world.cid) == set()

    share_with_employees([project], actor=world.ann, users=[world.users.bob], edit=True)
    service_for(Project).update([project], {"name": "Renamed"}, actor=world.bob)
    assert seen(Project, world.bob, "change") == {"Renamed"}

    share_with_employees([project], actor=world.ann, users=[world.users.bob], remove=True)
    assert seen(Project, world.bob) == set()


@pytest.mark.parametrize(
    ("login", "model", "may"),
    [
        ("eve", Project, "view"),
        ("eve", Task, "view"),
        ("eve", Milestone, "view"),
        ("eve", TaskStage, "view"),
        ("bob", Project, "view"),
        ("bob", Task, "view add change delete"),
        ("bob", Milestone, "view add change delete"),
        ("bob", ProjectUpdate, "view add change delete"),
        ("bob", ProjectTag, "view"),
        ("ann", Project, "view add change delete"),
        ("ann", Task, "view add change delete"),
        ("ann", ProjectTag, "view add change delete"),
        ("ann", ProjectCollaborator, "view add change delete"),
        ("pia", Project, ""),
        ("pia", Task, ""),
    ],
)
def test_matrix_of_rights(world: SimpleNamespace, login: str, model: type, may: str) -> None:
    """One record of each kind in an open project: what each may do with it."""
    project = make_project("P", privacy=Privacy.EMPLOYEES)
    make_task(project, "T")
    service_for(Milestone).create_one({"project": project, "name": "M"}, actor=system())
    service_for(ProjectUpdate).create_one(
        {"project": project, "name": "U", "status": "on_track"}, actor=system()
    )
    ProjectTag.objects.create(name="Tag")
    ProjectCollaborator.objects.create(project=project, partner=world.prime)
    actor = getattr(world, login)

    allowed = [op for op in ("view", "add", "change", "delete") if visible(model, actor, op).exists()]

    assert allowed == may.split()


def test_personal_stages_are_their_owners(world: SimpleNamespace) -> None:
    service = service_for(TaskStage)
    mine = service.create_one({"name": "Mine"}, actor=world.bob)
    shared = make_stage("Shared")

    assert mine.owner_id == world.users.bob.pk
    assert seen(TaskStage, world.bob) == {"Mine", "Shared"}
    assert seen(TaskStage, world.cid) == seen(TaskStage, world.ann) == {"Shared"}
    service.update([mine], {"name": "My own"}, actor=world.bob)
    with pytest.raises(PermissionDenied):
        service.update([shared], {"name": "x"}, actor=world.bob)
    with pytest.raises(NotVisible):
        service.update([mine], {"name": "x"}, actor=world.ann)
    assert seen(TaskStage, world.bob) == {"My own", "Shared"}


def test_everybody_marks_favourites_of_what_he_sees(world: SimpleNamespace) -> None:
    project, hidden = make_project(privacy=Privacy.EMPLOYEES), make_project(privacy=Privacy.FOLLOWERS)

    toggle_favourite([project], actor=world.eve)
    assert list(world.users.eve.favourite_projects.all()) == [project]
    toggle_favourite([project], actor=world.eve)
    assert not world.users.eve.favourite_projects.exists()
    with pytest.raises(NotVisible):
        toggle_favourite([hidden], actor=world.eve)


# ------------------------------------------------------------------------------------------------------------ portal
@pytest.fixture
def shared(world: SimpleNamespace) -> SimpleNamespace:
    """A project with ten tasks that Pia's organisation began to follow afterwards; task 5 is followed too."""
    world.project = make_project("Shared", privacy=Privacy.PORTAL, company=world.company)
    world.tasks = make_tasks(world.project, 10)
    follows(world.project, partner_of(world.users.pia))
    return world


def test_portal_project_needs_privacy_and_a_follower_of_the_organisation(shared: SimpleNamespace) -> None:
    assert seen(Project, shared.pia) == {"Shared"}
    assert seen(Project, shared.rob) == set()

    service_for(Project).update([shared.project], {"privacy": Privacy.FOLLOWERS}, actor=shared.ann)
    assert seen(Project, shared.pia) == set()


def test_follower_anywhere_in_the_organisation_counts(world: SimpleNamespace) -> None:
    project = make_project("P", privacy=Privacy.PORTAL)
    branch = make_partner("Prime South", is_company=True, parent=world.prime)
    clerk = make_partner("Clerk", parent=branch)

    follows(project, clerk)

    assert (seen(Project, world.pia), seen(Project, world.rob)) == ({"P"}, set())


def test_portal_tasks_are_those_followed(shared: SimpleNamespace) -> None:
    assert seen(Task, shared.pia) == set()

    follows(shared.tasks[4], shared.prime)

    assert seen(Task, shared.pia) == {shared.tasks[4].name}
    assert seen(Task, shared.pia, "change") == set()
    assert seen(Task, shared.rob) == set()
    service_for(Task).archive([shared.tasks[4]], actor=shared.ann)
    assert seen(Task, shared.pia) == set()


def test_collaborators_see_followed_or_all_tasks(shared: SimpleNamespace) -> None:
    pia = partner_of(shared.users.pia)
    follows(shared.tasks[4], pia)

    share([shared.project], actor=shared.ann, partners=[pia], mode="edit_limited")
    assert seen(Task, shared.pia) == seen(Task, shared.pia, "change") == {shared.tasks[4].name}

    share([shared.project], actor=shared.ann, partners=[pia], mode="edit")
    assert len(seen(Task, shared.pia)) == len(seen(Task, shared.pia, "change")) == 10
    assert seen(Task, shared.pia, "delete") == set()
    assert visible(ProjectCollaborator, shared.pia).get().partner_id == pia.pk
    assert not visible(ProjectCollaborator, shared.rob).exists()

    unshare([shared.project], actor=shared.ann, partners=[pia])
    assert seen(Task, shared.pia) == seen(Project, shared.pia) == set()


def test_collaborator_writes_allowed_fields_only(shared: SimpleNamespace) -> None:
    pia = partner_of(shared.users.pia)
    share([shared.project], actor=shared.ann, partners=[pia], mode="edit")
    task, stage = shared.tasks[0], stages_of(shared.project)[1]
    other = make_project("Other", privacy=Privacy.PORTAL)
    service = service_for(Task)

    task = service.update([task], {"stage": stage}, actor=shared.pia)[0]
    assert task.stage_id == stage.pk

    for values in (
        {"assignees": [shared.users.bob]},
        {"project": other},
        {"active": False},
        {"company": None},
        {"sequence": 1, "email_cc": "x@y.z"},
        {"allocated_hours": 5},
    ):
        with pytest.raises(PermissionDenied):
            service.update([task], values, actor=shared.pia)
    with pytest.raises(PermissionDenied):
        service.delete([task], actor=shared.pia)
    task.refresh_from_db()
    assert (task.version, task.sequence, task.active) == (2, 10, True)


def test_collaborator_makes_tasks_in_the_shared_project_only(shared: SimpleNamespace) -> None:
    pia = partner_of(shared.users.pia)
    other = make_project("Other", privacy=Privacy.PORTAL)
    service = service_for(Task)
    share([shared.project], actor=shared.ann, partners=[pia], mode="edit_limited")

    made = service.create_one({"name": "From outside", "project": shared.project}, actor=shared.pia)

    assert seen(Task, shared.pia) == {"From outside"}  # he follows what he makes
    assert made.assignees.count() == 0
    for values in ({"name": "x"}, {"name": "x", "project": other}, {"name": "x", "parent": make_task(other)}):
        with pytest.raises((NotVisible, PermissionDenied, ValidationFailed)):
            service.create_one(values, actor=shared.pia)
    assert not Task.objects.filter(name="x").exists()


def test_read_only_follower_cannot_change_or_act(shared: SimpleNamespace) -> None:
    from apps.projects.services import mark_done

    follows(shared.tasks[0], partner_of(shared.users.pia))

    with pytest.raises(PermissionDenied):
        service_for(Task).update([shared.tasks[0]], {"name": "x"}, actor=shared.pia)
    with pytest.raises(PermissionDenied):
        mark_done([shared.tasks[0]], actor=shared.pia)

    shared.tasks[0].refresh_from_db()
    assert shared.tasks[0].version == 1


def test_sharing_opens_a_closed_project_and_closing_it_takes_outsiders_off(world: SimpleNamespace) -> None:
    from apps.chatter.models import Follower

    project = make_project("Closed", privacy=Privacy.EMPLOYEES, partner=world.rival)
    task = make_task(project, "T")
    pia = partner_of(world.users.pia)

    share([project], actor=world.ann, partners=[pia], mode="read")
    project.refresh_from_db()
    assert project.privacy == Privacy.PORTAL
    assert seen(Project, world.pia) == {"Closed"}
    assert seen(Project, world.rob) == {"Closed"}  # the customer follows an open project

    follows(task, pia)
    service_for(Project).update([project], {"privacy": Privacy.FOLLOWERS}, actor=world.ann)
    assert not Follower.objects.filter(partner__in=[pia.pk, world.rival.pk]).exists()


# -------------------------------------------------------------------------------------------------------------- cost
@pytest.mark.parametrize("login", ["ann", "bob", "eve", "pia"])
@pytest.mark.parametrize("model", [Project, Task, Milestone, ProjectUpdate, TaskStage, TaskStageHistory])
def test_rules_are_one_query(world: SimpleNamespace, login: str, model: type) -> None:
    with count_queries() as seen_queries:
        list(visible(model, getattr(world, login))[:5])

    assert len(seen_queries) <= 1
