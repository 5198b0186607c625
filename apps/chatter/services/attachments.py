"""Making and removing files: content into the object store, a row for each file."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from django.db import models
from django.utils.translation import gettext as _

from apps.chatter.constants import LIVE_CHANGED
from apps.chatter.models import Attachment
from apps.chatter.models.threads import ref_of
from apps.chatter.selectors.files import token_opens
from apps.chatter.selectors.threads import require_post, thread_record
from apps.chatter.services import storage
from apps.chatter.services.notices import tell_watchers
from apps.chatter.sniffing import safe_type, sniff
from apps.chatter.types import NewFile, RecordRef
from apps.core.actor import Actor
from apps.core.config import get_setting
from apps.core.errors import NotVisible, PermissionDenied, ValidationFailed
from apps.core.records import RecordService, service
from apps.core.rules import visible
from apps.core.unit_of_work import unit_of_work

MEGABYTE = 1024 * 1024
MAX_FILES = 100
_BAD_IN_NAMES = re.compile(r"[\x00-\x1f\x7f<>:\"|?*\u202a-\u202e\u2066-\u2069]")


def clean_name(name: str) -> str:
    """The last part of a path, without what file systems, headers or readers stumble over; at most 255 characters,
    the extension kept."""
    plain = _BAD_IN_NAMES.sub("_", name.replace("\\", "/").rpartition("/")[2]).strip(" .")
    if not plain:
        return "file"
    if len(plain) > 255:
        stem, dot, extension = plain.rpartition(".")
        plain = f"{stem[: 254 - len(extension)]}.{extension}" if dot and len(extension) < 20 else plain[:255]
    return plain


def make_attachments(
    files: Sequence[NewFile], *, actor: Actor, ref: RecordRef | None = None, company_pk: int | None = None
) -> list[Attachment]:
    """Rows and contents for ``files``, in order; four statements for any number. Rights are the caller's business.

    ``ref`` is the record they belong to; without one they are pending and their maker's alone.
    """
    if not files:
        return []
    if len(files) > MAX_FILES:
        raise ValidationFailed(fields={"file": [_("At most %(n)s files at a time.") % {"n": MAX_FILES}]})
    limit = int(get_setting("chatter.max_upload_megabytes")) * MEGABYTE
    with unit_of_work(actor):
        measured = [storage.measure(file.content, limit=limit, name=file.name) for file in files]
        stored = storage.put(measured)
        rows = []
        for file, content in zip(files, measured, strict=True):
            name = clean_name(file.name)
            found = sniff(content.head, name, file.mimetype)
            rows.append(
                Attachment(
                    name=name,
                    description=file.description,
                    model=ref.model if ref else "",
                    object_id=ref.pk if ref else None,
                    stored=stored[content.checksum],
                    mimetype=found if file.trusted else safe_type(found),
                    size=content.size,
                    checksum=content.checksum,
                    content_id=file.content_id[:255],
                    public=file.public,
                    company_id=company_pk,
                    created_by_id=actor.user_pk,
                    updated_by_id=actor.user_pk,
                )
            )
        Attachment.objects.bulk_create(rows)
    return rows


def attach_files(record: models.Model, files: Sequence[NewFile], *, actor: Actor) -> list[Attachment]:
    """Put files at a record, without a message. Needs the right to write in its thread."""
    require_post(record, actor)
    with unit_of_work(actor):
        made = make_attachments(files, actor=actor, ref=ref_of(record), company_pk=_company_of(record))
        tell_watchers(ref_of(record), LIVE_CHANGED, {}, public=False)
    return made


def upload_pending(files: Sequence[NewFile], *, actor: Actor) -> list[Attachment]:
    """Files for a message that is being written; they move to its record when it is posted."""
    return make_attachments(files, actor=actor)


def drop_pending(pk: int, token: str) -> bool:
    """Remove an upload of somebody without a login, by its token; answers whether there was one."""
    row = Attachment.objects.filter(pk=pk, model="", created_by__isnull=True).first()
    if row is None or not token_opens(row, token):
        return False
    row.delete()
    return True


def set_field_file(
    record: models.Model, field: str, file: NewFile | None, *, actor: Actor
) -> Attachment | None:
    """Make a file the value of a record's field (a picture, a logo) in place of the one before; ``None`` empties it.

    Rights are the caller's business: it writes the field.
    """
    ref = ref_of(record)
    with unit_of_work(actor):
        Attachment.objects.filter(model=ref.model, object_id=ref.pk, field=field).delete()
        if file is None:
            return None
        made = make_attachments([file], actor=actor, ref=ref, company_pk=_company_of(record))[0]
        Attachment.objects.filter(pk=made.pk).update(field=field)
        made.field = field
    return made


def claim_attachments(
    pks: Sequence[int], *, ref: RecordRef | None, actor: Actor, tokens: Mapping[int, str] | None = None
) -> list[Attachment]:
    """Pending uploads of the actor (or opened by their tokens), and files of the record itself, for a message.

    Pending ones move to the record. Anything else answers like a file that does not exist.
    """
    wanted = list(dict.fromkeys(pks))
    if not wanted:
        return []
    rows = {
        row.pk: row for row in Attachment.objects.filter(pk__in=wanted).select_for_update().order_by("pk")
    }
    given = tokens or {}
    moved = []
    for pk in wanted:
        row = rows.get(pk)
        if row is None:
            raise NotVisible()
        pending = row.model == "" and (
            actor.is_system
            or (actor.user_pk is not None and row.created_by_id == actor.user_pk)
            or (pk in given and token_opens(row, given[pk]))
        )
        of_record = ref is not None and (row.model, row.object_id) == (ref.model, ref.pk)
        if not pending and not of_record:
            raise NotVisible()
        if of_record and not actor.is_system and not visible(Attachment, actor).filter(pk=pk).exists():
            raise NotVisible()
        if pending and ref is not None:
            moved.append(pk)
            row.model, row.object_id = ref.model, ref.pk
    if moved and ref is not None:
        Attachment.objects.filter(pk__in=moved).update(model=ref.model, object_id=ref.pk)
    return [rows[pk] for pk in wanted]


def copy_attachments(attachments: Sequence[Attachment], *, ref: RecordRef, actor: Actor) -> list[Attachment]:
    """The same contents as new files of another record; nothing is stored twice."""
    copies = [
        Attachment(
            name=row.name,
            description=row.description,
            model=ref.model,
            object_id=ref.pk,
            stored_id=row.stored_id,
            mimetype=row.mimetype,
            size=row.size,
            checksum=row.checksum,
            company_id=row.company_id,
            created_by_id=actor.user_pk,
            updated_by_id=actor.user_pk,
        )
        for row in attachments
    ]
    return Attachment.objects.bulk_create(copies)


def _company_of(record: models.Model) -> int | None:
    return getattr(record, "company_id", None)


@service(Attachment)
class AttachmentService(RecordService[Attachment]):
    """Files through REST, RPC and the back office. ``file`` is an open file, ``content`` Base64 text."""

    editable: ClassVar[frozenset[str]] = frozenset({"name", "description", "public"})

    def create(self, rows: Sequence[Mapping[str, Any]], *, actor: Actor) -> list[Attachment]:
        actor.require(Attachment, "add")
        made: list[Attachment] = []
        with unit_of_work(actor) as work:
            for row in rows:
                file = _file_of(row, actor)
                label, pk = str(row.get("model") or ""), row.get("object_id")
                if label or pk:
                    record = thread_record(label, pk, actor)
                    made += attach_files(record, [file], actor=actor)
                else:
                    made += upload_pending([file], actor=actor)
            work.created(made)
        return made

    def writable_fields(self, actor: Actor) -> set[str] | None:
        allowed = set(self.editable)
        if not actor.is_admin:
            allowed.discard("public")
        return allowed

    def validate(self, records: Sequence[Attachment], actor: Actor) -> None:
        for record in records:
            record.name = clean_name(record.name)


def _file_of(row: Mapping[str, Any], actor: Actor) -> NewFile:
    unknown = set(row) - {"name", "description", "model", "object_id", "file", "content", "public"}
    if unknown:
        raise ValidationFailed(fields={name: [_("There is no such field.")] for name in sorted(unknown)})
    if row.get("public") and not actor.is_admin:
        raise PermissionDenied(fields={"public": [_("Only administrators open a file to everybody.")]})
    content: Any = row.get("file")
    if content is None:
        try:
            content = base64.b64decode(str(row.get("content") or ""), validate=True)
        except (binascii.Error, ValueError):
            raise ValidationFailed(fields={"content": [_("Send the content as Base64.")]}) from None
        if not row.get("content"):
            raise ValidationFailed(fields={"file": [_("Send a file, or its content as Base64.")]})
    name = str(row.get("name") or getattr(content, "name", "") or "")
    if not name:
        raise ValidationFailed(fields={"name": [_("This field is required.")]})
    return NewFile(
        name,
        content,
        mimetype=str(getattr(content, "content_type", "") or ""),
        description=str(row.get("description") or ""),
        public=bool(row.get("public")),
    )
