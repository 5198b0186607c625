"""Pages and resources, one after the other on one connection, then by several clients at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from . import Figure, percentile, workload
from .system import Client, System

WARM = 10
REPEATS = 150
CLIENTS = 8
SECONDS = 5.0


def latency(name: str, client: Client, path: str, repeats: int = REPEATS) -> list[Figure]:
    """p50 and p95 of one path, after a warm-up; any answer but 200 is an error."""
    times = []
    for number in range(WARM + repeats):
        started = time.perf_counter()
        status, body = client.get(path)
        if status != 200:
            raise RuntimeError(f"{path} answered {status}: {body[:200]!r}")
        if number >= WARM:
            times.append((time.perf_counter() - started) * 1000)
    note = f"GET {path}"
    return [
        Figure(f"{name} p50", percentile(times, 0.5), "ms", note),
        Figure(f"{name} p95", percentile(times, 0.95), "ms", note),
    ]


def throughput(name: str, make: Callable[[], Client], path: str) -> Figure:
    """Answers a second that `CLIENTS` clients get together."""
    counts = [0] * CLIENTS
    failures: list[str] = []
    end = time.monotonic() + SECONDS

    def work(number: int, client: Client) -> None:
        while time.monotonic() < end:
            status, _ = client.get(path)
            if status != 200:
                failures.append(f"{path} answered {status}")
                return
            counts[number] += 1

    threads = [threading.Thread(target=work, args=(number, make())) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise RuntimeError(failures[0])
    return Figure(
        f"{name} throughput", sum(counts) / SECONDS, "1/s", f"{CLIENTS} clients", lower_is_better=False
    )


@workload("health")
def health(system: System) -> Sequence[Figure]:
    return [
        *latency("healthz", system.client(), "/healthz"),
        throughput("healthz", system.client, "/healthz"),
    ]


@workload("tasks")
def tasks(system: System) -> Sequence[Figure]:
    program = system.with_token("admin", "admin")
    browser = system.signed_in("admin", "admin")
    count = system.json(program, "/api/v1/projects/tasks/?limit=1")["count"]
    path = "/api/v1/projects/tasks/?limit=80"

    def another() -> Client:
        client = system.client()
        client.headers |= program.headers
        return client

    return [
        Figure("tasks in the database", count, "rows", lower_is_better=False),
        *latency("REST task list", program, path),
        throughput("REST task list", another, path),
        *latency("back office task list", browser, "/admin/projects/task/", 60),
        *latency("back office home", browser, "/admin/", 60),
    ]


@workload("portal")
def portal(system: System) -> Sequence[Figure]:
    customer = system.signed_in("portal", "portal")
    return [
        *latency("portal home", customer, "/my", 60),
        *latency("portal task list", customer, "/my/tasks", 60),
    ]
