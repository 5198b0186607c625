"""Who sees which projects and tasks.

An employee sees a project unless it is for invited employees and he neither follows it nor was given it. He sees the
tasks of those projects, and single tasks that he follows or works on, wherever they are; that reveals nothing else of
the project. A manager sees every project and every task in one, but nobody's private to-dos. A portal user sees
what his organisation follows in projects that are open to the portal; he changes tasks only where the project is
shared with him for editing.

Subqueries are not correlated where a set is small (projects, followed tasks), so PostgreSQL hashes them once a query.
"""

from __future__ import annotations

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.expressions import RawSQL

from apps.chatter.models import Follower
from apps.core.actor import INTERNAL, PORTAL, Actor
from apps.core.rules import rule, visible
from apps.projects.constants import ROLE_MANAGER, ROLE_USER, Privacy
from apps.projects.models import (
    Milestone,
    Project,
    ProjectCollaborator,
    ProjectTag,
    ProjectUpdate,
    ProjectUserObjectPermission,
    Task,
    TaskAssignee,
    TaskStage,
    TaskStageHistory,
)

NOTHING = Q(pk__in=())
EVERYTHING = Q()

# A contact, the contacts below it, and those below them: what "of my organisation" means for followers.
_SUBTREE = """
WITH RECURSIVE below(id) AS (
    SELECT %s::bigint UNION SELECT p.id FROM contacts_partner p JOIN below ON p.parent_id = below.id
) SELECT id FROM below
"""


def followed_by(actor: Actor, model: str) -> QuerySet[Follower]:
    """Followers of records of one kind that count as the actor: himself, or anybody of his organisation."""
    rows = Follower.objects.filter(model=model)
    if actor.kind == PORTAL:
        top = actor.commercial_partner_pk or actor.partner_pk
        return rows.filter(partner_id__in=RawSQL(_SUBTREE, [top]))  # noqa: S611 - a constant statement
    return rows.filter(partner_id=actor.partner_pk)  # type: ignore[misc]


def _pks_followed(actor: Actor, model: str) -> QuerySet[Follower]:
    return followed_by(actor, model).values("object_id")  # type: ignore[return-value]


def _shared_with(actor: Actor, *codenames: str) -> QuerySet[ProjectUserObjectPermission]:
    """Projects given to this very employee, through django-guardian's table with a direct foreign key."""
    rows = ProjectUserObjectPermission.objects.filter(  # type: ignore[misc]
        user_id=actor.user_pk, permission__codename__in=codenames
    )
    return rows.values("content_object_id")  # type: ignore[return-value]


def _assigned(actor: Actor) -> QuerySet[TaskAssignee]:
    return TaskAssignee.objects.filter(user_id=actor.user_pk).values("task_id")  # type: ignore[misc, return-value]


# -------------------------------------------------------------------------------------------------------- projects
@rule(Project, kinds=(INTERNAL,), ops=("view", "favourite"))
def projects_open_or_followed(actor: Actor, op: str) -> Q:
    return (
        ~Q(privacy=Privacy.FOLLOWERS)
        | Q(pk__in=_pks_followed(actor, "projects.project"))
        | Q(pk__in=_shared_with(actor, "view_project", "change_project"))
    )


@rule(Project, roles=(ROLE_USER,), ops=("change",))
def projects_given_for_editing(actor: Actor, op: str) -> Q:
    return Q(pk__in=_shared_with(actor, "change_project"))


@rule(Project, roles=(ROLE_MANAGER,))
def managers_have_all_projects(actor: Actor, op: str) -> Q:
    return EVERYTHING


@rule(Project, kinds=(PORTAL,), ops=("view",))
def portal_projects_followed_by_my_organisation(actor: Actor, op: str) -> Q:
    return Q(privacy=Privacy.PORTAL, active=True, pk__in=_pks_followed(actor, "projects.project"))


# ----------------------------------------------------------------------------------------------------------- tasks
def _tasks_of_employee(actor: Actor) -> Q:
    projects = Project.objects.filter(projects_open_or_followed(actor, "view"))
    return (
        Q(project__in=projects.values("pk"))
        | Q(pk__in=_pks_followed(actor, "projects.task"))
        | Q(pk__in=_assigned(actor))
    )


@rule(Task, kinds=(INTERNAL,), ops=("view",))
def tasks_of_visible_projects_or_mine(actor: Actor, op: str) -> Q:
    return _tasks_of_employee(actor)


@rule(Task, roles=(ROLE_USER,))
def users_work_on_tasks_they_see(actor: Actor, op: str) -> Q:
    return _tasks_of_employee(actor)


@rule(Task, roles=(ROLE_MANAGER,))
def managers_have_all_but_private_tasks(actor: Actor, op: str) -> Q:
    return Q(project__isnull=False) | Q(pk__in=_assigned(actor))


def _collaborations(actor: Actor, **kwargs: bool) -> QuerySet[ProjectCollaborator]:
    return ProjectCollaborator.objects.filter(partner_id=actor.partner_pk, **kwargs).values("project_id")  # type: ignore[misc, return-value]


def _open_to_portal() -> QuerySet[Project]:
    return Project.objects.filter(privacy=Privacy.PORTAL, active=True).values("pk")  # type: ignore[return-value]


@rule(Task, kinds=(PORTAL,), ops=("view",))
def portal_tasks_followed_or_shared(actor: Actor, op: str) -> Q:
    mine = Q(pk__in=_pks_followed(actor, "projects.task")) | Q(
        project__in=_collaborations(actor, limited=False)
    )
    return Q(active=True, project__in=_open_to_portal()) & mine


@rule(Task, kinds=(PORTAL,), ops=("change",))
def portal_tasks_shared_for_editing(actor: Actor, op: str) -> Q:
    followed = Q(
        pk__in=_pks_followed(actor, "projects.task"), project__in=_collaborations(actor, limited=True)
    )
    return Q(active=True, project__in=_open_to_portal()) & (
        followed | Q(project__in=_collaborations(actor, limited=False))
    )


@rule(Task, kinds=(PORTAL,), ops=("add",))
def portal_tasks_in_shared_projects(actor: Actor, op: str) -> Q:
    return Q(active=True, project__in=_open_to_portal()) & Q(project__in=_collaborations(actor))


# ---------------------------------------------------------------------------------------------------------- stages
@rule(TaskStage, kinds=(INTERNAL,), ops=("view",))
def stages_of_projects_and_my_own(actor: Actor, op: str) -> Q:
    return Q(owner__isnull=True) | Q(owner_id=actor.user_pk)


@rule(TaskStage, roles=(ROLE_USER,), ops=("add", "change", "delete"))
def my_own_stages(actor: Actor, op: str) -> Q:
    return Q(owner_id=actor.user_pk)


@rule(TaskStage, roles=(ROLE_MANAGER,))
def managers_keep_the_stages_of_projects(actor: Actor, op: str) -> Q:
    return Q(owner__isnull=True) | Q(owner_id=actor.user_pk)


@rule(TaskStage, kinds=(PORTAL,), ops=("view",))
def stages_of_projects(actor: Actor, op: str) -> Q:
    return Q(owner__isnull=True)


@rule(ProjectTag, kinds=(INTERNAL,))
def tags_for_employees(actor: Actor, op: str) -> Q:
    return EVERYTHING


@rule(ProjectTag, kinds=(PORTAL,), ops=("view",))
def tags_for_the_portal(actor: Actor, op: str) -> Q:
    return EVERYTHING


# ------------------------------------------------------------------------------------------- what hangs on projects
@rule(Milestone, kinds=(INTERNAL,))
def milestones_of_visible_projects(actor: Actor, op: str) -> Q:
    return Q(project__in=visible(Project, actor).values("pk"))


@rule(Milestone, kinds=(PORTAL,), ops=("view",))
def milestones_of_shared_projects(actor: Actor, op: str) -> Q:
    return Q(project__in=_open_to_portal()) & Q(project__in=_collaborations(actor))


@rule(ProjectUpdate, kinds=(INTERNAL,))
def updates_of_visible_projects_or_mine(actor: Actor, op: str) -> Q:
    mine = Q(author_id=actor.user_pk) | Q(project__manager_id=actor.user_pk)
    in_my_companies = Q(project__company__isnull=True) | Q(project__company_id__in=actor.company_pks)
    return Q(project__in=visible(Project, actor).values("pk")) | (mine & in_my_companies)


@rule(ProjectCollaborator, kinds=(INTERNAL,))
def collaborators_of_visible_projects(actor: Actor, op: str) -> Q:
    return Q(project__in=visible(Project, actor).values("pk"))


@rule(ProjectCollaborator, kinds=(PORTAL,), ops=("view",))
def my_own_collaborations(actor: Actor, op: str) -> Q:
    return Q(partner_id=actor.partner_pk) if actor.partner_pk else NOTHING


@rule(TaskStageHistory, kinds=(INTERNAL,), ops=("view",))
def moves_of_visible_tasks(actor: Actor, op: str) -> Q:
    return Q(Exists(visible(Task, actor).filter(pk=OuterRef("task_id"))))
