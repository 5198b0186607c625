"""What the gateway announces. Handlers run on a worker after commit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from apps.core.events import Event


@dataclass(frozen=True)
class MailAccepted(Event):
    """A mail became messages on records: keys of the log entry and of the messages."""

    name: ClassVar[str] = "mail.MailAccepted"
    pk: int
    message_pks: tuple[int, ...]


@dataclass(frozen=True)
class MailQuarantined(Event):
    """A mail could not be dealt with and waits for a person."""

    name: ClassVar[str] = "mail.MailQuarantined"
    pk: int
    reason: str


@dataclass(frozen=True)
class AddressBounced(Event):
    """A mail to an address came back."""

    name: ClassVar[str] = "mail.AddressBounced"
    address: str
    reason: str = ""
