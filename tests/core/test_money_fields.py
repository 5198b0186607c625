"""Model fields for exact numbers: house precision, no floats, no silent rounding by the database."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, models

from apps.core.money import (
    HALF_EVEN,
    ExactDecimalField,
    MoneyField,
    PercentField,
    PriceField,
    QuantityField,
    RateField,
)

D = Decimal

FIELDS: list[tuple[type[ExactDecimalField], int, int]] = [
    (MoneyField, 20, 4),
    (PriceField, 20, 6),
    (QuantityField, 20, 6),
    (RateField, 28, 15),
    (PercentField, 12, 6),
]


@pytest.mark.parametrize(("field_class", "digits", "places"), FIELDS)
def test_house_precision_is_written_into_migrations(
    field_class: type[ExactDecimalField], digits: int, places: int
) -> None:
    _name, path, _args, kwargs = field_class().deconstruct()

    assert path == f"apps.core.money.fields.{field_class.__name__}"
    assert kwargs == {"max_digits": digits, "decimal_places": places}
    assert field_class().db_type(connection) == f"numeric({digits}, {places})"
    assert field_class(max_digits=10, decimal_places=2).deconstruct()[3] == {
        "max_digits": 10,
        "decimal_places": 2,
    }


@pytest.mark.parametrize(
    "value", ["12.3456", D("12.3456"), 12, D("12.34560000"), D("9999999999999999.9999"), D(0), D("0E-9")]
)
def test_what_fits_is_stored_unchanged(value: object) -> None:
    assert MoneyField().get_db_prep_save(value, connection) == D(str(value))


def test_null_is_stored() -> None:
    assert MoneyField(null=True).get_db_prep_save(None, connection) is None


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (D("12.34567"), "would be rounded by the database"),
        ("12.34567", "would be rounded by the database"),
        (D("10000000000000000"), "16 digits before the point"),
        (D("NaN"), "cannot hold NaN"),
        (D("Infinity"), "cannot hold Infinity"),
    ],
)
def test_what_does_not_fit_is_refused(value: object, message: str) -> None:
    with pytest.raises((ValueError, ValidationError), match=message):
        MoneyField().get_db_prep_save(value, connection)


@pytest.mark.parametrize("value", [1.5, True])
def test_floats_and_booleans_are_refused_everywhere(value: object) -> None:
    field = MoneyField()

    for door in (field.to_python, field.get_prep_value, lambda v: field.get_db_prep_save(v, connection)):
        with pytest.raises(TypeError, match="takes Decimal"):
            door(value)


def test_expressions_are_left_to_the_database() -> None:
    value = models.Value(D(1), output_field=MoneyField())

    assert MoneyField().get_db_prep_save(value, connection) is value


def test_a_float_default_is_a_system_check_error() -> None:
    field = MoneyField(default=0.1)
    field.set_attributes_from_name("amount")

    assert "core.E101" in [problem.id for problem in field.check(databases=None)]


def test_services_round_with_the_field() -> None:
    assert RateField().quantize(D(1) / D(3)) == D("0.333333333333333")
    assert PriceField().quantize(D("0.0000005"), HALF_EVEN) == D("0.000000")
    assert str(PercentField().step) == "0.000001"
