"""Trial balance, general ledger, aged receivables and payables: every figure leads to the items behind it."""

from __future__ import annotations

import datetime
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold import widgets

from apps.accounting.models import Account, Invoice, JournalEntry, LedgerGroup
from apps.accounting.screens.money import money
from apps.accounting.selectors.locks import today_of
from apps.accounting.selectors.reports import (
    aged,
    aged_items,
    drill,
    general_ledger,
    scope_of,
    trial_balance,
)
from apps.accounting.selectors.screens import partner_labels
from apps.backoffice.base import actor_of, link_field, record_url, site
from apps.core.actor import Actor
from apps.core.errors import BusinessError

PAGE = 80
PARTNERS = 500
ITEMS = 500


class PeriodForm(forms.Form):
    """The period of a report, as links carry it: plain dates."""

    date_from = forms.DateField(
        label=gettext_lazy("From"), widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )
    date_to = forms.DateField(
        label=gettext_lazy("To"), widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )

    @classmethod
    def build(cls, actor: Actor, data: Any) -> PeriodForm:
        today = today_of(actor)
        given = data.copy()
        try:
            starts = list(scope_of(actor).year_starts(today).values())
        except BusinessError:
            starts = []
        given.setdefault("date_from", (min(starts) if starts else today.replace(month=1, day=1)).isoformat())
        given.setdefault("date_to", today.isoformat())
        form = cls(given)
        form.fields["ledger_group"] = link_field(
            LedgerGroup, actor, plain=True, required=False, label=_("Ledger group")
        )
        for name in ("date_from", "date_to"):
            form.fields[name].widget.attrs["class"] = " ".join(widgets.INPUT_CLASSES)
        return form


def _page(request: HttpRequest, template: str, title: str, **context: Any) -> HttpResponseBase:
    return TemplateResponse(request, template, {**site.each_context(request), "title": title, **context})


def _day(day: datetime.date | None) -> str:
    return date_format(day, "SHORT_DATE_FORMAT") if day else ""


def _items_url(figure: str, since: datetime.date, until: datetime.date, **more: Any) -> str:
    given = {"figure": figure, "date_from": since.isoformat(), "date_to": until.isoformat(), **more}
    return f"{reverse('admin:accounting_figure')}?{urlencode({k: v for k, v in given.items() if v not in (None, '')})}"


def _side(amount: Any, currency: Any) -> str:
    return money(amount, currency) if amount else ""


# -------------------------------------------------------------------------------------------------------- trial balance
def trial_page(request: HttpRequest) -> HttpResponseBase:
    """The trial balance of a period. Accounts lead to their ledger, figures to their items."""
    actor = actor_of(request)
    scope_of(actor)
    form = PeriodForm.build(actor, request.GET)
    title = _("Trial balance")
    if not form.is_valid():
        return _page(request, "accounting/trial_balance.html", title, form=form)
    since, until = form.cleaned_data["date_from"], form.cleaned_data["date_to"]
    group = form.cleaned_data["ledger_group"]
    found = trial_balance(actor, since, until, ledger_group=group.pk if group else None)
    period = {
        "date_from": since.isoformat(),
        "date_to": until.isoformat(),
        "ledger_group": group.pk if group else "",
    }
    rows = []
    for row in found.rows:
        figures, common = row.figures[0], {"account": row.account_pk, "ledger_group": period["ledger_group"]}
        own = row.kind == "account"
        initial = _items_url(
            "initial" if own else "unallocated",
            since,
            until,
            **(common if own else {"ledger_group": period["ledger_group"]}),
        )
        moved, end = (_items_url(kind, since, until, **common) if own else "" for kind in ("moved", "end"))
        rows.append(
            {
                "code": row.code,
                "name": row.name if own else _("Results of earlier years, not allocated"),
                "url": f"{reverse('admin:accounting_general_ledger')}?{urlencode({**period, 'account': row.account_pk})}"
                if own
                else "",
                "cells": [
                    (_("Initial"), initial, _side(figures.initial, found.currency)),
                    (_("Debit"), moved, _side(figures.debit, found.currency)),
                    (_("Credit"), moved, _side(figures.credit, found.currency)),
                    (_("End"), end, _side(figures.end, found.currency)),
                ],
            }
        )
    totals = found.totals[0]
    return _page(
        request,
        "accounting/trial_balance.html",
        title,
        form=form,
        rows=rows,
        columns=[_("Initial"), _("Debit"), _("Credit"), _("End")],
        totals=[
            money(totals.initial_debit - totals.initial_credit, found.currency),
            money(totals.debit, found.currency),
            money(totals.credit, found.currency),
            money(totals.end_debit - totals.end_credit, found.currency),
        ],
    )


# ------------------------------------------------------------------------------------------------------- general ledger
def ledger_page(request: HttpRequest) -> HttpResponseBase:
    """One account's items with the running balance, a page at a time; without an account, the choice of one."""
    actor = actor_of(request)
    scope_of(actor)
    form = PeriodForm.build(actor, request.GET)
    form.fields["account"] = link_field(Account, actor, required=False, label=_("Account"))
    form.order_fields(["account", "date_from", "date_to", "ledger_group"])
    title = _("General ledger")
    context: dict[str, Any] = {"form": form, "media": form.media}
    if not form.is_valid() or form.cleaned_data["account"] is None:
        return _page(request, "accounting/general_ledger.html", title, **context)
    data = form.cleaned_data
    group = data["ledger_group"]
    found = general_ledger(
        actor,
        data["account"].pk,
        data["date_from"],
        data["date_to"],
        ledger_group=group.pk if group else None,
        limit=PAGE,
        after=_position(request.GET.get("after", "")),
        before=_position(request.GET.get("before", "")),
    )
    kept = {
        "account": data["account"].pk,
        "date_from": data["date_from"].isoformat(),
        "date_to": data["date_to"].isoformat(),
        "ledger_group": group.pk if group else "",
    }
    context |= {
        "account": found.account,
        "opening": money(found.page.opening, found.currency),
        "lines": [
            {
                "date": _day(line.date),
                "number": line.number,
                "url": record_url(JournalEntry, line.entry_pk),
                "journal": line.journal_code,
                "partner": line.partner_name,
                "name": line.name,
                "debit": _side(line.debit, found.currency),
                "credit": _side(line.credit, found.currency),
                "balance": money(line.balance, found.currency),
                "matching": line.matching_number,
            }
            for line in found.page.lines
        ],
        "debit": money(found.figures.debit, found.currency),
        "credit": money(found.figures.credit, found.currency),
        "end": money(found.figures.end, found.currency),
        "next": f"?{urlencode({**kept, 'after': _text(found.page.after)})}" if found.page.after else "",
        "previous": f"?{urlencode({**kept, 'before': _text(found.page.before)})}"
        if found.page.before
        else "",
    }
    return _page(request, "accounting/general_ledger.html", title, **context)


def _position(text: str) -> tuple[datetime.date, int] | None:
    day, _mark, pk = text.partition("_")
    try:
        return (datetime.date.fromisoformat(day), int(pk)) if day and pk.isdigit() else None
    except ValueError:
        return None


def _text(position: tuple[datetime.date, int] | None) -> str:
    return f"{position[0].isoformat()}_{position[1]}" if position else ""


# ----------------------------------------------------------------------------------------------------------------- aged
def aged_page(request: HttpRequest, kind: str) -> HttpResponseBase:
    """What is open of each partner by how late it is, as of a day; ``partner`` or ``bucket`` shows the items behind."""
    actor = actor_of(request)
    scope_of(actor)
    title = _("Aged receivable") if kind == "receivable" else _("Aged payable")
    form = AgedForm.build(actor, request.GET)
    context: dict[str, Any] = {"form": form, "kind": kind}
    if not form.is_valid():
        return _page(request, "accounting/aged.html", title, **context)
    data = form.cleaned_data
    options: dict[str, Any] = {
        "by": data["by"] or "due",
        "days": data["days"] or 30,
        "non_trade": bool(data["non_trade"]),
    }
    found = aged(actor, kind, data["on"], limit=PARTNERS, **options)
    kept = {"on": data["on"].isoformat(), **options, "non_trade": "on" if options["non_trade"] else ""}

    def cell(amount: Any, partner: Any, bucket: int | None) -> tuple[str, str]:
        given = {**kept, "partner": partner, "bucket": "" if bucket is None else bucket}
        return (f"?{urlencode(given)}#items", money(amount, found.currency)) if amount else ("", "")

    context |= {
        "columns": [_bucket_title(label) for label in found.labels],
        "rows": [
            {
                "name": row.name or _("No partner"),
                "cells": [
                    (_bucket_title(found.labels[n]), *cell(amount, row.partner_pk or 0, n))
                    for n, amount in enumerate(row.amounts)
                ],
                "total": cell(row.total, row.partner_pk or 0, None),
            }
            for row in found.rows
        ],
        "totals": [cell(amount, "all", n) for n, amount in enumerate(found.totals)],
        "total": cell(found.total, "all", None),
        "count": found.count,
        "more": found.count - len(found.rows),
    }
    partner = request.GET.get("partner", "")
    if partner:
        context |= _aged_items(
            actor, kind, data["on"], partner, request.GET.get("bucket", ""), options, found
        )
    return _page(request, "accounting/aged.html", title, **context)


def _aged_items(
    actor: Actor, kind: str, on: datetime.date, partner: str, bucket: str, options: dict[str, Any], found: Any
) -> dict[str, Any]:
    rows = aged_items(
        actor,
        kind,
        on,
        partner_pk=int(partner) if partner.isdigit() and int(partner) else None,
        any_partner=partner == "all",
        bucket=int(bucket) if bucket.isdigit() else None,
        limit=ITEMS,
        **options,
    )
    names = partner_labels(actor, {row.partner_pk for row in rows if row.partner_pk})
    return {
        "items": [
            {
                "number": row.number,
                "url": record_url(Invoice, row.invoice_pk)
                if row.invoice_pk
                else record_url(JournalEntry, row.entry_pk),
                "partner": names.get(row.partner_pk or 0, ""),
                "date": _day(row.date),
                "due": _day(row.due),
                "days": row.days if row.days > 0 else "",
                "amount": money(row.amount, found.currency),
                "residual": money(row.residual, found.currency),
            }
            for row in rows
        ]
    }


def _bucket_title(label: str) -> str:
    return {"not_due": _("Not due"), "older": _("Older")}.get(label, label.replace("-", "–"))


class AgedForm(forms.Form):
    on = forms.DateField(
        label=gettext_lazy("As of"), widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )
    by = forms.ChoiceField(
        label=gettext_lazy("Counted from"),
        required=False,
        choices=[("due", gettext_lazy("due date")), ("invoice", gettext_lazy("invoice date"))],
        widget=widgets.UnfoldAdminSelectWidget(),
    )
    days = forms.IntegerField(
        label=gettext_lazy("Days a column"),
        required=False,
        min_value=1,
        max_value=366,
        widget=widgets.UnfoldAdminIntegerFieldWidget(),
    )
    non_trade = forms.BooleanField(
        label=gettext_lazy("Not only trade"), required=False, widget=widgets.UnfoldBooleanSwitchWidget()
    )

    @classmethod
    def build(cls, actor: Actor, data: Any) -> AgedForm:
        given = data.copy()
        given.setdefault("on", today_of(actor).isoformat())
        given.setdefault("days", "30")
        form = cls(given)
        form.fields["on"].widget.attrs["class"] = " ".join(widgets.INPUT_CLASSES)
        return form


def aged_receivable(request: HttpRequest) -> HttpResponseBase:
    return aged_page(request, "receivable")


def aged_payable(request: HttpRequest) -> HttpResponseBase:
    return aged_page(request, "payable")


# --------------------------------------------------------------------------------------------------- items of a figure
def figure_page(request: HttpRequest) -> HttpResponseBase:
    """The items whose sum is a figure of a report, oldest first, a page at a time."""
    actor, given = actor_of(request), request.GET
    scope_of(actor)
    form = PeriodForm.build(actor, given)
    title = _("Items of a figure")
    if not form.is_valid():
        return _page(request, "accounting/figure.html", title, form=form)
    account = given.get("account", "")
    group = form.cleaned_data["ledger_group"]
    found = drill(
        actor,
        given.get("figure", ""),
        form.cleaned_data["date_from"],
        form.cleaned_data["date_to"],
        account_pk=int(account) if account.isdigit() and len(account) < 19 else None,
        ledger_group=group.pk if group else None,
    )
    rows = list(
        found.items(actor, after=_position(given.get("after", ""))).select_related(
            "entry", "account", "partner", "company__currency"
        )[: PAGE + 1]
    )
    shown = rows[:PAGE]
    more = {key: value for key, value in given.items() if key != "after"}
    last = shown[-1] if shown else None
    return _page(
        request,
        "accounting/figure.html",
        title,
        items=[
            {
                "date": _day(item.date),
                "number": str(item.entry),
                "url": record_url(JournalEntry, item.entry_id),
                "account": str(item.account),
                "partner": str(item.partner or ""),
                "name": item.name,
                "debit": _side(item.debit, item.company.currency),
                "credit": _side(item.credit, item.company.currency),
            }
            for item in shown
        ],
        next=f"?{urlencode({**more, 'after': _text((last.date, last.pk))})}"
        if last and len(rows) > PAGE
        else "",
    )
