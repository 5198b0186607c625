"""The whole system, as a person starts and stops it: `manage.py up` on an empty folder.

One story, because a start takes seconds: first start, pages and live stream, other commands beside it, a second run
on another port, an orderly stop, a quick second start, a crash of one process, kill -9 and recovery.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.core.runtime import ports, process
from apps.core.runtime.state import read_state

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


class Run:
    """One `manage.py up` with its output."""

    def __init__(self, folder: Path, port: int, **environment: str) -> None:
        self.folder, self.port = folder, port
        self.lines: list[str] = []
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        self.started = time.monotonic()
        self.child = subprocess.Popen(
            [sys.executable, "manage.py", "up"],
            cwd=ROOT,
            env={
                **kept,
                "ERP_IGNORE_DOTENV": "1",
                "ERP_DATA_DIR": str(folder),
                "PORT": str(port),
                **environment,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.child.stdout is not None
        with self.child.stdout as lines:
            for line in lines:
                self.lines.append(line.rstrip())

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def wait_ready(self, seconds: float = 240) -> float:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = re.search(r"ready after ([\d.]+) s", self.text)
            if found and "Ctrl-C stops" in self.text:
                return float(found[1])
            assert self.child.poll() is None, self.text
            time.sleep(0.05)
        raise AssertionError(f"not ready after {seconds} s:\n{self.text}")

    def end(self, signum: int = signal.SIGINT, seconds: float = 60) -> int:
        self.child.send_signal(signum)
        return self.child.wait(timeout=seconds)

    def get(self, path: str, **headers: str) -> tuple[int, str]:
        """Status and body of one request; of a stream that goes on, nothing but the status."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            endless = answer.getheader("Content-Type", "").startswith("text/event-stream")
            return answer.status, "" if endless else answer.read().decode(errors="replace")


def recorded(folder: Path, port: int) -> dict[str, tuple[int, str]]:
    """Number and start of every process of the run on that port."""
    found: dict[str, tuple[int, str]] = json.loads((folder / "run" / f"{port}.json").read_text())["children"]
    return found


def family(folder: Path) -> dict[int, str]:
    """Every process whose environment or command names that data directory."""
    found = {}
    needle = os.fsencode(folder)
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (entry / "cmdline").read_bytes()
            if process.start_time(int(entry.name)) and (
                needle in command or needle in (entry / "environ").read_bytes()
            ):
                found[int(entry.name)] = command.replace(b"\0", b" ").decode(errors="replace")
    return found


def no_family(folder: Path, seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while family(folder):
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="meridian-up-"))
    path.chmod(0o711)
    yield path
    for pid in family(path):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    shutil.rmtree(path, ignore_errors=True)


def test_the_whole_life_of_an_installation(folder: Path) -> None:
    port = ports.free_port()

    # The first start makes everything.
    run = Run(folder, port, ERP_DEMO="1")
    run.wait_ready()
    assert json.loads(run.get("/readyz")[1]) == {
        "status": "ok",
        "checks": {"database": "ok", "redis": "ok", "migrations": "ok"},
    }
    assert f"http://127.0.0.1:{port}/admin/" in run.text
    assert "admin / admin" in run.text
    assert set(recorded(folder, port)) == {"web", "live", "worker", "beat"}

    # Pages, the live stream on the same address, figures of all processes.
    assert run.get("/admin/")[0] in (200, 302)
    assert run.get("/live/")[0] in (401, 403)  # and not 404 or 502: the live process answered
    figures = run.get("/metrics")[1]
    assert 'meridian_requests_total{method="GET",process="web"' in figures
    assert 'meridian_queue_length{queue="render"} 0.0' in figures

    # Any other command finds the same database without being told where it is.
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        [
            sys.executable,
            "manage.py",
            "shell",
            "-v",
            "0",
            "-c",
            "from apps.access.models import User; print(User.objects.count() > 2)",
        ],
        cwd=ROOT,
        env={**kept, "ERP_IGNORE_DOTENV": "1", "ERP_DATA_DIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.strip() == "True", done.stderr

    # The same port is refused, another port shares the servers and leaves them alone when it goes.
    busy = Run(folder, port)
    assert busy.child.wait(timeout=60) == 1
    assert f"Port {port} on 127.0.0.1 is in use" in busy.text
    assert run.get("/readyz")[0] == 200
    assert set(recorded(folder, port)) == {"web", "live", "worker", "beat"}
    beside = Run(folder, ports.free_port())
    beside.wait_ready()
    assert "'migrate'" not in beside.text
    assert beside.end(signal.SIGTERM) == 0
    assert "stay up for another run" in beside.text
    assert run.get("/readyz")[0] == 200

    # Ctrl-C stops everything.
    assert run.end(signal.SIGINT) == 0
    assert run.lines[-1].endswith("stopped on SIGINT")
    assert no_family(folder), family(folder)
    assert ports.is_free(port)
    assert ports.is_free(read_state(folder)["postgres_port"])

    # The second start has nothing to prepare. (The bound is for a busy machine; a quiet one takes a few seconds.)
    second = Run(folder, port, ERP_DEMO="1")
    assert second.wait_ready() < 30
    assert not [line for line in second.lines if line.startswith(("migrate", "demo"))]

    # One process dies: the others go down with it, and it is named.
    worker, _ = recorded(folder, port)["worker"]
    os.kill(worker, signal.SIGKILL)
    assert second.child.wait(timeout=60) == 1
    assert "error: 'worker' was killed by SIGKILL; everything else is being stopped" in second.text
    assert no_family(folder), family(folder)

    # The supervisor is killed: nothing survives it for long, and the next start works.
    third = Run(folder, port)
    third.wait_ready()
    third.child.kill()
    third.child.wait()
    fourth = Run(folder, port)
    fourth.wait_ready()
    assert fourth.get("/readyz")[0] == 200
    assert fourth.end(signal.SIGTERM) == 0
    assert no_family(folder), family(folder)
