"""From the lines of a document to its totals, its due parts and its amounts in company currency.

``compute`` works on one document with the plain values of a ``DocumentSetup``; it asks the database nothing. ``store`` puts
the result on the document and its lines. Amounts of a document are positive whatever its type; ``RECEIVABLE_SIGN`` turns
them for the ledger. The order is: taxes (with the discounted base under *mixed* terms), taxes typed from a bill, cash
rounding, each row in company currency, the due parts.

In company currency every row is converted and rounded for itself, and the receivable is their sum, so that the entry
balances to the cent.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _

from apps.accounting.compute.rounding import biggest_tax, cash_difference
from apps.accounting.compute.taxes import (
    DocumentTotals,
    ManualTaxRefused,
    TaxLine,
    compute_document,
    compute_mixed,
    spread_manual_tax,
)
from apps.accounting.compute.terms import Instalment, instalments
from apps.accounting.constants import (
    CREDIT_NOTE_TYPES,
    PURCHASE_TYPES,
    RECEIPT_TYPES,
    RECEIVABLE_SIGN,
    LineKind,
)
from apps.accounting.models import CashRounding, Invoice
from apps.accounting.selectors.invoice_setup import DocumentSetup, TermSpec
from apps.core.errors import ValidationFailed
from apps.core.money import WIDE, round_to

ZERO = Decimal(0)
#: What a stored amount can hold with room for sums.
LIMIT = Decimal(10) ** 14


@dataclass(slots=True)
class Line:
    """A line of a document in memory. ``tax_pks`` ascending; ``pk`` is None until stored."""

    sequence: int = 10
    kind: str = LineKind.PRODUCT.value
    description: str = ""
    product_code: str = ""
    unit: str = ""
    quantity: Decimal = Decimal(1)
    unit_price: Decimal = ZERO
    discount: Decimal = ZERO
    account_pk: int | None = None
    tax_pks: tuple[int, ...] = ()
    subtotal: Decimal = ZERO
    total: Decimal = ZERO
    pk: int | None = None

    @property
    def is_product(self) -> bool:
        return self.kind == LineKind.PRODUCT


@dataclass(slots=True)
class Computed:
    """A document computed. Lists go with ``products`` (its lines that count) and with ``totals.rows``."""

    products: list[Line]
    totals: DocumentTotals
    reductions: tuple[Decimal, ...]
    rounding: Decimal
    line_company: list[Decimal]
    reductions_company: list[Decimal]
    row_company: list[Decimal]
    base_company: list[Decimal]
    rounding_company: Decimal
    untaxed_company: Decimal
    total: Decimal
    total_company: Decimal
    parts: list[Instalment]
    term: TermSpec | None
    cash_rounding: CashRounding | None
    #: Typed taxes that no longer fit: their group is gone or its base has changed.
    dropped_taxes: list[str]


def compute(invoice: Invoice, lines: Sequence[Line], setup: DocumentSetup) -> Computed:
    """Everything that follows from the lines of a document. The setup holds its company, currency, taxes and terms.

    Errors: ``ValidationFailed`` for taxes that cannot be computed, a typed tax that fits no row, amounts too large.
    """
    products = [line for line in lines if line.kind == LineKind.PRODUCT]
    currency = setup.currencies[invoice.currency_id]
    inclusion = setup.settings[invoice.company_id].price_inclusion
    term = None
    if invoice.payment_term_id is not None and invoice.type not in RECEIPT_TYPES:
        term = setup.terms.get(invoice.payment_term_id)
    tax_lines = [
        TaxLine(
            n,
            line.quantity,
            line.unit_price,
            line.discount,
            setup.combination(line.tax_pks, inclusion) if line.tax_pks else (),
            line.account_pk,
        )
        for n, line in enumerate(products)
    ]
    options: dict[str, Any] = {
        "step": currency.rounding,
        "rounding": invoice.tax_rounding,
        "is_refund": invoice.type in CREDIT_NOTE_TYPES,
    }
    reductions: tuple[Decimal, ...] = ()
    if term is not None and term.discount is not None and term.is_mixed:
        mixed = compute_mixed(tax_lines, percent=term.discount.percent, **options)
        totals, reductions = mixed.totals, mixed.reductions
    else:
        totals = compute_document(tax_lines, **options)
    dropped: list[str] = []
    if invoice.manual_taxes:
        totals, dropped = _typed_taxes(invoice, totals)
    rounding, cash = ZERO, None
    if invoice.cash_rounding_id is not None:
        cash = setup.roundings.get(invoice.cash_rounding_id)
        if cash is not None:
            totals, rounding = _rounded(totals, cash)
    if abs(totals.total) >= LIMIT or any(abs(line.subtotal) >= LIMIT for line in totals.lines):
        raise ValidationFailed(
            fields={"lines": [_("The amounts are too large: check quantities and prices.")]}
        )
    return _in_company_currency(invoice, products, totals, reductions, rounding, dropped, term, cash, setup)


# ------------------------------------------------------------------------------------------------------ typed taxes
def _typed_taxes(invoice: Invoice, totals: DocumentTotals) -> tuple[DocumentTotals, list[str]]:
    """Bills: the tax of a group as the vendor printed it. What was typed lives as long as the group's base."""
    if invoice.type not in PURCHASE_TYPES:
        raise ValidationFailed(fields={"manual_taxes": [_("Taxes are entered by hand on bills only.")]})
    before = {
        str(group["group"]): Decimal(group["base"])
        for group in (invoice.tax_totals or {}).get("groups", ())
        if group.get("manual")
    }
    bases = {str(group.group_pk): group.base for group in totals.groups}
    dropped: list[str] = []
    for key, typed in invoice.manual_taxes.items():
        if key not in bases or (key in before and before[key] != bases[key]):
            dropped.append(key)
            continue
        try:
            totals = spread_manual_tax(totals, int(key), Decimal(str(typed)))
        except ManualTaxRefused as exc:
            raise ValidationFailed(fields={"manual_taxes": [str(exc)]}) from exc
    return totals, dropped


# ---------------------------------------------------------------------------------------------------- cash rounding
def _rounded(totals: DocumentTotals, cash: CashRounding) -> tuple[DocumentTotals, Decimal]:
    """The document as coins pay it: a difference for a line of its own, or taken into the biggest tax."""
    difference = cash_difference(totals.total, cash.rounding, cash.method)
    if not difference:
        return totals, ZERO
    step = totals.step
    if round_to(difference, step) != difference:
        raise ValidationFailed(
            fields={"cash_rounding": [_("The smallest coin is finer than the currency of the document.")]}
        )
    difference = round_to(difference, step)
    if cash.strategy == CashRounding.Strategy.ADD_LINE:
        return totals, difference
    reverse = {row.tax for row in totals.rows if row.repartition.percent < 0}
    place = biggest_tax([ZERO if row.tax in reverse else row.amount for row in totals.rows])
    if place is None:
        return totals, ZERO
    return _into_tax(totals, place, difference), ZERO


def _into_tax(totals: DocumentTotals, place: int, difference: Decimal) -> DocumentTotals:
    """The document with one tax row, its group and the line that has most of it changed by ``difference``."""
    row = totals.rows[place]
    rows = list(totals.rows)
    rows[place] = replace(row, amount=row.amount + difference)
    groups = tuple(
        replace(group, amount=group.amount + difference) if group.group_pk == row.group_pk else group
        for group in totals.groups
    )
    sizes = {
        (n, k): abs(part.amount)
        for n, line in enumerate(totals.lines)
        for k, part in enumerate(line.taxes)
        if part.tax == row.tax
    }
    n, k = max(sizes, key=lambda at: (sizes[at], -at[0]))
    line = totals.lines[n]
    part = line.taxes[k]
    part = replace(part, amount=part.amount + difference, charged=part.charged + difference)
    lines = list(totals.lines)
    lines[n] = replace(
        line, total=line.total + difference, taxes=(*line.taxes[:k], part, *line.taxes[k + 1 :])
    )
    return replace(
        totals,
        lines=tuple(lines),
        rows=tuple(rows),
        groups=groups,
        tax=totals.tax + difference,
        total=totals.total + difference,
    )


# ------------------------------------------------------------------------------------------------- company currency
def _in_company_currency(
    invoice: Invoice,
    products: list[Line],
    totals: DocumentTotals,
    reductions: tuple[Decimal, ...],
    rounding: Decimal,
    dropped: list[str],
    term: TermSpec | None,
    cash: CashRounding | None,
    setup: DocumentSetup,
) -> Computed:
    company = setup.companies[invoice.company_id]
    total = totals.total + rounding
    line_company = [line.subtotal for line in totals.lines]
    row_company = [row.amount for row in totals.rows]
    base_company = [row.base for row in totals.rows]
    reductions_company = list(reductions)
    rounding_company = rounding
    untaxed_company, total_company = totals.untaxed, total
    company_step = totals.step
    if invoice.currency_id != company.currency_id:
        company_step, rate = company.currency.rounding, invoice.rate

        def converted(amount: Decimal) -> Decimal:
            return round_to(WIDE.divide(amount, rate), company_step)

        line_company = [converted(amount) for amount in line_company]
        row_company = [converted(amount) for amount in row_company]
        base_company = [converted(amount) for amount in base_company]
        reductions_company = [converted(amount) for amount in reductions_company]
        rounding_company = converted(rounding)
        rows_sum = sum(row_company, ZERO) + rounding_company
        untaxed_company = sum(line_company, ZERO)
        total_company = untaxed_company + rows_sum
        # What roundings leave must not give the receivable a side that the document does not have.
        if total_company and (total == 0 or (total > 0) != (total_company > 0)) and line_company:
            largest = max(range(len(line_company)), key=lambda n: (abs(line_company[n]), -n))
            line_company[largest] -= total_company
            untaxed_company -= total_company
            total_company = ZERO
    start = invoice.date or setup.today(invoice.company_id)
    parts = _due_parts(invoice, term, total, total_company, totals, untaxed_company, start, company_step)
    return Computed(
        products=products,
        totals=totals,
        reductions=reductions,
        rounding=rounding,
        line_company=line_company,
        reductions_company=reductions_company,
        row_company=row_company,
        base_company=base_company,
        rounding_company=rounding_company,
        untaxed_company=untaxed_company,
        total=total,
        total_company=total_company,
        parts=parts,
        term=term,
        cash_rounding=cash,
        dropped_taxes=dropped,
    )


def _due_parts(
    invoice: Invoice,
    term: TermSpec | None,
    total: Decimal,
    total_company: Decimal,
    totals: DocumentTotals,
    untaxed_company: Decimal,
    start: datetime.date,
    company_step: Decimal,
) -> list[Instalment]:
    if term is None or not term.lines:
        due = invoice.due_date if invoice.due_date and invoice.due_date >= start else start
        return [Instalment(due, total, total_company)]
    return instalments(
        total,
        total_company,
        term.lines,
        start,
        totals.step,
        company_step,
        discount=term.discount,
        untaxed=totals.untaxed,
        untaxed_company=untaxed_company,
    )


# ---------------------------------------------------------------------------------------------------------- storing
STORED = (
    "untaxed_amount",
    "tax_amount",
    "rounding_amount",
    "total_amount",
    "residual_amount",
    "untaxed_company",
    "total_company",
    "residual_company",
    "tax_totals",
    "instalments",
    "manual_taxes",
    "due_date",
)


def store(invoice: Invoice, computed: Computed, setup: DocumentSetup) -> None:
    """Put the result on the document and its lines, in memory. A draft owes nothing: its residuals are zero."""
    totals, sign = computed.totals, RECEIVABLE_SIGN[invoice.type]  # type: ignore[index]
    for line, result in zip(computed.products, totals.lines, strict=True):
        line.subtotal, line.total = result.subtotal, result.total
    if computed.dropped_taxes:
        invoice.manual_taxes = {
            key: typed for key, typed in invoice.manual_taxes.items() if key not in computed.dropped_taxes
        }
    invoice.untaxed_amount = totals.untaxed
    invoice.tax_amount = totals.tax
    invoice.rounding_amount = computed.rounding
    invoice.total_amount = computed.total
    invoice.untaxed_company = computed.untaxed_company * sign
    invoice.total_company = computed.total_company * sign
    invoice.residual_amount = invoice.residual_company = ZERO
    invoice.tax_totals = tax_summary(invoice, computed, setup)
    invoice.instalments = [_part_json(part) for part in computed.parts]
    if invoice.date is not None:
        invoice.due_date = max(part.date for part in computed.parts)


def _part_json(part: Instalment) -> dict[str, Any]:
    row = {
        "date": part.date.isoformat(),
        "amount": str(part.amount),
        "amount_company": str(part.amount_company),
    }
    if part.discount_date is not None:
        row |= {
            "discount_date": part.discount_date.isoformat(),
            "discount_amount": str(part.discount_amount),
            "discount_amount_company": str(part.discount_amount_company),
        }
    return row


def tax_summary(invoice: Invoice, computed: Computed, setup: DocumentSetup) -> dict[str, Any]:
    """What ``tax_totals`` holds: rows as the ledger books them, and the box by tax group as documents show it.

    Amounts are texts in the document's currency, ``…_company`` in the company's; all positive on an ordinary document.
    """
    totals = computed.totals
    groups = []
    for group in totals.groups:
        row = _group_row(group.group_pk, totals, setup)
        groups.append(
            {
                "group": group.group_pk,
                "name": row.name if row is not None else "",
                "base": str(group.base),
                "amount": str(group.amount),
                **({"manual": True} if str(group.group_pk) in invoice.manual_taxes else {}),
            }
        )
    if len(groups) > 1:
        order = {
            tax.group_id: (tax.group.sequence, tax.group_id) for tax in setup.taxes.values() if tax.group_id
        }
        groups.sort(key=lambda row: order.get(row["group"], (0, 0)))  # type: ignore[arg-type]
    return {
        "rounding": totals.rounding,
        "untaxed": str(totals.untaxed),
        "tax": str(totals.tax),
        "cash_rounding": str(computed.rounding),
        "total": str(computed.total),
        "groups": groups,
        "rows": [
            {
                "tax": row.tax.pk,
                "name": setup.tax_label(row.tax.pk),
                "group": row.tax.group_pk,
                "repartition": row.repartition.pk,
                "percent": f"{row.repartition.percent.normalize():f}",
                "account": row.account_pk,
                "tags": list(row.tag_pks),
                "base_of": [tax.pk for tax in row.base_of],
                "base_tags": list(row.base_tag_pks),
                "final_account": row.final_account_pk,
                "final_tags": list(row.final_tag_pks),
                "on_payment": row.tax.on_payment,
                "base": str(row.base),
                "amount": str(row.amount),
                "amount_company": str(company),
            }
            for row, company in zip(totals.rows, computed.row_company, strict=True)
        ],
    }


def _group_row(group_pk: int | None, totals: DocumentTotals, setup: DocumentSetup) -> Any:
    for row in totals.rows:
        if row.group_pk == group_pk:
            return setup.taxes[row.tax.pk].group
    return None
