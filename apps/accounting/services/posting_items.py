"""A computed document as the items of its journal entry. Pure apart from the records it is given.

One item a line, one a part of each tax, the cash rounding, and one a due part on the receivable or payable. Under *mixed*
terms the discount is taken off the taxed base and put back without tax, so that the boxes of the return see what the tax was
computed on. Every item names the commercial entity and carries the taxes and boxes as they are now: editing a tax later
changes nothing that was booked.
"""

from __future__ import annotations

from decimal import Decimal

from django.utils.translation import gettext as _

from apps.accounting.constants import CREDIT_NOTE_TYPES, RECEIVABLE_SIGN, ItemKind
from apps.accounting.models import Invoice
from apps.accounting.selectors.invoice_setup import DocumentSetup
from apps.accounting.services.invoice_totals import Computed
from apps.accounting.services.ledger import ItemSpec

ZERO = Decimal(0)
PRODUCT = ItemKind.PRODUCT.value
TAX = ItemKind.TAX.value
ROUNDING = ItemKind.ROUNDING.value
EARLY_DISCOUNT = ItemKind.EARLY_DISCOUNT.value
PAYMENT_TERM = ItemKind.PAYMENT_TERM.value


def items_of(
    invoice: Invoice, computed: Computed, setup: DocumentSetup, *, account_pk: int, label: str
) -> list[ItemSpec]:
    """The items of a document's entry; they add up to zero in both currencies.

    ``account_pk`` is the receivable or payable, ``label`` the text of its items.
    """
    sign = RECEIVABLE_SIGN[invoice.type]  # type: ignore[index]
    currency, partner = invoice.currency_id, invoice.commercial_partner_id
    items: list[ItemSpec] = []
    known: dict[tuple[int, ...], tuple[int, ...]] = {}
    for line, result, company in zip(
        computed.products, computed.totals.lines, computed.line_company, strict=True
    ):
        tax_pks = known.get(line.tax_pks)
        if tax_pks is None:  # groups count as the taxes they consist of
            tax_pks = known[line.tax_pks] = tuple(part.tax.pk for part in result.taxes)
        items.append(
            ItemSpec(
                line.account_pk,  # type: ignore[arg-type]
                -company if sign > 0 else company,
                currency,
                -result.subtotal if sign > 0 else result.subtotal,
                partner,
                line.description,
                PRODUCT,
                quantity=line.quantity,
                tax_pks=tax_pks,
                tag_pks=result.base_tag_pks,
            )
        )
    if any(computed.reductions):
        items += _discounted_bases(invoice, computed, sign)
    for row, company, base in zip(
        computed.totals.rows, computed.row_company, computed.base_company, strict=True
    ):
        if row.amount or company:
            items.append(
                ItemSpec(
                    row.account_pk,  # type: ignore[arg-type]
                    -company * sign,
                    currency,
                    -row.amount * sign,
                    partner,
                    setup.tax_label(row.tax.pk),
                    TAX,
                    tax_pk=row.tax.pk,
                    repartition_pk=row.repartition.pk,
                    tax_base_amount=-base * sign,
                    tax_pks=tuple(tax.pk for tax in row.base_of),
                    tag_pks=(*row.tag_pks, *row.base_tag_pks),
                )
            )
    if computed.rounding or computed.rounding_company:
        items.append(_rounding_item(invoice, computed, sign))
    for part in computed.parts:
        discount = part.discount_amount
        items.append(
            ItemSpec(
                account_pk,
                part.amount_company * sign,
                currency,
                part.amount * sign,
                partner,
                label,
                PAYMENT_TERM,
                part.date,
                part.discount_date,
                None if discount is None else discount * sign,
            )
        )
    return items


def _rounding_item(invoice: Invoice, computed: Computed, sign: int) -> ItemSpec:
    """The difference that coins make: a gain on the credit side, a loss on the debit side; a credit note takes back what
    its invoice booked, on the same account."""
    rule = computed.cash_rounding
    assert rule is not None
    balance, amount = -computed.rounding_company * sign, -computed.rounding * sign
    is_loss = ((balance or amount) > 0) != (invoice.type in CREDIT_NOTE_TYPES)
    account = rule.loss_account_id if is_loss else rule.profit_account_id
    assert account is not None  # a constraint of the rule
    return ItemSpec(
        account, balance, invoice.currency_id, amount, invoice.commercial_partner_id, rule.name, ROUNDING
    )


def _discounted_bases(invoice: Invoice, computed: Computed, sign: int) -> list[ItemSpec]:
    """The early discount off the taxed bases, and back without tax, by account and taxes of the lines."""
    sums: dict[tuple[int | None, tuple[int, ...], tuple[int, ...]], list[Decimal]] = {}
    for line, result, amount, company in zip(
        computed.products,
        computed.totals.lines,
        computed.reductions,
        computed.reductions_company,
        strict=True,
    ):
        taxes = tuple(part.tax.pk for part in result.taxes)
        if not taxes:
            continue
        total = sums.setdefault((line.account_pk, taxes, result.base_tag_pks), [ZERO, ZERO])
        total[0] += company
        total[1] += amount
    items = []
    for (account, taxes, tags), (company, amount) in sums.items():
        for side in (sign, -sign):
            items.append(
                ItemSpec(
                    account,  # type: ignore[arg-type]
                    company * side,
                    invoice.currency_id,
                    amount * side,
                    invoice.commercial_partner_id,
                    _("Early payment discount"),
                    EARLY_DISCOUNT,
                    tax_pks=taxes if side == sign else (),
                    tag_pks=tags if side == sign else (),
                )
            )
    return items
