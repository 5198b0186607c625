"""Where numbers come from: PostgreSQL sequence objects for fast numberings, counter rows for gapless ones.

Every fast ``Sequence`` row and every ``SequenceRange`` of one has a PostgreSQL sequence object of its own, named after
its primary key. Objects are made, restarted and dropped in the transaction that changes the row, so a roll-back takes
both back. They are always restarted with ``START WITH n RESTART``, which keeps the first number readable in the
catalogue; that is how the next number is known without drawing it.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence as Rows
from dataclasses import dataclass

from django.db import InternalError, ProgrammingError, connection

from apps.core.models.sequence import Sequence, SequenceRange

Counter = Sequence | SequenceRange

_LOWEST, _HIGHEST = -(2**63), 2**63 - 1


@dataclass(frozen=True, slots=True)
class Start:
    """A sequence object to be made or restarted: its first number and its step."""

    counter: Counter
    number: int
    step: int


def object_name(counter: Counter) -> str:
    """Name of the PostgreSQL sequence object behind a counter."""
    if counter.pk is None:
        raise ValueError("A counter has no sequence object before it is saved.")
    kind = "range" if isinstance(counter, SequenceRange) else "all"
    return f"core_number_{kind}_{int(counter.pk)}"


def _execute(statements: Iterable[str]) -> None:
    joined = ";\n".join(statements)
    if joined:
        with connection.cursor() as cursor:
            cursor.execute(joined)


def create_objects(starts: Iterable[Start]) -> None:
    """Make sequence objects. One left over under the same name (a table that was emptied) is replaced."""
    statements = []
    for start in starts:
        name = object_name(start.counter)
        statements.append(f"DROP SEQUENCE IF EXISTS {name}")
        statements.append(
            f"CREATE SEQUENCE {name} AS bigint INCREMENT BY {int(start.step)} "
            f"MINVALUE {_LOWEST} MAXVALUE {_HIGHEST} START WITH {int(start.number)} NO CYCLE"
        )
    _execute(statements)


def restart_objects(starts: Iterable[Start]) -> None:
    """The next number drawn is the given one. Waits for, and then holds back, everybody who draws."""
    _execute(
        f"ALTER SEQUENCE {object_name(start.counter)} INCREMENT BY {int(start.step)} START WITH {int(start.number)} RESTART"
        for start in starts
    )


def drop_objects(counters: Iterable[Counter]) -> None:
    _execute(f"DROP SEQUENCE IF EXISTS {object_name(counter)}" for counter in counters)


def hold_objects(counters: Iterable[Counter]) -> None:
    """Lock sequence objects until the end of the transaction, so that their next number stays what it is."""
    _execute(f"ALTER SEQUENCE {object_name(counter)} NO CYCLE" for counter in counters)


def upcoming_of_objects(counters: Rows[Counter]) -> dict[Counter, int]:
    """The number that each sequence object gives next, without taking it. One statement."""
    names = {object_name(counter): counter for counter in counters}
    if not names:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sequencename, CASE WHEN last_value IS NULL THEN start_value ELSE last_value + increment_by END "
            "FROM pg_sequences WHERE schemaname = current_schema() AND sequencename = ANY(%s)",
            [list(names)],
        )
        return {names[name]: number for name, number in cursor.fetchall()}


class CounterChanged(Exception):
    """The sequence was made fast, made gapless or deleted between reading it and drawing from it."""


def take_fast(counter: Counter, count: int) -> list[int]:
    """Draw from the sequence object; nobody waits, and numbers of a rolled-back transaction are lost."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT nextval(%s::regclass) FROM generate_series(1, %s)", [object_name(counter), count]
            )
            return [row[0] for row in cursor.fetchall()]
    except (ProgrammingError, InternalError) as exc:
        # The object was dropped before its name was looked up, or while we waited for its lock.
        if "does not exist" in str(exc) or "could not open relation" in str(exc):
            raise CounterChanged(repr(counter)) from exc
        raise


# The qualifying row is looked at again after waiting for its lock, so a sequence that somebody makes fast meanwhile
# gives no number from its row. A date range does not know its kind: there the sequence is locked in share mode.
_TAKE_FROM_ROW = """
UPDATE core_sequence SET next_number = next_number + %(by)s
WHERE id = %(pk)s AND implementation = 'gapless' RETURNING next_number
"""
_TAKE_FROM_RANGE = """
WITH owner AS (
    SELECT s.id FROM core_sequence s
    WHERE s.id = (SELECT sequence_id FROM core_sequencerange WHERE id = %(pk)s) AND s.implementation = 'gapless'
    FOR KEY SHARE
)
UPDATE core_sequencerange SET next_number = next_number + %(by)s
FROM owner WHERE core_sequencerange.id = %(pk)s AND core_sequencerange.sequence_id = owner.id RETURNING next_number
"""


def take_gapless(counter: Counter, count: int, step: int) -> list[int]:
    """Draw from the row itself; it stays locked until the transaction ends, and a roll-back gives the numbers back."""
    statement = _TAKE_FROM_RANGE if isinstance(counter, SequenceRange) else _TAKE_FROM_ROW
    with connection.cursor() as cursor:
        cursor.execute(statement, {"pk": counter.pk, "by": step * count})
        row = cursor.fetchone()
    if row is None:
        raise CounterChanged(repr(counter))
    first = row[0] - step * count
    return [first + step * index for index in range(count)]
