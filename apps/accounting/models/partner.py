"""How a company deals with one of its partners."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from apps.accounting.models.setup import Account
from apps.accounting.models.tax import FiscalPosition, PaymentTerm
from apps.core.declarations import ModelOptions
from apps.core.models import BaseModel, CompanyOwnedMixin
from apps.core.money import MoneyField


class PartnerTerms(CompanyOwnedMixin, BaseModel):
    """What a company has agreed with a partner: accounts, payment terms, fiscal position, credit.

    At most one row a partner and company; nothing said means the company's settings. Those of the commercial entity serve
    its people and addresses, except the fiscal position, which an address may have for itself.
    """

    erp: ClassVar[ModelOptions] = ModelOptions(
        company="inherited",
        tracked=("receivable_account", "payable_account", "sale_term", "fiscal_position", "credit_limit"),
        exempt={
            "index:receivable_account": "accounts are deleted only while a chart is made",
            "index:payable_account": "accounts are deleted only while a chart is made",
        },
    )

    partner = models.ForeignKey(
        "contacts.Partner",
        verbose_name=_("partner"),
        on_delete=models.CASCADE,
        related_name="accounting_terms",
        db_index=False,  # the unique constraint begins with it
    )
    receivable_account = models.ForeignKey(
        Account,
        verbose_name=_("receivable"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
    )
    payable_account = models.ForeignKey(
        Account,
        verbose_name=_("payable"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
    )
    sale_term = models.ForeignKey(
        PaymentTerm,
        verbose_name=_("terms for the customer"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    purchase_term = models.ForeignKey(
        PaymentTerm,
        verbose_name=_("terms of the vendor"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    fiscal_position = models.ForeignKey(
        FiscalPosition,
        verbose_name=_("fiscal position"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    credit_limit = MoneyField(
        _("credit limit"), null=True, blank=True, help_text=_("Empty: that of the company.")
    )

    class Meta:
        verbose_name = _("accounting terms of a partner")
        verbose_name_plural = _("accounting terms of partners")
        ordering = ("company_id", "partner_id", "pk")
        constraints = (
            models.UniqueConstraint(
                fields=["partner", "company"],
                name="accounting_partner_terms_once",
                violation_error_message=_("This partner has terms with the company already."),
            ),
            models.CheckConstraint(
                condition=Q(credit_limit__isnull=True) | Q(credit_limit__gte=0),
                name="accounting_partner_terms_limit",
                violation_error_message=_("A credit limit cannot be negative."),
            ),
        )

    def __str__(self) -> str:
        return f"{self.company_id}: {self.partner_id}"
