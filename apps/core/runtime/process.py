"""Starting and stopping one child process so that it can never be left behind."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if os.name == "posix" else None


def dies_with_parent(signum: int) -> Callable[[], None]:
    """A preexec function: the kernel sends `signum` to the child when its parent dies, even by kill -9 (Linux).

    The signal is tied to the thread that forks, so children are started from the main thread only.
    """

    def arm() -> None:
        if _libc is not None and hasattr(_libc, "prctl"):
            _libc.prctl(_PR_SET_PDEATHSIG, signum, 0, 0, 0)

    return arm


def start_time(pid: int) -> str:
    """Clock tick at which a process began, empty when there is none: with the pid it names a process uniquely."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    fields = text.rpartition(")")[2].split()  # the name in brackets may hold blanks
    return "" if fields[0] == "Z" else fields[19]


def alive(pid: int, started: str) -> bool:
    """Whether that very process still runs, and not another that was given its number."""
    return bool(started) and start_time(pid) == started


def signal_group(pid: int, signum: int) -> None:
    """Signal a whole process group; one that has gone is fine."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signum)


def stop(process: subprocess.Popen[bytes], *, signum: int = signal.SIGTERM, seconds: float = 15) -> bool:
    """Ask the process to end, wait, then end its whole group by force. True when it went by itself."""
    willing = True
    if process.poll() is None:
        process.send_signal(signum)
        try:
            process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            willing = False
    signal_group(process.pid, signal.SIGKILL)  # children that outlived it, or the process itself
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=10)
    return willing


def end_leftover(pid: int, started: str, *, seconds: float = 10) -> bool:
    """End a process (and its group) that an earlier run recorded, if that very process still runs."""
    if not alive(pid, started):
        return False
    signal_group(pid, signal.SIGTERM)
    if not _gone(pid, started, seconds):
        signal_group(pid, signal.SIGKILL)
        _gone(pid, started, 5)
    signal_group(pid, signal.SIGKILL)  # children that outlived it
    return True


def _gone(pid: int, started: str, seconds: float) -> bool:
    """Wait for the end of a process that is not ours to wait for."""
    end = time.monotonic() + seconds
    while alive(pid, started):
        if time.monotonic() > end:
            return False
        time.sleep(0.03)
    return True
