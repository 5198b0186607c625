"""Journal entries with their grid of items, and the list of all items."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.db import models
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.forms import DropdownForm

from apps.accounting.constants import EntryOrigin, EntryState
from apps.accounting.models import Invoice, JournalEntry, JournalItem, Payment
from apps.accounting.screens.grids import FIELD, overlay, page_config, posted
from apps.accounting.screens.money import AMOUNT, NUMBER, column, decimals, money
from apps.accounting.selectors.screens import (
    ITEM_GROUPS,
    account_choices,
    account_labels,
    books_currency,
    currency_choices,
    entry_amounts,
    item_groups,
    partner_labels,
    tax_choices,
    tax_labels,
)
from apps.accounting.selectors.setup import company_line_of, settings_of
from apps.accounting.services.entries import OPEN_AFTER_POSTING
from apps.accounting.services.entry_posting import BELONGS_TO
from apps.backoffice.base import Button, RecordAdmin, actor_of, backoffice, record_url
from apps.core.actions import Action, get_action
from apps.core.actor import Actor
from apps.core.errors import BusinessError, NotVisible, ValidationFailed
from apps.core.money import plain_number
from apps.core.records import service_for
from apps.core.rules import visible

ITEM_VALUES = (
    "account",
    "partner",
    "name",
    "currency",
    "amount_currency",
    "debit",
    "credit",
    "taxes",
    "date_maturity",
)
ITEMS = "admin:accounting_journalitem_changelist"


def item_rows(text: str) -> list[dict[str, Any]]:
    """The items that a form sent, for the service: all of them, in order."""
    order, rows = posted(text)
    made = []
    for place, key in enumerate(order):
        values = rows.get(str(key))
        if not isinstance(values, dict):
            raise ValidationFailed(_("The lines arrived damaged; load the page again."))
        row = {name: values[name] for name in ITEM_VALUES if values.get(name) not in (None, "")}
        if row.get("currency") is not None and row.get("amount_currency") in (None, "", "0"):
            row.pop("amount_currency", None)
        if "date_maturity" in row:
            try:
                row["date_maturity"] = datetime.date.fromisoformat(str(row["date_maturity"]))
            except ValueError:
                raise ValidationFailed(
                    fields={f"items.{place}.date_maturity": [_("Enter a date.")]}
                ) from None
        if isinstance(key, int):
            row["id"] = key
        made.append(row)
    return made


@backoffice(JournalEntry)
class JournalEntryAdmin(RecordAdmin):
    change_form_template = "accounting/entry_form.html"
    list_display = ("label", "date", "journal", "partner", "reference", "origin", "amount", "status")
    list_filter = ("journal", "state", "origin", "date", "partner", "checked")
    list_optional = ("posted_at", "posted_by", "company", "currency", "auto_reverse_on")
    list_select_related = ("company__currency",)
    select_fields = ("journal", "currency")
    fieldsets = (
        (None, {"fields": (("journal", "date"), ("reference", "partner"))}),
        (
            gettext_lazy("Extra"),
            {
                "classes": ["tab"],
                "fields": (("auto_reverse_on", "currency"), ("checked", "company"), "narration"),
            },
        ),
        (
            gettext_lazy("Proof"),
            {
                "classes": ["tab"],
                "fields": (
                    ("origin", "revision"),
                    ("posted_at", "posted_by"),
                    ("series", "series_number"),
                    "chain_index",
                ),
            },
        ),
    )
    add_fieldsets = fieldsets[:2]
    readonly_fields = (
        "origin",
        "revision",
        "posted_at",
        "posted_by",
        "series",
        "series_number",
        "chain_index",
    )

    # ------------------------------------------------------------------------------------------------------- list
    @staticmethod
    @column(gettext_lazy("number"), order="number", look=NUMBER)
    def label(record: JournalEntry) -> str:
        return str(record)

    @staticmethod
    @column(gettext_lazy("state"), order="state")
    def status(record: JournalEntry) -> SafeString:
        tone = " bo-chip-success" if record.state == EntryState.POSTED else ""
        return format_html('<span class="bo-chip{}">{}</span>', tone, record.get_state_display())

    def prepare_rows(self, request: HttpRequest, rows: list[Any]) -> None:
        amounts = entry_amounts(actor_of(request), [row.pk for row in rows])
        for row in rows:
            row.amount_shown = amounts.get(row.pk)

    @staticmethod
    @column(gettext_lazy("amount"), look=AMOUNT)
    def amount(record: JournalEntry) -> str:
        return money(getattr(record, "amount_shown", None), record.company.currency)

    # ------------------------------------------------------------------------------------------------------- form
    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if obj is not None and obj.state == EntryState.POSTED:
            return False
        return super().has_delete_permission(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        declared = super().get_readonly_fields(request, obj)
        if obj is None or obj.state == EntryState.DRAFT:
            return declared
        final = self.names_in(self.fieldsets) - OPEN_AFTER_POSTING
        if obj.origin in BELONGS_TO:
            final.add("auto_reverse_on")
        return [*declared, *sorted(final - set(declared))]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        for name in ("journal", "currency", "date"):
            if name in form.base_fields:
                form.base_fields[name].required = False
        if not change and "currency" in form.base_fields:
            form.base_fields["currency"].initial = None
        return form

    def write_record(self, actor: Actor, form: Any, change: bool) -> Any:
        service = service_for(JournalEntry)
        values = form.record_values(adding=not change)
        text = form.data.get(FIELD, "")
        if text:
            values["items"] = item_rows(text)
        for name in ("journal", "currency", "date"):
            if name in values and values[name] is None:
                values.pop(name)
        if not change:
            return service.create_one(values, actor=actor)
        if not values:
            return form.instance
        expected = form.cleaned_data.get("erp_version")
        return service.update([form.instance], values, actor=actor, expected_version=expected)[0]

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: Any = None) -> Any:
        return after_saving(request, obj) or super().response_add(request, obj, post_url_continue)

    def response_change(self, request: HttpRequest, obj: Any) -> Any:
        return after_saving(request, obj) or super().response_change(request, obj)

    def record_actions(self, request: HttpRequest, record: Any) -> list[dict[str, Any]]:
        offered = super().record_actions(request, record)
        left_out = set()
        if record.state == EntryState.DRAFT and self.has_change_permission(request, record):
            left_out.add("post")
        if record.origin in BELONGS_TO:
            left_out |= {"reverse", "duplicate"}  # both are done on what the entry belongs to
        return [action for action in offered if action["name"] not in left_out]

    def address_after(self, declared: Action, result: Any) -> str:
        """To the one entry that was made: a copy or a reversal."""
        made = result.get("entries") if isinstance(result, dict) else None
        if isinstance(made, list) and len(made) == 1:
            return record_url(JournalEntry, made[0])
        return super().address_after(declared, result)

    def get_buttons(self, request: HttpRequest, record: Any) -> list[Button]:
        actor, buttons = actor_of(request), []
        if record.invoice_id and actor.can(Invoice, "view"):
            buttons.append(
                Button(
                    key="invoice",
                    title=_("Document"),
                    url=record_url(Invoice, record.invoice_id),
                    icon="receipt_long",
                )
            )
        if record.payment_id and actor.can(Payment, "view"):
            buttons.append(
                Button(
                    key="payment",
                    title=_("Payment"),
                    url=record_url(Payment, record.payment_id),
                    icon="payments",
                )
            )
        if record.reversal_of_id:
            buttons.append(
                Button(
                    key="origin",
                    title=_("Reverses"),
                    url=record_url(JournalEntry, record.reversal_of_id),
                    icon="undo",
                )
            )
        reversals = visible(JournalEntry, actor).filter(reversal_of=record).values_list("pk", flat=True)[:1]
        if record.state == EntryState.POSTED:
            for pk in reversals:
                buttons.append(
                    Button(
                        key="reversal", title=_("Reversed by"), url=record_url(JournalEntry, pk), icon="undo"
                    )
                )
        return buttons

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Any:
        record = kwargs.get("obj") or context.get("original")
        may_edit = (
            self.has_add_permission(request)
            if record is None
            else record.state == EntryState.DRAFT
            and record.origin == EntryOrigin.MANUAL
            and self.has_change_permission(request, record)
        )
        context["may_edit"] = may_edit
        context["may_post"] = may_edit and actor_of(request).can(JournalEntry, "post")
        context["grid_config"] = self.grid_config(
            request, record, context["adminform"].form, may_edit=may_edit
        )
        return super().render_change_form(request, context, *args, **kwargs)

    def grid_config(
        self, request: HttpRequest, record: JournalEntry | None, form: Any, *, may_edit: bool
    ) -> dict[str, Any]:
        actor = actor_of(request)
        company = record.company_id if record is not None else actor.company_pk
        if company is None:
            raise NotVisible(_("Choose a company first."))
        settings = settings_of(company)
        line = company_line_of(settings)
        rows = stored_items(record, actor) if record is not None else []
        text = form.data.get(FIELD, "") if form.is_bound else ""
        refused = form.refusal.error.fields if form.is_bound and form.refusal is not None else {}
        if text:
            errors = {name.replace("items.", "lines.", 1): texts for name, texts in refused.items()}
            rows = overlay(rows, text, errors)
        accounts, complete = account_choices(actor, line) if may_edit else ([], True)
        taxes = tax_choices(actor, line) if may_edit else []
        used = {
            name: {pk for row in rows for pk in _keys(row["values"].get(name)) if isinstance(pk, int)}
            for name in ("account", "partner", "taxes")
        }
        finder = reverse("admin:autocomplete")
        return page_config(
            readonly=not may_edit,
            begin=record is None and not form.is_bound,
            rows=rows,
            accounts=accounts,
            accountsComplete=complete,
            accountsUrl=f"{finder}?target=accounting.account",
            accountLabels=account_labels(actor, used["account"] - {c["pk"] for c in accounts}),
            partnersUrl=f"{finder}?target=contacts.partner",
            partnerLabels=partner_labels(actor, used["partner"]),
            taxes=taxes,
            taxLabels=tax_labels(actor, used["taxes"] - {c["pk"] for c in taxes}),
            currencies=currency_choices(actor),
            companyCurrency=settings.company.currency_id,
            decimals=decimals(settings.company.currency),
            itemsUrl=reverse(ITEMS),
            previewUrl=reverse("admin:accounting_entry_preview"),
            company=company,
            columnTitles={
                **{f.name: str(f.verbose_name).capitalize() for f in JournalItem._meta.concrete_fields},
                "taxes": _("Taxes"),
            },
            totalWords={"balanced": _("Balanced"), "off": _("Difference")},
        )

    class Media:
        css = {"all": ("accounting/accounting.css",)}


def _keys(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def after_saving(request: HttpRequest, record: Any) -> HttpResponseBase | None:
    """*Post* on a form saves first, then posts what was saved; a refusal leaves the saved draft on the screen."""
    if "_post" not in request.POST:
        return None
    declared = get_action(type(record), "post")
    if declared is None:
        raise NotVisible(_("There is no such action."))
    try:
        declared([record.pk], actor=actor_of(request))
    except BusinessError as error:
        parts = [text for texts in error.fields.values() for text in texts if text not in error.message]
        messages.error(request, " ".join([error.message, *parts]))
    else:
        messages.success(request, _("Posted."))
    return HttpResponseRedirect(record_url(record))


def stored_items(record: JournalEntry, actor: Actor) -> list[dict[str, Any]]:
    """The items of an entry as its grid shows them."""
    rows = (
        visible(JournalItem, actor).filter(entry=record).select_related("currency").order_by("position", "pk")
    )
    return [
        {
            "pk": item.pk,
            "values": {
                "account": item.account_id,
                "partner": item.partner_id,
                "name": item.name,
                "currency": item.currency_id,
                "amount_currency": plain_number(item.amount_currency),
                "debit": plain_number(item.debit),
                "credit": plain_number(item.credit),
                "taxes": list(item.tax_pks),
                "is_tax": item.tax_id is not None,
                "date_maturity": item.date_maturity.isoformat() if item.date_maturity else None,
                "matching_number": item.matching_number,
                "residual": plain_number(item.residual),
            },
        }
        for item in rows
    ]


# ---------------------------------------------------------------------------------------------------------------- items
class OpenFilter(admin.SimpleListFilter):
    """Items that matching has left something of."""

    title = gettext_lazy("open")
    parameter_name = "open"
    template = "unfold/filters/filters_field.html"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("Open")), ("no", _("Settled or not matched"))]

    def choices(self, changelist: Any) -> Iterator[Any]:
        yield _dropdown(self, _("Open items"), [("", _("All")), *self.lookup_choices])

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        settled = models.Q(residual=0, residual_currency=0)
        if self.value() == "yes":
            return queryset.filter(posted=True).exclude(settled)
        return queryset.filter(settled) if self.value() == "no" else queryset


class GroupFilter(admin.SimpleListFilter):
    """Not a filter by itself: what the sums above the list are grouped by."""

    title = gettext_lazy("sums by")
    parameter_name = "group"
    template = "unfold/filters/filters_field.html"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        titles = {
            "account": _("Account"),
            "partner": _("Partner"),
            "journal": _("Journal"),
            "month": _("Month"),
            "matching": _("Matching"),
        }
        return [(key, titles[key]) for key in ITEM_GROUPS]

    def choices(self, changelist: Any) -> Iterator[Any]:
        yield _dropdown(self, _("Sums by"), [("", _("None")), *self.lookup_choices])

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        return queryset


def _dropdown(chosen: Any, label: str, choices: list[tuple[str, Any]]) -> dict[str, Any]:
    name = chosen.parameter_name
    return {"form": DropdownForm(label=label, name=name, choices=choices, data={name: chosen.value() or ""})}


@backoffice(JournalItem)
class JournalItemAdmin(RecordAdmin):
    """All items, added up; matched and unmatched by actions. They are written with their entries only."""

    change_list_template = "accounting/item_list.html"
    list_display = (
        "date",
        "entry",
        "account",
        "partner",
        "name",
        "debit_shown",
        "credit_shown",
        "residual_shown",
        "matching_number",
    )
    list_filter = (
        "account",
        "partner",
        "journal",
        "date",
        "date_maturity",
        "posted",
        OpenFilter,
        GroupFilter,
        "account__type",
        "tax",
    )
    list_optional = ("date_maturity", "journal", "currency", "company", "kind")
    list_select_related = ("company__currency", "currency")
    list_totals = MappingProxyType(
        {"debit_shown": "debit", "credit_shown": "credit", "residual_shown": "residual"}
    )
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("entry", "date"),
                    ("account", "partner"),
                    "name",
                    ("debit", "credit"),
                    ("amount_currency", "currency"),
                    ("residual", "residual_currency"),
                    ("date_maturity", "matching_number"),
                    ("kind", "journal"),
                    ("tax", "tax_base_amount"),
                )
            },
        ),
    )

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return {name: found for name, found in super().get_actions(request).items() if name != "delete"}

    def list_sums(self, request: HttpRequest, rows: models.QuerySet[Any]) -> dict[str, Any]:
        currency = books_currency(actor_of(request))
        by = request.GET.get("group", "")
        if by in ITEM_GROUPS:
            request.item_groups = self._groups(request, rows, by, currency)  # type: ignore[attr-defined]
        if currency is None:
            return {}
        return {name: money(value, currency) for name, value in super().list_sums(request, rows).items()}

    def _groups(self, request: HttpRequest, rows: Any, by: str, currency: Any) -> list[dict[str, Any]]:
        kept = {key: value for key, value in request.GET.items() if key not in ("group", "p")}
        shown = []
        for group in item_groups(rows, by):
            narrowed = dict(kept)
            if by == "month":
                last = (group.key.replace(day=28) + datetime.timedelta(days=4)).replace(day=1)
                narrowed |= {
                    "date_from": group.key.isoformat(),
                    "date_to": (last - datetime.timedelta(days=1)).isoformat(),
                }
            elif by == "matching":
                narrowed["matching_number"] = group.key
            elif group.key is None:
                narrowed[f"{by}__isnull"] = "True"
            else:
                narrowed[f"{by}__id__exact"] = group.key
            shown.append(
                {
                    "title": group.title or "–",
                    "url": f"?{urlencode(narrowed)}",
                    "count": group.count,
                    "debit": money(group.debit, currency),
                    "credit": money(group.credit, currency),
                    "balance": money(group.debit - group.credit, currency),
                    "residual": money(group.residual, currency),
                }
            )
        return shown

    class Media:
        css = {"all": ("accounting/accounting.css",)}


def _amount(name: str, title: Any) -> Any:
    @column(title, order=name, look=AMOUNT)
    def show(record: JournalItem) -> str:
        value = getattr(record, name)
        return money(value, record.company.currency) if value else ""

    return staticmethod(show)


for _name, _title in (
    ("debit", gettext_lazy("debit")),
    ("credit", gettext_lazy("credit")),
    ("residual", gettext_lazy("open")),
):
    setattr(JournalItemAdmin, f"{_name}_shown", _amount(_name, _title))
