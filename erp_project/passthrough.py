"""The live stream on the web's own address, for installations without a proxy in front.

Behind nginx, `/live/` goes to the live process and this file is not used. Started by `manage.py up` there is no
proxy: the web process then passes that one path through to the live process. A stream holds a thread for as long
as a browser listens, so streams have their own quota of threads, and ordinary requests are let in four at a time
whatever the streams do.
"""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

StartResponse = Callable[..., Any]
Application = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]

PATH = "/live/"
_SILENCE = 60  # seconds without a byte after which a stream is given up; the live process pings every 15
_REQUEST_HEADERS = (
    "HTTP_ACCEPT",
    "HTTP_ACCEPT_LANGUAGE",
    "HTTP_AUTHORIZATION",
    "HTTP_COOKIE",
    "HTTP_HOST",
    "HTTP_LAST_EVENT_ID",
    "HTTP_ORIGIN",
    "HTTP_REFERER",
    "HTTP_USER_AGENT",
    "HTTP_X_COMPANY",
    "HTTP_X_REQUEST_ID",
)
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "server", "date"}


class LivePassThrough:
    """WSGI application around another one: `/live/` to the upstream, everything else inside."""

    def __init__(self, inner: Application, upstream: str, *, threads: int, streams: int) -> None:
        self.inner = inner
        self.host, _, port = upstream.rpartition(":")
        self.port = int(port)
        self._gate = threading.BoundedSemaphore(threads)
        self._streams = threading.BoundedSemaphore(streams)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if environ.get("PATH_INFO") != PATH:
            with self._gate:
                return self.inner(environ, start_response)
        if not self._streams.acquire(blocking=False):
            return _refuse(start_response, "503 Service Unavailable", "too many live streams")
        stream = _Stream(self._streams.release)
        try:
            return stream.open(self.host, self.port, environ, start_response)
        except (OSError, http.client.HTTPException):
            stream.close()
            return _refuse(start_response, "502 Bad Gateway", "the live process does not answer")


class _Stream:
    """The answer of the live process, chunk by chunk. The server calls close() when the browser has gone."""

    def __init__(self, release: Callable[[], None]) -> None:
        self._release: Callable[[], None] | None = release
        self._connection: http.client.HTTPConnection | None = None
        self._answer: http.client.HTTPResponse | None = None

    def open(self, host: str, port: int, environ: dict[str, Any], start_response: StartResponse) -> _Stream:
        self._connection = http.client.HTTPConnection(host, port, timeout=_SILENCE)
        query = environ.get("QUERY_STRING", "")
        headers = {_header(name): environ[name] for name in _REQUEST_HEADERS if environ.get(name)}
        headers["X-Forwarded-For"] = environ.get("REMOTE_ADDR", "")
        target = f"{PATH}?{query}" if query else PATH
        self._connection.request(environ["REQUEST_METHOD"], target, headers=headers)
        self._answer = self._connection.getresponse()
        passed = [
            (name, value) for name, value in self._answer.getheaders() if name.lower() not in _HOP_BY_HOP
        ]
        start_response(f"{self._answer.status} {self._answer.reason}", passed)
        return self

    def __iter__(self) -> Iterator[bytes]:
        assert self._answer is not None
        try:
            while chunk := self._answer.read1(65536):
                yield chunk
        except (OSError, http.client.HTTPException):
            return  # the live process has gone; the browser connects again by itself
        finally:
            self.close()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        release, self._release = self._release, None
        if release is not None:
            release()


def _header(name: str) -> str:
    return name.removeprefix("HTTP_").replace("_", "-").title()


def _refuse(start_response: StartResponse, status: str, text: str) -> Iterable[bytes]:
    body = f"{text}\n".encode()
    start_response(
        status,
        [
            ("Content-Type", "text/plain"),
            ("Content-Length", str(len(body))),
            ("Retry-After", "5"),
            ("Cache-Control", "no-store"),
        ],
    )
    return [body]
