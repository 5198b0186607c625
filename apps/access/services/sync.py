"""Bringing the roles in the database in line with what the running modules declare, after ``migrate``.

Declared roles, implications and grants are added, corrected and taken away; what administrators added to a
declared role stays. A role that nobody declares any more (its module is off) is marked ``missing``: it stops
counting, but keeps its users for the day the module comes back.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db import connections, transaction
from django.utils import translation

from apps.access.constants import PUBLIC_LOGIN, ROLE_ADMINISTRATOR, SYSTEM_LOGIN, Special, UserKind
from apps.access.models import RightsStamp, Role, RoleGrant, RoleImplication, User
from apps.core.modules import ModuleConfig, running

# Serialises two processes that migrate the same database; the number only has to be nobody else's.
SYNC_LOCK = 0x61636365


class RoleDeclarationError(Exception):
    """A module declares something about a role that cannot be; the message names module and role."""


@dataclass
class Wanted:
    """What all modules together declare."""

    roles: dict[str, dict[str, Any]] = field(default_factory=dict)
    implications: set[tuple[str, str]] = field(default_factory=set)
    grants: set[tuple[str, str, str]] = field(default_factory=set)


def declared_roles(modules: Iterable[ModuleConfig] | None = None) -> Wanted:
    """Roles, implications and grants of the running modules. Raises for unknown codes and two declarations."""
    wanted = Wanted()
    extra: list[tuple[str, str, str]] = []
    implied: list[tuple[str, str, str]] = []
    for config in running() if modules is None else modules:
        for role in config.roles:
            if role.code in wanted.roles:
                raise RoleDeclarationError(
                    f"Module '{config.key}' declares role '{role.code}' a second time."
                )
            wanted.roles[role.code] = {
                "name": str(role.title),
                "category": str(role.category or config.title),
                "comment": str(role.comment),
                "kind": role.kind,
                "module": config.key,
                "for_admins": role.for_admins,
                "sequence": role.sequence,
                "declared": True,
                "missing": False,
            }
            implied += [(config.key, role.code, code) for code in role.implies]
            if role.for_admins and role.code != ROLE_ADMINISTRATOR:
                implied.append((config.key, ROLE_ADMINISTRATOR, role.code))
            extra += _operations(role.code, role.grants)
        for code, grants in config.grants.items():
            extra += _operations(code, grants)
    for module, code, target in implied:
        for name in (code, target):
            if name not in wanted.roles:
                raise RoleDeclarationError(
                    f"Module '{module}' lets '{code}' imply '{target}', but no '{name}' is declared."
                )
        wanted.implications.add((code, target))
    for code, model, operation in extra:
        if code in wanted.roles:  # a grant to a role of a module that does not run is simply not made
            wanted.grants.add((code, model, operation))
    return wanted


def _operations(code: str, grants: Any) -> list[tuple[str, str, str]]:
    return [
        (code, model.lower(), operation) for model, listed in grants.items() for operation in listed.split()
    ]


def sync_roles(*, using: str = "default") -> dict[str, int]:
    """Make the rows what the modules declare; answers how many rows were written. Four reads when all is well."""
    with translation.override(settings.LANGUAGE_CODE):
        wanted = declared_roles()
    written = {"roles": 0, "implications": 0, "grants": 0, "users": 0}
    with transaction.atomic(using=using):
        with connections[using].cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [SYNC_LOCK])
        RightsStamp.objects.using(using).get_or_create(pk=1)
        known = {role.code: role for role in Role.objects.using(using).all()}
        written["roles"] = _sync_role_rows(wanted, known, using)
        pks = (
            dict(Role.objects.using(using).values_list("code", "pk"))
            if written["roles"]
            else {code: role.pk for code, role in known.items()}
        )
        written["implications"] = _sync_pairs(
            RoleImplication,
            {(pks[role], pks[target]) for role, target in wanted.implications},
            ("role_id", "implied_id"),
            using,
        )
        written["grants"] = _sync_pairs(
            RoleGrant,
            {(pks[role], model, operation) for role, model, operation in wanted.grants},
            ("role_id", "model", "operation"),
            using,
        )
        written["users"] = _sync_special_users(using)
    return written


def _sync_role_rows(wanted: Wanted, known: dict[str, Role], using: str) -> int:
    taken = {(role.category, role.name): role.code for role in known.values()}
    changed, fresh = [], []
    for code, values in wanted.roles.items():
        owner = taken.get((values["category"], values["name"]), code)
        if owner != code:  # an administrator's own role has that name
            values = {**values, "name": f"{values['name']} [{code}]"}
        role = known.get(code)
        if role is None:
            fresh.append(Role(code=code, **values))
        elif any(getattr(role, name) != value for name, value in values.items()):
            for name, value in values.items():
                setattr(role, name, value)
            changed.append(role)
    for code, role in known.items():
        if role.declared and not role.missing and code not in wanted.roles:
            role.missing = True
            changed.append(role)
    fields = [
        "name",
        "category",
        "comment",
        "kind",
        "module",
        "for_admins",
        "sequence",
        "declared",
        "missing",
    ]
    Role.objects.using(using).bulk_create(fresh)
    if changed:
        Role.objects.using(using).bulk_update(changed, fields)
    return len(fresh) + len(changed)


def _sync_pairs(model: type[Any], wanted: set[tuple[Any, ...]], names: tuple[str, ...], using: str) -> int:
    """Declared rows that are missing come, declared rows that nobody wants go; those of administrators stay."""
    held: dict[tuple[Any, ...], tuple[int, bool]] = {
        tuple(row[2:]): (row[0], row[1])
        for row in model.objects.using(using).values_list("pk", "declared", *names)
    }
    surplus = [pk for key, (pk, declared) in held.items() if declared and key not in wanted]
    lacking = [key for key in sorted(wanted) if key not in held]
    if surplus:
        model.objects.using(using).filter(pk__in=surplus).delete()
    model.objects.using(using).bulk_create(
        [model(declared=True, **dict(zip(names, key, strict=True))) for key in lacking]
    )
    return len(surplus) + len(lacking)


def _sync_special_users(using: str) -> int:
    """The accounts that the platform acts with: the system, and visitors. Neither can sign in."""
    specials = {
        Special.SYSTEM.value: {"login": SYSTEM_LOGIN, "name": "System", "kind": UserKind.INTERNAL},
        Special.PUBLIC.value: {"login": PUBLIC_LOGIN, "name": "Visitor", "kind": UserKind.PUBLIC},
    }
    held = set(User.objects.using(using).exclude(special="").values_list("special", flat=True))
    made = []
    for special, values in specials.items():
        if special not in held:
            user = User(special=special, active=False, **values)
            user.set_unusable_password()
            made.append(user)
    User.objects.using(using).bulk_create(made)
    return len(made)


def sync_after_migrate(*, using: str = "default", **_kwargs: Any) -> None:
    """Receiver of ``post_migrate``. Does nothing while the tables are not there (a partial migration)."""
    connection = connections[using]
    with connection.cursor() as cursor:
        tables = set(connection.introspection.table_names(cursor))
    needed = {model._meta.db_table for model in (Role, RoleGrant, RoleImplication, RightsStamp, User)}
    if needed <= tables:
        sync_roles(using=using)
