"""Explaining bank lines: what stands in suspense moves on to open items, payments, accounts of its own or the partner's account.

The ledger forgets nothing, so the entry of a line stays as it is. A reconciling entry, caused by it, clears its suspense item
against counterparts, and each counterpart is matched with the open item that it settles; exchange differences, taxes due on
payment and the states of documents and payments follow from that. A line is *reconciled* when nothing of its suspense is open.
Undoing takes the matchings off and reverses the entries: every residual is what it was.

Locks: lines, payments, documents, items, chains, each in the order of their keys. Of two who explain one line, or settle one
item, the second finds it settled.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.accounting.constants import Direction, EntryOrigin, PaymentStatus
from apps.accounting.models import Account, JournalEntry, JournalItem, Payment, StatementLine, Tax
from apps.accounting.selectors.bank_items import open_parts_of, promises_for
from apps.accounting.selectors.locks import OpenDateRequest, open_dates
from apps.accounting.selectors.partners import terms_of
from apps.accounting.selectors.payment_setup import rates_between
from apps.accounting.selectors.setup import tax_specs
from apps.accounting.selectors.statements import open_amounts, reconciling_entries
from apps.accounting.services.bank_parts import Bundle, Choice, Division, WriteOff
from apps.accounting.services.bulk import update_rows
from apps.accounting.services.ledger import EntrySpec, post_entries
from apps.accounting.services.match_rows import Row, lock_documents, lock_items
from apps.accounting.services.matching import reconcile_groups
from apps.accounting.services.statements import BankSetup, read_bank_setup, take_back_entries
from apps.accounting.services.unmatching import unmatch_items
from apps.contacts.models import Partner
from apps.core.actions import action
from apps.core.actor import Actor
from apps.core.errors import Conflict, NotVisible, ValidationFailed
from apps.core.rules import visible
from apps.core.unit_of_work import unit_of_work

__all__ = ["Choice", "Reconciled", "WriteOff", "reconcile_line", "reconcile_lines", "undo_reconcile"]
ZERO = Decimal(0)


@dataclass(slots=True)
class Reconciled:
    """What explaining lines wrote. ``left`` is what stays in suspense, by line, signed like it."""

    entries: list[JournalEntry] = field(default_factory=list)
    exchange_entries: list[JournalEntry] = field(default_factory=list)
    tax_entries: list[JournalEntry] = field(default_factory=list)
    left: dict[int, Decimal] = field(default_factory=dict)


def reconcile_line(
    line: StatementLine,
    *,
    actor: Actor,
    counterparts: Sequence[JournalItem | int] = (),
    amounts: Mapping[int, Decimal] | None = None,
    payments: Sequence[Payment | int] = (),
    write_offs: Sequence[WriteOff] = (),
    partner: Partner | None = None,
    rest_to_partner: bool = False,
) -> Reconciled:
    """Explain one line; see ``Choice``. Rights are the caller's to check."""
    choice = Choice(
        line,
        items=[_pk(item) for item in counterparts],
        amounts=amounts or {},
        payments=[_pk(payment) for payment in payments],
        write_offs=write_offs,
        partner_pk=partner.pk if partner is not None else None,
        rest_to_partner=rest_to_partner,
    )
    return reconcile_lines([choice], actor=actor)


def _pk(record: Any) -> int:
    return record if isinstance(record, int) else int(record.pk)


def reconcile_lines(choices: Sequence[Choice], *, actor: Actor) -> Reconciled:
    """Explain many lines, all or none, in a number of statements that does not grow with them.

    Errors: ``Conflict`` for a line or an item that is settled already; ``ValidationFailed`` for choices that make more than
    their line, or name what cannot be matched.
    """
    result = Reconciled()
    if not choices:
        return result
    with unit_of_work(actor):
        work = LineWork(choices, actor)
        work.lock()
        work.divide()
        work.write(result)
    return result


@dataclass(slots=True)
class _Target:
    """A line with what was chosen for it, locked."""

    choice: Choice
    line: StatementLine
    suspense_pk: int
    day: datetime.date
    promises: list[Payment] = field(default_factory=list)
    items: list[int] = field(default_factory=list)
    kept: Payment | None = None  # a promise that the chosen documents keep
    division: Division | None = None


class LineWork:
    """One call of ``reconcile_lines``."""

    def __init__(self, choices: Sequence[Choice], actor: Actor) -> None:
        self.choices, self.actor = choices, actor
        self.rows: dict[int, Row] = {}
        self.parts: dict[int, list[int]] = {}
        self.held: tuple[int, ...] = ()
        self.targets: list[_Target] = []
        self.setup: BankSetup

    # ---------------------------------------------------------------- locking
    def lock(self) -> None:
        pks = [choice.line.pk for choice in self.choices]
        if len(set(pks)) < len(pks):
            raise ValidationFailed(_("A line can be explained once only."), code="line_twice")
        lines = {
            line.pk: line
            for line in StatementLine.objects.filter(pk__in=pks)
            .order_by("pk")
            .select_for_update(of=("self",), no_key=True)
        }
        if len(lines) < len(pks):
            raise NotVisible()
        self.setup = read_bank_setup(list(lines.values()))
        opens = open_amounts(pks)
        days = open_dates(
            [
                OpenDateRequest(
                    line.company_id,
                    line.date,
                    self.setup.journals[line.journal_id].type,
                    taxed=any(w.tax_pks for w in choice.write_offs),
                )
                for choice in self.choices
                for line in (lines[choice.line.pk],)
            ],
            actor=self.actor,
        )
        for choice, day in zip(self.choices, days, strict=True):
            line = lines[choice.line.pk]
            self.targets.append(_Target(choice, line, opens[line.pk].item_pk, day, items=list(choice.items)))
        self._lock_payments()
        self._lock_items()

    def _lock_payments(self) -> None:
        wanted = {pk for choice in self.choices for pk in choice.payments}
        offers = promises_for({pk for choice in self.choices for pk in choice.items})
        offered = {pk for pks in offers.values() for pk in pks}
        if not wanted | offered:
            return
        payments = {
            row.pk: row
            for row in Payment.objects.filter(pk__in=wanted | offered)
            .order_by("pk")
            .select_for_update(of=("self",), no_key=True)
        }
        if wanted - payments.keys():
            raise NotVisible()
        if sum(len(choice.payments) for choice in self.choices) != len(wanted):
            raise ValidationFailed(_("A payment can be on one line only."), code="payment_twice")
        money, self.parts = open_parts_of([payments[pk] for pk in sorted(wanted)])
        for target in self.targets:
            for pk in target.choice.payments:
                payment = payments[pk]
                if payment.state != PaymentStatus.IN_PROCESS:
                    raise Conflict(
                        _("%(payment)s does not wait for the bank.") % {"payment": payment}, code="settled"
                    )
                if payment.journal_entry_id is None:
                    target.promises.append(payment)
                else:
                    target.items += money.get(pk, [])
        for target in self.targets:
            if not target.promises:
                target.kept = self._kept(target, [payments[pk] for pk in sorted(offered)], offers)

    def _kept(
        self, target: _Target, payments: Sequence[Payment], offers: Mapping[int, Sequence[int]]
    ) -> Payment | None:
        """The one promise over the chosen documents that this line keeps: same journal, direction and amount."""
        line = target.line
        mine = {pk for item in target.choice.items for pk in offers.get(item, ())}
        fitting = [
            payment
            for payment in payments
            if payment.pk in mine
            and payment.state == PaymentStatus.IN_PROCESS
            and payment.journal_entry_id is None
            and payment.journal_id == line.journal_id
            and payment.amount == abs(line.amount)
            and payment.currency_id == self.setup.currency_of(line).pk
            and _direction(payment) == (1 if line.amount > 0 else -1)
        ]
        return fitting[0] if len(fitting) == 1 else None

    def _lock_items(self) -> None:
        chosen = [pk for target in self.targets for pk in target.items]
        chosen += [pk for target in self.targets for p in target.promises for pk in self.parts.get(p.pk, ())]
        if len(set(chosen)) < len(chosen):
            raise ValidationFailed(_("An item can be settled by one line only."), code="item_twice")
        pks = {*chosen, *(target.suspense_pk for target in self.targets)}
        self.held = lock_documents(pks).invoice_pks
        self.rows = lock_items(pks).rows
        if pks - self.rows.keys():
            raise ValidationFailed(_("An item to match does not exist."), code="no_item")
        for pk in chosen:
            row = self.rows[pk]
            if not row.posted or not row.matched_account:
                raise ValidationFailed(
                    _("%(item)s cannot be matched: it is not posted, or its account is not matched.")
                    % {"item": row.entry_number or row.name},
                    code="not_matchable",
                )
            if not row.is_open:
                raise Conflict(
                    _("The item of %(number)s is settled already.") % {"number": row.entry_number},
                    code="settled",
                )

    # --------------------------------------------------------------- dividing
    def divide(self) -> None:
        rates = self._rates()
        specs = tax_specs({pk for c in self.choices for w in c.write_offs for pk in w.tax_pks})
        entities, receivables = self._partners()
        for target in self.targets:
            choice, line = target.choice, target.line
            row = self.rows[target.suspense_pk]
            division = target.division = Division(line, row, rates.get((row.company_pk, target.day), {}))
            partner_pk = choice.partner_pk or line.partner_id
            entity = entities.get(partner_pk) if partner_pk else None
            main = Bundle(payment_pk=target.kept.pk if target.kept is not None else None)
            for wanted in choice.write_offs:
                wanted.partner_pk = wanted.partner_pk or entity
                if wanted.amount is not None:
                    division.take_write_off(main, wanted)
            for promise in target.promises:
                division.bundles.append(self._keep(division, promise, entities))
            division.take_items(main, [self.rows[pk] for pk in target.items], choice.amounts)
            for wanted in choice.write_offs:
                if wanted.amount is None:
                    division.take_write_off(main, wanted)
            if choice.rest_to_partner and division.left:
                if entity is None:
                    raise ValidationFailed(
                        fields={"partner": [_("Name the partner on whose account the rest stays.")]}
                    )
                account = receivables[line.company_id, partner_pk, line.amount > 0]
                division.take_write_off(main, WriteOff(account, partner_pk=entity))
            division.bundles.append(main)
            division.close(specs)

    def _keep(self, division: Division, promise: Payment, entities: Mapping[int, int | None]) -> Bundle:
        """The parts of a promise: the open parts of its documents up to its amount, the rest on its account."""
        bundle = Bundle(payment_pk=promise.pk)
        sign = _direction(promise)
        if promise.counterpart_account_id is None:
            raise ValidationFailed(
                _("%(payment)s names no account that it settles.") % {"payment": promise}, code="no_account"
            )
        before = division.left
        if promise.currency_id == division.suspense.currency_pk:
            wanted = sign * promise.amount
        else:
            wanted = before
        rest = wanted
        for pk in self.parts.get(promise.pk, ()):
            row = self.rows[pk]
            own, _company = division.need(row)
            if not rest or own * sign <= 0:
                continue
            amount = min(abs(own), abs(rest))
            division.take_items(bundle, [row], {pk: amount})
            rest -= sign * amount
        if rest:
            entity = entities.get(promise.partner_id) if promise.partner_id else None
            division.take_write_off(
                bundle, WriteOff(promise.counterpart_account_id, rest, promise.memo, partner_pk=entity)
            )
        return bundle

    def _rates(self) -> dict[tuple[int, datetime.date], dict[int, Decimal]]:
        """Rates of the currencies of the chosen items on the days of the lines, by (company, day)."""
        wanted: dict[int, set[tuple[int, datetime.date]]] = {}
        for target in self.targets:
            own = self.rows[target.suspense_pk]
            pks = [*target.items, *(pk for p in target.promises for pk in self.parts.get(p.pk, ()))]
            for pk in pks:
                row = self.rows[pk]
                if row.currency_pk not in (own.currency_pk, row.company_currency_pk):
                    wanted.setdefault(own.company_pk, set()).add((row.currency_pk, target.day))
        found: dict[tuple[int, datetime.date], dict[int, Decimal]] = {}
        for company_pk, asked in wanted.items():
            for (pk, day), rate in rates_between(asked, company_pk).items():
                found.setdefault((company_pk, day), {})[pk] = rate
        return found

    def _partners(self) -> tuple[dict[int, int | None], dict[tuple[int, int | None, bool], int]]:
        """Commercial entities of partners, and the accounts on which a rest stays."""
        wanted = {c.partner_pk or t.line.partner_id for c, t in zip(self.choices, self.targets, strict=True)}
        wanted |= {promise.partner_id for target in self.targets for promise in target.promises}
        partners = Partner.objects.in_bulk(wanted - {None})
        entities = {pk: partner.commercial_entity_id or pk for pk, partner in partners.items()}
        accounts: dict[tuple[int, int | None, bool], int] = {}
        for company_pk in {t.line.company_id for t in self.targets if t.choice.rest_to_partner}:
            agreed = terms_of(company_pk, list(partners.values()))
            settings = self.setup.settings[company_pk]
            for pk in partners:
                own = agreed.get(pk)
                for received, name in ((True, "receivable_account_id"), (False, "payable_account_id")):
                    account = getattr(own, name, None) or getattr(settings, name)
                    if account is not None:
                        accounts[company_pk, pk, received] = account
        return entities, accounts

    # ---------------------------------------------------------------- writing
    def write(self, result: Reconciled) -> None:
        self._save_lines()
        self._save_promises()
        specs: list[EntrySpec] = []
        groups: list[list[int]] = []
        sources: list[tuple[_Target, Bundle, EntrySpec]] = []
        for target in self.targets:
            assert target.division is not None
            for bundle in target.division.bundles:
                spec = self._spec(target, bundle)
                specs.append(spec)
                sources.append((target, bundle, spec))
        result.entries = post_entries(specs, actor=self.actor)
        clearing: dict[int, list[int]] = {}
        for target, bundle, spec in sources:
            clearing.setdefault(target.suspense_pk, [target.suspense_pk]).append(spec.items[0].pk)  # type: ignore[arg-type]
            for part in bundle.parts:
                if part.item_pk is not None:
                    assert part.spec is not None
                    groups.append([part.spec.pk, part.item_pk])  # type: ignore[list-item]
        matched = reconcile_groups([*clearing.values(), *groups], actor=self.actor, held=self.held)
        result.exchange_entries, result.tax_entries = matched.exchange_entries, matched.tax_entries
        result.left = {t.line.pk: t.division.left for t in self.targets if t.division is not None}

    def _spec(self, target: _Target, bundle: Bundle) -> EntrySpec:
        line, division = target.line, target.division
        assert division is not None
        label = line.label or line.reference or line.partner_name or _("Bank movement")
        items = division.items_of(bundle, label)
        partners = {part.partner_pk for part in bundle.parts} - {None}
        return EntrySpec(
            journal=self.setup.journals[line.journal_id],
            date=target.day,
            company_pk=line.company_id,
            currency_pk=division.suspense.currency_pk,
            origin=EntryOrigin.STATEMENT.value,
            reference=_("Reconciles %(number)s") % {"number": division.suspense.entry_number},
            partner_pk=next(iter(partners)) if len(partners) == 1 else None,
            payment_pk=bundle.payment_pk,
            caused_by_pk=division.suspense.entry_pk,
            items=items,
        )

    def _save_lines(self) -> None:
        """The partner who was found is the line's partner from now on."""
        changed = []
        for target in self.targets:
            assert target.division is not None
            found = {part.partner_pk for bundle in target.division.bundles for part in bundle.parts}
            partner_pk = target.choice.partner_pk
            if partner_pk is None and target.line.partner_id is None and len(found - {None}) == 1:
                partner_pk = next(iter(found - {None}))
            if partner_pk is not None and partner_pk != target.line.partner_id:
                target.line.partner_id = partner_pk
                changed.append(target.line)
        update_rows(StatementLine, changed, ("partner",))

    def _save_promises(self) -> None:
        kept = [promise for target in self.targets for promise in target.promises]
        kept += [target.kept for target in self.targets if target.kept is not None]
        set_promises(kept, PaymentStatus.PAID, actor=self.actor)


def _direction(payment: Payment) -> int:
    return 1 if payment.direction == Direction.INBOUND else -1


def set_promises(payments: Sequence[Payment], state: str, *, actor: Actor) -> None:
    """Write the state of locked promises."""
    if not payments:
        return
    with unit_of_work(actor) as work:
        Payment.objects.filter(pk__in=[payment.pk for payment in payments]).update(
            state=state, version=F("version") + 1, updated_at=timezone.now(), updated_by_id=actor.user_pk
        )
        for payment in payments:
            work.track(payment, {"state": payment.state}, {"state": state})
            payment.state = state


# ------------------------------------------------------------------------------------------------------------- undoing
def undo_reconcile(lines: Sequence[StatementLine | int], *, actor: Actor) -> list[JournalEntry]:
    """Take back what explains lines: matchings with all that they made, then the reconciling entries. Answers the reversals.

    Lines that nothing explains are passed over. Rights are the caller's to check.
    """
    pks = sorted(_pk(line) for line in lines)
    with unit_of_work(actor):
        locked = list(
            StatementLine.objects.filter(pk__in=pks)
            .order_by("pk")
            .select_for_update(of=("self",), no_key=True)
        )
        moves = reconciling_entries([line.pk for line in locked])
        entry_pks = sorted(pk for found in moves.values() for pk in found)
        promises = list(
            Payment.objects.filter(
                entries__in=entry_pks, journal_entry__isnull=True, state=PaymentStatus.PAID
            )
            .order_by("pk")
            .select_for_update(of=("self",), no_key=True)
        )
        set_promises(promises, PaymentStatus.IN_PROCESS, actor=actor)
        items = list(
            JournalItem.objects.filter(entry__in=entry_pks, account__reconcile=True).values_list(
                "pk", flat=True
            )
        )
        items += [left.item_pk for left in open_amounts([line.pk for line in locked]).values()]
        unmatch_items(items, actor=actor, journals={line.journal_id for line in locked})
        return take_back_entries(entry_pks, actor=actor) if entry_pks else []


# ------------------------------------------------------------------------------------------------------------- actions
def _is_open(line: StatementLine, _actor: Actor) -> bool:
    return not line.reconciled


@action(
    StatementLine,
    name="reconcile",
    permission="reconcile",
    title=gettext_lazy("Reconcile"),
    icon="link",
    condition=_is_open,
    saves_state=True,
)
def reconcile(
    lines: Sequence[StatementLine],
    *,
    actor: Actor,
    items: list[JournalItem] | None = None,
    amounts: dict | None = None,  # type: ignore[type-arg]
    payments: list[Payment] | None = None,
    write_offs: list[dict] | None = None,  # type: ignore[type-arg]
    partner: Partner | None = None,
    rest_to_partner: bool = False,
) -> dict[str, object]:
    """Explain bank lines by open items, payments and write-offs.

    ``amounts`` limits items: {"key of the item": "12.50"}. A write-off is {"account": key, "amount": "-5.00", "label": "Fee",
    "taxes": [keys]}; signed like the line, without an amount it takes all that is left. ``rest_to_partner`` leaves the rest
    open on the partner's receivable or payable instead of in suspense. Several lines at once take write-offs without amounts,
    or the partner, only.
    """
    if len(lines) > 1 and (items or payments or amounts):
        raise ValidationFailed(
            _("Open items and payments are chosen for one line at a time."), code="one_line"
        )
    wanted = write_offs_of(write_offs or [], actor)
    if len(lines) > 1 and any(w.amount is not None for w in wanted):
        raise ValidationFailed(_("Amounts are given for one line at a time."), code="one_line")
    limits = amounts_of(amounts or {})
    result = reconcile_lines(
        [
            Choice(
                line,
                items=[item.pk for item in items or ()],
                amounts=limits,
                payments=[payment.pk for payment in payments or ()],
                write_offs=[WriteOff(w.account_pk, w.amount, w.label, w.tax_pks) for w in wanted],
                partner_pk=partner.pk if partner is not None else None,
                rest_to_partner=rest_to_partner,
            )
            for line in lines
        ],
        actor=actor,
    )
    show_written(lines)
    return {
        "entries": [entry.pk for entry in result.entries],
        "exchange_entries": [entry.pk for entry in result.exchange_entries],
        "left": {str(pk): str(left) for pk, left in result.left.items()},
    }


@action(
    StatementLine,
    name="undo",
    permission="reconcile",
    title=gettext_lazy("Undo reconciliation"),
    icon="undo",
    saves_state=True,
)
def undo(lines: Sequence[StatementLine], *, actor: Actor) -> dict[str, object]:
    """Take back what explains bank lines: they stand in suspense again, items and payments are open again."""
    reversals = undo_reconcile(lines, actor=actor)
    show_written(lines)
    return {"reversals": [entry.pk for entry in reversals]}


def show_written(lines: Sequence[StatementLine]) -> None:
    """The caller's instances follow what was written in the meantime."""
    fresh = StatementLine.objects.in_bulk([line.pk for line in lines])
    for line in lines:
        for name in ("reconciled", "version", "partner_id", "updated_at", "updated_by_id"):
            setattr(line, name, getattr(fresh[line.pk], name))


def _decimal(value: Any, name: str) -> Decimal:
    if isinstance(value, float | bool):
        raise ValidationFailed(fields={name: [_("Send amounts as text, such as “12.50”.")]})
    try:
        amount = Decimal(str(value))
    except InvalidOperation as exc:
        raise ValidationFailed(fields={name: [_("“%(value)s” is no amount.") % {"value": value}]}) from exc
    if not amount.is_finite():
        raise ValidationFailed(fields={name: [_("“%(value)s” is no amount.") % {"value": value}]})
    return amount


def amounts_of(given: Mapping[str, Any]) -> dict[int, Decimal]:
    if not all(str(key).isdecimal() for key in given):
        raise ValidationFailed(fields={"amounts": [_("Amounts are given by the keys of items.")]})
    return {int(key): _decimal(value, "amounts") for key, value in given.items()}


KNOWN = {"account", "amount", "label", "taxes"}


def write_offs_of(given: Sequence[Mapping[str, Any]], actor: Actor) -> list[WriteOff]:
    """Write-offs as they come from outside: known names, accounts and taxes that the actor can see."""
    for row in given:
        if not isinstance(row, Mapping) or set(row) - KNOWN or not isinstance(row.get("account"), int):
            raise ValidationFailed(
                fields={"write_offs": [_("A write-off has an account, an amount, a label and taxes.")]}
            )
        named = row.get("taxes") or []
        if not isinstance(named, list | tuple) or any(not isinstance(pk, int) for pk in named):
            raise ValidationFailed(fields={"write_offs": [_("Taxes are given by their keys.")]})
    accounts = {row["account"] for row in given}
    taxes = {pk for row in given for pk in row.get("taxes") or ()}
    seen = (
        set(visible(Account, actor).filter(pk__in=accounts).values_list("pk", flat=True))
        if accounts
        else set()
    )
    if accounts - seen:
        raise ValidationFailed(fields={"write_offs": [_("There is no such account, or you cannot see it.")]})
    known = set(visible(Tax, actor).filter(pk__in=taxes).values_list("pk", flat=True)) if taxes else set()
    if taxes - known:
        raise ValidationFailed(fields={"write_offs": [_("There is no such tax, or you cannot see it.")]})
    return [
        WriteOff(
            row["account"],
            None if row.get("amount") is None else _decimal(row["amount"], "write_offs"),
            str(row.get("label") or ""),
            tuple(row.get("taxes") or ()),
        )
        for row in given
    ]
