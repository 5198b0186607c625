"""Modules: which apps run, in which order, and what they declare.

A module is a Django app whose ``apps.py`` holds one ``ModuleConfig``. Built-in modules are the packages below
``apps/``; others register under the entry-point group ``meridian.modules`` (name = module key, value =
``package.apps:ConfigClass``). ``ERP_MODULES`` picks what runs:

* unset or ``all``: everything, less what ``manage.py modules disable`` wrote down for this data directory;
* ``projects,dummy``: these, the platform, and all that they depend on;
* ``all,-projects``: everything but the named ones and whatever needs them is an error that says so.

A module that does not run is absent: no menu, URL, API, permission or job; its tables and rows stay.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

from django.apps import AppConfig, apps

from apps.core.declarations import (
    JobSpec,
    MenuItem,
    PortalCard,
    ReportSpec,
    Role,
    SequenceSpec,
    SettingSpec,
    SubtypeSpec,
)

ENTRY_POINT_GROUP = "meridian.modules"
STATE_FILE = "modules.json"
APPS_DIR = Path(__file__).resolve().parent.parent

# Loaded in this order when an app is ready; each only registers things.
REGISTERING = ("hooks", "rules", "services", "reports", "handlers", "extensions")


class ModuleError(Exception):
    """The wanted set of modules cannot run; the message names the module and the remedy."""


class ModuleConfig(AppConfig):
    """The declaration of a module. Subclass it in ``apps.py`` and set what applies."""

    default_auto_field = "django.db.models.BigAutoField"

    title: ClassVar[Any] = ""
    summary: ClassVar[Any] = ""
    version: ClassVar[str] = "1.0"
    category: ClassVar[Any] = ""
    depends: ClassVar[tuple[str, ...]] = ()
    platform: ClassVar[bool] = False  # part of the house: always runs

    roles: ClassVar[tuple[Role, ...]] = ()
    grants: ClassVar[Mapping[str, Mapping[str, str]]] = {}  # role code of any module -> model -> operations
    sequences: ClassVar[tuple[SequenceSpec, ...]] = ()
    jobs: ClassVar[tuple[JobSpec, ...]] = ()
    report_specs: ClassVar[tuple[ReportSpec, ...]] = ()
    settings: ClassVar[tuple[SettingSpec, ...]] = ()
    menu: ClassVar[tuple[MenuItem, ...]] = ()
    menu_title: ClassVar[Any] = ""
    menu_icon: ClassVar[str] = "apps"
    menu_sequence: ClassVar[int] = 50
    portal_cards: ClassVar[tuple[PortalCard, ...]] = ()
    subtypes: ClassVar[tuple[SubtypeSpec, ...]] = ()
    demo: ClassVar[str] = ""  # dotted path of (size, *, actor) -> None
    urls: ClassVar[str] = ""  # dotted path of a URLconf included at the root
    celery_tasks: ClassVar[str] = "tasks"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # Importing ModuleConfig into an apps.py gives Django two candidates there; this marks the right one.
        cls.default = True

    @property
    def key(self) -> str:
        return self.label

    def ready(self) -> None:
        for name in REGISTERING:
            import_if_present(f"{self.name}.{name}")


def import_if_present(path: str) -> Any | None:
    """Import a module when it exists; an error inside it is never swallowed."""
    parent, _, _ = path.rpartition(".")
    importlib.import_module(parent)
    if importlib.util.find_spec(path) is None:
        return None
    return importlib.import_module(path)


@dataclass(frozen=True, slots=True)
class ModuleInfo:
    """A module that was found, before Django is set up."""

    key: str
    config: str  # dotted path of the ModuleConfig
    depends: tuple[str, ...]
    platform: bool
    version: str
    title: Any  # lazy: translations are not there yet when settings are read
    source: str  # "built-in" or the distribution that registered it


def _info(config: type[ModuleConfig], source: str) -> ModuleInfo:
    key = getattr(config, "label", None) or config.name.rpartition(".")[2]
    return ModuleInfo(
        key=key,
        config=f"{config.__module__}.{config.__qualname__}",
        depends=tuple(config.depends),
        platform=config.platform,
        version=config.version,
        title=key if isinstance(config.title, str) and not config.title else config.title,
        source=source,
    )


def _config_in(module: Any) -> type[ModuleConfig]:
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, ModuleConfig) and value.__module__ == module.__name__
    ]
    if len(found) != 1:
        raise ModuleError(f"{module.__name__} must define exactly one ModuleConfig, found {len(found)}.")
    return found[0]


@lru_cache(maxsize=1)
def catalog() -> dict[str, ModuleInfo]:
    """Every module that can run, by key."""
    found: dict[str, ModuleInfo] = {}
    for path in sorted(APPS_DIR.glob("*/apps.py")):
        info = _info(_config_in(importlib.import_module(f"apps.{path.parent.name}.apps")), "built-in")
        found[info.key] = info
    for point in sorted(importlib.metadata.entry_points(group=ENTRY_POINT_GROUP), key=lambda p: p.name):
        config = point.load()
        if not (isinstance(config, type) and issubclass(config, ModuleConfig)):
            raise ModuleError(f"Entry point {point.name} = {point.value} is not a ModuleConfig.")
        source = point.dist.name if point.dist else point.value
        info = _info(config, source)
        if info.key in found and found[info.key].config != info.config:
            raise ModuleError(
                f"Two modules are called '{info.key}': {found[info.key].config} and {info.config}."
            )
        found[info.key] = info
    return found


def read_disabled(data_dir: Path) -> frozenset[str]:
    path = data_dir / STATE_FILE
    if not path.exists():
        return frozenset()
    try:
        return frozenset(json.loads(path.read_text("utf-8"))["disabled"])
    except (ValueError, KeyError, TypeError) as exc:
        raise ModuleError(f"{path} cannot be read ({exc}). Mend or remove it.") from exc


def write_disabled(data_dir: Path, disabled: Iterable[str]) -> None:
    data_dir.mkdir(parents=True, exist_ok=True)
    path = data_dir / STATE_FILE
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps({"disabled": sorted(disabled)}, indent=1) + "\n", "utf-8")
    draft.replace(path)


def resolve_modules(
    requested: str | None, data_dir: Path, *, known: Mapping[str, ModuleInfo] | None = None
) -> list[ModuleInfo]:
    """The modules to run, each after what it depends on. Raises ``ModuleError`` naming what does not fit."""
    known = catalog() if known is None else known
    names = [part.strip() for part in (requested or "").split(",") if part.strip()]
    refused = {name[1:] for name in names if name.startswith("-")}
    wanted = [name for name in names if not name.startswith("-")]
    if not names:
        refused = set(read_disabled(data_dir)) & set(known)
    if not wanted or "all" in wanted:
        chosen = set(known) - refused
    else:
        chosen = set(wanted)
    for name in sorted((chosen | refused) - set(known)):
        raise ModuleError(f"There is no module '{name}'. Known: {', '.join(sorted(known))}.")
    for name in sorted(refused):
        if known[name].platform:
            raise ModuleError(f"Module '{name}' is part of the platform and cannot be disabled.")
    chosen |= {name for name, info in known.items() if info.platform}

    order: list[ModuleInfo] = []
    state: dict[str, str] = {}

    def visit(name: str, path: tuple[str, ...]) -> None:
        if state.get(name) == "done":
            return
        if name in path:
            raise ModuleError(f"Modules depend on each other in a circle: {' -> '.join((*path, name))}.")
        if name not in known:
            raise ModuleError(f"Module '{path[-1]}' needs module '{name}', which is not installed.")
        if name in refused:
            raise ModuleError(
                f"Module '{path[-1]}' needs module '{name}', which is disabled. "
                f"Enable '{name}' or disable '{path[-1]}' as well."
            )
        for dependency in known[name].depends:
            visit(dependency, (*path, name))
        state[name] = "done"
        order.append(known[name])

    for name in sorted(chosen, key=lambda n: (not known[n].platform, n)):
        visit(name, ())
    return order


def installed_apps(requested: str | None, data_dir: Path) -> list[str]:
    """Dotted ``AppConfig`` paths for ``INSTALLED_APPS``, in dependency order."""
    return [info.config for info in resolve_modules(requested, data_dir)]


def dependents(key: str, *, among: Iterable[ModuleInfo] | None = None) -> list[str]:
    """Keys of all modules that need ``key``, directly or not, in alphabetical order."""
    pool = list(catalog().values() if among is None else among)
    found: set[str] = set()
    grown = True
    while grown:
        more = {m.key for m in pool if m.key not in found and (key in m.depends or found & set(m.depends))}
        grown = bool(more)
        found |= more
    return sorted(found)


def running() -> Iterator[ModuleConfig]:
    """The ``ModuleConfig`` instances of the apps that run, in dependency order."""
    for config in apps.get_app_configs():
        if isinstance(config, ModuleConfig):
            yield config


def is_running(key: str) -> bool:
    return apps.is_installed(catalog()[key].config.rpartition(".apps.")[0]) if key in catalog() else False


def module_of(model_or_path: Any) -> str:
    """Key of the module in which a model class or function is defined; empty when it is in none."""
    path = model_or_path if isinstance(model_or_path, str) else model_or_path.__module__
    best = ""
    best_length = 0
    for config in running():
        if (path == config.name or path.startswith(config.name + ".")) and len(config.name) > best_length:
            best, best_length = config.key, len(config.name)
    return best


def module_urlpatterns() -> list[Any]:
    """``include()`` of every running module's URLconf, at the root."""
    from django.urls import include, path  # resolved only when URLs are built

    return [path("", include(config.urls)) for config in running() if config.urls]
