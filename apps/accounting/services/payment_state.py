"""What follows from matchings: what is left to pay of documents, their payment state, and the state of payments.

A document is *partly paid* when something is matched and something is left; with nothing left it is *reversed* when only
credit notes (and entries by hand) settled it, *in payment* while a payment is not yet on a bank statement, else *paid*. A
payment without an entry, a promise, makes it *in payment* too. *Blocked* is a person's word and stays until it is paid. A
payment is *paid* when its money on the outstanding account is matched.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from django.db import connection
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.accounting.constants import (
    CREDIT_NOTE_TYPES,
    RECEIVABLE_SIGN,
    EntryState,
    PaymentState,
)
from apps.accounting.events import InvoicePaid
from apps.accounting.models import Invoice, Payment
from apps.accounting.services.joining import joined
from apps.accounting.services.match_rows import Documents
from apps.core.actions import action
from apps.core.actor import Actor
from apps.core.errors import WrongState

DEBITED = sorted(str(kind) for kind, sign in RECEIVABLE_SIGN.items() if sign > 0)
CREDIT_NOTES = sorted(str(kind) for kind in CREDIT_NOTE_TYPES)
SETTLED = frozenset({PaymentState.PAID, PaymentState.IN_PAYMENT, PaymentState.REVERSED})

_INVOICES = """
WITH docs AS MATERIALIZED (
    SELECT v.id, v.journal_entry_id AS entry, v.type, v.currency_id, v.payment_state,
           CASE WHEN v.type = ANY(%(debited)s) THEN 1 ELSE -1 END AS sign
    FROM accounting_invoice v WHERE v.id = ANY(%(pks)s::bigint[]) AND v.state = 'posted'
), terms AS MATERIALIZED (
    SELECT d.id AS doc, i.id AS item, i.residual, i.residual_currency
    FROM docs d JOIN accounting_journalitem i ON i.entry_id = d.entry AND i.kind = 'payment_term'
), rest AS (
    SELECT doc, sum(residual) AS company, sum(residual_currency) AS own FROM terms GROUP BY doc
), met AS MATERIALIZED (
    SELECT t.doc, x.other FROM terms t CROSS JOIN LATERAL (
        SELECT credit_item_id AS other FROM accounting_partialmatch WHERE debit_item_id = t.item
        UNION ALL SELECT debit_item_id FROM accounting_partialmatch WHERE credit_item_id = t.item
    ) AS x
), seen AS (
    SELECT m.doc, bool_or(p.id IS NOT NULL OR e.origin = 'statement') AS by_money,
           bool_or(p.id IS NOT NULL AND p.state <> 'paid') AS waiting,
           bool_or(coalesce(r.type = ANY(%(credit_notes)s), e.reversal_of_id IS NOT NULL)) AS taken_back,
           bool_or(coalesce(NOT r.type = ANY(%(credit_notes)s), false)) AS against_documents
    FROM met m JOIN accounting_journalitem o ON o.id = m.other
    JOIN accounting_journalentry e ON e.id = o.entry_id
    LEFT JOIN accounting_payment p ON p.id = e.payment_id
    LEFT JOIN accounting_invoice r ON r.id = e.invoice_id
    GROUP BY m.doc
), promised AS (
    SELECT d.id AS doc, sum(CASE WHEN p.currency_id = d.currency_id THEN p.amount ELSE 'infinity' END) AS amount
    FROM docs d JOIN accounting_payment_invoices l ON l.invoice_id = d.id
    JOIN accounting_payment p ON p.id = l.payment_id
    WHERE p.journal_entry_id IS NULL AND p.state IN ('in_process', 'paid') GROUP BY d.id
), news AS (
    SELECT d.id, d.sign * coalesce(rest.own, 0) AS own, coalesce(rest.company, 0) AS company,
        CASE
            WHEN coalesce(rest.own, 0) <> 0 OR coalesce(rest.company, 0) <> 0 THEN CASE
                WHEN d.payment_state = 'blocked' THEN 'blocked'
                WHEN promised.amount >= d.sign * rest.own THEN 'in_payment'
                WHEN seen.doc IS NOT NULL OR promised.doc IS NOT NULL THEN 'partial'
                ELSE 'not_paid' END
            WHEN seen.waiting THEN 'in_payment'
            WHEN seen.by_money THEN 'paid'
            WHEN seen.taken_back AND NOT seen.against_documents AND NOT d.type = ANY(%(credit_notes)s) THEN 'reversed'
            ELSE 'paid'
        END AS state
    FROM docs d LEFT JOIN rest ON rest.doc = d.id LEFT JOIN seen ON seen.doc = d.id
    LEFT JOIN promised ON promised.doc = d.id
)
UPDATE accounting_invoice v
SET residual_amount = n.own, residual_company = n.company, payment_state = n.state, version = v.version + 1,
    updated_at = %(now)s, updated_by_id = %(user)s
FROM news n
WHERE v.id = n.id
  AND (v.residual_amount, v.residual_company, v.payment_state) IS DISTINCT FROM (n.own, n.company, n.state)
RETURNING v.id, old.payment_state, new.payment_state, new.residual_amount, new.residual_company, new.version, v.number,
    v.type, v.company_id, v.currency_id, v.partner_id
"""

_SETTLED = """
UPDATE accounting_invoice v
SET residual_amount = 0, residual_company = 0, payment_state = 'in_payment', version = v.version + 1,
    updated_at = %(now)s, updated_by_id = %(user)s
WHERE v.id = ANY(%(pks)s::bigint[]) AND v.state = 'posted'
RETURNING v.id, old.payment_state, new.payment_state, new.residual_amount, new.residual_company, new.version, v.number,
    v.type, v.company_id, v.currency_id, v.partner_id
"""

# A payment is paid when nothing is open on what its entry put aside for the bank statement. Its own counterpart, the receivable,
# payable or transfer account, says nothing about the bank.
_PAYMENTS = """
WITH money AS (
    SELECT p.id, bool_or(i.residual <> 0 OR i.residual_currency <> 0) AS open
    FROM accounting_payment p JOIN accounting_journalitem i ON i.entry_id = p.journal_entry_id
    JOIN accounting_account a ON a.id = i.account_id
    WHERE p.id = ANY(%(pks)s::bigint[]) AND p.state IN ('in_process', 'paid') AND a.reconcile
      AND i.account_id IS DISTINCT FROM p.counterpart_account_id
      AND a.type NOT IN ('asset_receivable', 'liability_payable')
    GROUP BY p.id
)
UPDATE accounting_payment p
SET state = CASE WHEN m.open THEN 'in_process' ELSE 'paid' END, version = p.version + 1, updated_at = %(now)s,
    updated_by_id = %(user)s
FROM money m
WHERE p.id = m.id AND p.state <> CASE WHEN m.open THEN 'in_process' ELSE 'paid' END
RETURNING p.id, old.state, new.state, new.version, p.number, p.company_id, p.currency_id
"""
_LINES = """
UPDATE accounting_statementline l
SET reconciled = NOT l.reconciled, version = l.version + 1, updated_at = %(now)s, updated_by_id = %(user)s
FROM accounting_journalitem i
WHERE l.id = ANY(%(pks)s::bigint[]) AND i.entry_id = l.entry_id AND i.position = 1
  AND l.reconciled <> (i.residual = 0 AND i.residual_currency = 0)
RETURNING l.id
"""


def refresh_after(documents: Documents, *, actor: Actor, records: Iterable[Invoice] = ()) -> None:
    """States of the payments, documents and bank lines that a matching was locked with; documents follow payments."""
    refresh_payments(documents.payment_pks, actor=actor)
    refresh_invoices(documents.invoice_pks, actor=actor, records=records)
    refresh_lines(documents.line_pks, actor=actor)


def refresh_lines(pks: Collection[int], *, actor: Actor) -> None:
    """Lines of bank statements are reconciled when nothing is open of their suspense. One statement."""
    if pks:
        _run(_LINES, pks, actor)


def refresh_invoices(
    pks: Collection[int], *, actor: Actor, records: Iterable[Invoice] = ()
) -> dict[int, PaymentState]:
    """Bring what is left to pay and the payment state of posted documents up to date; answers the states that changed.

    Emits ``InvoicePaid`` for those of which nothing is left now. ``records`` are the caller's own instances of them, whose
    attributes follow, version included. The caller holds the documents' locks. One statement.
    """
    if not pks:
        return {}
    rows = _run(_INVOICES, pks, actor, debited=DEBITED, credit_notes=CREDIT_NOTES)
    return _follow(rows, records, actor)


def settled_by_payments(pks: Collection[int], *, actor: Actor, records: Iterable[Invoice] = ()) -> None:
    """Documents of which nothing is left, and which a payment that is not on a statement yet has settled: *in payment*, whatever
    else settled them. What ``refresh_invoices`` would find, without looking."""
    if pks:
        _follow(_run(_SETTLED, pks, actor), records, actor)


def _follow(
    rows: Iterable[tuple[Any, ...]], records: Iterable[Invoice], actor: Actor
) -> dict[int, PaymentState]:
    """Let the caller's instances follow what was written, note the changes, announce what is paid."""
    held = {record.pk: record for record in records}
    changed: dict[int, PaymentState] = {}
    paid: list[int] = []
    with joined(actor) as work:
        for pk, before, after, own, company, version, number, kind, company_pk, currency, partner in rows:
            record = held.get(pk) or Invoice(
                id=pk,
                number=number,
                type=kind,
                company_id=company_pk,
                currency_id=currency,
                partner_id=partner,
            )
            record.payment_state, record.residual_amount, record.residual_company = after, own, company
            record.version = version
            if before != after:
                changed[pk] = PaymentState(after)
                work.track(record, {"payment_state": before}, {"payment_state": after})
                if after in SETTLED and before not in SETTLED:
                    paid.append(pk)
        if paid:
            work.emit(InvoicePaid(pks=tuple(sorted(paid)), company_pk=actor.company_pk))
    return changed


def refresh_payments(
    pks: Collection[int], *, actor: Actor, records: Iterable[Payment] = ()
) -> dict[int, str]:
    """Bring the state of confirmed payments up to date with what the bank statements matched; answers what changed."""
    if not pks:
        return {}
    held = {record.pk: record for record in records}
    changed: dict[int, str] = {}
    with joined(actor) as work:
        for pk, before, after, version, number, company_pk, currency in _run(_PAYMENTS, pks, actor):
            record = held.get(pk) or Payment(
                id=pk, number=number, company_id=company_pk, currency_id=currency
            )
            record.state, record.version = after, version
            work.track(record, {"state": before}, {"state": after})
            changed[pk] = after
    return changed


def _run(statement: str, pks: Collection[int], actor: Actor, **more: Any) -> list[tuple[Any, ...]]:
    now: datetime.datetime = timezone.now()
    with connection.cursor() as cursor:
        cursor.execute(statement, {"pks": sorted(pks), "now": now, "user": actor.user_pk, **more})
        return list(cursor.fetchall())


def lock_invoices(pks: Collection[int]) -> list[int]:
    """Lock documents in the order of their keys; for callers that refresh without having matched."""
    if not pks:
        return []
    rows = Invoice.objects.filter(pk__in=pks).order_by("pk").select_for_update(of=("self",), no_key=True)
    return list(rows.values_list("pk", flat=True))


# ----------------------------------------------------------------------------------------------------------- actions
def _is_open(invoice: Invoice, _actor: Actor) -> bool:
    return invoice.payment_state in (PaymentState.NOT_PAID, PaymentState.PARTIAL)


@action(
    Invoice,
    permission="pay",
    source={EntryState.POSTED},
    title=gettext_lazy("Block payment"),
    icon="front_hand",
    condition=_is_open,
)
def block(invoices: Sequence[Invoice], *, actor: Actor) -> None:
    """Hold the payment of documents: they stay out of payment runs until unblocked."""
    for invoice in invoices:
        if not _is_open(invoice, actor):
            raise WrongState(
                _("%(number)s is not waiting for payment and cannot be blocked.") % {"number": invoice}
            )
        invoice.payment_state = PaymentState.BLOCKED
    Invoice.objects.filter(pk__in=[i.pk for i in invoices]).update(payment_state=PaymentState.BLOCKED)


@action(
    Invoice,
    permission="pay",
    source={EntryState.POSTED},
    title=gettext_lazy("Unblock payment"),
    icon="play_arrow",
    condition=lambda invoice, _actor: invoice.payment_state == PaymentState.BLOCKED,
)
def unblock(invoices: Sequence[Invoice], *, actor: Actor) -> None:
    """Release documents whose payment was held."""
    for invoice in invoices:
        if invoice.payment_state != PaymentState.BLOCKED:
            raise WrongState(_("The payment of %(number)s is not blocked.") % {"number": invoice})
    pks = [invoice.pk for invoice in invoices]
    Invoice.objects.filter(pk__in=pks).update(payment_state=PaymentState.NOT_PAID)
    refresh_invoices(pks, actor=actor, records=invoices)
    for invoice in invoices:
        if invoice.payment_state == PaymentState.BLOCKED:  # nothing else changed: no row came back
            invoice.payment_state = PaymentState.NOT_PAID
