"""What divides or restates a computed document: typed taxes, payments, early discounts, another currency.

What an early discount takes off at payment is in ``compute.terms`` (``discounted``, ``discount_parts``). Here is the
one treatment that touches the invoice itself: *mixed* computes the taxes on the discounted base.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, localcontext
from fractions import Fraction

from django.utils.translation import gettext as _

from apps.accounting.compute.taxes.plan import EXACT, clean_step, round_quotient
from apps.accounting.compute.taxes.specs import (
    HUNDRED,
    ZERO,
    DocumentTotals,
    LineTotals,
    ManualTaxRefused,
    PaymentShareError,
    RoundingPolicy,
    TaxError,
    TaxLine,
    TaxSpec,
)
from apps.accounting.compute.taxes.totals import compute_document
from apps.core.money import HALF_UP, Exact, MoneyError, exact, round_ratio, split_amount

# ------------------------------------------------------------------------------------------------------ typed taxes


def _spread(delta: Decimal, sizes: Sequence[Decimal], step: Decimal) -> list[Decimal]:
    weights = [abs(size) for size in sizes]
    return split_amount(delta, weights if any(weights) else len(weights), step)


def spread_manual_tax(totals: DocumentTotals, group_pk: int | None, amount: Decimal) -> DocumentTotals:
    """The document with the taxes of one group coming to ``amount``, as typed on a vendor's bill.

    The difference goes to the group's tax rows in proportion to their amounts, then to the lines in the same way;
    bases stay as they are. Taxes under reverse charge, which add nothing, take no part. Nothing is remembered:
    computing the document again forgets it, so the caller decides when a typed amount survives (same bases).

    Errors: ``ManualTaxRefused`` for an amount finer than the currency or a group without a tax row.
    """
    step = totals.step
    group = next((g for g in totals.groups if g.group_pk == group_pk), None)
    reverse = {row.tax for row in totals.rows if row.repartition.percent < 0}
    chosen = [n for n, row in enumerate(totals.rows) if row.group_pk == group_pk and row.tax not in reverse]
    if group is None or not chosen:
        raise ManualTaxRefused(_("No tax of this group is on the document: choose the tax on a line first."))
    if round_ratio(Fraction(exact(amount)), step, HALF_UP) != amount:
        raise ManualTaxRefused(
            _("A tax of %(amount)s is finer than the currency, whose smallest amount is %(step)s.")
            % {"amount": f"{amount:f}", "step": f"{step:f}"}
        )
    with localcontext(EXACT):
        delta = amount - group.amount
        if not delta:
            return totals
        rows = list(totals.rows)
        by_tax: dict[TaxSpec, Decimal] = {}
        void_by_tax: dict[TaxSpec, Decimal] = {}
        for n, part in zip(chosen, _spread(delta, [rows[n].amount for n in chosen], step), strict=True):
            tax = rows[n].tax
            by_tax[tax] = by_tax.get(tax, ZERO) + part
            if rows[n].repartition.account_pk is None:
                void_by_tax[tax] = void_by_tax.get(tax, ZERO) + part
            rows[n] = replace(rows[n], amount=rows[n].amount + part)
        lines = list(totals.lines)
        for tax, part in by_tax.items():
            _move_tax(lines, tax, part, void_by_tax.get(tax, ZERO), step)
        groups = (replace(g, amount=group.amount + delta) if g is group else g for g in totals.groups)
        return replace(
            totals,
            lines=tuple(lines),
            rows=tuple(rows),
            groups=tuple(groups),
            tax=totals.tax + delta,
            total=totals.total + delta,
        )


def _move_tax(lines: list[LineTotals], tax: TaxSpec, delta: Decimal, void: Decimal, step: Decimal) -> None:
    """Adds ``delta`` to the amounts of ``tax`` over the lines, in place."""
    places = [(i, k) for i, line in enumerate(lines) for k, part in enumerate(line.taxes) if part.tax == tax]
    sizes = [lines[i].taxes[k].amount for i, k in places]
    shares = zip(places, _spread(delta, sizes, step), _spread(void, sizes, step), strict=True)
    for (i, k), share, void_share in shares:
        line = lines[i]
        part = line.taxes[k]
        part = replace(part, amount=part.amount + share, charged=part.charged + share)
        taxes = (*line.taxes[:k], part, *line.taxes[k + 1 :])
        lines[i] = replace(line, total=line.total + share, void=line.void + void_share, taxes=taxes)


# --------------------------------------------------------------------------------------------------------- payments


def payment_share(
    amounts: Sequence[Decimal],
    *,
    total: Decimal,
    paid: Decimal,
    payment: Decimal,
    moved: Sequence[Decimal],
    step: Decimal,
) -> tuple[Decimal, ...]:
    """What one payment makes exigible of ``amounts`` (bases and taxes of a document, any number of them).

    Each gets amount × payment ÷ total, rounded; the payment that completes ``total`` gets exactly what is left of it.
    ``paid`` and ``moved`` are what earlier payments paid and moved. ``total`` and the payments are receivable amounts in
    company currency, and may be negative together (credit notes). Never more than what is left is moved.

    Errors: ``PaymentShareError`` for a payment of nothing, of the wrong sign, or of more than what is open.
    """
    step = clean_step(step)
    with localcontext(EXACT):
        open_before = total - paid
        if not total or not payment or payment * total < 0 or abs(payment) > abs(open_before):
            raise PaymentShareError(
                _("A payment of %(payment)s does not fit %(open)s open of a document of %(total)s.")
                % {"payment": f"{payment:f}", "open": f"{open_before:f}", "total": f"{total:f}"}
            )
        left = [amount - done for amount, done in zip(amounts, moved, strict=True)]
        if payment == open_before:
            return tuple(left)
        shares = [round_quotient(amount * abs(payment), abs(total) * step, step) for amount in amounts]
        pairs = zip(shares, left, strict=True)
        return tuple(share if abs(share) <= abs(rest) else rest for share, rest in pairs)


def payment_shares(
    amounts: Sequence[Decimal], payments: Sequence[Decimal], *, total: Decimal, step: Decimal
) -> list[tuple[Decimal, ...]]:
    """``payment_share`` for payments in their order."""
    paid, moved, result = ZERO, [ZERO] * len(amounts), []
    for payment in payments:
        shares = payment_share(amounts, total=total, paid=paid, payment=payment, moved=moved, step=step)
        result.append(shares)
        paid = EXACT.add(paid, payment)
        moved = [EXACT.add(done, share) for done, share in zip(moved, shares, strict=True)]
    return result


# -------------------------------------------------------------------------------------- early discount, mixed taxes


@dataclass(frozen=True, slots=True)
class MixedDocument:
    """A document whose taxes are computed on the discounted base.

    ``reductions`` (by line): what the ledger takes off the base under the line's base tags and puts back without.
    """

    totals: DocumentTotals
    reductions: tuple[Decimal, ...]


def compute_mixed(
    lines: Iterable[TaxLine],
    *,
    percent: Decimal,
    step: Decimal,
    rounding: RoundingPolicy,
    is_refund: bool = False,
) -> MixedDocument:
    """The document with its lines at full price and its taxes as if ``percent`` of early discount were taken.

    1000 at 21 % with 2 %: 1000 + 205.80 = 1205.80, whether paid early or not. Amounts per unit (fixed taxes) have
    nothing to discount and stay.

    Errors: ``TaxError`` for a percent outside 0–100.
    """
    if not 0 <= exact(percent) <= HUNDRED:
        raise TaxError(
            _("An early discount is between 0 and 100 %%, not %(percent)s %%.") % {"percent": percent}
        )
    lines = tuple(lines)
    with localcontext(EXACT):
        reduced_lines = [
            replace(line, discount=HUNDRED - (HUNDRED - line.discount) * (HUNDRED - percent) / HUNDRED)
            for line in lines
        ]
        full = compute_document(lines, step=step, rounding=rounding, is_refund=is_refund)
        reduced = compute_document(reduced_lines, step=step, rounding=rounding, is_refund=is_refund)
        reductions: list[Decimal] = []
        results: list[LineTotals] = []
        for whole, less in zip(full.lines, reduced.lines, strict=True):
            reduction = whole.subtotal - less.subtotal
            reductions.append(reduction)
            results.append(
                replace(
                    less, subtotal=whole.subtotal, total=less.total + reduction, void=less.void + reduction
                )
            )
        totals = replace(
            reduced, lines=tuple(results), untaxed=full.untaxed, total=full.untaxed + reduced.tax
        )
    return MixedDocument(totals, tuple(reductions))


# ------------------------------------------------------------------------------------------------- another currency


def convert_rows(
    amounts: Sequence[Exact], *, rate_from: Exact, rate_to: Exact, step: Decimal, balance_row: int
) -> list[Decimal]:
    """The signed rows of a balanced entry in another currency, balanced there too.

    Every row is converted (amount × rate_to ÷ rate_from) and rounded; ``balance_row``, the receivable or the last of
    its instalments, takes what the others leave. Rates as in ``apps.core.money.convert``.

    Errors: ``MoneyError`` when the rows do not add up to zero, or for a rate that is not positive.
    """
    rate_from, rate_to = exact(rate_from), exact(rate_to)
    if rate_from <= 0 or rate_to <= 0:
        raise MoneyError(_("Exchange rates must be greater than zero."))
    ratio = Fraction(rate_to) / Fraction(rate_from)
    with localcontext(EXACT):
        difference = sum((exact(amount) for amount in amounts), ZERO)
        if difference:
            raise MoneyError(
                _("The rows of an entry must balance; these are off by %(difference)s.")
                % {"difference": f"{difference:f}"}
            )
        result = [round_ratio(Fraction(exact(amount)) * ratio, step, HALF_UP) for amount in amounts]
        result[balance_row] -= sum(result, ZERO)
    return result
