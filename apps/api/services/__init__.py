"""Writes of the REST interface's own records."""

from apps.api.services import idempotency, webhooks

__all__ = ["idempotency", "webhooks"]
