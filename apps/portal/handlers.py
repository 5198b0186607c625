"""The portal's part in threads: where customers look at a record, and what a link with a token opens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apps.chatter.hooks import collect_record_urls, collect_token_access
from apps.chatter.types import TokenAccess
from apps.portal.base import portal_path
from apps.portal.tokens import link, person_of, token_fits


@collect_record_urls.register
def portal_link(*, record: Any, audience: str) -> str | None:
    """For customers: the portal page, with the token that opens it to who has no login."""
    if audience != "portal" or not hasattr(record, "access_token"):
        return None
    path = portal_path(record)
    return link(record, path) if path else None


@collect_token_access.register
def bearer(*, record: Any, params: Mapping[str, str]) -> TokenAccess | None:
    """The public part of the thread opens to the token; writing needs the proof of being somebody as well."""
    given = params.get("access_token") or params.get("token") or ""
    if not given or not token_fits(record, given):
        return None
    partner_pk = person_of(record, params)
    return TokenAccess(partner_pk=partner_pk, may_post=partner_pk is not None)
