"""Bringing the rows that modules declare in line after ``migrate``: kinds of messages, built-in types of activity."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import connections, transaction
from django.utils import translation

from apps.chatter.constants import (
    CALL,
    DOCUMENT,
    EMAIL,
    EXCEPTION,
    MEETING,
    TODO,
    ActivityCategory,
    Decoration,
    DelayUnit,
)
from apps.chatter.models import ActivityType, Subtype
from apps.chatter.selectors.subtypes import forget_subtypes
from apps.core.declarations import SubtypeSpec
from apps.core.modules import running

# Serialises two processes that migrate the same database; the number only has to be nobody else's.
SYNC_LOCK = 0x63686174


class SubtypeDeclarationError(Exception):
    """A module declares a kind of message that cannot be; the message names it."""


# What every installation starts with; people may rename and extend these.
BUILT_IN_TYPES: tuple[dict[str, Any], ...] = (
    {"code": EMAIL, "name": "E-mail", "icon": "mail", "sequence": 10},
    {
        "code": CALL,
        "name": "Call",
        "icon": "call",
        "category": ActivityCategory.PHONE,
        "delay_count": 2,
        "sequence": 20,
    },
    {
        "code": MEETING,
        "name": "Meeting",
        "icon": "groups",
        "category": ActivityCategory.MEETING,
        "sequence": 30,
    },
    {
        "code": TODO,
        "name": "To-do",
        "icon": "task_alt",
        "delay_count": 5,
        "delay_unit": DelayUnit.DAYS,
        "sequence": 40,
    },
    {
        "code": DOCUMENT,
        "name": "Document",
        "icon": "upload_file",
        "category": ActivityCategory.UPLOAD,
        "delay_count": 5,
        "sequence": 50,
    },
    {
        "code": EXCEPTION,
        "name": "Exception",
        "icon": "warning",
        "decoration": Decoration.WARNING,
        "hidden": True,
        "sequence": 99,
    },
)


def declared_subtypes() -> dict[str, SubtypeSpec]:
    """Kinds of messages of all running modules, by code."""
    found: dict[str, SubtypeSpec] = {}
    for config in running():
        for spec in config.subtypes:
            if spec.code in found:
                raise SubtypeDeclarationError(f"Two modules declare the kind of message '{spec.code}'.")
            found[spec.code] = spec
    for spec in found.values():
        if spec.parent and spec.parent not in found:
            raise SubtypeDeclarationError(
                f"'{spec.code}' follows from '{spec.parent}', which nobody declares."
            )
    return found


def sync_subtypes() -> None:
    """Insert, correct and mark as missing; kinds keep their rows for the day their module comes back."""
    specs = declared_subtypes()
    with translation.override(settings.LANGUAGE_CODE):
        rows = [
            Subtype(
                code=spec.code,
                name=str(spec.title),
                model=spec.model.lower(),
                relation=spec.relation,
                internal=spec.internal,
                default=spec.default,
                hidden=spec.hidden,
                sequence=spec.sequence,
                missing=False,
            )
            for spec in specs.values()
        ]
    fields = ["name", "model", "relation", "internal", "default", "hidden", "sequence", "missing"]
    Subtype.objects.bulk_create(rows, update_conflicts=True, unique_fields=["code"], update_fields=fields)
    Subtype.objects.exclude(code__in=specs).update(missing=True)
    by_code = {row.code: row for row in Subtype.objects.all()}
    changed = []
    for code, spec in specs.items():
        parent_pk = by_code[spec.parent].pk if spec.parent else None
        if by_code[code].parent_id != parent_pk:
            by_code[code].parent_id = parent_pk
            changed.append(by_code[code])
    Subtype.objects.bulk_update(changed, ["parent"])
    forget_subtypes()


def sync_activity_types() -> None:
    """Insert what is missing; what people changed about a built-in type stays as it is."""
    known = set(ActivityType.objects.exclude(code="").values_list("code", flat=True))
    ActivityType.objects.bulk_create(
        [ActivityType(**values) for values in BUILT_IN_TYPES if values["code"] not in known]
    )


def sync_after_migrate(using: str = "default", **_kwargs: Any) -> None:
    """After ``migrate``: only once the tables stand (a migration to an earlier state has none)."""
    forget_subtypes()
    connection = connections[using]
    tables = set(connection.introspection.table_names())
    if not {Subtype._meta.db_table, ActivityType._meta.db_table} <= tables:
        return
    with transaction.atomic(using=using):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [SYNC_LOCK])
        sync_subtypes()
        sync_activity_types()
