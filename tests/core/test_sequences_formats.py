"""The look of document numbers: placeholders, padding, and the words of a refusal."""

from __future__ import annotations

from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.errors import ValidationFailed
from apps.core.sequences.formats import (
    PLACEHOLDERS,
    Format,
    PlaceholderError,
    check_format,
    compile_format,
    pad,
    render,
)

NOW = datetime(2026, 11, 22, 15, 4, 5)
ON = date(2026, 3, 1)
RANGE_START = date(2025, 7, 1)


@pytest.mark.parametrize(
    ("placeholder", "expected"),
    [
        ("year", "2026"),
        ("y", "26"),
        ("month", "03"),
        ("day", "01"),
        ("doy", "060"),
        ("woy", "08"),
        ("weekday", "0"),
        ("h24", "15"),
        ("h12", "03"),
        ("min", "04"),
        ("sec", "05"),
        ("range_year", "2025"),
        ("range_y", "25"),
        ("range_month", "07"),
        ("range_day", "01"),
        ("range_doy", "182"),
        ("range_woy", "26"),
        ("range_weekday", "2"),
        ("range_h24", "00"),
        ("range_h12", "12"),
        ("range_min", "00"),
        ("range_sec", "00"),
        ("current_year", "2026"),
        ("current_y", "26"),
        ("current_month", "11"),
        ("current_day", "22"),
        ("current_doy", "326"),
        ("current_woy", "46"),
        ("current_weekday", "0"),
        ("current_h24", "15"),
        ("current_h12", "03"),
        ("current_min", "04"),
        ("current_sec", "05"),
    ],
)
def test_every_placeholder(placeholder: str, expected: str) -> None:
    assert render(7, prefix=f"%({placeholder})s-", on=ON, range_start=RANGE_START, now=NOW) == f"{expected}-7"


def test_the_table_above_is_complete() -> None:
    assert len(PLACEHOLDERS) == 33


def test_prefix_counter_and_suffix() -> None:
    number = render(
        42,
        prefix="SO/%(range_year)s/",
        suffix="/%(month)s",
        padding=5,
        on=ON,
        range_start=RANGE_START,
        now=NOW,
    )

    assert number == "SO/2025/00042/03"


def test_range_placeholders_without_ranges_read_the_date() -> None:
    assert render(1, prefix="%(range_year)s-%(range_month)s-", on=ON, now=NOW) == "2026-03-1"


def test_percent_signs_and_braces_are_plain_text() -> None:
    assert render(1, prefix="100%% {x} (a) ", on=ON, now=NOW) == "100% {x} (a) 1"


@pytest.mark.parametrize(
    ("number", "padding", "expected"), [(7, 3, "007"), (1234, 3, "1234"), (7, 0, "7"), (-7, 3, "-007")]
)
def test_padding(number: int, padding: int, expected: str) -> None:
    assert pad(number, padding) == expected


@pytest.mark.parametrize(
    ("text", "placeholder", "hint"),
    [
        ("SO/%(yaer)s/", "%(yaer)s", "Did you mean “%(year)s”?"),
        ("%(year)s %(rangeyear)s", "%(rangeyear)s", "Did you mean “%(range_year)s”?"),
        ("%(year)d", "%(year)d", "Did you mean “%(year)s”?"),
        ("%(year)", "%(year)", "Did you mean “%(year)s”?"),
        ("%()s", "%()s", ""),
        ("%Y/", "%Y", "write “%(year)s” for a part of the date"),
        ("50%", "%", "“%%” for a percent sign"),
        ("%(year", "%(year", "“%%” for a percent sign"),
    ],
)
def test_a_wrong_placeholder_is_named(text: str, placeholder: str, hint: str) -> None:
    with pytest.raises(PlaceholderError) as refusal:
        check_format("ok-", text)

    assert refusal.value.placeholder == placeholder
    assert f"“{placeholder}”" in refusal.value.message
    assert hint.lower() in refusal.value.message.lower()
    assert refusal.value.fields == {"suffix": [refusal.value.message]}
    assert isinstance(refusal.value, ValidationFailed)


def test_the_prefix_is_checked_too() -> None:
    with pytest.raises(PlaceholderError) as refusal:
        check_format("%(nope)s", "")

    assert list(refusal.value.fields) == ["prefix"]


def compiled_or_refused(text: str) -> Format | PlaceholderError:
    try:
        return compile_format(text)
    except PlaceholderError as refusal:
        return refusal


@given(st.text(alphabet="%()s year_x", max_size=20) | st.text(max_size=30))
def test_any_text_either_compiles_or_is_refused_naming_a_part_of_it(text: str) -> None:
    result = compiled_or_refused(text)

    if isinstance(result, PlaceholderError):
        assert result.placeholder.startswith("%")
        assert result.placeholder in text
    else:
        assert "%" not in text or "%%" in text or result.placeholders


@given(st.text(alphabet=st.characters(exclude_characters="%"), max_size=30), st.integers(0, 10**12))
def test_literal_text_is_kept(text: str, number: int) -> None:
    assert render(number, prefix=text, on=ON, now=NOW) == f"{text}{number}"
