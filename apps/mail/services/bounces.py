"""Delivery reports: which address failed, which message it was, and what becomes of that knowledge."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.chatter.constants import FailureType, NotificationStatus
from apps.chatter.models import Message, Notification
from apps.core.actor import Actor
from apps.core.unit_of_work import emit
from apps.mail.constants import OutgoingState
from apps.mail.events import AddressBounced
from apps.mail.models import AddressHealth, AliasDomain, OutgoingMail
from apps.mail.parsing.address import normalise_address
from apps.mail.parsing.types import Classification, MailKind, ParsedMail, ReportRecipient

REPORTS = (
    MailKind.BOUNCE,
    MailKind.DELAY,
    MailKind.DELIVERED,
    MailKind.FEEDBACK_REPORT,
    MailKind.DISPOSITION_NOTIFICATION,
)


def is_report(parsed: ParsedMail, kind: Classification, domains: Sequence[AliasDomain]) -> bool:
    """A report by its form or wording, or anything sent to a bounce address of ours."""
    if kind.kind in REPORTS:
        return True
    to = {address.normalised for address in (*parsed.delivered_to, *parsed.to)}
    return bool(to) and any(domain.bounce_address in to for domain in domains)


def record_report(parsed: ParsedMail, kind: Classification, *, actor: Actor) -> str:
    """Note what the report says; answers a sentence for the log. Creates no record and sends nothing."""
    message = _original(kind, parsed)
    if kind.kind is MailKind.FEEDBACK_REPORT:
        return _note_complaint(kind, message)
    failed = list(kind.failed_recipients)
    if kind.kind is not MailKind.BOUNCE and not failed:
        return _("A report without a failure (%(kind)s).") % {"kind": kind.kind.value}
    waiting = _notifications(message)
    addresses: list[tuple[str, ReportRecipient | None]] = [
        (normalise_address(item.address) or item.address.lower(), item) for item in failed
    ]
    if not addresses and len(waiting) == 1:
        partner = waiting[0].partner
        addresses = [(partner.email_normalized or "", None)]
    for address, item in addresses:
        reason = f"{item.status} {item.diagnostic}".strip() if item else parsed.subject
        _note_bounce(address, reason or parsed.subject, message, waiting, actor=actor)
    if not addresses:
        return _("A delivery failure that names no address.")
    return _("Not delivered to %(addresses)s.") % {
        "addresses": ", ".join(address for address, _item in addresses)
    }


def _original(kind: Classification, parsed: ParsedMail) -> Message | None:
    ids = [*kind.original_message_ids, *parsed.thread_ids]
    if not ids:
        return None
    found = Message.objects.filter(message_id__in=ids).order_by("-pk").first()
    if found is not None:
        return found
    mail = OutgoingMail.objects.filter(rfc_id__in=ids).order_by("-pk").select_related("message").first()
    return mail.message if mail else None


def _notifications(message: Message | None) -> list[Notification]:
    if message is None:
        return []
    return list(Notification.objects.select_related("partner").filter(message=message, kind="email"))


def _note_bounce(
    address: str, reason: str, message: Message | None, waiting: list[Notification], *, actor: Actor
) -> None:
    if not address:
        return
    AddressHealth.objects.bulk_create(
        [AddressHealth(address=address[:320], bounces=0)], ignore_conflicts=True, unique_fields=None
    )
    AddressHealth.objects.filter(address=address[:320]).update(
        bounces=F("bounces") + 1, last_bounce_at=timezone.now(), last_reason=reason[:2000]
    )
    hit = [n for n in waiting if (n.partner.email_normalized or "") == address]
    if not hit and len(waiting) == 1:
        hit = waiting
    if hit:
        Notification.objects.filter(pk__in=[n.pk for n in hit]).update(
            status=NotificationStatus.BOUNCE, failure_type=FailureType.BOUNCE, failure_reason=reason[:2000]
        )
        OutgoingMail.objects.filter(notification__in=hit).update(
            state=OutgoingState.EXCEPTION, failure_type=FailureType.BOUNCE, failure_reason=reason[:2000]
        )
    emit(AddressBounced(address, reason[:500]), actor=actor)


def _note_complaint(kind: Classification, message: Message | None) -> str:
    """Somebody called our mail spam: he is written to no more until an administrator says otherwise."""
    blocked = []
    for item in kind.recipients:
        address = normalise_address(item.address)
        if not address:
            continue
        with transaction.atomic():
            AddressHealth.objects.update_or_create(
                address=address,
                defaults={"blocked": True, "blocked_reason": kind.feedback_type or "complaint"},
            )
        blocked.append(address)
    if not blocked:
        return _("A complaint that names no address.")
    return _("Complaint of %(addresses)s: not written to any more.") % {"addresses": ", ".join(blocked)}


def note_life_sign(parsed: ParsedMail) -> None:
    """A mail from an address shows that it works: its bounces are forgotten."""
    if parsed.from_ is not None and parsed.from_.normalised:
        AddressHealth.objects.filter(address=parsed.from_.normalised, bounces__gt=0).update(bounces=0)
