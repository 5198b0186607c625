"""Amounts as people write and read them.

Reading takes what turns up in forms, spreadsheets and bank files: ``1.234,50``, ``1 234.5``, ``1'234.50``,
``(12.00)``, ``12,00-``, ``€ 5``, ``5 EUR``, digits of any script. Where a text could mean two amounts (``1,234``
with no language given) it is refused instead of guessed: being wrong by a factor of 1000 costs more than asking.

Writing follows the reader's language (Unicode CLDR data through Babel) but always the currency's own decimals.
"""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from functools import lru_cache

from babel import Locale, UnknownLocaleError
from babel.numbers import NumberPattern, get_decimal_symbol, get_group_symbol, parse_pattern
from django.utils.translation import gettext as _

from apps.core.errors import ValidationFailed
from apps.core.money.values import (
    HALF_UP,
    WIDE,
    CurrencyLike,
    Exact,
    Money,
    Rounding,
    decimals_of,
    exact,
    round_money,
)

DEFAULT_LANGUAGE = "en"
_MINUS = "-\u2212\u2010\u2011\u2012\u2013\ufe63\uff0d"
_APOSTROPHES = "'\u2019\u02bc\u066c"  # the last is the Arabic thousands mark
_BLANKS = re.compile(r"[\s\u00a0\u202f\u2009\u200e\u200f\u061c]+")
_BODY = re.compile(r"[0-9., ']*[0-9][0-9., ']*")
_NOT_NUMBER = r"[^\d.,'()\s+-]+"
_LEADING_MARK, _TRAILING_MARK = re.compile(rf"^({_NOT_NUMBER})"), re.compile(rf"({_NOT_NUMBER}\.?)$")
_MAX_LENGTH = 64


class InvalidAmount(ValidationFailed, ValueError):
    """A text that is not an amount, or that could mean more than one."""

    code = "invalid_amount"


@lru_cache(maxsize=128)
def locale_for(language: str) -> Locale:
    """The CLDR locale of a Django language code (``pt-br``, ``zh-hans``); its base language, then English, if unknown."""
    parts = language.replace("_", "-").split("-")
    for length in range(len(parts), 0, -1):
        try:
            return Locale.parse("_".join(parts[:length]))
        except (UnknownLocaleError, ValueError):
            continue
    return Locale.parse(DEFAULT_LANGUAGE)


@lru_cache(maxsize=128)
def _separators(language: str) -> tuple[str, str]:
    """(decimal mark, grouping mark) of a language after the same folding that the input goes through."""
    locale = locale_for(language)
    return _fold(get_decimal_symbol(locale)), _fold(get_group_symbol(locale))


@lru_cache(maxsize=1)
def _codes() -> frozenset[str]:
    """All ISO 4217 codes that CLDR knows."""
    return frozenset(locale_for(DEFAULT_LANGUAGE).currencies)


@lru_cache(maxsize=32)
def _symbols(language: str) -> frozenset[str]:
    """Currency words of a language in upper case (``KR``, ``ZŁ``, ``FR.``, ``US$``)."""
    return frozenset(text.upper() for text in locale_for(language).currency_symbols.values())


def _fold(text: str) -> str:
    """One spelling for every digit, blank, apostrophe, minus and decimal mark."""
    folded = []
    for char in _BLANKS.sub(" ", text):
        if char in _MINUS:
            folded.append("-")
        elif char in _APOSTROPHES:
            folded.append("'")
        elif char == "\u066b":  # Arabic decimal mark
            folded.append(",")
        else:
            digit = unicodedata.decimal(char, None)
            folded.append(char if digit is None else str(digit))
    return "".join(folded).strip()


def _refuse(text: str, reason: str) -> InvalidAmount:
    shown = text if len(text) <= 40 else f"{text[:40]}…"
    return InvalidAmount(_("“%(text)s” is not an amount: %(reason)s") % {"text": shown, "reason": reason})


def parse_amount(
    text: str,
    *,
    language: str | None = None,
    decimal_mark: str | None = None,
    currency: CurrencyLike | None = None,
) -> Decimal:
    """The amount that ``text`` means, exactly as many digits as were typed.

    ``decimal_mark`` ("." or ",") decides; else the marks of ``language``; else the text itself where it leaves no doubt.
    A currency symbol or code on either side is dropped; with ``currency`` given, the code of another one is refused.

    Errors: ``InvalidAmount`` for anything else, saying what is wrong.
    """
    if len(text) > _MAX_LENGTH:
        raise _refuse(text, _("it is too long."))
    if "\u066b" in text:  # the Arabic decimal mark has one meaning in every language, and folds to a comma
        decimal_mark = ","
    sign, body = _without_sign(_fold(text))
    body, code = _without_currency(body, language or DEFAULT_LANGUAGE)
    if currency is not None and code in _codes() and code != currency.code.upper():
        raise _refuse(text, _("the amount must be in %(code)s.") % {"code": currency.code})
    inner_sign, body = _without_sign(body)  # "EUR -5", "-€5", "€(5)"
    if sign < 0 and inner_sign < 0:
        raise _refuse(text, _("it has more than one minus sign."))
    if not _BODY.fullmatch(body):
        raise _refuse(text, _("write digits, such as 1234.50."))
    if decimal_mark is None:
        if language is not None:
            decimal_mark, group = _separators(language)
            if decimal_mark not in (".", ","):
                decimal_mark = "."
            if "." in body and decimal_mark == "," and group != "." and "," not in body:
                decimal_mark = "."  # a plain 12.50 where the point means nothing else
        else:
            decimal_mark = _evident_mark(text, body)
    value = Decimal(_digits(text, body, decimal_mark))
    return value if value.is_zero() else value.copy_sign(Decimal(sign * inner_sign))


def _without_sign(text: str) -> tuple[int, str]:
    """(±1, the text without its minus sign, plus sign or accountant's parentheses)."""
    if text.startswith("(") and text.endswith(")"):
        return -1, text[1:-1].strip()
    for sign, factor in (("-", -1), ("+", 1)):
        if text.startswith(sign):
            return factor, text[1:].strip()
    if text.endswith("-"):
        return -1, text[:-1].strip()
    return 1, text


def _without_currency(text: str, language: str) -> tuple[str, str]:
    """(the text without a currency mark at its start or end, that mark in upper case or nothing)."""
    found = _LEADING_MARK.match(text)
    if found:
        mark, rest = found[1].upper(), text[found.end() :]
        if rest.startswith(".") and f"{mark}." in _symbols(language) and mark not in _codes():
            mark, rest = f"{mark}.", rest[1:]  # "kr.50" is fifty crowns, "€.50" is half a euro
    elif found := _TRAILING_MARK.search(text):
        mark, rest = found[1].upper(), text[: found.start()]
    else:
        return text, ""
    known = _symbols(language) | _codes()
    sign = unicodedata.category(mark[-1]) == "Sc" and len(mark) <= 4  # "€", "US$", "A$"
    if sign or mark in known or mark.rstrip(".") in known:
        return rest.strip(), mark.rstrip(".")
    return text, ""


def _evident_mark(text: str, body: str) -> str:
    """The decimal mark of a number whose language is unknown, or a refusal when both readings are possible."""
    points, commas = body.count("."), body.count(",")
    if points and commas:
        return "." if body.rindex(".") > body.rindex(",") else ","
    mark = "." if points else ","
    other = "," if points else "."
    if points + commas != 1:
        return other  # repeated: grouping; absent: no matter
    whole, _mark, fraction = body.partition(mark)
    grouped_otherwise = " " in whole or "'" in whole
    if len(fraction) == 3 and not grouped_otherwise and 1 <= len(whole) <= 3 and whole.strip("0"):
        raise _refuse(
            text,
            _("it may mean %(small)s or %(large)s; write it without a thousands mark.")
            % {"small": f"{whole}.{fraction}", "large": f"{whole}{fraction}"},
        )
    return mark


def _digits(text: str, body: str, decimal_mark: str) -> str:
    """``body`` as Python writes a number; refuses a grouping that no language uses."""
    whole, mark, fraction = body.partition(decimal_mark)
    if mark and not fraction.isdigit() and fraction:
        raise _refuse(text, _("it has more than one decimal mark, or a thousands mark after it."))
    if not whole.strip(" "):
        whole = "0"
    marks = {char for char in whole if not char.isdigit()}
    if len(marks) > 1:
        raise _refuse(text, _("it mixes thousands marks."))
    if marks:
        head, *groups = whole.split(marks.pop())
        sizes = [len(group) for group in groups]
        regular = set(sizes[:-1]) in (set(), {2}, {3})  # 12,34,567 is how India groups
        if not 1 <= len(head) <= 3 or sizes[-1] != 3 or not regular:
            raise _refuse(text, _("its thousands marks are not where they belong."))
        whole = head + "".join(groups)
    return f"{whole}.{fraction or '0'}" if fraction else whole


@lru_cache(maxsize=256)
def _pattern(language: str, kind: str, minimum: int, maximum: int) -> NumberPattern:
    """The language's own pattern (grouping, place of sign and symbol) with the wanted number of decimals."""
    locale = locale_for(language)
    template = locale.currency_formats["standard"] if kind == "currency" else locale.decimal_formats[None]
    pattern = parse_pattern(template.pattern)
    pattern.frac_prec = (minimum, maximum)
    return pattern


def format_number(
    value: Exact,
    *,
    language: str,
    decimals: int | None = None,
    mode: Rounding = HALF_UP,
    grouping: bool = True,
) -> str:
    """A number in the reader's language: rounded to ``decimals``, or with the digits it has and no trailing zeros."""
    value = exact(value)
    if decimals is None:
        value = WIDE.normalize(value) if value else Decimal(0)
        minimum, maximum = 0, decimals_of(value.copy_abs()) if value else 0
    else:
        value = value.quantize(Decimal(1).scaleb(-decimals), rounding=mode.value, context=WIDE)
        minimum = maximum = decimals
    value = value.copy_abs() if value.is_zero() else value
    locale = locale_for(language)
    return _pattern(language, "decimal", minimum, maximum).apply(
        value, locale, decimal_quantization=False, group_separator=grouping
    )


def format_money(amount: Money | Exact, *, language: str, currency: CurrencyLike | None = None) -> str:
    """An amount with its currency's symbol in the reader's language, rounded to the currency's own decimals.

    ``1234.5`` EUR reads ``€1,234.50`` in English and ``1.234,50 €`` in German (with no-break blanks).
    """
    if isinstance(amount, Money):
        currency, amount = amount.currency, amount.amount
    if currency is None:
        raise TypeError("format_money needs the currency of a plain number.")
    rounded = round_money(amount, currency)
    decimals = decimals_of(currency.rounding)
    return _pattern(language, "currency", decimals, decimals).apply(
        rounded,
        locale_for(language),
        currency=currency.code,
        currency_digits=False,
        decimal_quantization=False,
    )


def plain_money(amount: Exact, currency: CurrencyLike) -> str:
    """The wire form: digits and a point, exactly the currency's decimals (``99.99``, ``-5``)."""
    return f"{round_money(amount, currency):f}"


def plain_number(value: Exact) -> str:
    """The wire form of a quantity or a rate: all its digits, no trailing zeros, never an exponent."""
    value = exact(value)
    return f"{WIDE.normalize(value):f}" if value else "0"
