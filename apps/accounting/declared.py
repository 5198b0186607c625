"""What the module declares to the platform: roles and their rights, jobs, documents, menu. Plain data.

Billing works on invoices and payments; the accountant on everything that makes entries; the adviser also on the plan of the
books, lock dates and closing; the auditor reads everything and changes nothing.
"""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from apps.accounting.constants import ROLE_ACCOUNTANT, ROLE_ADVISER, ROLE_AUDITOR, ROLE_BILLING
from apps.core.declarations import (
    JobSpec,
    MenuItem,
    PortalCard,
    ReportSpec,
    Role,
    SequenceSpec,
    SettingSpec,
    SubtypeSpec,
)

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
            **_each((*SETUP, *LEDGER, *BANK), "view"),
            "accounting.AccountingSettings": "view",
            "accounting.Invoice": "view add change delete post reset pay comment",
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
            "accounting.PartialMatch": "view delete",
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
            "accounting.AccountingSettings": "view add change lock hard_lock chart close",
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
    # "comment" is writing in the thread of a document.
    "access.portal": {"accounting.Invoice": "view comment", "accounting.InvoiceLine": "view"},
}
# Numbers of payments that have no entry and so no place in a journal's series.
SEQUENCES = (
    SequenceSpec(code="accounting.payment", title=_("Payments without an entry"), prefix="PAY/%(year)s/"),
)
JOBS: tuple[JobSpec, ...] = (
    JobSpec(
        code="accounting.fold_balances",
        title=_("Fold the balances of the ledger"),
        task="apps.accounting.services.balances.fold_balances",
        every=10,
        unit="minutes",
        priority=8,
    ),
    JobSpec(
        code="accounting.check_balances",
        title=_("Prove the balances of the ledger by its items"),
        task="apps.accounting.services.balances.check_balances",
        at="03:30",
    ),
    JobSpec(
        code="accounting.post_due_documents",
        title=_("Post documents on their day"),
        task="apps.accounting.services.recurring.post_due_documents",
        at="00:15",
    ),
    JobSpec(
        code="accounting.reverse_entries",
        title=_("Reverse entries on their day"),
        task="apps.accounting.services.entry_posting.reverse_due_entries",
        at="00:30",
    ),
)
REPORTS: tuple[ReportSpec, ...] = (
    ReportSpec(
        code="accounting.invoice",
        title=_("Invoice"),
        model="accounting.Invoice",
        builder="apps.accounting.reports.invoice_document",
        template="accounting/reports/invoice.html",
        filename="{slug}",
        portal=True,
        archive="apps.accounting.reports.invoice_archive",
    ),
    ReportSpec(
        code="accounting.journal_entry",
        title=_("Journal entry"),
        model="accounting.JournalEntry",
        builder="apps.accounting.reports.entry_document",
        template="accounting/reports/entry.html",
        filename="{slug}",
    ),
    ReportSpec(
        code="accounting.check",
        title=_("Check"),
        model="accounting.Payment",
        builder="apps.accounting.reports.check_document",
        template="accounting/reports/check.html",
        filename="check-{slug}",
        paper="Letter",
    ),
)
CARDS: tuple[PortalCard, ...] = (
    PortalCard(
        "invoice_count",
        _("Invoices"),
        "/my/invoices?filterby=invoices",
        "apps.accounting.selectors.portal.invoice_count",
        icon="receipt_long",
        sequence=10,
    ),
    PortalCard(
        "overdue_invoice_count",
        _("Overdue invoices"),
        "/my/invoices/overdue",
        "apps.accounting.selectors.portal.overdue_invoice_count",
        icon="alarm",
        sequence=15,
    ),
    PortalCard(
        "bill_count",
        _("Bills"),
        "/my/invoices?filterby=bills",
        "apps.accounting.selectors.portal.bill_count",
        icon="receipt",
        sequence=20,
    ),
)
SETTINGS: tuple[SettingSpec, ...] = ()
SUBTYPES: tuple[SubtypeSpec, ...] = ()
INVOICES = "accounting.Invoice"
CONFIGURATION = _("Configuration")
MENU: tuple[MenuItem, ...] = (
    MenuItem(_("Accounting"), INVOICES, url_name="admin:accounting_dashboard", icon="monitoring", sequence=5),
    MenuItem(
        _("Customer invoices"),
        INVOICES,
        icon="receipt_long",
        sequence=10,
        query="type__exact=customer_invoice",
    ),
    MenuItem(_("Credit notes"), INVOICES, icon="undo", sequence=12, query="type__exact=customer_credit_note"),
    MenuItem(
        _("Sales receipts"), INVOICES, icon="receipt", sequence=14, query="type__exact=customer_receipt"
    ),
    MenuItem(_("Vendor bills"), INVOICES, icon="request_quote", sequence=20, query="type__exact=vendor_bill"),
    MenuItem(
        _("Vendor credit notes"), INVOICES, icon="redo", sequence=22, query="type__exact=vendor_credit_note"
    ),
    MenuItem(
        _("Purchase receipts"), INVOICES, icon="receipt", sequence=24, query="type__exact=vendor_receipt"
    ),
    MenuItem(_("Payments"), "accounting.Payment", icon="payments", sequence=30),
    MenuItem(
        _("Internal transfer"),
        "accounting.Payment",
        url_name="admin:accounting_transfer",
        icon="swap_horiz",
        sequence=31,
        role=ROLE_BILLING,
    ),
    MenuItem(
        _("Bank reconciliation"),
        "accounting.StatementLine",
        url_name="admin:accounting_bank",
        icon="account_balance",
        sequence=32,
    ),
    MenuItem(_("Bank statements"), "accounting.BankStatement", icon="account_balance_wallet", sequence=33),
    MenuItem(_("Statement lines"), "accounting.StatementLine", icon="list_alt", sequence=34),
    MenuItem(
        _("Reconcile"),
        "accounting.JournalItem",
        url_name="admin:accounting_reconcile",
        icon="join_inner",
        sequence=36,
    ),
    MenuItem(_("Journal entries"), "accounting.JournalEntry", icon="book_2", sequence=40),
    MenuItem(_("Journal items"), "accounting.JournalItem", icon="toc", sequence=42),
    MenuItem(
        _("Trial balance"),
        "accounting.PeriodBalance",
        url_name="admin:accounting_trial_balance",
        icon="balance",
        sequence=50,
    ),
    MenuItem(
        _("General ledger"),
        "accounting.PeriodBalance",
        url_name="admin:accounting_general_ledger",
        icon="menu_book",
        sequence=52,
    ),
    MenuItem(
        _("Aged receivable"),
        "accounting.PeriodBalance",
        url_name="admin:accounting_aged_receivable",
        icon="hourglass_bottom",
        sequence=54,
    ),
    MenuItem(
        _("Aged payable"),
        "accounting.PeriodBalance",
        url_name="admin:accounting_aged_payable",
        icon="hourglass_top",
        sequence=56,
    ),
    MenuItem(
        _("Chart of accounts"),
        "accounting.Account",
        icon="account_tree",
        group=CONFIGURATION,
        role=ROLE_AUDITOR,
        sequence=10,
    ),
    MenuItem(
        _("Journals"),
        "accounting.Journal",
        icon="auto_stories",
        group=CONFIGURATION,
        role=ROLE_AUDITOR,
        sequence=12,
    ),
    MenuItem(
        _("Taxes"), "accounting.Tax", icon="percent", group=CONFIGURATION, role=ROLE_AUDITOR, sequence=14
    ),
    MenuItem(
        _("Fiscal positions"),
        "accounting.FiscalPosition",
        icon="swap_horiz",
        group=CONFIGURATION,
        role=ROLE_AUDITOR,
        sequence=16,
    ),
    MenuItem(
        _("Payment terms"),
        "accounting.PaymentTerm",
        icon="event_repeat",
        group=CONFIGURATION,
        role=ROLE_AUDITOR,
        sequence=18,
    ),
    MenuItem(
        _("Cash roundings"),
        "accounting.CashRounding",
        icon="toll",
        group=CONFIGURATION,
        role=ROLE_AUDITOR,
        sequence=20,
    ),
    MenuItem(
        _("Partner terms"),
        "accounting.PartnerTerms",
        icon="handshake",
        group=CONFIGURATION,
        role=ROLE_AUDITOR,
        sequence=22,
    ),
    MenuItem(
        _("Account groups"),
        "accounting.AccountGroup",
        icon="folder",
        group=CONFIGURATION,
        role=ROLE_AUDITOR,
        sequence=24,
    ),
    MenuItem(
        _("Tax groups"),
        "accounting.TaxGroup",
        icon="folder",
        group=CONFIGURATION,
        role=ROLE_AUDITOR,
        sequence=26,
    ),
    MenuItem(
        _("Reconciliation rules"),
        "accounting.ReconcileRule",
        icon="rule",
        group=CONFIGURATION,
        role=ROLE_AUDITOR,
        sequence=28,
    ),
    MenuItem(
        _("Fiscal years"),
        "accounting.FiscalYear",
        icon="calendar_month",
        group=CONFIGURATION,
        role=ROLE_AUDITOR,
        sequence=30,
    ),
    MenuItem(
        _("Lock exceptions"),
        "accounting.LockException",
        icon="lock_open",
        group=CONFIGURATION,
        role=ROLE_AUDITOR,
        sequence=32,
    ),
    MenuItem(
        _("Opening balances"),
        "accounting.AccountingSettings",
        url_name="admin:accounting_opening",
        icon="start",
        group=CONFIGURATION,
        role=ROLE_ADVISER,
        sequence=38,
    ),
    MenuItem(
        _("Accounting settings"),
        "accounting.AccountingSettings",
        url_name="admin:accounting_settings",
        icon="settings",
        group=CONFIGURATION,
        role=ROLE_AUDITOR,
        sequence=40,
    ),
)
