"""Keeping a family of partners in step: commercial fields, addresses and companies flow down. Set-based SQL.

* Commercial fields go from the commercial entity to everybody below it who is no company.
* The address of a parent goes to its contacts of type *contact*, and on to theirs; other types keep their own.
* The company of a partner goes to everything below it and to its bank accounts.

A row is written only when something differs, so nothing loops and versions grow only where something changed. The
statements are put together from column names of the model; values are parameters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import connection, models

from apps.contacts.constants import ADDRESS_FIELDS, COMMERCIAL_FIELDS
from apps.contacts.hooks import filter_commercial_fields
from apps.contacts.models import Partner
from apps.core.actor import Actor

_GUARDS = (
    "contacts_partner_company",
    "contacts_partner_parent_company",
    "contacts_bankaccount_partner_company",
    "contacts_bankaccount_company",
)


def attribute(name: str) -> str:
    """Where a partner keeps the stored value of a field: ``country`` → ``country_id``."""
    field = Partner._meta.get_field(name)
    assert isinstance(field, models.Field)
    return field.attname


def _columns(names: Iterable[str]) -> list[str]:
    return [attribute(name) for name in names]


def commercial_fields() -> tuple[str, ...]:
    """Names of the fields that belong to the commercial entity, those that other modules add included."""
    return tuple(filter_commercial_fields.run(COMMERCIAL_FIELDS))


def _copy_sql(columns: Sequence[str], source: str, condition: str) -> str:
    sets = ", ".join(f'"{name}" = s."{name}"' for name in columns)
    mine = ", ".join(f'm."{name}"' for name in columns)
    theirs = ", ".join(f's."{name}"' for name in columns)
    return (
        f"UPDATE contacts_partner m SET {sets}, version = m.version + 1, updated_at = now(), updated_by_id = %(user)s "  # noqa: S608
        f"FROM {source} WHERE {condition} AND ({mine}) IS DISTINCT FROM ({theirs})"
    )


def _run(sql: str, parameters: Mapping[str, Any]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return int(cursor.rowcount)


def spread_commercial_fields(entity_pks: Iterable[int], *, actor: Actor) -> int:
    """Give the people and addresses of the entities their commercial fields; answers how many rows changed."""
    sql = _copy_sql(
        _columns(commercial_fields()),
        "contacts_partner s",
        "s.id = ANY(%(pks)s) AND m.commercial_entity_id = s.id AND m.id <> s.id AND NOT m.is_company",
    )
    return _run(sql, {"pks": list(entity_pks), "user": actor.user_pk})


def spread_addresses(parent_pks: Iterable[int], *, actor: Actor) -> int:
    """Give contacts of type *contact* the address of the parents that have one; answers how many rows changed."""
    has_address = " OR ".join(
        f"p.{name} <> ''" if not name.endswith("_id") else f"p.{name} IS NOT NULL"
        for name in _columns(ADDRESS_FIELDS)
    )
    sql = (  # noqa: S608
        "WITH RECURSIVE tree(id, source) AS ("  # noqa: S608
        f" SELECT c.id, p.id FROM contacts_partner c JOIN contacts_partner p ON p.id = c.parent_id"
        f" WHERE p.id = ANY(%(pks)s) AND c.type = 'contact' AND ({has_address})"
        " UNION SELECT c.id, tree.source FROM contacts_partner c JOIN tree ON c.parent_id = tree.id"
        " WHERE c.type = 'contact') "
    ) + _copy_sql(
        _columns(ADDRESS_FIELDS), "tree JOIN contacts_partner s ON s.id = tree.source", "m.id = tree.id"
    )
    return _run(sql, {"pks": list(parent_pks), "user": actor.user_pk})


def spread_companies(partner_pks: Iterable[int], *, actor: Actor) -> int:
    """Move everything below the partners, and their bank accounts, to the partners' companies. The caller has
    deferred the guards (``defer_company_guards``)."""
    tree = (
        "WITH RECURSIVE tree(id, company_id) AS ("
        " SELECT id, company_id FROM contacts_partner WHERE id = ANY(%(pks)s)"
        " UNION SELECT c.id, tree.company_id FROM contacts_partner c JOIN tree ON c.parent_id = tree.id) "
    )
    changed = _run(
        tree + _copy_sql(["company_id"], "tree s", "m.id = s.id"),
        {"pks": list(partner_pks), "user": actor.user_pk},
    )
    _run(
        tree  # noqa: S608
        + "UPDATE contacts_bankaccount b SET company_id = tree.company_id, version = b.version + 1 FROM tree "
        "WHERE b.partner_id = tree.id AND b.company_id IS DISTINCT FROM tree.company_id",
        {"pks": list(partner_pks)},
    )
    return changed


def defer_company_guards() -> None:
    """Let a family move to another company in several statements; ``check_company_guards`` looks at the result."""
    _run(f"SET CONSTRAINTS {', '.join(_GUARDS)} DEFERRED", {})


def check_company_guards() -> None:
    """Check now what ``defer_company_guards`` put off; raises ``IntegrityError`` for a link into another company."""
    _run(f"SET CONSTRAINTS {', '.join(_GUARDS)} IMMEDIATE", {})
