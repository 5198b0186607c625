"""Undoing matchings: residuals come back, and what the matchings made is reversed.

With a matching go its exchange difference and the taxes that became due with it: their own matchings are deleted, their entries
reversed on their own day (or the first open one) and matched with their reversals. Items left without any matching lose their
matching number; what is left of a connected set is numbered anew.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext as _

from apps.accounting.constants import EntryOrigin
from apps.accounting.models import FullMatch, Journal, JournalEntry, JournalItem, PartialMatch
from apps.accounting.selectors.locks import OpenDateRequest, open_dates
from apps.accounting.services.ledger import lock_chains, reverse_entries
from apps.accounting.services.match_rows import (
    Documents,
    Locked,
    as_pk,
    edges_of,
    lock_documents,
    lock_items,
    number_sets,
)
from apps.accounting.services.payment_state import refresh_after
from apps.core.actor import Actor
from apps.core.errors import Conflict
from apps.core.records import RecordService, service
from apps.core.rules import require_visible
from apps.core.unit_of_work import unit_of_work


@service(PartialMatch)
class PartialMatchService(RecordService[PartialMatch]):
    """Matchings are made by matching items and never changed; deleting one undoes it with all that it made."""

    def create(self, rows: Sequence[Mapping[str, Any]], *, actor: Actor) -> list[PartialMatch]:
        raise Conflict(_("Match the items: they make their matchings."), code="made_by_matching")

    def update(self, records: Any, values: Mapping[str, Any], **options: Any) -> list[PartialMatch]:
        raise Conflict(_("A matching is never changed: undo it and match anew."), code="made_by_matching")

    def delete(self, records: Iterable[PartialMatch], *, actor: Actor) -> int:
        chosen = list(records)
        actor.require(PartialMatch, "delete")
        require_visible(chosen, actor, "delete")
        unmatch_partials(chosen, actor=actor)
        return len(chosen)


@dataclass(slots=True)
class Unmatched:
    """What was undone: how many matchings, and the reversals of what they had made."""

    removed: int = 0
    reversals: list[JournalEntry] = field(default_factory=list)
    documents: Documents = field(default_factory=Documents)


def unmatch_items(
    items: Sequence[JournalItem | int],
    *,
    actor: Actor,
    held: Collection[int] = (),
    refresh: bool = True,
    journals: Collection[int] = (),
) -> Unmatched:
    """Undo every matching of ``items`` (instances or keys), side effects included.

    Residuals are exactly what they were. Items without matchings are passed over. ``held`` are documents the caller has locked;
    without ``refresh`` he brings states up to date himself. ``journals`` are those he books in afterwards: their chains are
    locked before those of the side effects, the order in which they were booked. Rights are the caller's to check.
    """
    pks = {as_pk(item) for item in items}
    return _undo(pks, None, actor, held, refresh=refresh, journals=journals)


def unmatch_partials(
    matches: Sequence[PartialMatch], *, actor: Actor, held: Collection[int] = (), refresh: bool = True
) -> Unmatched:
    """Undo these matchings only. That of an exchange difference stands for the one that made it."""
    pks = {pk for match in matches for pk in (match.debit_item_id, match.credit_item_id)}
    return _undo(pks, {match.pk for match in matches}, actor, held, refresh=refresh)


def _undo(
    item_pks: Collection[int],
    match_pks: Collection[int] | None,
    actor: Actor,
    held: Collection[int],
    *,
    refresh: bool,
    journals: Collection[int] = (),
) -> Unmatched:
    undone = Unmatched()
    if not item_pks:
        return undone
    with unit_of_work(actor):
        sides = {pk for _edge, debit, credit in edges_of(item_pks) for pk in (debit, credit)}
        if not sides:
            return undone
        undone.documents = lock_documents(sides, held=held)
        locked = lock_items(item_pks)
        chosen = _chosen(item_pks, match_pks, locked)
        if not chosen:
            return undone
        late = {pk for row in chosen.values() for pk in (row.debit_item_id, row.credit_item_id)} - sides
        if late:  # matched while we waited, or the matching behind an exchange difference
            undone.documents = undone.documents.with_(lock_documents(late, held=held))
        effects = _effects(chosen)
        gone = set(chosen)
        if effects:
            own = set(
                JournalItem.objects.filter(entry__in=effects, account__reconcile=True).values_list(
                    "pk", flat=True
                )
            )
            more = lock_items(own)
            locked = Locked(more.rows | locked.rows, list({*locked.edges, *more.edges}))
            gone |= {pk for pk, debit, credit in locked.edges if debit in own or credit in own}
        undone.removed = len(chosen)
        PartialMatch.objects.filter(pk__in=gone).delete()
        _renumber(locked, gone, actor)
        if effects and journals:
            lock_chains(journals)
        undone.reversals = _reverse(effects, actor)
        if refresh:
            refresh_after(undone.documents, actor=actor)
    return undone


def _chosen(
    item_pks: Collection[int], match_pks: Collection[int] | None, locked: Locked
) -> dict[int, PartialMatch]:
    """The matchings to undo. One with the entry of an exchange difference brings the matching that made the difference."""
    matches = {row.pk: row for row in PartialMatch.objects.filter(pk__in=[edge[0] for edge in locked.edges])}
    if match_pks is None:
        wanted = {
            pk: row
            for pk, row in matches.items()
            if row.debit_item_id in item_pks or row.credit_item_id in item_pks
        }
    else:
        wanted = {pk: matches[pk] for pk in match_pks if pk in matches}
    makers = {row.exchange_entry_id: row for row in matches.values() if row.exchange_entry_id}
    for row in list(wanted.values()):
        for side in (locked.rows[row.debit_item_id], locked.rows[row.credit_item_id]):
            if side.origin == EntryOrigin.CASH_BASIS:
                raise Conflict(
                    _("%(number)s follows from a payment; undo the matching of the payment instead.")
                    % {"number": side.entry_number},
                    code="side_effect",
                )
            if side.entry_pk in makers:
                maker = makers[side.entry_pk]
                wanted[maker.pk] = maker
    return wanted


def _effects(chosen: dict[int, PartialMatch]) -> list[int]:
    """The entries that matchings made."""
    return sorted(
        {
            pk
            for row in chosen.values()
            for pk in (row.exchange_entry_id, row.debit_tax_entry_id, row.credit_tax_entry_id)
            if pk is not None
        }
    )


def _renumber(locked: Locked, gone: Collection[int], actor: Actor) -> None:
    """Numbers of what is still connected; items read again, as the trigger has raised what is open on them."""
    left = {
        pk: (residual, currency)
        for pk, residual, currency in JournalItem.objects.filter(pk__in=locked.rows).values_list(
            "pk", "residual", "residual_currency"
        )
    }
    edges = [edge for edge in locked.edges if edge[0] not in gone]
    known = {pk: row.matching_number for pk, row in locked.rows.items()}
    number_sets(left, edges, known, actor=actor)
    old = {row.full_match_pk for row in locked.rows.values()} - {None}
    FullMatch.objects.filter(Q(pk__in=old), ~Q(items__isnull=False)).delete()


def _reverse(entry_pks: Sequence[int], actor: Actor) -> list[JournalEntry]:
    if not entry_pks:
        return []
    entries = list(JournalEntry.objects.filter(pk__in=entry_pks).order_by("pk"))
    journals = Journal.objects.in_bulk({entry.journal_id for entry in entries})
    days = open_dates(
        [
            OpenDateRequest(
                e.company_id, e.date, journals[e.journal_id].type, e.origin == EntryOrigin.CASH_BASIS
            )
            for e in entries
        ],
        actor=actor,
    )
    return reverse_entries(
        entries,
        actor=actor,
        dates={entry.pk: day for entry, day in zip(entries, days, strict=True)},
        match=True,
    )
