"""What happened in threads. Handlers run on a worker after commit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from apps.core.events import Event


@dataclass(frozen=True)
class MessagePosted(Event):
    """Messages were posted that people are told about (plain log entries are not announced).

    Who is to be told is in ``chatter.Notification``: rows of kind ``email`` in status ``ready`` are waiting for a
    mail to be made from them, rows of kind ``inbox`` are done.
    """

    name: ClassVar[str] = "chatter.MessagePosted"
    pks: tuple[int, ...]


@dataclass(frozen=True)
class ActivityDone(Event):
    """Activities were marked as done."""

    name: ClassVar[str] = "chatter.ActivityDone"
    pks: tuple[int, ...]
