"""Back-office screens: lists, forms, board, what stays hidden."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.test import Client
from django.urls import reverse

from apps.core.testkit import count_queries
from apps.projects.constants import Privacy
from apps.projects.models import Milestone, Project, ProjectTag, Task
from apps.projects.services import set_status
from tests.projects.factories import make_project, make_task, make_tasks, stages_of

SCREENS = ("project", "task", "milestone", "projectupdate", "taskstage", "projectstage", "projecttag")


def browser_of(user: object) -> Client:
    browser = Client()
    browser.force_login(user)
    return browser


def url(model: str, page: str = "changelist", *args: object) -> str:
    return reverse(f"admin:projects_{model}_{page}", args=args)


@pytest.mark.parametrize("login", ["ann", "bob", "eve"])
def test_lists_and_forms_open_for_whoever_may_see_them(world: SimpleNamespace, login: str) -> None:
    project = make_project("Visible", manager=world.users.ann, partner=world.prime)
    task = make_task(
        project, "Visible task", assignees=[world.users.bob], description="<p>Some <b>text</b></p>"
    )
    make_task(project, "A part", parent=task)
    Milestone.objects.create(project=project, name="First milestone")
    set_status([project], actor=world.ann, status="at_risk")
    ProjectTag.objects.create(name="Blue")
    browser = browser_of(getattr(world.users, login))

    pages = {screen: browser.get(url(screen)) for screen in SCREENS}
    form = browser.get(url("task", "change", task.pk))
    project_form = browser.get(url("project", "change", project.pk))

    assert {screen: page.status_code for screen, page in pages.items()} == dict.fromkeys(SCREENS, 200)
    assert "Visible task" in pages["task"].content.decode()
    assert "0 / 2 (0%)" in pages["project"].content.decode()
    assert "<p>Some <b>text</b></p>" in form.content.decode()
    assert "Sub-tasks 0 / 1" in form.content.decode()
    assert "projects-board" in project_form.content.decode()


def test_task_is_made_and_changed_through_the_form(world: SimpleNamespace) -> None:
    project = make_project()
    browser = browser_of(world.users.bob)

    made = browser.post(
        url("task", "add"),
        {"name": "From the form", "project": project.pk, "assignees": [world.users.cid.pk], "priority": "1"},
    )

    task = Task.objects.get()
    assert made.status_code == 302, made.content.decode()[:2000]
    assert (task.name, task.stage_id, task.priority) == ("From the form", stages_of(project)[0].pk, 1)
    assert list(task.assignees.all()) == [world.users.cid]

    done = browser.post(url("task", "do", task.pk, "mark_done"), {"version": str(task.version)})
    task.refresh_from_db()
    assert (done.status_code, task.state) == (302, "done")


def test_project_of_a_task_that_is_not_visible_is_not_named(world: SimpleNamespace) -> None:
    project = make_project("Top secret plan", privacy=Privacy.FOLLOWERS)
    mine = make_task(project, "Mine", assignees=[world.users.bob])
    make_task(project, "Sibling in secret")
    browser = browser_of(world.users.bob)

    rows = browser.get(url("task")).content.decode()
    form = browser.get(url("task", "change", mine.pk)).content.decode()

    assert "Mine" in rows and "Mine" in form
    for page in (rows, form):
        assert "Top secret plan" not in page
        assert "Sibling in secret" not in page


def test_screens_of_records_out_of_reach(world: SimpleNamespace) -> None:
    foreign = make_task(make_project(company=world.other))
    private = make_task(None, "Private", actor=world.cid)
    browser = browser_of(world.users.ann)

    assert browser.get(url("task", "change", foreign.pk)).status_code == 404
    assert browser.get(url("task", "change", private.pk)).status_code == 404
    assert browser_of(world.users.eve).get(url("task", "add")).status_code == 403
    portal = browser_of(world.users.pia).get(url("task"))
    assert portal.status_code in (302, 403)


def test_lists_cost_the_same_for_any_number_of_rows(world: SimpleNamespace) -> None:
    browser = browser_of(world.users.bob)
    costs = []
    for number in (2, 12):
        for _row in range(number):
            project = make_project(manager=world.users.ann, partner=world.prime)
            make_tasks(project, 1, assignees=[world.users.bob, world.users.cid])
        browser.get(url("task"))
        with count_queries() as tasks:
            browser.get(url("task"))
        with count_queries() as projects:
            browser.get(url("project"))
        with count_queries() as form:
            browser.get(url("project", "change", Project.objects.order_by("pk").first().pk))
        costs.append((len(tasks), len(projects), len(form)))

    assert costs[0] == costs[1]


def test_filters_by_project_stage_assignee_state_and_deadline(world: SimpleNamespace) -> None:
    project = make_project()
    make_task(project, "Wanted", assignees=[world.users.bob], date_deadline="2026-05-01T12:00:00Z")
    make_task(make_project(), "Unwanted", state="done")
    browser = browser_of(world.users.bob)
    stage = stages_of(project)[0]

    for query in (
        f"project__id__exact={project.pk}",
        f"stage__id__exact={stage.pk}",
        f"assignees__id__exact={world.users.bob.pk}",
        "state__exact=in_progress",
        "date_deadline_from_0=2026-04-30&date_deadline_from_1=00:00:00&date_deadline_to_0=2026-05-02&date_deadline_to_1=00:00:00",
        "date_deadline_from_0=2026-05-01&date_deadline_to_0=2026-05-01",
    ):
        page = browser.get(f"{url('task')}?{query}").content.decode()
        assert ("Wanted" in page, "Unwanted" in page) == (True, False), query


def test_deadlines_are_filtered_by_the_clock_of_whoever_asks(world: SimpleNamespace) -> None:
    """Noon in Greenwich is nine at night in Tokyo."""
    make_task(make_project(), "Wanted", assignees=[world.users.bob], date_deadline="2026-05-01T12:00:00Z")
    type(world.users.bob).objects.filter(pk=world.users.bob.pk).update(timezone="Asia/Tokyo")
    browser = browser_of(world.users.bob)

    def found(begins: str, ends: str) -> bool:
        asked = "date_deadline_from_0=2026-05-01&date_deadline_from_1={}&date_deadline_to_0=2026-05-01&date_deadline_to_1={}"
        return "Wanted" in browser.get(f"{url('task')}?{asked.format(begins, ends)}").content.decode()

    assert found("20:30:00", "21:30:00")
    assert not found("11:30:00", "12:30:00")
    nonsense = browser.get(f"{url('task')}?date_deadline_from_0=never")
    assert (nonsense.status_code, nonsense["Location"]) == (302, f"{url('task')}?e=1"), "the list without it"
