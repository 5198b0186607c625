"""`manage.py up`, listed among the commands. manage.py hands it over before Django is set up; so does this."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from apps.core.runtime.cli import main


class Command(BaseCommand):
    help = "Run the whole system on this machine: servers, web, live, worker and beat."
    requires_system_checks: list[str] = []

    def run_from_argv(self, argv: list[str]) -> None:
        raise SystemExit(main(argv[2:]))

    def handle(self, *args: Any, **options: Any) -> None:
        raise SystemExit(main([]))
