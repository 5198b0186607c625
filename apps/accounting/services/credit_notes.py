"""Credit notes and debit notes of posted documents.

A credit note mirrors its document to the cent: same lines, same rounding of taxes, same exchange rate, same taxes typed by
hand and the same cash rounding; terms only where they decide over taxes (*mixed* discount). ``reverse`` makes a draft, which may
be changed to credit a part. ``reverse_and_reinvoice`` posts it, settles it with the document, and leaves a new draft to be
mended and sent.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.accounting.constants import (
    CREDIT_NOTE_OF,
    CREDIT_NOTE_TYPES,
    AutoPost,
    EntryState,
    InvoiceType,
    ItemKind,
)
from apps.accounting.models import Invoice, Journal, JournalItem
from apps.accounting.selectors.invoice_setup import DocumentSetup
from apps.accounting.services.copies import make_copies
from apps.accounting.services.matching import reconcile_groups
from apps.accounting.services.posting import post_invoices
from apps.core.actions import action
from apps.core.actor import Actor
from apps.core.errors import Conflict


def _creditable(invoice: Invoice, _actor: Actor) -> bool:
    return invoice.type not in CREDIT_NOTE_TYPES


@action(
    Invoice,
    name="reverse",
    permission="add",
    source={EntryState.POSTED},
    title=gettext_lazy("Credit note"),
    icon="assignment_return",
    condition=_creditable,
)
def reverse(
    invoices: Sequence[Invoice],
    *,
    actor: Actor,
    reason: str = "",
    date: datetime.date | None = None,
    journal: Journal | None = None,
) -> dict[str, Any]:
    """Draft credit notes of the documents, line by line. One dated in the future posts itself on its day. Answers their keys."""
    made = make_credit_notes(invoices, actor=actor, reason=reason, date=date, journal=journal)
    return {"created": [note.pk for note in made]}


@action(
    Invoice,
    name="reverse_and_reinvoice",
    permission="post",
    source={EntryState.POSTED},
    title=gettext_lazy("Credit and invoice again"),
    icon="published_with_changes",
    condition=_creditable,
    dangerous=True,
)
def reverse_and_reinvoice(
    invoices: Sequence[Invoice],
    *,
    actor: Actor,
    reason: str = "",
    date: datetime.date | None = None,
    journal: Journal | None = None,
) -> dict[str, Any]:
    """Post credit notes that settle the documents, and leave new drafts of them.

    What is paid already stays with the credit note as a credit. Answers the keys of the credit notes and of the drafts.
    """
    notes = make_credit_notes(invoices, actor=actor, reason=reason, date=date, journal=journal)
    setup = DocumentSetup(actor, everything=True)
    setup.load_companies({invoice.company_id for invoice in invoices})
    drafts = make_copies(
        invoices,
        [
            {"date": date or setup.today(invoice.company_id), "reference": invoice.reference}
            for invoice in invoices
        ],
        actor=actor,
    )
    post_invoices(notes, actor=actor)
    _settle(invoices, notes, actor)
    return {"credit_notes": [note.pk for note in notes], "created": [draft.pk for draft in drafts]}


def make_credit_notes(
    invoices: Sequence[Invoice],
    *,
    actor: Actor,
    reason: str = "",
    date: datetime.date | None = None,
    journal: Journal | None = None,
) -> list[Invoice]:
    """Draft credit notes that mirror posted documents. A constant number of statements for any number.

    Errors: ``Conflict`` for a credit note (a credit note is taken back by resetting it).
    """
    setup = DocumentSetup(actor, everything=True)
    setup.load_companies({invoice.company_id for invoice in invoices})
    setup.load_terms(invoice.payment_term_id for invoice in invoices)
    changes, fixed = [], []
    for invoice in invoices:
        if invoice.type in CREDIT_NOTE_TYPES:
            raise Conflict(
                _("%(document)s is a credit note itself. Reset it, or make a debit note.")
                % {"document": invoice},
                code="credit_note",
            )
        today = setup.today(invoice.company_id)
        changes.append(_mirror(invoice, reason, date or today, today, journal, setup))
        fixed.append({"reversed_invoice": invoice.pk, "tax_rounding": invoice.tax_rounding})
    return make_copies(invoices, changes, actor=actor, fixed=fixed)


def _mirror(
    invoice: Invoice,
    reason: str,
    day: datetime.date,
    today: datetime.date,
    journal: Journal | None,
    setup: DocumentSetup,
) -> dict[str, Any]:
    """What a credit note has that a plain copy has not."""
    term = setup.terms.get(invoice.payment_term_id or 0)
    about = _("Reversal of %(number)s") % {"number": invoice.number}
    changes: dict[str, Any] = {
        "type": CREDIT_NOTE_OF[InvoiceType(invoice.type)],
        "date": day,
        "reference": f"{about}, {reason}" if reason else about,
        "origin": invoice.number,
        "narration": "",
        "payment_term": invoice.payment_term_id if term is not None and term.is_mixed else None,
        "manual_taxes": dict(invoice.manual_taxes or {}),
        "auto_post": AutoPost.AT_DATE if day > today else AutoPost.NO,
    }
    if invoice.currency_id != setup.companies[invoice.company_id].currency_id:
        changes |= {"rate": invoice.rate, "rate_is_manual": True}
    if journal is not None:
        changes["journal"] = journal.pk
    return changes


def _settle(invoices: Sequence[Invoice], notes: Sequence[Invoice], actor: Actor) -> None:
    """Match each document with its credit note, as far as both are open and on one account."""
    owners: dict[int, int] = {}
    for invoice, note in zip(invoices, notes, strict=True):
        for entry in (invoice.journal_entry_id, note.journal_entry_id):
            assert entry is not None
            owners[entry] = invoice.pk
    groups: dict[tuple[int, int], list[JournalItem]] = {}
    # Taxes due on payment follow the matching by themselves.
    rows = JournalItem.objects.filter(entry__in=owners, kind=ItemKind.PAYMENT_TERM).exclude(
        residual=0, residual_currency=0
    )
    for item in rows.order_by("pk"):
        groups.setdefault((owners[item.entry_id], item.account_id), []).append(item)
    chosen = [
        group
        for group in groups.values()
        if any(item.residual > 0 for item in group) and any(item.residual < 0 for item in group)
    ]
    if chosen:
        reconcile_groups(chosen, actor=actor, held=[record.pk for record in (*invoices, *notes)])


@action(
    Invoice,
    name="debit_note",
    permission="add",
    source={EntryState.POSTED},
    title=gettext_lazy("Debit note"),
    icon="note_add",
    condition=lambda invoice, _actor: invoice.debited_invoice_id is None,
)
def debit_note(
    invoices: Sequence[Invoice],
    *,
    actor: Actor,
    reason: str = "",
    date: datetime.date | None = None,
    journal: Journal | None = None,
    copy_lines: bool = False,
) -> dict[str, Any]:
    """Draft documents that charge something more on posted ones; of a credit note, that charge it again. Answers their keys.

    Errors: ``Conflict`` for a debit note: there is none of those.
    """
    setup = DocumentSetup(actor, everything=True)
    setup.load_companies({invoice.company_id for invoice in invoices})
    changes = []
    for invoice in invoices:
        if invoice.debited_invoice_id is not None:
            raise Conflict(
                _("%(document)s is a debit note itself: make one of the original document.")
                % {"document": invoice},
                code="debit_note",
            )
        kind = InvoiceType(invoice.type)
        change: dict[str, Any] = {
            "type": CREDIT_NOTE_OF[kind] if kind in CREDIT_NOTE_TYPES else kind,
            "date": date or setup.today(invoice.company_id),
            "reference": f"{invoice.number}, {reason}" if reason else invoice.number,
            "origin": invoice.number,
        }
        if not copy_lines:
            change["lines"] = []
        if journal is not None:
            change["journal"] = journal.pk
        changes.append(change)
    made = make_copies(
        invoices,
        changes,
        actor=actor,
        fixed=[{"debited_invoice": invoice.pk} for invoice in invoices],
    )
    return {"created": [note.pk for note in made]}
