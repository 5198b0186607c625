"""Whether anything changed that a migration run would act on.

Bringing a database in line takes seconds even when there is nothing to do, so a start compares this fingerprint with
the one of the last successful run: every Python file of the apps, the installed packages, the choice of modules.
A wrong "unchanged" is caught after the start, because readiness checks the migrations themselves.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
from collections.abc import Mapping
from pathlib import Path


def fingerprint(root: Path, data_dir: Path, environment: Mapping[str, str]) -> str:
    digest = hashlib.sha256()
    for folder in ("apps", "erp_project", "locale"):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in (".py", ".json", ".csv", ".po", ".sql") and "__pycache__" not in path.parts:
                info = path.stat()
                digest.update(f"{path.relative_to(root)} {info.st_size} {info.st_mtime_ns}\n".encode())
    packages = sorted(f"{d.name} {d.version}" for d in importlib.metadata.distributions())
    digest.update("\n".join(packages).encode())
    for name in ("ERP_MODULES", "DJANGO_SETTINGS_MODULE"):
        digest.update(f"{name}={environment.get(name, '')}\n".encode())
    choice = data_dir / "modules.json"
    if choice.exists():
        digest.update(choice.read_bytes())
    digest.update(os.fsencode(root))
    return digest.hexdigest()
