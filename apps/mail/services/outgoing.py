"""Composing mail: notifications of messages become one mail a recipient, in constant statements."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from email.utils import formataddr
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import models
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.translation import gettext as _

from apps.access.models import Company
from apps.chatter.constants import FailureType, NotificationStatus
from apps.chatter.hooks import collect_record_urls
from apps.chatter.models import Message, Notification
from apps.chatter.types import RecordRef
from apps.contacts.models import Partner
from apps.core.config import get_setting
from apps.core.html import html_to_text
from apps.core.queue import enqueue_on_commit
from apps.mail.ids import new_message_id, thread_mark
from apps.mail.models import AddressHealth, AliasDomain, OutgoingMail
from apps.mail.parsing.address import normalise_address
from apps.mail.selectors.addresses import aliases_of, domain_for

SEND_TASK = "mail.send_queue"


def queue_mails(mails: Sequence[OutgoingMail]) -> list[OutgoingMail]:
    """Insert mails into the queue and wake the sender after commit."""
    made = OutgoingMail.objects.bulk_create(list(mails))
    if made:
        enqueue_on_commit(SEND_TASK, queue="mail")
    return made


def mail_messages(message_pks: Sequence[int]) -> int:
    """Make the mails of all waiting e-mail notifications of these messages; answers how many. Safe to repeat: a
    notification has one mail."""
    waiting = list(
        Notification.objects.select_for_update(of=("self",))
        .select_related("partner", "message", "message__author", "message__subtype")
        .filter(message__in=message_pks, kind="email", status=NotificationStatus.READY, mail__isnull=True)
        .order_by("pk")
    )
    if not waiting:
        return 0
    messages = {row.message_id: row.message for row in waiting}
    context = _Context(list(messages.values()))
    mails: list[OutgoingMail] = []
    failed: dict[str, list[int]] = defaultdict(list)
    blocked = set(
        AddressHealth.objects.filter(
            blocked=True, address__in=[row.partner.email_normalized for row in waiting]
        ).values_list("address", flat=True)
    )
    for row in waiting:
        address = row.partner.email or ""
        if not address:
            failed[FailureType.EMAIL_MISSING].append(row.pk)
        elif not normalise_address(address) or row.partner.email_normalized in blocked:
            failed[FailureType.EMAIL_INVALID].append(row.pk)
        else:
            mails.append(context.mail_for(row))
    for failure, pks in failed.items():
        Notification.objects.filter(pk__in=pks).update(status=NotificationStatus.EXCEPTION, failure_type=failure)
    made = queue_mails(mails)
    Notification.objects.filter(pk__in=[mail.notification_id for mail in made]).update(
        status=NotificationStatus.PROCESS
    )
    _copy_files(made, list(messages.values()))
    return len(made)


def _copy_files(mails: Sequence[OutgoingMail], messages: Sequence[Message]) -> None:
    """Link the files of the messages to their mails; files beyond the limit are named in the text instead."""
    through = Message.attachments.through
    by_message: dict[int, list[int]] = defaultdict(list)
    limit = int(get_setting("mail.max_files_megabytes")) * 1024 * 1024
    sizes: dict[int, int] = defaultdict(int)
    rows = through.objects.filter(message__in=messages).select_related("attachment__stored").order_by("pk")
    for row in rows:
        sizes[row.message_id] += row.attachment.size
        if sizes[row.message_id] <= limit:
            by_message[row.message_id].append(row.attachment_id)
    links = OutgoingMail.attachments.through
    links.objects.bulk_create(
        [
            links(outgoingmail_id=mail.pk, attachment_id=pk)
            for mail in mails
            for pk in by_message.get(mail.message.pk if mail.message else 0, ())
        ]
    )


class _Context:
    """What the mails of a batch of messages have in common, read once."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self.refs = {m.pk: RecordRef(m.model, m.object_id) if m.model and m.object_id else None for m in messages}
        self.records = self._load({ref for ref in self.refs.values() if ref})
        self.aliases = self._addresses()
        self.ancestors = dict(
            Message.objects.filter(pk__in=[m.parent_id for m in messages if m.parent_id]).values_list(
                "pk", "message_id"
            )
        )
        companies = {self._company_of(m) for m in messages}
        self.domains: dict[int | None, AliasDomain | None] = {pk: domain_for(pk) for pk in companies}
        self.companies = Company.objects.in_bulk([pk for pk in companies if pk])
        self.tracked = self._tracked(messages)
        self.bodies: dict[tuple[int, str, str], tuple[str, str]] = {}

    def _load(self, refs: set[RecordRef]) -> dict[RecordRef, models.Model]:
        by_model: dict[str, list[int]] = defaultdict(list)
        for ref in refs:
            by_model[ref.model].append(ref.pk)
        return {
            RecordRef(label, pk): record
            for label, pks in by_model.items()
            for pk, record in apps.get_model(label)._base_manager.in_bulk(pks).items()
        }

    def _addresses(self) -> dict[RecordRef, str]:
        """Where answers go: the address of the record itself, else of the record it belongs to."""
        from apps.mail.hooks import filter_reply_owner

        owners: dict[RecordRef, RecordRef] = {}
        for ref, record in self.records.items():
            owner = filter_reply_owner.run(record, record=record)
            owners[ref] = RecordRef(owner._meta.label_lower, owner.pk)
        by_model: dict[str, set[int]] = defaultdict(set)
        for owner in owners.values():
            by_model[owner.model].add(owner.pk)
        known = {
            RecordRef(model, pk): address
            for model, pks in by_model.items()
            for pk, address in aliases_of(model, pks).items()
        }
        return {ref: known[owner] for ref, owner in owners.items() if owner in known}

    def _tracked(self, messages: Sequence[Message]) -> dict[int, list[Any]]:
        from apps.chatter.models import TrackedValue

        rows: dict[int, list[Any]] = defaultdict(list)
        for row in TrackedValue.objects.filter(message__in=messages).order_by("pk"):
            rows[row.message_id].append(row)
        return rows

    def _company_of(self, message: Message) -> int | None:
        ref = self.refs[message.pk]
        return getattr(self.records.get(ref), "company_id", None) if ref else None

    def mail_for(self, row: Notification) -> OutgoingMail:
        message, partner = row.message, row.partner
        company_pk = self._company_of(message)
        domain = self.domains[company_pk]
        name = domain.name if domain else settings.MAIL_DOMAIN
        company = self.companies.get(company_pk) if company_pk else None
        ref = self.refs[message.pk]
        html, text = self._body(message, partner, company)
        answer = (self.aliases.get(ref) if ref else None) or (domain.catchall_address if domain else "")
        document = message.record_name or _("your message")
        author = message.author.name if message.author else (message.email_from.partition("<")[0].strip(' "') or str(company or "Meridian"))
        sender = domain.notifications_address if domain else f"notifications@{name}"
        mark = thread_mark(ref, name) if ref else ""
        ancestor = self.ancestors.get(message.parent_id) if message.parent_id else None
        references = " ".join(part for part in (mark, ancestor) if part)
        return OutgoingMail(
            message=message,
            notification=row,
            partner=partner,
            to_address=formataddr((_one_line(partner.name), partner.email))[:500],
            from_address=formataddr((_one_line(author), sender))[:500],
            reply_to=formataddr((_one_line(f"{company or ''} {document}".strip()), answer))[:500] if answer else "",
            return_path=domain.bounce_address if domain else "",
            subject=_one_line(message.subject or (f"Re: {document}" if message.parent_id else document))[:500],
            body_html=html,
            body_text=text,
            rfc_id=message.message_id or new_message_id(ref, name),
            headers={
                "Auto-Submitted": "auto-generated",
                "X-Auto-Response-Suppress": "OOF",
                **({"References": references} if references else {}),
                **({"In-Reply-To": ancestor} if ancestor else {}),
                **({"X-Meridian-Record": str(ref)} if ref else {}),
            },
        )

    def _body(self, message: Message, partner: Partner, company: Company | None) -> tuple[str, str]:
        """HTML and plain text; rendered once for all readers of one kind and language."""
        user = getattr(partner, "user", None)
        audience = "internal" if user is not None and user.kind == "internal" else "portal"
        language = partner.language or settings.LANGUAGE_CODE
        ref = self.refs[message.pk]
        record = self.records.get(ref) if ref else None
        url = ""
        if record is not None:
            offered = [u for u in collect_record_urls.run(record=record, audience=audience) if u]
            url = offered[0] if offered else ""
            if url.startswith("/"):
                url = settings.PUBLIC_URL + url
        key = (message.pk, language, f"{audience}{url}")
        if key not in self.bodies:
            with translation.override(language):
                html = render_to_string(
                    "mail/notification.html",
                    {
                        "message": message,
                        "body": _absolute(message.body),
                        "tracked": self.tracked.get(message.pk, ()),
                        "record_name": message.record_name,
                        "kind": record._meta.verbose_name if record is not None else "",
                        "url": url,
                        "company": company,
                        "language": language,
                        "public_url": settings.PUBLIC_URL,
                    },
                )
            self.bodies[key] = (html, html_to_text(html))
        return self.bodies[key]


def _absolute(html: str) -> str:
    """Links of our own get the address of this system in front."""
    return html.replace('src="/', f'src="{settings.PUBLIC_URL}/').replace('href="/', f'href="{settings.PUBLIC_URL}/')


def _one_line(text: Any) -> str:
    """Header values have no line breaks, whatever somebody called a task."""
    return " ".join(str(text).split())
