"""Events: facts that are announced after commit, stored in the outbox inside the transaction.

An event is a frozen dataclass of plain values (ints, strings, bools, decimals, dates, tuples of them). Its
``name`` is stable; handlers in ``handlers.py`` run on a worker, at least once, each in a transaction that also
records the delivery, so that effects on the database happen exactly once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

E = TypeVar("E", bound="Event")

_events: dict[str, type[Event]] = {}
_handlers: dict[str, dict[str, Callable[..., None]]] = {}
_together: set[str] = set()
_listeners: dict[str, tuple[Callable[[str], bool], Callable[..., None]]] = {}


@dataclass(frozen=True)
class Event:
    """Base of all events; subclasses are frozen dataclasses whose fields have plain values."""

    name: ClassVar[str] = ""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "name" not in cls.__dict__:
            app = cls.__module__.split(".")[-2] if cls.__module__.endswith(".events") else cls.__module__
            cls.name = f"{app}.{cls.__name__}"
        known = _events.get(cls.name)
        # dataclass(slots=True) builds the class a second time under the same name.
        if known is not None and known.__qualname__ != cls.__qualname__:
            raise ValueError(f"Two events are called '{cls.name}'.")
        _events[cls.name] = cls

    def payload(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    @classmethod
    def from_payload(cls: type[E], payload: dict[str, Any]) -> E:
        """Rebuild the event; unknown keys of newer releases are ignored, lists become tuples again."""
        names = {field.name for field in dataclasses.fields(cls)}
        values = {key: tuple(v) if isinstance(v, list) else v for key, v in payload.items() if key in names}
        return cls(**values)


@dataclass(frozen=True)
class RecordsCreated(Event):
    """Records were made by a service: model label and primary keys."""

    name: ClassVar[str] = "core.RecordsCreated"
    model: str
    pks: tuple[int, ...]
    company_pk: int | None = None


@dataclass(frozen=True)
class RecordsUpdated(Event):
    """Records were changed: model label, primary keys, names of the fields that were written."""

    name: ClassVar[str] = "core.RecordsUpdated"
    model: str
    pks: tuple[int, ...]
    fields: tuple[str, ...] = ()
    company_pk: int | None = None


@dataclass(frozen=True)
class RecordsDeleted(Event):
    name: ClassVar[str] = "core.RecordsDeleted"
    model: str
    pks: tuple[int, ...]
    company_pk: int | None = None


@dataclass(frozen=True)
class JobFailed(Event):
    """A scheduled job failed: at its first failure and again before it is deactivated."""

    name: ClassVar[str] = "core.JobFailed"
    job: str
    error: str
    failures: int = 1
    deactivated: bool = False


def on(*events: type[Event], together: bool = False) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register ``handler(event, *, actor)`` for one or several events. It may be called again after a crash.

    With ``together``, events that wait at the same time and differ in their ``pks`` alone may come as one with all ``pks``.
    """

    def add(handler: Callable[..., None]) -> Callable[..., None]:
        key = f"{handler.__module__}.{handler.__qualname__}"
        if together:
            _together.add(key)
        for event in events:
            _handlers.setdefault(event.name, {})[key] = handler
        return handler

    return add


def on_every(wants: Callable[[str], bool]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register ``handler(event, *, actor)`` for all events, also those of modules that load later, whose name passes
    ``wants(name)`` at the time of delivery. ``wants`` is asked for each event and must be cheap."""

    def add(handler: Callable[..., None]) -> Callable[..., None]:
        _listeners[f"{handler.__module__}.{handler.__qualname__}"] = (wants, handler)
        return handler

    return add


def off(handler: Callable[..., None]) -> None:
    """For tests: take a handler out again."""
    key = f"{handler.__module__}.{handler.__qualname__}"
    _listeners.pop(key, None)
    for registered in _handlers.values():
        registered.pop(key, None)


def handlers_of(name: str) -> dict[str, Callable[..., None]]:
    """Handlers by dotted path, in a fixed order."""
    found = dict(_handlers.get(name, {}))
    found.update({key: handler for key, (wants, handler) in _listeners.items() if wants(name)})
    return dict(sorted(found.items()))


def takes_together(path: str) -> bool:
    """Whether a handler, by its dotted path, takes several events as one."""
    return path in _together


def event_class(name: str) -> type[Event] | None:
    return _events.get(name)


def all_events() -> dict[str, type[Event]]:
    return dict(_events)
