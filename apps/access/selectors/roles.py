"""Reads about roles: closures, explicit against effective, and what a combination lacks."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import connection

from apps.access.constants import ROLE_ADMINISTRATOR, Special, UserKind
from apps.access.models import Role, User

_DOWN = """
WITH RECURSIVE held(id) AS (
    SELECT unnest(%(roles)s::bigint[])
    UNION
    SELECT step.implied_id FROM held JOIN access_roleimplication step ON step.role_id = held.id
) SELECT id FROM held
"""
_UP = """
WITH RECURSIVE above(id) AS (
    SELECT unnest(%(roles)s::bigint[])
    UNION
    SELECT step.role_id FROM above JOIN access_roleimplication step ON step.implied_id = above.id
) SELECT id FROM above
"""


def _walk(sql: str, role_pks: Iterable[int]) -> set[int]:
    with connection.cursor() as cursor:
        cursor.execute(sql, {"roles": list(role_pks)})
        return {row[0] for row in cursor.fetchall()}


def implied_role_pks(role_pks: Iterable[int]) -> set[int]:
    """The roles and everything they imply, directly or not."""
    return _walk(_DOWN, role_pks)


def implying_role_pks(role_pks: Iterable[int]) -> set[int]:
    """The roles and everything that implies them, directly or not."""
    return _walk(_UP, role_pks)


def powerful_role_pks() -> set[int]:
    """Roles that make an administrator: Settings itself, any that grants everything, and all that imply one."""
    roots = set(Role.objects.filter(code=ROLE_ADMINISTRATOR).values_list("pk", flat=True))
    roots |= set(Role.objects.filter(grants__model="*", grants__operation="*").values_list("pk", flat=True))
    return implying_role_pks(roots)


def administrators() -> list[User]:
    """Active users who hold the Settings role, directly or by implication."""
    roots = Role.objects.filter(code=ROLE_ADMINISTRATOR).values_list("pk", flat=True)
    pks = implying_role_pks(roots)
    return list(
        User.objects.filter(
            pk__in=User.objects.filter(user_roles__role__in=pks).values("pk"),
            active=True,
            kind=UserKind.INTERNAL,
            special=Special.NONE,
        ).order_by("pk")
    )


def effective_roles(user: User) -> list[tuple[Role, bool]]:
    """All roles of a user with whether each was given explicitly; for the form's matrix. Two queries."""
    explicit = set(user.user_roles.values_list("role_id", flat=True))
    pks = implied_role_pks(explicit)
    return [(role, role.pk in explicit) for role in Role.objects.filter(pk__in=pks)]
