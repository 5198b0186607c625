"""File locks that die with their holder: a lock file left behind means nothing, only a held lock does."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from types import TracebackType

from .problems import RuntimeProblem


class FileLock:
    """flock on a file, shared or exclusive; the kernel releases it when the process ends, however it ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def _open(self) -> int:
        if self._descriptor is None:
            # Not inherited by children, who would otherwise keep the lock alive.
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return self._descriptor

    def try_exclusive(self) -> bool:
        return self._try(fcntl.LOCK_EX)

    def try_shared(self) -> bool:
        return self._try(fcntl.LOCK_SH)

    def wait_exclusive(self) -> None:
        """Block until nobody else holds the lock in any way."""
        fcntl.flock(self._open(), fcntl.LOCK_EX)

    def acquire(self, *, shared: bool = False, seconds: float, waiting_for: str) -> None:
        end = time.monotonic() + seconds
        while not self._try(fcntl.LOCK_SH if shared else fcntl.LOCK_EX):
            if time.monotonic() > end:
                raise RuntimeProblem(
                    f"Waited {seconds:.0f} s for {waiting_for} ({self.path} is locked by a running process)."
                )
            time.sleep(0.1)

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _try(self, kind: int) -> bool:
        try:
            fcntl.flock(self._open(), kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def __enter__(self) -> FileLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
