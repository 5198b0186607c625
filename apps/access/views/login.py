"""Signing in (password, second factor, passkey), signing out, choosing the company."""

from __future__ import annotations

import json
import secrets
import time
from typing import Any

from django.contrib import auth
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from apps.access.constants import SESSION_PENDING_LOGIN, AuditKind
from apps.access.events import UnknownDeviceSignedIn
from apps.access.http import client_of
from apps.access.models import User
from apps.access.selectors import allowed_company_pks, with_branches
from apps.access.services import audit, links, passkeys, second_factor, sessions, throttle
from apps.access.services.login import check_login, login_needs_second_factor
from apps.access.views.common import error_context, me, page, safe_redirect, signed_in
from apps.core.actor import system_actor
from apps.core.errors import BusinessError, NotAuthenticated, Throttled
from apps.core.unit_of_work import emit

BACKEND = "apps.access.backends.AccessBackend"
PENDING_FOR = 600  # seconds to show the second factor in
MAIL_CODES_PER_HOUR = 10
MAIL_CODE_FOR = 3600


@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def login_page(request: HttpRequest) -> HttpResponse:
    """Login and password. With a second factor the session that follows has no rights until it was shown."""
    if request.method == "GET":
        if request.user.is_authenticated:
            return HttpResponseRedirect(safe_redirect(request, request.user))
        return page(request, "login", {"redirect": safe_redirect(request)})
    client = client_of(request)
    login = request.POST.get("login", request.POST.get("username", ""))
    try:
        user = check_login(login, request.POST.get("password", ""), client=client)
    except (NotAuthenticated, Throttled) as exc:
        context = {**error_context(exc), "login": login, "redirect": safe_redirect(request)}
        return page(request, "login", context, status=exc.status)
    target = safe_redirect(request, user)
    trusted = sessions.is_trusted_device(user, request.COOKIES.get(sessions.DEVICE_COOKIE, ""))
    if second_factor.has_second_factor(user):
        if not trusted:
            return _ask_second_factor(request, user, target)
        return _enter(request, user, target, second=True)
    if login_needs_second_factor(user) and user.email and not trusted:
        return _ask_second_factor(request, user, target, by_mail=True)
    return _enter(request, user, target)


def _ask_second_factor(
    request: HttpRequest, user: User, target: str, *, by_mail: bool = False
) -> HttpResponse:
    request.session.flush()
    pending = {
        "user": user.pk,
        "until": int(time.time()) + PENDING_FOR,
        "redirect": target,
        # A change of password or of the second factor in the meantime voids the half-made sign-in.
        "state": user.get_session_auth_hash(),
    }
    if by_mail:
        pending["until"] = int(time.time()) + MAIL_CODE_FOR
        if not throttle.allow("mail_code", str(user.pk), limit=MAIL_CODES_PER_HOUR, seconds=3600):
            error = Throttled()
            return page(request, "login", error_context(error), status=error.status)
        code = f"{secrets.randbelow(10**6):06d}"
        pending["mail_code"] = _hash_mail_code(user, code)
        links.send_letter(user, user.email, "access/mail_code", {"code": code})
    request.session[SESSION_PENDING_LOGIN] = pending
    return HttpResponseRedirect("/web/login/second-factor")


def _hash_mail_code(user: User, code: str) -> str:
    return salted_hmac(
        "apps.access.mail-code", f"{user.pk}:{user.login}:{user.last_login}:{code}", algorithm="sha256"
    ).hexdigest()


def _pending_user(request: HttpRequest) -> tuple[User, dict[str, Any]] | None:
    pending = request.session.get(SESSION_PENDING_LOGIN)
    if not pending or pending["until"] < time.time():
        return None
    user = (
        User.objects.with_rights_key()
        .select_related("company")
        .filter(pk=pending["user"], active=True)
        .first()
    )
    if user is None or not constant_time_compare(pending["state"], user.get_session_auth_hash()):
        return None
    return user, pending


@never_cache
@require_http_methods(["GET", "POST"])
def second_factor_page(request: HttpRequest) -> HttpResponse:
    """The code of an authenticator app, a recovery code, or the code from a letter."""
    found = _pending_user(request)
    if found is None:
        return HttpResponseRedirect("/web/login")
    user, pending = found
    context = {
        "by_mail": "mail_code" in pending,
        "has_passkey": "webauthn" in second_factor.factor_types(user),
    }
    if request.method == "GET":
        return page(request, "second_factor", context)
    client = client_of(request)
    code = request.POST.get("code", "")
    try:
        right = (
            _check_mail_code(user, pending, code)
            if context["by_mail"]
            else second_factor.check_code(user, code, client=client)
        )
    except BusinessError as exc:
        return page(request, "second_factor", {**context, **error_context(exc)}, status=exc.status)
    if not right:
        return page(request, "second_factor", {**context, "error": _("This code is not valid.")}, status=401)
    answer = _enter(request, user, pending["redirect"], second=True)
    if request.POST.get("trust"):
        secret = sessions.trust_device(user, client=client)
        _set_device_cookie(request, answer, secret)
    return answer


def _check_mail_code(user: User, pending: dict[str, Any], code: str) -> bool:
    if not throttle.allow("mail_code_check", str(user.pk), limit=MAIL_CODES_PER_HOUR, seconds=3600):
        raise Throttled()
    digits = "".join(character for character in code if character.isdigit())
    return constant_time_compare(pending["mail_code"], _hash_mail_code(user, digits))


def _set_device_cookie(request: HttpRequest, answer: HttpResponse, secret: str) -> None:
    answer.set_cookie(
        sessions.DEVICE_COOKIE,
        secret,
        max_age=sessions.DEVICE_DAYS * 86400,
        httponly=True,
        secure=request.is_secure(),
        samesite="Lax",
    )


def _enter(request: HttpRequest, user: User, target: str, *, second: bool = False) -> HttpResponseRedirect:
    """Begin the session: Django changes its key, so one that was planted before is worth nothing."""
    client = client_of(request)
    request.session.pop(SESSION_PENDING_LOGIN, None)
    auth.login(request, user, backend=BACKEND)
    known = user.user_sessions.filter(user_agent=client.user_agent[:300]).exists()
    sessions.register_session(user, request.session, client=client, second_factor=second)
    trusted = request.COOKIES.get(sessions.DEVICE_COOKIE, "")
    if second and not known and not trusted:
        browser = " · ".join(part for part in sessions.describe_agent(client.user_agent) if part)
        emit(UnknownDeviceSignedIn(user.pk, browser, client.ip), actor=system_actor(channel="web"))
    return HttpResponseRedirect(target or safe_redirect(request, user))


# ---------------------------------------------------------------------------------------------------- passkeys
@never_cache
@require_POST
def passkey_begin(request: HttpRequest) -> JsonResponse:
    """A challenge for ``navigator.credentials.get``; during the second step only for the passkeys of that user."""
    found = _pending_user(request)
    options = passkeys.begin_login(request.session, host=request.get_host(), user=found[0] if found else None)
    return JsonResponse(options)


@never_cache
@require_POST
def passkey_complete(request: HttpRequest) -> JsonResponse:
    """The signed challenge: signs in without password, or completes the second step."""
    client = client_of(request)
    try:
        throttle.count_attempt("passkey", client.ip)
        data = json.loads(request.body)
        if not isinstance(data, dict) or not isinstance(data.get("credential"), dict):
            raise NotAuthenticated()
        user = passkeys.complete_login(
            request.session, data["credential"], host=request.get_host(), client=client
        )
    except BusinessError as exc:
        return JsonResponse(exc.as_dict(), status=exc.status)
    except ValueError:
        return JsonResponse(NotAuthenticated().as_dict(), status=401)
    throttle.clear_attempts("passkey", client.ip)
    found = _pending_user(request)
    target = found[1]["redirect"] if found else ""
    if not target:
        wanted = data.get("redirect")
        target = safe_redirect(request, user, wanted=wanted if isinstance(wanted, str) else "")
    answer = _enter(request, user, target, second=True)
    return JsonResponse({"redirect": answer.url})


# ----------------------------------------------------------------------------------------------------- leaving
@never_cache
@require_http_methods(["GET", "POST"])
def logout_page(request: HttpRequest) -> HttpResponse:
    """Signing out is a POST: a picture in a letter must not do it. A GET asks."""
    if request.method == "GET":
        if not request.user.is_authenticated:
            return HttpResponseRedirect("/web/login")
        return page(request, "logout")
    user = request.user if isinstance(request.user, User) or request.user.is_authenticated else None
    sessions.end_session(request.session, user, client=client_of(request))
    auth.logout(request)
    return HttpResponseRedirect(safe_redirect(request) or "/web/login")


# --------------------------------------------------------------------------------------------------- companies
@signed_in
@require_POST
def switch_company(request: HttpRequest) -> HttpResponse:
    """Choose the companies to work with: ``company`` is the current one, ``companies`` further ones to show.
    ``branches=1`` adds the branches of the chosen ones."""
    try:
        wanted = [
            int(value) for value in (request.POST.get("company"), *request.POST.getlist("companies")) if value
        ]
        if request.POST.get("branches"):
            wanted = with_branches(wanted, allowed=allowed_company_pks(me(request)))
        chosen = sessions.select_companies(request.session, me(request), wanted)
    except ValueError:
        return JsonResponse({"code": "invalid", "message": _("Choose a company.")}, status=400)
    except BusinessError as exc:
        audit.record(
            AuditKind.DENIAL,
            client=client_of(request),
            user_pk=me(request).pk,
            user_name=me(request).name,
            reason="company switch",
        )
        return JsonResponse(exc.as_dict(), status=exc.status)
    if request.headers.get("Accept", "").startswith("application/json"):
        return JsonResponse({"company": chosen[0], "companies": list(chosen)})
    return HttpResponseRedirect(safe_redirect(request, me(request)))
