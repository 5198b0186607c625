"""Exact amounts: rounding, comparison, splitting, conversion and the ``Money`` value."""

from __future__ import annotations

import decimal
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from apps.core.money import (
    DOWN,
    HALF_EVEN,
    HALF_UP,
    UP,
    Currency,
    CurrencyMismatch,
    Money,
    MoneyError,
    Rounding,
    compare_amounts,
    convert,
    decimals_of,
    exact,
    is_rounded,
    is_zero,
    round_money,
    round_ratio,
    round_to,
    split_amount,
)

D = Decimal

EUR = Currency("EUR")
USD = Currency("USD")
JPY = Currency("JPY", D(1))
KWD = Currency("KWD", D("0.001"))
CHF_CASH = Currency("CHF", D("0.05"))
CENT = D("0.01")

amounts = st.decimals(
    min_value=D(-(10**15)), max_value=D(10**15), places=6, allow_nan=False, allow_infinity=False
)
steps = st.sampled_from(
    [D("0.01"), D("0.05"), D(1), D("0.001"), D("0.0001"), D("0.25"), D("0.03"), D(5), D(12), D(1000)]
)
weights = st.lists(
    st.decimals(min_value=0, max_value=10**9, places=4, allow_nan=False, allow_infinity=False),
    min_size=1,
    max_size=12,
)


@pytest.mark.parametrize(
    ("amount", "step", "mode", "expected"),
    [
        ("3.455", "0.01", HALF_UP, "3.46"),
        ("-3.455", "0.01", HALF_UP, "-3.46"),
        ("3.445", "0.01", HALF_EVEN, "3.44"),
        ("3.455", "0.01", HALF_EVEN, "3.46"),
        ("2.501", "0.01", UP, "2.51"),
        ("-2.501", "0.01", UP, "-2.51"),
        ("2.509", "0.01", DOWN, "2.50"),
        ("-2.509", "0.01", DOWN, "-2.50"),
        ("1.23", "0.05", HALF_UP, "1.25"),
        ("1.22", "0.05", HALF_UP, "1.20"),
        ("1.225", "0.05", HALF_UP, "1.25"),
        ("-1.225", "0.05", HALF_UP, "-1.25"),
        ("1.225", "0.05", HALF_EVEN, "1.20"),
        ("1.275", "0.05", HALF_EVEN, "1.30"),
        ("1.21", "0.05", UP, "1.25"),
        ("1.24", "0.05", DOWN, "1.20"),
        ("0.5", "1", HALF_UP, "1"),
        ("1234", "1E+2", HALF_UP, "1200"),
        ("7", "5", HALF_UP, "5"),
        ("7.5", "5", HALF_UP, "10"),
        ("1.5", "0.010000", HALF_UP, "1.50"),
        ("-0.004", "0.01", HALF_UP, "0.00"),
    ],
)
def test_round_to(amount: str, step: str, mode: Rounding, expected: str) -> None:
    assert str(round_to(D(amount), D(step), mode)) == expected


def test_rounding_is_not_limited_by_the_default_context() -> None:
    amount = D("123456789012345678901234567890.125")

    assert str(round_to(amount, CENT)) == "123456789012345678901234567890.13"
    assert str(round_to(amount, D("0.05"))) == "123456789012345678901234567890.15"


@pytest.mark.parametrize("step", [D(0), D("-0.01")])
def test_a_step_must_be_positive(step: D) -> None:
    with pytest.raises(MoneyError, match="greater than zero"):
        round_to(D(1), step)


@given(amounts, steps, st.sampled_from(list(Rounding)))
def test_rounded_values_are_multiples_within_one_step(amount: D, step: D, mode: Rounding) -> None:
    rounded = round_to(amount, step, mode)
    error = abs(Fraction(rounded) - Fraction(amount))

    assert Fraction(rounded) % Fraction(step) == 0
    assert error < Fraction(step)
    assert -rounded.as_tuple().exponent == decimals_of(step)
    assert round_to(rounded, step, mode) == rounded
    assert round_to(-amount, step, mode) == -rounded
    if mode in (HALF_UP, HALF_EVEN):
        assert error <= Fraction(step) / 2
    elif mode is UP:
        assert abs(rounded) >= abs(amount)
    else:
        assert abs(rounded) <= abs(amount)


@given(amounts, st.sampled_from([CENT, D(1), D("0.001")]), st.sampled_from(list(Rounding)))
def test_fast_path_agrees_with_exact_fractions(amount: D, step: D, mode: Rounding) -> None:
    assert round_to(amount, step, mode) == round_ratio(Fraction(amount), step, mode)


@pytest.mark.parametrize("value", [1.0, float("nan"), True, "1.00", None])
def test_only_exact_numbers_are_amounts(value: object) -> None:
    with pytest.raises(TypeError, match="Decimal"):
        exact(value)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [D("NaN"), D("Infinity"), D("-Infinity")])
def test_amounts_are_finite(value: D) -> None:
    with pytest.raises(MoneyError):
        round_to(value, CENT)


def test_currency_decimals_follow_from_the_step() -> None:
    assert [c.decimals for c in (EUR, JPY, KWD, CHF_CASH)] == [2, 0, 3, 2]
    assert Currency("EUR", D("0.010000")).decimals == 2
    with pytest.raises(MoneyError):
        Currency("EUR", D(0))
    with pytest.raises(MoneyError):
        Currency("")


def test_round_money_uses_the_currency() -> None:
    assert str(round_money(D("12.5"), JPY)) == "13"
    assert str(round_money(D("1.23"), CHF_CASH)) == "1.25"
    assert str(round_money(D("1.0005"), KWD)) == "1.001"
    assert is_rounded(D("1.25"), CHF_CASH)
    assert not is_rounded(D("1.23"), CHF_CASH)


def test_comparison_and_zero_test_are_two_questions() -> None:
    left, right = D("0.006"), D("0.002")

    assert compare_amounts(left, right, EUR) == 1
    assert compare_amounts(right, left, EUR) == -1
    assert compare_amounts(D("0.004"), D("0.002"), EUR) == 0
    assert is_zero(left - right, EUR)
    assert not is_zero(D("0.005"), EUR)


@pytest.mark.parametrize(
    ("total", "weights", "step", "parts"),
    [
        ("100.00", 3, "0.01", ["33.34", "33.33", "33.33"]),
        ("-100.00", 3, "0.01", ["-33.34", "-33.33", "-33.33"]),
        ("60", [10, 20], "0.01", ["20.00", "40.00"]),
        ("0.05", 3, "0.01", ["0.02", "0.02", "0.01"]),
        ("0.03", [50, 50], "0.01", ["0.02", "0.01"]),
        ("10.00", [1, 1, 4], "0.01", ["1.67", "1.67", "6.66"]),
        ("0.20", 3, "0.05", ["0.10", "0.05", "0.05"]),
        ("100", 3, "1", ["34", "33", "33"]),
        ("10.00", [3, 0, 1], "0.01", ["7.50", "0.00", "2.50"]),
        ("90.00", [100, -10], "0.01", ["100.00", "-10.00"]),
        ("0.00", [1, 2], "0.01", ["0.00", "0.00"]),
        ("1.00", [Fraction(1, 3), Fraction(2, 3)], "0.01", ["0.33", "0.67"]),
        ("1.00", [D("0.1"), D("0.2")], "0.01", ["0.33", "0.67"]),
    ],
)
def test_split_amount(total: str, weights: list[int] | int, step: str, parts: list[str]) -> None:
    assert [str(part) for part in split_amount(D(total), weights, D(step))] == parts


@given(st.integers(-(10**17), 10**17), weights, steps)
def test_a_split_loses_nothing(units: int, shares: list[D], step: D) -> None:
    assume(sum(shares) > 0)
    total = step * units

    parts = split_amount(total, shares, step)

    assert sum(parts, D(0)) == total
    assert all(Fraction(part) % Fraction(step) == 0 for part in parts)
    weight_sum = Fraction(sum(shares))
    for part, share in zip(parts, shares, strict=True):
        fair = Fraction(total) * Fraction(share) / weight_sum
        assert abs(Fraction(part) - fair) < Fraction(step)
        assert share or part == 0
    assert split_amount(-total, shares, step) == [-part for part in parts]
    assert split_amount(total, [share * 3 for share in shares], step) == parts


@given(
    st.integers(-(10**9), 10**9),
    st.lists(st.integers(-1000, 1000), min_size=1, max_size=8),
)
def test_a_split_with_negative_weights_loses_nothing(cents: int, shares: list[int]) -> None:
    assume(sum(shares) != 0)
    total = CENT * cents

    parts = split_amount(total, shares, CENT)

    assert sum(parts, D(0)) == total
    for part, share in zip(parts, shares, strict=True):
        assert abs(Fraction(part) - Fraction(total) * share / sum(shares)) < Fraction(CENT)
    assert split_amount(-total, shares, CENT) == [-part for part in parts]


@pytest.mark.parametrize(
    ("total", "weights", "message"),
    [
        ("1.00", 0, "into 0 parts"),
        ("1.00", [], "no parts"),
        ("1.00", [0, 0], "add up to zero"),
        ("1.00", [1, -1], "add up to zero"),
        ("1.005", 2, "round it first"),
    ],
)
def test_impossible_splits_are_refused(total: str, weights: list[int] | int, message: str) -> None:
    with pytest.raises(MoneyError, match=message):
        split_amount(D(total), weights, CENT)


def test_split_weights_must_be_exact() -> None:
    with pytest.raises(TypeError):
        split_amount(D(1), [0.5, 0.5], CENT)  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("amount", "rate_from", "rate_to", "target", "expected"),
    [
        ("100", "1.10", "1", EUR, "90.91"),
        ("100", "0.85", "1.10", USD, "129.41"),
        ("-100", "0.85", "1.10", USD, "-129.41"),
        ("90.91", "1", "160.33", JPY, "14576"),
        ("0", "3", "7", EUR, "0.00"),
    ],
)
def test_convert(amount: str, rate_from: str, rate_to: str, target: Currency, expected: str) -> None:
    result = convert(D(amount), rate_from=D(rate_from), rate_to=D(rate_to), target_currency=target)

    assert str(result) == expected


@given(
    amounts, st.decimals(D("0.000001"), D(100000), places=6), st.decimals(D("0.000001"), D(100000), places=6)
)
def test_a_conversion_rounds_once(amount: D, rate_from: D, rate_to: D) -> None:
    result = convert(amount, rate_from=rate_from, rate_to=rate_to, target_currency=EUR)
    fair = Fraction(amount) * Fraction(rate_to) / Fraction(rate_from)

    assert abs(Fraction(result) - fair) <= Fraction(CENT) / 2
    assert convert(-amount, rate_from=rate_from, rate_to=rate_to, target_currency=EUR) == -result


@given(amounts)
def test_converting_at_one_rate_is_rounding(amount: D) -> None:
    assert convert(amount, rate_from=D("1.5"), rate_to=D("1.5"), target_currency=EUR) == round_money(
        amount, EUR
    )


@pytest.mark.parametrize(("rate_from", "rate_to"), [("0", "1"), ("1", "0"), ("-1", "1")])
def test_rates_must_be_positive(rate_from: str, rate_to: str) -> None:
    with pytest.raises(MoneyError, match="Exchange rates"):
        convert(D(1), rate_from=D(rate_from), rate_to=D(rate_to), target_currency=EUR)


def test_money_arithmetic_is_exact() -> None:
    price = Money(D("33.33"), EUR)

    assert price * 3 == Money(D("99.99"), EUR)
    assert 3 * price == price + price + price
    assert price - price == Money.zero(EUR)
    assert -price == Money(D("-33.33"), EUR)
    assert abs(-price) == price
    assert not Money.zero(EUR)
    assert price
    assert (price / 4).rounded() == Money(D("8.33"), EUR)
    assert Money.total([price, price], EUR) == Money(D("66.66"), EUR)
    assert Money.total([], EUR) == Money.zero(EUR)
    assert str(price) == "33.33 EUR"


def test_money_arithmetic_ignores_the_thread_context() -> None:
    large = Money(D("1234567890123456.7891"), EUR)

    with decimal.localcontext(decimal.Context(prec=6)):
        assert (large * D("1.000000000000001")).amount == D("1234567890123458.0236678901234567891")
        assert (large + Money(CENT, EUR)).amount == D("1234567890123456.7991")
        assert (-large).amount == D("-1234567890123456.7891")
        assert large.rounded().amount == D("1234567890123456.79")


def test_currencies_never_mix() -> None:
    euro, dollar = Money(D(1), EUR), Money(D(1), USD)

    assert euro != dollar
    for operation in (
        lambda: euro + dollar,
        lambda: euro - dollar,
        lambda: euro < dollar,
        lambda: euro >= dollar,
        lambda: euro.compare(dollar),
        lambda: Money.total([euro, dollar], EUR),
    ):
        with pytest.raises(CurrencyMismatch, match=r"EUR.*USD|USD.*EUR"):
            operation()


def test_money_refuses_what_makes_no_sense() -> None:
    euro = Money(D(1), EUR)

    with pytest.raises(TypeError, match="float"):
        Money(1.5, EUR)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="float"):
        euro * 0.5  # type: ignore[operator]
    with pytest.raises(TypeError):
        euro * euro  # type: ignore[operator]
    with pytest.raises(TypeError):
        euro + 1  # type: ignore[operator]
    with pytest.raises(ZeroDivisionError):
        euro / 0
    with pytest.raises(AttributeError):
        euro.amount = D(2)  # type: ignore[misc]


def test_money_is_a_value() -> None:
    assert {Money(D("1.0"), EUR): "x"}[Money(D("1.00"), Currency("EUR", D("0.0100")))] == "x"
    assert sorted([Money(D(2), EUR), Money(D(1), EUR)])[0].amount == 1
    assert Money(D("0.004"), EUR).is_zero
    assert [part.amount for part in Money(D("100.00"), EUR).split(3)] == [D("33.34"), D("33.33"), D("33.33")]
    assert Money(D(100), USD).convert(EUR, rate_from=D("1.10"), rate_to=1) == Money(D("90.91"), EUR)


def test_money_takes_any_currency_like_object() -> None:
    class Row:
        code = "EUR"
        rounding = D("0.010000")

    assert Money(D(1), Row()) == Money(D(1), EUR)  # type: ignore[arg-type]
