"""Reads: figures and choices, never a change."""
