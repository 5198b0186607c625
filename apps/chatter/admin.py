"""Back-office screens of messages, activities and files, and what the head of every page counts."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.backoffice.base import (
    Card,
    CardLine,
    Counter,
    RecordAdmin,
    RecordInline,
    backoffice,
    collect_cards,
    collect_counters,
    record_url,
)
from apps.chatter.models import Activity, ActivityPlan, ActivityPlanLine, ActivityType, Attachment, Message
from apps.chatter.models.threads import thread_models
from apps.chatter.selectors.activities import due_count, with_state
from apps.chatter.selectors.inbox import failure_count, unread_count
from apps.core.actor import Actor
from apps.core.rules import visible


@backoffice(Message)
class MessageAdmin(RecordAdmin):
    """All messages that one may read. They are written in the threads of their records."""

    list_display = ("date", "record_name", "subject", "author", "message_type", "subtype", "is_internal")
    list_filter = ("message_type", "subtype", "is_internal")
    fields = ("record_name", "date", "author", "email_from", "subject", "body", "message_type", "subtype")
    readonly_fields = ("record_name", "date", "author", "email_from", "subject", "message_type", "subtype")

    def has_add_permission(self, request: Any) -> bool:
        return False


@backoffice(Activity)
class ActivityAdmin(RecordAdmin):
    list_display = ("deadline", "type", "summary", "record_name", "assignee")
    list_filter = ("type", "assignee", "deadline")
    fields = (("type", "assignee"), "deadline", "summary", "note")

    def has_add_permission(self, request: Any) -> bool:
        return False  # planned in the thread of the record


@backoffice(Attachment)
class AttachmentAdmin(RecordAdmin):
    list_display = ("name", "mimetype", "size", "model", "created_by", "created_at")
    list_filter = ("mimetype",)
    fields = ("name", "description", "public")

    def has_add_permission(self, request: Any) -> bool:
        return False  # uploaded in the thread of the record


@backoffice(ActivityType)
class ActivityTypeAdmin(RecordAdmin):
    list_display = ("name", "category", "delay_count", "delay_unit", "chaining", "active")
    list_filter = ("category", "active")


class ActivityPlanLineInline(RecordInline):
    model = ActivityPlanLine
    fk_name = "plan"
    fields = ("sequence", "type", "summary", "delay_count", "delay_unit", "before", "assignee")


@backoffice(ActivityPlan)
class ActivityPlanAdmin(RecordAdmin):
    list_display = ("name", "model", "company", "active")
    list_filter = ("active",)
    fields = (("name", "model"), ("company", "active"))
    inlines = (ActivityPlanLineInline,)


@collect_counters.register
def inbox_counter(actor: Actor) -> Counter | None:
    """Unread messages, and messages of one's own that did not arrive."""
    if not actor.is_internal:
        return None
    value = unread_count(actor) + failure_count(actor)
    return Counter("chatter.inbox", gettext_lazy("Inbox"), record_url(Message), "inbox", value, sequence=10)


@collect_counters.register
def activity_counter(actor: Actor) -> Counter | None:
    """Activities that are overdue or due today."""
    if not actor.is_internal:
        return None
    url = f"{record_url(Activity)}?assignee__id__exact={actor.user_pk}"
    return Counter(
        "chatter.activities", gettext_lazy("Activities"), url, "task_alt", due_count(actor), sequence=20
    )


@collect_cards.register
def activity_card(actor: Actor) -> Card | None:
    """What the reader has to do next."""
    if not actor.is_internal:
        return None
    rows = with_state(visible(Activity, actor).filter(assignee_id=actor.user_pk, active=True))
    tones = {"overdue": "danger", "today": "warning"}
    lines = tuple(
        CardLine(
            f"{row.type}: {row.summary or row.record_name}",
            url=_url_of(row),
            note=str(row.deadline),
            tone=tones.get(row.state_now, ""),  # type: ignore[attr-defined]
        )
        for row in rows.select_related("type").order_by("deadline", "pk")[:8]
    )
    return Card(
        "chatter.activities",
        gettext_lazy("My activities"),
        icon="task_alt",
        lines=lines,
        empty=_("Nothing is planned."),
        sequence=20,
    )


def _url_of(row: Activity) -> str:
    """The record of an activity where the back office has a screen for it, else the activity itself."""
    model = thread_models().get(row.model)
    return (record_url(model, row.object_id) if model is not None else "") or record_url(Activity, row.pk)
