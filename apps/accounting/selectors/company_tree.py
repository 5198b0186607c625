"""Companies and those above and below them, as SQL that questions begin with: one walk for locks, fiscal years and families."""

from __future__ import annotations

from collections.abc import Collection

from django.db import connection

# Companies (``%s``: their keys) with those above them: ``origin``, the member, how far it is.
UP = """
WITH RECURSIVE up(origin, id, parent_id, currency_id, depth) AS (
    SELECT c.id, c.id, c.parent_id, c.currency_id, 0 FROM access_company c WHERE c.id = ANY(%s::bigint[])
    UNION ALL
    SELECT up.origin, c.id, c.parent_id, c.currency_id, up.depth + 1 FROM access_company c JOIN up ON c.id = up.parent_id
)
"""
# Companies (``%s``: their keys) with all below them, each once.
DOWN = """
WITH RECURSIVE down(id) AS (
    SELECT unnest(%s::bigint[]) UNION SELECT c.id FROM access_company c JOIN down ON c.parent_id = down.id
)
"""


def companies_below(company_pks: Collection[int]) -> list[int]:
    """The companies and all their branches, by key. One query."""
    with connection.cursor() as cursor:
        cursor.execute(f"{DOWN} SELECT id FROM down ORDER BY id", [list(company_pks)])  # noqa: S608 - a constant
        return [pk for (pk,) in cursor.fetchall()]
