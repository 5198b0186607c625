"""What customers see of projects and tasks: counters of the portal's home page, and the rows of its lists."""

from __future__ import annotations

from django.db.models import QuerySet

from apps.core.actor import Actor
from apps.core.rules import visible
from apps.projects.models import Project, Task


def portal_projects(actor: Actor) -> QuerySet[Project]:
    return visible(Project, actor).filter(active=True).select_related("partner")


def portal_tasks(actor: Actor) -> QuerySet[Task]:
    """Tasks in projects; an employee's private to-dos are no business of the portal."""
    return (
        visible(Task, actor)
        .filter(active=True, project__isnull=False)
        .select_related("project", "stage", "milestone", "partner")
    )


def project_count(actor: Actor) -> int:
    return portal_projects(actor).count()


def task_count(actor: Actor) -> int:
    return portal_tasks(actor).count()
