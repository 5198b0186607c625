"""Actions: what a user does to documents, declared once and offered through every interface.

``@action`` wraps a service function. The wrapper opens the unit of work, locks the rows in primary-key order,
checks permission, record rule, version and source state, runs the veto hooks, runs the body over the whole set,
writes the target state and version in one statement, tracks changes and stores the event. An action that PostgreSQL
ends because of a deadlock is run again, when it is not part of a larger transaction. From the same declaration come the admin button, the REST and RPC calls, the automation step and the conformance tests.
"""

from __future__ import annotations

import dataclasses
import datetime
import inspect
import types
import typing
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeVar

from django.db import OperationalError, connection, models
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.core.actor import Actor
from apps.core.errors import StaleVersion, ValidationFailed, WrongState
from apps.core.events import Event
from apps.core.hooks import before_action
from apps.core.models.base import options_of
from apps.core.records import service_for
from apps.core.rules import has_rows, visible
from apps.core.unit_of_work import unit_of_work

M = TypeVar("M", bound=models.Model)
DEADLOCK = "40P01"
ATTEMPTS = 4  # of an action that is chosen as the victim of a deadlock
INPUT_TYPES: tuple[Any, ...] = (str, int, bool, Decimal, datetime.date, datetime.datetime, dict)


@dataclass(frozen=True, slots=True)
class InputSpec:
    """One input of an action: name, plain type (or a model class for a link), whether many, required, default."""

    name: str
    type: Any
    many: bool
    required: bool
    nullable: bool
    default: Any = None


@dataclass(frozen=True)
class Action:
    """A declared action. Call it with instances, a queryset or primary keys, ``actor=`` and its inputs."""

    model: type[models.Model]
    name: str
    title: Any
    body: Callable[..., Any]
    permission: str
    source: frozenset[str] | None
    target: str | None
    state_field: str
    event: type[Event] | None
    inputs: tuple[InputSpec, ...]
    help: str
    dangerous: bool = False
    portal: bool = False
    bulk: bool = True
    icon: str = ""
    condition: Callable[[Any, Actor], bool] | None = None
    saves_state: bool = False

    @property
    def label(self) -> str:
        return f"{self.model._meta.label_lower}.{self.name}"

    def available(self, record: models.Model, actor: Actor) -> bool:
        """Whether to offer the action on a record: permission, state and condition; no query. The row rule is
        checked when it is called."""
        if not actor.can(self.model, self.permission) or (
            actor.kind in ("portal", "public") and not self.portal
        ):
            return False
        if self.source is not None and getattr(record, self.state_field) not in self.source:
            return False
        return self.condition is None or self.condition(record, actor)

    def __call__(
        self,
        records: Any,
        *,
        actor: Actor,
        expected_version: int | None = None,
        **inputs: Any,
    ) -> Any:
        actor.require(self.model, self.permission)
        pks = _primary_keys(records)
        outermost = not connection.in_atomic_block
        for attempt in range(1, ATTEMPTS + 1):
            try:
                locked, result = self._run(pks, expected_version, inputs, actor)
                break
            except OperationalError as exc:
                # PostgreSQL ended one of two that waited for each other; nothing of it happened, and the other is done now.
                if not outermost or attempt == ATTEMPTS or getattr(exc.__cause__, "sqlstate", "") != DEADLOCK:
                    raise
        _copy_back(records, locked)
        return result

    def _run(
        self, pks: list[Any], expected_version: int | None, inputs: Mapping[str, Any], actor: Actor
    ) -> tuple[list[Any], Any]:
        """One attempt, in one unit of work: the locked records and what the body answered."""
        bound = self._bind(inputs, actor)
        with unit_of_work(actor) as work:
            locked = service_for(self.model).lock(pks, actor, self.permission) if pks else []
            if expected_version is not None and any(
                getattr(record, "version", expected_version) != expected_version for record in locked
            ):
                raise StaleVersion()
            self._check_state(locked)
            before_action.run(action=self, records=locked, inputs=bound, actor=actor)
            tracked = self._tracked_fields()
            before = {record.pk: {n: getattr(record, a) for n, a in tracked.items()} for record in locked}
            result = self.body(locked, actor=actor, **bound)
            if not self.saves_state:
                self._write_state(locked, actor)
            for record in locked:
                after = {n: getattr(record, a) for n, a in tracked.items()}
                changed = {n: v for n, v in after.items() if v != before[record.pk][n]}
                if changed:
                    work.track(record, before[record.pk], changed)
            if self.event is not None and locked:
                work.emit(self._build_event(locked, bound, actor))
        return locked, result

    def _bind(self, inputs: Mapping[str, Any], actor: Actor) -> dict[str, Any]:
        known = {spec.name for spec in self.inputs}
        errors = {
            name: [_("The action '%(action)s' takes no input of this name.") % {"action": self.name}]
            for name in inputs
            if name not in known
        }
        for spec in self.inputs:
            if spec.required and spec.name not in inputs:
                errors[spec.name] = [_("This input is required.")]
        if errors:
            raise ValidationFailed(fields=errors)
        return {
            spec.name: _resolved(spec, inputs[spec.name], actor)
            for spec in self.inputs
            if spec.name in inputs
        }

    def _check_state(self, records: Sequence[models.Model]) -> None:
        if self.source is None:
            return
        for record in records:
            state = getattr(record, self.state_field)
            if state not in self.source:
                raise WrongState(
                    _("'%(action)s' is not possible: %(record)s is in state '%(state)s'; needed: %(source)s.")
                    % {
                        "action": self.title,
                        "record": f"{self.model._meta.verbose_name} {record.pk}",
                        "state": state,
                        "source": ", ".join(sorted(self.source)),
                    }
                )

    def _tracked_fields(self) -> dict[str, str]:
        tracked = options_of(self.model).tracked
        fields = {f.name: f.attname for f in self.model._meta.concrete_fields}
        return {name: fields[name] for name in tracked if name in fields}

    def _write_state(self, records: Sequence[models.Model], actor: Actor) -> None:
        if not records:
            return
        names = {f.name for f in self.model._meta.concrete_fields}
        values: dict[str, Any] = {}
        if self.target is not None:
            values[self.state_field] = self.target
        if "version" in names:
            values["version"] = F("version") + 1
        if "updated_at" in names:
            values |= {"updated_at": timezone.now(), "updated_by_id": actor.user_pk}
        if not values:
            return
        self.model._base_manager.filter(pk__in=[record.pk for record in records]).update(**values)
        for record in records:
            for name, value in values.items():
                setattr(record, name, record.version + 1 if name == "version" else value)  # type: ignore[attr-defined]

    def _build_event(self, records: Sequence[models.Model], inputs: Mapping[str, Any], actor: Actor) -> Event:
        assert self.event is not None
        offered = {**inputs, "pks": tuple(record.pk for record in records), "company_pk": actor.company_pk}
        names = [field.name for field in dataclasses.fields(self.event)]
        return self.event(**{name: offered[name] for name in names if name in offered})


_actions: dict[type[models.Model], dict[str, Action]] = {}


def action(
    model: type[models.Model],
    *,
    permission: str,
    name: str = "",
    title: Any = "",
    source: Collection[str] | None = None,
    target: str | None = None,
    state_field: str = "state",
    event: type[Event] | None = None,
    dangerous: bool = False,
    portal: bool = False,
    bulk: bool = True,
    icon: str = "",
    condition: Callable[[Any, Actor], bool] | None = None,
    saves_state: bool = False,
) -> Callable[[Callable[..., Any]], Action]:
    """Declare ``body(records, *, actor, **inputs)`` as an action of ``model``.

    The body gets locked, fresh instances ordered by primary key, and saves what it changes itself (state and
    version excepted). Inputs are read from its signature: plain types, model classes (primary keys are accepted),
    ``list[...]`` of them, ``X | None``. With ``saves_state`` the body writes state, version and stamps as well, in the
    statement that writes the rest, and puts them on the records: a row that many indexes name is then written once.
    """

    def add(body: Callable[..., Any]) -> Action:
        public = name or body.__name__
        declared = Action(
            model=model,
            name=public,
            title=title or public.replace("_", " ").capitalize(),
            body=body,
            permission=permission,
            source=frozenset(source) if source is not None else None,
            target=target,
            state_field=state_field,
            event=event,
            inputs=_inputs(body),
            help=inspect.getdoc(body) or "",
            dangerous=dangerous,
            portal=portal,
            bulk=bulk,
            icon=icon,
            condition=condition,
            saves_state=saves_state,
        )
        known = _actions.setdefault(model, {})
        if public in known:
            raise ValueError(f"Action {declared.label} is declared twice.")
        known[public] = declared
        return declared

    return add


def actions_of(model: type[models.Model]) -> list[Action]:
    """Actions of a model in order of declaration."""
    return list(_actions.get(model, {}).values())


def get_action(model: type[models.Model], name: str) -> Action | None:
    return _actions.get(model, {}).get(name)


def all_actions() -> list[Action]:
    return [declared for known in _actions.values() for declared in known.values()]


def run_each(
    declared: Action, pks: Sequence[Any], *, actor: Actor, **inputs: Any
) -> list[tuple[Any, Exception | None]]:
    """Run an action on each record in its own unit of work; answers (pk, error or ``None``) per record."""
    from apps.core.errors import BusinessError

    outcome: list[tuple[Any, Exception | None]] = []
    for pk in pks:
        try:
            declared([pk], actor=actor, **inputs)
        except BusinessError as exc:
            outcome.append((pk, exc))
        else:
            outcome.append((pk, None))
    return outcome


def _primary_keys(records: Any) -> list[Any]:
    if isinstance(records, models.Model):
        records = [records]
    if isinstance(records, models.QuerySet):
        return list(records.values_list("pk", flat=True))
    return sorted({getattr(record, "pk", record) for record in records})


def _resolved(spec: InputSpec, value: Any, actor: Actor) -> Any:
    """An input as its body wants it: primary keys of links become records that the actor can see."""
    if not (isinstance(spec.type, type) and issubclass(spec.type, models.Model)) or value is None:
        return value
    given = list(value) if spec.many else [value]
    missing = [item for item in given if not isinstance(item, models.Model)]
    found = visible(spec.type, actor).in_bulk(missing) if missing else {}
    unknown = [str(item) for item in missing if item not in found]
    if unknown:
        text = _("There is no %(kind)s %(pks)s, or you cannot see it.") % {
            "kind": spec.type._meta.verbose_name,
            "pks": ", ".join(unknown),
        }
        raise ValidationFailed(fields={spec.name: [text]})
    records = [item if isinstance(item, models.Model) else found[item] for item in given]
    return records if spec.many else records[0]


def _copy_back(records: Any, locked: Iterable[models.Model]) -> None:
    """Give the caller's own instances the new values, so that he need not read them again."""
    given = [records] if isinstance(records, models.Model) else records
    if isinstance(given, models.QuerySet):
        return
    fresh = {record.pk: record for record in locked}
    for record in given:
        source = fresh.get(getattr(record, "pk", None)) if isinstance(record, models.Model) else None
        if source is None:
            continue
        values, held = source.__dict__, record.__dict__
        for field in source._meta.concrete_fields:
            name = field.attname
            if name in values and (name not in held or held[name] != values[name]):
                setattr(record, name, values[name])


def _inputs(body: Callable[..., Any]) -> tuple[InputSpec, ...]:
    hints = typing.get_type_hints(body)
    specs = []
    for parameter in list(inspect.signature(body).parameters.values())[1:]:
        if parameter.name == "actor":
            continue
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY or parameter.name not in hints:
            raise TypeError(f"{body.__qualname__}: input '{parameter.name}' must be keyword-only and typed.")
        kind, many, nullable = _plain_type(hints[parameter.name], f"{body.__qualname__}.{parameter.name}")
        required = parameter.default is inspect.Parameter.empty
        specs.append(
            InputSpec(parameter.name, kind, many, required, nullable, None if required else parameter.default)
        )
    return tuple(specs)


def _plain_type(hint: Any, where: str) -> tuple[Any, bool, bool]:
    nullable = False
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        options = [option for option in typing.get_args(hint) if option is not type(None)]
        nullable = len(options) != len(typing.get_args(hint))
        if len(options) != 1:
            raise TypeError(f"{where}: an input has one type (or None).")
        hint = options[0]
    if typing.get_origin(hint) in (list, tuple, Sequence):
        inner, _many, _none = _plain_type(typing.get_args(hint)[0], where)
        return inner, True, nullable
    if hint in INPUT_TYPES or (isinstance(hint, type) and issubclass(hint, models.Model)):
        return hint, False, nullable
    raise TypeError(f"{where}: {hint!r} cannot be an input; use plain types or a model class.")


def input_errors(spec: InputSpec, text: str) -> ValidationFailed:
    return ValidationFailed(fields={spec.name: [text]})


def reachable(declared: Action, actor: Actor) -> bool:
    """Whether the actor could use the action on some record: the permission and a record rule exist."""
    if not actor.can(declared.model, declared.permission):
        return False
    if actor.kind in ("portal", "public") and not declared.portal:
        return False
    return has_rows(declared.model, actor, declared.permission)
