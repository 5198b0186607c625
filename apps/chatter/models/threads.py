"""Which kinds of record have a thread, and naming one of them."""

from __future__ import annotations

from functools import lru_cache

from django.apps import apps
from django.db import models

from apps.chatter.types import RecordRef
from apps.core.models.base import options_of


@lru_cache(maxsize=1)
def thread_models() -> dict[str, type[models.Model]]:
    """Every model with ``erp.thread``, by label in lower case."""
    found = (model for model in apps.get_models() if options_of(model).thread)
    return {model._meta.label_lower: model for model in found}


def has_thread(model: type[models.Model]) -> bool:
    return model._meta.label_lower in thread_models()


def ref_of(record: models.Model) -> RecordRef:
    """The name of a saved record."""
    return RecordRef(record._meta.label_lower, record.pk)
