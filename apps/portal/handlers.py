"""The portal's part in threads: where people look at a record, and what a link with a token opens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.http import urlencode

from apps.chatter.hooks import collect_record_urls, collect_token_access
from apps.chatter.types import TokenAccess
from apps.portal.base import portal_path
from apps.portal.tokens import access_by, link


@collect_record_urls.register
def record_link(*, record: Any, audience: str) -> str | None:
    """For employees the redirector, which leads to the form; for customers the portal page, with the token that opens
    it to who has no login."""
    if audience == "internal":
        return f"/mail/view?{urlencode({'model': record._meta.label_lower, 'res_id': record.pk})}"
    path = portal_path(record) if audience == "portal" and hasattr(record, "access_token") else ""
    return link(record, path) if path else None


@collect_token_access.register
def bearer(*, record: Any, params: Mapping[str, str]) -> TokenAccess | None:
    """The public part of the thread opens to the record's own token."""
    return access_by(record, params)
