"""Links that open one document without signing in.

A model that can be shared has a nullable ``access_token`` (UUID), made when a link is first asked for. A link may
also carry ``pid`` and ``hash``, which say as which contact its bearer writes in the thread; the hash is made with the
token, so a new token ends all of them.
"""

from __future__ import annotations

import hashlib
import hmac
import uuid
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import models
from django.utils.http import urlencode


def _plain(token: Any) -> str:
    return str(token) if token else ""


def ensure_token(record: models.Model) -> str:
    """The record's token; two askers at the same moment get the same one."""
    if getattr(record, "access_token", None) is None:
        rows = type(record)._base_manager.filter(pk=record.pk)
        rows.filter(access_token__isnull=True).update(access_token=uuid.uuid4())
        record.access_token = rows.values_list("access_token", flat=True).get()  # type: ignore[attr-defined]
    return str(record.access_token)  # type: ignore[attr-defined]


def rotate_token(record: models.Model) -> str:
    """A new token: all links that are out stop working."""
    record.access_token = uuid.uuid4()  # type: ignore[attr-defined]
    type(record)._base_manager.filter(pk=record.pk).update(access_token=record.access_token)  # type: ignore[attr-defined]
    return str(record.access_token)  # type: ignore[attr-defined]


def token_fits(record: models.Model, given: str) -> bool:
    """Constant-time comparison; a record without a token is opened by none."""
    held = _plain(getattr(record, "access_token", None))
    return bool(held) and len(given) <= 100 and hmac.compare_digest(held.encode(), given.encode())


def person_hash(record: models.Model, partner_pk: int) -> str:
    """What proves that a bearer of the record's link is this contact."""
    about = f"{record._meta.label_lower}|{record.pk}|{ensure_token(record)}|{partner_pk}"
    return hmac.new(settings.SECRET_KEY.encode(), b"portal.person|" + about.encode(), hashlib.sha256).hexdigest()


def person_of(record: models.Model, params: Mapping[str, str]) -> int | None:
    """The contact that ``pid`` and ``hash`` prove, or ``None``."""
    pid, given = params.get("pid", ""), params.get("hash", "")
    if not (pid.isdigit() and given) or len(pid) > 18 or getattr(record, "access_token", None) is None:
        return None
    return int(pid) if hmac.compare_digest(person_hash(record, int(pid)).encode(), given.encode()) else None


def link(record: models.Model, path: str, **extra: Any) -> str:
    """``path`` with the record's token and further parameters."""
    return f"{path}?{urlencode({'access_token': ensure_token(record), **extra})}"
