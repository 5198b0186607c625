"""Scheduled tidying: contents that no file uses, notifications that nobody needs any more."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from itertools import islice

from django.core.files.storage import Storage
from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from apps.access.constants import UserKind
from apps.chatter.constants import NotificationStatus
from apps.chatter.models import Activity, Attachment, Follower, Message, Notification, StoredObject
from apps.chatter.models.threads import thread_models
from apps.chatter.selectors.files import file_storage
from apps.chatter.services.storage import try_lock_exclusively
from apps.core.config import get_setting
from apps.core.jobs.handle import RunHandle
from apps.core.jobs.registry import own_transactions

KEEP_NOTIFICATIONS = datetime.timedelta(days=180)
PENDING_FILES = datetime.timedelta(days=1)
BATCH = 500
_CHECKSUM = re.compile(r"\A[0-9a-f]{64}\Z")
_FOLDER = re.compile(r"\A[0-9a-f]{2}\Z")


# ---------------------------------------------------------------------------------------------------------- files
@own_transactions
def collect_files(run: RunHandle) -> None:
    """Remove uploads that were never sent, files of records that are gone, and contents that no file uses."""
    grace = datetime.timedelta(hours=int(get_setting("chatter.file_grace_hours")))
    pending = remove_pending(older_than=PENDING_FILES)
    orphans = remove_orphans()
    removed = collect_contents(grace=grace)
    strays = remove_strays(grace=max(grace, PENDING_FILES))
    run.log(
        f"{pending} pending files, {orphans} rows of deleted records, {removed} contents, {strays} strays removed"
    )


def remove_pending(*, older_than: datetime.timedelta) -> int:
    """Uploads without a record or message after so long: their message was never sent."""
    before = timezone.now() - older_than
    linked = Message.attachments.through.objects.filter(attachment_id=OuterRef("pk"))
    busy = Activity.attachments.through.objects.filter(attachment_id=OuterRef("pk"))
    rows = Attachment.objects.filter(model="", public=False, created_at__lt=before)
    deleted, _kinds = rows.filter(~Exists(linked), ~Exists(busy)).delete()
    return deleted


def remove_orphans() -> int:
    """Messages, followers, activities and files whose record was removed without its service (by a cascade)."""
    removed = 0
    for label, model in thread_models().items():
        for holder in (Activity, Message, Follower, Attachment):
            alive = model._base_manager.filter(pk=OuterRef("object_id"))
            lost = holder._base_manager.filter(model=label).filter(~Exists(alive))
            with transaction.atomic():
                removed += lost.delete()[0]
    return removed


def collect_contents(*, grace: datetime.timedelta, now: datetime.datetime | None = None) -> int:
    """Note which contents nothing uses, and remove those that were noted longer than ``grace`` ago.

    Each content is removed in a transaction of its own under its exclusive lock: row first, bytes second, commit
    last. Should the commit fail, the row stays and the next upload of the same bytes brings them back.
    """
    now = now or timezone.now()
    used = Attachment.objects.filter(stored_id=OuterRef("pk"))
    with transaction.atomic():
        StoredObject.objects.filter(unused_since__isnull=False).filter(Exists(used)).update(unused_since=None)
        StoredObject.objects.filter(unused_since__isnull=True).filter(~Exists(used)).update(unused_since=now)
    removed = 0
    storage = file_storage()
    last = 0
    while True:
        due = list(
            StoredObject.objects.filter(pk__gt=last, unused_since__lte=now - grace)
            .order_by("pk")
            .values_list("pk", "checksum")[:BATCH]
        )
        if not due:
            return removed
        last = due[-1][0]
        removed += sum(_remove_content(storage, pk, checksum) for pk, checksum in due)


def _remove_content(storage: Storage, pk: int, checksum: str) -> bool:
    with transaction.atomic():
        if not try_lock_exclusively(checksum):
            return False  # somebody is uploading these very bytes
        row = StoredObject.objects.select_for_update().filter(pk=pk).first()
        if row is None or Attachment.objects.filter(stored_id=pk).exists():
            return False
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        row.delete()
        storage.delete(row.path)
    return True


def remove_strays(*, grace: datetime.timedelta) -> int:
    """Bytes in the store that no row knows: their upload was rolled back."""
    storage = file_storage()
    removed = 0
    before = timezone.now() - grace
    for names in batched(_stored_names(storage), BATCH):
        known = set(StoredObject.objects.filter(checksum__in=names).values_list("checksum", flat=True))
        for name in names:
            if name not in known:
                removed += _remove_stray(storage, name, before)
    return removed


def _remove_stray(storage: Storage, name: str, before: datetime.datetime) -> bool:
    path = f"{name[:2]}/{name}"
    with transaction.atomic():
        if not try_lock_exclusively(name) or StoredObject.objects.filter(checksum=name).exists():
            return False
        try:
            if storage.get_modified_time(path) >= before:
                return False
            storage.delete(path)
        except FileNotFoundError:
            return False  # it went away while it was looked at
    return True


def _stored_names(storage: Storage) -> Iterator[str]:
    try:
        folders, _files = storage.listdir("")
    except FileNotFoundError:
        return
    for folder in sorted(name for name in folders if _FOLDER.match(name)):
        _folders, files = storage.listdir(folder)
        yield from sorted(name for name in files if _CHECKSUM.match(name) and name.startswith(folder))


def batched(names: Iterator[str], size: int) -> Iterator[list[str]]:
    while batch := list(islice(names, size)):
        yield batch


# -------------------------------------------------------------------------------------------------- notifications
def purge_notifications(run: RunHandle) -> None:
    """Old news of employees: read, sent or put aside, and older than half a year."""
    run.log(f"{remove_old_notifications()} notifications removed")


def remove_old_notifications(*, now: datetime.datetime | None = None) -> int:
    before = (now or timezone.now()) - KEEP_NOTIFICATIONS
    done = Q(status__in=(NotificationStatus.SENT, NotificationStatus.CANCELED))
    rows = Notification.objects.filter(done, is_read=True, read_at__lt=before)
    deleted, _kinds = rows.filter(partner__user__kind=UserKind.INTERNAL).delete()
    return deleted
