"""Demo data: the story that every module tells a part of, loaded in dependency order, once or again."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.db import connection
from django.utils import timezone

from apps.core import modules
from apps.core.actor import system_actor
from apps.core.checks import resolve
from apps.core.models.setting import Setting
from apps.core.unit_of_work import unit_of_work

MARK = "core.demo_loaded"
LOCK = 0x6D657264656D6F  # one loader at a time, whatever the number of processes that start
SIZES = ("s", "m", "l")


def loaded() -> bool:
    """Whether the story was told in this database."""
    return Setting.objects.filter(key=MARK, company=None).exists()


def load(*, size: str = "s", tell: Callable[[str], Any] = lambda text: None) -> list[str]:
    """Load every module's demo data (idempotent), each module in one unit of work; answers the modules' keys."""
    done = []
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        try:
            for config in modules.running():
                if not config.demo:
                    continue
                started = time.perf_counter()
                actor = system_actor(name="Demo", channel="command")
                with unit_of_work(actor):
                    resolve(config.demo)(size, actor=actor)
                done.append(config.key)
                tell(f"demo data of {config.key}: {time.perf_counter() - started:.1f} s")
            Setting.objects.update_or_create(
                key=MARK, company=None, defaults={"value": timezone.now().isoformat()}
            )
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])
    return done
