"""What a request may see of a model's fields and records: the questions every screen asks."""

from __future__ import annotations

from typing import Any, TypeVar

from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.http import HttpRequest

from apps.core.actor import Actor
from apps.core.records import hidden_fields, service_for
from apps.core.rules import record_filter, visible

M = TypeVar("M", bound=models.Model)


def actor_of(request: HttpRequest) -> Actor:
    """The actor that the access middleware put on the request."""
    return request.actor  # type: ignore[attr-defined, no-any-return]


def related_model(field: Any) -> type[models.Model] | None:
    target = getattr(field, "related_model", None)
    return target if isinstance(target, type) else None


def path_is_hidden(model: type[models.Model], path: str, actor: Actor) -> bool:
    """Whether any step of a lookup such as ``project__budget__gt`` is a field this actor must not know."""
    current: type[models.Model] | None = model
    for part in path.split("__"):
        if current is None:
            return False
        if part == "pk":
            continue
        hidden = hidden_fields(current, actor)
        try:
            field = current._meta.get_field(part)
        except FieldDoesNotExist:
            # A lookup (``gte``), a key inside JSON, or a property; none of them leads to another model.
            return part in hidden
        if field.name in hidden or part in hidden:
            return True
        current = related_model(field)
    return False


def path_leaves_reach(model: type[models.Model], path: str, actor: Actor) -> bool:
    """Whether a lookup goes through a kind of record that the actor may not view at all."""
    current: type[models.Model] | None = model
    for part in path.split("__")[:-1]:
        if current is None:
            return False
        try:
            current = related_model(current._meta.get_field(part))
        except FieldDoesNotExist:
            return False
        if current is not None and not actor.can(current, "view"):
            return True
    return False


def writable_names(model: type[models.Model], actor: Actor) -> set[str] | None:
    """Names the model's service lets this actor write; ``None`` for all."""
    return service_for(model).writable_fields(actor)


def allows_row(record: models.Model, actor: Actor, op: str) -> bool:
    """Whether the row rules allow ``op`` on a record that the actor can see. Remembered on the instance."""
    if actor.is_system:
        return True
    model = type(record)
    if not actor.can(model, op):
        return False
    known: dict[tuple[int | None, str], bool] = record.__dict__.setdefault("_allowed_operations", {})
    key = (actor.user_pk, op)
    if key not in known:
        rows = visible(model, actor, op, queryset=model._base_manager.all())
        known[key] = bool(record.pk) and rows.filter(pk=record.pk).exists()
    return known[key]


def sees_all_rows(model: type[models.Model], actor: Actor) -> bool:
    """Whether nothing narrows what the actor sees of a model, so that its rows need not be looked up."""
    if not actor.can(model, "view"):
        return False
    condition = record_filter(model, actor, "view")
    return condition is not None and not condition


def active_only(rows: models.QuerySet[M]) -> models.QuerySet[M]:
    """Without archived records, for models that have ``active``."""
    if any(field.name == "active" for field in rows.model._meta.concrete_fields):
        return rows.filter(active=True)
    return rows


def choices_for(target: type[M], actor: Actor) -> models.QuerySet[M]:
    """Records that may be chosen in a link: visible and not archived."""
    return active_only(visible(target, actor))
