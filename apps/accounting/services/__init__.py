"""Writes: every change of the books is made here."""

from apps.accounting.services import setup

__all__ = ["setup"]
