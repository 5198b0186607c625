"""How a company keeps its books: settings, its chart of accounts, lock dates and exceptions from them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.db import models
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold import widgets

from apps.access.models import Company
from apps.accounting.constants import LockKind
from apps.accounting.models import AccountingSettings, LockException
from apps.accounting.selectors.locks import effective_locks
from apps.accounting.selectors.setup import settings_of
from apps.accounting.services.charts import charts_for, install_chart, preview_chart
from apps.accounting.services.locks import set_hard_lock, set_lock_dates, unfinished_up_to
from apps.accounting.services.setup.settings import settings_for
from apps.backoffice.base import Button, RecordAdmin, actor_of, backoffice, record_url, site
from apps.core.actor import Actor
from apps.core.errors import BusinessError, NotVisible
from apps.core.rules import visible

SOFT = (LockKind.FISCAL, LockKind.TAX, LockKind.SALE, LockKind.PURCHASE)
EXPLAINED = {
    LockKind.FISCAL: gettext_lazy("Nothing may be posted or changed up to this day."),
    LockKind.TAX: gettext_lazy("Nothing that the tax return counts may be posted or changed up to this day."),
    LockKind.SALE: gettext_lazy("Nothing may be posted in journals of sales up to this day."),
    LockKind.PURCHASE: gettext_lazy("Nothing may be posted in journals of purchases up to this day."),
    LockKind.HARD: gettext_lazy("For everybody and for ever: it only moves forward and has no exceptions."),
}


def current_company(request: HttpRequest) -> Company:
    """The company that the user works in."""
    actor = actor_of(request)
    found = visible(Company, actor).filter(pk=actor.company_pk).first() if actor.company_pk else None
    if found is None:
        raise NotVisible(_("Choose a company first."))
    return found


def own_settings(actor: Actor, company: Company) -> AccountingSettings:
    """The company's row of settings; made when somebody who may change it asks first."""
    held = visible(AccountingSettings, actor).filter(company=company).first()
    if held is not None:
        return held
    if not (actor.can(AccountingSettings, "change") or actor.can(AccountingSettings, "chart")):
        raise NotVisible(_("This company keeps no books yet."))
    return settings_for(company, actor=actor)


def settings_page(request: HttpRequest) -> HttpResponseBase:
    """To the settings of the company that the user works in."""
    actor = actor_of(request)
    actor.require(AccountingSettings, "view")
    return HttpResponseRedirect(record_url(own_settings(actor, current_company(request))))


@backoffice(AccountingSettings)
class AccountingSettingsAdmin(RecordAdmin):
    list_display = ("company", "chart", "fiscal_country", "fiscal_lock_date", "hard_lock_date")
    hidden_actions = ("install_chart", "set_lock_dates", "set_hard_lock", "set_opening_balances")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("company", "chart"),
                    ("fiscal_country", "code_digits"),
                    ("fiscal_year_last_month", "fiscal_year_last_day"),
                )
            },
        ),
        (
            gettext_lazy("Taxes"),
            {
                "classes": ["tab"],
                "fields": (
                    ("sale_tax", "purchase_tax"),
                    ("price_inclusion", "tax_rounding"),
                    ("cash_basis", "cash_basis_journal"),
                    "cash_basis_base_account",
                ),
            },
        ),
        (
            gettext_lazy("Accounts"),
            {
                "classes": ["tab"],
                "fields": (
                    ("receivable_account", "payable_account"),
                    ("income_account", "expense_account"),
                    ("exchange_gain_account", "exchange_loss_account"),
                    ("discount_gain_account", "discount_loss_account"),
                    "exchange_journal",
                ),
            },
        ),
        (
            gettext_lazy("Bank"),
            {
                "classes": ["tab"],
                "fields": (
                    ("suspense_account", "transfer_account"),
                    ("outstanding_receipts_account", "outstanding_payments_account"),
                    ("bank_prefix", "cash_prefix", "transfer_prefix"),
                    "require_trusted_bank",
                ),
            },
        ),
        (
            gettext_lazy("Documents"),
            {
                "classes": ["tab"],
                "fields": (
                    "invoice_terms",
                    ("credit_limit", "block_over_limit"),
                    ("quick_totals", "mirror_invoices"),
                ),
            },
        ),
        (
            gettext_lazy("Locks"),
            {
                "classes": ["tab"],
                "fields": (
                    ("fiscal_lock_date", "tax_lock_date"),
                    ("sale_lock_date", "purchase_lock_date"),
                    "hard_lock_date",
                ),
            },
        ),
    )
    readonly_fields = (
        "company",
        "chart",
        "fiscal_lock_date",
        "tax_lock_date",
        "sale_lock_date",
        "purchase_lock_date",
        "hard_lock_date",
    )

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The row is made when it is first needed."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_buttons(self, request: HttpRequest, record: Any) -> list[Button]:
        actor, buttons = actor_of(request), []
        if record.company_id != actor.company_pk:
            return []
        if actor.can(AccountingSettings, "chart"):
            url = reverse("admin:accounting_chart")
            buttons.append(
                Button(key="chart", title=_("Chart of accounts"), url=url, icon="account_tree", sequence=1)
            )
        if actor.can(AccountingSettings, "lock"):
            url = reverse("admin:accounting_locks")
            buttons.append(Button(key="locks", title=_("Lock dates"), url=url, icon="lock", sequence=2))
        if actor.can(AccountingSettings, "close"):
            url = reverse("admin:accounting_opening")
            buttons.append(
                Button(key="opening", title=_("Opening balances"), url=url, icon="start", sequence=3)
            )
        return buttons


# ---------------------------------------------------------------------------------------------------------------- chart
def chart_page(request: HttpRequest) -> HttpResponseBase:
    """Choose a chart, look at what it brings, install it."""
    actor = actor_of(request)
    actor.require(AccountingSettings, "chart")
    company = current_company(request)
    charts = charts_for(company)
    key = request.POST.get("chart") or request.GET.get("chart", "")
    context: dict[str, Any] = {
        **site.each_context(request),
        "title": _("Chart of accounts"),
        "opts": AccountingSettings._meta,
        "charts": charts,
        "chosen": key or settings_of(company.pk).chart,
        "company": company,
        "back": reverse("admin:accounting_settings"),
    }
    if key in {info.key for info in charts}:
        if request.method == "POST":
            try:
                install_chart(company, key, actor=actor)
            except BusinessError as error:
                parts = [text for texts in error.fields.values() for text in texts]
                context["refusal"] = " ".join([error.message, *parts])
            else:
                messages.success(request, _("The chart of accounts was installed."))
                return HttpResponseRedirect(reverse("admin:accounting_account_changelist"))
        context["preview"] = preview_chart(company, key, actor=actor)
    return TemplateResponse(request, "accounting/chart.html", context)


# ---------------------------------------------------------------------------------------------------------------- locks
class LockForm(forms.Form):
    """The four locks that can be moved, and why."""

    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        required=False,
        max_length=200,
        widget=widgets.UnfoldAdminTextInputWidget(),
    )

    @classmethod
    def build(cls, settings: AccountingSettings, *, hard: bool, data: Any = None) -> LockForm:
        form = cls(data)
        kinds = (*SOFT, LockKind.HARD) if hard else SOFT
        for kind in kinds:
            form.fields[kind.value] = forms.DateField(
                label=kind.label,
                required=False,
                initial=getattr(settings, f"{kind.value}_lock_date"),
                help_text=EXPLAINED[kind],
                widget=widgets.UnfoldAdminSingleDateWidget(),
            )
        form.order_fields([*(kind.value for kind in kinds), "reason"])
        return form


def locks_page(request: HttpRequest) -> HttpResponseBase:
    """Lock dates with what each means, what it would catch, and whom it binds now. The first sending shows what the new dates
    would catch; the second sets them."""
    actor = actor_of(request)
    actor.require(AccountingSettings, "lock")
    company = current_company(request)
    settings = own_settings(actor, company)
    hard = actor.can(AccountingSettings, "hard_lock")
    posted = request.method == "POST"
    form = LockForm.build(settings, hard=hard, data=request.POST if posted else None)
    context: dict[str, Any] = {}
    if posted and form.is_valid():
        data = form.cleaned_data
        changed = [name for name in form.changed_data if name != "reason"]
        findings = [
            f"{LockKind(kind).label}: {text}"
            for kind in changed
            if data[kind] is not None
            for text in unfinished_up_to(company.pk, data[kind], kind).texts()
        ]
        if findings and "_confirmed" not in request.POST:
            context["findings"] = findings
        else:
            try:
                _set_locks(settings, data, changed, actor)
            except BusinessError as error:
                named = {{"date": "hard"}.get(name, name): texts for name, texts in error.fields.items()}
                for name, texts in named.items():
                    form.add_error(name if name in form.fields else None, list(texts))
                if not named or error.message:
                    form.add_error(None, error.message)
            else:
                messages.success(request, _("The lock dates were set."))
                return HttpResponseRedirect(record_url(settings))
    binding = effective_locks(company.pk, actor=actor)
    context |= {
        **site.each_context(request),
        "title": _("Lock dates"),
        "opts": AccountingSettings._meta,
        "form": form,
        "media": form.media,
        "company": company,
        "binding": [
            {"title": LockKind(kind).label, "date": date_format(bound.lock.date, "SHORT_DATE_FORMAT")}
            for kind, bound in binding.items()
        ],
        "exceptions_url": reverse("admin:accounting_lockexception_changelist"),
        "back": record_url(settings),
    }
    return TemplateResponse(request, "accounting/locks.html", context)


def _set_locks(settings: AccountingSettings, data: dict[str, Any], changed: list[str], actor: Actor) -> None:
    soft = {kind.value: data[kind.value] for kind in SOFT if kind.value in changed}
    if soft:
        set_lock_dates(
            [settings],
            actor=actor,
            **{kind: day for kind, day in soft.items() if day is not None},
            lift=[kind for kind, day in soft.items() if day is None],
            reason=data["reason"],
        )
    if LockKind.HARD.value in changed and data.get(LockKind.HARD.value) is not None:
        set_hard_lock([settings], actor=actor, date=data[LockKind.HARD.value], reason=data["reason"])


@backoffice(LockException)
class LockExceptionAdmin(RecordAdmin):
    list_display = ("kind", "lock_date", "user", "until", "reason", "created_by", "revoked_at")
    list_filter = ("kind", "user", "until")
    fieldsets = (
        (None, {"fields": (("kind", "lock_date"), ("user", "until"), "reason", ("company", "revoked_at"))}),
    )
    readonly_fields = ("revoked_at",)

    def limit_choices(
        self, request: HttpRequest, field: Any, rows: models.QuerySet[Any]
    ) -> models.QuerySet[Any]:
        return rows.filter(kind="internal") if field.name == "user" else rows
