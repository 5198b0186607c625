"""Writing threads. Importing the package registers the services and actions of its models."""

from apps.chatter.services import activities, attachments, inbox, messages

__all__ = ["activities", "attachments", "inbox", "messages"]
