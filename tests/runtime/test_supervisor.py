"""The supervisor: all start, all stop, nothing is left behind, and the one that failed is named."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from apps.core.runtime import ports, process
from apps.core.runtime.output import Output
from apps.core.runtime.plan import ChildSpec, system
from apps.core.runtime.problems import RuntimeProblem
from apps.core.runtime.supervisor import Supervisor

ROOT = Path(__file__).resolve().parents[2]
SLEEP = "import time; print('started', flush=True); time.sleep(120)"


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


@pytest.fixture
def supervisor(tmp_path: Path):  # type: ignore[no-untyped-def]
    made = Supervisor(
        root=ROOT, environment=dict(os.environ), output=Output(io.StringIO()), record=tmp_path / "record.json"
    )
    yield made
    made.stop()


def text_of(supervisor: Supervisor) -> str:
    stream = supervisor.output.stream
    assert isinstance(stream, io.StringIO)
    return stream.getvalue()


def wait_for(condition, seconds: float = 15) -> bool:  # type: ignore[no-untyped-def]
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def test_every_line_stands_under_the_name_of_its_process(supervisor: Supervisor) -> None:
    supervisor.run_to_end("migrate", python("print('one'); print('two')"))

    assert wait_for(lambda: "two" in text_of(supervisor))
    assert text_of(supervisor).splitlines() == ["migrate | one", "migrate | two"]


def test_a_preparing_step_that_fails_stops_the_start(supervisor: Supervisor) -> None:
    with pytest.raises(RuntimeProblem, match="'migrate' failed with exit code 3"):
        supervisor.run_to_end("migrate", python("raise SystemExit(3)"))


@pytest.mark.parametrize(
    ("end", "message"),
    [
        (lambda pid: os.kill(pid, signal.SIGKILL), "'worker' was killed by SIGKILL"),
        (lambda pid: os.kill(pid, signal.SIGUSR1), "'worker' ended with exit code 7"),
    ],
)
def test_a_child_that_ends_is_named(supervisor: Supervisor, end, message: str) -> None:  # type: ignore[no-untyped-def]
    dies = "import signal, sys; signal.signal(signal.SIGUSR1, lambda *_: sys.exit(7)); " + SLEEP
    supervisor.start([ChildSpec("web", python(SLEEP)), ChildSpec("worker", python(dies))])
    assert wait_for(lambda: text_of(supervisor).count("started") == 2)
    worker = supervisor.children["worker"].pid
    threading.Timer(0.3, end, [worker]).start()

    trouble = supervisor.watch(lambda: "")

    assert trouble == message


def test_trouble_of_the_servers_ends_the_watch(supervisor: Supervisor) -> None:
    supervisor.start([ChildSpec("web", python(SLEEP))])

    assert supervisor.watch(lambda: "postgres ended with code 2") == "postgres ended with code 2"


def test_stop_ends_children_and_grandchildren(supervisor: Supervisor) -> None:
    grandchild = f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(120)']); print(p.pid, flush=True); {SLEEP}"
    supervisor.start([ChildSpec("web", python(grandchild))])
    assert wait_for(lambda: "started" in text_of(supervisor))
    pid = int(text_of(supervisor).split()[2])
    started = process.start_time(pid)
    child = supervisor.children["web"]

    supervisor.stop()

    assert child.returncode == -signal.SIGTERM
    assert wait_for(lambda: not process.alive(pid, started))
    assert not supervisor.record.exists()


def test_a_child_that_does_not_listen_is_killed(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.core.runtime.supervisor.STOP_SECONDS", 1)
    stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEP
    supervisor.start([ChildSpec("worker", python(stubborn))])
    assert wait_for(lambda: "started" in text_of(supervisor))
    child = supervisor.children["worker"]

    supervisor.stop()

    assert child.returncode == -signal.SIGKILL
    assert "'worker' did not stop within 1 s and was killed" in text_of(supervisor)


def test_children_end_when_the_supervisor_is_killed_and_leftovers_are_ended_at_the_next_start(
    tmp_path: Path, supervisor: Supervisor
) -> None:
    script = (
        "import os, signal, sys, time; from pathlib import Path\n"
        "from apps.core.runtime.output import Output; from apps.core.runtime.plan import ChildSpec\n"
        "from apps.core.runtime.supervisor import Supervisor\n"
        "deaf = 'import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(120)'\n"
        "s = Supervisor(root=Path('/'), environment=dict(os.environ), output=Output(), record=Path(sys.argv[1]))\n"
        "s.start([ChildSpec('web', [sys.executable, '-c', 'import time; time.sleep(120)']),"
        " ChildSpec('worker', [sys.executable, '-c', deaf])])\n"
        "print('up', flush=True); time.sleep(120)\n"
    )
    record = tmp_path / "other.json"
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(record)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == "up\n"
    children = json.loads(record.read_text())["children"]
    time.sleep(0.5)  # until the deaf one has made itself deaf

    parent.kill()
    parent.wait()
    parent.stdout.close()

    assert wait_for(lambda: not process.alive(*children["web"]))
    assert process.alive(*children["worker"])
    supervisor.record = record
    supervisor.end_leftovers()
    assert not process.alive(*children["worker"])
    assert "ended 'worker'" in text_of(supervisor)
    assert "ended 'web'" not in text_of(supervisor)
    assert not record.exists()


def test_a_reused_process_number_is_not_touched(supervisor: Supervisor) -> None:
    innocent = subprocess.Popen(["sleep", "60"], start_new_session=True)
    supervisor.record.write_text(
        json.dumps({"supervisor": [1, "gone"], "children": {"web": [innocent.pid, "1"]}})
    )

    supervisor.end_leftovers()

    assert innocent.poll() is None
    innocent.kill()
    innocent.wait()


def test_children_of_a_run_that_lives_are_nobodys_leftovers(supervisor: Supervisor) -> None:
    supervisor.start([ChildSpec("web", python(SLEEP))])
    another = Supervisor(root=ROOT, environment={}, output=supervisor.output, record=supervisor.record)

    another.end_leftovers()
    another.stop()

    assert supervisor.failed() == ""
    assert supervisor.record.exists()


def test_waiting_for_readiness_reports_what_is_missing(supervisor: Supervisor) -> None:
    answers = [
        (503, b'{"checks": {"database": "ok", "redis": "failed", "migrations": "ok"}}'),
        (200, b'{"status": "ok"}'),
    ]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answers[0] if len(answers) == 1 else answers.pop(0)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Silent."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}/readyz"

    assert supervisor.wait_ready(url, seconds=10) == {}
    answers[:] = [(503, b'{"checks": {"redis": "failed"}}')]
    assert supervisor.wait_ready(url, seconds=0.5) == {"redis": "failed"}
    answers[:] = [(503, b'{"checks": {"migrations": "failed"}}')]
    assert supervisor.wait_ready(url, seconds=60) == {"migrations": "failed"}
    server.shutdown()
    server.server_close()
    assert supervisor.wait_ready(url, seconds=0.2) == {"web": "does not answer"}


def test_a_child_that_ends_while_starting_is_named(supervisor: Supervisor) -> None:
    supervisor.start([ChildSpec("live", python("raise SystemExit('no such module')"))])

    with pytest.raises(RuntimeProblem, match="'live' ended with exit code 1 while starting"):
        supervisor.wait_ready(f"http://127.0.0.1:{ports.free_port()}/readyz", seconds=30)


def test_the_plan_names_every_process_of_the_design(tmp_path: Path) -> None:
    specs = system(
        host="127.0.0.1", port=8123, live_port=9000, data_dir=tmp_path, web_workers=2, worker_processes=2
    )

    assert [spec.name for spec in specs] == ["web", "live", "worker", "beat"]
    assert specs[0].environment == {"ERP_PROCESS": "web", "LIVE_UPSTREAM": "127.0.0.1:9000"}
    assert "default,mail,render,bulk" in specs[2].arguments
