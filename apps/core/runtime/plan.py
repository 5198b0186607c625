"""Which processes make up the system, and how each is started."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

WEB_THREADS = 4  # requests that one web worker works on at a time
LIVE_STREAMS = 60  # live streams that one web worker passes through at a time


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """One process of the system. `serves` marks those that visitors wait for."""

    name: str
    arguments: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    serves: bool = False


def system(
    *, host: str, port: int, live_port: int, data_dir: Path, web_workers: int, worker_processes: int
) -> list[ChildSpec]:
    """web, live, worker and beat, in starting order."""
    granian = [sys.executable, "-m", "granian", "--no-ws", "--http", "1", "--log-level", "error"]
    celery = [sys.executable, "-m", "celery", "--app", "erp_project", "--quiet"]
    return [
        ChildSpec(
            "web",
            [
                *granian,
                *("--interface", "wsgi", "--host", host, "--port", str(port)),
                *("--workers", str(web_workers), "--blocking-threads", str(WEB_THREADS + LIVE_STREAMS)),
                *("--workers-kill-timeout", "10"),
                "erp_project.wsgi:application",
            ],
            {"ERP_PROCESS": "web", "LIVE_UPSTREAM": f"127.0.0.1:{live_port}"},
            serves=True,
        ),
        ChildSpec(
            "live",
            [
                *granian,
                *("--interface", "asginl", "--host", "127.0.0.1", "--port", str(live_port), "--workers", "1"),
                *("--workers-kill-timeout", "3"),
                "erp_project.asgi:application",
            ],
            {"ERP_PROCESS": "live"},
            serves=True,
        ),
        ChildSpec(
            "worker",
            [
                *celery,
                *("worker", "--queues", "default,mail,render,bulk", "--concurrency", str(worker_processes)),
                *("--loglevel", "WARNING", "--hostname", f"meridian-{port}@%h"),
                *("--without-gossip", "--without-mingle"),
            ],
            # One machine, one user: what Celery says about running as root is known.
            {"ERP_PROCESS": "worker", "PYTHONWARNINGS": "ignore:You're running the worker with superuser"},
        ),
        ChildSpec(
            "beat",
            [
                *celery,
                *("beat", "--schedule", str(data_dir / "run" / f"celerybeat-{port}"), "--pidfile", ""),
                *("--loglevel", "WARNING"),
            ],
            {"ERP_PROCESS": "beat"},
        ),
    ]
