"""What a field is in REST: its kind, how a value leaves, how one comes in. Compiled once from the model.

Kinds are few and say all that clients need: ``integer number decimal string boolean date datetime time duration
uuid json reference references``. Decimals travel as strings, dates as ISO 8601, links as primary keys.
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.utils.dateparse import parse_date, parse_datetime, parse_duration, parse_time
from django.utils.duration import duration_iso_string
from django.utils.translation import gettext as _

from apps.core.models import Country, Currency
from apps.core.money import ExactDecimalField, MoneyField, PriceField
from apps.core.rows import read_rows

# What people know by an ISO code: it may be sent in place of the id.
CODED: tuple[Any, ...] = (Currency, Country)
LARGEST_KEY = 2**63 - 1
LONGEST_NUMBER = 60  # digits before and after the point together that are worth looking at

# Python types of computed values, inputs and extra filters.
PYTHON_KINDS: Mapping[Any, str] = {
    str: "string",
    int: "integer",
    bool: "boolean",
    float: "number",
    Decimal: "decimal",
    datetime.date: "date",
    datetime.datetime: "datetime",
    datetime.time: "time",
    datetime.timedelta: "duration",
    dict: "json",
    list: "json",
    uuid.UUID: "uuid",
}


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One field of a resource. ``column`` is the attribute holding a stored value, empty when it is not a column."""

    name: str
    kind: str
    column: str = ""
    label: str = ""
    help: str = ""
    read_only: bool = False
    required: bool = False
    nullable: bool = False
    choices: tuple[tuple[Any, str], ...] = ()
    max_length: int | None = None
    format: str = ""
    target: type[models.Model] | None = None
    decimals: int = 0  # shown at least, for decimals
    money: bool = False
    many: bool = False
    model_field: Any = None

    @property
    def dump(self) -> Callable[[Any], Any] | None:
        """What turns a stored value into its JSON form; ``None`` when the encoder does by itself."""
        if self.kind == "decimal" and not self.money:
            return plain_decimal if not self.decimals else _with_decimals(self.decimals)
        if self.kind == "duration":
            return duration_iso_string
        if self.kind == "file":
            return str
        return None


def plain_decimal(value: Decimal, decimals: int = 0) -> str:
    """A decimal as text without exponent and without trailing zeros beyond ``decimals``."""
    text = format(abs(value) if value == 0 else value, "f")
    whole, _point, fraction = text.partition(".")
    fraction = fraction.rstrip("0").ljust(decimals, "0")
    return f"{whole}.{fraction}" if fraction else whole


def _with_decimals(decimals: int) -> Callable[[Decimal], str]:
    def dump(value: Decimal) -> str:
        return plain_decimal(value, decimals)

    return dump


def field_kind(field: Any) -> str | None:
    """The kind of a model field; ``None`` for columns that REST never shows (binary, search vectors)."""
    if isinstance(field, models.GeneratedField):
        return field_kind(field.output_field)
    for classes, kind in _KINDS:
        if isinstance(field, classes):
            return kind
    return None if isinstance(field, (models.BinaryField, SearchVectorField)) else "string"


_KINDS: tuple[tuple[Any, str], ...] = (
    (models.ManyToManyField, "references"),
    (models.ForeignKey, "reference"),
    (models.BooleanField, "boolean"),
    (models.IntegerField, "integer"),
    (models.DecimalField, "decimal"),
    (models.FloatField, "number"),
    (models.DateTimeField, "datetime"),
    (models.DateField, "date"),
    (models.TimeField, "time"),
    (models.DurationField, "duration"),
    (models.UUIDField, "uuid"),
    (ArrayField, "json"),
    (models.JSONField, "json"),
    (models.FileField, "file"),
)
_FORMATS: tuple[tuple[type, str], ...] = ((models.EmailField, "email"), (models.URLField, "uri"))


def spec_of(field: Any, *, read_only: bool = False) -> FieldSpec | None:
    """The spec of a concrete or many-to-many field of a model."""
    kind = field_kind(field)
    if kind is None:
        return None
    plain: Any = field.output_field if isinstance(field, models.GeneratedField) else field
    editable = field.editable and not field.primary_key and not getattr(field, "generated", False)
    needed = editable and not field.blank and not field.null and not field.has_default() and kind != "boolean"
    decimals = 0
    if kind == "decimal":
        exact = isinstance(plain, ExactDecimalField)
        decimals = (
            2
            if isinstance(plain, (MoneyField, PriceField))
            else 0
            if exact
            else int(plain.decimal_places or 0)
        )
    return FieldSpec(
        name=field.name,
        kind=kind,
        column="" if kind == "references" else field.attname,
        label=str(field.verbose_name),
        help=str(field.help_text or ""),
        read_only=read_only or not editable or kind == "file",
        required=needed and not read_only and kind != "file",
        nullable=bool(field.null),
        choices=tuple((key, str(text)) for key, text in field.flatchoices) if field.choices else (),
        max_length=getattr(plain, "max_length", None) if kind == "string" else None,
        format=next((name for cls, name in _FORMATS if isinstance(plain, cls)), ""),
        target=field.related_model if kind in ("reference", "references") else None,
        decimals=decimals,
        money=isinstance(plain, MoneyField),
        many=kind == "references",
        model_field=field,
    )


def spec_of_type(
    name: str,
    type_: Any,
    *,
    many: bool = False,
    text: Any = "",
    required: bool = False,
    nullable: bool = False,
) -> FieldSpec:
    """The spec of a value that is no model field: an input, an extra filter, a computed value; ``text`` explains it."""
    if isinstance(type_, type) and issubclass(type_, models.Model):
        kind, target = ("references" if many else "reference"), type_
    else:
        try:
            kind, target = PYTHON_KINDS[type_], None
        except KeyError:
            raise TypeError(f"'{name}': {type_!r} is not a type that REST knows.") from None
    return FieldSpec(
        name=name,
        kind=kind,
        help=str(text or ""),
        required=required,
        nullable=nullable,
        many=many,
        target=target,
    )


# ------------------------------------------------------------------------------------------------ coming in
def load(spec: FieldSpec, value: Any) -> Any:
    """A JSON value as the Python value that services take; links stay primary keys. ``ValueError`` says what to send."""
    if value is None:
        if spec.kind == "references" or spec.many:
            raise ValueError(_("Send a list; an empty one for none."))
        return None
    if spec.many:
        if not isinstance(value, list):
            raise ValueError(_("Send a list."))
        return [_one(spec, item) for item in value]
    return _one(spec, value)


def _one(spec: FieldSpec, value: Any) -> Any:
    if isinstance(value, str) and spec.target in CODED:
        return _key_of_code(spec.target, value)
    return _LOADERS.get(spec.kind, _load_string)(value)


def _key_of_code(target: Any, code: str) -> int:
    """Currencies and countries may be sent by their ISO code instead of their id."""
    found = read_rows(target, "t.code = %s", [code.upper()])
    if not found:
        raise ValueError(
            _("There is no %(kind)s with the code '%(code)s'.")
            % {"kind": target._meta.verbose_name, "code": code[:20]}
        )
    return int(found[0].pk)


def _load_string(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(_("Send a text."))
    return value


def _load_integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(_("Send a whole number."))
    if abs(value) > LARGEST_KEY:
        raise ValueError(_("This number is too large."))
    return value


def _load_number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise ValueError(_("Send a number."))
    try:
        return float(value)
    except OverflowError:
        raise ValueError(_("This number is too large.")) from None


def _load_decimal(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        raise ValueError(_('Send a decimal number as text, such as "12.50".'))
    if len(str(value)) > 2 * LONGEST_NUMBER:
        raise ValueError(_("This number is too large."))
    try:
        number = Decimal(value.strip() if isinstance(value, str) else value)
    except InvalidOperation:
        raise ValueError(_('Send a decimal number as text, such as "12.50".')) from None
    if not number.is_finite():
        raise ValueError(_('Send a decimal number as text, such as "12.50".'))
    if number and abs(number.adjusted()) > LONGEST_NUMBER:
        raise ValueError(_("This number is too large."))
    return number


def _load_boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(_("Send true or false."))
    return value


def _parsed(parse: Callable[[str], Any], value: Any, example: str) -> Any:
    if isinstance(value, str):
        try:
            found = parse(value)
        except ValueError:
            found = None
        if found is not None:
            return found
    raise ValueError(_("Send a text such as %(example)s.") % {"example": example})


def _load_date(value: Any) -> datetime.date:
    return _parsed(parse_date, value, "2026-11-20")  # type: ignore[no-any-return]


def _load_datetime(value: Any) -> datetime.datetime:
    moment = _parsed(_moment, value, "2026-11-20T14:30:00Z")
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=datetime.UTC)


def _moment(text: str) -> datetime.datetime | None:
    found = parse_datetime(text)
    if found is None:
        day = parse_date(text)
        found = datetime.datetime.combine(day, datetime.time.min, tzinfo=datetime.UTC) if day else None
    return found


def _load_time(value: Any) -> datetime.time:
    return _parsed(parse_time, value, "14:30:00")  # type: ignore[no-any-return]


def _load_duration(value: Any) -> datetime.timedelta:
    return _parsed(parse_duration, value, "P3DT12H")  # type: ignore[no-any-return]


def _load_uuid(value: Any) -> uuid.UUID:
    return _parsed(uuid.UUID, value, "123e4567-e89b-12d3-a456-426614174000")  # type: ignore[no-any-return]


def _load_key(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= LARGEST_KEY:
        raise ValueError(_("Send the id of a record."))
    return value


def _load_json(value: Any) -> Any:
    """Exact decimals become plain JSON numbers again: a JSON column stores what JSON can say."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, list):
        return [_load_json(item) for item in value]
    if isinstance(value, dict):
        return {key: _load_json(item) for key, item in value.items()}
    return value


_LOADERS: Mapping[str, Callable[[Any], Any]] = {
    "integer": _load_integer,
    "number": _load_number,
    "decimal": _load_decimal,
    "boolean": _load_boolean,
    "date": _load_date,
    "datetime": _load_datetime,
    "time": _load_time,
    "duration": _load_duration,
    "uuid": _load_uuid,
    "json": _load_json,
    "reference": _load_key,
    "references": _load_key,
}

_TRUE, _FALSE = ("true", "1"), ("false", "0")


def load_text(spec: FieldSpec, text: str) -> Any:
    """A value from a query parameter, typed like the field. ``ValueError`` says what to send."""
    if "\0" in text:
        raise ValueError(_("This text has a character that cannot be stored."))
    kind = spec.kind
    if kind == "boolean":
        return parse_flag(text)
    if spec.target in CODED and text.isascii() and text.isalpha():
        return _key_of_code(spec.target, text)
    if kind in ("integer", "reference", "references"):
        try:
            number = int(text) if len(text) <= 20 else None
        except ValueError:
            number = None
        if number is None or not text.isascii() or abs(number) > LARGEST_KEY:
            raise ValueError(_("Send a whole number."))
        return number
    if kind == "number":
        try:
            return float(text)
        except ValueError:
            raise ValueError(_("Send a number.")) from None
    return _one(spec, text)


def parse_flag(text: str) -> bool:
    lowered = text.lower()
    if lowered in _TRUE:
        return True
    if lowered in _FALSE:
        return False
    raise ValueError(_("Send true or false."))
