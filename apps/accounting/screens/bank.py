"""Bank statements, their lines, and the rules that propose what they are."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.db import models
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.accounting.constants import BANK_LIKE
from apps.accounting.models import BankStatement, JournalEntry, ReconcileRule, StatementLine
from apps.accounting.screens.money import AMOUNT, column, money
from apps.backoffice.base import Button, RecordAdmin, actor_of, backoffice, record_url


def bank_journals(field: Any, rows: models.QuerySet[Any]) -> models.QuerySet[Any]:
    return rows.filter(type__in=sorted(BANK_LIKE)) if field.name in ("journal", "journals") else rows


@backoffice(BankStatement)
class BankStatementAdmin(RecordAdmin):
    list_display = ("name", "journal", "date", "start", "end")
    list_filter = ("journal", "date")
    list_select_related = ("company__currency", "journal__currency")
    select_fields = ("journal",)
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("journal", "date"),
                    "name",
                    ("balance_start", "balance_end"),
                    ("company", "source_format"),
                )
            },
        ),
    )
    readonly_fields = ("source_format",)

    @staticmethod
    @column(gettext_lazy("opening balance"), order="balance_start", look=AMOUNT)
    def start(record: BankStatement) -> str:
        return money(record.balance_start, record.journal.currency or record.company.currency)

    @staticmethod
    @column(gettext_lazy("closing balance"), order="balance_end", look=AMOUNT)
    def end(record: BankStatement) -> str:
        return money(record.balance_end, record.journal.currency or record.company.currency)

    def limit_choices(
        self, request: HttpRequest, field: Any, rows: models.QuerySet[Any]
    ) -> models.QuerySet[Any]:
        return bank_journals(field, rows)

    def get_buttons(self, request: HttpRequest, record: Any) -> list[Button]:
        lines = reverse("admin:accounting_statementline_changelist")
        url = f"{lines}?statement__id__exact={record.pk}"
        own = f"{reverse('admin:accounting_bank')}?journal={record.journal_id}"
        return [
            Button(key="lines", title=_("Lines"), url=url, icon="list_alt"),
            Button(key="reconcile", title=_("Reconcile"), url=own, icon="account_balance"),
        ]


@backoffice(StatementLine)
class StatementLineAdmin(RecordAdmin):
    list_display = ("date", "label", "partner", "partner_name", "amount_shown", "reconciled")
    list_filter = ("journal", "reconciled", "date", "partner", "statement")
    list_optional = ("account_number", "transaction_type", "reference", "company")
    list_select_related = ("company__currency", "journal__currency")
    select_fields = ("journal",)
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("journal", "date"),
                    ("label", "amount"),
                    ("partner", "partner_name"),
                    ("reference", "account_number"),
                    ("foreign_currency", "foreign_amount"),
                    ("statement", "sequence"),
                    ("reconciled", "company"),
                )
            },
        ),
    )
    readonly_fields = ("reconciled",)

    @staticmethod
    @column(gettext_lazy("amount"), order="amount", look=AMOUNT)
    def amount_shown(record: StatementLine) -> str:
        return money(record.amount, record.journal.currency or record.company.currency)

    def limit_choices(
        self, request: HttpRequest, field: Any, rows: models.QuerySet[Any]
    ) -> models.QuerySet[Any]:
        return bank_journals(field, rows)

    def get_buttons(self, request: HttpRequest, record: Any) -> list[Button]:
        query = {"journal": record.journal_id, "line": record.pk} | ({"done": 1} if record.reconciled else {})
        where = f"{reverse('admin:accounting_bank')}?{urlencode(query)}"
        title = _("What explains it") if record.reconciled else _("Reconcile")
        buttons = [Button(key="reconcile", title=title, url=where, icon="account_balance", sequence=1)]
        if record.entry_id is not None and actor_of(request).can(JournalEntry, "view"):
            url = record_url(JournalEntry, record.entry_id)
            buttons.append(Button(key="entry", title=_("Journal entry"), url=url, icon="receipt_long"))
        return buttons


@backoffice(ReconcileRule)
class ReconcileRuleAdmin(RecordAdmin):
    list_display = ("name", "sequence", "kind", "nature", "account", "partner", "auto_validate")
    list_filter = ("kind", "nature", "auto_validate")
    fieldsets = (
        (None, {"fields": (("name", "sequence"), ("kind", "nature"), "journals")}),
        (
            gettext_lazy("When"),
            {
                "fields": (
                    ("amount_min", "amount_max"),
                    ("label_test", "label_text"),
                    ("partner", "same_currency"),
                )
            },
        ),
        (
            gettext_lazy("Then"),
            {
                "fields": (
                    ("account", "line_label"),
                    ("amount_type", "amount_value"),
                    ("tolerance_percent", "look_back_months"),
                    ("auto_validate", "company"),
                )
            },
        ),
    )

    def limit_choices(
        self, request: HttpRequest, field: Any, rows: models.QuerySet[Any]
    ) -> models.QuerySet[Any]:
        return bank_journals(field, rows)
