"""Signing in: the one operation that needs no token, because it makes one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpResponse
from django.utils.translation import gettext_lazy as _
from rest_framework.request import Request

from apps.access.http import client_of
from apps.access.services.tokens import issue_token
from apps.api.authentication import CHANNEL
from apps.api.base import Input
from apps.api.bodies import read_declared, read_object
from apps.api.encoding import json_response
from apps.api.views import CollectionView
from apps.core.actor import Actor

TOKEN_INPUTS: Mapping[str, Input] = {
    "username": Input(str, required=True, help=_("Login of an employee.")),
    "password": Input(str, required=True),
    "name": Input(str, required=True, help=_("What the token is for; shown in lists.")),
    "scopes": Input(
        str,
        many=True,
        nullable=True,
        help=_("Narrow the rights, such as read, projects, projects.task:read."),
    ),
    "expires_in": Input(int, nullable=True, help=_("Life in seconds; without it, as long as is allowed.")),
    "otp": Input(str, nullable=True, help=_("A code of the second factor, for accounts that have one.")),
}


class TokenCollectionView(CollectionView):
    """Tokens: anybody may try to make one by signing in; listing needs one."""

    def get_authenticators(self) -> list[Any]:
        return [] if self.request.method == "POST" else super().get_authenticators()

    @property
    def public(self) -> bool:  # type: ignore[override]
        return self.request.method == "POST"

    def _takes(self, method: str) -> bool:
        return method in ("get", "post", "options")

    def post(self, request: Request) -> HttpResponse:
        self.refuse_query()
        values = read_declared(TOKEN_INPUTS, read_object(request.data), Actor())
        raw, token = issue_token(
            values["username"],
            values["password"],
            values["name"],
            values["scopes"],
            values["expires_in"],
            code=values["otp"] or "",
            client=client_of(request, CHANNEL),
        )
        answer = {
            "token": raw,
            "expires_at": token.expires_at,
            "id": token.pk,
            "prefix": token.prefix,
            "name": token.name,
            "scopes": token.scopes,
        }
        return json_response(answer, 201)
