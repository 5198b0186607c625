"""The accountant's first page: a card for each journal, every figure leading to what it counts."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.accounting.constants import BANK_LIKE, InvoiceType, JournalType
from apps.accounting.models import BankStatement, Invoice, JournalEntry, JournalItem, Payment, StatementLine
from apps.accounting.screens.money import money
from apps.accounting.selectors.locks import today_of
from apps.accounting.selectors.screens import JournalFigures, journal_figures
from apps.backoffice.base import Card, CardLine, actor_of, collect_cards, site
from apps.core.actor import Actor

ICONS = {
    JournalType.SALE: "sell",
    JournalType.PURCHASE: "shopping_cart",
    JournalType.CASH: "payments",
    JournalType.BANK: "account_balance",
    JournalType.CREDIT: "credit_card",
    JournalType.GENERAL: "book_2",
}
TRADE = {JournalType.SALE: InvoiceType.CUSTOMER_INVOICE, JournalType.PURCHASE: InvoiceType.VENDOR_BILL}


def dashboard_page(request: HttpRequest) -> HttpResponseBase:
    """Drafts to validate, unpaid, late, and balances by journal."""
    actor = actor_of(request)
    actor.require(JournalItem, "view")
    on = today_of(actor)
    cards = [journal_card(figures, actor, on.isoformat()) for figures in journal_figures(actor, on)]
    context = {**site.each_context(request), "title": _("Accounting"), "cards": cards}
    return TemplateResponse(request, "accounting/dashboard.html", context)


def _list(model: Any, **filters: Any) -> str:
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    return f"{address}?{urlencode(filters)}"


def journal_card(figures: JournalFigures, actor: Actor, on: str) -> dict[str, Any]:
    """One journal with its lines (text, note, address, tone) and its buttons."""
    journal = figures.journal
    currency = journal.company.currency
    lines: list[CardLine] = []
    buttons: list[tuple[str, str]] = []
    own = {"journal__id__exact": journal.pk}
    if journal.type in TRADE:
        sign = -1 if journal.type == JournalType.PURCHASE else 1

        def line(count: int, words: str, amount: Any, tone: str = "", **filters: Any) -> CardLine:
            return CardLine(
                words % {"n": count}, _list(Invoice, **own, **filters), money(sign * amount, currency), tone
            )

        if figures.drafts:
            words = ngettext("%(n)s draft to validate", "%(n)s drafts to validate", figures.drafts)
            lines.append(line(figures.drafts, words, figures.drafts_amount, state__exact="draft"))
        if figures.open:
            words = ngettext("%(n)s unpaid", "%(n)s unpaid", figures.open)
            unpaid = {"state__exact": "posted", "residual_amount__gt": "0"}
            lines.append(line(figures.open, words, figures.open_amount, **unpaid))
        if figures.late:
            words = ngettext("%(n)s late", "%(n)s late", figures.late)
            late = {"state__exact": "posted", "residual_amount__gt": "0", "due_date__lt": on}
            lines.append(line(figures.late, words, figures.late_amount, "danger", **late))
        if actor.can(Invoice, "add"):
            kind = TRADE[JournalType(journal.type)]
            buttons.append(
                (
                    _("New: %(kind)s") % {"kind": kind.label},
                    f"{reverse('admin:accounting_invoice_add')}?type={kind}",
                )
            )
    elif journal.type in BANK_LIKE:
        if figures.balance is not None:
            account = journal.default_account_id
            ledger = f"{reverse('admin:accounting_general_ledger')}?{urlencode({'account': account})}"
            lines.append(CardLine(_("Balance"), ledger, money(figures.balance, currency)))
        if figures.unreconciled:
            words = ngettext("%(n)s movement to explain", "%(n)s movements to explain", figures.unreconciled)
            url = f"{reverse('admin:accounting_bank')}?{urlencode({'journal': journal.pk})}"
            lines.append(CardLine(words % {"n": figures.unreconciled}, url, "", "warning"))
            if actor.can(StatementLine, "reconcile"):
                buttons.append((_("Reconcile"), url))
        if actor.can(Payment, "view"):
            lines.append(CardLine(_("Payments"), _list(Payment, **own)))
        if actor.can(BankStatement, "add"):
            url = f"{reverse('admin:accounting_bank_import')}?{urlencode({'journal': journal.pk})}"
            buttons.append((_("Import a file"), url))
    if figures.draft_entries and journal.type not in TRADE:
        words = ngettext("%(n)s draft entry", "%(n)s draft entries", figures.draft_entries)
        url = _list(JournalEntry, **own, state__exact="draft")
        lines.append(CardLine(words % {"n": figures.draft_entries}, url))
    if journal.type == JournalType.GENERAL and actor.can(JournalEntry, "add"):
        buttons.append(
            (_("New entry"), f"{reverse('admin:accounting_journalentry_add')}?journal={journal.pk}")
        )
    return {
        "key": f"journal-{journal.pk}",
        "title": journal.name,
        "icon": ICONS.get(JournalType(journal.type), "book_2"),
        "url": _list(Invoice, **own) if journal.type in TRADE else _list(JournalEntry, **own),
        "lines": lines,
        "buttons": buttons,
    }


@collect_cards.register
def late_card(*, actor: Actor) -> Card | None:
    """On everybody's first page: what is late to be paid, for those who work with documents."""
    if not actor.can(Invoice, "pay"):
        return None
    on = today_of(actor)
    found = [f for f in journal_figures(actor, on) if f.journal.type in TRADE and (f.late or f.drafts)]
    lines = []
    for figures in found:
        card = journal_card(figures, actor, on.isoformat())
        lines += [
            CardLine(f"{card['title']}: {line.text}", line.url, line.note, line.tone)
            for line in card["lines"]
        ]
    try:
        url = reverse("admin:accounting_dashboard")
    except NoReverseMatch:
        url = ""
    return Card(
        key="accounting.documents",
        title=_("Invoices and bills"),
        icon="receipt_long",
        url=url,
        lines=tuple(lines[:8]),
        empty=_("Nothing is late, and no draft waits."),
        sequence=15,
    )
