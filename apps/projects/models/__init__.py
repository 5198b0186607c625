"""Projects, their stages and milestones, and the tasks in them."""

from apps.projects.models.project import (
    Milestone,
    Project,
    ProjectCollaborator,
    ProjectStage,
    ProjectTag,
    ProjectTaskStage,
    ProjectUpdate,
    ProjectUserObjectPermission,
)
from apps.projects.models.stage import TaskStage
from apps.projects.models.task import Task, TaskAssignee, TaskDependency, TaskStageHistory

__all__ = [
    "Milestone",
    "Project",
    "ProjectCollaborator",
    "ProjectStage",
    "ProjectTag",
    "ProjectTaskStage",
    "ProjectUpdate",
    "ProjectUserObjectPermission",
    "Task",
    "TaskAssignee",
    "TaskDependency",
    "TaskStage",
    "TaskStageHistory",
]
