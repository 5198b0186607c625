"""Journal items as matching works on them: locked with everything they are connected to, and written back in sets.

Locks are taken in one order by everybody who matches: lines of bank statements, payments, documents, items, the source items of taxes due on payment,
and last the chains of the journals that side effects are booked in; within each kind by key.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import connection
from django.utils import timezone

from apps.accounting.compute.matching import OpenItem, full_groups
from apps.accounting.constants import PARTNER_TYPES
from apps.accounting.models import Account, FullMatch, JournalEntry
from apps.accounting.selectors.setup_memory import SetupMemory, setup_memory
from apps.accounting.services.ledger import ItemSpec
from apps.core.actor import Actor
from apps.core.copying import copy_rows, draw_keys
from apps.core.models import Currency

ZERO = Decimal(0)
NO_RATES: Mapping[int, Decimal] = {}


@dataclass(slots=True)
class Row:
    """A locked item. ``left`` and ``left_currency`` are what is open, signed, and follow what is decided here."""

    pk: int
    entry_pk: int
    company_pk: int
    date: datetime.date
    posted: bool
    kind: str
    account_pk: int
    account_type: str
    matched_account: bool
    partner_pk: int | None
    name: str
    balance: Decimal
    currency_pk: int
    amount_currency: Decimal
    date_maturity: datetime.date | None
    discount_date: datetime.date | None
    discount_amount_currency: Decimal | None
    left: Decimal
    left_currency: Decimal
    full_match_pk: int | None
    matching_number: str
    step: Decimal
    company_currency_pk: int
    company_step: Decimal
    entry_number: str
    origin: str
    invoice_pk: int | None
    payment_pk: int | None

    @property
    def is_open(self) -> bool:
        return bool(self.left or self.left_currency)

    @property
    def of_partner(self) -> bool:
        """Whether it is on a receivable or payable account."""
        return self.account_type in PARTNER_TYPES

    def as_open(self, rates: Mapping[int, Decimal] = NO_RATES) -> OpenItem:
        return OpenItem(
            self.pk, self.left, self.currency_pk, self.left_currency, self.date, self.date_maturity, rates
        )


Side = Row | ItemSpec  # an item that stands in the ledger, or one that is about to


@dataclass(slots=True)
class Draft:
    """A partial matching to be written. The entries are those of its side effects, once they are posted."""

    debit: Side
    credit: Side
    company_pk: int
    amount: Decimal
    debit_currency: Decimal
    credit_currency: Decimal
    date: datetime.date
    exchange: int | None = None  # places in the list of entries that are posted with it
    debit_tax: int | None = None
    credit_tax: int | None = None
    pk: int = 0


# The items wanted and all that partial matchings connect with them, locked in the order of their keys. Accounts, currencies and
# companies are of the set-up that the process remembers: joined here, planning would take several times the statement's own time.
_LOCK = """
WITH RECURSIVE linked(item) AS (
    {seed}
    UNION
    SELECT x.other FROM linked CROSS JOIN LATERAL (
        SELECT credit_item_id AS other FROM accounting_partialmatch WHERE debit_item_id = linked.item
        UNION ALL
        SELECT debit_item_id FROM accounting_partialmatch WHERE credit_item_id = linked.item
    ) AS x
)
SELECT i.id, i.entry_id, i.company_id, i.date, i.posted, i.kind, i.account_id, i.partner_id, i.name, i.balance, i.currency_id,
       i.amount_currency, i.date_maturity, i.discount_date, i.discount_amount_currency, i.residual, i.residual_currency,
       i.full_match_id, i.matching_number, e.number, e.origin, e.invoice_id, e.payment_id
FROM accounting_journalitem i JOIN accounting_journalentry e ON e.id = i.entry_id
WHERE i.id IN (SELECT item FROM linked)
ORDER BY i.id FOR NO KEY UPDATE OF i
"""
_BY_KEY = "SELECT unnest(%s::bigint[])"
# The open due parts of documents.
_BY_DOCUMENT = """
SELECT i.id FROM accounting_invoice v JOIN accounting_journalitem i ON i.entry_id = v.journal_entry_id
WHERE v.id = ANY(%s::bigint[]) AND i.kind = 'payment_term' AND i.posted AND (i.residual <> 0 OR i.residual_currency <> 0)
"""
_EDGES = """
SELECT id, debit_item_id, credit_item_id FROM accounting_partialmatch WHERE debit_item_id = ANY(%(pks)s::bigint[])
UNION
SELECT id, debit_item_id, credit_item_id FROM accounting_partialmatch WHERE credit_item_id = ANY(%(pks)s::bigint[])
"""
# Payments whose money (not whose receivable) the items are, and documents that the items belong to or that these payments
# settle: their state may follow from the matching, so they are locked before the items. Lines of bank statements too, whose
# suspense the items are.
_DOCUMENTS = """
WITH chosen AS (
    SELECT i.id, a.type IN ('asset_receivable', 'liability_payable') AS of_partner, e.invoice_id, e.payment_id,
           CASE WHEN e.origin = 'statement' AND i.position = 1 THEN e.id END AS of_bank
    FROM accounting_journalitem i JOIN accounting_journalentry e ON e.id = i.entry_id
    JOIN accounting_account a ON a.id = i.account_id WHERE i.id = ANY(%s::bigint[])
), money AS (
    SELECT DISTINCT payment_id AS id FROM chosen WHERE payment_id IS NOT NULL AND NOT of_partner
)
SELECT 'invoice', invoice_id FROM chosen WHERE invoice_id IS NOT NULL
UNION SELECT 'payment', id FROM money
UNION SELECT 'line', l.id FROM chosen JOIN accounting_statementline l ON l.entry_id = chosen.of_bank
UNION SELECT 'invoice', n.invoice_id FROM money JOIN accounting_journalentry e ON e.payment_id = money.id
    JOIN accounting_journalitem i ON i.entry_id = e.id
    CROSS JOIN LATERAL (
        SELECT credit_item_id AS other FROM accounting_partialmatch WHERE debit_item_id = i.id
        UNION ALL SELECT debit_item_id FROM accounting_partialmatch WHERE credit_item_id = i.id
    ) AS x
    JOIN accounting_journalitem o ON o.id = x.other JOIN accounting_journalentry n ON n.id = o.entry_id
    WHERE n.invoice_id IS NOT NULL
"""


@dataclass(slots=True)
class Locked:
    """Locked items by key, with the partial matchings that connect them: (key, debit, credit)."""

    rows: dict[int, Row]
    edges: list[tuple[int, int, int]]


@dataclass(frozen=True, slots=True)
class Documents:
    """The payments and documents whose state may follow from a matching; locked."""

    payment_pks: tuple[int, ...] = ()
    invoice_pks: tuple[int, ...] = ()
    line_pks: tuple[int, ...] = ()  # of bank statements

    def with_(self, other: Documents) -> Documents:
        return Documents(
            tuple(sorted({*self.payment_pks, *other.payment_pks})),
            tuple(sorted({*self.invoice_pks, *other.invoice_pks})),
            tuple(sorted({*self.line_pks, *other.line_pks})),
        )


def lock_documents(item_pks: Collection[int], *, held: Collection[int] = ()) -> Documents:
    """Lock the payments and documents that these items speak for; ``held`` are documents the caller holds already."""
    with connection.cursor() as cursor:
        cursor.execute(_DOCUMENTS, [list(item_pks)])
        found = cursor.fetchall()
        payments = tuple(sorted(pk for kind, pk in found if kind == "payment"))
        invoices = tuple(sorted(pk for kind, pk in found if kind == "invoice"))
        lines = tuple(sorted(pk for kind, pk in found if kind == "line"))
        for table, pks in (
            ("statementline", lines),
            ("payment", payments),
            ("invoice", tuple(set(invoices) - set(held))),
        ):
            if pks:
                cursor.execute(
                    f"SELECT id FROM accounting_{table} WHERE id = ANY(%s::bigint[]) ORDER BY id FOR NO KEY UPDATE",  # noqa: S608
                    [list(pks)],
                )
    return Documents(payments, invoices, lines)


def lock_items(pks: Collection[int]) -> Locked:
    """The items and all that they are connected with, locked in the order of their keys, as they are now."""
    return _lock(_BY_KEY, sorted(pks), None)


def lock_open_items_of(invoice_pks: Collection[int], *, memory: SetupMemory | None = None) -> Locked:
    """The open due parts of documents and what they are connected with, likewise. ``memory`` is the set-up as the
    transaction sees it, for callers who have it."""
    return _lock(_BY_DOCUMENT, sorted(invoice_pks), memory)


def edges_of(pks: Collection[int]) -> list[tuple[int, int, int]]:
    """The partial matchings of items: (key, debit, credit). Locks nothing."""
    with connection.cursor() as cursor:
        cursor.execute(_EDGES, {"pks": list(pks)})
        return list(cursor.fetchall())


def _lock(seed: str, pks: Sequence[int], memory: SetupMemory | None) -> Locked:
    rows: dict[int, Row] = {}
    edges: list[tuple[int, int, int]] = []
    with connection.cursor() as cursor:
        while True:
            cursor.execute(_LOCK.format(seed=seed), [list(pks)])
            found = cursor.fetchall()
            memory = memory or setup_memory()
            rows |= {row.pk: row for row in _rows(found, memory)}
            tied = [row.pk for row in rows.values() if row.matching_number]
            if not tied:
                return Locked(rows, edges)
            cursor.execute(_EDGES, {"pks": tied})
            edges = cursor.fetchall()
            missing = {pk for _edge, debit, credit in edges for pk in (debit, credit)} - rows.keys()
            if not missing:
                return Locked(rows, edges)
            seed, pks = _BY_KEY, sorted(missing | rows.keys())  # somebody connected more while we waited


def _rows(found: Sequence[Sequence[Any]], memory: SetupMemory) -> Iterator[Row]:
    """What was read, with what the set-up says of it."""
    accounts = memory.by_key(Account, {values[6] for values in found})
    companies = memory.settings({values[2] for values in found})
    steps = memory.by_key(Currency, {values[10] for values in found})
    for values in found:
        account, own = accounts[values[6]], companies[values[2]].company.currency
        whole: list[Any] = [
            *values[:7],
            account.type,
            account.reconcile,
            *values[7:19],
            steps[values[10]].rounding,
            own.pk,
            own.rounding,
            *values[19:],
        ]
        yield Row(*whole)


# ------------------------------------------------------------------------------------------------------------ writing
MATCH_COLUMNS = (
    "id",
    "company_id",
    "debit_item_id",
    "credit_item_id",
    "amount",
    "debit_amount_currency",
    "credit_amount_currency",
    "date",
    "exchange_entry_id",
    "debit_tax_entry_id",
    "credit_tax_entry_id",
    "created_at",
    "created_by_id",
)


def write_drafts(drafts: Sequence[Draft], entries: Sequence[JournalEntry], *, actor: Actor) -> None:
    """Insert the partial matchings; the trigger lowers what is open, and refuses more than there is."""
    now = timezone.now()
    for draft, pk in zip(drafts, draw_keys("accounting_partialmatch_id_seq", len(drafts)), strict=True):
        draft.pk = pk

    def entry(place: int | None) -> int | None:
        return None if place is None else entries[place].pk

    copy_rows(
        "accounting_partialmatch",
        MATCH_COLUMNS,
        [
            (
                draft.pk,
                draft.company_pk,
                draft.debit.pk,
                draft.credit.pk,
                draft.amount,
                draft.debit_currency,
                draft.credit_currency,
                draft.date,
                entry(draft.exchange),
                entry(draft.debit_tax),
                entry(draft.credit_tax),
                now,
                actor.user_pk,
            )
            for draft in drafts
        ],
    )


def number_sets(
    residuals: Mapping[int, tuple[Decimal, Decimal]],
    edges: Iterable[tuple[int, int, int]],
    known: Mapping[int, str],
    *,
    actor: Actor,
) -> list[FullMatch]:
    """Give every connected set of items its matching number: that of a full matching when nothing is left of any of its
    items, else ``P`` and its first partial. ``known`` are the numbers that items have now; items without any partial lose
    theirs. Answers the full matchings made."""
    edges = list(edges)
    sets = full_groups([(debit, credit) for _pk, debit, credit in edges], residuals)
    first: dict[int, int] = {}
    place = {pk: group.key for group in sets for pk in group.pks}
    for pk, debit, _credit in edges:
        key = place[debit]
        first[key] = min(pk, first.get(key, pk))
    fresh = [group for group in sets if group.full and not _is_full_already(group.pks, known)]
    matches = FullMatch.objects.bulk_create(
        [FullMatch(created_by_id=actor.user_pk, updated_by_id=actor.user_pk) for _group in fresh]
    )
    wanted: dict[int, tuple[int | None, str]] = dict.fromkeys(known, (None, ""))
    for group in sets:
        if not group.full:
            wanted.update(dict.fromkeys(group.pks, (None, f"P{first[group.key]}")))
    for group, match in zip(fresh, matches, strict=True):
        wanted.update(dict.fromkeys(group.pks, (match.pk, str(match.pk))))
    settled = {pk for group in sets if group.full for pk in group.pks} - {
        pk for group in fresh for pk in group.pks
    }
    changes = [
        (pk, match_pk, number)
        for pk, (match_pk, number) in sorted(wanted.items())
        if pk not in settled and known.get(pk, "") != number
    ]
    if changes:
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE accounting_journalitem AS i SET full_match_id = n.match, matching_number = n.number "
                "FROM unnest(%s::bigint[], %s::bigint[], %s::text[]) AS n(item, match, number) WHERE i.id = n.item",
                [list(column) for column in zip(*changes, strict=True)],
            )
    return list(matches)


def _is_full_already(pks: Iterable[int], known: Mapping[int, str]) -> bool:
    """Whether the set carries the number of one full matching: a key, where partial ones begin with P and imported ones with I."""
    numbers = {known.get(pk, "") for pk in pks}
    return len(numbers) == 1 and numbers.pop().isdigit()


def as_pk(item: Any) -> int:
    """The key of an item given as an instance or as a key."""
    pk = item if isinstance(item, int) else item.pk
    return int(pk)
