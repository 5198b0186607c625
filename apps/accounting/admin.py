"""Back-office screens of accounting; the modules of ``screens`` hold them by subject."""

from __future__ import annotations

from apps.accounting.screens import entries, invoices, payments, previews, setup, taxes
from apps.backoffice.base import register_page

__all__ = ["entries", "invoices", "payments", "setup", "taxes"]

register_page("accounting/invoice-preview/", previews.invoice_preview, name="accounting_invoice_preview")
register_page("accounting/tax-preview/", previews.tax_preview, name="accounting_tax_preview")
register_page("accounting/term-preview/", previews.term_preview, name="accounting_term_preview")
register_page("accounting/register/", payments.register_page_view, name="accounting_register")
register_page("accounting/register-preview/", payments.register_preview, name="accounting_register_preview")
register_page("accounting/transfer/", payments.transfer_page, name="accounting_transfer")
