"""Amounts in words, as checks have them: the whole number spelled, the rest as a fraction, the rest of the line filled.

``One thousand, two hundred and thirty-four euros and 56/100``: what cannot be spelled in two ways cannot be altered. Numbers are
spelled by ``num2words``; names of currencies are those of the CLDR in the number they need. A language that nobody can spell is
written in English.
"""

from __future__ import annotations

from decimal import Decimal

from babel import Locale, UnknownLocaleError
from babel.numbers import get_currency_name
from num2words import num2words

AND = {"en": "and", "nl": "en", "fr": "et", "de": "und"}  # the languages whose words are proven by tests
FILL = "*"
MILLION = 1_000_000
VOWELS = "aeiouyéèêh"


def amount_in_words(amount: Decimal, *, currency_code: str, decimals: int, language: str) -> str:
    """``amount`` (zero or more, exact to ``decimals``) in words with its currency.

    Errors: ``ValueError`` for a negative amount or one finer than its currency.
    """
    if amount < 0:
        raise ValueError("An amount in words is not negative.")
    whole = int(amount)
    rest = (amount - whole).scaleb(decimals)
    if rest != rest.to_integral_value():
        raise ValueError(f"{amount} is finer than {decimals} decimals.")
    spelled = _known(language)
    words = _spell(whole, spelled)
    text = f"{words[0].upper()}{words[1:]} {_unit(whole, currency_code, spelled)}"
    if not decimals:
        return text
    return f"{text} {AND[spelled]} {int(rest):0{decimals}d}/{10**decimals}"


def filled(text: str, width: int, *, before: bool = False) -> str:
    """``text`` with fill characters up to ``width``, so that nothing can be written beside it; never less than two."""
    fill = FILL * max(2, width - len(text) - 1)
    return f"{fill} {text}" if before else f"{text} {fill}"


def _known(language: str) -> str:
    plain = language.lower().replace("_", "-").partition("-")[0]
    return plain if plain in AND else "en"


def _spell(whole: int, language: str) -> str:
    if language == "de" and whole == 1:
        return "ein"  # before a noun
    return str(num2words(whole, lang=language))


def _unit(whole: int, code: str, language: str) -> str:
    """The currency as it is called after that number."""
    try:
        locale = Locale.parse(language)
    except UnknownLocaleError:
        locale = Locale.parse("en")
    name = str(get_currency_name(code, count=whole, locale=locale))
    if language == "fr" and whole >= MILLION and not whole % MILLION:
        return f"d’{name}" if name[:1].lower() in VOWELS else f"de {name}"
    return name
