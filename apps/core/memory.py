"""What a process remembers of set-up rows, and how it knows that they changed.

Every request reads the same journals, taxes and accounts. ``Memory`` holds what was made of such rows for as long as none of
their tables changes. Triggers (``apps.core.db.NoteChanges``) add a row to ``core_change`` with every statement that writes one
of the tables; which rows of it a transaction sees says which state of the set-up it sees, its own uncommitted changes included.
What is held is shared by all threads and requests of the process: nobody may change it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from django.db import connection

T = TypeVar("T")
# States of a set-up that are in use at the same time: those of transactions that are changing it, and of those before.
HELD = 4
# Sum and number beside the last: a change that was noted first may be committed last.
_SEEN = (
    "SELECT count(*), coalesce(sum(id), 0)::bigint, coalesce(max(id), 0) FROM core_change WHERE scope = %s"
)


class Memory(Generic[T]):
    """A value that belongs to one state of the tables of a scope; ``make`` makes it, usually empty, to be filled on demand."""

    def __init__(self, scope: str, make: Callable[[], T]) -> None:
        self.scope = scope
        self._make = make
        self._held: OrderedDict[tuple[Any, ...], T] = OrderedDict()
        self._lock = threading.Lock()

    def now(self) -> T:
        """The value for the set-up as the open transaction sees it. One statement."""
        with connection.cursor() as cursor:
            cursor.execute(_SEEN, [self.scope])
            seen = cursor.fetchone()
        where = connection.settings_dict
        key = (where["HOST"], where["PORT"], where["NAME"], *seen)
        with self._lock:
            value = self._held.get(key)
            if value is None:
                value = self._held[key] = self._make()
                while len(self._held) > HELD:
                    self._held.popitem(last=False)
            else:
                self._held.move_to_end(key)
        return value
