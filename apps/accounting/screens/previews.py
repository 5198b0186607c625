"""What a form would make, worked out by the server while somebody types. Nothing is stored by these views."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from django import forms
from django.http import HttpRequest, JsonResponse
from django.template.loader import render_to_string
from django.utils.formats import date_format, localize_input
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from apps.accounting.compute.taxes import Repartition, TaxError, TaxLine, TaxSpec, compute_document
from apps.accounting.compute.terms import (
    EarlyDiscount,
    InvalidTerms,
    TermLine,
    check_terms,
    describe,
    instalments,
)
from apps.accounting.constants import CREDIT_NOTE_TYPES, PURCHASE_TYPES, InvoiceType, PriceInclusion
from apps.accounting.models import Invoice, PaymentTerm, Tax
from apps.accounting.screens.money import decimals, marks, money, number
from apps.accounting.selectors.invoices import DocumentWarning
from apps.accounting.selectors.screens import account_labels
from apps.accounting.selectors.setup import settings_of, tax_specs
from apps.accounting.services.entry_previews import tax_items
from apps.accounting.services.previews import DocumentPreview, preview_document
from apps.backoffice.base import actor_of, record_url
from apps.core.actor import Actor
from apps.core.errors import BusinessError, ValidationFailed
from apps.core.money import plain_number
from apps.core.rules import get_visible, visible

LINKS = (
    "partner",
    "shipping_partner",
    "payment_term",
    "journal",
    "fiscal_position",
    "currency",
    "cash_rounding",
    "bank_account",
)
DATES = ("date", "due_date", "accounting_date")
HUNDRED = Decimal(100)


def refusal(error: BusinessError) -> JsonResponse:
    return JsonResponse({"message": error.message, "fields": error.fields}, status=error.status)


def body_of(request: HttpRequest) -> dict[str, Any]:
    """The JSON object that a script sent."""
    try:
        body = json.loads(request.body)
    except ValueError:
        raise ValidationFailed(_("This is not JSON.")) from None
    if not isinstance(body, dict):
        raise ValidationFailed(_("This is not JSON."))
    return body


# ----------------------------------------------------------------------------------------------------------- invoices
def header_values(given: Mapping[str, Any], automatic: set[str]) -> dict[str, Any]:
    """A document's own values as its form shows them. ``automatic`` names those that follow from others."""
    values: dict[str, Any] = {}
    for name in LINKS:
        if name in given and name not in automatic:
            text = str(given[name] or "")
            values[name] = int(text) if text.isdigit() and len(text) < 19 else None
    for name in DATES:
        if given.get(name) and name not in automatic:
            try:
                values[name] = forms.DateField().to_python(given[name])
            except forms.ValidationError as error:
                raise ValidationFailed(fields={name: list(error.messages)}) from None
    if given.get("rate") and given.get("rate_is_manual"):
        values["rate"], values["rate_is_manual"] = str(given["rate"]).replace(marks()["decimal"], "."), True
    if given.get("reference"):
        values["reference"] = str(given["reference"])[:200]
    for name in ("journal", "currency"):
        if values.get(name) is None:
            values.pop(name, None)
    return values


def typed_taxes(given: Any) -> dict[str, str]:
    """Taxes typed on a bill by group, as the script keeps them: ``{"7": {"amount": "21.00", "base": "100.00"}}``."""
    if not isinstance(given, Mapping):
        return {}
    return {
        str(key): str(typed["amount"])
        for key, typed in given.items()
        if isinstance(typed, Mapping) and typed.get("amount") not in (None, "")
    }


@require_POST
def invoice_preview(request: HttpRequest) -> JsonResponse:
    """Totals, due parts, defaults and warnings of a document with unsaved lines. The number of queries is constant."""
    actor = actor_of(request)
    try:
        body = body_of(request)
        kind = body.get("type")
        rows = body.get("rows")
        if kind not in InvoiceType.values or not isinstance(rows, list):
            raise ValidationFailed(_("This document cannot be computed."))
        header = body.get("header") if isinstance(body.get("header"), dict) else {}
        values = header_values(header, set(body.get("automatic") or ()))  # type: ignore[arg-type]
        company = body.get("company")
        if isinstance(company, int):
            values["company"] = company
        keys = [str(row.get("key", "")) for row in rows if isinstance(row, dict)]
        lines = [
            {name: value for name, value in row.items() if name not in ("key", "id")}
            for row in rows
            if isinstance(row, dict)
        ]
        typed = typed_taxes(body.get("typed_taxes"))
        if typed and kind in PURCHASE_TYPES:
            values["manual_taxes"] = typed
        if body.get("quick_total"):
            values["quick_total"] = str(body["quick_total"])
        record_pk, moved_from = body.get("record"), body.get("moved_from")
        if isinstance(record_pk, int):
            get_visible(Invoice, record_pk, actor)
        preview = preview_document(
            {**values, "type": kind},
            lines,
            actor=actor,
            record_pk=record_pk if isinstance(record_pk, int) else None,
            moved_from=moved_from if isinstance(moved_from, int) else None,
        )
    except BusinessError as error:
        return refusal(error)
    answer = invoice_answer(preview, keys, kind)
    answer["warnings"] = shown_warnings(preview.warnings, actor)
    if "quick_total" in values or isinstance(moved_from, int):
        answer["rewritten"] = rewritten_lines(preview, keys)
    if "quick_total" in values:
        answer["expected_total"] = localize_input(preview.total)
    return JsonResponse(answer)


def shown_warnings(warnings: Sequence[DocumentWarning], actor: Actor) -> list[dict[str, Any]]:
    """Warnings with links to the documents that they are about. One query when there are any."""
    pks = {pk for warning in warnings for pk in warning.pks}
    found = visible(Invoice, actor).only("pk", "number").in_bulk(pks) if pks else {}
    return [
        {
            "text": warning.text,
            "blocks": warning.blocks,
            "links": [
                {"text": str(found[pk]), "url": record_url(Invoice, pk)} for pk in warning.pks if pk in found
            ],
        }
        for warning in warnings
    ]


def rewritten_lines(preview: DocumentPreview, keys: list[str]) -> dict[str, dict[str, Any]]:
    """What the grid takes over of lines that the server has written anew."""
    return {
        key: {
            "account": line.account_pk,
            "taxes": list(line.tax_pks),
            "quantity": plain_number(line.quantity),
            "unit_price": plain_number(line.unit_price),
            "discount": plain_number(line.discount),
        }
        for key, line in zip(keys, preview.lines, strict=True)
        if line.is_product
    }


def invoice_answer(preview: DocumentPreview, keys: list[str], kind: str) -> dict[str, Any]:
    """A preview as the script of the form takes it: texts for people, plain numbers for cells."""
    currency, record = preview.currency, preview.record
    return {
        "lines": {
            key: {"subtotal": f"{line.subtotal:f}", "total": f"{line.total:f}"}
            for key, line in zip(keys, preview.lines, strict=True)
            if line.is_product
        },
        "decimals": decimals(currency),
        "totals": {
            "untaxed": money(preview.untaxed, currency),
            "groups": [
                {
                    "name": group["name"] or _("Tax"),
                    "amount": money(group["amount"], currency),
                    "base": money(group["base"], currency),
                    "key": str(group["group"] or ""),
                    "plain": str(group["amount"]),
                    "plain_base": str(group["base"]),
                }
                for group in preview.groups
            ],
            "rounding": money(preview.rounding, currency) if preview.rounding else "",
            "total": money(preview.total, currency),
        },
        "parts": [due_part(part, currency) for part in preview.parts]
        if len(preview.parts) > 1 or any("discount_date" in part for part in preview.parts)
        else [],
        "values": {
            "payment_term": record.payment_term_id,
            "fiscal_position": record.fiscal_position_id,
            "currency": record.currency_id,
            "journal": record.journal_id,
            "due_date": localize_input(record.due_date) if record.due_date else "",
            "bank_account": record.bank_account_id,
        },
        "defaults": {"account": preview.default_account, "taxes": list(preview.default_taxes)},
        "is_refund": kind in CREDIT_NOTE_TYPES,
    }


# ------------------------------------------------------------------------------------------------------------ entries
@require_POST
def entry_preview(request: HttpRequest) -> JsonResponse:
    """The tax items that an entry with unsaved items will have."""
    actor = actor_of(request)
    try:
        body = body_of(request)
        rows, company, day = body.get("rows"), body.get("company"), str(body.get("date") or "")
        if not isinstance(rows, list) or not isinstance(company, int):
            raise ValidationFailed(_("This entry cannot be computed."))
        items = tax_items(
            [row for row in rows if isinstance(row, dict)],
            actor=actor,
            company_pk=company,
            date=forms.DateField(required=False).clean(day),
        )
    except forms.ValidationError as error:
        return refusal(ValidationFailed(fields={"date": list(error.messages)}))
    except BusinessError as error:
        return refusal(error)
    accounts = account_labels(actor, {item.account_pk for item in items})
    currency = settings_of(company).company.currency
    return JsonResponse(
        {
            "items": [
                {
                    "name": item.name,
                    "account": accounts.get(item.account_pk, ""),
                    "balance": plain_number(item.balance or Decimal(0)),
                    "amount": money(abs(item.balance or Decimal(0)), currency),
                    "side": _("Debit") if (item.balance or 0) > 0 else _("Credit"),
                }
                for item in items
            ]
        }
    )


def due_part(part: Mapping[str, Any], currency: Any) -> dict[str, str]:
    """One due part in words."""
    shown = {"date": _day(part["date"]), "amount": money(Decimal(part["amount"]), currency), "discount": ""}
    if part.get("discount_date"):
        shown["discount"] = _("%(amount)s until %(date)s") % {
            "amount": money(Decimal(part["discount_amount"]), currency),
            "date": _day(part["discount_date"]),
        }
    return shown


def _day(text: str) -> str:
    return date_format(datetime.date.fromisoformat(text), "SHORT_DATE_FORMAT")


# ---------------------------------------------------------------------------------------------------------------- taxes
def _decimal(text: Any, otherwise: Decimal = Decimal(0)) -> Decimal:
    try:
        value = Decimal(str(text or "").replace(" ", "").replace(",", "."))
    except InvalidOperation:
        raise ValidationFailed(_("“%(text)s” is not a number.") % {"text": text}) from None
    return value if str(text or "").strip() else otherwise


def _rows(data: Any, prefix: str) -> list[dict[str, Any]]:
    """The rows of an inline as they stand in a form, without those marked for deletion."""
    total = data.get(f"{prefix}-TOTAL_FORMS", "0")
    rows = []
    for place in range(min(int(total), 200) if total.isdigit() else 0):
        start = f"{prefix}-{place}-"
        row = {key[len(start) :]: data.getlist(key) for key in data if key.startswith(start)}
        if row and not row.get("DELETE"):
            rows.append({name: values if name == "tags" else values[0] for name, values in row.items()})
    return rows


@require_POST
def tax_preview(request: HttpRequest) -> JsonResponse:
    """What a tax as it stands in its form makes of 100.00, on an invoice and on a credit note."""
    actor = actor_of(request)
    actor.require(Tax, "view")
    data = request.POST
    try:
        company = settings_of(actor.company_pk).company if actor.company_pk else None
        inclusion = (
            settings_of(actor.company_pk).price_inclusion if actor.company_pk else PriceInclusion.EXCLUDED
        )
        chosen = data.get("price_inclusion") or PriceInclusion.DEFAULT
        included = (inclusion if chosen == PriceInclusion.DEFAULT else chosen) == PriceInclusion.INCLUDED
        shares: dict[str, list[Repartition]] = {"invoice": [], "refund": []}
        for row in _rows(data, "repartition"):
            if row.get("kind") == "tax" and row.get("document") in shares:
                account = str(row.get("account") or "")
                shares[row["document"]].append(
                    Repartition(
                        _decimal(row.get("percent"), HUNDRED), int(account) if account.isdigit() else None
                    )
                )
        pks = [int(pk) for pk in data.getlist("children") if pk.isdigit()]
        seen = set(visible(Tax, actor).filter(pk__in=pks).values_list("pk", flat=True))
        spec = TaxSpec(
            pk=0,
            name=data.get("name") or _("Tax"),
            amount_type=data.get("amount_type") or "percent",  # type: ignore[arg-type]
            amount=_decimal(data.get("amount")),
            price_include=included,
            include_base_amount=bool(data.get("include_base_amount")),
            children=tuple(tax_specs(seen).values()),
            invoice_repartition=tuple(shares["invoice"]),
            refund_repartition=tuple(shares["refund"]),
        )
        currency = company.currency if company is not None else None
        step = currency.rounding if currency is not None else Decimal("0.01")
        examples = [_example(spec, step, currency, is_refund=refund) for refund in (False, True)]
    except TaxError as error:
        return refusal(error)
    except BusinessError as error:
        return refusal(error)
    html = render_to_string("accounting/tax_preview.html", {"examples": examples}, request=request)
    return JsonResponse({"html": html})


def _example(spec: TaxSpec, step: Decimal, currency: Any, *, is_refund: bool) -> dict[str, Any]:
    line = TaxLine(0, Decimal(1), HUNDRED, taxes=(spec,))
    totals = compute_document([line], step=step, rounding="line", is_refund=is_refund)
    return {
        "title": _("Credit note") if is_refund else _("Invoice"),
        "untaxed": money(totals.untaxed, currency),
        "rows": [
            {
                "name": row.tax.name,
                "share": number(row.repartition.percent),
                "amount": money(row.amount, currency),
            }
            for row in totals.rows
        ],
        "total": money(totals.total, currency),
    }


# ---------------------------------------------------------------------------------------------------------------- terms
@require_POST
def term_preview(request: HttpRequest) -> JsonResponse:
    """Payment terms in words, and what they make of an invoice of 1,000.00 of today."""
    actor = actor_of(request)
    actor.require(PaymentTerm, "view")
    data = request.POST
    try:
        lines = [
            TermLine(
                row.get("value") or "percent",
                _decimal(row.get("amount")),
                _whole(row.get("days")),
                row.get("delay") or "days_after",
                _whole(row.get("day")),
            )
            for row in _rows(data, "lines")
        ]
        discount = None
        if data.get("early_discount"):
            discount = EarlyDiscount(
                _decimal(data.get("discount_percent")),
                _whole(data.get("discount_days")),
                data.get("discount_mode") or "included",
            )
        if not lines:
            raise ValidationFailed(_("Add the parts of the terms."))
        check_terms(lines, discount)
        company = settings_of(actor.company_pk).company if actor.company_pk else None
        currency = company.currency if company is not None else None
        step = currency.rounding if currency is not None else Decimal("0.01")
        today = datetime.date.today()  # noqa: DTZ011 - an example for the reader, no booking
        parts = instalments(Decimal(1000), Decimal(1000), lines, today, step, step, discount=discount)
    except InvalidTerms as error:
        return refusal(error)
    except BusinessError as error:
        return refusal(error)
    context = {
        "texts": describe(lines, discount),
        "parts": [
            {
                "date": date_format(part.date, "SHORT_DATE_FORMAT"),
                "amount": money(part.amount, currency),
                "discount": _("%(amount)s until %(date)s")
                % {
                    "amount": money(part.discount_amount, currency),
                    "date": date_format(part.discount_date, "SHORT_DATE_FORMAT"),
                }
                if part.discount_date
                else "",
            }
            for part in parts
        ],
    }
    return JsonResponse({"html": render_to_string("accounting/term_preview.html", context, request=request)})


def _whole(text: Any) -> int:
    text = str(text or "").strip()
    if text and not text.isdigit():
        raise ValidationFailed(_("“%(text)s” is not a number.") % {"text": text})
    return min(int(text or 0), 32_000)
