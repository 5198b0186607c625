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
from typing import Any

import psycopg
from django.core.management.sql import emit_post_migrate_signal
from django.db import connection, transaction
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


class Pristine:
    """What the tables hold before the first test, and how to come back to it after a test with real transactions.

    Emptying all tables and bringing in again what modules declare takes seconds; most tests touch a dozen tables. Those that
    are not as they were are emptied and get their first rows back, under the keys they had.
    """

    KEPT = (
        "django_migrations",
        "access_rightsstamp",
    )  # the stamp names what processes remember of rights: it only grows

    def __init__(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("""
                SELECT c.relname, string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)
                FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
                WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped
                  AND a.attgenerated = '' GROUP BY c.relname ORDER BY c.relname
            """)
            self.columns = {name: columns for name, columns in cursor.fetchall() if name not in self.KEPT}
            self.rows = {name: self._read(cursor, name) for name in self._filled(cursor)}
            cursor.execute(
                "SELECT sequencename, start_value, increment_by FROM pg_sequences WHERE sequencename LIKE %s",
                ["core_number_%"],
            )
            self.counters = cursor.fetchall()

    def restore(self) -> None:
        """One transaction; sequences behind keys go on, so that no key is given twice in a run."""
        with transaction.atomic(), connection.cursor() as cursor:
            changed = [
                name
                for name in sorted({*self._filled(cursor), *self.rows})
                if self._read(cursor, name) != self.rows.get(name, b"")
            ]
            for name in changed:
                cursor.execute(f'ALTER TABLE "{name}" DISABLE TRIGGER USER')
            cursor.execute("SET CONSTRAINTS ALL DEFERRED")
            for name in changed:
                cursor.execute(f'DELETE FROM "{name}"')
            for name in changed:
                if name in self.rows:
                    with cursor.copy(f'COPY "{name}" ({self.columns[name]}) FROM STDIN') as copy:
                        copy.write(self.rows[name])
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            for name in changed:
                cursor.execute(f'ALTER TABLE "{name}" ENABLE TRIGGER USER')
            cursor.execute("UPDATE access_rightsstamp SET value = value + 1")
            for name, start, step in self.counters:
                cursor.execute(
                    f'ALTER SEQUENCE IF EXISTS "{name}" INCREMENT BY {step} START WITH {start} RESTART'
                )

    def _filled(self, cursor: Any) -> list[str]:
        cursor.execute(
            " UNION ALL ".join(
                f"SELECT '{name}' WHERE EXISTS (SELECT FROM \"{name}\")" for name in self.columns
            )
        )
        return [name for (name,) in cursor.fetchall()]

    def _read(self, cursor: Any, name: str) -> bytes:
        """All rows in a text that is the same for the same rows."""
        columns = self.columns[name]
        with cursor.copy(f'COPY (SELECT {columns} FROM "{name}" t ORDER BY t::text) TO STDOUT') as copy:
            return b"".join(bytes(part) for part in copy)


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
