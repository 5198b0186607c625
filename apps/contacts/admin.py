"""Back-office screens of contacts, bank accounts and rates."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from apps.backoffice.base import RecordAdmin, RecordInline, backoffice
from apps.contacts.models import BankAccount, CurrencyRate, Industry, Partner, PartnerMerge, PartnerTag


class BankAccountInline(RecordInline):
    model = BankAccount
    fk_name = "partner"
    fields = ("number", "holder", "bank_name", "bic", "currency")
    tab = True


class ContactInline(RecordInline):
    model = Partner
    fk_name = "parent"
    fields = ("name", "type", "email", "phone", "city")
    tab = True
    verbose_name_plural = _("contacts and addresses")


@backoffice(Partner)
class PartnerAdmin(RecordAdmin):
    list_display = ("complete_name", "email", "phone", "city", "country", "salesperson", "active")
    list_filter = ("is_company", "tags", "country", "salesperson", "industry", "active")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("is_company", "type"),
                    ("name", "parent"),
                    ("email", "phone"),
                    ("mobile", "website"),
                    ("job_position", "title"),
                    "tags",
                )
            },
        ),
        (_("Address"), {"fields": ("street", "street2", ("zip", "city"), ("state", "country"))}),
        (
            _("Business"),
            {
                "classes": ["tab"],
                "fields": (
                    ("tax_id", "registry"),
                    ("ref", "barcode"),
                    ("industry", "salesperson"),
                    ("customer_rank", "supplier_rank"),
                    ("company", "active"),
                ),
            },
        ),
        (_("Notes"), {"classes": ["tab"], "fields": (("language", "timezone"), "comment")}),
    )
    inlines = (ContactInline, BankAccountInline)


@backoffice(PartnerTag)
class PartnerTagAdmin(RecordAdmin):
    list_display = ("name", "parent", "color", "active")


@backoffice(Industry)
class IndustryAdmin(RecordAdmin):
    list_display = ("name",)


@backoffice(BankAccount)
class BankAccountAdmin(RecordAdmin):
    list_display = ("number", "partner", "bank_name", "bic", "currency", "trusted")
    list_filter = ("kind", "currency", "trusted")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "partner",
                    ("number", "holder"),
                    ("bank_name", "bic"),
                    ("currency", "sequence"),
                    "active",
                )
            },
        ),
        (_("Trust"), {"fields": (("trusted", "trusted_at", "trusted_by"),)}),
    )
    readonly_fields = ("trusted", "trusted_at", "trusted_by")


@backoffice(CurrencyRate)
class CurrencyRateAdmin(RecordAdmin):
    list_display = ("currency", "date", "rate", "base", "company")
    list_filter = ("currency", "date")
    fieldsets = ((None, {"fields": (("currency", "date"), ("rate", "base"), "company")}),)
    select_fields = ("currency", "base")


@backoffice(PartnerMerge)
class PartnerMergeAdmin(RecordAdmin):
    list_display = ("destination", "names", "created_by", "created_at", "undone_at")
    fieldsets = ((None, {"fields": ("destination", "names", "undone_at")}),)
    readonly_fields = ("destination", "names", "undone_at")
