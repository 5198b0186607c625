"""Back-office screens of messages, activities and files, and what the head of every page counts."""

from __future__ import annotations

from typing import Any

from apps.backoffice.base import (
    RecordAdmin,
    RecordInline,
    backoffice,
)
from apps.chatter.models import Activity, ActivityPlan, ActivityPlanLine, ActivityType, Attachment, Message
from apps.chatter.views import office  # noqa: F401 - registers its pages, cards and counters


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
