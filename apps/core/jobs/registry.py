"""What can run in the background, and how a task says so. No ORM: modules import this from their services.

Two kinds of task, both ``function(run)`` with a ``RunHandle``:

* **Scheduled** ones are named by dotted path in a module's ``JobSpec``. Each call is one batch in one transaction of
  the engine; a task that has more to do says ``run.report(done, remaining)`` and is called again, up to ten times in a
  row. A task that must commit piece by piece (sending mail: what went out must never go twice) is marked
  ``@own_transactions`` and opens its units of work itself.
* **Background** ones are registered by name with ``@background`` and started by a person or a service through
  ``start_background``. They open their own units of work, and answer with a JSON value that becomes the run's result.

All of them must bear running twice: a worker can die after the work and before the word about it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from apps.core.jobs.handle import RunHandle

Task = Callable[["RunHandle"], Any]
T = TypeVar("T", bound=Callable[..., Any])

_MARK = "_opens_own_transactions"


class JobCancelled(Exception):
    """Raised inside a task when somebody cancelled its run; let it pass."""


class LeaseLost(Exception):
    """Raised inside a task whose run was taken over because its worker seemed dead; what is not committed is undone."""


class UnknownTask(LookupError):
    """A name or path behind which there is no background task."""


@dataclass(frozen=True, slots=True)
class BackgroundTask:
    """A registered background task. ``queue`` is the Celery queue; ``attempts`` how often a lost run is tried."""

    name: str
    title: Any
    function: Task
    queue: str
    attempts: int


_background: dict[str, BackgroundTask] = {}


def background(name: str, *, title: Any, queue: str = "bulk", attempts: int = 3) -> Callable[[T], T]:
    """Register ``function(run)`` under ``name`` (``accounting.post_invoices``)."""

    def add(function: T) -> T:
        known = _background.get(name)
        if known is not None and known.function is not function:
            raise ValueError(f"Two background tasks are called '{name}'.")
        _background[name] = BackgroundTask(name, title, function, queue, attempts)
        return function

    return add


def background_task(name: str) -> BackgroundTask:
    try:
        return _background[name]
    except KeyError:
        raise UnknownTask(f"There is no background task '{name}'.") from None


def background_tasks() -> dict[str, BackgroundTask]:
    return dict(sorted(_background.items()))


def forget_background(name: str) -> None:
    """For tests: take a task out again."""
    _background.pop(name, None)


def own_transactions(function: T) -> T:
    """Mark a scheduled task that opens its own units of work: the engine then wraps no transaction around it."""
    setattr(function, _MARK, True)
    return function


def opens_own_transactions(function: Callable[..., Any]) -> bool:
    return bool(getattr(function, _MARK, False))


def resolve_path(path: str) -> Task:
    """The function at a dotted path. ``UnknownTask`` names what is missing."""
    module, _, name = path.rpartition(".")
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as exc:
        raise UnknownTask(f"There is no task at '{path}' ({exc}).") from exc
