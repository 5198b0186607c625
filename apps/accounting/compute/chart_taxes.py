"""Taxes and fiscal positions of a chart: from TOML tables to rows.

Short forms a file may use: a credit note carries the invoice's tags with the opposite sign unless it names its own;
an account "@name" is an alias that chart.toml resolves, so that two charts of one country share their tax file.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from apps.accounting.compute.chart_files import Table, TomlFile
from apps.accounting.compute.chart_model import (
    AccountRow,
    Defaults,
    PositionRow,
    RepartitionRow,
    TaxGroupRow,
    TaxRow,
)

AMOUNT_TYPES = ("percent", "fixed", "division", "group")
CATEGORIES = ("S", "Z", "E", "AE", "K", "G", "O", "B", "L", "M")
FULL = Decimal(100)


def resolve(account: str | None, aliases: Mapping[str, str], table: Table) -> str | None:
    """The code behind "@alias"; a code is given back as it is."""
    if account is None or not account.startswith("@"):
        return account
    if account[1:] not in aliases:
        table.fault(f"{table.key}: alias '{account}' is unknown; add it to [aliases] of chart.toml")
        return None
    return aliases[account[1:]]


def read_tax_groups(
    file: TomlFile, language: str, defaults: Defaults, aliases: Mapping[str, str]
) -> list[tuple[TaxGroupRow, Table]]:
    """The [group.…] tables; accounts left out are the ones of the chart."""
    found = []
    for place, table in enumerate(file.tables("group"), start=1):
        names = table.names(language)
        row = TaxGroupRow(
            key=table.key,
            name=names[language],
            name_en=names["en"],
            names=names,
            sequence=int(table.number("sequence", Decimal(place * 10))),
            payable=resolve(table.text("payable"), aliases, table) or defaults.tax_payable,
            receivable=resolve(table.text("receivable"), aliases, table) or defaults.tax_receivable,
            advance=resolve(table.text("advance"), aliases, table) or defaults.tax_advance,
        )
        table.finish()
        found.append((row, table))
    return found


def read_taxes(
    file: TomlFile, language: str, aliases: Mapping[str, str], accounts: list[AccountRow]
) -> list[tuple[TaxRow, Table]]:
    """The [tax.…] tables in the order of the file, which is the order in which taxes are shown and applied."""
    groups = {row.code: row.internal_group for row in accounts}
    return [
        (_tax(table, place * 10, language, aliases, groups), table)
        for place, table in enumerate(file.tables("tax"), start=1)
    ]


def _tax(
    table: Table, place: int, language: str, aliases: Mapping[str, str], groups: Mapping[str, str]
) -> TaxRow:
    names = table.names(language)
    amount_type = table.choice("amount_type", AMOUNT_TYPES, "percent")
    category = table.text("category")
    if category is not None and category not in CATEGORIES:
        table.fault(
            f"{table.key}: category '{category}' is unknown; write one of {', '.join(CATEGORIES)}", "category"
        )
    invoice, refund = _repartition(table, aliases, groups, amount_type)
    on_payment = table.flag("on_payment")
    row = TaxRow(
        key=table.key,
        name=names[language],
        name_en=names["en"],
        names=names,
        label=table.text("label") or names[language],
        use=table.choice("use", ("sale", "purchase", "none")),
        scope=table.choice("scope", ("goods", "services")) if table.raw("scope") is not None else None,
        amount_type=amount_type,
        rate=table.number("rate", Decimal(0) if amount_type == "group" else None),
        category=category,
        exemption=table.text("exemption"),
        legal_note=table.text("legal_note"),
        group=table.required("group"),
        price_include=table.optional_flag("price_include"),
        include_base_amount=table.flag("include_base_amount"),
        is_base_affected=table.flag("is_base_affected", default=True),
        exigibility="payment" if on_payment else "invoice",
        transition_account=resolve(table.text("transition_account"), aliases, table),
        active=table.flag("active", default=True),
        sequence=int(table.number("sequence", Decimal(place))),
        children=table.texts("children") or (),
        invoice=invoice,
        refund=refund,
    )
    table.finish()
    return row


def _opposite(tags: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(("-" if tag.startswith("+") else "+") + tag[1:] for tag in tags)


def _repartition(
    table: Table, aliases: Mapping[str, str], groups: Mapping[str, str], amount_type: str
) -> tuple[tuple[RepartitionRow, ...], tuple[RepartitionRow, ...]]:
    """Both lists: the base line, then the tax lines. A tax without `lines` has one of 100 % and no account."""
    base = table.texts("base") or ()
    refund_base = table.texts("refund_base")
    invoice = [RepartitionRow("base", FULL, None, base)]
    refund = [RepartitionRow("base", FULL, None, _opposite(base) if refund_base is None else refund_base)]
    lines = table.raw("lines")
    refund_lines = table.raw("refund_lines")
    if amount_type == "group":
        if lines is not None or base:
            table.fault(f"{table.key}: a group has no lines of its own; remove base and lines", "lines")
        return (), ()
    for part in _parts(table, "lines", [{"percent": 100}] if lines is None else lines):
        row = _tax_line(part, aliases, groups)
        own = part.texts("refund_tags")
        invoice.append(row)
        tags = _opposite(row.tags) if own is None else own
        refund.append(RepartitionRow("tax", row.percent, row.account, tags, row.in_closing))
        part.finish()
    if refund_lines is not None:
        refund = refund[:1]
        for part in _parts(table, "refund_lines", refund_lines):
            refund.append(_tax_line(part, aliases, groups))
            part.finish()
    return tuple(invoice), tuple(refund)


def _parts(table: Table, name: str, value: object) -> list[Table]:
    if not isinstance(value, list) or not all(isinstance(part, dict) for part in value):
        table.fault(f"{table.key}: '{name}' must be a list like [{{ percent = 100, account = \"…\" }}]", name)
        return []
    return [Table(table.file, table.at(name), table.key, part, table.problems) for part in value]


def _tax_line(part: Table, aliases: Mapping[str, str], groups: Mapping[str, str]) -> RepartitionRow:
    account = resolve(part.text("account"), aliases, part)
    closing = part.optional_flag("in_closing")
    if closing is None:
        closing = account is not None and groups.get(account) not in ("income", "expense")
    return RepartitionRow("tax", part.number("percent"), account, part.texts("tags") or (), closing)


def read_positions(
    file: TomlFile, language: str, aliases: Mapping[str, str]
) -> list[tuple[PositionRow, Table]]:
    """The [position.…] tables with their maps [position.….taxes] and [position.….accounts]."""
    found = []
    for place, table in enumerate(file.tables("position"), start=1):
        names = table.names(language)
        taxes = file.table(f"position.{table.key}.taxes", table.key)
        accounts = file.table(f"position.{table.key}.accounts", table.key)
        table.taken.update(("taxes", "accounts"))
        table.lines = {**taxes.lines, **accounts.lines, **table.lines}
        row = PositionRow(
            key=table.key,
            name=names[language],
            name_en=names["en"],
            names=names,
            sequence=int(table.number("sequence", Decimal(place * 10))),
            auto_apply=table.flag("auto_apply"),
            vat_required=table.flag("vat_required"),
            country=table.text("country"),
            country_group=table.text("country_group"),
            zip_from=table.text("zip_from"),
            zip_to=table.text("zip_to"),
            note=table.text("note"),
            taxes=tuple((source, _targets(taxes, source)) for source in taxes.values),
            accounts=tuple(
                (
                    resolve(source, aliases, accounts) or "",
                    resolve(accounts.required(source), aliases, accounts) or "",
                )
                for source in accounts.values
            ),
        )
        table.finish()
        found.append((row, table))
    return found


def _targets(table: Table, source: str) -> tuple[str, ...]:
    """An empty text takes the tax away, one key or a list of keys replaces it."""
    value = table.raw(source)
    if isinstance(value, str):
        return (value,) if value else ()
    return table.texts(source) or ()
