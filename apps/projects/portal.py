"""Portal pages of customers: ``/my/projects`` and ``/my/tasks`` with the keys of their addresses.

Rows come from the record rules; a link with a token opens one project or task, and only while the project is open
to the portal. A page opened by a token shows that document and nothing that its bearer could not see otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import F, Q
from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect
from django.http.response import HttpResponseBase
from django.urls import path, re_path
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.core.actor import Actor
from apps.core.errors import NotVisible
from apps.core.html import sanitize_html
from apps.core.rules import visible
from apps.portal.base import (
    Choice,
    Crumb,
    GroupBy,
    PortalList,
    SearchIn,
    Sort,
    actor_of,
    document_page,
    open_document,
    portal_page,
    register_portal_url,
    show_list,
)
from apps.projects.constants import Privacy, TaskState
from apps.projects.models import Project, Task
from apps.projects.selectors.portal import portal_projects, portal_tasks
from apps.projects.selectors.tasks import assignee_names

TASK_SHEET = "projects.task"

register_portal_url("projects.project", lambda project: f"/my/projects/{project.pk}")
register_portal_url("projects.task", lambda task: f"/my/tasks/{task.pk}" if task.project_id else "")


# ------------------------------------------------------------------------------------------------------------- lists
PROJECTS = PortalList(
    key="projects",
    title=gettext_lazy("Projects"),
    url="/my/projects",
    template="projects/portal/projects.html",
    rows=portal_projects,
    sorts={
        "name": Sort(gettext_lazy("Name"), ("name",)),
        "date": Sort(gettext_lazy("Newest"), ("-created_at",)),
    },
)

SORTS: dict[str, Sort] = {
    "create_date desc": Sort(gettext_lazy("Newest"), ("-created_at",)),
    "name": Sort(gettext_lazy("Title"), ("name",)),
    "stage_id, project_id": Sort(gettext_lazy("Stage"), ("stage__sequence", "stage_id", "project_id")),
    "state": Sort(gettext_lazy("Status"), ("state",)),
    "priority desc": Sort(gettext_lazy("Priority"), ("-priority",)),
    "date_deadline asc": Sort(gettext_lazy("Deadline"), (F("date_deadline").asc(nulls_last=True),)),
    "date_last_stage_update desc": Sort(gettext_lazy("Last move"), ("-date_last_stage_update",)),
    "milestone_id": Sort(gettext_lazy("Milestone"), (F("milestone_id").asc(nulls_last=True),)),
}
BY_PROJECT = {
    "project_id, stage_id": Sort(gettext_lazy("Project"), ("project_id", "stage__sequence", "stage_id"))
}


def _state_matches(text: str) -> Q:
    """A status by its key or by the word that people read."""
    wanted = text.lower()
    keys = [key for key, label in TaskState.choices if wanted == key or wanted in str(label).lower()]
    return Q(state__in=keys)


def _number(text: str) -> Q:
    return Q(pk=int(text)) if text.isdecimal() and len(text) < 19 else Q(pk__in=())


SEARCHES: dict[str, SearchIn] = {
    "name": SearchIn(gettext_lazy("Title"), lambda text: Q(name__icontains=text) | _number(text)),
    "users": SearchIn(
        gettext_lazy("Assignees"),
        lambda text: Q(
            pk__in=Task.assignees.through.objects.filter(user__name__icontains=text).values("task_id")
        ),
    ),
    "stage_id": SearchIn(gettext_lazy("Stage"), lambda text: Q(stage__name__icontains=text)),
    "status": SearchIn(gettext_lazy("Status"), _state_matches),
    "priority": SearchIn(
        gettext_lazy("Priority"),
        lambda text: Q(priority=0) if text.lower() == "normal" else Q(priority__gte=1),
    ),
    "partner_id": SearchIn(gettext_lazy("Customer"), lambda text: Q(partner__complete_name__icontains=text)),
    "milestone_id": SearchIn(gettext_lazy("Milestone"), lambda text: Q(milestone__name__icontains=text)),
}
SEARCH_PROJECT = {
    "project_id": SearchIn(gettext_lazy("Project"), lambda text: Q(project__name__icontains=text)),
}

GROUPS: dict[str, GroupBy] = {
    "none": GroupBy(gettext_lazy("None")),
    "stage_id": GroupBy(
        gettext_lazy("Stage"), ("stage__sequence", "stage_id"), lambda task: task.stage or _("No stage")
    ),
    "state": GroupBy(gettext_lazy("Status"), ("state",), lambda task: task.get_state_display()),
    "priority": GroupBy(gettext_lazy("Priority"), ("-priority",), lambda task: task.get_priority_display()),
    "partner_id": GroupBy(
        gettext_lazy("Customer"),
        ("partner__complete_name", "partner_id"),
        lambda task: task.partner or _("No customer"),
    ),
    "milestone_id": GroupBy(
        gettext_lazy("Milestone"), ("milestone_id",), lambda task: task.milestone or _("No milestone")
    ),
}
GROUP_PROJECT = {
    "project_id": GroupBy(
        gettext_lazy("Project"), ("project__name", "project_id"), lambda task: task.project
    ),
}


def _by_project(actor: Actor) -> Mapping[str, Choice]:
    """All tasks, or those of one project that has any."""
    tasks = visible(Task, actor).filter(active=True, project__isnull=False)
    found = (
        tasks.order_by("project__name", "project_id")
        .values_list("project_id", "project__name")
        .distinct()[:100]
    )
    choices = {"all": Choice(gettext_lazy("All"))}
    return choices | {str(pk): Choice(name, Q(project_id=pk)) for pk, name in found}


TASKS = PortalList(
    key="tasks",
    title=gettext_lazy("Tasks"),
    url="/my/tasks",
    template="projects/portal/tasks.html",
    rows=portal_tasks,
    sorts=SORTS | BY_PROJECT,
    filters=_by_project,
    searches=SEARCHES | SEARCH_PROJECT,
    groups=GROUPS | GROUP_PROJECT,
    default_group="project_id",
)
TASKS_OF_PROJECT = PortalList(
    key="tasks",
    title=gettext_lazy("Tasks"),
    url="/my/projects",
    template="projects/portal/tasks.html",
    rows=portal_tasks,
    sorts=SORTS,
    searches=SEARCHES,
    groups=GROUPS,
    default_group="stage_id",
)


# ------------------------------------------------------------------------------------------------------------- pages
@portal_page()
def projects_page(request: HttpRequest, page: int = 1) -> HttpResponse:
    return show_list(request, PROJECTS, page=page)


@portal_page(public=True)
def project_page(request: HttpRequest, pk: int, page: int = 1) -> HttpResponse:
    """The tasks of a project: those that the reader sees, or all of them for the bearer of the project's link."""
    project, by_token = _open_project(request, pk)
    token = request.GET.get("access_token", "") if by_token else ""
    rows = portal_tasks(actor_of(request)).filter(project=project)
    if by_token:
        rows = Task.objects.filter(project=project, active=True).select_related(
            "project", "stage", "milestone", "partner"
        )
    return show_list(
        request,
        TASKS_OF_PROJECT,
        page=page,
        rows=rows,
        url=f"/my/projects/{project.pk}",
        context={"project": project, "access_token": token, "task_base": f"/my/projects/{project.pk}/task"},
        crumbs=(Crumb(PROJECTS.title, PROJECTS.url), Crumb(project.name)),
        keep={"access_token": token} if token else None,
    )


@portal_page()
def tasks_page(request: HttpRequest, page: int = 1) -> HttpResponse:
    return show_list(request, TASKS, page=page, context={"task_base": "/my/tasks", "access_token": ""})


@portal_page(public=True)
def task_page(request: HttpRequest, pk: int) -> HttpResponseBase:
    task, by_token = open_document(request, Task, pk, queryset=_tasks(), via=lambda found: found.project)
    return _show_task(request, task, by_token, (Crumb(TASKS.title, TASKS.url), Crumb(task.name)))


@portal_page(public=True)
def project_task_page(request: HttpRequest, project_pk: int, pk: int) -> HttpResponseBase:
    """The same page reached through its project, whose token opens it too."""
    rows = _tasks().filter(project_id=project_pk)
    task, by_token = open_document(request, Task, pk, queryset=rows, via=lambda found: found.project)
    token = request.GET.get("access_token", "") if by_token else ""
    above = f"/my/projects/{project_pk}" + (f"?access_token={token}" if token else "")
    return _show_task(request, task, by_token, (Crumb(task.project.name, above), Crumb(task.name)))


def _tasks() -> Any:
    return Task.objects.filter(project__isnull=False).select_related(
        "project", "stage", "milestone", "partner"
    )


def _open_project(request: HttpRequest, pk: int) -> tuple[Project, bool]:
    project, by_token = open_document(request, Project, pk)
    if by_token and (project.privacy != Privacy.PORTAL or not project.active):
        raise NotVisible()
    return project, by_token


def _show_task(
    request: HttpRequest, task: Task, by_token: bool, crumbs: tuple[Crumb, ...]
) -> HttpResponseBase:
    if by_token and (task.project.privacy != Privacy.PORTAL or not task.active):
        raise NotVisible()
    parts = [] if by_token else list(visible(Task, actor_of(request)).filter(parent=task, active=True)[:100])
    return document_page(
        request,
        "projects/portal/task.html",
        task,
        {
            "task": task,
            "description": _clean(task.description),
            "assignees": assignee_names([task.pk]).get(task.pk, []),
            "parts": parts,
            "title": task.name,
        },
        by_token=by_token,
        crumbs=crumbs,
        report=TASK_SHEET,
        list_key="tasks",
    )


def _clean(text: str) -> SafeString:
    return mark_safe(sanitize_html(text)) if text else SafeString("")  # noqa: S308 - cleaned in this very line


def plural_path(request: HttpRequest, kind: str, rest: str = "") -> HttpResponse:
    """Older links say ``/my/project/…`` and ``/my/task/…``; the query comes along."""
    query = request.META.get("QUERY_STRING", "")
    return HttpResponsePermanentRedirect(f"/my/{kind}s{rest}" + (f"?{query}" if query else ""))


urlpatterns = [
    path("my/projects", projects_page, name="portal-projects"),
    path("my/projects/page/<int:page>", projects_page),
    path("my/projects/<int:pk>", project_page, name="portal-project"),
    path("my/projects/<int:pk>/page/<int:page>", project_page),
    path("my/projects/<int:project_pk>/task/<int:pk>", project_task_page, name="portal-project-task"),
    path("my/tasks", tasks_page, name="portal-tasks"),
    path("my/tasks/page/<int:page>", tasks_page),
    path("my/tasks/<int:pk>", task_page, name="portal-task"),
    re_path(r"^my/(?P<kind>project|task)(?P<rest>(?:/[^?]*)?)$", plural_path),
]
