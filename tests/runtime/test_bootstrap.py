"""Making the virtualenv: from nothing, from a half-made one, not at all when something else stands in its place."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout that wishes for no packages, so that no network is needed."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "bootstrap.sh", tmp_path / "scripts")
    (tmp_path / "requirements").mkdir()
    for name in ("bootstrap", "base", "local", "dev"):
        (tmp_path / "requirements" / f"{name}.txt").write_text(f"# nothing for {name}\n")
    return tmp_path


def bootstrap(checkout: Path, wanted: str = "local", **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", "scripts/bootstrap.sh", wanted],
        cwd=checkout,
        env={"PATH": os.environ["PATH"], "HOME": str(checkout), "PIP_NO_INDEX": "1", **environment},
        capture_output=True,
        text=True,
        timeout=180,
    )


@pytest.mark.slow
def test_from_nothing_then_nothing_to_do_then_a_changed_list_then_a_half_made_one(checkout: Path) -> None:
    first = bootstrap(checkout)
    assert first.returncode == 0, first.stderr
    assert "making .venv with Python 3." in first.stderr
    assert "installing the packages of requirements/local.txt" in first.stderr
    assert (checkout / ".venv" / "bin" / "python").exists()

    second = bootstrap(checkout)
    assert (second.returncode, second.stderr) == (0, "")
    assert bootstrap(checkout, "base").stderr == ""  # the local list holds it

    (checkout / "requirements" / "local.txt").write_text("# something else\n")
    third = bootstrap(checkout)
    assert third.returncode == 0
    assert "making" not in third.stderr
    assert "installing the packages" in third.stderr

    (checkout / ".venv" / "bin" / "python").unlink()
    fourth = bootstrap(checkout)
    assert fourth.returncode == 0, fourth.stderr
    assert "the virtualenv .venv is not complete; making it anew" in fourth.stderr
    assert bootstrap(checkout).stderr == ""


def test_something_else_in_its_place_is_left_alone(checkout: Path) -> None:
    (checkout / ".venv").mkdir()
    (checkout / ".venv" / "diary.txt").write_text("mine")

    done = bootstrap(checkout)

    assert done.returncode == 1
    assert ".venv exists but is no virtualenv; move it away" in done.stderr
    assert (checkout / ".venv" / "diary.txt").read_text() == "mine"


def test_an_old_python_is_refused_with_what_is_needed(checkout: Path) -> None:
    programs = checkout / "programs"
    programs.mkdir()
    for name in ("sh", "dirname", "id", "ls", "rm", "date", "cat"):
        found = shutil.which(name)
        assert found is not None
        (programs / name).symlink_to(found)
    old = programs / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2 && exit 0\nexit 1\n')
    old.chmod(0o755)

    done = bootstrap(checkout, PATH=str(programs))

    assert done.returncode == 1
    assert "Python 3.11, 3.12 or 3.13 is needed (found: Python 3.9.2)" in done.stderr
    assert not (checkout / ".venv").exists()


@pytest.mark.slow
def test_packages_that_cannot_be_had_leave_no_mark_of_completeness(checkout: Path) -> None:
    (checkout / "requirements" / "local.txt").write_text(f"six==1.16.0 --hash=sha256:{'0' * 64}\n")

    failed = bootstrap(checkout)

    assert failed.returncode == 1
    assert "the packages could not be installed; see above" in failed.stderr
    assert not (checkout / ".venv" / ".complete-local").exists()
    (checkout / "requirements" / "local.txt").write_text("# mended\n")
    assert bootstrap(checkout).returncode == 0
