"""Reading files: who may, where they are, and what they are shown as."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from typing import BinaryIO
from urllib.parse import quote

from django.core.files.storage import Storage, storages
from django.db.models import QuerySet

from apps.chatter.models import Attachment, StoredObject
from apps.chatter.types import FileView
from apps.core.actor import Actor
from apps.core.errors import NotVisible
from apps.core.rules import visible

THUMBNAIL = "320x240"


def file_storage() -> Storage:
    """Where the bytes are: a folder, or a bucket by setting."""
    return storages["default"]


def open_stored(stored: StoredObject) -> BinaryIO:
    """The content, open for reading. ``FileNotFoundError`` when the store has lost it."""
    return file_storage().open(stored.path, "rb")  # type: ignore[return-value]


def open_attachment(attachment: Attachment) -> BinaryIO:
    return open_stored(attachment.stored)


def read_attachment(attachment: Attachment) -> bytes:
    with open_attachment(attachment) as file:
        return file.read()


def token_opens(attachment: Attachment, token: str) -> bool:
    """Whether ``token`` is the file's own secret; takes as long whatever is given."""
    return hmac.compare_digest(attachment.access_token.encode(), str(token).encode("utf-8", "surrogatepass"))


def readable_attachment(pk: int, actor: Actor, *, token: str = "") -> Attachment:
    """The file, by right or by its token. ``NotVisible`` in every other case, existing or not."""
    found = Attachment.objects.select_related("stored").filter(pk=pk).first()
    if found is not None and token and token_opens(found, token):
        return found
    # The rule is asked even when there is no such file, so that both answers take the same way.
    allowed = visible(Attachment, actor).filter(pk=pk).exists()
    if found is None or not allowed:
        raise NotVisible()
    return found


def require_pending(pks: Iterable[int], tokens: Mapping[int, str]) -> None:
    """Every file is a pending upload that its own token opens; else ``NotVisible``. For bearers of a link, who act
    through the system."""
    wanted = set(pks)
    rows = {row.pk: row for row in Attachment.objects.filter(pk__in=wanted, model="")}
    if any(pk not in rows or not token_opens(rows[pk], tokens.get(pk, "")) for pk in wanted):
        raise NotVisible()


def field_attachment(model_label: str, pk: int, field: str) -> Attachment | None:
    """The file that is the value of a record's field, such as a picture; unchecked."""
    rows = Attachment.objects.select_related("stored").filter(model=model_label.lower(), object_id=pk)
    return rows.filter(field=field).first() if field else None


def files_of_record(model_label: str, pk: int, actor: Actor) -> QuerySet[Attachment]:
    """Files of a record that the actor may read, newest first."""
    rows = Attachment.objects.of_record(model_label, pk).select_related("stored")
    return visible(Attachment, actor, queryset=rows)


def file_url(attachment: Attachment, *, token: bool = True, download: bool = False) -> str:
    """Address of the content. With ``token`` it works for whoever has the address."""
    parts = [f"access_token={attachment.access_token}"] if token else []
    if download:
        parts.append("download=true")
    query = f"?{'&'.join(parts)}" if parts else ""
    return f"/web/content/{attachment.pk}/{quote(attachment.name, safe='')}{query}"


def image_url(attachment: Attachment, *, size: str = "", token: bool = True) -> str:
    """Address of a picture, scaled down to fit ``size`` (``320x240``) when given."""
    path = f"/web/image/{attachment.pk}" + (f"/{size}" if size else "")
    return f"{path}?access_token={attachment.access_token}" if token else path


def file_views(attachments: Iterable[Attachment], *, deletable_by: int | None = None) -> list[FileView]:
    """Files as shown to somebody who may read them; each link carries the file's own token."""
    return [
        FileView(
            pk=attachment.pk,
            name=attachment.name,
            mimetype=attachment.mimetype,
            size=attachment.size,
            url=file_url(attachment),
            download_url=file_url(attachment, download=True),
            is_image=attachment.is_image,
            thumbnail_url=image_url(attachment, size=THUMBNAIL) if attachment.is_image else "",
            may_delete=deletable_by is not None and attachment.created_by_id == deletable_by,
        )
        for attachment in attachments
    ]


def file_urls(pks: Iterable[int], *, actor: Actor) -> dict[int, str]:
    """Addresses, with their tokens, of those of the files that the actor may read. One query."""
    rows = visible(Attachment, actor).filter(pk__in=list(pks))
    return {row.pk: file_url(row) for row in rows}
