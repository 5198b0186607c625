"""What the module declares to the platform: roles and their rights, jobs, documents, menu. Plain data.

Billing works on invoices and payments; the accountant on everything that makes entries; the adviser also on the plan of the
books, lock dates and closing; the auditor reads everything and changes nothing.
"""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from apps.accounting.constants import ROLE_ACCOUNTANT, ROLE_ADVISER, ROLE_AUDITOR, ROLE_BILLING
from apps.core.declarations import JobSpec, MenuItem, ReportSpec, Role, SettingSpec, SubtypeSpec

SETUP = (
    "AccountGroup",
    "Account",
    "Journal",
    "LedgerGroup",
    "NumberSeries",
    "PaymentMethodLine",
    "FiscalYear",
    "Incoterm",
    "TaxTag",
    "TaxGroup",
    "Tax",
    "TaxRepartition",
    "FiscalPosition",
    "FiscalPositionTax",
    "FiscalPositionAccount",
    "PaymentTerm",
    "PaymentTermLine",
    "CashRounding",
    "PartnerTerms",
)
LEDGER = ("JournalEntry", "JournalItem", "PartialMatch", "FullMatch", "PeriodBalance", "PartnerBalance")
BANK = ("BankStatement", "StatementLine", "ReconcileRule")
DOCUMENTS = ("Invoice", "InvoiceLine", "Payment")


def _each(names: tuple[str, ...], operations: str) -> dict[str, str]:
    return {f"accounting.{name}": operations for name in names}


ROLES = (
    Role(
        code=ROLE_AUDITOR,
        title=_("Auditor"),
        category=_("Accounting"),
        comment=_("Reads the whole ledger, its documents and reports; changes nothing."),
        grants={
            **_each((*SETUP, *LEDGER, *BANK, *DOCUMENTS), "view"),
            "accounting.AccountingSettings": "view",
            "accounting.LockException": "view",
            "accounting.JournalChain": "view",
        },
        sequence=10,
    ),
    Role(
        code=ROLE_BILLING,
        title=_("Billing"),
        category=_("Accounting"),
        comment=_("Makes, posts and sends invoices and bills, and registers payments."),
        grants={
            **_each((*SETUP, *LEDGER), "view"),
            "accounting.AccountingSettings": "view",
            "accounting.Invoice": "view add change delete post reset pay",
            "accounting.InvoiceLine": "view add change delete",
            "accounting.Payment": "view add change delete post",
        },
        sequence=20,
    ),
    Role(
        code=ROLE_ACCOUNTANT,
        title=_("Accountant"),
        category=_("Accounting"),
        comment=_("Keeps the books: entries, bank statements, reconciliation, soft lock dates."),
        implies=(ROLE_BILLING, ROLE_AUDITOR),
        grants={
            "accounting.Account": "view add",
            "accounting.PartnerTerms": "view add change delete",
            "accounting.JournalEntry": "view add change delete post reverse",
            "accounting.JournalItem": "view add change delete reconcile",
            "accounting.BankStatement": "view add change delete",
            "accounting.StatementLine": "view add change delete reconcile",
            "accounting.ReconcileRule": "view add change delete",
            "accounting.AccountingSettings": "view lock",
        },
        sequence=30,
    ),
    Role(
        code=ROLE_ADVISER,
        title=_("Adviser"),
        category=_("Accounting"),
        comment=_("Everything: the chart, taxes and journals, all lock dates, closing, opening balances."),
        implies=(ROLE_ACCOUNTANT,),
        grants={
            **_each(SETUP, "view add change delete"),
            "accounting.AccountingSettings": "view change lock hard_lock chart close",
            "accounting.LockException": "view add revoke",
            "accounting.FiscalYear": "view add change delete close",
        },
        for_admins=True,
        sequence=40,
    ),
)
# Every employee finds names of taxes, terms and journals, and sees documents that he sells or follows (``rules.py``).
GRANTS: dict[str, dict[str, str]] = {
    "access.internal": {
        "accounting.Invoice": "view",
        "accounting.InvoiceLine": "view",
        "accounting.Account": "view",
        "accounting.Journal": "view",
        "accounting.Tax": "view",
        "accounting.PaymentTerm": "view",
        "accounting.FiscalPosition": "view",
        "accounting.Incoterm": "view",
    },
    "access.portal": {"accounting.Invoice": "view", "accounting.InvoiceLine": "view"},
}
JOBS: tuple[JobSpec, ...] = ()
REPORTS: tuple[ReportSpec, ...] = ()
SETTINGS: tuple[SettingSpec, ...] = ()
SUBTYPES: tuple[SubtypeSpec, ...] = ()
MENU: tuple[MenuItem, ...] = ()
