"""Entries made by hand: drafts with their items, written as one. Posting and reversing are in ``entry_posting``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import connection, models
from django.utils.translation import gettext as _

from apps.accounting.constants import EntryOrigin, EntryState, JournalType
from apps.accounting.models import Journal, JournalEntry, JournalItem
from apps.accounting.selectors.locks import today_of
from apps.accounting.selectors.setup import default_journal, settings_of_many
from apps.accounting.services.entry_items import complete_items, items_of, parse_items, write_items
from apps.accounting.services.entry_parts import ZERO, EntryItem, Problems
from apps.accounting.services.match_rows import lock_documents
from apps.contacts.models import Partner
from apps.core.actor import Actor
from apps.core.errors import Conflict, ValidationFailed
from apps.core.links import pk_of
from apps.core.records import RecordService, Values, service
from apps.core.unit_of_work import unit_of_work

# What may still be written on a posted entry: nothing that the books or their proof rest on.
OPEN_AFTER_POSTING = frozenset({"narration", "checked", "auto_reverse_on", "custom"})
_FOLLOW = """
UPDATE accounting_journalitem AS i SET journal_id = e.journal_id, date = e.date
FROM accounting_journalentry e
WHERE e.id = i.entry_id AND e.id = ANY(%s) AND (i.journal_id, i.date) IS DISTINCT FROM (e.journal_id, e.date)
"""


@service(JournalItem)
class JournalItemService(RecordService[JournalItem]):
    """Items have no life of their own: they are written with their entry."""

    def lock(self, pks: Sequence[Any], actor: Actor, operation: str) -> list[JournalItem]:
        if operation == "reconcile":
            lock_documents(pks)  # whoever matches locks payments and documents before items
        return super().lock(pks, actor, operation)

    def create(self, rows: Sequence[Mapping[str, Any]], *, actor: Actor) -> list[JournalItem]:
        raise _only_with_entry()

    def update(self, records: Any, values: Mapping[str, Any], **options: Any) -> list[JournalItem]:
        raise _only_with_entry()

    def delete(self, records: Any, *, actor: Actor) -> int:
        raise _only_with_entry()


def _only_with_entry() -> Conflict:
    return Conflict(_("Items are written with their entry: send its “items”."), code="part_of_document")


@service(JournalEntry)
class JournalEntryService(RecordService[JournalEntry]):
    """Draft entries. ``items`` is a list of dicts (``entry_items.FIELDS``); given on change it replaces the stored one, where
    rows with ``id`` keep it and what they leave out. Debit and credit must be equal whenever items are written.
    ``compute_taxes``: whether the tax items of items with taxes are made (``EntryTaxes.complete``)."""

    # A reversal and a write-off of one entry would wait for each other: the write-off's own entry names it.
    may_be_linked = True

    def create(self, rows: Sequence[Mapping[str, Any]], *, actor: Actor) -> list[JournalEntry]:
        problems = Problems(len(rows) > 1)
        plain, lists, taxes = [], [], []
        for place, row in enumerate(rows):
            values = dict(row)
            lists.append(parse_items(values.pop("items", None) or [], place, problems))
            taxes.append(values.pop("compute_taxes", None))
            plain.append(values)
        for items in lists:
            for item in items:
                item.pk = None
        problems.raise_any()
        with unit_of_work(actor):
            entries = super().create(plain, actor=actor)
            drafts = list(zip(entries, lists, strict=True))
            complete_items(drafts, actor, many=problems.many, compute_taxes=taxes)
            write_items(drafts)
        return entries

    def update(
        self,
        records: Iterable[JournalEntry] | models.QuerySet[JournalEntry],
        values: Mapping[str, Any],
        *,
        actor: Actor,
        expected_version: int | None = None,
        operation: str = "change",
    ) -> list[JournalEntry]:
        plain = dict(values)
        given = plain.pop("items", None)
        taxes = plain.pop("compute_taxes", None)
        chosen = list(records)
        if given is not None and len(chosen) != 1:
            raise ValidationFailed(fields={"items": [_("Items are written for one entry at a time.")]})
        with unit_of_work(actor):
            entries = super().update(
                chosen, plain, actor=actor, expected_version=expected_version, operation=operation
            )
            if given is not None:
                self._replace_items(entries[0], given, taxes, actor)
            elif {"journal", "date"} & set(plain):
                with connection.cursor() as cursor:
                    cursor.execute(_FOLLOW, [[entry.pk for entry in entries]])
        return entries

    def _replace_items(self, entry: JournalEntry, given: Any, taxes: bool | None, actor: Actor) -> None:
        if entry.state != EntryState.DRAFT:
            raise _final(entry)
        problems = Problems(many=False)
        held = {item.pk: item for item in items_of([entry.pk])[entry.pk] if item.pk is not None}
        items = parse_items(given, 0, problems, held)
        named: set[int] = set()
        for n, item in enumerate(items):
            if item.pk is not None and (item.pk not in held or item.pk in named):
                problems.add(
                    0, f"items.{n}.id", _("The entry has no item with this id, or it is named twice.")
                )
            elif item.pk is not None:
                named.add(item.pk)
        problems.raise_any()
        complete_items([(entry, items)], actor, many=False, compute_taxes=[taxes])
        JournalItem.objects.filter(pk__in=list(held))._raw_delete(using="default")
        write_items([(entry, items)])

    # ------------------------------------------------------------------------------------------------------ seams
    def prepare_create(self, rows: list[Values], actor: Actor) -> None:
        companies = {pk_of(row.get("company")) for row in rows} - {None}
        settings = settings_of_many(companies) if companies else {}
        journals = Journal.objects.in_bulk({pk_of(row["journal"]) for row in rows if row.get("journal")})
        for row in rows:
            own = settings.get(pk_of(row.get("company")))
            if own is None:
                continue  # refused as a required field
            row.setdefault("date", today_of(actor))
            if row.get("journal") is None:
                row["journal"] = default_journal(own, JournalType.GENERAL)
                journals[row["journal"].pk] = row["journal"]
            if row.get("currency") is None:
                journal = journals.get(pk_of(row["journal"]))
                row["currency"] = (journal.currency_id if journal else None) or own.company.currency_id
        self._to_entities(rows)

    def prepare_update(self, records: Sequence[JournalEntry], values: Values, actor: Actor) -> None:
        closed = [record for record in records if record.state != EntryState.DRAFT]
        if closed and set(values) - OPEN_AFTER_POSTING:
            raise _final(closed[0])
        if "company" in values and any(record.company_id != pk_of(values["company"]) for record in records):
            raise ValidationFailed(fields={"company": [_("An entry stays in its company.")]})
        self._to_entities([values])

    @staticmethod
    def _to_entities(rows: Sequence[Values]) -> None:
        """Entries name commercial entities, never the people who work there."""
        wanted = {pk_of(row["partner"]) for row in rows if row.get("partner") is not None}
        if not wanted:
            return
        entities = dict(Partner.objects.filter(pk__in=wanted).values_list("pk", "commercial_entity_id"))
        for row in rows:
            if row.get("partner") is not None:
                row["partner"] = entities.get(pk_of(row["partner"]), row["partner"])

    def validate(self, records: Sequence[JournalEntry], actor: Actor) -> None:
        journals = Journal.objects.in_bulk({record.journal_id for record in records})
        for record in records:
            if record.state == EntryState.DRAFT and not journals[record.journal_id].active:
                raise ValidationFailed(
                    fields={
                        "journal": [
                            _("Journal %(name)s is archived.") % {"name": journals[record.journal_id]}
                        ]
                    }
                )
            if record.auto_reverse_on is not None and record.auto_reverse_on <= record.date:
                raise ValidationFailed(
                    fields={"auto_reverse_on": [_("An entry is reversed after its own date.")]}
                )

    def before_delete(self, records: Sequence[JournalEntry], actor: Actor) -> None:
        for record in records:
            if record.state == EntryState.POSTED:
                raise _final(record)


def _final(entry: JournalEntry) -> Conflict:
    if entry.state == EntryState.CANCELLED:
        return Conflict(
            _("%(entry)s is cancelled: set it back to draft first.") % {"entry": entry}, code="not_draft"
        )
    return Conflict(
        _("%(entry)s is posted: it cannot be changed or deleted, reverse it instead.") % {"entry": entry},
        code="posted",
    )


def duplicate_entries(
    entries: Sequence[JournalEntry],
    *,
    actor: Actor,
    values: Mapping[str, Any] | None = None,
    opposite: bool = False,
    origin: str = EntryOrigin.MANUAL.value,
    reversal: bool = False,
) -> list[JournalEntry]:
    """New drafts with the items of entries, the sides exchanged with ``opposite``. Dated today unless ``values`` say
    otherwise; four statements more than reading, whatever the number."""
    stored = items_of(entry.pk for entry in entries)
    today = today_of(actor)
    made = [
        JournalEntry(
            company_id=entry.company_id,
            journal_id=entry.journal_id,
            currency_id=entry.currency_id,
            partner_id=entry.partner_id,
            origin=origin,
            reversal_of_id=entry.pk if reversal else None,
            created_by_id=actor.user_pk,
            updated_by_id=actor.user_pk,
            **{"date": today, "reference": entry.reference, "narration": entry.narration, **(values or {})},
        )
        for entry in entries
    ]
    with unit_of_work(actor) as work:
        JournalEntry.objects.bulk_create(made)
        drafts = []
        for entry, copy in zip(entries, made, strict=True):
            items = [_copied(item, opposite=opposite) for item in stored[entry.pk]]
            drafts.append((copy, items))
        write_items(drafts)
        work.created(made)
    return made


def _copied(item: EntryItem, *, opposite: bool) -> EntryItem:
    item.pk = None
    if opposite:
        item.balance = -(item.balance or ZERO)
        item.amount_currency = -(item.amount_currency or ZERO)
        item.tax_base_amount = -item.tax_base_amount
        item.quantity = -item.quantity if item.quantity is not None else None
    return item
