"""The supervisor's side of the embedded servers: make sure they run, hold them while needed, let go."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from . import process
from .keeper import USERS_LOCK
from .locks import FileLock
from .problems import RuntimeProblem
from .state import StateError, read_state

ROOT = Path(__file__).resolve().parents[3]


class Services:
    """A claim on the embedded servers of one data directory, for as long as this object holds it."""

    def __init__(self, data_dir: Path, wanted: set[str]) -> None:
        self.data_dir = data_dir
        self.wanted = wanted
        self._users = FileLock(data_dir / USERS_LOCK)
        self._keeper: subprocess.Popen[bytes] | None = None  # when this claim started it

    def hold(self) -> dict[str, str]:
        """Start the servers, or join those that run; answers their addresses. Call under the start-up lock."""
        if not self.wanted:
            return {}
        # A keeper that is shutting down holds this lock exclusively: wait until it has gone.
        self._users.acquire(shared=True, seconds=90, waiting_for="the embedded servers to finish stopping")
        try:
            state = read_state(self.data_dir)
            keeper = state.get("keeper") or {}
            if process.alive(int(keeper.get("pid", 0)), keeper.get("started", "")):
                missing = self.wanted - set(keeper.get("keeps", ()))
                if missing:
                    raise RuntimeProblem(
                        f"Another run in {self.data_dir} keeps {', '.join(keeper['keeps'])} but not "
                        f"{', '.join(sorted(missing))}. Stop it first, or set ERP_DATA_DIR to another folder."
                    )
            else:
                self._start_keeper()
                state = read_state(self.data_dir)
        except StateError as error:
            raise RuntimeProblem(str(error)) from error
        wanted = {"postgres": "database_url", "valkey": "redis_url"}
        return {wanted[name]: state[wanted[name]] for name in self.wanted}

    def failure(self) -> str:
        """Why the servers are gone, empty while they run."""
        if not self.wanted:
            return ""
        state = read_state(self.data_dir)
        keeper = state.get("keeper") or {}
        if process.alive(int(keeper.get("pid", 0)), keeper.get("started", "")):
            return ""
        return state.get("failure") or "the keeper of the embedded servers was killed"

    def let_go(self) -> bool:
        """Give up the claim. True when this was the last one and the servers have stopped."""
        if not self.wanted:
            return True
        last = self._users.try_exclusive()
        keeper = read_state(self.data_dir).get("keeper") or {}
        self._users.release()
        if not last:
            return False
        end = time.monotonic() + 90
        while process.alive(int(keeper.get("pid", 0)), keeper.get("started", "")):
            if time.monotonic() > end:
                raise RuntimeProblem(
                    f"The embedded servers (keeper {keeper['pid']}) did not stop within 90 s."
                )
            time.sleep(0.03)
        if self._keeper is not None:
            self._keeper.wait()
        return True

    def _start_keeper(self) -> None:
        logs = self.data_dir / "log"
        logs.mkdir(exist_ok=True)
        with (logs / "services.log").open("ab") as log:
            keeper = self._keeper = subprocess.Popen(
                [sys.executable, "-m", "apps.core.runtime.keeper", str(self.data_dir), *sorted(self.wanted)],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        assert keeper.stdout is not None
        line = keeper.stdout.readline()
        keeper.stdout.close()
        answer = (
            json.loads(line)
            if line
            else {"error": f"their keeper ended with code {keeper.wait()}; see {logs / 'services.log'}"}
        )
        if "error" in answer:
            keeper.wait()
            raise RuntimeProblem(answer["error"])
