"""What the pages of this app share."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache

from apps.access.constants import UserKind
from apps.access.models import User
from apps.access.services.sessions import is_confirmed
from apps.access.services.users import is_local_path
from apps.core.actor import Actor
from apps.core.errors import BusinessError

View = Callable[..., HttpResponse]


def me(request: HttpRequest) -> User:
    """The signed-in user of a page that only signed-in users reach."""
    user = request.user
    assert isinstance(user, User)
    return user


def my_actor(request: HttpRequest) -> Actor:
    """The actor that the middleware put on the request."""
    actor: Actor = request.actor  # type: ignore[attr-defined]
    return actor


def safe_redirect(request: HttpRequest, user: User | None = None, *, wanted: str | None = None) -> str:
    """Where to go next: the ``redirect`` that was asked for if it is a path of this site, else the user's home."""
    if wanted is None:
        wanted = request.POST.get("redirect") or request.GET.get("redirect") or request.GET.get("next") or ""
    if is_local_path(wanted) and url_has_allowed_host_and_scheme(wanted, allowed_hosts=None):
        return wanted
    if user is None:
        return ""
    if user.home and is_local_path(user.home):
        return user.home
    return "/admin/" if user.kind == UserKind.INTERNAL else "/my"


def page(
    request: HttpRequest, template: str, context: dict[str, Any] | None = None, *, status: int = 200
) -> HttpResponse:
    """A page that no cache keeps and that tells no other site where it was."""
    answer = render(request, f"access/{template}.html", context or {}, status=status)
    # Not "no-referrer": browsers would then send the form with "Origin: null", which is refused.
    answer["Referrer-Policy"] = "same-origin"
    return answer


def error_context(error: BusinessError) -> dict[str, Any]:
    """A refusal as the form templates show it."""
    return {"error": error.message, "errors": error.fields}


def signed_in(view: View) -> View:
    """For pages of one's own account: visitors are sent to the login page and come back."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not request.user.is_authenticated:
            return HttpResponseRedirect(f"/web/login?{urlencode({'redirect': request.get_full_path()})}")
        return view(request, *args, **kwargs)

    return never_cache(wrapped)


def confirmed(view: View) -> View:
    """For sensitive acts: the password must have been typed in the last ten minutes."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not is_confirmed(request.session):
            target = request.get_full_path() if request.method == "GET" else "/web/security"
            return HttpResponseRedirect(f"/web/confirm?{urlencode({'redirect': target})}")
        return view(request, *args, **kwargs)

    return signed_in(wrapped)
