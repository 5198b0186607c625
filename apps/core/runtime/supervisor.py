"""Starts the processes of the system, watches them, stops them together.

There is no restarting: a process that dies takes the others down, and the exit code and the last line say which one
it was. Children live in process groups of their own, so that Ctrl-C reaches the supervisor alone and the order of
stopping is its decision; the kernel tells them when the supervisor is killed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from . import process
from .output import Output
from .plan import ChildSpec
from .problems import RuntimeProblem

STOP_SECONDS = 20


class Supervisor:
    """A set of running children. `record` remembers their numbers for a start after a crash."""

    def __init__(self, *, root: Path, environment: dict[str, str], output: Output, record: Path) -> None:
        self.root = root
        self.environment = environment
        self.output = output
        self.record = record
        self.children: dict[str, subprocess.Popen[bytes]] = {}
        self._recorded = False  # the record is this run's own, so this run removes it

    def end_leftovers(self) -> None:
        """End what an earlier run left behind that was killed before it could clean up.

        The record of a run whose supervisor lives is left alone: its children are nobody's leftovers.
        """
        try:
            recorded = json.loads(self.record.read_text())
            supervisor, children = recorded["supervisor"], recorded["children"]
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return
        if process.alive(*supervisor):
            return
        for name, (pid, started) in children.items():
            if process.end_leftover(pid, started):
                self.output.say(f"ended '{name}' (process {pid}), left over from a run that was killed")
        self.record.unlink(missing_ok=True)

    def run_to_end(self, name: str, arguments: list[str], environment: dict[str, str] | None = None) -> None:
        """Run a preparing step; its failure is the failure of the start."""
        child = self._spawn(ChildSpec(name, arguments, environment or {}))
        code = child.wait()
        self.children.pop(name)
        if code != 0:
            raise RuntimeProblem(f"'{name}' failed with exit code {code}; its messages stand above.")

    def start(self, specs: list[ChildSpec]) -> None:
        for spec in specs:
            self._spawn(spec)
        children = {name: (child.pid, process.start_time(child.pid)) for name, child in self.children.items()}
        supervisor = (os.getpid(), process.start_time(os.getpid()))
        self.record.write_text(json.dumps({"supervisor": supervisor, "children": children}))
        self._recorded = True

    def failed(self) -> str:
        """Name and exit code of a child that has ended, empty while all run."""
        for name, child in self.children.items():
            code = child.poll()
            if code is not None:
                how = (
                    f"was killed by {signal.Signals(-code).name}"
                    if code < 0
                    else f"ended with exit code {code}"
                )
                return f"'{name}' {how}"
        return ""

    def watch(self, others: Callable[[], str]) -> str:
        """Block until a child ends or `others` has something to say; answers what happened."""
        turn = 0
        while True:
            trouble = self.failed()
            if not trouble and turn % 4 == 0:
                trouble = others()
            if trouble:
                return trouble
            turn += 1
            time.sleep(0.25)

    def wait_ready(self, url: str, *, seconds: float) -> dict[str, str]:
        """Wait until `url` answers 200. Answers {} then, else the checks that fail when time is up."""
        end = time.monotonic() + seconds
        checks: dict[str, str] = {}
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        while time.monotonic() < end:
            trouble = self.failed()
            if trouble:
                raise RuntimeProblem(f"{trouble} while starting; its messages stand above.")
            try:
                with opener.open(url, timeout=5) as answer:
                    if answer.status == 200:
                        return {}
            except urllib.error.HTTPError as error:
                checks = _checks(error.read())
                if checks.get("migrations") == "failed":
                    return checks
            except OSError:
                pass  # nothing listens yet
            time.sleep(0.05)
        return checks or {"web": "does not answer"}

    def stop(self) -> None:
        """All children at once, each asked first; whatever is left of their groups is ended by force."""
        running = [child for child in self.children.values() if child.poll() is None]
        for child in running:
            child.terminate()
        end = time.monotonic() + STOP_SECONDS
        for name, child in self.children.items():
            if not process.stop(child, signum=signal.SIGTERM, seconds=max(0.1, end - time.monotonic())):
                self.output.say(f"'{name}' did not stop within {STOP_SECONDS} s and was killed")
        self.children.clear()
        if self._recorded:
            self.record.unlink(missing_ok=True)

    def _spawn(self, spec: ChildSpec) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(
            spec.arguments,
            cwd=self.root,
            env={**self.environment, **spec.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=process.dies_with_parent(signal.SIGTERM),
        )
        assert child.stdout is not None
        self.output.follow(spec.name, child.stdout)
        self.children[spec.name] = child
        return child


def _checks(body: bytes) -> dict[str, str]:
    try:
        answer = json.loads(body)
        return dict(answer.get("checks", {}))
    except (ValueError, AttributeError, TypeError):
        return {}
