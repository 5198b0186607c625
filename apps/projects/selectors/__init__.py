"""Reads of projects and tasks."""

from apps.projects.selectors.projects import (
    completion_text,
    milestone_figures,
    project_counts,
    task_counts_of,
)
from apps.projects.selectors.tasks import (
    descendants_of,
    first_stages,
    open_blocker_counts,
    part_counts,
)

__all__ = [
    "completion_text",
    "descendants_of",
    "first_stages",
    "milestone_figures",
    "open_blocker_counts",
    "part_counts",
    "project_counts",
    "task_counts_of",
]
