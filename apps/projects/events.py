"""What happened to projects and tasks. Handlers run on a worker after commit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from apps.core.events import Event


@dataclass(frozen=True)
class TaskClosed(Event):
    """Tasks were marked as done or cancelled."""

    name: ClassVar[str] = "projects.TaskClosed"
    pks: tuple[int, ...]
    company_pk: int | None = None


@dataclass(frozen=True)
class TaskReopened(Event):
    """Closed tasks were opened again."""

    name: ClassVar[str] = "projects.TaskReopened"
    pks: tuple[int, ...]
    company_pk: int | None = None


@dataclass(frozen=True)
class TaskStateChanged(Event):
    """Tasks went from one open state to another, by a person or because of the tasks that block them."""

    name: ClassVar[str] = "projects.TaskStateChanged"
    pks: tuple[int, ...]
    state: str
    company_pk: int | None = None


@dataclass(frozen=True)
class TaskStageChanged(Event):
    """Tasks entered a stage (``None``: they have none any more)."""

    name: ClassVar[str] = "projects.TaskStageChanged"
    pks: tuple[int, ...]
    stage_pk: int | None
    company_pk: int | None = None


@dataclass(frozen=True)
class TaskAssigned(Event):
    """Users were assigned to tasks: pairs as two tuples of equal length."""

    name: ClassVar[str] = "projects.TaskAssigned"
    task_pks: tuple[int, ...]
    user_pks: tuple[int, ...]
    company_pk: int | None = None


@dataclass(frozen=True)
class TaskMoved(Event):
    """Tasks moved to another project (``None``: they became private)."""

    name: ClassVar[str] = "projects.TaskMoved"
    pks: tuple[int, ...]
    project_pk: int | None
    company_pk: int | None = None


@dataclass(frozen=True)
class BlockersChanged(Event):
    """Whether these tasks wait must be looked at again: they were in use when their blockers changed."""

    name: ClassVar[str] = "projects.BlockersChanged"
    pks: tuple[int, ...]


@dataclass(frozen=True)
class ProjectArchived(Event):
    """Projects were archived, or taken back from the archive, with their tasks."""

    name: ClassVar[str] = "projects.ProjectArchived"
    pks: tuple[int, ...]
    active: bool
    company_pk: int | None = None
