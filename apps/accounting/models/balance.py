"""Materialised balances: what posted items of a month add up to, written by triggers."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.accounting.models.setup import Account
from apps.core.declarations import ModelOptions
from apps.core.models import Currency
from apps.core.money import MoneyField


class Balance(models.Model):
    """What balances of every kind hold: sums of a month on an account in a currency."""

    id = models.BigAutoField(primary_key=True)
    company = models.ForeignKey(
        "access.Company",
        verbose_name=_("company"),
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
    )
    account = models.ForeignKey(
        Account, verbose_name=_("account"), on_delete=models.PROTECT, related_name="+", db_index=False
    )
    month = models.DateField(_("month"), help_text=_("Its first day."))
    currency = models.ForeignKey(
        Currency, verbose_name=_("currency"), on_delete=models.PROTECT, related_name="+", db_index=False
    )
    debit = MoneyField(_("debit"))
    credit = MoneyField(_("credit"))
    amount_currency = MoneyField(_("amount in currency"))
    items = models.BigIntegerField(_("items"))

    class Meta:
        abstract = True


class PeriodBalance(Balance):
    """What the posted items of a month add up to on an account in a currency. Postings only add rows, so that none
    waits for another; a job folds them. A figure is always the sum of its rows."""

    erp: ClassVar[ModelOptions] = ModelOptions(
        company="owned",
        company_links=(),
        exempt={
            "version": "written by triggers only",
            "index:company": "rows are found by account",
            "index:currency": "never searched for alone",
        },
    )

    class Meta:
        verbose_name = _("period balance")
        verbose_name_plural = _("period balances")
        ordering = ("account_id", "month", "pk")
        indexes = (
            # Holds the sums: reports go from account to account and never visit the table.
            models.Index(
                fields=["account", "company", "month"],
                name="accounting_balance_account",
                include=["debit", "credit"],
            ),
        )

    def __str__(self) -> str:
        return f"{self.account_id} {self.month:%Y-%m}"


class PartnerBalance(Balance):
    """Like ``PeriodBalance`` for receivables and payables, by partner."""

    erp: ClassVar[ModelOptions] = ModelOptions(
        company="owned",
        company_links=(),
        exempt={
            "version": "written by triggers only",
            "index:company": "rows are found by partner",
            "index:account": "rows are found by partner",
            "index:currency": "never searched for alone",
        },
    )

    partner = models.ForeignKey(
        "contacts.Partner",
        verbose_name=_("partner"),
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
    )

    class Meta:
        verbose_name = _("partner balance")
        verbose_name_plural = _("partner balances")
        ordering = ("partner_id", "account_id", "month", "pk")
        indexes = (
            models.Index(
                fields=["partner", "account", "company", "month"], name="accounting_partner_balance"
            ),
        )

    def __str__(self) -> str:
        return f"{self.partner_id} {self.month:%Y-%m}"
