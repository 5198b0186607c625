"""What a mail administrator does with the queue and with addresses."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.chatter.constants import NotificationStatus
from apps.chatter.models import Notification
from apps.core.actions import action
from apps.core.actor import Actor
from apps.core.queue import enqueue_on_commit
from apps.mail.constants import OutgoingState
from apps.mail.models import AddressHealth, OutgoingMail
from apps.mail.services.outgoing import SEND_TASK


@action(
    OutgoingMail,
    name="retry",
    permission="retry",
    source={OutgoingState.EXCEPTION.value, OutgoingState.CANCELLED.value, OutgoingState.OUTGOING.value},
    target=OutgoingState.OUTGOING.value,
    title=_("Send again"),
    icon="replay",
)
def retry_mails(mails: Sequence[OutgoingMail], *, actor: Actor) -> None:
    """Try failed, cancelled or waiting mails at once."""
    pks = [mail.pk for mail in mails]
    OutgoingMail.objects.filter(pk__in=pks).update(
        scheduled_at=timezone.now(), attempts=0, failure_type="", failure_reason=""
    )
    Notification.objects.filter(mail__in=pks).update(
        status=NotificationStatus.PROCESS, failure_type="", failure_reason=""
    )
    enqueue_on_commit(SEND_TASK, queue="mail")


@action(
    OutgoingMail,
    name="cancel",
    permission="cancel",
    source={OutgoingState.OUTGOING.value, OutgoingState.EXCEPTION.value},
    target=OutgoingState.CANCELLED.value,
    title=_("Cancel"),
    icon="block",
)
def cancel_mails(mails: Sequence[OutgoingMail], *, actor: Actor) -> None:
    """Send these mails no more."""
    Notification.objects.filter(mail__in=[mail.pk for mail in mails]).update(
        status=NotificationStatus.CANCELED
    )


@action(
    AddressHealth, name="unblock", permission="unblock", title=_("Write to it again"), icon="mark_email_read"
)
def unblock_addresses(addresses: Sequence[AddressHealth], *, actor: Actor) -> None:
    """Forget complaints and bounces of these addresses."""
    AddressHealth.objects.filter(pk__in=[address.pk for address in addresses]).update(
        blocked=False, blocked_reason="", bounces=0
    )
