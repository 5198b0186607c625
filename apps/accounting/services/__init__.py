"""Writes: every change of the books is made here."""
