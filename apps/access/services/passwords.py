"""Passwords: the policy, changing one's own, and setting somebody else's."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from django.contrib.auth import password_validation
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from apps.access.constants import AuditKind
from apps.access.models import User
from apps.access.services import audit, throttle
from apps.access.services.guards import require_power_over
from apps.access.types import Client
from apps.core.actions import action
from apps.core.actor import Actor
from apps.core.config import get_setting
from apps.core.errors import Throttled, ValidationFailed
from apps.core.unit_of_work import unit_of_work

LONGEST = 1_000  # hashing a megabyte is a way to keep a server busy


class MinimumLength:
    """Password validator that takes its length from the setting ``access.password_min_length`` (0: any)."""

    def validate(self, password: str, user: Any = None) -> None:
        shortest = int(get_setting("access.password_min_length"))
        if len(password) < shortest:
            raise ValidationError(
                ngettext(
                    "A password has at least %(count)d character.",
                    "A password has at least %(count)d characters.",
                    shortest,
                )
                % {"count": shortest},
                code="password_too_short",
            )

    def get_help_text(self) -> str:
        return _("At least %(count)d characters.") % {"count": int(get_setting("access.password_min_length"))}


def check_password_policy(password: str, user: User | None = None, *, field: str = "password") -> None:
    """Raise ``ValidationFailed`` with every reason why this password will not do. A blank one never does."""
    if not password:
        raise ValidationFailed(fields={field: [_("Enter a password.")]})
    if len(password) > LONGEST:
        raise ValidationFailed(
            fields={field: [_("A password has at most %(count)d characters.") % {"count": LONGEST}]}
        )
    try:
        password_validation.validate_password(password, user)
    except ValidationError as exc:
        raise ValidationFailed(fields={field: list(exc.messages)}) from exc


def write_password(
    user: User, password: str | None, *, must_change: bool = False, end_sessions: bool = True
) -> None:
    """Store a new password (``None``: none at all). A new nonce ends every session of the user."""
    user.set_password(password)
    user.password_changed_at = timezone.now()
    user.must_change_password = must_change
    columns = ["password", "password_changed_at", "must_change_password"]
    if end_sessions:
        user.session_nonce = secrets.token_hex(8)
        columns.append("session_nonce")
    user.save(update_fields=columns)


def change_own_password(
    user: User, old: str, new: str, *, actor: Actor, client: Client | None = None
) -> None:
    """Change one's password, knowing the old one. Every session of the user ends; the caller keeps his own with
    ``apps.access.services.sessions.keep_session``. Guessing the old one is throttled like signing in."""
    if actor.user_pk != user.pk:
        raise ValidationFailed(fields={"old_password": [_("This changes your own password only.")]})
    if not throttle.allow("old_password", str(user.pk), limit=10, seconds=3600):
        raise Throttled()
    if not user.check_password(old):
        raise ValidationFailed(fields={"old_password": [_("This is not your password.")]})
    check_password_policy(new, user, field="new_password")
    if user.check_password(new):
        raise ValidationFailed(
            fields={"new_password": [_("Choose a password that differs from the old one.")]}
        )
    with unit_of_work(actor):
        write_password(user, new)
        audit.record(
            AuditKind.PASSWORD, actor=actor, client=client, target=user, reason="changed by the user"
        )


@action(
    User,
    permission="set_password",
    name="set_password",
    title=gettext_lazy("Set password"),
    bulk=False,
    dangerous=True,
    icon="password",
)
def set_password(users: Sequence[User], *, actor: Actor, password: str, must_change: bool = True) -> None:
    """Give somebody else a password, which he has to replace when he signs in. Ends his sessions."""
    require_power_over(users, actor)
    for user in users:
        check_password_policy(password, user)
        write_password(user, password, must_change=must_change and user.pk != actor.user_pk)
        audit.record(AuditKind.PASSWORD, actor=actor, target=user, reason="set by an administrator")
