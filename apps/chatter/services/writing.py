"""Turning drafts into messages: any number at once, with their recipients, in a constant number of statements.

Who is told: the followers of the record who follow this kind of message, and whom the message names; never its
author (unless asked), never an archived contact, never anybody but employees about an internal message. Each
partner is told once: employees who want it so in their inbox, everybody else by e-mail.
"""

from __future__ import annotations

import secrets
import time
from collections import defaultdict
from collections.abc import Sequence

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from apps.chatter.constants import (
    LIVE_NOTIFIED,
    LIVE_POSTED,
    FailureType,
    MessageType,
    NotificationKind,
    NotificationStatus,
)
from apps.chatter.events import MessagePosted
from apps.chatter.models import Follower, Message, Notification, TrackedValue
from apps.chatter.selectors.people import Person, people
from apps.chatter.selectors.subtypes import SubtypeInfo, subtype
from apps.chatter.services.notices import tell_users, tell_watchers
from apps.chatter.types import MessageDraft, RecordRef
from apps.core.actor import Actor
from apps.core.copying import insert_records
from apps.core.unit_of_work import unit_of_work


def new_message_id(ref: RecordRef | None) -> str:
    """A Message-ID that nobody can guess and that says to people what it is about."""
    about = f"{ref.pk}.{ref.model}" if ref else "private"
    return f"<{secrets.token_hex(12)}.{int(time.time())}.{about}@{settings.MAIL_DOMAIN}>"


def write_messages(drafts: Sequence[MessageDraft], *, actor: Actor) -> list[Message]:
    """Insert the messages of all drafts, tell who is to be told, announce ``MessagePosted`` for those that notify.

    Rights are the caller's business; bodies must be sanitised. Answers the messages in the order of the drafts.
    """
    if not drafts:
        return []
    kinds = {draft.subtype: subtype(draft.subtype) for draft in drafts if draft.subtype}
    internal = [_is_internal(draft, kinds.get(draft.subtype)) for draft in drafts]
    with unit_of_work(actor, savepoint=False) as work:
        wanted = _wanted(drafts, internal, kinds)
        authors = {draft.author_pk for draft in drafts if draft.author_pk is not None}
        asked = {pk for pks in wanted for pk in pks} | authors
        known = people(asked) if asked else {}
        told = [
            [known[pk] for pk in sorted(pks) if pk in known and _may_be_told(known[pk], is_internal)]
            for pks, is_internal in zip(wanted, internal, strict=True)
        ]
        messages = [
            _build(draft, kinds.get(draft.subtype), is_internal, bool(persons), known)
            for draft, is_internal, persons in zip(drafts, internal, told, strict=True)
        ]
        insert_records(messages)
        _write_links(messages, drafts)
        _write_tracked(messages, drafts)
        _write_notifications(messages, told)
        _tell_live(messages, told)
        announced = tuple(
            message.pk
            for message, draft, persons in zip(messages, drafts, told, strict=True)
            if persons or (draft.notify and message.message_type != MessageType.NOTIFICATION)
        )
        if announced:
            work.emit(MessagePosted(announced))
    return messages


def _is_internal(draft: MessageDraft, kind: SubtypeInfo | None) -> bool:
    return draft.internal or kind is None or kind.internal


def _wanted(
    drafts: Sequence[MessageDraft], internal: Sequence[bool], kinds: dict[str, SubtypeInfo]
) -> list[set[int]]:
    """Partners to be told about each draft, before looking at who they are. One query."""
    followers = _followers(drafts)
    wanted: list[set[int]] = []
    for draft in drafts:
        pks: set[int] = set()
        if draft.notify:
            pks.update(draft.recipients)
            if draft.notify_followers and draft.ref is not None and draft.subtype:
                kind_pk = kinds[draft.subtype].pk
                pks.update(pk for pk, subtypes in followers.get(draft.ref, ()) if kind_pk in subtypes)
            if not draft.notify_author:
                pks.discard(draft.author_pk or 0)
        wanted.append(pks)
    return wanted


def _followers(drafts: Sequence[MessageDraft]) -> dict[RecordRef, list[tuple[int, list[int]]]]:
    by_model: dict[str, set[int]] = defaultdict(set)
    for draft in drafts:
        if draft.notify and draft.notify_followers and draft.ref is not None:
            by_model[draft.ref.model].add(draft.ref.pk)
    if not by_model:
        return {}
    condition = Q()
    for model, pks in by_model.items():
        condition |= Q(model=model, object_id__in=pks)
    found: dict[RecordRef, list[tuple[int, list[int]]]] = defaultdict(list)
    rows = Follower.objects.filter(condition).values_list("model", "object_id", "partner_id", "subtype_pks")
    for model, pk, partner_pk, subtype_pks in rows:
        found[RecordRef(model, pk)].append((partner_pk, subtype_pks))
    return found


def _may_be_told(person: Person, is_internal: bool) -> bool:
    return person.active and (person.is_employee or not is_internal)


def _build(
    draft: MessageDraft, kind: SubtypeInfo | None, is_internal: bool, notifies: bool, known: dict[int, Person]
) -> Message:
    author = known.get(draft.author_pk or 0)
    message_id = draft.message_id
    if message_id is None and (notifies or draft.message_type != MessageType.NOTIFICATION):
        message_id = new_message_id(draft.ref)
    return Message(
        model=draft.ref.model if draft.ref else "",
        object_id=draft.ref.pk if draft.ref else None,
        date=draft.date or timezone.now(),
        message_type=draft.message_type,
        subtype_id=kind.pk if kind else None,
        is_internal=is_internal,
        subject=draft.subject[:500],
        body=draft.body,
        parent_id=draft.parent_pk,
        author_id=draft.author_pk,
        author_user_id=draft.author_user_pk,
        email_from=(draft.email_from or (author.address if author else ""))[:500],
        message_id=message_id,
        record_name=draft.record_name[:300],
    )


def _write_links(messages: Sequence[Message], drafts: Sequence[MessageDraft]) -> None:
    to_partner, to_file = Message.recipients.through, Message.attachments.through
    pairs = list(zip(messages, drafts, strict=True))
    addressed = [
        to_partner(message_id=message.pk, partner_id=pk)
        for message, draft in pairs
        for pk in sorted(set(draft.recipients))
    ]
    filed = [
        to_file(message_id=message.pk, attachment_id=pk)
        for message, draft in pairs
        for pk in dict.fromkeys(row.pk for row in draft.attachments)
    ]
    if addressed:
        to_partner.objects.bulk_create(addressed)
    if filed:
        to_file.objects.bulk_create(filed)


def _write_tracked(messages: Sequence[Message], drafts: Sequence[MessageDraft]) -> None:
    rows = [
        TrackedValue(
            message_id=message.pk,
            field=item.field,
            label=item.label[:200],
            kind=item.kind,
            old=item.old,
            new=item.new,
            old_text=item.old_text,
            new_text=item.new_text,
        )
        for message, draft in zip(messages, drafts, strict=True)
        for item in draft.tracked
    ]
    if rows:
        insert_records(rows)


def _write_notifications(messages: Sequence[Message], told: Sequence[Sequence[Person]]) -> None:
    now = timezone.now()
    rows = []
    for message, persons in zip(messages, told, strict=True):
        for person in persons:
            row = Notification(message_id=message.pk, partner_id=person.pk, author_id=message.author_id)
            if person.wants_inbox:
                row.kind, row.status = NotificationKind.INBOX, NotificationStatus.SENT
            else:
                row.kind, row.is_read, row.read_at = NotificationKind.EMAIL, True, now
                if not person.email:
                    row.status = NotificationStatus.EXCEPTION
                    row.failure_type = FailureType.EMAIL_MISSING
            rows.append(row)
    if rows:
        Notification.objects.bulk_create(rows)


def _tell_live(messages: Sequence[Message], told: Sequence[Sequence[Person]]) -> None:
    for message, persons in zip(messages, told, strict=True):
        if message.model and message.object_id and message.message_type != MessageType.USER_NOTIFICATION:
            ref = RecordRef(message.model, message.object_id)
            tell_watchers(ref, LIVE_POSTED, {"message": message.pk}, public=not message.is_internal)
        users = [person.user_pk for person in persons if person.wants_inbox and person.user_pk is not None]
        if users:
            data = {"message": message.pk, "model": message.model, "pk": message.object_id}
            tell_users(users, LIVE_NOTIFIED, data)
