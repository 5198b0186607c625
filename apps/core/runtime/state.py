"""What the embedded services remember between starts: ports, passwords and addresses, in one small file.

The file lies in the data directory, is replaced atomically and is readable by its owner only, because it holds
the database password. It is the only contract between the launcher and the settings.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

STATE_FILE = "services.json"


class StateError(RuntimeError):
    """The state file exists but cannot be read."""


def read_state(data_dir: Path) -> dict[str, Any]:
    """The remembered state; empty when nothing was started here yet."""
    path = data_dir / STATE_FILE
    try:
        text = path.read_text()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except PermissionError as error:
        raise StateError(f"{path} belongs to another user; run as that user or remove the file") from error
    try:
        state = json.loads(text)
    except ValueError as error:
        raise StateError(f"{path} is damaged ({error}); remove it and start again, data is kept") from error
    if not isinstance(state, dict):
        raise StateError(f"{path} is damaged (not an object); remove it and start again, data is kept")
    return state


def write_state(data_dir: Path, state: dict[str, Any]) -> None:
    """Replace the state file; a reader sees the old or the new one, never a half."""
    descriptor, name = tempfile.mkstemp(dir=data_dir, prefix=STATE_FILE)  # mkstemp gives mode 0600
    try:
        with os.fdopen(descriptor, "w") as file:
            json.dump(state, file, indent=2, sort_keys=True)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, data_dir / STATE_FILE)
    except BaseException:
        os.unlink(name)
        raise


def read_addresses(data_dir: Path) -> dict[str, str]:
    """`database_url` and `redis_url` of the embedded services of this data directory, if it has any."""
    state = read_state(data_dir)
    return {key: state[key] for key in ("database_url", "redis_url") if state.get(key)}
