"""Checking a login and a password, the same way for every door."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.hashers import check_password, make_password
from django.utils.translation import gettext as _

from apps.access.constants import AuditKind, Special
from apps.access.models import User
from apps.access.services import audit, throttle
from apps.access.types import Client
from apps.core.errors import NotAuthenticated, Throttled

# Checked when there is no such account, so that the answer takes as long as for a wrong password.
_decoy = ""


def check_login(login: str, password: str, *, client: Client) -> User:
    """The active user with that login and password.

    Raises ``NotAuthenticated`` with one message for an unknown login, a wrong password, an archived account and one
    without password, after the same work; ``Throttled`` when there were too many failures.
    """
    login = (login or "").strip()
    try:
        throttle.count_attempt(login, client.ip)
    except Throttled:
        audit.record(AuditKind.LOGIN_FAILED, client=client, user_name=login, reason="too many attempts")
        raise
    user = (
        User.objects.with_rights_key().filter(login__iexact=login, special=Special.NONE).first()
        if login
        else None
    )
    right = _check(user, password or "")
    if user is None or not right or not user.active:
        audit.record(
            AuditKind.LOGIN_FAILED,
            client=client,
            user_pk=user.pk if user else None,
            user_name=login,
            reason="archived account" if user is not None and right else "wrong login or password",
        )
        raise NotAuthenticated(_("Wrong login or password."), code="wrong_credentials")
    throttle.clear_attempts(login, client.ip)
    return user


def _check(user: User | None, password: str) -> bool:
    global _decoy
    if user is not None and user.has_usable_password():
        return user.check_password(password)
    if not _decoy:
        _decoy = make_password("nobody's password")
    check_password(password, _decoy)
    return False


def login_needs_second_factor(user: User) -> bool:
    """Whether the installation asks a second factor of this user although he has none yet (setting)."""
    from apps.core.config import get_setting

    policy = get_setting("access.second_factor")
    return policy == "all" or (policy == "employees" and user.kind == "internal")


def public_url(path: str) -> str:
    """An address for letters: from the settings, never from the request."""
    return f"{settings.PUBLIC_URL}/{path.lstrip('/')}"
