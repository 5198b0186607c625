"""Helpers for the tests of every app: draining the outbox, running sync code in threads, counting queries."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from apps.core import outbox
from apps.core.models.outbox import OutboxEvent


def drain_outbox(*, rounds: int = 10) -> int:
    """Deliver events until none waits (handlers may announce more). Fails when a handler failed."""
    total = 0
    for _round in range(rounds):
        done = outbox.dispatch()
        total += done
        if not done:
            break
    failed = list(OutboxEvent.objects.exclude(error="").values_list("name", "error"))
    assert not failed, f"handlers failed: {failed}"
    return total


@contextmanager
def count_queries() -> Iterator[CaptureQueriesContext]:
    """``with count_queries() as seen: …`` then ``len(seen)``; the statements are in ``seen.captured_queries``."""
    with CaptureQueriesContext(connection) as context:
        yield context


def run_in_threads(jobs: list[Callable[[], Any]], *, timeout: float = 60) -> list[Any]:
    """Run all jobs at the same moment, each on its own database connection; answers results or exceptions in order.

    Needs a test with real transactions (``@pytest.mark.django_db(transaction=True)``).
    """
    barrier = threading.Barrier(len(jobs))
    results: list[Any] = [None] * len(jobs)

    def work(number: int, job: Callable[[], Any]) -> None:
        try:
            barrier.wait(timeout)
            results[number] = job()
        except Exception as exc:  # noqa: BLE001 - the caller looks at what each job came to
            results[number] = exc
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=item, daemon=True) for item in enumerate(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout)
    assert not any(thread.is_alive() for thread in threads), "a thread did not finish"
    return results
