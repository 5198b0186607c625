"""Hooks: the three ways in which one module takes part in what another does, inside its transaction.

* ``Veto``: handlers look and may raise a ``BusinessError``; their answers are ignored.
* ``Filter``: handlers pass a value on, each returning the (changed) value.
* ``Collect``: handlers answer with something or ``None``; the caller gets the list.

A module declares its hooks in ``hooks.py`` (no ORM) and documents the keyword arguments in the docstring given
to the hook. Handlers run in a fixed order: ``order``, then module, then name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Handler = Callable[..., Any]
H = TypeVar("H", bound=Handler)

_all: dict[str, _Hook] = {}


class _Hook:
    def __init__(self, name: str, doc: str = "") -> None:
        if name in _all:
            raise ValueError(f"A hook called '{name}' exists already.")
        self.name = name
        self.__doc__ = doc
        self._handlers: list[tuple[int, str, str, Handler]] = []
        _all[name] = self

    def register(self, handler: H | None = None, *, order: int = 0) -> Any:
        """Use as ``@hook.register`` or ``@hook.register(order=10)``."""

        def add(function: H) -> H:
            entry = (order, function.__module__, function.__qualname__, function)
            if any(known[1:3] == entry[1:3] for known in self._handlers):
                raise ValueError(f"{function.__qualname__} is registered twice on hook '{self.name}'.")
            self._handlers.append(entry)
            self._handlers.sort(key=lambda item: item[:3])
            return function

        return add if handler is None else add(handler)

    @property
    def handlers(self) -> list[Handler]:
        return [entry[3] for entry in self._handlers]

    def unregister(self, handler: Handler) -> None:
        """For tests: take a handler out again."""
        self._handlers = [entry for entry in self._handlers if entry[3] is not handler]


class Veto(_Hook):
    def run(self, **context: Any) -> None:
        for handler in self.handlers:
            handler(**context)


class Filter(_Hook):
    def run(self, value: Any, **context: Any) -> Any:
        for handler in self.handlers:
            value = handler(value, **context)
        return value


class Collect(_Hook):
    def run(self, **context: Any) -> list[Any]:
        answers = (handler(**context) for handler in self.handlers)
        return [answer for answer in answers if answer is not None]


def all_hooks() -> dict[str, _Hook]:
    """Every declared hook by name, for the documentation and the conformance tests."""
    return dict(_all)


# The kernel's own hooks.
collect_changes = Collect(
    "core.collect_changes",
    "(changes: list[Change], actor) – once per unit of work, before commit, with the net changes of tracked fields.",
)
collect_created = Collect(
    "core.collect_created",
    "(created: list[Model], actor) – once per unit of work, before commit, with the records made by services.",
)
collect_deleting = Collect(
    "core.collect_deleting",
    "(records: list[Model], actor) – before records are deleted, in the same transaction.",
)
before_create = Veto("core.before_create", "(model, values: list[dict], actor) – before records are made.")
before_update = Veto("core.before_update", "(model, records, values: dict, actor) – before records change.")
before_delete = Veto("core.before_delete", "(model, records, actor) – before records are deleted.")
before_action = Veto(
    "core.before_action", "(action, records, inputs: dict, actor) – before any action's body."
)
collect_actor_context = Collect(
    "core.collect_actor_context",
    "(user) -> dict – fields of Actor that an app fills in when an actor is built for a user.",
)
