"""Dealing with what one was told: done, not done, failures put aside."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.chatter.constants import (
    FAILED_STATUSES,
    LIVE_CHANGED,
    LIVE_READ,
    NotificationKind,
    NotificationStatus,
)
from apps.chatter.models import Notification
from apps.chatter.models.threads import ref_of
from apps.chatter.services.notices import tell_users, tell_watchers
from apps.chatter.types import RecordRef
from apps.core.actions import action
from apps.core.actor import Actor
from apps.core.unit_of_work import unit_of_work


@action(Notification, name="mark_read", permission="mark_read", title=_("Done"), icon="done")
def mark_notifications_read(notifications: Sequence[Notification], *, actor: Actor) -> None:
    """Take messages out of one's inbox; they stay in the history."""
    _set_read([row.pk for row in notifications], actor)


def _set_read(pks: Sequence[int], actor: Actor) -> int:
    rows = Notification.objects.filter(pk__in=pks, is_read=False, partner_id=actor.partner_pk)  # type: ignore[misc]
    changed = rows.update(is_read=True, read_at=timezone.now())
    if changed and actor.user_pk is not None:
        tell_users([actor.user_pk], LIVE_READ, {"count": changed})
    return changed


def mark_all_read(*, actor: Actor) -> int:
    """Empty one's inbox; answers how many messages were in it."""
    if not actor.partner_pk:
        return 0
    with unit_of_work(actor):
        rows = Notification.objects.filter(
            partner_id=actor.partner_pk, kind=NotificationKind.INBOX, is_read=False
        )
        return _set_read(list(rows.values_list("pk", flat=True)), actor)


def mark_thread_read(record: models.Model, *, actor: Actor) -> int:
    """Take the messages of one record out of one's inbox: its thread was opened."""
    if not actor.partner_pk:
        return 0
    ref = ref_of(record)
    with unit_of_work(actor):
        rows = Notification.objects.filter(
            partner_id=actor.partner_pk,
            kind=NotificationKind.INBOX,
            is_read=False,
            message__model=ref.model,
            message__object_id=ref.pk,
        )
        return _set_read(list(rows.values_list("pk", flat=True)), actor)


def cancel_failures(message_pks: Sequence[int], *, actor: Actor) -> int:
    """Put failures of one's own messages aside: they no longer count as failed."""
    if not actor.partner_pk:
        return 0
    with unit_of_work(actor):
        rows = Notification.objects.filter(
            message_id__in=message_pks, author_id=actor.partner_pk, status__in=FAILED_STATUSES
        )
        touched = list(rows.values_list("message__model", "message__object_id"))
        changed = rows.update(status=NotificationStatus.CANCELED)
        for model, pk in set(touched):
            if model and pk:
                tell_watchers(RecordRef(model, pk), LIVE_CHANGED, {}, public=False)
    return changed


def set_delivery(
    notification_pks: Sequence[int], status: str, *, failure_type: str = "", failure_reason: str = ""
) -> int:
    """How telling people went; for the sending machinery. Watchers of the records see it at once."""
    rows = Notification.objects.filter(pk__in=notification_pks)
    changed = rows.update(status=status, failure_type=failure_type, failure_reason=failure_reason[:2000])
    refs = {
        RecordRef(model, pk)
        for model, pk in rows.values_list("message__model", "message__object_id")
        if model and pk is not None
    }
    for ref in sorted(refs, key=str):
        tell_watchers(ref, LIVE_CHANGED, {}, public=False)
    return changed
