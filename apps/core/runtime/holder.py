"""Who listens on a port, as far as this user may know (Linux)."""

from __future__ import annotations

import contextlib
from pathlib import Path

_LISTEN = "0A"


def holder_of(port: int) -> str:
    """For example "process 4711 (nginx)"; empty when it cannot be told."""
    inodes = _listening_inodes(port)
    if not inodes:
        return ""
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            for descriptor in (folder / "fd").iterdir():
                with contextlib.suppress(OSError):
                    if str(descriptor.readlink()) in wanted:
                        return f"process {folder.name} ({_name(folder)})"
    return ""


def _name(folder: Path) -> str:
    arguments = [
        part.decode(errors="replace") for part in (folder / "cmdline").read_bytes().split(b"\0") if part
    ]
    return " ".join(arguments)[:60] if arguments else (folder / "comm").read_text().strip()


def _listening_inodes(port: int) -> set[str]:
    found = set()
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                    found.add(fields[9])
    return found
