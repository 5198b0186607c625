"""Writing many rows at once with COPY, under keys drawn beforehand. Triggers and constraints see them like any insert."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from django.db import connection

_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def draw_keys(sequence: str, count: int) -> list[int]:
    """``count`` fresh keys of a PostgreSQL sequence, ascending. One statement."""
    if not count:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT nextval(%s::regclass) FROM generate_series(1, %s)",
            [sequence, count],
        )
        return [row[0] for row in cursor.fetchall()]


def copy_rows(table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Insert ``rows`` into ``table``, values in the order of ``columns``. One statement.

    Takes text, numbers, decimals, dates, truth values, ``None``, lists of integers (as arrays) and dicts (as JSON).
    """
    names = ", ".join(f'"{column}"' for column in columns)
    text = "".join("\t".join([_field(value) for value in row]) + "\n" for row in rows)
    if not text:
        return
    with (
        connection.cursor() as cursor,
        connection.wrap_database_errors,
        cursor.copy(f'COPY "{table}" ({names}) FROM STDIN') as copy,
    ):
        copy.write(text)


def _field(value: Any) -> str:
    kind = type(value)
    if value is None:
        return "\\N"
    if kind is int or kind is Decimal:
        return str(value)
    if kind is bool:
        return "t" if value else "f"
    if isinstance(value, str):
        return value.translate(_ESCAPES)
    if isinstance(value, datetime.datetime | datetime.date):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return "{" + ",".join(map(str, value)) + "}"
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False).translate(_ESCAPES)
    return str(value).translate(_ESCAPES)
