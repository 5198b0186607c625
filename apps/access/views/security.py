"""One's own security: second factors, passkeys, recovery codes, sessions and API tokens."""

from __future__ import annotations

import json
from typing import Any

import segno
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from apps.access.http import client_of
from apps.access.models import ApiToken, UserSession
from apps.access.selectors import actor_for
from apps.access.services import passkeys, second_factor, sessions, throttle, tokens
from apps.access.views.common import confirmed, error_context, me, my_actor, page, safe_redirect, signed_in
from apps.core.errors import BusinessError, Throttled, ValidationFailed
from apps.core.rules import visible

NEW_SECRET = "new_totp_secret"  # noqa: S105  (the name of a session key)


@signed_in
@require_http_methods(["GET"])
def security_page(request: HttpRequest) -> HttpResponse:
    """Everything that lets somebody in as me."""
    return page(request, "security", _context(request))


def _context(request: HttpRequest, **extra: Any) -> dict[str, Any]:
    user, actor = me(request), my_actor(request)
    return {
        "factors": [row for row in second_factor.factors_of(user) if row["type"] != "recovery_codes"],
        "recovery_left": second_factor.recovery_codes_left(user),
        "sessions": sessions.sessions_of(user),
        "current_session": request.session.session_key,
        "tokens": list(visible(ApiToken, actor).filter(user=user, revoked_at__isnull=True)),
        "may_have_tokens": actor.is_internal,
        **extra,
    }


@signed_in
@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def confirm_page(request: HttpRequest) -> HttpResponse:
    """The password once more, before something that must not happen on a screen left alone."""
    context = {"redirect": safe_redirect(request) or "/web/security"}
    if request.method == "GET":
        return page(request, "confirm", context)
    user = me(request)
    if not throttle.allow("confirm", str(user.pk), limit=10, seconds=3600):
        error = Throttled()
        return page(request, "confirm", {**context, **error_context(error)}, status=error.status)
    if not user.check_password(request.POST.get("password", "")):
        return page(request, "confirm", {**context, "error": _("This is not your password.")}, status=401)
    sessions.confirm(request.session)
    return HttpResponseRedirect(context["redirect"])


@confirmed
@require_http_methods(["GET", "POST"])
def totp_page(request: HttpRequest) -> HttpResponse:
    """Set up an authenticator app: a QR code, then the first code as proof."""
    secret = request.session.get(NEW_SECRET)
    if request.method == "GET" or not secret:
        secret = request.session[NEW_SECRET] = second_factor.new_totp_secret()
    url = second_factor.totp_url(me(request), secret)
    picture = segno.make(url, error="m").svg_inline(scale=5, dark="#000", light="#fff")
    context: dict[str, Any] = {"secret": secret, "picture": mark_safe(picture)}  # noqa: S308  (made by segno from our own text)
    if request.method == "GET":
        return page(request, "totp", context)
    try:
        codes = second_factor.enable_totp(
            me(request),
            secret,
            request.POST.get("code", ""),
            actor=my_actor(request),
            client=client_of(request),
        )
    except BusinessError as exc:
        return page(request, "totp", {**context, **error_context(exc)}, status=exc.status)
    request.session.pop(NEW_SECRET, None)
    sessions.keep_session(request.session, me(request))
    return page(request, "recovery_codes", {"codes": codes})


@confirmed
@require_POST
def recovery_codes(request: HttpRequest) -> HttpResponse:
    """Ten new recovery codes; the old ones are void."""
    try:
        codes = second_factor.new_recovery_codes(
            me(request),
            actor=my_actor(request),
            client=client_of(request),
        )
    except BusinessError as exc:
        return page(request, "security", _context(request, **error_context(exc)), status=exc.status)
    return page(request, "recovery_codes", {"codes": codes})


@confirmed
@require_POST
def remove_factor(request: HttpRequest, pk: int) -> HttpResponse:
    """Remove an authenticator app or a passkey."""
    try:
        second_factor.remove_factor(
            me(request),
            pk,
            actor=my_actor(request),
            client=client_of(request),
        )
    except BusinessError as exc:
        return page(request, "security", _context(request, **error_context(exc)), status=exc.status)
    sessions.keep_session(request.session, me(request))
    return HttpResponseRedirect("/web/security")


@confirmed
@require_POST
def passkey_register_begin(request: HttpRequest) -> JsonResponse:
    return JsonResponse(passkeys.begin_registration(me(request), request.session, host=request.get_host()))


@confirmed
@require_POST
def passkey_register_complete(request: HttpRequest) -> JsonResponse:
    """Store the passkey that the browser made; the answer holds recovery codes when these are the first."""
    try:
        data = json.loads(request.body)
        if not isinstance(data, dict) or not isinstance(data.get("credential"), dict):
            raise ValidationFailed(fields={"credential": [_("The passkey could not be verified.")]})
        codes = passkeys.complete_registration(
            me(request),
            request.session,
            data["credential"],
            name=str(data.get("name", "")),
            host=request.get_host(),
            actor=my_actor(request),
            client=client_of(request),
        )
    except ValueError:
        return JsonResponse(ValidationFailed().as_dict(), status=400)
    except BusinessError as exc:
        return JsonResponse(exc.as_dict(), status=exc.status)
    sessions.keep_session(request.session, me(request))
    return JsonResponse({"recovery_codes": codes})


@signed_in
@require_POST
def end_session(request: HttpRequest, pk: int) -> HttpResponse:
    """Sign one of my browsers out."""
    row = UserSession.objects.filter(pk=pk, user=me(request)).first()
    if row is not None:
        sessions.revoke_sessions([row], actor=my_actor(request))
    return HttpResponseRedirect("/web/security")


@signed_in
@require_POST
def end_other_sessions(request: HttpRequest) -> HttpResponse:
    """Sign out everywhere but here."""
    sessions.end_other_sessions(me(request), actor=my_actor(request), keep=request.session)
    return HttpResponseRedirect("/web/security")


@confirmed
@require_POST
def make_token(request: HttpRequest) -> HttpResponse:
    """Make an API token; it is shown on the answer and never again."""
    try:
        days = request.POST.get("days", "").strip()
        scopes = request.POST.get("scopes", "").replace(",", " ").split()
        secret, row = tokens.make_token(
            me(request),
            name=request.POST.get("name", ""),
            scopes=scopes or None,
            expires_in=int(days) * 86400 if days else None,
            client=client_of(request),
        )
    except ValueError:
        error: BusinessError = ValidationFailed(fields={"days": [_("Enter a number of days.")]})
        return page(request, "security", _context(request, **error_context(error)), status=400)
    except BusinessError as exc:
        return page(request, "security", _context(request, **error_context(exc)), status=exc.status)
    return page(request, "security", _context(request, new_token=secret, new_token_row=row))


@signed_in
@require_POST
def revoke_token(request: HttpRequest, pk: int) -> HttpResponse:
    """Make one of my tokens unusable."""
    actor = actor_for(me(request), channel="web", ip=client_of(request).ip)
    row = visible(ApiToken, actor).filter(pk=pk, user=me(request)).first()
    if row is not None:
        tokens.revoke_tokens([row], actor=actor)
    return HttpResponseRedirect("/web/security")
