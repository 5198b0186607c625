"""The one door into the ledger: entries with their items, numbers and place in the chain, many at once.

The number of statements is the same for one entry and for ten thousand. The order is that of the locks: items are copied
in first, under keys drawn beforehand; then the chain rows of the journals are locked, in key order, as the last locks of
the transaction; numbers, digests and hashes are computed and the entries copied in. A roll-back leaves no hole, and
journals never wait for one another. What an entry must be is checked by PostgreSQL at commit (``0002_ledger``).
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from django.db import connection
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounting.compute.numbering import (
    Format,
    NumberDateMismatch,
    check_date,
    detect,
    first_format,
    read,
    series_key,
)
from apps.accounting.compute.payload import chain, digest_v1, payload_v1
from apps.accounting.constants import EntryOrigin, EntryState, ItemKind, SeriesKind
from apps.accounting.models import (
    Account,
    FullMatch,
    Journal,
    JournalChain,
    JournalEntry,
    JournalItem,
    NumberSeries,
    PartialMatch,
)
from apps.accounting.selectors.setup_memory import SetupMemory, setup_memory
from apps.core.actor import Actor
from apps.core.copying import copy_rows, draw_keys
from apps.core.errors import Conflict, ValidationFailed
from apps.core.models import Currency
from apps.core.rows import read_rows

ZERO = Decimal(0)
NAME_LENGTH = 500
DOCUMENT_KEYS = "accounting_document_key"
ITEM_COLUMNS = (
    "id",
    "entry_id",
    "company_id",
    "journal_id",
    "date",
    "posted",
    "position",
    "kind",
    "account_id",
    "partner_id",
    "name",
    "debit",
    "credit",
    "currency_id",
    "amount_currency",
    "quantity",
    "date_maturity",
    "discount_date",
    "discount_amount_currency",
    "tax_id",
    "tax_repartition_id",
    "tax_base_amount",
    "tax_pks",
    "tag_pks",
    "residual",
    "residual_currency",
    "matching_number",
)
ENTRY_COLUMNS = tuple(str(f.column) for f in JournalEntry._meta.concrete_fields)


@dataclass(slots=True)
class ItemSpec:
    """One item to be booked. ``balance`` is signed and in company currency, ``amount_currency`` signed alike and in
    ``currency_pk``; both are rounded already. ``pk`` is set by ``post_entries``."""

    account_pk: int
    balance: Decimal
    currency_pk: int
    amount_currency: Decimal
    partner_pk: int | None = None
    name: str = ""
    kind: str = ItemKind.PRODUCT.value
    date_maturity: datetime.date | None = None
    discount_date: datetime.date | None = None
    discount_amount_currency: Decimal | None = None
    quantity: Decimal | None = None
    tax_pk: int | None = None
    repartition_pk: int | None = None
    tax_base_amount: Decimal = ZERO
    tax_pks: Sequence[int] = ()
    tag_pks: Sequence[int] = ()
    pk: int | None = None


@dataclass(slots=True)
class EntrySpec:
    """One entry to be posted. With ``series``, ``series_number`` it is a further revision of a number that exists.

    ``wanted_number`` is what a person typed for the first number of a series; ``entry_pk`` a draft that becomes posted.
    """

    journal: Journal
    date: datetime.date
    items: list[ItemSpec]
    company_pk: int
    currency_pk: int
    origin: str = EntryOrigin.MANUAL.value
    kind: str = SeriesKind.ENTRY.value
    reference: str = ""
    narration: str = ""
    partner_pk: int | None = None
    invoice_pk: int | None = None
    payment_pk: int | None = None
    reversal_of_pk: int | None = None
    caused_by_pk: int | None = None
    checked: bool | None = None
    auto_reverse_on: datetime.date | None = None
    series: NumberSeries | None = None
    series_number: int | None = None
    wanted_number: str = ""


@dataclass(slots=True)
class Place:
    """Where an entry stands: its number in a series, and its link in the chain of its journal."""

    series: NumberSeries
    series_number: int
    revision: int
    number: str
    chain_index: int = 0
    digest: str = ""
    hash: str = ""


@dataclass(slots=True)
class Numbering:
    """The locked ends of journals, from which places are given until the transaction ends."""

    chains: dict[int, JournalChain]
    series: dict[tuple[int, str, str], NumberSeries]
    formats: dict[tuple[int, str], Format]
    fiscal_year_end: dict[int, tuple[int, int]]
    revisions: dict[tuple[int, int], int] = field(default_factory=dict)
    fresh: list[NumberSeries] = field(default_factory=list)
    touched: dict[int, NumberSeries] = field(default_factory=dict)


def post_entries(
    specs: Sequence[EntrySpec], *, actor: Actor, memory: SetupMemory | None = None
) -> list[JournalEntry]:
    """Book entries, posted at once. Answers them in the order of ``specs``; the items' keys are on their specs.

    Preconditions: inside a unit of work; every other lock that the caller needs is taken; ``memory`` is the set-up as this
    transaction sees it (asked for when not given). Effects: items, entries, numbers,
    hashes, period balances. Errors: ``ValidationFailed`` for an entry that does not balance, a deprecated account or a
    number that does not fit; whatever PostgreSQL refuses at commit. A dozen statements, whatever the number.
    """
    if not specs:
        return []
    memory = memory or setup_memory()
    accounts = memory.by_key(Account, {item.account_pk for spec in specs for item in spec.items})
    for spec in specs:
        _check(spec, accounts)
    pks = draw_keys(DOCUMENT_KEYS, len(specs))
    _copy_items(specs, pks, accounts)
    numbering = lock_numbering({spec.journal.pk: spec.journal for spec in specs}.values(), specs, memory)
    used = {item.currency_pk for spec in specs for item in spec.items}
    currencies = {pk: currency.code for pk, currency in memory.by_key(Currency, used).items()}
    places = [place_of(spec, numbering) for spec in specs]
    for spec, place in zip(specs, places, strict=True):
        seal(spec, place, numbering.chains[spec.journal.pk], currencies)
    save_numbering(numbering)
    return _copy_entries(specs, places, pks, actor)


def reverse_entries(
    entries: Sequence[JournalEntry],
    *,
    actor: Actor,
    dates: Mapping[int, datetime.date] | datetime.date,
    origin: str = EntryOrigin.REVERSAL.value,
    same_number: bool = False,
    references: Mapping[int, str] | None = None,
    match: bool = True,
) -> list[JournalEntry]:
    """Post the exact opposite of posted entries: same accounts, taxes and boxes, sides exchanged.

    ``same_number`` makes each a further revision of the number it takes back (a document that is reset) instead of a
    number of its own. With ``match`` what is open on both sides settles each other.
    """
    if not entries:
        return []
    originals: dict[int, list[JournalItem]] = {entry.pk: [] for entry in entries}
    if match:  # before the chains, which are the last locks of a transaction
        _lock_open_items(originals)
    for item in JournalItem.objects.filter(entry__in=originals).order_by("entry_id", "position", "pk"):
        originals[item.entry_id].append(item)
    journals = Journal.objects.in_bulk({entry.journal_id for entry in entries})
    series = NumberSeries.objects.in_bulk({e.series_id for e in entries}) if same_number else {}  # type: ignore[arg-type]
    specs = [
        EntrySpec(
            journal=journals[entry.journal_id],
            date=dates if isinstance(dates, datetime.date) else dates[entry.pk],
            items=[_opposite(item) for item in originals[entry.pk]],
            company_pk=entry.company_id,
            currency_pk=entry.currency_id,
            origin=origin,
            reference=(references or {}).get(entry.pk) or _("Reversal of %(number)s") % {"number": entry},
            partner_pk=entry.partner_id,
            invoice_pk=entry.invoice_id if same_number else None,
            payment_pk=entry.payment_id if same_number else None,
            reversal_of_pk=entry.pk,
            caused_by_pk=entry.caused_by_id,
            series=series[entry.series_id] if same_number else None,  # type: ignore[index]
            series_number=entry.series_number if same_number else None,
        )
        for entry in entries
    ]
    made = post_entries(specs, actor=actor)
    if match:
        _match_mirrors(
            [
                (item, mirror)
                for entry, spec in zip(entries, specs, strict=True)
                for item, mirror in zip(originals[entry.pk], spec.items, strict=True)
            ],
            specs,
            actor,
        )
    return made


# ------------------------------------------------------------------------------------------------------- preparing
def _check(spec: EntrySpec, accounts: Mapping[int, Account]) -> None:
    if not spec.items:
        raise ValidationFailed(fields={"items": [_("An entry needs items.")]})
    balance = ZERO
    for item in spec.items:
        balance += item.balance
        account = accounts.get(item.account_pk)
        if account is None:
            raise ValidationFailed(fields={"account": [_("An item names an account that does not exist.")]})
        if account.deprecated and spec.origin != EntryOrigin.REVERSAL:
            raise ValidationFailed(
                fields={
                    "account": [_("Account %(code)s is deprecated; choose another.") % {"code": account.code}]
                }
            )
        if len(item.name) > NAME_LENGTH:
            item.name = item.name[: NAME_LENGTH - 1] + "…"
    if balance:
        raise ValidationFailed(
            _("The entry does not balance: debit and credit differ by %(amount)s.") % {"amount": balance},
            code="unbalanced",
            fields={"items": [_("Debit and credit differ by %(amount)s.") % {"amount": balance}]},
        )


def _copy_items(specs: Sequence[EntrySpec], pks: Sequence[int], accounts: Mapping[int, Account]) -> None:
    count = sum(len(spec.items) for spec in specs)
    keys = iter(draw_keys("accounting_journalitem_id_seq", count))
    rows = []
    for spec, entry_pk in zip(specs, pks, strict=True):
        company, journal, date = spec.company_pk, spec.journal.pk, spec.date
        for position, item in enumerate(spec.items):
            item.pk = next(keys)
            balance = item.balance
            open_ = accounts[item.account_pk].reconcile
            rows.append(
                (
                    item.pk,
                    entry_pk,
                    company,
                    journal,
                    date,
                    True,
                    position,
                    item.kind,
                    item.account_pk,
                    item.partner_pk,
                    item.name,
                    balance if balance > 0 else ZERO,
                    -balance if balance < 0 else ZERO,
                    item.currency_pk,
                    item.amount_currency,
                    item.quantity,
                    item.date_maturity,
                    item.discount_date,
                    item.discount_amount_currency,
                    item.tax_pk,
                    item.repartition_pk,
                    item.tax_base_amount,
                    item.tax_pks,
                    item.tag_pks,
                    balance if open_ else ZERO,
                    item.amount_currency if open_ else ZERO,
                    "",
                )
            )
    copy_rows("accounting_journalitem", ITEM_COLUMNS, rows)


# ------------------------------------------------------------------------------------------------ numbers and chain
def lock_numbering(journals: Iterable[Journal], specs: Sequence[EntrySpec], memory: SetupMemory) -> Numbering:
    """Lock the chains of the journals, in key order, and read their series. Nothing else is locked after this."""
    pks = sorted({journal.pk for journal in journals})
    chains = _locked_chains(pks)
    if len(chains) < len(pks):
        JournalChain.objects.bulk_create(
            [JournalChain(journal_id=pk) for pk in pks if pk not in chains], ignore_conflicts=True
        )
        chains = _locked_chains(pks)
    numbering = Numbering(chains=chains, series={}, formats={}, fiscal_year_end={})
    for series in read_rows(NumberSeries, "t.journal_id = ANY (%s) ORDER BY t.id", [pks]):
        numbering.series[series.journal_id, series.prefix, series.suffix] = series
    for pk, row in memory.settings({spec.company_pk for spec in specs}).items():
        numbering.fiscal_year_end[pk] = (row.fiscal_year_last_month, row.fiscal_year_last_day)
    again = [(s.series.pk, s.series_number) for s in specs if s.series is not None and s.series_number]
    if again:
        rows = (
            JournalEntry.objects.filter(
                series__in={series for series, _number in again},
                series_number__in={number for _series, number in again},
            )
            .order_by("revision")
            .values_list("series_id", "series_number", "revision")
        )
        numbering.revisions = {(series, number): revision for series, number, revision in rows}  # type: ignore[misc]
    return numbering


def lock_chains(journal_pks: Iterable[int]) -> None:
    """Lock the ends of journals ahead of postings that come later in the transaction.

    Who books a document first and then what follows from it (exchange differences, taxes due) takes the chain of the document's
    journal first. Who takes both back does it the other way round, and so asks for that chain here before it begins.
    """
    _locked_chains(sorted(set(journal_pks)))


def _locked_chains(pks: Sequence[int]) -> dict[int, JournalChain]:
    rows = read_rows(JournalChain, "t.journal_id = ANY (%s) ORDER BY t.journal_id FOR UPDATE", [list(pks)])
    return {row.journal_id: row for row in rows}


def place_of(spec: EntrySpec, numbering: Numbering) -> Place:
    """The next number for an entry, or the next revision of the number that it repeats."""
    if spec.series is not None and spec.series_number is not None:
        key = (spec.series.pk, spec.series_number)
        revision = numbering.revisions.get(key, -1) + 1
        numbering.revisions[key] = revision
        return Place(spec.series, spec.series_number, revision, _number_text(spec.series, spec.series_number))
    end = numbering.fiscal_year_end.get(spec.company_pk, (12, 31))
    if spec.wanted_number:
        series = _wanted_series(spec, numbering, end)
    else:
        form = _format(spec, numbering, end)
        series = _series(spec, series_key(form, spec.date), form, numbering)
    number = series.next_number
    series.next_number += 1
    if series.pk:
        numbering.touched[series.pk] = series
    return Place(series, number, 0, _number_text(series, number))


def _number_text(series: NumberSeries, number: int) -> str:
    return f"{series.prefix}{number:0{series.padding}d}{series.suffix}"


def _format(spec: EntrySpec, numbering: Numbering, end: tuple[int, int]) -> Format:
    """How the journal's numbers look: like those of its latest series of the kind, else the usual form."""
    key = (spec.journal.pk, spec.kind)
    if key not in numbering.formats:
        known = [
            series
            for (journal, _prefix, _suffix), series in numbering.series.items()
            if journal == spec.journal.pk and series.kind == spec.kind and series.pk
        ]
        if known:
            latest = max(known, key=lambda series: series.pk)
            form = detect(_number_text(latest, latest.first_number), fiscal_year_end=end)
        else:
            form = first_format(
                spec.journal.code,
                spec.journal.type,
                is_refund=spec.kind == SeriesKind.REFUND,
                is_payment=spec.kind == SeriesKind.PAYMENT,
                fiscal_year_end=end,
            )
        numbering.formats[key] = form
    return numbering.formats[key]


def _series(
    spec: EntrySpec, prefix: str, form: Format, numbering: Numbering, *, first: int = 1
) -> NumberSeries:
    key = (spec.journal.pk, prefix, form.suffix)
    if key not in numbering.series:
        made = NumberSeries(
            journal=spec.journal,
            kind=spec.kind,
            prefix=prefix,
            suffix=form.suffix,
            padding=form.padding,
            first_number=first,
            next_number=first,
        )
        numbering.series[key] = made
        numbering.fresh.append(made)
    return numbering.series[key]


def _wanted_series(spec: EntrySpec, numbering: Numbering, end: tuple[int, int]) -> NumberSeries:
    wanted = read(spec.wanted_number, day=spec.date, fiscal_year_end=end)
    try:
        check_date(wanted.format, spec.wanted_number, spec.date)
    except NumberDateMismatch as exc:
        raise ValidationFailed(str(exc), code=exc.code, fields={"wanted_number": [str(exc)]}) from exc
    prefix = series_key(wanted.format, spec.date)
    series = _series(spec, prefix, wanted.format, numbering, first=wanted.counter)
    if series.next_number != wanted.counter:
        text = _("The next number of this series is %(number)s; leave the field empty to take it.") % {
            "number": _number_text(series, series.next_number)
        }
        raise ValidationFailed(text, code="number_taken", fields={"wanted_number": [text]})
    return series


def seal(spec: EntrySpec, place: Place, link: JournalChain, currencies: Mapping[int, str]) -> None:
    """Continue the journal's chain with an entry: digest of its canonical text, hash over the one before."""
    items = [
        (
            item.account_pk,
            item.amount_currency,
            -item.balance if item.balance < 0 else ZERO,
            currencies[item.currency_pk],
            item.balance if item.balance > 0 else ZERO,
            item.name,
            item.partner_pk,
        )
        for item in spec.items
    ]
    payload = payload_v1(
        (spec.company_pk, spec.date, items, spec.journal.pk, place.number, place.revision)  # type: ignore[arg-type]
    )
    place.digest = digest_v1(payload)
    place.hash = chain(link.last_hash, place.digest)
    link.length += 1
    link.last_hash = place.hash
    place.chain_index = link.length


def save_numbering(numbering: Numbering) -> None:
    """Write new series, the next numbers and the ends of the chains: three statements at most."""
    if numbering.fresh:
        NumberSeries.objects.bulk_create(numbering.fresh)
    with connection.cursor() as cursor:
        if numbering.touched:
            cursor.execute(
                "UPDATE accounting_numberseries AS s SET next_number = n.value "
                "FROM unnest(%s::bigint[], %s::bigint[]) AS n(id, value) WHERE s.id = n.id",
                [list(numbering.touched), [series.next_number for series in numbering.touched.values()]],
            )
        cursor.execute(
            "UPDATE accounting_journalchain AS c SET length = n.length, last_hash = n.hash "
            "FROM unnest(%s::bigint[], %s::bigint[], %s::text[]) AS n(id, length, hash) WHERE c.journal_id = n.id",
            [
                list(numbering.chains),
                [link.length for link in numbering.chains.values()],
                [link.last_hash for link in numbering.chains.values()],
            ],
        )


def _copy_entries(
    specs: Sequence[EntrySpec], places: Sequence[Place], pks: Sequence[int], actor: Actor
) -> list[JournalEntry]:
    now = timezone.now()
    made = []
    for spec, place, pk in zip(specs, places, pks, strict=True):
        made.append(
            JournalEntry(
                id=pk,
                company_id=spec.company_pk,
                journal_id=spec.journal.pk,
                date=spec.date,
                state=EntryState.POSTED,
                origin=spec.origin,
                reference=spec.reference[:200],
                narration=spec.narration,
                partner_id=spec.partner_pk,
                currency_id=spec.currency_pk,
                series_id=place.series.pk,
                number=place.number,
                series_number=place.series_number,
                revision=place.revision,
                chain_index=place.chain_index,
                digest=place.digest,
                hash=place.hash,
                posted_at=now,
                posted_by_id=actor.user_pk,
                checked=spec.journal.checked_on_post if spec.checked is None else spec.checked,
                invoice_id=spec.invoice_pk,
                payment_id=spec.payment_pk,
                reversal_of_id=spec.reversal_of_pk,
                caused_by_id=spec.caused_by_pk,
                auto_reverse_on=spec.auto_reverse_on,
                created_at=now,
                updated_at=now,
                created_by_id=actor.user_pk,
                updated_by_id=actor.user_pk,
            )
        )
    attributes = [f.attname for f in JournalEntry._meta.concrete_fields]
    copy_rows(
        "accounting_journalentry",
        ENTRY_COLUMNS,
        [[getattr(entry, name) for name in attributes] for entry in made],
    )
    for entry in made:
        entry._state.adding = False
        entry._state.db = "default"
    return made


# ------------------------------------------------------------------------------------------------------- reversing
def _opposite(item: JournalItem) -> ItemSpec:
    return ItemSpec(
        account_pk=item.account_id,
        balance=item.credit - item.debit,
        currency_pk=item.currency_id,
        amount_currency=-item.amount_currency,
        partner_pk=item.partner_id,
        name=item.name,
        kind=item.kind,
        date_maturity=item.date_maturity,
        quantity=-item.quantity if item.quantity is not None else None,
        tax_pk=item.tax_id,
        repartition_pk=item.tax_repartition_id,
        tax_base_amount=-item.tax_base_amount,
        tax_pks=item.tax_pks,
        tag_pks=item.tag_pks,
    )


def _lock_open_items(entry_pks: Iterable[int]) -> None:
    rows = JournalItem.objects.filter(entry__in=list(entry_pks), posted=True)
    rows = rows.exclude(residual=0, residual_currency=0).order_by("pk")
    list(rows.select_for_update(of=("self",), no_key=True).values_list("pk", flat=True))


def _match_mirrors(
    pairs: Sequence[tuple[JournalItem, ItemSpec]],
    specs: Sequence[EntrySpec],
    actor: Actor,
) -> None:
    """Settle items with their exact opposites, where nothing else was matched with them."""
    dates = {item.pk: spec.date for spec in specs for item in spec.items}
    open_pks = sorted(item.pk for item, _mirror in pairs if item.residual or item.residual_currency)
    locked = {
        row.pk: row
        for row in JournalItem.objects.filter(pk__in=open_pks)
        .order_by("pk")
        .select_for_update(of=("self",), no_key=True)
    }
    if any(
        (row.residual, row.residual_currency) != (row.balance, row.amount_currency) for row in locked.values()
    ):
        raise Conflict(_("An item is matched already; undo the matching first."), code="matched")
    chosen = [(item, mirror) for item, mirror in pairs if item.pk in locked]
    if not chosen:
        return
    groups = FullMatch.objects.bulk_create(
        [FullMatch(created_by_id=actor.user_pk, updated_by_id=actor.user_pk) for _pair in chosen]
    )
    PartialMatch.objects.bulk_create(
        [
            PartialMatch(
                company_id=item.company_id,
                debit_item_id=item.pk if _is_debit(item) else mirror.pk,  # type: ignore[misc]
                credit_item_id=mirror.pk if _is_debit(item) else item.pk,  # type: ignore[misc]
                amount=abs(item.debit - item.credit),
                debit_amount_currency=abs(item.amount_currency),
                credit_amount_currency=abs(item.amount_currency),
                date=max(item.date, dates[mirror.pk]),
                created_by_id=actor.user_pk,
            )
            for item, mirror in chosen
        ]
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE accounting_journalitem AS i SET full_match_id = n.match, matching_number = n.match::text "
            "FROM unnest(%s::bigint[], %s::bigint[]) AS n(item, match) WHERE i.id = n.item",
            [
                [pk for item, mirror in chosen for pk in (item.pk, mirror.pk)],
                [group.pk for group in groups for _side in (1, 2)],
            ],
        )


def _is_debit(item: JournalItem) -> bool:
    return item.debit > 0 or (item.credit == 0 and item.amount_currency > 0)
