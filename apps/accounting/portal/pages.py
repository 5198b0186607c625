"""Portal pages of customers and vendors: their invoices and bills, what is overdue, downloads.

Which documents these are is said by the record rule: those of the reader's whole organisation. A link with the document's
own token opens that one document.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.db.models import F, Q
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import path, re_path
from django.utils import timezone
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from apps.accounting.constants import CREDIT_NOTE_TYPES, EntryState
from apps.accounting.models import Invoice
from apps.accounting.portal.downloads import download_attachments, download_documents
from apps.accounting.reports.invoice import invoice_sheets
from apps.accounting.selectors.portal import (
    BILLS,
    INVOICES,
    badge_of,
    is_late,
    is_signed,
    next_payment,
    overdue_condition,
    overdue_groups,
    portal_invoices,
    portal_rows,
    time_to_due,
)
from apps.core.actor import Actor
from apps.core.errors import NotVisible
from apps.core.money import format_money
from apps.portal.base import (
    Choice,
    Crumb,
    PortalList,
    SearchIn,
    Sort,
    actor_of,
    document_page,
    open_document,
    portal_page,
    register_portal_url,
    see_other,
    show_list,
)

INVOICE_DOCUMENT = "accounting.invoice"
LIST = "/my/invoices"

register_portal_url("accounting.invoice", lambda invoice: f"{LIST}/{invoice.pk}")


# ---------------------------------------------------------------------------------------------------------------- list
def _filters(actor: Actor) -> dict[str, Choice]:
    return {
        "all": Choice(gettext_lazy("All")),
        "overdue_invoices": Choice(gettext_lazy("Overdue"), overdue_condition(timezone.localdate())),
        "invoices": Choice(gettext_lazy("Invoices"), INVOICES),
        "bills": Choice(gettext_lazy("Bills"), BILLS),
    }


DOCUMENTS = PortalList(
    key="invoices",
    title=gettext_lazy("Invoices and bills"),
    url=LIST,
    template="accounting/portal/invoices.html",
    rows=portal_invoices,
    sorts={
        "date": Sort(gettext_lazy("Date"), ("-date",)),
        "duedate": Sort(gettext_lazy("Due date"), (F("due_date").desc(nulls_last=True),)),
        "name": Sort(gettext_lazy("Number"), ("-number",)),
        "state": Sort(gettext_lazy("Status"), ("state", "payment_state")),
    },
    filters=_filters,
    searches={
        "number": SearchIn(
            gettext_lazy("Number or reference"),
            lambda text: Q(number__icontains=text) | Q(reference__icontains=text),
        ),
    },
    present=portal_rows,
)


@portal_page()
def invoices_page(request: HttpRequest, page: int = 1) -> HttpResponse:
    groups = overdue_groups(actor_of(request))
    return show_list(request, DOCUMENTS, page=page, context={"overdue": sum(len(g.rows) for g in groups)})


# ------------------------------------------------------------------------------------------------------------ document
@portal_page(public=True)
def invoice_page(request: HttpRequest, pk: int) -> HttpResponseBase:
    rows = Invoice.objects.select_related("company", "currency", "salesperson", "partner")
    invoice, by_token = open_document(request, Invoice, pk, queryset=rows)
    asked = request.GET.get("amount", "")
    if asked and not is_signed(invoice.pk, asked, request.GET.get("payment_token", "")):
        raise NotVisible()
    context: dict[str, Any] = {}
    if not request.GET.get("report_type"):
        context = _shown(invoice, asked)
    return document_page(
        request,
        "accounting/portal/invoice.html",
        invoice,
        context,
        by_token=by_token,
        crumbs=(Crumb(DOCUMENTS.title, LIST), Crumb(str(context.get("title", "")))),
        report=INVOICE_DOCUMENT,
        list_key="invoices",
    )


def _shown(invoice: Invoice, asked: str) -> dict[str, Any]:
    """What the page says about a document: the document itself, and how it stands today."""
    today, language = timezone.localdate(), get_language() or "en"
    (sheet,) = invoice_sheets([invoice.pk])

    def money(amount: Decimal) -> str:
        return format_money(amount, language=language, currency=invoice.currency)

    posted = invoice.state == EntryState.POSTED
    due = next_payment(invoice, today)
    waiting = posted and invoice.residual_amount and invoice.due_date and not due
    return {
        "title": f"{sheet.title} {sheet.number}".strip(),
        "invoice": invoice,
        "sheet": sheet,
        "badge": badge_of(invoice),
        "posted": posted,
        "refund": invoice.type in CREDIT_NOTE_TYPES,
        "total": money(invoice.total_amount),
        "paid": money(invoice.total_amount - invoice.residual_amount)
        if posted and invoice.residual_amount != invoice.total_amount
        else "",
        "left": money(invoice.residual_amount) if posted else "",
        "late": is_late(invoice, today),
        "due_in": time_to_due(invoice.due_date, today) if waiting and invoice.due_date else "",
        "payment": due,
        "payment_amount": money(due.amount) if due else "",
        "payment_in": time_to_due(due.day, today) if due and due.day else "",
        "asked": asked,
    }


# ------------------------------------------------------------------------------------------------------------- overdue
@portal_page(public=True)
def overdue_page(request: HttpRequest) -> HttpResponseBase:
    """Everything that the reader should have paid, with sums. One payment can settle it only when all of it is owed to one
    company in one currency; else the page says why not, and shows each sum for itself."""
    actor = actor_of(request)
    if actor.user_pk is None:
        raise NotVisible()
    groups = overdue_groups(actor)
    if not groups:
        return see_other(LIST)
    today, language = timezone.localdate(), get_language() or "en"
    problem = ""
    if len({group.company for group in groups}) > 1:
        problem = _("These invoices are of different companies. They cannot be paid in one payment.")
    elif len(groups) > 1:
        problem = _("These invoices are in different currencies. They cannot be paid in one payment.")
    shown = [
        {
            "company": group.company,
            "total": format_money(group.total, language=language, currency=group.currency),
            "left": format_money(group.left, language=language, currency=group.currency),
            "rows": [
                {
                    "invoice": row,
                    "since": time_to_due(row.due_date, today) if row.due_date else "",
                    "left": format_money(row.residual_amount, language=language, currency=group.currency),
                }
                for row in group.rows
            ],
        }
        for group in groups
    ]
    title = _("Overdue invoices")
    return render(
        request,
        "accounting/portal/overdue.html",
        {
            "title": title,
            "crumbs": (Crumb(DOCUMENTS.title, LIST), Crumb(title)),
            "groups": shown,
            "problem": problem,
            "keys": ",".join(str(row.pk) for group in groups for row in group.rows),
        },
    )


urlpatterns = [
    path("my/invoices", invoices_page, name="portal-invoices"),
    path("my/invoices/page/<int:page>", invoices_page),
    path("my/invoices/overdue", overdue_page, name="portal-invoices-overdue"),
    path("my/invoices/<int:pk>", invoice_page, name="portal-invoice"),
    re_path(
        r"^account/download_invoice_documents/(?P<pks>[0-9,]+)(?:/(?P<filetype>[a-z]+))?$", download_documents
    ),
    re_path(r"^account/download_invoice_attachments/(?P<pks>[0-9,]+)$", download_attachments),
]
