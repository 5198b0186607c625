"""Record rules: which rows an actor may see and touch.

Model permissions (``Actor.can``) say which kinds of record; rules say which rows. *Mandatory* rules are ANDed and
bind everybody but the system; the company rule is one and comes by itself from the model's mixin. *Granting*
rules address roles or user kinds and are ORed among those that apply. A portal or public user sees nothing
without a granting rule for his kind; an internal user sees nothing of a model that has granting rules of which
none applies. There are no rules that deny.

Rules return ``Q`` objects built from subqueries, so that every list stays one query without duplicates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db.models import Model, Q, QuerySet
from django.db.models.expressions import RawSQL

from apps.core.actor import INTERNAL, PORTAL, PUBLIC, Actor
from apps.core.errors import NotVisible, PermissionDenied
from apps.core.hooks import Collect
from apps.core.models.base import company_mode

M = TypeVar("M", bound=Model)
Predicate = Callable[[Actor, str], Q]

ALL_OPERATIONS = "*"
BASIC_OPERATIONS = frozenset({"view", "add", "change", "delete"})

collect_denials = Collect(
    "core.collect_denials", "(model, pk, operation, actor, rules) – a right was refused; for the audit trail."
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One registered predicate with whom and which operations it addresses."""

    model: type[Model]
    predicate: Predicate
    name: str
    mandatory: bool
    roles: frozenset[str]
    kinds: frozenset[str]
    operations: frozenset[str]

    def covers(self, operation: str) -> bool:
        """Whether the rule speaks about the operation; the permission of an action counts as a change."""
        if ALL_OPERATIONS in self.operations or operation in self.operations:
            return True
        return operation not in BASIC_OPERATIONS and "change" in self.operations

    def addresses(self, actor: Actor) -> bool:
        if self.roles:
            # A role never widens what outsiders see, unless the rule names their kind as well.
            admitted = actor.kind in self.kinds if self.kinds else actor.kind == INTERNAL
            return admitted and not self.roles.isdisjoint(actor.roles)
        return actor.kind in self.kinds


_rules: dict[type[Model], list[Rule]] = {}


def rule(
    model: type[Model],
    *,
    mandatory: bool = False,
    roles: Iterable[str] = (),
    kinds: Iterable[str] = (),
    ops: Iterable[str] = (ALL_OPERATIONS,),
) -> Callable[[Predicate], Predicate]:
    """Register ``predicate(actor, operation) -> Q`` for a model. See the module's text for the meaning."""
    roles, kinds = frozenset(roles), frozenset(kinds)
    if mandatory and (roles or kinds):
        raise ValueError("A mandatory rule binds everybody; it cannot name roles or kinds.")
    if not mandatory and not (roles or kinds):
        kinds = frozenset({INTERNAL})

    def add(predicate: Predicate) -> Predicate:
        name = f"{predicate.__module__}.{predicate.__qualname__}"
        rules = _rules.setdefault(model, [])
        if any(known.name == name for known in rules):
            raise ValueError(f"Rule {name} is registered twice for {model._meta.label}.")
        rules.append(Rule(model, predicate, name, mandatory, roles, kinds, frozenset(ops)))
        return predicate

    return add


def unregister(predicate: Predicate) -> None:
    """For tests: take a rule out again."""
    for rules in _rules.values():
        rules[:] = [known for known in rules if known.predicate is not predicate]


def rules_of(model: type[Model]) -> list[Rule]:
    return list(_rules.get(model, ()))


# Companies (one array of keys) and those above them, nearest first: whose charts, journals and taxes branches use.
COMPANY_LINE = """
WITH RECURSIVE line(id) AS (
    SELECT unnest(%s::bigint[])
    UNION SELECT c.parent_id FROM access_company c JOIN line ON c.id = line.id WHERE c.parent_id IS NOT NULL
) SELECT id FROM line
"""


def company_filter(model: type[Model], actor: Actor, operation: str = "view") -> Q | None:
    """The mandatory company rule of a model, or ``None`` for models without company.

    Rows of an *inherited* model are seen from the branches of their company too, and changed only from the company itself.
    """
    mode = company_mode(model)
    if mode == "none":
        return None
    if mode == "inherited" and operation == "view":
        return Q(company_id__in=RawSQL(COMPANY_LINE, [list(actor.company_pks)]))  # noqa: S611 - a constant statement
    own = Q(company_id__in=actor.company_pks)
    return own | Q(company_id__isnull=True) if mode == "shared" else own


def _granting(model: type[Model], actor: Actor, operation: str) -> Q | None:
    """OR of the granting rules that apply. ``None`` = no row; an empty ``Q`` = no restriction."""
    granting = [known for known in _rules.get(model, ()) if not known.mandatory]
    applicable = [known for known in granting if known.addresses(actor) and known.covers(operation)]
    if applicable:
        combined: Q | None = None
        for known in applicable:
            predicate = known.predicate(actor, operation)
            if not predicate:
                return Q()
            combined = predicate if combined is None else combined | predicate
        return combined
    if actor.kind in (PORTAL, PUBLIC):
        return None
    internal_rules = [known for known in granting if known.roles or INTERNAL in known.kinds]
    return None if internal_rules else Q()


def has_rows(model: type[Model], actor: Actor, operation: str) -> bool:
    """Whether any rule gives the actor rows for an operation: ``record_filter(...) is not None`` without building the rules'
    conditions."""
    if actor.is_system:
        return True
    granting = [known for known in _rules.get(model, ()) if not known.mandatory]
    if any(known.addresses(actor) and known.covers(operation) for known in granting):
        return True
    if actor.kind in (PORTAL, PUBLIC):
        return False
    return not any(known.roles or INTERNAL in known.kinds for known in granting)


def record_filter(model: type[Model], actor: Actor, operation: str = "view") -> Q | None:
    """The rows of ``model`` that ``actor`` may use for ``operation``; ``None`` when there are none at all."""
    if actor.is_system:
        return Q()
    granted = _granting(model, actor, operation)
    if granted is None:
        return None
    combined = granted
    company = company_filter(model, actor, operation)
    if company is not None:
        combined &= company
    for known in _rules.get(model, ()):
        if known.mandatory and known.covers(operation):
            combined &= known.predicate(actor, operation)
    return combined


def visible(
    model: type[M], actor: Actor, op: str = "view", *, queryset: QuerySet[M] | None = None
) -> QuerySet[M]:
    """The queryset every interface starts from: model permission and record rules applied, one query."""
    rows = model._default_manager.all() if queryset is None else queryset
    if not actor.can(model, op):
        return rows.none()
    condition = record_filter(model, actor, op)
    if condition is None:
        return rows.none()
    return rows.filter(condition) if condition else rows


def get_visible(
    model: type[M], pk: Any, actor: Actor, op: str = "view", *, queryset: QuerySet[M] | None = None
) -> M:
    """One record, or ``NotVisible``; a missing and a forbidden one look the same. For an ``op`` other than
    ``view`` a record that may be viewed but not changed raises ``PermissionDenied``."""
    record = visible(model, actor, op, queryset=queryset).filter(pk=pk).first()
    if record is not None:
        return record
    if op != "view" and visible(model, actor).filter(pk=pk).exists():
        deny(model, [pk], actor, op)
    raise NotVisible()


def require_visible(records: Sequence[Model], actor: Actor, op: str) -> None:
    """All of the (saved) records must be within the actor's rules for ``op``. One query."""
    if not records or actor.is_system:
        return
    model = type(records[0])
    actor.require(model, op)
    pks = {record.pk for record in records}
    allowed = set(visible(model, actor, op).filter(pk__in=pks).values_list("pk", flat=True))
    refused = pks - allowed
    if not refused:
        return
    if op != "view" and visible(model, actor).filter(pk__in=refused).count() == len(refused):
        deny(model, sorted(refused), actor, op)
    raise NotVisible()


def explain(model: type[Model], actor: Actor, op: str, pk: Any) -> list[str]:
    """Names of what refuses ``op`` on a record, for administrators; empty when nothing does."""
    if actor.is_system:
        return []
    if not actor.can(model, op):
        return [f"no role grants '{op}' on {model._meta.label}"]
    rows = model._default_manager.filter(pk=pk)
    refusing = []
    company = company_filter(model, actor, op)
    if company is not None and not rows.filter(company).exists():
        refusing.append("company: the record belongs to a company that is not selected")
    for known in _rules.get(model, ()):
        if known.mandatory and known.covers(op) and not rows.filter(known.predicate(actor, op)).exists():
            refusing.append(known.name)
    granted = _granting(model, actor, op)
    if granted is None or (granted and not rows.filter(granted).exists()):
        names = [known.name for known in rules_of(model) if not known.mandatory and known.covers(op)]
        refusing.append("none of: " + (", ".join(names) or "rules for this kind of user"))
    return refusing


def deny(model: type[Model], pks: Sequence[Any], actor: Actor, op: str) -> None:
    """Raise the refusal: record kind and operation for everybody, the rules for administrators."""
    reasons = explain(model, actor, op, pks[0]) if pks else []
    collect_denials.run(model=model, pk=pks[0] if pks else None, operation=op, actor=actor, rules=reasons)
    message = f"You do not have the right '{op}' on this {model._meta.verbose_name}."
    if actor.is_admin and reasons:
        message += " Refused by: " + "; ".join(reasons) + "."
    raise PermissionDenied(message, rule="; ".join(reasons))
