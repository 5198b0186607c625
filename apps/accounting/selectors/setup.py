"""How a company keeps its books: its settings, the accounts and journals they name, taxes as values.

A branch keeps the books of its parents: what its own settings leave empty is theirs. Nothing is kept between calls; ask
once and pass the answer on.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from django.db.models import F, Field, Model
from django.db.models.expressions import RawSQL
from django.utils.translation import gettext as _

from apps.access.models import Company
from apps.accounting.compute.taxes import Repartition, TaxSpec
from apps.accounting.constants import EntryState, JournalType, PriceInclusion, TaxUse
from apps.accounting.errors import SettingMissing
from apps.accounting.models import (
    Account,
    AccountingSettings,
    Journal,
    JournalEntry,
    PaymentMethodLine,
    Tax,
    TaxGroup,
    TaxRepartition,
)
from apps.core.models import Country, Currency
from apps.core.rows import read_joined, read_rows, set_link
from apps.core.rules import COMPANY_LINE

_TAXES = ((Tax, "t"), (TaxGroup, "g"))
_TAX_CHILDREN = {
    "child_pks": "ARRAY(SELECT x.to_tax_id FROM accounting_tax_children x WHERE x.from_tax_id = t.id ORDER BY 1)"
}
_TAXES_FROM = """
FROM accounting_tax t JOIN accounting_taxgroup g ON g.id = t.group_id WHERE t.id = ANY (%s)
OR t.id IN (SELECT to_tax_id FROM accounting_tax_children WHERE from_tax_id = ANY (%s))
"""
_BOOKS = ((Company, "c"), (AccountingSettings, "s"), (Currency, "u"), (Country, "l"))
_BOOKS_FROM = f"""
FROM access_company c JOIN core_currency u ON u.id = c.currency_id LEFT JOIN core_country l ON l.id = c.country_id
LEFT JOIN accounting_accountingsettings s ON s.company_id = c.id WHERE c.id IN ({COMPANY_LINE})
"""
# What the whole tree shares: it has one chart and one ledger.
OF_THE_ROOT = (
    "chart",
    "chart_version",
    "fiscal_year_last_month",
    "fiscal_year_last_day",
    "code_digits",
    "price_inclusion",
    "tax_rounding",
    "cash_basis",
)
# What a branch may have of its own; empty means: as the parent.
INHERITED_LINKS = (
    "fiscal_country",
    "sale_tax",
    "purchase_tax",
    "receivable_account",
    "payable_account",
    "income_account",
    "expense_account",
    "suspense_account",
    "outstanding_receipts_account",
    "outstanding_payments_account",
    "transfer_account",
    "exchange_gain_account",
    "exchange_loss_account",
    "discount_gain_account",
    "discount_loss_account",
    "cash_basis_base_account",
    "exchange_journal",
    "cash_basis_journal",
)
INHERITED_VALUES = ("bank_prefix", "cash_prefix", "transfer_prefix", "invoice_terms", "credit_limit")
OWN_OR_PARENT = ("block_over_limit", "require_trusted_bank", "quick_totals", "mirror_invoices")


def line_of(company_pks: Collection[int]) -> RawSQL:
    """Companies and their parents, inside a queryset: ``Account.objects.filter(company__in=line_of([pk]))``."""
    return RawSQL(COMPANY_LINE, [sorted(company_pks)])  # noqa: S611 - constant text, the keys are a parameter


# ------------------------------------------------------------------------------------------------------------ settings
def settings_of(company_pk: int) -> AccountingSettings:
    """The settings in force for a company, with those of its parents where it has none; one query.

    A copy for reading, never to be saved; ``pk`` is ``None`` when the company has no row of its own. ``company`` is loaded
    with its currency. Raises ``Company.DoesNotExist``.
    """
    return settings_of_many([company_pk])[company_pk]


def settings_of_many(company_pks: Collection[int]) -> dict[int, AccountingSettings]:
    """``settings_of`` for several companies, in one query."""
    wanted = sorted(set(company_pks))
    companies: dict[int, Company] = {}
    for company, settings, currency, country in read_joined(_BOOKS, _BOOKS_FROM, [wanted]):
        set_link(company, "currency", currency)
        set_link(company, "country", country)
        company.held_settings = settings
        companies[company.pk] = company
    answer = {}
    for pk in wanted:
        if pk not in companies:
            raise Company.DoesNotExist(f"There is no company {pk}.")
        answer[pk] = _effective(companies[pk], companies)
    return answer


def _effective(company: Company, companies: dict[int, Company]) -> AccountingSettings:
    line = [company]
    while line[-1].parent_id is not None:
        line.append(companies[line[-1].parent_id])
    own: list[AccountingSettings | None] = [member.held_settings for member in line]  # type: ignore[attr-defined]
    held = [row for row in own if row is not None]
    merged = copy.copy(own[0]) if own[0] is not None else AccountingSettings(company_id=company.pk)
    merged.company = company
    merged.line_pks = tuple(member.pk for member in line)  # type: ignore[attr-defined]
    if not held:
        merged.fiscal_country_id = company.country_id
        return merged
    for name in OF_THE_ROOT:
        setattr(merged, name, getattr(held[-1], name))
    for name in INHERITED_LINKS:
        attribute = f"{name}_id"
        setattr(merged, attribute, _first(held, attribute, None))
    for name in INHERITED_VALUES:
        setattr(merged, name, _first(held, name, getattr(merged, name)))
    if own[0] is None:
        for name in OWN_OR_PARENT:
            setattr(merged, name, getattr(held[0], name))
    if merged.fiscal_country_id is None:
        merged.fiscal_country_id = company.country_id
    return merged


def _first(rows: Sequence[AccountingSettings], attribute: str, otherwise: Any) -> Any:
    return next((value for row in rows if (value := getattr(row, attribute)) not in (None, "")), otherwise)


def required(settings: AccountingSettings, name: str) -> int:
    """The primary key of what a setting names (``receivable_account``, ``exchange_journal``, …), or ``SettingMissing``, which
    says what to set and where."""
    pk: int | None = getattr(settings, f"{name}_id")
    if pk is None:
        title = field_of(AccountingSettings, name).verbose_name
        raise SettingMissing(
            _("%(company)s has no “%(setting)s”. Set it under Accounting › Settings.")
            % {"company": settings.company.name, "setting": title}
        )
    return pk


def field_of(model: type[Model], name: str) -> Field[Any, Any]:
    """A concrete field of a model."""
    field = model._meta.get_field(name)
    assert isinstance(field, Field)
    return field


def company_line_of(settings: AccountingSettings) -> tuple[int, ...]:
    """The company of the settings and its parents, nearest first: whose accounts, taxes and journals it may use."""
    line: tuple[int, ...] = settings.line_pks  # type: ignore[attr-defined]
    return line


# ------------------------------------------------------------------------------------------------------------ journals
def journals_of(settings: AccountingSettings, *types: str) -> list[Journal]:
    """The active journals that the company may use, its own first, in their order. One query."""
    line = company_line_of(settings)
    rows = Journal.objects.active().filter(company__in=line)
    if types:
        rows = rows.filter(type__in=types)
    return sorted(rows, key=lambda journal: (line.index(journal.company_id), journal.sequence, journal.pk))


def default_journal(settings: AccountingSettings, type_: str) -> Journal:
    """The first active journal of a type, or ``SettingMissing``. One query."""
    found = journals_of(settings, type_)
    if not found:
        raise SettingMissing(
            _("%(company)s has no journal of type “%(type)s”. Make one under Accounting › Journals.")
            % {"company": settings.company.name, "type": JournalType(type_).label}
        )
    return found[0]


def methods_of(journal_pks: Iterable[int], direction: str = "") -> dict[int, list[PaymentMethodLine]]:
    """The active ways to pay through journals, in their order. One query."""
    rows = PaymentMethodLine.objects.filter(journal__in=list(journal_pks), active=True)
    if direction:
        rows = rows.filter(direction=direction)
    answer: dict[int, list[PaymentMethodLine]] = {}
    for row in rows.order_by("journal_id", "direction", "sequence", "pk"):
        answer.setdefault(row.journal_id, []).append(row)
    return answer


# --------------------------------------------------------------------------------------------------------------- taxes
def tax_specs(pks: Iterable[int], *, inclusion: str | None = None) -> dict[int, TaxSpec]:
    """Taxes as the computation takes them, those of groups inside their groups: three queries at most.

    ``inclusion`` is the company's setting for taxes that follow it; not given, it is looked up by the tax's own company
    (whose parents, as the whole tree has one). Taxes that are archived are answered too; unknown keys are left out.
    """
    wanted = set(pks)
    if not wanted:
        return {}
    return specs_of(tax_rows(wanted), wanted, inclusion=inclusion)


def specs_of(
    rows: Mapping[int, Tax], wanted: Collection[int], *, inclusion: str | None = None
) -> dict[int, TaxSpec]:
    """``tax_specs`` of rows that ``tax_rows`` answered. One query, two without ``inclusion``."""
    shares: dict[int, list[TaxRepartition]] = {}
    for share in read_rows(
        TaxRepartition,
        "t.tax_id = ANY (%s) ORDER BY t.sequence, t.id",
        [list(rows)],
        extra={
            "tag_pks": "ARRAY(SELECT x.taxtag_id FROM accounting_taxrepartition_tags x WHERE x.taxrepartition_id = t.id)"
        },
    ):
        shares.setdefault(share.tax_id, []).append(share)
    following = {tax.company_id for tax in rows.values() if tax.price_inclusion == PriceInclusion.DEFAULT}
    if inclusion is None and following:
        defaults = {pk: row.price_inclusion for pk, row in settings_of_many(following).items()}
    else:
        defaults = dict.fromkeys(following, inclusion or PriceInclusion.EXCLUDED)
    specs: dict[int, TaxSpec] = {}
    # Children first: a group holds them.
    for tax in sorted(rows.values(), key=lambda row: bool(row.child_pks)):  # type: ignore[attr-defined]
        inside = tuple(specs[pk] for pk in tax.child_pks if pk in specs)  # type: ignore[attr-defined]
        specs[tax.pk] = _spec(tax, shares.get(tax.pk, []), inside, defaults)
    return {pk: spec for pk, spec in specs.items() if pk in wanted}


def tax_rows(pks: Iterable[int]) -> dict[int, Tax]:
    """Taxes and the children of groups among them, each with its group loaded and its ``child_pks``. One query."""
    wanted = list(pks)
    rows = read_joined(_TAXES, _TAXES_FROM, [wanted, wanted], extra=_TAX_CHILDREN)
    for tax, group in rows:
        set_link(tax, "group", group)
    return {tax.pk: tax for tax, _group in rows}


def _spec(
    tax: Tax, shares: Sequence[TaxRepartition], children: tuple[TaxSpec, ...], defaults: dict[int, str]
) -> TaxSpec:
    included = (
        defaults[tax.company_id] if tax.price_inclusion == PriceInclusion.DEFAULT else tax.price_inclusion
    )
    base: dict[str, tuple[int, ...]] = {"invoice": (), "refund": ()}
    parts: dict[str, list[Repartition]] = {"invoice": [], "refund": []}
    for share in shares:
        tags = tuple(sorted(share.tag_pks))  # type: ignore[attr-defined]
        if share.kind == TaxRepartition.Kind.BASE:
            base[share.document] = tags
        else:
            parts[share.document].append(
                Repartition(share.percent, share.account_id, tags, share.pk, share.in_closing)
            )
    return TaxSpec(
        pk=tax.pk,
        name=tax.name,
        amount_type=tax.amount_type,  # type: ignore[arg-type]
        amount=tax.amount,
        price_include=included == PriceInclusion.INCLUDED,
        include_base_amount=tax.include_base_amount,
        is_base_affected=tax.is_base_affected,
        sequence=tax.sequence,
        use=tax.use,  # type: ignore[arg-type]
        children=children,
        invoice_base_tag_pks=base["invoice"],
        refund_base_tag_pks=base["refund"],
        invoice_repartition=tuple(parts["invoice"]),
        refund_repartition=tuple(parts["refund"]),
        exigibility=tax.exigibility,  # type: ignore[arg-type]
        transition_account_pk=tax.transition_account_id,
        group_pk=tax.group_id,
    )


def default_tax(settings: AccountingSettings, use: str) -> int | None:
    """The company's own default tax on sales or on purchases."""
    return settings.sale_tax_id if use == TaxUse.SALE else settings.purchase_tax_id


def default_taxes(
    settings: AccountingSettings, use: str, account_pks: Iterable[int]
) -> dict[int, tuple[int, ...]]:
    """The taxes that a line on each account starts with: those of the account with that use, else the company's. One query."""
    wanted = set(account_pks)
    through = Account.taxes.through
    rows = through.objects.filter(account__in=wanted, tax__active=True, tax__use=use).order_by(
        "tax__sequence", "tax_id"
    )
    own: dict[int, list[int]] = {}
    for account_pk, tax_pk in rows.values_list("account_id", "tax_id"):
        own.setdefault(account_pk, []).append(tax_pk)
    company = default_tax(settings, use)
    fallback = () if company is None else (company,)
    return {pk: tuple(own[pk]) if pk in own else fallback for pk in wanted}


# ------------------------------------------------------------------------------------------------------------ accounts
def parents_of_groups(groups: Iterable[tuple[int, str, str]]) -> dict[int, int | None]:
    """The parent of each account group, given as (pk, first prefix, last prefix): the longest range that encloses its own."""
    rows = sorted(groups, key=lambda row: len(row[1]))
    answer: dict[int, int | None] = {}
    for position, (pk, start, end) in enumerate(rows):
        answer[pk] = None
        for other, low, high in reversed(rows[:position]):
            size = len(low)
            if size < len(start) and low <= start[:size] and end[:size] <= high:
                answer[pk] = other
                break
    return answer


def group_of_code(code: str, groups: Iterable[tuple[int, str, str]]) -> int | None:
    """The group of an account: the one with the longest prefix that its code lies in."""
    fitting = [(len(low), pk) for pk, low, high in groups if low <= code[: len(low)] <= high]
    return max(fitting)[1] if fitting else None


def next_free_code(line_pks: Collection[int], prefix: str, digits: int) -> str:
    """The first unused account code that begins with ``prefix`` and is ``digits`` long, counting up from 1 (``550`` and six
    digits: 550001, 550002, …). One query. A prefix too long for one digit more is extended."""
    width = max(digits - len(prefix), 1)
    taken = set(
        Account.objects.filter(company__in=line_pks, code__startswith=prefix).values_list("code", flat=True)
    )
    number = 1
    while (code := f"{prefix}{number:0{width}d}") in taken:
        number += 1
    return code


def has_posted_entries(company_pks: Collection[int]) -> bool:
    """Whether any entry of these companies is posted."""
    return JournalEntry.objects.filter(company__in=company_pks, state=EntryState.POSTED).exists()


def accounts_by_code(company_pk: int, codes: Iterable[str]) -> dict[str, Account]:
    """Accounts that a company may use, by their codes; its own hide its parents'. One query."""
    rows = Account.objects.filter(company__in=line_of([company_pk]), code__in=list(codes)).order_by(
        F("company_id").asc()
    )
    answer: dict[str, Account] = {}
    for account in rows:
        if account.code not in answer or account.company_id == company_pk:
            answer[account.code] = account
    return answer
