"""What must hold in a chart as a whole. Every check reports; none repairs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from itertools import pairwise

from apps.accounting.compute.chart_files import Problems, Table, TomlFile
from apps.accounting.compute.chart_model import (
    AccountRow,
    Defaults,
    GroupRow,
    JournalRow,
    PositionRow,
    RepartitionRow,
    TagRow,
    TaxGroupRow,
    TaxRow,
)

_CODE = re.compile(r"^[A-Za-z0-9.]{1,64}$")
_COUNTRY = re.compile(r"^[A-Z]{2}$")
_CURRENCY = re.compile(r"^[A-Z]{3}$")
_EXEMPTION = re.compile(r"^VATEX-[A-Z]{2}-[A-Z0-9-]+$")
_TAG = re.compile(r"^[+-]\S.*$")
FULL = Decimal(100)

NEEDS_REASON = ("E", "AE", "K", "G", "O")
"""Categories whose invoice must say why no tax is charged (EN 16931 BR-E-10 and its like)."""
OWN_CODE = {"AE": "VATEX-EU-AE", "K": "VATEX-EU-IC", "G": "VATEX-EU-G", "O": "VATEX-EU-O"}
"""Codes that belong to one category and to no other."""

_CURRENT = ("asset_current", "liability_current", "asset_receivable", "liability_payable")
_RESULT = ("income", "income_other", "expense", "expense_direct_cost")
ROLE_TYPES: dict[str, tuple[str, ...]] = {
    "receivable": ("asset_receivable",),
    "payable": ("liability_payable",),
    "pos_receivable": ("asset_receivable",),
    "income": ("income",),
    "expense": ("expense", "expense_direct_cost"),
    "exchange_gain": _RESULT,
    "exchange_loss": _RESULT,
    "early_discount_gain": _RESULT,
    "early_discount_loss": _RESULT,
    "cash_difference_gain": _RESULT,
    "cash_difference_loss": _RESULT,
    "suspense": ("asset_current", "liability_current"),
    "outstanding_receipts": ("asset_current",),
    "outstanding_payments": ("asset_current", "liability_current"),
    "transfer": ("asset_current",),
    "unallocated_earnings": ("equity_unaffected",),
    "tax_payable": _CURRENT,
    "tax_receivable": _CURRENT,
    "tax_advance": _CURRENT,
    "cash_basis_base": _RESULT + _CURRENT,
    "stock_valuation": ("asset_current",),
    "stock_received_not_billed": _CURRENT,
    "stock_delivered_not_invoiced": _CURRENT,
    "prepaid_expense": ("asset_prepayments", "asset_current"),
    "deferred_income": ("liability_current",),
}
RECONCILED_ROLES = ("suspense", "outstanding_receipts", "outstanding_payments", "transfer")

REQUIRED_JOURNALS = {
    "INV": "sale", "BILL": "purchase", "MISC": "general", "EXCH": "general", "CABA": "general", "BNK1": "bank",
    "CSH1": "cash",
}  # fmt: skip


def check_chart(
    problems: Problems,
    chart_file: TomlFile,
    defaults: Defaults,
    *,
    accounts: Sequence[tuple[AccountRow, Table]],
    groups: Sequence[tuple[GroupRow, Table]],
    tags: Sequence[tuple[TagRow, Table]],
    tax_groups: Sequence[tuple[TaxGroupRow, Table]],
    taxes: Sequence[tuple[TaxRow, Table]],
    positions: Sequence[tuple[PositionRow, Table]],
    journals: Sequence[tuple[JournalRow, Table]],
) -> None:
    """Report everything that does not hold between the rows of a chart."""
    by_code = {row.code: row for row, _ in accounts}
    _check_accounts(problems, accounts, defaults.code_digits)
    _check_groups(groups)
    _unique(((row.key, table) for row, table in tags), "box")
    _check_defaults(chart_file, defaults, by_code, {row.key: row for row, _ in taxes})
    _check_journals(chart_file, journals, by_code)
    for group, table in tax_groups:
        for role in ("payable", "receivable", "advance"):
            _known_account(table, by_code, getattr(group, role), role, _CURRENT)
    checker = _TaxCheck(
        by_code=by_code,
        tags={row.key for row, _ in tags},
        groups={row.key for row, _ in tax_groups},
        taxes={row.key: row for row, _ in taxes},
    )
    names: dict[tuple[str, str, str | None], str] = {}
    for tax, table in taxes:
        checker.check(tax, table)
        other = names.setdefault((tax.name, tax.use, tax.scope), tax.key)
        if other != tax.key:
            table.fault(f"{tax.key}: has name, use and scope of '{other}'; give it a name of its own", "name")
    _check_positions(positions, by_code, checker.taxes)


def _unique(rows: Iterable[tuple[str, Table]], what: str) -> None:
    seen: dict[str, Table] = {}
    for key, table in rows:
        first = seen.setdefault(key, table)
        if first is not table:
            table.fault(f"{what} '{key}' stands in line {first.line} already; remove one of them")


def _check_accounts(problems: Problems, accounts: Sequence[tuple[AccountRow, Table]], digits: int) -> None:
    _unique(((row.code, table) for row, table in accounts), "account")
    _unique(((row.key, table) for row, table in accounts if row.key != row.code), "key")
    for row, table in accounts:
        if not _CODE.match(row.code):
            table.fault(f"account '{row.code}': a code has letters, digits and dots only")
        elif len(row.code) != digits:
            table.fault(
                f"account {row.code}: has {len(row.code)} digits, the chart has {digits}; pad or shorten it"
            )
        if row.reconcile and row.type in ("off_balance", "asset_cash", "liability_credit_card"):
            table.fault(
                f"account {row.code}: an account of type {row.type} is not reconciled; remove the option"
            )
        if row.non_trade and row.type not in ("asset_receivable", "liability_payable"):
            table.fault(
                f"account {row.code}: non_trade is for receivables and payables only; remove the option"
            )
    unaffected = [(row, table) for row, table in accounts if row.type == "equity_unaffected"]
    if not unaffected:
        problems.add("accounts.csv", 1, "no account has the type equity_unaffected; exactly one must have it")
    for row, table in unaffected[1:]:
        first = unaffected[0][0].code
        table.fault(
            f"account {row.code}: equity_unaffected is {first} already; only one account may have this type"
        )


def _check_groups(groups: Sequence[tuple[GroupRow, Table]]) -> None:
    by_length: dict[int, list[tuple[GroupRow, Table]]] = {}
    for row, table in groups:
        if len(row.start) != len(row.end) or row.start > row.end:
            table.fault(f"group {row.key}: start and end must have the same length and be in order")
        by_length.setdefault(len(row.start), []).append((row, table))
    for same in by_length.values():
        ordered = sorted(same, key=lambda pair: (pair[0].start, pair[0].end))
        for (before, _), (row, table) in pairwise(ordered):
            if row.start <= before.end:
                table.fault(f"group {row.key}: overlaps group {before.key}; change one of the ranges")


def _known_account(
    table: Table, by_code: dict[str, AccountRow], code: str | None, name: str, types: tuple[str, ...] = ()
) -> AccountRow | None:
    if not code:
        return None
    account = by_code.get(code)
    if account is None:
        table.fault(
            f"{table.key}: {name} is account '{code}', which accounts.csv does not have; add or correct it",
            name,
        )
    elif types and account.type not in types:
        table.fault(
            f"{table.key}: {name} is {code} of type {account.type}; it must be {' or '.join(types)}", name
        )
    return account


def _check_defaults(
    file: TomlFile, defaults: Defaults, by_code: dict[str, AccountRow], taxes: dict[str, TaxRow]
) -> None:
    roles = file.table("accounts")
    for role, types in ROLE_TYPES.items():
        account = _known_account(roles, by_code, getattr(defaults, role), role, types)
        if account is not None and role in RECONCILED_ROLES and not account.reconcile:
            roles.fault(f"accounts: {role} is {account.code}, which needs the option reconcile", role)
    table = file.table("taxes")
    for name, use in (("sale", "sale"), ("purchase", "purchase")):
        for suffix in ("", "_services"):
            key = getattr(defaults, f"{name}_tax{suffix}")
            if not key:
                continue
            if key not in taxes:
                table.fault(
                    f"taxes: {name}{suffix} is '{key}', which taxes.toml does not have", name + suffix
                )
            elif taxes[key].use != use or not taxes[key].active:
                table.fault(
                    f"taxes: {name}{suffix} is '{key}', which is no active tax for {use}", name + suffix
                )
    prefixes = file.table("prefixes")
    for name in ("bank", "cash", "transfer"):
        prefix = getattr(defaults, f"{name}_prefix")
        if not prefix or len(prefix) >= defaults.code_digits:
            prefixes.fault(
                f"prefixes: {name} must be shorter than the {defaults.code_digits} digits of a code", name
            )
        for code, row in by_code.items() if prefix and name != "transfer" else ():
            if code.startswith(prefix) and row.type != "asset_cash":
                prefixes.fault(
                    f"prefixes: {name} accounts begin with {prefix}, but {code} is {row.type}", name
                )
    head = file.table()
    if defaults.country is not None and not _COUNTRY.match(defaults.country):
        head.fault(f"country is '{defaults.country}'; write the two letters of ISO 3166", "country")
    if defaults.currency is not None and not _CURRENCY.match(defaults.currency):
        head.fault(f"currency is '{defaults.currency}'; write the three letters of ISO 4217", "currency")
    if defaults.cash_basis and defaults.cash_basis_base is None:
        roles.fault("accounts: 'cash_basis_base' is missing; cash_basis = true needs it")


def _check_journals(
    file: TomlFile, journals: Sequence[tuple[JournalRow, Table]], by_code: dict[str, AccountRow]
) -> None:
    _unique(((row.code, table) for row, table in journals), "journal code")
    present = {row.key: row for row, _ in journals}
    for key, kind in REQUIRED_JOURNALS.items():
        if key not in present:
            file.table().fault(f'journal {key} is missing; add [journal.{key}] with type = "{kind}"')
    for row, table in journals:
        if row.type != REQUIRED_JOURNALS.get(row.key, row.type):
            table.fault(f"journal {row.key}: its type must be {REQUIRED_JOURNALS[row.key]}", "type")
        if len(row.code) > 5:
            table.fault(f"journal {row.key}: code '{row.code}' has more than five characters", "code")
        types = {
            "bank": ("asset_cash",), "cash": ("asset_cash",), "credit": ("liability_credit_card",),
            "sale": ("income",), "purchase": ("expense", "expense_direct_cost"),
        }  # fmt: skip
        if row.account is None and row.type in ("bank", "cash", "credit"):
            table.fault(f"journal {row.key}: 'account' is missing; name its account")
        _known_account(table, by_code, row.account, "account", types.get(row.type, ()))


class _TaxCheck:
    """The checks of single taxes, against the rest of the chart."""

    def __init__(
        self, *, by_code: dict[str, AccountRow], tags: set[str], groups: set[str], taxes: dict[str, TaxRow]
    ) -> None:
        self.by_code = by_code
        self.tags = tags
        self.groups = groups
        self.taxes = taxes

    def check(self, tax: TaxRow, table: Table) -> None:
        if tax.group and tax.group not in self.groups:
            table.fault(f"{tax.key}: tax group '{tax.group}' is unknown; add [group.{tax.group}]", "group")
        checks: tuple[Callable[[TaxRow, Table], None], ...] = (
            (self._children,) if tax.amount_type == "group" else (self._lists, self._cash_basis)
        )
        for check in (*checks, self._category):
            check(tax, table)

    def _children(self, tax: TaxRow, table: Table) -> None:
        if not tax.children:
            table.fault(f"{tax.key}: a group needs children; list their keys", "children")
        for key in tax.children:
            child = self.taxes.get(key)
            if child is None:
                table.fault(f"{tax.key}: child '{key}' is unknown; correct the key", "children")
            elif child.amount_type == "group":
                table.fault(f"{tax.key}: child '{key}' is a group itself; groups have one level", "children")
            elif child.use not in ("none", tax.use):
                table.fault(
                    f"{tax.key}: child '{key}' is for {child.use}; it must be {tax.use} or none", "children"
                )

    def _lists(self, tax: TaxRow, table: Table) -> None:
        if tax.children:
            table.fault(f"{tax.key}: only a tax of amount_type group has children", "children")
        if tax.amount_type == "division" and tax.rate >= FULL and not tax.price_include:
            table.fault(f"{tax.key}: division by {tax.rate} % needs price_include = true", "rate")
        for name, rows in (("lines", tax.invoice), ("refund_lines", tax.refund)):
            self._one_list(tax, table, name, rows)
        if [row.percent for row in tax.invoice] != [row.percent for row in tax.refund]:
            table.fault(
                f"{tax.key}: refund_lines must have the number, order and percents of lines", "refund_lines"
            )

    def _one_list(self, tax: TaxRow, table: Table, name: str, rows: tuple[RepartitionRow, ...]) -> None:
        shares = [row.percent for row in rows if row.kind == "tax"]
        positive = sum((share for share in shares if share > 0), Decimal(0))
        negative = sum((share for share in shares if share < 0), Decimal(0))
        if positive != FULL:
            table.fault(
                f"{tax.key}: the positive percents of {name} add up to {positive}; they must make 100", name
            )
        if negative not in (Decimal(0), -FULL):
            table.fault(
                f"{tax.key}: the negative percents of {name} add up to {negative}; they must make -100", name
            )
        if any(share == 0 for share in shares):
            table.fault(f"{tax.key}: a line of 0 percent does nothing; remove it", name)
        for row in rows:
            _known_account(table, self.by_code, row.account, name)
            if row.account in self.by_code and self.by_code[row.account].type == "off_balance":
                table.fault(f"{tax.key}: {row.account} is off balance and takes no tax", name)
            for tag in row.tags:
                if not _TAG.match(tag):
                    table.fault(f"{tax.key}: tag '{tag}' has no sign; write +{tag} or -{tag}", name)
                elif tag[1:] not in self.tags:
                    table.fault(f"{tax.key}: box '{tag[1:]}' is not in boxes.csv; add or correct it", name)

    def _cash_basis(self, tax: TaxRow, table: Table) -> None:
        account = _known_account(table, self.by_code, tax.transition_account, "transition_account")
        if (tax.exigibility == "payment") != (tax.transition_account is not None):
            table.fault(
                f"{tax.key}: on_payment and transition_account go together; give both or neither",
                "on_payment",
            )
        if account is not None and not account.reconcile:
            table.fault(f"{tax.key}: {account.code} needs the option reconcile", "transition_account")

    def _category(self, tax: TaxRow, table: Table) -> None:
        if tax.exemption is not None and not _EXEMPTION.match(tax.exemption):
            table.fault(f"{tax.key}: exemption '{tax.exemption}' is no VATEX code", "exemption")
        if tax.use == "sale" and tax.category in NEEDS_REASON and not (tax.exemption or tax.legal_note):
            table.fault(f"{tax.key}: category {tax.category} needs exemption or legal_note", "category")
        for category, code in OWN_CODE.items():
            if tax.exemption == code and tax.category != category:
                table.fault(
                    f"{tax.key}: {code} belongs to category {category}, not {tax.category}", "exemption"
                )
        if tax.amount_type == "group" or tax.use != "sale":
            return
        if tax.category in ("S", "B") and tax.rate <= 0:
            table.fault(f"{tax.key}: category {tax.category} has a rate above 0; use Z or E for none", "rate")
        if tax.category in ("Z", *NEEDS_REASON) and tax.rate != 0:
            table.fault(f"{tax.key}: category {tax.category} has the rate 0, not {tax.rate}", "rate")


def _check_positions(
    positions: Sequence[tuple[PositionRow, Table]], by_code: dict[str, AccountRow], taxes: dict[str, TaxRow]
) -> None:
    for row, table in positions:
        if row.country and row.country_group:
            table.fault(
                f"{row.key}: country and country_group exclude each other; remove one", "country_group"
            )
        if row.country and not _COUNTRY.match(row.country):
            table.fault(f"{row.key}: country '{row.country}' is not two capital letters", "country")
        if len(row.zip_from or "") != len(row.zip_to or ""):
            table.fault(f"{row.key}: zip_from and zip_to must have the same length", "zip_to")
        for source, targets in row.taxes:
            for key in (source, *targets):
                if key not in taxes:
                    table.fault(f"{row.key}: tax '{key}' is unknown; correct the map", source)
                elif (
                    row.auto_apply and not taxes[key].active and (source not in taxes or taxes[source].active)
                ):
                    table.fault(
                        f"{row.key}: tax '{key}' is not active; a position applied by itself needs it", source
                    )
            uses = {taxes[key].use for key in (source, *targets) if key in taxes}
            if len(uses) > 1:
                table.fault(
                    f"{row.key}: {source} and its targets must all be for sale or all for purchase", source
                )
        for pair in row.accounts:
            for code in pair:
                if code not in by_code:
                    table.fault(f"{row.key}: account '{code}' is unknown; correct the map", pair[0])
