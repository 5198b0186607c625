"""What a chart of accounts consists of once it is read: frozen rows, no behaviour beyond look-ups.

Every row has a `key` that stays the same over all versions of a chart; a company that reloads its chart is
given the rows whose key it does not have yet. Percentages are Decimal; a tag is a box of the tax return with the
sign by which an amount enters it ("+81", "-85").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property

ACCOUNT_TYPES = {
    "asset_receivable": "asset",
    "asset_cash": "asset",
    "asset_current": "asset",
    "asset_non_current": "asset",
    "asset_prepayments": "asset",
    "asset_fixed": "asset",
    "liability_payable": "liability",
    "liability_credit_card": "liability",
    "liability_current": "liability",
    "liability_non_current": "liability",
    "equity": "equity",
    "equity_unaffected": "equity",
    "income": "income",
    "income_other": "income",
    "expense": "expense",
    "expense_depreciation": "expense",
    "expense_direct_cost": "expense",
    "off_balance": "off",
}
"""The eighteen types and the internal group each belongs to."""

Names = Mapping[str, str]
"""Language code -> wording; the chart's own language is first, English is always there."""


@dataclass(frozen=True, slots=True)
class AccountRow:
    """One account. `code` is what a new company gets; it may renumber, `key` stays."""

    key: str
    code: str
    type: str
    name: str
    name_en: str
    names: Names = field(repr=False, hash=False)
    reconcile: bool = False
    non_trade: bool = False

    @property
    def internal_group(self) -> str:
        return ACCOUNT_TYPES[self.type]


@dataclass(frozen=True, slots=True)
class GroupRow:
    """Accounts whose code starts within start..end; start and end have the same length."""

    key: str
    start: str
    end: str
    name: str
    name_en: str
    names: Names = field(repr=False, hash=False)


@dataclass(frozen=True, slots=True)
class TagRow:
    """A box of the tax return."""

    key: str
    name: str
    name_en: str
    names: Names = field(repr=False, hash=False)


@dataclass(frozen=True, slots=True)
class RepartitionRow:
    """Where one share of a base or a tax goes. `account` None = the account of the base line."""

    kind: str
    percent: Decimal
    account: str | None
    tags: tuple[str, ...]
    in_closing: bool = False


@dataclass(frozen=True, slots=True)
class TaxGroupRow:
    """Taxes shown as one line in the totals and closed onto the same three accounts."""

    key: str
    name: str
    name_en: str
    names: Names = field(repr=False, hash=False)
    sequence: int
    payable: str
    receivable: str
    advance: str | None


@dataclass(frozen=True, slots=True)
class TaxRow:
    """One tax; `rate` in percent (negative = withheld). `label` is printed on invoices."""

    key: str
    name: str
    name_en: str
    names: Names = field(repr=False, hash=False)
    label: str
    use: str
    scope: str | None
    amount_type: str
    rate: Decimal
    category: str | None
    exemption: str | None
    legal_note: str | None
    group: str
    price_include: bool | None
    include_base_amount: bool
    is_base_affected: bool
    exigibility: str
    transition_account: str | None
    active: bool
    sequence: int
    children: tuple[str, ...]
    invoice: tuple[RepartitionRow, ...]
    refund: tuple[RepartitionRow, ...]


@dataclass(frozen=True, slots=True)
class PositionRow:
    """A fiscal position: whom it is for, and which taxes and accounts it exchanges (no target = tax left out)."""

    key: str
    name: str
    name_en: str
    names: Names = field(repr=False, hash=False)
    sequence: int
    auto_apply: bool
    vat_required: bool
    country: str | None
    country_group: str | None
    zip_from: str | None
    zip_to: str | None
    note: str | None
    taxes: tuple[tuple[str, tuple[str, ...]], ...]
    accounts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class JournalRow:
    """A journal that a new company gets."""

    key: str
    code: str
    type: str
    name: str
    name_en: str
    names: Names = field(repr=False, hash=False)
    account: str | None = None


@dataclass(frozen=True, slots=True)
class Defaults:
    """The company settings a chart brings. Accounts are codes, taxes are keys of the same chart."""

    receivable: str
    payable: str
    income: str
    expense: str
    exchange_gain: str
    exchange_loss: str
    early_discount_gain: str
    early_discount_loss: str
    cash_difference_gain: str
    cash_difference_loss: str
    suspense: str
    outstanding_receipts: str
    outstanding_payments: str
    transfer: str
    unallocated_earnings: str
    tax_payable: str
    tax_receivable: str
    tax_advance: str | None
    cash_basis_base: str | None
    pos_receivable: str | None
    stock_valuation: str | None
    stock_received_not_billed: str | None
    stock_delivered_not_invoiced: str | None
    prepaid_expense: str | None
    deferred_income: str | None
    sale_tax: str
    purchase_tax: str
    sale_tax_services: str | None
    purchase_tax_services: str | None
    bank_prefix: str
    cash_prefix: str
    transfer_prefix: str
    code_digits: int
    currency: str | None
    country: str | None
    fiscal_year_end_month: int
    fiscal_year_end_day: int
    tax_rounding: str
    prices_include_tax: bool
    cash_basis: bool


@dataclass(frozen=True, slots=True)
class ChartInfo:
    """What a list of charts shows."""

    key: str
    title: str
    country: str | None
    version: str


@dataclass(frozen=True)
class ChartTemplate:
    """A chart read and checked: whoever holds one need not check references again."""

    key: str
    title: str
    country: str | None
    version: str
    languages: tuple[str, ...]
    defaults: Defaults
    accounts: tuple[AccountRow, ...] = field(repr=False)
    groups: tuple[GroupRow, ...] = field(repr=False)
    tags: tuple[TagRow, ...] = field(repr=False)
    tax_groups: tuple[TaxGroupRow, ...] = field(repr=False)
    taxes: tuple[TaxRow, ...] = field(repr=False)
    positions: tuple[PositionRow, ...] = field(repr=False)
    journals: tuple[JournalRow, ...] = field(repr=False)

    @property
    def info(self) -> ChartInfo:
        return ChartInfo(self.key, self.title, self.country, self.version)

    @cached_property
    def accounts_by_code(self) -> Mapping[str, AccountRow]:
        return {row.code: row for row in self.accounts}

    @cached_property
    def taxes_by_key(self) -> Mapping[str, TaxRow]:
        return {row.key: row for row in self.taxes}

    @cached_property
    def positions_by_key(self) -> Mapping[str, PositionRow]:
        return {row.key: row for row in self.positions}
