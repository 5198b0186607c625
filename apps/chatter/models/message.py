"""Messages of threads, whom they were brought to, and the changes of fields that they record."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.chatter.constants import (
    FAILED_STATUSES,
    FailureType,
    MessageType,
    NotificationKind,
    NotificationStatus,
)
from apps.chatter.models.attachment import Attachment
from apps.chatter.models.follower import Subtype
from apps.contacts.models import Partner
from apps.core.declarations import ModelOptions


class MessageQuerySet(models.QuerySet["Message"]):
    def of_record(self, model_label: str, pk: int) -> MessageQuerySet:
        """The messages of one thread; personal notices are nobody else's to read."""
        return self.filter(model=model_label.lower(), object_id=pk).exclude(
            message_type=MessageType.USER_NOTIFICATION
        )

    def public(self) -> MessageQuerySet:
        """What people outside the company may read: decided by the message *and* by its kind of today."""
        return self.filter(is_internal=False, subtype__isnull=False, subtype__internal=False).exclude(
            message_type=MessageType.USER_NOTIFICATION
        )


class Message(models.Model):
    """One entry of a thread. ``body`` is stored sanitised and shown as it is.

    ``is_internal`` is forced by a trigger when the kind of message is internal or unknown, and can never be taken
    back: what was written for employees stays with them. The author may be unknown: ``email_from`` says who then.
    """

    erp: ClassVar[ModelOptions] = ModelOptions(
        company_links=(),
        exempt={
            "company": "belongs to the record that it names and is seen with it",
            "version": "written once; an edit of one's own words is marked by edited_at",
        },
    )

    id = models.BigAutoField(primary_key=True)
    model = models.CharField(_("kind of record"), max_length=100, blank=True)
    object_id = models.BigIntegerField(_("record"), null=True, blank=True)
    date = models.DateTimeField(_("date"), default=timezone.now)
    message_type = models.CharField(
        _("type"), max_length=20, choices=MessageType.choices, default=MessageType.COMMENT
    )
    subtype = models.ForeignKey(
        Subtype, verbose_name=_("kind"), null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    is_internal = models.BooleanField(_("for employees only"), default=True)
    subject = models.CharField(_("subject"), max_length=500, blank=True)
    body = models.TextField(_("text"), blank=True)
    parent = models.ForeignKey(
        "self",
        verbose_name=_("in answer to"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="answers",
    )
    author = models.ForeignKey(
        Partner,
        verbose_name=_("author"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="messages",
    )
    author_user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("written by user"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    email_from = models.CharField(_("from"), max_length=500, blank=True)
    message_id = models.CharField(_("Message-ID"), max_length=998, null=True, blank=True, editable=False)
    recipients = models.ManyToManyField(
        Partner, verbose_name=_("recipients"), related_name="addressed_messages", blank=True
    )
    attachments = models.ManyToManyField(
        Attachment, verbose_name=_("files"), related_name="messages", blank=True
    )
    record_name = models.CharField(_("record's name"), max_length=300, blank=True, editable=False)
    edited_at = models.DateTimeField(_("edited on"), null=True, blank=True, editable=False)
    removed_at = models.DateTimeField(_("removed on"), null=True, blank=True, editable=False)

    objects = MessageQuerySet.as_manager()

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        ordering = ("-pk",)
        indexes = (models.Index(fields=["model", "object_id", "id"], name="chatter_message_thread"),)
        constraints = (
            models.UniqueConstraint(
                fields=["message_id"],
                condition=Q(message_id__isnull=False),
                name="chatter_message_id_once",
                violation_error_message=_("This message is here already."),
            ),
            models.CheckConstraint(
                condition=(Q(model="") & Q(object_id__isnull=True))
                | (~Q(model="") & Q(object_id__isnull=False)),
                name="chatter_message_names_record",
            ),
            models.CheckConstraint(
                condition=Q(message_type__in=MessageType.values), name="chatter_message_type_known"
            ),
        )

    def __str__(self) -> str:
        return self.subject or f"{self.get_message_type_display()} {self.pk}"


class TrackedValue(models.Model):
    """The net change of one field, as it was: values typed as JSON, and how they read on that day.

    A trigger refuses to change a row. ``kind`` is the type of the field (``link``, ``links``, ``decimal`` …).
    """

    erp: ClassVar[ModelOptions] = ModelOptions(
        exempt={"company": "read through its message", "version": "never changed"}
    )

    id = models.BigAutoField(primary_key=True)
    message = models.ForeignKey(
        Message, on_delete=models.CASCADE, related_name="tracked", verbose_name=_("message")
    )
    field = models.CharField(_("field"), max_length=100)
    label = models.CharField(_("field's title"), max_length=200)
    kind = models.CharField(_("type"), max_length=20)
    old = models.JSONField(_("before"), null=True, encoder=DjangoJSONEncoder)
    new = models.JSONField(_("after"), null=True, encoder=DjangoJSONEncoder)
    old_text = models.TextField(_("before, as text"), blank=True)
    new_text = models.TextField(_("after, as text"), blank=True)

    class Meta:
        verbose_name = _("changed field")
        verbose_name_plural = _("changed fields")
        ordering = ("pk",)

    def __str__(self) -> str:
        return f"{self.label}: {self.old_text} → {self.new_text}"


class Notification(models.Model):
    """That one partner is told about one message, and how that went. At most one a message and partner.

    A trigger refuses to tell anybody but employees about an internal message. E-mails count as read from the
    start: they do not fill the inbox.
    """

    erp: ClassVar[ModelOptions] = ModelOptions(
        company_links=(),
        exempt={"company": "personal", "version": "kept by the sending machinery and its reader"},
    )

    id = models.BigAutoField(primary_key=True)
    message = models.ForeignKey(
        Message, on_delete=models.CASCADE, related_name="notifications", verbose_name=_("message")
    )
    partner = models.ForeignKey(
        Partner, on_delete=models.CASCADE, related_name="notifications", verbose_name=_("to")
    )
    author = models.ForeignKey(
        Partner,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        db_index=False,
        verbose_name=_("author"),
    )
    kind = models.CharField(_("by"), max_length=10, choices=NotificationKind.choices)
    status = models.CharField(
        _("status"), max_length=10, choices=NotificationStatus.choices, default=NotificationStatus.READY
    )
    is_read = models.BooleanField(_("read"), default=False)
    read_at = models.DateTimeField(_("read on"), null=True, blank=True)
    failure_type = models.CharField(
        _("failure"), max_length=20, choices=FailureType.choices, default=FailureType.NONE, blank=True
    )
    failure_reason = models.TextField(_("reason"), blank=True)

    class Meta:
        verbose_name = _("notification")
        verbose_name_plural = _("notifications")
        ordering = ("-pk",)
        constraints = (
            models.UniqueConstraint(fields=["message", "partner"], name="chatter_notification_once"),
            models.CheckConstraint(
                condition=Q(kind__in=NotificationKind.values), name="chatter_notification_kind_known"
            ),
            models.CheckConstraint(
                condition=Q(status__in=NotificationStatus.values), name="chatter_notification_status_known"
            ),
        )
        indexes = (
            models.Index(
                fields=["partner", "is_read", "status", "message"], name="chatter_notification_inbox"
            ),
            models.Index(
                fields=["author", "status"],
                condition=Q(status__in=FAILED_STATUSES),
                name="chatter_notification_failed",
            ),
        )

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.message_id} → {self.partner_id}"
