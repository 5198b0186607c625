"""REST: ``chatter/messages``, activities, files and followers, and a record's ``…/messages/`` and ``…/attachments/``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Model, QuerySet

from apps.api.base import DETAIL, LIST, Computed, Input, Resource, register_subresource, resource
from apps.chatter.constants import MessageType
from apps.chatter.models import (
    Activity,
    ActivityPlan,
    ActivityPlanLine,
    ActivityType,
    Attachment,
    Follower,
    Message,
    Notification,
    Subtype,
)
from apps.chatter.models.threads import has_thread
from apps.chatter.selectors.files import file_urls
from apps.chatter.selectors.threads import tracked_of
from apps.chatter.services.messages import post_values
from apps.core.actor import Actor
from apps.core.records import service_for


@resource("chatter/messages")
class MessageResource(Resource):
    """Messages of the threads that one may read. Creating one posts it; only one's own comments can be changed."""

    model = Message
    exclude = ("message_id", "removed_at")
    read_only = ("date", "message_type", "is_internal", "author", "author_user", "email_from", "record_name")
    inputs = {
        "body_format": Input(str, default="html", help="html (sanitised) or text"),
    }
    computed = {
        "tracked": Computed(batch=tracked_of, type=list, help="changed fields with old and new value")
    }
    portal_fields = (
        "id", "model", "object_id", "date", "message_type", "subtype", "subject", "body", "author", "parent",
        "attachments",
    )  # fmt: skip
    search = False


@resource("chatter/attachments")
class AttachmentResource(Resource):
    """Files. ``url`` opens one without a login, for as long as the file exists."""

    model = Attachment
    exclude = ("stored",)
    inputs = {"content": Input(str, help="the content as Base64, when creating")}
    computed = {"url": Computed(batch=file_urls, help="address with the file's own token")}
    search = False


@resource("chatter/activities")
class ActivityResource(Resource):
    """What is to be done about records; ``done``, ``snooze`` and ``cancel`` are actions."""

    model = Activity


@resource("chatter/activity-types")
class ActivityTypeResource(Resource):
    """Types of activities."""

    model = ActivityType


@resource("chatter/activity-plans")
class ActivityPlanResource(Resource):
    """Sets of activities that are planned together."""

    model = ActivityPlan


@resource("chatter/activity-plan-lines")
class ActivityPlanLineResource(Resource):
    """The single activities of a plan."""

    model = ActivityPlanLine


@resource("chatter/followers")
class FollowerResource(Resource):
    """Who follows which record."""

    model = Follower
    operations = (LIST, DETAIL)


@resource("chatter/notifications")
class NotificationResource(Resource):
    """What one was told, and how telling others of one's messages went."""

    model = Notification
    operations = (LIST, DETAIL)


@resource("chatter/subtypes")
class SubtypeResource(Resource):
    """Kinds of messages."""

    model = Subtype
    operations = (LIST, DETAIL)


def _of_parent(parent: Model, *, actor: Actor, queryset: QuerySet[Any]) -> QuerySet[Any]:
    return queryset.filter(model=parent._meta.label_lower, object_id=parent.pk)


def _messages_of_parent(parent: Model, *, actor: Actor, queryset: QuerySet[Any]) -> QuerySet[Any]:
    return _of_parent(parent, actor=actor, queryset=queryset).exclude(
        message_type=MessageType.USER_NOTIFICATION
    )


def _post(parent: Model, rows: Sequence[Mapping[str, Any]], *, actor: Actor) -> list[Message]:
    named = {"model": parent._meta.label_lower, "object_id": parent.pk}
    if len(rows) == 1:
        return [post_values(parent, rows[0], actor=actor)]
    return service_for(Message).create([{**row, **named} for row in rows], actor=actor)


def _attach(parent: Model, rows: Sequence[Mapping[str, Any]], *, actor: Actor) -> list[Attachment]:
    named = {"model": parent._meta.label_lower, "object_id": parent.pk}
    return service_for(Attachment).create([{**row, **named} for row in rows], actor=actor)


register_subresource(
    "messages",
    model="chatter.Message",
    applies=has_thread,
    rows=_messages_of_parent,
    create=_post,
    inputs={
        "body": Input(str, help="what to say"),
        "body_format": Input(str, default="html", help="html (sanitised) or text"),
        "subject": Input(str),
        "subtype": Input(str, help="chatter.comment, chatter.note or a kind of the record's own"),
        "recipients": Input(int, many=True, help="contacts who are told besides the followers"),
        "attachments": Input(int, many=True, help="pending uploads, or files of the record"),
        "parent": Input(int, nullable=True, help="the message that is answered"),
    },
    ordering=("-id",),
    summary="The thread of the record",
)
register_subresource(
    "attachments",
    model="chatter.Attachment",
    applies=has_thread,
    rows=_of_parent,
    create=_attach,
    inputs={
        "name": Input(str),
        "description": Input(str),
        "content": Input(str, help="the content as Base64; or send multipart/form-data with 'file'"),
    },
    files=True,
    ordering=("-id",),
    summary="The files of the record",
)
