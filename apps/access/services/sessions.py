"""Browser sessions: beginning, listing and ending them.

A session is valid while the hash of what decides about signing in (login, password, active, kind, nonce) is the
one it began with; Django compares it at each request. A ``UserSession`` row says from where, and lets one session
be ended by itself.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from datetime import timedelta
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.base import SessionBase
from django.utils import timezone
from django.utils.translation import gettext_lazy

from apps.access.constants import (
    SESSION_COMPANIES,
    SESSION_COMPANY,
    SESSION_CONFIRMED_AT,
    SESSION_SEEN_AT,
    AuditKind,
)
from apps.access.models import TrustedDevice, User, UserSession
from apps.access.selectors.actors import allowed_company_pks
from apps.access.services import audit
from apps.access.types import Client
from apps.core.actions import action
from apps.core.actor import Actor
from apps.core.errors import PermissionDenied

SEEN_EVERY = 3600  # seconds between two writes of "last seen"
CONFIRMED_FOR = 600  # seconds for which a typed password counts for sensitive acts

_BROWSERS = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iOS"),
    ("iPad", "iPadOS"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def describe_agent(user_agent: str) -> tuple[str, str]:
    """Browser and system of a user-agent header, as far as it tells."""
    browser = next((name for mark, name in _BROWSERS if mark in user_agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), "")
    if not browser and user_agent:
        browser = re.split(r"[/ ]", user_agent, maxsplit=1)[0][:40]
    return browser, system


def register_session(
    user: User, session: SessionBase, *, client: Client, second_factor: bool = False
) -> UserSession:
    """Note that ``session`` (already rotated and bound to ``user``) began; writes the audit entry of the sign-in."""
    browser, platform = describe_agent(client.user_agent)
    if not session.session_key:
        session.create()
    row, _made = UserSession.objects.update_or_create(
        session_key=session.session_key or "",
        defaults={
            "user": user,
            "ip": client.ip[:45],
            "user_agent": client.user_agent[:300],
            "browser": browser,
            "platform": platform,
            "second_factor": second_factor,
            "created_at": timezone.now(),
            "last_seen_at": timezone.now(),
        },
    )
    session[SESSION_SEEN_AT] = int(timezone.now().timestamp())
    confirm(session)
    audit.record(
        AuditKind.LOGIN,
        client=client,
        user_pk=user.pk,
        user_name=user.name,
        target=user,
        after={"browser": browser, "system": platform, "second_factor": second_factor},
    )
    return row


def touch_session(session: SessionBase, *, client: Client) -> None:
    """Write "last seen" at most hourly, or when the address changed. Costs nothing in between."""
    now = int(timezone.now().timestamp())
    if now - int(session.get(SESSION_SEEN_AT, 0)) < SEEN_EVERY:
        return
    session[SESSION_SEEN_AT] = now
    UserSession.objects.filter(session_key=session.session_key).update(
        last_seen_at=timezone.now(), ip=client.ip[:45]
    )


def end_session(session: SessionBase, user: User | None, *, client: Client) -> None:
    """Sign out: the stored session goes and so does its row."""
    key = session.session_key
    session.flush()
    if key:
        UserSession.objects.filter(session_key=key).delete()
    if user is not None:
        audit.record(AuditKind.LOGOUT, client=client, user_pk=user.pk, user_name=user.name, target=user)


def keep_session(session: SessionBase, user: User) -> None:
    """After a change of password or second factor: this session goes on under the new hash and a new key."""
    old = session.session_key
    session.cycle_key()
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    UserSession.objects.filter(session_key=old).update(session_key=session.session_key)
    drop_stored_sessions(UserSession.objects.filter(user=user).exclude(session_key=session.session_key))


def end_other_sessions(user: User, *, actor: Actor, keep: SessionBase | None = None) -> int:
    """Sign the user out everywhere (but in ``keep``); answers how many sessions ended."""
    ended = (
        UserSession.objects.filter(user=user).exclude(session_key=keep.session_key if keep else "").count()
    )
    user.session_nonce = secrets.token_hex(8)
    user.save(update_fields=["session_nonce"])
    if keep is not None:
        keep_session(keep, user)
    else:
        drop_stored_sessions(UserSession.objects.filter(user=user))
    audit.record(AuditKind.SESSION, actor=actor, target=user, reason=f"{ended} sessions ended")
    return ended


def drop_stored_sessions(rows: Any) -> int:
    """Delete sessions and their rows."""
    store = import_module(settings.SESSION_ENGINE).SessionStore
    keys = list(rows.values_list("session_key", flat=True))
    for key in keys:
        store(key).delete()
    UserSession.objects.filter(session_key__in=keys).delete()
    return len(keys)


@action(
    UserSession,
    permission="revoke",
    name="revoke",
    title=gettext_lazy("Sign out"),
    dangerous=True,
    portal=True,
    icon="logout",
)
def revoke_sessions(sessions: Sequence[UserSession], *, actor: Actor) -> None:
    """Sign these browsers out at once."""
    rows = [
        {"target": row, "before": {"user": row.user_id, "ip": row.ip}, "reason": "session ended"}
        for row in sessions
    ]
    drop_stored_sessions(UserSession.objects.filter(pk__in=[row.pk for row in sessions]))
    audit.record_many(AuditKind.SESSION, rows, actor=actor)


def sessions_of(user: User) -> list[UserSession]:
    """Where the user is signed in, the latest first."""
    return list(UserSession.objects.filter(user=user))


# ------------------------------------------------------------------------------------------- sensitive acts
def confirm(session: SessionBase) -> None:
    """The person has just proven who he is; sensitive acts are open for a while."""
    session[SESSION_CONFIRMED_AT] = int(timezone.now().timestamp())


def is_confirmed(session: SessionBase) -> bool:
    return int(timezone.now().timestamp()) - int(session.get(SESSION_CONFIRMED_AT, 0)) < CONFIRMED_FOR


def require_confirmed(session: SessionBase) -> None:
    """Keys, second factors and the like ask for the password again when it was typed long ago."""
    if not is_confirmed(session):
        raise PermissionDenied(
            "Type your password again first.", code="confirm_identity", rule="identity check"
        )


# ----------------------------------------------------------------------------------------------- companies
def select_companies(session: SessionBase, user: User, company_pks: Sequence[int]) -> tuple[int, ...]:
    """Choose the companies to work with; the first is where new records go. Refuses any that is not allowed."""
    wanted = tuple(dict.fromkeys(company_pks))
    allowed = allowed_company_pks(user)
    if not wanted or not set(wanted) <= set(allowed):
        raise PermissionDenied(
            "You do not work for this company.", code="company_not_allowed", rule="companies"
        )
    session[SESSION_COMPANY] = wanted[0]
    session[SESSION_COMPANIES] = list(wanted)
    return wanted


def is_signed_in(session: SessionBase) -> bool:
    return SESSION_KEY in session


# ------------------------------------------------------------------------------------------- trusted devices
DEVICE_COOKIE = "meridian_device"
DEVICE_DAYS = 90


def trust_device(user: User, *, client: Client) -> str:
    """Let this browser skip the second factor for a while; answers the secret for its cookie."""
    from apps.access.services.tokens import digest_of

    secret = secrets.token_urlsafe(32)
    browser, platform = describe_agent(client.user_agent)
    TrustedDevice.objects.create(
        user=user,
        digest=digest_of(secret),
        name=" · ".join(part for part in (browser, platform) if part)[:100],
        expires_at=timezone.now() + timedelta(days=DEVICE_DAYS),
    )
    return secret


def is_trusted_device(user: User, secret: str) -> bool:
    from apps.access.services.tokens import digest_of

    return (
        bool(secret)
        and TrustedDevice.objects.filter(
            user=user, digest=digest_of(secret), expires_at__gt=timezone.now()
        ).exists()
    )


def purge_old_sessions() -> int:
    """Delete expired sessions and the rows of sessions that are gone; answers how many rows."""
    engine = import_module(settings.SESSION_ENGINE).SessionStore
    engine.clear_expired()
    TrustedDevice.objects.filter(expires_at__lt=timezone.now()).delete()
    idle = timezone.now() - timedelta(seconds=settings.SESSION_COOKIE_AGE + SEEN_EVERY)
    return UserSession.objects.filter(last_seen_at__lt=idle).delete()[0]
