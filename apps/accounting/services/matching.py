"""Reconciliation: open items of one account settle each other, with everything that follows.

``reconcile`` matches the items of one group, ``reconcile_groups`` many independent groups at once, in a number of statements
that does not grow with them. What follows is posted in the same transaction, in one call of ``post_entries``: write-offs,
exchange differences (``exchange``) and taxes due on payment (``cash_basis``); dates in a locked period move to the first open
day, so that a user's payment never fails for a side effect. Residuals are lowered by the trigger of ``PartialMatch``, which
refuses more than an item has. Payments and documents then get their states (``payment_state``).
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.access.models import Company
from apps.accounting.compute.matching import MatchPlan, match
from apps.accounting.constants import EntryOrigin
from apps.accounting.models import (
    Account,
    AccountingSettings,
    FullMatch,
    Invoice,
    JournalEntry,
    JournalItem,
)
from apps.accounting.selectors.locks import OpenDateRequest, open_dates
from apps.accounting.selectors.payment_setup import rates_between
from apps.accounting.selectors.setup import settings_of_many
from apps.accounting.services.cash_basis import Settlement, move_taxes
from apps.accounting.services.exchange import SideEffects, settle_differences
from apps.accounting.services.joining import joined
from apps.accounting.services.ledger import EntrySpec, ItemSpec, post_entries
from apps.accounting.services.match_rows import (
    Documents,
    Draft,
    Locked,
    Row,
    Side,
    as_pk,
    lock_documents,
    lock_items,
    number_sets,
    write_drafts,
)
from apps.accounting.services.payment_state import (
    refresh_after,
    refresh_invoices,
    settled_by_payments,
)
from apps.accounting.services.unmatching import unmatch_items, unmatch_partials
from apps.core.actions import action
from apps.core.actor import Actor
from apps.core.errors import Conflict, ValidationFailed
from apps.core.links import company_line
from apps.core.unit_of_work import unit_of_work

__all__ = [
    "MatchResult",
    "reconcile",
    "reconcile_groups",
    "refresh_invoices",
    "settle_locked",
    "unmatch_items",
    "unmatch_partials",
]
ZERO = Decimal(0)
MONEY_ORIGINS = frozenset({EntryOrigin.PAYMENT, EntryOrigin.STATEMENT})


@dataclass(slots=True)
class MatchResult:
    """What a reconciliation wrote. ``residuals`` are what is left of the chosen items: (company, own currency)."""

    match_pks: list[int] = field(default_factory=list)
    exchange_entries: list[JournalEntry] = field(default_factory=list)
    tax_entries: list[JournalEntry] = field(default_factory=list)
    write_off_entries: list[JournalEntry] = field(default_factory=list)
    full_matches: list[FullMatch] = field(default_factory=list)
    residuals: dict[int, tuple[Decimal, Decimal]] = field(default_factory=dict)
    documents: Documents = field(default_factory=Documents)

    @property
    def is_full(self) -> bool:
        """Whether nothing is left of any chosen item."""
        return not any(left or currency for left, currency in self.residuals.values())


@dataclass(slots=True)
class _Group:
    """The items of one group, and what is decided about them."""

    rows: list[Row]
    plan: MatchPlan | None = None
    drafts: list[Draft] = field(default_factory=list)


def reconcile(
    items: Sequence[JournalItem | int],
    *,
    actor: Actor,
    write_off_account: Account | None = None,
    write_off_label: str = "",
    date: datetime.date | None = None,
    allow_partial: bool = True,
) -> MatchResult:
    """Settle ``items`` (instances or keys) against each other.

    They must be posted, of one account whose items are matched, of one company tree, and open. What is left is written off to
    ``write_off_account`` when one is given (dated ``date``, or like the latest item), else stays open. Errors:
    ``ValidationFailed``, and ``Conflict`` when something was settled in the meantime or, without ``allow_partial``, something
    would stay open. Rights are the caller's to check.
    """
    return reconcile_groups(
        [items],
        actor=actor,
        write_off_account=write_off_account,
        write_off_label=write_off_label,
        date=date,
        allow_partial=allow_partial,
    )


def reconcile_groups(
    groups: Sequence[Sequence[JournalItem | int]],
    *,
    actor: Actor,
    write_off_account: Account | None = None,
    write_off_label: str = "",
    date: datetime.date | None = None,
    allow_partial: bool = True,
    held: Collection[int] = (),
) -> MatchResult:
    """``reconcile`` for many independent groups, at the cost of one. ``held`` are documents the caller has locked."""
    wanted = [[as_pk(item) for item in group] for group in groups]
    pks = {pk for group in wanted for pk in group}
    if sum(len(group) for group in wanted) != len(pks):
        raise ValidationFailed(_("An item can be in one group only, and once."), code="item_twice")
    result = MatchResult()
    if not pks:
        return result
    with unit_of_work(actor):
        documents = lock_documents(pks, held=held)
        locked = lock_items(pks)
        if len(locked.rows.keys() & pks) < len(pks):
            raise ValidationFailed(_("An item to match does not exist."), code="no_item")
        companies = {locked.rows[pk].company_pk for pk in pks}
        return settle_locked(
            wanted,
            locked,
            documents,
            settings_of_many(companies),
            actor=actor,
            write_off_account=write_off_account,
            write_off_label=write_off_label,
            date=date,
            allow_partial=allow_partial,
        )


def settle_locked(
    groups: Sequence[Sequence[int]],
    locked: Locked,
    documents: Documents,
    settings: Mapping[int, AccountingSettings],
    *,
    actor: Actor,
    records: Sequence[Invoice] = (),
    write_off_account: Account | None = None,
    write_off_label: str = "",
    date: datetime.date | None = None,
    allow_partial: bool = True,
    by_waiting_payments: bool = False,
) -> MatchResult:
    """``reconcile_groups`` for items (by key) that the caller has locked, with the documents that follow from them.

    ``records`` are the caller's own instances of these documents; their states and versions follow.
    ``by_waiting_payments`` says that every group has a payment in process and that all open parts of the documents are locked.
    """
    result = MatchResult(documents=documents)
    with joined(actor):
        chosen = [_group(group, locked) for group in groups]
        effects = SideEffects()
        _plan(chosen, settings, effects)
        if write_off_account is not None:
            _write_off(chosen, write_off_account, write_off_label, date, settings, effects)
        _require_result(chosen, allow_partial=allow_partial)
        waiting = move_taxes(_settlements(chosen), settings, effects)
        if waiting is not None:
            locked.rows.update({pk: row for pk, row in waiting.rows.items() if pk not in locked.rows})
            locked.edges = list({*locked.edges, *waiting.edges})
        _write(effects, locked, result, actor)
        result.residuals = {row.pk: (row.left, row.left_currency) for g in chosen for row in g.rows}
        done: set[int] = set()
        if by_waiting_payments:
            wanted = set(documents.invoice_pks)
            parts = [row for row in locked.rows.values() if row.invoice_pk in wanted]
            done = {row.invoice_pk for row in parts if row.invoice_pk} - {
                row.invoice_pk for row in parts if row.is_open and row.of_partner
            }
            settled_by_payments(done, actor=actor, records=records)
        rest = tuple(pk for pk in documents.invoice_pks if pk not in done)
        refresh_after(
            Documents(documents.payment_pks, rest, documents.line_pks), actor=actor, records=records
        )
    return result


# ---------------------------------------------------------------------------------------------------------- deciding
def _group(pks: Sequence[int], locked: Locked) -> _Group:
    """The rows of a group, when they may be matched."""
    rows = [locked.rows[pk] for pk in pks]
    for row in rows:
        if not row.posted:
            raise ValidationFailed(
                _("“%(name)s” is not posted; only posted items are matched.") % {"name": row.name or row.pk},
                code="not_posted",
            )
        if not row.matched_account:
            raise ValidationFailed(
                _("Items of this account are not matched; allow it on the account first."),
                code="not_matchable",
            )
        if not row.is_open:
            raise Conflict(
                _("The item of %(number)s is settled already.") % {"number": row.entry_number}, code="settled"
            )
    if len({row.account_pk for row in rows}) > 1:
        raise ValidationFailed(_("Items of one account only can settle each other."), code="two_accounts")
    companies = {row.company_pk for row in rows}
    if len(companies) > 1 and len({_root(pk) for pk in companies}) > 1:
        raise ValidationFailed(_("The items belong to companies with separate books."), code="two_companies")
    if len({row.company_currency_pk for row in rows}) > 1:
        raise ValidationFailed(_("The items are booked in different currencies."), code="two_currencies")
    return _Group(rows)


def _root(company_pk: int) -> int:
    """The company at the top; asked for only when a group crosses companies."""
    root = Company.objects.get(pk__in=company_line(company_pk), parent__isnull=True)
    return int(root.pk)


def _plan(groups: Sequence[_Group], settings: Mapping[int, AccountingSettings], effects: SideEffects) -> None:
    """Decide the partials of every group and the exchange differences they make."""
    rates = _rates(groups)
    for group in groups:
        rows = {row.pk: row for row in group.rows}
        first = group.rows[0]
        steps = {row.currency_pk: row.step for row in group.rows}
        steps[first.company_currency_pk] = first.company_step
        foreign = {row.currency_pk for row in group.rows} - {first.company_currency_pk}
        items = [
            row.as_open(
                {
                    pk: rates[row.company_pk, pk, row.date]
                    for pk in foreign - {row.currency_pk}
                    if (row.company_pk, pk, row.date) in rates
                }
                if row.origin in MONEY_ORIGINS
                else {}
            )
            for row in group.rows
        ]
        group.plan = match(items, company_currency_pk=first.company_currency_pk, steps=steps)
        group.drafts = [
            Draft(
                rows[part.debit_pk],
                rows[part.credit_pk],
                first.company_pk,
                part.amount,
                part.debit_amount_currency,
                part.credit_amount_currency,
                part.date,
            )
            for part in group.plan.partials
        ]
        effects.drafts += group.drafts
        for pk, left in group.plan.residuals.items():
            rows[pk].left, rows[pk].left_currency = left.company, left.currency
        if group.plan.exchange:
            settle_differences(group.drafts, group.plan.exchange, rows, settings[first.company_pk], effects)


def _rates(groups: Sequence[_Group]) -> dict[tuple[int, int, datetime.date], Decimal]:
    """Rates on the day of money that meets items in another foreign currency, by (company, currency, day)."""
    wanted: dict[int, set[tuple[int, datetime.date]]] = {}
    for group in groups:
        currencies = {row.currency_pk for row in group.rows}
        if len(currencies) == 1:
            continue
        foreign = currencies - {group.rows[0].company_currency_pk}
        for row in group.rows:
            if row.origin in MONEY_ORIGINS:
                wanted.setdefault(row.company_pk, set()).update(
                    (pk, row.date) for pk in foreign - {row.currency_pk}
                )
    return {
        (company, pk, day): rate
        for company, asked in wanted.items()
        for (pk, day), rate in rates_between(asked, company).items()
    }


def _write_off(
    groups: Sequence[_Group],
    account: Account,
    label: str,
    date: datetime.date | None,
    settings: Mapping[int, AccountingSettings],
    effects: SideEffects,
) -> None:
    """Add an entry for what each group has left: every rest its mirror, the sums on ``account``."""
    for group in groups:
        rest = [row for row in group.rows if row.is_open]
        if not rest:
            continue
        company_pk = rest[0].company_pk
        name = label or _("Write-off")
        mirrors: list[ItemSpec] = []
        sums: dict[tuple[int, int | None], list[Decimal]] = {}
        for row in rest:
            mirror = ItemSpec(
                row.account_pk,
                -row.left,
                row.currency_pk,
                -row.left_currency,
                partner_pk=row.partner_pk,
                name=name,
            )
            mirrors.append(mirror)
            total = sums.setdefault((row.currency_pk, row.partner_pk), [ZERO, ZERO])
            total[0] += row.left
            total[1] += row.left_currency
        places = [
            ItemSpec(account.pk, balance, currency, own, partner_pk=partner, name=name)
            for (currency, partner), (balance, own) in sums.items()
            if balance or own
        ]
        effects.add(
            EntrySpec(
                journal=effects.journals.general(settings[company_pk]),
                date=date or max(row.date for row in group.rows),
                company_pk=company_pk,
                currency_pk=rest[0].currency_pk,
                origin=EntryOrigin.WRITE_OFF.value,
                reference=name,
                partner_pk=rest[0].partner_pk,
                caused_by_pk=rest[0].entry_pk,
                items=[*mirrors, *places],
            )
        )
        for row, mirror in zip(rest, mirrors, strict=True):
            is_debit = row.left > 0 or (not row.left and row.left_currency > 0)
            draft = Draft(
                row if is_debit else mirror,
                mirror if is_debit else row,
                row.company_pk,
                abs(row.left),
                abs(row.left_currency),
                abs(row.left_currency),
                row.date,
            )
            group.drafts.append(draft)
            effects.drafts.append(draft)
            row.left = row.left_currency = ZERO


def _require_result(groups: Sequence[_Group], *, allow_partial: bool) -> None:
    for group in groups:
        if not group.drafts:
            raise ValidationFailed(
                _("These items do not settle each other: debits and credits are needed."),
                code="nothing_to_match",
            )
        if not allow_partial and any(row.is_open for row in group.rows):
            raise Conflict(
                _(
                    "The items do not settle each other completely; write off the difference or match in part."
                ),
                code="not_balanced",
            )


def _settlements(groups: Sequence[_Group]) -> list[Settlement]:
    """What every partial takes off its two items, the exchange difference included."""
    found = []
    for group in groups:
        extra: dict[tuple[int, int], Decimal] = {}
        for difference in group.plan.exchange if group.plan else ():
            extra[difference.partial, difference.item_pk] = abs(difference.amount)
        for place, draft in enumerate(group.drafts):
            for side, sign in ((draft.debit, 1), (draft.credit, -1)):
                if isinstance(side, Row):
                    amount = draft.amount + extra.get((place, side.pk), ZERO)
                    found.append(Settlement(draft, side, sign * amount))
    return found


# ----------------------------------------------------------------------------------------------------------- writing
def _write(effects: SideEffects, locked: Locked, result: MatchResult, actor: Actor) -> None:
    """Post what follows, insert the matchings, give numbers to the connected sets."""
    specs = effects.specs
    if specs:
        days = open_dates(
            [
                OpenDateRequest(s.company_pk, s.date, s.journal.type, s.origin == EntryOrigin.CASH_BASIS)
                for s in specs
            ],
            actor=actor,
        )
        for spec, day in zip(specs, days, strict=True):
            spec.date = day
    entries = post_entries(specs, actor=actor)
    day_of = {id(item): spec.date for spec in specs for item in spec.items}
    for draft in effects.drafts:
        draft.date = max(
            side.date if isinstance(side, Row) else day_of[id(side)] for side in (draft.debit, draft.credit)
        )
    write_drafts(effects.drafts, entries, actor=actor)
    residuals = {pk: (row.left, row.left_currency) for pk, row in locked.rows.items()}
    for side in (side for draft in effects.drafts for side in (draft.debit, draft.credit)):
        if not isinstance(side, Row):
            assert side.pk is not None
            residuals[side.pk] = (ZERO, ZERO)  # made for its matching, in its exact amount
    made = [(draft.pk, _pk(draft.debit), _pk(draft.credit)) for draft in effects.drafts]
    edges = [*locked.edges, *made]
    known = {pk: row.matching_number for pk, row in locked.rows.items()}
    result.full_matches = number_sets(residuals, edges, known, actor=actor)
    result.match_pks = [draft.pk for draft in effects.drafts]
    for entry in entries:
        {
            EntryOrigin.EXCHANGE: result.exchange_entries,
            EntryOrigin.CASH_BASIS: result.tax_entries,
            EntryOrigin.WRITE_OFF: result.write_off_entries,
        }[EntryOrigin(entry.origin)].append(entry)


def _pk(side: Side) -> int:
    assert side.pk is not None  # items are booked before they are matched
    return side.pk


# ----------------------------------------------------------------------------------------------------------- actions
@action(
    JournalItem,
    name="reconcile",
    permission="reconcile",
    title=gettext_lazy("Match"),
    icon="link",
)
def reconcile_items(
    items: Sequence[JournalItem],
    *,
    actor: Actor,
    write_off_account: Account | None = None,
    write_off_label: str = "",
    date: datetime.date | None = None,
    allow_partial: bool = True,
) -> dict[str, object]:
    """Settle the chosen items against each other, each account by itself; what is left stays open or is written off."""
    by_account: dict[int, list[JournalItem]] = {}
    for item in items:
        by_account.setdefault(item.account_id, []).append(item)
    result = reconcile_groups(
        list(by_account.values()),
        actor=actor,
        write_off_account=write_off_account,
        write_off_label=write_off_label,
        date=date,
        allow_partial=allow_partial,
    )
    return _answer(result)


@action(
    JournalItem,
    name="write_off",
    permission="reconcile",
    title=gettext_lazy("Write off"),
    icon="money_off",
)
def write_off_items(
    items: Sequence[JournalItem],
    *,
    actor: Actor,
    account: Account,
    label: str = "",
    date: datetime.date | None = None,
) -> dict[str, object]:
    """Book what is open of each chosen item to ``account`` and settle it with that, one entry an item."""
    result = reconcile_groups(
        [[item] for item in items],
        actor=actor,
        write_off_account=account,
        write_off_label=label,
        date=date,
        allow_partial=False,
    )
    return _answer(result)


@action(
    JournalItem, name="unmatch", permission="reconcile", title=gettext_lazy("Undo matching"), icon="link_off"
)
def unmatch_chosen(items: Sequence[JournalItem], *, actor: Actor) -> dict[str, object]:
    """Undo all matchings of the chosen items, with the exchange differences and taxes that they made."""
    undone = unmatch_items(items, actor=actor)
    return {"removed": undone.removed, "reversed": [entry.pk for entry in undone.reversals]}


def _answer(result: MatchResult) -> dict[str, object]:
    return {
        "matches": result.match_pks,
        "entries": [
            entry.pk for entry in result.write_off_entries + result.exchange_entries + result.tax_entries
        ],
        "full": result.is_full,
    }
