"""The rows that a company lacks of a chart: found by comparing keys, made with a fixed number of statements.

What is there is used as it is, under whatever name or code the company gave it, and never written. A row that people made
themselves stands for the chart's when it has the same code (accounts, journals) or name (taxes, positions, tax groups).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from apps.access.models import Company
from apps.accounting.compute.charts import (
    AccountRow,
    ChartTemplate,
    GroupRow,
    JournalRow,
    PositionRow,
    TaxGroupRow,
    TaxRow,
)
from apps.accounting.constants import (
    BANK_LIKE,
    LIQUIDITY_TYPES,
    PARTNER_TYPES,
    RESULT_TYPES,
    AccountType,
    Direction,
    JournalType,
    PriceInclusion,
    TaxScope,
)
from apps.accounting.models import (
    Account,
    AccountGroup,
    FiscalPosition,
    FiscalPositionAccount,
    FiscalPositionTax,
    Journal,
    JournalChain,
    PaymentMethodLine,
    Tax,
    TaxGroup,
    TaxRepartition,
    TaxTag,
)
from apps.core.actor import Actor
from apps.core.models import Country

_TRADE = (JournalType.SALE, JournalType.PURCHASE)


@dataclass
class ChartPlan:
    """A chart beside what a company has of it. ``accounts`` by code of the chart, the rest by key: rows that are there; the
    ``new_…`` lists are what is missing. ``refusals`` say why the chart does not fit at all."""

    company: Company
    chart: ChartTemplate
    country: Country | None
    language: str = ""
    accounts: dict[str, Account] = field(default_factory=dict)
    groups: list[AccountGroup] = field(default_factory=list)
    tax_groups: dict[str, TaxGroup] = field(default_factory=dict)
    taxes: dict[str, Tax] = field(default_factory=dict)
    positions: dict[str, FiscalPosition] = field(default_factory=dict)
    journals: dict[str, Journal] = field(default_factory=dict)
    new_accounts: list[AccountRow] = field(default_factory=list)
    new_groups: list[GroupRow] = field(default_factory=list)
    new_tax_groups: list[TaxGroupRow] = field(default_factory=list)
    new_taxes: list[TaxRow] = field(default_factory=list)
    new_positions: list[PositionRow] = field(default_factory=list)
    new_journals: list[JournalRow] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)

    def name_of(self, row: Any) -> str:
        """The wording in the language asked for, else in the chart's own."""
        return str(row.names.get(self.language, row.name))

    def account(self, code: str | None) -> Account | None:
        return None if code is None else self.accounts[code]


# -------------------------------------------------------------------------------------------------------- comparing
def make_plan(
    company: Company,
    chart: ChartTemplate,
    *,
    country: Country | None,
    language: str = "",
    ignore_old: bool = False,
) -> ChartPlan:
    """Compare a chart with what the company has: seven queries. ``ignore_old``: as if rows of earlier charts were gone."""
    plan = ChartPlan(company, chart, country, language)
    _compare_accounts(plan, ignore_old)
    _compare_groups(plan, ignore_old)
    _compare(
        plan.chart.tax_groups,
        TaxGroup.objects.filter(company=company),
        lambda row: plan.name_of(row),
        lambda held: held.name,
        plan.tax_groups,
        plan.new_tax_groups,
        ignore_old,
    )
    country_pk = country.pk if country else None
    _compare(
        plan.chart.taxes,
        Tax.objects.filter(company=company),
        lambda row: (plan.name_of(row), row.use, row.scope or TaxScope.ANY, country_pk),
        lambda held: (held.name, held.use, held.scope, held.country_id),
        plan.taxes,
        plan.new_taxes,
        ignore_old,
    )
    _compare(
        plan.chart.positions,
        FiscalPosition.objects.filter(company=company),
        lambda row: plan.name_of(row),
        lambda held: held.name,
        plan.positions,
        plan.new_positions,
        ignore_old,
    )
    _compare(
        plan.chart.journals,
        Journal.objects.filter(company=company),
        lambda row: row.code,
        lambda held: held.code,
        plan.journals,
        plan.new_journals,
        ignore_old,
    )
    for row in plan.chart.journals:
        held = plan.journals.get(row.key)
        if held is not None and held.type != row.type:
            plan.refusals.append(
                _("Journal %(code)s is of type “%(type)s”; rename its short code first.")
                % {"code": held.code, "type": held.get_type_display()}
            )
    return plan


def _compare(
    rows: Iterable[Any],
    held: Iterable[Any],
    name_of_row: Callable[[Any], Any],
    name_of_held: Callable[[Any], Any],
    found: dict[str, Any],
    missing: list[Any],
    ignore_old: bool,
) -> None:
    by_key: dict[str, Any] = {}
    by_name: dict[Any, Any] = {}
    for record in held:
        if record.template_key:
            if ignore_old:
                continue
            by_key[record.template_key] = record
        by_name[name_of_held(record)] = record
    for row in rows:
        record = by_key.get(row.key) or by_name.get(name_of_row(row))
        if record is None:
            missing.append(row)
        else:
            found[row.key] = record


def _compare_accounts(plan: ChartPlan, ignore_old: bool) -> None:
    by_key: dict[str, Account] = {}
    by_code: dict[str, Account] = {}
    unaffected: Account | None = None
    for account in Account.objects.filter(company=plan.company):
        if account.template_key:
            if ignore_old:
                continue
            by_key[account.template_key] = account
        by_code[account.code] = account
        if account.type == AccountType.EQUITY_UNAFFECTED:
            unaffected = account
    for row in plan.chart.accounts:
        found = by_key.get(row.key) or by_code.get(row.code)
        if found is None and row.type == AccountType.EQUITY_UNAFFECTED:
            found = unaffected
        if found is None:
            plan.new_accounts.append(row)
            continue
        plan.accounts[row.code] = found
        if not found.template_key and _kind(found.type) != _kind(row.type):
            plan.refusals.append(
                _(
                    "Account %(code)s is of type “%(type)s”, but the chart has “%(wanted)s” there; renumber it first."
                )
                % {
                    "code": found.code,
                    "type": found.get_type_display(),
                    "wanted": AccountType(row.type).label,
                }
            )


def _kind(type_: str) -> str:
    """What an account cannot be used as instead of."""
    if type_ in PARTNER_TYPES or type_ in LIQUIDITY_TYPES or type_ == AccountType.OFF_BALANCE:
        return type_
    if type_ in RESULT_TYPES:
        return "result"
    return "balance"


def _compare_groups(plan: ChartPlan, ignore_old: bool) -> None:
    """Groups have no key of their own: a range that overlaps one of the company's is the company's business."""
    plan.groups = [] if ignore_old else list(AccountGroup.objects.filter(company=plan.company))
    for row in plan.chart.groups:
        if not any(
            len(row.start) == len(group.code_prefix_start)
            and row.start <= group.code_prefix_end
            and group.code_prefix_start <= row.end
            for group in plan.groups
        ):
            plan.new_groups.append(row)


# ------------------------------------------------------------------------------------------------------------- making
def make_rows(plan: ChartPlan, *, actor: Actor) -> None:
    """Insert what is missing, about fifteen statements; the plan then holds every row of the chart."""
    stamp = {"created_by_id": actor.user_pk, "updated_by_id": actor.user_pk}
    _make_accounts(plan, stamp)
    AccountGroup.objects.bulk_create(
        AccountGroup(
            company=plan.company,
            name=plan.name_of(row),
            code_prefix_start=row.start,
            code_prefix_end=row.end,
            **stamp,
        )
        for row in plan.new_groups
    )
    _make_taxes(plan, stamp)
    _make_positions(plan, stamp)
    _make_journals(plan, stamp)


def _make_accounts(plan: ChartPlan, stamp: Mapping[str, Any]) -> None:
    made = Account.objects.bulk_create(
        Account(
            company=plan.company,
            code=row.code,
            name=plan.name_of(row),
            type=row.type,
            reconcile=row.reconcile,
            non_trade=row.non_trade,
            template_key=row.key,
            **stamp,
        )
        for row in plan.new_accounts
    )
    plan.accounts.update(zip((row.code for row in plan.new_accounts), made, strict=True))


def _tags(plan: ChartPlan) -> dict[str, int]:
    """The boxes of the country with both signs, by their text (``+81``); companies of one country share them."""
    if plan.country is None:
        return {}
    names = {row.key: plan.name_of(row) for row in plan.chart.tags}
    used = {tag for row in plan.chart.taxes for part in (*row.invoice, *row.refund) for tag in part.tags}
    wanted = used | {f"{sign}{key}" for key in names for sign in "+-"}
    TaxTag.objects.bulk_create(
        (
            TaxTag(
                country=plan.country,
                grid=text[1:],
                sign=-1 if text[0] == "-" else 1,
                name=names.get(text[1:], "")[:200],
            )
            for text in sorted(wanted)
        ),
        ignore_conflicts=True,
    )
    rows = TaxTag.objects.filter(country=plan.country, grid__in={text[1:] for text in wanted})
    return {str(tag): tag.pk for tag in rows}


def _make_taxes(plan: ChartPlan, stamp: Mapping[str, Any]) -> None:
    groups = TaxGroup.objects.bulk_create(
        TaxGroup(
            company=plan.company,
            name=plan.name_of(row),
            sequence=row.sequence,
            country=plan.country,
            payable_account=plan.account(row.payable),
            receivable_account=plan.account(row.receivable),
            advance_account=plan.account(row.advance),
            template_key=row.key,
            **stamp,
        )
        for row in plan.new_tax_groups
    )
    plan.tax_groups.update(zip((row.key for row in plan.new_tax_groups), groups, strict=True))
    if not plan.new_taxes:
        return
    taxes = Tax.objects.bulk_create(_tax(plan, row, stamp) for row in plan.new_taxes)
    plan.taxes.update(zip((row.key for row in plan.new_taxes), taxes, strict=True))
    children = Tax.children.through
    children.objects.bulk_create(
        children(from_tax_id=plan.taxes[row.key].pk, to_tax_id=plan.taxes[child].pk)
        for row in plan.new_taxes
        for child in row.children
    )
    _make_shares(plan)


def _tax(plan: ChartPlan, row: TaxRow, stamp: Mapping[str, Any]) -> Tax:
    inclusion = {
        None: PriceInclusion.DEFAULT,
        True: PriceInclusion.INCLUDED,
        False: PriceInclusion.EXCLUDED,
    }
    return Tax(
        company=plan.company,
        name=plan.name_of(row),
        label=row.label,
        use=row.use,
        scope=row.scope or TaxScope.ANY,
        amount_type=row.amount_type,
        amount=row.rate,
        price_inclusion=inclusion[row.price_include],
        include_base_amount=row.include_base_amount,
        is_base_affected=row.is_base_affected,
        exigibility=row.exigibility,
        transition_account=plan.account(row.transition_account),
        group=plan.tax_groups[row.group],
        country=plan.country,
        category=row.category or "",
        exemption_code=row.exemption or "",
        legal_note=row.legal_note or "",
        sequence=row.sequence,
        active=row.active,
        template_key=row.key,
        **stamp,
    )


def _make_shares(plan: ChartPlan) -> None:
    tags = _tags(plan)
    shares: list[tuple[TaxRepartition, tuple[str, ...]]] = []
    for row in plan.new_taxes:
        if row.children:
            continue
        for document, parts in (
            (TaxRepartition.Document.INVOICE, row.invoice),
            (TaxRepartition.Document.REFUND, row.refund),
        ):
            for place, part in enumerate(parts, 1):
                share = TaxRepartition(
                    tax=plan.taxes[row.key],
                    document=document,
                    kind=part.kind,
                    percent=part.percent,
                    account=plan.account(part.account),
                    in_closing=part.in_closing,
                    sequence=place,
                )
                shares.append((share, part.tags))
    TaxRepartition.objects.bulk_create(share for share, _tags in shares)
    link = TaxRepartition.tags.through
    link.objects.bulk_create(
        link(taxrepartition_id=share.pk, taxtag_id=tags[text]) for share, texts in shares for text in texts
    )


def _make_positions(plan: ChartPlan, stamp: Mapping[str, Any]) -> None:
    countries = {
        country.code: country
        for country in Country.objects.filter(code__in={row.country for row in plan.new_positions} - {None})
    }
    made = FiscalPosition.objects.bulk_create(
        FiscalPosition(
            company=plan.company,
            name=plan.name_of(row),
            sequence=row.sequence,
            auto_apply=row.auto_apply,
            vat_required=row.vat_required,
            country=countries[row.country] if row.country else None,
            country_group=row.country_group or "",
            zip_from=row.zip_from or "",
            zip_to=row.zip_to or "",
            note=row.note or "",
            template_key=row.key,
            **stamp,
        )
        for row in plan.new_positions
    )
    plan.positions.update(zip((row.key for row in plan.new_positions), made, strict=True))
    fresh = {row.key for row in plan.new_positions}
    fresh_taxes = {row.key for row in plan.new_taxes}
    fresh_codes = {row.code for row in plan.new_accounts}
    tax_pairs, account_pairs = [], []
    for row in plan.chart.positions:
        position = plan.positions[row.key]
        for source, targets in row.taxes:
            # A position that people may have changed gets only what concerns taxes it could not know before.
            if row.key not in fresh and not fresh_taxes & {source, *targets}:
                continue
            tax_pairs += [
                FiscalPositionTax(
                    position=position,
                    source=plan.taxes[source],
                    target=plan.taxes[target] if target else None,
                )
                for target in (targets or ("",))
            ]
        account_pairs += [
            FiscalPositionAccount(
                position=position, source=plan.accounts[source], target=plan.accounts[target]
            )
            for source, target in row.accounts
            if row.key in fresh or fresh_codes & {source, target}
        ]
    FiscalPositionTax.objects.bulk_create(tax_pairs, ignore_conflicts=True)
    FiscalPositionAccount.objects.bulk_create(account_pairs, ignore_conflicts=True)


def _make_journals(plan: ChartPlan, stamp: Mapping[str, Any]) -> None:
    defaults = plan.chart.defaults
    rows = [
        Journal(
            company=plan.company,
            code=row.code,
            name=plan.name_of(row),
            type=row.type,
            default_account=plan.account(row.account),
            suspense_account=plan.account(defaults.suspense) if row.type in BANK_LIKE else None,
            profit_account=plan.account(defaults.cash_difference_gain)
            if row.type == JournalType.CASH
            else None,
            loss_account=plan.account(defaults.cash_difference_loss)
            if row.type == JournalType.CASH
            else None,
            refund_series=row.type in _TRADE,
            payment_series=row.type in BANK_LIKE,
            sequence=place,
            on_dashboard=row.type != JournalType.GENERAL or row.key == "MISC",
            template_key=row.key,
            **stamp,
        )
        for place, row in enumerate(plan.new_journals, 1)
    ]
    Journal.objects.bulk_create(rows)
    plan.journals.update(zip((row.key for row in plan.new_journals), rows, strict=True))
    JournalChain.objects.bulk_create(JournalChain(journal=journal) for journal in rows)
    PaymentMethodLine.objects.bulk_create(
        PaymentMethodLine(
            journal=journal,
            direction=direction,
            name=_("Manual"),
            outstanding_account=plan.account(outstanding),
            sequence=place,
            **stamp,
        )
        for journal in rows
        if journal.type in BANK_LIKE
        for place, (direction, outstanding) in enumerate(
            (
                (Direction.INBOUND, defaults.outstanding_receipts),
                (Direction.OUTBOUND, defaults.outstanding_payments),
            ),
            1,
        )
    )


def settings_values(plan: ChartPlan) -> dict[str, Any]:
    """What the chart says for the company's settings. All its rows are there by now."""
    d = plan.chart.defaults
    accounts = {
        "receivable_account": d.receivable,
        "payable_account": d.payable,
        "income_account": d.income,
        "expense_account": d.expense,
        "suspense_account": d.suspense,
        "outstanding_receipts_account": d.outstanding_receipts,
        "outstanding_payments_account": d.outstanding_payments,
        "transfer_account": d.transfer,
        "exchange_gain_account": d.exchange_gain,
        "exchange_loss_account": d.exchange_loss,
        "discount_gain_account": d.early_discount_gain,
        "discount_loss_account": d.early_discount_loss,
        "cash_basis_base_account": d.cash_basis_base,
    }
    values: dict[str, Any] = {name: plan.account(code) for name, code in accounts.items()}
    values["sale_tax"] = plan.taxes[d.sale_tax]
    values["purchase_tax"] = plan.taxes[d.purchase_tax]
    values["exchange_journal"] = plan.journals["EXCH"]
    values["cash_basis_journal"] = plan.journals["CABA"]
    values["fiscal_country"] = plan.country
    return values


def scalar_values(plan: ChartPlan) -> dict[str, Any]:
    """What a chart sets when it is installed, and leaves alone when it is reloaded."""
    d = plan.chart.defaults
    return {
        "code_digits": d.code_digits,
        "bank_prefix": d.bank_prefix,
        "cash_prefix": d.cash_prefix,
        "transfer_prefix": d.transfer_prefix,
        "fiscal_year_last_month": d.fiscal_year_end_month,
        "fiscal_year_last_day": d.fiscal_year_end_day,
        "tax_rounding": "total" if d.tax_rounding == "document" else "line",
        "price_inclusion": PriceInclusion.INCLUDED if d.prices_include_tax else PriceInclusion.EXCLUDED,
        "cash_basis": d.cash_basis,
    }
