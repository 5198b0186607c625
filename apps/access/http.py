"""What a request says about who sends it, read in one place."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest  # noqa: TID251  (this module is where requests are read)

from apps.access.constants import COMPANY_HEADER, SESSION_COMPANIES, SESSION_COMPANY
from apps.access.models import User
from apps.access.selectors.actors import actor_for, allowed_company_pks, public_actor
from apps.access.types import Client
from apps.core.actor import Actor
from apps.core.errors import ValidationFailed


def client_ip(request: HttpRequest) -> str:
    """The address of the visitor. Behind ``TRUSTED_PROXIES`` proxies it is that many places from the right of
    ``X-Forwarded-For``; anything further left was written by the visitor himself and is not believed."""
    hops = int(getattr(settings, "TRUSTED_PROXIES", 0))
    forwarded = [
        part.strip() for part in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if part.strip()
    ]
    if hops and len(forwarded) >= hops:
        return forwarded[-hops][:45]
    return str(request.META.get("REMOTE_ADDR", ""))[:45]


def client_of(request: HttpRequest, channel: str = "web") -> Client:
    return Client(
        ip=client_ip(request),
        user_agent=request.META.get("HTTP_USER_AGENT", "")[:300],
        channel=channel,
        request_id=getattr(request, "trace_id", ""),
    )


def wanted_companies(request: HttpRequest) -> list[int]:
    """Companies that the header ``X-Company`` asks for: one number, or several with commas, the current one first."""
    text = request.headers.get(COMPANY_HEADER, "").strip()
    if not text:
        return []
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ValidationFailed(
            f"The header {COMPANY_HEADER} holds company numbers, such as 1 or 1,3.", code="invalid_company"
        ) from None


def session_companies(request: HttpRequest, user: User) -> list[int]:
    """The companies chosen in this session, less those that the user has lost since."""
    chosen: Any = request.session.get(SESSION_COMPANIES) or []
    current = request.session.get(SESSION_COMPANY)
    if not chosen:
        return []
    allowed = allowed_company_pks(user)
    return [pk for pk in dict.fromkeys([current, *chosen]) if pk in allowed]


def build_actor(request: HttpRequest, *, channel: str = "web") -> Actor:
    """The actor of a request that a session signs in (or nobody). The header wins over the session's choice."""
    client = client_of(request, channel)
    user = getattr(request, "user", None)
    if not isinstance(user, User) and not getattr(user, "is_authenticated", False):
        return public_actor(
            channel=channel,
            ip=client.ip,
            request_id=client.request_id,
            language=getattr(request, "LANGUAGE_CODE", "en"),
        )
    assert user is not None
    companies = wanted_companies(request) or session_companies(request, user)
    return actor_for(
        user,
        company_pk=companies[0] if companies else None,
        company_pks=tuple(companies),
        channel=channel,
        ip=client.ip,
        request_id=client.request_id,
    )


def channel_of(path: str) -> str:
    """Which door a path belongs to."""
    for prefix, channel in (("/admin/", "admin"), ("/api/", "rest"), ("/my", "portal")):
        if path.startswith(prefix):
            return channel
    return "web"
