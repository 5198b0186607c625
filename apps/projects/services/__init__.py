"""Writes of projects and tasks; importing this registers the services and actions."""

from apps.projects.services.assignees import set_assignees
from apps.projects.services.intake import TaskTarget
from apps.projects.services.milestones import MilestoneService
from apps.projects.services.project_actions import set_alias, set_status, share, toggle_favourite, unshare
from apps.projects.services.projects import ProjectService, ensure_access_token
from apps.projects.services.quick_create import parse_quick, quick_create
from apps.projects.services.stages import TaskStageService, ensure_personal_stages
from apps.projects.services.task_actions import (
    approve,
    assign,
    assign_to_me,
    cancel,
    mark_done,
    move_stage,
    reopen,
    request_changes,
    resume,
)
from apps.projects.services.tasks import TaskService
from apps.projects.services.updates import ProjectUpdateService
from apps.projects.services.waiting import refresh_waiting

__all__ = [
    "MilestoneService",
    "ProjectService",
    "ProjectUpdateService",
    "TaskService",
    "TaskStageService",
    "TaskTarget",
    "approve",
    "assign",
    "assign_to_me",
    "cancel",
    "ensure_access_token",
    "ensure_personal_stages",
    "mark_done",
    "move_stage",
    "parse_quick",
    "quick_create",
    "refresh_waiting",
    "reopen",
    "request_changes",
    "resume",
    "set_alias",
    "set_assignees",
    "set_status",
    "share",
    "toggle_favourite",
    "unshare",
]
