"""Matching numbers that came with imported entries: ``I`` and a text. Items of one account that carry the same one are matched as soon
as the last of them is posted and there is a debit and a credit among them; from then on they carry a number of ours."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import QuerySet

from apps.accounting.constants import EntryState
from apps.accounting.models import JournalEntry, JournalItem
from apps.accounting.services.entry_items import IMPORTED
from apps.accounting.services.matching import reconcile_groups
from apps.core.actor import Actor

Key = tuple[int, str]


def imported_keys(entries: Sequence[JournalEntry]) -> set[Key]:
    """The accounts and imported numbers of the items of entries. One statement."""
    rows = JournalItem.objects.filter(
        entry__in=entries, matching_number__startswith=IMPORTED, account__reconcile=True
    )
    return set(rows.values_list("account_id", "matching_number").distinct())


def lock_imported(keys: set[Key]) -> None:
    """Lock the posted items that wait for these numbers: items are locked before the chains of journals."""
    if keys:
        list(_waiting(keys).order_by("pk").select_for_update(of=("self",), no_key=True).values_list("pk"))


def match_imported(keys: set[Key], *, actor: Actor) -> None:
    """Match what is complete: nothing with the number is a draft any more, and both sides are there."""
    if not keys:
        return
    drafts = JournalItem.objects.filter(
        posted=False, account__in={a for a, _text in keys}, matching_number__in={text for _a, text in keys}
    ).exclude(entry__state=EntryState.CANCELLED)
    keys = keys - set(drafts.values_list("account_id", "matching_number"))
    groups: dict[Key, list[JournalItem]] = {}
    for item in _waiting(keys).order_by("pk"):
        if (item.account_id, item.matching_number) in keys:
            groups.setdefault((item.account_id, item.matching_number), []).append(item)
    complete = [
        items
        for items in groups.values()
        if any((item.residual or item.residual_currency) > 0 for item in items)
        and any((item.residual or item.residual_currency) < 0 for item in items)
    ]
    if complete:
        reconcile_groups(complete, actor=actor)


def _waiting(keys: set[Key]) -> QuerySet[JournalItem]:
    accounts, numbers = {account for account, _text in keys}, {text for _account, text in keys}
    return JournalItem.objects.open().filter(account__in=accounts, matching_number__in=numbers)
