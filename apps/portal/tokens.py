"""Links that open one document without signing in.

A model that can be shared has a nullable ``access_token`` (UUID), made when a link is first asked for. A link may
also carry ``pid`` and ``hash``, which say as which contact its bearer writes in the thread; the hash is made with the
token, so a new token ends all of them.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import uuid
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import models
from django.utils.http import urlencode

from apps.chatter.types import TokenAccess

_NUMBER = re.compile(r"[0-9]{1,18}")


def _bytes(given: str) -> bytes:
    """What a visitor sent, in a form that compares with anything; no token is longer."""
    return given[:200].encode("utf-8", "surrogatepass")


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
    return bool(held) and isinstance(given, str) and hmac.compare_digest(held.encode(), _bytes(given))


def person_hash(record: models.Model, partner_pk: int) -> str:
    """What proves that a bearer of the record's link is this contact."""
    about = f"{record._meta.label_lower}|{record.pk}|{ensure_token(record)}|{partner_pk}"
    return hmac.new(
        settings.SECRET_KEY.encode(), b"portal.person|" + about.encode(), hashlib.sha256
    ).hexdigest()


def person_of(record: models.Model, params: Mapping[str, str]) -> int | None:
    """The contact that ``pid`` and ``hash`` prove, or ``None``."""
    pid, given = str(params.get("pid", "")), str(params.get("hash", ""))
    if not (_NUMBER.fullmatch(pid) and given) or getattr(record, "access_token", None) is None:
        return None
    return int(pid) if hmac.compare_digest(person_hash(record, int(pid)).encode(), _bytes(given)) else None


def access_by(
    record: models.Model, params: Mapping[str, str], *, signer: models.Model | None = None
) -> TokenAccess | None:
    """What the parameters of a link open of a thread. ``signer`` is a further record whose token and signature count
    for this one (a task's project). Reading takes the token; writing takes the proof of being somebody as well."""
    given = params.get("access_token") or params.get("token") or ""
    keys = [record] if signer is None else [record, signer]
    if not given or not any(token_fits(key, given) for key in keys):
        return None
    partner_pk = next((pk for pk in (person_of(key, params) for key in keys) if pk is not None), None)
    return TokenAccess(partner_pk=partner_pk, may_post=partner_pk is not None)


def link(record: models.Model, path: str, *, partner_pk: int | None = None, **extra: Any) -> str:
    """``path`` with the record's token and further parameters. With ``partner_pk`` its bearer writes in the thread as
    that contact: a link for this one person."""
    query: dict[str, Any] = {"access_token": ensure_token(record), **extra}
    if partner_pk is not None:
        query |= {"pid": partner_pk, "hash": person_hash(record, partner_pk)}
    return f"{path}?{urlencode(query)}"


def share_link(record: models.Model, **extra: Any) -> str:
    """The redirector's address of a record: employees land in the back office, everybody else on the portal page."""
    return link(record, "/mail/view", model=record._meta.label_lower, res_id=record.pk, **extra)
