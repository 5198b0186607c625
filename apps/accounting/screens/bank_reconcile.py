"""Explaining bank movements by keyboard: what waits in a journal, a panel with proposals and their reasons, and what is left.

The page and its panels are made here, the choice is kept by the script, and the server works out what it leaves; accepting,
undoing and doing all that is certain are the actions of statement lines.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from apps.accounting.models import (
    Invoice,
    Journal,
    JournalEntry,
    JournalItem,
    Payment,
    ReconcileRule,
    StatementLine,
)
from apps.accounting.screens.grids import page_config
from apps.accounting.screens.money import decimals, language_of, money, number
from apps.accounting.screens.previews import body_of, refusal
from apps.accounting.selectors.bank_matching import Proposal, certain_one, proposals_for
from apps.accounting.selectors.bank_screen import (
    PAGE,
    explaining_items,
    items_by_key,
    items_to_match,
    screen_lines,
    waiting_journals,
)
from apps.accounting.selectors.screens import account_choices, account_labels, partner_labels, tax_choices
from apps.accounting.selectors.setup import company_line_of, settings_of
from apps.accounting.selectors.statements import OpenAmount, open_amounts
from apps.accounting.services.bank_previews import LinePreview, preview_reconcile
from apps.accounting.services.bank_reconcile import reconcile, undo
from apps.accounting.services.bank_rules import start_matching
from apps.backoffice.base import actor_of, record_url, site
from apps.contacts.models import Partner
from apps.core.actor import Actor
from apps.core.errors import BusinessError, Conflict, NotVisible, ValidationFailed
from apps.core.models import Currency
from apps.core.money import InvalidAmount, parse_amount, plain_number
from apps.core.rules import get_visible, visible

SCREEN = "admin:accounting_bank"
MOST_PROPOSALS = 8


# ------------------------------------------------------------------------------------------------------------- the page
@require_GET
def bank_page(request: HttpRequest) -> HttpResponseBase:
    """Movements of a journal that wait (``done``: that are explained), beside the panel of one of them."""
    actor = actor_of(request)
    actor.require(StatementLine, "view")
    may = actor.can(StatementLine, "reconcile")
    waiting = waiting_journals(actor)
    wanted = _key(request.GET.get("journal", ""))
    if wanted is None:
        wanted = next((w.journal.pk for w in waiting if w.count), waiting[0].journal.pk if waiting else None)
    current = next((w for w in waiting if w.journal.pk == wanted), None)
    if wanted is not None and current is None:
        raise NotVisible()
    done, text = "done" in request.GET, request.GET.get("q", "").strip()[:100]
    context: dict[str, Any] = {
        **site.each_context(request),
        "title": _("Bank reconciliation"),
        "journals": [
            {
                "url": f"{reverse(SCREEN)}?journal={w.journal.pk}",
                "name": w.journal.name,
                "count": w.count,
                "current": w is current,
            }
            for w in waiting
        ],
        "may": may,
        "done": done,
        "q": text,
        "current": current,
    }
    if current is not None:
        context |= _lines_of(request, actor, current.journal, text=text, done=done)
        currency = current.journal.currency or current.journal.company.currency
        context |= {
            "open_sum": money(current.amount, currency),
            "config": _config(actor, current.journal, may=may and not done),
            "import_url": f"{reverse('admin:accounting_bank_import')}?journal={current.journal.pk}",
            "may_import": actor.can(StatementLine, "add"),
            "rules_url": reverse("admin:accounting_reconcilerule_changelist")
            if actor.can(ReconcileRule, "view")
            else "",
        }
    return TemplateResponse(request, "accounting/bank_reconcile.html", context)


def _lines_of(request: HttpRequest, actor: Actor, journal: Any, *, text: str, done: bool) -> dict[str, Any]:
    rows = screen_lines(actor, journal.pk, text=text, amount=_amount(text), done=done)
    count = rows.count()
    page = min(max(1, _key(request.GET.get("p", "1")) or 1), max(1, -(-count // PAGE)))
    lines = list(rows[(page - 1) * PAGE : page * PAGE])
    chosen = _key(request.GET.get("line", ""))
    if chosen is not None and chosen not in {line.pk for line in lines}:
        line = rows.filter(pk=chosen).first()
        lines = [line, *lines] if line is not None else lines
    found = {} if done else proposals_for(lines, actor=actor)
    first = next((line for line in lines if line.pk == chosen), lines[0] if lines else None)
    kept = {"journal": journal.pk} | ({"done": 1} if done else {}) | ({"q": text} if text else {})
    return {
        "lines": [_listed(line, found.get(line.pk, ()), line is first) for line in lines],
        "certain": sum(1 for line in lines if certain_one(found.get(line.pk, ())) is not None),
        "count": count,
        "panel": _panel(first, actor) if first is not None else "",
        "pages": [
            (title, f"?{urlencode({**kept, 'p': number})}")
            for title, number in ((_("Earlier page"), page - 1), (_("Next page"), page + 1))
            if 1 <= number <= -(-count // PAGE)
        ],
        "open_url": f"?{urlencode({'journal': journal.pk})}",
        "done_url": f"?{urlencode({'journal': journal.pk, 'done': 1})}",
    }


def _listed(line: StatementLine, found: Sequence[Proposal], current: bool) -> dict[str, Any]:
    sure = certain_one(found)
    best = sure or (found[0] if found else None)
    return {
        "pk": line.pk,
        "who": str(line.partner) if line.partner else line.partner_name or line.label or line.reference,
        "label": line.label,
        "date": date_format(line.date, "SHORT_DATE_FORMAT"),
        "amount": money(line.amount, _own_currency(line)),
        "negative": line.amount < 0,
        "why": best.reason if best is not None else "",
        "certain": sure is not None,
        "current": current,
    }


def _config(actor: Actor, journal: Any, *, may: bool) -> dict[str, Any]:
    """What the script needs; the accounts only for those who may use them."""
    settings = settings_of(journal.company_id)
    accounts, complete = account_choices(actor, company_line_of(settings)) if may else ([], True)
    finder = reverse("admin:autocomplete")
    urls = {name: reverse(f"{SCREEN}_{name}") for name in ("panel", "items", "preview", "match", "undo")}
    config = page_config(
        urls=urls,
        accounts=accounts,
        accountsComplete=complete,
        accountsUrl=f"{finder}?target=accounting.account",
        partnersUrl=f"{finder}?target=contacts.partner",
        decimals=decimals(journal.currency or settings.company.currency),
        may=may,
        bankWords={
            "account": _("Choose the account."),
            "amount": _("This is no amount."),
            "partner": _("Choose the partner."),
            "failed": _("The server could not be reached. Try again."),
        },
    )
    config["words"]["undo"] = _("Undo")
    return config


# ------------------------------------------------------------------------------------------------------------ the panel
@require_GET
def bank_panel(request: HttpRequest) -> HttpResponseBase:
    """The panel of one line, to be put beside the list."""
    actor = actor_of(request)
    try:
        return HttpResponse(_panel(_line(request.GET.get("line", ""), actor), actor))
    except BusinessError as error:
        return refusal(error)


def _panel(line: StatementLine, actor: Actor) -> str:
    may = actor.can(StatementLine, "reconcile") and not line.reconciled
    left = open_amounts([line.pk])[line.pk]
    currency = _own_currency(line)
    context: dict[str, Any] = {
        "line": line,
        "who": str(line.partner) if line.partner else line.partner_name,
        "amount": money(line.amount, currency),
        "foreign": money(line.foreign_amount, line.foreign_currency) if line.foreign_currency_id else "",
        "date": date_format(line.date, "DATE_FORMAT"),
        "url": record_url(line),
        "entry_url": record_url(JournalEntry, line.entry_id) if line.entry_id else "",
        "may": may,
        "explained": [
            _explained(item) for items in explaining_items(actor, [line]).values() for item in items
        ],
        "may_undo": actor.can(StatementLine, "reconcile"),
    }
    if may:
        found = proposals_for([line], actor=actor, most=MOST_PROPOSALS, buttons=True).get(line.pk, [])
        settings = settings_of(line.company_id)
        partner_pk = next((p.partner_pk for p in found if p.partner_pk), line.partner_id)
        context |= {
            "proposals": _proposals(found, actor),
            "items": _items(items_to_match(actor, line, left, partner_pk=partner_pk), left, ()),
            "taxes": tax_choices(actor, company_line_of(settings)),
            "preview": _parts(preview_reconcile(line, actor=actor)),
            "partner": partner_pk or "",
            "partner_name": partner_labels(actor, {partner_pk} if partner_pk else set()).get(
                partner_pk or 0, ""
            ),
        }
    return render_to_string("accounting/includes/bank_panel.html", context)


def _explained(item: JournalItem) -> dict[str, Any]:
    return {
        "account": str(item.account),
        "partner": str(item.partner) if item.partner else "",
        "number": str(item.entry),
        "url": record_url(JournalEntry, item.entry_id),
        "name": item.name,
        "amount": money(-item.amount_currency, item.currency),
    }


def _proposals(found: Sequence[Proposal], actor: Actor) -> list[dict[str, Any]]:
    """Proposals with what they hold, in words and as the script sends them back. Two queries."""
    items = items_by_key(actor, {pk for proposal in found for pk in proposal.items})
    accounts = account_labels(actor, {proposal.account_pk for proposal in found if proposal.account_pk})
    shown = []
    for place, proposal in enumerate(found, 1):
        write_offs = []
        if proposal.account_pk is not None:
            amount = None if proposal.amount is None else plain_number(proposal.amount)
            write_offs = [{"account": proposal.account_pk, "amount": amount, "label": proposal.label}]
        texts = [
            f"{items[pk].entry} · {money(items[pk].residual_currency, items[pk].currency)}"
            for pk in proposal.items
            if pk in items
        ]
        if proposal.account_pk is not None:
            texts.append(accounts.get(proposal.account_pk, ""))
        choice = {
            "items": list(proposal.items),
            "payments": list(proposal.payments),
            "write_offs": write_offs,
            "partner": proposal.partner_pk,
        }
        shown.append(
            {
                "place": place,
                "reason": proposal.reason,
                "texts": texts[:6],
                "more": max(0, len(texts) - 6),
                "certain": proposal.certain or proposal.auto,
                "choice": json.dumps(choice),
            }
        )
    return shown


@require_GET
def bank_items(request: HttpRequest) -> HttpResponseBase:
    """Open items that a search finds, to be ticked."""
    actor = actor_of(request)
    try:
        line = _line(request.GET.get("line", ""), actor)
        left = open_amounts([line.pk])[line.pk]
        text = request.GET.get("q", "").strip()[:100]
        picked = {pk for pk in map(_key, request.GET.get("picked", "").split(",")) if pk is not None}
        rows = items_to_match(
            actor,
            line,
            left,
            text=text,
            amount=_amount(text),
            partner_pk=_key(request.GET.get("partner", "")),
        )
        shown = _items(rows, left, picked)
    except BusinessError as error:
        return refusal(error)
    return HttpResponse(render_to_string("accounting/includes/bank_items.html", {"items": shown}))


def _items(rows: Sequence[JournalItem], left: OpenAmount, picked: Collection[int]) -> list[dict[str, Any]]:
    sign = 1 if left.company > 0 else -1
    return [
        {
            "pk": item.pk,
            "number": str(item.entry),
            "url": record_url(Invoice, item.entry.invoice_id)
            if item.entry.invoice_id
            else record_url(JournalEntry, item.entry_id),
            "who": str(item.partner) if item.partner else item.account.name,
            "date": date_format(item.date, "SHORT_DATE_FORMAT"),
            "due": date_format(item.date_maturity, "SHORT_DATE_FORMAT") if item.date_maturity else "",
            "amount": money(item.residual_currency * sign, item.currency),
            "company": money(item.residual * sign, item.company.currency)
            if item.currency_id != item.company.currency_id
            else "",
            "picked": item.pk in picked,
        }
        for item in rows
    ]


# ------------------------------------------------------------------------------------------------------------ the choice
def _choice(body: Mapping[str, Any], actor: Actor) -> dict[str, Any]:
    """The inputs of the action, as a script sent them: keys become records that the actor can see."""
    items, payments = _keys(body, "items"), _keys(body, "payments")
    held = items_by_key(actor, items)
    promised = visible(Payment, actor).in_bulk(payments) if payments else {}
    if len(held) < len(items) or len(promised) < len(payments):
        raise ValidationFailed(_("An item that was chosen is not there any more; load the page again."))
    partner = None
    if body.get("partner") is not None:
        partner = get_visible(Partner, body["partner"], actor)
    write_offs, amounts = body.get("write_offs") or [], body.get("amounts") or {}
    if not isinstance(write_offs, list) or not all(isinstance(row, dict) for row in write_offs):
        raise ValidationFailed(_("This is not JSON."))
    if not isinstance(amounts, dict):
        raise ValidationFailed(_("This is not JSON."))
    return {
        "items": [held[pk] for pk in items],
        "amounts": {key: value for key, value in amounts.items() if str(value or "").strip()},
        "payments": [promised[pk] for pk in payments],
        "write_offs": write_offs,
        "partner": partner,
        "rest_to_partner": bool(body.get("rest_to_partner")),
    }


def _keys(body: Mapping[str, Any], name: str) -> list[int]:
    given = body.get(name) or []
    if not isinstance(given, list) or not all(isinstance(pk, int) and pk < 2**63 for pk in given):
        raise ValidationFailed(_("This is not JSON."))
    return list(dict.fromkeys(given))


@require_POST
def bank_preview(request: HttpRequest) -> JsonResponse:
    """What the choice would make of the line, and what it leaves. A choice that cannot be is an answer, too: ``refused``."""
    actor = actor_of(request)
    try:
        body = body_of(request)
        line = _line(body.get("line"), actor)
        choice = _choice(body, actor)
        try:
            preview = preview_reconcile(line, actor=actor, **choice)
        except (ValidationFailed, Conflict) as error:
            return JsonResponse({"refused": _said(error)})
    except BusinessError as error:
        return refusal(error)
    shown = _parts(preview)
    return JsonResponse(
        {
            "html": render_to_string("accounting/includes/bank_parts.html", {"preview": shown}),
            "complete": shown["complete"],
            "ready": bool(preview.parts),
        }
    )


def _said(error: BusinessError) -> str:
    texts = [text for found in error.fields.values() for text in found]
    return " ".join(texts) if texts else error.message


def _parts(preview: LinePreview) -> dict[str, Any]:
    return {
        "left": money(preview.left, preview.currency),
        "amount": money(preview.amount, preview.currency),
        "complete": not preview.left,
        "parts": [
            {
                "account": str(part.account),
                "partner": str(part.partner) if part.partner else "",
                "number": str(part.item.entry) if part.item is not None else "",
                "label": part.label,
                "item": part.item.pk if part.item is not None else None,
                "payment": part.payment_pk,
                "write_off": part.write_off,
                "amount": money(part.amount, preview.currency),
                "plain": number(abs(part.amount), decimals(preview.currency)),
                "taxes": money(part.taxes, preview.currency) if part.taxes else "",
                "rest": part.item is None and part.write_off is None and part.payment_pk is None,
            }
            for part in preview.parts
        ],
    }


@require_POST
def bank_match(request: HttpRequest) -> JsonResponse:
    """Reconcile the line as it was chosen."""
    actor = actor_of(request)
    try:
        body = body_of(request)
        line = _line(body.get("line"), actor)
        inputs = {name: value or None for name, value in _choice(body, actor).items()}
        inputs["rest_to_partner"] = bool(inputs["rest_to_partner"])
        answer = reconcile([line.pk], actor=actor, **inputs)
    except BusinessError as error:
        return refusal(error)
    left = Decimal(answer["left"][str(line.pk)])
    text = _("“%(line)s” is reconciled.") if not left else _("“%(line)s” is reconciled in part.")
    return JsonResponse({"message": text % {"line": _short(line)}, "complete": not left})


@require_POST
def bank_undo(request: HttpRequest) -> JsonResponse:
    """Take back what explains a line."""
    actor = actor_of(request)
    try:
        line = _line(body_of(request).get("line"), actor)
        undo([line.pk], actor=actor)
    except BusinessError as error:
        return refusal(error)
    where = f"{reverse(SCREEN)}?{urlencode({'journal': line.journal_id, 'line': line.pk})}"
    return JsonResponse({"message": _("“%(line)s” waits again.") % {"line": _short(line)}, "url": where})


@require_POST
def bank_batch(request: HttpRequest) -> HttpResponseBase:
    """All lines of a journal whose proposal is certain, in the background; the run's page tells what became of each."""
    actor = actor_of(request)
    journal = get_visible(Journal, _key(request.POST.get("journal", "")) or 0, actor)
    run = start_matching(journal, actor=actor)
    messages.info(request, _("This runs in the background; its page shows what becomes of each movement."))
    return HttpResponseRedirect(record_url(run) or f"{reverse(SCREEN)}?{urlencode({'journal': journal.pk})}")


# --------------------------------------------------------------------------------------------------------------- helpers
def _line(given: Any, actor: Actor) -> StatementLine:
    key = given if isinstance(given, int) else _key(str(given or ""))
    found = None
    if key is not None and key < 2**63:
        rows = visible(StatementLine, actor).filter(pk=key)
        found = rows.select_related(
            "company__currency", "journal__currency", "partner", "foreign_currency", "statement", "entry"
        ).first()
    if found is None:
        raise NotVisible()
    return found


def _own_currency(line: StatementLine) -> Currency:
    return line.journal.currency or line.company.currency


def _short(line: StatementLine) -> str:
    return (line.label or line.partner_name or line.reference)[:60] or str(line.pk)


def _key(text: str) -> int | None:
    return int(text) if text.isdigit() and len(text) < 19 else None


def _amount(text: str) -> Decimal | None:
    """What is searched for as an amount, if it is one."""
    try:
        found = parse_amount(text, language=language_of()) if text else None
    except InvalidAmount:
        return None
    return found if found is not None and abs(found) < Decimal(10) ** 15 else None
