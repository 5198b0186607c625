"""A running copy of the system for measuring, on a data directory of its own, and clients that talk to it."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.parse
from pathlib import Path
from typing import Any

from apps.core.runtime import ports
from apps.core.runtime.state import read_state

ROOT = Path(__file__).resolve().parent.parent


class Client:
    """One keep-alive connection with cookies, as a browser or a program would hold it."""

    def __init__(self, port: int, headers: dict[str, str] | None = None) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self.headers = dict(headers or {})
        self.cookies: dict[str, str] = {}

    def request(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
        sent = {**self.headers, **headers}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        try:
            self._connection.request(method, path, body=body, headers=sent)
            answer = self._connection.getresponse()
        except (http.client.RemoteDisconnected, ConnectionError):  # an idle connection was closed: once more
            self._connection.close()
            self._connection.request(method, path, body=body, headers=sent)
            answer = self._connection.getresponse()
        for name, value in answer.getheaders():
            if name.lower() == "set-cookie":
                key, _, rest = value.partition("=")
                self.cookies[key] = rest.partition(";")[0]
        return answer.status, answer.read()

    def get(self, path: str) -> tuple[int, bytes]:
        return self.request("GET", path)

    def close(self) -> None:
        self._connection.close()


class System:
    """`manage.py up` with what it prints; `first_start` and `second_start` are seconds to /readyz."""

    def __init__(self, folder: Path, size: str = "s") -> None:
        self.folder = folder
        self.size = size
        self.port = ports.free_port()
        self.child: subprocess.Popen[str] | None = None
        self.lines: list[str] = []
        self.environment = {
            **os.environ,
            "ERP_DATA_DIR": str(folder),
            "PORT": str(self.port),
            "ERP_DEMO": "1",
            "LOG_REQUESTS": "0",
            "ERP_IGNORE_DOTENV": "1",
        }
        for name in ("DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE"):
            self.environment.pop(name, None)

    def start(self) -> float:
        """Start and wait until ready; answers the seconds until then, as the supervisor counts them."""
        self.lines = []
        self.child = subprocess.Popen(
            [sys.executable, "manage.py", "up"],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        threading.Thread(target=self._read, args=(self.child,), daemon=True).start()
        end = time.monotonic() + 600
        while time.monotonic() < end:
            for line in self.lines:
                found = re.search(r"ready after ([\d.]+) s", line)
                if found:
                    return float(found[1])
            if self.child.poll() is not None:
                raise RuntimeError("the system did not start:\n" + "\n".join(self.lines[-30:]))
            time.sleep(0.05)
        raise RuntimeError("the system was not ready after 600 s:\n" + "\n".join(self.lines[-30:]))

    def _read(self, child: subprocess.Popen[str]) -> None:
        assert child.stdout is not None
        for line in child.stdout:
            self.lines.append(line.rstrip())

    def stop(self) -> int:
        if self.child is None:
            return 0
        self.child.send_signal(signal.SIGTERM)
        code = self.child.wait(timeout=120)
        self.child = None
        return code

    def manage(self, *arguments: str, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        """Any other command beside the running system."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            input=stdin,
            capture_output=True,
        )

    def inside(self, *arguments: str) -> Any:
        """What `python -m benchmarks.inside` answers: measured within a process of its own, on this system's database."""
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.inside", *arguments],
            cwd=ROOT,
            env={**self.environment, "DJANGO_SETTINGS_MODULE": "erp_project.settings.development"},
            capture_output=True,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(arguments)} failed: {done.stderr.decode()[-1500:]}")
        return json.loads(done.stdout.splitlines()[-1])

    def processes(self) -> dict[str, list[int]]:
        """Process numbers by the name of the part of the system, children included."""
        record = json.loads((self.folder / "run" / f"{self.port}.json").read_text())
        roots = {name: int(pid) for name, (pid, _) in record["children"].items()}
        if self.child is not None:
            roots["supervisor"] = self.child.pid
        keeper = read_state(self.folder).get("keeper")
        if keeper:
            roots["servers"] = int(keeper["pid"])
        parents = _parents()
        members: dict[str, list[int]] = {name: [pid] for name, pid in roots.items()}
        for pid in parents:
            above: int | None = pid
            while above and above not in roots.values():
                above = parents.get(above)
            for name, root in roots.items():
                if above == root and pid != root:
                    members[name].append(pid)
        return members

    def memory(self) -> dict[str, float]:
        """Megabytes by part of the system: proportional share, so that shared pages count once."""
        return {name: sum(_megabytes(pid) for pid in pids) for name, pids in self.processes().items()}

    def client(self) -> Client:
        return Client(self.port)

    def signed_in(self, login: str, password: str) -> Client:
        """A browser's session."""
        client = self.client()
        _, page = client.get("/web/login")
        token = re.search(rb'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        if token is None:
            raise RuntimeError("the sign-in page has no form")
        fields = {"login": login, "password": password, "csrfmiddlewaretoken": token[1].decode()}
        status, answer = client.request(
            "POST",
            "/web/login",
            urllib.parse.urlencode(fields).encode(),
            **{"Content-Type": "application/x-www-form-urlencoded"},
        )
        if status not in (302, 303):
            raise RuntimeError(f"signing in as {login} answered {status}: {answer[:300]!r}")
        return client

    def with_token(self, login: str, password: str) -> Client:
        """A program with an API token."""
        client = self.client()
        client.headers["Content-Type"] = "application/json"
        body = json.dumps({"username": login, "password": password, "name": "measuring"}).encode()
        status, answer = client.request("POST", "/api/v1/auth/tokens/", body)
        if status != 201:
            raise RuntimeError(f"a token for {login} answered {status}: {answer[:300]!r}")
        client.headers["Authorization"] = f"Bearer {json.loads(answer)['token']}"
        return client

    def json(self, client: Client, path: str) -> Any:
        status, body = client.get(path)
        if status != 200:
            raise RuntimeError(f"{path} answered {status}: {body[:300]!r}")
        return json.loads(body)


def _parents() -> dict[int, int]:
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        found[int(entry.name)] = int(fields[1])
    return found


def _megabytes(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    found = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0
