"""Different values for many rows in one UPDATE."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django.db import connection, models


def update_rows(model: type[models.Model], records: Sequence[models.Model], names: Sequence[str]) -> None:
    """Write the fields ``names`` of all records: one statement, whatever their number.

    Values are written as they are on the records; they must be clean. Triggers and constraints see them as ever.
    """
    if not records or not names:
        return
    fields = [model._meta.get_field(name) for name in names]
    kinds = [str(field.db_type(connection)) for field in fields]  # type: ignore[union-attr]
    arrays = ["%s::bigint[]"]
    sets, parameters = [], [[record.pk for record in records]]
    for n, (field, kind) in enumerate(zip(fields, kinds, strict=True)):
        is_json = kind == "jsonb"
        arrays.append("%s::text[]" if is_json else f"%s::{kind.partition('(')[0]}[]")
        sets.append(f'"{field.column}" = n.c{n}' + ("::jsonb" if is_json else ""))  # type: ignore[union-attr]
        attribute = field.attname  # type: ignore[union-attr]
        values: list[Any] = [getattr(record, attribute) for record in records]
        parameters.append([json.dumps(value) for value in values] if is_json else values)
    columns = ", ".join(["id", *(f"c{n}" for n in range(len(fields)))])
    with connection.cursor() as cursor:
        cursor.execute(  # names of a model's own columns
            f'UPDATE "{model._meta.db_table}" AS r SET {", ".join(sets)} '  # noqa: S608
            f"FROM unnest({', '.join(arrays)}) AS n({columns}) WHERE r.id = n.id",
            parameters,
        )
