"""Screens for the kernel's own records."""
