"""What a person is told when a start cannot succeed."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from apps.core.runtime import checks, ports
from apps.core.runtime.cli import main
from apps.core.runtime.holder import holder_of
from apps.core.runtime.locks import FileLock
from apps.core.runtime.problems import RuntimeProblem, explain_os_error

ROOT = Path(__file__).resolve().parents[2]
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def listener():  # type: ignore[no-untyped-def]
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def up(tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """`manage.py up` as a person runs it, with addresses given so that a wrong turn starts no server."""
    given = {
        "ERP_IGNORE_DOTENV": "1",
        "ERP_DATA_DIR": str(tmp_path / "var"),
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none",
        "REDIS_URL": "redis://127.0.0.1:9/0",
    }
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [sys.executable, "manage.py", "up"],
        cwd=ROOT,
        env={**kept, **given, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_busy_port_is_said_with_its_holder_and_a_way_out(tmp_path: Path, listener: int) -> None:
    done = up(tmp_path, PORT=str(listener))

    assert done.returncode == 1
    assert f"Port {listener} on 127.0.0.1 is in use by process {os.getpid()}" in done.stdout
    assert "make run PORT=" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_an_unreachable_database_names_the_step_that_failed(tmp_path: Path) -> None:
    done = up(tmp_path, PORT=str(ports.free_port()))

    assert done.returncode == 1
    assert "error: 'migrate' failed with exit code 1" in done.stdout


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    done = up(tmp_path, PORT=str(ports.free_port()), ERP_DATA_DIR=str(tmp_path / "file" / "var"))

    assert done.returncode == 1
    assert f"The data directory {tmp_path / 'file' / 'var'} cannot be used" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_full_disk_is_said_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    megabyte = 1024 * 1024
    monkeypatch.setattr(
        checks.shutil, "disk_usage", lambda path: Usage(1000 * megabyte, 999 * megabyte, megabyte)
    )
    monkeypatch.setenv("ERP_DATA_DIR", str(tmp_path / "var"))
    monkeypatch.setattr("apps.core.runtime.cli._listen_for_signals", lambda: None)

    assert main([]) == 1

    assert "Only 1 MB are free on the disk of" in capsys.readouterr().out
    assert not (tmp_path / "var" / "postgres").exists()


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "the disk is full"),
        (errno.EACCES, "permission denied"),
        (errno.EROFS, "the file system is read-only"),
    ],
)
def test_refusals_of_the_system_are_translated(number: int, words: str) -> None:
    problem = explain_os_error(OSError(number, "raw", "/somewhere/file"), "PostgreSQL cannot start")

    assert words in str(problem)
    assert "/somewhere/file" in str(problem)


def test_a_lock_file_without_a_holder_is_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "up.lock"
    path.write_text("99999")  # as a crashed run would leave it

    with FileLock(path) as lock:
        assert lock.try_exclusive()
        with FileLock(path) as other:
            assert not other.try_exclusive()
            with pytest.raises(
                RuntimeProblem, match=r"Waited 0 s for the other one .* is locked by a running process"
            ):
                other.acquire(seconds=0.2, waiting_for="the other one")
    with FileLock(path) as after:
        assert after.try_exclusive()


def test_shared_holders_keep_an_exclusive_one_out(tmp_path: Path) -> None:
    one, two, last = (FileLock(tmp_path / "lock") for _ in range(3))

    assert one.try_shared()
    assert two.try_shared()
    assert not last.try_exclusive()
    one.release()
    assert not last.try_exclusive()
    two.release()
    assert last.try_exclusive()
    last.release()


def test_ports_tell_free_from_taken(listener: int) -> None:
    assert not ports.is_free(listener)
    assert ports.free_port(listener) != listener
    assert holder_of(listener).startswith(f"process {os.getpid()} (")
    free = ports.free_port()
    assert ports.free_port(free) == free
    assert holder_of(free) == ""


def test_an_address_of_another_machine_is_explained() -> None:
    with pytest.raises(RuntimeProblem, match=r"has no address 192\.0\.2\.1"):
        ports.is_free(8000, "192.0.2.1")


def test_missing_libraries_come_with_the_command_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        checks, "LIBRARIES", (checks.Library("libdoes-not-exist.so.0", "libdoes-not-exist0"),)
    )

    with pytest.raises(RuntimeProblem) as refusal:
        checks.ensure_packages(install=False)

    assert "apt-get install -y --no-install-recommends libdoes-not-exist0" in str(refusal.value)


def test_no_font_at_all_counts_as_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(checks, "FONT_FOLDERS", (tmp_path,))
    monkeypatch.setattr(checks, "LIBRARIES", ())
    assert checks.missing_packages() == ["fonts-dejavu-core"]

    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "some.ttf").write_bytes(b"")

    assert checks.missing_packages() == []
