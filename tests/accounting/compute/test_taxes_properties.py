"""What holds for every document, whatever its prices, taxes, coin and rounding."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from apps.accounting.compute.taxes import (
    DocumentTotals,
    Repartition,
    TaxLine,
    TaxSpec,
    UnreachableTotal,
    compute_document,
    compute_line,
    flatten,
    map_price,
    solve_unit_price,
)
from apps.core.money import HALF_UP, round_ratio

CENT = Decimal("0.01")
BOTH = ("line", "total")

many = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])

steps = st.sampled_from([Decimal("0.01"), Decimal("0.05"), Decimal(1), Decimal("0.001")])
rates = st.sampled_from(
    [Decimal(text) for text in ("0", "5", "5.5", "6", "7.7", "10", "19", "21", "33.3333")]
)
prices = st.decimals(min_value=-2000, max_value=2000, places=3)
quantities = st.decimals(min_value=-9, max_value=9, places=2)
discounts = st.sampled_from([Decimal(0), Decimal(0), Decimal(10), Decimal("33.33"), Decimal(100)])

PARTS = (
    (),
    (Repartition(Decimal(100), 451, (1,)),),
    (Repartition(Decimal(50), 451), Repartition(Decimal(50))),
    (Repartition(Decimal("33.33"), 451), Repartition(Decimal("33.33"), 452), Repartition(Decimal("33.34"))),
    (Repartition(Decimal(100), 451), Repartition(Decimal(-100), 411)),
    (Repartition(Decimal(60), 451), Repartition(Decimal(40)), Repartition(Decimal(-100), 411)),
)


@st.composite
def specs(
    draw, pk: int, kinds: tuple[str, ...] = ("percent", "percent", "percent", "fixed", "division")
) -> TaxSpec:
    kind = draw(st.sampled_from(kinds))
    amount = draw(
        st.sampled_from([Decimal("0.05"), Decimal(1), Decimal("2.345")]) if kind == "fixed" else rates
    )
    parts = draw(st.sampled_from(PARTS))
    return TaxSpec(
        pk=pk,
        amount_type=kind,
        amount=amount,
        price_include=draw(st.booleans()),
        include_base_amount=draw(st.booleans()),
        is_base_affected=draw(st.booleans()),
        sequence=draw(st.integers(1, 3)),
        group_pk=draw(st.sampled_from([None, 1, 2])),
        invoice_repartition=parts,
        refund_repartition=parts,
    )


@st.composite
def documents(draw, max_lines: int = 8) -> list[TaxLine]:
    pool = [draw(specs(pk)) for pk in range(1, 5)]
    sets = [draw(st.lists(st.sampled_from(pool), max_size=3, unique_by=lambda t: t.pk)) for _ in range(3)]
    lines = []
    for n in range(draw(st.integers(0, max_lines))):
        taxes = tuple(draw(st.sampled_from(sets)))
        account = draw(st.sampled_from([700, 701]))
        lines.append(TaxLine(n, draw(quantities), draw(prices), draw(discounts), taxes, account_pk=account))
    return lines


def rounded(value: Fraction, step: Decimal) -> Fraction:
    return Fraction(round_ratio(value, step, HALF_UP))


def slow_line(line: TaxLine, step: Decimal | None) -> tuple[Fraction, list[Fraction]]:
    """The specification read aloud, with fractions: (untaxed, taxes), rounding every amount when there is a step."""

    def r(value: Fraction) -> Fraction:
        return value if step is None else rounded(value, step)

    taxes = flatten(line.taxes)
    sign = -1 if line.unit_price < 0 else 1
    price = r(Fraction(line.quantity) * Fraction(line.unit_price) * (100 - Fraction(line.discount)) / 100)
    rests_on = {
        tax: [
            other
            for other in taxes[:n]
            if tax.is_base_affected
            and other.include_base_amount
            and (other.price_include or not tax.price_include)
        ]
        for n, tax in enumerate(taxes)
    }
    amounts = {
        tax: r(sign * Fraction(line.quantity) * Fraction(tax.amount))
        for tax in taxes
        if tax.amount_type == "fixed"
    }

    def batch(tax: TaxSpec) -> Fraction:
        def alike(a: TaxSpec, b: TaxSpec) -> bool:
            return (a.amount_type, a.price_include, rests_on[a]) == (
                b.amount_type,
                b.price_include,
                rests_on[b],
            ) and (a.amount_type == "percent" or a.include_base_amount == b.include_base_amount)

        here = first = last = taxes.index(tax)
        while first > 0 and alike(taxes[first - 1], tax):
            first -= 1
        while last + 1 < len(taxes) and alike(taxes[last + 1], tax):
            last += 1
        assert first <= here <= last
        spans[tax] = (first, last)
        return sum((Fraction(t.amount) for t in taxes[first : last + 1]), Fraction(0))

    spans: dict[TaxSpec, tuple[int, int]] = {}
    for tax in reversed(taxes):
        if tax.amount_type == "fixed" or not tax.price_include:
            continue
        total_rate = batch(tax)
        first, last = spans[tax]
        remains = price
        for n, other in enumerate(taxes):
            unseen_fixed = n < first and other.amount_type == "fixed" and other not in rests_on[tax]
            if other.price_include and (n > last or unseen_fixed):
                remains -= amounts[other]
        rate = Fraction(tax.amount)
        amounts[tax] = r(remains * rate / (100 + total_rate if tax.amount_type == "percent" else 100))
    untaxed = price - sum(amounts[tax] for tax in taxes if tax.price_include)
    for tax in taxes:
        if tax.amount_type == "fixed" or tax.price_include:
            continue
        base = untaxed + sum(amounts[other] for other in rests_on[tax])
        rate = Fraction(tax.amount)
        amounts[tax] = r(base * rate / (100 if tax.amount_type == "percent" else 100 - batch(tax)))
    return untaxed, [amounts[tax] for tax in taxes]


def check_sums(totals: DocumentTotals) -> None:
    assert sum(line.subtotal for line in totals.lines) == totals.untaxed
    assert sum(line.total for line in totals.lines) == totals.total
    assert totals.untaxed + totals.tax == totals.total
    assert sum(row.amount for row in totals.rows) == totals.tax
    assert sum(group.amount for group in totals.groups) == totals.tax
    for line in totals.lines:
        assert line.total == line.subtotal + sum(part.charged for part in line.taxes)
    void_rows = sum(row.amount for row in totals.rows if row.repartition.account_pk is None)
    assert sum(line.void for line in totals.lines) == totals.untaxed + void_rows
    for tax in {row.tax for row in totals.rows}:
        over_lines = [part for line in totals.lines for part in line.taxes if part.tax == tax]
        for sign in (1, -1):
            rows = [row for row in totals.rows if row.tax == tax and row.repartition.percent * sign > 0]
            if rows:
                assert sum(row.amount for row in rows) == sign * sum(part.amount for part in over_lines)
        first_part = (tax.invoice_repartition or (Repartition(),))[0]
        bases = [row.base for row in totals.rows if row.tax == tax and row.repartition == first_part]
        assert sum(bases) == sum(part.base for part in over_lines)
    figures = [totals.untaxed, totals.tax, totals.total, *(row.amount for row in totals.rows)]
    figures += [f for line in totals.lines for f in (line.subtotal, line.total, line.void)]
    for figure in figures:
        assert figure % totals.step == 0
        assert not (figure.is_zero() and figure.is_signed())


@pytest.mark.parametrize("rounding", BOTH)
@many
@given(lines=documents(), step=steps)
def test_everything_adds_up(lines, step, rounding):
    check_sums(compute_document(lines, step=step, rounding=rounding))


@many
@given(lines=documents(), step=steps)
def test_by_line_equals_the_specification_read_aloud(lines, step):
    totals = compute_document(lines, step=step, rounding="line")

    for line, result in zip(lines, totals.lines, strict=True):
        untaxed, amounts = slow_line(line, step)
        assert Fraction(result.subtotal) == untaxed
        assert [Fraction(part.amount) for part in result.taxes] == amounts


@many
@given(lines=documents(max_lines=3))
def test_raw_figures_equal_the_specification_without_rounding(lines):
    for line in lines:
        detail = compute_line(line, step=CENT)

        untaxed, amounts = slow_line(line, None)
        assert detail.raw_excluded == untaxed
        for tax, amount in zip(flatten(line.taxes), amounts, strict=True):
            parts = [part.raw for part in detail.parts if part.tax == tax and part.repartition.percent > 0]
            assert sum(parts) == amount


@many
@given(lines=documents(), step=steps)
def test_by_total_rounds_prices_and_each_tax_once(lines, step):
    totals = compute_document(lines, step=step, rounding="total")

    price = Fraction(0)
    sums: dict[TaxSpec, Fraction] = {}
    included = Fraction(0)
    for line in lines:
        untaxed, amounts = slow_line(line, None)
        price += untaxed
        for tax, amount in zip(flatten(line.taxes), amounts, strict=True):
            sums[tax] = sums.get(tax, Fraction(0)) + amount
            price += amount if tax.price_include else 0
    for tax, raw in sums.items():
        amount = sum(part.amount for line in totals.lines for part in line.taxes if part.tax == tax)
        assert Fraction(amount) == rounded(raw, step)
        included += rounded(raw, step) if tax.price_include else 0
    assert Fraction(totals.untaxed) == rounded(price, step) - included


@many
@given(lines=documents(), step=steps)
def test_by_total_no_line_is_moved_by_more_than_one_coin(lines, step):
    totals = compute_document(lines, step=step, rounding="total")

    for line, result in zip(lines, totals.lines, strict=True):
        _, amounts = slow_line(line, None)
        for part, raw in zip(result.taxes, amounts, strict=True):
            assert abs(Fraction(part.amount) - raw) <= Fraction(step) * Fraction(3, 2)


@many
@given(lines=documents(), step=steps)
def test_by_line_is_the_sum_of_its_lines_alone(lines, step):
    whole = compute_document(lines, step=step, rounding="line")

    alone = [compute_document([line], step=step, rounding="line") for line in lines]
    assert whole.untaxed == sum(one.untaxed for one in alone)
    assert whole.tax == sum(one.tax for one in alone)
    assert [line for one in alone for line in one.lines] == list(whole.lines)


@many
@given(lines=documents(), step=steps, seed=st.randoms())
def test_by_total_does_not_care_how_lines_are_cut_or_ordered(lines, step, seed):
    whole = compute_document(lines, step=step, rounding="total")

    cut = [half for line in lines for half in (replace(line, quantity=line.quantity / 2),) * 2]
    seed.shuffle(cut)
    parts = compute_document(cut, step=step, rounding="total")

    assert (parts.untaxed, parts.tax, parts.total) == (whole.untaxed, whole.tax, whole.total)


def negated(totals: DocumentTotals) -> DocumentTotals:
    return replace(
        totals,
        lines=tuple(
            replace(
                line,
                subtotal=-line.subtotal,
                total=-line.total,
                void=-line.void,
                taxes=tuple(
                    replace(part, base=-part.base, amount=-part.amount, charged=-part.charged)
                    for part in line.taxes
                ),
            )
            for line in totals.lines
        ),
        rows=tuple(replace(row, base=-row.base, amount=-row.amount) for row in totals.rows),
        groups=tuple(replace(g, base=-g.base, amount=-g.amount) for g in totals.groups),
        untaxed=-totals.untaxed,
        tax=-totals.tax,
        total=-totals.total,
    )


@pytest.mark.parametrize("rounding", BOTH)
@many
@given(lines=documents(), step=steps)
def test_a_refund_mirrors_its_invoice_to_the_coin(lines, step, rounding):
    invoice = compute_document(lines, step=step, rounding=rounding)

    refund = compute_document(lines, step=step, rounding=rounding, is_refund=True)
    negative = compute_document(
        [replace(line, quantity=-line.quantity) for line in lines], step=step, rounding=rounding
    )

    assert replace(refund, is_refund=False) == invoice
    assert negative == negated(invoice)


@pytest.mark.parametrize("rounding", BOTH)
@many
@given(
    amounts=st.lists(st.decimals(min_value=0, max_value=900, places=2), min_size=1, max_size=8),
    picks=st.lists(st.sampled_from([5, 8, 12, 19, 21]), min_size=8, max_size=8),
)
def test_documents_of_included_prices_come_to_their_prices(amounts, picks, rounding):
    lines = [
        TaxLine(n, Decimal(1), price, taxes=(TaxSpec(pk=rate, amount=Decimal(rate), price_include=True),))
        for n, (price, rate) in enumerate(zip(amounts, picks, strict=False))
    ]

    totals = compute_document(lines, step=CENT, rounding=rounding)

    assert totals.total == sum(amounts)


@pytest.mark.parametrize("stacked", [False, True], ids=["side by side", "one on another"])
@many
@given(
    price=prices,
    quantity=quantities,
    percents=st.lists(rates, min_size=1, max_size=3),
    fixed=st.sampled_from([None, Decimal("0.05"), Decimal(2)]),
)
def test_included_undoes_excluded_exactly(price, quantity, percents, fixed, stacked):
    kinds = [("percent", rate) for rate in percents]
    kinds = [("fixed", fixed), *kinds] if fixed is not None else kinds
    taxes = tuple(
        TaxSpec(pk=n, sequence=n, amount_type=kind, amount=amount, include_base_amount=stacked)
        for n, (kind, amount) in enumerate(kinds)
    )
    line = TaxLine(1, Decimal(1) if quantity >= 0 else Decimal(-1), price, taxes=taxes, price_mode="excluded")
    out = compute_line(line, step=CENT)
    gross = out.raw_included / Fraction(line.quantity)
    assume(gross * Fraction(price) > 0 and (gross * 10**24).denominator == 1)

    back = compute_line(
        replace(line, unit_price=Decimal((gross * 10**24).numerator).scaleb(-24), price_mode="included"),
        step=CENT,
    )

    assert back.raw_excluded == out.raw_excluded
    assert [part.raw for part in back.parts] == [part.raw for part in out.parts]
    assert [part.raw_base for part in back.parts] == [part.raw_base for part in out.parts]


@pytest.mark.parametrize("rounding", BOTH)
@many
@given(
    coins=st.integers(-100_000, 100_000),
    spec=st.lists(specs(1, ("percent", "percent", "fixed", "division")), min_size=0, max_size=1),
    second=rates,
    step=steps,
)
def test_solved_prices_make_the_total(coins, spec, second, step, rounding):
    taxes = (*spec, TaxSpec(pk=9, amount=second, sequence=5))
    wanted = compute_document(
        [TaxLine(1, Decimal(1), coins * step, taxes=taxes)], step=step, rounding=rounding
    ).total

    # An included amount above the price turns the total negative; nobody types such a total.
    assume(wanted >= 0)

    price = solve_unit_price(wanted, taxes, step=step, rounding=rounding)

    made = compute_document([TaxLine(1, Decimal(1), price, taxes=taxes)], step=step, rounding=rounding)
    assert made.total == wanted


@many
@given(cents=st.integers(0, 400), rate=st.integers(0, 60))
def test_by_line_a_total_is_refused_only_when_no_price_makes_it(cents, rate):
    spec = TaxSpec(pk=1, amount=Decimal(rate))
    total = cents * CENT

    def total_at(price: Decimal) -> Decimal:
        return compute_document(
            [TaxLine(1, Decimal(1), price, taxes=(spec,))], step=CENT, rounding="line"
        ).total

    reachable = any(total_at(n * CENT) == total for n in range(cents + 1))

    if reachable:
        assert total_at(solve_unit_price(total, (spec,), step=CENT, rounding="line")) == total
    else:
        with pytest.raises(UnreachableTotal):
            solve_unit_price(total, (spec,), step=CENT, rounding="line")


@many
@given(
    price=st.decimals(min_value=-5000, max_value=5000, places=2),
    old=st.sampled_from([6, 10, 21]),
    new=st.sampled_from([5, 12, 19]),
)
def test_mapping_a_price_keeps_what_the_seller_gets(price, old, new):
    before = TaxSpec(pk=1, amount=Decimal(old), price_include=True)
    after = TaxSpec(pk=2, amount=Decimal(new), price_include=True)

    mapped = map_price(price, (before,), (after,), step=Decimal("1E-12"))

    kept = compute_line(TaxLine(1, Decimal(1), price, taxes=(before,)), step=CENT).raw_excluded
    got = compute_line(TaxLine(1, Decimal(1), mapped, taxes=(after,)), step=CENT).raw_excluded
    assert abs(kept - got) < Fraction(1, 10**11)
    assert map_price(mapped, (after,), (before,)) == price
