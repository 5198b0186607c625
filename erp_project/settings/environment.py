"""The environment of the process, read once and typed.

Every setting that differs between installations comes from here. `.env` beside manage.py is read first and never
overrides a variable that is already set. When no DATABASE_URL or REDIS_URL is given, the addresses of the embedded
servers that `manage.py up` keeps under ERP_DATA_DIR are taken, so that any other command finds the same database.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import environ

from apps.core.runtime.state import read_addresses

ROOT = Path(__file__).resolve().parents[2]

env = environ.Env()
if not os.environ.get("ERP_IGNORE_DOTENV"):
    environ.Env.read_env(ROOT / ".env")


def data_dir() -> Path:
    """Where this installation writes: ERP_DATA_DIR, relative paths counted from the project's root."""
    return (ROOT / env.str("ERP_DATA_DIR", default="var")).resolve()


def database_url(directory: Path) -> str:
    given = env.str("DATABASE_URL", default="")
    return (
        given
        or read_addresses(directory).get("database_url")
        or "postgresql://meridian@127.0.0.1:5432/meridian"
    )


def redis_url(directory: Path) -> str:
    given = env.str("REDIS_URL", default="")
    return given or read_addresses(directory).get("redis_url") or "redis://127.0.0.1:6379/0"


def neighbour_redis(url: str, offset: int = 1) -> str:
    """The same server, another numbered database: the cache may be flushed, the broker's queues may not."""
    parts = urlsplit(url)
    number = int(parts.path.lstrip("/") or "0")
    return urlunsplit(parts._replace(path=f"/{number + offset}"))


def kept_secret(directory: Path, name: str = "secret_key") -> str:
    """A random secret made at first use and kept in a file that only its owner reads (development)."""
    path = directory / name
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        directory.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:  # another process was first
        return path.read_text().strip()
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(50))
    return path.read_text().strip()
