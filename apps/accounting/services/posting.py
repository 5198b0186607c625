"""Posting documents into the ledger: one or thousands at the same number of statements.

Posting computes each document again from its lines and the taxes as they are now; one whose total would differ from what its
draft showed is refused. The accounting date moves to the first open day when the books are locked there. The number is given
last, in the transaction that books the entry; a document that was reset keeps the number it had. ``unposting`` takes back.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.accounting.compute.numbering import NumberDateMismatch, check_date, detect
from apps.accounting.compute.references import InvalidReference, iso11649
from apps.accounting.constants import (
    CREDIT_NOTE_TYPES,
    SALE_TYPES,
    AutoPost,
    EntryOrigin,
    EntryState,
    PaymentState,
    ReferenceModel,
    ReferenceType,
    SeriesKind,
)
from apps.accounting.events import InvoicePaid, InvoicePosted
from apps.accounting.models import Invoice, Journal, JournalEntry, NumberSeries
from apps.accounting.selectors.invoice_setup import DocumentSetup
from apps.accounting.selectors.locks import LockBook, OpenDateRequest, read_locks, resets_of
from apps.accounting.services.bulk import update_rows
from apps.accounting.services.copies import repeat
from apps.accounting.services.credit_limit import check_credit
from apps.accounting.services.invoice_lines import Line, read_lines
from apps.accounting.services.invoice_totals import STORED, Computed, compute, store
from apps.accounting.services.ledger import EntrySpec, post_entries
from apps.accounting.services.posting_checks import check_document, plain, receivable_of
from apps.accounting.services.posting_items import items_of
from apps.contacts.models import Partner
from apps.core.actions import action
from apps.core.actor import Actor
from apps.core.errors import BusinessError, ValidationFailed
from apps.core.unit_of_work import emit

#: Columns that posting gives a value.
POSTED = (
    "state",
    "payment_state",
    "number",
    "series",
    "series_number",
    "journal_entry",
    "commercial_partner",
    "partner_snapshot",
    "date",
    "accounting_date",
    "due_date",
    "payment_reference",
    "residual_amount",
    "residual_company",
    "posted_before",
    "checked",
    "auto_post",
    "version",
    "updated_at",
    "updated_by",
)


class PostingRefused(ValidationFailed):
    """Documents that cannot be posted; the message names each with what to mend, ``fields`` the fields."""

    code = "not_postable"


@dataclass(slots=True)
class Posting:
    """One document on its way into the ledger."""

    record: Invoice
    lines: list[Line]
    computed: Computed | None = None
    totals_changed: bool = False
    problems: list[tuple[str, str]] | None = None

    def refuse(self, field: str, text: str) -> None:
        self.problems = [*(self.problems or ()), (field, text)]


# ------------------------------------------------------------------------------------------------------------ posting
@action(
    Invoice,
    name="post",
    permission="post",
    source={EntryState.DRAFT},
    target=EntryState.POSTED,
    title=gettext_lazy("Post"),
    icon="check",
    saves_state=True,
)
def post_invoices(invoices: Sequence[Invoice], *, actor: Actor, soft: bool = False) -> dict[str, Any]:
    """Give documents their number and book them.

    With ``soft``, those dated in the future are left as drafts that post themselves on their day. Answers the keys of those
    posted and of those scheduled.
    """
    setup = DocumentSetup(actor, everything=True)
    setup.load_companies({invoice.company_id for invoice in invoices})
    scheduled = _schedule(invoices, setup) if soft else []
    chosen = [invoice for invoice in invoices if invoice.pk not in {late.pk for late in scheduled}]
    if scheduled:
        stamp(scheduled, actor)
        update_rows(Invoice, scheduled, ("auto_post", "version", "updated_at", "updated_by"))
    if chosen:
        _post(chosen, setup, actor)
    return {"posted": [r.pk for r in chosen], "scheduled": [r.pk for r in scheduled]}


def _schedule(invoices: Sequence[Invoice], setup: DocumentSetup) -> list[Invoice]:
    """The documents of the future; from now on they post themselves."""
    late = []
    for invoice in invoices:
        day = invoice.accounting_date or invoice.date
        if day is not None and day > setup.today(invoice.company_id):
            if invoice.auto_post == AutoPost.NO:
                invoice.auto_post = AutoPost.AT_DATE
            late.append(invoice)
    return late


def _post(invoices: Sequence[Invoice], setup: DocumentSetup, actor: Actor) -> None:
    lines = read_lines(invoice.pk for invoice in invoices)
    postings = [Posting(invoice, lines[invoice.pk]) for invoice in invoices]
    _load(postings, setup)
    for posting in postings:
        _fill_dates(posting, setup)
    _load_rates(postings, setup)
    for posting in postings:
        _compute(posting, setup)
    series = _series_of(postings)
    _shift_dates(postings, setup, series, actor)
    check_credit([posting.record for posting in postings], setup)
    _refuse_together(postings)
    changed = [posting.record for posting in postings if posting.totals_changed]
    if changed:
        update_rows(Invoice, changed, ("rate", "commercial_partner", *STORED))
    repeat(invoices, actor=actor)
    specs = [_entry_spec(posting, setup, series) for posting in postings]
    entries = post_entries(specs, actor=actor, memory=setup.memory)
    _write(postings, entries, setup, actor)
    pks = tuple(invoice.pk for invoice in invoices)
    emit(InvoicePosted(pks=pks, company_pk=actor.company_pk), actor=actor)
    paid = tuple(i.pk for i in invoices if i.payment_state == PaymentState.PAID)
    if paid:
        emit(InvoicePaid(pks=paid, company_pk=actor.company_pk), actor=actor)


def _load(postings: Sequence[Posting], setup: DocumentSetup) -> None:
    """Read what the documents name, each kind once."""
    records = [posting.record for posting in postings]
    companies = {record.company_id for record in records}
    setup.load_journals(companies)
    setup.load_currencies(record.currency_id for record in records)
    setup.load_partners(pk for record in records for pk in (record.partner_id, record.shipping_partner_id))
    if any(setup.journals[r.journal_id].reference_type == ReferenceType.PARTNER for r in records):
        setup.load_partners([partner.commercial_entity_id for partner in setup.partners.values()])
    for company in companies:
        setup.load_agreed(company, {r.partner_id for r in records if r.company_id == company})
    setup.load_positions(record.fiscal_position_id for record in records)
    setup.load_terms(record.payment_term_id for record in records)
    setup.load_roundings(record.cash_rounding_id for record in records)
    setup.load_bank_accounts((record.bank_account_id for record in records), (), ())
    setup.load_taxes({pk for posting in postings for line in posting.lines for pk in line.tax_pks})
    setup.load_accounts({line.account_pk for posting in postings for line in posting.lines})


def _fill_dates(posting: Posting, setup: DocumentSetup) -> None:
    record = posting.record
    if record.date is None and record.type in SALE_TYPES:
        record.date = setup.today(record.company_id)
    if record.accounting_date is None:
        record.accounting_date = record.date
    partner = setup.partners.get(record.partner_id or 0)
    if partner is not None:
        record.commercial_partner_id = partner.commercial_entity_id


def _load_rates(postings: Sequence[Posting], setup: DocumentSetup) -> None:
    """The rate of the day, for foreign documents whose rate nobody typed."""
    wanted = []
    for record in (posting.record for posting in postings):
        foreign = record.currency_id != setup.companies[record.company_id].currency_id
        if foreign and not record.rate_is_manual and record.date is not None:
            wanted.append((record, (record.company_id, record.currency_id, record.date)))
    setup.load_rates(key for _record, key in wanted)
    for record, key in wanted:
        record.rate = setup.rates[key]


def _compute(posting: Posting, setup: DocumentSetup) -> None:
    """Check a document and compute it as it will be booked."""
    record = posting.record
    for field, text in check_document(record, posting.lines, setup):
        posting.refuse(field, text)
    if posting.problems:
        return
    shown = record.total_amount
    before = [getattr(record, name) for name in STORED]
    try:
        posting.computed = compute(record, posting.lines, setup)
    except BusinessError as exc:
        posting.refuse("lines", str(next(iter(exc.fields.values()), [exc.message])[0]))
        return
    store(record, posting.computed, setup)
    posting.totals_changed = before != [getattr(record, name) for name in STORED]
    if record.total_amount < 0:
        posting.refuse("lines", _("Its total is negative: make it a credit note."))
    elif record.total_amount != shown:
        text = _(
            "Its taxes, terms or rounding have changed since it was saved: the total would be %(new)s instead of"
            " %(old)s. Compute it again and look at it."
        ) % {"new": plain(record.total_amount), "old": plain(shown)}
        posting.refuse("lines", text)
    elif record.expected_total is not None and record.expected_total != record.total_amount:
        text = _("Its total is %(total)s, but %(expected)s is expected.") % {
            "total": plain(record.total_amount),
            "expected": plain(record.expected_total),
        }
        posting.refuse("expected_total", text)


def _refuse_together(postings: Sequence[Posting]) -> None:
    """Raise what keeps documents from being posted, each named."""
    refused = [posting for posting in postings if posting.problems]
    if not refused:
        return
    many = len(postings) > 1
    texts: list[str] = []
    fields: dict[str, list[str]] = {}
    for posting in refused:
        for field, text in posting.problems or ():
            texts.append(f"{posting.record}: {text}")
            name = f"{posting.record.pk}.{field}" if many else field
            fields.setdefault(name, []).append(text)
    shown = texts[:5] + ([_("… and %(count)d more.") % {"count": len(texts) - 5}] if len(texts) > 5 else [])
    raise PostingRefused("\n".join(shown), fields=fields)


# ----------------------------------------------------------------------------------------------- numbers and dates
def _series_of(postings: Sequence[Posting]) -> dict[int, NumberSeries]:
    """The series of documents that have a number already."""
    pks = {posting.record.series_id for posting in postings} - {None}
    return NumberSeries.objects.in_bulk(pks) if pks else {}


def _is_taxed(posting: Posting) -> bool:
    return bool(posting.computed and posting.computed.totals.rows) or any(
        line.tax_pks for line in posting.lines
    )


def _series_kind(record: Invoice, journal: Journal) -> str:
    own = record.type in CREDIT_NOTE_TYPES and journal.refund_series
    return SeriesKind.REFUND.value if own else SeriesKind.ENTRY.value


def _shift_dates(
    postings: Sequence[Posting], setup: DocumentSetup, series: dict[int, NumberSeries], actor: Actor
) -> None:
    """Move accounting dates out of locked periods; numbers that exist must fit the date."""
    sound = [posting for posting in postings if not posting.problems]
    book = read_locks({posting.record.company_id for posting in sound}, actor=actor) if sound else None
    closed = [posting for posting in sound if book is not None and _is_closed(posting, book, setup)]
    if closed and book is not None:
        _move(closed, book, setup)
    for posting in sound:
        record = posting.record
        if record.number and record.accounting_date is not None:
            end = book.year_ends.get(record.company_id, (12, 31)) if book is not None else (12, 31)
            form = detect(record.number, day=record.accounting_date, fiscal_year_end=end)
            try:
                check_date(form, record.number, record.accounting_date)
            except NumberDateMismatch as exc:
                posting.refuse("accounting_date", str(exc))


def _is_closed(posting: Posting, book: LockBook, setup: DocumentSetup) -> bool:
    record = posting.record
    assert record.accounting_date is not None
    journal = setup.journals[record.journal_id]
    return (
        book.closing(record.company_id, record.accounting_date, journal.type, taxed=_is_taxed(posting))
        is not None
    )


def _move(closed: Sequence[Posting], book: LockBook, setup: DocumentSetup) -> None:
    by_kind: dict[str, dict[int, Journal]] = {}
    for posting in closed:
        journal = setup.journals[posting.record.journal_id]
        by_kind.setdefault(_series_kind(posting.record, journal), {})[journal.pk] = journal
    resets = {kind: resets_of(journals.values(), kind=kind) for kind, journals in by_kind.items()}
    for posting in closed:
        record = posting.record
        journal = setup.journals[record.journal_id]
        assert record.accounting_date is not None
        record.accounting_date = book.open_date(
            OpenDateRequest(
                record.company_id,
                record.accounting_date,
                journal.type,
                _is_taxed(posting),
                record.date,
                resets[_series_kind(record, journal)][journal.pk],
            )
        )


# ------------------------------------------------------------------------------------------------------------ entries
def _entry_spec(posting: Posting, setup: DocumentSetup, series: dict[int, NumberSeries]) -> EntrySpec:
    record, computed = posting.record, posting.computed
    assert computed is not None
    assert record.accounting_date is not None
    journal = setup.journals[record.journal_id]
    if not record.payment_reference:
        record.payment_reference = _reference(record, journal, setup)
    account = receivable_of(record, setup)
    assert account is not None  # checked before
    label = record.payment_reference or record.reference
    return EntrySpec(
        journal=journal,
        date=record.accounting_date,
        items=items_of(record, computed, setup, account_pk=account, label=label),
        company_pk=record.company_id,
        currency_pk=record.currency_id,
        origin=EntryOrigin.INVOICE.value,
        kind=_series_kind(record, journal),
        reference=record.reference,
        partner_pk=record.partner_id,
        invoice_pk=record.pk,
        series=series.get(record.series_id) if record.series_id else None,
        series_number=record.series_number,
        wanted_number="" if record.number else record.wanted_number,
    )


def _reference(record: Invoice, journal: Journal, setup: DocumentSetup) -> str:
    """The payment reference by the journal's setting; that of a plain number is known when the number is."""
    if record.type not in SALE_TYPES or journal.reference_type == ReferenceType.NONE:
        return ""
    structured = journal.reference_model == ReferenceModel.ISO11649
    if journal.reference_type == ReferenceType.PARTNER:
        partner = setup.partners[record.commercial_partner_id or 0]
        if not structured:
            return partner.ref or str(partner.pk)
        try:
            return iso11649(partner.ref or partner.pk)
        except InvalidReference:
            return iso11649(partner.pk)
    return iso11649(record.pk) if structured else ""


# ------------------------------------------------------------------------------------------------------------ writing
def _write(
    postings: Sequence[Posting], entries: Sequence[JournalEntry], setup: DocumentSetup, actor: Actor
) -> None:
    """Put the results on the documents: one statement."""
    snapshots: dict[tuple[int | None, int | None], dict[str, Any]] = {}
    for posting, entry in zip(postings, entries, strict=True):
        record = posting.record
        journal = setup.journals[record.journal_id]
        record.state = EntryState.POSTED
        record.number, record.series_id = entry.number, entry.series_id
        record.series_number, record.journal_entry_id = entry.series_number, entry.pk
        record.residual_amount, record.residual_company = record.total_amount, record.total_company
        record.payment_state = PaymentState.NOT_PAID if record.total_amount else PaymentState.PAID
        record.posted_before = True
        record.checked = journal.checked_on_post
        if record.auto_post == AutoPost.AT_DATE:
            record.auto_post = AutoPost.NO
        if (
            not record.payment_reference
            and record.type in SALE_TYPES
            and journal.reference_type == ReferenceType.INVOICE
        ):
            record.payment_reference = record.number
        key = (record.partner_id, record.shipping_partner_id)
        if key not in snapshots:
            snapshots[key] = _snapshot(record, setup)
        record.partner_snapshot = snapshots[key]
    records = [posting.record for posting in postings]
    stamp(records, actor)
    update_rows(Invoice, records, POSTED)


def stamp(records: Iterable[Invoice], actor: Actor) -> None:
    now: datetime.datetime = timezone.now()
    for record in records:
        record.version += 1
        record.updated_at, record.updated_by_id = now, actor.user_pk


def _snapshot(record: Invoice, setup: DocumentSetup) -> dict[str, Any]:
    """Name and address as they are printed, kept for ever."""
    partner = setup.partners[record.partner_id or 0]
    shipping = setup.partners.get(record.shipping_partner_id or 0)
    snapshot = _address(partner)
    if shipping is not None and shipping.pk != partner.pk:
        snapshot["shipping"] = _address(shipping)
    return snapshot


def _address(partner: Partner) -> dict[str, Any]:
    return {
        "partner": partner.pk,
        "name": partner.complete_name or partner.name,
        "street": partner.street,
        "street2": partner.street2,
        "zip": partner.zip,
        "city": partner.city,
        "state": partner.state.name if partner.state is not None else "",
        "state_code": partner.state.code if partner.state is not None else "",
        "country": partner.country.code if partner.country is not None else "",
        "country_name": partner.country.name if partner.country is not None else "",
        "tax_id": partner.tax_id,
        "registry": partner.registry,
        "ref": partner.ref,
        "email": partner.email,
    }
