"""What a person should know before confirming a document: duplicates, credit limits, locked periods, open credits."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from django.db.models import F, Func, Q, Value
from django.db.models.functions import Lower
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from apps.accounting.constants import (
    PURCHASE_TYPES,
    RECEIVABLE_SIGN,
    SALE_TYPES,
    AccountType,
    EntryState,
    InvoiceType,
    ItemKind,
    JournalType,
    LockKind,
)
from apps.accounting.models import Invoice, JournalItem
from apps.accounting.selectors.credit import owed_by
from apps.accounting.selectors.locks import explain_lock, today_of
from apps.accounting.selectors.partners import terms_of
from apps.accounting.selectors.setup import settings_of
from apps.contacts.models import BankAccount
from apps.core.actor import Actor
from apps.core.money import format_money
from apps.core.rules import visible

ZERO = Decimal(0)
MOST_SIMILAR = 10
#: Documents are alike when they are of one amount and at most so many days apart.
NEAR = datetime.timedelta(days=7)


@dataclass(frozen=True, slots=True)
class DocumentWarning:
    """Something to look at. ``code`` names the kind, ``pks`` the documents it is about; ``blocks`` what posting refuses."""

    code: str
    text: str
    pks: tuple[int, ...] = ()
    blocks: bool = False


@dataclass(frozen=True, slots=True)
class DuePart:
    """One due part of a document: as computed on a draft, as it stands in the ledger on a posted one."""

    date: datetime.date
    amount: Decimal
    left: Decimal
    discount_date: datetime.date | None = None
    discount_amount: Decimal | None = None
    item_pk: int | None = None


def same_reference(invoice: Invoice, actor: Actor) -> list[Invoice]:
    """Other bills of the vendor with the same reference: what makes somebody pay twice. One query."""
    return references_twice([invoice], actor).get(invoice.pk, [])


def references_twice(invoices: Iterable[Invoice], actor: Actor) -> dict[int, list[Invoice]]:
    """``same_reference`` for many documents: by document, those of the same vendor, kind and reference. One query.

    References are compared without blanks and capitals; cancelled documents do not count.
    """
    asked = [
        invoice
        for invoice in invoices
        if invoice.type in PURCHASE_TYPES
        and _folded(invoice.reference)
        and invoice.commercial_partner_id is not None
    ]
    if not asked:
        return {}
    blank = Func(F("reference"), Value(r"\s+"), Value(""), Value("g"), function="regexp_replace")
    rows = (
        visible(Invoice, actor)
        .filter(
            commercial_partner__in={invoice.commercial_partner_id for invoice in asked},
            type__in={invoice.type for invoice in asked},
        )
        .exclude(state=EntryState.CANCELLED)
        .alias(folded=Lower(blank))
        .filter(folded__in={"".join(invoice.reference.split()).lower() for invoice in asked})
    )
    found: dict[tuple[int, int | None, str, str], list[Invoice]] = {}
    for row in rows.order_by("pk"):
        found.setdefault(_key(row), []).append(row)
    answer = {}
    for invoice in asked:
        others = [row for row in found.get(_key(invoice), ()) if row.pk != invoice.pk]
        if others:
            answer[invoice.pk] = others
    return answer


def _folded(reference: str) -> str:
    return "".join(reference.split()).casefold()


def _key(invoice: Invoice) -> tuple[int, int | None, str, str]:
    return invoice.company_id, invoice.commercial_partner_id, invoice.type, _folded(invoice.reference)


def similar_documents(invoice: Invoice, actor: Actor) -> list[Invoice]:
    """Documents that may be the same one: of the partner, kind and currency, with the reference or with the amount and a date
    nearby. At most ten, one query."""
    if invoice.commercial_partner_id is None:
        return []
    alike = Q(pk__in=())
    if invoice.reference.strip():
        alike |= Q(reference__iexact=invoice.reference.strip())
    if invoice.total_amount and invoice.date is not None:
        alike |= Q(
            total_amount=invoice.total_amount,
            date__range=(invoice.date - NEAR, invoice.date + NEAR),
        )
    rows = visible(Invoice, actor).filter(
        alike,
        company=invoice.company_id,
        commercial_partner=invoice.commercial_partner_id,
        type=invoice.type,
        currency=invoice.currency_id,
    )
    rows = rows.exclude(pk=invoice.pk).exclude(state=EntryState.CANCELLED)
    return list(rows.order_by("-date", "-pk")[:MOST_SIMILAR])


def credit_position(invoice: Invoice) -> tuple[Decimal, Decimal] | None:
    """(what the customer would owe with this invoice, the limit) in company currency; ``None`` without a limit."""
    if invoice.type != InvoiceType.CUSTOMER_INVOICE or invoice.partner is None:
        return None
    agreed = terms_of(invoice.company_id, [invoice.partner])[invoice.partner.pk]
    limit = agreed.credit_limit
    if limit is None:
        limit = settings_of(invoice.company_id).credit_limit
    if limit is None or invoice.commercial_partner_id is None:
        return None
    key = (invoice.company_id, invoice.commercial_partner_id)
    owed = owed_by([key]).get(key, ZERO)
    if invoice.state != EntryState.POSTED:
        owed += invoice.total_company
    return owed, limit


def warnings_of(invoice: Invoice, actor: Actor) -> list[DocumentWarning]:
    """What to look at before a draft is posted, most urgent first."""
    if invoice.state != EntryState.DRAFT:
        return []
    found = [*_duplicate_warnings(invoice, actor), *_credit_warnings(invoice)]
    found += [*_bank_warnings(invoice, actor), *_lock_warnings(invoice, actor)]
    if _has_open_credits(invoice, actor):
        found.append(
            DocumentWarning("open_credits", _("There are open credits of this partner to settle it with."))
        )
    return found


def _has_open_credits(invoice: Invoice, actor: Actor) -> bool:
    """Whether open items of the partner would lower what this document will leave to pay. One query."""
    if invoice.commercial_partner_id is None:
        return False
    owed = RECEIVABLE_SIGN[InvoiceType(invoice.type)] > 0
    kind = AccountType.ASSET_RECEIVABLE if invoice.type in SALE_TYPES else AccountType.LIABILITY_PAYABLE
    rows = visible(JournalItem, actor).filter(
        posted=True,
        company=invoice.company_id,
        partner=invoice.commercial_partner_id,
        account__type=kind,
    )
    return (rows.filter(residual__lt=0) if owed else rows.filter(residual__gt=0)).exists()


def _duplicate_warnings(invoice: Invoice, actor: Actor) -> list[DocumentWarning]:
    same = same_reference(invoice, actor)
    if same:
        names = ", ".join(str(row) for row in same[:5])
        text = _("The vendor's reference %(reference)s is on %(documents)s already.") % {
            "reference": invoice.reference,
            "documents": names,
        }
        return [DocumentWarning("same_reference", text, tuple(row.pk for row in same))]
    similar = similar_documents(invoice, actor)
    if similar:
        names = ", ".join(str(row) for row in similar[:5])
        text = _("This may be the same document as %(documents)s.") % {"documents": names}
        return [DocumentWarning("similar", text, tuple(row.pk for row in similar))]
    return []


def _credit_warnings(invoice: Invoice) -> list[DocumentWarning]:
    position = credit_position(invoice)
    if position is None or position[0] <= position[1]:
        return []
    text = _("The customer would owe %(owed)s, more than the credit limit of %(limit)s.") % {
        "owed": _in_books(invoice, position[0]),
        "limit": _in_books(invoice, position[1]),
    }
    return [DocumentWarning("credit_limit", text, blocks=settings_of(invoice.company_id).block_over_limit)]


def _in_books(invoice: Invoice, amount: Decimal) -> str:
    currency = settings_of(invoice.company_id).company.currency
    return format_money(amount, language=get_language() or "en", currency=currency)


def _bank_warnings(invoice: Invoice, actor: Actor) -> list[DocumentWarning]:
    """Money would go to an account that nobody has confirmed, or to none where one is needed. One query."""
    if RECEIVABLE_SIGN[InvoiceType(invoice.type)] > 0:
        return []
    needed = settings_of(invoice.company_id).require_trusted_bank
    if invoice.bank_account_id is None:
        if not needed or invoice.partner is None:
            return []
        text = _("Choose the bank account that the money is to go to.")
        return [DocumentWarning("untrusted_bank", text, blocks=True)]
    account = visible(BankAccount, actor).filter(pk=invoice.bank_account_id).first()
    if account is None or account.trusted:
        return []
    text = _("Nobody has confirmed bank account %(number)s yet.") % {"number": account.number}
    return [DocumentWarning("untrusted_bank", text, blocks=needed)]


def _lock_warnings(invoice: Invoice, actor: Actor) -> list[DocumentWarning]:
    day = invoice.accounting_date or invoice.date
    if day is None:
        if invoice.type in PURCHASE_TYPES:
            return []
        day = today_of(actor)
    side = JournalType.SALE if invoice.type in SALE_TYPES else JournalType.PURCHASE
    closed = explain_lock(
        invoice.company_id,
        day,
        side,
        actor=actor,
        taxed=bool((invoice.tax_totals or {}).get("rows")),
        invoice_date=invoice.date,
        series_reset="year" if side == JournalType.SALE else "month",
    )
    if closed is None:
        return []
    text = _("It will be posted on %(day)s: %(company)s has locked entries up to %(date)s (%(kind)s).") % {
        "day": closed.reopens.isoformat(),
        "company": closed.company_name,
        "date": closed.date.isoformat(),
        "kind": LockKind(closed.kind).label,
    }
    if closed.set_by and closed.reason:
        text += f" {closed.set_by}: {closed.reason}"
    return [DocumentWarning("locked", text)]


def due_parts(invoice: Invoice) -> list[DuePart]:
    """The due parts of a document with what is left of each; on a draft as they will be. One query for a posted one."""
    if invoice.state == EntryState.POSTED:
        rows = JournalItem.objects.filter(
            entry=invoice.journal_entry_id, kind=ItemKind.PAYMENT_TERM
        ).order_by("position")
        return [
            DuePart(
                row.date_maturity or row.date,
                abs(row.amount_currency),
                abs(row.residual_currency),
                row.discount_date,
                None if row.discount_amount_currency is None else abs(row.discount_amount_currency),
                row.pk,
            )
            for row in rows
        ]
    return [
        DuePart(
            datetime.date.fromisoformat(part["date"]),
            Decimal(part["amount"]),
            Decimal(part["amount"]),
            datetime.date.fromisoformat(part["discount_date"]) if "discount_date" in part else None,
            Decimal(part["discount_amount"]) if "discount_amount" in part else None,
        )
        for part in invoice.instalments or ()
    ]
