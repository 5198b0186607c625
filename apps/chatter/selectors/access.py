"""Opening a thread: by the record's own rules, or by a link with a token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import models

from apps.chatter.hooks import collect_token_access
from apps.chatter.models.threads import thread_models
from apps.chatter.selectors.threads import can_post, reads_internal
from apps.core.actor import Actor
from apps.core.errors import NotVisible
from apps.core.rules import visible


@dataclass(frozen=True, slots=True)
class OpenThread:
    """A thread that somebody may look at. ``writes_as`` is the contact of a bearer of a link, who has no actor of his
    own; everybody else writes as himself."""

    record: models.Model
    actor: Actor
    public: bool
    may_post: bool
    by_token: bool = False
    writes_as: int | None = None


def open_thread(label: str, pk: Any, actor: Actor, params: Mapping[str, str]) -> OpenThread:
    """The thread of a record, first by the actor's rules, then by what a link says; else ``NotVisible``.

    Kinds of records without a thread, missing records and forbidden ones all look the same.
    """
    model = thread_models().get(str(label).lower())
    if model is None or not str(pk).isdigit() or int(pk) >= 2**63:
        raise NotVisible()
    if actor.user_pk is not None or actor.is_system:
        record = visible(model, actor).filter(pk=int(pk)).first()
        if record is not None:
            return OpenThread(record, actor, not reads_internal(actor), can_post(record, actor))
    if not any(params.get(name) for name in ("access_token", "token")):
        raise NotVisible()
    record = model._base_manager.filter(pk=int(pk)).first()
    if record is None:
        raise NotVisible()
    opened = collect_token_access.run(record=record, params=params)
    if not opened:
        raise NotVisible()
    writer = next((access.partner_pk for access in opened if access.may_post and access.partner_pk), None)
    writer = writer or actor.partner_pk
    return OpenThread(record, actor, True, writer is not None, by_token=True, writes_as=writer)
