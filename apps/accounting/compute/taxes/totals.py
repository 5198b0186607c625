"""The one tax computation: lines in, a document out, to the coin.

Two policies, never mixed in one document:

* ``line``: the price of every line, then every tax of it, is rounded; the document is the sum.
* ``total``: nothing is rounded on the way; the document rounds the sum of its prices and each tax once. Lines are
  rounded for display and for the ledger, and what is then missing goes to the lines with the largest base, one coin
  each. What a price contains is kept: untaxed = price − included taxes, line by line and for the document, so a
  document of tax-included prices comes to what its prices say.

Everything is symmetric about zero: a document with all signs turned has all results turned.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from fractions import Fraction

from django.utils.translation import gettext as _

from apps.accounting.compute.taxes.plan import (
    EXACT,
    Plan,
    Split,
    amounts_by_line,
    clean_step,
    plan_for,
    price_of,
    round_quotient,
)
from apps.accounting.compute.taxes.specs import (
    ZERO,
    DocumentTotals,
    LineTax,
    LineTotals,
    Repartition,
    RoundingPolicy,
    TaxError,
    TaxGroupTotals,
    TaxLine,
    TaxRow,
    TaxSpec,
)
from apps.core.money import HALF_UP, round_ratio


@dataclass(slots=True)
class _Bucket:
    """What one tax comes to on lines whose tax items would look the same."""

    tax: TaxSpec
    split: Split
    account_pk: int | None
    base_of: tuple[TaxSpec, ...]
    base: Decimal = ZERO
    amount: Decimal = ZERO
    parts: list[Decimal] | None = None


@dataclass(slots=True)
class _Combination:
    """The lines that share their taxes, with what they add up to unrounded."""

    plan: Plan
    members: list[int] = field(default_factory=list)
    price: Decimal = ZERO
    quantity: Decimal = ZERO
    #: By account of the line, the bucket of each tax: looked up once instead of once a line.
    buckets: dict[int | None, list[_Bucket]] = field(default_factory=dict)


@dataclass(slots=True)
class _Work:
    """The figures of a document while it is computed, all lists by line."""

    lines: Sequence[TaxLine]
    step: Decimal
    is_refund: bool
    combinations: list[_Combination]
    by_line: list[_Combination]
    raw_prices: list[Decimal]
    prices: list[Decimal]
    untaxed: list[Decimal]
    amounts: list[list[Decimal]]


def compute_document(
    lines: Iterable[TaxLine], *, step: Decimal, rounding: RoundingPolicy, is_refund: bool = False
) -> DocumentTotals:
    """Every figure of a document from its lines.

    ``step`` is the smallest coin of the document's currency. ``is_refund`` chooses the refund repartition and tags;
    amounts keep the sign of the lines, so a credit note typed with positive quantities has positive amounts.

    Errors: ``TaxDefinitionError`` for taxes that cannot be computed, ``TypeError`` for binary floats.
    """
    if rounding not in ("line", "total"):
        raise TaxError(
            _("Taxes are rounded by “line” or by “total”, not by “%(name)s”.") % {"name": rounding}
        )
    step = clean_step(step)
    lines = tuple(lines)
    with localcontext(EXACT):
        work = _read(lines, step, is_refund)
        if rounding == "line":
            for i, combination in enumerate(work.by_line):
                quantity = _signed(lines[i])
                work.untaxed[i], work.amounts[i] = amounts_by_line(
                    combination.plan, work.prices[i], quantity, step
                )
        else:
            _round_by_total(work)
        return _document(work, rounding)


def _signed(line: TaxLine) -> Decimal:
    """The quantity with the sign of the price: fixed taxes go the way of the amount."""
    return -line.quantity if line.unit_price < 0 else line.quantity


def _read(lines: Sequence[TaxLine], step: Decimal, is_refund: bool) -> _Work:
    found: dict[object, _Combination] = {}
    by_line: list[_Combination] = []
    raw_prices: list[Decimal] = []
    prices: list[Decimal] = []
    for i, line in enumerate(lines):
        key = (line.taxes, line.price_mode)
        combination = found.get(key)
        if combination is None:
            combination = found[key] = _Combination(plan_for(line.taxes, line.price_mode, is_refund))
        raw = price_of(line)
        combination.members.append(i)
        combination.price += raw
        if combination.plan.fixed:
            combination.quantity += _signed(line)
        by_line.append(combination)
        raw_prices.append(raw)
        prices.append(round_quotient(raw, step, step))
    empty: list[Decimal] = []
    return _Work(
        lines,
        step,
        is_refund,
        list(found.values()),
        by_line,
        raw_prices,
        prices,
        prices[:],
        [empty] * len(lines),
    )


# ------------------------------------------------------------------------------------------------ rounding by total


def _round_by_total(work: _Work) -> None:
    step = work.step
    for combination in work.combinations:
        factors = [
            (f.price_numerator, f.quantity_numerator, f.denominator * step) for f in combination.plan.amounts
        ]
        included = combination.plan.included
        has_fixed = bool(combination.plan.fixed)
        for i in combination.members:
            raw = work.raw_prices[i]
            if has_fixed:
                quantity = _signed(work.lines[i])
                row = [round_quotient(p * raw + q * quantity, d, step) for p, q, d in factors]
            else:
                row = [round_quotient(p * raw, d, step) for p, _q, d in factors]
            work.amounts[i] = row
            base = work.prices[i]
            for k in included:
                base -= row[k]
            work.untaxed[i] = base
    sizes = [abs(base) for base in work.untaxed]
    _settle_prices(work, sizes)
    _settle_taxes(work, sizes)
    for i, combination in enumerate(work.by_line):
        if combination.plan.included:
            row = work.amounts[i]
            work.untaxed[i] = work.prices[i] - sum((row[k] for k in combination.plan.included), ZERO)
        else:
            work.untaxed[i] = work.prices[i]


def _settle_prices(work: _Work, sizes: list[Decimal]) -> None:
    """Σ prices of the lines = the rounded sum of the exact prices, first by combination of taxes, then by line.

    By combination first, so that what the lines of one rate lose is not made good on the base of another.
    """
    step = work.step
    exact_prices = [combination.price for combination in work.combinations]
    goal = round_quotient(sum(exact_prices, ZERO), step, step)
    goals = [round_quotient(price, step, step) for price in exact_prices]
    missing = int((goal - sum(goals, ZERO)) / step)
    if missing:
        coin, sign = (step, 1) if missing > 0 else (-step, -1)
        errors = [(raw - rounded) * sign for raw, rounded in zip(exact_prices, goals, strict=True)]
        for c in sorted(range(len(goals)), key=lambda c: (-errors[c], c))[: abs(missing)]:
            goals[c] += coin
    for combination, wanted in zip(work.combinations, goals, strict=True):
        members = combination.members
        missing = int((wanted - sum((work.prices[i] for i in members), ZERO)) / step)
        if missing:
            receivers = [i for i in members if work.raw_prices[i]]
            for i, coin in _coins(receivers, sizes, missing, step):
                work.prices[i] += coin


def _settle_taxes(work: _Work, sizes: list[Decimal]) -> None:
    """Σ amounts of a tax over the lines = its exact sum over the document, rounded once."""
    exact_sums: dict[TaxSpec, Fraction] = {}
    places: dict[TaxSpec, list[tuple[_Combination, int]]] = {}
    for combination in work.combinations:
        plan = combination.plan
        for k, tax in enumerate(plan.taxes):
            raw = plan.amounts[k].at(combination.price, combination.quantity)
            exact_sums[tax] = exact_sums.get(tax, Fraction(0)) + raw
            places.setdefault(tax, []).append((combination, k))
    for tax, raw in exact_sums.items():
        goal = round_ratio(raw, work.step, HALF_UP)
        given = sum((work.amounts[i][k] for c, k in places[tax] for i in c.members), ZERO)
        missing = int((goal - given) / work.step)
        if not missing:
            continue
        position = {
            i: k
            for c, k in places[tax]
            for i in c.members
            if work.raw_prices[i] or (c.plan.fixed and work.lines[i].quantity)
        }
        for i, coin in _coins(list(position), sizes, missing, work.step):
            work.amounts[i][position[i]] += coin


def _coins(
    receivers: list[int], sizes: list[Decimal], missing: int, step: Decimal
) -> list[tuple[int, Decimal]]:
    """``missing`` coins, one each to the lines with the largest base, the earlier one first; again if they run out."""
    coin = step if missing > 0 else -step
    order = sorted(receivers, key=lambda i: (-sizes[i], i))
    return [(order[n % len(order)], coin) for n in range(abs(missing))]


# ------------------------------------------------------------------------------------------------------ repartition


def split_tax(amount: Decimal, parts: tuple[Repartition, ...], step: Decimal) -> list[Decimal]:
    """A rounded tax divided over its parts: what rounding leaves over goes to the largest share first, coin by coin.

    The parts that charge and those that give back are divided apart, each adding up to the whole tax. Runs in
    ``EXACT``.
    """
    if len(parts) == 1:
        return [amount]
    result = [round_quotient(amount * part.percent, 100 * step, step) for part in parts]
    for sign in (1, -1):
        group = [n for n, part in enumerate(parts) if part.percent * sign > 0]
        if not group:
            continue
        missing = int((amount * sign - sum((result[n] for n in group), ZERO)) / step)
        coin = step if missing > 0 else -step
        order = sorted(group, key=lambda n: (-abs(parts[n].percent), n))
        for n in range(abs(missing)):
            result[order[n % len(order)]] += coin
    return result


def _document(work: _Work, rounding: RoundingPolicy) -> DocumentTotals:
    step = work.step
    by_line = rounding == "line"
    nothing = ZERO * step
    void_shares = None if by_line else _void_shares(work)
    results: list[LineTotals] = []
    buckets: dict[tuple[object, ...], _Bucket] = {}
    groups: dict[int | None, list[Decimal]] = {}
    untaxed = charged_total = nothing
    for i, line in enumerate(work.lines):
        combination = work.by_line[i]
        plan = combination.plan
        amounts = work.amounts[i]
        subtotal = work.untaxed[i]
        total = void = subtotal
        taxes: list[LineTax] = []
        own_buckets = combination.buckets.get(line.account_pk)
        if own_buckets is None:
            own_buckets = combination.buckets[line.account_pk] = _buckets_of(plan, line.account_pk, buckets)
        in_groups: set[int | None] = set()
        for k, tax in enumerate(plan.taxes):
            amount = amounts[k]
            split = plan.splits[k]
            bucket = own_buckets[k]
            base = subtotal
            for j in plan.seen[k]:
                base += amounts[j]
            charged = amount if split.charged else nothing
            total += charged
            taxes.append(LineTax(tax, base, amount, charged))

            bucket.base += base
            bucket.amount += amount
            if by_line and len(split.parts) > 1:
                void += _add_parts(bucket, split_tax(amount, split.parts, step))
            elif split.has_blank:
                void += amount if void_shares is None or len(split.parts) == 1 else void_shares[i, k]

            sums = groups.get(tax.group_pk)
            if sums is None:
                sums = groups[tax.group_pk] = [nothing, nothing]
            if tax.group_pk not in in_groups:
                in_groups.add(tax.group_pk)
                sums[0] += base
            sums[1] += charged
        untaxed += subtotal
        charged_total += total - subtotal
        results.append(LineTotals(line.key, subtotal, total, void, tuple(taxes), plan.base_tag_pks))
    return DocumentTotals(
        lines=tuple(results),
        rows=_rows(buckets.values(), step, is_refund=work.is_refund),
        groups=tuple(TaxGroupTotals(pk, base, amount) for pk, (base, amount) in groups.items()),
        untaxed=untaxed,
        tax=charged_total,
        total=untaxed + charged_total,
        step=step,
        rounding=rounding,
        is_refund=work.is_refund,
    )


def _buckets_of(
    plan: Plan, account_pk: int | None, buckets: dict[tuple[object, ...], _Bucket]
) -> list[_Bucket]:
    """The bucket of each tax for lines on this account; the account matters only to parts that have none."""
    result: list[_Bucket] = []
    for tax, split, base_of in zip(plan.taxes, plan.splits, plan.base_of, strict=True):
        account = account_pk if split.has_blank else None
        key = (tax, account, base_of)
        if key not in buckets:
            buckets[key] = _Bucket(tax, split, account, base_of)
        result.append(buckets[key])
    return result


def _add_parts(bucket: _Bucket, parts: list[Decimal]) -> Decimal:
    """Adds a line's parts to its bucket and answers how much of them has no account."""
    if bucket.parts is None:
        bucket.parts = parts
    else:
        bucket.parts = [a + b for a, b in zip(bucket.parts, parts, strict=True)]
    pairs = zip(parts, bucket.split.parts, strict=True)
    return sum((amount for amount, part in pairs if part.account_pk is None), ZERO)


def _void_shares(work: _Work) -> dict[tuple[int, int], Decimal]:
    """By line and tax, the part without an account of taxes that have parts with and without; adds up to the rows."""
    step = work.step
    shares: dict[tuple[int, int], Decimal] = {}
    places: dict[tuple[object, ...], list[tuple[int, int]]] = {}
    splits: dict[tuple[object, ...], Split] = {}
    for i, line in enumerate(work.lines):
        plan = work.by_line[i].plan
        for k, split in enumerate(plan.splits):
            if split.has_blank and len(split.parts) > 1:
                key = (plan.taxes[k], line.account_pk, plan.base_of[k])
                places.setdefault(key, []).append((i, k))
                splits[key] = split
    for place, members in places.items():
        split = splits[place]
        amount = sum((work.amounts[i][k] for i, k in members), ZERO)
        parts = split_tax(amount, split.parts, step)
        goal = sum((a for a, part in zip(parts, split.parts, strict=True) if part.account_pk is None), ZERO)
        numerator, denominator = Decimal(split.void.numerator), Decimal(split.void.denominator)
        for i, k in members:
            shares[i, k] = round_quotient(work.amounts[i][k] * numerator, denominator * step, step)
        missing = int((goal - sum((shares[m] for m in members), ZERO)) / step)
        if missing:
            sizes = [abs(work.amounts[i][k]) for i, k in members]
            receivers = [n for n, size in enumerate(sizes) if size] or list(range(len(members)))
            for n, coin in _coins(receivers, sizes, missing, step):
                shares[members[n]] += coin
    return shares


def _rows(buckets: Iterable[_Bucket], step: Decimal, *, is_refund: bool) -> tuple[TaxRow, ...]:
    sums: dict[tuple[object, ...], TaxRow] = {}
    for bucket in buckets:
        tax, split = bucket.tax, bucket.split
        parts = bucket.parts or split_tax(bucket.amount, split.parts, step)
        for n, (part, amount) in enumerate(zip(split.parts, parts, strict=True)):
            final = part.account_pk if part.account_pk is not None else bucket.account_pk
            account = tax.transition_account_pk if tax.on_payment else final
            key = (tax, n, final, bucket.base_of)
            found = sums.get(key)
            sums[key] = TaxRow(
                tax=tax,
                repartition=part,
                account_pk=account,
                tag_pks=() if tax.on_payment else part.tag_pks,
                base_of=bucket.base_of,
                base_tag_pks=_tags_of(bucket.base_of, is_refund=is_refund) if part.percent > 0 else (),
                final_account_pk=final,
                final_tag_pks=part.tag_pks,
                base=bucket.base + (found.base if found else ZERO),
                amount=amount + (found.amount if found else ZERO),
            )
    return tuple(sums.values())


def _tags_of(taxes: tuple[TaxSpec, ...], *, is_refund: bool) -> tuple[int, ...]:
    """The base tags of ``taxes``, each once; those of taxes exigible on payment wait for the payment."""
    tags: dict[int, None] = {}
    for tax in taxes:
        if not tax.on_payment:
            tags.update(dict.fromkeys(tax.refund_base_tag_pks if is_refund else tax.invoice_base_tag_pks))
    return tuple(tags)


# ------------------------------------------------------------------------------------------------------ a line alone


@dataclass(frozen=True, slots=True)
class TaxPart:
    """One part of one tax of one line: exact (``raw``, ``raw_base``) and rounded."""

    tax: TaxSpec
    repartition: Repartition
    base: Decimal
    amount: Decimal
    raw_base: Fraction
    raw: Fraction
    account_pk: int | None
    tag_pks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LineDetail:
    """A line computed alone. The raw figures know no rounding; the others are those of a document of this one line."""

    total_excluded: Decimal
    total_included: Decimal
    total_void: Decimal
    raw_excluded: Fraction
    raw_included: Fraction
    parts: tuple[TaxPart, ...]


def compute_line(
    line: TaxLine, *, step: Decimal, rounding: RoundingPolicy = "line", is_refund: bool = False
) -> LineDetail:
    """One line in every detail: for previews and explanations. Documents go through ``compute_document``."""
    document = compute_document((line,), step=step, rounding=rounding, is_refund=is_refund)
    plan = plan_for(line.taxes, line.price_mode, is_refund)
    with localcontext(EXACT):
        price, quantity = price_of(line), _signed(line)
    raw = [factor.at(price, quantity) for factor in plan.amounts]
    raw_excluded = plan.untaxed.at(price, quantity)
    result = document.lines[0]
    rows = iter(document.rows)
    parts: list[TaxPart] = []
    for k, tax in enumerate(plan.taxes):
        raw_base = raw_excluded + sum(raw[j] for j in plan.seen[k])
        for part in plan.splits[k].parts:
            row = next(rows)
            share = raw[k] * Fraction(part.percent) / 100
            parts.append(
                TaxPart(
                    tax, part, result.taxes[k].base, row.amount, raw_base, share, row.account_pk, row.tag_pks
                )
            )
    charged = sum((raw[k] for k, split in enumerate(plan.splits) if split.charged), Fraction(0))
    return LineDetail(
        result.subtotal, result.total, result.void, raw_excluded, raw_excluded + charged, tuple(parts)
    )
