"""Documents between sister companies: what one company bills the other, the other finds as a draft."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from django.db import transaction

from apps.accounting.constants import MIRROR_OF, EntryState, LineKind
from apps.accounting.models import AccountingSettings, Invoice, InvoiceLine
from apps.accounting.services.invoices import InvoiceService
from apps.contacts.models import Partner
from apps.core.actor import system_actor
from apps.core.money import PRICE_STEP, round_money, round_to
from apps.core.records import service_for

PERCENT = Decimal(100)


def mirror_documents(pks: Iterable[int]) -> list[Invoice]:
    """Draft mirrors of posted documents whose partner is one of our companies; each document is mirrored once.

    Same lines and prices; journal, accounts and taxes are the other company's own defaults, its reference is our number. A mirror
    is never mirrored back. Companies that switched mirroring off, or have no books, get none.
    """
    documents = list(
        Invoice.objects.filter(
            pk__in=list(pks),
            state=EntryState.POSTED,
            mirrored_invoice__isnull=True,
            commercial_partner__represents__isnull=False,
        )
        .exclude(mirrors__isnull=False)
        .select_related("commercial_partner", "currency")
        .order_by("pk")
    )
    if not documents:
        return []
    willing = set(
        AccountingSettings.objects.filter(mirror_invoices=True)
        .exclude(receivable_account__isnull=True)
        .values_list("company_id", flat=True)
    )
    ours = {
        partner.represents_id: partner
        for partner in Partner.objects.filter(represents__in={d.company_id for d in documents})
    }
    made = []
    for document in documents:
        target: Any = document.commercial_partner.represents_id  # type: ignore[union-attr]
        if target not in willing or target == document.company_id or document.company_id not in ours:
            continue
        made.append(_mirror(document, target, ours[document.company_id]))
    return made


def _mirror(document: Invoice, company_pk: int, partner: Partner) -> Invoice:
    with transaction.atomic():
        # Two handlers at once: the second finds the first one's mirror.
        Invoice.objects.select_for_update(no_key=True).get(pk=document.pk)
        existing = Invoice.objects.filter(mirrored_invoice=document).first()
        if existing is not None:
            return existing
        lines = InvoiceLine.objects.filter(invoice=document).order_by("sequence", "pk")
        service = service_for(Invoice)
        assert isinstance(service, InvoiceService)
        values = {
            "company": company_pk,
            "type": MIRROR_OF[document.type],  # type: ignore[index]
            "partner": partner.pk,
            "date": document.date,
            "currency": document.currency_id,
            "reference": document.number,
            "payment_reference": document.payment_reference,
            "origin": document.number,
            "lines": [_line(line, document) for line in lines],
        }
        return service.make(
            [values],
            actor=system_actor(company_pk=company_pk),
            fixed=[{"mirrored_invoice": document.pk}],
        )[0]


def _line(line: InvoiceLine, document: Invoice) -> dict[str, Any]:
    if line.kind != LineKind.PRODUCT:
        return {"kind": line.kind, "description": line.description, "sequence": line.sequence}
    plain = round_money(line.quantity * line.unit_price * (1 - line.discount / PERCENT), document.currency)
    price, discount = line.unit_price, line.discount
    if plain != line.subtotal and line.quantity:  # our price holds tax; theirs decides for itself
        price, discount = round_to(line.subtotal / line.quantity, PRICE_STEP), Decimal(0)
    return {
        "description": line.description,
        "product_code": line.product_code,
        "unit": line.unit,
        "quantity": line.quantity,
        "unit_price": price,
        "discount": discount,
        "sequence": line.sequence,
    }
