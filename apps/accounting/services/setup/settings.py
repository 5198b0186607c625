"""A company's accounting settings: made when first needed, checked when changed."""

from __future__ import annotations

import calendar
from collections.abc import Sequence

from django.utils.translation import gettext as _

from apps.access.models import Company
from apps.accounting.constants import AccountType, JournalType, TaxUse
from apps.accounting.models import Account, AccountingSettings, Journal, Tax
from apps.accounting.selectors.setup import (
    INHERITED_LINKS,
    INHERITED_VALUES,
    OF_THE_ROOT,
    OWN_OR_PARENT,
    settings_of,
    settings_of_many,
)
from apps.core.actor import Actor
from apps.core.errors import Conflict, ValidationFailed
from apps.core.links import pk_of
from apps.core.records import RecordService, Values, service
from apps.core.unit_of_work import unit_of_work

# What an account must be to play a part; parts that are not named take any but receivables, payables and off balance.
ROLE_TYPES: dict[str, frozenset[str]] = {
    "receivable_account": frozenset({AccountType.ASSET_RECEIVABLE}),
    "payable_account": frozenset({AccountType.LIABILITY_PAYABLE}),
    "income_account": frozenset({AccountType.INCOME, AccountType.INCOME_OTHER}),
    "expense_account": frozenset(
        {AccountType.EXPENSE, AccountType.EXPENSE_DEPRECIATION, AccountType.EXPENSE_DIRECT_COST}
    ),
}
MUST_MATCH = ("outstanding_receipts_account", "outstanding_payments_account", "transfer_account")
PLAIN_NAMES = (*OF_THE_ROOT, *INHERITED_VALUES, *OWN_OR_PARENT)
ACCOUNT_ROLES = tuple(name for name in INHERITED_LINKS if name.endswith("_account"))
NOT_FOR_ROLES = frozenset(
    {AccountType.ASSET_RECEIVABLE, AccountType.LIABILITY_PAYABLE, AccountType.OFF_BALANCE}
)


def settings_for(company: Company, *, actor: Actor) -> AccountingSettings:
    """The company's own row of settings, made when it has none: with the country of the company, or for a branch with what
    holds for its parent. Whoever works in a company may cause that; changing them needs the right to."""
    held = AccountingSettings.objects.filter(company=company).first()
    if held is not None:
        return held
    with unit_of_work(actor):
        effective = settings_of(company.pk)
        values = {
            **{name: getattr(effective, name) for name in PLAIN_NAMES},
            **{f"{name}_id": getattr(effective, f"{name}_id") for name in INHERITED_LINKS},
        }
        row = AccountingSettings(
            company=company, created_by_id=actor.user_pk, updated_by_id=actor.user_pk, **values
        )
        # Two who ask at the same moment get the same row.
        AccountingSettings.objects.bulk_create([row], ignore_conflicts=True)
        return AccountingSettings.objects.get(company=company)


@service(AccountingSettings)
class AccountingSettingsService(RecordService[AccountingSettings]):
    """The one writer of settings. Lock dates and the chart have actions of their own."""

    def prepare_create(self, rows: list[Values], actor: Actor) -> None:
        """What a caller leaves out begins as what holds for the company already."""
        companies = {pk for row in rows if (pk := pk_of(row.get("company"))) is not None}
        if AccountingSettings.objects.filter(company__in=companies).exists():
            raise Conflict(_("The company has its settings already: change them."), code="duplicate")
        known = settings_of_many(companies)
        for row in rows:
            effective = known.get(pk_of(row.get("company")) or 0)
            if effective is None:
                continue  # refused as a company that is missing or out of reach
            for name in PLAIN_NAMES:
                row.setdefault(name, getattr(effective, name))
            for name in INHERITED_LINKS:
                row.setdefault(name, getattr(effective, f"{name}_id"))

    def prepare_update(self, records: Sequence[AccountingSettings], values: Values, actor: Actor) -> None:
        if "company" in values and any(row.company_id != pk_of(values["company"]) for row in records):
            raise ValidationFailed(fields={"company": [_("Settings stay with their company.")]})

    def validate(self, records: Sequence[AccountingSettings], actor: Actor) -> None:
        errors: dict[str, list[str]] = {}
        self._check_accounts(records, errors)
        self._check_journals(records, errors)
        self._check_taxes(records, errors)
        for row in records:
            # A leap year, so that 29 February can be the end of a year.
            if not 1 <= row.fiscal_year_last_month <= 12:
                errors["fiscal_year_last_month"] = [_("A month is a number from 1 to 12.")]
            elif (
                not 1 <= row.fiscal_year_last_day <= calendar.monthrange(2024, row.fiscal_year_last_month)[1]
            ):
                errors["fiscal_year_last_day"] = [_("This month has no such day.")]
            for name in ("bank_prefix", "cash_prefix", "transfer_prefix"):
                if not all(c.isalnum() or c == "." for c in getattr(row, name) or ""):
                    errors[name] = [_("A prefix has letters, digits and points only.")]
            if not 3 <= row.code_digits <= 16:
                errors["code_digits"] = [_("Codes of accounts have between 3 and 16 digits.")]
        if errors:
            raise ValidationFailed(fields=errors)

    def _check_accounts(self, records: Sequence[AccountingSettings], errors: dict[str, list[str]]) -> None:
        pks = {getattr(row, f"{name}_id") for row in records for name in ACCOUNT_ROLES} - {None}
        held = Account.objects.in_bulk(pks)
        for row in records:
            for name in ACCOUNT_ROLES:
                account = held.get(getattr(row, f"{name}_id"))
                if account is None:
                    continue
                allowed = ROLE_TYPES.get(name)
                if (allowed is not None and account.type not in allowed) or (
                    allowed is None and account.type in NOT_FOR_ROLES
                ):
                    errors[name] = [
                        _("Account %(account)s is of type “%(type)s”, which cannot be used here.")
                        % {"account": account.code, "type": account.get_type_display()}
                    ]
                elif name in MUST_MATCH and not account.reconcile:
                    errors[name] = [
                        _(
                            "Items of account %(account)s are not matched; switch that on at the account first."
                        )
                        % {"account": account.code}
                    ]
                elif account.deprecated:
                    errors[name] = [_("Account %(account)s is deprecated.") % {"account": account.code}]

    def _check_journals(self, records: Sequence[AccountingSettings], errors: dict[str, list[str]]) -> None:
        names = ("exchange_journal", "cash_basis_journal")
        held = Journal.objects.in_bulk({getattr(r, f"{n}_id") for r in records for n in names} - {None})
        for row in records:
            for name in names:
                journal = held.get(getattr(row, f"{name}_id"))
                if journal is not None and journal.type != JournalType.GENERAL:
                    errors[name] = [_("Choose a journal of type “Miscellaneous”.")]

    def _check_taxes(self, records: Sequence[AccountingSettings], errors: dict[str, list[str]]) -> None:
        names = {"sale_tax": TaxUse.SALE, "purchase_tax": TaxUse.PURCHASE}
        held = Tax.objects.in_bulk({getattr(r, f"{n}_id") for r in records for n in names} - {None})
        for row in records:
            for name, use in names.items():
                tax = held.get(getattr(row, f"{name}_id"))
                if tax is not None and tax.use != use:
                    errors[name] = [_("Choose a tax that is used for %(use)s.") % {"use": use.label.lower()}]
                elif tax is not None and not tax.active:
                    errors[name] = [_("Tax %(tax)s is archived.") % {"tax": tax.name}]
