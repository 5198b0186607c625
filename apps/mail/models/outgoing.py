"""The queue of outgoing mail: one row a recipient, visible until it is delivered or given up."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.chatter.constants import FailureType
from apps.chatter.models import Attachment, Message, Notification
from apps.contacts.models import Partner
from apps.core.declarations import ModelOptions, SearchField
from apps.core.models import BaseModel
from apps.mail.constants import OutgoingState


class OutgoingMail(BaseModel):
    """One mail to one person.

    Before the server is spoken to the row is committed as *sending*; a crash in between leaves it there and it is
    reported, never sent twice. A notification has at most one mail.
    """

    erp: ClassVar[ModelOptions] = ModelOptions(
        search=(SearchField("subject", "A"), SearchField("to_address", "A")),
        exempt={
            "company": "seen with the message that it carries; the queue itself is for mail administrators"
        },
    )

    message = models.ForeignKey(
        Message,
        verbose_name=_("message"),
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="mails",
    )
    notification = models.OneToOneField(
        Notification,
        verbose_name=_("notification"),
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="mail",
    )
    partner = models.ForeignKey(
        Partner,
        verbose_name=_("recipient"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    to_address = models.CharField(_("to"), max_length=500)
    from_address = models.CharField(_("from"), max_length=500)
    reply_to = models.CharField(_("answers go to"), max_length=500, blank=True)
    return_path = models.CharField(_("return path"), max_length=320, blank=True)
    subject = models.CharField(_("subject"), max_length=500, blank=True)
    body_html = models.TextField(_("text"), blank=True)
    body_text = models.TextField(_("plain text"), blank=True)
    rfc_id = models.CharField(_("Message-ID"), max_length=998)
    headers = models.JSONField(_("headers"), default=dict, blank=True)
    attachments = models.ManyToManyField(Attachment, verbose_name=_("files"), blank=True, related_name="+")
    state = models.CharField(
        _("state"),
        max_length=10,
        choices=OutgoingState.choices,
        default=OutgoingState.OUTGOING,
        editable=False,
    )
    scheduled_at = models.DateTimeField(_("not before"), default=timezone.now)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0, editable=False)
    claimed_at = models.DateTimeField(_("being sent since"), null=True, blank=True, editable=False)
    sent_at = models.DateTimeField(_("sent on"), null=True, blank=True, editable=False)
    failure_type = models.CharField(
        _("failure"), max_length=20, choices=FailureType.choices, blank=True, default="", editable=False
    )
    failure_reason = models.TextField(_("reason"), blank=True, editable=False)

    class Meta:
        verbose_name = _("outgoing mail")
        verbose_name_plural = _("outgoing mails")
        ordering = ("-pk",)
        indexes = (
            models.Index(
                fields=["scheduled_at", "id"],
                name="mail_outgoing_due",
                condition=Q(state=OutgoingState.OUTGOING),
            ),
            models.Index(
                fields=["claimed_at"], name="mail_outgoing_stuck", condition=Q(state=OutgoingState.SENDING)
            ),
            models.Index(fields=["rfc_id"], name="mail_outgoing_rfc_id"),
        )
        constraints = (
            models.CheckConstraint(
                condition=Q(state__in=OutgoingState.values), name="mail_outgoing_state_known"
            ),
            models.CheckConstraint(
                condition=~Q(state=OutgoingState.SENT) | Q(sent_at__isnull=False),
                name="mail_outgoing_sent_has_date",
            ),
        )

    def __str__(self) -> str:
        return f"{self.subject} → {self.to_address}"
