"""Units of measure: exact conversion between the units of one category.

A category (weight, length, working time, pieces) has one *reference* unit. Every unit says how big it is in reference
units, as a fraction: a dozen is 12/1 of a piece, a gram 1/1000 of a kilogram, a foot 381/1250 of a metre. Fractions
make round trips exact (31 pieces are 31/12 dozen, not 2.5833), so the only loss is the rounding that the caller asks
for, to the step of the unit converted to.

There is no default rounding mode, because both usual choices are right somewhere: what is ordered or consumed goes
``UP`` so that it suffices, what is in stock goes ``HALF_UP``, what is reserved goes ``DOWN`` so that it exists.

Nothing here touches the database. The stored units satisfy ``UnitLike``.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from typing import Protocol

from django.utils.translation import gettext as _

from apps.core.errors import ValidationFailed
from apps.core.money.values import HALF_UP, Exact, Rounding, exact, round_ratio, round_to

#: As many digits as anybody could use of a price that is still to be multiplied and rounded.
_UNROUNDED = Context(prec=28)


class UnitMismatch(ValidationFailed):
    """A quantity of one category was asked for in a unit of another (kilograms in pieces)."""

    code = "unit_mismatch"


class UnitLike(Protocol):
    """What a conversion needs of a unit.

    ``category_pk`` is whatever identifies the category; ``numerator``/``denominator`` is the size of one unit in reference
    units, both above zero; ``rounding`` is the smallest step of a quantity in this unit.
    """

    @property
    def name(self) -> str: ...

    @property
    def category_pk(self) -> Hashable: ...

    @property
    def numerator(self) -> Decimal | int: ...

    @property
    def denominator(self) -> Decimal | int: ...

    @property
    def rounding(self) -> Decimal: ...


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit as a plain value, for computations and tests."""

    name: str
    category_pk: Hashable
    numerator: Decimal | int = 1
    denominator: Decimal | int = 1
    rounding: Decimal = Decimal("0.01")

    def __post_init__(self) -> None:
        check_unit(self)

    @property
    def is_reference(self) -> bool:
        return unit_size(self) == 1


def check_unit(unit: UnitLike) -> None:
    """Refuse a unit whose size or rounding is zero or less, naming the field."""
    fields: dict[str, list[str]] = {}
    for field in ("numerator", "denominator", "rounding"):
        if exact(getattr(unit, field)) <= 0:
            fields[field] = [_("Must be greater than zero.")]
    if fields:
        raise ValidationFailed(_("Unit “%(unit)s” is not usable.") % {"unit": unit.name}, fields=fields)


def check_category(units: Iterable[UnitLike], *, references: Sequence[UnitLike]) -> None:
    """Refuse a category that has not exactly one reference unit, or whose reference is not of size 1.

    ``units`` are the category's units, ``references`` those of them that are marked as the reference.
    """
    for unit in units:
        check_unit(unit)
    if len(references) != 1:
        names = ", ".join(unit.name for unit in references) or _("none")
        raise ValidationFailed(
            _("A category of units has exactly one reference unit; here: %(names)s.") % {"names": names}
        )
    reference = references[0]
    if unit_size(reference) != 1:
        raise ValidationFailed(
            _("The reference unit “%(unit)s” must have the size 1.") % {"unit": reference.name}
        )


def unit_size(unit: UnitLike) -> Fraction:
    """How many reference units one ``unit`` is."""
    return Fraction(exact(unit.numerator)) / Fraction(exact(unit.denominator))


def same_category(first: UnitLike, second: UnitLike) -> bool:
    return first.category_pk == second.category_pk


def _ratio(source: UnitLike, target: UnitLike) -> Fraction:
    if not same_category(source, target):
        raise UnitMismatch(
            _("“%(source)s” cannot be converted to “%(target)s”: they do not measure the same thing.")
            % {"source": source.name, "target": target.name}
        )
    return unit_size(source) / unit_size(target)


def exact_quantity(quantity: Exact, *, source: UnitLike, target: UnitLike) -> Fraction:
    """``quantity`` of ``source`` in ``target`` units, unrounded. ``UnitMismatch`` across categories."""
    return Fraction(exact(quantity)) * _ratio(source, target)


def convert_quantity(quantity: Exact, *, source: UnitLike, target: UnitLike, mode: Rounding) -> Decimal:
    """``quantity`` of ``source`` in ``target`` units, rounded once to the target's step.

    31 pieces in dozens at 0.01 are 2.59 ``UP`` and 2.58 ``HALF_UP``. ``UnitMismatch`` across categories.
    """
    return round_ratio(exact_quantity(quantity, source=source, target=target), target.rounding, mode)


def convert_price(price: Exact, *, source: UnitLike, target: UnitLike) -> Decimal:
    """A price per ``source`` as a price per ``target``: 3.50 a piece is 42.00 a dozen.

    The inverse of converting a quantity, and not rounded: a price is rounded when it becomes an amount. What no
    decimal can hold (10.00 a dozen is 0.8333… a piece) is given to 28 digits.
    """
    ratio = Fraction(exact(price)) / _ratio(source, target)
    return _UNROUNDED.divide(Decimal(ratio.numerator), Decimal(ratio.denominator))


def round_quantity(quantity: Exact, unit: UnitLike, mode: Rounding = HALF_UP) -> Decimal:
    """``quantity`` at the step of its own unit."""
    return round_to(quantity, unit.rounding, mode)


def compare_quantities(left: Exact, right: Exact, unit: UnitLike) -> int:
    """−1, 0 or 1 by the values rounded to the unit's step; see ``compare_amounts`` for how this differs from a zero test."""
    a, b = round_quantity(left, unit), round_quantity(right, unit)
    return (a > b) - (a < b)


def is_zero_quantity(quantity: Exact, unit: UnitLike) -> bool:
    """Whether ``quantity`` rounds to nothing in its unit."""
    return round_quantity(quantity, unit).is_zero()


def whole_units(quantity: Exact, *, source: UnitLike, target: UnitLike) -> Decimal:
    """The part of ``quantity`` (in ``source``) that makes whole steps of ``target``, again in ``source``.

    80 pieces hold 72 in whole dozens: down to what exists, then back half-up, so that a reservation never takes more
    than there is.
    """
    steps = convert_quantity(quantity, source=source, target=target, mode=Rounding.DOWN)
    back = convert_quantity(steps, source=target, target=source, mode=HALF_UP)
    return back if abs(back) <= abs(exact(quantity)) else round_quantity(quantity, source, Rounding.DOWN)
