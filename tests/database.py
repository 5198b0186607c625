"""Test databases: migrated once, kept as a dump, copied for every worker.

Running all migrations takes longer than most test files. So the first run of a state of the migrations keeps what
they made as an SQL dump under build/, later runs read that, and every worker's database is a copy of one template.
What modules declare (roles, permissions, content types) is brought in afterwards, as after any `migrate`, because it
changes without a migration. That the migrations work on an empty database is what test_up and `make run` prove.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from django.core.management.sql import emit_post_migrate_signal
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from psycopg import sql

from apps.core.runtime.postgres import binaries

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / "build" / "test-schema"
TEMPLATE = "template_meridian"
KEPT_DUMPS = 5


def prepare_test_database() -> None:
    """Point the default connection at a fresh database of this process, made from the template."""
    name = connection.settings_dict["TEST"].get("NAME") or f"test_{connection.settings_dict['NAME']}"
    with _one_at_a_time():
        if not _exists(TEMPLATE):
            _make_template()
        _administer(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))
        copy = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        _administer(copy.format(sql.Identifier(name), sql.Identifier(TEMPLATE)))
    _connect_to(name)


def _make_template() -> None:
    _administer(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(TEMPLATE)))
    try:
        _connect_to(TEMPLATE)
        dump = CACHE / f"{_fingerprint()}.sql"
        if dump.exists():
            dump.touch()
            _tool(
                "psql",
                "--quiet",
                "--single-transaction",
                "--set=ON_ERROR_STOP=1",
                f"--file={dump}",
                _url(TEMPLATE),
            )
        else:
            executor = MigrationExecutor(connection)
            executor.migrate(executor.loader.graph.leaf_nodes())
            _keep_dump(dump)
        emit_post_migrate_signal(verbosity=0, interactive=False, db="default")
        connection.close()
    except BaseException:
        connection.close()
        _administer(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(TEMPLATE)))
        raise


def _keep_dump(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}")
    _tool("pg_dump", "--no-owner", "--no-privileges", "--no-comments", f"--file={draft}", _url(TEMPLATE))
    draft.replace(path)
    for old in sorted(path.parent.glob("*.sql"), key=lambda file: file.stat().st_mtime)[:-KEPT_DUMPS]:
        old.unlink(missing_ok=True)


def _fingerprint() -> str:
    """Changes with every migration of any app, and with the operations that they are written in."""
    digest = hashlib.sha256()
    for key, migration in sorted(MigrationLoader(None).disk_migrations.items()):
        digest.update(repr(key).encode())
        digest.update(Path(sys.modules[migration.__module__].__file__ or "").read_bytes())
    digest.update((ROOT / "apps" / "core" / "db.py").read_bytes())
    digest.update((binaries() / "bin" / "postgres").stat().st_size.to_bytes(8))
    return digest.hexdigest()[:32]


def _tool(name: str, *arguments: str) -> None:
    done = subprocess.run(
        [str(binaries() / "bin" / name), *arguments], capture_output=True, text=True, cwd="/"
    )
    if done.returncode != 0:
        raise RuntimeError(f"{name} failed: {done.stderr.strip()}")


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Workers of one run take turns."""
    with (Path(os.environ["ERP_TEST_DIR"]) / "template.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _url(database: str) -> str:
    return f"{os.environ['DATABASE_URL'].rpartition('/')[0]}/{database}"


def _administer(statement: sql.Composed) -> None:
    with psycopg.connect(_url("postgres"), autocommit=True) as server:
        server.execute(statement)


def _exists(database: str) -> bool:
    with psycopg.connect(_url("postgres"), autocommit=True) as server:
        return bool(server.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,)).fetchone())


def _connect_to(database: str) -> None:
    connection.close()
    connection.settings_dict["NAME"] = database
