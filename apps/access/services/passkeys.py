"""Passkeys (WebAuthn): registering one, and signing in with one instead of a password and a code.

The relying party is the host name that the browser talks to. A challenge lives in the session and is used once;
the browser verifies the person, so a passkey counts as two factors. The signature counter must grow, which
uncovers a cloned key.
"""

from __future__ import annotations

from typing import Any

from allauth.mfa.models import Authenticator
from django.contrib.sessions.backends.base import SessionBase
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from fido2.server import Fido2Server
from fido2.utils import websafe_decode, websafe_encode
from fido2.webauthn import (
    AttestedCredentialData,
    AuthenticationResponse,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialUserEntity,
    RegistrationResponse,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from apps.access.constants import AuditKind, Special
from apps.access.models import User
from apps.access.services import audit
from apps.access.services.second_factor import _changed, _store_recovery_codes, factor_types
from apps.access.types import Client
from apps.core.actor import Actor
from apps.core.errors import NotAuthenticated, ValidationFailed
from apps.core.unit_of_work import unit_of_work

STATE_KEY = "passkey_state"


def _server(host: str) -> Fido2Server:
    name = host.partition(":")[0]
    return Fido2Server(PublicKeyCredentialRpEntity(id=name, name="Meridian"))


def _credential(row: Authenticator) -> AttestedCredentialData:
    return AttestedCredentialData(websafe_decode(row.data["attested"]))


def _rows(user: User | None = None) -> Any:
    rows = Authenticator.objects.filter(type=Authenticator.Type.WEBAUTHN)
    return rows.filter(user=user) if user is not None else rows


def begin_registration(user: User, session: SessionBase, *, host: str) -> dict[str, Any]:
    """Options for ``navigator.credentials.create``; the challenge is kept in the session."""
    options, state = _server(host).register_begin(
        user=PublicKeyCredentialUserEntity(id=str(user.pk).encode(), name=user.login, display_name=user.name),
        credentials=[_credential(row) for row in _rows(user)],
        resident_key_requirement=ResidentKeyRequirement.REQUIRED,
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    session[STATE_KEY] = {"state": state, "purpose": "register", "user": user.pk}
    return dict(options)


def complete_registration(
    user: User,
    session: SessionBase,
    response: dict[str, Any],
    *,
    name: str,
    host: str,
    actor: Actor,
    client: Client | None = None,
) -> list[str]:
    """Store the new passkey. Answers recovery codes when the user had none yet, shown once."""
    kept = session.pop(STATE_KEY, None)
    if not kept or kept.get("purpose") != "register" or kept.get("user") != user.pk:
        raise ValidationFailed(fields={"credential": [_("Begin again: the challenge is used up.")]})
    try:
        parsed = RegistrationResponse.from_dict(response)
        data = _server(host).register_complete(kept["state"], parsed)
    except (ValueError, TypeError, KeyError) as exc:
        raise ValidationFailed(fields={"credential": [_("The passkey could not be verified.")]}) from exc
    attested = data.credential_data
    if attested is None:
        raise ValidationFailed(fields={"credential": [_("The passkey could not be verified.")]})
    identifier = websafe_encode(attested.credential_id)
    with unit_of_work(actor):
        if _rows().filter(data__credential_id=identifier).exists():
            raise ValidationFailed(fields={"credential": [_("This passkey is registered already.")]})
        Authenticator.objects.create(
            user=user,
            type=Authenticator.Type.WEBAUTHN,
            data={
                "name": (name or _("Passkey")).strip()[:60],
                "credential_id": identifier,
                "attested": websafe_encode(bytes(attested)),
                "sign_count": data.counter,
            },
        )
        codes = [] if Authenticator.Type.RECOVERY_CODES in factor_types(user) else _store_recovery_codes(user)
        _changed(user, actor, client, "passkey added")
    return codes


def begin_login(session: SessionBase, *, host: str, user: User | None = None) -> dict[str, Any]:
    """Options for ``navigator.credentials.get``. Without a user the browser offers whichever passkeys it has."""
    options, state = _server(host).authenticate_begin(
        credentials=[_credential(row) for row in _rows(user)] if user is not None else [],
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    session[STATE_KEY] = {"state": state, "purpose": "login", "user": user.pk if user else None}
    return dict(options)


def complete_login(session: SessionBase, response: dict[str, Any], *, host: str, client: Client) -> User:
    """The active user whose passkey signed the challenge. Raises ``NotAuthenticated``; the challenge is used up."""
    kept = session.pop(STATE_KEY, None)
    refused = NotAuthenticated(_("The passkey was not accepted."), code="wrong_credentials")
    if not kept or kept.get("purpose") != "login":
        raise refused
    try:
        parsed = AuthenticationResponse.from_dict(response)
        identifier = websafe_encode(parsed.raw_id)
    except (ValueError, TypeError, KeyError) as exc:
        raise refused from exc
    with transaction.atomic():
        row = (
            _rows()
            .select_for_update(of=("self",))
            .select_related("user")
            .filter(data__credential_id=identifier)
            .first()
        )
        reason = _reason_to_refuse(row, parsed, kept, host)
        if not reason and row is not None:
            row.data["sign_count"] = parsed.response.authenticator_data.counter
            row.last_used_at = timezone.now()
            row.save(update_fields=["data", "last_used_at"])
    if reason or row is None:
        audit.record(
            AuditKind.LOGIN_FAILED,
            client=client,
            user_pk=row.user_id if row else None,
            user_name=row.user.name if row else "",
            reason=f"passkey: {reason}",
        )
        raise refused
    return row.user


def _reason_to_refuse(
    row: Authenticator | None, parsed: AuthenticationResponse, kept: dict[str, Any], host: str
) -> str:
    """Why the signature does not count; empty when it does."""
    if row is None:
        return "unknown"
    if kept.get("user") is not None and row.user_id != kept["user"]:
        return "of another user"
    handle = parsed.response.user_handle
    if handle is not None and handle != str(row.user_id).encode():
        return "of another user"
    try:
        _server(host).authenticate_complete(kept["state"], [_credential(row)], parsed)
    except ValueError:
        return "wrong signature, origin or challenge"
    counter, last = parsed.response.authenticator_data.counter, int(row.data.get("sign_count", 0))
    # Keys that do not count say zero each time.
    if (counter or last) and counter <= last:
        return "the signature counter did not grow: the key may be a copy"
    if not row.user.active or row.user.special != Special.NONE:
        return "archived account"
    return ""
