"""Taxes with their shares and a live example, fiscal positions, payment terms with their text, cash rounding, partner terms."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy

from apps.accounting.models import (
    CashRounding,
    FiscalPosition,
    FiscalPositionAccount,
    FiscalPositionTax,
    PartnerTerms,
    PaymentTerm,
    PaymentTermLine,
    Tax,
    TaxGroup,
    TaxRepartition,
    TaxTag,
)
from apps.accounting.screens.money import AMOUNT, column
from apps.backoffice.base import NestedInline, RecordAdmin, backoffice


class RepartitionInline(NestedInline):
    """How the tax splits, for invoices and for credit notes."""

    model = TaxRepartition
    nested = "repartition"
    fields = ("document", "kind", "percent", "account", "tags", "in_closing", "sequence")
    verbose_name_plural = gettext_lazy("how it splits")


class PreviewedForm:
    """Mixin of admins whose form shows an example that the server works out from what stands in the form."""

    preview_url = ""
    preview_title: Any = ""
    change_form_template = "accounting/previewed_form.html"

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Any:
        record = kwargs.get("obj") or context.get("original")
        may_type = (
            self.has_change_permission(request, record)  # type: ignore[attr-defined]
            if record is not None
            else self.has_add_permission(request)  # type: ignore[attr-defined]
        )
        # Who only reads has no fields to work anything out from.
        context["preview_url"] = reverse(self.preview_url) if may_type else ""
        context["preview_title"] = self.preview_title
        return super().render_change_form(request, context, *args, **kwargs)  # type: ignore[misc]


@backoffice(Tax)
class TaxAdmin(PreviewedForm, RecordAdmin):
    list_display = ("name", "use", "scope", "amount_type", "rate", "group", "country", "category")
    list_filter = ("use", "scope", "amount_type", "group", "country", "price_inclusion", "exigibility")
    list_optional = ("label", "sequence", "company", "price_inclusion")
    list_per_page = 100
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("name", "label"),
                    ("use", "scope"),
                    ("amount_type", "amount"),
                    ("group", "price_inclusion"),
                )
            },
        ),
        (
            gettext_lazy("Computation"),
            {
                "classes": ["tab"],
                "fields": (
                    ("include_base_amount", "is_base_affected"),
                    ("exigibility", "transition_account"),
                    ("sequence", "country"),
                    "children",
                ),
            },
        ),
        (
            gettext_lazy("Documents"),
            {
                "classes": ["tab"],
                "fields": (("category", "exemption_code"), "legal_note", ("company", "active")),
            },
        ),
    )
    inlines = (RepartitionInline,)
    select_fields = ("group",)
    preview_url = "admin:accounting_tax_preview"
    preview_title = gettext_lazy("What it makes of 100.00")

    @staticmethod
    @column(gettext_lazy("amount"), order="amount", look=AMOUNT)
    def rate(tax: Any) -> str:
        text = f"{tax.amount.normalize():f}"
        return f"{text} %" if tax.amount_type in ("percent", "division") else text


@backoffice(TaxGroup)
class TaxGroupAdmin(RecordAdmin):
    list_display = ("name", "sequence", "country", "payable_account", "receivable_account")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("name", "sequence"),
                    ("country", "company"),
                    ("payable_account", "receivable_account"),
                    "advance_account",
                )
            },
        ),
    )


@backoffice(TaxTag)
class TaxTagAdmin(RecordAdmin):
    list_display = ("grid", "sign", "name", "country")
    list_filter = ("country", "sign")
    fieldsets = ((None, {"fields": (("country", "grid", "sign"), "name")}),)


class PositionTaxInline(NestedInline):
    model = FiscalPositionTax
    nested = "tax_map"
    fields = ("source", "target")
    verbose_name_plural = gettext_lazy("taxes")


class PositionAccountInline(NestedInline):
    model = FiscalPositionAccount
    nested = "account_map"
    fields = ("source", "target")
    verbose_name_plural = gettext_lazy("accounts")


@backoffice(FiscalPosition)
class FiscalPositionAdmin(RecordAdmin):
    list_display = ("name", "sequence", "auto_apply", "vat_required", "country", "country_group")
    list_filter = ("auto_apply", "country")
    fieldsets = (
        (None, {"fields": (("name", "sequence"), ("auto_apply", "vat_required"))}),
        (
            gettext_lazy("Where"),
            {
                "classes": ["tab"],
                "fields": (
                    ("country", "country_group"),
                    "states",
                    ("zip_from", "zip_to"),
                    ("foreign_tax_id", "company"),
                ),
            },
        ),
        (gettext_lazy("Legal note"), {"classes": ["tab"], "fields": ("note",)}),
    )
    inlines = (PositionTaxInline, PositionAccountInline)


class TermLineInline(NestedInline):
    model = PaymentTermLine
    nested = "lines"
    fields = ("value", "amount", "days", "delay", "day", "sequence")
    verbose_name_plural = gettext_lazy("parts")


@backoffice(PaymentTerm)
class PaymentTermAdmin(PreviewedForm, RecordAdmin):
    list_display = ("name", "sequence", "early_discount", "discount_percent", "discount_days")
    fieldsets = (
        (None, {"fields": (("name", "sequence"), "note")}),
        (
            gettext_lazy("Early payment"),
            {
                "fields": (
                    ("early_discount", "discount_mode"),
                    ("discount_percent", "discount_days"),
                    "company",
                )
            },
        ),
    )
    inlines = (TermLineInline,)
    preview_url = "admin:accounting_term_preview"
    preview_title = gettext_lazy("An invoice of 1,000.00 of today")


@backoffice(CashRounding)
class CashRoundingAdmin(RecordAdmin):
    list_display = ("name", "rounding", "method", "strategy")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("name", "rounding"),
                    ("method", "strategy"),
                    ("profit_account", "loss_account"),
                    "company",
                )
            },
        ),
    )


@backoffice(PartnerTerms)
class PartnerTermsAdmin(RecordAdmin):
    list_display = ("partner", "sale_term", "purchase_term", "fiscal_position", "credit_limit", "company")
    list_filter = ("partner", "sale_term", "purchase_term", "fiscal_position")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("partner", "company"),
                    ("receivable_account", "payable_account"),
                    ("sale_term", "purchase_term"),
                    ("fiscal_position", "credit_limit"),
                )
            },
        ),
    )
