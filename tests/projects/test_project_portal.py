"""Portal pages: who gets which, by login and by link."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client

from apps.core.testkit import count_queries
from apps.projects.constants import Privacy
from apps.projects.models import Project, Task
from apps.projects.services import ensure_access_token
from tests.projects.factories import follows, make_project, make_task, make_tasks, partner_of


def browser_of(user: Any = None) -> Client:
    browser = Client()
    if user is not None:
        browser.force_login(user)
    return browser


@pytest.fixture
def shared(world: SimpleNamespace) -> SimpleNamespace:
    world.project = make_project("Garden house", privacy=Privacy.PORTAL, company=world.company)
    world.tasks = make_tasks(world.project, 6)
    follows(world.project, partner_of(world.users.pia))
    world.browser = browser_of(world.users.pia)
    return world


def test_project_opens_with_portal_privacy_only(shared: SimpleNamespace) -> None:
    url = f"/my/projects/{shared.project.pk}"
    opened = shared.browser.get(url)
    Project.objects.update(privacy=Privacy.FOLLOWERS)
    closed = shared.browser.get(url)

    assert opened.status_code == 200 and "Garden house" in opened.content.decode()
    assert (closed.status_code, closed["Location"]) == (303, "/my")


def test_follower_of_the_project_sees_followed_tasks_only(shared: SimpleNamespace) -> None:
    url = f"/my/projects/{shared.project.pk}"
    before = shared.browser.get(url).content.decode()
    follows(shared.tasks[4], partner_of(shared.users.pia))
    after = shared.browser.get(url).content.decode()

    assert [f"/task/{task.pk}" in before for task in shared.tasks] == [False] * 6
    assert [f"/task/{task.pk}" in after for task in shared.tasks] == [False] * 4 + [True, False]


def test_task_page_for_its_customer_and_nobody_else(shared: SimpleNamespace) -> None:
    task = shared.tasks[0]
    Task.objects.filter(pk=task.pk).update(description="<p>Roof <b>leaks</b></p><script>x</script>")
    follows(task, partner_of(shared.users.pia))

    mine = shared.browser.get(f"/my/tasks/{task.pk}")
    listed = shared.browser.get("/my/tasks").content.decode()
    rival = browser_of(shared.users.rob).get(f"/my/tasks/{task.pk}")
    anonymous = browser_of().get(f"/my/tasks/{task.pk}")
    missing = shared.browser.get("/my/tasks/999999")

    assert mine.status_code == 200
    assert "<p>Roof <b>leaks</b></p>" in mine.content.decode() and "<script>x" not in mine.content.decode()
    assert task.name in listed
    for page in (rival, anonymous, missing):
        assert (page.status_code, page["Location"]) == (303, "/my")


def test_link_of_the_project_opens_its_tasks_and_the_links_keep_the_token(shared: SimpleNamespace) -> None:
    token = ensure_access_token(shared.project)
    foreign = make_task(make_project("Elsewhere", privacy=Privacy.PORTAL))
    base, query = f"/my/projects/{shared.project.pk}", f"?access_token={token}"
    visitor = browser_of()

    page = visitor.get(base + query).content.decode()
    task = visitor.get(f"{base}/task/{shared.tasks[2].pk}{query}")
    wrong = visitor.get(f"{base}/task/{shared.tasks[2].pk}?access_token={token[:-1]}x")
    other = visitor.get(f"{base}/task/{foreign.pk}{query}")
    direct = visitor.get(f"/my/tasks/{foreign.pk}{query}")

    assert all(f"/task/{t.pk}?access_token={token}" in page for t in shared.tasks)
    assert task.status_code == 200
    assert f"access_token={token}" in task.content.decode()
    for answer in (wrong, other, direct):
        assert (answer.status_code, answer["Location"]) == (303, "/my")
    Project.objects.update(privacy=Privacy.EMPLOYEES)
    assert visitor.get(base + query).status_code == 303
    assert visitor.get(f"{base}/task/{shared.tasks[2].pk}{query}").status_code == 303


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("/my/project/7/task/9?access_token=x", "/my/projects/7/task/9?access_token=x"),
        ("/my/task/9", "/my/tasks/9"),
        ("/my/project", "/my/projects"),
        ("/my/tasks/page/1?sortby=name", None),
    ],
)
def test_singular_paths_lead_to_the_plural_ones(shared: SimpleNamespace, old: str, new: str | None) -> None:
    answer = shared.browser.get(old)

    assert (answer.status_code, answer.get("Location")) == ((301, new) if new else (200, None))


def test_lists_take_every_key_and_fall_back_for_unknown_ones(shared: SimpleNamespace) -> None:
    for task in shared.tasks:
        follows(task, partner_of(shared.users.pia))
    queries = [
        f"sortby={key}"
        for key in (
            "create_date desc",
            "name",
            "stage_id, project_id",
            "state",
            "priority desc",
            "date_deadline asc",
            "date_last_stage_update desc",
            "project_id, stage_id",
            "milestone_id",
            "nonsense",
        )
    ]
    queries += [
        f"groupby={key}"
        for key in (
            "none",
            "stage_id",
            "state",
            "priority",
            "partner_id",
            "project_id",
            "milestone_id",
            "nonsense",
        )
    ]
    queries += [f"filterby={key}" for key in ("all", shared.project.pk, "nonsense")]

    for query in queries:
        page = shared.browser.get(f"/my/tasks?{query}")
        assert page.status_code == 200, query
        assert page.context["total"] == 6, query


def test_search_in_each_field(shared: SimpleNamespace) -> None:
    wanted = make_task(shared.project, "Paint door", assignees=[shared.users.bob], priority=1, state="done")
    for task in (*shared.tasks, wanted):
        follows(task, partner_of(shared.users.pia))

    def found(search_in: str, text: str) -> set[str]:
        page = shared.browser.get("/my/tasks", {"search_in": search_in, "search": text})
        return {record.name for record in page.context["records"]}

    assert (
        found("name", "paint") == found("content", "paint") == found("name", str(wanted.pk)) == {"Paint door"}
    )
    assert found("users", "bob") == found("status", "done") == found("priority", "high") == {"Paint door"}
    assert len(found("priority", "normal")) == 6
    assert len(found("stage_id", "to do")) == len(found("project_id", "garden")) == 7


def test_lists_and_pages_cost_the_same_for_any_number_of_tasks(shared: SimpleNamespace) -> None:
    pia = partner_of(shared.users.pia)
    costs = []
    for number in (2, 12):
        for task in make_tasks(shared.project, number, assignees=[shared.users.bob]):
            follows(task, pia)
        shared.browser.get("/my/tasks")
        with count_queries() as listing:
            shared.browser.get("/my/tasks?sortby=name")
        with count_queries() as page:
            shared.browser.get(f"/my/projects/{shared.project.pk}")
        costs.append((len(listing), len(page)))

    assert costs[0] == costs[1]
