"""Reconciliation as arithmetic: which open debits and credits of one account settle each other, and by how much.

An open item has a residual in the company's currency and one in its own, signed alike (debit positive); either may be
zero while the other is not. ``match`` pairs debits with credits, both ordered by maturity, then date, then key, first
within each currency, then across. Of a pair:

* **common foreign currency**, both with something left in it: matched in that currency. Each side's share of its
  company residual is proportional; the smaller share is the amount of the partial, and what the other share has more is
  an exchange difference on that item. Invoice 1200 USD / 1090.91 and payment 500 USD / 416.67: shares 454.55 and 416.67,
  partial 416.67, difference 37.88.
* **a rate is given**: an item may carry ``rates`` (units of another currency for one of the company's, on its date). A
  payment in company currency of a foreign invoice is then worth so much in the invoice's currency and is matched in it,
  so that 1000.00 EUR paid at 1.20 settle 1200 USD whatever they were booked at.
* **otherwise** in company currency; the own currency of each follows in proportion. An item that has only an amount in
  its own currency left is not settled by this: it is closed by that currency, at a rate, or by a write-off.

Invariants: residual = before − Σ partials − Σ differences, in both units; no residual changes sign or grows; when nothing
is left of an item in its own currency, nothing is left in the company's. Nothing here rounds but the shares, half up,
and the last share of an item is always the whole rest. Dropping partials with their differences restores the residuals.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import islice
from typing import NamedTuple

from apps.core.money import WIDE, round_to

Day = date  # under a name that fields called ``date`` do not hide
ZERO = Decimal(0)
NO_RATES: Mapping[int, Decimal] = {}


class MatchError(ValueError):
    """Items that cannot be matched: one key twice, signs that disagree, an unknown currency step."""


@dataclass(frozen=True, slots=True)
class OpenItem:
    """One open item. Residuals are signed; ``currency_pk`` being the company's means the two are the same amount.

    ``rates`` maps other currencies to their units for one unit of the company's; give it for payments only, so that
    the rate of the payment prevails.
    """

    pk: int
    balance_residual: Decimal
    currency_pk: int
    residual_currency: Decimal
    date: Day
    date_maturity: Day | None = None
    rates: Mapping[int, Decimal] | None = None


class Partial(NamedTuple):
    """How much a debit and a credit settle of each other. All amounts are zero or more.

    ``amount`` is in company currency, the others in the currencies of the two items.
    """

    debit_pk: int
    credit_pk: int
    amount: Decimal
    debit_amount_currency: Decimal
    credit_amount_currency: Decimal
    date: Day


class ExchangeDifference(NamedTuple):
    """What must be posted on an item's account, matched with the item, so that its residual follows its currency.

    ``amount`` is the signed balance of that counterpart in company currency: negative on a debit item (a loss),
    positive on a credit item (a gain). ``amount_currency`` is zero, except on items in company currency, where it is
    ``amount``. ``partial`` is the index of the partial that caused it.
    """

    item_pk: int
    amount: Decimal
    currency_pk: int
    amount_currency: Decimal
    date: Day
    partial: int

    @property
    def is_loss(self) -> bool:
        return self.amount < 0


class Residual(NamedTuple):
    """What is left of an item, signed."""

    company: Decimal
    currency: Decimal

    @property
    def is_zero(self) -> bool:
        return not self.company and not self.currency


@dataclass(frozen=True, slots=True)
class MatchPlan:
    """What to write: partials, exchange differences; what is left; whether nothing is left of any item."""

    partials: list[Partial]
    exchange: list[ExchangeDifference]
    residuals: dict[int, Residual]
    fully: bool


class _Side:
    """An item under way: what is left of it in both units, without sign."""

    __slots__ = ("company", "currency", "date", "foreign", "left", "order", "pk", "rates", "sign", "step")

    def __init__(self, item: OpenItem, sign: int, step: Decimal, *, foreign: bool) -> None:
        self.pk = item.pk
        self.sign = sign
        self.company = abs(item.balance_residual)
        self.left = abs(item.residual_currency)
        self.currency = item.currency_pk
        self.foreign = foreign
        self.step = step
        self.date = item.date
        self.rates = item.rates or NO_RATES
        self.order = (item.date_maturity or item.date, item.date, item.pk)

    @property
    def is_open(self) -> bool:
        return bool(self.company or self.left)


class _Share(NamedTuple):
    """What a pair takes of its two sides: company and own currency each."""

    debit: Decimal
    debit_currency: Decimal
    credit: Decimal
    credit_currency: Decimal


def _proportion(whole: Decimal, part: Decimal, of: Decimal, step: Decimal) -> Decimal:
    """``whole`` × ``part`` ÷ ``of``, rounded to ``step``; exactly ``whole`` when part and whole are everything."""
    if part == of:
        return whole
    return min(whole, round_to(WIDE.divide(WIDE.multiply(whole, part), of), step))


class _Matcher:
    """One run of ``match``."""

    def __init__(self, company_step: Decimal) -> None:
        self.company_step = company_step
        self.partials: list[Partial] = []
        self.exchange: list[ExchangeDifference] = []

    def run(self, debits: Sequence[_Side], credits_: Sequence[_Side]) -> None:
        """Settle every pair that can be, in the order given."""
        first = 0
        for debit in debits:
            while first < len(credits_) and not credits_[first].is_open:
                first += 1
            for credit in islice(credits_, first, None):
                if credit.is_open and (share := self._share(debit, credit)) is not None:
                    self._take(debit, credit, share)
                    if not debit.is_open:
                        break

    def _share(self, debit: _Side, credit: _Side) -> _Share | None:
        """What the pair settles; None when it settles nothing."""
        if debit.foreign and debit.currency == credit.currency:
            if debit.left and credit.left:
                return self._in_common_currency(debit, credit)
        elif credit.foreign and credit.left and credit.currency in debit.rates:
            share = self._at_rate(credit, debit)
            if share is not None:
                return _Share(share[2], share[3], share[0], share[1])
        elif debit.foreign and debit.left and debit.currency in credit.rates:
            share = self._at_rate(debit, credit)
            if share is not None:
                return _Share(*share)
        return self._in_company_currency(debit, credit)

    def _in_common_currency(self, debit: _Side, credit: _Side) -> _Share:
        part = min(debit.left, credit.left)
        return _Share(
            _proportion(debit.company, part, debit.left, self.company_step),
            part,
            _proportion(credit.company, part, credit.left, self.company_step),
            part,
        )

    def _at_rate(self, foreign: _Side, rated: _Side) -> tuple[Decimal, Decimal, Decimal, Decimal] | None:
        """(foreign: company, own; rated: company, own) when ``rated`` is counted in the currency of ``foreign``."""
        rate = rated.rates[foreign.currency]
        if rate <= 0:
            raise MatchError(f"The rate of item {rated.pk} must be greater than zero, not {rate}.")
        worth = round_to(WIDE.multiply(rated.company, rate), foreign.step)
        if not worth:
            return None
        if round_to(WIDE.divide(foreign.left, rate), self.company_step) == rated.company:
            worth = (
                foreign.left
            )  # the payment was converted and rounded to the company's currency: it is all of it
        part = min(foreign.left, worth)
        company = _proportion(rated.company, part, worth, self.company_step)
        return (
            _proportion(foreign.company, part, foreign.left, self.company_step),
            part,
            company,
            self._own(rated, company),
        )

    def _in_company_currency(self, debit: _Side, credit: _Side) -> _Share | None:
        amount = min(debit.company, credit.company)
        if not amount:
            return None  # an item worth nothing in the books may still be owed in its own currency
        if debit.foreign and debit.currency == credit.currency:
            # one of them has nothing left in the currency they share: it cannot settle any of the other's
            return _Share(amount, ZERO, amount, ZERO)
        return _Share(amount, self._own(debit, amount), amount, self._own(credit, amount))

    def _own(self, side: _Side, amount: Decimal) -> Decimal:
        """What a side gives of its own currency for ``amount`` of its company residual.

        Something of it stays as long as something of the company's stays: they end together.
        """
        if not side.foreign:
            return amount
        if amount == side.company:
            return side.left
        share = round_to(WIDE.divide(WIDE.multiply(side.left, amount), side.company), side.step)
        return max(ZERO, min(share, side.left - side.step))

    def _take(self, debit: _Side, credit: _Side, share: _Share) -> None:
        """Write the partial of a share and the exchange difference on the side whose share is larger."""
        amount = min(share.debit, share.credit)
        day = max(debit.date, credit.date)
        partial = Partial(
            debit.pk,
            credit.pk,
            amount,
            share.debit_currency if debit.foreign else amount,
            share.credit_currency if credit.foreign else amount,
            day,
        )
        index = len(self.partials)
        self.partials.append(partial)
        for side, company, own in (
            (debit, share.debit, share.debit_currency),
            (credit, share.credit, share.credit_currency),
        ):
            side.company -= company
            side.left -= own
            difference = company - amount
            if difference:
                signed = -difference if side.sign > 0 else difference
                self.exchange.append(
                    ExchangeDifference(
                        side.pk, signed, side.currency, ZERO if side.foreign else signed, day, index
                    )
                )


def match(
    items: Sequence[OpenItem],
    *,
    company_currency_pk: int,
    steps: Mapping[int, Decimal],
) -> MatchPlan:
    """Settle the open items of one account against each other.

    ``steps`` are the smallest amounts of the currencies by key, the company's among them. Items without residual take no part. Which items
    may meet (one account, one company tree, posted) is the caller's to check.

    Errors: ``MatchError``.
    """
    sides = _sides(items, company_currency_pk, steps)
    debits = sorted((side for side in sides if side.sign > 0 and side.is_open), key=lambda side: side.order)
    credits_ = sorted((side for side in sides if side.sign < 0 and side.is_open), key=lambda side: side.order)

    matcher = _Matcher(steps[company_currency_pk])
    if debits and credits_:
        for currency in dict.fromkeys(side.currency for side in debits):
            # what has nothing left in a currency waits for the second round, where company amounts count
            matcher.run(
                [side for side in debits if side.currency == currency and side.left],
                [side for side in credits_ if side.currency == currency and side.left],
            )
        matcher.run([side for side in debits if side.is_open], [side for side in credits_ if side.is_open])

    residuals = {
        side.pk: Residual(_signed(side.company, side.sign), _signed(side.left, side.sign)) for side in sides
    }
    fully = bool(residuals) and all(left.is_zero for left in residuals.values())
    return MatchPlan(matcher.partials, matcher.exchange, residuals, fully)


def _signed(amount: Decimal, sign: int) -> Decimal:
    return -amount if sign < 0 else amount


def _sides(items: Sequence[OpenItem], company_currency_pk: int, steps: Mapping[int, Decimal]) -> list[_Side]:
    missing = {company_currency_pk, *(item.currency_pk for item in items)} - steps.keys()
    if missing:
        raise MatchError(f"The smallest amount of currency {min(missing)} is not given.")
    sides = []
    seen = set()
    for item in items:
        if item.pk in seen:
            raise MatchError(f"Item {item.pk} is given twice.")
        seen.add(item.pk)
        company, own = item.balance_residual, item.residual_currency
        foreign = item.currency_pk != company_currency_pk
        if (company > 0 and own < 0) or (company < 0 and own > 0):
            raise MatchError(f"The residuals of item {item.pk} are of different sign: {company} and {own}.")
        if not foreign and company != own:
            raise MatchError(f"Item {item.pk} is in company currency; its residuals must be the same amount.")
        step = steps[item.currency_pk]
        sides.append(_Side(item, 1 if (company or own) > 0 else -1, step, foreign=foreign))
    return sides


# ---- residuals and connected sets


def residuals_after(
    items: Iterable[OpenItem],
    partials: Iterable[Partial],
    exchange: Iterable[ExchangeDifference] = (),
) -> dict[int, Residual]:
    """The residuals that items have once these partials and differences are written; keys not given are passed over.

    Items carry the residuals from before. Leave a partial and its differences out to see what undoing it restores.
    """
    left = {item.pk: [item.balance_residual, item.residual_currency] for item in items}
    for partial in partials:
        if (debit := left.get(partial.debit_pk)) is not None:
            debit[0] -= partial.amount
            debit[1] -= partial.debit_amount_currency
        if (credit := left.get(partial.credit_pk)) is not None:
            credit[0] += partial.amount
            credit[1] += partial.credit_amount_currency
    for difference in exchange:
        if (own := left.get(difference.item_pk)) is not None:
            own[0] += difference.amount
            own[1] += difference.amount_currency
    return {pk: Residual(company, currency) for pk, (company, currency) in left.items()}


class MatchGroup(NamedTuple):
    """Items connected by partials. ``key`` is the smallest of their keys; ``full`` when nothing is left of any."""

    key: int
    pks: frozenset[int]
    full: bool


def full_groups(
    edges: Iterable[tuple[int, int]], residuals: Mapping[int, tuple[Decimal, Decimal]]
) -> list[MatchGroup]:
    """The connected sets that partials make of items, by key, and which of them are fully matched.

    ``edges`` are (debit, credit) keys of all partials that touch the items, those of exchange entries included. An item
    whose residual is not given counts as open, so that a set is never called full on half the facts.
    """
    parent: dict[int, int] = {}

    def root(pk: int) -> int:
        top = pk
        while (above := parent.setdefault(top, top)) != top:
            top = above
        while parent[pk] != top:  # flatten the way, so that long chains stay cheap
            parent[pk], pk = top, parent[pk]
        return top

    for debit, credit in edges:
        first, second = root(debit), root(credit)
        if first != second:
            parent[max(first, second)] = min(first, second)
    members: dict[int, list[int]] = {}
    for pk in parent:
        members.setdefault(root(pk), []).append(pk)
    groups = []
    for key in sorted(members):
        lefts = [residuals.get(pk) for pk in members[key]]
        full = all(left is not None and not left[0] and not left[1] for left in lefts)
        groups.append(MatchGroup(key, frozenset(members[key]), full))
    return groups
