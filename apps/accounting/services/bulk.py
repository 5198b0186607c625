"""Different values for many rows in one UPDATE."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django.db import connection, models


def update_rows(model: type[models.Model], records: Sequence[models.Model], names: Sequence[str]) -> None:
    """Write the fields ``names`` of all records: one statement, whatever their number.

    Values are written as they are on the records; they must be clean. Triggers and constraints see them as ever. What is alike
    on all records is sent once, and of JSON each different value once.
    """
    if not records or not names:
        return
    arrays, columns = ["%s::bigint[]"], ["id"]
    sets: list[str] = []
    constants: list[Any] = []
    parameters: list[Any] = [[record.pk for record in records]]
    for n, name in enumerate(names):
        field: Any = model._meta.get_field(name)
        kind = str(field.db_type(connection)).partition("(")[0]
        values = [getattr(record, field.attname) for record in records]
        first = values[0]
        if all(value is first or value == first for value in values):
            sets.append(f'"{field.column}" = %s::{kind}')
            constants.append(json.dumps(first) if kind == "jsonb" else first)
            continue
        columns.append(f"c{n}")
        if kind == "jsonb":
            texts = [json.dumps(value) for value in values]
            places: dict[str, int] = {}
            parameters.append([places.setdefault(text, len(places) + 1) for text in texts])
            arrays.append("%s::integer[]")
            sets.append(f'"{field.column}" = (%s::text[])[n.c{n}]::jsonb')
            constants.append(list(places))
        else:
            parameters.append(values)
            arrays.append(f"%s::{kind}[]")
            sets.append(f'"{field.column}" = n.c{n}')
    with connection.cursor() as cursor:
        cursor.execute(  # names of a model's own columns
            f'UPDATE "{model._meta.db_table}" AS r SET {", ".join(sets)} '  # noqa: S608
            f"FROM unnest({', '.join(arrays)}) AS n({', '.join(columns)}) WHERE r.id = n.id",
            constants + parameters,
        )
