"""TCP ports on this machine."""

from __future__ import annotations

import contextlib
import errno
import socket
import time

from .problems import RuntimeProblem

LOOPBACK = "127.0.0.1"


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen there now. Connections in TIME_WAIT do not count as busy."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            if error.errno == errno.EACCES:
                raise RuntimeProblem(
                    f"Port {port} needs root; choose one above 1023, for example PORT=8000."
                ) from error
            if error.errno == errno.EADDRNOTAVAIL:
                raise RuntimeProblem(
                    f"This machine has no address {host}; set HOST to one of its own."
                ) from error
            raise
    return True


def free_port(preferred: int | None = None, host: str = LOOPBACK) -> int:
    """The preferred port when it is free, else one that the system picks."""
    if preferred and is_free(preferred, host):
        return preferred
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, *, seconds: float, host: str = LOOPBACK) -> bool:
    """Whether something accepts connections there within `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1):
            return True
        time.sleep(0.03)
    return False
