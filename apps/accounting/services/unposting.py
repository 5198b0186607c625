"""Taking documents back: reset to draft, and cancel.

Nothing that was booked is changed. The matchings of the document are undone with what they made (exchange differences, taxes
due on payment), a reversing entry with the same number is posted on the same day, and both settle each other. The document
keeps its number for the next posting.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.accounting.constants import AutoPost, EntryState, PaymentState
from apps.accounting.events import InvoiceCancelled, InvoiceReset
from apps.accounting.models import Invoice, Journal, JournalEntry, JournalItem
from apps.accounting.selectors.locks import entry_is_taxed, read_locks
from apps.accounting.services.bulk import update_rows
from apps.accounting.services.ledger import reverse_entries
from apps.accounting.services.payment_state import refresh_invoices, refresh_payments
from apps.accounting.services.posting import stamp
from apps.accounting.services.unmatching import unmatch_items
from apps.core.actions import action
from apps.core.actor import Actor
from apps.core.errors import Conflict

ZERO = Decimal(0)
WRITTEN = (
    "state",
    "payment_state",
    "journal_entry",
    "residual_amount",
    "residual_company",
    "auto_post",
    "version",
    "updated_at",
    "updated_by",
)


@action(
    Invoice,
    name="reset",
    permission="reset",
    source={EntryState.POSTED, EntryState.CANCELLED},
    target=EntryState.DRAFT,
    event=InvoiceReset,
    title=gettext_lazy("Reset to draft"),
    dangerous=True,
    icon="undo",
    saves_state=True,
)
def reset_invoices(invoices: Sequence[Invoice], *, actor: Actor) -> None:
    """Take documents out of the ledger by a reversing entry, to be changed and posted again under the same number."""
    _take_back(invoices, actor)
    _write(invoices, EntryState.DRAFT, actor)


@action(
    Invoice,
    name="cancel",
    permission="reset",
    source={EntryState.DRAFT, EntryState.POSTED},
    target=EntryState.CANCELLED,
    event=InvoiceCancelled,
    title=gettext_lazy("Cancel"),
    dangerous=True,
    icon="block",
    saves_state=True,
)
def cancel_invoices(invoices: Sequence[Invoice], *, actor: Actor) -> None:
    """Void documents. A posted one is taken out of the ledger first; its number stays with it."""
    _take_back(invoices, actor)
    for invoice in invoices:
        invoice.auto_post = AutoPost.NO
    _write(invoices, EntryState.CANCELLED, actor)


def _write(invoices: Sequence[Invoice], state: EntryState, actor: Actor) -> None:
    for invoice in invoices:
        invoice.state = state
        invoice.payment_state = PaymentState.NOT_PAID
        invoice.journal_entry_id = None
        invoice.residual_amount = invoice.residual_company = ZERO
    stamp(invoices, actor)
    update_rows(Invoice, invoices, WRITTEN)


def _take_back(invoices: Sequence[Invoice], actor: Actor) -> None:
    """Undo the matchings of posted documents and reverse their entries."""
    posted = [invoice for invoice in invoices if invoice.state == EntryState.POSTED]
    if not posted:
        return
    entries = JournalEntry.objects.in_bulk([invoice.journal_entry_id for invoice in posted])
    ordered = [entries[invoice.journal_entry_id] for invoice in posted]  # type: ignore[index]
    _check(posted, ordered, actor)
    own = {invoice.pk for invoice in posted}
    matched = list(
        JournalItem.objects.filter(entry__in=entries).exclude(matching_number="").values_list("pk", flat=True)
    )
    if matched:
        journals = {entry.journal_id for entry in ordered}
        undone = unmatch_items(matched, actor=actor, held=own, refresh=False, journals=journals)
        refresh_payments(undone.documents.payment_pks, actor=actor)
        refresh_invoices([pk for pk in undone.documents.invoice_pks if pk not in own], actor=actor)
    reverse_entries(
        ordered,
        actor=actor,
        dates={entry.pk: entry.date for entry in ordered},
        same_number=True,
        match=True,
    )


def _check(invoices: Sequence[Invoice], entries: Sequence[JournalEntry], actor: Actor) -> None:
    """Refuse what must stay as it was booked."""
    journals = Journal.objects.in_bulk({invoice.journal_id for invoice in invoices})
    book = read_locks({invoice.company_id for invoice in invoices}, actor=actor)
    taxed = entry_is_taxed([entry.pk for entry in entries])
    for invoice, entry in zip(invoices, entries, strict=True):
        journal = journals[invoice.journal_id]
        if journal.restricted:
            raise Conflict(
                _("%(document)s cannot be reset: journal %(journal)s allows corrections by credit note only.")
                % {"document": invoice, "journal": journal.code},
                code="restricted_journal",
            )
        closed = book.closing(invoice.company_id, entry.date, journal.type, taxed=entry.pk in taxed)
        if closed is not None:
            raise Conflict(
                _(
                    "%(document)s cannot be reset: the books are locked up to %(date)s. Correct it with a credit note."
                )
                % {"document": invoice, "date": closed.lock.date.isoformat()},
                code="locked",
            )
