"""Writes: every change of the books is made here. Importing this registers the services and actions."""

from apps.accounting.services import invoices, setup

__all__ = ["invoices", "setup"]
