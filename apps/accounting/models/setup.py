"""The plan of a ledger: accounts, journals and how they number, the company's settings, years and locks."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from apps.accounting.constants import (
    PARTNER_TYPES,
    RESULT_TYPES,
    AccountType,
    CheckLayout,
    Direction,
    JournalType,
    ReferenceModel,
    ReferenceType,
    SeriesKind,
)
from apps.core.declarations import ModelOptions, SearchField
from apps.core.models import (
    ArchivableMixin,
    BaseModel,
    CompanyOwnedMixin,
    Currency,
    CustomFieldsMixin,
)

PART_OF_JOURNAL = "part of a journal, which has the company"


class AccountGroup(CompanyOwnedMixin, BaseModel):
    """A heading of the chart: accounts whose code lies between two prefixes of equal length. Groups of one length
    never overlap; the parent is the longest range around it."""

    erp: ClassVar[ModelOptions] = ModelOptions(company="inherited", search=(SearchField("name", "A"),))

    name = models.CharField(_("name"), max_length=200)
    code_prefix_start = models.CharField(_("from prefix"), max_length=16)
    code_prefix_end = models.CharField(_("to prefix"), max_length=16)

    class Meta:
        verbose_name = _("account group")
        verbose_name_plural = _("account groups")
        ordering = ("company_id", "code_prefix_start", "pk")
        constraints = (
            models.CheckConstraint(
                condition=Q(code_prefix_end__gte=F("code_prefix_start")),
                name="accounting_group_order",
                violation_error_message=_("The last prefix of a group cannot come before the first."),
            ),
            models.CheckConstraint(
                condition=Q(code_prefix_start__regex=r"^[A-Za-z0-9.]+$")
                & Q(code_prefix_end__regex=r"^[A-Za-z0-9.]+$"),
                name="accounting_group_prefix_form",
                violation_error_message=_("A prefix has letters, digits and points only."),
            ),
        )

    def __str__(self) -> str:
        return f"{self.code_prefix_start} {self.name}"


class AccountQuerySet(models.QuerySet["Account"]):
    def active(self) -> AccountQuerySet:
        return self.filter(deprecated=False)

    def of_result(self) -> AccountQuerySet:
        """Income and expenses: those that start at zero each fiscal year."""
        return self.filter(type__in=RESULT_TYPES)


class Account(CompanyOwnedMixin, CustomFieldsMixin, BaseModel):
    """An account of the ledger.

    ``reconcile`` is true for receivables and payables and false off balance. Branches use the accounts of their parents.
    A company has one account of type *current year earnings*. An account with items is never deleted, only deprecated.
    """

    erp: ClassVar[ModelOptions] = ModelOptions(
        company="inherited",
        tracked=("code", "name", "type", "reconcile", "currency", "deprecated"),
        search=(SearchField("code", "A"), SearchField("name", "A")),
        thread=True,
    )

    code = models.CharField(_("code"), max_length=64)
    name = models.CharField(_("name"), max_length=200)
    type = models.CharField(_("type"), max_length=24, choices=AccountType.choices)
    reconcile = models.BooleanField(_("items are matched"), default=False, blank=True)
    currency = models.ForeignKey(
        Currency,
        verbose_name=_("currency"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text=_("Given: every item must be in it."),
    )
    taxes = models.ManyToManyField(
        "accounting.Tax", verbose_name=_("default taxes"), related_name="+", blank=True
    )
    non_trade = models.BooleanField(
        _("not from trade"), default=False, help_text=_("Left out of the aged reports of trade.")
    )
    deprecated = models.BooleanField(_("deprecated"), default=False, help_text=_("Refused on new items."))
    note = models.TextField(_("note"), blank=True)
    template_key = models.CharField(max_length=80, blank=True, editable=False)

    objects = AccountQuerySet.as_manager()

    class Meta:
        verbose_name = _("account")
        verbose_name_plural = _("accounts")
        ordering = ("company_id", "code", "pk")
        constraints = (
            models.UniqueConstraint(
                fields=["company", "code"],
                name="accounting_account_code_once",
                violation_error_message=_("There is an account with this code already."),
            ),
            models.UniqueConstraint(
                fields=["company"],
                condition=Q(type=AccountType.EQUITY_UNAFFECTED),
                name="accounting_account_one_unaffected",
                violation_error_message=_("A company has one account of type “current year earnings” only."),
            ),
            models.CheckConstraint(
                condition=Q(code__regex=r"^[A-Za-z0-9.]+$"),
                name="accounting_account_code_form",
                violation_error_message=_("A code has letters, digits and points only."),
            ),
            models.CheckConstraint(
                condition=Q(type__in=AccountType.values), name="accounting_account_type_known"
            ),
            models.CheckConstraint(
                condition=~Q(type__in=sorted(PARTNER_TYPES)) | Q(reconcile=True),
                name="accounting_account_partner_matched",
                violation_error_message=_("Items of receivables and payables are always matched."),
            ),
            models.CheckConstraint(
                condition=~Q(type=AccountType.OFF_BALANCE) | Q(reconcile=False),
                name="accounting_account_off_unmatched",
                violation_error_message=_("Items off balance are never matched."),
            ),
        )

    def __str__(self) -> str:
        return f"{self.code} {self.name}"

    @property
    def is_result(self) -> bool:
        return self.type in RESULT_TYPES


class JournalQuerySet(models.QuerySet["Journal"]):
    def active(self) -> JournalQuerySet:
        return self.filter(active=True)


class Journal(ArchivableMixin, CompanyOwnedMixin, CustomFieldsMixin, BaseModel):
    """A book of entries of one kind, with its own numbers and its own hash chain.

    Type and company never change once it has entries (trigger), the currency not once entries are posted.
    """

    erp: ClassVar[ModelOptions] = ModelOptions(
        company="inherited",
        tracked=("name", "code", "type", "currency", "default_account", "active"),
        search=(SearchField("name", "A"), SearchField("code", "A")),
        thread=True,
    )

    name = models.CharField(_("name"), max_length=120)
    code = models.CharField(_("short code"), max_length=5)
    type = models.CharField(_("type"), max_length=8, choices=JournalType.choices)
    currency = models.ForeignKey(
        Currency,
        verbose_name=_("currency"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text=_("Empty: the company's."),
    )
    default_account = models.ForeignKey(
        Account,
        verbose_name=_("default account"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text=_("Income, expense, or the bank or cash account itself."),
    )
    suspense_account = models.ForeignKey(
        Account,
        verbose_name=_("suspense account"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    profit_account = models.ForeignKey(
        Account,
        verbose_name=_("cash difference, gain"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    loss_account = models.ForeignKey(
        Account,
        verbose_name=_("cash difference, loss"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    allowed_accounts = models.ManyToManyField(
        Account, verbose_name=_("allowed accounts"), related_name="+", blank=True
    )
    bank_account = models.ForeignKey(
        "contacts.BankAccount",
        verbose_name=_("bank account"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="journals",
    )
    refund_series = models.BooleanField(_("credit notes have their own numbers"), default=False)
    payment_series = models.BooleanField(_("payments have their own numbers"), default=False)
    reference_type = models.CharField(
        _("payment reference"), max_length=8, choices=ReferenceType.choices, default=ReferenceType.INVOICE
    )
    reference_model = models.CharField(
        _("form of the reference"),
        max_length=10,
        choices=ReferenceModel.choices,
        default=ReferenceModel.PLAIN,
    )
    checked_on_post = models.BooleanField(_("entries count as checked"), default=True)
    restricted = models.BooleanField(
        _("entries cannot be reset"),
        default=False,
        help_text=_("Once posted, documents are corrected by credit notes only; cannot be taken back."),
    )
    sequence = models.PositiveIntegerField(_("sequence"), default=10)
    color = models.PositiveSmallIntegerField(_("colour"), default=0)
    on_dashboard = models.BooleanField(_("on the dashboard"), default=True)
    import_mapping = models.JSONField(
        _("how columns of its files are read"), default=dict, blank=True, editable=False
    )
    template_key = models.CharField(max_length=80, blank=True, editable=False)

    objects = JournalQuerySet.as_manager()

    class Meta:
        verbose_name = _("journal")
        verbose_name_plural = _("journals")
        ordering = ("company_id", "sequence", "type", "code", "pk")
        constraints = (
            models.UniqueConstraint(
                fields=["company", "code"],
                name="accounting_journal_code_once",
                violation_error_message=_("There is a journal with this short code already."),
            ),
            models.UniqueConstraint(
                fields=["bank_account"],
                name="accounting_journal_bank_once",
                violation_error_message=_("This bank account has a journal already."),
            ),
            models.CheckConstraint(
                condition=Q(code__regex=r"^[A-Za-z0-9]{1,5}$"),
                name="accounting_journal_code_form",
                violation_error_message=_("A short code has one to five letters and digits."),
            ),
            models.CheckConstraint(
                condition=Q(type__in=JournalType.values), name="accounting_journal_type_known"
            ),
        )

    def __str__(self) -> str:
        return self.name


class LedgerGroup(CompanyOwnedMixin, BaseModel):
    """A second view of the books: a named set of journals that its reports leave out."""

    name = models.CharField(_("name"), max_length=120)
    excluded_journals = models.ManyToManyField(
        Journal, verbose_name=_("journals left out"), related_name="+", blank=True
    )

    class Meta:
        verbose_name = _("ledger group")
        verbose_name_plural = _("ledger groups")
        ordering = ("company_id", "name", "pk")
        constraints = (
            models.UniqueConstraint(
                fields=["company", "name"],
                name="accounting_ledger_group_once",
                violation_error_message=_("There is a ledger group with this name already."),
            ),
        )

    def __str__(self) -> str:
        return self.name


class JournalChain(models.Model):
    """The end of a journal's hash chain. Its row is the last lock of a posting transaction: who holds it gives the
    numbers of the journal; different journals never wait for one another."""

    erp: ClassVar[ModelOptions] = ModelOptions(
        exempt={"company": PART_OF_JOURNAL, "version": "written by postings only"}
    )

    journal = models.OneToOneField(
        Journal, verbose_name=_("journal"), primary_key=True, on_delete=models.CASCADE, related_name="chain"
    )
    length = models.BigIntegerField(_("entries"), default=0)
    last_hash = models.CharField(_("last hash"), max_length=64, blank=True)

    class Meta:
        verbose_name = _("hash chain")
        verbose_name_plural = _("hash chains")
        ordering = ("journal_id",)

    def __str__(self) -> str:
        return f"{self.journal_id}: {self.length}"


class NumberSeries(models.Model):
    """One gapless run of numbers: a journal, what it numbers, and the prefix with its period (``INV/2026/``).

    ``first_number`` is where it starts, ``next_number`` the number to come. Locked under the journal's chain row.
    """

    erp: ClassVar[ModelOptions] = ModelOptions(
        exempt={"company": PART_OF_JOURNAL, "version": "written by postings only"}
    )

    id = models.BigAutoField(primary_key=True)
    journal = models.ForeignKey(
        Journal, verbose_name=_("journal"), on_delete=models.PROTECT, related_name="series"
    )
    kind = models.CharField(_("numbers"), max_length=8, choices=SeriesKind.choices, default=SeriesKind.ENTRY)
    prefix = models.CharField(_("prefix"), max_length=60)
    suffix = models.CharField(_("suffix"), max_length=30, blank=True)
    padding = models.PositiveSmallIntegerField(_("digits"), default=5)
    first_number = models.BigIntegerField(_("first number"), default=1)
    next_number = models.BigIntegerField(_("next number"), default=1)

    class Meta:
        verbose_name = _("number series")
        verbose_name_plural = _("number series")
        ordering = ("journal_id", "kind", "prefix", "suffix", "pk")
        constraints = (
            models.UniqueConstraint(
                fields=["journal", "prefix", "suffix"], name="accounting_series_prefix_once"
            ),
            models.CheckConstraint(
                condition=Q(next_number__gte=F("first_number")), name="accounting_series_forward"
            ),
            models.CheckConstraint(condition=Q(first_number__gte=0), name="accounting_series_positive"),
        )

    def __str__(self) -> str:
        return f"{self.prefix}…{self.suffix}"


class PaymentMethodLine(ArchivableMixin, BaseModel):
    """A way to pay through a journal. With an outstanding account a payment has an entry of its own; without one it
    is a promise that the bank statement fulfils."""

    erp: ClassVar[ModelOptions] = ModelOptions(exempt={"company": PART_OF_JOURNAL})

    journal = models.ForeignKey(
        Journal, verbose_name=_("journal"), on_delete=models.CASCADE, related_name="payment_methods"
    )
    direction = models.CharField(_("direction"), max_length=8, choices=Direction.choices)
    code = models.CharField(
        _("method"), max_length=24, default="manual", help_text=_("manual, check, transfer, …")
    )
    name = models.CharField(_("name"), max_length=80)
    outstanding_account = models.ForeignKey(
        Account,
        verbose_name=_("outstanding account"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    sequence = models.PositiveIntegerField(_("sequence"), default=10)
    next_check_number = models.BigIntegerField(_("next check number"), null=True, blank=True)
    check_layout = models.CharField(
        _("printed checks"), max_length=8, choices=CheckLayout.choices, default=CheckLayout.NONE, blank=True
    )
    check_preprinted = models.BooleanField(
        _("numbers are pre-printed"),
        default=False,
        help_text=_("The paper carries the numbers: the first one is asked for when checks are numbered."),
    )
    check_overflow = models.BooleanField(
        _("further pages for long stubs"),
        default=False,
        help_text=_("A stub names nine documents; more go to pages of their own instead of being left out."),
    )

    class Meta:
        verbose_name = _("payment method")
        verbose_name_plural = _("payment methods")
        ordering = ("journal_id", "direction", "sequence", "pk")
        constraints = (
            models.UniqueConstraint(
                fields=["journal", "direction", "name"],
                name="accounting_method_once",
                violation_error_message=_("This journal has a payment method of that name already."),
            ),
            models.CheckConstraint(
                condition=Q(next_check_number__isnull=True) | Q(next_check_number__gt=0),
                name="accounting_method_check_number",
                violation_error_message=_("Numbers of checks begin with 1."),
            ),
        )

    def __str__(self) -> str:
        return self.name


class Incoterm(ArchivableMixin, BaseModel):
    """A trade term of the International Chamber of Commerce."""

    erp: ClassVar[ModelOptions] = ModelOptions(exempt={"company": "a vocabulary, the same for every company"})

    code = models.CharField(_("code"), max_length=3, unique=True)
    name = models.CharField(_("name"), max_length=80)

    class Meta:
        verbose_name = _("incoterm")
        verbose_name_plural = _("incoterms")
        ordering = ("code",)

    def __str__(self) -> str:
        return self.code
