"""Builders of the projects' documents. They read and never write."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from apps.access.models import Company
from apps.chatter.models import Message
from apps.core.actor import Actor
from apps.core.errors import NotVisible
from apps.projects.models import Task

MESSAGES = 30


def task_sheet(pks: Sequence[int], *, actor: Actor) -> dict[str, Any]:
    """Tasks with customer, people, description, sub-tasks and the public part of their threads (the newest 30
    messages). Rights were checked by whoever asked; internal notes are never printed."""
    tasks = list(
        Task._base_manager.filter(pk__in=pks)
        .select_related("project", "stage", "partner", "milestone", "company")
        .prefetch_related("assignees", "tags", "children__stage")
        .order_by("pk")
    )
    if not tasks:
        raise NotVisible()
    threads = {task.pk: _thread(task.pk) for task in tasks}
    company = (
        tasks[0].company or Company.objects.filter(pk=actor.company_pk).select_related("country").first()  # type: ignore[misc]
    )
    return {"sheets": [(task, threads[task.pk]) for task in tasks], "company": company}


def _thread(pk: int) -> list[Message]:
    newest = (
        Message.objects.of_record("projects.task", pk)
        .public()
        .exclude(body="")
        .filter(removed_at__isnull=True)
        .select_related("author")
        .order_by("-pk")[:MESSAGES]
    )
    return list(newest)[::-1]
