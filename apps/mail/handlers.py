"""Reactions of the mail app: mails about messages, links to the back office, word to administrators."""

from __future__ import annotations

import datetime
from typing import Any

from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _

from apps.access.selectors import administrators
from apps.chatter.events import MessagePosted
from apps.chatter.hooks import collect_record_urls
from apps.chatter.selectors.people import partner_pks_of_users
from apps.chatter.services.posting import notify_partners
from apps.core.actor import Actor
from apps.core.events import JobFailed, on
from apps.core.models import ScheduledJob
from apps.mail.constants import IncomingState
from apps.mail.events import MailQuarantined
from apps.mail.models import IncomingMail
from apps.mail.services.outgoing import mail_messages

QUIET = datetime.timedelta(hours=1)


@on(MessagePosted)
def mail_the_followers(event: MessagePosted, *, actor: Actor) -> None:
    """Make a mail for everybody who is told about the messages by e-mail."""
    mail_messages(event.pks)


@on(MailQuarantined)
def tell_about_quarantine(event: MailQuarantined, *, actor: Actor) -> None:
    """A notice to the administrators, at most one an hour: a flood of mail to nobody must not become a flood of
    notices. Dealt with in the meantime: no notice."""
    mail = IncomingMail.objects.filter(pk=event.pk, state=IncomingState.QUARANTINED).first()
    if mail is None:
        return
    waiting = IncomingMail.objects.filter(state=IncomingState.QUARANTINED)
    if waiting.filter(pk__lt=mail.pk, received_at__gt=mail.received_at - QUIET).exists():
        return
    body = format_html(
        "<p>{}</p><p>{}</p>",
        _("From %(sender)s: %(subject)s") % {"sender": mail.sender or "?", "subject": mail.subject or "–"},
        event.reason,
    )
    _tell_administrators(_("A mail waits in quarantine"), body, record=mail, actor=actor)


@on(JobFailed)
def tell_about_failed_job(event: JobFailed, *, actor: Actor) -> None:
    """A notice to the administrators that a scheduled job fails, and when it was switched off for that."""
    job = ScheduledJob.objects.filter(code=event.job).first()
    subject = (
        _("The job %(job)s was switched off after %(count)s failures")
        if event.deactivated
        else _("The job %(job)s failed (%(count)s in a row)")
    ) % {"job": job or event.job, "count": event.failures}
    _tell_administrators(subject, format_html("<pre>{}</pre>", event.error[-4000:]), record=job, actor=actor)


def _tell_administrators(subject: str, body: str, *, record: Any, actor: Actor) -> None:
    partners = partner_pks_of_users(user.pk for user in administrators())
    if partners:
        notify_partners(partners.values(), actor=actor, subject=subject, body=body, record=record)


@collect_record_urls.register
def back_office_form(*, record: Any, audience: str) -> str | None:
    """For employees: the record's form, where the back office has one."""
    if audience != "internal":
        return None
    try:
        return reverse(f"admin:{record._meta.app_label}_{record._meta.model_name}_change", args=[record.pk])
    except NoReverseMatch:
        return None
