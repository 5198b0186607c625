"""Parts of the form of an invoice: what it shows of lines, totals and payments, and what it takes back."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from apps.accounting.constants import EntryState, PaymentState
from apps.accounting.models import Invoice, JournalEntry, JournalItem, PartialMatch, Payment
from apps.accounting.screens.money import money
from apps.accounting.selectors.settlement import credits_for, settlements_of
from apps.accounting.services.invoice_lines import read_lines
from apps.accounting.services.register import assign_credit, remove_match
from apps.backoffice.base import actor_of, record_url
from apps.core.actor import Actor
from apps.core.errors import BusinessError, ValidationFailed
from apps.core.money import plain_number
from apps.core.rules import get_visible


def stored_rows(record: Invoice) -> list[dict[str, Any]]:
    """The lines of a stored document as its grid shows them."""
    return [
        {
            "pk": line.pk,
            "kind": line.kind,
            "values": {
                "description": line.description,
                "product_code": line.product_code,
                "unit": line.unit,
                "quantity": plain_number(line.quantity),
                "unit_price": plain_number(line.unit_price),
                "discount": plain_number(line.discount),
                "account": line.account_pk,
                "taxes": list(line.tax_pks),
            },
            "computed": {"subtotal": plain_number(line.subtotal), "total": plain_number(line.total)}
            if line.is_product
            else {},
        }
        for line in read_lines([record.pk])[record.pk]
    ]


def totals_box(record: Invoice) -> dict[str, Any]:
    """The stored totals, for documents that are only read, and until the first preview has come."""
    currency = record.currency
    groups = [
        {
            "name": group.get("name") or _("Tax"),
            "amount": money(group["amount"], currency),
            "base": money(group["base"], currency),
        }
        for group in (record.tax_totals or {}).get("groups", ())
    ]
    return {
        "untaxed": money(record.untaxed_amount, currency),
        "groups": groups,
        "rounding": money(record.rounding_amount, currency) if record.rounding_amount else "",
        "total": money(record.total_amount, currency),
        "residual": money(record.residual_amount, currency) if record.state == EntryState.POSTED else "",
        "is_paid": record.payment_state
        in (PaymentState.PAID, PaymentState.IN_PAYMENT, PaymentState.REVERSED),
    }


def posted_taxes(text: str) -> dict[str, Any] | None:
    """The taxes typed on a bill, by group; nothing when the form did not send any."""
    if not text:
        return None
    try:
        typed = json.loads(text)
    except ValueError:
        typed = None
    if not isinstance(typed, dict):
        raise ValidationFailed(_("The lines arrived damaged; load the page again."))
    return typed


def typed_taxes_of(record: Invoice | None) -> dict[str, dict[str, str]]:
    """The taxes typed on a stored bill with the bases that they were typed for."""
    typed = record.manual_taxes if record is not None else None
    if record is None or not typed:
        return {}
    bases = {str(group["group"]): group["base"] for group in (record.tax_totals or {}).get("groups", ())}
    return {key: {"amount": str(amount), "base": bases[key]} for key, amount in typed.items() if key in bases}


def settlement(actor: Actor, record: Invoice) -> dict[str, Any]:
    """What paid the document, and what could: shown with its totals."""
    if not actor.can(JournalItem, "view"):
        return {}
    may_pay = actor.can(Invoice, "pay")
    match_url = reverse("admin:accounting_invoice_match", args=[record.pk]) if may_pay else ""
    return {
        "payments_made": [
            {
                "text": f"{settled.text} · {date_format(settled.date, 'SHORT_DATE_FORMAT')}",
                "url": record_url(Payment, settled.payment_pk)
                if settled.payment_pk
                else record_url(Invoice, settled.invoice_pk)
                if settled.invoice_pk
                else record_url(JournalEntry, settled.entry_pk),
                "match": settled.match_pk,
                "amount": money(settled.amount, record.currency),
                "undo_url": match_url,
            }
            for settled in settlements_of(record, actor)
        ],
        "outstanding": [
            {
                "pk": credit.item_pk,
                "text": credit.text,
                "url": record_url(JournalEntry, credit.entry_pk),
                "date": date_format(credit.date, "SHORT_DATE_FORMAT"),
                "amount": money(credit.amount, credit.currency),
            }
            for credit in credits_for(record, actor)
        ],
        "match_url": match_url,
        "unmatch_url": match_url,
    }


def match_view(request: HttpRequest, pk: int) -> HttpResponseRedirect:
    """Use a credit for a document, or undo one of its matchings; both from the totals on its form."""
    actor = actor_of(request)
    invoice = get_visible(Invoice, pk, actor)
    actor.require(Invoice, "pay")
    item, match = request.POST.get("item", ""), request.POST.get("match", "")
    if request.method == "POST" and (item.isdigit() or match.isdigit()):
        try:
            if item.isdigit():
                assign_credit([invoice], actor=actor, items=[get_visible(JournalItem, int(item), actor)])
            else:
                remove_match([invoice], actor=actor, matches=[get_visible(PartialMatch, int(match), actor)])
        except BusinessError as error:
            parts = [text for texts in error.fields.values() for text in texts]
            messages.error(request, " ".join([error.message, *parts]))
    return HttpResponseRedirect(record_url(invoice))
