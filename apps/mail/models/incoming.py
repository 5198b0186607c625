"""The log of incoming mail, and the quarantine: nothing that arrives is ever lost."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.core.declarations import ModelOptions, SearchField
from apps.mail.constants import IncomingState


class IncomingMail(models.Model):
    """One mail that arrived, by the digest of its bytes, and what became of it.

    The digest is unique: the same bytes are dealt with once, whatever the number of mailboxes and workers they come
    through. ``raw`` holds the source of mail in quarantine; a constraint makes sure that none is without.
    """

    erp: ClassVar[ModelOptions] = ModelOptions(
        search=(SearchField("subject", "A"), SearchField("sender", "B"), SearchField("reason", "C")),
        exempt={
            "company": "mail is sorted before it belongs to a company; only mail administrators read the log",
            "version": "kept by the gateway",
        },
    )

    id = models.BigAutoField(primary_key=True)
    digest = models.CharField(_("digest"), max_length=64, unique=True)
    message_id = models.CharField(_("Message-ID"), max_length=998, blank=True, db_index=True)
    received_at = models.DateTimeField(_("received"), default=timezone.now)
    source = models.CharField(_("came through"), max_length=60, blank=True)
    sender = models.CharField(_("from"), max_length=320, blank=True)
    recipients = models.TextField(_("to"), blank=True)
    subject = models.CharField(_("subject"), max_length=500, blank=True)
    size = models.PositiveIntegerField(_("size in bytes"), default=0)
    state = models.CharField(_("state"), max_length=12, choices=IncomingState.choices)
    reason = models.TextField(_("reason"), blank=True)
    target = models.CharField(_("became"), max_length=100, blank=True)
    records = models.JSONField(_("records"), default=list, blank=True)
    created_record = models.BooleanField(_("made a record"), default=False)
    authentication = models.CharField(_("authentication"), max_length=200, blank=True)
    raw = models.BinaryField(_("source"), null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=1)

    class Meta:
        verbose_name = _("incoming mail")
        verbose_name_plural = _("incoming mails")
        ordering = ("-pk",)
        indexes = (
            models.Index(
                fields=["sender", "received_at"], name="mail_incoming_loop", condition=Q(created_record=True)
            ),
            models.Index(fields=["state", "-id"], name="mail_incoming_state"),
            models.Index(fields=["received_at"], name="mail_incoming_age"),
        )
        constraints = (
            models.CheckConstraint(
                condition=~Q(state=IncomingState.QUARANTINED) | Q(raw__isnull=False),
                name="mail_quarantine_keeps_source",
            ),
            models.CheckConstraint(
                condition=Q(state__in=IncomingState.values), name="mail_incoming_state_known"
            ),
        )

    def __str__(self) -> str:
        return self.subject or self.message_id or self.digest[:12]
