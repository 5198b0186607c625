"""Back-office screens of accounting; the modules of ``screens`` hold them by subject."""

from __future__ import annotations

from apps.accounting.screens import (
    bank,
    bank_import,
    bank_reconcile,
    company,
    dashboard,
    entries,
    invoices,
    opening,
    payments,
    previews,
    reconcile,
    reports,
    setup,
    taxes,
)
from apps.backoffice.base import register_page

__all__ = ["bank", "company", "dashboard", "entries", "invoices", "payments", "setup", "taxes"]

register_page("accounting/invoice-preview/", previews.invoice_preview, name="accounting_invoice_preview")
register_page("accounting/entry-preview/", previews.entry_preview, name="accounting_entry_preview")
register_page("accounting/tax-preview/", previews.tax_preview, name="accounting_tax_preview")
register_page("accounting/term-preview/", previews.term_preview, name="accounting_term_preview")
register_page("accounting/register/", payments.register_page_view, name="accounting_register")
register_page("accounting/register-preview/", payments.register_preview, name="accounting_register_preview")
register_page("accounting/transfer/", payments.transfer_page, name="accounting_transfer")
register_page("accounting/trial-balance/", reports.trial_page, name="accounting_trial_balance")
register_page("accounting/general-ledger/", reports.ledger_page, name="accounting_general_ledger")
register_page("accounting/aged-receivable/", reports.aged_receivable, name="accounting_aged_receivable")
register_page("accounting/aged-payable/", reports.aged_payable, name="accounting_aged_payable")
register_page("accounting/figure/", reports.figure_page, name="accounting_figure")
register_page("accounting/dashboard/", dashboard.dashboard_page, name="accounting_dashboard")
register_page("accounting/reconcile/", reconcile.reconcile_page, name="accounting_reconcile")
register_page("accounting/bank/", bank_reconcile.bank_page, name="accounting_bank")
register_page("accounting/bank/panel/", bank_reconcile.bank_panel, name="accounting_bank_panel")
register_page("accounting/bank/items/", bank_reconcile.bank_items, name="accounting_bank_items")
register_page("accounting/bank/preview/", bank_reconcile.bank_preview, name="accounting_bank_preview")
register_page("accounting/bank/match/", bank_reconcile.bank_match, name="accounting_bank_match")
register_page("accounting/bank/undo/", bank_reconcile.bank_undo, name="accounting_bank_undo")
register_page("accounting/bank/batch/", bank_reconcile.bank_batch, name="accounting_bank_batch")
register_page("accounting/bank-import/", bank_import.import_page, name="accounting_bank_import")
register_page(
    "accounting/bank-import/preview/", bank_import.import_preview, name="accounting_bank_import_preview"
)
register_page("accounting/settings/", company.settings_page, name="accounting_settings")
register_page("accounting/chart/", company.chart_page, name="accounting_chart")
register_page("accounting/locks/", company.locks_page, name="accounting_locks")
register_page("accounting/opening/", opening.opening_page, name="accounting_opening")
