"""The e-mail address of a project: mail to it becomes a task."""

from __future__ import annotations

from collections.abc import Sequence

from apps.chatter.models.threads import ref_of
from apps.core.actor import Actor
from apps.mail.models import Alias
from apps.mail.selectors.addresses import alias_of
from apps.mail.services.aliases import ensure_alias
from apps.projects.models import Project

TARGET = "projects.task"


def give_alias(project: Project, local_part: str, *, policy: str, actor: Actor) -> Alias | None:
    """Give the project this address, or none when ``local_part`` is empty. Renaming the project keeps it."""
    return ensure_alias(
        local_part, TARGET, owner=project, actor=actor, defaults={"project": project.pk}, policy=policy
    )


def alias_follows_company(projects: Sequence[Project], *, actor: Actor) -> None:
    """After projects changed company: their addresses make records there."""
    for project in projects:
        alias = alias_of(ref_of(project))
        if alias is not None:
            give_alias(project, alias.local_part, policy=alias.policy, actor=actor)
