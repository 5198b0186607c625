"""Model fields for exact numbers, with one precision for the whole house.

| field | column | holds |
|---|---|---|
| ``MoneyField`` | numeric(20, 4) | an amount of any currency: no currency has more than 4 decimals (the Chilean UF), and 16 digits before the point count to ten thousand trillion even in the weakest |
| ``PriceField`` | numeric(20, 6) | a price or cost *per unit*, which is not an amount yet (0.0125 a screw) |
| ``QuantityField`` | numeric(20, 6) | a count or measure in some unit; the unit's own rounding is coarser |
| ``RateField`` | numeric(28, 15) | an exchange rate or a factor; 1/25,000 keeps eleven significant digits |
| ``PercentField`` | numeric(12, 6) | a percentage as people say it: 21 is 21 % |

The column is wider than most currencies on purpose; that an amount has no more decimals than *its* currency is a
matter of that currency's row and checked where the currency is known (a constraint or trigger of the document).

What all of them add to ``DecimalField``: floats are refused with a ``TypeError``, and a value with more digits than the
column holds is refused with a ``ValueError`` on its way to the database, where PostgreSQL would round it silently.
Rounding is a decision of the service that computed the value, never of the column.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.core import checks
from django.db import models

from apps.core.money.values import HALF_UP, WIDE, Exact, Rounding, round_to


class ExactDecimalField(models.DecimalField):
    """A ``DecimalField`` that never loses a digit in silence."""

    default_max_digits = 20
    default_decimal_places = 6

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("max_digits", self.default_max_digits)
        kwargs.setdefault("decimal_places", self.default_decimal_places)
        super().__init__(*args, **kwargs)

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        problems = super().check(**kwargs)
        if isinstance(self.default, float):
            problems.append(
                checks.Error("The default of an exact field cannot be a float.", obj=self, id="core.E101")
            )
        return problems

    @property
    def step(self) -> Decimal:
        """The smallest difference that the column can hold."""
        return Decimal(1).scaleb(-int(self.decimal_places or 0))

    def quantize(self, value: Exact, mode: Rounding = HALF_UP) -> Decimal:
        """``value`` rounded to what the column holds, for services that compute a rate or a unit price."""
        return round_to(value, self.step, mode)

    def to_python(self, value: Any) -> Any:
        if isinstance(value, (float, bool)):
            raise TypeError(f"{self._label()} takes Decimal, not {type(value).__name__} {value!r}.")
        return super().to_python(value)

    def get_db_prep_save(self, value: Any, connection: Any) -> Any:
        if isinstance(value, (str, int, float)):
            value = self.to_python(value)
        if isinstance(value, Decimal):
            self._refuse_loss(value)
        return super().get_db_prep_save(value, connection)

    def _refuse_loss(self, value: Decimal) -> None:
        if not value.is_finite():
            raise ValueError(f"{self._label()} cannot hold {value}.")
        places, digits = int(self.decimal_places or 0), int(self.max_digits or 0)
        exponent = value.as_tuple().exponent
        if isinstance(exponent, int) and exponent < -places and WIDE.remainder(value, self.step):
            raise ValueError(
                f"{self._label()} holds {places} decimals; {value} would be rounded by the database. Round it first."
            )
        if value and value.adjusted() >= digits - places:
            raise ValueError(
                f"{self._label()} holds {digits - places} digits before the point; {value} has more."
            )

    def _label(self) -> str:
        model = getattr(self, "model", None)
        return f"{model.__name__}.{self.name}" if model is not None else type(self).__name__


class MoneyField(ExactDecimalField):
    """An amount in the currency that the row names."""

    default_max_digits = 20
    default_decimal_places = 4


class PriceField(ExactDecimalField):
    """A price or cost of one unit, finer than the currency; it becomes an amount when multiplied and rounded."""


class QuantityField(ExactDecimalField):
    """A quantity in the unit that the row names."""


class RateField(ExactDecimalField):
    """An exchange rate or another factor."""

    default_max_digits = 28
    default_decimal_places = 15


class PercentField(ExactDecimalField):
    """A percentage as spoken: 21 means 21 %, 0.5 means half a percent."""

    default_max_digits = 12
    default_decimal_places = 6


RATE_STEP = Decimal(1).scaleb(-RateField.default_decimal_places)
PRICE_STEP = Decimal(1).scaleb(-PriceField.default_decimal_places)
QUANTITY_STEP = Decimal(1).scaleb(-QuantityField.default_decimal_places)
