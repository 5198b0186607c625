"""Units of measure: exact ratios, explicit rounding, no way across categories."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.errors import ValidationFailed
from apps.core.money import DOWN, HALF_UP, UP, Rounding
from apps.core.units import (
    Unit,
    UnitMismatch,
    check_category,
    compare_quantities,
    convert_price,
    convert_quantity,
    exact_quantity,
    is_zero_quantity,
    round_quantity,
    whole_units,
)

D = Decimal

PIECE = Unit("Units", "pieces")
DOZEN = Unit("Dozens", "pieces", numerator=12)
WHOLE_DOZEN = Unit("Dozens", "pieces", numerator=12, rounding=D(1))
KG = Unit("kg", "weight", rounding=D("0.001"))
GRAM = Unit("g", "weight", denominator=1000)
OUNCE = Unit("oz", "weight", numerator=D("28.349523125"), denominator=1000)
THIRD = Unit("Thirds", "pieces", denominator=3)


@pytest.mark.parametrize(
    ("quantity", "source", "target", "mode", "expected"),
    [
        ("31", PIECE, DOZEN, UP, "2.59"),
        ("31", PIECE, DOZEN, HALF_UP, "2.58"),
        ("30", PIECE, DOZEN, UP, "2.50"),
        ("1", DOZEN, PIECE, UP, "12.00"),
        ("-31", PIECE, DOZEN, UP, "-2.59"),
        ("80", PIECE, WHOLE_DOZEN, DOWN, "6"),
        ("1500", GRAM, KG, HALF_UP, "1.500"),
        ("0.0005", KG, GRAM, HALF_UP, "0.50"),
        ("1", OUNCE, GRAM, HALF_UP, "28.35"),
        ("3", THIRD, PIECE, UP, "1.00"),
    ],
)
def test_convert_quantity(quantity: str, source: Unit, target: Unit, mode: Rounding, expected: str) -> None:
    assert str(convert_quantity(D(quantity), source=source, target=target, mode=mode)) == expected


def test_rounding_mode_is_never_implicit() -> None:
    with pytest.raises(TypeError, match="mode"):
        convert_quantity(D(1), source=PIECE, target=DOZEN)  # type: ignore[call-arg]


def test_prices_convert_the_other_way_and_unrounded() -> None:
    assert convert_price(D("3.50"), source=PIECE, target=DOZEN) == D("42.00")
    assert convert_price(D("42.00"), source=DOZEN, target=PIECE) == D("3.5")
    assert str(convert_price(D("10"), source=DOZEN, target=PIECE)) == "0.8333333333333333333333333333"


def test_other_categories_are_refused() -> None:
    for call in (
        lambda: convert_quantity(D(1), source=KG, target=PIECE, mode=UP),
        lambda: convert_price(D(1), source=KG, target=PIECE),
        lambda: exact_quantity(D(1), source=KG, target=PIECE),
    ):
        with pytest.raises(UnitMismatch, match="“kg” cannot be converted to “Units”"):
            call()


@pytest.mark.parametrize(("target", "expected"), [(WHOLE_DOZEN, "72.00"), (DOZEN, "79.92")])
def test_reserving_in_another_unit_never_takes_more_than_there_is(target: Unit, expected: str) -> None:
    assert str(whole_units(D(80), source=PIECE, target=target)) == expected


@given(
    st.decimals(0, 10**6, places=4),
    st.sampled_from([PIECE, DOZEN, WHOLE_DOZEN, THIRD]),
    st.sampled_from([PIECE, DOZEN, WHOLE_DOZEN, THIRD]),
)
def test_whole_units_are_never_more(quantity: D, source: Unit, target: Unit) -> None:
    assert 0 <= whole_units(quantity, source=source, target=target) <= quantity


@given(
    st.decimals(-(10**9), 10**9, places=6),
    st.sampled_from([KG, GRAM, OUNCE]),
    st.sampled_from([KG, GRAM, OUNCE]),
)
def test_exact_round_trip_loses_nothing(quantity: D, source: Unit, target: Unit) -> None:
    there = exact_quantity(quantity, source=source, target=target)
    size = exact_quantity(1, source=target, target=source)

    assert there * size == Fraction(quantity)


@given(
    st.decimals(0, 10**9, places=6),
    st.sampled_from([PIECE, DOZEN, THIRD]),
    st.sampled_from([PIECE, DOZEN, THIRD]),
)
def test_rounding_up_suffices_and_by_less_than_a_step(quantity: D, source: Unit, target: Unit) -> None:
    exactly = exact_quantity(quantity, source=source, target=target)

    up = Fraction(convert_quantity(quantity, source=source, target=target, mode=UP))

    assert exactly <= up < exactly + Fraction(target.rounding)


def test_quantities_compare_at_the_step_of_the_unit() -> None:
    assert compare_quantities(D("0.006"), D("0.002"), PIECE) == 1
    assert compare_quantities(D("1.001"), D("1.004"), PIECE) == 0
    assert is_zero_quantity(D("0.004"), PIECE)
    assert str(round_quantity(D("1.005"), PIECE)) == "1.01"


@pytest.mark.parametrize(
    ("field", "values"),
    [("numerator", {"numerator": 0}), ("denominator", {"denominator": -1}), ("rounding", {"rounding": D(0)})],
)
def test_unusable_units_are_refused_naming_the_field(field: str, values: dict[str, D]) -> None:
    with pytest.raises(ValidationFailed, match="Odd") as refusal:
        Unit("Odd", "pieces", **values)  # type: ignore[arg-type]

    assert list(refusal.value.fields) == [field]


def test_a_category_has_one_reference_of_size_one() -> None:
    check_category([PIECE, DOZEN], references=[PIECE])

    with pytest.raises(ValidationFailed, match="here: none"):
        check_category([PIECE, DOZEN], references=[])
    with pytest.raises(ValidationFailed, match="here: Units, Dozens"):
        check_category([PIECE, DOZEN], references=[PIECE, DOZEN])
    with pytest.raises(ValidationFailed, match="“Dozens” must have the size 1"):
        check_category([PIECE, DOZEN], references=[DOZEN])


def test_floats_are_refused() -> None:
    with pytest.raises(TypeError, match="float"):
        convert_quantity(1.5, source=PIECE, target=DOZEN, mode=UP)  # type: ignore[arg-type]
