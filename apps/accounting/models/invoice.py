"""Invoices, bills, credit notes and receipts: what was agreed with a customer or vendor, before and beside the ledger."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from apps.accounting.constants import (
    AutoPost,
    EntryState,
    InvoiceType,
    LineKind,
    PaymentState,
    TaxRounding,
)
from apps.accounting.models.ledger import JournalEntry
from apps.accounting.models.setup import Account, Incoterm, Journal, NumberSeries
from apps.accounting.models.tax import CashRounding, FiscalPosition, PaymentTerm, Tax
from apps.core.declarations import ModelOptions, SearchField
from apps.core.models import BaseModel, CompanyOwnedMixin, Currency, CustomFieldsMixin
from apps.core.money import MoneyField, PercentField, PriceField, QuantityField, RateField

OF_AN_INVOICE = "part of an invoice, which has it"


class InvoiceQuerySet(models.QuerySet["Invoice"]):
    def posted(self) -> InvoiceQuerySet:
        return self.filter(state=EntryState.POSTED)

    def open(self) -> InvoiceQuerySet:
        return self.posted().exclude(residual_amount=0)


class Invoice(CompanyOwnedMixin, CustomFieldsMixin, BaseModel):
    """A commercial document. Amounts are in its currency and positive; a credit note's too.

    The totals and the tax summary are computed once from the lines and stored; every view shows the stored ones. Posting
    makes ``journal_entry``; a posted document is changed only by resetting it (a reversing entry) or by a credit note. ``number``
    is given at the first posting and kept through a reset. ``rate`` is units of the document's currency for one of the
    company's. ``date`` is the invoice date, ``accounting_date`` the ledger's.
    """

    erp: ClassVar[ModelOptions] = ModelOptions(
        tracked=(
            "state",
            "payment_state",
            "partner",
            "date",
            "due_date",
            "currency",
            "total_amount",
            "reference",
            "number",
        ),
        search=(
            SearchField("number", "A"),
            SearchField("reference", "B"),
            SearchField("payment_reference", "B"),
            SearchField("origin", "C"),
        ),
        secret=("access_token",),
        thread=True,
        company_links=(
            "journal",
            "partner",
            "shipping_partner",
            "fiscal_position",
            "payment_term",
            "cash_rounding",
        ),
        exempt={"index:currency": "never searched for alone", "index:series": "found by number"},
    )

    type = models.CharField(_("type"), max_length=20, choices=InvoiceType.choices)
    state = models.CharField(
        _("state"), max_length=9, choices=EntryState.choices, default=EntryState.DRAFT, editable=False
    )
    payment_state = models.CharField(
        _("payment"),
        max_length=10,
        choices=PaymentState.choices,
        default=PaymentState.NOT_PAID,
        editable=False,
    )
    journal = models.ForeignKey(
        Journal, verbose_name=_("journal"), on_delete=models.PROTECT, related_name="invoices"
    )
    number = models.CharField(_("number"), max_length=100, blank=True, editable=False)
    series = models.ForeignKey(
        NumberSeries,
        verbose_name=_("series"),
        null=True,
        blank=True,
        editable=False,
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
    )
    series_number = models.BigIntegerField(_("number in the series"), null=True, blank=True, editable=False)
    wanted_number = models.CharField(
        _("first number"),
        max_length=100,
        blank=True,
        help_text=_(
            "Only for the first document of a series: its number, which the following ones continue."
        ),
    )

    partner = models.ForeignKey(
        "contacts.Partner",
        verbose_name=_("partner"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="invoices",
    )
    commercial_partner = models.ForeignKey(
        "contacts.Partner",
        verbose_name=_("commercial entity"),
        null=True,
        blank=True,
        editable=False,
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,  # the portal's index begins with it
    )
    shipping_partner = models.ForeignKey(
        "contacts.Partner",
        verbose_name=_("delivery to"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    partner_snapshot = models.JSONField(_("address at posting"), default=dict, blank=True, editable=False)
    bank_account = models.ForeignKey(
        "contacts.BankAccount",
        verbose_name=_("bank account of the recipient"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )

    date = models.DateField(_("invoice date"), null=True, blank=True)
    accounting_date = models.DateField(_("accounting date"), null=True, blank=True)
    due_date = models.DateField(_("due date"), null=True, blank=True)
    delivery_date = models.DateField(_("delivery date"), null=True, blank=True)
    tax_point_date = models.DateField(_("taxable supply date"), null=True, blank=True)
    payment_term = models.ForeignKey(
        PaymentTerm,
        verbose_name=_("payment terms"),
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
    cash_rounding = models.ForeignKey(
        CashRounding,
        verbose_name=_("cash rounding"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    incoterm = models.ForeignKey(
        Incoterm,
        verbose_name=_("incoterm"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    incoterm_place = models.CharField(_("place of the incoterm"), max_length=120, blank=True)

    currency = models.ForeignKey(
        Currency, verbose_name=_("currency"), on_delete=models.PROTECT, related_name="+", db_index=False
    )
    rate = RateField(_("exchange rate"), default=1)
    rate_is_manual = models.BooleanField(_("rate entered by hand"), default=False)
    tax_rounding = models.CharField(
        _("rounding of taxes"),
        max_length=5,
        choices=TaxRounding.choices,
        default=TaxRounding.LINE,
        editable=False,
    )
    untaxed_amount = MoneyField(_("untaxed"), default=0, editable=False)
    tax_amount = MoneyField(_("tax"), default=0, editable=False)
    rounding_amount = MoneyField(_("cash rounding"), default=0, editable=False)
    total_amount = MoneyField(_("total"), default=0, editable=False)
    residual_amount = MoneyField(_("to pay"), default=0, editable=False)
    untaxed_company = MoneyField(
        _("untaxed, company currency"),
        default=0,
        editable=False,
        help_text=_("Signed: negative for credit notes to customers and for bills."),
    )
    total_company = MoneyField(_("total, company currency"), default=0, editable=False)
    residual_company = MoneyField(_("to pay, company currency"), default=0, editable=False)
    tax_totals = models.JSONField(
        _("tax summary"),
        default=dict,
        blank=True,
        editable=False,
        help_text=_("Rows by tax and by group, as the document shows and the ledger books them."),
    )
    instalments = models.JSONField(_("due parts"), default=list, blank=True, editable=False)
    manual_taxes = models.JSONField(
        _("taxes entered by hand"),
        default=dict,
        blank=True,
        help_text=_("Bills: amount by tax group, as the vendor printed it."),
    )
    expected_total = MoneyField(
        _("expected total"), null=True, blank=True, help_text=_("Posting is refused if the total differs.")
    )

    reference = models.CharField(
        _("reference"),
        max_length=200,
        blank=True,
        help_text=_("The vendor's number, or the customer's order."),
    )
    payment_reference = models.CharField(_("payment reference"), max_length=140, blank=True)
    origin = models.CharField(_("source document"), max_length=200, blank=True)
    narration = models.TextField(_("terms and note"), blank=True)
    salesperson = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("salesperson"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )

    journal_entry = models.ForeignKey(
        JournalEntry,
        verbose_name=_("journal entry"),
        null=True,
        blank=True,
        editable=False,
        on_delete=models.PROTECT,
        related_name="+",
        help_text=_("The one in force; earlier ones and their reversals name the document too."),
    )
    reversed_invoice = models.ForeignKey(
        "self",
        verbose_name=_("credit note of"),
        null=True,
        blank=True,
        editable=False,
        on_delete=models.PROTECT,
        related_name="credit_notes",
    )
    debited_invoice = models.ForeignKey(
        "self",
        verbose_name=_("debit note of"),
        null=True,
        blank=True,
        editable=False,
        on_delete=models.PROTECT,
        related_name="debit_notes",
    )
    mirrored_invoice = models.ForeignKey(
        "self",
        verbose_name=_("mirror of"),
        null=True,
        blank=True,
        editable=False,
        on_delete=models.PROTECT,
        related_name="mirrors",
    )

    auto_post = models.CharField(
        _("post by itself"), max_length=9, choices=AutoPost.choices, default=AutoPost.NO
    )
    auto_post_until = models.DateField(_("repeat until"), null=True, blank=True)
    auto_post_origin = models.ForeignKey(
        "self",
        verbose_name=_("repeats"),
        null=True,
        blank=True,
        editable=False,
        on_delete=models.PROTECT,
        related_name="repetitions",
    )
    auto_post_day = models.PositiveSmallIntegerField(
        _("day of the month to keep"), null=True, blank=True, editable=False
    )

    checked = models.BooleanField(_("checked"), default=False)
    posted_before = models.BooleanField(default=False, editable=False)
    sent_at = models.DateTimeField(_("sent on"), null=True, blank=True, editable=False)
    access_token = models.UUIDField(null=True, blank=True, unique=True, editable=False)

    objects = InvoiceQuerySet.as_manager()

    class Meta:
        verbose_name = _("invoice")
        verbose_name_plural = _("invoices")
        ordering = ("-date", "-pk")
        constraints = (
            models.UniqueConstraint(
                fields=["journal", "number"],
                condition=~Q(number=""),
                name="accounting_invoice_number_once",
                violation_error_message=_("This journal has a document with that number already."),
            ),
            models.CheckConstraint(
                condition=~Q(state=EntryState.POSTED)
                | (
                    ~Q(number="")
                    & Q(
                        journal_entry__isnull=False,
                        date__isnull=False,
                        accounting_date__isnull=False,
                        partner__isnull=False,
                        commercial_partner__isnull=False,
                    )
                ),
                name="accounting_invoice_posted_complete",
            ),
            models.CheckConstraint(
                condition=Q(total_amount=F("untaxed_amount") + F("tax_amount") + F("rounding_amount")),
                name="accounting_invoice_total_adds_up",
            ),
            models.CheckConstraint(
                condition=~Q(state=EntryState.POSTED) | Q(total_amount__gte=0),
                name="accounting_invoice_not_negative",
                violation_error_message=_("A document with a negative total is a credit note."),
            ),
            models.CheckConstraint(
                condition=Q(type__in=InvoiceType.values), name="accounting_invoice_type_known"
            ),
            models.CheckConstraint(
                condition=Q(state__in=EntryState.values), name="accounting_invoice_state_known"
            ),
            models.CheckConstraint(
                condition=Q(rate__gt=0),
                name="accounting_invoice_rate_positive",
                violation_error_message=_("An exchange rate is more than nothing."),
            ),
        )
        indexes = (
            models.Index(fields=["company", "-date", "-id"], name="accounting_invoice_list"),
            models.Index(fields=["company", "type", "-date", "-id"], name="accounting_invoice_type"),
            models.Index(fields=["commercial_partner", "-date", "-id"], name="accounting_invoice_partner"),
            models.Index(
                fields=["company", "due_date"],
                name="accounting_invoice_due",
                condition=Q(state=EntryState.POSTED) & ~Q(residual_amount=0),
            ),
            models.Index(
                fields=["auto_post", "date"],
                name="accounting_invoice_auto",
                condition=Q(state=EntryState.DRAFT) & ~Q(auto_post=AutoPost.NO),
            ),
            # The dashboard counts drafts by journal: half a second without it among 200,000 documents.
            models.Index(
                fields=["journal"],
                name="accounting_invoice_drafts",
                condition=Q(state=EntryState.DRAFT),
            ),
        )

    def __str__(self) -> str:
        return self.number or f"{_('Draft')} {self.pk}"


class InvoiceLine(models.Model):
    """A line: something sold or bought, a section heading or a note. ``unit_price`` is as entered, with or without tax as
    its taxes say; ``subtotal`` is without tax, ``total`` with it."""

    erp: ClassVar[ModelOptions] = ModelOptions(
        exempt={"company": OF_AN_INVOICE, "version": OF_AN_INVOICE, "index:account": "found through items"},
    )

    id = models.BigAutoField(primary_key=True)
    invoice = models.ForeignKey(
        Invoice, verbose_name=_("invoice"), on_delete=models.CASCADE, related_name="lines", db_index=False
    )
    sequence = models.PositiveIntegerField(_("sequence"), default=10)
    kind = models.CharField(_("kind"), max_length=8, choices=LineKind.choices, default=LineKind.PRODUCT)
    description = models.TextField(_("description"), blank=True)
    product_code = models.CharField(_("product code"), max_length=80, blank=True)
    unit = models.CharField(_("unit"), max_length=24, blank=True)
    quantity = QuantityField(_("quantity"), default=1)
    unit_price = PriceField(_("unit price"), default=0)
    discount = PercentField(_("discount %"), default=0)
    account = models.ForeignKey(
        Account,
        verbose_name=_("account"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
    )
    taxes = models.ManyToManyField(Tax, verbose_name=_("taxes"), related_name="+", blank=True)
    subtotal = MoneyField(_("subtotal"), default=0, editable=False)
    total = MoneyField(_("total"), default=0, editable=False)

    class Meta:
        verbose_name = _("invoice line")
        verbose_name_plural = _("invoice lines")
        ordering = ("invoice_id", "sequence", "pk")
        constraints = (
            models.CheckConstraint(
                condition=Q(kind=LineKind.PRODUCT)
                | Q(quantity=0, unit_price=0, subtotal=0, total=0, account__isnull=True),
                name="accounting_line_heading_is_text",
                violation_error_message=_("Sections and notes have no amounts and no account."),
            ),
            models.CheckConstraint(
                condition=Q(discount__lte=100),
                name="accounting_line_discount_max",
                violation_error_message=_("A discount is at most 100 percent."),
            ),
            models.CheckConstraint(condition=Q(kind__in=LineKind.values), name="accounting_line_kind_known"),
        )
        indexes = (models.Index(fields=["invoice", "sequence"], name="accounting_line_invoice"),)

    def __str__(self) -> str:
        return self.description[:80] or str(self.pk)
