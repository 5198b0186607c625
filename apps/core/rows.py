"""Rows of models by a plain condition, without the cost of building a query.

Services that run for every document read small sets of set-up rows by key over and over. Composing and compiling such a
query costs the ORM several times what PostgreSQL needs to answer it; here the statement of a model is written once.
Record rules are the caller's business, as with ``Model._base_manager``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple, TypeVar

from django.core.exceptions import EmptyResultSet
from django.db import connection, models

M = TypeVar("M", bound=models.Model)
Converter = Callable[[Any, Any, Any], Any]


class _Shape(NamedTuple):
    """A model as a row: its fields in order, where the key stands, and what turns stored values into Python's."""

    columns: tuple[str, ...]
    names: tuple[str, ...]
    key: int
    converters: tuple[tuple[int, Converter], ...]


@cache
def _shape(model: type[models.Model]) -> _Shape:
    fields = model._meta.concrete_fields
    return _Shape(
        tuple(str(field.column) for field in fields),
        tuple(field.attname for field in fields),
        next(n for n, field in enumerate(fields) if field.primary_key),
        tuple((n, field.from_db_value) for n, field in enumerate(fields) if hasattr(field, "from_db_value")),
    )


@cache
def columns_of(model: type[models.Model], alias: str) -> str:
    """The columns of a model under the alias of its table, for the SELECT list of ``read_joined``."""
    return ", ".join(f'{alias}."{column}"' for column in _shape(model).columns)


def _build(model: type[M], shape: _Shape, row: Sequence[Any]) -> M:
    if shape.converters:
        row = list(row)
        for n, convert in shape.converters:
            row[n] = convert(row[n], None, connection)
    return model.from_db(connection.alias, shape.names, row)


def read_rows(
    model: type[M],
    condition: str,
    parameters: Sequence[Any] = (),
    *,
    extra: Mapping[str, str] | None = None,
) -> list[M]:
    """The rows for which ``condition`` holds: SQL over the model's table ``t``, a constant text of the caller with its values
    as ``parameters``. It may go on with ``ORDER BY`` and ``FOR UPDATE``. ``extra`` are further expressions by the attribute
    that takes them. One statement."""
    tail = f'FROM "{model._meta.db_table}" AS t WHERE {condition}'
    return [row[0] for row in read_joined(((model, "t"),), tail, parameters, extra=extra)]


def read_by_key(model: type[M], pks: Collection[Any]) -> dict[Any, M]:
    """The rows with these primary keys, by key. One statement, none without keys."""
    if not pks:
        return {}
    rows = read_rows(model, f't."{model._meta.pk.column}" = ANY (%s)', [list(pks)])  # type: ignore[union-attr]
    return {row.pk: row for row in rows}


def read_joined(
    kinds: Sequence[tuple[type[models.Model], str]],
    tail: str,
    parameters: Sequence[Any] = (),
    *,
    extra: Mapping[str, str] | None = None,
) -> list[tuple[Any, ...]]:
    """Rows of several models side by side: ``kinds`` are the models with the aliases of their tables, ``tail`` the constant
    SQL from ``FROM`` on. What an outer join did not find is ``None``; ``extra`` goes to the first. One statement."""
    shapes = [(model, _shape(model)) for model, _alias in kinds]
    selected = [columns_of(model, alias) for model, alias in kinds]
    more = extra or {}
    selected += [f'{expression} AS "{name}"' for name, expression in more.items()]
    found = []
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(selected)} {tail}", parameters)
        for row in cursor.fetchall():
            start, together = 0, []
            for model, shape in shapes:
                part = row[start : start + len(shape.columns)]
                start += len(part)
                together.append(None if part[shape.key] is None else _build(model, shape, part))
            for name, value in zip(more, row[start:], strict=True):
                setattr(together[0], name, value)
            found.append(tuple(together))
    return found


@cache
def _columns(
    model: type[models.Model], names: tuple[str, ...]
) -> tuple[str, tuple[tuple[int, Converter], ...]] | None:
    """SELECT list and converters for columns of the model's own table and of rows that its foreign keys name; ``None`` when a
    name is none of them."""
    if model._meta.parents:
        return None
    table, selected, converters = model._meta.db_table, [], []
    for n, name in enumerate(names):
        link, _step, further = name.partition("__")
        field = _field(model, link)
        if field is None:
            return None
        text = f'"{table}"."{field.column}"'
        if further:
            if field.remote_field is None or not isinstance(field.related_model, type):
                return None
            target: Any = field.related_model
            key = field.target_field.column
            field = _field(target, further)
            if field is None or target._meta.parents:
                return None
            text = f'(SELECT x."{field.column}" FROM "{target._meta.db_table}" x WHERE x."{key}" = {text})'  # noqa: S608 - names of models
        selected.append(text)
        if hasattr(field, "from_db_value"):
            converters.append((n, field.from_db_value))
    return ", ".join(selected), tuple(converters)


def _field(model: type[models.Model], name: str) -> Any | None:
    """A concrete field by its name, attribute or column."""
    return next((f for f in model._meta.concrete_fields if name in (f.name, f.attname, f.column)), None)


def _select(queryset: models.QuerySet[Any], columns: str) -> tuple[str, Sequence[Any]] | None:
    """The statement of a queryset with another SELECT list, which is the part that costs the ORM most to write.

    ``None`` for querysets whose rows depend on their columns. Errors: ``EmptyResultSet`` when no row can match.
    """
    query = queryset.query
    if query.distinct or query.combinator or query.group_by is not None or query.extra_select:
        return None
    table, key = queryset.model._meta.db_table, queryset.model._meta.pk
    assert key is not None
    sql, parameters = queryset.values_list(key.attname).query.sql_with_params()
    start = f'SELECT "{table}"."{key.column}" AS "{key.attname}" FROM "{table}"'  # noqa: S608 - names of models
    if not sql.startswith(start):
        return None
    return f'SELECT {columns} FROM "{table}"{sql[len(start) :]}', parameters  # noqa: S608 - names and what the ORM wrote


def read_values(queryset: models.QuerySet[Any], names: Sequence[str]) -> list[Sequence[Any]]:
    """``queryset.values_list(*names)``, at a fraction of the cost when the names are columns of the model's own table: only
    the condition and the order have to be compiled. One statement."""
    model: type[models.Model] = queryset.model
    known = _columns(model, tuple(names))
    try:
        statement = _select(queryset, known[0]) if known is not None else None
    except EmptyResultSet:
        return []
    if known is None or statement is None:
        return list(queryset.values_list(*names))
    with connection.cursor() as cursor:
        cursor.execute(*statement)
        rows: list[Sequence[Any]] = cursor.fetchall()
    if not known[1]:
        return rows
    converted: list[Sequence[Any]] = []
    for row in rows:
        values = list(row)
        for n, convert in known[1]:
            values[n] = convert(values[n], None, connection)
        converted.append(values)
    return converted


def read_records(queryset: models.QuerySet[M]) -> list[M]:
    """``list(queryset)`` for a queryset that adds nothing to its model's columns; it may lock. One statement."""
    model = queryset.model
    shape = _shape(model)
    known = _columns(model, shape.columns)
    plain = not (
        queryset.query.annotations or queryset.query.select_related or queryset.query.deferred_loading[0]
    )
    try:
        statement = _select(queryset, known[0]) if known is not None and plain else None
    except EmptyResultSet:
        return []
    if statement is None:
        return list(queryset)
    with connection.cursor() as cursor:
        cursor.execute(*statement)
        return [_build(model, shape, row) for row in cursor.fetchall()]


def set_link(record: models.Model, name: str, target: models.Model | None) -> None:
    """Put a linked row that was read beside it behind a foreign key, so that following it asks nothing."""
    record._state.fields_cache[name] = target
