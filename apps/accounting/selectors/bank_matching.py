"""What a bank line may be: proposals in the order of their strength, each with its reason, for a whole statement at once.

1. a reference or number of a document or payment stands in the label, all of it;
2. an open item has the very amount, and its partner is the line's;
3. a number of four digits or more in the label ends the number or reference of a document;
4. the partner is known by the account number, 5. by a name that is alike: his open items, his account;
6. rules; 7. what was chosen before for lines with the same label.

The database is asked a fixed number of times, whatever the number of lines. Nothing here writes.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _

from apps.accounting.constants import Direction
from apps.accounting.models import ReconcileRule, StatementLine
from apps.accounting.selectors import bank_search
from apps.accounting.selectors.bank_search import Candidate, Promise
from apps.accounting.selectors.statements import OpenAmount, open_amounts
from apps.core.actor import Actor
from apps.core.rules import visible

REFERENCE, AMOUNT, NUMBER, ACCOUNT_NUMBER, NAME, RULE, HABIT = range(1, 8)
MOST = 5  # proposals a line
MOST_WORDS = 7  # of a reference that is printed in groups
LONGEST = 40
NUMBERS = re.compile(r"\d{4,}")
WORDS = re.compile(r"[^\s,;:|()\[\]]+")


@dataclass(frozen=True, slots=True)
class Proposal:
    """One way to explain a line. Which of ``items``, ``payments`` and ``account_pk`` are given says how; ``rank`` is the
    step that found it (lower is stronger), ``reason`` is for people. ``auto`` comes from a rule that needs no asking;
    ``certain`` proposals explain all of the line by a full reference, or by its amount and a partner who is known."""

    rank: int
    reason: str
    items: tuple[int, ...] = ()
    payments: tuple[int, ...] = ()
    partner_pk: int | None = None
    account_pk: int | None = None
    amount: Decimal | None = None  # of the account, signed like the line; None: all that is left
    label: str = ""
    rule_pk: int | None = None
    auto: bool = False
    certain: bool = False


@dataclass(slots=True)
class _Facts:
    """A line with what its texts hold."""

    line: StatementLine
    left: OpenAmount
    references: set[str] = field(default_factory=set)
    numbers: set[str] = field(default_factory=set)
    partner_pk: int | None = None
    partner_rank: int = 0
    partner_reason: str = ""

    @property
    def sign(self) -> int:
        return 1 if self.left.amount > 0 else -1


def proposals_for(
    lines: Sequence[StatementLine], *, actor: Actor, most: int = MOST, buttons: bool = False
) -> dict[int, list[Proposal]]:
    """Proposals for the open ones of ``lines``, strongest first, by key of the line. ``buttons`` adds the rules that wait to
    be pressed."""
    opens = open_amounts([line.pk for line in lines if not line.reconciled])
    facts = [_read(line, opens[line.pk]) for line in lines if line.pk in opens and opens[line.pk].is_open]
    if not facts:
        return {}
    _find_partners(facts, actor)
    companies = {fact.line.company_id for fact in facts}
    candidates = bank_search.candidates(
        companies,
        references={text for fact in facts for text in fact.references},
        numbers={text for fact in facts for text in fact.numbers},
        amounts={abs(fact.left.amount) for fact in facts},
        partners={fact.partner_pk for fact in facts if fact.partner_pk is not None},
        actor=actor,
    )
    promises = bank_search.promises({fact.line.journal_id for fact in facts}, actor=actor)
    rules = list(
        visible(ReconcileRule, actor)
        .filter(company__in=companies)
        .prefetch_related("journals")
        .order_by("sequence", "pk")
    )
    patterns = bank_search.pattern_hits(
        [rule.pk for rule in rules if rule.label_test == ReconcileRule.LabelTest.REGEX],
        [fact.line.pk for fact in facts],
    )
    habits = bank_search.habits(
        {label_pattern(fact.line.label) for fact in facts} - {""},
        {fact.line.journal_id for fact in facts},
        {fact.line.pk for fact in facts},
    )
    index = _Index(candidates, promises)
    answer = {}
    for fact in facts:
        found = [
            *_of_documents(fact, index),
            *_of_rules(fact, index, rules, patterns, buttons=buttons),
            *_of_habits(fact, habits),
        ]
        answer[fact.line.pk] = _best(found, most)
    return answer


def certain_one(found: Sequence[Proposal]) -> Proposal | None:
    """The proposal of a line that needs no second look: a rule that asks nobody, else the only strongest certain one."""
    for proposal in found:
        if proposal.auto:
            return proposal
    certain = [proposal for proposal in found if proposal.certain]
    strongest = [proposal for proposal in certain if proposal.rank == certain[0].rank]
    by_items = [proposal for proposal in strongest if proposal.items]
    rivals = by_items or strongest  # a document and the promise to pay it are the same money
    return rivals[0] if len(rivals) == 1 else None


def _best(found: Sequence[Proposal], most: int) -> list[Proposal]:
    """Without repetitions, strongest first; the order in which they were found decides among equals."""
    seen: set[tuple[Any, ...]] = set()
    kept = []
    for proposal in sorted(found, key=lambda p: p.rank):
        key = (proposal.items, proposal.payments, proposal.account_pk, proposal.rule_pk)
        if key not in seen:
            seen.add(key)
            kept.append(proposal)
    return kept[:most]


# -------------------------------------------------------------------------------------------------------------- reading
def folded(text: str) -> str:
    """Letters and digits only, in capitals: how references are compared."""
    return re.sub(r"[^A-Z0-9]", "", text.upper())


def label_pattern(label: str) -> str:
    """A label without what differs from one month to the next: its words of plain letters, in capitals."""
    return " ".join(re.findall(r"[A-Z]{2,}", label.upper()))[:200]


def _read(line: StatementLine, left: OpenAmount) -> _Facts:
    fact = _Facts(line, left, partner_pk=line.partner_id)
    if line.partner_id is not None:
        fact.partner_rank, fact.partner_reason = ACCOUNT_NUMBER, _("the partner of the line")
    for text in (line.label, line.reference, str(line.details.get("structured_reference", ""))):
        words = [folded(word) for word in WORDS.findall(text)]
        for first in range(len(words)):
            joined = ""
            for word in words[first : first + MOST_WORDS]:
                joined += word
                if len(joined) > LONGEST:
                    break
                if len(joined) >= 4 and any(c.isdigit() for c in joined):
                    fact.references.add(joined)
        fact.numbers.update(number.lstrip("0") for number in NUMBERS.findall(text) if number.lstrip("0"))
    return fact


def _find_partners(facts: Sequence[_Facts], actor: Actor) -> None:
    """Partners by account number, then by name."""
    unknown = [fact for fact in facts if fact.partner_pk is None]
    by_number = bank_search.partners_by_number({fact.line.account_number for fact in unknown}, actor=actor)
    for fact in unknown:
        fact.partner_pk = by_number.get(folded(fact.line.account_number))
        if fact.partner_pk is not None:
            fact.partner_rank = ACCOUNT_NUMBER
            fact.partner_reason = _("account number %(number)s") % {"number": fact.line.account_number}
    nameless = [fact for fact in unknown if fact.partner_pk is None and len(fact.line.partner_name) > 3]
    alike = bank_search.partners_by_name({fact.line.partner_name for fact in nameless}, actor=actor)
    for fact in nameless:
        if fact.line.partner_name in alike:
            fact.partner_pk, name = alike[fact.line.partner_name]
            fact.partner_rank = NAME
            fact.partner_reason = _("“%(bank)s” is like “%(name)s”") % {
                "bank": fact.line.partner_name,
                "name": name,
            }


class _Index:
    """Open items by what they are found with."""

    def __init__(self, candidates: Sequence[Candidate], promises: Sequence[Promise]) -> None:
        self.by_reference: dict[str, list[Candidate]] = {}
        self.by_number: dict[str, list[Candidate]] = {}
        self.by_amount: dict[tuple[int, Decimal], list[Candidate]] = {}
        self.by_partner: dict[int, list[Candidate]] = {}
        self.promises: dict[tuple[int, int, Decimal], list[Promise]] = {}
        for row in candidates:
            for text in row.references:
                self.by_reference.setdefault(text, []).append(row)
            for text in row.numbers:
                self.by_number.setdefault(text, []).append(row)
            self.by_amount.setdefault((row.currency_pk, row.left), []).append(row)
            if row.partner_pk is not None:
                self.by_partner.setdefault(row.partner_pk, []).append(row)
        for promise in promises:
            sign = 1 if promise.direction == Direction.INBOUND else -1
            key = (promise.journal_pk, promise.currency_pk, sign * promise.amount)
            self.promises.setdefault(key, []).append(promise)


# ------------------------------------------------------------------------------------------------ documents and payments
def _of_documents(fact: _Facts, index: _Index) -> list[Proposal]:
    found: list[Proposal] = []
    named = _fitting(fact, [row for text in fact.references for row in index.by_reference.get(text, ())])
    alone = [row for row in named if _exact(fact, row)]
    if len(alone) == 1 and len(named) > 1:
        found.append(_of_items(fact, alone, REFERENCE, _("the label names it, same amount"), sure=True))
    if named:
        found.append(_of_items(fact, named, REFERENCE, _("the label names it"), sure=True))
    exact = _fitting(fact, index.by_amount.get((fact.left.currency_pk, fact.left.amount), ()))
    own = [row for row in exact if fact.partner_pk is not None and row.partner_pk == fact.partner_pk]
    known = fact.partner_rank == ACCOUNT_NUMBER
    for row in own:
        why = _("same amount, %(who)s") % {"who": fact.partner_reason}
        found.append(_of_items(fact, [row], AMOUNT, why, sure=known))
    for promise in index.promises.get((fact.line.journal_id, fact.left.currency_pk, fact.left.amount), ()):
        rank = REFERENCE if promise.references & fact.references else AMOUNT
        if rank == AMOUNT and promise.partner_pk not in (None, fact.partner_pk):
            continue
        reason = _("payment %(number)s waits for this amount") % {"number": promise.number}
        sure = rank == REFERENCE or (known and promise.partner_pk == fact.partner_pk)
        found.append(
            Proposal(rank, reason, payments=(promise.pk,), partner_pk=promise.partner_pk, certain=sure)
        )
    numbered = _fitting(fact, [row for text in fact.numbers for row in index.by_number.get(text, ())])
    for row in numbered:
        if row not in named:
            found.append(_of_items(fact, [row], NUMBER, _("a number of the label ends its number")))
    if fact.partner_pk is not None:
        theirs = _fitting(fact, index.by_partner.get(fact.partner_pk, ()))
        if theirs and not own:
            found.append(_of_items(fact, _enough(fact, theirs), fact.partner_rank, fact.partner_reason))
    if not found and len(exact) == 1:
        found.append(_of_items(fact, exact, NAME, _("the only open item of this amount")))
    return found


def _exact(fact: _Facts, row: Candidate) -> bool:
    return row.currency_pk == fact.left.currency_pk and row.left == fact.left.amount


def _fitting(fact: _Facts, rows: Sequence[Candidate] | Collection[Candidate]) -> list[Candidate]:
    """Items that money of this direction can settle, in the books of the line, each once, oldest first."""
    kept = {
        row.pk: row for row in rows if row.left * fact.sign > 0 and row.company_pk == fact.line.company_id
    }
    return sorted(kept.values(), key=lambda row: (row.due, row.pk))


def _enough(fact: _Facts, rows: Sequence[Candidate]) -> list[Candidate]:
    """The oldest items that the money is enough for; the first at least."""
    chosen: list[Candidate] = []
    total = Decimal(0)
    for row in rows:
        if row.currency_pk == fact.left.currency_pk:
            total += row.left
            if chosen and abs(total) > abs(fact.left.amount):
                break
            chosen.append(row)
    return chosen or list(rows[:1])


def _of_items(
    fact: _Facts, rows: Sequence[Candidate], rank: int, why: str, *, sure: bool = False
) -> Proposal:
    whole = all(row.currency_pk == fact.left.currency_pk for row in rows)
    total = sum((row.left for row in rows), Decimal(0))
    numbers = ", ".join(dict.fromkeys(row.number for row in rows[:3]))
    partners = {row.partner_pk for row in rows}
    return Proposal(
        rank,
        _("%(numbers)s: %(why)s") % {"numbers": numbers, "why": why},
        items=tuple(row.pk for row in rows),
        partner_pk=next(iter(partners)) if len(partners) == 1 else None,
        certain=sure and whole and total == fact.left.amount,
    )


# ---------------------------------------------------------------------------------------------------------------- rules
def _of_rules(
    fact: _Facts,
    index: _Index,
    rules: Sequence[ReconcileRule],
    hits: Collection[tuple[int, int]],
    *,
    buttons: bool,
) -> list[Proposal]:
    shown = (ReconcileRule.Kind.SUGGESTION, *([ReconcileRule.Kind.BUTTON] if buttons else ()))
    found = []
    for rule in rules:
        if rule.company_id != fact.line.company_id or not rule_fits(rule, fact, hits):
            continue
        if rule.kind == ReconcileRule.Kind.MATCHING:
            proposal = _matching(rule, fact, index)
        elif rule.kind in shown and rule.account_id is not None:
            proposal = _write_off(rule, fact)
        else:
            proposal = None  # a button waits to be pressed
        if proposal is not None:
            found.append(proposal)
    return found


def rule_fits(rule: ReconcileRule, fact: _Facts, hits: Collection[tuple[int, int]]) -> bool:
    """Whether a line meets all conditions of a rule."""
    line, amount = fact.line, abs(fact.line.amount)
    journals = [journal.pk for journal in rule.journals.all()]
    tests = ReconcileRule.LabelTest
    text, wanted = " ".join((line.label, line.reference)).casefold(), rule.label_text.casefold()
    return (
        (not journals or line.journal_id in journals)
        and (rule.nature != ReconcileRule.Nature.RECEIVED or line.amount > 0)
        and (rule.nature != ReconcileRule.Nature.SENT or line.amount < 0)
        and (rule.amount_min is None or amount >= rule.amount_min)
        and (rule.amount_max is None or amount <= rule.amount_max)
        and (rule.partner_id is None or rule.partner_id == fact.partner_pk)
        and (rule.label_test != tests.CONTAINS or wanted in text)
        and (rule.label_test != tests.NOT_CONTAINS or wanted not in text)
        and (rule.label_test != tests.REGEX or (rule.pk, line.pk) in hits)
    )


def _write_off(rule: ReconcileRule, fact: _Facts) -> Proposal:
    amount = None
    if rule.amount_type == ReconcileRule.AmountType.FIXED:
        amount = fact.sign * min(rule.amount_value, abs(fact.left.amount))
    elif rule.amount_value != 100:
        amount = (fact.left.amount * rule.amount_value / 100).quantize(Decimal("0.01"))
    return Proposal(
        RULE,
        _("rule “%(rule)s”") % {"rule": rule.name},
        partner_pk=rule.partner_id or fact.partner_pk,
        account_pk=rule.account_id,
        amount=amount,
        label=rule.line_label,
        rule_pk=rule.pk,
        auto=rule.auto_validate,
    )


def _matching(rule: ReconcileRule, fact: _Facts, index: _Index) -> Proposal | None:
    """One open item of the partner within the tolerance; what differs goes to the rule's account."""
    since = fact.line.date - datetime.timedelta(days=31 * rule.look_back_months)
    rows = _fitting(fact, index.by_partner.get(fact.partner_pk or 0, ()))
    rows += [row for t in fact.references for row in _fitting(fact, index.by_reference.get(t, ()))]
    slack = abs(fact.left.amount) * rule.tolerance_percent / 100
    fits = {
        row.pk: row
        for row in rows
        if row.date >= since
        and row.currency_pk == fact.left.currency_pk
        and abs(row.left - fact.left.amount) <= slack
    }
    if len(fits) != 1:
        return None
    row = next(iter(fits.values()))
    difference = fact.left.amount - row.left
    if difference and rule.account_id is None:
        return None
    return Proposal(
        RULE,
        _("%(number)s by rule “%(rule)s”") % {"number": row.number, "rule": rule.name},
        items=(row.pk,),
        partner_pk=row.partner_pk,
        account_pk=rule.account_id if difference else None,
        amount=difference or None,
        label=rule.line_label,
        rule_pk=rule.pk,
        auto=rule.auto_validate,
    )


# --------------------------------------------------------------------------------------------------------------- habits
def _of_habits(fact: _Facts, habits: Mapping[str, Sequence[tuple[int, str, int]]]) -> list[Proposal]:
    return [
        Proposal(
            HABIT,
            _("%(count)d lines with this label went to %(code)s") % {"count": count, "code": code},
            account_pk=account_pk,
            partner_pk=fact.partner_pk,
        )
        for account_pk, code, count in habits.get(label_pattern(fact.line.label), ())
    ]
