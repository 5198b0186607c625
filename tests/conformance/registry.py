"""The registry, walked: whatever app is written later is held to the same."""

from __future__ import annotations

from collections.abc import Iterable

from django.apps import apps
from django.db import models

from apps.core.models.base import ExtensionModel, options_of
from apps.core.modules import running


def own_models() -> list[type[models.Model]]:
    """Models of running modules that are written by hand (no through tables, no proxies)."""
    names = tuple(config.name for config in running())
    return sorted(
        (
            model
            for model in apps.get_models()
            if model.__module__.startswith(names) and not model._meta.auto_created and not model._meta.proxy
        ),
        key=lambda model: model._meta.label,
    )


def plain_models() -> list[type[models.Model]]:
    return [model for model in own_models() if not issubclass(model, ExtensionModel)]


def exempt(model: type[models.Model], check: str) -> str:
    """The written reason why a model is not held to a check; empty when it is."""
    return options_of(model).exempt.get(check, "")


def ids(found: Iterable[type[models.Model]]) -> list[str]:
    return [model._meta.label for model in found]
