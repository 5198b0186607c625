"""What is known about the addresses of the world: bounces, complaints, and who is written to no more."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.core.declarations import ModelOptions


class AddressHealth(models.Model):
    """Bounces of one normalised address in a row. A mail from it sets the counter back to zero."""

    erp: ClassVar[ModelOptions] = ModelOptions(
        exempt={"company": "an address is the same for every company", "version": "kept by the gateway"}
    )

    id = models.BigAutoField(primary_key=True)
    address = models.CharField(_("address"), max_length=320, unique=True)
    bounces = models.PositiveIntegerField(_("bounces in a row"), default=0)
    last_bounce_at = models.DateTimeField(_("last bounce"), null=True, blank=True)
    last_reason = models.TextField(_("last reason"), blank=True)
    blocked = models.BooleanField(_("not written to"), default=False)
    blocked_reason = models.CharField(_("why"), max_length=200, blank=True)
    allow_many = models.BooleanField(
        _("may send many"),
        default=False,
        help_text=_("The guard against mail loops leaves this sender alone."),
    )

    class Meta:
        verbose_name = _("mail address")
        verbose_name_plural = _("mail addresses")
        ordering = ("address",)

    def __str__(self) -> str:
        return self.address
