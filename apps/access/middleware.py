"""Gives every request its actor, and the language and time zone of the person behind it."""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable

from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect
from django.utils import timezone, translation
from django.utils.functional import SimpleLazyObject
from django.utils.http import urlencode

from apps.access.http import build_actor, channel_of, client_of
from apps.access.services.sessions import touch_session
from apps.core.errors import BusinessError

# Where somebody who must choose a new password may still go.
_OPEN = ("/web/", "/static/", "/healthz", "/readyz", "/api/v1/schema")


class ActorMiddleware:
    """``request.actor`` is built when it is first looked at, so pages that need none cost nothing.

    It comes after the session and authentication middleware. API tokens are dealt with by the API, which replaces
    ``request.actor``.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request.actor = SimpleLazyObject(  # type: ignore[attr-defined]
            lambda: build_actor(request, channel=channel_of(request.path_info))
        )
        if SESSION_KEY not in request.session:
            return self.get_response(request)
        user = request.user
        if not user.is_authenticated:
            return self.get_response(request)
        touch_session(request.session, client=client_of(request))
        if user.must_change_password and not request.path_info.startswith(_OPEN):
            return self._choose_password(request)
        previous = translation.get_language()
        translation.activate(user.language)
        request.LANGUAGE_CODE = translation.get_language() or user.language
        try:
            with timezone.override(_zone(user.timezone)):
                return self.get_response(request)
        finally:
            if previous:
                translation.activate(previous)

    def _choose_password(self, request: HttpRequest) -> HttpResponseBase:
        if channel_of(request.path_info) == "rest" or request.headers.get("HX-Request"):
            answer = JsonResponse(
                {"code": "password_change_needed", "message": "Choose a new password first."}
            )
            answer.status_code = 403
            return answer
        return redirect(f"/web/change_password?{urlencode({'redirect': request.get_full_path()})}")

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """A wish for a company that is not the user's is a refusal, not a failure, wherever the actor was needed."""
        if isinstance(exception, BusinessError) and exception.code in (
            "company_not_allowed",
            "invalid_company",
        ):
            return JsonResponse(exception.as_dict(), status=exception.status)
        return None


def _zone(name: str) -> zoneinfo.ZoneInfo:
    try:
        return zoneinfo.ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return zoneinfo.ZoneInfo("UTC")
