"""Search over the fields a model declares in ``erp.search``: folded substring and trigram similarity.

The index (``AddSearchIndex``) and the condition use one and the same expression, built by
``db.search_expression``, so PostgreSQL finds any part of any word, whatever the accents and case. Every word of
the query must occur; results rank exact beginnings first, then similarity.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from django.apps import apps
from django.db import models
from django.db.models.expressions import RawSQL

from apps.core.actor import Actor
from apps.core.db import search_expression
from apps.core.declarations import SearchField
from apps.core.models.base import options_of
from apps.core.rules import visible

M = TypeVar("M", bound=models.Model)

MAX_WORDS = 8
MAX_LENGTH = 200


def searchable(model: type[models.Model]) -> bool:
    return bool(options_of(model).search)


def search_columns(model: type[models.Model]) -> list[str]:
    """Column names that search covers: own fields only, in declared order."""
    return [str(model._meta.get_field(_name(field)).column) for field in options_of(model).search]  # type: ignore[union-attr]


def _name(field: SearchField | str) -> str:
    return field if isinstance(field, str) else field.name


def _expression(model: type[models.Model], columns: Iterable[str]) -> str:
    table = model._meta.db_table
    plain = search_expression(tuple(columns))
    for column in columns:
        plain = plain.replace(f'coalesce("{column}"', f'coalesce("{table}"."{column}"')
    return plain


def _escaped(word: str) -> str:
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def search_condition(model: type[models.Model], text: str) -> models.Q:
    """All words of ``text`` occur somewhere in the declared fields; an empty text matches everything."""
    words = text.replace("\0", "")[:MAX_LENGTH].split()[:MAX_WORDS]
    if not words or not searchable(model):
        return models.Q()
    expression = _expression(model, search_columns(model))
    condition = " AND ".join([f"{expression} LIKE '%%' || core_fold(%s) || '%%'"] * len(words))
    parameters = [_escaped(word) for word in words]
    return models.Q(RawSQL(condition, parameters, output_field=models.BooleanField()))  # noqa: S611


def search(queryset: models.QuerySet[M], text: str, *, ranked: bool = False) -> models.QuerySet[M]:
    """Narrow ``queryset`` to rows that match; with ``ranked`` the best come first."""
    rows = queryset.filter(search_condition(queryset.model, text))
    if ranked and text.strip() and searchable(queryset.model):
        expression = _expression(queryset.model, search_columns(queryset.model))
        rank = RawSQL(  # noqa: S611
            f"(CASE WHEN {expression} LIKE core_fold(%s) || '%%' THEN 1 ELSE 0 END"
            f" + word_similarity(core_fold(%s), {expression}))",
            [_escaped(text[:MAX_LENGTH]), text[:MAX_LENGTH]],
            output_field=models.FloatField(),
        )
        rows = rows.order_by(rank.desc(), "pk")
    return rows


@dataclass(frozen=True, slots=True)
class Hit:
    """One result of the global search."""

    model: str
    kind: str
    pk: Any
    title: str


def global_search(text: str, actor: Actor, *, limit: int = 5) -> list[Hit]:
    """The best hits of every searchable kind the actor may view: one query a kind, ``limit`` hits each."""
    hits: list[Hit] = []
    if not text.strip():
        return hits
    for model in apps.get_models():
        if not searchable(model) or not actor.can(model, "view"):
            continue
        rows = visible(model, actor)
        if any(field.name == "active" for field in model._meta.fields):
            rows = rows.filter(active=True)
        for record in search(rows, text, ranked=True)[:limit]:
            hits.append(Hit(model._meta.label_lower, str(model._meta.verbose_name), record.pk, str(record)))
    return hits
