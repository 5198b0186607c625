"""What happens after accounts changed: letters, and denials in the audit trail."""

from __future__ import annotations

from typing import Any

from django.db import models

from apps.access.constants import TokenPurpose
from apps.access.events import PasswordResetRequested, UnknownDeviceSignedIn, UserInvited
from apps.access.models import User
from apps.access.services import audit, links
from apps.core.actor import Actor
from apps.core.events import on
from apps.core.rules import collect_denials


@on(UserInvited)
def send_invitation(event: UserInvited, *, actor: Actor) -> None:
    """A letter with a link to choose a password."""
    user = User.objects.active().filter(pk=event.user_pk).first()
    if user is not None:
        links.send_link(user, TokenPurpose.INVITE)


@on(PasswordResetRequested)
def send_reset(event: PasswordResetRequested, *, actor: Actor) -> None:
    """A letter to every active account that the request may mean; none when there is none."""
    for user in links.users_for_reset(event.login):
        links.send_link(user, TokenPurpose.RESET)


@on(UnknownDeviceSignedIn)
def warn_of_device(event: UnknownDeviceSignedIn, *, actor: Actor) -> None:
    """Tell people that somebody signed in to their account from a browser not seen before."""
    user = User.objects.active().filter(pk=event.user_pk).first()
    if user is not None and user.email:
        links.send_letter(user, user.email, "access/mail_device", {"browser": event.browser, "ip": event.ip})


@collect_denials.register
def write_denial(model: type[models.Model], pk: Any, operation: str, actor: Actor, rules: list[str]) -> None:
    """Rights that record rules refuse stand in the audit trail."""
    audit.record_denial(actor, model, operation, "; ".join(rules), pk)
