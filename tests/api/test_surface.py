"""The committed listing of the REST surface is that of the running system, so that a change is seen in review."""

from __future__ import annotations

from django.core.management import call_command


def test_the_listing_is_up_to_date() -> None:
    """When this fails on purpose: `manage.py apisurface`, and commit docs/api-surface.txt with the change."""
    call_command("apisurface", "--check")
