"""The embedded servers: kept while anybody uses them, stopped when nobody does, never lost, never in the way."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from apps.core.runtime import keeper, ports, process
from apps.core.runtime.accounts import Account
from apps.core.runtime.problems import RuntimeProblem
from apps.core.runtime.services import Services
from apps.core.runtime.state import STATE_FILE, StateError, read_addresses, read_state, write_state

ROOT = Path(__file__).resolve().parents[2]
BOTH = {"postgres", "valkey"}


@pytest.fixture
def folder() -> Iterator[Path]:
    """A data directory that the servers' account can reach (the runner's own temporary folders are private)."""
    path = Path(tempfile.mkdtemp(prefix="meridian-runtime-"))
    path.chmod(0o711)
    yield path
    end_keeper(path)
    place = read_state(path).get("place") if (path / STATE_FILE).exists() else None
    if place:
        shutil.rmtree(place)
    shutil.rmtree(path)


def end_keeper(folder: Path) -> None:
    try:
        kept = read_state(folder).get("keeper") or {}
    except StateError:
        return
    if process.alive(int(kept.get("pid", 0)), kept.get("started", "")):
        os.kill(kept["pid"], signal.SIGTERM)
        assert gone(kept["pid"], kept["started"])


def gone(pid: int, started: str, seconds: float = 30) -> bool:
    end = time.monotonic() + seconds
    while process.alive(pid, started):
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def query(url: str, text: str) -> list[tuple]:  # type: ignore[type-arg]
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(text)
        return cursor.fetchall() if cursor.description else []


def postmaster(folder: Path) -> tuple[int, str]:
    place = Path(read_state(folder).get("place") or folder)
    pid = int((place / "postgres" / "postmaster.pid").read_text().split()[0])
    return pid, process.start_time(pid)


def test_data_survives_a_restart_and_the_ports_are_kept(folder: Path) -> None:
    first = Services(folder, BOTH)
    urls = first.hold()
    query(urls["database_url"], "CREATE TABLE kept AS SELECT generate_series(1, 500) AS number")
    redis.from_url(urls["redis_url"]).set("kept", "yes")
    assert first.let_go() is True
    assert ports.is_free(read_state(folder)["postgres_port"])

    second = Services(folder, BOTH)
    again = second.hold()

    assert again == urls
    assert query(again["database_url"], "SELECT count(*) FROM kept") == [(500,)]
    assert redis.from_url(again["redis_url"]).get("kept") == b"yes"
    assert second.let_go() is True


def test_two_runs_in_one_folder_share_the_servers_until_the_last_one_leaves(folder: Path) -> None:
    first, second = Services(folder, BOTH), Services(folder, BOTH)
    urls = first.hold()
    pid = postmaster(folder)

    assert second.hold() == urls
    assert postmaster(folder) == pid
    assert first.let_go() is False
    assert query(urls["database_url"], "SELECT 1") == [(1,)]
    assert second.let_go() is True
    assert gone(*pid)


def test_servers_of_two_folders_do_not_meet(folder: Path) -> None:
    other = Path(tempfile.mkdtemp(prefix="meridian-runtime-"))
    other.chmod(0o711)
    here, there = Services(folder, BOTH), Services(other, BOTH)
    try:
        mine, theirs = here.hold(), there.hold()

        query(mine["database_url"], "CREATE TABLE only_here ()")
        assert query(theirs["database_url"], "SELECT to_regclass('only_here')") == [(None,)]
        assert mine["redis_url"] != theirs["redis_url"]
    finally:
        here.let_go()
        there.let_go()
        shutil.rmtree(other)


def test_the_application_is_no_superuser_and_the_network_sees_nothing(folder: Path) -> None:
    services = Services(folder, BOTH)
    urls = services.hold()

    rights = query(
        urls["database_url"], "SELECT rolsuper, rolcreatedb FROM pg_roles WHERE rolname = current_user"
    )
    listening = query(urls["database_url"], "SHOW listen_addresses")
    wrong = urls["database_url"].replace(read_state(folder)["postgres_password"], "guess")

    assert rights == [(False, True)]
    assert listening == [("127.0.0.1",)]
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)
    with pytest.raises(redis.AuthenticationError):
        redis.from_url(f"redis://127.0.0.1:{read_state(folder)['redis_port']}/0").ping()
    assert (folder / STATE_FILE).stat().st_mode & 0o077 == 0
    services.let_go()


def test_collation_sorts_by_code_point_and_knows_capital_letters(folder: Path) -> None:
    services = Services(folder, {"postgres"})
    url = services.hold()["database_url"]

    assert query(url, "SELECT upper('é ö'), 'z' < 'é'") == [("É Ö", True)]
    services.let_go()


def hold_in_child(folder: Path) -> subprocess.Popen[str]:
    script = (
        "import sys, time; from pathlib import Path; from apps.core.runtime.services import Services\n"
        "services = Services(Path(sys.argv[1]), {'postgres', 'valkey'}); services.hold(); print('up', flush=True)\n"
        "time.sleep(300)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(folder)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "up\n"
    return child


def test_after_kill_9_of_the_user_the_servers_stop_and_the_next_start_works(folder: Path) -> None:
    child = hold_in_child(folder)
    server = postmaster(folder)
    kept = read_state(folder)["keeper"]

    child.kill()
    child.wait()

    assert gone(kept["pid"], kept["started"])
    assert gone(*server)
    services = Services(folder, BOTH)
    assert query(services.hold()["database_url"], "SELECT 1") == [(1,)]
    services.let_go()


def test_after_kill_9_of_the_keeper_the_servers_stop_and_the_next_start_works(folder: Path) -> None:
    services = Services(folder, BOTH)
    services.hold()
    server = postmaster(folder)
    kept = read_state(folder)["keeper"]

    os.kill(kept["pid"], signal.SIGKILL)

    assert gone(kept["pid"], kept["started"])
    assert gone(*server)
    assert services.failure() == "the keeper of the embedded servers was killed"
    services.let_go()
    assert query(services.hold()["database_url"], "SELECT 1") == [(1,)]
    services.let_go()


def test_a_server_that_dies_is_named(folder: Path) -> None:
    services = Services(folder, BOTH)
    services.hold()
    assert services.failure() == ""
    pid, started = postmaster(folder)
    kept = read_state(folder)["keeper"]

    os.kill(pid, signal.SIGKILL)

    assert gone(pid, started)
    assert gone(kept["pid"], kept["started"])
    assert services.failure().startswith("postgres ended with code -9")
    services.let_go()


def test_a_pid_file_that_names_a_stranger_is_no_obstacle(folder: Path) -> None:
    services = Services(folder, {"postgres"})
    services.hold()
    services.let_go()
    place = Path(read_state(folder).get("place") or folder)
    stale = place / "postgres" / "postmaster.pid"
    stranger = subprocess.Popen(["sleep", "60"])
    stale.write_text(f"{stranger.pid}\n{place / 'postgres'}\n1\n5432\n\n127.0.0.1\n")
    owner = (place / "postgres").stat()
    os.chown(stale, owner.st_uid, owner.st_gid)

    url = services.hold()["database_url"]

    assert query(url, "SELECT 1") == [(1,)]
    assert stranger.poll() is None
    services.let_go()
    stranger.kill()
    stranger.wait()


def test_a_taken_port_is_left_to_its_owner(folder: Path) -> None:
    services = Services(folder, {"postgres"})
    services.hold()
    services.let_go()
    taken = read_state(folder)["postgres_port"]

    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", taken))
        other.listen()
        url = services.hold()["database_url"]

        assert read_state(folder)["postgres_port"] != taken
        assert query(url, "SELECT 1") == [(1,)]
    services.let_go()


def test_what_a_running_keeper_lacks_is_said(folder: Path) -> None:
    first = Services(folder, {"valkey"})
    first.hold()

    with pytest.raises(RuntimeProblem, match="keeps valkey but not postgres"):
        Services(folder, BOTH).hold()

    first.let_go()


def test_a_damaged_state_file_and_a_half_made_database_are_explained(folder: Path) -> None:
    (folder / STATE_FILE).write_text("{ half")
    with pytest.raises(RuntimeProblem, match="is damaged"):
        Services(folder, BOTH).hold()

    (folder / STATE_FILE).unlink()
    (folder / "postgres").mkdir()
    (folder / "postgres" / "base").write_text("")
    with pytest.raises(RuntimeProblem, match="holds files but no PostgreSQL database"):
        Services(folder, {"postgres"}).hold()
    assert (folder / "postgres" / "base").exists()


def test_the_state_file_is_replaced_whole(folder: Path) -> None:
    write_state(folder, {"database_url": "postgresql://one", "redis_url": ""})

    assert read_addresses(folder) == {"database_url": "postgresql://one"}
    with pytest.raises(TypeError):
        write_state(folder, {"database_url": object()})
    assert read_addresses(folder) == {"database_url": "postgresql://one"}
    assert sorted(path.name for path in folder.iterdir()) == [STATE_FILE]


def usable(python: str, account: Account) -> bool:
    """Whether that account can run the interpreter with this checkout and the packages of this environment."""
    path, packages = Path(python).resolve(), Path(sysconfig.get_path("purelib"))
    readable = all(account.may(folder, stat.S_IROTH | stat.S_IXOTH) for folder in (ROOT, packages))
    reached = all(account.reaches(part) for part in (path, packages, ROOT))
    return path.name == f"python3.{sys.version_info.minor}" and reached and readable


root_only = pytest.mark.skipif(os.geteuid() != 0, reason="NOT TESTED: needs root (changing accounts)")


@root_only
def test_a_private_folder_of_root_gets_a_place_that_the_servers_can_reach(folder: Path) -> None:
    folder.chmod(0o700)

    services = Services(folder, BOTH)
    urls = services.hold()

    place = Path(read_state(folder)["place"])
    assert place.parent == keeper.SYSTEM_PLACE
    assert (place / "belongs-to").read_text() == f"{folder}\n"
    assert query(urls["database_url"], "CREATE TABLE kept ()") == []
    assert oct(folder.stat().st_mode & 0o777) == "0o700"
    services.let_go()
    assert query(services.hold()["database_url"], "SELECT to_regclass('kept')::text") == [("kept",)]
    services.let_go()


@root_only
def test_binaries_out_of_reach_are_copied(folder: Path) -> None:
    from apps.core.runtime import postgres, valkey

    class Blind(Account):
        def reaches(self, path: Path) -> bool:
            return not path.is_relative_to(Path(sys.prefix))

    somebody = pwd.getpwnam("nobody")
    account = Blind("nobody", somebody.pw_uid, somebody.pw_gid, switch=True)

    home = postgres.reachable_binaries(account, folder)
    program = valkey.reachable_binary(account, folder)

    assert home.is_relative_to(folder)
    for command in ([home / "bin" / "postgres", "--version"], [program, "--version"]):
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            cwd="/",
            env={},
            user=somebody.pw_uid,
            group=somebody.pw_gid,
        )
        assert done.returncode == 0, done.stderr
    assert postgres.reachable_binaries(account, folder) == home


@root_only
def test_a_normal_user_runs_the_servers_as_himself(folder: Path) -> None:
    somebody = pwd.getpwnam("nobody")
    os.chown(folder, somebody.pw_uid, somebody.pw_gid)
    folder.chmod(0o700)
    account = Account("nobody", somebody.pw_uid, somebody.pw_gid, switch=True)
    python = next((path for path in (sys.executable, "/usr/bin/python3") if usable(path, account)), None)
    if python is None:
        pytest.skip("NOT TESTED: user nobody cannot reach this checkout or a Python of this version")
    script = (
        "import os, sys; from pathlib import Path; from apps.core.runtime.services import Services\n"
        "from apps.core.runtime.state import read_state\n"
        "folder = Path(sys.argv[1]); services = Services(folder, {'postgres', 'valkey'}); services.hold()\n"
        "pid = int((folder / 'postgres' / 'postmaster.pid').read_text().split()[0])\n"
        "print(os.stat(f'/proc/{pid}').st_uid, 'place' in read_state(folder)); print(services.let_go())\n"
    )

    done = subprocess.run(
        [python, "-c", script, str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": sysconfig.get_path("purelib"),
        },
        user=somebody.pw_uid,
        group=somebody.pw_gid,
        extra_groups=[],
    )

    assert done.stdout.split() == [str(somebody.pw_uid), "False", "True"], done.stderr


@root_only
def test_the_owner_of_an_existing_database_stays_its_owner(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ERP_SERVICE_USER", "nobody")
    services = Services(folder, {"postgres"})
    services.hold()
    services.let_go()
    monkeypatch.setenv("ERP_SERVICE_USER", "daemon")

    url = services.hold()["database_url"]

    assert query(url, "SELECT 1") == [(1,)]
    assert (folder / "postgres").stat().st_uid == pwd.getpwnam("nobody").pw_uid
    services.let_go()
