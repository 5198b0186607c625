"""Charts of accounts: data that comes with the project, read from files a person maintains.

A chart is a directory (format: docs/accounting-charts.md). `load_chart` reads one, checks it as a whole and keeps it;
a chart that is not right in every reference is refused with all its faults, so installing one cannot fail halfway.
`load_chart_from` does the same for a directory outside the project.
"""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from apps.accounting.compute.chart_checks import check_chart
from apps.accounting.compute.chart_files import ChartError, Problems, Table, TomlFile, read_csv, read_toml
from apps.accounting.compute.chart_model import (
    ACCOUNT_TYPES,
    AccountRow,
    ChartInfo,
    ChartTemplate,
    Defaults,
    GroupRow,
    JournalRow,
    PositionRow,
    RepartitionRow,
    TagRow,
    TaxGroupRow,
    TaxRow,
)
from apps.accounting.compute.chart_taxes import read_positions, read_tax_groups, read_taxes

__all__ = [
    "ACCOUNT_TYPES",
    "AccountRow",
    "ChartError",
    "ChartInfo",
    "ChartTemplate",
    "Defaults",
    "GroupRow",
    "JournalRow",
    "PositionRow",
    "RepartitionRow",
    "TagRow",
    "TaxGroupRow",
    "TaxRow",
    "available_charts",
    "load_chart",
    "load_chart_from",
]

CHARTS = Path(__file__).resolve().parent.parent / "charts"

_JOURNAL_TYPES = ("sale", "purchase", "cash", "bank", "credit", "general")
_REQUIRED_ROLES = (
    "receivable", "payable", "income", "expense", "exchange_gain", "exchange_loss", "early_discount_gain",
    "early_discount_loss", "cash_difference_gain", "cash_difference_loss", "suspense", "outstanding_receipts",
    "outstanding_payments", "transfer", "unallocated_earnings", "tax_payable", "tax_receivable",
)  # fmt: skip
_OPTIONAL_ROLES = (
    "tax_advance", "cash_basis_base", "pos_receivable", "stock_valuation", "stock_received_not_billed",
    "stock_delivered_not_invoiced", "prepaid_expense", "deferred_income",
)  # fmt: skip


def available_charts() -> list[ChartInfo]:
    """The charts that come with the project, the generic one first, then by country. Reads chart.toml only."""
    infos = []
    for directory in CHARTS.iterdir():
        if (directory / "chart.toml").is_file():
            problems = Problems(directory.name)
            infos.append(_info(directory, read_toml(directory / "chart.toml", problems).table()))
            problems.raise_if_any()
    return sorted(infos, key=lambda info: (info.country or "", info.key))


@cache
def load_chart(key: str) -> ChartTemplate:
    """The chart of that key, read and checked once a process. Raises LookupError for a key nobody has."""
    if not key.isidentifier() or not (CHARTS / key / "chart.toml").is_file():
        known = ", ".join(info.key for info in available_charts())
        raise LookupError(f"There is no chart of accounts '{key}'; there are {known}.")
    return load_chart_from(CHARTS / key)


def load_chart_from(path: Path | str) -> ChartTemplate:
    """Read and check the chart in a directory; not kept. Raises ChartError with every fault found."""
    directory = Path(path)
    problems = Problems(directory.name)
    chart_file = read_toml(directory / "chart.toml", problems)
    problems.raise_if_any()
    chart_file.known_sections("accounts", "prefixes", "taxes", "aliases", "journal")
    head = chart_file.table()
    info = _info(directory, head)
    language = (head.texts("languages") or ("en",))[0]
    shared = _shared_directory(directory, head)
    aliases = _aliases(chart_file)

    accounts = [_account(row, language) for row in _rows(directory, shared, "accounts.csv", problems)]
    groups = [_group(row, language) for row in _rows(directory, shared, "groups.csv", problems)]
    tags = [_tag(row, language) for row in _rows(directory, shared, "boxes.csv", problems)]
    defaults = _defaults(chart_file, head)
    journals = [_journal(table, language) for table in chart_file.tables("journal")]
    taxes_file = read_toml(_find(directory, shared, "taxes.toml"), problems)
    taxes_file.known_sections("group", "tax")
    tax_groups = read_tax_groups(taxes_file, language, defaults, aliases)
    taxes = read_taxes(taxes_file, language, aliases, [row for row, _ in accounts])
    positions_file = read_toml(_find(directory, shared, "positions.toml"), problems)
    positions_file.known_sections("position")
    positions = read_positions(positions_file, language, aliases)

    head.finish()
    check_chart(
        problems, chart_file, defaults, accounts=accounts, groups=groups, tags=tags, tax_groups=tax_groups,
        taxes=taxes, positions=positions, journals=journals,
    )  # fmt: skip
    problems.raise_if_any()
    return ChartTemplate(
        key=info.key,
        title=info.title,
        country=info.country,
        version=info.version,
        languages=head.texts("languages") or ("en",),
        defaults=defaults,
        accounts=tuple(row for row, _ in accounts),
        groups=tuple(row for row, _ in groups),
        tags=tuple(row for row, _ in tags),
        tax_groups=tuple(row for row, _ in tax_groups),
        taxes=tuple(row for row, _ in taxes),
        positions=tuple(row for row, _ in positions),
        journals=tuple(row for row, _ in journals),
    )


def _info(directory: Path, head: Table) -> ChartInfo:
    key = head.required("key")
    if key and key != directory.name:
        head.fault(f"key is '{key}' but the directory is '{directory.name}'; make them the same", "key")
    return ChartInfo(key, head.required("title"), head.text("country"), head.required("version"))


def _shared_directory(directory: Path, head: Table) -> Path | None:
    """A sibling directory whose files serve where the chart has none of its own (two charts of one country)."""
    name = head.text("shares")
    if name is None:
        return None
    if not name.startswith("_") or "/" in name or not (directory.parent / name).is_dir():
        head.fault(f"shares '{name}', which is no directory beside this one that begins with _", "shares")
        return None
    return directory.parent / name


def _find(directory: Path, shared: Path | None, name: str) -> Path:
    own = directory / name
    return own if shared is None or own.exists() else shared / name


_COLUMNS = {
    "accounts.csv": ("code", "type", "options", "key", "name"),
    "groups.csv": ("start", "end", "name"),
    "boxes.csv": ("box", "name"),
}


def _rows(directory: Path, shared: Path | None, name: str, problems: Problems) -> list[Table]:
    return read_csv(_find(directory, shared, name), _COLUMNS[name], problems)


def _aliases(chart_file: TomlFile) -> dict[str, str]:
    table = chart_file.table("aliases")
    return {name: table.required(name) for name in table.values}


def _account(table: Table, language: str) -> tuple[AccountRow, Table]:
    options = set((table.text("options") or "").split())
    for option in sorted(options - {"reconcile", "non_trade"}):
        table.fault(f"account {table.key}: option '{option}' is unknown; options are reconcile and non_trade")
    code = table.required("code")
    kind = table.choice("type", tuple(ACCOUNT_TYPES))
    names = table.names(language)
    trade = kind in ("asset_receivable", "liability_payable")
    row = AccountRow(
        key=table.text("key") or code,
        code=code,
        type=kind,
        name=names[language],
        name_en=names["en"],
        names=names,
        reconcile=trade or "reconcile" in options,
        non_trade="non_trade" in options,
    )
    return row, table


def _group(table: Table, language: str) -> tuple[GroupRow, Table]:
    start = table.required("start")
    end = table.text("end") or start
    names = table.names(language)
    return GroupRow(f"{start}-{end}", start, end, names[language], names["en"], names), table


def _tag(table: Table, language: str) -> tuple[TagRow, Table]:
    names = table.names(language)
    return TagRow(table.required("box"), names[language], names["en"], names), table


def _journal(table: Table, language: str) -> tuple[JournalRow, Table]:
    names = table.names(language)
    row = JournalRow(
        key=table.key,
        code=table.text("code") or table.key,
        type=table.choice("type", _JOURNAL_TYPES),
        name=names[language],
        name_en=names["en"],
        names=names,
        account=table.text("account"),
    )
    table.finish()
    return row, table


def _defaults(chart_file: TomlFile, head: Table) -> Defaults:
    roles = chart_file.table("accounts")
    prefixes = chart_file.table("prefixes")
    taxes = chart_file.table("taxes")
    end = head.text("fiscal_year_end") or "12-31"
    month, _, day = end.partition("-")
    if not (month.isdigit() and day.isdigit() and 1 <= int(month) <= 12 and 1 <= int(day) <= 31):
        head.fault(f"fiscal_year_end is '{end}'; write month and day, like \"12-31\"", "fiscal_year_end")
        month, day = "12", "31"
    accounts: dict[str, Any] = {role: roles.required(role) for role in _REQUIRED_ROLES}
    accounts.update((role, roles.text(role)) for role in _OPTIONAL_ROLES)
    defaults = Defaults(
        **accounts,
        sale_tax=taxes.required("sale"),
        purchase_tax=taxes.required("purchase"),
        sale_tax_services=taxes.text("sale_services"),
        purchase_tax_services=taxes.text("purchase_services"),
        bank_prefix=prefixes.required("bank"),
        cash_prefix=prefixes.required("cash"),
        transfer_prefix=prefixes.required("transfer"),
        code_digits=int(head.number("code_digits", Decimal(6))),
        currency=head.text("currency"),
        country=head.text("country"),
        fiscal_year_end_month=int(month),
        fiscal_year_end_day=int(day),
        tax_rounding=head.choice("tax_rounding", ("line", "document"), "line"),
        prices_include_tax=head.flag("prices_include_tax"),
        cash_basis=head.flag("cash_basis"),
    )
    for table in (roles, prefixes, taxes):
        table.finish()
    return defaults
