"""Who calls: a bearer token, or the session of a signed-in browser (then with its CSRF token)."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from rest_framework.authentication import BaseAuthentication
from rest_framework.authentication import SessionAuthentication as BrowserSession
from rest_framework.request import Request

from apps.access.models import ApiToken
from apps.access.selectors import actor_for
from apps.access.services.tokens import authenticate_token
from apps.api.problems import trace_id_of
from apps.core.actor import Actor
from apps.core.errors import NotAuthenticated, ValidationFailed

CHANNEL = "rest"
LONGEST_LIST = 200


class BearerAuthentication(BaseAuthentication):
    """``Authorization: Bearer <token>``. A header that is there but wrong is an error, never an anonymous request."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        scheme, _blank, raw = request.headers.get("Authorization", "").partition(" ")
        if not scheme:
            return None
        if scheme.lower() != "bearer" or not raw.strip():
            raise NotAuthenticated(_("Send 'Authorization: Bearer <token>'."), code="invalid_token")
        return authenticate_token(raw.strip(), ip=client_ip(request))

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class SessionAuthentication(BrowserSession):
    """The signed-in browser. Every unsafe request needs the CSRF token."""

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def client_ip(request: Any) -> str:
    return str(request.META.get("REMOTE_ADDR", ""))


def actor_of(request: Request) -> Actor:
    """The actor of an authenticated request. ``X-Company`` picks the company of new records, ``X-Companies`` those
    whose rows are shown; a company that the user does not work for is refused."""
    user, token = request.user, request.auth
    if not getattr(user, "pk", None):
        raise NotAuthenticated()
    current = _company_header(request, "X-Company")
    chosen = _company_header(request, "X-Companies")
    if len(current) > 1:
        raise ValidationFailed(_("X-Company takes one id."), fields={"X-Company": [_("Send one id.")]})
    return actor_for(
        user,
        company_pk=current[0] if current else None,
        company_pks=chosen,
        scopes=token.scopes if isinstance(token, ApiToken) else None,
        channel=CHANNEL,
        ip=client_ip(request),
        request_id=trace_id_of(request),
    )


def _company_header(request: Request, name: str) -> tuple[int, ...]:
    text = request.headers.get(name, "").strip()
    if not text:
        return ()
    parts = [part.strip() for part in text.split(",")]
    if len(parts) > LONGEST_LIST or not all(p.isascii() and p.isdigit() and len(p) < 19 for p in parts):
        raise ValidationFailed(
            _("%(header)s takes the id of a company.") % {"header": name}, fields={name: [_("Send ids of companies.")]}
        )
    return tuple(int(part) for part in parts)
