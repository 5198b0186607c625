"""Invoices, bills, credit notes and receipts as printed.

Nothing is computed anew: totals, tax rows and due parts are those that the document stored, the address is the one kept at
posting. The order is that of EN 16931: lines, their sum, taxes by category, the total, what is due when. Every document is
written in the language of its partner.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.db.models import Prefetch
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.accounting.constants import (
    CREDIT_NOTE_TYPES,
    PURCHASE_TYPES,
    RECEIVABLE_SIGN,
    EntryState,
    InvoiceType,
    LineKind,
    TaxRounding,
)
from apps.accounting.models import Invoice, InvoiceLine, Tax
from apps.accounting.reports.layout import Letterhead, Writer, language_of, letterhead_of
from apps.accounting.selectors.documents import official_documents
from apps.accounting.selectors.parties import Party, countries_of, parties_of_invoice
from apps.contacts.constants import AccountKind
from apps.core.actor import Actor
from apps.core.errors import NotVisible
from apps.core.models import Country

ZERO = Decimal(0)
HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True)
class LineRow:
    """A line, or a heading (with the sum of what follows it) or a note. ``with_tax``: its price contains tax."""

    kind: str
    text: str
    code: str = ""
    quantity: str = ""
    unit: str = ""
    price: str = ""
    with_tax: bool = False
    discount: str = ""
    taxes: str = ""
    amount: str = ""


@dataclass(frozen=True, slots=True)
class TaxRow:
    label: str
    base: str
    amount: str


@dataclass(frozen=True, slots=True)
class DueRow:
    """A part that is due. ``early`` says what settles it when it is paid early."""

    day: str
    amount: str
    early: str = ""


@dataclass(frozen=True, slots=True)
class PayTo:
    holder: str
    number: str
    bic: str
    bank: str


@dataclass
class Sheet:
    """One document, all values as text in ``language``."""

    pk: int
    language: str
    title: str
    number: str
    letterhead: Letterhead
    party_label: str
    party: Party
    draft: bool
    cancelled: bool
    issued: bool
    currency: str
    shipping: Party | None = None
    facts: list[tuple[str, str]] = field(default_factory=list)
    lines: list[LineRow] = field(default_factory=list)
    has_discounts: bool = False
    has_codes: bool = False
    untaxed: str = ""
    taxes: list[TaxRow] = field(default_factory=list)
    tax: str = ""
    rounding: str = ""
    total: str = ""
    due: list[DueRow] = field(default_factory=list)
    pay_to: PayTo | None = None
    reference: str = ""
    notes: list[str] = field(default_factory=list)
    policies: list[str] = field(default_factory=list)

    @property
    def columns(self) -> int:
        """Columns of the table of lines before the amount."""
        return 4 + self.has_discounts

    @property
    def is_instalments(self) -> bool:
        return len(self.due) > 1


def invoice_document(pks: Sequence[int], *, actor: Actor) -> dict[str, Any]:
    """Context of the printed document: one sheet for each, in the order of their dates. A constant number of queries for
    documents of one company, one or two more for each further company."""
    sheets = invoice_sheets(pks)
    return {"sheets": sheets, "language": sheets[0].language}


def invoice_sheets(pks: Sequence[int]) -> list[Sheet]:
    """The documents as text. Errors: ``NotVisible`` when there is none."""
    lines = InvoiceLine.objects.order_by("sequence", "pk").prefetch_related(
        Prefetch("taxes", queryset=Tax.objects.order_by("sequence", "pk"))
    )
    invoices = list(
        Invoice._base_manager.filter(pk__in=pks)
        .select_related(
            "company__currency",
            "company__country",
            "currency",
            "partner__country",
            "partner__state",
            "shipping_partner__country",
            "shipping_partner__state",
            "payment_term",
            "fiscal_position",
            "bank_account__partner",
            "incoterm",
            "salesperson",
            "reversed_invoice",
            "debited_invoice",
        )
        .prefetch_related(Prefetch("lines", queryset=lines))
        .order_by("date", "pk")
    )
    if not invoices:
        raise NotVisible()
    official = official_documents([invoice.pk for invoice in invoices])
    letterheads: dict[int, Letterhead] = {}
    for invoice in invoices:
        if invoice.company_id not in letterheads:
            letterheads[invoice.company_id] = letterhead_of(invoice.company)
    countries = countries_of(invoices)
    return [
        _sheet(invoice, letterheads[invoice.company_id], countries, invoice.pk in official)
        for invoice in invoices
    ]


def _sheet(invoice: Invoice, letterhead: Letterhead, countries: Mapping[str, Country], issued: bool) -> Sheet:
    language = language_of(invoice.partner.language if invoice.partner is not None else "")
    party, shipping = parties_of_invoice(invoice, countries)
    writer = Writer(language, invoice.currency)
    with translation.override(language):
        sheet = Sheet(
            pk=invoice.pk,
            language=language,
            title=document_title(invoice),
            number=invoice.number if invoice.state == EntryState.POSTED else "",
            letterhead=letterhead,
            party_label=_("Vendor") if invoice.type in PURCHASE_TYPES else _("Bill to"),
            party=party,
            shipping=shipping,
            draft=invoice.state != EntryState.POSTED,
            cancelled=invoice.state == EntryState.CANCELLED,
            issued=issued,
            currency=invoice.currency.code,
        )
        _add_lines(sheet, invoice, writer)
        _add_totals(sheet, invoice, writer)
        _add_due_parts(sheet, invoice, writer)
        sheet.facts = _facts(sheet, invoice, writer)
        sheet.notes = _notes(invoice)
        sheet.policies = _policies(sheet, invoice, writer)
    return sheet


def document_title(invoice: Invoice) -> str:
    """What the document is called, in the active language."""
    if invoice.debited_invoice_id is not None and invoice.type not in CREDIT_NOTE_TYPES:
        return _("Debit note")
    return {
        InvoiceType.CUSTOMER_INVOICE: _("Invoice"),
        InvoiceType.CUSTOMER_CREDIT_NOTE: _("Credit note"),
        InvoiceType.CUSTOMER_RECEIPT: _("Receipt"),
        InvoiceType.VENDOR_BILL: _("Vendor bill"),
        InvoiceType.VENDOR_CREDIT_NOTE: _("Vendor credit note"),
        InvoiceType.VENDOR_RECEIPT: _("Purchase receipt"),
    }[InvoiceType(invoice.type)]


# --------------------------------------------------------------------------------------------------------------- lines
def _add_lines(sheet: Sheet, invoice: Invoice, writer: Writer) -> None:
    lines = list(invoice.lines.all())
    sums = _section_sums(lines)
    for place, line in enumerate(lines):
        if line.kind != LineKind.PRODUCT:
            amount = writer.figure(sums[place]) if place in sums else ""
            sheet.lines.append(LineRow(line.kind, line.description, amount=amount))
            continue
        gross = line.quantity * line.unit_price * (1 - line.discount / HUNDRED)
        sheet.lines.append(
            LineRow(
                kind=line.kind,
                text=line.description,
                code=line.product_code,
                quantity=writer.number(line.quantity),
                unit=line.unit,
                price=writer.price(line.unit_price),
                with_tax=abs(gross - line.subtotal) > abs(gross - line.total),
                discount=f"{writer.number(line.discount)} %" if line.discount else "",
                taxes=", ".join(tax.label or tax.name for tax in line.taxes.all()),
                amount=writer.figure(line.subtotal),
            )
        )
    sheet.has_discounts = any(row.discount for row in sheet.lines)
    sheet.has_codes = any(row.code for row in sheet.lines)


def _section_sums(lines: Sequence[InvoiceLine]) -> dict[int, Decimal]:
    """For each section heading, by its place, the sum of the lines below it up to the next one."""
    sums: dict[int, Decimal] = {}
    current: int | None = None
    for place, line in enumerate(lines):
        if line.kind == LineKind.SECTION:
            current = place
            sums[place] = ZERO
        elif current is not None:
            sums[current] += line.subtotal
    return sums


# -------------------------------------------------------------------------------------------------------------- totals
def _add_totals(sheet: Sheet, invoice: Invoice, writer: Writer) -> None:
    sheet.untaxed = writer.money(invoice.untaxed_amount)
    sheet.taxes = [
        TaxRow(str(row["name"]), writer.money(Decimal(row["base"])), writer.money(Decimal(row["amount"])))
        for row in (invoice.tax_totals or {}).get("groups", ())
    ]
    sheet.tax = writer.money(invoice.tax_amount)
    sheet.rounding = writer.money(invoice.rounding_amount) if invoice.rounding_amount else ""
    sheet.total = writer.money(invoice.total_amount)


def _add_due_parts(sheet: Sheet, invoice: Invoice, writer: Writer) -> None:
    """When what is to be paid, and where to. A credit note and a receipt ask for nothing."""
    if RECEIVABLE_SIGN[InvoiceType(invoice.type)] > 0 and invoice.bank_account is not None:
        account = invoice.bank_account
        sheet.pay_to = PayTo(
            holder=account.holder or account.partner.complete_name,
            number=grouped_number(account.sanitized) if account.kind == AccountKind.IBAN else account.number,
            bic=account.bic,
            bank=account.bank_name,
        )
    if invoice.type in CREDIT_NOTE_TYPES:
        sheet.pay_to = None
        return
    sheet.reference = invoice.payment_reference
    if invoice.date is None:
        return  # the days count from the invoice's date, which is not known
    for part in invoice.instalments or ():
        early = ""
        if part.get("discount_date"):
            early = _("%(amount)s if paid by %(date)s") % {
                "amount": writer.money(Decimal(part["discount_amount"])),
                "date": writer.day(part["discount_date"]),
            }
        sheet.due.append(DueRow(writer.day(part["date"]), writer.money(Decimal(part["amount"])), early))


def grouped_number(number: str) -> str:
    """An IBAN in groups of four, as people read and type it."""
    return " ".join(number[start : start + 4] for start in range(0, len(number), 4))


# --------------------------------------------------------------------------------------------------------------- texts
def _facts(sheet: Sheet, invoice: Invoice, writer: Writer) -> list[tuple[str, str]]:
    """What stands beside the address: dates and references, as far as there are any."""
    due = sheet.due[0].day if len(sheet.due) == 1 else ""
    incoterm = f"{invoice.incoterm.code} {invoice.incoterm_place}".strip() if invoice.incoterm else ""
    bought = invoice.type in PURCHASE_TYPES
    credited, debited = invoice.reversed_invoice, invoice.debited_invoice
    facts = (
        (_("Date"), writer.day(invoice.date)),
        (_("Due date"), due),
        (_("Delivery date"), writer.day(invoice.delivery_date)),
        (_("Taxable supply"), writer.day(invoice.tax_point_date)),
        (_("Vendor's number") if bought else _("Your reference"), invoice.reference),
        (_("Source"), invoice.origin),
        (_("Credit note for"), credited.number if credited is not None else ""),
        (_("Debit note for"), debited.number if debited is not None else ""),
        (_("Customer number"), "" if bought or invoice.partner is None else invoice.partner.ref),
        (_("Contact"), invoice.salesperson.name if invoice.salesperson is not None else ""),
        (_("Incoterm"), incoterm),
    )
    return [(label, text) for label, text in facts if text]


def _notes(invoice: Invoice) -> list[str]:
    """Terms, and what the law wants said of the taxes; each once."""
    texts = [invoice.payment_term.note if invoice.payment_term is not None else ""]
    texts += [tax.legal_note for line in invoice.lines.all() for tax in line.taxes.all()]
    texts.append(invoice.fiscal_position.note if invoice.fiscal_position is not None else "")
    texts.append(invoice.narration)
    return list(dict.fromkeys(text.strip() for text in texts if text.strip()))


def _policies(sheet: Sheet, invoice: Invoice, writer: Writer) -> list[str]:
    """How taxes were rounded, what prices contain, and taxes in the company's own currency."""
    texts = []
    if invoice.tax_amount:
        texts.append(
            _("Taxes are rounded on each line.")
            if invoice.tax_rounding == TaxRounding.LINE
            else _("Taxes are rounded on the total of each tax.")
        )
    marked = sum(row.with_tax for row in sheet.lines)
    if marked:
        texts.append(ngettext("* This price contains tax.", "* These prices contain tax.", marked))
    own = invoice.company.currency
    if invoice.currency_id != own.pk and invoice.tax_amount:
        rows = (invoice.tax_totals or {}).get("rows", ())
        converted = sum((Decimal(row["amount_company"]) for row in rows), ZERO)
        texts.append(
            _("Taxes in %(own)s: %(amount)s, at 1 %(own)s = %(rate)s %(foreign)s.")
            % {
                "own": own.code,
                "amount": writer.money(converted, own),
                "rate": writer.number(invoice.rate),
                "foreign": invoice.currency.code,
            }
        )
    return texts
