"""Numbering of documents. ``formats`` is what numbers look like, ``counters`` where they come from, ``service`` the use.

Draw with ``apps.core.sequences.service.draw``.
"""
