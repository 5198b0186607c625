"""Payments, and the bank statements that prove them."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from apps.accounting.constants import Direction, PartnerSide, PaymentStatus
from apps.accounting.models.invoice import Invoice
from apps.accounting.models.ledger import JournalEntry
from apps.accounting.models.setup import Account, Journal, PaymentMethodLine
from apps.core.declarations import ModelOptions, SearchField
from apps.core.models import BaseModel, CompanyOwnedMixin, Currency, CustomFieldsMixin
from apps.core.money import MoneyField, PriceField


class Payment(CompanyOwnedMixin, CustomFieldsMixin, BaseModel):
    """Money received or sent. ``amount`` is positive, in ``currency``.

    It has a journal entry when its method names an outstanding account; otherwise it is a promise until the bank
    statement. ``idempotency_key`` identifies a payment of the outside: the same key is never booked twice.
    """

    erp: ClassVar[ModelOptions] = ModelOptions(
        tracked=("state", "amount", "date", "partner", "memo"),
        search=(SearchField("number", "A"), SearchField("memo", "B"), SearchField("reference", "B")),
        thread=True,
        company_links=("journal", "partner", "counterpart_account"),
        exempt={
            "index:currency": "never searched for alone",
            "company:paired_payment": "made with its pair",
            "index:method_line": "found through the journal",
            "index:counterpart_account": "found through items",
        },
    )

    direction = models.CharField(_("direction"), max_length=8, choices=Direction.choices)
    partner_side = models.CharField(
        _("with a"), max_length=8, choices=PartnerSide.choices, default=PartnerSide.CUSTOMER
    )
    partner = models.ForeignKey(
        "contacts.Partner",
        verbose_name=_("partner"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="payments",
    )
    amount = MoneyField(_("amount"))
    currency = models.ForeignKey(
        Currency, verbose_name=_("currency"), on_delete=models.PROTECT, related_name="+", db_index=False
    )
    date = models.DateField(_("date"))
    journal = models.ForeignKey(
        Journal, verbose_name=_("journal"), on_delete=models.PROTECT, related_name="payments"
    )
    method_line = models.ForeignKey(
        PaymentMethodLine,
        verbose_name=_("method"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
    )
    counterpart_account = models.ForeignKey(
        Account,
        verbose_name=_("receivable, payable or transfer account"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
    )
    bank_account = models.ForeignKey(
        "contacts.BankAccount",
        verbose_name=_("bank account of the recipient"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    state = models.CharField(
        _("state"),
        max_length=10,
        choices=PaymentStatus.choices,
        default=PaymentStatus.DRAFT,
        editable=False,
    )
    number = models.CharField(_("number"), max_length=100, blank=True, editable=False)
    memo = models.CharField(_("memo"), max_length=200, blank=True)
    reference = models.CharField(_("payment reference"), max_length=140, blank=True)
    check_number = models.BigIntegerField(_("check number"), null=True, blank=True)
    invoices = models.ManyToManyField(
        Invoice, verbose_name=_("documents"), related_name="payments", blank=True
    )
    journal_entry = models.ForeignKey(
        JournalEntry,
        verbose_name=_("journal entry"),
        null=True,
        blank=True,
        editable=False,
        on_delete=models.PROTECT,
        related_name="+",
    )
    paired_payment = models.OneToOneField(
        "self",
        verbose_name=_("other half of the transfer"),
        null=True,
        blank=True,
        editable=False,
        on_delete=models.PROTECT,
        related_name="+",
    )
    idempotency_key = models.CharField(_("key of the outside"), max_length=120, blank=True)

    class Meta:
        verbose_name = _("payment")
        verbose_name_plural = _("payments")
        ordering = ("-date", "-pk")
        constraints = (
            models.CheckConstraint(
                condition=Q(amount__gte=0),
                name="accounting_payment_not_negative",
                violation_error_message=_("The amount of a payment is not negative; change its direction."),
            ),
            models.UniqueConstraint(
                fields=["company", "idempotency_key"],
                condition=~Q(idempotency_key=""),
                name="accounting_payment_key_once",
                violation_error_message=_("This payment was booked already."),
            ),
            models.UniqueConstraint(
                fields=["journal", "check_number"],
                condition=Q(check_number__isnull=False) & ~Q(state=PaymentStatus.DRAFT),
                name="accounting_payment_check_once",
                violation_error_message=_("This check number was used already."),
            ),
            models.CheckConstraint(
                condition=Q(check_number__isnull=True) | Q(check_number__gt=0),
                name="accounting_payment_check_number",
                violation_error_message=_("Numbers of checks begin with 1."),
            ),
            models.CheckConstraint(
                condition=Q(state__in=PaymentStatus.values), name="accounting_payment_state_known"
            ),
        )
        indexes = (models.Index(fields=["company", "-date", "-id"], name="accounting_payment_list"),)

    def __str__(self) -> str:
        return self.number or f"{_('Payment')} {self.pk}"


class BankStatement(CompanyOwnedMixin, BaseModel):
    """A statement of a bank or cash journal: opening, lines, closing. It is *complete* when opening and lines make the
    closing, and *valid* when it begins where the previous one ended; neither blocks work."""

    erp: ClassVar[ModelOptions] = ModelOptions(thread=True, search=(SearchField("name", "A"),))

    journal = models.ForeignKey(
        Journal, verbose_name=_("journal"), on_delete=models.PROTECT, related_name="statements"
    )
    name = models.CharField(_("reference"), max_length=120)
    date = models.DateField(_("date"))
    balance_start = MoneyField(_("opening balance"), default=0)
    balance_end = MoneyField(_("closing balance"), default=0)
    source_format = models.CharField(_("read from"), max_length=20, blank=True, editable=False)

    class Meta:
        verbose_name = _("bank statement")
        verbose_name_plural = _("bank statements")
        ordering = ("-date", "-pk")
        indexes = (models.Index(fields=["journal", "date"], name="accounting_statement_date"),)

    def __str__(self) -> str:
        return self.name


class StatementLine(CompanyOwnedMixin, BaseModel):
    """One movement of the bank or cash. ``amount`` is signed, in the journal's currency, and never zero. Its entry books it
    against the suspense account until it is reconciled. ``unique_id`` is the bank's: a file read twice adds nothing."""

    erp: ClassVar[ModelOptions] = ModelOptions(
        search=(SearchField("label", "A"), SearchField("partner_name", "B")),
        company_links=("journal", "partner", "statement"),
        exempt={"company:entry": "made with the line, in its company"},
    )

    statement = models.ForeignKey(
        BankStatement,
        verbose_name=_("statement"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="lines",
    )
    journal = models.ForeignKey(
        Journal,
        verbose_name=_("journal"),
        on_delete=models.PROTECT,
        related_name="statement_lines",
        db_index=False,
    )
    date = models.DateField(_("date"))
    sequence = models.PositiveIntegerField(_("sequence"), default=1)
    label = models.CharField(_("label"), max_length=1000, blank=True)
    amount = MoneyField(_("amount"))
    foreign_currency = models.ForeignKey(
        Currency,
        verbose_name=_("foreign currency"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    foreign_amount = MoneyField(_("amount in foreign currency"), null=True, blank=True)
    partner = models.ForeignKey(
        "contacts.Partner",
        verbose_name=_("partner"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="statement_lines",
    )
    partner_name = models.CharField(_("name at the bank"), max_length=200, blank=True)
    account_number = models.CharField(_("account number"), max_length=64, blank=True)
    transaction_type = models.CharField(_("kind of transaction"), max_length=60, blank=True)
    reference = models.CharField(_("reference"), max_length=200, blank=True)
    unique_id = models.CharField(_("id at the bank"), max_length=200, blank=True, editable=False)
    details = models.JSONField(_("details"), default=dict, blank=True, editable=False)
    entry = models.ForeignKey(
        JournalEntry,
        verbose_name=_("journal entry"),
        null=True,
        blank=True,
        editable=False,
        on_delete=models.PROTECT,
        related_name="statement_lines",
    )
    reconciled = models.BooleanField(_("reconciled"), default=False, editable=False)

    class Meta:
        verbose_name = _("statement line")
        verbose_name_plural = _("statement lines")
        ordering = ("-date", "sequence", "-pk")
        constraints = (
            models.CheckConstraint(
                condition=~Q(amount=0),
                name="accounting_statement_line_amount",
                violation_error_message=_("A movement has an amount."),
            ),
            models.CheckConstraint(
                condition=Q(foreign_currency__isnull=True, foreign_amount__isnull=True)
                | Q(foreign_currency__isnull=False, foreign_amount__gt=0, amount__gt=0)
                | Q(foreign_currency__isnull=False, foreign_amount__lt=0, amount__lt=0),
                name="accounting_statement_line_foreign",
                violation_error_message=_("Give the foreign currency and its amount, with the same sign."),
            ),
            models.UniqueConstraint(
                fields=["journal", "unique_id"],
                condition=~Q(unique_id=""),
                name="accounting_statement_line_once",
                violation_error_message=_("This movement was imported already."),
            ),
        )
        indexes = (
            models.Index(fields=["journal", "-date", "sequence", "-id"], name="accounting_stline_order"),
            models.Index(
                fields=["journal", "date"],
                condition=Q(reconciled=False),
                name="accounting_stline_open",
            ),
        )

    def __str__(self) -> str:
        return self.label[:80] or str(self.pk)


class ReconcileRule(CompanyOwnedMixin, BaseModel):
    """What to propose for statement lines of a kind: a write-off on an account, or which open items to look for."""

    erp: ClassVar[ModelOptions] = ModelOptions(company_links=("account", "partner"))

    class Kind(models.TextChoices):
        BUTTON = "button", _("Button")
        SUGGESTION = "suggestion", _("Suggestion")
        MATCHING = "matching", _("Finds open items")

    class LabelTest(models.TextChoices):
        NONE = "", _("any")
        CONTAINS = "contains", _("contains")
        NOT_CONTAINS = "not_contains", _("does not contain")
        REGEX = "regex", _("matches the pattern")

    class Nature(models.TextChoices):
        BOTH = "both", _("received and sent")
        RECEIVED = "received", _("received")
        SENT = "sent", _("sent")

    class AmountType(models.TextChoices):
        PERCENT = "percent", _("percent of the rest")
        FIXED = "fixed", _("fixed amount")

    name = models.CharField(_("name"), max_length=120)
    sequence = models.PositiveIntegerField(_("sequence"), default=10)
    kind = models.CharField(_("kind"), max_length=12, choices=Kind.choices, default=Kind.SUGGESTION)
    journals = models.ManyToManyField(Journal, verbose_name=_("journals"), related_name="+", blank=True)
    nature = models.CharField(_("money"), max_length=8, choices=Nature.choices, default=Nature.BOTH)
    amount_min = MoneyField(_("from amount"), null=True, blank=True)
    amount_max = MoneyField(_("to amount"), null=True, blank=True)
    label_test = models.CharField(
        _("label"), max_length=12, choices=LabelTest.choices, default=LabelTest.NONE, blank=True
    )
    label_text = models.CharField(_("text or pattern"), max_length=200, blank=True)
    partner = models.ForeignKey(
        "contacts.Partner",
        verbose_name=_("partner"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    same_currency = models.BooleanField(_("same currency only"), default=True)
    tolerance_percent = models.DecimalField(_("tolerance %"), max_digits=6, decimal_places=3, default=0)
    look_back_months = models.PositiveSmallIntegerField(_("months to look back"), default=18)
    account = models.ForeignKey(
        Account, verbose_name=_("account"), null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    line_label = models.CharField(_("label of the entry"), max_length=200, blank=True)
    amount_type = models.CharField(
        _("amount"), max_length=8, choices=AmountType.choices, default=AmountType.PERCENT
    )
    amount_value = PriceField(_("value"), default=100)
    auto_validate = models.BooleanField(_("without asking"), default=False)

    class Meta:
        verbose_name = _("reconciliation rule")
        verbose_name_plural = _("reconciliation rules")
        ordering = ("company_id", "sequence", "pk")
        constraints = (
            models.UniqueConstraint(
                fields=["company", "name"],
                name="accounting_rule_name_once",
                violation_error_message=_("There is a rule with this name already."),
            ),
        )

    def __str__(self) -> str:
        return self.name
