"""Writing many rows at once with COPY, under keys drawn beforehand. Triggers and constraints see them like any insert."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import islice
from typing import Any

from django.db import connection, models

_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_SPECIAL = re.compile(r"[\\\t\n\r]").search
BLOCK = 500  # rows that are sent together
FEW = 1  # up to so many rows an INSERT is as quick, and a statement less


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


def insert_records(records: Sequence[models.Model]) -> None:
    """Insert clean records of one model and give them their keys, like ``bulk_create``; many go by COPY. Two statements."""
    if len(records) <= FEW:
        if records:
            type(records[0])._base_manager.bulk_create(records)
        return
    model = type(records[0])
    table, fields = model._meta.db_table, [f for f in model._meta.concrete_fields if not f.generated]
    stamps = [f for f in fields if getattr(f, "auto_now", False) or getattr(f, "auto_now_add", False)]
    for record, key in zip(
        records, draw_keys(f"{table}_{model._meta.pk.column}_seq", len(records)), strict=True
    ):
        record.pk = key
        record._state.adding, record._state.db = False, connection.alias
        for field in stamps:
            field.pre_save(record, True)
    names = [field.attname for field in fields]
    encoders = {n: f.encoder for n, f in enumerate(fields) if isinstance(f, models.JSONField)}

    def values(record: models.Model) -> list[Any]:
        row = [getattr(record, name) for name in names]
        for n, encoder in encoders.items():
            if row[n] is not None:
                row[n] = json.dumps(row[n], cls=encoder)
        return row

    copy_rows(table, [str(field.column) for field in fields], map(values, records))


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
