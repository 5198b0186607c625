"""Extension models: fields that a module adds to another app's model, in a table of its own.

They are found by their base class once models are loaded, joined with ``select_related`` and shown as
``ext.<key>.<field>``. A record without a row reads as the fields' defaults.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext as _

from apps.core.actor import Actor
from apps.core.errors import ValidationFailed
from apps.core.models.base import ExtensionModel

M = TypeVar("M", bound=models.Model)


@cache
def extensions_of(model: type[models.Model]) -> tuple[type[ExtensionModel], ...]:
    """Extension models of ``model``, by key."""
    found = [
        candidate
        for candidate in apps.get_models()
        if issubclass(candidate, ExtensionModel) and candidate._meta.get_field("base").related_model is model  # type: ignore[misc]
    ]
    return tuple(sorted(found, key=lambda m: m.extension_key))


def accessor(extension: type[ExtensionModel]) -> str:
    """The attribute of the base record that leads to its row, such as ``ext_loyalty``."""
    return f"ext_{extension.extension_key}"


def own_fields(extension: type[ExtensionModel]) -> list[models.Field[Any, Any]]:
    """The fields an extension adds, without its link to the base."""
    return [f for f in extension._meta.concrete_fields if f.name != "base"]


def with_extensions(queryset: models.QuerySet[M]) -> models.QuerySet[M]:
    """Join all extension tables, so that reading them costs no further query."""
    names = [accessor(extension) for extension in extensions_of(queryset.model)]
    return queryset.select_related(*names) if names else queryset


def row_of(record: models.Model, extension: type[ExtensionModel]) -> ExtensionModel:
    """The record's row, or an unsaved one with the defaults."""
    row = getattr(record, accessor(extension), None)
    return row if row is not None else extension(base_id=record.pk)  # type: ignore[call-arg, misc]


def values_of(record: models.Model) -> dict[str, dict[str, Any]]:
    """All extension values of a record, by key and field; foreign keys as primary keys."""
    return {
        extension.extension_key: {
            field.name: getattr(row_of(record, extension), field.attname) for field in own_fields(extension)
        }
        for extension in extensions_of(type(record))
    }


def write_rows(
    records: Sequence[models.Model],
    drafts: Sequence[Mapping[str, Mapping[str, Any]] | None],
    actor: Actor,
    *,
    fresh: bool,
) -> None:
    """Write ``ext`` values of all records: one upsert per extension table that is named."""
    if not records or not any(drafts):
        return
    known = {extension.extension_key: extension for extension in extensions_of(type(records[0]))}
    for key in sorted({key for draft in drafts if draft for key in draft}):
        extension = known.get(key)
        if extension is None:
            raise ValidationFailed(
                fields={f"ext.{key}": [_("No running module adds '%(key)s'.") % {"key": key}]}
            )
        fields = {field.name: field for field in own_fields(extension) if field.editable}
        rows, written = [], set()
        held = {}
        if not fresh:
            pks = [record.pk for record in records]
            held = {row.pk: row for row in extension._base_manager.filter(pk__in=pks)}
        for record, draft in zip(records, drafts, strict=True):
            if not draft or key not in draft:
                continue
            row = held.get(record.pk) or extension(base_id=record.pk)  # type: ignore[call-arg, misc]
            for name, value in draft[key].items():
                if name not in fields:
                    raise ValidationFailed(fields={f"ext.{key}.{name}": [_("There is no such field.")]})
                field = fields[name]
                raw = value.pk if isinstance(value, models.Model) else value
                try:
                    cleaned = raw if isinstance(field, models.ForeignKey) else field.clean(raw, row)
                except ValidationError as exc:
                    raise ValidationFailed(fields={f"ext.{key}.{name}": list(exc.messages)}) from exc
                setattr(row, field.attname, cleaned)
                written.add(name)
            rows.append(row)
        if rows and written:
            extension._base_manager.bulk_create(  # type: ignore[misc]
                rows, update_conflicts=True, unique_fields=["base"], update_fields=sorted(written)
            )
