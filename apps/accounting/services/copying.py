"""Writing many rows at once with COPY, under keys drawn beforehand. Triggers and constraints see them like any insert."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import islice
from typing import Any

from django.db import connection

_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_SPECIAL = re.compile(r"[\\\t\n\r]").search
BLOCK = 500  # rows that are sent together


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

    Takes text, numbers, decimals, dates, truth values, ``None``, lists of integers (as arrays) and dicts (as JSON). Rows are
    sent while the following ones are still being written down, so that the server works meanwhile.
    """
    names = ", ".join(f'"{column}"' for column in columns)
    waiting = iter(rows)
    block = _block(waiting)
    if not block:
        return
    with (
        connection.cursor() as cursor,
        connection.wrap_database_errors,
        cursor.copy(f'COPY "{table}" ({names}) FROM STDIN') as copy,
    ):
        while block:
            copy.write(block)
            block = _block(waiting)


def _block(rows: Iterator[Sequence[Any]]) -> str:
    """Up to ``BLOCK`` rows as COPY reads them."""
    texts = _TEXTS
    return "".join(
        [
            "\t".join([texts.get(type(value), _field)(value) for value in row]) + "\n"
            for row in islice(rows, BLOCK)
        ]
    )


def _text(value: str) -> str:
    return value.translate(_ESCAPES) if _SPECIAL(value) else value


def _array(value: Sequence[int]) -> str:
    return "{" + ",".join(map(str, value)) + "}" if value else "{}"


def _field(value: Any) -> str:
    """Values of other types than the common ones: text of their own kind, JSON, dates of a subclass."""
    if isinstance(value, str):
        return _text(str(value))
    if isinstance(value, datetime.datetime | datetime.date):
        return value.isoformat()
    if isinstance(value, dict):
        return _text(json.dumps(value, ensure_ascii=False))
    return _text(str(value))


_TEXTS: dict[type, Callable[[Any], str]] = {
    type(None): lambda value: "\\N",
    int: str,
    Decimal: str,
    bool: lambda value: "t" if value else "f",
    str: _text,
    datetime.date: datetime.date.isoformat,
    datetime.datetime: datetime.datetime.isoformat,
    tuple: _array,
    list: _array,
}
