"""Invitations and password resets: signed links that work once, for 144 hours and 4 hours.

A link holds the key of a ``OneTimeToken`` and a random secret, signed. It is void after use, after its time, after
a change of login or password, and when a newer link was made. What a visitor is told never depends on whether an
account exists.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core import signing
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.template.loader import render_to_string
from django.utils import timezone, translation
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.translation import gettext as _

from apps.access.constants import AuditKind, Special, TokenPurpose, UserKind
from apps.access.events import PasswordResetRequested
from apps.access.hooks import collect_password_mails
from apps.access.models import OneTimeToken, User
from apps.access.services import audit, throttle
from apps.access.services.login import public_url
from apps.access.services.passwords import check_password_policy, write_password
from apps.access.services.tokens import digest_of
from apps.access.types import Client
from apps.core.actor import Actor, system_actor
from apps.core.errors import ValidationFailed
from apps.core.events import Event
from apps.core.unit_of_work import emit, unit_of_work

LIVES = {TokenPurpose.INVITE.value: timedelta(hours=144), TokenPurpose.RESET.value: timedelta(hours=4)}
SALT = "apps.access.one-time-link"
RESETS_PER_HOUR = 10


@dataclass(frozen=True, slots=True)
class Link:
    """A checked link: whose it is and what for."""

    token: OneTimeToken
    user: User


def request_password_reset(login: str, *, client: Client) -> None:
    """Somebody asks for a reset. Always succeeds, after the same work, whether or not there is such an account; the
    letter is written by a worker."""
    login = (login or "").strip()[:150]
    audit.record(AuditKind.PASSWORD, client=client, user_name=login, reason="reset requested")
    by_login = throttle.allow("reset_login", login.lower(), limit=RESETS_PER_HOUR, seconds=3600)
    by_address = throttle.allow("reset_address", client.ip or "-", limit=RESETS_PER_HOUR, seconds=3600)
    if login and by_login and by_address:
        emit(
            PasswordResetRequested(login=login, ip=client.ip),
            actor=system_actor(channel=client.channel or "web"),
        )


def users_for_reset(login: str) -> list[User]:
    """Accounts that a reset request means: by login, else by e-mail address. Only active ones."""
    rows = User.objects.active().people().exclude(kind=UserKind.PUBLIC)
    found = list(rows.filter(login__iexact=login))
    return found or list(rows.filter(email__iexact=login)[:5])


def _state(user: User) -> str:
    """Changes with login and password, so that older links are void."""
    return salted_hmac(
        SALT, f"{user.pk}:{user.login.lower()}:{user.password}", algorithm="sha256"
    ).hexdigest()


def make_link(user: User, purpose: str) -> str:
    """A fresh address for the user; earlier ones for the same purpose are void from now on."""
    secret = secrets.token_urlsafe(24)
    now = timezone.now()
    with transaction.atomic():
        OneTimeToken.objects.filter(user=user, purpose=purpose, used_at__isnull=True).update(used_at=now)
        row = OneTimeToken.objects.create(
            user=user,
            purpose=purpose,
            digest=digest_of(secret),
            state=_state(user),
            expires_at=now + LIVES[str(purpose)],
        )
    signed = signing.dumps([row.pk, secret], salt=SALT)
    page = "signup" if purpose == TokenPurpose.INVITE else "reset_password"
    return public_url(f"/web/{page}?token={signed}")


def read_link(raw: str, purpose: str) -> Link:
    """The link behind a token from an address, without using it up. One refusal for every reason."""
    refused = ValidationFailed(
        _("This link is not valid any more. Ask for a new one."), code="invalid_link", fields={}
    )
    try:
        pk, secret = signing.loads(raw or "", salt=SALT, max_age=LIVES[str(purpose)])
    except (signing.BadSignature, ValueError, TypeError) as exc:
        raise refused from exc
    token = OneTimeToken.objects.select_related("user").filter(pk=pk, purpose=purpose).first()
    if (
        token is None
        or token.used_at is not None
        or token.expires_at <= timezone.now()
        or not constant_time_compare(token.digest, digest_of(str(secret)))
        or not constant_time_compare(token.state, _state(token.user))
        or not token.user.active
        or token.user.special != Special.NONE
    ):
        raise refused
    return Link(token, token.user)


def use_link(raw: str, purpose: str, password: str, *, client: Client) -> User:
    """Set the password of the link's account. The link is used up, and every session of the account ends."""
    link = read_link(raw, purpose)
    check_password_policy(password, link.user)
    actor = system_actor(user_pk=link.user.pk, name=link.user.name, channel=client.channel, ip=client.ip)
    with unit_of_work(actor):
        # The row is taken by whoever comes first; a second use of the same link at the same time finds it taken.
        taken = OneTimeToken.objects.filter(pk=link.token.pk, used_at__isnull=True).update(
            used_at=timezone.now()
        )
        if not taken:
            raise ValidationFailed(
                _("This link is not valid any more. Ask for a new one."), code="invalid_link"
            )
        write_password(link.user, password)
        audit.record(
            AuditKind.PASSWORD,
            client=client,
            user_pk=link.user.pk,
            user_name=link.user.name,
            target=link.user,
            reason=f"set through a link ({purpose})",
        )
    return link.user


def send_link(user: User, purpose: str) -> None:
    """Write the letter with a fresh link, in the user's language; runs on a worker."""
    address = user.email or (user.login if "@" in user.login else "")
    if not address:
        return
    url = make_link(user, purpose)
    actor = system_actor(company_pk=user.company_id)
    if any(collect_password_mails.run(user=user, purpose=str(purpose), url=url, actor=actor)):
        return
    send_letter(
        user,
        address,
        f"access/mail_{purpose}",
        {"url": url, "hours": int(LIVES[str(purpose)].total_seconds() // 3600)},
    )


def send_letter(user: User, address: str, template: str, context: dict[str, Any]) -> None:
    """A letter about the account itself, through Django's mail backend: it must not wait in a queue of others."""
    with translation.override(user.language or settings.LANGUAGE_CODE):
        context = {**context, "user": user, "company": user.company}
        subject = " ".join(render_to_string(f"{template}_subject.txt", context).split())
        letter = EmailMultiAlternatives(subject, render_to_string(f"{template}.txt", context), to=[address])
        letter.extra_headers["Auto-Submitted"] = "auto-generated"
        letter.attach_alternative(render_to_string(f"{template}.html", context), "text/html")
        letter.send()


def announce(event: Event, *, actor: Actor) -> None:
    emit(event, actor=actor)


def purge_old_links() -> int:
    """Delete links whose time is over for a month."""
    return OneTimeToken.objects.filter(expires_at__lt=timezone.now() - timedelta(days=30)).delete()[0]
