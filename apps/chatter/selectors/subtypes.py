"""Kinds of messages, from the memory of the process: they change only when the program does."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from apps.chatter.models import Subtype


@dataclass(frozen=True, slots=True)
class SubtypeInfo:
    pk: int
    code: str
    name: str
    model: str
    parent_pk: int | None
    relation: str
    internal: bool
    default: bool
    hidden: bool
    sequence: int


@lru_cache(maxsize=1)
def _all() -> dict[str, SubtypeInfo]:
    rows = Subtype.objects.filter(missing=False).order_by("model", "internal", "sequence", "code")
    return {
        row.code: SubtypeInfo(
            row.pk,
            row.code,
            row.name,
            row.model,
            row.parent_id,
            row.relation,
            row.internal,
            row.default,
            row.hidden,
            row.sequence,
        )
        for row in rows
    }


def forget_subtypes() -> None:
    """After the rows were brought in line with the declarations."""
    _all.cache_clear()


def subtype(code: str) -> SubtypeInfo:
    """A declared kind of message; ``LookupError`` for any other."""
    try:
        return _all()[code]
    except KeyError:
        known = ", ".join(sorted(_all()))
        raise LookupError(
            f"No running module declares the kind of message '{code}'. Declared: {known}."
        ) from None


def subtype_by_pk(pk: int | None) -> SubtypeInfo | None:
    return next((info for info in _all().values() if info.pk == pk), None) if pk is not None else None


def subtypes_of(model_label: str) -> list[SubtypeInfo]:
    """Kinds that a record of this model can have followers for: the general ones and its own."""
    label = model_label.lower()
    return [info for info in _all().values() if info.model in ("", label)]


def default_subtype_pks(model_label: str, *, internal: bool) -> list[int]:
    """What a new follower is told about; internal kinds only for employees."""
    return sorted(
        info.pk for info in subtypes_of(model_label) if info.default and (internal or not info.internal)
    )


def inherited_subtypes(model_label: str) -> list[SubtypeInfo]:
    """Kinds of this model that followers of a parent record subscribe to through that record."""
    return [info for info in subtypes_of(model_label) if info.parent_pk is not None and info.relation]
