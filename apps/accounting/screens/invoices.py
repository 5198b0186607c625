"""Invoices, bills, credit notes and receipts: lists by type, and the form with its grid of lines."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from django.db import models
from django.http import HttpRequest, HttpResponseRedirect, QueryDict
from django.urls import URLPattern, path, reverse
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.accounting.constants import (
    CREDIT_NOTE_TYPES,
    PURCHASE_TYPES,
    SALE_TYPES,
    AutoPost,
    EntryState,
    InvoiceType,
)
from apps.accounting.models import Invoice, InvoiceLine, JournalEntry, Payment
from apps.accounting.screens.entries import after_saving
from apps.accounting.screens.grids import FIELD, overlay, page_config, rows_of
from apps.accounting.screens.invoice_parts import (
    match_view,
    posted_taxes,
    settlement,
    stored_rows,
    totals_box,
    typed_taxes_of,
)
from apps.accounting.screens.money import AMOUNT, NUMBER, column, decimals, money
from apps.accounting.screens.payments import MOST_DOCUMENTS, register_address
from apps.accounting.selectors.locks import today_of
from apps.accounting.selectors.screens import (
    account_choices,
    account_labels,
    books_currency,
    tax_choices,
    tax_labels,
)
from apps.accounting.selectors.setup import company_line_of, settings_of
from apps.accounting.services.invoices import BESIDE_THE_BOOKS
from apps.accounting.services.posting_failures import failures_of
from apps.backoffice.base import Button, RecordAdmin, actor_of, backoffice, record_url
from apps.core.actor import Actor
from apps.core.errors import NotVisible
from apps.core.models import Currency
from apps.core.records import service_for
from apps.core.rules import visible

LINE_VALUES = (
    "kind",
    "description",
    "product_code",
    "unit",
    "quantity",
    "unit_price",
    "discount",
    "account",
    "taxes",
)
LINE_NUMBERS = ("quantity", "unit_price", "discount")
TYPED_TAXES = "typed_taxes"  # the hidden input of the form
TODAY_HINT = gettext_lazy("Empty: today.")
RECIPIENTS_HINT = gettext_lazy("Empty: the customer's address for invoices.")
TEXT_HINT = gettext_lazy("Empty: the text of the house.")
PLURALS = {
    InvoiceType.CUSTOMER_INVOICE: gettext_lazy("customer invoices"),
    InvoiceType.CUSTOMER_CREDIT_NOTE: gettext_lazy("customer credit notes"),
    InvoiceType.CUSTOMER_RECEIPT: gettext_lazy("sales receipts"),
    InvoiceType.VENDOR_BILL: gettext_lazy("vendor bills"),
    InvoiceType.VENDOR_CREDIT_NOTE: gettext_lazy("vendor credit notes"),
    InvoiceType.VENDOR_RECEIPT: gettext_lazy("purchase receipts"),
}
STATE_TONES = {
    "draft": "",
    "cancelled": "",
    "not_paid": "info",
    "partial": "warning",
    "in_payment": "success",
    "paid": "success",
    "reversed": "",
    "blocked": "danger",
    "late": "danger",
}


def asked_type(request: HttpRequest) -> str:
    """The type that a list is filtered by or that a new document is to have; empty when none or an unknown one is named."""
    given = request.POST.get("type") or request.GET.get("type") or request.GET.get("type__exact", "")
    if not given:
        filters = QueryDict(request.GET.get("_changelist_filters", ""))
        given = filters.get("type__exact", "")
    return given if given in InvoiceType.values else ""


def state_of(record: Invoice) -> tuple[str, str]:
    """What a list says about a document in one word: draft, cancelled, or how it stands with the money."""
    if record.state != EntryState.POSTED:
        return record.state, str(record.get_state_display())
    return record.payment_state, str(record.get_payment_state_display())


@backoffice(Invoice)
class InvoiceAdmin(RecordAdmin):
    change_form_template = "accounting/invoice_form.html"
    list_display = ("label", "partner", "date", "due", "untaxed", "total", "residual", "status")
    list_filter = (
        "type",
        "state",
        "payment_state",
        "partner",
        "journal",
        "date",
        "due_date",
        "currency",
        "salesperson",
        "checked",
    )
    list_optional = (
        "reference",
        "payment_reference",
        "journal",
        "accounting_date",
        "salesperson",
        "company",
        "origin",
    )
    list_select_related = ("currency", "company__currency")
    list_totals = MappingProxyType(
        {"untaxed": "untaxed_company", "total": "total_company", "residual": "residual_company"}
    )
    # They are offered with what they are about: beside the totals, and on a page of its own.
    hidden_actions = ("assign_credit", "remove_match", "register_payment")
    action_warnings = MappingProxyType(
        {
            "reset": gettext_lazy(
                "The entry is reversed and payments are unmatched; the number is kept. Post the document again afterwards."
            ),
            "cancel": gettext_lazy(
                "What is posted is reversed and payments are unmatched. The number, once given, stays with the document."
            ),
            "reverse_and_reinvoice": gettext_lazy(
                "A credit note is posted that settles the document, and a new draft with the same lines is made."
            ),
        }
    )
    input_hints = MappingProxyType(
        {
            ("post", "soft"): gettext_lazy("They stay drafts and post themselves when it comes."),
            ("reverse", "date"): TODAY_HINT,
            ("reverse_and_reinvoice", "date"): TODAY_HINT,
            ("debit_note", "date"): TODAY_HINT,
            ("send", "recipients"): RECIPIENTS_HINT,
            ("send_pro_forma", "recipients"): RECIPIENTS_HINT,
            ("send", "message"): TEXT_HINT,
            ("send_pro_forma", "message"): TEXT_HINT,
        }
    )
    input_labels = MappingProxyType(
        {("post", "soft"): gettext_lazy("Leave those of the future for their day")}
    )
    select_fields = ("currency", "journal", "payment_term", "fiscal_position", "cash_rounding", "incoterm")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("partner", "date"),
                    ("reference", "due_date"),
                    ("payment_term", "journal"),
                    ("fiscal_position", "currency"),
                )
            },
        ),
        (gettext_lazy("Notes"), {"classes": ["tab"], "fields": ("narration",)}),
        (
            gettext_lazy("Payment"),
            {
                "classes": ["tab"],
                "fields": (
                    ("payment_reference", "bank_account"),
                    ("cash_rounding", "expected_total"),
                    ("rate", "rate_is_manual"),
                ),
            },
        ),
        (
            gettext_lazy("Delivery"),
            {
                "classes": ["tab"],
                "fields": (
                    ("shipping_partner", "delivery_date"),
                    ("incoterm", "incoterm_place"),
                    "tax_point_date",
                ),
            },
        ),
        (
            gettext_lazy("Extra"),
            {
                "classes": ["tab"],
                "fields": (
                    ("accounting_date", "wanted_number"),
                    ("salesperson", "origin"),
                    ("auto_post", "auto_post_until"),
                    ("checked", "company"),
                ),
            },
        ),
    )

    # ------------------------------------------------------------------------------------------------------- list
    def get_list_display(self, request: HttpRequest) -> list[Any]:
        shown = super().get_list_display(request)
        if asked_type(request):
            return shown
        return [shown[0], "type", *shown[1:]] if shown and shown[0] != "action_checkbox" else shown

    @staticmethod
    @column(gettext_lazy("number"), order="number", look=NUMBER)
    def label(record: Invoice) -> str:
        return str(record)

    @staticmethod
    @column(gettext_lazy("due date"), order="due_date", look=NUMBER)
    def due(record: Invoice) -> str:
        if record.due_date is None:
            return ""
        shown = date_format(record.due_date, "DATE_FORMAT")
        today = getattr(record, "shown_day", record.due_date)
        late = record.state == EntryState.POSTED and record.residual_amount and record.due_date < today
        return format_html('<span class="ac-late">{}</span>', shown) if late else shown

    @staticmethod
    @column(gettext_lazy("status"), order="payment_state")
    def status(record: Invoice) -> SafeString:
        key, text = state_of(record)
        tone = STATE_TONES.get(key, "")
        return format_html('<span class="bo-chip{}">{}</span>', f" bo-chip-{tone}" if tone else "", text)

    def prepare_rows(self, request: HttpRequest, rows: list[Any]) -> None:
        """A list of one side shows its amounts as they are on the documents, a mixed list signed as for the company."""
        kind, today = asked_type(request), today_of(actor_of(request))
        for row in rows:
            row.shown_day = today
            row.shown_sign = -1 if kind and _is_negative(kind) else 1

    @staticmethod
    @column(gettext_lazy("untaxed"), order="untaxed_company", look=AMOUNT)
    def untaxed(record: Invoice) -> str:
        return _books(record, record.untaxed_company)

    @staticmethod
    @column(gettext_lazy("total"), order="total_company", look=AMOUNT)
    def total(record: Invoice) -> str:
        shown = _books(record, record.total_company)
        if record.currency_id != record.company.currency_id:
            own = money(record.total_amount, record.currency)
            return format_html('{}<small class="ac-own">{}</small>', shown, own)
        return shown

    @staticmethod
    @column(gettext_lazy("to pay"), order="residual_company", look=AMOUNT)
    def residual(record: Invoice) -> str:
        return _books(record, record.residual_company) if record.state == EntryState.POSTED else ""

    def list_sums(self, request: HttpRequest, rows: models.QuerySet[Any]) -> dict[str, Any]:
        """Sums in the currency of the books; none while companies with different ones are selected."""
        currency = books_currency(actor_of(request))
        if currency is None:
            return {}
        kind = asked_type(request)
        sign = -1 if kind and _is_negative(kind) else 1
        return {
            name: money(sign * value, currency) for name, value in super().list_sums(request, rows).items()
        }

    def list_context(self, request: HttpRequest) -> dict[str, Any]:
        context = super().list_context(request)
        kind = asked_type(request)
        if kind:
            context["title"] = str(PLURALS[InvoiceType(kind)]).capitalize()
        return context

    # ------------------------------------------------------------------------------------------------------- form
    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """What has a number stays; the service would refuse."""
        if isinstance(obj, Invoice) and (obj.number or obj.state == EntryState.POSTED):
            return False
        return super().has_delete_permission(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        declared = super().get_readonly_fields(request, obj)
        if obj is None or obj.state == EntryState.DRAFT:
            return declared
        booked = self.names_in(self.fieldsets) - BESIDE_THE_BOOKS - {"checked"}
        return [*declared, *sorted(booked - set(declared))]

    def limit_choices(
        self, request: HttpRequest, field: Any, rows: models.QuerySet[Any]
    ) -> models.QuerySet[Any]:
        if field.name == "journal":
            kind = asked_type(request)
            sides = [
                side for side, types in (("sale", SALE_TYPES), ("purchase", PURCHASE_TYPES)) if kind in types
            ]
            return rows.filter(type__in=sides or ["sale", "purchase"])
        if field.name == "salesperson":
            return rows.filter(kind="internal")
        return rows

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """What the service works out when it is left out is not asked for: journal, currency and rate may stay empty."""
        form = super().get_form(request, obj, change, **kwargs)
        for name in ("journal", "currency", "rate"):
            if name in form.base_fields:
                form.base_fields[name].required = False
                if not change:
                    form.base_fields[name].initial = None
        return form

    def write_record(self, actor: Actor, form: Any, change: bool) -> Any:
        """The form's values with the lines of the grid."""
        service = service_for(Invoice)
        values = form.record_values(adding=not change)
        text = form.data.get(FIELD, "")
        if text:
            values["lines"] = rows_of(text, LINE_VALUES, numbers=LINE_NUMBERS)
        typed = posted_taxes(form.data.get(TYPED_TAXES, ""))
        if typed is not None and typed != (form.instance.manual_taxes or {} if change else {}):
            values["manual_taxes"] = typed
        if not change:
            kind = form.data.get("type", "")
            values["type"] = kind if kind in InvoiceType.values else InvoiceType.CUSTOMER_INVOICE
            for name in ("journal", "currency", "rate"):
                if values.get(name) is None:
                    values.pop(name, None)
            return service.create_one(values, actor=actor)
        for name in ("journal", "currency"):
            if name in values and values[name] is None:
                values.pop(name)
        if not values:
            return form.instance
        expected = form.cleaned_data.get("erp_version")
        return service.update([form.instance], values, actor=actor, expected_version=expected)[0]

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: Any = None) -> Any:
        return after_saving(request, obj) or super().response_add(request, obj, post_url_continue)

    def response_change(self, request: HttpRequest, obj: Any) -> Any:
        return after_saving(request, obj) or super().response_change(request, obj)

    def record_actions(self, request: HttpRequest, record: Any) -> list[dict[str, Any]]:
        """Without *Post* on a draft that can be edited: the form has a button that saves first."""
        offered = super().record_actions(request, record)
        if (
            record.state == EntryState.POSTED
            and record.residual_amount
            and actor_of(request).can(Invoice, "pay")
        ):
            pay = {"name": "register", "title": _("Register payment"), "icon": "payments", "dangerous": False}
            offered.insert(0, {**pay, "asks": True, "url": register_address([record.pk])})
        if record.state == EntryState.DRAFT and self.has_change_permission(request, record):
            offered = [action for action in offered if action["name"] != "post"]
        return offered

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        own = [path("<int:pk>/match/", wrap(match_view), name="accounting_invoice_match")]
        return own + super().get_urls()

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        found = super().get_actions(request)
        if actor_of(request).can(Invoice, "pay"):
            found["register"] = (_register, "register", gettext_lazy("Register payment"))
        return found

    def get_buttons(self, request: HttpRequest, record: Any) -> list[Button]:
        actor = actor_of(request)
        buttons = []
        entries = reverse("admin:accounting_journalentry_changelist")
        if record.posted_before and actor.can(JournalEntry, "view"):
            buttons.append(
                Button(
                    key="entries",
                    title=_("Journal entry"),
                    url=record_url(JournalEntry, record.journal_entry_id)
                    if record.journal_entry_id
                    else f"{entries}?invoice__id__exact={record.pk}",
                    icon="receipt_long",
                    sequence=1,
                )
            )
        own = reverse("admin:accounting_invoice_changelist")
        counts = (
            visible(Invoice, actor).aggregate(
                credit=models.Count("pk", filter=models.Q(reversed_invoice=record)),
                debit=models.Count("pk", filter=models.Q(debited_invoice=record)),
            )
            if record.posted_before
            else {}
        )
        if counts.get("credit"):
            url = f"{own}?reversed_invoice__id__exact={record.pk}"
            buttons.append(
                Button(
                    key="credit",
                    title=_("Credit notes"),
                    url=url,
                    icon="undo",
                    count=counts["credit"],
                    sequence=2,
                )
            )
        if counts.get("debit"):
            url = f"{own}?debited_invoice__id__exact={record.pk}"
            buttons.append(
                Button(
                    key="debit",
                    title=_("Debit notes"),
                    url=url,
                    icon="redo",
                    count=counts["debit"],
                    sequence=3,
                )
            )
        if record.reversed_invoice_id or record.debited_invoice_id:
            origin = record.reversed_invoice_id or record.debited_invoice_id
            buttons.append(
                Button(
                    key="origin",
                    title=_("Original"),
                    url=record_url(Invoice, origin),
                    icon="link",
                    sequence=4,
                )
            )
        if actor.can(Payment, "view"):
            paid = visible(Payment, actor).filter(invoices=record).count()
            if paid:
                url = f"{reverse('admin:accounting_payment_changelist')}?invoices__id__exact={record.pk}"
                buttons.append(
                    Button(
                        key="payments", title=_("Payments"), url=url, icon="payments", count=paid, sequence=5
                    )
                )
        return buttons

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Any:
        record = kwargs.get("obj") or context.get("original")
        form = context["adminform"].form
        kind = record.type if record is not None else asked_type(request) or InvoiceType.CUSTOMER_INVOICE
        may_edit = (record is None or record.state == EntryState.DRAFT) and (
            self.has_add_permission(request)
            if record is None
            else self.has_change_permission(request, record)
        )
        context["document_type"] = kind
        context["is_credit_note"] = kind in CREDIT_NOTE_TYPES
        context["document_title"] = InvoiceType(kind).label
        context["may_edit"] = may_edit
        context["may_post"] = may_edit and actor_of(request).can(Invoice, "post")
        context["by_total"] = may_edit and kind in PURCHASE_TYPES and self.enters_totals(request, record)
        context["grid_config"] = self.grid_config(request, record, kind, form, may_edit=may_edit)
        if record is not None:
            context["document_status"] = state_of(record)
            context["document_tone"] = STATE_TONES.get(state_of(record)[0], "")
            context["totals"] = totals_box(record)
            context.update(settlement(actor_of(request), record))
            if record.state == EntryState.DRAFT and record.auto_post != AutoPost.NO:
                context["failure"] = failures_of([record.pk]).get(record.pk)
        answer = super().render_change_form(request, context, *args, **kwargs)
        if record is None:
            context["title"] = _("New: %(kind)s") % {"kind": InvoiceType(kind).label}
        return answer

    @staticmethod
    def enters_totals(request: HttpRequest, record: Invoice | None) -> bool:
        """Whether the company's bills are entered by their total."""
        company = record.company_id if record is not None else actor_of(request).company_pk
        return company is not None and settings_of(company).quick_totals

    def grid_config(
        self, request: HttpRequest, record: Invoice | None, kind: str, form: Any, *, may_edit: bool
    ) -> dict[str, Any]:
        """Everything the script of the form needs: choices, lines, words, where to ask."""
        actor = actor_of(request)
        company = record.company_id if record is not None else actor.company_pk
        if company is None:
            raise NotVisible(_("Choose a company first."))
        settings = settings_of(company)
        line = company_line_of(settings)
        side = "sale" if kind in SALE_TYPES else "purchase"
        rows = stored_rows(record) if record is not None else []
        text = form.data.get(FIELD, "") if form.is_bound else ""
        refused = form.refusal.error.fields if form.is_bound and form.refusal is not None else {}
        if text:
            rows = overlay(rows, text, refused)
        accounts, complete = account_choices(actor, line, for_documents=True) if may_edit else ([], True)
        taxes = tax_choices(actor, line, side) if may_edit else []
        used_accounts = {row["values"].get("account") for row in rows} - {c["pk"] for c in accounts} - {None}
        used_taxes = {pk for row in rows for pk in row["values"].get("taxes") or ()} - {
            c["pk"] for c in taxes
        }
        currency: Currency = record.currency if record is not None else settings.company.currency
        return page_config(
            readonly=not may_edit,
            rows=rows,
            accounts=accounts,
            accountsComplete=complete,
            accountsUrl=f"{reverse('admin:autocomplete')}?target=accounting.account",
            accountLabels=account_labels(actor, {pk for pk in used_accounts if isinstance(pk, int)}),
            taxes=taxes,
            taxLabels=tax_labels(actor, {pk for pk in used_taxes if isinstance(pk, int)}),
            previewUrl=reverse("admin:accounting_invoice_preview"),
            record=record.pk if record is not None else None,
            type=kind,
            company=company,
            decimals=decimals(currency),
            columnTitles={
                f.name: str(f.verbose_name).capitalize()
                for f in InvoiceLine._meta.get_fields()
                if hasattr(f, "verbose_name")
            },
            titles={
                "due": _("Due"),
                "moved": _("The lines are written for another fiscal position."),
                "move": _("Update taxes and accounts"),
                "typedTax": _("Tax %s as the bill says"),
                "typedTaxHelp": _("As printed on the bill, where it differs. Empty: as computed."),
            },
            taxesByHand=may_edit and kind in PURCHASE_TYPES,
            typedTaxes=typed_taxes_of(record),
            begin=not form.is_bound,
        )

    class Media:
        css = {"all": ("accounting/accounting.css",)}


def _register(admin: Any, request: HttpRequest, rows: models.QuerySet[Any]) -> HttpResponseRedirect:
    pks = list(rows.values_list("pk", flat=True)[: MOST_DOCUMENTS + 1])
    return HttpResponseRedirect(register_address(pks))


def _is_negative(kind: str) -> bool:
    """Whether documents of a type lower what the company has earned, so that their signed amounts are negative."""
    return (kind in PURCHASE_TYPES) != (kind in CREDIT_NOTE_TYPES)


def _books(record: Invoice, amount: Any) -> str:
    return money(getattr(record, "shown_sign", 1) * amount, record.company.currency)
