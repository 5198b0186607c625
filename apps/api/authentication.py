"""Who calls: a bearer token, or the session of a signed-in browser (then with its CSRF token)."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from rest_framework.authentication import BaseAuthentication
from rest_framework.authentication import SessionAuthentication as BrowserSession
from rest_framework.request import Request

from apps.access.http import client_ip, session_companies, wanted_companies
from apps.access.models import ApiToken, User
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


def actor_of(request: Request) -> Actor:
    """The actor of an authenticated request.

    ``X-Company`` picks the company of new records (further ids: companies whose rows are shown too); ``X-Companies`` adds
    to those shown. A company that the user does not work for is refused. Without a header a token works in the user's
    own company, a browser in those chosen in its session.
    """
    user, token = request.user, request.auth
    if not isinstance(user, User):
        raise NotAuthenticated()
    companies = [*wanted_companies(request), *_more_companies(request)]
    if not companies and token is None:
        companies = session_companies(request, user)
    return actor_for(
        user,
        company_pk=companies[0] if companies else None,
        company_pks=companies,
        scopes=token.scopes if isinstance(token, ApiToken) else None,
        channel=CHANNEL,
        ip=client_ip(request),
        request_id=trace_id_of(request),
    )


def _more_companies(request: Request) -> list[int]:
    text = request.headers.get("X-Companies", "").strip()
    parts = [part.strip() for part in text.split(",")] if text else []
    if len(parts) > LONGEST_LIST or not all(p.isascii() and p.isdigit() and len(p) < 19 for p in parts):
        message = _("Send ids of companies, separated by commas.")
        raise ValidationFailed(message, code="invalid_company", fields={"X-Companies": [message]})
    return [int(part) for part in parts]
