"""Turning refusals of PostgreSQL into business errors with words that a person can act on."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from django.apps import apps
from django.contrib.postgres.constraints import ExclusionConstraint
from django.core.exceptions import FieldDoesNotExist
from django.db import IntegrityError, models
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from apps.core.errors import BusinessError, Conflict, ValidationFailed

UNIQUE, FOREIGN_KEY, NOT_NULL, CHECK, EXCLUSION, RESTRICT = (
    "23505",
    "23503",
    "23502",
    "23514",
    "23P01",
    "23001",
)

Words = Callable[[Any], BusinessError]
_words: dict[str, Words] = {}


def explains(constraint: str) -> Callable[[Words], Words]:
    """Registers the function that words refusals of a constraint or trigger; it gets PostgreSQL's diagnostics."""

    def add(function: Words) -> Words:
        _words[constraint] = function
        return function

    return add


@lru_cache(maxsize=1)
def _tables() -> dict[str, type[models.Model]]:
    return {model._meta.db_table: model for model in apps.get_models(include_auto_created=True)}


def _constraint(model: type[models.Model] | None, name: str) -> models.BaseConstraint | None:
    if model is None:
        return None
    return next((c for c in model._meta.constraints if c.name == name), None)


def _fields_of(
    model: type[models.Model] | None, constraint: models.BaseConstraint | None, diag: Any
) -> list[str]:
    if isinstance(constraint, models.UniqueConstraint) and constraint.fields:
        return list(constraint.fields)
    if model is None:
        return [diag.column_name] if diag.column_name else []
    if isinstance(constraint, ExclusionConstraint):
        return list(
            dict.fromkeys(name for part, _operator in constraint.expressions for name in _sources(part))
        )
    if isinstance(constraint, models.CheckConstraint):
        asked = dict.fromkeys(_names_in(constraint.condition))
        return [name for name in asked if any(f.name == name for f in model._meta.concrete_fields)]
    names = []
    for field in model._meta.concrete_fields:
        text = f"{diag.constraint_name or ''} "
        if diag.column_name in (field.column, field.name) or (field.unique and f"_{field.column}_" in text):
            names.append(field.name)
    return names


def _sources(expression: Any) -> list[str]:
    """The fields that an expression reads."""
    if isinstance(expression, str):
        return [expression]
    if isinstance(expression, models.F):
        return [str(expression.name)]  # type: ignore[attr-defined]
    return [name for part in expression.get_source_expressions() for name in _sources(part)]


def _names_in(condition: Any) -> list[str]:
    """The fields that a condition looks at, in its order."""
    names: list[str] = []
    for child in getattr(condition, "children", ()):
        names += [str(child[0]).partition("__")[0]] if isinstance(child, tuple) else _names_in(child)
    return names


def translate(exc: IntegrityError) -> BusinessError:
    """The business error for a database refusal: ``Conflict`` for uniqueness and use, else ``ValidationFailed``."""
    cause = exc.__cause__
    diag = getattr(cause, "diag", None)
    state = getattr(cause, "sqlstate", None) or ""
    if diag is None:
        return Conflict(str(exc))
    if diag.constraint_name in _words:
        return _words[diag.constraint_name](diag)
    model = _tables().get(diag.table_name or "")
    constraint = _constraint(model, diag.constraint_name or "")
    fields = _fields_of(model, constraint, diag)
    label = capfirst(str(model._meta.verbose_name)) if model is not None else _("record")
    own = str(constraint.violation_error_message) if constraint and _has_own_words(constraint) else ""

    if state in (UNIQUE, EXCLUSION):
        names = ", ".join(_verbose(model, name) for name in fields)
        message = own or _("%(label)s with this %(fields)s exists already.") % {
            "label": label,
            "fields": names or diag.constraint_name,
        }
        return Conflict(message, code="duplicate", fields={name: [message] for name in fields})
    if state == FOREIGN_KEY:
        if "still referenced" in (diag.message_detail or ""):
            user = _tables().get(_referencing(diag.message_detail or ""))
            by = str(user._meta.verbose_name_plural) if user is not None else _("other records")
            return Conflict(
                _("This record is still used by %(by)s and cannot be deleted. Archive it instead.")
                % {"by": by},
                code="in_use",
            )
        message = _("The linked record does not exist.")
        return ValidationFailed(message, fields={name: [message] for name in fields})
    if state == NOT_NULL:
        message = _("This field is required.")
        return ValidationFailed(fields={name: [message] for name in fields} or {"__all__": [str(exc)]})
    if state == RESTRICT:
        return Conflict(str(diag.message_primary), code="immutable")
    message = own or str(diag.message_primary)
    return ValidationFailed(message, code="constraint", fields={name: [message] for name in fields})


def _has_own_words(constraint: models.BaseConstraint) -> bool:
    return constraint.violation_error_message != constraint.default_violation_error_message


def _referencing(detail: str) -> str:
    """The table named in 'Key (id)=(1) is still referenced from table "x".'"""
    return detail.rpartition('from table "')[2].partition('"')[0]


def _verbose(model: type[models.Model] | None, name: str) -> str:
    if model is None:
        return name
    try:
        return str(getattr(model._meta.get_field(name), "verbose_name", name))
    except FieldDoesNotExist:
        return name
