"""Rows of models by a plain condition, without the cost of building a query.

Services that run for every document read small sets of set-up rows by key over and over. Composing and compiling such a
query costs the ORM several times what PostgreSQL needs to answer it; here the statement of a model is written once.
Record rules are the caller's business, as with ``Model._base_manager``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple, TypeVar

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


def set_link(record: models.Model, name: str, target: models.Model | None) -> None:
    """Put a linked row that was read beside it behind a foreign key, so that following it asks nothing."""
    record._state.fields_cache[name] = target
