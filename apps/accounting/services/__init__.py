"""Writes: every change of the books is made here. Importing this registers the services and actions."""

from apps.accounting.services import (
    charts,
    copies,
    entries,
    entry_posting,
    intake,
    invoices,
    locks,
    merging,
    posting,
    sending,
    setup,
    unposting,
)

__all__ = [
    "charts",
    "copies",
    "entries",
    "entry_posting",
    "intake",
    "invoices",
    "locks",
    "merging",
    "posting",
    "sending",
    "setup",
    "unposting",
]
