"""Journal entries as printed: for the file, in the language of who prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from apps.accounting.constants import EntryState
from apps.accounting.models import JournalEntry, JournalItem
from apps.accounting.reports.layout import Letterhead, Writer, language_of, letterhead_of
from apps.core.actor import Actor
from apps.core.errors import NotVisible

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class ItemRow:
    account: str
    partner: str
    text: str
    debit: str
    credit: str
    foreign: str = ""
    due: str = ""


@dataclass
class EntrySheet:
    pk: int
    number: str
    draft: bool
    letterhead: Letterhead
    journal: str
    day: str
    reference: str
    partner: str
    origin: str
    narration: str
    digest: str
    debit: str = ""
    credit: str = ""
    currency: str = ""
    has_foreign: bool = False
    rows: list[ItemRow] = field(default_factory=list)


def entry_document(pks: Sequence[int], *, actor: Actor) -> dict[str, Any]:
    """Context of the printed entries, in the order of their dates. A constant number of queries for one company."""
    entries = list(
        JournalEntry._base_manager.filter(pk__in=pks)
        .select_related("company__currency", "company__country", "journal", "partner", "currency")
        .order_by("date", "pk")
    )
    if not entries:
        raise NotVisible()
    items: dict[int, list[JournalItem]] = {entry.pk: [] for entry in entries}
    rows = JournalItem._base_manager.filter(entry__in=items).select_related("account", "partner", "currency")
    for item in rows.order_by("position", "pk"):
        items[item.entry_id].append(item)
    language = language_of(actor.language)
    letterheads: dict[int, Letterhead] = {}
    sheets = []
    for entry in entries:
        if entry.company_id not in letterheads:
            letterheads[entry.company_id] = letterhead_of(entry.company)
        sheets.append(_sheet(entry, items[entry.pk], letterheads[entry.company_id], language))
    return {"sheets": sheets, "language": language}


def _sheet(
    entry: JournalEntry, items: Sequence[JournalItem], letterhead: Letterhead, language: str
) -> EntrySheet:
    own = entry.company.currency
    writer = Writer(language, own)
    return EntrySheet(
        pk=entry.pk,
        number=entry.number,
        draft=entry.state == EntryState.DRAFT,
        letterhead=letterhead,
        journal=f"{entry.journal.code} {entry.journal.name}",
        day=writer.day(entry.date),
        reference=entry.reference,
        partner=entry.partner.complete_name if entry.partner is not None else "",
        origin=str(entry.get_origin_display()),
        narration=entry.narration,
        digest=entry.hash,
        debit=writer.figure(sum((item.debit for item in items), ZERO)),
        credit=writer.figure(sum((item.credit for item in items), ZERO)),
        currency=own.code,
        has_foreign=any(item.currency_id != own.pk for item in items),
        rows=[_row(item, writer) for item in items],
    )


def _row(item: JournalItem, writer: Writer) -> ItemRow:
    foreign = item.currency_id != writer.currency.pk
    return ItemRow(
        account=str(item.account),
        partner=item.partner.complete_name if item.partner is not None else "",
        text=item.name,
        debit=writer.figure(item.debit) if item.debit else "",
        credit=writer.figure(item.credit) if item.credit else "",
        foreign=writer.money(item.amount_currency, item.currency) if foreign else "",
        due=writer.day(item.date_maturity),
    )
