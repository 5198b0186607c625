"""What the machine must bring, checked before anything starts: libraries, fonts, disk space.

Only the standard library is used, so that this also runs before the virtualenv exists:
`python3 -m apps.core.runtime.checks [--install]`.
"""

from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from .problems import MINIMUM_FREE_MB, RuntimeProblem

ROOT = Path(__file__).resolve().parents[3]
FONT_FOLDERS = (
    ROOT / "static" / "vendor" / "fonts",
    Path("/usr/share/fonts"),
    Path("/usr/local/share/fonts"),
)
FONT_SUFFIXES = (".ttf", ".otf", ".ttc", ".woff2", ".woff", ".pfb")


@dataclass(frozen=True, slots=True)
class Library:
    """A shared library that the PDF engine loads by name, and the Debian package that brings it."""

    soname: str
    package: str

    def present(self) -> bool:
        with contextlib.suppress(OSError):
            ctypes.CDLL(self.soname)
            return True
        return bool(ctypes.util.find_library(self.soname.removeprefix("lib").split(".so")[0]))


LIBRARIES = (
    Library("libpango-1.0.so.0", "libpango-1.0-0"),
    Library("libpangoft2-1.0.so.0", "libpangoft2-1.0-0"),
    Library("libharfbuzz-subset.so.0", "libharfbuzz-subset0"),
)
FONT_PACKAGE = "fonts-dejavu-core"


def has_font() -> bool:
    """Whether any font is there: without one the PDF engine does not fail but crashes."""
    for folder in FONT_FOLDERS:
        for _, _, files in os.walk(folder):
            if any(name.lower().endswith(FONT_SUFFIXES) for name in files):
                return True
    return False


def missing_packages() -> list[str]:
    """Debian packages that this machine lacks."""
    missing = [library.package for library in LIBRARIES if not library.present()]
    if not has_font():
        missing.append(FONT_PACKAGE)
    return missing


def can_install() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install_command(packages: list[str]) -> str:
    return f"apt-get update && apt-get install -y --no-install-recommends {' '.join(packages)}"


def ensure_packages(*, install: bool) -> None:
    """Install what is missing when allowed and able, else say exactly what to type."""
    missing = missing_packages()
    if missing and install and can_install():
        print(f"installing system packages: {' '.join(missing)}", flush=True)
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(
            ["sh", "-c", install_command(missing)], env=environment, check=False, stdin=subprocess.DEVNULL
        )
        missing = missing_packages()
    if missing:
        prefix = "" if os.geteuid() == 0 else "sudo "
        raise RuntimeProblem(
            "PDF documents need libraries or fonts that this machine lacks: "
            f"{', '.join(missing)}.\nOn Debian or Ubuntu type:\n  {prefix}sh -c '{install_command(missing)}'\n"
            "Elsewhere install Pango (with HarfBuzz) and one font, for example `brew install pango`."
        )


def check_disk(folder: Path) -> None:
    """Refuse to start a database on a disk that is about to be full."""
    free = shutil.disk_usage(folder).free // (1024 * 1024)
    if free < MINIMUM_FREE_MB:
        raise RuntimeProblem(
            f"Only {free} MB are free on the disk of {folder}; at least {MINIMUM_FREE_MB} MB are needed. "
            "Free some space, or set ERP_DATA_DIR to a folder on another disk."
        )


def main(arguments: list[str]) -> int:
    try:
        ensure_packages(install="--install" in arguments)
    except RuntimeProblem as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
