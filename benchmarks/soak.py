"""`make soak`: the whole system under mixed load for a while; it must neither fail nor grow.

Staff, programs and customers read pages and resources while mail comes in and workers deal with what follows from
it. At the end: answers by status, times, memory of every part after a fifth of the time and at the end. The run fails when a request failed, a process ended, or a process grew by more than a quarter and 40 MB.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable

from . import percentile
from .mails import project_address, write_mail
from .system import ROOT, Client, System

READERS = 4
GROWTH_SHARE = 1.25
GROWTH_MB = 40.0

PATHS = {
    "staff": ("/admin/", "/admin/projects/task/", "/admin/contacts/partner/"),
    "program": (
        "/api/v1/projects/tasks/?limit=80",
        "/api/v1/contacts/partners/?limit=80",
        "/api/v1/projects/stages/",
    ),
    "customer": ("/my", "/my/tasks", "/my/projects"),
}


class Soak:
    """Counts what comes back, from all threads."""

    def __init__(self, system: System, seconds: float, seed: int) -> None:
        self.system = system
        self.end = time.monotonic() + seconds
        self.seed = seed
        self.statuses: Counter[str] = Counter()
        self.failures: list[str] = []
        self.times: list[float] = []
        self.lock = threading.Lock()

    def running(self) -> bool:
        return time.monotonic() < self.end and len(self.failures) < 20

    def note(self, what: str, status: int, seconds: float) -> None:
        with self.lock:
            self.statuses[f"{what} {status}"] += 1
            if seconds:
                self.times.append(seconds)
            if status >= 400:
                self.failures.append(f"{what} answered {status}")

    def read(self, kind: str, client: Client, number: int) -> None:
        chooser = random.Random(self.seed * 100 + number)
        while self.running():
            path = chooser.choice(PATHS[kind])
            started = time.perf_counter()
            status, _ = client.get(path)
            self.note(path, status, time.perf_counter() - started)
            time.sleep(chooser.random() * 0.1)

    def mail(self) -> None:
        recipient, number = project_address(self.system), 0
        while self.running():
            done = self.system.manage("mailgate", stdin=write_mail(5000 + number, recipient))
            self.note("mailgate", 200 if done.returncode == 0 else 500, 0)
            number += 1
            time.sleep(1)

    def guarded(self, work: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            try:
                work()
            except (OSError, RuntimeError) as error:
                with self.lock:
                    self.failures.append(str(error))

        return run


def grown(before: dict[str, float], after: dict[str, float]) -> list[str]:
    """Parts of the system whose memory grew beyond what caches explain."""
    return [
        f"'{name}' grew from {before[name]:.0f} to {after[name]:.0f} MB"
        for name in before
        if after.get(name, 0) > before[name] * GROWTH_SHARE and after.get(name, 0) > before[name] + GROWTH_MB
    ]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    folder = ROOT / "build" / "soak"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    system = System(folder)
    try:
        system.start()
        soak = Soak(system, options.seconds, options.seed)
        clients = {
            "staff": lambda: system.signed_in("admin", "admin"),
            "program": lambda: system.with_token("admin", "admin"),
            "customer": lambda: system.signed_in("portal", "portal"),
        }
        works: list[Callable[[], None]] = [soak.mail]
        for number in range(READERS):
            for kind, make in clients.items():
                works.append(lambda kind=kind, make=make, number=number: soak.read(kind, make(), number))  # type: ignore[misc]
        threads = [threading.Thread(target=soak.guarded(work), daemon=True) for work in works]
        for thread in threads:
            thread.start()
        time.sleep(options.seconds / 5)
        before = system.memory()
        for thread in threads:
            thread.join(timeout=options.seconds + 120)
        after = system.memory()
        alive = system.child is not None and system.child.poll() is None
    finally:
        system.stop()
    return report(soak, before, after, alive)


def report(soak: Soak, before: dict[str, float], after: dict[str, float], alive: bool) -> int:
    for what, count in sorted(soak.statuses.items()):
        print(f"{count:>8}  {what}")
    if soak.times:
        print(
            f"p50 {percentile(soak.times, 0.5) * 1000:.0f} ms, p99 {percentile(soak.times, 0.99) * 1000:.0f} ms"
        )
    for name, value in after.items():
        print(f"{name:<12} {before.get(name, 0):6.0f} → {value:6.0f} MB")
    troubles = [*soak.failures, *grown(before, after)]
    if not alive:
        troubles.append("the system ended by itself")
    for trouble in troubles:
        print(f"FAILED {trouble}", file=sys.stderr)
    return 1 if troubles or not soak.statuses else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
