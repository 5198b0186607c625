"""Taxes due on payment: what each matching of a receivable or payable makes due, booked at once.

Such a tax waits on its transition account, without boxes. When a part of the document's receivables is settled, the same part
of the tax moves to the tax account with its boxes, and the same part of its base passes through the base account, once with
and once without boxes. The part is what the matching takes off the receivables (its exchange difference included), of all
receivables of the document, in company currency; the matching that settles the rest moves exactly the rest. The waiting tax
and what was moved of it are matched on the transition account.

Every matching has its own entry, named on it, dated like the matching; undoing the matching reverses it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from django.db import connection
from django.utils.translation import gettext as _

from apps.accounting.compute.taxes import payment_share
from apps.accounting.constants import EntryOrigin, ItemKind
from apps.accounting.models import AccountingSettings, TaxRepartition
from apps.accounting.selectors.setup import required
from apps.accounting.services.exchange import SideEffects
from apps.accounting.services.ledger import EntrySpec, ItemSpec
from apps.accounting.services.match_rows import Draft, Locked, Row, lock_items

ZERO = Decimal(0)
# Entries that a tax on payment can wait in. Those of payments and side effects carry final taxes only.
WAITING_IN = frozenset({EntryOrigin.INVOICE, EntryOrigin.MANUAL, EntryOrigin.OPENING, EntryOrigin.REVERSAL})
Key = tuple[int | None, int | None, tuple[int, ...]]  # tax, repartition, taxes of a base


@dataclass(slots=True)
class Settlement:
    """What one matching takes off an item: ``amount`` in company currency, signed like the item's balance."""

    draft: Draft
    row: Row
    amount: Decimal


@dataclass(slots=True)
class Source:
    """Items of one document that move together: those of a share of a tax, or those of a base."""

    key: Key
    account_pk: int
    partner_pk: int | None
    name: str
    balance: Decimal = ZERO
    currency: Decimal = ZERO
    base: Decimal = ZERO
    item_pks: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Document:
    """An entry with waiting taxes. ``moved`` by key: balance, amount in currency, base."""

    sources: dict[Key, Source] = field(default_factory=dict)
    total: Decimal = ZERO
    paid: Decimal = ZERO
    moved: dict[Key, list[Decimal]] = field(default_factory=dict)


@dataclass(slots=True)
class Boxes:
    """Accounts and boxes of shares of taxes, and boxes of bases by (tax, kind of document)."""

    account: dict[int, int | None] = field(default_factory=dict)
    document: dict[int, str] = field(default_factory=dict)
    of_tax: dict[int, list[int]] = field(default_factory=dict)
    of_base: dict[tuple[int, str], list[int]] = field(default_factory=dict)


def move_taxes(
    settlements: Sequence[Settlement],
    settings: Mapping[int, AccountingSettings],
    effects: SideEffects,
) -> Locked | None:
    """Add the entries that ``settlements`` make necessary; answers the waiting items, locked, when there are any.

    Five statements more when taxes wait, none for each document; one when none does.
    """
    chosen = [s for s in settlements if s.row.of_partner and s.row.origin in WAITING_IN]
    if not chosen:
        return None
    documents = _sources({s.row.entry_pk for s in chosen})
    if not documents:
        return None
    waiting = lock_items(
        {
            pk
            for document in documents.values()
            for source in document.sources.values()
            for pk in source.item_pks
        }
    )
    _progress(documents)
    boxes = _boxes(documents)
    for settlement in chosen:
        document = documents.get(settlement.row.entry_pk)
        if document is not None and settlement.amount:
            _move(settlement, document, boxes, settings[settlement.row.company_pk], waiting, effects)
    return waiting


# ----------------------------------------------------------------------------------------------------------- reading
_SOURCES = """
SELECT i.entry_id, i.id, i.account_id, i.partner_id, i.name, i.balance, i.amount_currency, i.tax_base_amount,
       CASE WHEN t.id IS NOT NULL THEN i.tax_id END, CASE WHEN t.id IS NOT NULL THEN i.tax_repartition_id END,
       ARRAY(SELECT x FROM unnest(i.tax_pks) AS x WHERE x = ANY(late.pks) ORDER BY x)
FROM accounting_journalitem i
CROSS JOIN (SELECT array_agg(id) AS pks FROM accounting_tax WHERE exigibility = 'payment') AS late
LEFT JOIN accounting_tax t ON t.id = i.tax_id AND t.exigibility = 'payment' AND t.transition_account_id = i.account_id
WHERE i.entry_id = ANY(%s::bigint[]) AND (t.id IS NOT NULL OR i.tax_pks && late.pks)
ORDER BY i.entry_id, i.position, i.id
"""
_TOTALS = """
SELECT i.entry_id, sum(i.balance), sum(i.balance - i.residual)
FROM accounting_journalitem i JOIN accounting_account a ON a.id = i.account_id
WHERE i.entry_id = ANY(%s::bigint[]) AND a.type IN ('asset_receivable', 'liability_payable') GROUP BY 1
"""
_MOVED = """
SELECT e.caused_by_id, i.tax_id, i.tax_repartition_id, i.tax_pks, sum(i.balance), sum(i.amount_currency),
       sum(i.tax_base_amount)
FROM accounting_journalentry e
JOIN accounting_journalitem i ON i.entry_id = e.id
LEFT JOIN accounting_journalentry o ON o.id = e.reversal_of_id
WHERE e.caused_by_id = ANY(%s::bigint[]) AND 'cash_basis' IN (e.origin, o.origin)
  AND (i.tax_id IS NOT NULL OR i.tax_pks <> '{}')
GROUP BY 1, 2, 3, 4
"""


def _sources(entry_pks: Collection[int]) -> dict[int, Document]:
    """Waiting taxes and their bases by entry. An item that is a tax and also the base of another counts as both."""
    documents: dict[int, Document] = {}
    with connection.cursor() as cursor:
        cursor.execute(_SOURCES, [list(entry_pks)])
        for (
            entry,
            pk,
            account,
            partner,
            name,
            balance,
            currency,
            base,
            tax,
            share,
            taxes,
        ) in cursor.fetchall():
            document = documents.setdefault(entry, Document())
            keys: list[Key] = []
            if tax is not None:
                keys.append((tax, share, ()))
            if taxes:
                keys.append((None, None, tuple(taxes)))
            for key in keys:
                source = document.sources.setdefault(key, Source(key, account, partner, name))
                source.balance += balance
                source.currency += currency
                if key[0] is not None:
                    source.base += base
                    source.item_pks.append(pk)
    return documents


def _progress(documents: Mapping[int, Document]) -> None:
    """How much of each document is paid and moved; read under the lock of the waiting items."""
    with connection.cursor() as cursor:
        cursor.execute(_TOTALS, [list(documents)])
        for entry, total, paid in cursor.fetchall():
            documents[entry].total, documents[entry].paid = total, paid
        cursor.execute(_MOVED, [list(documents)])
        for entry, tax, share, taxes, balance, currency, base in cursor.fetchall():
            documents[entry].moved[tax, share, tuple(taxes)] = [balance, currency, base]


def _boxes(documents: Mapping[int, Document]) -> Boxes:
    tax_pks = {
        tax for d in documents.values() for key in d.sources for tax in (*key[2], key[0]) if tax is not None
    }
    boxes = Boxes()
    rows = TaxRepartition.objects.filter(tax__in=tax_pks).order_by("sequence", "pk").prefetch_related("tags")
    for row in rows:
        tags = sorted(tag.pk for tag in row.tags.all())
        if row.kind == TaxRepartition.Kind.BASE:
            boxes.of_base[row.tax_id, row.document] = tags
        else:
            boxes.account[row.pk], boxes.document[row.pk], boxes.of_tax[row.pk] = (
                row.account_id,
                row.document,
                tags,
            )
    return boxes


# ------------------------------------------------------------------------------------------------------------ moving
def _move(
    settlement: Settlement,
    document: Document,
    boxes: Boxes,
    settings: AccountingSettings,
    waiting: Locked,
    effects: SideEffects,
) -> None:
    """Add the entry of one settlement, and match what it takes from the waiting items."""
    row = settlement.row
    open_before = document.total - document.paid
    payment = settlement.amount
    if not document.total or payment * document.total < 0 or abs(payment) > abs(open_before):
        return  # receivables on both sides: what settles them against each other makes nothing due
    sources = list(document.sources.values())
    parts = _parts(sources, document, payment, row)
    document.paid += payment
    items: list[ItemSpec] = []
    taken: list[tuple[Source, ItemSpec]] = []
    kind = _document_kind(sources, boxes, row)
    for source, (balance, currency, base) in zip(sources, parts, strict=True):
        moved = document.moved.setdefault(source.key, [ZERO, ZERO, ZERO])
        for place, part in enumerate((balance, currency, base)):
            moved[place] += part
        if not balance and not currency:
            continue
        pair = _pair(source, (balance, currency, base), sources, boxes, settings, kind, row)
        items += pair
        if source.key[0] is not None:
            taken.append((source, pair[0]))
    if not items:
        return
    place = effects.add(
        EntrySpec(
            journal=effects.journals.get(required(settings, "cash_basis_journal")),
            date=settlement.draft.date,
            company_pk=row.company_pk,
            currency_pk=row.currency_pk,
            origin=EntryOrigin.CASH_BASIS.value,
            reference=_("Taxes due with a payment of %(number)s") % {"number": row.entry_number},
            partner_pk=row.partner_pk,
            caused_by_pk=row.entry_pk,
            items=items,
        )
    )
    if settlement.draft.debit is row:
        settlement.draft.debit_tax = place
    else:
        settlement.draft.credit_tax = place
    for source, item in taken:
        _match_waiting(source, item, waiting, row, effects)


def _parts(
    sources: Sequence[Source], document: Document, payment: Decimal, row: Row
) -> list[tuple[Decimal, Decimal, Decimal]]:
    """(balance, amount in currency, base of the tax) that each source gives."""
    zeros = [ZERO, ZERO, ZERO]
    shares = []
    for place, step in ((0, row.company_step), (1, row.step), (2, row.company_step)):
        amounts = [(source.balance, source.currency, source.base)[place] for source in sources]
        moved = [document.moved.get(source.key, zeros)[place] for source in sources]
        shares.append(
            payment_share(
                amounts, total=document.total, paid=document.paid, payment=payment, moved=moved, step=step
            )
        )
    return list(zip(*shares, strict=True))  # type: ignore[arg-type]


def _document_kind(sources: Sequence[Source], boxes: Boxes, row: Row) -> str:
    """Whether the document's bases use the boxes of invoices or of credit notes."""
    for source in sources:
        if source.key[1] is not None and source.key[1] in boxes.document:
            return boxes.document[source.key[1]]
    refund = (row.account_type == "asset_receivable") == (row.balance < 0)
    return TaxRepartition.Document.REFUND if refund else TaxRepartition.Document.INVOICE


def _pair(
    source: Source,
    parts: tuple[Decimal, Decimal, Decimal],
    sources: Sequence[Source],
    boxes: Boxes,
    settings: AccountingSettings,
    kind: str,
    row: Row,
) -> list[ItemSpec]:
    """The item that takes a part away and the one that puts it where it is due."""
    balance, currency, base = parts
    tax_pk, share_pk, tax_pks = source.key
    partner, name, currency_pk = source.partner_pk, source.name, row.currency_pk
    if tax_pk is None or share_pk is None:
        account = settings.cash_basis_base_account_id or source.account_pk
        tags = sorted({tag for tax in tax_pks for tag in boxes.of_base.get((tax, kind), ())})
        return [
            ItemSpec(account, -balance, currency_pk, -currency, partner_pk=partner, name=name),
            ItemSpec(
                account,
                balance,
                currency_pk,
                currency,
                partner_pk=partner,
                name=name,
                tax_pks=tax_pks,
                tag_pks=tags,
            ),
        ]
    of_base = next((s.account_pk for s in sources if tax_pk in s.key[2]), source.account_pk)
    return [
        ItemSpec(source.account_pk, -balance, currency_pk, -currency, partner_pk=partner, name=name),
        ItemSpec(
            boxes.account.get(share_pk) or of_base,
            balance,
            currency_pk,
            currency,
            partner_pk=partner,
            name=name,
            kind=ItemKind.TAX.value,
            tax_pk=tax_pk,
            repartition_pk=share_pk,
            tax_base_amount=base,
            tag_pks=boxes.of_tax.get(share_pk, []),
        ),
    ]


def _match_waiting(source: Source, item: ItemSpec, waiting: Locked, row: Row, effects: SideEffects) -> None:
    """Match what was taken from the transition account with the items that waited there, oldest first."""
    rest, rest_currency = abs(item.balance), abs(item.amount_currency)
    for pk in source.item_pks:
        wait = waiting.rows.get(pk)
        if wait is None or not wait.matched_account or not rest or wait.left * item.balance >= 0:
            continue
        amount = min(abs(wait.left), rest)
        currency = min(abs(wait.left_currency), rest_currency)
        rest -= amount
        rest_currency -= currency
        sign = 1 if wait.left > 0 else -1
        wait.left -= sign * amount
        wait.left_currency -= sign * currency
        effects.drafts.append(
            Draft(
                debit=wait if sign > 0 else item,
                credit=item if sign > 0 else wait,
                company_pk=row.company_pk,
                amount=amount,
                debit_currency=currency,
                credit_currency=currency,
                date=row.date,
            )
        )
