"""Message-IDs and thread marks: how an answer finds its way back.

Every message that is mailed has a Message-ID that is stored with it. Its ``References`` header also carries a
*thread mark*, an id that names the record and is signed: mail providers that replace the Message-ID of what they
send leave References alone, and mail programs copy it into the answer, so the thread is found all the same.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import uuid

from django.conf import settings

from apps.chatter.types import RecordRef

_MARK = re.compile(r"^<thread\.([a-z0-9_]+)\.([a-z0-9_]+)\.(\d{1,18})\.([0-9a-f]{20})@[^<>\s]+>$")
_SALT = b"meridian.mail.thread"


def _keys() -> list[bytes]:
    return [key.encode() for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)]


def _signature(key: bytes, ref: RecordRef) -> str:
    return hmac.new(key, _SALT + f"|{ref.model}|{ref.pk}".encode(), hashlib.sha256).hexdigest()[:20]


def new_message_id(ref: RecordRef | None, domain: str) -> str:
    """A fresh id, such as ``<4f…e1.projects.task.7@example.com>``."""
    about = f".{ref.model}.{ref.pk}" if ref else ""
    return f"<{uuid.uuid4().hex}{about}@{domain}>"


def loop_notice_id(domain: str) -> str:
    """An id that marks our own notices about loops; answers to it are ignored."""
    return f"<{uuid.uuid4().hex}-loop-detection-bounce-email@{domain}>"


def thread_mark(ref: RecordRef, domain: str) -> str:
    """The signed id that stands for the whole thread of a record."""
    return f"<thread.{ref.model}.{ref.pk}.{_signature(_keys()[0], ref)}@{domain}>"


def read_thread_mark(text: str) -> RecordRef | None:
    """The record of a thread mark, ``None`` when it is none or its signature is wrong."""
    found = _MARK.match(text)
    if found is None:
        return None
    ref = RecordRef(f"{found[1]}.{found[2]}", int(found[3]))
    if any(hmac.compare_digest(_signature(key, ref), found[4]) for key in _keys()):
        return ref
    return None
