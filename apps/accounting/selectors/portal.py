"""What customers and vendors see of their documents: rows of the list, what is overdue, counters of the home page.

Whose documents these are is said by the record rule (the reader's whole organisation). Rows are plain values: a page of 80
costs two statements.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _

from apps.accounting.constants import (
    CREDIT_NOTE_TYPES,
    PURCHASE_TYPES,
    SALE_TYPES,
    EntryState,
    InvoiceType,
    ItemKind,
    PaymentState,
)
from apps.accounting.models import Invoice, JournalItem
from apps.core.actor import Actor
from apps.core.models import Currency
from apps.core.money import format_money
from apps.core.rules import visible

ZERO = Decimal(0)
INVOICES = Q(type__in=sorted(SALE_TYPES))
BILLS = Q(type__in=sorted(PURCHASE_TYPES))
#: Nothing more is asked for on these.
SETTLED = (PaymentState.IN_PAYMENT, PaymentState.PAID, PaymentState.REVERSED)
COLUMNS = (
    "pk",
    "type",
    "state",
    "payment_state",
    "number",
    "date",
    "due_date",
    "total_amount",
    "residual_amount",
    "currency__code",
    "currency__rounding",
)


@dataclass(frozen=True, slots=True)
class Badge:
    """A word for the state of a document; ``tone`` is empty, good, warn or bad."""

    text: str
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Money:
    """A currency as amounts are written with it."""

    code: str
    rounding: Decimal


@dataclass(frozen=True, slots=True)
class PortalRow:
    """A document in the list. ``left`` is what is to pay in the reader's language, negative for credit notes."""

    pk: int
    title: str
    number: str
    date: datetime.date | None
    due_date: datetime.date | None
    late: bool
    left: str
    badge: Badge


@dataclass
class Overdue:
    """Overdue documents of one company in one currency, with their sums."""

    company: str
    currency: Currency
    rows: list[Invoice] = field(default_factory=list)

    @property
    def total(self) -> Decimal:
        return sum((row.total_amount for row in self.rows), ZERO)

    @property
    def left(self) -> Decimal:
        return sum((row.residual_amount for row in self.rows), ZERO)


def portal_invoices(actor: Actor) -> QuerySet[Any, Any]:
    """Posted documents of the reader, as named tuples of ``COLUMNS``."""
    return visible(Invoice, actor).filter(state=EntryState.POSTED).values_list(*COLUMNS, named=True)


def overdue_condition(today: datetime.date) -> Q:
    """Posted customer invoices and receipts past their due date of which something is left to pay."""
    return (
        Q(
            state=EntryState.POSTED,
            type__in=(InvoiceType.CUSTOMER_INVOICE, InvoiceType.CUSTOMER_RECEIPT),
            due_date__lt=today,
        )
        & ~Q(payment_state__in=SETTLED)
        & ~Q(residual_amount=0)
    )


def portal_rows(rows: Sequence[Any]) -> list[PortalRow]:
    """Rows of the list as the page shows them. No query."""
    today, language = timezone.localdate(), get_language() or "en"
    titles = {kind.value: str(kind.label) for kind in InvoiceType}
    return [
        PortalRow(
            pk=row.pk,
            title=titles[row.type],
            number=row.number,
            date=row.date,
            due_date=row.due_date,
            late=is_late(row, today),
            left=format_money(
                -row.residual_amount if row.type in CREDIT_NOTE_TYPES else row.residual_amount,
                language=language,
                currency=Money(row.currency__code, row.currency__rounding),
            ),
            badge=badge_of(row),
        )
        for row in rows
    ]


def is_late(document: Any, today: datetime.date) -> bool:
    """Whether somebody should have paid by now."""
    return bool(
        document.state == EntryState.POSTED
        and document.type not in CREDIT_NOTE_TYPES
        and document.due_date is not None
        and document.due_date < today
        and document.residual_amount
        and document.payment_state not in SETTLED
    )


def badge_of(document: Any) -> Badge:
    """How a document stands, in a reader's words."""
    if document.state == EntryState.CANCELLED:
        return Badge(_("Cancelled"), "bad")
    if document.state == EntryState.DRAFT:
        return Badge(_("Draft"))
    if document.payment_state == PaymentState.REVERSED:
        return Badge(_("Reversed"))
    if document.payment_state == PaymentState.IN_PAYMENT:
        return Badge(_("Processing Payment"), "good")
    if document.payment_state == PaymentState.PAID or not document.residual_amount:
        return Badge(_("Paid"), "good")
    return Badge(_("Waiting for Payment"), "warn")


def overdue_groups(actor: Actor) -> list[Overdue]:
    """What the reader should have paid, oldest first, apart by company and currency. One query."""
    rows = (
        _overdue(actor)
        .select_related("company", "currency")
        .order_by("company_id", "currency_id", "due_date", "pk")
    )
    groups: dict[tuple[int, int], Overdue] = {}
    for row in rows[:500]:
        key = (row.company_id, row.currency_id)
        if key not in groups:
            groups[key] = Overdue(row.company.name, row.currency)
        groups[key].rows.append(row)
    return list(groups.values())


def _overdue(actor: Actor) -> QuerySet[Invoice]:
    """Overdue documents of the reader's own organisation: an employee is not asked for what customers owe."""
    organisation = actor.commercial_partner_pk or actor.partner_pk
    rows = visible(Invoice, actor).filter(overdue_condition(timezone.localdate()))
    return rows.filter(commercial_partner_id=organisation) if organisation else rows.none()


def time_to_due(due: datetime.date, today: datetime.date) -> str:
    """When something is due, seen from today."""
    days = (due - today).days
    if days == 0:
        return _("due today")
    if days < 0:
        return ngettext("due %(n)s day ago", "due %(n)s days ago", -days) % {"n": -days}
    return ngettext("due in %(n)s day", "due in %(n)s days", days) % {"n": days}


def was_invoiced(commercial_partner_pk: int) -> bool:
    """Whether an organisation has a document that is no draft."""
    rows = Invoice.objects.filter(commercial_partner_id=commercial_partner_pk)
    return rows.exclude(state=EntryState.DRAFT).exists()


# ------------------------------------------------------------------------------------------------------------- counters
def _posted(actor: Actor) -> QuerySet[Invoice]:
    return visible(Invoice, actor).filter(state=EntryState.POSTED)


def invoice_count(actor: Actor) -> int:
    return _posted(actor).filter(INVOICES).count()


def bill_count(actor: Actor) -> int:
    return _posted(actor).filter(BILLS).count()


def overdue_invoice_count(actor: Actor) -> int:
    return _overdue(actor).count()


# ---------------------------------------------------------------------------------------------------- what to pay next
@dataclass(frozen=True, slots=True)
class NextPayment:
    """What to pay now: ``kind`` is overdue, early, instalment or all; ``reference`` goes with the payment."""

    kind: str
    amount: Decimal
    day: datetime.date | None
    reference: str
    late: bool = False


def next_payment(invoice: Invoice, today: datetime.date) -> NextPayment | None:
    """What a customer should pay next, ``None`` when nothing is asked for.

    The early amount while its day has not passed and nothing was paid; else the overdue parts of an invoice together; else
    the first open part. One query.
    """
    if (
        invoice.state != EntryState.POSTED
        or invoice.type not in SALE_TYPES - CREDIT_NOTE_TYPES
        or invoice.payment_state in SETTLED
        or not invoice.residual_amount
    ):
        return None
    parts = list(
        JournalItem.objects.filter(entry_id=invoice.journal_entry_id, kind=ItemKind.PAYMENT_TERM)
        .order_by("date_maturity", "position", "pk")
        .values("date_maturity", "residual_currency", "discount_date", "discount_amount_currency")
    )
    open_parts = [(place, part) for place, part in enumerate(parts, 1) if part["residual_currency"]]
    reference = invoice.payment_reference or invoice.number
    if not open_parts:
        return None
    place, first = open_parts[0]
    untouched = abs(first["residual_currency"]) == invoice.total_amount
    if untouched and first["discount_date"] and first["discount_date"] >= today:
        amount = abs(first["discount_amount_currency"])
        return NextPayment("early", amount, first["discount_date"], reference)
    late = [item for item in open_parts if item[1]["date_maturity"] and item[1]["date_maturity"] < today]
    if late:
        amount = abs(sum((part["residual_currency"] for _place, part in late), ZERO))
        own = f"{invoice.number}-{late[0][0]}" if len(parts) > 1 else reference
        return NextPayment("overdue", amount, late[0][1]["date_maturity"], own, late=True)
    amount = abs(first["residual_currency"])
    if len(parts) > 1:
        return NextPayment("instalment", amount, first["date_maturity"], f"{invoice.number}-{place}")
    return NextPayment("all", amount, first["date_maturity"], reference)


def payment_signature(pk: int, amount: str) -> str:
    """What proves that a link asking for ``amount`` of a document was made here."""
    about = f"accounting.payment|{pk}|{amount}"
    return hmac.new(
        settings.SECRET_KEY.encode(), about.encode("utf-8", "surrogatepass"), hashlib.sha256
    ).hexdigest()


def is_signed(pk: int, amount: str, given: str) -> bool:
    expected = payment_signature(pk, amount)
    return hmac.compare_digest(expected.encode(), given[:200].encode("utf-8", "surrogatepass"))
