"""Sending the queue: each mail at most once, each failure visible, what may pass is tried again.

A batch is claimed and committed as *sending* before the server is spoken to. Answers of the server decide: 2xx sent,
4xx or no connection tried again after 1, 5, 30, 120 and 720 minutes, 5xx failed for good. A row that is still
*sending* after a quarter of an hour was being sent when its worker died: whether it left is unknown, so it is shown as
failed and only a person sends it again.
"""

from __future__ import annotations

import logging
import smtplib
from collections.abc import Sequence
from typing import Any

from django.core.mail import get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.chatter.constants import FailureType, NotificationStatus
from apps.chatter.models import Attachment, Notification
from apps.core.config import get_setting
from apps.core.jobs.registry import own_transactions
from apps.mail.constants import RETRY_PAUSES, SEND_BATCH, STUCK_AFTER, OutgoingState
from apps.mail.models import OutgoingMail
from apps.mail.services.transport import NotDeliverable, answer_of, hand_over

logger = logging.getLogger("meridian.mail.sending")
SHUTTING_DOWN = 421  # the server says goodbye together with its answer


def send_queue(*, limit: int = 1000) -> int:
    """Send what is due; answers how many mails were tried. Any number of workers may run it at once."""
    release_stuck()
    if not get_setting("mail.sending"):
        return 0
    tried = 0
    while tried < limit:
        batch = _claim(min(SEND_BATCH, limit - tried))
        if not batch:
            break
        tried += len(batch)
        if not _send_batch(batch):
            break  # nobody answers: the rest waits without using up its tries
    return tried


@own_transactions
def send_job(run: Any) -> None:
    """The scheduled job behind the queue, for what a lost wake-up left."""
    run.log(_("%(count)s mails tried.") % {"count": send_queue()})


def _claim(size: int) -> list[OutgoingMail]:
    with transaction.atomic():
        due = list(
            OutgoingMail.objects.select_for_update(skip_locked=True, of=("self",))
            .filter(state=OutgoingState.OUTGOING, scheduled_at__lte=timezone.now())
            .order_by("scheduled_at", "pk")[:size]
        )
        now = timezone.now()
        OutgoingMail.objects.filter(pk__in=[mail.pk for mail in due]).update(
            state=OutgoingState.SENDING, claimed_at=now
        )
    for mail in due:
        mail.claimed_at = now
    return due


def _send_batch(batch: Sequence[OutgoingMail]) -> bool:
    """One connection for the batch, each mail's fate committed by itself. Answers whether the server could be reached;
    when it could not, the batch waits."""
    files = _files(batch)
    connection = get_connection(fail_silently=False)
    broken = _open(connection)
    for mail in batch:
        if broken:
            _postpone(mail, FailureType.SMTP, broken)
        elif _still_ours(mail) and not _send_one(mail, files.get(mail.pk, []), connection):
            _close(connection)
            broken = _open(connection)
    _close(connection)
    return not broken


def _open(connection: BaseEmailBackend) -> str:
    """Connect; answers why not."""
    try:
        connection.open()
    except OSError as exc:  # smtplib's errors are OSErrors
        return f"{type(exc).__name__}: {exc}"
    return ""


def _close(connection: BaseEmailBackend) -> None:
    try:
        connection.close()
    except OSError as exc:
        logger.info("closing the mail server connection failed: %s", exc)


def _still_ours(mail: OutgoingMail) -> bool:
    """Renew the claim just before sending. A slow server may have held up this batch for so long that the mail was
    given up as interrupted: then it is a person's to send again, not ours."""
    now = timezone.now()
    held = OutgoingMail.objects.filter(pk=mail.pk, state=OutgoingState.SENDING, claimed_at=mail.claimed_at)
    if not held.update(claimed_at=now):
        return False
    mail.claimed_at = now
    return True


def _files(batch: Sequence[OutgoingMail]) -> dict[int, list[Attachment]]:
    links = OutgoingMail.attachments.through.objects.filter(outgoingmail__in=batch)
    links = links.select_related("attachment__stored")
    found: dict[int, list[Attachment]] = {}
    for link in links.order_by("pk"):
        found.setdefault(link.outgoingmail_id, []).append(link.attachment)
    return found


def _send_one(mail: OutgoingMail, files: Sequence[Attachment], connection: BaseEmailBackend) -> bool:
    """Try one mail; answers whether the connection is still good for the next one."""
    try:
        hand_over(connection, mail, files)
    except NotDeliverable as exc:
        _fail(mail, FailureType.EMAIL_INVALID, str(exc))
    except (smtplib.SMTPRecipientsRefused, smtplib.SMTPResponseException) as exc:
        code, text = answer_of(exc)
        if 400 <= code < 500:
            _postpone(mail, FailureType.SMTP, f"{code} {text}")
        else:
            kind = (
                FailureType.EMAIL_INVALID
                if isinstance(exc, smtplib.SMTPRecipientsRefused)
                else FailureType.SMTP
            )
            _fail(mail, kind, f"{code} {text}")
        return code != SHUTTING_DOWN
    except FileNotFoundError as exc:
        logger.exception("a file of mail %s is gone", mail.pk)
        _fail(mail, FailureType.UNKNOWN, f"{type(exc).__name__}: {exc}")
    except OSError as exc:  # the connection, time-outs, smtplib's other errors
        _postpone(mail, FailureType.SMTP, f"{type(exc).__name__}: {exc}")
        return False
    except Exception as exc:
        logger.exception("mail %s could not be sent", mail.pk)
        _fail(mail, FailureType.UNKNOWN, f"{type(exc).__name__}: {exc}")
    else:
        _done(mail)
    return True


def _done(mail: OutgoingMail) -> None:
    with transaction.atomic():
        OutgoingMail.objects.filter(pk=mail.pk).update(
            state=OutgoingState.SENT,
            sent_at=timezone.now(),
            claimed_at=None,
            attempts=mail.attempts + 1,
            failure_type="",
            failure_reason="",
        )
        _tell(mail, NotificationStatus.SENT)


def _postpone(mail: OutgoingMail, failure: str, reason: str) -> None:
    """Try again later, or give up after the last pause."""
    if mail.attempts >= len(RETRY_PAUSES):
        _fail(mail, failure, reason)
        return
    with transaction.atomic():
        OutgoingMail.objects.filter(pk=mail.pk).update(
            state=OutgoingState.OUTGOING,
            claimed_at=None,
            attempts=mail.attempts + 1,
            scheduled_at=timezone.now() + RETRY_PAUSES[mail.attempts],
            failure_type=failure,
            failure_reason=reason[:2000],
        )


def _fail(mail: OutgoingMail, failure: str, reason: str) -> None:
    with transaction.atomic():
        OutgoingMail.objects.filter(pk=mail.pk).update(
            state=OutgoingState.EXCEPTION,
            claimed_at=None,
            attempts=mail.attempts + 1,
            failure_type=failure,
            failure_reason=reason[:2000],
        )
        _tell(mail, NotificationStatus.EXCEPTION, failure, reason)


def _tell(mail: OutgoingMail, status: str, failure: str = "", reason: str = "") -> None:
    if mail.notification_id is not None:
        Notification.objects.filter(pk=mail.notification_id).exclude(status=NotificationStatus.BOUNCE).update(
            status=status, failure_type=failure, failure_reason=reason[:2000]
        )


def release_stuck() -> int:
    """Mails whose worker died while sending: reported, not repeated."""
    with transaction.atomic():
        stuck = list(
            OutgoingMail.objects.select_for_update(skip_locked=True, of=("self",)).filter(
                state=OutgoingState.SENDING, claimed_at__lt=timezone.now() - STUCK_AFTER
            )
        )
        for mail in stuck:
            _fail(
                mail, FailureType.UNKNOWN, _("Sending was interrupted; whether the mail left is not known.")
            )
    return len(stuck)
