"""Composing mail: notifications of messages become one mail a recipient, in constant statements."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from django.apps import apps
from django.conf import settings
from django.db import models
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.translation import gettext as _

from apps.access.constants import UserKind
from apps.access.models import Company
from apps.chatter.constants import FailureType, NotificationStatus
from apps.chatter.hooks import collect_record_urls, public_fields_of
from apps.chatter.models import Attachment, Message, Notification, TrackedValue
from apps.chatter.selectors.files import file_url
from apps.chatter.types import RecordRef
from apps.contacts.models import Partner
from apps.core.config import get_setting
from apps.core.html import html_to_text
from apps.core.queue import enqueue_on_commit
from apps.mail.hooks import filter_reply_owner
from apps.mail.ids import new_message_id, thread_mark
from apps.mail.models import AddressHealth, OutgoingMail
from apps.mail.parsing.address import parse_address_list
from apps.mail.selectors.addresses import aliases_of
from apps.mail.services.aliases import ensure_domain
from apps.mail.services.transport import display_address, one_line, wire_address

SEND_TASK = "mail.send_queue"
_OWN_LINK = re.compile(r'\b(src|href)="/(?!/)')


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
        .select_related("partner__user", "message__author", "message__subtype")
        .filter(message__in=message_pks, kind="email", status=NotificationStatus.READY, mail__isnull=True)
        .order_by("pk")
    )
    if not waiting:
        return 0
    messages = {row.message_id: row.message for row in waiting}
    context = _Context(list(messages.values()))
    blocked = set(
        AddressHealth.objects.filter(
            blocked=True, address__in={row.partner.email_normalized for row in waiting}
        ).values_list("address", flat=True)
    )
    mails: list[OutgoingMail] = []
    failed: list[Notification] = []
    written: set[tuple[int, str]] = set()
    for row in waiting:
        key = (row.message_id, row.partner.email_normalized or "")
        if not row.partner.email:
            row.failure_type, row.failure_reason = FailureType.EMAIL_MISSING, ""
        elif not wire_address(row.partner.email):
            row.failure_type, row.failure_reason = FailureType.EMAIL_INVALID, row.partner.email
        elif row.partner.email_normalized in blocked:
            row.failure_type = FailureType.EMAIL_INVALID
            row.failure_reason = _("This address asked not to be written to.")
        elif key in written:  # two contacts with one mailbox
            row.failure_reason = _("Another contact with this address gets the message.")
        else:
            written.add(key)
            mails.append(context.mail_for(row))
            continue
        row.status = NotificationStatus.EXCEPTION if row.failure_type else NotificationStatus.CANCELED
        failed.append(row)
    if failed:
        Notification.objects.bulk_update(failed, ["status", "failure_type", "failure_reason"])
    made = queue_mails(mails)
    Notification.objects.filter(pk__in=[mail.notification_id for mail in made]).update(
        status=NotificationStatus.PROCESS
    )
    links = OutgoingMail.attachments.through
    links.objects.bulk_create(
        [
            links(outgoingmail_id=mail.pk, attachment_id=file.pk)
            for mail in made
            for file in context.enclosed.get(mail.message_id or 0, ())
        ]
    )
    return len(made)


class _Context:
    """What the mails of a batch of messages have in common, read once."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self.refs = {
            m.pk: RecordRef(m.model, m.object_id) if m.model and m.object_id else None for m in messages
        }
        self.records = self._load({ref for ref in self.refs.values() if ref})
        self.aliases = self._addresses()
        self.ancestors = dict(
            Message.objects.filter(pk__in=[m.parent_id for m in messages if m.parent_id]).values_list(
                "pk", "message_id"
            )
        )
        companies = {self._company_of(m) for m in messages}
        self.domains = {pk: ensure_domain(pk) for pk in companies}
        self.companies = Company.objects.in_bulk([pk for pk in companies if pk])
        self.tracked = self._tracked(messages)
        self.enclosed: dict[int, list[Attachment]] = defaultdict(list)
        self.linked: dict[int, list[dict[str, str]]] = defaultdict(list)
        self._sort_files(messages)
        self.urls: dict[tuple[RecordRef, str], str] = {}
        self.bodies: dict[tuple[int, str, str], tuple[str, str]] = {}

    def _sort_files(self, messages: Sequence[Message]) -> None:
        """Files travel along up to the set size; what is beyond becomes a link, open to who has the mail. Pictures
        that the text shows are fetched by it and not enclosed again."""
        limit = int(get_setting("mail.max_files_megabytes")) * 1024 * 1024
        sizes: dict[int, int] = defaultdict(int)
        rows = Message.attachments.through.objects.filter(message__in=messages).select_related("attachment")
        bodies = {message.pk: message.body for message in messages}
        for row in rows.order_by("pk"):
            file = row.attachment
            if f"/web/image/{file.pk}?" in bodies[row.message_id]:
                continue
            sizes[row.message_id] += file.size
            if sizes[row.message_id] <= limit:
                self.enclosed[row.message_id].append(file)
            else:
                url = settings.PUBLIC_URL + file_url(file, download=True)
                self.linked[row.message_id].append({"name": file.name, "url": url})

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

    def _tracked(self, messages: Sequence[Message]) -> dict[int, list[TrackedValue]]:
        rows: dict[int, list[TrackedValue]] = defaultdict(list)
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
        company = self.companies.get(company_pk) if company_pk else None
        ref = self.refs[message.pk]
        html, text = self._body(message, partner, company)
        answer = (self.aliases.get(ref) if ref else None) or domain.catchall_address
        document = message.record_name or _("your message")
        ancestor = self.ancestors.get(message.parent_id) if message.parent_id else None
        references = " ".join(
            part for part in (thread_mark(ref, domain.name) if ref else "", ancestor) if part
        )
        subject = message.subject or (f"Re: {document}" if message.parent_id else document)
        return OutgoingMail(
            message=message,
            notification=row,
            partner=partner,
            to_address=display_address(partner.name or partner.complete_name, partner.email),
            from_address=display_address(_author_name(message, company), domain.notifications_address),
            reply_to=display_address(f"{company or ''} {document}", answer),
            return_path=domain.bounce_address,
            subject=one_line(subject)[:500],
            body_html=html,
            body_text=text,
            rfc_id=message.message_id or new_message_id(ref, domain.name),
            headers={
                "Auto-Submitted": "auto-generated",
                "X-Auto-Response-Suppress": "OOF",
                **({"References": references} if references else {}),
                **({"In-Reply-To": ancestor} if ancestor else {}),
                **({"X-Meridian-Record": str(ref)} if ref else {}),
            },
        )

    def _url(self, ref: RecordRef | None, audience: str) -> str:
        """Where people of an audience look at the record; empty when they have no page for it."""
        record = self.records.get(ref) if ref else None
        if ref is None or record is None:
            return ""
        if (ref, audience) not in self.urls:
            offered = [url for url in collect_record_urls.run(record=record, audience=audience) if url]
            url = offered[0] if offered else ""
            self.urls[ref, audience] = settings.PUBLIC_URL + url if url.startswith("/") else url
        return self.urls[ref, audience]

    def _body(self, message: Message, partner: Partner, company: Company | None) -> tuple[str, str]:
        """HTML and plain text; rendered once for all readers of one kind and language."""
        audience = "internal" if is_employee(partner) else "portal"
        language = partner.language or settings.LANGUAGE_CODE
        key = (message.pk, language, audience)
        if key not in self.bodies:
            ref = self.refs[message.pk]
            record = self.records.get(ref) if ref else None
            with translation.override(language):
                values = {
                    "message": message,
                    "body": _absolute(message.body),
                    "tracked": self._readable_changes(message, ref, audience),
                    "files": self.linked.get(message.pk, ()),
                    "record_name": message.record_name,
                    "kind": record._meta.verbose_name if record is not None else "",
                    "url": self._url(ref, audience),
                    "company": company,
                    "language": language,
                }
                html = render_to_string("mail/notification.html", values)
            self.bodies[key] = (html, html_to_text(html))
        return self.bodies[key]

    def _readable_changes(self, message: Message, ref: RecordRef | None, audience: str) -> list[TrackedValue]:
        """Changes of fields that everybody of the audience may read: customers see only those named as public, and
        fields that are reserved for some roles are in nobody's mail."""
        changes = self.tracked.get(message.pk, [])
        record = self.records.get(ref) if ref else None
        if not changes or ref is None or record is None:
            return []
        reserved = set(record.erp.field_roles) | set(record.erp.secret)  # type: ignore[attr-defined]
        shown = [change for change in changes if change.field not in reserved]
        if audience == "internal":
            return shown
        public = public_fields_of(ref.model)
        return [change for change in shown if change.field in public]


def is_employee(partner: Partner) -> bool:
    user = partner.user
    return user is not None and user.active and user.kind == UserKind.INTERNAL


def _author_name(message: Message, company: Company | None) -> str:
    if message.author is not None:
        return message.author.name or message.author.complete_name
    written = parse_address_list(message.email_from)
    return (written[0].name or written[0].email) if written else str(company or "Meridian")


def _absolute(html: str) -> str:
    """Links of our own get the address of this system in front."""
    return _OWN_LINK.sub(rf'\1="{settings.PUBLIC_URL}/', html)
