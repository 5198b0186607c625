"""What other modules' ``admin.py`` build on.

```python
@backoffice(Task)
class TaskAdmin(RecordAdmin):
    list_display = ("name", "project", "stage", "ext.loyalty.points", "custom.colour")
    list_filter = ("stage", "project", "deadline")
    fieldsets = ((None, {"fields": (("name", "stage"), "project")}), (_("Notes"), {"classes": ["tab"], "fields": ("description",)}))
    select_fields = ("stage",)          # plain select instead of a search box
    inlines = (LineInline,)
```
Nothing here touches ``Model.objects``: rows come from ``visible()``, writes go through ``service_for(Model)`` and
declared actions, so the rules, hooks, tracking and events are the same as in every other interface.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django.db import models

from apps.backoffice.fields import link_field
from apps.backoffice.hooks import (
    collect_buttons,
    collect_cards,
    collect_counters,
    collect_opened,
    collect_tabs,
)
from apps.backoffice.inlines import NestedInline, RecordInline, StackedRecordInline
from apps.backoffice.record_admin import RecordAdmin
from apps.backoffice.rights import actor_of
from apps.backoffice.site import record_url, register_page, site
from apps.backoffice.types import Button, Card, CardLine, Counter, Tab
from apps.core.modules import import_if_present, running

A = TypeVar("A", bound=type[RecordAdmin])

__all__ = [
    "Button",
    "Card",
    "CardLine",
    "Counter",
    "NestedInline",
    "RecordAdmin",
    "RecordInline",
    "StackedRecordInline",
    "Tab",
    "actor_of",
    "backoffice",
    "collect_buttons",
    "collect_cards",
    "collect_counters",
    "collect_opened",
    "collect_tabs",
    "link_field",
    "load_admins",
    "record_url",
    "register_page",
    "site",
]


def backoffice(*registered: type[models.Model]) -> Callable[[A], A]:
    """Class decorator: show these models in the back office with the decorated ``RecordAdmin``."""

    def add(cls: A) -> A:
        for model in registered:
            site.register(model, cls)
        return cls

    return add


def load_admins() -> None:
    """Import ``admin.py`` of every running module; called when the URLs are built."""
    for config in running():
        import_if_present(f"{config.name}.admin")


def registered_admins() -> dict[type[models.Model], Any]:
    """Model class to its admin instance, for the conformance tests."""
    load_admins()
    return dict(site._registry)
