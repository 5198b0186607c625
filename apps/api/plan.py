"""A resource, worked out once: its fields with their kinds, what may be filtered and sorted, and for whom.

A field that an actor may not see is, for him, not there: it is not shown, and naming it in ``fields``, ``ordering``, a
filter or a body is the same error as naming a field that does not exist.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.utils.functional import Promise

from apps.api.base import Computed, Filter, Input, NestedSpec, Resource, Route
from apps.api.fields import FieldSpec, spec_of, spec_of_type
from apps.core.actions import Action, actions_of
from apps.core.actor import PORTAL, PUBLIC, Actor
from apps.core.custom_fields import supports
from apps.core.extensions import accessor, extensions_of, own_fields
from apps.core.models import ArchivableMixin, Currency, ExtensionModel, options_of
from apps.core.records import hidden_fields
from apps.core.search import searchable

COMPUTED_PREFIX = "computed_"
AUDIT = ("version", "created_at", "created_by", "updated_at", "updated_by")


class ResourceError(TypeError):
    """A resource declares something that does not fit its model; found when URLs are built."""


@dataclass(frozen=True)
class ComputedField:
    spec: FieldSpec
    source: Computed

    @property
    def alias(self) -> str:
        """The name of its annotation, which must not be a field's."""
        return COMPUTED_PREFIX + self.spec.name


@dataclass(frozen=True)
class NestedField:
    name: str
    source: NestedSpec
    plan: Plan


@dataclass(frozen=True)
class ExtensionFields:
    """The fields that one extension model adds."""

    key: str
    model: type[ExtensionModel]
    accessor: str
    fields: Mapping[str, FieldSpec]

    def hidden(self, actor: Actor) -> frozenset[str]:
        return hidden_fields(self.model, actor)


class Plan:
    """The compiled form of one ``Resource``; immutable after ``__init__``, shared by all requests."""

    def __init__(self, resource: type[Resource], *, link: str = "") -> None:
        self.resource = resource()
        self.model: type[models.Model] = resource.model
        self.path = resource.path
        self.app, _slash, self.name = resource.path.partition("/")
        self.where = f"{resource.__module__}.{resource.__qualname__}"
        self._link = link
        self.columns: dict[str, FieldSpec] = {}
        self.computed: dict[str, ComputedField] = {}
        self.nested: dict[str, NestedField] = {}
        self.inputs: dict[str, tuple[FieldSpec, Input]] = {}
        self.filters: dict[str, tuple[FieldSpec, Filter]] = {}
        self.extensions: dict[str, ExtensionFields] = {}
        self._add_columns()
        self._add_computed()
        self._add_nested()
        self._add_extensions()
        self._add_inputs_and_filters()
        self.has_custom = supports(self.model) and "custom" not in resource.exclude
        self.names = self._ordered_names()
        self.routes: list[Route] = sorted(
            (member.rest_route for member in vars_of(resource).values() if hasattr(member, "rest_route")),
            key=lambda found: found.name,
        )

    # ---------------------------------------------------------------- compiling
    def _add_columns(self) -> None:
        resource, options = self.resource, options_of(self.model)
        known = {f.name: f for f in (*self.model._meta.concrete_fields, *self.model._meta.many_to_many)}
        if resource.fields is None:
            wanted = [name for name in known if name not in ("custom", self._link)]
        else:
            special = {"custom", "ext", *resource.computed, *resource.nested}
            for name in resource.fields:
                if name not in known and name not in special:
                    raise ResourceError(f"{self.where}: {self.model._meta.label} has no field '{name}'.")
            wanted = [name for name in resource.fields if name in known and name != "custom"]
            wanted = [*(() if "id" in wanted or "id" not in known else ("id",)), *wanted]
            if "version" in known and "version" not in wanted:
                wanted.append("version")
        for name in wanted:
            if name in resource.exclude or name in options.secret:
                continue
            spec = spec_of(known[name], read_only=name in resource.read_only)
            if spec is not None:
                self.columns[name] = spec
        for name in resource.read_only:
            if name not in known:
                raise ResourceError(f"{self.where}: read_only names '{name}', which is no field.")

    def _add_computed(self) -> None:
        for name, given in self.resource.computed.items():
            if isinstance(given, Computed):
                source = given
            elif hasattr(given, "resolve_expression"):
                source = Computed(expression=given)
            else:
                source = Computed(batch=given)
            if name in self.columns:
                raise ResourceError(f"{self.where}: computed '{name}' is a field of the model already.")
            spec = spec_of_type(name, source.type, text=source.help, nullable=source.nullable)
            self.computed[name] = ComputedField(spec, source)

    def _add_nested(self) -> None:
        for name, source in self.resource.nested.items():
            child = type(
                f"{type(self.resource).__name__}_{name}",
                (Resource,),
                {
                    "model": source.model,
                    "fields": source.fields,
                    "read_only": source.read_only,
                    "computed": source.computed,
                    "inputs": source.inputs,
                    "currency": source.currency,
                    "currencies": source.currencies,
                    "__module__": type(self.resource).__module__,
                },
            )
            self.nested[name] = NestedField(name, source, Plan(child, link=source.link))

    def _add_extensions(self) -> None:
        for extension in extensions_of(self.model):
            specs = (spec_of(field) for field in own_fields(extension))
            secret = options_of(extension).secret
            self.extensions[extension.extension_key] = ExtensionFields(
                key=extension.extension_key,
                model=extension,
                accessor=accessor(extension),
                fields={spec.name: spec for spec in specs if spec is not None and spec.name not in secret},
            )

    def _add_inputs_and_filters(self) -> None:
        for name, given in self.resource.inputs.items():
            spec = spec_of_type(
                name,
                given.type,
                many=given.many,
                text=given.help,
                required=given.required,
                nullable=given.nullable,
            )
            self.inputs[name] = (spec, given)
        for name, declared in self.resource.filters.items():
            if isinstance(declared, str):
                source = Filter(path=declared)
            else:
                source = declared if isinstance(declared, Filter) else Filter(apply=declared)
            found = self._path_spec(name, source.path) if source.path else None
            self.filters[name] = (found or spec_of_type(name, source.type, text=source.help), source)

    def _path_spec(self, name: str, path: str) -> FieldSpec | None:
        """The spec of the field at the end of a relation path; the path must exist."""
        field = self.resolve(path)[-1]
        spec = spec_of(field) if field.concrete or field.many_to_many else None
        return None if spec is None else _renamed(spec, name)

    def resolve(self, path: str) -> list[Any]:
        """The model fields along a relation path."""
        model, found = self.model, []
        for part in path.split("__"):
            try:
                field = model._meta.get_field(part) if part != "pk" else model._meta.pk
            except FieldDoesNotExist:
                raise ResourceError(
                    f"{self.where}: {model._meta.label} has no field '{part}' ({path})."
                ) from None
            found.append(field)
            if field.is_relation and field.related_model is not None:
                model = field.related_model
        return found

    def _ordered_names(self) -> tuple[str, ...]:
        resource = self.resource
        extra = [*self.computed, *self.nested]
        tail = [*(("custom",) if self.has_custom else ()), *(("ext",) if self.extensions else ())]
        if resource.fields is not None:
            named = [n for n in resource.fields if n in self.columns or n in extra]
            rest = [n for n in (*self.columns, *extra) if n not in named and n not in AUDIT]
            audit = [n for n in self.columns if n in AUDIT and n not in named]
            return tuple(dict.fromkeys(["id", *named, *rest, *audit, *tail]))
        body = [n for n in self.columns if n not in AUDIT]
        return (*body, *extra, *(n for n in AUDIT if n in self.columns), *tail)

    # ------------------------------------------------------------------ asking
    @property
    def label(self) -> str:
        return self.model._meta.label_lower

    @property
    def verbose_name(self) -> str:
        return str(self.model._meta.verbose_name)

    @property
    def verbose_name_plural(self) -> str:
        return str(self.model._meta.verbose_name_plural)

    @cached_property
    def has_version(self) -> bool:
        return any(field.name == "version" for field in self.model._meta.concrete_fields)

    @cached_property
    def has_active(self) -> bool:
        field = next((f for f in self.model._meta.concrete_fields if f.name == "active"), None)
        return isinstance(field, models.BooleanField)

    @cached_property
    def archivable(self) -> bool:
        return issubclass(self.model, ArchivableMixin)

    @cached_property
    def searchable(self) -> bool:
        return self.resource.search and searchable(self.model)

    @cached_property
    def currency_columns(self) -> dict[str, str]:
        """By money field the column naming its currency; without those of which the rows do not say it."""
        found = {}
        for name, spec in self.columns.items():
            if not spec.money:
                continue
            column = self._currency_column(self.resource.currencies.get(name, self.resource.currency))
            if column:
                found[name] = column
            elif name in self.resource.currencies:
                raise ResourceError(f"{self.where}: the currency of '{name}' leads to no currency.")
        return found

    def _currency_column(self, path: str) -> str:
        model: Any = self.model
        field: Any = None
        for part in path.split("__"):
            field = next((f for f in model._meta.concrete_fields if f.name == part), None)
            if field is None or field.related_model is None:
                return ""
            model = field.related_model
        if model is not Currency:
            return ""
        return path if "__" in path else str(field.attname)

    @property
    def actions(self) -> list[Action]:
        """Read when asked: services of later modules may declare actions on this model too."""
        return actions_of(self.model)

    def offers(self, name: str, actor: Actor) -> bool:
        """Whether a field, input, filter or sort key is meant for this kind of user at all."""
        portal = self.resource.portal_fields
        return actor.kind not in (PORTAL, PUBLIC) or portal is None or name in portal or name == "id"

    def readable(self, actor: Actor) -> tuple[str, ...]:
        """Names of all fields that exist for the actor, in the order in which they are shown."""
        hidden = hidden_fields(self.model, actor)
        return tuple(name for name in self.names if name not in hidden and self.offers(name, actor))

    def writable(self, actor: Actor, operation: str) -> dict[str, FieldSpec]:
        """Specs by name of what the actor may send for ``create`` or ``update``, without ``custom`` and ``ext``."""
        hidden = hidden_fields(self.model, actor)
        found = {name: s for name, s in self.columns.items() if not s.read_only and name not in hidden}
        found |= {name: spec for name, (spec, given) in self.inputs.items() if operation in given.operations}
        return {name: spec for name, spec in found.items() if self.offers(name, actor)}


def vars_of(cls: type) -> dict[str, Any]:
    """Attributes of a class and its bases, nearest first."""
    found: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        found.update(vars(base))
    return found


def _renamed(spec: FieldSpec, name: str) -> FieldSpec:
    return replace(spec, name=name)


def text_of(value: Any) -> str:
    """A declared text, lazy or not, on one line."""
    return " ".join(str(value).split()) if isinstance(value, (str, Promise)) else ""
