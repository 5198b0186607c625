"""Filters of a list, from query parameters to conditions.

Every field that the actor may see can be filtered: ``<field>=…``, ``<field>__<comparison>=…``, ``custom.<key>``,
``ext.<key>.<field>``. A parameter that means nothing is an error naming it: a misspelt filter must not show
everything. Conditions on to-many links are subqueries, so rows never come twice.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from django.db import models
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from apps.api.base import Filter
from apps.api.fields import FieldSpec, load_text, parse_flag
from apps.api.plan import Plan
from apps.core import custom_fields
from apps.core.actor import Actor
from apps.core.errors import ValidationFailed
from apps.core.models import options_of
from apps.core.records import hidden_fields
from apps.core.search import search

RESERVED = frozenset(
    {"limit", "offset", "cursor", "count", "ordering", "search", "fields", "omit", "expand", "active"}
)
LONGEST_LIST = 1000

ORDERED = ("gt", "gte", "lt", "lte")
COMPARISONS: Mapping[str, tuple[str, ...]] = {
    "integer": ("exact", "in", *ORDERED),
    "number": ("exact", "in", *ORDERED),
    "decimal": ("exact", "in", *ORDERED),
    "date": ("exact", "in", *ORDERED),
    "datetime": ("exact", *ORDERED),
    "time": ("exact", *ORDERED),
    "duration": ("exact", *ORDERED),
    "boolean": ("exact",),
    "string": ("exact", "in", "contains", "startswith"),
    "uuid": ("exact", "in"),
    "reference": ("exact", "in"),
    "references": ("exact", "in"),
    "json": (),
    "file": (),
}
_TEXT_LOOKUPS = {"contains": "icontains", "startswith": "istartswith"}


def comparisons_of(spec: FieldSpec) -> tuple[str, ...]:
    """The comparisons a field can be filtered with; the first is the plain ``<field>=``."""
    found = COMPARISONS[spec.kind]
    return (*found, "isnull") if spec.nullable or spec.kind == "references" else found


def narrow(
    plan: Plan, queryset: QuerySet[Any], parameters: Mapping[str, Sequence[str]], actor: Actor
) -> QuerySet[Any]:
    """The queryset narrowed by all filters, ``search`` and ``active`` among the query parameters.

    Raises ``ValidationFailed`` naming each parameter that is unknown or has a bad value.
    """
    errors: dict[str, list[str]] = {}
    condition = Q()
    for key, values in parameters.items():
        if key in RESERVED:
            continue
        try:
            condition &= _condition(plan, key, values, actor)
        except ValueError as exc:
            errors[key] = [str(exc)]
        except ValidationFailed as exc:
            errors.update(exc.fields or {key: [exc.message]})
    try:
        condition &= _active(plan, parameters)
    except ValueError as exc:
        errors["active"] = [str(exc)]
    text = parameters.get("search", [""])[-1]
    if "search" in parameters and not plan.searchable:
        errors["search"] = [unknown_parameter("search")]
    if errors:
        raise ValidationFailed(_("The query is wrong."), code="invalid_query", fields=errors)
    if condition:
        queryset = queryset.filter(condition)
    return _searched(plan, queryset, text, actor) if text.strip() else queryset


def unknown_parameter(name: str) -> str:
    return _("There is no query parameter '%(name)s' here.") % {"name": name}


def _searched(plan: Plan, queryset: QuerySet[Any], text: str, actor: Actor) -> QuerySet[Any]:
    """Search that does not look into fields that the actor may not see."""
    names = [field.name for field in options_of(plan.model).search]
    hidden = hidden_fields(plan.model, actor)
    seen = [name for name in names if name not in hidden and plan.offers(name, actor)]
    if len(seen) == len(names):
        return search(queryset, text)
    for word in text.split()[:8]:
        anywhere = Q(pk__in=[])
        for name in seen:
            anywhere |= Q(**{f"{name}__icontains": word})
        queryset = queryset.filter(anywhere)
    return queryset


def _active(plan: Plan, parameters: Mapping[str, Sequence[str]]) -> Q:
    """Archived records stay out unless asked for: ``active=false`` only them, ``active=all`` both."""
    if not plan.has_active:
        if "active" in parameters:
            raise ValueError(unknown_parameter("active"))
        return Q()
    given = parameters.get("active", ["true"])[-1]
    if given.lower() == "all":
        return Q()
    try:
        return Q(active=parse_flag(given))
    except ValueError:
        raise ValueError(_("Send true, false or all.")) from None


def _condition(plan: Plan, key: str, values: Sequence[str], actor: Actor) -> Q:
    if key in plan.filters and plan.offers(key, actor):
        spec, source = plan.filters[key]
        return _extra(plan, spec, source, "exact", values, actor)
    if key.startswith("custom.") and plan.has_custom and "custom" in plan.readable(actor):
        name, comparison = _split(key.removeprefix("custom."))
        return custom_fields.filter_q(plan.model, name, comparison, _single(values), actor)
    if key.startswith("ext.") and "ext" in plan.readable(actor):
        return _extension(plan, key, values, actor)
    name, comparison = _split(key)
    if name in plan.filters and plan.filters[name][1].path and plan.offers(name, actor):
        spec, source = plan.filters[name]
        return _extra(plan, spec, source, comparison, values, actor)
    column = plan.columns.get(name)
    if column is None or name not in plan.readable(actor):
        raise ValueError(unknown_parameter(key))
    return _compare(plan.model, column, column.column or name, comparison, values, key)


def _split(key: str) -> tuple[str, str]:
    name, separator, comparison = key.partition("__")
    return name, comparison if separator else "exact"


def _single(values: Sequence[str]) -> str:
    if len(values) > 1:
        raise ValueError(_("Send this parameter once."))
    return values[0]


def _compare(
    model: type[models.Model], spec: FieldSpec, path: str, comparison: str, values: Sequence[str], key: str
) -> Q:
    """The condition on one field; ``path`` is where it is from ``model``."""
    if comparison not in comparisons_of(spec):
        known = ", ".join(comparisons_of(spec)) or _("none")
        raise ValueError(
            _("'%(key)s' is not a comparison of this field. There are: %(known)s.")
            % {"key": key, "known": known}
        )
    if len(values) > 1 and comparison == "exact" and "in" in comparisons_of(spec):
        comparison, values = "in", [",".join(values)]
    text = _single(values)
    if comparison == "isnull":
        empty = {f"{path}__isnull": parse_flag(text)}
        return _linked(model, spec, empty) if spec.kind == "references" else Q(**empty)
    if comparison == "in":
        items = [load_text(spec, item.strip()) for item in text.split(",") if item.strip() != ""]
        if len(items) > LONGEST_LIST:
            raise ValueError(_("At most %(count)s values.") % {"count": LONGEST_LIST})
        condition = {f"{path}__in": items}
        return _linked(model, spec, condition) if spec.kind == "references" else Q(**condition)
    value = load_text(spec, text)
    if spec.kind == "references":
        return _linked(model, spec, {path: value})
    if spec.kind == "datetime" and len(text) == 10:
        return _on_day(path, comparison, value)
    if spec.choices and value not in {choice for choice, _label in spec.choices}:
        known = ", ".join(str(choice) for choice, _label in spec.choices)
        raise ValueError(_("Choose one of: %(known)s.") % {"known": known})
    return Q(**{f"{path}__{_TEXT_LOOKUPS.get(comparison, comparison)}": value})


def _linked(model: type[models.Model], spec: FieldSpec, condition: Mapping[str, Any]) -> Q:
    """A condition on a to-many link, as a subquery over its table."""
    field: Any = spec.model_field
    through = field.remote_field.through
    source, target = field.m2m_field_name(), field.m2m_reverse_field_name()
    owners = through._base_manager.values(f"{source}_id")
    ((path, value),) = condition.items()
    if path.endswith("__isnull"):
        return ~Q(pk__in=owners) if value else Q(pk__in=owners)
    suffix = "__in" if path.endswith("__in") else ""
    return Q(pk__in=owners.filter(**{f"{target}_id{suffix}": value}))


def _on_day(path: str, comparison: str, start: datetime.datetime) -> Q:
    """A whole day (of UTC) compared with moments: ``exact`` and ``lte`` include all of it, ``gt`` none of it."""
    end = start + datetime.timedelta(days=1)
    return {
        "exact": Q(**{f"{path}__gte": start, f"{path}__lt": end}),
        "gt": Q(**{f"{path}__gte": end}),
        "gte": Q(**{f"{path}__gte": start}),
        "lt": Q(**{f"{path}__lt": start}),
        "lte": Q(**{f"{path}__lt": end}),
    }[comparison]


def _extra(
    plan: Plan, spec: FieldSpec, source: Filter, comparison: str, values: Sequence[str], actor: Actor
) -> Q:
    if source.apply is not None:
        found = source.apply(load_text(spec, _single(values)), actor=actor)
        return found if isinstance(found, Q) else Q(found)
    chain = plan.resolve(source.path)
    for field in chain:
        if field.concrete and field.name in hidden_fields(field.model, actor):
            raise ValueError(unknown_parameter(spec.name))
    if any(field.many_to_many or field.one_to_many for field in chain):
        plain = _to_many_spec(spec)
        inner = _compare(plan.model, plain, source.path, comparison, values, spec.name)
        return Q(pk__in=plan.model._base_manager.filter(inner).values("pk"))
    return _compare(plan.model, spec, source.path, comparison, values, spec.name)


def _to_many_spec(spec: FieldSpec) -> FieldSpec:
    return replace(spec, kind="reference") if spec.kind == "references" else spec


def _extension(plan: Plan, key: str, values: Sequence[str], actor: Actor) -> Q:
    """A condition on a field of an extension model; a record without a row counts with the field's default."""
    parts = key.split(".")
    extension = plan.extensions.get(parts[1]) if len(parts) == 3 else None
    name, comparison = _split(parts[-1])
    if extension is None or name not in extension.fields or name in extension.hidden(actor):
        raise ValueError(unknown_parameter(key))
    spec = extension.fields[name]
    path = f"{extension.accessor}__{spec.column}"
    condition = _compare(plan.model, spec, path, comparison, values, key)
    without = Q(**{f"{extension.accessor}__isnull": True})
    if _default_matches(spec, comparison, values):
        return condition | without
    return condition & ~without if comparison == "isnull" else condition


def _default_matches(spec: FieldSpec, comparison: str, values: Sequence[str]) -> bool:
    default = spec.model_field.get_default()
    if comparison == "isnull":
        return parse_flag(values[0]) == (default is None)
    if default is None:
        return False
    if comparison in ("in", "exact"):
        wanted = [load_text(spec, item.strip()) for text in values for item in text.split(",")]
        return default in wanted
    return _TESTS[comparison](default, load_text(spec, values[0]))


_TESTS: Mapping[str, Callable[[Any, Any], bool]] = {
    "gt": lambda held, asked: held > asked,
    "gte": lambda held, asked: held >= asked,
    "lt": lambda held, asked: held < asked,
    "lte": lambda held, asked: held <= asked,
    "contains": lambda held, asked: asked.lower() in held.lower(),
    "startswith": lambda held, asked: held.lower().startswith(asked.lower()),
}
