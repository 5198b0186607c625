"""``manage.py demo``: load the demo story unless it is there."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.core import story


class Command(BaseCommand):
    help = "Load the demo data of all running modules, once. --again brings back what was deleted."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--again", action="store_true", help="load even if it was loaded before")

    def handle(self, *args: Any, again: bool, **options: Any) -> None:
        if settings.SETTINGS_MODULE.endswith("production"):
            raise CommandError("Demo data brings logins with known passwords; production settings refuse it.")
        if story.loaded() and not again:
            self.stdout.write("Demo data is there already.")
            return
        story.load(tell=self.stdout.write)
