"""Plain values of threads. No ORM here."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO


@dataclass(frozen=True, slots=True)
class RecordRef:
    """The record that a message, follower, activity or attachment belongs to."""

    model: str  # label in lower case: projects.task
    pk: int

    def __str__(self) -> str:
        return f"{self.model}:{self.pk}"


@dataclass(frozen=True, slots=True)
class TokenAccess:
    """What a link with a token opens: the public messages, and writing as ``partner_pk`` (``None``: reading only)."""

    partner_pk: int | None = None
    may_post: bool = False


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file on its way in. ``content`` is bytes or an open binary file; the declared type is only a hint.

    ``trusted`` is for files that this program made: their type is kept even if a browser would run them.
    """

    name: str
    content: bytes | BinaryIO
    mimetype: str = ""
    content_id: str = ""
    description: str = ""
    public: bool = False
    trusted: bool = False


@dataclass(frozen=True, slots=True)
class TrackedDraft:
    """One changed field on its way into a log entry."""

    field: str
    label: str
    kind: str
    old: Any
    new: Any
    old_text: str
    new_text: str


@dataclass(slots=True)
class MessageDraft:
    """A message on its way in; ``services.posting.write_messages`` turns any number of them into rows at once.

    ``notify`` is whether followers and recipients are told. ``body`` is sanitised HTML.
    """

    ref: RecordRef | None
    body: str = ""
    subject: str = ""
    subtype: str = ""
    message_type: str = "comment"
    internal: bool = False
    author_pk: int | None = None
    author_user_pk: int | None = None
    email_from: str = ""
    message_id: str | None = None
    parent_pk: int | None = None
    date: datetime.datetime | None = None
    recipients: tuple[int, ...] = ()
    attachments: tuple[Any, ...] = ()
    tracked: tuple[TrackedDraft, ...] = ()
    notify: bool = True
    notify_followers: bool = True
    notify_author: bool = False
    record_name: str = ""


@dataclass(frozen=True, slots=True)
class PersonView:
    """Who wrote a message, as shown."""

    pk: int | None
    name: str
    email: str = ""
    initials: str = "?"
    image_url: str = ""
    is_me: bool = False


@dataclass(frozen=True, slots=True)
class FileView:
    """An attachment as shown; ``url`` opens it in the browser, ``download_url`` saves it."""

    pk: int
    name: str
    mimetype: str
    size: int
    url: str
    download_url: str
    is_image: bool
    thumbnail_url: str = ""
    may_delete: bool = False


@dataclass(frozen=True, slots=True)
class TrackedView:
    field: str
    label: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class DeliveryView:
    """How telling one person went."""

    pk: int
    partner_pk: int
    name: str
    kind: str
    status: str
    failure: str = ""
    reason: str = ""

    @property
    def failed(self) -> bool:
        return self.status in ("bounce", "exception")


@dataclass(frozen=True, slots=True)
class MessageView:
    """A message as a reader may see it."""

    pk: int
    date: datetime.datetime
    message_type: str
    subtype: str
    subtype_title: str
    subject: str
    body: str
    is_internal: bool
    author: PersonView
    edited: bool = False
    removed: bool = False
    tracked: Sequence[TrackedView] = ()
    files: Sequence[FileView] = ()
    deliveries: Sequence[DeliveryView] = ()
    may_edit: bool = False
    may_remove: bool = False
    parent_pk: int | None = None

    @property
    def is_log(self) -> bool:
        return self.message_type == "notification"

    @property
    def failed(self) -> bool:
        return any(delivery.failed for delivery in self.deliveries)


@dataclass(frozen=True, slots=True)
class ThreadPage:
    """One page of a thread, newest first. ``older_than`` asks for the next page, ``None`` at the beginning."""

    messages: Sequence[MessageView]
    total: int
    older_than: int | None = None


@dataclass(frozen=True, slots=True)
class ActivityView:
    pk: int
    type_title: str
    icon: str
    category: str
    summary: str
    note: str
    deadline: datetime.date
    state: str
    days: int
    assignee: str
    assignee_pk: int
    is_mine: bool
    may_change: bool
    may_finish: bool
    files: Sequence[FileView] = ()

    @property
    def days_away(self) -> int:
        """Days to the deadline, or since."""
        return abs(self.days)
