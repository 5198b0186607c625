"""Reactions of the mail app to what happens in threads."""

from __future__ import annotations

from apps.chatter.events import MessagePosted
from apps.core.actor import Actor
from apps.core.events import on
from apps.mail.services.outgoing import mail_messages


@on(MessagePosted)
def mail_the_followers(event: MessagePosted, *, actor: Actor) -> None:
    """Make a mail for everybody who is told about the messages by e-mail."""
    mail_messages(event.pks)
