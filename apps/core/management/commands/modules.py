"""``manage.py modules list|graph|enable|disable``: which modules there are and which run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.core import modules


class Command(BaseCommand):
    help = "List modules, draw their dependencies, enable or disable one for this data directory."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("what", choices=["list", "graph", "enable", "disable"])
        parser.add_argument("keys", nargs="*", help="module keys, for enable and disable")

    def handle(self, *args: Any, what: str, keys: list[str], **options: Any) -> None:
        known = modules.catalog()
        running = {config.key for config in modules.running()}
        if what == "list":
            self._list(known, running)
        elif what == "graph":
            self._graph(known)
        else:
            self._switch(what, keys, known)

    def _list(self, known: dict[str, modules.ModuleInfo], running: set[str]) -> None:
        for key, info in sorted(known.items()):
            state = "platform" if info.platform else ("runs" if key in running else "disabled")
            needs = ", ".join(info.depends) or "-"
            self.stdout.write(f"{key:<14} {info.version:<8} {state:<9} {info.source:<18} needs {needs}")

    def _graph(self, known: dict[str, modules.ModuleInfo]) -> None:
        self.stdout.write("digraph modules {")
        for key, info in sorted(known.items()):
            self.stdout.write(f'  "{key}";')
            for dependency in info.depends:
                self.stdout.write(f'  "{key}" -> "{dependency}";')
        self.stdout.write("}")

    def _switch(self, what: str, keys: list[str], known: dict[str, modules.ModuleInfo]) -> None:
        if not keys:
            raise CommandError(f"Name the module to {what}.")
        if settings.ERP_MODULES:
            raise CommandError(f"ERP_MODULES={settings.ERP_MODULES} decides what runs. Change or unset it.")
        data_dir = Path(settings.ERP_DATA_DIR)
        disabled = set(modules.read_disabled(data_dir))
        for key in keys:
            if key not in known:
                raise CommandError(f"There is no module '{key}'. Known: {', '.join(sorted(known))}.")
            if what == "enable":
                disabled -= {key}
                continue
            if known[key].platform:
                raise CommandError(f"Module '{key}' is part of the platform and cannot be disabled.")
            needing = [name for name in modules.dependents(key) if name not in disabled and name not in keys]
            if needing:
                raise CommandError(
                    f"Needed by {', '.join(needing)}. Disable these as well: they were not changed."
                )
            disabled.add(key)
        modules.write_disabled(data_dir, disabled)
        try:
            modules.resolve_modules(None, data_dir)
        except modules.ModuleError as exc:
            raise CommandError(str(exc)) from exc
        self.stdout.write(f"{what}d: {', '.join(keys)}. Restart to apply; tables and data are kept.")
