"""Cash rounding: totals that coins can pay.

A rule has a ``step`` (the smallest coin, 0.05) and a method. The difference that it makes is either a line of its own
on a profit or loss account, or is taken into the biggest tax. Amounts are of the document's currency; a credit note
mirrors its invoice to the cent, because "up" means away from zero and "down" towards zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum

from django.utils.translation import gettext as _

from apps.core.errors import ValidationFailed
from apps.core.money import DOWN, HALF_UP, UP, WIDE, Rounding, round_to


class CashMethod(StrEnum):
    """Which multiple of the step is taken."""

    UP = "up"
    DOWN = "down"
    HALF_UP = "half_up"


_MODES: dict[str, Rounding] = {CashMethod.UP: UP, CashMethod.DOWN: DOWN, CashMethod.HALF_UP: HALF_UP}


class InvalidCashRounding(ValidationFailed):
    """A cash rounding that cannot be computed with; ``fields`` names the step or the method."""

    code = "invalid_cash_rounding"


def check_cash_rounding(step: Decimal, method: str) -> None:
    """Refuse a step of zero or less and a method that is none of ``CashMethod``.

    Errors: ``InvalidCashRounding`` (``cash_rounding_step``, ``cash_rounding_method``).
    """
    if not step.is_finite() or step <= 0:
        text = _("The smallest coin must be greater than zero.")
        raise InvalidCashRounding(text, code="cash_rounding_step", fields={"step": [text]})
    if method not in _MODES:
        text = _("Round up, down or to the nearest coin, not “%(method)s”.") % {"method": method}
        raise InvalidCashRounding(text, code="cash_rounding_method", fields={"method": [text]})


def cash_rounded(total: Decimal, step: Decimal, method: str = CashMethod.HALF_UP) -> Decimal:
    """``total`` as coins pay it: 23.91 at 0.05 to the nearest → 23.90."""
    check_cash_rounding(step, method)
    return WIDE.add(total, cash_difference(total, step, method))


def cash_difference(total: Decimal, step: Decimal, method: str = CashMethod.HALF_UP) -> Decimal:
    """What must be added to ``total`` to make it payable in coins: 23.91 at 0.05 to the nearest → −0.01.

    Zero when it already is; the size of the difference is always less than ``step``.
    """
    check_cash_rounding(step, method)
    difference = WIDE.subtract(round_to(total, step, _MODES[method]), total)
    return difference.copy_abs() if difference.is_zero() else difference


def biggest_tax(taxes: Sequence[Decimal]) -> int | None:
    """Index of the tax amount that takes the difference: the largest in size, the first of equals; None without tax."""
    best: int | None = None
    for index, amount in enumerate(taxes):
        if amount and (best is None or abs(amount) > abs(taxes[best])):
            best = index
    return best
