"""Every module: declared paths resolve, the page in docs exists, hooks are documented, jobs are repeatable."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.checks import run_checks

from apps.core.hooks import all_hooks
from apps.core.modules import ModuleConfig, running

ROOT = Path(__file__).resolve().parents[2]
MODULES = list(running())
BUILT_IN = [config for config in MODULES if config.name.startswith("apps.")]


def test_system_checks_find_nothing() -> None:
    problems = [message for message in run_checks() if message.level >= 30 and not message.is_silenced()]

    assert not problems, problems


@pytest.mark.parametrize("config", BUILT_IN, ids=[c.key for c in BUILT_IN])
def test_has_a_page_in_the_documentation(config: ModuleConfig) -> None:
    name = "kernel" if config.key == "core" else f"apps/{config.key}"
    page = ROOT / "docs" / f"{name}.md"

    assert page.is_file(), f"docs/{name}.md is missing"
    assert len(page.read_text("utf-8")) > 300


@pytest.mark.parametrize("config", MODULES, ids=[c.key for c in MODULES])
def test_is_titled(config: ModuleConfig) -> None:
    assert str(config.title).strip()


@pytest.mark.parametrize("name", sorted(all_hooks()))
def test_hooks_say_what_they_pass(name: str) -> None:
    text = all_hooks()[name].__doc__ or ""

    assert text.lstrip().startswith("("), f"{name}: begin with the arguments in brackets"


def test_role_codes_are_unique_and_in_their_module() -> None:
    codes = [role.code for config in MODULES for role in config.roles]

    assert len(codes) == len(set(codes))
    for config in MODULES:
        for role in config.roles:
            assert role.code.split(".")[0] == config.key
