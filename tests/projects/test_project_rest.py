"""REST: shapes, rights and costs of projects and tasks."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client

from apps.access.services.tokens import make_token
from apps.core.testkit import count_queries
from apps.mail.models import AliasDomain
from apps.projects.constants import Privacy
from apps.projects.models import Project, ProjectTag, Task
from apps.projects.services import share
from tests.projects.factories import follows, make_project, make_task, make_tasks, partner_of, stages_of


class Rest:
    """A client with a token; portal users, who get none, are signed in."""

    def __init__(self, user: Any = None) -> None:
        self.client = Client(raise_request_exception=False)
        self.headers: dict[str, str] = {}
        if user is not None and user.kind == "portal":
            self.client.force_login(user)
        elif user is not None:
            self.headers = {"HTTP_AUTHORIZATION": f"Bearer {make_token(user, name='t')[0]}"}

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        body = {} if body is None and method == "post" else body
        kwargs = {} if body is None else {"data": json.dumps(body), "content_type": "application/json"}
        response = getattr(self.client, method)(
            f"/api/v1/projects/{path}", **kwargs, **self.headers, **headers
        )
        response.data = json.loads(response.content) if response.content else None
        return response


def test_project_with_an_address(world: SimpleNamespace) -> None:
    AliasDomain.objects.create(name="example.com", company=None)
    rest = Rest(world.users.ann)

    made = rest("post", "projects/", {"name": "Support", "alias": "Help desk", "partner": world.prime.pk})
    project = Project.objects.get()
    make_task(project, state="done")
    make_task(project)
    shown = rest("get", f"projects/{project.pk}/")
    renamed = rest("patch", f"projects/{project.pk}/", {"alias": "support"})
    gone = rest("patch", f"projects/{project.pk}/", {"alias": ""})

    assert made.status_code == 201, made.data
    assert made.data["alias_address"] == "help-desk@example.com"
    assert {
        k: shown.data[k] for k in ("id", "name", "task_count", "closed_task_count", "is_favourite", "privacy")
    } == {
        "id": project.pk,
        "name": "Support",
        "task_count": 2,
        "closed_task_count": 1,
        "is_favourite": False,
        "privacy": "portal",
    }
    assert "access_token" not in shown.data
    assert (renamed.data["alias_address"], gone.data["alias_address"]) == ("support@example.com", "")


def test_project_whose_address_is_taken_is_not_made(world: SimpleNamespace) -> None:
    AliasDomain.objects.create(name="example.com", company=None)
    rest = Rest(world.users.ann)
    rest("post", "projects/", {"name": "One", "alias": "support"})

    refused = rest("post", "projects/", {"name": "Two", "alias": "support"})

    assert refused.status_code == 409
    assert list(Project.objects.values_list("name", flat=True)) == ["One"]


def test_task_from_birth_to_end(world: SimpleNamespace) -> None:
    project = make_project()
    doing = stages_of(project)[1]
    rest = Rest(world.users.bob)

    made = rest("post", "tasks/", {"name": "Lamp", "project": project.pk, "assignees": [world.users.cid.pk]})
    task = f"tasks/{made.data['id']}/"
    moved = rest("patch", task, {"stage": doing.pk, "version": 1})
    stale = rest("patch", task, {"name": "x"}, HTTP_IF_MATCH='"1"')
    done = rest("post", f"{task}actions/mark_done/")
    again = rest("post", f"{task}actions/mark_done/")
    missing = rest("post", f"{task}actions/assign/")

    assert made.status_code == 201, made.data
    assert (made.data["state"], made.data["assignees"], made.data["version"]) == (
        "in_progress",
        [world.users.cid.pk],
        1,
    )
    assert "mark_done" in made.data["available_actions"]
    assert (moved.status_code, moved.data["stage"]) == (200, doing.pk)
    assert stale.status_code == 412
    assert (done.status_code, done.data["state"], done.data["is_closed"]) == (200, "done", True)
    assert (again.status_code, again.data["code"]) == (409, "wrong_state")
    assert (missing.status_code, list(missing.data["fields"])) == (400, ["users"])


def test_many_at_once(world: SimpleNamespace) -> None:
    project = make_project()
    rest = Rest(world.users.bob)

    made = rest(
        "post", "tasks/", [{"name": "a", "project": project.pk}, {"name": "b", "project": project.pk}]
    )
    refused = rest(
        "post", "tasks/", [{"name": "c", "project": project.pk}, {"name": "", "project": project.pk}]
    )
    bulk = rest("post", "tasks/actions/mark_done/", {"ids": [row["id"] for row in made.data]})

    assert (made.status_code, refused.status_code, bulk.status_code) == (201, 400, 200)
    assert set(Task.objects.values_list("name", "state")) == {("a", "done"), ("b", "done")}


def test_line_of_quick_entry(world: SimpleNamespace) -> None:
    ProjectTag.objects.create(name="feature")
    project = make_project()

    made = Rest(world.users.bob)(
        "post", "tasks/quick/", {"line": "Improve 1.5h #feature !", "project": project.pk}
    )

    task = Task.objects.get()
    assert made.status_code == 200, made.data
    assert made.data == {"id": task.pk, "name": "Improve", "allocated_hours": "1.50"}
    assert (task.priority, task.tags.get().name) == (1, "feature")


def test_filters_of_tasks(world: SimpleNamespace) -> None:
    project = make_project()
    make_task(project, "done", state="done")
    blocker = make_task(project, "mine", assignees=[world.users.bob], date_deadline="2020-01-01T00:00:00Z")
    make_task(project, "waits", depends_on=[blocker])
    make_task(None, "private", actor=world.bob)
    rest = Rest(world.users.bob)

    def names(query: str) -> set[str]:
        return {row["name"] for row in rest("get", f"tasks/?{query}").data["results"]}

    assert names("open=true") == {"mine", "waits", "private"}
    assert names("open=false") == {"done"}
    assert names("mine=true") == {"mine", "private"}
    assert names("unassigned=true") == {"done", "waits"}
    assert names("overdue=true") == {"mine"}
    assert names("blocked=true") == {"waits"}
    assert names("private=true") == {"private"}
    assert names(f"project={project.pk}&state=waiting") == {"waits"}
    assert names("search=min") == {"mine"}


def test_who_gets_which_answer(world: SimpleNamespace) -> None:
    task = make_task(make_project(company=world.company, privacy=Privacy.EMPLOYEES))
    path = f"tasks/{task.pk}/"
    answers = {}
    for login in ("bob", "eve", "otto", "pia"):
        rest = Rest(getattr(world.users, login))
        answers[login] = tuple(
            rest(method, path, body).status_code
            for method, body in (("get", None), ("patch", {"color": 1}), ("delete", None))
        )
        if login == "bob":
            task = make_task(make_project(company=world.company, privacy=Privacy.EMPLOYEES))
            path = f"tasks/{task.pk}/"
    anonymous = Rest()

    assert answers == {
        "bob": (200, 200, 204),
        "eve": (200, 403, 403),
        "otto": (404, 404, 404),
        "pia": (404, 404, 403),
    }
    assert [
        anonymous(m, path, b).status_code for m, b in (("get", None), ("patch", {}), ("delete", None))
    ] == [401] * 3
    task.refresh_from_db()
    assert task.version == 1


def test_portal_collaborator_reads_and_writes_what_is_allowed(world: SimpleNamespace) -> None:
    project = make_project(privacy=Privacy.PORTAL, company=world.company)
    task, other = make_tasks(project, 2, assignees=[world.users.bob])
    pia = partner_of(world.users.pia)
    share([project], actor=world.ann, partners=[pia], mode="edit_limited")
    follows(task, pia)
    rest = Rest(world.users.pia)

    listed = rest("get", "tasks/")
    moved = rest("patch", f"tasks/{task.pk}/", {"stage": stages_of(project)[1].pk})
    refused = rest("patch", f"tasks/{task.pk}/", {"assignees": []})
    locked = rest("patch", f"tasks/{task.pk}/", {"active": False})
    hidden = rest("get", f"tasks/{other.pk}/")
    by_hidden_field = rest("get", "tasks/?email_cc=x")
    sorted_by_hidden_field = rest("get", "tasks/?ordering=allocated_hours")

    assert [row["id"] for row in listed.data["results"]] == [task.pk]
    assert not {"assignees", "allocated_hours", "email_cc", "custom", "access_token"} & set(
        listed.data["results"][0]
    )
    # What he is not shown does not exist for him (400), what he is shown but may not write is refused (403).
    assert (moved.status_code, refused.status_code, locked.status_code, hidden.status_code) == (
        200,
        400,
        403,
        404,
    )
    assert by_hidden_field.status_code == sorted_by_hidden_field.status_code == 400
    assert task.assignees.count() == 1


@pytest.mark.parametrize("path", ["projects/", "tasks/", "milestones/", "stages/", "updates/"])
def test_lists_cost_the_same_for_any_number_of_rows(world: SimpleNamespace, path: str) -> None:
    rest = Rest(world.users.bob)
    costs = []
    for number in (2, 12):
        for _row in range(number):
            make_tasks(make_project(partner=world.prime), 1, assignees=[world.users.bob, world.users.cid])
        rest("get", path)
        with count_queries() as seen:
            response = rest("get", path)
        assert response.status_code == 200, response.data
        costs.append(len(seen))

    assert costs[0] == costs[1]


def test_thread_of_a_task(world: SimpleNamespace) -> None:
    task = make_task(make_project())
    rest = Rest(world.users.bob)

    posted = rest(
        "post", f"tasks/{task.pk}/messages/", {"body": "<p>Hello</p>", "subtype": "chatter.comment"}
    )
    listed = rest("get", f"tasks/{task.pk}/messages/")

    assert posted.status_code == 201, posted.data
    assert "Hello" in json.dumps(listed.data)
