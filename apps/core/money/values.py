"""Exact amounts: currencies, rounding, the ``Money`` value and the one function that splits an amount.

Everything here is ``decimal.Decimal``; a binary float is refused with a ``TypeError`` at the door, because by then it has
already lost the cents. Arithmetic that could outgrow Python's default 28 digits runs in ``WIDE``, and every rounding is
done on exact integers, so a half is a half and never 0.49999. Nothing in this module rounds on its own: a caller names
the currency (or the step) and the mode.

Modes, as everywhere in the system:

* ``HALF_UP``  nearest, halves away from zero (3.455 → 3.46, −3.455 → −3.46): taxes, totals, prices;
* ``HALF_EVEN`` nearest, halves to the even neighbour: statistics and interest where a bias would add up;
* ``UP`` away from zero (2.501 → 2.51): quantities that must suffice;
* ``DOWN`` towards zero (2.509 → 2.50): quantities that must not be exceeded.
"""

from __future__ import annotations

import decimal
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache
from math import lcm
from typing import Protocol, Self

#: Wide enough for any product of a stored amount (20 digits) with a stored rate (28 digits) and a percentage.
WIDE = decimal.Context(prec=96, rounding=decimal.ROUND_HALF_EVEN)

#: Numbers that are exact: what every public function below accepts as an amount, a rate or a weight.
Exact = Decimal | int


class MoneyError(ValueError):
    """An amount, a currency or a rate that cannot be computed with."""


class CurrencyMismatch(MoneyError):
    """Two amounts of different currencies met in one operation; convert one of them first."""


class Rounding(StrEnum):
    """Named rounding modes; the values are those of the ``decimal`` module."""

    HALF_UP = decimal.ROUND_HALF_UP
    HALF_EVEN = decimal.ROUND_HALF_EVEN
    UP = decimal.ROUND_UP
    DOWN = decimal.ROUND_DOWN


HALF_UP = Rounding.HALF_UP
HALF_EVEN = Rounding.HALF_EVEN
UP = Rounding.UP
DOWN = Rounding.DOWN


class CurrencyLike(Protocol):
    """What the functions here need of a currency; the stored ``Currency`` model satisfies it too."""

    @property
    def code(self) -> str: ...

    @property
    def rounding(self) -> Decimal: ...


@dataclass(frozen=True, slots=True)
class Currency:
    """A currency as a value: its ISO 4217 code and the smallest step an amount of it may have.

    The step is 0.01 for most, 1 for the yen, 0.001 for the Kuwaiti dinar and 0.05 where the smallest coin decides
    (Swiss cash). The number of decimals shown follows from it: 0.05 → 2, 1 → 0.
    """

    code: str
    rounding: Decimal = Decimal("0.01")

    def __post_init__(self) -> None:
        if not self.code:
            raise MoneyError("A currency needs a code.")
        if exact(self.rounding) <= 0:
            raise MoneyError(f"The rounding of currency {self.code} must be greater than zero.")

    @classmethod
    def of(cls, currency: CurrencyLike) -> Currency:
        """The plain value of any currency-like object (a model row, for instance)."""
        return currency if isinstance(currency, cls) else cls(currency.code, currency.rounding)

    @property
    def decimals(self) -> int:
        return decimals_of(self.rounding)

    def __str__(self) -> str:
        return self.code


def exact(value: Exact) -> Decimal:
    """The value as a finite ``Decimal``; anything that is not an exact number raises.

    Errors: ``TypeError`` for floats, booleans, text and everything else; ``MoneyError`` for NaN and infinities.
    """
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise MoneyError(f"{value} is not an amount.")
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    kind = type(value).__name__
    if isinstance(value, float):
        raise TypeError(
            f"Amounts are Decimal; the float {value!r} has already lost precision. Use Decimal('…')."
        )
    raise TypeError(f"Amounts are Decimal; got {kind} {value!r}.")


@lru_cache(maxsize=256)
def decimals_of(step: Decimal) -> int:
    """Digits after the point that a multiple of ``step`` can need: 0.05 → 2, 1 → 0, 10 → 0, 0.001 → 3."""
    exponent = exact(step).normalize(WIDE).as_tuple().exponent
    assert isinstance(exponent, int)
    return max(0, -exponent)


@lru_cache(maxsize=256)
def _step_parts(step: Decimal) -> tuple[bool, Decimal, int, int]:
    """(is a power of ten, normalised step, numerator, denominator); refuses a step of zero or less."""
    if exact(step) <= 0:
        raise MoneyError(f"A rounding step must be greater than zero, not {step}.")
    normal = step.normalize(WIDE)
    numerator, denominator = normal.as_integer_ratio()
    return normal.as_tuple().digits == (1,), normal, numerator, denominator


def round_to(value: Exact, step: Decimal, mode: Rounding = HALF_UP) -> Decimal:
    """The multiple of ``step`` nearest to ``value`` in the sense of ``mode``; exact for any step, 0.05 and 12 included.

    The result carries exactly the decimals of the step (1.5 at 0.01 → 1.50) and never a negative zero.
    """
    value = exact(value)
    power_of_ten, normal, numerator, denominator = _step_parts(step)
    if power_of_ten:
        result = value.quantize(normal, rounding=mode.value, context=WIDE)
    else:
        value_numerator, value_denominator = value.as_integer_ratio()
        units = _divide(value_numerator * denominator, value_denominator * numerator, mode)
        result = WIDE.multiply(Decimal(units), normal)
    return _plain(result, decimals_of(step))


def round_ratio(value: Fraction, step: Decimal, mode: Rounding) -> Decimal:
    """Like ``round_to`` for an exact fraction that no decimal can hold (31 units are 31/12 dozen)."""
    _, normal, numerator, denominator = _step_parts(step)
    units = _divide(value.numerator * denominator, value.denominator * numerator, mode)
    return _plain(WIDE.multiply(Decimal(units), normal), decimals_of(step))


def _plain(value: Decimal, decimals: int) -> Decimal:
    """The same number with exactly ``decimals`` digits after the point and no negative zero."""
    value = value.quantize(Decimal(1).scaleb(-decimals), context=WIDE)
    return value.copy_abs() if value.is_zero() else value


def _divide(numerator: int, denominator: int, mode: Rounding) -> int:
    """Integer nearest to numerator/denominator in the sense of ``mode``; the denominator is positive."""
    quotient, rest = divmod(abs(numerator), denominator)
    twice = 2 * rest
    if mode is Rounding.UP:
        quotient += rest > 0
    elif mode is Rounding.HALF_UP:
        quotient += twice >= denominator
    elif mode is Rounding.HALF_EVEN:
        quotient += twice > denominator or (twice == denominator and quotient % 2 == 1)
    return -quotient if numerator < 0 else quotient


def round_money(amount: Exact, currency: CurrencyLike, mode: Rounding = HALF_UP) -> Decimal:
    """``amount`` rounded to the currency's own step: 1.23 CHF at 0.05 → 1.25, 12.5 JPY → 13."""
    return round_to(amount, currency.rounding, mode)


def is_rounded(amount: Exact, currency: CurrencyLike) -> bool:
    """Whether ``amount`` is already a multiple of the currency's step."""
    return round_money(amount, currency, DOWN) == amount


def compare_amounts(left: Exact, right: Exact, currency: CurrencyLike) -> int:
    """−1, 0 or 1 by the *rounded* values: at 0.01, 0.006 against 0.002 compares 0.01 with 0.00 and answers 1.

    Use it for "does the customer see two different figures?". For "is anything left to pay?" use ``is_zero`` on the
    difference; the two questions may have different answers, and both are wanted.
    """
    a, b = round_money(left, currency), round_money(right, currency)
    return (a > b) - (a < b)


def is_zero(amount: Exact, currency: CurrencyLike) -> bool:
    """Whether ``amount`` rounds to nothing: at 0.01 the difference 0.006 − 0.002 = 0.004 is zero."""
    return round_money(amount, currency).is_zero()


def split_amount(total: Exact, weights: Sequence[Exact | Fraction] | int, step: Decimal) -> list[Decimal]:
    """``total`` in parts proportional to ``weights``, each a multiple of ``step``, adding up to ``total`` exactly.

    Largest remainder: every part first gets its share rounded down, then the steps that are left go one by one to
    the parts that lost most, the earlier part first when they lost the same. ``split(-t)`` is the mirror image of
    ``split(t)``, so that a credit note undoes its invoice to the cent. An integer n means n equal weights.

    Weights may be negative (a discount among lines) as long as they do not add up to zero.

    Errors: ``MoneyError`` when there is no weight, when the weights add up to zero, or when ``total`` is not itself a
    multiple of ``step`` (the parts could not add up to it: round the total first).
    """
    total = exact(total)
    if isinstance(weights, int):
        if weights < 1:
            raise MoneyError(f"An amount cannot be split into {weights} parts.")
        shares = [1] * weights
    else:
        shares = _integer_weights(weights)
    weight_sum = sum(shares)
    if weight_sum == 0:
        raise MoneyError("An amount cannot be split by weights that add up to zero.")
    if weight_sum < 0:
        shares, weight_sum = [-share for share in shares], -weight_sum

    _, normal, step_numerator, step_denominator = _step_parts(step)
    numerator, denominator = total.as_integer_ratio()
    units, rest = divmod(abs(numerator) * step_denominator, denominator * step_numerator)
    if rest:
        raise MoneyError(f"{total} cannot be split in steps of {step}: round it first.")

    parts: list[int] = []
    lost: list[int] = []
    for share in shares:
        whole, remainder = divmod(units * share, weight_sum)
        parts.append(whole)
        lost.append(remainder)
    left = units - sum(parts)
    for index in sorted(range(len(parts)), key=lambda i: (-lost[i], i))[:left]:
        parts[index] += 1

    sign = -1 if total < 0 else 1
    decimals = decimals_of(step)
    return [_plain(WIDE.multiply(Decimal(sign * part), normal), decimals) for part in parts]


def _integer_weights(weights: Sequence[Exact | Fraction]) -> list[int]:
    """The weights scaled to integers in the same proportions."""
    if not weights:
        raise MoneyError("An amount cannot be split over no parts.")
    ratios = [
        w.as_integer_ratio() if isinstance(w, Fraction) else exact(w).as_integer_ratio() for w in weights
    ]
    common = lcm(*(denominator for _, denominator in ratios))
    return [numerator * (common // denominator) for numerator, denominator in ratios]


def convert(
    amount: Exact,
    *,
    rate_from: Exact,
    rate_to: Exact,
    target_currency: CurrencyLike,
    mode: Rounding = HALF_UP,
) -> Decimal:
    """``amount`` × rate_to ÷ rate_from, rounded once, to the target currency.

    A rate says how many units of the currency one unit of the company currency buys; the company currency's own is
    1. With EUR books, USD 1.10 and GBP 0.85: 100 USD → 90.91 EUR, 100 GBP → 129.41 USD.

    Errors: ``MoneyError`` for a rate that is zero or negative. A missing rate is the caller's to refuse: there is no
    default rate here, and 1 is never assumed.
    """
    rate_from, rate_to = exact(rate_from), exact(rate_to)
    if rate_from <= 0 or rate_to <= 0:
        raise MoneyError(f"Exchange rates must be greater than zero, not {min(rate_from, rate_to)}.")
    ratio = Fraction(exact(amount)) * Fraction(rate_to) / Fraction(rate_from)
    return round_ratio(ratio, target_currency.rounding, mode)


@dataclass(frozen=True, slots=True)
class Money:
    """An amount with its currency. Hashable, immutable, exact; two currencies never mix.

    Arithmetic keeps every digit: nothing is rounded until ``rounded()`` is called. Amounts of different currencies are
    unequal, and adding, subtracting or ordering them raises ``CurrencyMismatch``. Multiplying by another ``Money`` makes
    no sense and raises ``TypeError``.
    """

    amount: Decimal
    currency: Currency

    def __post_init__(self) -> None:
        object.__setattr__(self, "amount", exact(self.amount))
        object.__setattr__(self, "currency", Currency.of(self.currency))

    @classmethod
    def zero(cls, currency: CurrencyLike) -> Self:
        return cls(round_money(0, currency), Currency.of(currency))

    @classmethod
    def total(cls, amounts: Sequence[Money], currency: CurrencyLike) -> Money:
        """The sum of ``amounts``, all in ``currency``; an empty sequence sums to zero of it."""
        result = cls.zero(currency)
        for amount in amounts:
            result = result + amount
        return result

    def _same(self, other: Money) -> Money:
        if self.currency != other.currency:
            raise CurrencyMismatch(
                f"Cannot combine {self.currency} with {other.currency}: convert one of them first."
            )
        return other

    def _with(self, amount: Decimal) -> Self:
        return type(self)(amount, self.currency)

    def __add__(self, other: object) -> Self:
        if not isinstance(other, Money):
            return NotImplemented
        return self._with(WIDE.add(self.amount, self._same(other).amount))

    def __sub__(self, other: object) -> Self:
        if not isinstance(other, Money):
            return NotImplemented
        return self._with(WIDE.subtract(self.amount, self._same(other).amount))

    def __mul__(self, factor: Exact) -> Self:
        return self._with(WIDE.multiply(self.amount, exact(factor)))

    __rmul__ = __mul__

    def __truediv__(self, divisor: Exact) -> Self:
        """Unrounded quotient (to 96 digits); to share an amount out use ``split``, which loses nothing."""
        divisor = exact(divisor)
        if divisor == 0:
            raise ZeroDivisionError(f"Cannot divide {self} by zero.")
        return self._with(WIDE.divide(self.amount, divisor))

    def __neg__(self) -> Self:
        return self._with(self.amount.copy_negate() if self.amount else self.amount)

    def __abs__(self) -> Self:
        return self._with(self.amount.copy_abs())

    def __bool__(self) -> bool:
        return bool(self.amount)

    def __lt__(self, other: Money) -> bool:
        return self.amount < self._same(other).amount

    def __le__(self, other: Money) -> bool:
        return self.amount <= self._same(other).amount

    def __gt__(self, other: Money) -> bool:
        return self.amount > self._same(other).amount

    def __ge__(self, other: Money) -> bool:
        return self.amount >= self._same(other).amount

    def rounded(self, mode: Rounding = HALF_UP) -> Self:
        return self._with(round_money(self.amount, self.currency, mode))

    @property
    def is_zero(self) -> bool:
        """Whether it rounds to nothing in its currency."""
        return is_zero(self.amount, self.currency)

    def compare(self, other: Money) -> int:
        """−1, 0 or 1 by rounded values; see ``compare_amounts``."""
        return compare_amounts(self.amount, self._same(other).amount, self.currency)

    def split(self, weights: Sequence[Exact | Fraction] | int) -> list[Self]:
        """Parts in proportion to ``weights``, adding up to this amount; see ``split_amount``."""
        return [self._with(part) for part in split_amount(self.amount, weights, self.currency.rounding)]

    def convert(
        self, target: CurrencyLike, *, rate_from: Exact, rate_to: Exact, mode: Rounding = HALF_UP
    ) -> Money:
        """The same value in ``target``, rounded to it; see ``convert``."""
        amount = convert(self.amount, rate_from=rate_from, rate_to=rate_to, target_currency=target, mode=mode)
        return Money(amount, Currency.of(target))

    def __str__(self) -> str:
        return f"{self.amount:f} {self.currency.code}"
