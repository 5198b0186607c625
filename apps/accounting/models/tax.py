"""Taxes as documents use them: rates, how they split over accounts and boxes of the return, and who they apply to."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from apps.accounting.constants import Exigibility, PriceInclusion, TaxAmountType, TaxScope, TaxUse
from apps.accounting.models.setup import Account
from apps.core.declarations import ModelOptions, SearchField
from apps.core.models import ArchivableMixin, BaseModel, CompanyOwnedMixin, Country, CountryState
from apps.core.money import PercentField, PriceField

PART_OF_TAX = "part of a tax, which has the company"
PART_OF_POSITION = "part of a fiscal position, which has the company"


class TaxTag(BaseModel):
    """A box of a country's tax return with the sign by which an amount enters it (``+03``, ``-03``)."""

    erp: ClassVar[ModelOptions] = ModelOptions(exempt={"company": "a vocabulary of a country"})

    country = models.ForeignKey(
        Country, verbose_name=_("country"), on_delete=models.PROTECT, related_name="tax_tags"
    )
    grid = models.CharField(_("box"), max_length=40)
    sign = models.SmallIntegerField(_("sign"), default=1)
    name = models.CharField(_("name"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("box of the tax return")
        verbose_name_plural = _("boxes of the tax return")
        ordering = ("country_id", "grid", "-sign", "pk")
        constraints = (
            models.UniqueConstraint(fields=["country", "grid", "sign"], name="accounting_tag_once"),
            models.CheckConstraint(condition=Q(sign__in=(-1, 1)), name="accounting_tag_sign"),
        )

    def __str__(self) -> str:
        return f"{'+' if self.sign > 0 else '-'}{self.grid}"


class TaxGroup(CompanyOwnedMixin, BaseModel):
    """Taxes that a document sums up in one row, and the accounts that the tax return settles them through."""

    erp: ClassVar[ModelOptions] = ModelOptions(company="inherited")

    name = models.CharField(_("name"), max_length=120)
    sequence = models.PositiveIntegerField(_("sequence"), default=10)
    country = models.ForeignKey(
        Country, verbose_name=_("country"), null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    payable_account = models.ForeignKey(
        Account,
        verbose_name=_("tax payable"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    receivable_account = models.ForeignKey(
        Account,
        verbose_name=_("tax receivable"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    advance_account = models.ForeignKey(
        Account,
        verbose_name=_("advance payments"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    template_key = models.CharField(max_length=80, blank=True, editable=False)

    class Meta:
        verbose_name = _("tax group")
        verbose_name_plural = _("tax groups")
        ordering = ("company_id", "sequence", "name", "pk")

    def __str__(self) -> str:
        return self.name


class TaxQuerySet(models.QuerySet["Tax"]):
    def active(self) -> TaxQuerySet:
        return self.filter(active=True)


class Tax(ArchivableMixin, CompanyOwnedMixin, BaseModel):
    """A tax. ``amount`` is a percentage, an amount a unit, or nothing for a group.

    Once posted items carry it, kind, amount and repartition are fixed (trigger); a new rate is a new tax.
    """

    erp: ClassVar[ModelOptions] = ModelOptions(
        company="inherited",
        tracked=("name", "amount", "amount_type", "price_inclusion", "active"),
        search=(SearchField("name", "A"), SearchField("label", "B")),
    )

    name = models.CharField(_("name"), max_length=120)
    label = models.CharField(_("on invoices"), max_length=120, blank=True)
    use = models.CharField(_("used for"), max_length=8, choices=TaxUse.choices, default=TaxUse.SALE)
    scope = models.CharField(_("applies to"), max_length=8, choices=TaxScope.choices, default=TaxScope.ANY)
    amount_type = models.CharField(
        _("computed as"), max_length=8, choices=TaxAmountType.choices, default=TaxAmountType.PERCENT
    )
    amount = PercentField(_("amount"), default=0)
    price_inclusion = models.CharField(
        _("price"), max_length=8, choices=PriceInclusion.choices, default=PriceInclusion.DEFAULT
    )
    include_base_amount = models.BooleanField(_("raises the base of later taxes"), default=False)
    is_base_affected = models.BooleanField(_("base raised by earlier taxes"), default=True)
    exigibility = models.CharField(
        _("due"), max_length=8, choices=Exigibility.choices, default=Exigibility.INVOICE
    )
    transition_account = models.ForeignKey(
        Account,
        verbose_name=_("transition account"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    group = models.ForeignKey(
        TaxGroup, verbose_name=_("group"), on_delete=models.PROTECT, related_name="taxes"
    )
    country = models.ForeignKey(
        Country, verbose_name=_("country"), null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    category = models.CharField(
        _("category of EN 16931"), max_length=2, blank=True, help_text=_("S, Z, E, AE, K, G, O, L or M.")
    )
    exemption_code = models.CharField(_("exemption reason code"), max_length=40, blank=True)
    legal_note = models.TextField(_("legal note"), blank=True)
    sequence = models.PositiveIntegerField(_("sequence"), default=10)
    children = models.ManyToManyField(
        "self", verbose_name=_("taxes of the group"), symmetrical=False, related_name="parents", blank=True
    )
    template_key = models.CharField(max_length=80, blank=True, editable=False)

    objects = TaxQuerySet.as_manager()

    class Meta:
        verbose_name = _("tax")
        verbose_name_plural = _("taxes")
        ordering = ("company_id", "use", "sequence", "name", "pk")
        constraints = (
            models.UniqueConstraint(
                fields=["name", "company", "use", "scope", "country"],
                name="accounting_tax_once",
                nulls_distinct=False,
                violation_error_message=_("There is a tax of this name, use and country already."),
            ),
            models.CheckConstraint(
                condition=Q(exigibility=Exigibility.INVOICE) | Q(transition_account__isnull=False),
                name="accounting_tax_transition",
                violation_error_message=_("A tax due with the payment needs a transition account."),
            ),
            models.CheckConstraint(
                condition=Q(category__in=("", "S", "Z", "E", "AE", "K", "G", "O", "L", "M", "B")),
                name="accounting_tax_category_known",
            ),
            models.CheckConstraint(
                # An included tax may be all of the price: an invoice of the customs for import tax has no base.
                condition=~Q(amount_type=TaxAmountType.DIVISION)
                | Q(amount__lt=100)
                | Q(amount=100, price_inclusion=PriceInclusion.INCLUDED),
                name="accounting_tax_division_range",
                violation_error_message=_("A tax on top of the price cannot be all of it."),
            ),
        )

    def __str__(self) -> str:
        return self.name


class TaxRepartition(models.Model):
    """How a tax splits: its base, and shares of its amount with their accounts and boxes, for invoices and for credit
    notes. Positive shares sum to 100 %, negative ones to -100 % or nothing. No account: that of the line."""

    erp: ClassVar[ModelOptions] = ModelOptions(
        exempt={
            "company": PART_OF_TAX,
            "version": "written with its tax",
            "index:account": "accounts are deleted only while a chart is made",
        }
    )

    class Document(models.TextChoices):
        INVOICE = "invoice", _("Invoices")
        REFUND = "refund", _("Credit notes")

    class Kind(models.TextChoices):
        BASE = "base", _("Base")
        TAX = "tax", _("Tax")

    id = models.BigAutoField(primary_key=True)
    tax = models.ForeignKey(Tax, verbose_name=_("tax"), on_delete=models.CASCADE, related_name="repartition")
    document = models.CharField(_("on"), max_length=8, choices=Document.choices)
    kind = models.CharField(_("of"), max_length=4, choices=Kind.choices)
    percent = PercentField(_("share"), default=100)
    account = models.ForeignKey(
        Account,
        verbose_name=_("account"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
    )
    tags = models.ManyToManyField(TaxTag, verbose_name=_("boxes"), related_name="+", blank=True)
    in_closing = models.BooleanField(_("settled by the tax return"), default=False)
    sequence = models.PositiveSmallIntegerField(_("sequence"), default=1)

    class Meta:
        verbose_name = _("share of a tax")
        verbose_name_plural = _("shares of taxes")
        ordering = ("tax_id", "document", "kind", "sequence", "pk")
        constraints = (
            models.UniqueConstraint(
                fields=["tax", "document"],
                condition=Q(kind="base"),
                name="accounting_repartition_one_base",
                violation_error_message=_("A tax has one base line for invoices and one for credit notes."),
            ),
        )

    def __str__(self) -> str:
        return f"{self.get_document_display()} {self.get_kind_display()} {self.percent.normalize():f} %"


class FiscalPosition(ArchivableMixin, CompanyOwnedMixin, BaseModel):
    """How taxes and accounts change for some customers and vendors, and when it applies by itself."""

    erp: ClassVar[ModelOptions] = ModelOptions(company="inherited", search=(SearchField("name", "A"),))

    name = models.CharField(_("name"), max_length=120)
    sequence = models.PositiveIntegerField(_("sequence"), default=10)
    auto_apply = models.BooleanField(_("applies by itself"), default=False)
    vat_required = models.BooleanField(_("partner has a tax id"), default=False)
    country = models.ForeignKey(
        Country, verbose_name=_("country"), null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    country_group = models.CharField(
        _("group of countries"), max_length=8, blank=True, help_text=_("EU: the European Union.")
    )
    states = models.ManyToManyField(CountryState, verbose_name=_("states"), related_name="+", blank=True)
    zip_from = models.CharField(_("postal codes from"), max_length=24, blank=True)
    zip_to = models.CharField(_("to"), max_length=24, blank=True)
    foreign_tax_id = models.CharField(_("our tax id there"), max_length=40, blank=True)
    note = models.TextField(_("legal note"), blank=True)
    template_key = models.CharField(max_length=80, blank=True, editable=False)

    class Meta:
        verbose_name = _("fiscal position")
        verbose_name_plural = _("fiscal positions")
        ordering = ("company_id", "sequence", "name", "pk")
        constraints = (
            models.UniqueConstraint(
                fields=["company", "name"],
                name="accounting_position_once",
                violation_error_message=_("There is a fiscal position with this name already."),
            ),
        )

    def __str__(self) -> str:
        return self.name


class FiscalPositionTax(models.Model):
    """One tax that a fiscal position replaces, by another or by none."""

    erp: ClassVar[ModelOptions] = ModelOptions(
        exempt={"company": PART_OF_POSITION, "version": "written with its position"}
    )

    id = models.BigAutoField(primary_key=True)
    position = models.ForeignKey(
        FiscalPosition, verbose_name=_("position"), on_delete=models.CASCADE, related_name="tax_map"
    )
    source = models.ForeignKey(Tax, verbose_name=_("instead of"), on_delete=models.CASCADE, related_name="+")
    target = models.ForeignKey(
        Tax, verbose_name=_("this tax"), null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )

    class Meta:
        verbose_name = _("replaced tax")
        verbose_name_plural = _("replaced taxes")
        ordering = ("position_id", "pk")
        constraints = (
            models.UniqueConstraint(
                fields=["position", "source", "target"],
                name="accounting_position_tax_once",
                nulls_distinct=False,
            ),
        )

    def __str__(self) -> str:
        return f"{self.source_id} → {self.target_id or '–'}"


class FiscalPositionAccount(models.Model):
    """One account that a fiscal position replaces by another."""

    erp: ClassVar[ModelOptions] = ModelOptions(
        exempt={"company": PART_OF_POSITION, "version": "written with its position"}
    )

    id = models.BigAutoField(primary_key=True)
    position = models.ForeignKey(
        FiscalPosition, verbose_name=_("position"), on_delete=models.CASCADE, related_name="account_map"
    )
    source = models.ForeignKey(
        Account, verbose_name=_("instead of"), on_delete=models.CASCADE, related_name="+"
    )
    target = models.ForeignKey(
        Account, verbose_name=_("this account"), on_delete=models.CASCADE, related_name="+"
    )

    class Meta:
        verbose_name = _("replaced account")
        verbose_name_plural = _("replaced accounts")
        ordering = ("position_id", "pk")
        constraints = (
            models.UniqueConstraint(fields=["position", "source"], name="accounting_position_account_once"),
        )

    def __str__(self) -> str:
        return f"{self.source_id} → {self.target_id}"


class PaymentTerm(ArchivableMixin, CompanyOwnedMixin, BaseModel):
    """When an invoice is due, in one or more parts, and what paying early saves."""

    erp: ClassVar[ModelOptions] = ModelOptions(company="inherited", search=(SearchField("name", "A"),))

    class DiscountMode(models.TextChoices):
        INCLUDED = "included", _("Tax falls with the discount when paid")
        EXCLUDED = "excluded", _("Tax stays as it is")
        MIXED = "mixed", _("Tax is computed on the discounted base at once")

    name = models.CharField(_("name"), max_length=120)
    note = models.TextField(_("text on the invoice"), blank=True)
    sequence = models.PositiveIntegerField(_("sequence"), default=10)
    early_discount = models.BooleanField(_("early payment discount"), default=False)
    discount_percent = PercentField(_("discount"), default=0)
    discount_days = models.PositiveSmallIntegerField(_("within days"), default=0)
    discount_mode = models.CharField(
        _("tax"), max_length=8, choices=DiscountMode.choices, default=DiscountMode.INCLUDED
    )

    class Meta:
        verbose_name = _("payment terms")
        verbose_name_plural = _("payment terms")
        ordering = ("company_id", "sequence", "name", "pk")
        constraints = (
            models.CheckConstraint(
                condition=Q(early_discount=False) | Q(discount_percent__gt=0, discount_days__gt=0),
                name="accounting_term_discount",
                violation_error_message=_("An early payment discount needs a percentage and days."),
            ),
            models.CheckConstraint(
                condition=Q(discount_percent__gte=0, discount_percent__lt=100),
                name="accounting_term_discount_range",
                violation_error_message=_("A discount lies between 0 and 100 percent."),
            ),
        )

    def __str__(self) -> str:
        return self.name


class PaymentTermLine(models.Model):
    """One part of payment terms: a share or an amount, and when it is due. The last part takes the rest."""

    erp: ClassVar[ModelOptions] = ModelOptions(
        exempt={
            "company": "part of payment terms, which have the company",
            "version": "written with its terms",
        }
    )

    class Value(models.TextChoices):
        PERCENT = "percent", _("Percent")
        FIXED = "fixed", _("Amount")

    class Delay(models.TextChoices):
        DAYS_AFTER = "days_after", _("Days after the invoice")
        END_OF_MONTH = "end_of_month", _("Days after the end of the month")
        END_OF_NEXT_MONTH = "end_of_next_month", _("Days after the end of the next month")
        END_OF_MONTH_ON = "end_of_month_on", _("Days end of month, on the")

    id = models.BigAutoField(primary_key=True)
    term = models.ForeignKey(
        PaymentTerm, verbose_name=_("terms"), on_delete=models.CASCADE, related_name="lines"
    )
    value = models.CharField(_("as"), max_length=8, choices=Value.choices, default=Value.PERCENT)
    amount = PriceField(_("value"), default=100)
    days = models.PositiveSmallIntegerField(_("days"), default=0)
    delay = models.CharField(_("counted"), max_length=20, choices=Delay.choices, default=Delay.DAYS_AFTER)
    day = models.PositiveSmallIntegerField(_("day of the month"), default=0, help_text=_("0: the last day."))
    sequence = models.PositiveSmallIntegerField(_("sequence"), default=10)

    class Meta:
        verbose_name = _("part of payment terms")
        verbose_name_plural = _("parts of payment terms")
        ordering = ("term_id", "sequence", "pk")
        constraints = (
            models.CheckConstraint(
                condition=~Q(value="percent") | Q(amount__range=(0, 100)),
                name="accounting_term_line_percent",
                violation_error_message=_("A share lies between 0 and 100 percent."),
            ),
            models.CheckConstraint(condition=Q(day__lte=31), name="accounting_term_line_day"),
        )

    def __str__(self) -> str:
        return f"{self.amount.normalize():f} {self.get_value_display()}"


class CashRounding(ArchivableMixin, CompanyOwnedMixin, BaseModel):
    """How totals paid in cash are rounded to the smallest coin."""

    erp: ClassVar[ModelOptions] = ModelOptions(company="inherited")

    class Method(models.TextChoices):
        UP = "up", _("Up")
        DOWN = "down", _("Down")
        HALF_UP = "half_up", _("To the nearest")

    class Strategy(models.TextChoices):
        ADD_LINE = "add_line", _("Add a rounding line")
        BIGGEST_TAX = "biggest_tax", _("Change the biggest tax")

    name = models.CharField(_("name"), max_length=80)
    rounding = PriceField(_("smallest coin"))
    method = models.CharField(_("method"), max_length=8, choices=Method.choices, default=Method.HALF_UP)
    strategy = models.CharField(_("by"), max_length=12, choices=Strategy.choices, default=Strategy.ADD_LINE)
    profit_account = models.ForeignKey(
        Account, verbose_name=_("gains"), null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    loss_account = models.ForeignKey(
        Account, verbose_name=_("losses"), null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )

    class Meta:
        verbose_name = _("cash rounding")
        verbose_name_plural = _("cash roundings")
        ordering = ("company_id", "name", "pk")
        constraints = (
            models.CheckConstraint(
                condition=Q(rounding__gt=0),
                name="accounting_cash_rounding_positive",
                violation_error_message=_("The smallest coin must be more than nothing."),
            ),
            models.CheckConstraint(
                condition=~Q(strategy="add_line")
                | Q(profit_account__isnull=False, loss_account__isnull=False),
                name="accounting_cash_rounding_accounts",
                violation_error_message=_("A rounding line needs accounts for gains and losses."),
            ),
        )

    def __str__(self) -> str:
        return self.name
