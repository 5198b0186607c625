"""The audit trail: who did what to accounts, rights and data, from where.

Rows are only ever inserted: triggers refuse ``UPDATE``, ``DELETE`` and ``TRUNCATE``. A job seals them in batches;
each seal holds a SHA-256 over its rows and the seal before, so that rows altered by somebody who can switch
triggers off are found (``manage.py verify_audit``).
"""

from __future__ import annotations

from typing import ClassVar

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.access.constants import AuditKind
from apps.core.declarations import ModelOptions

TRAIL = ModelOptions(
    exempt={
        "company": "the trail covers the whole installation and is read by administrators",
        "version": "append-only",
    }
)


class AuditEntry(models.Model):
    """One fact. Users are named by primary key without a foreign key: the trail outlives them."""

    erp: ClassVar[ModelOptions] = TRAIL

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField(_("when"), default=timezone.now)
    kind = models.CharField(_("kind"), max_length=20, choices=AuditKind.choices)
    user_pk = models.BigIntegerField(_("user number"), null=True)
    user_name = models.CharField(_("who"), max_length=150, blank=True)
    ip = models.CharField(_("from"), max_length=45, blank=True)
    channel = models.CharField(_("through"), max_length=20, blank=True)
    request_id = models.CharField(_("request"), max_length=64, blank=True)
    company_pk = models.BigIntegerField(_("company number"), null=True)
    model = models.CharField(_("kind of record"), max_length=120, blank=True)
    object_pk = models.BigIntegerField(_("record number"), null=True)
    object_name = models.CharField(_("record"), max_length=200, blank=True)
    before = models.JSONField(_("before"), null=True, encoder=DjangoJSONEncoder)
    after = models.JSONField(_("after"), null=True, encoder=DjangoJSONEncoder)
    reason = models.CharField(_("reason"), max_length=300, blank=True)

    class Meta:
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit trail")
        ordering = ("-pk",)
        indexes = (
            models.Index(fields=["kind", "-at"], name="access_audit_kind"),
            models.Index(fields=["user_pk", "-at"], name="access_audit_user"),
            models.Index(fields=["model", "object_pk"], name="access_audit_object"),
            models.Index(fields=["at"], name="access_audit_at"),
        )

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.kind} {self.user_name}"


class AuditSeal(models.Model):
    """Digest of the entries ``first_pk … last_pk``, chained to the seal before."""

    erp: ClassVar[ModelOptions] = TRAIL

    id = models.BigAutoField(primary_key=True)
    first_pk = models.BigIntegerField()
    last_pk = models.BigIntegerField()
    count = models.PositiveIntegerField()
    digest = models.CharField(max_length=64)
    sealed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = _("seal of the audit trail")
        verbose_name_plural = _("seals of the audit trail")
        ordering = ("pk",)
        constraints = (
            models.CheckConstraint(
                condition=models.Q(last_pk__gte=models.F("first_pk")), name="access_seal_in_order"
            ),
            models.UniqueConstraint(fields=["first_pk"], name="access_seal_once"),
        )

    def __str__(self) -> str:
        return f"{self.first_pk}–{self.last_pk}"
