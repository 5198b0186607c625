"""The live stream on the web's own port: at once, with its headers, within a quota, and over when the browser goes."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from apps.core.runtime import ports, process

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Upstream:
    """Stands in for the live process: one event at once, then one every fifth of a second."""

    port: int = 0
    open: int = 0
    seen: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    state = Upstream()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            state.seen.append(dict(self.headers.items()))
            state.paths.append(self.path)
            if "denied" in self.path:
                self.send_response(403)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"no")
                return
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Cache-Control", "no-cache")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            state.open += 1
            try:
                for number in range(200):
                    text = f"data: {number}\n\n".encode()
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(text), text))
                    time.sleep(0.2)
            except OSError:
                self.close_connection = True
            finally:
                state.open -= 1

        def log_message(self, *args: object) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield state
    server.shutdown()
    server.server_close()


@pytest.fixture
def web(upstream: Upstream) -> Iterator[int]:
    port = ports.free_port()
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--port", str(port), "--no-ws"]
    command += [
        "--blocking-threads",
        "5",
        "--workers",
        "1",
        "--log-level",
        "warning",
        "sample_web:application",
    ]
    child = subprocess.Popen(
        command,
        cwd=Path(__file__).parent,
        env={**os.environ, "PYTHONPATH": str(ROOT), "LIVE_UPSTREAM": f"127.0.0.1:{upstream.port}"},
        start_new_session=True,
    )
    try:
        assert ports.wait_for(port, seconds=30)
        yield port
    finally:
        process.stop(child, seconds=10)


def get(port: int, path: str, **headers: str) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers=headers)
    return connection, connection.getresponse()


def wait_until(condition, seconds: float = 10) -> bool:  # type: ignore[no-untyped-def]
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def test_events_arrive_one_by_one_with_the_callers_cookies_and_query(web: int, upstream: Upstream) -> None:
    connection, answer = get(web, "/live/?watch=a.b:1", Cookie="session=abc", **{"Last-Event-ID": "7-0"})
    started = time.monotonic()

    first = answer.read1(100)
    second = answer.read1(100)

    assert answer.status == 200
    assert answer.getheader("Content-Type") == "text/event-stream"
    assert answer.getheader("Cache-Control") == "no-cache"
    assert (first, second) == (b"data: 0\n\n", b"data: 1\n\n")
    assert time.monotonic() - started < 2
    assert upstream.paths == ["/live/?watch=a.b:1"]
    assert upstream.seen[0]["Cookie"] == "session=abc"
    assert upstream.seen[0]["Last-Event-Id"] == "7-0"
    assert upstream.seen[0]["Host"] == f"127.0.0.1:{web}"
    connection.close()


def test_a_browser_that_leaves_frees_its_place(web: int, upstream: Upstream) -> None:
    connection, answer = get(web, "/live/")
    answer.read1(100)
    assert upstream.open == 1

    answer.close()
    connection.close()

    assert wait_until(lambda: upstream.open == 0)


def test_a_refusal_of_the_live_process_is_passed_on(web: int, upstream: Upstream) -> None:
    connection, answer = get(web, "/live/?denied")

    assert (answer.status, answer.read()) == (403, b"no")
    connection.close()


def test_more_streams_than_the_quota_are_refused_and_pages_still_answer(web: int, upstream: Upstream) -> None:
    streams = [get(web, "/live/") for _ in range(3)]
    for _, answer in streams:
        assert answer.status == 200

    extra, refused = get(web, "/live/")
    page, answered = get(web, "/")

    assert refused.status == 503
    assert refused.getheader("Retry-After") == "5"
    assert (answered.status, answered.read()) == (200, b"page")
    for connection, answer in [*streams, (extra, refused), (page, answered)]:
        answer.close()
        connection.close()
    assert wait_until(lambda: upstream.open == 0)
    again, answer = get(web, "/live/")
    assert answer.status == 200
    again.close()


def test_without_a_live_process_the_answer_says_so(web: int, upstream: Upstream) -> None:
    upstream_port = upstream.port
    child_env = {**os.environ, "PYTHONPATH": str(ROOT), "LIVE_UPSTREAM": f"127.0.0.1:{ports.free_port()}"}
    assert child_env["LIVE_UPSTREAM"] != f"127.0.0.1:{upstream_port}"
    script = (
        "import sample_web\n"
        "seen = []\n"
        "environ = {'PATH_INFO': '/live/', 'REQUEST_METHOD': 'GET'}\n"
        "body = b''.join(sample_web.application(environ, lambda status, headers: seen.append(status)))\n"
        "print(seen, body)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parent,
        env=child_env,
        capture_output=True,
        text=True,
        timeout=30,
    )

    assert done.stdout.strip() == "['502 Bad Gateway'] b'the live process does not answer\\n'"
