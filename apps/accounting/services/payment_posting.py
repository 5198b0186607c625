"""Confirming payments and taking them back, for sets: entries, numbers, checks, matching with what they pay.

A confirmed payment with an entry is *in process* until the bank statement settles its money, at once *paid* when the entry
books the bank itself. Without an entry it is a promise. What a payment settles are the open parts of the documents it names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from django.utils.translation import gettext as _

from apps.accounting.constants import Direction, EntryOrigin, PaymentStatus
from apps.accounting.models import Account, Invoice, JournalEntry, JournalItem, Payment, PaymentMethodLine
from apps.accounting.selectors.locks import OpenDateRequest, open_dates
from apps.accounting.selectors.payment_setup import Journals
from apps.accounting.services.bulk import update_rows
from apps.accounting.services.joining import joined
from apps.accounting.services.ledger import EntrySpec, ItemSpec, post_entries, reverse_entries
from apps.accounting.services.match_rows import Documents, Locked, Row, lock_open_items_of
from apps.accounting.services.matching import settle_locked
from apps.accounting.services.payment_entries import (
    ExtraLine,
    PaymentSetup,
    entry_spec,
    outstanding_account,
    read_setup,
    write_off_spec,
)
from apps.accounting.services.payment_state import lock_invoices, refresh_invoices
from apps.accounting.services.unmatching import unmatch_items
from apps.contacts.models import BankAccount
from apps.core.actor import Actor
from apps.core.errors import Conflict, ValidationFailed
from apps.core.events import RecordsCreated
from apps.core.sequences.service import draw_each

PROMISES = "accounting.payment"  # numbers of payments without an entry
CHECK = "check"
NO_LINES: Mapping[int, Sequence[ExtraLine]] = {}


@dataclass(slots=True)
class Targets:
    """What payments settle, decided before and locked: keys of open items and documents, by payment."""

    items: dict[int, list[int]] = field(default_factory=dict)
    invoices: dict[int, list[int]] = field(default_factory=dict)
    locked: Locked = field(default_factory=lambda: Locked({}, []))
    records: Sequence[Invoice] = ()


def confirm(
    payments: Sequence[Payment],
    *,
    actor: Actor,
    extras: Mapping[int, Sequence[ExtraLine]] = NO_LINES,
    targets: Targets | None = None,
    setup: PaymentSetup | None = None,
    fresh: bool = False,
) -> None:
    """Confirm locked drafts: entries and numbers, checks, state; then match them with what they pay.

    ``extras`` are further lines of their entries; ``targets`` what they settle, else the open parts of their documents, oldest
    first. ``fresh`` payments have a key, but no row yet: they are inserted as confirmed ones. A constant number of statements.
    """
    setup = setup or read_setup(payments)
    _check(payments, setup)
    _number_checks(payments, setup)
    targets = targets or _targets(payments)
    accounts = {payment.pk: outstanding_account(payment, setup) for payment in payments}
    booked = [payment for payment in payments if accounts[payment.pk] is not None]
    promises = [payment for payment in payments if accounts[payment.pk] is None]
    specs = {p.pk: entry_spec(p, accounts[p.pk] or 0, setup, extras.get(p.pk, ())) for p in booked}
    rests = _write_offs(promises, extras, setup)
    entries = post_entries([*specs.values(), *rests.values()], actor=actor, memory=setup.memory)
    for payment, entry in zip(booked, entries, strict=False):
        payment.journal_entry, payment.number = entry, entry.number
    _number_promises(promises, actor)
    direct = _paid_at_once(booked, accounts, setup)
    for payment in payments:
        payment.state = PaymentStatus.PAID if payment.pk in direct else PaymentStatus.IN_PROCESS
    if fresh:
        _insert(payments, targets, actor)
    else:
        update_rows(Payment, payments, ("journal_entry", "number", "state", "check_number"))
    by_payment = dict(zip([*specs, *rests], entries, strict=True))
    _match({**specs, **rests}, by_payment, targets, setup, actor, waiting=not direct and not promises)
    promised = {pk for payment in promises for pk in targets.invoices.get(payment.pk, ())}
    refresh_invoices(promised, actor=actor, records=targets.records)


def _insert(payments: Sequence[Payment], targets: Targets, actor: Actor) -> None:
    """Write new payments with their documents."""
    Payment.objects.bulk_create(payments)
    link = Payment.invoices.through
    link.objects.bulk_create(
        link(payment_id=pk, invoice_id=invoice) for pk, pks in targets.invoices.items() for invoice in pks
    )
    with joined(actor) as work:
        work.created(payments)
        pks = tuple(payment.pk for payment in payments)
        work.emit(RecordsCreated(Payment._meta.label_lower, pks, actor.company_pk))


# ---------------------------------------------------------------------------------------------------------- checking
def _check(payments: Sequence[Payment], setup: PaymentSetup) -> None:
    """Refuse what cannot be confirmed; the message names the payment."""
    banks = {p.bank_account_id for p in payments if p.direction == Direction.OUTBOUND} - {None}
    bank_rows = BankAccount.objects.in_bulk(banks) if banks else {}
    for payment in payments:
        name = payment.memo or str(payment)
        if not payment.amount:
            raise ValidationFailed(
                fields={"amount": [_("%(payment)s pays nothing; give an amount.") % {"payment": name}]}
            )
        if payment.counterpart_account_id is None:
            raise ValidationFailed(
                fields={"counterpart_account": [_("Name the account that the payment settles.")]}
            )
        if not setup.journals[payment.journal_id].active:
            raise ValidationFailed(fields={"journal": [_("The journal is archived; choose another.")]})
        bank = bank_rows.get(payment.bank_account_id) if payment.bank_account_id else None
        if bank is None:
            continue
        if not bank.active:
            raise ValidationFailed(
                fields={"bank_account": [_("The bank account %(number)s is archived.") % {"number": bank}]}
            )
        if setup.settings[payment.company_id].require_trusted_bank and not bank.trusted:
            raise ValidationFailed(
                _("Money is sent to trusted bank accounts only; have %(number)s checked first.")
                % {"number": bank},
                code="untrusted_bank",
                fields={"bank_account": [_("This bank account is not trusted.")]},
            )


def _number_checks(payments: Sequence[Payment], setup: PaymentSetup) -> None:
    """Give checks their numbers: those typed in, else the next of the method. The method's row is the counter. On paper that
    carries numbers only whoever prints knows them (``checks.number_checks``)."""
    checks = [
        p for p in payments if p.method_line_id is not None and setup.methods[p.method_line_id].code == CHECK
    ]
    if not checks:
        return
    pks = {payment.method_line_id for payment in checks if payment.method_line_id is not None}
    rows = {
        row.pk: row
        for row in PaymentMethodLine.objects.filter(pk__in=pks).order_by("pk").select_for_update(of=("self",))
    }
    for payment in checks:
        row = rows[payment.method_line_id]  # type: ignore[index]
        if payment.check_number is None and row.check_preprinted:
            continue
        if payment.check_number is None:
            payment.check_number = row.next_check_number or 1
        row.next_check_number = max(row.next_check_number or 1, payment.check_number + 1)
    update_rows(PaymentMethodLine, list(rows.values()), ("next_check_number",))


def _targets(payments: Sequence[Payment]) -> Targets:
    """The open parts of the documents that payments name, on their counterpart account; documents and items locked."""
    link = Payment.invoices.through
    pairs = link.objects.filter(payment__in=[payment.pk for payment in payments]).values_list(
        "payment_id", "invoice_id"
    )
    targets = Targets()
    for payment_pk, invoice_pk in pairs:
        targets.invoices.setdefault(payment_pk, []).append(invoice_pk)
    invoice_pks = {pk for pks in targets.invoices.values() for pk in pks}
    if not invoice_pks:
        return targets
    lock_invoices(invoice_pks)
    targets.locked = lock_open_items_of(invoice_pks)
    rows = sorted(
        (row for row in targets.locked.rows.values() if row.is_open),
        key=lambda row: (row.date_maturity or row.date, row.date, row.pk),
    )
    taken: set[int] = set()
    for payment in payments:
        own = set(targets.invoices.get(payment.pk, ()))
        sign = 1 if payment.direction == Direction.INBOUND else -1
        found = [
            row.pk
            for row in rows
            if row.invoice_pk in own
            and row.account_pk == payment.counterpart_account_id
            and row.left * sign > 0
            and row.pk not in taken
        ]
        taken.update(found)
        targets.items[payment.pk] = found
    return targets


# ----------------------------------------------------------------------------------------------------------- writing
def _write_offs(
    promises: Sequence[Payment], extras: Mapping[int, Sequence[ExtraLine]], setup: PaymentSetup
) -> dict[int, EntrySpec]:
    """Entries for the further lines of promises."""
    journals = Journals()
    return {
        p.pk: write_off_spec(p, journals.general(setup.settings[p.company_id]), setup, extras[p.pk])
        for p in promises
        if extras.get(p.pk)
    }


def _number_promises(promises: Sequence[Payment], actor: Actor) -> None:
    by_company: dict[int, list[Payment]] = {}
    for payment in promises:
        if not payment.number:
            by_company.setdefault(payment.company_id, []).append(payment)
    for company_pk, rows in by_company.items():
        drawn = draw_each(PROMISES, [row.date for row in rows], company_pk=company_pk, actor=actor)
        for row, number in zip(rows, drawn, strict=True):
            row.number = number.text


def _paid_at_once(
    payments: Sequence[Payment], accounts: Mapping[int, int | None], setup: PaymentSetup
) -> set[int]:
    """Payments whose money stands on an account that waits for no statement."""
    known = {
        method.outstanding_account_id: method.outstanding_account.reconcile
        for method in setup.methods.values()
        if method.outstanding_account is not None
    }
    asked = {accounts[payment.pk] for payment in payments} - known.keys()
    unknown = {pk for pk in asked if pk is not None}
    if unknown:
        known |= dict(Account.objects.filter(pk__in=unknown).values_list("pk", "reconcile"))
    return {payment.pk for payment in payments if not known[accounts[payment.pk]]}


def _match(
    specs: Mapping[int, EntrySpec],
    entries: Mapping[int, JournalEntry],
    targets: Targets,
    setup: PaymentSetup,
    actor: Actor,
    *,
    waiting: bool,
) -> None:
    """Match the counterpart of every entry with what its payment settles."""
    groups = []
    documents: set[int] = set()
    for pk, wanted in targets.items.items():
        spec = specs.get(pk)
        if spec is None or not wanted:
            continue
        first = targets.locked.rows[wanted[0]]
        item = next(item for item in spec.items if item.account_pk == first.account_pk)
        if not item.balance and not item.amount_currency:
            continue
        row = _row_of(item, spec, first, entries[pk], setup)
        targets.locked.rows[row.pk] = row
        groups.append([row.pk, *wanted])
        documents.update(
            target.invoice_pk
            for target in (targets.locked.rows[one] for one in wanted)
            if target.invoice_pk is not None
        )
    if groups:
        settle_locked(
            groups,
            targets.locked,
            Documents(invoice_pks=tuple(sorted(documents))),
            setup.settings,
            actor=actor,
            records=targets.records,
            by_waiting_payments=waiting,
        )


def _row_of(item: ItemSpec, spec: EntrySpec, like: Row, entry: JournalEntry, setup: PaymentSetup) -> Row:
    """An item just booked as matching works on it; nobody else can see it yet, so it needs no lock."""
    assert item.pk is not None
    return Row(
        pk=item.pk,
        entry_pk=entry.pk,
        company_pk=spec.company_pk,
        date=spec.date,
        posted=True,
        kind=item.kind,
        account_pk=item.account_pk,
        account_type=like.account_type,
        matched_account=like.matched_account,
        partner_pk=item.partner_pk,
        name=item.name,
        balance=item.balance,
        currency_pk=item.currency_pk,
        amount_currency=item.amount_currency,
        date_maturity=item.date_maturity,
        discount_date=None,
        discount_amount_currency=None,
        left=item.balance,
        left_currency=item.amount_currency,
        full_match_pk=None,
        matching_number="",
        step=setup.currencies[item.currency_pk].rounding,
        company_currency_pk=like.company_currency_pk,
        company_step=like.company_step,
        entry_number=entry.number,
        origin=spec.origin,
        invoice_pk=None,
        payment_pk=spec.payment_pk,
    )


# ------------------------------------------------------------------------------------------------------- taking back
def take_back(payments: Sequence[Payment], *, state: str, actor: Actor) -> None:
    """Undo confirmed payments: matchings undone, entries reversed under their own numbers; documents are open again.

    A payment that a bank statement settled is refused: undo that first.
    """
    invoice_pks = set(
        Payment.invoices.through.objects.filter(payment__in=[p.pk for p in payments]).values_list(
            "invoice_id", flat=True
        )
    )
    entry_pks = [payment.journal_entry_id for payment in payments if payment.journal_entry_id is not None]
    touched: set[int] = set()
    held = lock_invoices(invoice_pks)
    _check_promises(payments)
    if entry_pks:
        entries = list(JournalEntry.objects.filter(pk__in=entry_pks).select_related("journal").order_by("pk"))
        items = _own_items(payments)
        journals = {entry.journal_id for entry in entries}
        undone = unmatch_items(items, actor=actor, held=held, refresh=False, journals=journals)
        touched = set(undone.documents.invoice_pks)
        days = open_dates(
            [OpenDateRequest(e.company_id, e.date, e.journal.type) for e in entries], actor=actor
        )
        reverse_entries(
            entries,
            actor=actor,
            dates={entry.pk: day for entry, day in zip(entries, days, strict=True)},
            same_number=True,
            match=True,
        )
    for payment in payments:
        payment.journal_entry = None
        payment.state = state
    update_rows(Payment, payments, ("journal_entry", "state"))
    refresh_invoices(invoice_pks | touched, actor=actor)


def _check_promises(payments: Sequence[Payment]) -> None:
    """Refuse promises that a line of a bank statement keeps: its reconciling entry names them."""
    promises = [payment.pk for payment in payments if payment.journal_entry_id is None]
    if not promises:
        return
    kept = (
        JournalEntry.objects.filter(
            payment__in=promises, origin=EntryOrigin.STATEMENT, reversals__isnull=True
        )
        .select_related("payment", "caused_by")
        .order_by("pk")
        .first()
    )
    if kept is not None:
        raise Conflict(
            _("%(payment)s is on a bank statement (%(entry)s); undo its reconciliation there first.")
            % {"payment": kept.payment, "entry": kept.caused_by},
            code="on_statement",
        )


def _own_items(payments: Sequence[Payment]) -> list[int]:
    """The items whose matchings go: all but the money, which must not be matched with a statement."""
    accounts = {payment.journal_entry_id: payment.counterpart_account_id for payment in payments}
    found = []
    for item in JournalItem.objects.filter(entry__in=accounts, account__reconcile=True).select_related(
        "entry"
    ):
        if item.account_id == accounts[item.entry_id]:
            found.append(item.pk)
        elif (item.residual, item.residual_currency) != (item.balance, item.amount_currency):
            raise Conflict(
                _("%(number)s is on a bank statement; undo its reconciliation there first.")
                % {"number": item.entry},
                code="on_statement",
            )
    return found
