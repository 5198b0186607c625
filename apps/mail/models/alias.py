"""Addresses that people write to, and what becomes of their mail."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _

from apps.core.declarations import ModelOptions, SearchField
from apps.core.models import ArchivableMixin, BaseModel, CompanySharedMixin
from apps.mail.constants import AliasStatus, Policy

LOCAL_PART = r"^[a-z0-9][a-z0-9._+-]*$"


class AliasDomain(ArchivableMixin, CompanySharedMixin, BaseModel):
    """A domain whose mail reaches us, with the local parts that the gateway keeps for itself.

    ``bounce`` takes delivery reports, ``catchall`` takes answers to records without an address of their own,
    ``notifications`` is the sender of what the system writes. No alias may use the first two.
    """

    erp: ClassVar[ModelOptions] = ModelOptions(tracked=("name", "bounce", "catchall", "notifications"))

    name = models.CharField(_("domain"), max_length=253)
    bounce = models.CharField(_("bounce address"), max_length=64, default="bounce")
    catchall = models.CharField(_("catch-all address"), max_length=64, default="catchall")
    notifications = models.CharField(_("sender address"), max_length=64, default="notifications")
    sequence = models.PositiveIntegerField(_("sequence"), default=10)

    class Meta:
        verbose_name = _("mail domain")
        verbose_name_plural = _("mail domains")
        ordering = ("sequence", "pk")
        constraints = (
            models.UniqueConstraint(
                Lower("name"),
                name="mail_domain_name_once",
                violation_error_message=_("There is a mail domain of this name already."),
            ),
            models.CheckConstraint(
                condition=Q(name__regex=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"),
                name="mail_domain_name_form",
                violation_error_message=_("Write the domain in lower-case ASCII, such as example.com."),
            ),
            models.CheckConstraint(
                condition=Q(bounce__regex=LOCAL_PART)
                & Q(catchall__regex=LOCAL_PART)
                & Q(notifications__regex=LOCAL_PART)
                & ~Q(bounce=models.F("catchall")),
                name="mail_domain_local_parts",
                violation_error_message=_(
                    "Local parts are lower-case ASCII, and bounce differs from catch-all."
                ),
            ),
        )

    def __str__(self) -> str:
        return self.name

    @property
    def bounce_address(self) -> str:
        return f"{self.bounce}@{self.name}"

    @property
    def catchall_address(self) -> str:
        return f"{self.catchall}@{self.name}"

    @property
    def notifications_address(self) -> str:
        return f"{self.notifications}@{self.name}"


class Alias(ArchivableMixin, CompanySharedMixin, BaseModel):
    """One address: mail to it becomes a record of ``target``, or a message on the record ``forced_pk``.

    ``owner_model`` and ``owner_pk`` name the record the address belongs to (the project of a task address): its
    followers are whom the policy *followers* admits, and its company is that of new records.
    """

    erp: ClassVar[ModelOptions] = ModelOptions(
        tracked=("local_part", "domain", "policy", "target", "active"),
        search=(SearchField("local_part", "A"),),
        exempt={"generic": "owner is any record that an app gives an address"},
    )

    local_part = models.CharField(_("local part"), max_length=64)
    domain = models.ForeignKey(
        AliasDomain, verbose_name=_("domain"), on_delete=models.PROTECT, related_name="aliases"
    )
    target = models.CharField(
        _("becomes"), max_length=100, help_text=_("Kind of record, such as projects.task.")
    )
    defaults = models.JSONField(_("default values"), default=dict, blank=True)
    forced_pk = models.BigIntegerField(_("always on record"), null=True, blank=True)
    owner_model = models.CharField(_("kind of owner"), max_length=100, blank=True)
    owner_pk = models.BigIntegerField(_("owner"), null=True, blank=True)
    policy = models.CharField(
        _("who may write"), max_length=10, choices=Policy.choices, default=Policy.EVERYONE
    )
    incoming_local = models.BooleanField(
        _("any domain"), default=False, help_text=_("Match the local part whatever the domain.")
    )
    bounce_text = models.TextField(_("text of refusals"), blank=True)
    status = models.CharField(
        _("status"),
        max_length=10,
        choices=AliasStatus.choices,
        default=AliasStatus.NOT_TESTED,
        editable=False,
    )
    status_reason = models.TextField(_("what is wrong"), blank=True, editable=False)

    class Meta:
        verbose_name = _("e-mail alias")
        verbose_name_plural = _("e-mail aliases")
        ordering = ("local_part", "pk")
        indexes = (models.Index(fields=["owner_model", "owner_pk"], name="mail_alias_owner"),)
        constraints = (
            models.UniqueConstraint(
                fields=["local_part", "domain"],
                name="mail_alias_address_once",
                violation_error_message=_("This address is taken."),
            ),
            models.CheckConstraint(
                condition=Q(local_part__regex=LOCAL_PART),
                name="mail_alias_local_part_form",
                violation_error_message=_("Use lower-case letters, digits, dot, plus, minus and underscore."),
            ),
            models.CheckConstraint(
                condition=Q(owner_model="", owner_pk__isnull=True)
                | (~Q(owner_model="") & Q(owner_pk__isnull=False)),
                name="mail_alias_owner_whole",
            ),
        )

    def __str__(self) -> str:
        return self.address

    @property
    def address(self) -> str:
        return f"{self.local_part}@{self.domain.name}"
