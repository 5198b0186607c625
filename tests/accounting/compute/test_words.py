"""Amounts in words: exact in every language that is offered, and never open to alteration."""

from __future__ import annotations

from decimal import Decimal

import pytest

from apps.accounting.compute.words import amount_in_words, filled


@pytest.mark.parametrize(
    ("language", "amount", "code", "decimals", "words"),
    [
        ("en", "1234.56", "EUR", 2, "One thousand, two hundred and thirty-four euros and 56/100"),
        ("en", "1.00", "USD", 2, "One US dollar and 00/100"),
        ("en", "0.05", "USD", 2, "Zero US dollars and 05/100"),
        ("en", "1000000.10", "GBP", 2, "One million British pounds and 10/100"),
        ("en", "500", "JPY", 0, "Five hundred Japanese yen"),
        ("en", "12.345", "KWD", 3, "Twelve Kuwaiti dinars and 345/1000"),
        ("nl", "1234.56", "EUR", 2, "Duizendtweehonderdvierendertig euro en 56/100"),
        ("nl", "21.00", "USD", 2, "Eenentwintig Amerikaanse dollar en 00/100"),
        ("nl", "80.08", "EUR", 2, "Tachtig euro en 08/100"),
        ("fr", "1234.56", "EUR", 2, "Mille deux cent trente-quatre euros et 56/100"),
        ("fr", "1.00", "EUR", 2, "Un euro et 00/100"),
        ("fr", "71.00", "EUR", 2, "Soixante et onze euros et 00/100"),
        ("fr", "80.00", "CHF", 2, "Quatre-vingts francs suisses et 00/100"),
        ("fr", "2000000", "EUR", 2, "Deux millions d’euros et 00/100"),
        ("fr", "1000000", "CHF", 2, "Un million de francs suisses et 00/100"),
        ("de", "1234.56", "EUR", 2, "Eintausendzweihundertvierunddreißig Euro und 56/100"),
        ("de", "1.00", "USD", 2, "Ein US-Dollar und 00/100"),
        ("de", "71.07", "EUR", 2, "Einundsiebzig Euro und 07/100"),
        ("de-AT", "2000000", "EUR", 2, "Zwei Millionen Euro und 00/100"),
        ("xx", "3.10", "EUR", 2, "Three euros and 10/100"),
    ],
)
def test_amounts_are_spelled(language: str, amount: str, code: str, decimals: int, words: str) -> None:
    found = amount_in_words(Decimal(amount), currency_code=code, decimals=decimals, language=language)

    assert found.replace("\N{NO-BREAK SPACE}", " ") == words


@pytest.mark.parametrize("amount", ["-1", "1.005"])
def test_what_no_check_can_say_is_refused(amount: str) -> None:
    with pytest.raises(ValueError):
        amount_in_words(Decimal(amount), currency_code="EUR", decimals=2, language="en")


def test_the_rest_of_the_line_is_filled() -> None:
    assert filled("One euro", 20) == "One euro ***********"
    assert filled("12.00", 9, before=True) == "*** 12.00"
    assert filled("longer than the line", 5) == "longer than the line **", "never less than two"
