"""The balances with which a company's books begin: a grid of its accounts, open items of partners among them, what is off, and
the entry that is posted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold import widgets

from apps.accounting.constants import AccountType, JournalType
from apps.accounting.models import Account, AccountingSettings, Journal, JournalEntry, JournalItem
from apps.accounting.screens.company import current_company, own_settings
from apps.accounting.screens.grids import FIELD, overlay, page_config, posted
from apps.accounting.screens.money import decimals
from apps.accounting.selectors.locks import today_of
from apps.accounting.selectors.screens import (
    account_choices,
    account_labels,
    currency_choices,
    partner_labels,
)
from apps.accounting.selectors.setup import company_line_of, settings_of
from apps.accounting.services.opening import set_opening_balances, unaffected_account
from apps.backoffice.base import actor_of, link_field, record_url, site
from apps.core.actor import Actor
from apps.core.errors import BusinessError, ValidationFailed
from apps.core.money import plain_number
from apps.core.rules import visible


class OpeningForm(forms.Form):
    """The day on which the books begin, and where the entry is kept."""

    date = forms.DateField(
        label=gettext_lazy("The books begin on"),
        help_text=gettext_lazy("Usually the first day of the fiscal year, or the day before it."),
        widget=widgets.UnfoldAdminSingleDateWidget(),
    )

    @classmethod
    def build(
        cls, actor: Actor, entry: JournalEntry | None, company_pk: int, data: Any = None
    ) -> OpeningForm:
        first = today_of(actor).replace(month=1, day=1)
        initial = {
            "date": entry.date if entry is not None else first,
            "journal": entry.journal_id if entry is not None else None,
        }
        form = cls(data, initial=initial)
        form.fields["journal"] = link_field(
            Journal,
            actor,
            plain=True,
            required=False,
            label=_("Journal"),
            rows=visible(Journal, actor).filter(
                type=JournalType.GENERAL, active=True, company__in=company_line_of(settings_of(company_pk))
            ),
        )
        return form


def opening_page(request: HttpRequest) -> HttpResponseBase:
    """GET shows all accounts with what was set; POST sets the balances anew."""
    actor = actor_of(request)
    actor.require(AccountingSettings, "close")
    company = current_company(request)
    row = own_settings(actor, company)
    is_sent = request.method == "POST"
    try:
        rest = unaffected_account(company.pk)
    except ValidationFailed as error:
        if is_sent:
            raise
        messages.warning(request, error.message)  # without a chart there is nothing to open
        may_load = actor.can(AccountingSettings, "chart")
        return HttpResponseRedirect(reverse("admin:accounting_chart") if may_load else record_url(row))
    form = OpeningForm.build(actor, row.opening_entry, company.pk, request.POST if is_sent else None)
    text = request.POST.get(FIELD, "") if is_sent else ""
    errors: Mapping[str, Sequence[str]] = {}
    if is_sent and form.is_valid():
        try:
            entry = _set(row, form.cleaned_data, text, actor)
        except BusinessError as error:
            errors = error.fields
            texts = [t for name, found in errors.items() if not name.startswith("lines.") for t in found]
            form.add_error(None, " ".join(dict.fromkeys([error.message, *texts])))
        else:
            messages.success(
                request,
                _("The opening entry was posted.") if entry else _("There are no opening balances now."),
            )
            return HttpResponseRedirect(record_url(JournalEntry, entry) if entry else record_url(row))
    stored = stored_rows(actor, row, company.pk)
    shown = stored
    if text:
        try:
            shown = overlay([], text, errors)
        except ValidationFailed as error:
            form.add_error(None, error.message)
    context = {
        **site.each_context(request),
        "title": _("Opening balances"),
        "opts": AccountingSettings._meta,
        "form": form,
        "media": form.media,
        "company": company,
        "grid_config": _config(actor, row, shown),
        "entry": row.opening_entry,
        "entry_url": record_url(JournalEntry, row.opening_entry_id) if row.opening_entry_id else "",
        "entry_date": date_format(row.opening_entry.date, "SHORT_DATE_FORMAT") if row.opening_entry else "",
        "rest_account": str(rest),
        "back": record_url(row),
    }
    return TemplateResponse(request, "accounting/opening.html", context)


def stored_rows(actor: Actor, row: AccountingSettings, company_pk: int) -> list[dict[str, Any]]:
    """A row for each account that can have an opening balance, and one for each further item of the entry that was posted."""
    accounts = (
        visible(Account, actor)
        .filter(company__in=company_line_of(settings_of(company_pk)), deprecated=False)
        .exclude(type__in=[AccountType.OFF_BALANCE, AccountType.EQUITY_UNAFFECTED])
        .order_by("code", "pk")
        .values_list("pk", flat=True)
    )
    held: dict[int, list[JournalItem]] = {}
    if row.opening_entry_id is not None:
        items = visible(JournalItem, actor).filter(entry=row.opening_entry_id)
        for item in items.exclude(account__type=AccountType.EQUITY_UNAFFECTED).order_by("position"):
            held.setdefault(item.account_id, []).append(item)
    rows = []
    for pk in accounts:
        rows += [_of_item(item) for item in held.pop(pk, ())] or [_blank(pk)]
    return rows + [_of_item(item) for items in held.values() for item in items]


def _blank(account_pk: int) -> dict[str, Any]:
    return {
        "pk": None,
        "fresh": False,
        "values": {
            "account": account_pk,
            "partner": None,
            "label": "",
            "date_maturity": None,
            "debit": "0",
            "credit": "0",
            "currency": None,
            "amount_currency": "",
        },
    }


def _of_item(item: JournalItem) -> dict[str, Any]:
    row = _blank(item.account_id)
    row["values"] |= {
        "partner": item.partner_id,
        "label": item.name,
        "date_maturity": item.date_maturity.isoformat() if item.date_maturity else None,
        "debit": plain_number(item.debit),
        "credit": plain_number(item.credit),
        "currency": item.currency_id,
        "amount_currency": plain_number(item.amount_currency),
    }
    return row


def _set(row: AccountingSettings, data: Mapping[str, Any], text: str, actor: Actor) -> int:
    """Hand the rows that have an amount to the action. Errors are named by the place in the grid."""
    rows, places = sent_items(text)
    try:
        return int(
            set_opening_balances(
                [row.pk],
                actor=actor,
                date=data["date"],
                balances={},
                items=rows,
                journal=data["journal"],
            )
        )
    except BusinessError as error:
        names = {"amount": "debit"}
        fields = {}
        for name, texts in error.fields.items():
            parts = name.split(".")
            if len(parts) == 3 and parts[0] == "items":
                column = names.get(parts[2], parts[2])
                if column == "debit" and rows[int(parts[1])]["amount"].startswith("-"):
                    column = "credit"
                name = f"lines.{places[int(parts[1])]}.{column}"
            fields[name] = texts
        error.fields = fields
        raise


def sent_items(text: str) -> tuple[list[dict[str, Any]], list[int]]:
    """The rows of the grid that have an amount, as the action takes them, and where each stands."""
    order, rows = posted(text)
    found, places = [], []
    for place, key in enumerate(order):
        values = rows.get(str(key))
        if not isinstance(values, Mapping):
            raise ValidationFailed(_("The lines arrived damaged; load the page again."))
        debit, credit = (_number(values.get(name), f"lines.{place}.{name}") for name in ("debit", "credit"))
        if not debit and not credit:
            continue
        if not isinstance(values.get("account"), int):
            raise ValidationFailed(fields={f"lines.{place}.account": [_("Choose the account.")]})
        item = {"account": values["account"], "amount": f"{debit - credit:f}"}
        item |= {
            name: values[name]
            for name in ("partner", "label", "date_maturity", "currency", "amount_currency")
            if values.get(name) not in (None, "")
        }
        found.append(item)
        places.append(place)
    return found, places


def _number(value: Any, where: str) -> Decimal:
    try:
        number = Decimal(str(value if value not in (None, "") else 0))
    except InvalidOperation:
        raise ValidationFailed(fields={where: [_("This is no amount.")]}) from None
    if not number.is_finite():
        raise ValidationFailed(fields={where: [_("This is no amount.")]})
    return number


def _config(actor: Actor, row: AccountingSettings, rows: list[dict[str, Any]]) -> dict[str, Any]:
    settings = settings_of(row.company_id)
    accounts, complete = account_choices(actor, company_line_of(settings))
    used = {row["values"].get("account") for row in rows} - {None, ""}
    finder = reverse("admin:autocomplete")
    known = {choice["pk"] for choice in accounts}
    return page_config(
        rows=rows,
        accounts=accounts,
        accountsComplete=complete,
        accountsUrl=f"{finder}?target=accounting.account",
        accountLabels=account_labels(actor, {pk for pk in used if isinstance(pk, int)} - known),
        partnersUrl=f"{finder}?target=contacts.partner",
        partnerLabels=partner_labels(
            actor, {r["values"]["partner"] for r in rows if isinstance(r["values"].get("partner"), int)}
        ),
        currencies=currency_choices(actor),
        companyCurrency=settings.company.currency_id,
        decimals=decimals(settings.company.currency),
        columnTitles={
            "account": _("Account"),
            "partner": _("Partner"),
            "label": _("Label"),
            "date_maturity": _("Due date"),
            "debit": _("Debit"),
            "credit": _("Credit"),
            "currency": _("Currency"),
            "amount_currency": _("Amount in currency"),
        },
    )
