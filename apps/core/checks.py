"""System checks: what modules declare must exist. A misspelt path or model is found at start, not in use."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

from django.apps import apps
from django.core import checks

from apps.core import modules
from apps.core.modules import ModuleConfig


def register_all() -> None:
    checks.register(check_modules, "meridian")


def resolve(path: str) -> Any:
    """The object at a dotted path; raises ``ImportError`` or ``AttributeError`` naming what is missing."""
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)


def check_modules(app_configs: Any = None, **kwargs: Any) -> list[checks.CheckMessage]:
    """Every declared dependency, model, role and dotted path of every running module."""
    found: list[checks.CheckMessage] = []
    configs = list(modules.running())
    keys = {config.key for config in configs}
    for app in apps.get_app_configs():
        info = next((i for i in modules.catalog().values() if i.config.startswith(f"{app.name}.apps.")), None)
        if info is not None and not isinstance(app, ModuleConfig):
            found.append(
                checks.Error(
                    f"{app.name} is installed, but not by its ModuleConfig {info.config}.", id="meridian.E001"
                )
            )
    roles = {role.code for config in configs for role in config.roles}
    for config in configs:
        for problem in _problems(config, keys, roles):
            found.append(checks.Error(f"Module {config.key}: {problem}", obj=config, id="meridian.E002"))
    return found


def _problems(config: ModuleConfig, keys: set[str], roles: set[str]) -> Iterator[str]:
    for dependency in config.depends:
        if dependency not in keys:
            yield f"depends on '{dependency}', which does not run."
    if not str(config.title):
        yield "has no title."
    yield from _paths(config)
    own = {role.code for role in config.roles}
    for role in config.roles:
        for implied in role.implies:
            if implied not in roles:
                yield f"role {role.code} implies unknown role {implied}."
        yield from _grants(role.code, role.grants)
    for code, grants in config.grants.items():
        # A grant to a role of a module that does not run is simply not made.
        if code in own:
            yield f"grants to its own role {code}; put that into the role."
        yield from _grants(code, grants)
    for item in config.menu:
        if item.model:
            yield from _model(item.model, f"menu entry '{item.title}'")
    for spec in config.report_specs:
        yield from _model(spec.model, f"report {spec.code}")
    for subtype in config.subtypes:
        if subtype.model:
            yield from _model(subtype.model, f"message subtype {subtype.code}")


def _paths(config: ModuleConfig) -> Iterator[str]:
    paths = [("demo", config.demo), *((f"job {j.code}", j.task) for j in config.jobs)]
    paths += [(f"report {r.code}", path) for r in config.report_specs for path in (r.builder, r.archive)]
    paths += [(f"portal card {c.key}", c.counter) for c in config.portal_cards]
    for what, path in paths:
        if not path:
            continue
        try:
            resolve(path)
        except (ImportError, AttributeError, ValueError) as exc:
            yield f"{what} names {path}, which cannot be found ({exc})."
    if config.urls:
        try:
            import_module(config.urls)
        except ImportError as exc:
            yield f"urls names {config.urls}, which cannot be imported ({exc})."


def _grants(code: str, grants: Any) -> Iterator[str]:
    for label in grants:
        if label != "*":
            yield from _model(label, f"role {code}")


def _model(label: str, where: str) -> Iterator[str]:
    try:
        apps.get_model(label)
    except (LookupError, ValueError):
        yield f"{where} names model {label}, which does not exist."
