"""Who follows projects and tasks because of what they are, and what a change of privacy takes away."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from django.db.models import Model, Q

from apps.access.constants import UserKind
from apps.chatter.models import Follower
from apps.chatter.models.threads import ref_of
from apps.chatter.services.following import add_followers
from apps.chatter.types import RecordRef
from apps.contacts.models import Partner
from apps.core.actor import Actor
from apps.projects.constants import Privacy
from apps.projects.models import Project, Task

PROJECT, TASK = "projects.project", "projects.task"


def follow(records: Sequence[Model], partner_pks: Collection[int], *, actor: Actor) -> None:
    """On behalf of the program: these contacts follow these records."""
    add_followers((ref_of(record), pk) for record in records for pk in sorted(set(partner_pks)))


def privacy_changed(projects: Sequence[Project], *, before: Mapping[int, str], actor: Actor) -> None:
    """What follows from the privacy that projects have now; ``before`` is empty for new ones.

    *Followers*: the manager follows, or nobody would see the project. *Portal*: the customers of the project and (for
    one that was closed to them) of its tasks follow. Leaving *portal*: people from outside stop following the project and
    its tasks.
    """
    managed = [p for p in projects if p.privacy == Privacy.FOLLOWERS and p.manager_id is not None]
    partners = (
        dict(
            Partner._base_manager.filter(user__in={p.manager_id for p in managed}).values_list(
                "user_id", "pk"
            )
        )
        if managed
        else {}
    )
    opened = [p for p in projects if p.privacy == Privacy.PORTAL]
    pairs = [(ref_of(p), partners[p.manager_id]) for p in managed if p.manager_id in partners]
    pairs += [(ref_of(p), p.partner_id) for p in opened if p.partner_id is not None]
    reopened = [p.pk for p in opened if p.pk in before]
    if reopened:
        customers = Task._base_manager.filter(project__in=reopened, partner__isnull=False)
        pairs += [(RecordRef(TASK, pk), partner) for pk, partner in customers.values_list("pk", "partner_id")]
    add_followers(pairs)
    closed = [p.pk for p in projects if before.get(p.pk) == Privacy.PORTAL and p.privacy != Privacy.PORTAL]
    if closed:
        drop_outsiders(closed)


def drop_outsiders(project_pks: Collection[int], *, partner_pks: Collection[int] | None = None) -> None:
    """Contacts that are no employees (or exactly ``partner_pks``) follow neither the projects nor their tasks."""
    tasks = Task._base_manager.filter(project__in=project_pks).values("pk")
    rows = Follower.objects.filter(
        Q(model=PROJECT, object_id__in=list(project_pks)) | Q(model=TASK, object_id__in=tasks)
    )
    if partner_pks is not None:
        rows = rows.filter(partner__in=partner_pks)
    else:
        rows = rows.exclude(partner__user__kind=UserKind.INTERNAL, partner__user__isnull=False)
    rows.delete()
