"""Who may read and touch messages, files and activities: what the record allows, less what is internal.

A thread has no rights of its own. Each rule joins, for every kind of record with a thread, "names a record that the
actor may see (or write to)" as a correlated subquery; PostgreSQL looks only at the record that a row names.
"""

from __future__ import annotations

from django.db.models import Exists, Model, OuterRef, Q

from apps.chatter.constants import MessageType
from apps.chatter.hooks import post_access_of
from apps.chatter.models import Activity, Attachment, Follower, Message, Notification, Subtype, TrackedValue
from apps.chatter.models.threads import thread_models
from apps.core.actor import INTERNAL, PORTAL, PUBLIC, Actor
from apps.core.records import hidden_fields
from apps.core.rules import rule, visible

ADMINISTRATOR = "access.administrator"
NOTHING = Q(pk__in=())

_files_of_messages = Message.attachments.through


def names_visible_record(actor: Actor, *, writable: bool = False, field: str = "object_id") -> Q:
    """Rows (with ``model`` and ``object_id``) whose record the actor may see, or write in the thread of."""
    found = NOTHING
    for label, model in thread_models().items():
        operation = post_access_of(label) if writable else "view"
        rows: object = visible(model, actor, operation)
        if rows.query.is_empty():  # type: ignore[attr-defined]
            continue
        found |= Q(model=label) & Q(Exists(rows.filter(pk=OuterRef(field))))  # type: ignore[attr-defined]
    return found


def _own_partner(actor: Actor, field: str) -> Q:
    return Q(**{field: actor.partner_pk}) if actor.partner_pk else NOTHING


def _told(actor: Actor) -> Q:
    if not actor.partner_pk:
        return NOTHING
    return Q(Exists(Notification.objects.filter(message=OuterRef("pk"), partner_id=actor.partner_pk)))


# ------------------------------------------------------------------------------------------------------- messages
@rule(Message, kinds=(INTERNAL,), ops=("view", "add"))
def employees_read_threads(actor: Actor, op: str) -> Q:
    """What one wrote or was told, and the threads of records that one may see."""
    thread = names_visible_record(actor) & ~Q(message_type=MessageType.USER_NOTIFICATION)
    return Q(author_user_id=actor.user_pk) | _own_partner(actor, "author_id") | _told(actor) | thread


@rule(Message, kinds=(PORTAL,), ops=("view", "add"))
def portal_users_read_public_messages(actor: Actor, op: str) -> Q:
    """Never an internal one, whoever it names: the kind of message counts as it is today."""
    public = Q(is_internal=False, subtype__isnull=False, subtype__internal=False)
    thread = names_visible_record(actor) & ~Q(message_type=MessageType.USER_NOTIFICATION)
    return public & (_own_partner(actor, "author_id") | _told(actor) | thread)


def _own_words(actor: Actor) -> Q:
    written = Q(message_type=MessageType.COMMENT, removed_at__isnull=True, author_user_id=actor.user_pk)
    return written & ~Q(Exists(TrackedValue.objects.filter(message=OuterRef("pk"))))


@rule(Message, kinds=(INTERNAL, PORTAL), ops=("change", "delete"))
def authors_change_their_words(actor: Actor, op: str) -> Q:
    return _own_words(actor) if actor.user_pk else NOTHING


@rule(Message, roles=(ADMINISTRATOR,), ops=("change", "delete"))
def administrators_change_comments(actor: Actor, op: str) -> Q:
    return Q(message_type=MessageType.COMMENT, removed_at__isnull=True)


@rule(TrackedValue, mandatory=True)
def fields_that_exist_for_the_actor(actor: Actor, op: str) -> Q:
    """A field that is reserved for a role is hidden in the history as well."""
    hidden = NOTHING
    for label, model in thread_models().items():
        names = hidden_fields(model, actor)
        if names:
            hidden |= Q(message__model=label, field__in=sorted(names))
    return ~hidden


@rule(TrackedValue, kinds=(INTERNAL, PORTAL), ops=("view",))
def changes_in_readable_messages(actor: Actor, op: str) -> Q:
    return Q(message__in=visible(Message, actor).values("pk"))


@rule(Notification, kinds=(INTERNAL, PORTAL), ops=("view",))
def own_notifications_and_failures(actor: Actor, op: str) -> Q:
    return _own_partner(actor, "partner_id") | _own_partner(actor, "author_id")


@rule(Notification, kinds=(INTERNAL,), ops=("change",))
def own_notifications(actor: Actor, op: str) -> Q:
    return _own_partner(actor, "partner_id")


@rule(Subtype, kinds=(PORTAL,), ops=("view",))
def public_kinds_of_messages(actor: Actor, op: str) -> Q:
    return Q(internal=False)


@rule(Follower, kinds=(INTERNAL,), ops=("view",))
def followers_of_visible_records(actor: Actor, op: str) -> Q:
    return names_visible_record(actor) | _own_partner(actor, "partner_id")


# ---------------------------------------------------------------------------------------------------------- files
def _pending(actor: Actor) -> Q:
    """Uploads that belong to no record yet are their maker's alone."""
    return Q(model="", created_by_id=actor.user_pk) if actor.user_pk else NOTHING


def _value_of_hidden_field(actor: Actor) -> Q:
    hidden = NOTHING
    models: dict[str, type[Model]] = thread_models()
    for label, model in models.items():
        names = hidden_fields(model, actor)
        if names:
            hidden |= Q(model=label, field__in=sorted(names))
    return hidden


def _in_readable_message(actor: Actor) -> Q:
    links = _files_of_messages.objects.filter(message__in=visible(Message, actor).values("pk"))
    return Q(Exists(links.filter(attachment_id=OuterRef("pk"))))


@rule(Attachment, kinds=(INTERNAL,), ops=("view",))
def employees_read_files_of_visible_records(actor: Actor, op: str) -> Q:
    linked = names_visible_record(actor) & ~_value_of_hidden_field(actor)
    return Q(public=True) | _pending(actor) | linked | (Q(model="") & _in_readable_message(actor))


@rule(Attachment, kinds=(PORTAL,), ops=("view",))
def portal_users_read_files_of_public_messages(actor: Actor, op: str) -> Q:
    """A readable record is not enough: files of internal notes lie at the same record."""
    own = Q(created_by_id=actor.user_pk) if actor.user_pk else NOTHING
    return Q(public=True) | own | _in_readable_message(actor)


@rule(Attachment, kinds=(PUBLIC,), ops=("view",))
def visitors_read_public_files(actor: Actor, op: str) -> Q:
    return Q(public=True)


@rule(Attachment, kinds=(INTERNAL,), ops=("add", "change", "delete"))
def employees_change_files_of_records_they_write_to(actor: Actor, op: str) -> Q:
    return _pending(actor) | names_visible_record(actor, writable=True)


@rule(Attachment, kinds=(PORTAL,), ops=("add", "change", "delete"))
def portal_users_change_their_own_files(actor: Actor, op: str) -> Q:
    return Q(created_by_id=actor.user_pk) if actor.user_pk else NOTHING


# ----------------------------------------------------------------------------------------------------- activities
@rule(Activity, kinds=(INTERNAL,), ops=("view",))
def own_activities_and_those_of_visible_records(actor: Actor, op: str) -> Q:
    return Q(assignee_id=actor.user_pk) | names_visible_record(actor)


@rule(Activity, kinds=(INTERNAL,), ops=("change", "delete"))
def own_activities_and_those_of_writable_records(actor: Actor, op: str) -> Q:
    """Somebody who lost the record may still finish what was assigned to him."""
    return Q(assignee_id=actor.user_pk) | names_visible_record(actor, writable=True)


@rule(Activity, kinds=(INTERNAL,), ops=("add",))
def activities_of_writable_records(actor: Actor, op: str) -> Q:
    return names_visible_record(actor, writable=True)
