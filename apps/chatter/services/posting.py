"""Writing in threads: the one door through which a message gets into a record's thread."""

from __future__ import annotations

import base64
import binascii
import datetime
import re
from collections.abc import Iterable, Mapping, Sequence
from html import unescape
from typing import Any
from urllib.parse import unquote

from django.db import models
from django.utils.translation import gettext as _

from apps.chatter.constants import COMMENT, NOTE, MessageType
from apps.chatter.models import Attachment, Message
from apps.chatter.models.threads import has_thread, ref_of
from apps.chatter.selectors.files import image_url
from apps.chatter.selectors.people import employee_partner_pks, partner_pk_of_user
from apps.chatter.selectors.subtypes import subtype as subtype_info
from apps.chatter.selectors.threads import followers_of, require_post
from apps.chatter.services.attachments import claim_attachments, make_attachments
from apps.chatter.services.following import add_followers
from apps.chatter.services.writing import write_messages
from apps.chatter.types import MessageDraft, NewFile, RecordRef
from apps.contacts.models import Partner
from apps.core.actor import Actor
from apps.core.errors import NotVisible, PermissionDenied, ValidationFailed
from apps.core.html import sanitize_html, text_to_html
from apps.core.links import check_targets
from apps.core.unit_of_work import unit_of_work

_EMBEDDED = re.compile(r'src="data:image/(png|jpe?g|gif|webp|bmp);base64,([A-Za-z0-9+/=\s]+)"', re.IGNORECASE)
_PICTURE = re.compile(r'<img((?: [a-z-]+="[^"]*")*)>')
_CID_SOURCE = re.compile(r' src="cid:([^"]+)"', re.IGNORECASE)
_CID_MARK = re.compile(r' data-cid="([^"]+)"')


def post_message(
    record: models.Model,
    *,
    actor: Actor,
    body: str = "",
    body_format: str = "html",
    subtype: str = NOTE,
    subject: str = "",
    attachments: Sequence[NewFile | Attachment] = (),
    attachment_pks: Sequence[int] = (),
    attachment_tokens: Mapping[int, str] | None = None,
    recipients: Iterable[Partner | int] = (),
    parent: Message | int | None = None,
    message_type: str = MessageType.COMMENT,
    author_partner: Partner | int | None = None,
    email_from: str = "",
    message_id: str | None = None,
    internal: bool = False,
    date: datetime.datetime | None = None,
    notify: bool = True,
    notify_followers: bool = True,
    notify_author: bool = False,
    follow_author: bool = True,
) -> Message:
    """Post one message in the thread of ``record`` and tell its followers and ``recipients``.

    ``subtype`` is ``chatter.comment`` (followers are told), ``chatter.note`` (employees only; the default, so that
    forgetting it never tells a customer) or a kind of the record's own. ``body`` is HTML, sanitised here, or text
    with ``body_format="text"``. An answer to an internal message that came by e-mail stays internal.

    The actor needs the right to write in the thread; people from outside write comments only, and to nobody but
    the followers. The system (mail gateway, links with a token) names the author itself, by ``author_partner`` or
    ``email_from``. Errors: ``PermissionDenied``, ``NotVisible``, ``ValidationFailed``, ``Conflict`` for a
    Message-ID that is here already.
    """
    if not has_thread(type(record)):
        raise ValidationFailed(_("A %(kind)s has no thread.") % {"kind": record._meta.verbose_name})
    if message_type == MessageType.USER_NOTIFICATION:
        raise ValidationFailed(_("A personal notice does not belong into a thread."))
    require_post(record, actor)
    _check_writer(
        actor, subtype=subtype, message_type=message_type, named_author=author_partner, email_from=email_from
    )
    to = sorted({item.pk if isinstance(item, Partner) else int(item) for item in recipients})
    root, answers_internal = _root(parent, ref_of(record))
    kind = subtype_info(subtype)
    if answers_internal and message_type == MessageType.EMAIL and not kind.internal:
        kind = subtype_info(NOTE)
    to = _check_recipients(to, record, actor, is_internal=internal or kind.internal)
    author_pk, author_user_pk = _author(actor, author_partner, email_from, message_type)
    ref = ref_of(record)
    with unit_of_work(actor):
        text = sanitize_html(body) if body_format == "html" else text_to_html(body)
        text, files = _files(
            text, attachments, attachment_pks, attachment_tokens, record=record, ref=ref, actor=actor
        )
        if not (text or files or subject) and message_type == MessageType.COMMENT:
            raise ValidationFailed(fields={"body": [_("Write something, or attach a file.")]})
        draft = MessageDraft(
            ref=ref,
            body=text,
            subject=subject,
            subtype=kind.code,
            message_type=str(message_type),
            internal=internal,
            author_pk=author_pk,
            author_user_pk=author_user_pk,
            email_from=email_from,
            message_id=message_id,
            parent_pk=root,
            date=date,
            recipients=tuple(to),
            attachments=tuple(files),
            notify=notify,
            notify_followers=notify_followers,
            notify_author=notify_author,
            record_name=str(record),
        )
        message = write_messages([draft], actor=actor)[0]
        if follow_author and author_pk is not None and message_type != MessageType.NOTIFICATION:
            add_followers([(ref, author_pk)])  # who writes wants to hear the answers
    return message


def post_note(
    record: models.Model, body: str, *, actor: Actor, body_format: str = "text", **options: Any
) -> Message:
    """An internal note."""
    return post_message(record, actor=actor, body=body, body_format=body_format, subtype=NOTE, **options)


def post_comment(
    record: models.Model, body: str, *, actor: Actor, body_format: str = "text", **options: Any
) -> Message:
    """A message to everybody who follows."""
    return post_message(record, actor=actor, body=body, body_format=body_format, subtype=COMMENT, **options)


def notify_partners(
    partners: Iterable[Partner | int],
    *,
    actor: Actor,
    subject: str,
    body: str,
    record: models.Model | None = None,
    body_format: str = "html",
    attachments: Sequence[NewFile] = (),
) -> Message:
    """A personal notice to some partners, in nobody's thread; it may name a record. The writer needs no right on it:
    the caller vouches for what is told to whom."""
    pks = sorted({item.pk if isinstance(item, Partner) else int(item) for item in partners})
    everybody_employed = set(pks) == employee_partner_pks(pks)
    author_pk = actor.partner_pk or partner_pk_of_user(actor.user_pk)
    with unit_of_work(actor):
        text = sanitize_html(body) if body_format == "html" else text_to_html(body)
        files = make_attachments(list(attachments), actor=actor)
        draft = MessageDraft(
            ref=ref_of(record) if record is not None else None,
            body=text,
            subject=subject,
            subtype=NOTE if everybody_employed else COMMENT,
            message_type=MessageType.USER_NOTIFICATION,
            author_pk=author_pk,
            author_user_pk=actor.user_pk,
            recipients=tuple(pks),
            attachments=tuple(files),
            notify_followers=False,
            notify_author=True,
            record_name=str(record) if record is not None else "",
        )
        return write_messages([draft], actor=actor)[0]


# ----------------------------------------------------------------------------------------------------- internal
def _check_writer(
    actor: Actor, *, subtype: str, message_type: str, named_author: Any, email_from: str
) -> None:
    """Only the system writes as somebody else, and only employees write what is for employees."""
    if actor.is_system:
        return
    if message_type != MessageType.COMMENT:
        raise PermissionDenied(_("Only comments and notes are written by people."))
    if named_author is not None or email_from:
        raise PermissionDenied(_("You cannot write in somebody else's name."))
    if not actor.is_internal and subtype != COMMENT:
        raise PermissionDenied(_("Notes and log entries are for employees."))


def _author(
    actor: Actor, author: Partner | int | None, email_from: str, message_type: str
) -> tuple[int | None, int | None]:
    """Author's partner and user. A message from nobody is refused; a log entry may be the system's own."""
    if author is not None:
        return (author.pk if isinstance(author, Partner) else int(author)), None
    if email_from:
        return None, None
    partner_pk = actor.partner_pk or partner_pk_of_user(actor.user_pk)
    if (
        partner_pk is None
        and actor.user_pk is None
        and message_type in (MessageType.EMAIL, MessageType.COMMENT)
    ):
        raise ValidationFailed(
            _("Nobody would have written this message: name an author or a sender's address.")
        )
    return partner_pk, actor.user_pk


def _root(parent: Message | int | None, ref: RecordRef) -> tuple[int | None, bool]:
    """The message that the thread of answers began with, and whether the one that is answered was internal."""
    if parent is None:
        return None, False
    answered = parent if isinstance(parent, Message) else Message.objects.filter(pk=parent).first()
    if answered is None or (answered.model, answered.object_id) != (ref.model, ref.pk):
        raise NotVisible()
    was_internal = answered.is_internal and answered.message_type != MessageType.AUTO_COMMENT
    return answered.parent_id or answered.pk, was_internal


def _check_recipients(pks: list[int], record: models.Model, actor: Actor, *, is_internal: bool) -> list[int]:
    if not pks:
        return pks
    if not actor.is_system:
        check_targets(Message, {"recipients": pks}, actor)
        if not actor.is_internal:
            allowed = {row.partner_id for row in followers_of(record)}
            if not set(pks) <= allowed:
                raise PermissionDenied(_("You can write to the followers of this record only."))
    if is_internal:
        employees = employee_partner_pks(pks)
        outside = sorted(set(pks) - employees)
        if outside and not actor.is_system:
            raise ValidationFailed(
                fields={"recipients": [_("A note reaches employees only; send a message to reach others.")]}
            )
        pks = sorted(employees)
    return pks


def _files(
    text: str,
    given: Sequence[NewFile | Attachment],
    pks: Sequence[int],
    tokens: Mapping[int, str] | None,
    *,
    record: models.Model,
    ref: RecordRef,
    actor: Actor,
) -> tuple[str, list[Attachment]]:
    """The files of a message, stored and moved to the record, and the text with its pictures pointing to them."""
    text, embedded = _embedded_pictures(text)
    new = [*(item for item in given if isinstance(item, NewFile)), *embedded]
    made = make_attachments(new, actor=actor, ref=ref, company_pk=getattr(record, "company_id", None))
    for number, row in enumerate(made[len(made) - len(embedded) :]):
        text = text.replace(f'src="embedded:{number}"', f'src="{image_url(row)}"')
    ready = [item for item in given if isinstance(item, Attachment)]
    for row in ready:
        if (row.model, row.object_id) == ("", None):
            Attachment.objects.filter(pk=row.pk).update(model=ref.model, object_id=ref.pk)
            row.model, row.object_id = ref.model, ref.pk
    claimed = claim_attachments(pks, ref=ref, actor=actor, tokens=tokens)
    files = [*made, *ready, *claimed]
    inline = {row.content_id.strip("<>"): row for row in files if row.content_id}
    if inline:
        text = _PICTURE.sub(lambda found: _with_source(found.group(1), inline), text)
    return text, files


def _with_source(attributes: str, inline: Mapping[str, Attachment]) -> str:
    """A picture that came with the message points to its file: by ``src="cid:…"``, or by the mark that the intake of
    mails leaves in place of a source."""
    named = _CID_SOURCE.search(attributes)
    marked = None if named or " src=" in attributes else _CID_MARK.search(attributes)
    found = named or marked
    row = inline.get(unquote(unescape(found.group(1))).strip("<> ")) if found else None
    if row is None:
        return f"<img{attributes}>"
    source = f' src="{image_url(row)}"'
    return f"<img{attributes.replace(named.group(), source) if named else attributes + source}>"


def _embedded_pictures(text: str) -> tuple[str, list[NewFile]]:
    """Take pictures that came as ``data:`` out of the text: they become files like any other."""
    found: list[NewFile] = []

    def take(match: re.Match[str]) -> str:
        try:
            content = base64.b64decode(re.sub(r"\s+", "", match.group(2)), validate=True)
        except (binascii.Error, ValueError):
            return 'src=""'
        number = len(found)
        extension = match.group(1).lower().replace("jpeg", "jpg")
        name = f"image{number + 1}.{extension}"
        found.append(NewFile(name, content, content_id=f"embedded-{number}"))
        return f'src="embedded:{number}"'

    return _EMBEDDED.sub(take, text), found
