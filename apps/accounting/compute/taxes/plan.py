"""From a combination of taxes to a plan: which tax is computed from what, in which order, with which factor.

The plan of a combination is worked out once, with fractions, and kept; a line then costs a few multiplications.

Without rounding in between, every amount of a line is linear in two figures of it: the price P (quantity × unit price
less discount) and the signed quantity Q (its sign is that of the price). ``Factor`` holds the two exact coefficients.
With rounding in between the same steps are walked one by one (``amounts_by_line``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, DivisionByZero, Inexact, InvalidOperation, Overflow
from fractions import Fraction
from functools import lru_cache
from math import lcm

from django.utils.translation import gettext as _

from apps.accounting.compute.taxes.specs import (
    HUNDRED,
    ZERO,
    PriceMode,
    Repartition,
    TaxDefinitionError,
    TaxLine,
    TaxSpec,
)
from apps.core.money import decimals_of, exact

#: Everything is computed in this context: an operation that would lose a digit raises instead.
EXACT = Context(prec=250, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow])

_WHOLE = (Repartition(),)


@dataclass(frozen=True, slots=True)
class Factor:
    """price × P + quantity × Q, exactly; the three decimals are the same over one denominator."""

    price: Fraction
    quantity: Fraction
    price_numerator: Decimal
    quantity_numerator: Decimal
    denominator: Decimal

    @classmethod
    def of(cls, price: Fraction, quantity: Fraction) -> Factor:
        common = lcm(price.denominator, quantity.denominator)
        return cls(
            price, quantity, Decimal(int(price * common)), Decimal(int(quantity * common)), Decimal(common)
        )

    def at(self, price: Decimal, quantity: Decimal) -> Fraction:
        return self.price * Fraction(price) + self.quantity * Fraction(quantity)


@dataclass(frozen=True, slots=True)
class Step:
    """One amount: (start − Σ less + Σ plus) × numerator ÷ denominator, where start is P or the untaxed amount."""

    index: int
    numerator: Decimal
    denominator: Decimal
    less: tuple[int, ...] = ()
    plus: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Split:
    """How one tax is divided: parts that charge, parts that give back, and whether it adds to the total."""

    parts: tuple[Repartition, ...]
    charged: bool
    #: Share of the parts that have no account, 1 for all.
    void: Fraction
    has_blank: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything about a combination of taxes that does not depend on the line."""

    taxes: tuple[TaxSpec, ...]
    splits: tuple[Split, ...]
    fixed: tuple[tuple[int, Decimal], ...]
    included_steps: tuple[Step, ...]
    excluded_steps: tuple[Step, ...]
    included: tuple[int, ...]
    #: For each tax, the earlier ones its base contains, and the later ones whose base contains it.
    seen: tuple[tuple[int, ...], ...]
    base_of: tuple[tuple[TaxSpec, ...], ...]
    untaxed: Factor
    amounts: tuple[Factor, ...]
    base_tag_pks: tuple[int, ...]


def flatten(taxes: Sequence[TaxSpec]) -> list[TaxSpec]:
    """The taxes in computing order, groups replaced by their children where the group stood, each tax once."""
    result: dict[TaxSpec, None] = {}
    for tax in sorted(taxes, key=lambda tax: (tax.sequence, tax.pk)):
        if tax.amount_type == "group":
            for child in sorted(tax.children, key=lambda tax: (tax.sequence, tax.pk)):
                if child.amount_type == "group":
                    raise TaxDefinitionError(
                        _("Tax group “%(name)s” contains another group, “%(child)s”.")
                        % {"name": tax.name, "child": child.name}
                    )
                result[child] = None
        else:
            result[tax] = None
    return list(result)


def _included(tax: TaxSpec, price_mode: PriceMode) -> bool:
    return tax.price_include if price_mode is None else price_mode == "included"


def _seen(taxes: list[TaxSpec], included: list[bool]) -> list[tuple[int, ...]]:
    """For each tax the earlier ones in its base. What a price contains never rests on what comes on top of it."""
    return [
        tuple(j for j in range(i) if taxes[j].include_base_amount and (included[j] or not included[i]))
        if tax.is_base_affected
        else ()
        for i, tax in enumerate(taxes)
    ]


def _batches(taxes: list[TaxSpec], included: list[bool], seen: list[tuple[int, ...]]) -> Iterator[list[int]]:
    """Neighbours that are computed together: same kind, same inclusion, same base, none resting on another.

    Divisions must also agree on whether later taxes rest on them; for percentages that would part taxes which have
    the same base, and an included one would then be taken from a price that still holds the other.
    """
    batch: list[int] = []
    for i, tax in enumerate(taxes):
        if batch:
            head = batch[0]
            first = taxes[head]
            together = (
                tax.amount_type == first.amount_type
                and included[i] == included[head]
                and seen[i] == seen[head]
                and (tax.amount_type == "percent" or tax.include_base_amount == first.include_base_amount)
            )
            if not together:
                yield batch
                batch = []
        batch.append(i)
    if batch:
        yield batch


def _ratio(tax: TaxSpec, batch_rate: Decimal, included: bool) -> tuple[Decimal, Decimal]:
    """(numerator, denominator) by which the base, or the price that contains the tax, is multiplied."""
    rate = exact(tax.amount)
    if tax.amount_type == "percent":
        denominator = EXACT.add(HUNDRED, batch_rate) if included else HUNDRED
    elif tax.amount_type == "division":
        denominator = HUNDRED if included else EXACT.subtract(HUNDRED, batch_rate)
    else:
        raise TaxDefinitionError(
            _("Tax “%(name)s” is of the unknown kind “%(kind)s”.")
            % {"name": tax.name, "kind": tax.amount_type}
        )
    if denominator <= 0:
        raise TaxDefinitionError(
            _("Tax “%(name)s”: rates of %(rate)s %% together leave nothing to compute from.")
            % {"name": tax.name, "rate": batch_rate}
        )
    return rate, denominator


def _split_of(tax: TaxSpec, *, is_refund: bool) -> Split:
    parts = (tax.refund_repartition if is_refund else tax.invoice_repartition) or _WHOLE
    given = sum((part.percent for part in parts if part.percent > 0), ZERO)
    back = sum((part.percent for part in parts if part.percent < 0), ZERO)
    if given != HUNDRED or back not in (ZERO, -HUNDRED):
        raise TaxDefinitionError(
            _(
                "Tax “%(name)s”: its parts must add up to 100 %%, those given back to 0 or −100 %%,"
                " not %(given)s %% and %(back)s %%."
            )
            % {"name": tax.name, "given": given, "back": back}
        )
    blank = [part for part in parts if part.account_pk is None]
    void = Fraction(sum((part.percent for part in blank), ZERO)) / 100
    return Split(parts, charged=back == 0, void=void, has_blank=bool(blank))


@lru_cache(maxsize=1024)
def plan_for(taxes: tuple[TaxSpec, ...], price_mode: PriceMode, is_refund: bool) -> Plan:
    """The plan of a combination of taxes.

    Errors: ``TaxDefinitionError`` for a nested group, rates that leave nothing, or parts that do not add up.
    """
    flat = flatten(taxes)
    included = [_included(tax, price_mode) for tax in flat]
    seen = _seen(flat, included)
    fixed = [(i, exact(tax.amount)) for i, tax in enumerate(flat) if tax.amount_type == "fixed"]

    included_steps: list[Step] = []
    excluded_steps: list[Step] = []
    for batch in _batches(flat, included, seen):
        first = batch[0]
        if flat[first].amount_type == "fixed":
            continue
        batch_rate = sum((flat[i].amount for i in batch), ZERO)
        after = [j for j in range(batch[-1] + 1, len(flat)) if included[j]]
        before = [j for j, _ in fixed if j < first and included[j] and j not in seen[first]]
        for i in batch:
            numerator, denominator = _ratio(flat[i], batch_rate, included[i])
            if included[i]:
                included_steps.append(Step(i, numerator, denominator, less=tuple(before + after)))
            else:
                excluded_steps.append(Step(i, numerator, denominator, plus=seen[i]))
    included_steps.reverse()

    contained = tuple(i for i, inside in enumerate(included) if inside)
    untaxed, amounts = _factors(len(flat), fixed, included_steps, excluded_steps, contained)
    tags: dict[int, None] = {}
    for tax in flat:
        if not tax.on_payment:
            tags.update(dict.fromkeys(tax.refund_base_tag_pks if is_refund else tax.invoice_base_tag_pks))
    return Plan(
        taxes=tuple(flat),
        splits=tuple(_split_of(tax, is_refund=is_refund) for tax in flat),
        fixed=tuple(fixed),
        included_steps=tuple(included_steps),
        excluded_steps=tuple(excluded_steps),
        included=contained,
        seen=tuple(seen),
        base_of=tuple(tuple(flat[k] for k in range(len(flat)) if i in seen[k]) for i in range(len(flat))),
        untaxed=untaxed,
        amounts=amounts,
        base_tag_pks=tuple(tags),
    )


def _factors(
    count: int,
    fixed: list[tuple[int, Decimal]],
    included_steps: list[Step],
    excluded_steps: list[Step],
    contained: tuple[int, ...],
) -> tuple[Factor, tuple[Factor, ...]]:
    """The steps walked symbolically: each amount as (factor of P, factor of Q)."""
    by_price = [Fraction(0)] * count
    by_quantity = [Fraction(0)] * count
    for i, amount in fixed:
        by_quantity[i] = Fraction(amount)

    def walk(steps: list[Step], price: Fraction, quantity: Fraction) -> None:
        for step in steps:
            rate = Fraction(step.numerator) / Fraction(step.denominator)
            i = step.index
            by_price[i] = rate * (
                price - sum(by_price[j] for j in step.less) + sum(by_price[j] for j in step.plus)
            )
            by_quantity[i] = rate * (
                quantity - sum(by_quantity[j] for j in step.less) + sum(by_quantity[j] for j in step.plus)
            )

    walk(included_steps, Fraction(1), Fraction(0))
    price = 1 - sum((by_price[i] for i in contained), Fraction(0))
    quantity = -sum((by_quantity[i] for i in contained), Fraction(0))
    walk(excluded_steps, price, quantity)
    amounts = tuple(Factor.of(by_price[i], by_quantity[i]) for i in range(count))
    return Factor.of(price, quantity), amounts


def clean_step(step: Decimal) -> Decimal:
    """The smallest coin written with just the decimals it needs, so that multiples of it print well."""
    if exact(step) <= 0:
        raise TaxDefinitionError(
            _("A rounding step must be greater than zero, not %(step)s.") % {"step": step}
        )
    return step.quantize(Decimal(1).scaleb(-decimals_of(step)))


def round_quotient(numerator: Decimal, divisor: Decimal, step: Decimal) -> Decimal:
    """``step`` × the integer nearest to numerator ÷ divisor, halves away from zero; exact, divisor > 0.

    To round x ÷ d to the step, pass x and d × step. Runs in ``EXACT``.
    """
    units, rest = divmod(numerator, divisor)
    if rest and 2 * abs(rest) >= divisor:
        units += 1 if numerator > 0 else -1
    # An integer that is zero may be a negative zero, which must not reach a document.
    return units * step if units else ZERO * step


def price_of(line: TaxLine) -> Decimal:
    """Quantity × unit price less discount, every digit kept. Runs in ``EXACT``."""
    if line.discount:
        return line.quantity * line.unit_price * (HUNDRED - line.discount) / HUNDRED
    return line.quantity * line.unit_price


def amounts_by_line(
    plan: Plan, price: Decimal, quantity: Decimal, step: Decimal
) -> tuple[Decimal, list[Decimal]]:
    """(untaxed, amount of each tax) of a line whose price is already rounded, each step rounded in turn."""
    amounts = [ZERO] * len(plan.taxes)
    for i, unit_amount in plan.fixed:
        amounts[i] = round_quotient(unit_amount * quantity, step, step)
    for s in plan.included_steps:
        start = price
        for j in s.less:
            start -= amounts[j]
        amounts[s.index] = round_quotient(start * s.numerator, s.denominator * step, step)
    untaxed = price
    for i in plan.included:
        untaxed -= amounts[i]
    for s in plan.excluded_steps:
        start = untaxed
        for j in s.plus:
            start += amounts[j]
        amounts[s.index] = round_quotient(start * s.numerator, s.denominator * step, step)
    return untaxed, amounts
