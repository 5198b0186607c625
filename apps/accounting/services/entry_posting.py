"""Posting drafts made by hand, taking posted entries back, copying and cancelling.

Posting works on sets: the number of statements is the same for one draft and for a thousand. Items are made final first; the
chains of the journals are the last locks (``ledger``).
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

from django.db import connection
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.accounting.constants import EntryOrigin, EntryState
from apps.accounting.events import EntryPosted
from apps.accounting.models import Account, Journal, JournalEntry, JournalItem
from apps.accounting.selectors.locks import (
    LockBook,
    OpenDateRequest,
    entry_is_taxed,
    explain_lock,
    read_locks,
    resets_of,
    today_of,
)
from apps.accounting.selectors.setup_memory import setup_memory
from apps.accounting.services.entries import duplicate_entries
from apps.accounting.services.entry_items import items_of
from apps.accounting.services.entry_parts import EntryItem
from apps.accounting.services.imported_matches import imported_keys, lock_imported, match_imported
from apps.accounting.services.ledger import (
    EntrySpec,
    ItemSpec,
    Place,
    lock_numbering,
    place_of,
    reverse_entries,
    save_numbering,
    seal,
)
from apps.core.actions import action
from apps.core.actor import Actor
from apps.core.errors import Conflict, ValidationFailed
from apps.core.jobs.handle import RunHandle
from apps.core.models import Currency
from apps.core.unit_of_work import emit, unit_of_work

# Entries that only their own documents take back.
BELONGS_TO = {
    EntryOrigin.INVOICE: gettext_lazy("its invoice: reset it or make a credit note"),
    EntryOrigin.PAYMENT: gettext_lazy("its payment: cancel it there"),
    EntryOrigin.STATEMENT: gettext_lazy("its bank line: undo the reconciliation there"),
    EntryOrigin.EXCHANGE: gettext_lazy("a matching: undo the matching"),
    EntryOrigin.CASH_BASIS: gettext_lazy("a matching: undo the matching"),
}
_FINISH_ITEMS = """
UPDATE accounting_journalitem AS i
SET posted = true, date = n.date, position = n.position,
    residual = CASE WHEN a.reconcile THEN i.debit - i.credit ELSE 0 END,
    residual_currency = CASE WHEN a.reconcile THEN i.amount_currency ELSE 0 END
FROM unnest(%s::bigint[], %s::date[], %s::integer[]) AS n(id, date, position), accounting_account a
WHERE i.id = n.id AND a.id = i.account_id
"""
_FINISH_ENTRIES = """
UPDATE accounting_journalentry AS e
SET state = 'posted', date = n.date, series_id = n.series, series_number = n.series_number, number = n.number,
    revision = n.revision, chain_index = n.place, digest = n.digest, hash = n.hash, posted_at = %s, posted_by_id = %s,
    checked = e.checked OR j.checked_on_post
FROM unnest(%s::bigint[], %s::date[], %s::bigint[], %s::bigint[], %s::text[], %s::integer[], %s::bigint[], %s::text[],
            %s::text[]) AS n(id, date, series, series_number, number, revision, place, digest, hash),
     accounting_journal j
WHERE e.id = n.id AND j.id = e.journal_id
"""


# ---------------------------------------------------------------------------------------------------------- posting
@action(
    JournalEntry,
    permission="post",
    name="post",
    title=gettext_lazy("Post"),
    source={EntryState.DRAFT},
    event=EntryPosted,
    icon="check_circle",
)
def post_drafts(
    entries: Sequence[JournalEntry],
    *,
    actor: Actor,
    wanted_number: str = "",
    keep_date: bool = False,
) -> dict[str, Any]:
    """Give drafts their numbers and make them final. A draft dated in a locked period moves to the first open date, unless
    ``keep_date`` refuses that. ``wanted_number`` is the number of the first entry of a series, which the next ones continue.
    Answers which entries were moved, from when to when, and why."""
    if wanted_number and len(entries) != 1:
        raise ValidationFailed(
            fields={"wanted_number": [_("A number is typed for one entry, the first of its series.")]}
        )
    items = items_of(entry.pk for entry in entries)
    journals = Journal.objects.in_bulk({entry.journal_id for entry in entries})
    _check_drafts(entries, items, journals)
    moved = _move_dates(entries, journals, actor, keep_date=keep_date)
    rows = [(item, entry.date, n) for entry in entries for n, item in enumerate(items[entry.pk])]
    imported = imported_keys(entries) if any(item.matching_number for item, _day, _n in rows) else set()
    lock_imported(imported)
    with connection.cursor() as cursor:
        cursor.execute(
            _FINISH_ITEMS,
            [[i.pk for i, _day, _n in rows], [day for _i, day, _n in rows], [n for _i, _day, n in rows]],
        )
    specs = [_spec(entry, items[entry.pk], journals[entry.journal_id], wanted_number) for entry in entries]
    memory = setup_memory()
    used = {item.currency_pk for item, _day, _n in rows}
    currencies = {pk: currency.code for pk, currency in memory.by_key(Currency, used).items()}
    numbering = lock_numbering(journals.values(), specs, memory)
    places = [place_of(spec, numbering) for spec in specs]
    for spec, place in zip(specs, places, strict=True):
        seal(spec, place, numbering.chains[spec.journal.pk], currencies)
    save_numbering(numbering)
    _finish(entries, places, journals, actor)
    match_imported(imported, actor=actor)
    return {"moved": moved}


def _check_drafts(
    entries: Sequence[JournalEntry],
    items: dict[int, list[EntryItem]],
    journals: dict[int, Journal],
) -> None:
    wanted = {item.account_pk for rows in items.values() for item in rows}
    deprecated = dict(Account.objects.filter(pk__in=wanted, deprecated=True).values_list("pk", "code"))
    for entry in entries:
        rows = items[entry.pk]
        journal = journals[entry.journal_id]
        problem = ""
        if not rows:
            problem = _("%(entry)s has no items.") % {"entry": entry}
        elif not journal.active:
            problem = _("%(entry)s: journal %(name)s is archived.") % {"entry": entry, "name": journal}
        elif sum(item.balance or 0 for item in rows):
            problem = _("%(entry)s does not balance: debit and credit differ by %(amount)s.") % {
                "entry": entry,
                "amount": sum(item.balance or 0 for item in rows),
            }
        else:
            codes = sorted({deprecated[i.account_pk] for i in rows if i.account_pk in deprecated})
            if codes and entry.origin != EntryOrigin.REVERSAL:
                problem = _("%(entry)s uses deprecated accounts: %(codes)s.") % {
                    "entry": entry,
                    "codes": ", ".join(codes),
                }
        if problem:
            raise ValidationFailed(problem, code="not_postable", fields={"items": [problem]})


def _move_dates(
    entries: Sequence[JournalEntry], journals: dict[int, Journal], actor: Actor, *, keep_date: bool
) -> list[dict[str, Any]]:
    book = read_locks({entry.company_id for entry in entries}, actor=actor)
    if not book.dates or not any(day for dates in book.dates.values() for day in dates.values()):
        return []
    taxed = entry_is_taxed([entry.pk for entry in entries])
    resets = resets_of(journals.values())
    moved = []
    for entry in entries:
        journal = journals[entry.journal_id]
        closed = book.closing(entry.company_id, entry.date, journal.type, taxed=entry.pk in taxed)
        if closed is None:
            continue
        told = explain_lock(
            entry.company_id,
            entry.date,
            journal.type,
            actor=actor,
            taxed=entry.pk in taxed,
            series_reset=resets[journal.pk],
        )
        assert told is not None
        if keep_date:
            raise Conflict(
                _("%(entry)s is dated %(date)s. %(why)s")
                % {"entry": entry, "date": entry.date.isoformat(), "why": told.text},
                code="locked",
                fields={"date": [told.text]},
            )
        moved.append(
            {
                "id": entry.pk,
                "from": entry.date.isoformat(),
                "to": told.reopens.isoformat(),
                "lock": told.kind,
                "why": told.text,
            }
        )
        entry.date = told.reopens
    return moved


def _spec(entry: JournalEntry, items: Sequence[EntryItem], journal: Journal, wanted_number: str) -> EntrySpec:
    """The draft as the ledger numbers and seals it."""
    return EntrySpec(
        journal=journal,
        date=entry.date,
        company_pk=entry.company_id,
        currency_pk=entry.currency_id,
        wanted_number=wanted_number,
        items=[
            ItemSpec(
                account_pk=item.account_pk,
                balance=item.balance or 0,  # type: ignore[arg-type]
                currency_pk=item.currency_pk or 0,
                amount_currency=item.amount_currency or 0,  # type: ignore[arg-type]
                partner_pk=item.partner_pk,
                name=item.name,
            )
            for item in items
        ],
    )


def _finish(
    entries: Sequence[JournalEntry], places: Sequence[Place], journals: dict[int, Journal], actor: Actor
) -> None:
    now = timezone.now()
    with connection.cursor() as cursor:
        cursor.execute(
            _FINISH_ENTRIES,
            [
                now,
                actor.user_pk,
                [entry.pk for entry in entries],
                [entry.date for entry in entries],
                [place.series.pk for place in places],
                [place.series_number for place in places],
                [place.number for place in places],
                [place.revision for place in places],
                [place.chain_index for place in places],
                [place.digest for place in places],
                [place.hash for place in places],
            ],
        )
    for entry, place in zip(entries, places, strict=True):
        entry.state = EntryState.POSTED
        entry.series_id = place.series.pk
        entry.series_number = place.series_number
        entry.number, entry.revision = place.number, place.revision
        entry.chain_index, entry.digest, entry.hash = place.chain_index, place.digest, place.hash
        entry.posted_at, entry.posted_by_id = now, actor.user_pk
        entry.checked = entry.checked or journals[entry.journal_id].checked_on_post


# --------------------------------------------------------------------------------------------------------- reversing
@action(
    JournalEntry,
    permission="reverse",
    name="reverse",
    title=gettext_lazy("Reverse"),
    source={EntryState.POSTED},
    icon="undo",
)
def reverse_posted(
    entries: Sequence[JournalEntry],
    *,
    actor: Actor,
    date: datetime.date | None = None,
    reason: str = "",
    post: bool = True,
) -> dict[str, Any]:
    """Book the exact opposite, dated today unless ``date`` is given (moved if that is locked), and settle what both leave open.
    With ``post`` off the reversals are drafts. Entries of invoices, payments, bank lines and matchings are taken back there."""
    _check_reversible(entries)
    day = date or today_of(actor)
    reason = reason.strip()
    references = {
        entry.pk: (_("Reversal of %(number)s, %(reason)s") if reason else _("Reversal of %(number)s"))
        % {"number": entry.number, "reason": reason}
        for entry in entries
    }
    if not post:
        drafts = duplicate_entries(
            entries,
            actor=actor,
            values={"date": day},
            opposite=True,
            origin=EntryOrigin.REVERSAL.value,
            reversal=True,
        )
        for draft in drafts:
            draft.reference = references[draft.reversal_of_id or 0][:200]
        JournalEntry.objects.bulk_update(drafts, ["reference"])
        return {"entries": [draft.pk for draft in drafts]}
    made = _book_reversals(entries, dict.fromkeys((entry.pk for entry in entries), day), references, actor)
    return {"entries": [entry.pk for entry in made]}


def _check_reversible(entries: Sequence[JournalEntry]) -> None:
    for entry in entries:
        owner = BELONGS_TO.get(EntryOrigin(entry.origin))
        if owner is not None:
            raise Conflict(
                _("%(entry)s belongs to %(owner)s.") % {"entry": entry, "owner": owner}, code="has_document"
            )
    reversed_by = dict(
        JournalEntry.objects.filter(reversal_of__in=[entry.pk for entry in entries])
        .exclude(state=EntryState.CANCELLED)
        .values_list("reversal_of_id", "pk")
    )
    for entry in entries:
        if entry.pk in reversed_by:
            raise Conflict(
                _("%(entry)s is reversed already, by entry %(pk)s.")
                % {"entry": entry, "pk": reversed_by[entry.pk]},
                code="reversed",
            )


def _book_reversals(
    entries: Sequence[JournalEntry],
    days: dict[int, datetime.date],
    references: dict[int, str],
    actor: Actor,
) -> list[JournalEntry]:
    """Post the opposites on their days, or the first open ones; those that nothing was matched with settle each other."""
    pks = [entry.pk for entry in entries]
    journals = Journal.objects.in_bulk({entry.journal_id for entry in entries})
    book = read_locks({entry.company_id for entry in entries}, actor=actor)
    dates = _open_dates(entries, days, journals, book)
    matched = set(
        JournalItem.objects.filter(entry__in=pks, account__reconcile=True)
        .exclude(residual=F("balance"), residual_currency=F("amount_currency"))
        .values_list("entry_id", flat=True)
    )
    made: dict[int, JournalEntry] = {}
    for settle in (False, True):
        chosen = [entry for entry in entries if (entry.pk not in matched) is settle]
        for entry, mirror in zip(
            chosen,
            reverse_entries(chosen, actor=actor, dates=dates, references=references, match=settle),
            strict=True,
        ):
            made[entry.pk] = mirror
    emit(
        EntryPosted(pks=tuple(entry.pk for entry in made.values()), company_pk=actor.company_pk), actor=actor
    )
    return [made[pk] for pk in pks]


def _open_dates(
    entries: Sequence[JournalEntry],
    days: dict[int, datetime.date],
    journals: dict[int, Journal],
    book: LockBook,
) -> dict[int, datetime.date]:
    taxed = entry_is_taxed([entry.pk for entry in entries])
    resets = resets_of(journals.values())
    return {
        entry.pk: book.open_date(
            OpenDateRequest(
                entry.company_id,
                days[entry.pk],
                journals[entry.journal_id].type,
                entry.pk in taxed,
                reset=resets[entry.journal_id],
            )
        )
        for entry in entries
    }


def reverse_due_entries(run: RunHandle) -> None:
    """Scheduled: post the reversals of entries whose day to be reversed has come. One batch a call."""
    batch = 200
    today = today_of(run.actor)
    due = (
        JournalEntry.objects.posted()
        .filter(auto_reverse_on__lte=today, reversals__isnull=True)
        .order_by("auto_reverse_on", "pk")
    )
    pks = list(due.values_list("pk", flat=True)[:batch])
    entries = list(
        JournalEntry.objects.filter(pk__in=pks)
        .order_by("pk")
        .select_for_update(of=("self",), skip_locked=True)
    )
    if entries:
        with unit_of_work(run.actor):
            days = {entry.pk: entry.auto_reverse_on or today for entry in entries}
            references = {
                entry.pk: _("Reversal of %(number)s") % {"number": entry.number} for entry in entries
            }
            _book_reversals(entries, days, references, run.actor)
    run.report(len(entries), due.count() if len(pks) == batch else 0)


# ------------------------------------------------------------------------------------------------- drafts and copies
@action(
    JournalEntry,
    permission="change",
    name="cancel",
    title=gettext_lazy("Cancel"),
    source={EntryState.DRAFT},
    target=EntryState.CANCELLED,
    icon="cancel",
)
def cancel_drafts(entries: Sequence[JournalEntry], *, actor: Actor) -> None:
    """Set drafts aside without deleting them."""


@action(
    JournalEntry,
    permission="change",
    name="redraft",
    title=gettext_lazy("Back to draft"),
    source={EntryState.CANCELLED},
    target=EntryState.DRAFT,
    icon="edit",
)
def redraft_entries(entries: Sequence[JournalEntry], *, actor: Actor) -> None:
    """Take cancelled drafts up again."""


@action(
    JournalEntry,
    permission="add",
    name="duplicate",
    title=gettext_lazy("Duplicate"),
    icon="content_copy",
)
def duplicate(
    entries: Sequence[JournalEntry], *, actor: Actor, date: datetime.date | None = None
) -> dict[str, Any]:
    """New drafts with the same items, dated today unless ``date`` is given. Deprecated accounts must be replaced in them."""
    copies = duplicate_entries(entries, actor=actor, values={"date": date} if date else None)
    return {"entries": [copy.pk for copy in copies]}
