"""The object store: bytes under their SHA-256, written once, removed when nobody names them any more.

Two processes may bring the same bytes, roll back, or clean up at the same moment. Whoever writes holds a shared
advisory lock on the checksum until its transaction ends; whoever removes takes it exclusively or leaves the object
alone. So an object is never removed between "it is there already" and the commit that relies on it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from django.conf import settings
from django.core.files.base import ContentFile, File
from django.core.files.storage import FileSystemStorage, Storage
from django.db import connection
from django.utils.translation import gettext as _

from apps.chatter.models import StoredObject
from apps.chatter.selectors.files import file_storage
from apps.chatter.sniffing import HEAD_BYTES
from apps.core.errors import ValidationFailed

# First key of the advisory locks on contents; the second is made from the checksum.
LOCK_SPACE = 0x66696C65
CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Measured:
    """Content with its checksum, size and first bytes. The file is left at its beginning."""

    content: bytes | BinaryIO
    checksum: str
    size: int
    head: bytes


def measure(content: bytes | BinaryIO, *, limit: int | None = None, name: str = "") -> Measured:
    """Read once through the content. Raises ``ValidationFailed`` as soon as it is longer than ``limit`` bytes."""
    if isinstance(content, bytes):
        _check_size(len(content), limit, name)
        return Measured(content, hashlib.sha256(content).hexdigest(), len(content), content[:HEAD_BYTES])
    digest, size, head = hashlib.sha256(), 0, b""
    content.seek(0)
    while chunk := content.read(CHUNK):
        if not head:
            head = chunk[:HEAD_BYTES]
        size += len(chunk)
        _check_size(size, limit, name)
        digest.update(chunk)
    content.seek(0)
    return Measured(content, digest.hexdigest(), size, head)


def _check_size(size: int, limit: int | None, name: str) -> None:
    if limit is not None and size > limit:
        raise ValidationFailed(
            fields={
                "file": [
                    _("%(name)s is larger than %(limit)s MB.")
                    % {"name": name or _("The file"), "limit": limit // 2**20}
                ]
            }
        )


def lock_keys(checksums: Iterable[str]) -> list[int]:
    """Second lock keys, sorted, so that two transactions take them in the same order."""
    return sorted({int.from_bytes(bytes.fromhex(c[:8]), "big", signed=True) for c in checksums})


def put(contents: Sequence[Measured]) -> dict[str, StoredObject]:
    """Store the contents that are not there yet; answers the objects by checksum. Three statements for any number.

    Must run inside the transaction that makes the attachments.
    """
    if not contents:
        return {}
    by_checksum = {item.checksum: item for item in contents}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock_shared(%s, key) FROM unnest(%s::int[]) AS key",
            [LOCK_SPACE, lock_keys(by_checksum)],
        )
    StoredObject.objects.bulk_create(
        [StoredObject(checksum=item.checksum, size=item.size) for _key, item in sorted(by_checksum.items())],
        ignore_conflicts=True,
    )
    objects = {row.checksum: row for row in StoredObject.objects.filter(checksum__in=by_checksum)}
    storage = file_storage()
    for checksum, item in by_checksum.items():
        _write(storage, objects[checksum].path, item)
    return objects


def _write(storage: Storage, path: str, item: Measured) -> None:
    if storage.exists(path) and storage.size(path) == item.size:
        return
    if isinstance(storage, FileSystemStorage):
        _write_file(Path(storage.path(path)), item.content)
        return
    content = item.content
    file = ContentFile(content) if isinstance(content, bytes) else File(content)
    saved = storage.save(path, file)
    if saved != path:  # somebody else was first, with the same bytes
        storage.delete(saved)


def _write_file(target: Path, content: bytes | BinaryIO) -> None:
    """Whole or not at all, and on the disk before the transaction that names it commits."""
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(prefix=".", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if isinstance(content, bytes):
                file.write(content)
            else:
                content.seek(0)
                while chunk := content.read(CHUNK):
                    file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        Path(draft).chmod(settings.FILE_UPLOAD_PERMISSIONS or 0o640)
        Path(draft).replace(target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(draft).unlink()
        raise


def try_lock_exclusively(checksum: str) -> bool:
    """Take the lock of a content until the end of the transaction, unless somebody is about to use it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [LOCK_SPACE, lock_keys([checksum])[0]])
        return bool(cursor.fetchone()[0])
