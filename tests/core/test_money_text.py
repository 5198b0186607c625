"""Amounts as text: what people type, and what they are shown."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.errors import ValidationFailed
from apps.core.money import (
    Currency,
    InvalidAmount,
    Money,
    format_money,
    format_number,
    parse_amount,
    plain_money,
    plain_number,
)

D = Decimal

EUR = Currency("EUR")
JPY = Currency("JPY", D(1))
LANGUAGES = ["en", "de", "fr", "nl", "es", "it", "pt-br", "pl", "sv", "ja", "zh-hans", "de-ch", "hi", "tr"]


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("1.234,50", None, "1234.50"),
        ("1,234.50", None, "1234.50"),
        ("1234.5", None, "1234.5"),
        ("1 234,50", None, "1234.50"),
        ("1\u202f234,50", "fr", "1234.50"),
        ("1'234.50", None, "1234.50"),
        ("CHF 1\u2019234.50", "de-ch", "1234.50"),
        ("12,34,567.89", "hi", "1234567.89"),
        ("1.234.567", None, "1234567"),
        ("(12.00)", None, "-12.00"),
        ("12,00-", None, "-12.00"),
        ("\u221212.00", None, "-12.00"),
        ("€ 5", None, "5"),
        ("5 €", "de", "5"),
        ("-€5", None, "-5"),
        ("(€5.00)", None, "-5.00"),
        ("EUR -5", None, "-5"),
        ("5 USD", "en", "5"),
        ("US$ 5", "de", "5"),
        ("5 kr.", "da", "5"),
        ("kr.50", "da", "50"),
        ("€.50", None, "0.50"),
        (",5", None, "0.5"),
        ("5,", "de", "5"),
        ("+7", None, "7"),
        ("1,234", "en", "1234"),
        ("1,234", "de", "1.234"),
        ("1.234", "de", "1234"),
        ("0,125", None, "0.125"),
        ("1234,567", None, "1234.567"),
        ("12.50", "fr", "12.50"),
        ("\u0661\u066c\u0662\u0663\u0664\u066b\u0665", "ar", "1234.5"),
        ("-0", None, "0"),
        ("  42  ", None, "42"),
    ],
)
def test_parse_amount(text: str, language: str | None, expected: str) -> None:
    assert str(parse_amount(text, language=language)) == expected


@pytest.mark.parametrize(
    ("text", "language", "reason"),
    [
        ("1,234", None, "may mean 1.234 or 1234"),
        ("1.234", None, "may mean 1.234 or 1234"),
        ("", None, "write digits"),
        ("abc", None, "write digits"),
        ("abc 5", None, "write digits"),
        ("1e5", None, "write digits"),
        ("5 6 EUR USD", None, "write digits"),
        ("--5", None, "more than one minus"),
        ("-(5)", None, "more than one minus"),
        ("12.50", "de", "not where they belong"),
        ("12,50", "en", "not where they belong"),
        ("1.2.3", None, "not where they belong"),
        ("1,23.4,5", None, "more than one decimal mark"),
        ("1'2 345.00", None, "mixes thousands marks"),
        ("1" * 65, None, "too long"),
        ("NaN", None, "write digits"),
    ],
)
def test_what_is_no_amount_is_refused_with_a_reason(text: str, language: str | None, reason: str) -> None:
    with pytest.raises(InvalidAmount, match=reason) as refusal:
        parse_amount(text, language=language)

    assert isinstance(refusal.value, ValidationFailed)
    assert refusal.value.code == "invalid_amount"


def test_the_decimal_mark_can_be_told() -> None:
    assert parse_amount("1,234", decimal_mark=",") == D("1.234")
    assert parse_amount("1,234", decimal_mark=".") == D("1234")


def test_another_currency_is_refused() -> None:
    assert parse_amount("5 EUR", currency=EUR) == 5
    with pytest.raises(InvalidAmount, match="must be in EUR"):
        parse_amount("5 USD", currency=EUR)


@pytest.mark.parametrize("language", LANGUAGES)
@given(value=st.decimals(min_value=D(-(10**12)), max_value=D(10**12), places=2, allow_nan=False))
def test_what_is_written_can_be_read_back(language: str, value: D) -> None:
    assert parse_amount(format_number(value, language=language, decimals=2), language=language) == value
    assert parse_amount(format_money(value, currency=EUR, language=language), language=language) == value


@pytest.mark.parametrize(
    ("language", "euro", "yen", "number"),
    [
        ("en", "€1,234.50", "¥1,235", "1,234.125"),
        ("de", "1.234,50\xa0€", "1.235\xa0¥", "1.234,125"),
        ("fr", "1\u202f234,50\xa0€", "1\u202f235\xa0JPY", "1\u202f234,125"),
        ("ja", "€1,234.50", "\uffe51,235", "1,234.125"),
        ("xx-unknown", "€1,234.50", "¥1,235", "1,234.125"),
    ],
)
def test_formats_follow_the_reader_and_decimals_the_currency(
    language: str, euro: str, yen: str, number: str
) -> None:
    assert format_money(Money(D("1234.5"), EUR), language=language) == euro
    assert format_money(D("1234.5"), currency=JPY, language=language) == yen
    assert format_number(D("1234.125000"), language=language) == number


def test_negative_zero_is_never_shown() -> None:
    assert format_money(D("-0.001"), currency=EUR, language="en") == "€0.00"
    assert format_number(D("-0.00"), language="en") == "0"
    assert plain_money(D("-0.001"), EUR) == "0.00"


def test_a_plain_number_needs_its_currency() -> None:
    with pytest.raises(TypeError):
        format_money(D(1), language="en")


def test_wire_forms() -> None:
    assert plain_money(D("99.990000"), EUR) == "99.99"
    assert plain_money(D("-5"), JPY) == "-5"
    assert plain_number(D("3.000000")) == "3"
    assert plain_number(D("1E+3")) == "1000"
    assert plain_number(D("0.000001")) == "0.000001"
    assert plain_number(D("0E-6")) == "0"
