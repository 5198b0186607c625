#!/usr/bin/env python3
"""Bring browser files and fonts from pinned npm packages into static/vendor/, which git ignores.

package.json says which version of which package (`dependencies`) and which of its files go where (`vendor`);
package-lock.json holds their checksums. Node.js 20 or newer of the system is used, else the one that pip brings
(requirements/node.txt). Without a network, files of an earlier run are kept, and their absence is only a warning:
pages work without them, less comfortably.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "static" / "vendor"
MODULES = ROOT / "node_modules"
MARKER = TARGET / ".complete"
MINIMUM_NODE = 20
_SOURCE_MAP = re.compile(rb"\n?(//|/\*)[#@] ?sourceMappingURL=[^\n]*")


def fingerprint() -> str:
    """Changes when the wished files, their versions or this script change."""
    digest = hashlib.sha256()
    for path in (ROOT / "package.json", ROOT / "package-lock.json", Path(__file__)):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def wishes() -> list[tuple[Path, Path]]:
    """(source, target) of every file; `{a,b}` in a source stands for several files, copied into a folder."""
    pairs = []
    for target, source in json.loads((ROOT / "package.json").read_text())["vendor"].items():
        for name in expand(source):
            path = MODULES / name
            pairs.append((path, TARGET / target / path.name if target.endswith("/") else TARGET / target))
    return pairs


def expand(pattern: str) -> list[str]:
    """Every string that a pattern with `{a,b}` alternatives stands for."""
    parts = re.split(r"\{([^}]*)\}", pattern)
    choices = [[part] if index % 2 == 0 else part.split(",") for index, part in enumerate(parts)]
    return ["".join(combination) for combination in itertools.product(*choices)]


def npm_command() -> list[str] | None:
    """npm of the system when its Node.js is new enough, else of the virtualenv, else None."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        done = subprocess.run([node, "--version"], capture_output=True, text=True)
        version = re.match(r"v(\d+)\.", done.stdout)
        if version and int(version[1]) >= MINIMUM_NODE:
            return [npm]
    own = Path(sys.executable).with_name("npm")
    return [str(own)] if own.exists() else None


def install_node() -> list[str] | None:
    print("no Node.js 20 or newer here: installing one into the virtualenv", flush=True)
    requirements = ["-r", str(ROOT / "requirements" / "node.txt")]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--require-hashes", *requirements]
    subprocess.run(command, cwd=ROOT)
    return npm_command()


def fetch_packages() -> bool:
    npm = npm_command() or install_node()
    if npm is None:
        return False
    arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    return subprocess.run([*npm, *arguments], cwd=ROOT, stdin=subprocess.DEVNULL).returncode == 0


def copy_files() -> None:
    """Into a new folder that takes the old one's place, so that a half copy is never served."""
    draft = TARGET.with_name("vendor.new")
    shutil.rmtree(draft, ignore_errors=True)
    for source, target in wishes():
        place = draft / target.relative_to(TARGET)
        place.parent.mkdir(parents=True, exist_ok=True)
        content = source.read_bytes()
        if source.suffix in (".js", ".css"):
            content = _SOURCE_MAP.sub(b"", content)  # they name files that are not served
        place.write_bytes(content)
    (draft / MARKER.name).write_text(fingerprint())
    shutil.rmtree(TARGET, ignore_errors=True)
    draft.rename(TARGET)


def main() -> int:
    if MARKER.exists() and MARKER.read_text() == fingerprint():
        return 0
    print("fetching browser files and fonts", flush=True)
    if "--copy-only" in sys.argv or fetch_packages():  # copy-only: node_modules was filled by somebody else
        copy_files()
        return 0
    state = (
        "those of an earlier run stay in use"
        if TARGET.exists()
        else "drag and drop and some fonts will be missing"
    )
    print(f"warning: browser files could not be fetched; {state}", file=sys.stderr)
    return 1 if "--strict" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
