"""The unprivileged account that the database server runs as.

PostgreSQL refuses to run as root. Started by root, the servers run as a system account instead; started by anybody
else, they run as that person. An existing data directory decides: its owner is kept for ever, because a server
cannot open files of another account.
"""

from __future__ import annotations

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from .problems import RuntimeProblem

CANDIDATES = ("meridian", "postgres", "nobody")


@dataclass(frozen=True, slots=True)
class Account:
    """Who the servers run as. `switch` says whether the launcher has to change to it."""

    name: str
    uid: int
    gid: int
    switch: bool

    def popen_options(self) -> dict[str, object]:
        """Arguments for subprocess.Popen; every supplementary group of the launcher is dropped."""
        if not self.switch:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def may(self, path: Path, wanted: int) -> bool:
        """Whether the mode bits of `path` itself give this account `wanted` (stat.S_IXOTH | stat.S_IROTH …)."""
        try:
            info = path.stat()
        except PermissionError:
            return False
        shift = 6 if info.st_uid == self.uid else 3 if info.st_gid == self.gid else 0
        return (info.st_mode >> shift) & wanted == wanted

    def reaches(self, path: Path) -> bool:
        """Whether every existing folder on the way to `path` lets this account through."""
        if not self.switch:
            return True
        parents = [parent for parent in path.resolve().parents if parent.exists()]
        return all(self.may(parent, stat.S_IXOTH) for parent in parents)


def _from_entry(entry: pwd.struct_passwd, *, switch: bool) -> Account:
    return Account(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid, switch=switch)


def service_account(existing: Path | None = None) -> Account:
    """The account for the servers; `existing` is a data directory that may already have an owner."""
    if os.geteuid() != 0:
        try:
            return _from_entry(pwd.getpwuid(os.geteuid()), switch=False)
        except KeyError:  # containers run as numbers without a name
            return Account(name=str(os.geteuid()), uid=os.geteuid(), gid=os.getegid(), switch=False)
    if existing is not None and (existing / "PG_VERSION").exists():
        owner = existing.stat()
        if owner.st_uid == 0:
            raise RuntimeProblem(
                f"{existing} belongs to root, as whom PostgreSQL refuses to run; give it to another user"
            )
        return Account(name=f"uid {owner.st_uid}", uid=owner.st_uid, gid=owner.st_gid, switch=True)
    wanted = os.environ.get("ERP_SERVICE_USER")
    for name in (wanted,) if wanted else CANDIDATES:
        try:
            return _from_entry(pwd.getpwnam(name), switch=True)
        except KeyError:
            continue
    raise RuntimeProblem(
        f"No unprivileged user to run PostgreSQL as (looked for {wanted or ', '.join(CANDIDATES)}). "
        "Create one with `useradd --system meridian`, or set DATABASE_URL to a server of your own."
    )
