"""Who works on tasks: only employees are assigned; they follow the task and are told."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from django.utils import timezone
from django.utils.translation import gettext as _

from apps.access.constants import UserKind
from apps.access.models import User
from apps.core.actor import Actor
from apps.core.errors import ValidationFailed
from apps.core.unit_of_work import emit, unit_of_work
from apps.projects.events import TaskAssigned
from apps.projects.models import Task, TaskAssignee
from apps.projects.services.writing import in_groups, write_tasks


def check_assignable(user_pks: Collection[int]) -> None:
    """New assignees are active employees. One query."""
    if not user_pks:
        return
    found = User.objects.filter(pk__in=user_pks, kind=UserKind.INTERNAL, active=True).values_list(
        "pk", flat=True
    )
    refused = sorted(set(user_pks) - set(found))
    if refused:
        text = _("Only active employees can be assigned; not so: %(pks)s.") % {
            "pks": ", ".join(map(str, refused))
        }
        raise ValidationFailed(fields={"assignees": [text]})


def assignees_of(task_pks: Iterable[int]) -> dict[int, set[int]]:
    """Primary keys of the assigned users by task. One query."""
    held: dict[int, set[int]] = {pk: set() for pk in task_pks}
    for task_pk, user_pk in TaskAssignee.objects.filter(task__in=list(held)).values_list(
        "task_id", "user_id"
    ):
        held[task_pk].add(user_pk)
    return held


def set_assignees(
    tasks: Sequence[Task], user_pks: Collection[int], *, actor: Actor, keep: bool = False
) -> None:
    """Make these users the assignees of locked tasks, besides those who are when ``keep``. For the actions."""
    held = assignees_of(task.pk for task in tasks)
    wanted = {pk: set(user_pks) | (users if keep else set()) for pk, users in held.items()}
    check_assignable({user_pk for pk in held for user_pk in wanted[pk] - held[pk]})
    with unit_of_work(actor) as work:
        if not keep:
            links = TaskAssignee.objects.filter(task__in=list(held))
            links.exclude(user__in=set(user_pks)).delete()
        TaskAssignee.objects.bulk_create(
            [
                TaskAssignee(task_id=pk, user_id=user)
                for pk in sorted(held)
                for user in sorted(wanted[pk] - held[pk])
            ],
            ignore_conflicts=True,
        )
        for task in tasks:
            if held[task.pk] != wanted[task.pk]:
                work.track(task, {"assignees": sorted(held[task.pk])}, {"assignees": sorted(wanted[task.pk])})
        stamp_assignment(tasks, held, wanted, actor)
    announce_assignees(tasks, {pk: wanted[pk] - held[pk] for pk in held}, actor=actor)


def stamp_assignment(
    tasks: Sequence[Task], held: Mapping[int, set[int]], wanted: Mapping[int, set[int]], actor: Actor
) -> None:
    """``date_assign`` says since when anybody has been assigned; it goes with the last assignee."""
    now = timezone.now()
    changed = [(t, now if wanted[t.pk] else None) for t in tasks if bool(held[t.pk]) != bool(wanted[t.pk])]
    for moment, group in in_groups(changed).items():
        write_tasks(group, {"date_assign": moment}, actor, bump=False)


def announce_assignees(tasks: Sequence[Task], added: Mapping[int, Collection[int]], *, actor: Actor) -> None:
    """Store the event that makes new assignees followers and tells them (see ``handlers``)."""
    pairs = [(task.pk, user_pk) for task in tasks for user_pk in sorted(added.get(task.pk, ()))]
    if pairs:
        task_pks, user_pks = (tuple(column) for column in zip(*pairs, strict=True))
        emit(TaskAssigned(task_pks, user_pks, actor.company_pk), actor=actor)
