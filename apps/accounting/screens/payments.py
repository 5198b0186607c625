"""Payments: list and form, the page that registers them on documents, and transfers between own accounts."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.db import models
from django.http import HttpRequest, HttpResponseRedirect, JsonResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold import widgets

from apps.accounting.constants import BANK_LIKE, RECEIVABLE_SIGN, Direction, PaymentStatus
from apps.accounting.models import Account, Invoice, Journal, JournalEntry, Payment, PaymentMethodLine
from apps.accounting.screens.money import AMOUNT, NUMBER, column, money
from apps.accounting.screens.previews import refusal
from apps.accounting.selectors.locks import today_of
from apps.accounting.selectors.screens import partner_labels
from apps.accounting.services.payment_previews import preview_payments
from apps.accounting.services.payments import transfer
from apps.accounting.services.register import register_payment
from apps.backoffice.base import Button, RecordAdmin, actor_of, backoffice, link_field, record_url, site
from apps.core.actor import Actor
from apps.core.errors import BusinessError, NotVisible, ValidationFailed
from apps.core.models import Currency
from apps.core.records import service_for
from apps.core.rules import visible
from apps.core.unit_of_work import unit_of_work

TONES = {"draft": "", "in_process": "info", "paid": "success", "cancelled": "", "rejected": "danger"}
MOST_DOCUMENTS = 2_000
REGISTER = "admin:accounting_register"
# Fields that mean something only with a certain choice in another one.
SHOWN_WHEN = {
    "before_date": "instalments=before_date",
    "write_off_account": "difference=write_off",
    "write_off_label": "difference=write_off",
}


@backoffice(Payment)
class PaymentAdmin(RecordAdmin):
    list_display = ("label", "date", "direction", "partner", "journal", "memo", "amount_shown", "status")
    list_filter = ("direction", "state", "journal", "partner", "date", "currency")
    list_optional = ("method_line", "reference", "check_number", "company", "partner_side")
    list_select_related = ("currency",)
    select_fields = ("journal", "method_line", "currency")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("direction", "partner_side"),
                    ("partner", "date"),
                    ("amount", "currency"),
                    ("journal", "method_line"),
                    ("memo", "reference"),
                )
            },
        ),
        (
            gettext_lazy("Extra"),
            {
                "classes": ["tab"],
                "fields": (("counterpart_account", "bank_account"), ("check_number", "company"), "invoices"),
            },
        ),
    )

    @staticmethod
    @column(gettext_lazy("number"), order="number", look=NUMBER)
    def label(record: Payment) -> str:
        return str(record)

    @staticmethod
    @column(gettext_lazy("amount"), order="amount", look=AMOUNT)
    def amount_shown(record: Payment) -> str:
        sign = -1 if record.direction == Direction.OUTBOUND else 1
        return money(sign * record.amount, record.currency)

    @staticmethod
    @column(gettext_lazy("state"), order="state")
    def status(record: Payment) -> SafeString:
        tone = TONES.get(record.state, "")
        text = record.get_state_display()
        return format_html('<span class="bo-chip{}">{}</span>', f" bo-chip-{tone}" if tone else "", text)

    def list_sums(self, request: HttpRequest, rows: models.QuerySet[Any]) -> dict[str, Any]:
        """Received less sent, where all are in one currency."""
        inbound = models.Sum("amount", filter=models.Q(direction=Direction.INBOUND))
        outbound = models.Sum("amount", filter=models.Q(direction=Direction.OUTBOUND))
        found = list(rows.order_by().values("currency").annotate(inbound=inbound, outbound=outbound)[:2])
        if len(found) != 1:
            return {}
        currency = visible(Currency, actor_of(request)).filter(pk=found[0]["currency"]).first()
        return {"amount_shown": money((found[0]["inbound"] or 0) - (found[0]["outbound"] or 0), currency)}

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        for name in ("journal", "currency", "date"):
            if name in form.base_fields:
                form.base_fields[name].required = False
        return form

    def write_record(self, actor: Actor, form: Any, change: bool) -> Any:
        values = form.record_values(adding=not change)
        for name in ("journal", "currency", "date"):
            if name in values and values[name] is None:
                values.pop(name)
        service = service_for(Payment)
        if not change:
            return service.create_one(values, actor=actor)
        if not values:
            return form.instance
        expected = form.cleaned_data.get("erp_version")
        return service.update([form.instance], values, actor=actor, expected_version=expected)[0]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        declared = super().get_readonly_fields(request, obj)
        if obj is None or obj.state == PaymentStatus.DRAFT:
            return declared
        return [*declared, *sorted(self.names_in(self.fieldsets) - {"memo"} - set(declared))]

    def limit_choices(
        self, request: HttpRequest, field: Any, rows: models.QuerySet[Any]
    ) -> models.QuerySet[Any]:
        if field.name == "journal":
            return rows.filter(type__in=sorted(BANK_LIKE))
        if field.name == "method_line":
            return rows.select_related("journal")
        return rows

    def get_buttons(self, request: HttpRequest, record: Any) -> list[Button]:
        actor, buttons = actor_of(request), []
        if record.journal_entry_id and actor.can(JournalEntry, "view"):
            url = record_url(JournalEntry, record.journal_entry_id)
            buttons.append(Button(key="entry", title=_("Journal entry"), url=url, icon="receipt_long"))
        if actor.can(Invoice, "view"):
            count = visible(Invoice, actor).filter(payments=record).count()
            if count:
                url = f"{reverse('admin:accounting_invoice_changelist')}?payments__id__exact={record.pk}"
                buttons.append(
                    Button(key="invoices", title=_("Documents"), url=url, icon="description", count=count)
                )
        if record.paired_payment_id:
            url = record_url(Payment, record.paired_payment_id)
            buttons.append(Button(key="pair", title=_("Other half"), url=url, icon="swap_horiz"))
        return buttons

    class Media:
        css = {"all": ("accounting/accounting.css",)}


# ------------------------------------------------------------------------------------------------------------- register
class RegisterForm(forms.Form):
    """The choices of registering a payment. ``way`` is a journal or one of its methods."""

    date = forms.DateField(label=gettext_lazy("Date"), widget=widgets.UnfoldAdminSingleDateWidget())
    way = forms.ChoiceField(label=gettext_lazy("Through"), widget=widgets.UnfoldAdminSelectWidget())
    amount = forms.DecimalField(
        label=gettext_lazy("Amount"),
        required=False,
        help_text=gettext_lazy("Empty: all that is open, less the early payment discount."),
        widget=widgets.UnfoldAdminDecimalFieldWidget(attrs={"step": "any"}),
    )
    memo = forms.CharField(
        label=gettext_lazy("Memo"),
        required=False,
        max_length=200,
        widget=widgets.UnfoldAdminTextInputWidget(),
    )
    instalments = forms.ChoiceField(
        label=gettext_lazy("Due parts"),
        choices=[
            ("full", gettext_lazy("All that is open")),
            ("next", gettext_lazy("The next part")),
            ("overdue", gettext_lazy("What is overdue")),
            ("before_date", gettext_lazy("Parts due up to a day")),
        ],
        widget=widgets.UnfoldAdminSelectWidget(),
    )
    before_date = forms.DateField(
        label=gettext_lazy("Due up to"), required=False, widget=widgets.UnfoldAdminSingleDateWidget()
    )
    early_discount = forms.BooleanField(
        label=gettext_lazy("Take the early payment discount"),
        required=False,
        widget=widgets.UnfoldBooleanSwitchWidget(),
    )
    group = forms.BooleanField(
        label=gettext_lazy("One payment a partner"),
        required=False,
        widget=widgets.UnfoldBooleanSwitchWidget(),
    )
    difference = forms.ChoiceField(
        label=gettext_lazy("What is left"),
        choices=[("keep", gettext_lazy("stays open")), ("write_off", gettext_lazy("is written off"))],
        widget=widgets.UnfoldAdminSelectWidget(),
    )
    write_off_label = forms.CharField(
        label=gettext_lazy("Label of the write-off"),
        required=False,
        max_length=200,
        widget=widgets.UnfoldAdminTextInputWidget(),
    )

    @classmethod
    def build(cls, actor: Actor, invoices: list[Invoice], data: Any = None) -> RegisterForm:
        initial = {
            "date": today_of(actor),
            "instalments": "full",
            "early_discount": True,
            "difference": "keep",
            "group": False,
        }
        form = cls(data, initial=initial)
        form.fields["way"].choices = ways(actor, invoices)  # type: ignore[attr-defined]
        form.fields["currency"] = link_field(
            Currency,
            actor,
            plain=True,
            required=False,
            label=_("Currency"),
            help_text=_("Empty: that of the journal."),
        )
        form.fields["write_off_account"] = link_field(Account, actor, required=False, label=_("Write off to"))
        if len(invoices) == 1:
            form.fields.pop("group")
        for name, when in SHOWN_WHEN.items():
            form.fields[name].shown_when = when  # type: ignore[attr-defined]
        order = [
            "way", "date", "amount", "currency", "memo", "instalments", "before_date", "early_discount", "group",
            "difference", "write_off_account", "write_off_label",
        ]  # fmt: skip
        form.order_fields(order)
        return form

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if (
            data.get("difference") == "write_off"
            and not data.get("write_off_account")
            and "write_off_account" not in self.errors
        ):
            self.add_error("write_off_account", _("Choose the account."))
        return data

    def inputs(self, actor: Actor, *, preview: bool = False) -> dict[str, Any]:
        """Keyword arguments of ``register_payment`` (or of its preview)."""
        data = self.cleaned_data
        kind, _colon, key = str(data["way"]).partition(":")
        method = None
        if kind == "m":
            method = visible(PaymentMethodLine, actor).select_related("journal").get(pk=int(key))
            journal = method.journal
        else:
            journal = visible(Journal, actor).get(pk=int(key))
        values: dict[str, Any] = {
            "date": data["date"],
            "journal": journal,
            "amount": data.get("amount"),
            "currency": data.get("currency"),
            "group": bool(data.get("group")),
            "instalments": data["instalments"],
            "before_date": data.get("before_date"),
            "early_discount": bool(data.get("early_discount")),
        }
        if data["difference"] == "write_off":
            values["write_off_account"] = data["write_off_account"]
        if preview:
            return values
        if data["difference"] == "write_off":
            values["write_off_label"] = data.get("write_off_label") or ""
        if method is not None:
            values["method_line"] = method
        values["memo"] = data.get("memo") or ""
        return values


def ways(actor: Actor, invoices: list[Invoice]) -> list[tuple[str, str]]:
    """Bank and cash journals, and their methods when all documents move money in one direction."""
    signs = {RECEIVABLE_SIGN[invoice.type] for invoice in invoices}  # type: ignore[index]
    journals = list(
        visible(Journal, actor).filter(type__in=sorted(BANK_LIKE), active=True).order_by("sequence", "pk")
    )
    by_journal: dict[int, list[PaymentMethodLine]] = {}
    if len(signs) == 1:
        direction = Direction.INBOUND if 1 in signs else Direction.OUTBOUND
        rows = visible(PaymentMethodLine, actor).filter(
            journal__in=journals, direction=direction, active=True
        )
        for row in rows.order_by("sequence", "pk"):
            by_journal.setdefault(row.journal_id, []).append(row)
    choices: list[tuple[str, str]] = []
    for journal in journals:
        methods = by_journal.get(journal.pk, [])
        choices += [(f"m:{method.pk}", f"{journal.name} · {method.name}") for method in methods]
        if not methods:
            choices.append((f"j:{journal.pk}", journal.name))
    return choices


def chosen_invoices(request: HttpRequest) -> list[Invoice]:
    """The documents that the page is about, from ``pk=1,2,3``."""
    actor = actor_of(request)
    actor.require(Invoice, "pay")
    given = (request.POST.get("pk") or request.GET.get("pk") or "").split(",")
    pks = {int(pk) for pk in given if pk.isdigit() and len(pk) < 19}
    if len(pks) > MOST_DOCUMENTS:
        raise ValidationFailed(_("Choose at most %(count)s documents.") % {"count": MOST_DOCUMENTS})
    rows = (
        visible(Invoice, actor, "pay").filter(pk__in=pks).select_related("currency", "partner").order_by("pk")
    )
    found = list(rows)
    if not found:
        raise NotVisible()
    return found


def register_page_view(request: HttpRequest) -> HttpResponseBase:
    """Register payments on one or many documents; the page shows what they will be before it is confirmed."""
    actor, invoices = actor_of(request), chosen_invoices(request)
    posted = request.method == "POST"
    form = RegisterForm.build(actor, invoices, request.POST if posted else None)
    pks = ",".join(str(invoice.pk) for invoice in invoices)
    back = record_url(invoices[0]) if len(invoices) == 1 else reverse("admin:accounting_invoice_changelist")
    if posted and form.is_valid():
        try:
            made = register_payment(
                invoices,
                actor=actor,
                idempotency_key=request.POST.get("key", "")[:100],
                **form.inputs(actor),
            )
        except BusinessError as error:
            _take(form, error)
        else:
            count = len(made)
            messages.success(
                request,
                _("Payment registered.")
                if count == 1
                else _("%(count)s payments registered.") % {"count": count},
            )
            return HttpResponseRedirect(back)
    context = {
        **site.each_context(request),
        "title": _("Register payment"),
        "opts": Invoice._meta,
        "form": form,
        "media": form.media,
        "invoices": invoices[:50],
        "more": max(0, len(invoices) - 50),
        "pks": pks,
        "key": request.POST.get("key") or uuid.uuid4().hex,
        "back": back,
        "preview_url": reverse("admin:accounting_register_preview"),
    }
    return TemplateResponse(request, "accounting/register.html", context)


def _take(form: forms.Form, error: BusinessError) -> None:
    named = {name: texts for name, texts in error.fields.items() if name in form.fields}
    for name, texts in named.items():
        form.add_error(name, list(texts))
    rest = [text for name, texts in error.fields.items() if name not in named for text in texts]
    if rest or not named:
        form.add_error(None, " ".join([error.message, *rest]))


def register_preview(request: HttpRequest) -> HttpResponseBase:
    """The payments that the form would make, as a table."""
    actor = actor_of(request)
    if request.method != "POST":
        raise NotVisible()
    try:
        invoices = chosen_invoices(request)
        form = RegisterForm.build(actor, invoices, request.POST)
        if not form.is_valid():
            raise ValidationFailed(
                fields={name: list(map(str, texts)) for name, texts in form.errors.items()}
            )
        _company, planned = preview_payments(invoices, actor=actor, **form.inputs(actor, preview=True))
    except BusinessError as error:
        return refusal(error)
    names = partner_labels(actor, {plan.partner_pk for plan in planned})
    keep = form.cleaned_data["difference"] == "keep"
    context = {
        "payments": [
            {
                "partner": names.get(plan.partner_pk, ""),
                "documents": ", ".join(str(invoice) for invoice in plan.invoices[:4])
                + (" …" if len(plan.invoices) > 4 else ""),
                "amount": money(plan.amount, plan.currency),
                "open": money(plan.open, plan.currency),
                "difference": money(plan.difference, plan.currency) if plan.difference else "",
                "settles": {
                    "discount": _("early payment discount"),
                    "write_off": _("written off"),
                    "": _("stays open") if keep else "",
                }[plan.settles],
                "inbound": plan.direction == Direction.INBOUND,
            }
            for plan in planned[:100]
        ],
        "count": len(planned),
    }
    return JsonResponse(
        {"html": render_to_string("accounting/includes/planned.html", context, request=request)}
    )


# ------------------------------------------------------------------------------------------------------------- transfer
class TransferForm(forms.Form):
    """A transfer between two own accounts."""

    amount = forms.DecimalField(
        label=gettext_lazy("Amount"),
        min_value=Decimal("0.0001"),
        widget=widgets.UnfoldAdminDecimalFieldWidget(attrs={"step": "any"}),
    )
    received = forms.DecimalField(
        label=gettext_lazy("Amount received"),
        required=False,
        help_text=gettext_lazy("Only when the other account has another currency."),
        widget=widgets.UnfoldAdminDecimalFieldWidget(attrs={"step": "any"}),
    )
    date = forms.DateField(label=gettext_lazy("Date"), widget=widgets.UnfoldAdminSingleDateWidget())
    memo = forms.CharField(
        label=gettext_lazy("Memo"),
        required=False,
        max_length=200,
        widget=widgets.UnfoldAdminTextInputWidget(),
    )

    @classmethod
    def build(cls, actor: Actor, data: Any = None) -> TransferForm:
        form = cls(data, initial={"date": today_of(actor)})
        rows = visible(Journal, actor).filter(type__in=sorted(BANK_LIKE), active=True)
        for name, label in (("source", _("From")), ("target", _("To"))):
            form.fields[name] = link_field(Journal, actor, plain=True, rows=rows, label=label)
        form.order_fields(["source", "target", "amount", "received", "date", "memo"])
        return form


def transfer_page(request: HttpRequest) -> HttpResponseBase:
    """Move money between two own accounts: two payments through the transfer account, matched."""
    actor = actor_of(request)
    actor.require(Payment, "add")
    actor.require(Payment, "post")
    form = TransferForm.build(actor, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            with unit_of_work(actor):
                payment = service_for(Payment).create_one(
                    {
                        "direction": Direction.OUTBOUND,
                        "partner_side": "supplier",
                        "amount": data["amount"],
                        "journal": data["source"],
                        "date": data["date"],
                        "memo": data["memo"],
                        "company": data["source"].company_id
                        if data["source"].company_id in actor.company_pks
                        else actor.company_pk,
                    },
                    actor=actor,
                )
                transfer([payment], actor=actor, journal=data["target"], amount=data["received"])
        except BusinessError as error:
            error.fields = {
                {"journal": "target", "amount": "received"}.get(k, k): v for k, v in error.fields.items()
            }
            _take(form, error)
        else:
            messages.success(request, _("The money was transferred."))
            return HttpResponseRedirect(record_url(payment))
    context = {
        **site.each_context(request),
        "title": _("Internal transfer"),
        "opts": Payment._meta,
        "form": form,
        "media": form.media,
        "back": reverse("admin:accounting_payment_changelist"),
        "button": _("Transfer"),
    }
    return TemplateResponse(request, "accounting/sheet.html", context)


def register_address(pks: list[Any]) -> str:
    """The page that registers payments on documents."""
    return f"{reverse(REGISTER)}?{urlencode({'pk': ','.join(map(str, pks))})}"
