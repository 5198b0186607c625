"""Which modules run: order, closure, refusals that name the module and the remedy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from apps.core.modules import (
    ModuleError,
    ModuleInfo,
    catalog,
    dependents,
    read_disabled,
    resolve_modules,
    write_disabled,
)

ROOT = Path(__file__).resolve().parents[2]


def info(key: str, *depends: str, platform: bool = False) -> ModuleInfo:
    return ModuleInfo(key, f"x.{key}.apps.C", depends, platform, "1.0", key, "built-in")


KNOWN = {
    item.key: item
    for item in (
        info("core", platform=True),
        info("access", "core", platform=True),
        info("sales", "access"),
        info("stock", "access"),
        info("sales_stock", "sales", "stock"),
        info("lonely", "missing"),
    )
}


def keys(requested: str | None, data_dir: Path, without: str = "lonely") -> list[str]:
    known = {key: item for key, item in KNOWN.items() if key != without}
    return [item.key for item in resolve_modules(requested, data_dir, known=known)]


def test_everything_runs_by_default_each_after_what_it_needs(tmp_path: Path) -> None:
    order = keys(None, tmp_path)

    assert order == ["core", "access", "sales", "stock", "sales_stock"]
    assert keys("all", tmp_path) == order


def test_named_modules_bring_the_platform_and_their_dependencies(tmp_path: Path) -> None:
    assert keys("sales", tmp_path) == ["core", "access", "sales"]
    assert keys("sales_stock", tmp_path) == ["core", "access", "sales", "stock", "sales_stock"]


@pytest.mark.parametrize(
    ("requested", "words"),
    [
        ("nonsense", ["no module 'nonsense'", "Known: access, core"]),
        ("all,-core", ["'core' is part of the platform"]),
        (
            "all,-sales",
            ["'sales_stock' needs module 'sales', which is disabled", "Enable 'sales' or disable"],
        ),
    ],
)
def test_what_cannot_run_is_named_with_the_remedy(tmp_path: Path, requested: str, words: list[str]) -> None:
    with pytest.raises(ModuleError) as refusal:
        keys(requested, tmp_path)

    for word in words:
        assert word in str(refusal.value)


def test_missing_dependency_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModuleError, match="'lonely' needs module 'missing', which is not installed"):
        keys("lonely", tmp_path, without="")


def test_circles_are_named(tmp_path: Path) -> None:
    circle = {item.key: item for item in (info("a", "b"), info("b", "a"))}

    with pytest.raises(ModuleError, match="circle: a -> b -> a"):
        resolve_modules(None, tmp_path, known=circle)


def test_disabled_modules_are_remembered_for_the_data_directory(tmp_path: Path) -> None:
    write_disabled(tmp_path, {"sales_stock"})

    assert read_disabled(tmp_path) == {"sales_stock"}
    assert keys(None, tmp_path) == ["core", "access", "sales", "stock"]
    assert "sales_stock" in keys("all", tmp_path), "an explicit request wins"


def test_a_damaged_state_file_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "modules.json").write_text("{", "utf-8")

    with pytest.raises(ModuleError, match="cannot be read"):
        read_disabled(tmp_path)


def test_dependents_are_found_through_others() -> None:
    assert dependents("access", among=KNOWN.values()) == ["sales", "sales_stock", "stock"]


def test_the_third_party_module_is_found_by_its_entry_point() -> None:
    assert catalog()["dummy"].source == "meridian-dummy"


def _manage(*arguments: str, data_dir: Path, **env: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "ERP_DATA_DIR": str(data_dir),
        "DJANGO_SETTINGS_MODULE": "erp_project.settings.test",
    }
    environment.update(env)
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_command_lists_and_draws(tmp_path: Path) -> None:
    listed = _manage("modules", "list", data_dir=tmp_path)
    drawn = _manage("modules", "graph", data_dir=tmp_path)

    assert listed.returncode == 0 and "dummy" in listed.stdout and "meridian-dummy" in listed.stdout, (
        listed.stderr
    )
    assert '"contacts" -> "access";' in drawn.stdout


def test_platform_modules_cannot_be_disabled(tmp_path: Path) -> None:
    refused = _manage("modules", "disable", "contacts", data_dir=tmp_path)

    assert refused.returncode != 0
    assert "part of the platform" in refused.stderr


def test_unknown_module_in_the_environment_stops_the_start(tmp_path: Path) -> None:
    refused = _manage("check", data_dir=tmp_path, ERP_TEST_MODULES="nonsense")

    assert refused.returncode != 0
    assert "There is no module 'nonsense'" in refused.stderr
