"""Names that the whole of ``projects`` agrees on; no queries here."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

ROLE_USER = "projects.user"
ROLE_MANAGER = "projects.manager"

NAME_LENGTH = 500

# Transaction-scoped advisory lock under which the graphs of tasks (parents, blockers) change: a cycle that two
# transactions close together is invisible to both. Taken before any row lock. The key is never used for more.
GRAPH_LOCK = 7_301_001


class Privacy(models.TextChoices):
    """Who sees a project and its tasks, besides those invited to single tasks."""

    FOLLOWERS = "followers", _("invited employees")
    EMPLOYEES = "employees", _("all employees")
    PORTAL = "portal", _("all employees and invited customers")


class TaskState(models.TextChoices):
    IN_PROGRESS = "in_progress", _("in progress")
    CHANGES_REQUESTED = "changes_requested", _("changes requested")
    APPROVED = "approved", _("approved")
    WAITING = "waiting", _("waiting")
    DONE = "done", _("done")
    CANCELLED = "cancelled", _("cancelled")


CLOSED_STATES: tuple[str, ...] = (TaskState.DONE.value, TaskState.CANCELLED.value)
OPEN_STATES: tuple[str, ...] = tuple(state for state in TaskState.values if state not in CLOSED_STATES)
# Open states that a person chooses; waiting comes and goes with the tasks that block.
ACTIVE_STATES: tuple[str, ...] = tuple(state for state in OPEN_STATES if state != TaskState.WAITING)


class Priority(models.IntegerChoices):
    NORMAL = 0, _("normal")
    HIGH = 1, _("high")
    VERY_HIGH = 2, _("very high")
    URGENT = 3, _("urgent")


class ProjectStatus(models.TextChoices):
    ON_TRACK = "on_track", _("on track")
    AT_RISK = "at_risk", _("at risk")
    OFF_TRACK = "off_track", _("off track")
    ON_HOLD = "on_hold", _("on hold")
    DONE = "done", _("complete")
    TO_DEFINE = "to_define", _("no status yet")


STATUS_COLORS: dict[str, str] = {
    ProjectStatus.ON_TRACK.value: "green",
    ProjectStatus.AT_RISK.value: "orange",
    ProjectStatus.OFF_TRACK.value: "red",
    ProjectStatus.ON_HOLD.value: "blue",
    ProjectStatus.DONE.value: "purple",
    ProjectStatus.TO_DEFINE.value: "grey",
}

# Fields that a portal user who shares a project may write (everything else is refused by the service).
PORTAL_WRITABLE: frozenset[str] = frozenset(
    {
        "name",
        "description",
        "partner",
        "date_deadline",
        "tags",
        "sequence",
        "stage",
        "parent",
        "priority",
        "state",
    }
)

# A private to-do without a name takes the beginning of its description.
UNTITLED = _("Untitled to-do")
UNTITLED_LENGTH = 100
NO_SUBJECT = _("No Subject")
