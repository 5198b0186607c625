"""Amounts in the reader's language, for lists, cards and templates."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from django.utils.translation import get_language

from apps.core.models import Currency
from apps.core.money import decimals_of, format_money, format_number
from apps.core.money.text import locale_for


def language_of() -> str:
    """The language of the page that is being made."""
    return get_language() or "en"


def money(amount: Any, currency: Currency | None) -> str:
    """An amount with its currency; a plain number when there is no single currency to name."""
    if amount is None:
        return ""
    value = Decimal(amount)
    if currency is None:
        return format_number(value, language=language_of(), decimals=2)
    return format_money(value, language=language_of(), currency=currency)


def number(value: Any, decimals: int | None = None) -> str:
    """A number in the reader's language."""
    return "" if value is None else format_number(Decimal(value), language=language_of(), decimals=decimals)


def marks() -> dict[str, str]:
    """The decimal and the group mark of the reader's language, for scripts."""
    symbols = locale_for(language_of()).number_symbols
    symbols = symbols.get("latn", symbols)
    return {"decimal": str(symbols.get("decimal", ".")), "group": str(symbols.get("group", ","))}


def decimals(currency: Currency) -> int:
    return decimals_of(currency.rounding)


def column(title: Any, *, order: str = "", look: str = "") -> Callable[[Callable[[Any], Any]], Any]:
    """Marks a static method of a record as a list column: its title, what sorting it means, how its cells look."""

    def mark(show: Callable[[Any], Any]) -> Any:
        show.short_description = title  # type: ignore[attr-defined]
        show.cell_class = look  # type: ignore[attr-defined]
        if order:
            show.admin_order_field = order  # type: ignore[attr-defined]
        return show

    return mark


AMOUNT = "bo-amount"
NUMBER = "bo-moment"  # a document number does not break
