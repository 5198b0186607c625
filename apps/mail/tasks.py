"""Background tasks of the mail app: thin shells around services."""

from __future__ import annotations

from celery import shared_task

from apps.mail.services.sending import send_queue


@shared_task(name="mail.send_queue", ignore_result=True)
def send_waiting_mail() -> int:
    """Send what is due; woken after commit whenever mail is queued."""
    return send_queue()
