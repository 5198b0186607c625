"""Messages through REST, RPC and the back office: posting, changing one's own words, taking them back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.chatter.constants import LIVE_CHANGED, NOTE
from apps.chatter.models import Attachment, Message
from apps.chatter.selectors.subtypes import subtype, subtype_by_pk
from apps.chatter.selectors.threads import thread_record
from apps.chatter.services.notices import tell_watchers
from apps.chatter.services.posting import post_message
from apps.chatter.types import RecordRef
from apps.core.actor import Actor
from apps.core.errors import ValidationFailed
from apps.core.events import RecordsDeleted, RecordsUpdated
from apps.core.html import sanitize_html, text_to_html
from apps.core.records import RecordService, service
from apps.core.unit_of_work import unit_of_work

POSTABLE = frozenset(
    {"model", "object_id", "body", "body_format", "subject", "subtype", "recipients", "attachments", "parent"}
)


def edit_message(message: Message, body: str, *, actor: Actor, body_format: str = "html") -> Message:
    """Replace one's own words; nobody is told again. Only comments can be changed, and they show that they were."""
    values = {"body": body, "body_format": body_format}
    return MessageService(Message).update([message], values, actor=actor)[0]


def remove_message(message: Message, *, actor: Actor) -> None:
    """Take one's own comment back: text, subject and files go, that it was there stays."""
    MessageService(Message).delete([message], actor=actor)


def post_values(record: models.Model, row: Mapping[str, Any], *, actor: Actor) -> Message:
    """Post a message from plain values as interfaces send them; ``attachments`` are pending files (pks or rows)."""
    unknown = sorted(set(row) - POSTABLE)
    if unknown:
        raise ValidationFailed(fields={name: [_("There is no such field.")] for name in unknown})
    code = _subtype_code(row.get("subtype"), actor)
    body_format = str(row.get("body_format") or "html")
    if body_format not in ("html", "text"):
        raise ValidationFailed(fields={"body_format": [_("Choose html or text.")]})
    return post_message(
        record,
        actor=actor,
        body=str(row.get("body") or ""),
        body_format=body_format,
        subject=str(row.get("subject") or ""),
        subtype=code,
        recipients=[_pk(item) for item in row.get("recipients") or ()],
        attachment_pks=[_pk(item) for item in row.get("attachments") or ()],
        parent=_pk(row["parent"]) if row.get("parent") else None,
    )


def _subtype_code(value: Any, actor: Actor) -> str:
    """A code or a row; employees who say nothing write a note, people from outside a comment."""
    if value in (None, ""):
        return NOTE if actor.is_internal or actor.is_system else "chatter.comment"
    known = subtype_by_pk(value) if isinstance(value, int) else None
    code = known.code if known else value.code if hasattr(value, "code") else str(value)
    try:
        return subtype(code).code
    except LookupError as exc:
        raise ValidationFailed(fields={"subtype": [str(exc)]}) from exc


def _pk(value: Any) -> int:
    pk = value.pk if isinstance(value, models.Model) else value
    try:
        return int(pk)
    except (TypeError, ValueError):
        raise ValidationFailed(_("Records are named by their number.")) from None


@service(Message)
class MessageService(RecordService[Message]):
    """Creating posts, changing edits the text, deleting empties it; each with the checks of a thread."""

    def create(self, rows: Sequence[Mapping[str, Any]], *, actor: Actor) -> list[Message]:
        actor.require(Message, "add")
        made = []
        with unit_of_work(actor):
            for row in rows:
                record = thread_record(str(row.get("model") or ""), row.get("object_id"), actor)
                values = {name: value for name, value in row.items() if name not in ("model", "object_id")}
                made.append(post_values(record, values, actor=actor))
        return made

    def update(
        self,
        records: Iterable[Message] | models.QuerySet[Message],
        values: Mapping[str, Any],
        *,
        actor: Actor,
        expected_version: int | None = None,
        operation: str = "change",
    ) -> list[Message]:
        unknown = sorted(set(values) - {"body", "body_format"})
        if unknown:
            raise ValidationFailed(fields={name: [_("Only the text can be changed.")] for name in unknown})
        body = str(values.get("body") or "")
        text = text_to_html(body) if values.get("body_format") == "text" else sanitize_html(body)
        if not text:
            raise ValidationFailed(fields={"body": [_("Write something, or remove the message.")]})
        actor.require(Message, operation)
        with unit_of_work(actor) as work:
            locked = self.lock([record.pk for record in records], actor, operation)
            now = timezone.now()
            Message.objects.filter(pk__in=[row.pk for row in locked]).update(body=text, edited_at=now)
            for row in locked:
                row.body, row.edited_at = text, now
            self._tell(locked)
            work.emit(
                RecordsUpdated(
                    "chatter.message", tuple(row.pk for row in locked), ("body",), actor.company_pk
                )
            )
        return locked

    def delete(self, records: Iterable[Message] | models.QuerySet[Message], *, actor: Actor) -> int:
        actor.require(Message, "delete")
        with unit_of_work(actor) as work:
            locked = self.lock([record.pk for record in records], actor, "delete")
            pks = [row.pk for row in locked]
            links = Message.attachments.through.objects
            files = set(links.filter(message_id__in=pks).values_list("attachment_id", flat=True))
            links.filter(message_id__in=pks).delete()
            kept = set(links.filter(attachment_id__in=files).values_list("attachment_id", flat=True))
            # A file that is the value of a record's field stays with the record, whatever told people of it.
            Attachment.objects.filter(pk__in=files - kept, field="").delete()
            Message.objects.filter(pk__in=pks).update(body="", subject="", removed_at=timezone.now())
            self._tell(locked)
            work.emit(RecordsDeleted("chatter.message", tuple(pks), actor.company_pk))
        return len(pks)

    def _tell(self, messages: Sequence[Message]) -> None:
        for message in messages:
            if message.model and message.object_id:
                ref = RecordRef(message.model, message.object_id)
                tell_watchers(ref, LIVE_CHANGED, {"message": message.pk}, public=not message.is_internal)
