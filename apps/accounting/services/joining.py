"""Taking part in the unit of work that is open, without a savepoint of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from apps.core.actor import Actor
from apps.core.unit_of_work import UnitOfWork, current, unit_of_work


@contextmanager
def joined(actor: Actor) -> Iterator[UnitOfWork]:
    """The open unit of work, or a new one. For steps whose failure ends the whole: what they did is not rolled back by itself,
    which saves two statements a step."""
    work = current()
    if work is not None:
        yield work
        return
    with unit_of_work(actor) as opened:
        yield opened
