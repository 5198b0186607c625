"""Stages of tasks: shared by projects, or personal ones that every employee has."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.core.actor import Actor
from apps.core.errors import Conflict
from apps.core.records import RecordService, Values, service
from apps.projects.constants import ROLE_MANAGER
from apps.projects.models import Task, TaskStage

# Name and whether it is folded, in order.
PERSONAL_STAGES = (
    (gettext_lazy("Inbox"), False),
    (gettext_lazy("Today"), False),
    (gettext_lazy("This week"), False),
    (gettext_lazy("This month"), False),
    (gettext_lazy("Later"), False),
    (gettext_lazy("Done"), True),
    (gettext_lazy("Cancelled"), True),
)


@service(TaskStage)
class TaskStageService(RecordService[TaskStage]):
    """Makes stages; one that holds tasks cannot be deleted."""

    def prepare_create(self, rows: list[Values], actor: Actor) -> None:
        """Who does not manage projects makes stages for himself."""
        for row in rows:
            if not actor.has_role(ROLE_MANAGER) and row.get("owner") is None:
                row["owner"] = actor.user_pk

    def before_delete(self, records: Sequence[TaskStage], actor: Actor) -> None:
        held = set(Task._base_manager.filter(stage__in=records).values_list("stage_id", flat=True).distinct())
        if held:
            names = ", ".join(sorted(stage.name for stage in records if stage.pk in held))
            raise Conflict(
                _("There are tasks in the stage %(names)s. Move them, or archive the stage.")
                % {"names": names},
                code="in_use",
            )


def ensure_personal_stages(user_pk: int, *, language: str = "en") -> list[TaskStage]:
    """The personal stages of an employee in order, made in his language when he has none yet."""
    held = list(TaskStage.objects.personal(user_pk).filter(active=True).order_by("sequence", "pk"))
    if held:
        return held
    with translation.override(language):
        drafts = [
            TaskStage(name=str(name), fold=fold, sequence=10 * number, owner_id=user_pk)
            for number, (name, fold) in enumerate(PERSONAL_STAGES, start=1)
        ]
    return TaskStage.objects.bulk_create(drafts)


def tasks_in(stage_pks: Collection[int]) -> int:
    """How many tasks, archived ones included, stand in these stages."""
    return Task._base_manager.filter(stage__in=stage_pks).count()
