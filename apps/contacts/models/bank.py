"""Bank accounts of partners."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.contacts.constants import AccountKind
from apps.contacts.models.partner import Partner
from apps.core.declarations import ModelOptions
from apps.core.models import ArchivableMixin, BaseModel, CompanySharedMixin, Currency


class BankAccount(ArchivableMixin, CompanySharedMixin, BaseModel):
    """An account number of a partner. ``sanitized`` is the number as letters and digits only, in capitals.

    ``trusted`` says that somebody with the right to do so has made sure that money may be sent there; it falls
    whenever the number changes (trigger).
    """

    erp: ClassVar[ModelOptions] = ModelOptions(tracked=("number", "trusted", "holder", "active"))

    partner = models.ForeignKey(
        Partner, verbose_name=_("contact"), on_delete=models.CASCADE, related_name="bank_accounts"
    )
    number = models.CharField(_("account number"), max_length=64)
    sanitized = models.CharField(max_length=64, editable=False)
    kind = models.CharField(
        _("kind"), max_length=5, choices=AccountKind.choices, default=AccountKind.BANK, editable=False
    )
    holder = models.CharField(_("account holder"), max_length=120, blank=True)
    bank_name = models.CharField(_("bank"), max_length=120, blank=True)
    bic = models.CharField(_("BIC"), max_length=11, blank=True)
    currency = models.ForeignKey(
        Currency,
        verbose_name=_("currency"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    sequence = models.PositiveIntegerField(_("sequence"), default=10)
    trusted = models.BooleanField(_("money may be sent"), default=False, editable=False)
    trusted_at = models.DateTimeField(_("trusted on"), null=True, blank=True, editable=False)
    trusted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        editable=False,
        on_delete=models.SET_NULL,
        related_name="+",
    )

    class Meta:
        verbose_name = _("bank account")
        verbose_name_plural = _("bank accounts")
        ordering = ("partner_id", "sequence", "pk")
        constraints = (
            models.UniqueConstraint(
                fields=["partner", "sanitized"],
                name="contacts_account_once",
                violation_error_message=_("This contact has this account already."),
            ),
            models.CheckConstraint(
                condition=models.Q(sanitized__regex=r"^[A-Z0-9]{2,64}$"),
                name="contacts_account_sanitized",
                violation_error_message=_("An account number has letters and digits."),
            ),
        )
        indexes = (models.Index(fields=["sanitized"], name="contacts_account_number"),)

    def __str__(self) -> str:
        return self.number
