"""Throw-away servers for a test run: a temporary folder, free ports, no durability, gone at the end.

Several runs at a time do not meet: each has a folder of its own, and ports are taken by trying. A run that was
killed leaves a folder behind; the next one removes it.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from . import ports, process
from .accounts import Account, service_account
from .postgres import SCRATCH_SETTINGS, Postgres, reachable_binaries
from .problems import RuntimeProblem
from .valkey import Valkey, reachable_binary

PREFIX = "meridian-test-"


@dataclass
class Scratch:
    """A running pair of throw-away servers."""

    folder: Path
    postgres: Postgres
    valkey: Valkey

    @property
    def environment(self) -> dict[str, str]:
        """The variables that point settings at these servers."""
        return {
            "DATABASE_URL": self.postgres.url,
            "REDIS_URL": self.valkey.url,
            "ERP_TEST_DIR": str(self.folder),
        }

    def stop(self) -> None:
        self.valkey.stop()
        self.postgres.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def start_scratch(settings: dict[str, str] | None = None) -> Scratch:
    """Start both servers; whatever was started is stopped again when the second one fails."""
    account = service_account()
    base = Path(tempfile.gettempdir())
    if not account.reaches(base / "x"):
        base = Path("/var/tmp")  # noqa: S108  (a private TMPDIR keeps the service account out)
    remove_leftovers(base)
    folder = base / f"{PREFIX}{os.getpid()}-{process.start_time(os.getpid())}-{secrets.token_hex(3)}"
    folder.mkdir(mode=0o711)
    postgres = valkey = None
    try:
        postgres = _with_new_port(lambda: _start_postgres(folder, account, settings or SCRATCH_SETTINGS))
        valkey = _with_new_port(lambda: _start_valkey(folder, account))
    except BaseException:
        if postgres is not None:
            postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return Scratch(folder, postgres, valkey)


def remove_leftovers(base: Path) -> None:
    """Folders of runs that no longer live; their servers died with them."""
    for folder in base.glob(f"{PREFIX}*-*-*"):
        pid, started = folder.name.removeprefix(PREFIX).split("-")[:2]
        if pid.isdigit() and not process.alive(int(pid), started) and folder.stat().st_uid == os.geteuid():
            shutil.rmtree(folder, ignore_errors=True)


def _with_new_port(start):  # type: ignore[no-untyped-def]
    """A free port may be taken by somebody else between asking and listening: try again, a few times."""
    for attempt in range(4):
        try:
            return start()
        except RuntimeProblem as problem:
            if attempt == 3 or "ddress already in use" not in str(problem):
                raise
    raise AssertionError("unreachable")


def _start_postgres(folder: Path, account: Account, settings: dict[str, str]) -> Postgres:
    server = Postgres(
        data=folder / "postgres",
        port=ports.free_port(),
        account=account,
        home=reachable_binaries(account, folder),
        superuser_password=secrets.token_hex(16),
        password=secrets.token_hex(16),
        log=folder / "postgres.log",
        settings=settings,
    )
    shutil.rmtree(server.data, ignore_errors=True)  # a first attempt lost its port
    server.log.unlink(missing_ok=True)
    server.up()
    return server


def _start_valkey(folder: Path, account: Account) -> Valkey:
    server = Valkey(
        data=folder / "valkey",
        port=ports.free_port(),
        account=account,
        program=reachable_binary(account, folder),
        password=secrets.token_hex(16),
        log=folder / "valkey.log",
        durable=False,
    )
    server.log.unlink(missing_ok=True)
    server.up()
    return server
