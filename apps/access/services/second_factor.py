"""Second factors: time-based codes (RFC 6238), recovery codes and passkeys (WebAuthn).

Stored in the ``Authenticator`` rows of django-allauth. A code is accepted once: the counter of the last accepted
one is kept under a row lock. Secrets are encrypted with a key derived from ``SECRET_KEY``; recovery codes are
kept as keyed hashes. Every change ends the user's other sessions, because the session nonce changes.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlencode

from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import hotp_value
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.access.constants import AuditKind
from apps.access.models import TrustedDevice, User
from apps.access.services import audit, throttle
from apps.access.services.guards import require_power_over
from apps.access.types import Client
from apps.core.actions import action
from apps.core.actor import Actor
from apps.core.errors import Conflict, Throttled, ValidationFailed
from apps.core.unit_of_work import unit_of_work

PERIOD = 30  # seconds
DIGITS = 6
WINDOW = 1  # periods before and after now that are accepted, for clocks that are off
RECOVERY_CODES = 10
CHECKS_PER_HOUR = 20
_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"  # without characters that look alike


# ------------------------------------------------------------------------------------------------- encryption
def _fernet() -> MultiFernet:
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    derived = [hashlib.sha256(b"apps.access.second_factor\0" + str(key).encode()).digest() for key in keys]
    return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in derived])


def encrypt(text: str) -> str:
    """Text as it may lie in the database."""
    return _fernet().encrypt(text.encode()).decode()


def decrypt(stored: str) -> str:
    """The text again. After ``SECRET_KEY`` was lost this raises ``Conflict``: an administrator resets the factor."""
    try:
        return _fernet().decrypt(stored.encode()).decode()
    except InvalidToken as exc:
        raise Conflict(
            _("The second factor cannot be read any more; ask an administrator to reset it.")
        ) from exc


# ---------------------------------------------------------------------------------------------- what a user has
def has_second_factor(user: User) -> bool:
    """Whether signing in by password needs more. One query."""
    return Authenticator.objects.filter(
        user=user, type__in=[Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN]
    ).exists()


def factor_types(user: User) -> set[str]:
    return set(Authenticator.objects.filter(user=user).values_list("type", flat=True))


# ------------------------------------------------------------------------------------------------------- codes
def new_totp_secret() -> str:
    """160 random bits in base 32, as authenticator apps take them."""
    return base64.b32encode(secrets.token_bytes(20)).decode()


def totp_url(user: User, secret: str) -> str:
    """The address that authenticator apps read from a QR code."""
    issuer = getattr(settings, "MFA_TOTP_ISSUER", "Meridian")
    label = quote(f"{issuer}:{user.login}")
    return f"otpauth://totp/{label}?{urlencode({'secret': secret, 'issuer': issuer}, quote_via=quote)}"


def totp_code(secret: str, counter: int) -> str:
    """The code of one period, with its leading zeros."""
    return f"{hotp_value(secret, counter) % 10**DIGITS:0{DIGITS}d}"


def matching_counter(secret: str, code: str, *, after: int = -1, now: float | None = None) -> int | None:
    """The period whose code this is, within the window and later than ``after``; ``None`` when there is none."""
    text = "".join(character for character in code if character.isdigit())
    if len(text) != DIGITS:
        return None
    current = int(time.time() if now is None else now) // PERIOD
    found = None
    for counter in range(current - WINDOW, current + WINDOW + 1):
        # Every candidate is compared, so that the time taken does not tell which one it was.
        if counter >= 0 and constant_time_compare(totp_code(secret, counter), text) and counter > after:
            found = counter
    return found


def enable_totp(
    user: User,
    secret: str,
    code: str,
    *,
    actor: Actor,
    client: Client | None = None,
    now: float | None = None,
) -> list[str]:
    """Switch time-based codes on, proven by a valid one; answers the recovery codes, shown once."""
    counter = matching_counter(secret, code, now=now)
    if counter is None:
        raise ValidationFailed(
            fields={"code": [_("This is not the current code. Check the clock of your device.")]}
        )
    with unit_of_work(actor):
        if Authenticator.objects.filter(user=user, type=Authenticator.Type.TOTP).exists():
            raise Conflict(_("Time-based codes are on already."))
        Authenticator.objects.create(
            user=user, type=Authenticator.Type.TOTP, data={"secret": encrypt(secret), "counter": counter}
        )
        codes = _store_recovery_codes(user)
        _changed(user, actor, client, "time-based codes switched on")
    return codes


def check_code(user: User, code: str, *, client: Client, now: float | None = None) -> bool:
    """Whether ``code`` is the user's current code or an unused recovery code; uses it up. Guessing is limited per
    user and hour: ``Throttled``."""
    code = (code or "").strip()
    if not code:
        return False
    if not throttle.allow("second_factor", str(user.pk), limit=CHECKS_PER_HOUR, seconds=3600):
        audit.record(
            AuditKind.SECOND_FACTOR, client=client, user_pk=user.pk, user_name=user.name, reason="throttled"
        )
        raise Throttled(retry_after=3600)
    right = _use_totp(user, code, now) or _use_recovery_code(user, code)
    if not right:
        audit.record(
            AuditKind.SECOND_FACTOR, client=client, user_pk=user.pk, user_name=user.name, reason="wrong code"
        )
    return right


@transaction.atomic
def _use_totp(user: User, code: str, now: float | None) -> bool:
    row = Authenticator.objects.select_for_update().filter(user=user, type=Authenticator.Type.TOTP).first()
    if row is None:
        return False
    counter = matching_counter(
        decrypt(row.data["secret"]), code, after=int(row.data.get("counter", -1)), now=now
    )
    if counter is None:
        return False
    row.data["counter"] = counter
    row.last_used_at = timezone.now()
    row.save(update_fields=["data", "last_used_at"])
    return True


# ---------------------------------------------------------------------------------------------- recovery codes
def _hash_code(user: User, code: str) -> str:
    plain = "".join(character for character in code.lower() if character in _ALPHABET)
    return salted_hmac("apps.access.recovery", f"{user.pk}:{plain}", algorithm="sha256").hexdigest()


def _store_recovery_codes(user: User) -> list[str]:
    codes = [
        "-".join("".join(secrets.choice(_ALPHABET) for _n in range(4)) for _g in range(3))
        for _c in range(RECOVERY_CODES)
    ]
    Authenticator.objects.update_or_create(
        user=user,
        type=Authenticator.Type.RECOVERY_CODES,
        defaults={"data": {"hashes": [_hash_code(user, code) for code in codes]}},
    )
    return codes


def new_recovery_codes(user: User, *, actor: Actor, client: Client | None = None) -> list[str]:
    """Ten fresh codes; all earlier ones are void."""
    if not has_second_factor(user):
        raise Conflict(_("Switch a second factor on first."))
    with unit_of_work(actor):
        codes = _store_recovery_codes(user)
        audit.record(
            AuditKind.SECOND_FACTOR, actor=actor, client=client, target=user, reason="new recovery codes"
        )
    return codes


def recovery_codes_left(user: User) -> int:
    row = Authenticator.objects.filter(user=user, type=Authenticator.Type.RECOVERY_CODES).first()
    return len(row.data.get("hashes", ())) if row else 0


@transaction.atomic
def _use_recovery_code(user: User, code: str) -> bool:
    row = (
        Authenticator.objects.select_for_update()
        .filter(user=user, type=Authenticator.Type.RECOVERY_CODES)
        .first()
    )
    if row is None:
        return False
    wanted = _hash_code(user, code)
    hashes = list(row.data.get("hashes", ()))
    matching = [stored for stored in hashes if constant_time_compare(stored, wanted)]
    if not matching:
        return False
    row.data["hashes"] = [stored for stored in hashes if stored not in matching]
    row.last_used_at = timezone.now()
    row.save(update_fields=["data", "last_used_at"])
    return True


# ------------------------------------------------------------------------------------------------ switching off
def remove_factor(
    user: User, factor_pk: int | None = None, *, actor: Actor, client: Client | None = None
) -> None:
    """Remove one of one's own factors (``None``: all). With the last real factor the recovery codes go too."""
    with unit_of_work(actor):
        rows = Authenticator.objects.filter(user=user)
        if factor_pk is not None:
            rows = rows.filter(pk=factor_pk).exclude(type=Authenticator.Type.RECOVERY_CODES)
            if not rows.exists():
                raise ValidationFailed(fields={"factor": [_("There is no such second factor.")]})
        rows.delete()
        if not has_second_factor(user):
            Authenticator.objects.filter(user=user).delete()
            TrustedDevice.objects.filter(user=user).delete()
        _changed(user, actor, client, "second factor removed")


@action(
    User,
    permission="reset_second_factor",
    name="reset_second_factor",
    title=gettext_lazy("Reset second factor"),
    dangerous=True,
    icon="phonelink_erase",
)
def reset_second_factor(users: Sequence[User], *, actor: Actor) -> None:
    """Take away the second factors of people who lost theirs; they sign in by password and set up a new one."""
    require_power_over(users, actor)
    Authenticator.objects.filter(user__in=users).delete()
    TrustedDevice.objects.filter(user__in=users).delete()
    for user in users:
        _changed(user, actor, None, "second factor reset by an administrator")


def _changed(user: User, actor: Actor, client: Client | None, reason: str) -> None:
    user.session_nonce = secrets.token_hex(8)
    user.save(update_fields=["session_nonce"])
    audit.record(AuditKind.SECOND_FACTOR, actor=actor, client=client, target=user, reason=reason)


def factors_of(user: User) -> list[dict[str, Any]]:
    """The user's factors for a settings page: key, type, name, when made and last used."""
    return [
        {
            "pk": row.pk,
            "type": row.type,
            "name": row.data.get("name", "")
            if row.type == Authenticator.Type.WEBAUTHN
            else str(row.get_type_display()),
            "created_at": row.created_at,
            "last_used_at": row.last_used_at,
        }
        for row in Authenticator.objects.filter(user=user).order_by("pk")
    ]
