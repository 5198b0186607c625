"""Actions as REST offers them: those that services declare, and archiving, which every archivable record has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Model, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.api.bodies import read_inputs
from apps.api.output import result_value
from apps.api.plan import Plan
from apps.core.actions import Action, InputSpec
from apps.core.actor import PORTAL, PUBLIC, Actor
from apps.core.errors import BusinessError, NotVisible, PermissionDenied, StaleVersion
from apps.core.records import service_for
from apps.core.unit_of_work import unit_of_work

Outcome = dict[Any, tuple[Any, BusinessError | None]]


@dataclass(frozen=True)
class Command:
    """One thing to do to records of a kind. ``action`` is empty for archiving and taking back out."""

    model: type[Model]
    name: str
    title: Any
    help: str
    permission: str
    inputs: tuple[InputSpec, ...]
    bulk: bool
    portal: bool
    source: frozenset[str] | None
    target: str | None
    action: Action | None = None
    archives: bool | None = None

    def available(self, record: Model, actor: Actor) -> bool:
        """Whether to offer it on this record; no query."""
        if self.action is not None:
            return self.action.available(record, actor)
        return actor.can(self.model, self.permission) and bool(record.active) == self.archives  # type: ignore[attr-defined]

    def require(self, actor: Actor) -> None:
        """403 unless the actor could do it to some record."""
        if actor.kind in (PORTAL, PUBLIC) and not self.portal:
            raise PermissionDenied(
                _("You may not do this."), rule=f"action {self.name} is not for people from outside"
            )
        actor.require(self.model, self.permission)

    def read(self, body: Mapping[str, Any], actor: Actor) -> dict[str, Any]:
        return read_inputs(self.inputs, body, actor)

    def run(
        self,
        pks: Sequence[Any],
        *,
        actor: Actor,
        inputs: Mapping[str, Any],
        expected_version: int | None = None,
    ) -> Any:
        """Do it to all records or none; answers what the action answers, as JSON."""
        if self.action is not None:
            return result_value(
                self.action(list(pks), actor=actor, expected_version=expected_version, **inputs)
            )
        writer = service_for(self.model)
        with unit_of_work(actor):
            records = writer.lock(list(pks), actor, self.permission)
            if expected_version is not None and any(record.version != expected_version for record in records):  # type: ignore[attr-defined]
                raise StaleVersion()
            (writer.archive if self.archives else writer.unarchive)(records, actor=actor)
        return None

    def run_each(
        self, rows: QuerySet[Any], pks: Sequence[int], *, actor: Actor, inputs: Mapping[str, Any]
    ) -> Outcome:
        """Do it to each record on its own account.

        All are first tried together, which takes as few statements as one; only when one refuses does each get its own
        unit of work, so that one bad record does not hold up the others.
        """
        seen = set(rows.filter(pk__in=pks).values_list("pk", flat=True))
        outcome: Outcome = {pk: (None, NotVisible()) for pk in pks if pk not in seen}
        wanted = [pk for pk in pks if pk in seen]
        if not wanted:
            return outcome
        try:
            result = self.run(wanted, actor=actor, inputs=inputs)
        except BusinessError as exc:
            if len(wanted) == 1:
                return outcome | {wanted[0]: (None, exc)}
        else:
            return outcome | {pk: (result if len(wanted) == 1 else None, None) for pk in wanted}
        for pk in wanted:
            try:
                outcome[pk] = (self.run([pk], actor=actor, inputs=inputs), None)
            except BusinessError as exc:
                outcome[pk] = (None, exc)
        return outcome


def _of_action(action: Action) -> Command:
    return Command(
        model=action.model,
        name=action.name,
        title=action.title,
        help=action.help,
        permission=action.permission,
        inputs=action.inputs,
        bulk=action.bulk,
        portal=action.portal,
        source=action.source,
        target=action.target,
        action=action,
    )


def commands_of(plan: Plan) -> list[Command]:
    """All commands of a resource, in order of declaration."""
    found = [_of_action(action) for action in plan.actions]
    if plan.archivable and "update" in plan.resource.operations:
        named = {command.name for command in found}
        pairs = (
            (
                "archive",
                gettext_lazy("Archive"),
                True,
                "Take the record out of lists and choices; links to it stay.",
            ),
            (
                "unarchive",
                gettext_lazy("Take out of the archive"),
                False,
                "Show an archived record in lists again.",
            ),
        )
        found += [
            Command(plan.model, name, title, text, "change", (), True, False, None, None, archives=archives)
            for name, title, archives, text in pairs
            if name not in named
        ]
    return found


def available_names(plan: Plan, record: Model, actor: Actor) -> list[str]:
    return [command.name for command in commands_of(plan) if command.available(record, actor)]
