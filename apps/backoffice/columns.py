"""List columns beyond plain fields: custom fields, extension fields, links to records that may be hidden."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.db import models

from apps.backoffice.fields import HIDDEN_LABEL, custom_display, labels_of
from apps.backoffice.rights import sees_all_rows
from apps.core import custom_fields
from apps.core.actor import Actor
from apps.core.extensions import accessor, extensions_of, own_fields
from apps.core.models import CustomField, ExtensionModel
from apps.core.records import hidden_fields
from apps.core.rules import visible

Column = Callable[[Any], Any]


class HiddenRecord:
    """Stands in for a linked record that the actor may not see."""

    pk = None

    def __str__(self) -> str:
        return str(HIDDEN_LABEL)

    def __getattr__(self, name: str) -> Any:
        """Columns computed from the hidden record show that it is hidden, instead of failing."""
        if name.startswith("_"):
            raise AttributeError(name)
        return str(HIDDEN_LABEL)


def custom_column(definition: CustomField) -> Column:
    """A callable list column for a custom field. Names of linked records are put on the page's rows beforehand."""

    def show(record: Any) -> Any:
        labels = record.__dict__.get("_custom_labels", {}).get(definition.key)
        return custom_display(definition, (record.custom or {}).get(definition.key), labels)

    show.__name__ = f"custom_{definition.key}"
    show.short_description = definition.label  # type: ignore[attr-defined]
    show.definition = definition  # type: ignore[attr-defined]
    if definition.type != CustomField.Type.DECIMAL:  # stored as text, whose order is not that of the numbers
        show.admin_order_field = f"custom__{definition.key}"  # type: ignore[attr-defined]
    if definition.type == CustomField.Type.BOOLEAN:
        show.boolean = True  # type: ignore[attr-defined]
    return show


def extension_column(extension: type[ExtensionModel], field: models.Field[Any, Any]) -> Column:
    """A callable list column for a field that another module adds. Sortable: the row is joined."""

    def show(record: Any) -> Any:
        row = getattr(record, accessor(extension), None) or extension()
        if field.choices:
            return getattr(row, f"get_{field.name}_display")()
        return getattr(row, field.name)

    show.__name__ = f"ext_{extension.extension_key}_{field.name}"
    show.short_description = field.verbose_name  # type: ignore[attr-defined]
    show.admin_order_field = f"{accessor(extension)}__{field.name}"  # type: ignore[attr-defined]
    show.extension = extension  # type: ignore[attr-defined]
    if isinstance(field, models.BooleanField):
        show.boolean = True  # type: ignore[attr-defined]
    return show


def extension_fields(model: type[models.Model], actor: Actor) -> dict[str, tuple[type[ExtensionModel], Any]]:
    """``ext.<key>.<field>`` to extension and field, as far as the actor may know them."""
    found: dict[str, tuple[type[ExtensionModel], Any]] = {}
    for extension in extensions_of(model):
        hidden = hidden_fields(extension, actor)
        for field in own_fields(extension):
            if field.name not in hidden:
                found[f"ext.{extension.extension_key}.{field.name}"] = (extension, field)
    return found


def resolve_columns(model: type[models.Model], names: Sequence[Any], actor: Actor) -> list[Any]:
    """``list_display`` with ``custom.`` and ``ext.`` names made callable; unknown and hidden ones are left out."""
    definitions = {f"custom.{d.key}": d for d in custom_fields.definitions_for(model)}
    added = extension_fields(model, actor)
    hidden = hidden_fields(model, actor)
    columns: list[Any] = []
    for name in names:
        if not isinstance(name, str):
            columns.append(name)
        elif name in definitions:
            columns.append(custom_column(definitions[name]))
        elif name in added:
            columns.append(extension_column(*added[name]))
        elif not name.startswith(("custom.", "ext.")) and name not in hidden:
            columns.append(name)
    return columns


def link_names(model: type[models.Model], columns: Sequence[Any]) -> list[str]:
    """Foreign keys among the columns, and those that callables and methods name in ``needs``."""
    names = []
    for column in columns:
        if not isinstance(column, str):
            names.extend(getattr(column, "needs", ()))
            continue
        try:
            field = model._meta.get_field(column)
        except FieldDoesNotExist:
            continue
        if field.many_to_one or (field.one_to_one and field.concrete):
            names.append(field.name)
    return list(dict.fromkeys(names))


def hide_links(rows: Sequence[models.Model], names: Sequence[str], actor: Actor) -> None:
    """Replace linked records that the actor may not see, in memory. One query a link that has rules at most."""
    if not rows:
        return
    model = type(rows[0])
    for name in names:
        if "__" in name:
            continue
        field = model._meta.get_field(name)
        target = field.related_model
        if not isinstance(target, type) or sees_all_rows(target, actor):
            continue
        wanted = {getattr(row, field.attname) for row in rows} - {None}  # type: ignore[union-attr]
        if not wanted:
            continue
        seen = set(visible(target, actor).filter(pk__in=wanted).values_list("pk", flat=True))
        for row in rows:
            pk = getattr(row, field.attname)  # type: ignore[union-attr]
            if pk is not None and pk not in seen:
                row._state.fields_cache[name] = HiddenRecord()  # type: ignore[attr-defined]


def name_custom_links(rows: Sequence[Any], columns: Sequence[Any], actor: Actor) -> None:
    """Put the names of records that custom fields link to on the rows. One query a column."""
    for column in columns:
        definition = getattr(column, "definition", None)
        if definition is None or definition.type != CustomField.Type.RECORD or not rows:
            continue
        pks = {row.custom.get(definition.key) for row in rows} - {None}
        labels = labels_of(apps.get_model(definition.target), pks, actor)
        for row in rows:
            row.__dict__.setdefault("_custom_labels", {})[definition.key] = labels
