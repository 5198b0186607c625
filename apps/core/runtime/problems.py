"""What can go wrong on a machine, said in words the person at the keyboard can act on."""

from __future__ import annotations

import errno

MINIMUM_FREE_MB = 300


class RuntimeProblem(RuntimeError):
    """A start that cannot succeed; the message names the cause and the remedy."""


def explain_os_error(error: OSError, what: str) -> RuntimeProblem:
    """The usual operating-system refusals, with the path and what to do about them."""
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return RuntimeProblem(f"{what}: the disk is full{where}. Free some space and start again.")
    if error.errno in (errno.EACCES, errno.EPERM):
        return RuntimeProblem(
            f"{what}: permission denied{where}. Check who owns it, or set ERP_DATA_DIR elsewhere."
        )
    if error.errno == errno.EROFS:
        return RuntimeProblem(
            f"{what}: the file system is read-only{where}. Set ERP_DATA_DIR to a writable folder."
        )
    return RuntimeProblem(f"{what}: {error}")
