"""The pages of a module, as its ``portal.py`` would have them: a list and a document page of tasks. They stand on the
portal's base only, so that its tests do not depend on how another app draws its pages."""

from __future__ import annotations

from typing import Any

from django.db.models import Q
from django.http import HttpRequest, HttpResponseBase
from django.urls import path

from apps.core.actor import Actor
from apps.core.errors import Conflict
from apps.core.rules import visible
from apps.portal.base import (
    Choice,
    Crumb,
    GroupBy,
    PortalList,
    SearchIn,
    Sort,
    document_page,
    open_document,
    portal_page,
    show_list,
)
from apps.projects.models import Project, Task
from erp_project.urls import urlpatterns as project_urls


def rows(actor: Actor) -> Any:
    return visible(Task, actor).select_related("stage", "project")


def filters(actor: Actor) -> dict[str, Choice]:
    shown = visible(Project, actor).order_by("name").values_list("pk", "name")
    return {"all": Choice("All"), **{str(pk): Choice(name, Q(project=pk)) for pk, name in shown}}


TASKS = PortalList(
    key="samples",
    title="Samples",
    url="/my/samples",
    template="portal/list.html",
    rows=rows,
    sorts={"date": Sort("Newest", ("-created_at",)), "name": Sort("Name", ("name",))},
    filters=filters,
    searches={
        "name": SearchIn("Name", lambda text: Q(name__icontains=text)),
        "customer": SearchIn("Customer", lambda text: Q(partner__name__icontains=text)),
    },
    groups={
        "none": GroupBy("None"),
        "stage": GroupBy("Stage", ("stage__sequence",), lambda task: task.stage),
    },
)


@portal_page()
def sample_list(request: HttpRequest, page: int = 1) -> HttpResponseBase:
    return show_list(request, TASKS, page=page)


@portal_page(public=True)
def sample(request: HttpRequest, pk: int) -> HttpResponseBase:
    task, by_token = open_document(request, Task, pk, via=lambda task: task.project)
    return document_page(
        request,
        "portal/document.html",
        task,
        {"title": task.name},
        by_token=by_token,
        crumbs=(Crumb("Samples", "/my/samples"), Crumb(task.name)),
        report="dummy.task" if request.GET.get("report_type") else "",
        list_key="samples",
    )


@portal_page()
def refused(request: HttpRequest) -> HttpResponseBase:
    raise Conflict("This is settled already.")


urlpatterns = [
    path("my/samples", sample_list),
    path("my/samples/page/<int:page>", sample_list),
    path("my/samples/<int:pk>", sample),
    path("my/refused", refused),
    *project_urls,
]
