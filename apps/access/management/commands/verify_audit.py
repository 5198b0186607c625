"""``manage.py verify_audit``: prove that the sealed audit trail is what it was."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.access.models import AuditSeal
from apps.access.services import broken_seals


class Command(BaseCommand):
    help = "Recompute every seal of the audit trail; exits with an error that names the first broken range."

    def handle(self, *args: Any, **options: Any) -> None:
        broken = list(broken_seals())
        for item in broken:
            self.stderr.write(
                f"Seal {item.seal_pk}, entries {item.first_pk} to {item.last_pk}: {item.reason}."
            )
        if broken:
            raise CommandError(f"{len(broken)} of {AuditSeal.objects.count()} seals are broken.")
        self.stdout.write(f"{AuditSeal.objects.count()} seals, all whole.")
