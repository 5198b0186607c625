"""How a document was settled, and with what it could be: for the totals of its form."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from decimal import Decimal

from django.db.models import Q

from apps.accounting.constants import RECEIVABLE_SIGN, EntryState, InvoiceType, ItemKind
from apps.accounting.models import Invoice, JournalItem, PartialMatch
from apps.core.actor import Actor
from apps.core.models import Currency
from apps.core.rules import visible


@dataclass(frozen=True, slots=True)
class Settled:
    """So much of a document was settled by one entry. ``amount`` is in the document's currency."""

    match_pk: int
    entry_pk: int
    payment_pk: int | None
    invoice_pk: int | None
    date: datetime.date
    text: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Credit:
    """An open item that could settle a document. ``amount`` is positive, in the item's own currency."""

    item_pk: int
    entry_pk: int
    date: datetime.date
    text: str
    amount: Decimal
    currency: Currency


def settlements_of(invoice: Invoice, actor: Actor) -> list[Settled]:
    """What settled a posted document, oldest first. Two queries."""
    if invoice.state != EntryState.POSTED or invoice.journal_entry_id is None:
        return []
    own = list(
        visible(JournalItem, actor)
        .filter(entry=invoice.journal_entry_id, kind=ItemKind.PAYMENT_TERM)
        .values_list("pk", flat=True)
    )
    matches = (
        visible(PartialMatch, actor)
        .filter(Q(debit_item__in=own) | Q(credit_item__in=own))
        .select_related("debit_item__entry", "credit_item__entry")
        .order_by("date", "pk")
    )
    found = []
    for match in matches:
        is_debit = match.debit_item_id in own
        other = match.credit_item if is_debit else match.debit_item
        amount = match.debit_amount_currency if is_debit else match.credit_amount_currency
        entry = other.entry
        found.append(
            Settled(match.pk, entry.pk, entry.payment_id, entry.invoice_id, entry.date, str(entry), amount)
        )
    return found


def credits_for(invoice: Invoice, actor: Actor, limit: int = 20) -> list[Credit]:
    """Open items of the same partner and account that would lower what is left to pay: payments in advance, credit notes.
    Two queries."""
    if invoice.state != EntryState.POSTED or not invoice.residual_amount:
        return []
    account = (
        visible(JournalItem, actor)
        .filter(entry=invoice.journal_entry_id, kind=ItemKind.PAYMENT_TERM)
        .values_list("account_id", flat=True)
        .first()
    )
    if account is None:
        return []
    rows = visible(JournalItem, actor, queryset=JournalItem.objects.open()).filter(
        company=invoice.company_id, account=account, partner=invoice.commercial_partner_id
    )
    owed = RECEIVABLE_SIGN[InvoiceType(invoice.type)] > 0
    rows = rows.filter(residual__lt=0) if owed else rows.filter(residual__gt=0)
    rows = rows.exclude(entry=invoice.journal_entry_id).select_related("entry", "currency")
    return [
        Credit(item.pk, item.entry_id, item.date, str(item.entry), abs(item.residual_currency), item.currency)
        for item in rows.order_by("date", "pk")[:limit]
    ]
