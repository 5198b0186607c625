"""Matching open items by hand: debits and credits of an account and a partner side by side, worked by keyboard."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

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

from apps.accounting.models import Account, Invoice, JournalEntry, JournalItem
from apps.accounting.screens.grids import page_config
from apps.accounting.screens.money import decimals, money
from apps.accounting.selectors.screens import OpenGroup, open_groups, open_items
from apps.accounting.services.matching import reconcile_items
from apps.backoffice.base import actor_of, link_field, record_url, site
from apps.core.actor import Actor
from apps.core.errors import BusinessError
from apps.core.money import plain_number
from apps.core.rules import visible


class WriteOffForm(forms.Form):
    """Where what is left goes; empty: it stays open."""

    label = forms.CharField(
        label=gettext_lazy("Label"),
        required=False,
        max_length=200,
        widget=widgets.UnfoldAdminTextInputWidget(),
    )
    date = forms.DateField(
        label=gettext_lazy("Date"),
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )

    @classmethod
    def build(cls, actor: Actor, data: Any = None) -> WriteOffForm:
        form = cls(data)
        form.fields["account"] = link_field(Account, actor, required=False, label=_("Write off to"))
        form.fields["date"].widget.attrs["class"] = " ".join(widgets.INPUT_CLASSES)
        form.order_fields(["account", "label", "date"])
        return form


def address(group: OpenGroup | None) -> str:
    own = reverse("admin:accounting_reconcile")
    if group is None:
        return own
    return f"{own}?{urlencode({'account': group.account_pk, 'partner': group.partner_pk or 0})}"


def _chosen(request: HttpRequest) -> tuple[int, int] | None:
    account, partner = request.GET.get("account", ""), request.GET.get("partner", "0")
    if not (account.isdigit() and partner.isdigit() and len(account) < 19 and len(partner) < 19):
        return None
    return int(account), int(partner)


def reconcile_page(request: HttpRequest) -> HttpResponseBase:
    """The screen. GET shows the open items of one account and partner; POST matches those that were selected."""
    actor = actor_of(request)
    actor.require(JournalItem, "view")
    may_match = actor.can(JournalItem, "reconcile")
    everything = "all" in request.GET
    groups = open_groups(actor, both_sides=not everything)
    chosen = _chosen(request)
    if chosen is None and groups:
        chosen = (groups[0].account_pk, groups[0].partner_pk or 0)
    form = WriteOffForm.build(actor, request.POST if request.method == "POST" else None)
    if request.method == "POST":
        actor.require(JournalItem, "reconcile")
        answer = _match(request, actor, form, groups, chosen)
        if answer is not None:
            return answer
    items = open_items(actor, chosen[0], chosen[1] or None) if chosen else []
    at = next(
        (n for n, g in enumerate(groups) if chosen and (g.account_pk, g.partner_pk or 0) == chosen), None
    )
    following = groups[(at + 1) % len(groups)] if at is not None and len(groups) > 1 else None
    before = groups[at - 1] if at is not None and len(groups) > 1 else None
    currency = items[0].company.currency if items else None
    picked = set(request.POST.getlist("item"))
    sides: dict[str, list[dict[str, Any]]] = {"debit": [], "credit": []}
    for item in items:
        is_debit = item.residual > 0 or (item.residual == 0 and item.residual_currency > 0)
        sides["debit" if is_debit else "credit"].append(_shown(item, str(item.pk) in picked))
    title = groups[at] if at is not None else None
    context = {
        **site.each_context(request),
        "title": _("Reconcile"),
        "groups": [
            {
                "url": address(group) + ("&all=1" if everything else ""),
                "account": group.account,
                "partner": group.partner or _("No partner"),
                "debits": group.debits,
                "credits": group.credits,
                "current": n == at,
            }
            for n, group in enumerate(groups)
        ],
        "everything": everything,
        "account": title.account if title else (str(items[0].account) if items else ""),
        "partner": (title.partner or _("No partner")) if title else "",
        "columns": [
            {"key": "debit", "title": _("Debit"), "rows": sides["debit"]},
            {"key": "credit", "title": _("Credit"), "rows": sides["credit"]},
        ],
        "may_match": may_match,
        "form": form,
        "media": form.media,
        "next_url": address(following) if following else "",
        "previous_url": address(before) if before else "",
        "config": page_config(decimals=decimals(currency) if currency else 2),
        "has_items": bool(items),
    }
    return TemplateResponse(request, "accounting/reconcile.html", context)


def _match(
    request: HttpRequest,
    actor: Actor,
    form: WriteOffForm,
    groups: list[OpenGroup],
    chosen: tuple[int, int] | None,
) -> HttpResponseBase | None:
    pks = {int(pk) for pk in request.POST.getlist("item") if pk.isdigit() and len(pk) < 19}
    if not form.is_valid() or chosen is None:
        return None
    items = list(visible(JournalItem, actor, "reconcile").filter(pk__in=pks).order_by("pk"))
    data = form.cleaned_data
    try:
        reconcile_items(
            items,
            actor=actor,
            write_off_account=data["account"],
            write_off_label=data["label"] or "",
            date=data["date"],
        )
    except BusinessError as error:
        parts = [text for texts in error.fields.values() for text in texts]
        form.add_error(None, " ".join([error.message, *parts]))
        return None
    messages.success(request, _("Matched."))
    left = open_groups(actor)
    same = next((g for g in left if (g.account_pk, g.partner_pk or 0) == chosen), None)
    if same is not None:
        return HttpResponseRedirect(address(same))
    place = next((n for n, g in enumerate(groups) if (g.account_pk, g.partner_pk or 0) == chosen), 0)
    return HttpResponseRedirect(address(left[min(place, len(left) - 1)] if left else None))


def _shown(item: JournalItem, picked: bool) -> dict[str, Any]:
    currency = item.company.currency
    foreign = item.currency_id != currency.pk
    return {
        "pk": item.pk,
        "picked": picked,
        "amount": plain_number(item.residual),
        "date": date_format(item.date, "SHORT_DATE_FORMAT"),
        "due": date_format(item.date_maturity, "SHORT_DATE_FORMAT") if item.date_maturity else "",
        "number": str(item.entry),
        "url": record_url(Invoice, item.entry.invoice_id)
        if item.entry.invoice_id
        else record_url(JournalEntry, item.entry_id),
        "name": item.name,
        "open": money(abs(item.residual), currency),
        "foreign": money(abs(item.residual_currency), item.currency) if foreign else "",
        "partial": item.matching_number,
    }
