"""Reading threads. A page costs the same number of queries whatever is on it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from django.db import models
from django.db.models import Count, Q, QuerySet
from django.utils.translation import gettext as _

from apps.chatter.constants import THREAD_PAGE, FailureType, MessageType
from apps.chatter.hooks import post_access_of, public_fields_of
from apps.chatter.models import Attachment, Follower, Message, Notification, TrackedValue
from apps.chatter.models.threads import ref_of, thread_models
from apps.chatter.selectors.files import file_views
from apps.chatter.types import DeliveryView, FileView, MessageView, PersonView, ThreadPage, TrackedView
from apps.contacts.models import Partner
from apps.core.actor import Actor
from apps.core.errors import NotVisible, PermissionDenied
from apps.core.records import hidden_fields
from apps.core.rules import get_visible, visible


def thread_record(label: str, pk: Any, actor: Actor, op: str = "view") -> models.Model:
    """The record with that thread, if the actor may see it; else ``NotVisible``, for unknown kinds too."""
    model = thread_models().get(str(label).lower())
    if model is None or not str(pk).isdigit() or int(pk) >= 2**63:
        raise NotVisible()
    return get_visible(model, int(pk), actor, op)


def follows(record: models.Model, partner_pk: int | None) -> bool:
    if partner_pk is None:
        return False
    ref = ref_of(record)
    return Follower.objects.filter(model=ref.model, object_id=ref.pk, partner_id=partner_pk).exists()


def can_post(record: models.Model, actor: Actor) -> bool:
    """Whether the actor may write in the thread: by the record's post access, or as a follower who sees it."""
    if actor.is_system:
        return True
    model = type(record)
    if visible(model, actor, post_access_of(model._meta.label)).filter(pk=record.pk).exists():
        return True
    return follows(record, actor.partner_pk) and visible(model, actor).filter(pk=record.pk).exists()


def require_post(record: models.Model, actor: Actor) -> None:
    """``PermissionDenied`` for somebody who may read but not write; ``NotVisible`` for anybody else."""
    if can_post(record, actor):
        return
    get_visible(type(record), record.pk, actor)
    raise PermissionDenied(
        _("You may read this %(kind)s, but not write in its thread.") % {"kind": record._meta.verbose_name},
        rule=f"post access '{post_access_of(record._meta.label)}' on {record._meta.label}",
    )


def reads_internal(actor: Actor) -> bool:
    """Whether internal messages exist for the actor at all."""
    return actor.is_internal or actor.is_system


def messages_of(record: models.Model, *, public: bool) -> QuerySet[Message]:
    """The thread of a record that was checked already; ``public`` leaves out whatever is for employees."""
    rows = Message.objects.of_record(record._meta.label_lower, record.pk)
    return rows.public() if public else rows


def thread_of(
    record: models.Model,
    actor: Actor,
    *,
    before: int | None = None,
    limit: int = THREAD_PAGE,
    text: str = "",
    public: bool | None = None,
) -> ThreadPage:
    """A page of the thread, newest first: six queries at most.

    The record must be one that the actor was allowed to see (or that a token opened: then pass ``public=True``,
    which also holds for everybody but employees). ``before`` is the ``older_than`` of the page before.
    """
    only_public = not reads_internal(actor) or bool(public)
    rows = messages_of(record, public=only_public)
    if text:
        rows = rows.filter(Q(body__icontains=text[:200]) | Q(subject__icontains=text[:200]))
    total = rows.count()
    page = rows.filter(pk__lt=before) if before is not None else rows
    limit = max(1, min(limit, 200))
    found = list(page.select_related("author", "subtype").order_by("-pk")[: limit + 1])
    older = found[limit - 1].pk if len(found) > limit else None
    views = message_views(found[:limit], actor, public=only_public)
    return ThreadPage(views, total, older)


def message_views(messages: Sequence[Message], actor: Actor, *, public: bool) -> list[MessageView]:
    """Messages as the actor may see them; authors and kinds must have been read with them. Three more queries."""
    pks = [message.pk for message in messages]
    tracked = _tracked(messages, actor, public=public)
    files = _files(pks, actor)
    deliveries = {} if public else _deliveries(pks)
    return [
        MessageView(
            pk=message.pk,
            date=message.date,
            message_type=message.message_type,
            subtype=message.subtype.code if message.subtype else "",
            subtype_title=_(message.subtype.name) if message.subtype else "",
            subject=message.subject,
            body=message.body,
            is_internal=message.is_internal,
            author=_author(message, actor, public=public),
            edited=message.edited_at is not None,
            removed=message.removed_at is not None,
            tracked=tracked.get(message.pk, ()),
            files=files.get(message.pk, ()),
            deliveries=deliveries.get(message.pk, ()),
            may_edit=_may_change(message, actor) and message.pk not in tracked,
            may_remove=_may_change(message, actor) and message.pk not in tracked,
            parent_pk=message.parent_id,
        )
        for message in messages
    ]


def _may_change(message: Message, actor: Actor) -> bool:
    if message.message_type != MessageType.COMMENT or message.removed_at is not None:
        return False
    mine = actor.user_pk is not None and message.author_user_id == actor.user_pk
    return mine or (actor.is_internal and actor.is_admin)


def person_view(partner: Partner, actor: Actor, *, public: bool = False) -> PersonView:
    """Somebody as shown beside his words; customers are shown the name only."""
    picture = "" if public or not partner.image_attachment else f"/web/image/{partner.image_attachment}/64x64"
    name = str(partner)
    return PersonView(
        pk=partner.pk,
        name=name,
        email="" if public else partner.email,
        initials=initials(name),
        image_url=picture,
        is_me=partner.pk == actor.partner_pk,
    )


def _author(message: Message, actor: Actor, *, public: bool) -> PersonView:
    if message.author is not None:
        return person_view(message.author, actor, public=public)
    name = message.email_from or (
        _("System") if message.message_type == MessageType.NOTIFICATION else _("Unknown")
    )
    return PersonView(pk=None, name=name, initials=initials(name))


def initials(name: str) -> str:
    """Up to two letters that stand for a name."""
    words = [word for word in name.replace(",", " ").replace("<", " ").split() if word[0].isalnum()]
    if not words:
        return "?"
    letters = words[0][0] + (words[-1][0] if len(words) > 1 else "")
    return letters.upper()


def _tracked(messages: Sequence[Message], actor: Actor, *, public: bool) -> dict[int, list[TrackedView]]:
    """Changes by message, less fields that do not exist for the actor or are not meant for customers."""
    labels = {message.pk: message.model for message in messages}
    known = thread_models()
    hidden = {label: hidden_fields(known[label], actor) for label in set(labels.values()) if label in known}
    by_message: dict[int, list[TrackedView]] = defaultdict(list)
    for row in TrackedValue.objects.filter(message_id__in=labels).order_by("pk"):
        label = labels[row.message_id]
        if row.field in hidden.get(label, ()) or (public and row.field not in public_fields_of(label)):
            continue
        by_message[row.message_id].append(
            TrackedView(
                row.field, row.label, _as_text(row.kind, row.old_text), _as_text(row.kind, row.new_text)
            )
        )
    return by_message


def _as_text(kind: str, text: str) -> str:
    if kind == "boolean" and text in ("Yes", "No"):
        return _("Yes") if text == "Yes" else _("No")
    return text


def _files(pks: Sequence[int], actor: Actor) -> dict[int, list[FileView]]:
    links = Message.attachments.through.objects.filter(message_id__in=pks).order_by("attachment_id")
    pairs: dict[int, list[Attachment]] = defaultdict(list)
    for link in links.select_related("attachment"):
        pairs[link.message_id].append(link.attachment)
    return {
        pk: file_views([row for row in rows if not row.content_id], deletable_by=actor.user_pk)
        for pk, rows in pairs.items()
    }


def _deliveries(pks: Sequence[int]) -> dict[int, list[DeliveryView]]:
    by_message: dict[int, list[DeliveryView]] = defaultdict(list)
    rows = Notification.objects.filter(message_id__in=pks).select_related("partner").order_by("pk")
    for row in rows:
        failure = str(FailureType(row.failure_type).label) if row.failure_type else ""
        by_message[row.message_id].append(
            DeliveryView(
                row.pk, row.partner_id, str(row.partner), row.kind, row.status, failure, row.failure_reason
            )
        )
    return by_message


def followers_of(record: models.Model) -> list[Follower]:
    """Followers with their partners, in alphabetical order; one query. The record must have been checked."""
    ref = ref_of(record)
    rows = Follower.objects.filter(model=ref.model, object_id=ref.pk).select_related("partner")
    return list(rows.order_by("partner__complete_name", "pk"))


def followed_pks(model_label: str, partners: Any) -> QuerySet[Follower, Any]:
    """Primary keys of the records of one kind that any of ``partners`` (pks or subquery) follows, for rules."""
    rows = Follower.objects.filter(model=model_label.lower(), partner_id__in=partners)
    return rows.values("object_id")


def message_counts(model: type[models.Model], pks: Iterable[int], actor: Actor) -> dict[int, int]:
    """Number of messages in the threads of records that were checked already, log entries not counted."""
    rows = Message.objects.filter(model=model._meta.label_lower, object_id__in=list(pks)).exclude(
        message_type__in=(MessageType.USER_NOTIFICATION, MessageType.NOTIFICATION)
    )
    if not reads_internal(actor):
        rows = rows.public()
    counted = rows.order_by().values_list("object_id").annotate(n=Count("pk"))
    return {pk: n for pk, n in counted if pk is not None}


def public_tracked(message_pks: Sequence[int]) -> dict[int, list[TrackedView]]:
    """Tracked values that everybody may read, for the text of notification mails. Two queries."""
    models_of = dict(Message.objects.filter(pk__in=message_pks).values_list("pk", "model"))
    by_message: dict[int, list[TrackedView]] = defaultdict(list)
    for row in TrackedValue.objects.filter(message_id__in=message_pks).order_by("pk"):
        if row.field in public_fields_of(models_of.get(row.message_id, "")):
            by_message[row.message_id].append(TrackedView(row.field, row.label, row.old_text, row.new_text))
    return by_message


def tracked_of(pks: Iterable[int], *, actor: Actor) -> dict[int, list[dict[str, str]]]:
    """Changes that belong to messages, as far as they exist for the actor: ``{field, label, old, new}``. Two queries."""
    messages = list(visible(Message, actor).filter(pk__in=list(pks)).only("pk", "model"))
    found = _tracked(messages, actor, public=not reads_internal(actor))
    return {
        message.pk: [
            {"field": row.field, "label": row.label, "old": row.old, "new": row.new}
            for row in found.get(message.pk, ())
        ]
        for message in messages
    }
