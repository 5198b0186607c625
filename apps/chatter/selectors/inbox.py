"""What one person was told: inbox, history, counters and failures of what he sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from apps.chatter.constants import FAILED_STATUSES, NotificationKind
from apps.chatter.models import Message, Notification
from apps.chatter.selectors.threads import message_views
from apps.chatter.types import MessageView
from apps.core.actor import Actor


@dataclass(frozen=True, slots=True)
class InboxEntry:
    """A message in somebody's inbox with the record that it belongs to."""

    notification_pk: int
    is_read: bool
    model: str
    object_pk: int | None
    record_name: str
    message: MessageView


def _mine(actor: Actor) -> QuerySet[Notification]:
    rows = Notification.objects.filter(kind=NotificationKind.INBOX)
    return rows.filter(partner_id=actor.partner_pk) if actor.partner_pk else rows.none()


def unread_count(actor: Actor) -> int:
    return _mine(actor).filter(is_read=False).count()


def unread_by_record(actor: Actor, model_label: str, pks: Sequence[int]) -> set[int]:
    """Records of one kind about which the actor has something unread."""
    rows = _mine(actor).filter(is_read=False, message__model=model_label.lower(), message__object_id__in=pks)
    return {pk for pk in rows.values_list("message__object_id", flat=True) if pk is not None}


def inbox(
    actor: Actor, *, history: bool = False, before: int | None = None, limit: int = 30
) -> list[InboxEntry]:
    """Unread messages (``history``: the read ones), newest first; five queries. ``before`` is the
    ``notification_pk`` of the last entry of the page before.

    What was sent to a person stays readable to him, also when the record is not his to see any more.
    """
    rows = _mine(actor).filter(is_read=history)
    if before is not None:
        rows = rows.filter(pk__lt=before)
    notes = list(
        rows.select_related("message__author", "message__subtype").order_by("-pk")[: max(1, min(limit, 200))]
    )
    messages = [note.message for note in notes]
    views = message_views(messages, actor, public=not actor.is_internal)
    return [
        InboxEntry(note.pk, note.is_read, m.model, m.object_id, m.record_name, view)
        for note, m, view in zip(notes, messages, views, strict=True)
    ]


def failure_count(actor: Actor) -> int:
    """Messages of the actor that did not reach somebody."""
    if not actor.partner_pk:
        return 0
    failed = Notification.objects.filter(author_id=actor.partner_pk, status__in=FAILED_STATUSES)
    return failed.values("message_id").distinct().count()


def failures(actor: Actor, *, limit: int = 50) -> list[dict[str, Any]]:
    """The latest messages of the actor that did not reach somebody, with whom and why."""
    if not actor.partner_pk:
        return []
    rows = Notification.objects.filter(author_id=actor.partner_pk, status__in=FAILED_STATUSES)
    return [
        {
            "notification": row.pk,
            "message": row.message_id,
            "model": row.message.model,
            "object_id": row.message.object_id,
            "record_name": row.message.record_name,
            "partner": str(row.partner),
            "failure": row.get_failure_type_display(),
            "reason": row.failure_reason,
        }
        for row in rows.select_related("message", "partner").order_by("-pk")[:limit]
    ]


def waiting_mails(message_pks: Sequence[int]) -> QuerySet[Notification]:
    """Notifications by e-mail that nobody has made a mail of yet, with message, partner and the partner's user."""
    rows = Notification.objects.filter(
        message_id__in=message_pks, kind=NotificationKind.EMAIL, status="ready"
    ).order_by("message_id", "pk")
    return rows.select_related("message", "message__author", "message__subtype", "partner", "partner__user")


def messages_by_message_id(message_ids: Sequence[str]) -> dict[str, Message]:
    """Stored messages by their RFC Message-ID, for threading of incoming mail; unchecked."""
    return {
        row.message_id: row for row in Message.objects.filter(message_id__in=message_ids) if row.message_id
    }
