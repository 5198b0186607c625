"""What happened to accounts. Handlers run on a worker after commit."""

from __future__ import annotations

from dataclasses import dataclass

from apps.core.events import Event


@dataclass(frozen=True)
class UserInvited(Event):
    """Somebody was invited; the letter with the link has to go out."""

    user_pk: int


@dataclass(frozen=True)
class PasswordResetRequested(Event):
    """Somebody asked for a reset. The login may be nobody's: that is found out where it cannot be timed."""

    login: str
    ip: str = ""


@dataclass(frozen=True)
class UnknownDeviceSignedIn(Event):
    """A user with a second factor signed in from a browser that was not seen before."""

    user_pk: int
    browser: str
    ip: str = ""


@dataclass(frozen=True)
class UsersArchived(Event):
    """Accounts were archived; their sessions are gone."""

    pks: tuple[int, ...]
