"""Starting background work by name, so that domain code need not know the queue library.

A task name that no running module registers is an error at once. A broker that does not answer is not: what
matters is in the database (outbox, mail queue, job runs), and the beat picks it up when the broker is back.
"""

from __future__ import annotations

import logging
from typing import Any

import redis
from django.db import transaction

from apps.core.errors import Unavailable
from apps.core.live import client

logger = logging.getLogger("meridian.queue")
# How long a task that was sent counts as on its way: when a worker dies with it, the next commit after that sends another.
AWAKE_MS = 3_000


class UnknownTask(LookupError):
    """No running module registers a task of that name."""


def _task(name: str) -> Any:
    from celery import current_app

    if name not in current_app.tasks:
        # The loader's import_default_modules() would run all of Django's system checks besides.
        current_app.autodiscover_tasks(force=True)
    try:
        return current_app.tasks[name]
    except KeyError:
        raise UnknownTask(f"There is no background task '{name}'.") from None


def enqueue(name: str, *args: Any, queue: str | None = None, countdown: float = 0, **kwargs: Any) -> str:
    """Send a task now; returns its id. Raises ``Unavailable`` when the broker does not answer."""
    from celery.exceptions import OperationalError as CeleryOperationalError
    from kombu.exceptions import OperationalError

    try:
        result = _task(name).apply_async(
            args=args, kwargs=kwargs, queue=queue, countdown=countdown or None, retry=False
        )
    except (OperationalError, CeleryOperationalError, ConnectionError, OSError) as exc:
        raise Unavailable(f"The queue does not answer: {exc}") from exc
    return str(result.id)


def enqueue_on_commit(name: str, *args: Any, queue: str | None = None, **kwargs: Any) -> None:
    """Send a task after the transaction commits. With the broker down this only logs: use it as a nudge for work
    that is recorded in the database."""
    _task(name)

    def send() -> None:
        try:
            enqueue(name, *args, queue=queue, **kwargs)
        except Unavailable as exc:
            logger.warning("task %s was not sent, the schedule will pick the work up: %s", name, exc)

    transaction.on_commit(send)


def wake_on_commit(name: str) -> None:
    """Send a task that deals with everything that waits in the database, unless one is on its way: a hundred commits need
    one. The task says ``awake`` while it looks again by itself, and ``asleep`` before it looks for the last time."""
    _task(name)

    def send() -> None:
        if not _take(name):
            return
        try:
            enqueue(name)
        except Unavailable as exc:
            asleep(name)
            logger.warning("task %s was not sent, the schedule will pick the work up: %s", name, exc)

    transaction.on_commit(send)


def _take(name: str) -> bool:
    """Whether nobody has woken the task within the last seconds. A lost mark costs a task too many, never one too few."""
    try:
        return bool(client().set(_mark(name), 1, nx=True, px=AWAKE_MS))
    except (redis.RedisError, OSError):
        return True


def awake(name: str) -> None:
    """Whoever commits from now on need not send the task; holds for some seconds."""
    try:
        client().set(_mark(name), 1, px=AWAKE_MS)
    except (redis.RedisError, OSError) as exc:
        logger.warning("the queue's server does not answer: %s", exc)


def asleep(name: str) -> None:
    """Whoever commits from now on sends the task again."""
    try:
        client().delete(_mark(name))
    except (redis.RedisError, OSError) as exc:
        logger.warning("the queue's server does not answer: %s", exc)


def _mark(name: str) -> str:
    return f"meridian:awake:{name}"
