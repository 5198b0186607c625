"""Printed documents of the books. Builders read and never write; rights were checked by whoever asked."""

from apps.accounting.reports.archive import invoice_archive
from apps.accounting.reports.check import check_document
from apps.accounting.reports.entry import entry_document
from apps.accounting.reports.invoice import invoice_document

__all__ = ["check_document", "entry_document", "invoice_archive", "invoice_document"]
