"""The unit of work: one transaction with its events, tracked changes and new records.

Services open it (or join the one that is open). Before commit it computes the *net* change of every tracked field
(A to B and back leaves nothing, A to B to C is one change A to C), hands changes and new records to the collect
hooks, and writes the events to the outbox; after commit it wakes the dispatcher. An error rolls back everything,
events included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, models, transaction

from apps.core.actor import Actor
from apps.core.events import Event
from apps.core.hooks import collect_changes, collect_created
from apps.core.integrity import translate
from apps.core.models.outbox import OutboxEvent
from apps.core.queue import wake_on_commit

DISPATCH_TASK = "core.dispatch_outbox"


@dataclass(frozen=True, slots=True)
class Change:
    """The net change of one tracked field of one record. Values are as stored: foreign keys are primary keys."""

    record: models.Model
    field: str
    old: Any
    new: Any


class UnitOfWork:
    """What one transaction gathers. Get it from ``unit_of_work``; do not build it."""

    def __init__(self, actor: Actor) -> None:
        self.actor = actor
        self._events: list[tuple[Event, Actor]] = []
        self._old: dict[tuple[type[models.Model], Any], dict[str, Any]] = {}
        self._new: dict[tuple[type[models.Model], Any], dict[str, Any]] = {}
        self._records: dict[tuple[type[models.Model], Any], models.Model] = {}
        self._created: list[models.Model] = []
        self._created_keys: set[tuple[type[models.Model], Any]] = set()
        self._forgotten: set[tuple[type[models.Model], Any]] = set()

    def emit(self, event: Event, *, actor: Actor | None = None) -> None:
        """Store the event with this transaction; handlers see it after commit."""
        self._events.append((event, actor or self.actor))

    def track(self, record: models.Model, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        """Note old and new values of fields; the first old and the last new value of a field count."""
        key = (type(record), record.pk)
        old, new = self._old.setdefault(key, {}), self._new.setdefault(key, {})
        for name, value in after.items():
            old.setdefault(name, before.get(name))
            new[name] = value
        self._records[key] = record

    def created(self, records: Iterable[models.Model]) -> None:
        for record in records:
            self._created.append(record)
            self._created_keys.add((type(record), record.pk))

    def deleted(self, records: Iterable[models.Model]) -> None:
        for record in records:
            self._forgotten.add((type(record), record.pk))

    def on_commit(self, function: Callable[[], None]) -> None:
        transaction.on_commit(function)

    def _mark(self) -> tuple[int, int]:
        return len(self._events), len(self._created)

    def _rollback_to(self, mark: tuple[int, int]) -> None:
        del self._events[mark[0] :]
        for record in self._created[mark[1] :]:
            self._created_keys.discard((type(record), record.pk))
        del self._created[mark[1] :]

    def _net_changes(self) -> list[Change]:
        changes = []  # type: ignore[var-annotated]
        for key, new in self._new.items():
            if key in self._created_keys or key in self._forgotten:
                continue
            old = self._old[key]
            record = self._records[key]
            changes.extend(
                Change(record, name, old[name], value) for name, value in new.items() if old[name] != value
            )
        return changes

    def flush(self) -> None:
        """Hand on what was gathered. The hooks may gather more, which goes round again."""
        for _round in range(10):
            created = [r for r in self._created if (type(r), r.pk) not in self._forgotten]
            changes = self._net_changes()
            self._created, self._old, self._new, self._records = [], {}, {}, {}
            if not created and not changes:
                break
            if created:
                collect_created.run(created=created, actor=self.actor)
            if changes:
                collect_changes.run(changes=changes, actor=self.actor)
        else:
            raise RuntimeError(
                "Handlers of changes keep changing tracked records: the unit of work does not settle."
            )
        if self._events:
            store_events(self._events)
            self._events = []


_current: ContextVar[UnitOfWork | None] = ContextVar("unit_of_work", default=None)


def current() -> UnitOfWork | None:
    """The open unit of work, if any."""
    return _current.get()


@contextmanager
def unit_of_work(actor: Actor, *, savepoint: bool = True) -> Iterator[UnitOfWork]:
    """Open a unit of work, or join the open one inside a savepoint.

    ``IntegrityError`` of the database comes out as a ``BusinessError`` with the words of the constraint. Without
    ``savepoint`` an error spoils the open one: for parts whose errors no caller gets over.
    """
    outer = _current.get()
    if outer is not None and not savepoint:
        try:
            yield outer
        except IntegrityError as exc:
            raise translate(exc) from exc
        return
    if outer is not None:
        mark = outer._mark()
        try:
            with transaction.atomic():
                yield outer
        except IntegrityError as exc:
            outer._rollback_to(mark)
            raise translate(exc) from exc
        except BaseException:
            outer._rollback_to(mark)
            raise
        return
    token = None
    try:
        with transaction.atomic():
            work = UnitOfWork(actor)
            token = _current.set(work)
            yield work
            work.flush()
    except IntegrityError as exc:
        raise translate(exc) from exc
    finally:
        if token is not None:
            _current.reset(token)


def store_events(events: Sequence[tuple[Event, Actor]]) -> None:
    """Insert events into the outbox in one statement and wake the dispatcher after commit."""
    OutboxEvent.objects.bulk_create(
        [
            OutboxEvent(name=event.name, payload=event.payload(), actor=actor.snapshot())
            for event, actor in events
        ]
    )
    wake_on_commit(DISPATCH_TASK)


def emit(event: Event, *, actor: Actor) -> None:
    """Announce an event in the open unit of work, or in a transaction of its own."""
    work = _current.get()
    if work is not None:
        work.emit(event, actor=actor)
        return
    with transaction.atomic():
        store_events([(event, actor)])
