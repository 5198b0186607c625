"""What gets installed is pinned with checksums and tied to no address."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = sorted((ROOT / "requirements").glob("*.txt"))
PIN = re.compile(r"^([a-z0-9][a-z0-9._-]*)(?:\[[a-z0-9,_-]+\])?==([^ ;\\]+)", re.MULTILINE | re.IGNORECASE)


def pins(path: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name, version in PIN.findall(path.read_text()):
        found.setdefault(name.lower(), set()).add(version)
    return found


@pytest.mark.parametrize("path", REQUIREMENTS, ids=lambda path: path.name)
def test_every_package_is_pinned_with_checksums_and_without_addresses(path: Path) -> None:
    text = path.read_text()
    entries = [entry for entry in re.split(r"\n(?=\S)", text) if entry and not entry.startswith("#")]

    assert entries
    for entry in entries:
        assert PIN.match(entry), entry.splitlines()[0]
        assert "--hash=sha256:" in entry, entry.splitlines()[0]
    assert "://" not in text
    assert not re.search(r"^\s*--(?!hash)", text, re.MULTILINE)


def test_every_list_has_its_wishes_and_the_lists_agree() -> None:
    assert {path.stem for path in REQUIREMENTS} == {
        path.stem for path in (ROOT / "requirements").glob("*.in")
    }
    base, local, s3, dev = (
        pins(ROOT / "requirements" / f"{name}.txt") for name in ("base", "local", "s3", "dev")
    )
    for smaller, larger in ((base, local), (base, s3), (local, dev), (s3, dev)):
        assert {name: larger.get(name) for name in smaller} == smaller


def test_wishes_are_met() -> None:
    for wish in (ROOT / "requirements").glob("*.in"):
        locked = pins(wish.with_suffix(".txt"))
        for line in wish.read_text().splitlines():
            name = re.match(r"[a-z0-9._-]+", line.lower())
            if name and not line.startswith(("#", "-")):
                assert name[0].replace("_", "-") in locked, f"{wish.name}: {line}"


def test_browser_packages_are_pinned_with_checksums_and_without_addresses() -> None:
    wishes = json.loads((ROOT / "package.json").read_text())
    lock = json.loads((ROOT / "package-lock.json").read_text())

    assert lock["packages"][""]["dependencies"] == wishes["dependencies"]
    for name, version in wishes["dependencies"].items():
        assert re.fullmatch(r"\d+\.\d+\.\d+", version), name
    for name, entry in lock["packages"].items():
        if name:
            assert entry["integrity"].startswith("sha512-"), name
            assert "resolved" not in entry, name


def test_every_browser_file_comes_from_a_pinned_package() -> None:
    from scripts.vendor import expand

    wishes = json.loads((ROOT / "package.json").read_text())
    for source in wishes["vendor"].values():
        assert any(source.startswith(f"{package}/") for package in wishes["dependencies"]), source
    assert expand("a/{b,c}-{1,2}.js") == ["a/b-1.js", "a/b-2.js", "a/c-1.js", "a/c-2.js"]
    assert expand("plain.js") == ["plain.js"]
