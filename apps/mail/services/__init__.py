"""Writers of the mail app."""

from apps.mail.services import aliases, outgoing, quarantine, queue_actions

__all__ = ["aliases", "outgoing", "quarantine", "queue_actions"]
