"""Cash rounding: differences that make totals payable in coins."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.accounting.compute.rounding import (
    CashMethod,
    InvalidCashRounding,
    biggest_tax,
    cash_difference,
    cash_rounded,
)

D = Decimal

totals = st.decimals(min_value=-(10**12), max_value=10**12, places=2)
steps = st.sampled_from([D("0.05"), D("0.10"), D("0.50"), D(1), D("0.25"), D(5)])
methods = st.sampled_from(list(CashMethod))


@pytest.mark.parametrize(
    ("total", "step", "method", "rounded"),
    [
        ("23.91", "0.05", "half_up", "23.90"),
        ("48.11", "0.05", "half_up", "48.10"),
        ("23.93", "0.05", "half_up", "23.95"),
        ("23.91", "0.05", "up", "23.95"),
        ("23.94", "0.05", "down", "23.90"),
        ("-23.91", "0.05", "up", "-23.95"),
        ("-23.94", "0.05", "down", "-23.90"),
        ("-48.11", "0.05", "half_up", "-48.10"),
        ("23.90", "0.05", "up", "23.90"),
        ("0.02", "0.05", "half_up", "0.00"),
        ("12.50", "1", "half_up", "13.00"),
        ("12.345", "0.05", "down", "12.300"),
    ],
)
def test_totals_are_rounded_to_coins(total: str, step: str, method: str, rounded: str) -> None:
    assert cash_rounded(D(total), D(step), method) == D(rounded)
    assert cash_difference(D(total), D(step), method) == D(rounded) - D(total)


def test_nothing_to_round_is_a_plain_zero() -> None:
    difference = cash_difference(D("-23.90"), D("0.05"), "half_up")

    assert str(difference) == "0.00"


@given(total=totals, step=steps, method=methods)
def test_the_difference_leads_to_a_multiple_and_is_less_than_a_coin(
    total: D, step: D, method: CashMethod
) -> None:
    difference = cash_difference(total, step, method)

    assert (total + difference) % step == 0
    assert abs(difference) < step
    assert cash_difference(-total, step, method) == -difference


@pytest.mark.parametrize(
    ("step", "method", "code"),
    [
        ("0", "up", "cash_rounding_step"),
        ("-0.05", "up", "cash_rounding_step"),
        ("NaN", "up", "cash_rounding_step"),
        ("0.05", "half-even", "cash_rounding_method"),
    ],
)
def test_rules_that_cannot_be_computed_with_are_refused(step: str, method: str, code: str) -> None:
    with pytest.raises(InvalidCashRounding) as refusal:
        cash_difference(D("1.00"), D(step), method)

    assert refusal.value.code == code


def test_the_biggest_tax_takes_the_difference() -> None:
    taxes = [D("3.00"), D("-15.71"), D("15.71")]

    assert biggest_tax(taxes) == 1
    assert biggest_tax([D("0.00")]) is None
    assert biggest_tax([]) is None
    assert D("15.71") + cash_difference(D("48.11"), D("0.05")) == D("15.70")
