"""How one company keeps its books: settings, fiscal years, and exceptions from its lock dates."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateRangeField, RangeBoundary, RangeOperators
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from apps.accounting.constants import LockKind, PriceInclusion, TaxRounding
from apps.accounting.models.setup import Account, Journal
from apps.core.declarations import ModelOptions
from apps.core.models import BaseModel, CompanyOwnedMixin, Country
from apps.core.money import MoneyField


def _account_link(title: Any) -> models.ForeignKey[Account | None, Account | None]:
    return models.ForeignKey(
        Account, verbose_name=title, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )


class AccountingSettings(BaseModel):
    """How one company keeps its books: its chart, default taxes and accounts, its fiscal year and its lock dates.

    Lock dates are inclusive. The hard one only moves forward (trigger); a branch also obeys those of its parents.
    """

    erp: ClassVar[ModelOptions] = ModelOptions(
        company="owned",
        tracked=(
            "fiscal_lock_date",
            "tax_lock_date",
            "sale_lock_date",
            "purchase_lock_date",
            "hard_lock_date",
            "tax_rounding",
            "cash_basis",
        ),
        thread=True,
    )

    company = models.OneToOneField(
        "access.Company", verbose_name=_("company"), on_delete=models.PROTECT, related_name="accounting"
    )
    chart = models.CharField(_("chart of accounts"), max_length=40, blank=True, editable=False)
    chart_version = models.CharField(max_length=20, blank=True, editable=False)
    fiscal_country = models.ForeignKey(
        Country,
        verbose_name=_("fiscal country"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    fiscal_year_last_month = models.PositiveSmallIntegerField(_("last month of the fiscal year"), default=12)
    fiscal_year_last_day = models.PositiveSmallIntegerField(_("last day of the fiscal year"), default=31)
    code_digits = models.PositiveSmallIntegerField(_("digits of account codes"), default=6)
    bank_prefix = models.CharField(_("prefix of bank accounts"), max_length=16, blank=True)
    cash_prefix = models.CharField(_("prefix of cash accounts"), max_length=16, blank=True)
    transfer_prefix = models.CharField(_("prefix of transfer accounts"), max_length=16, blank=True)

    sale_tax = models.ForeignKey(
        "accounting.Tax",
        verbose_name=_("default tax on sales"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    purchase_tax = models.ForeignKey(
        "accounting.Tax",
        verbose_name=_("default tax on purchases"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    price_inclusion = models.CharField(
        _("prices with tax"),
        max_length=8,
        choices=[c for c in PriceInclusion.choices if c[0] != PriceInclusion.DEFAULT],
        default=PriceInclusion.EXCLUDED,
    )
    tax_rounding = models.CharField(
        _("rounding of taxes"), max_length=5, choices=TaxRounding.choices, default=TaxRounding.LINE
    )
    cash_basis = models.BooleanField(_("taxes on payment"), default=False)

    receivable_account = _account_link(_("receivable"))
    payable_account = _account_link(_("payable"))
    income_account = _account_link(_("income"))
    expense_account = _account_link(_("expense"))
    suspense_account = _account_link(_("bank suspense"))
    outstanding_receipts_account = _account_link(_("outstanding receipts"))
    outstanding_payments_account = _account_link(_("outstanding payments"))
    transfer_account = _account_link(_("internal transfers"))
    exchange_gain_account = _account_link(_("exchange gains"))
    exchange_loss_account = _account_link(_("exchange losses"))
    discount_gain_account = _account_link(_("early payment discounts taken"))
    discount_loss_account = _account_link(_("early payment discounts given"))
    cash_basis_base_account = _account_link(_("base of cash basis taxes"))
    exchange_journal = models.ForeignKey(
        Journal,
        verbose_name=_("journal of exchange differences"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    cash_basis_journal = models.ForeignKey(
        Journal,
        verbose_name=_("journal of cash basis taxes"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    opening_entry = models.ForeignKey(
        "accounting.JournalEntry",
        verbose_name=_("opening entry"),
        null=True,
        blank=True,
        editable=False,
        on_delete=models.PROTECT,
        related_name="+",
    )

    invoice_terms = models.TextField(_("terms on invoices"), blank=True)
    credit_limit = MoneyField(_("credit limit of customers"), null=True, blank=True)
    block_over_limit = models.BooleanField(_("block over the credit limit"), default=False)
    require_trusted_bank = models.BooleanField(_("bills need a trusted bank account"), default=False)
    quick_totals = models.BooleanField(_("enter bills by their total"), default=False)
    mirror_invoices = models.BooleanField(
        _("mirror invoices between companies"),
        default=True,
        help_text=_("Posting an invoice to a sister company makes a draft bill there."),
    )

    fiscal_lock_date = models.DateField(_("lock everything up to"), null=True, blank=True, editable=False)
    tax_lock_date = models.DateField(_("lock tax returns up to"), null=True, blank=True, editable=False)
    sale_lock_date = models.DateField(_("lock sales up to"), null=True, blank=True, editable=False)
    purchase_lock_date = models.DateField(_("lock purchases up to"), null=True, blank=True, editable=False)
    hard_lock_date = models.DateField(_("lock for ever up to"), null=True, blank=True, editable=False)
    lock_notes = models.JSONField(
        _("who locked, and why"),
        default=dict,
        blank=True,
        editable=False,
        help_text=_("By kind of lock: user, name, moment and reason."),
    )

    class Meta:
        verbose_name = _("accounting settings")
        verbose_name_plural = _("accounting settings")
        ordering = ("company_id",)
        constraints = (
            models.CheckConstraint(
                condition=Q(fiscal_year_last_month__range=(1, 12)) & Q(fiscal_year_last_day__range=(1, 31)),
                name="accounting_settings_year_end",
            ),
        )

    def __str__(self) -> str:
        return str(_("Accounting settings"))


class FiscalYear(CompanyOwnedMixin, BaseModel):
    """A fiscal year that differs from the usual one. Years of a company never overlap."""

    name = models.CharField(_("name"), max_length=60)
    date_from = models.DateField(_("from"))
    date_to = models.DateField(_("to"))
    closed_at = models.DateTimeField(_("closed on"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("fiscal year")
        verbose_name_plural = _("fiscal years")
        ordering = ("company_id", "date_from", "pk")
        constraints = (
            models.CheckConstraint(
                condition=Q(date_from__lt=F("date_to")),
                name="accounting_year_order",
                violation_error_message=_("A fiscal year cannot end before it begins."),
            ),
            ExclusionConstraint(
                name="accounting_year_no_overlap",
                expressions=[
                    ("company", RangeOperators.EQUAL),
                    (
                        models.Func(
                            "date_from",
                            "date_to",
                            RangeBoundary(inclusive_upper=True),
                            function="daterange",
                            output_field=DateRangeField(),
                        ),
                        RangeOperators.OVERLAPS,
                    ),
                ],
                violation_error_message=_("Fiscal years of a company cannot overlap."),
            ),
        )

    def __str__(self) -> str:
        return self.name


class LockException(CompanyOwnedMixin, BaseModel):
    """Leave to post into a locked period for one user or everybody, until a moment. Never for the hard lock.

    ``lock_date`` is the lock that counts instead; empty means none. Rows are kept; revoking ends one early.
    """

    erp: ClassVar[ModelOptions] = ModelOptions(tracked=("revoked_at",))

    kind = models.CharField(
        _("lock"), max_length=8, choices=[c for c in LockKind.choices if c[0] != LockKind.HARD]
    )
    lock_date = models.DateField(_("lock instead"), null=True, blank=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("user"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text=_("Empty: everybody."),
    )
    until = models.DateTimeField(_("until"))
    reason = models.CharField(_("reason"), max_length=200)
    revoked_at = models.DateTimeField(_("revoked on"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("lock exception")
        verbose_name_plural = _("lock exceptions")
        ordering = ("company_id", "-until", "pk")
        constraints = (
            models.CheckConstraint(
                condition=~Q(kind=LockKind.HARD),
                name="accounting_lock_hard_has_none",
                violation_error_message=_("There are no exceptions from the hard lock."),
            ),
            models.CheckConstraint(
                condition=Q(reason__regex=r"\S"),
                name="accounting_lock_exception_reason",
                violation_error_message=_("Give the reason for the exception."),
            ),
        )

    def __str__(self) -> str:
        return f"{self.get_kind_display()} – {self.until:%Y-%m-%d %H:%M}"
