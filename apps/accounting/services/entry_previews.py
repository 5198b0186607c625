"""What an entry that is being typed will hold besides: the tax items that follow from its items. Nothing is stored."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from apps.accounting.models import JournalEntry
from apps.accounting.selectors.locks import today_of
from apps.accounting.selectors.setup import settings_of
from apps.accounting.services.entry_items import complete_items, parse_items
from apps.accounting.services.entry_parts import EntryItem, Problems
from apps.core.actor import Actor
from apps.core.errors import PermissionDenied


def tax_items(
    rows: Sequence[Mapping[str, Any]],
    *,
    actor: Actor,
    company_pk: int,
    date: datetime.date | None = None,
) -> list[EntryItem]:
    """The tax items that saving these items would add. A constant number of statements for any number of items.

    Needs the right to make or to change entries. Errors: ``ValidationFailed`` by ``items.<n>.<field>``; ``MissingRate``.
    """
    if not (actor.can(JournalEntry, "add") or actor.can(JournalEntry, "change")):
        raise PermissionDenied(rule="accounting.journalentry:change")
    if company_pk not in actor.company_pks:
        raise PermissionDenied(rule="company")
    problems = Problems(many=False)
    items = parse_items(rows, 0, problems)
    problems.raise_any()
    given = len(items)
    entry = JournalEntry(
        company_id=company_pk,
        date=date or today_of(actor),
        currency_id=settings_of(company_pk).company.currency_id,
    )
    complete_items([(entry, items)], actor, many=False, balanced=False)
    return items[given:]
