"""Back-office screens of accounting; the modules of ``screens`` hold them by subject."""

from __future__ import annotations

from apps.accounting.screens import (
    bank,
    company,
    dashboard,
    entries,
    invoices,
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
register_page("accounting/settings/", company.settings_page, name="accounting_settings")
register_page("accounting/chart/", company.chart_page, name="accounting_chart")
register_page("accounting/locks/", company.locks_page, name="accounting_locks")
