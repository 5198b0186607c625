"""Names that the whole of ``chatter`` agrees on; no ORM here."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

COMMENT = "chatter.comment"  # a message to everybody who follows
NOTE = "chatter.note"  # for employees only
ACTIVITY = "chatter.activity"  # what came of an activity; for employees only

# Types of activity that code relies on: they cannot be deleted and keep their kind of record.
TODO, CALL, MEETING, EMAIL, DOCUMENT, EXCEPTION = (
    "chatter.todo",
    "chatter.call",
    "chatter.meeting",
    "chatter.email",
    "chatter.document",
    "chatter.exception",
)

THREAD_PAGE = 30
PREVIEW_LENGTH = 190
SNOOZE_DAYS = 7
LIVE_POSTED, LIVE_CHANGED, LIVE_NOTIFIED, LIVE_READ, LIVE_ACTIVITY = (
    "message.posted",
    "message.changed",
    "inbox.new",
    "inbox.read",
    "activity.changed",
)


class MessageType(models.TextChoices):
    EMAIL = "email", _("incoming e-mail")
    COMMENT = "comment", _("comment")
    EMAIL_OUTGOING = "email_outgoing", _("mailing")
    NOTIFICATION = "notification", _("log entry")
    AUTO_COMMENT = "auto_comment", _("automatic answer")
    USER_NOTIFICATION = "user_notification", _("personal notice")


class NotificationKind(models.TextChoices):
    INBOX = "inbox", _("inbox")
    EMAIL = "email", _("e-mail")


class NotificationStatus(models.TextChoices):
    READY = "ready", _("waiting")
    PROCESS = "process", _("being sent")
    PENDING = "pending", _("handed over")
    SENT = "sent", _("sent")
    BOUNCE = "bounce", _("bounced")
    EXCEPTION = "exception", _("failed")
    CANCELED = "canceled", _("cancelled")


FAILED_STATUSES = (NotificationStatus.BOUNCE.value, NotificationStatus.EXCEPTION.value)


class FailureType(models.TextChoices):
    NONE = "", _("none")
    UNKNOWN = "unknown", _("unknown reason")
    BOUNCE = "mail_bounce", _("came back")
    EMAIL_INVALID = "mail_email_invalid", _("wrong address")
    EMAIL_MISSING = "mail_email_missing", _("no address")
    FROM_INVALID = "mail_from_invalid", _("wrong sender address")
    FROM_MISSING = "mail_from_missing", _("no sender address")
    SMTP = "mail_smtp", _("the mail server refused")


class DelayUnit(models.TextChoices):
    DAYS = "days", _("days")
    WEEKS = "weeks", _("weeks")
    MONTHS = "months", _("months")


class DelayFrom(models.TextChoices):
    COMPLETION = "current_date", _("after completion date")
    DEADLINE = "previous_activity", _("after previous deadline")


class Chaining(models.TextChoices):
    SUGGEST = "suggest", _("suggest the next activity")
    TRIGGER = "trigger", _("plan the next activity")


class ActivityCategory(models.TextChoices):
    DEFAULT = "default", _("none")
    UPLOAD = "upload_file", _("upload a document")
    PHONE = "phonecall", _("phone call")
    MEETING = "meeting", _("meeting")


class Decoration(models.TextChoices):
    NONE = "", _("none")
    WARNING = "warning", _("warning")
    DANGER = "danger", _("error")


class ActivityState(models.TextChoices):
    OVERDUE = "overdue", _("overdue")
    TODAY = "today", _("today")
    PLANNED = "planned", _("planned")
    DONE = "done", _("done")
