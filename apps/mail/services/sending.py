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

from django.core.mail import EmailMultiAlternatives, get_connection
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.chatter.constants import FailureType, NotificationStatus
from apps.chatter.models import Notification
from apps.core.config import get_setting
from apps.core.jobs.registry import own_transactions
from apps.mail.constants import RETRY_PAUSES, SEND_BATCH, STUCK_AFTER, OutgoingState
from apps.mail.models import OutgoingMail

logger = logging.getLogger("meridian.mail.sending")


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
        _send_batch(batch)
        tried += len(batch)
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
    return due


def _send_batch(batch: Sequence[OutgoingMail]) -> None:
    """One connection for the batch; each mail's fate is committed by itself."""
    files = _files(batch)
    connection = get_connection(fail_silently=False)
    broken = ""
    try:
        connection.open()
    except OSError as exc:  # smtplib's errors are OSErrors
        broken = f"{type(exc).__name__}: {exc}"
    try:
        for mail in batch:
            if broken:
                _postpone(mail, FailureType.SMTP, broken)
                continue
            _send_one(mail, files.get(mail.pk, []), connection)
    finally:
        try:
            connection.close()
        except OSError as exc:
            logger.info("closing the mail server connection failed: %s", exc)


def _files(batch: Sequence[OutgoingMail]) -> dict[int, list[Any]]:
    links = OutgoingMail.attachments.through.objects.filter(outgoingmail__in=batch).select_related("attachment")
    found: dict[int, list[Any]] = {}
    for link in links.order_by("pk"):
        found.setdefault(link.outgoingmail_id, []).append(link.attachment)
    return found


def build(mail: OutgoingMail, files: Sequence[Any], connection: Any = None) -> EmailMultiAlternatives:
    """The MIME message of a queued mail."""
    headers = {**mail.headers, "Message-ID": mail.rfc_id, "Date": _date_header()}
    built = EmailMultiAlternatives(
        subject=mail.subject,
        body=mail.body_text,
        from_email=mail.from_address,
        to=[mail.to_address],
        reply_to=[mail.reply_to] if mail.reply_to else None,
        headers=headers,
        connection=connection,
    )
    if mail.body_html:
        built.attach_alternative(mail.body_html, "text/html")
    for attachment in files:
        with attachment.open() as stream:
            built.attach(attachment.name, stream.read(), attachment.mimetype)
    return built


def _date_header() -> str:
    from email.utils import format_datetime

    return format_datetime(timezone.now())


def _send_one(mail: OutgoingMail, files: Sequence[Any], connection: Any) -> None:
    try:
        built = build(mail, files, connection)
        _with_envelope(connection, built, mail)
    except (smtplib.SMTPRecipientsRefused, smtplib.SMTPResponseException, smtplib.SMTPSenderRefused) as exc:
        code, text = _smtp_answer(exc)
        if 400 <= code < 500:
            _postpone(mail, FailureType.SMTP, f"{code} {text}")
        else:
            kind = FailureType.EMAIL_INVALID if isinstance(exc, smtplib.SMTPRecipientsRefused) else FailureType.SMTP
            _fail(mail, kind, f"{code} {text}")
    except OSError as exc:
        _postpone(mail, FailureType.SMTP, f"{type(exc).__name__}: {exc}")
    except Exception as exc:  # noqa: BLE001 - a mail that cannot be built must not stop the others
        logger.exception("mail %s could not be sent", mail.pk)
        _fail(mail, FailureType.UNKNOWN, f"{type(exc).__name__}: {exc}")
    else:
        _done(mail)


def _with_envelope(connection: Any, built: EmailMultiAlternatives, mail: OutgoingMail) -> None:
    """Hand over with the return path as envelope sender, so that bounces come to the bounce address."""
    sender = getattr(connection, "connection", None)
    if sender is not None and hasattr(sender, "sendmail") and mail.return_path:
        envelope = "" if mail.return_path == "<>" else mail.return_path
        message = built.message()
        refused = sender.sendmail(envelope, built.recipients_plain(), message.as_bytes(linesep="\r\n")) if hasattr(
            built, "recipients_plain"
        ) else sender.sendmail(envelope, [_bare(r) for r in built.recipients()], message.as_bytes(linesep="\r\n"))
        if refused:
            raise smtplib.SMTPRecipientsRefused(refused)
        return
    connection.send_messages([built])


def _bare(address: str) -> str:
    from email.utils import parseaddr

    return parseaddr(address)[1]


def _smtp_answer(exc: Exception) -> tuple[int, str]:
    if isinstance(exc, smtplib.SMTPRecipientsRefused):
        code, text = next(iter(exc.recipients.values()), (550, b"refused"))
    else:
        code, text = getattr(exc, "smtp_code", 550), getattr(exc, "smtp_error", b"")
    return int(code), text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)


def _done(mail: OutgoingMail) -> None:
    with transaction.atomic():
        OutgoingMail.objects.filter(pk=mail.pk).update(
            state=OutgoingState.SENT, sent_at=timezone.now(), claimed_at=None, attempts=mail.attempts + 1,
            failure_type="", failure_reason="",
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
            state=OutgoingState.EXCEPTION, claimed_at=None, attempts=mail.attempts + 1, failure_type=failure,
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
    stuck = list(
        OutgoingMail.objects.filter(state=OutgoingState.SENDING, claimed_at__lt=timezone.now() - STUCK_AFTER)
    )
    for mail in stuck:
        _fail(mail, FailureType.UNKNOWN, _("Sending was interrupted; whether the mail left is not known."))
    return len(stuck)
