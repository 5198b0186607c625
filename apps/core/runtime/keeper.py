"""The process that keeps the embedded servers of one data directory.

Every running `manage.py up` of that directory holds a shared lock on `users.lock`. The keeper waits for the
exclusive lock, which it gets when the last of them is gone, however it went, and then shuts the servers down.
The servers in turn are told by the kernel when the keeper dies. So nothing is left behind, and several copies of
the system on one directory share one database.

Run as `python -m apps.core.runtime.keeper DATA_DIR [postgres] [valkey]`; it writes one JSON line when it is ready or has failed.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import sys
import threading
import time
from pathlib import Path

from . import ports, process
from .accounts import Account, service_account
from .locks import FileLock
from .postgres import Postgres, reachable_binaries, tail
from .problems import RuntimeProblem, explain_os_error
from .state import StateError, read_state, write_state
from .valkey import Valkey, reachable_binary

USERS_LOCK = "users.lock"
SYSTEM_PLACE = Path("/var/lib/meridian")


def place_of(data_dir: Path, state: dict[str, object]) -> tuple[Path, Account]:
    """Where the servers' files lie and who owns them.

    That is the data directory itself, unless root started it in a folder that the servers' account cannot reach
    (a private home): then a folder of its own below /var/lib/meridian, remembered in the state file.
    """
    remembered = state.get("place")
    place = Path(str(remembered)) if remembered else data_dir
    account = service_account(place / "postgres")
    if not remembered and not account.reaches(data_dir / "postgres"):
        place = SYSTEM_PLACE / secrets.token_hex(6)
        SYSTEM_PLACE.mkdir(mode=0o755, parents=True, exist_ok=True)
        place.mkdir(mode=0o755)
        (place / "belongs-to").write_text(f"{data_dir}\n")
        for name in ("postgres", "valkey"):
            (data_dir / name).symlink_to(place / name)
        state["place"] = str(place)
    return place, account


class Keeper:
    """Starts the wanted servers, tells when they are up, waits for a reason to stop."""

    def __init__(self, data_dir: Path, wanted: set[str]) -> None:
        self.data_dir = data_dir
        self.wanted = wanted
        self.servers: dict[str, Postgres | Valkey] = {}
        self.over = threading.Event()

    def start(self) -> None:
        state = read_state(self.data_dir)
        state.setdefault("postgres_superuser_password", secrets.token_hex(24))
        state.setdefault("postgres_password", secrets.token_hex(24))
        state.setdefault("redis_password", secrets.token_hex(24))
        place, account = place_of(self.data_dir, state)
        write_state(self.data_dir, state)  # before anything is made with these secrets
        logs = self.data_dir / "log"
        if "postgres" in self.wanted:
            postgres = Postgres(
                data=place / "postgres",
                port=ports.free_port(state.get("postgres_port")),
                account=account,
                home=reachable_binaries(account, place),
                superuser_password=state["postgres_superuser_password"],
                password=state["postgres_password"],
                log=logs / "postgres.log",
            )
            self.servers["postgres"] = postgres
            postgres.up()
            state.update(postgres_port=postgres.port, database_url=postgres.url)
        if "valkey" in self.wanted:
            valkey = Valkey(
                data=place / "valkey",
                port=ports.free_port(state.get("redis_port")),
                account=account,
                program=reachable_binary(account, place),
                password=state["redis_password"],
                log=logs / "valkey.log",
            )
            self.servers["valkey"] = valkey
            valkey.up()
            state.update(redis_port=valkey.port, redis_url=valkey.url)
        state["keeper"] = {
            "pid": os.getpid(),
            "started": process.start_time(os.getpid()),
            "keeps": sorted(self.wanted),
        }
        state.pop("failure", None)
        write_state(self.data_dir, state)

    def wait(self) -> str:
        """Block until nobody uses the servers (answers "") or one of them ends (answers which)."""
        lock = FileLock(self.data_dir / USERS_LOCK)

        def nobody_left() -> None:
            lock.wait_exclusive()  # held until this process ends
            self.over.set()

        threading.Thread(target=nobody_left, daemon=True).start()
        while not self.over.wait(0.25):
            for name, server in self.servers.items():
                if server.process is not None and server.process.poll() is not None:
                    return f"{name} ended with code {server.process.returncode}:\n{tail(server.log)}"
        return ""

    def stop(self) -> None:
        for name in ("valkey", "postgres"):
            if name in self.servers:
                self.servers[name].stop()

    def forget(self, failure: str = "") -> None:
        state = read_state(self.data_dir)
        state.pop("keeper", None)
        if failure:
            state["failure"] = failure
        write_state(self.data_dir, state)


def main(arguments: list[str]) -> int:
    data_dir, wanted = Path(arguments[0]), set(arguments[1:])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is for the supervisor
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    keeper = Keeper(data_dir, wanted)
    signal.signal(signal.SIGTERM, lambda *_: keeper.over.set())
    failure = ""
    try:
        try:
            keeper.start()
        except OSError as error:
            raise explain_os_error(error, "The embedded servers cannot start") from error
    except (RuntimeProblem, StateError) as problem:
        keeper.stop()
        _tell({"error": str(problem)})
        return 1
    _tell({"ready": sorted(wanted)})
    try:
        failure = keeper.wait()
    finally:
        keeper.stop()
        keeper.forget(failure)
    if failure:
        print(time.strftime("%Y-%m-%d %H:%M:%S"), failure, file=sys.stderr)
    return 1 if failure else 0


def _tell(message: dict[str, object]) -> None:
    """One line to whoever started this process, who then stops listening."""
    print(json.dumps(message), flush=True)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
