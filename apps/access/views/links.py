"""Pages behind the links of invitations and resets, and the change of one's own password."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from apps.access.constants import TokenPurpose
from apps.access.http import client_of
from apps.access.services import links, sessions
from apps.access.services.passwords import change_own_password
from apps.access.views.common import error_context, me, my_actor, page, safe_redirect, signed_in
from apps.core.errors import BusinessError, ValidationFailed


@never_cache
@sensitive_post_parameters("password", "password2")
@require_http_methods(["GET", "POST"])
def reset_page(request: HttpRequest) -> HttpResponse:
    """Without a token: ask for a letter; the answer is the same for every login. With one: choose a password."""
    if request.POST.get("token") or request.GET.get("token"):
        return _choose(request, TokenPurpose.RESET)
    if request.method == "GET":
        return page(request, "reset", {})
    links.request_password_reset(request.POST.get("login", ""), client=client_of(request))
    return page(request, "reset", {"sent": True})


@never_cache
@sensitive_post_parameters("password", "password2")
@require_http_methods(["GET", "POST"])
def signup_page(request: HttpRequest) -> HttpResponse:
    """Only with an invitation: nobody makes himself an account."""
    if request.POST.get("token") or request.GET.get("token"):
        return _choose(request, TokenPurpose.INVITE)
    return page(request, "no_signup", status=403)


def _choose(request: HttpRequest, purpose: str) -> HttpResponse:
    token = request.POST.get("token") or request.GET.get("token", "")
    context = {"token": token, "purpose": str(purpose), "invited": purpose == TokenPurpose.INVITE}
    try:
        link = links.read_link(token, purpose)
    except ValidationFailed as exc:
        return page(request, "invalid_link", error_context(exc), status=404)
    context["account"] = link.user
    if request.method == "GET":
        return page(request, "choose_password", context)
    try:
        if request.POST.get("password", "") != request.POST.get(
            "password2", request.POST.get("password", "")
        ):
            raise ValidationFailed(fields={"password2": [_("The two passwords differ.")]})
        links.use_link(token, purpose, request.POST.get("password", ""), client=client_of(request))
    except ValidationFailed as exc:
        return page(request, "choose_password", {**context, **error_context(exc)}, status=400)
    return HttpResponseRedirect("/web/login?chosen=1")


@signed_in
@sensitive_post_parameters("old_password", "new_password", "new_password2")
@require_http_methods(["GET", "POST"])
def change_password_page(request: HttpRequest) -> HttpResponse:
    """Change one's own password; other sessions end, this one goes on."""
    context = {"redirect": safe_redirect(request), "forced": me(request).must_change_password}
    if request.method == "GET":
        return page(request, "change_password", context)
    try:
        if request.POST.get("new_password", "") != request.POST.get("new_password2", ""):
            raise ValidationFailed(fields={"new_password2": [_("The two passwords differ.")]})
        change_own_password(
            me(request),
            request.POST.get("old_password", ""),
            request.POST.get("new_password", ""),
            actor=my_actor(request),
            client=client_of(request),
        )
    except BusinessError as exc:
        return page(request, "change_password", {**context, **error_context(exc)}, status=exc.status)
    sessions.keep_session(request.session, me(request))
    return HttpResponseRedirect(safe_redirect(request, me(request)))
