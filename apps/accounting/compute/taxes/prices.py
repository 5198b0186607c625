"""Prices worked out from taxes: across a fiscal position, and backwards from a total."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, localcontext
from fractions import Fraction

from django.utils.translation import gettext as _

from apps.accounting.compute.taxes.plan import EXACT, clean_step, plan_for, round_quotient
from apps.accounting.compute.taxes.specs import (
    ZERO,
    RoundingPolicy,
    TaxDefinitionError,
    TaxLine,
    TaxSpec,
    UnreachableTotal,
)
from apps.accounting.compute.taxes.totals import compute_document
from apps.core.money import HALF_UP, PRICE_STEP, exact, round_ratio


def map_price(
    unit_price: Decimal,
    old_taxes: tuple[TaxSpec, ...],
    new_taxes: tuple[TaxSpec, ...],
    *,
    step: Decimal = PRICE_STEP,
) -> Decimal:
    """The unit price that leaves the seller the same untaxed amount when ``new_taxes`` stand in for ``old_taxes``.

    What the old taxes included in the price is taken out, what the new ones include is put in: 121 with 21 % included
    becomes 106 with 6 % included and 100 with a tax on top or none. Rounded once, to ``step`` (the precision of
    prices, not of amounts). The same taxes leave the price alone, digit for digit.

    Errors: ``TaxDefinitionError`` when the new taxes would take the whole price.
    """
    price = exact(unit_price)
    if old_taxes == new_taxes:
        return price
    old, new = plan_for(old_taxes, None, False), plan_for(new_taxes, None, False)
    if not old.included and not new.included:
        return price
    sign = -1 if price < 0 else 1
    untaxed = old.untaxed.price * Fraction(price) + old.untaxed.quantity * sign
    if new.untaxed.price <= 0:
        raise TaxDefinitionError(_("These taxes leave nothing of a price that includes them."))
    # Per-unit taxes keep the direction of the price, also where the untaxed amount is nothing.
    return round_ratio((untaxed - new.untaxed.quantity * sign) / new.untaxed.price, step, HALF_UP)


def solve_unit_price(
    total: Decimal,
    taxes: tuple[TaxSpec, ...],
    *,
    step: Decimal,
    rounding: RoundingPolicy,
    price_step: Decimal = PRICE_STEP,
    is_refund: bool = False,
) -> Decimal:
    """The price of one unit with which a document of that one line comes to ``total``, to the coin.

    A price in whole coins is preferred, the one nearest to the exact answer; rounding by total can reach further with
    finer prices, down to ``price_step``. By line a price finer than a coin changes nothing.

    Errors: ``UnreachableTotal`` when no price does it: at 21 % by line, 0.02 + 0.00 is followed by 0.03 + 0.01, and
    0.03 is never a total.
    """
    step = clean_step(step)
    total = exact(total)
    if total < 0:
        return -solve_unit_price(
            -total, taxes, step=step, rounding=rounding, price_step=price_step, is_refund=is_refund
        )

    def total_at(price: Decimal) -> Decimal:
        line = TaxLine("total", Decimal(1), price, taxes=taxes)
        return compute_document((line,), step=step, rounding=rounding, is_refund=is_refund).total

    plan = plan_for(taxes, None, is_refund)
    charged = [plan.amounts[k] for k, split in enumerate(plan.splits) if split.charged]
    slope = plan.untaxed.price + sum((factor.price for factor in charged), Fraction(0))
    start = plan.untaxed.quantity + sum((factor.quantity for factor in charged), Fraction(0))
    if slope <= 0:
        raise UnreachableTotal(_("These taxes take the whole price, so that no price makes a total."))
    guess = round_ratio((Fraction(total) - start) / slope, step, HALF_UP)
    # Each rounding of a tax is off by half a coin at most; further away than that the total cannot match.
    reach = 2 + int((len(plan.taxes) + 1) / slope)
    for distance in range(reach + 1):
        for price in (guess,) if not distance else (guess - distance * step, guess + distance * step):
            if price >= 0 and total_at(price) == total:
                return price
    if rounding == "total" and price_step < step:
        low, high = guess - reach * step, guess + reach * step
        found = _bisect(total, max(low, ZERO), high, price_step, total_at)
        if found is not None:
            return found
    raise UnreachableTotal(
        _("No price with these taxes makes a total of exactly %(total)s.") % {"total": f"{total:f}"}
    )


def _bisect(
    total: Decimal,
    low: Decimal,
    high: Decimal,
    price_step: Decimal,
    total_at: Callable[[Decimal], Decimal],
) -> Decimal | None:
    """The smallest price from ``low`` to ``high`` that reaches ``total``, if it does so exactly.

    Totals do not fall as prices rise (a negative tax takes back less than the price gives), so halving finds it.
    """
    with localcontext(EXACT):
        first = int(round_quotient(low, price_step, Decimal(1)))
        last = int(round_quotient(high, price_step, Decimal(1)))
        while first < last:
            middle = (first + last) // 2
            if total_at(middle * price_step) < total:
                first = middle + 1
            else:
                last = middle
        price = first * price_step
    return price if total_at(price) == total else None
