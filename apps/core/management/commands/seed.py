"""``manage.py seed --size s|m|l``: more data of the same kind, for trying speed."""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.core import modules, story
from apps.core.actor import system_actor
from apps.core.checks import resolve


class Command(BaseCommand):
    help = "Fill the database: s is the demo story, m some thousands of records, l 100,000 tasks and more."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--size", choices=story.SIZES, default="s")

    def handle(self, *args: Any, size: str, **options: Any) -> None:
        if settings.SETTINGS_MODULE.endswith("production"):
            raise CommandError("Seeding brings logins with known passwords; production settings refuse it.")
        if not story.loaded():
            story.load(tell=self.stdout.write)
        if size == "s":
            return
        for config in modules.running():
            if not config.demo:
                continue
            try:
                grow = resolve(config.demo.rpartition(".")[0] + ".seed")
            except AttributeError:
                continue
            started = time.perf_counter()
            grow(size, actor=system_actor(name="Seed", channel="command"))
            self.stdout.write(f"seeded {config.key} ({size}): {time.perf_counter() - started:.1f} s")
