"""The plan of the books: accounts and their groups, journals, fiscal years, vocabularies."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.accounting.constants import BANK_LIKE
from apps.accounting.models import (
    Account,
    AccountGroup,
    FiscalYear,
    Incoterm,
    Journal,
    JournalItem,
    LedgerGroup,
    NumberSeries,
    PaymentMethodLine,
)
from apps.backoffice.base import Button, RecordAdmin, RecordInline, actor_of, backoffice


@backoffice(Account)
class AccountAdmin(RecordAdmin):
    """The chart of accounts. Code, name, type and the two switches are edited in the list itself."""

    list_display = ("code", "name", "type", "reconcile", "currency", "deprecated")
    list_display_links = ("code",)
    list_editable = ("name", "type", "reconcile", "deprecated")
    list_filter = ("type", "reconcile", "deprecated", "currency", "non_trade")
    list_optional = ("company", "non_trade")
    list_per_page = 100
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("code", "name"),
                    ("type", "currency"),
                    ("reconcile", "non_trade", "deprecated"),
                    "taxes",
                    "company",
                )
            },
        ),
        (gettext_lazy("Notes"), {"classes": ["tab"], "fields": ("note",)}),
    )
    select_fields = ("currency",)

    def get_search_results(
        self, request: HttpRequest, queryset: models.QuerySet[Any], search_term: str
    ) -> tuple[models.QuerySet[Any], bool]:
        """Digits are the beginning of a code: 40 finds 4000 and 401, not 1040."""
        term = (search_term or "").strip()
        if term and term.replace(".", "").isdigit():
            by_code = queryset.filter(code__startswith=term)
            if by_code.exists():
                return by_code.order_by("code", "pk"), False
        return super().get_search_results(request, queryset, search_term)

    def get_buttons(self, request: HttpRequest, record: Any) -> list[Button]:
        if not actor_of(request).can(JournalItem, "view"):
            return []
        items = reverse("admin:accounting_journalitem_changelist")
        return [
            Button(
                key="items",
                title=_("Journal items"),
                url=f"{items}?account__id__exact={record.pk}",
                icon="list_alt",
            )
        ]


@backoffice(AccountGroup)
class AccountGroupAdmin(RecordAdmin):
    list_display = ("code_prefix_start", "code_prefix_end", "name")
    fieldsets = ((None, {"fields": ("name", ("code_prefix_start", "code_prefix_end"), "company")}),)


class PaymentMethodInline(RecordInline):
    model = PaymentMethodLine
    fields = (
        "direction",
        "name",
        "code",
        "outstanding_account",
        "sequence",
        "next_check_number",
        "check_layout",
        "check_preprinted",
        "check_overflow",
        "active",
    )
    tab = True


class SeriesInline(RecordInline):
    """How the journal numbers: written by postings only."""

    model = NumberSeries
    fields = ("kind", "prefix", "suffix", "padding", "first_number", "next_number")
    readonly_fields = fields
    can_delete = False
    max_num = 0
    tab = True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@backoffice(Journal)
class JournalAdmin(RecordAdmin):
    list_display = ("name", "code", "type", "default_account", "currency", "bank_account")
    list_filter = ("type", "currency", "on_dashboard")
    list_optional = ("sequence", "company", "restricted")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("name", "code"),
                    ("type", "currency"),
                    ("default_account", "suspense_account"),
                    ("bank_account", "company"),
                )
            },
        ),
        (
            gettext_lazy("Numbers and references"),
            {
                "classes": ["tab"],
                "fields": (
                    ("refund_series", "payment_series"),
                    ("reference_type", "reference_model"),
                    ("checked_on_post", "restricted"),
                ),
            },
        ),
        (
            gettext_lazy("Cash differences"),
            {"classes": ["tab"], "fields": (("profit_account", "loss_account"),)},
        ),
        (
            gettext_lazy("Extra"),
            {"classes": ["tab"], "fields": ("allowed_accounts", ("sequence", "color"), "on_dashboard")},
        ),
    )
    inlines = (PaymentMethodInline, SeriesInline)

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        if obj is None:
            return ()
        return self.inlines if obj.type in BANK_LIKE else (SeriesInline,)

    def get_buttons(self, request: HttpRequest, record: Any) -> list[Button]:
        entries = reverse("admin:accounting_journalentry_changelist")
        return [
            Button(
                key="entries",
                title=_("Entries"),
                url=f"{entries}?journal__id__exact={record.pk}",
                icon="receipt_long",
            )
        ]


@backoffice(LedgerGroup)
class LedgerGroupAdmin(RecordAdmin):
    list_display = ("name", "company")
    fieldsets = ((None, {"fields": ("name", "excluded_journals", "company")}),)


@backoffice(FiscalYear)
class FiscalYearAdmin(RecordAdmin):
    list_display = ("name", "date_from", "date_to", "closed_at")
    fieldsets = ((None, {"fields": ("name", ("date_from", "date_to"), ("company", "closed_at"))}),)
    readonly_fields = ("closed_at",)


@backoffice(Incoterm)
class IncotermAdmin(RecordAdmin):
    list_display = ("code", "name")
