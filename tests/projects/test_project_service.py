"""Projects: dates, company, archive, figures, updates, deletion."""

from __future__ import annotations

import datetime
from types import SimpleNamespace

import pytest

from apps.core.errors import Conflict, PermissionDenied, ValidationFailed
from apps.core.records import service_for
from apps.core.rules import visible
from apps.core.testkit import count_queries
from apps.projects.dates import today_of
from apps.projects.models import Milestone, Project, ProjectUpdate, Task, TaskStage
from apps.projects.selectors.projects import (
    completion_text,
    milestone_figures,
    project_counts,
    task_counts_of,
    with_reach,
)
from apps.projects.services import ensure_access_token, ensure_personal_stages, set_status
from tests.projects.factories import (
    make_partner,
    make_project,
    make_stage,
    make_task,
    make_tasks,
    stages_of,
    system,
)

service = service_for(Project)
DAY = datetime.date(2026, 3, 1)
LATER = datetime.date(2026, 4, 1)


def test_new_project_gets_a_manager_and_a_first_stage(world: SimpleNamespace) -> None:
    project = service.create_one({"name": "P"}, actor=world.ann)

    assert (project.manager_id, project.privacy, project.label_tasks) == (
        world.users.ann.pk,
        "portal",
        "Tasks",
    )
    assert [stage.name for stage in project.stages.all()] == ["New"]


def test_only_managers_make_projects(world: SimpleNamespace) -> None:
    with pytest.raises(PermissionDenied):
        service.create_one({"name": "P"}, actor=world.bob)

    assert not Project.objects.exists() and not TaskStage.objects.exists()


@pytest.mark.parametrize(
    ("held", "values", "dates"),
    [
        ((None, None), {"date_start": DAY}, (None, None)),
        ((None, None), {"date_end": DAY}, (None, None)),
        ((None, None), {"date_start": DAY, "date_end": LATER}, (DAY, LATER)),
        ((DAY, LATER), {"date_start": None}, (None, None)),
        ((DAY, LATER), {"date_end": None}, (None, None)),
        ((DAY, LATER), {"date_end": DAY}, (DAY, DAY)),
        ((DAY, LATER), {"date_start": DAY, "date_end": None}, (None, None)),
    ],
)
def test_dates_come_in_pairs(world: SimpleNamespace, held: tuple, values: dict, dates: tuple) -> None:
    project = make_project(date_start=held[0], date_end=held[1])

    service.update([project], values, actor=world.ann)

    project.refresh_from_db()
    assert (project.date_start, project.date_end) == dates


def test_end_before_start_is_refused(world: SimpleNamespace) -> None:
    project = make_project(date_start=DAY, date_end=LATER)

    with pytest.raises(ValidationFailed) as caught:
        service.update([project], {"date_start": LATER, "date_end": DAY}, actor=world.ann)

    assert caught.value.message == "A project has a start and an end not before it, or neither."
    project.refresh_from_db()
    assert project.version == 1


def test_tasks_follow_their_project_to_another_company(world: SimpleNamespace) -> None:
    project = make_project(company=world.company)
    parent = make_task(project)
    make_task(project, parent=parent)

    service.update([project], {"company": world.other}, actor=system())

    assert set(Task.objects.values_list("company_id", flat=True)) == {world.other.pk}


def test_customer_of_a_task_keeps_the_project_in_its_company(world: SimpleNamespace) -> None:
    project = make_project(company=world.company)
    make_task(project, partner=make_partner("Alpha's own", company=world.company))

    with pytest.raises(ValidationFailed):
        service.update([project], {"company": world.other}, actor=system())

    project.refresh_from_db()
    assert (project.company_id, project.version) == (world.company.pk, 1)
    assert Task.objects.get().company_id == world.company.pk


def test_archive_goes_down_to_the_tasks_and_back(world: SimpleNamespace) -> None:
    project = make_project()
    make_tasks(project, 3)

    service.archive([project], actor=world.ann)
    assert list(Task.objects.values_list("active", flat=True)) == [False] * 3
    service.unarchive([project], actor=world.ann)
    assert list(Task.objects.values_list("active", flat=True)) == [True] * 3


def test_stage_with_tasks_stays_with_its_project(world: SimpleNamespace) -> None:
    project = make_project()
    todo, doing, finished = stages_of(project)
    make_task(project)

    with pytest.raises(ValidationFailed) as caught:
        service.update([project], {"stages": [doing, finished]}, actor=world.ann)
    with pytest.raises(Conflict):
        service_for(TaskStage).delete([todo], actor=world.ann)

    assert caught.value.fields == {"stages": ["There are still tasks in: To do. Move them first."]}
    service.update([project], {"stages": [todo, doing]}, actor=world.ann)
    service_for(TaskStage).delete([finished], actor=world.ann)
    assert [stage.name for stage in stages_of(project)] == ["To do", "Doing"]


def test_stage_shared_by_projects_of_two_companies(world: SimpleNamespace) -> None:
    shared = make_stage("Shared")
    ours, theirs = (
        make_project(company=world.company, stages=[shared]),
        make_project(company=world.other, stages=[shared]),
    )
    make_task(theirs)

    service.update([ours], {"stages": [make_stage("Own")]}, actor=world.ann)
    with pytest.raises(Conflict):
        service_for(TaskStage).delete([shared], actor=world.ann)

    assert list(shared.projects.all()) == [theirs]


def test_deleting_a_project_takes_everything_along(world: SimpleNamespace) -> None:
    from apps.chatter.models import Follower, Message

    project, other = make_project(), make_project()
    blocker = make_task(project)
    make_task(project, parent=blocker)
    waiting = make_task(other, depends_on=[blocker])
    service_for(Milestone).create_one({"project": project, "name": "M"}, actor=world.ann)
    set_status([project], actor=world.ann, status="at_risk")

    service.delete([project], actor=world.ann)

    waiting.refresh_from_db()
    assert (list(Project.objects.all()), list(Task.objects.all()), waiting.state) == (
        [other],
        [waiting],
        "in_progress",
    )
    labels = {"projects.project", "projects.task", "projects.milestone", "projects.projectupdate"}
    left = Message.objects.filter(model__in=labels).values_list("model", "object_id").distinct()
    assert set(left) == {("projects.project", other.pk), ("projects.task", waiting.pk)}
    assert not Follower.objects.filter(model="projects.project", object_id=project.pk).exists()


# ----------------------------------------------------------------------------------------------------------- figures
def test_counts_of_a_project(world: SimpleNamespace) -> None:
    project = make_project()
    make_tasks(project, 4)
    make_tasks(project, 3, state="done")
    make_tasks(project, 1, state="cancelled")
    make_task(project, active=False)

    counts = task_counts_of([project.pk])[project.pk]
    row = project_counts(Project.objects.all()).get()

    assert (counts.total, counts.closed, counts.open, counts.completion) == (8, 4, 4, 0.5)
    assert completion_text(counts) == "4 / 8 (50%)"
    assert (row.task_count, row.closed_task_count) == (8, 4)


def test_milestones_of_a_project(world: SimpleNamespace) -> None:
    project = make_project()
    today = today_of(world.ann)
    milestones = service_for(Milestone)
    past, soon, reached = milestones.create(
        [
            {"project": project, "name": "past", "deadline": today - datetime.timedelta(days=1)},
            {"project": project, "name": "soon", "deadline": today + datetime.timedelta(days=1)},
            {"project": project, "name": "reached", "reached": True},
        ],
        actor=world.bob,
    )

    figures = milestone_figures([project.pk], on=today)[project.pk]

    assert (figures.total, figures.reached, figures.progress, figures.exceeded) == (3, 1, 33, True)
    assert figures.next_pk == past.pk
    assert reached.reached_date == today
    assert list(Milestone.objects.exceeded(today)) == [past]

    milestones.update([past], {"reached": True}, actor=world.bob)
    figures = milestone_figures([project.pk], on=today)[project.pk]
    assert (figures.progress, figures.exceeded, figures.next_pk) == (66, False, soon.pk)
    milestones.update([past], {"reached": False}, actor=world.bob)
    past.refresh_from_db()
    assert past.reached_date is None


def test_milestone_can_be_marked_when_all_its_tasks_are_closed(world: SimpleNamespace) -> None:
    project = make_project()
    milestone = Milestone.objects.create(project=project, name="M")

    def offered() -> bool:
        return bool(with_reach(Milestone.objects.all()).get().can_be_marked_done)

    assert offered() is False
    closed = make_task(project, milestone=milestone, state="done")
    assert offered() is True
    make_task(project, milestone=milestone)
    assert offered() is False
    Task.objects.exclude(pk=closed.pk).delete()
    service_for(Milestone).update([milestone], {"reached": True}, actor=world.bob)
    assert offered() is False


def test_status_is_that_of_the_newest_update(world: SimpleNamespace) -> None:
    project = make_project()
    make_task(project, state="done")
    make_task(project)
    updates = service_for(ProjectUpdate)

    set_status([project], actor=world.ann, status="at_risk")
    first = project.last_update
    assert (project.last_status, first.task_count, first.closed_task_count) == ("at_risk", 2, 1)
    second = updates.create_one(
        {"project": project, "name": "Good", "status": "on_track", "progress": 40}, actor=world.bob
    )
    third = updates.create_one({"project": project, "name": "Next", "status": "done"}, actor=world.bob)
    project.refresh_from_db()
    assert (project.last_update, project.last_status, third.progress) == (third, "done", 40)

    updates.delete([third], actor=world.bob)
    project.refresh_from_db()
    assert (project.last_update, project.last_status) == (second, "on_track")
    updates.delete([first, second], actor=world.bob)
    project.refresh_from_db()
    assert (project.last_update, project.last_status) == (None, "to_define")
    with pytest.raises(ValidationFailed):
        set_status([project], actor=world.ann, status="to_define")


def test_token_of_a_project_is_made_once(world: SimpleNamespace) -> None:
    project = make_project()

    first = ensure_access_token(project)

    assert len(first) == 36
    assert ensure_access_token(Project.objects.get()) == first


def test_personal_stages_are_made_once(world: SimpleNamespace) -> None:
    made = ensure_personal_stages(world.users.bob.pk)

    assert [stage.name for stage in made] == [
        "Inbox",
        "Today",
        "This week",
        "This month",
        "Later",
        "Done",
        "Cancelled",
    ]
    assert [stage.fold for stage in made] == [False] * 5 + [True] * 2
    assert ensure_personal_stages(world.users.bob.pk) == made


# -------------------------------------------------------------------------------------------------------------- cost
def test_lists_and_figures_cost_the_same_for_any_number(world: SimpleNamespace) -> None:
    costs = []
    for number in (2, 12):
        projects = [make_project() for _row in range(number)]
        for project in projects:
            make_tasks(project, 2)
        pks = [project.pk for project in projects]
        with count_queries() as seen:
            list(project_counts(visible(Project, world.bob)))
            task_counts_of(pks)
            milestone_figures(pks, on=DAY)
        with count_queries() as archiving:
            service.archive(projects, actor=world.ann)
        costs.append((len(seen), len(archiving)))

    assert costs[0][0] == 3
    assert costs[0] == costs[1]
