"""The values taxes are computed from and the values that come out. No database, no rounding, no behaviour.

Rates are percentages (``21`` is 21 %), fixed amounts are per unit of quantity in the currency of the document,
repartition percents are signed shares of the tax (``100`` is all of it, ``-100`` gives all of it back).
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from apps.core.errors import ValidationFailed

AmountType = Literal["percent", "fixed", "division", "group"]
Use = Literal["sale", "purchase", "none"]
Exigibility = Literal["invoice", "payment"]
#: ``line``: every line rounds its base and its taxes; ``total``: the document rounds each tax once.
RoundingPolicy = Literal["line", "total"]
#: ``None``: every tax says whether the price contains it; else all of them are taken so for this line.
PriceMode = Literal["excluded", "included"] | None

ZERO = Decimal(0)
HUNDRED = Decimal(100)


class TaxError(ValidationFailed):
    """Taxes or amounts that cannot be computed with; ``code`` names the reason."""

    code = "invalid_taxes"


class TaxDefinitionError(TaxError):
    """A tax, or a combination of taxes, that has no meaningful amount."""

    code = "tax_definition"


class UnreachableTotal(TaxError):
    """No unit price makes the document come to the wanted total."""

    code = "unreachable_total"


class ManualTaxRefused(TaxError):
    """A typed tax amount that has no tax line of its group to go to, or is finer than the currency."""

    code = "manual_tax"


class PaymentShareError(TaxError):
    """A payment that does not fit the document it is said to pay."""

    code = "payment_share"


@dataclass(frozen=True, slots=True)
class Repartition:
    """One part of a tax: how much of it, to which account, under which report tags.

    Without an account the part belongs to the account of the line itself (a cost that cannot be deducted).
    """

    percent: Decimal = HUNDRED
    account_pk: int | None = None
    tag_pks: tuple[int, ...] = ()
    pk: int | None = None
    in_closing: bool = False


@dataclass(frozen=True, slots=True)
class TaxSpec:
    """A tax as the computation sees it: a value, compared by value, safe to keep between documents.

    Empty repartition lists stand for one part of 100 % without an account. ``include_base_amount``: later taxes are
    charged on this one too; ``is_base_affected``: this one is charged on such earlier taxes.
    """

    pk: int
    name: str = ""
    amount_type: AmountType = "percent"
    amount: Decimal = ZERO
    price_include: bool = False
    include_base_amount: bool = False
    is_base_affected: bool = True
    sequence: int = 1
    use: Use = "sale"
    children: tuple[TaxSpec, ...] = ()
    invoice_base_tag_pks: tuple[int, ...] = ()
    refund_base_tag_pks: tuple[int, ...] = ()
    invoice_repartition: tuple[Repartition, ...] = ()
    refund_repartition: tuple[Repartition, ...] = ()
    exigibility: Exigibility = "invoice"
    transition_account_pk: int | None = None
    group_pk: int | None = None

    def __hash__(self) -> int:
        # Cheap on purpose: combinations of taxes are looked up once a line. Equality still compares every field.
        return hash(self.pk)

    @property
    def on_payment(self) -> bool:
        return self.exigibility == "payment"

    @property
    def has_negative(self) -> bool:
        """Whether part of it is given back (reverse charge)."""
        return any(part.percent < 0 for part in self.invoice_repartition)


@dataclass(frozen=True, slots=True)
class TaxLine:
    """A line to compute: quantity × unit price less discount (percent), and its taxes in any order."""

    key: Hashable
    quantity: Decimal
    unit_price: Decimal
    discount: Decimal = ZERO
    taxes: tuple[TaxSpec, ...] = ()
    account_pk: int | None = None
    price_mode: PriceMode = None


@dataclass(frozen=True, slots=True)
class LineTax:
    """One tax of one line, rounded. ``charged`` is what it adds to the total: nothing under reverse charge."""

    tax: TaxSpec
    base: Decimal
    amount: Decimal
    charged: Decimal


@dataclass(frozen=True, slots=True)
class LineTotals:
    """One line, rounded: total = subtotal + Σ charged. ``void`` = subtotal + the tax parts that have no account."""

    key: Hashable
    subtotal: Decimal
    total: Decimal
    void: Decimal
    taxes: tuple[LineTax, ...]
    base_tag_pks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TaxRow:
    """A journal item to be: one part of one tax on one account.

    ``base_of`` are the later taxes charged on this one and ``base_tag_pks`` their base tags, which the item must
    carry besides its own ``tag_pks`` so that the ledger reproduces every base. A tax exigible on payment stands on
    its transition account without tags; ``final_account_pk`` and ``final_tag_pks`` say where it goes when paid.
    """

    tax: TaxSpec
    repartition: Repartition
    account_pk: int | None
    tag_pks: tuple[int, ...]
    base_of: tuple[TaxSpec, ...]
    base_tag_pks: tuple[int, ...]
    final_account_pk: int | None
    final_tag_pks: tuple[int, ...]
    base: Decimal
    amount: Decimal

    @property
    def group_pk(self) -> int | None:
        return self.tax.group_pk


@dataclass(frozen=True, slots=True)
class TaxGroupTotals:
    """What the totals box shows for one tax group; a line counts once in the base, whatever its number of taxes."""

    group_pk: int | None
    base: Decimal
    amount: Decimal


@dataclass(frozen=True, slots=True)
class DocumentTotals:
    """A document computed. Σ lines.subtotal = untaxed, Σ rows.amount = Σ groups.amount = tax, Σ lines.total = total."""

    lines: tuple[LineTotals, ...]
    rows: tuple[TaxRow, ...]
    groups: tuple[TaxGroupTotals, ...]
    untaxed: Decimal
    tax: Decimal
    total: Decimal
    step: Decimal
    rounding: RoundingPolicy
    is_refund: bool
