"""Which lists of shares make a tax. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.utils.translation import gettext as _

from apps.core.money import round_to

BASE, TAX = "base", "tax"
_STEP = Decimal("0.01")
_FULL = Decimal(100)


@dataclass(frozen=True, slots=True)
class Share:
    """One row of a list: what of (base or tax) and how much of it, in percent."""

    kind: str
    percent: Decimal = _FULL


def faults_of_shares(invoice: Sequence[Share], refund: Sequence[Share]) -> list[str]:
    """What is wrong with the two lists of a tax, in words; empty when nothing is.

    Each has one base and at least one share of the tax; positive shares add up to 100 %, negative ones to -100 % or
    nothing. Credit notes mirror invoices: the same shares in the same order.
    """
    faults: list[str] = []
    for title, rows in ((_("invoices"), invoice), (_("credit notes"), refund)):
        bases = sum(row.kind == BASE for row in rows)
        if bases != 1:
            faults.append(
                _("There must be one base line for %(documents)s, not %(n)d.")
                % {"documents": title, "n": bases}
            )
        taxes = [row.percent for row in rows if row.kind == TAX]
        if not taxes:
            faults.append(_("There is no share of the tax for %(documents)s.") % {"documents": title})
            continue
        positive = sum((percent for percent in taxes if percent > 0), Decimal(0))
        negative = sum((percent for percent in taxes if percent < 0), Decimal(0))
        if round_to(positive, _STEP) != _FULL:
            faults.append(
                _("Positive shares for %(documents)s add up to %(sum)s %%, not to 100 %%.")
                % {"documents": title, "sum": f"{positive.normalize():f}"}
            )
        if negative and round_to(negative, _STEP) != -_FULL:
            faults.append(
                _("Negative shares for %(documents)s add up to %(sum)s %%, not to -100 %%.")
                % {"documents": title, "sum": f"{negative.normalize():f}"}
            )
    if not faults:
        pairs = [[row.percent for row in rows if row.kind == TAX] for rows in (invoice, refund)]
        if pairs[0] != pairs[1]:
            faults.append(_("Credit notes must have the same shares as invoices, in the same order."))
    return faults
