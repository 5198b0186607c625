"""``manage.py apisurface``: write docs/api-surface.txt, or compare it with what runs (``--check``)."""

from __future__ import annotations

import difflib
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.api.surface import listing


class Command(BaseCommand):
    help = "Write the listing of all REST routes and fields, or check that it is up to date."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--check", action="store_true", help="fail and show the difference instead of writing"
        )
        parser.add_argument("--file", default="docs/api-surface.txt")

    def handle(self, *args: Any, **options: Any) -> None:
        path = Path(settings.BASE_DIR) / options["file"]
        text = listing()
        if not options["check"]:
            path.write_text(text, "utf-8")
            self.stdout.write(f"{path.name}: {text.count(chr(10))} lines")
            return
        stored = path.read_text("utf-8") if path.exists() else ""
        if stored != text:
            changed = difflib.unified_diff(
                stored.splitlines(), text.splitlines(), "stored", "running", lineterm="", n=1
            )
            raise CommandError("The REST surface changed; run `manage.py apisurface`.\n" + "\n".join(changed))
        self.stdout.write("The REST surface is as listed.")
