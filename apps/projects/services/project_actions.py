"""What people do to projects: favourites, status, e-mail address, sharing."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib.auth.models import Permission
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.access.models import User
from apps.contacts.models import Partner
from apps.core.actions import action
from apps.core.actor import Actor, system_actor
from apps.core.errors import ValidationFailed
from apps.core.links import check_targets, pk_of
from apps.core.records import service_for
from apps.projects.constants import Privacy, ProjectStatus
from apps.projects.dates import today_of
from apps.projects.models import Project, ProjectCollaborator, ProjectUpdate, ProjectUserObjectPermission
from apps.projects.services.aliases import give_alias
from apps.projects.services.assignees import check_assignable
from apps.projects.services.followers import drop_outsiders, follow

READ, EDIT_FOLLOWED, EDIT = "read", "edit_limited", "edit"


@action(Project, permission="favourite", title=gettext_lazy("Favourite"), icon="star")
def toggle_favourite(projects: Sequence[Project], *, actor: Actor) -> None:
    """Put the projects on one's own list of favourites, or take those off that are on it."""
    if actor.user_pk is None:
        raise ValidationFailed(_("Only somebody who is signed in has favourites."))
    links = Project.favourite_of.through
    mine = links.objects.filter(user_id=actor.user_pk, project__in=projects)
    held = set(mine.values_list("project_id", flat=True))
    mine.delete()
    links.objects.bulk_create(
        [links(project_id=p.pk, user_id=actor.user_pk) for p in projects if p.pk not in held],
        ignore_conflicts=True,
    )


@action(Project, permission="change", title=gettext_lazy("Set status"), icon="monitoring")
def set_status(
    projects: Sequence[Project], *, actor: Actor, status: str, name: str = "", description: str = ""
) -> None:
    """Report how the projects stand: makes a project update."""
    if status not in ProjectStatus.values or status == ProjectStatus.TO_DEFINE:
        raise ValidationFailed(fields={"status": [_("Choose a status.")]})
    title = name or _("Status update – %(date)s") % {"date": date_format(today_of(actor))}
    rows = [{"project": p.pk, "name": title, "status": status, "description": description} for p in projects]
    service_for(ProjectUpdate).create(rows, actor=actor)
    # The update wrote the mirror on rows of its own; the caller's instances show it too.
    for project in projects:
        project.refresh_from_db(fields=["last_update", "last_status"])


@action(
    Project, permission="change", title=gettext_lazy("E-mail address"), icon="alternate_email", bulk=False
)
def set_alias(
    projects: Sequence[Project], *, actor: Actor, local_part: str, policy: str = "everyone"
) -> None:
    """Mail to this address becomes a task of the project. ``policy``: everyone, partners or followers. An empty
    local part takes the address away."""
    for project in projects:
        give_alias(project, local_part, policy=policy, actor=actor)


@action(Project, permission="share", title=gettext_lazy("Share with contacts"), icon="share")
def share(projects: Sequence[Project], *, actor: Actor, partners: list[Partner], mode: str = READ) -> None:
    """Open the projects to contacts in the portal. ``mode``: ``read`` (what they follow), ``edit_limited`` (edit
    what they follow) or ``edit`` (edit all tasks). The contacts follow the project, whose privacy becomes *portal*."""
    if mode not in (READ, EDIT_FOLLOWED, EDIT):
        raise ValidationFailed(fields={"mode": [_("Choose read, edit_limited or edit.")]})
    pks = sorted({pk_of(partner) for partner in partners})
    check_targets(ProjectCollaborator, {"partner": pks}, actor)
    closed = [project for project in projects if project.privacy != Privacy.PORTAL]
    if closed:
        for project in service_for(Project).update(closed, {"privacy": Privacy.PORTAL}, actor=_for(actor)):
            next(p for p in closed if p.pk == project.pk).privacy = Privacy.PORTAL
    held = ProjectCollaborator.objects.filter(project__in=projects, partner__in=pks)
    if mode == READ:
        held.delete()
    else:
        rows = [
            ProjectCollaborator(
                project_id=project.pk,
                partner_id=pk,
                limited=mode == EDIT_FOLLOWED,
                created_by_id=actor.user_pk,
                updated_by_id=actor.user_pk,
            )
            for project in projects
            for pk in pks
        ]
        ProjectCollaborator.objects.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["project", "partner"],
            update_fields=["limited", "updated_by"],
        )
    follow(projects, pks, actor=actor)


@action(Project, permission="share", title=gettext_lazy("Stop sharing with contacts"), icon="link_off")
def unshare(projects: Sequence[Project], *, actor: Actor, partners: list[Partner]) -> None:
    """The contacts edit the projects no more and follow neither them nor their tasks."""
    pks = {pk_of(partner) for partner in partners}
    ProjectCollaborator.objects.filter(project__in=projects, partner__in=pks).delete()
    drop_outsiders([project.pk for project in projects], partner_pks=pks)


@action(Project, permission="share", title=gettext_lazy("Share with employees"), icon="group_add")
def share_with_employees(
    projects: Sequence[Project], *, actor: Actor, users: list[User], edit: bool = False, remove: bool = False
) -> None:
    """Show the projects to single employees who do not follow them, or let them edit; or take that back."""
    pks = sorted({pk_of(user) for user in users})
    check_assignable(pks)
    grants = ProjectUserObjectPermission.objects.filter(content_object__in=projects, user__in=pks)
    if remove:
        grants.delete()
        return
    codename = "change_project" if edit else "view_project"
    permission = Permission.objects.get(content_type__app_label="projects", codename=codename)
    grants.exclude(permission=permission).delete()
    ProjectUserObjectPermission.objects.bulk_create(
        [
            ProjectUserObjectPermission(content_object_id=project.pk, user_id=pk, permission=permission)
            for project in projects
            for pk in pks
        ],
        ignore_conflicts=True,
    )


def _for(actor: Actor) -> Actor:
    """The system on behalf of the actor: sharing implies the change of privacy, whoever may share."""
    return system_actor(
        company_pk=actor.company_pk, company_pks=actor.company_pks, user_pk=actor.user_pk, name=actor.name
    )
