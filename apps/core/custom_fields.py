"""Custom fields at work: definitions, typed values, filters, and the index behind a filterable field."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from django.apps import apps
from django.core.cache import cache
from django.db import connection, models
from django.db.models.expressions import RawSQL
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.translation import gettext as _

from apps.core.actor import Actor
from apps.core.errors import ValidationFailed
from apps.core.models.base import CustomFieldsMixin
from apps.core.models.custom_field import CustomField

CACHE_KEY = "core.custom_fields.v1"
CACHE_SECONDS = 300

# The SQL type a JSON text is cast to where it is compared or indexed. Dates compare as ISO text, which is immutable.
CASTS = {
    CustomField.Type.INTEGER: "numeric",
    CustomField.Type.DECIMAL: "numeric",
    CustomField.Type.RECORD: "numeric",
    CustomField.Type.BOOLEAN: "boolean",
}
LOOKUPS = {"exact": "=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def _all_definitions() -> list[CustomField]:
    found = cache.get(CACHE_KEY)
    if found is None:
        found = list(CustomField.objects.filter(active=True))
        cache.set(CACHE_KEY, found, CACHE_SECONDS)
    return found


def forget_definitions() -> None:
    """Call after definitions changed."""
    cache.delete(CACHE_KEY)


def supports(model: type[models.Model]) -> bool:
    return issubclass(model, CustomFieldsMixin)


def models_with_custom_fields() -> list[type[models.Model]]:
    return sorted((m for m in apps.get_models() if supports(m)), key=lambda m: m._meta.label_lower)


def definitions_for(model: type[models.Model]) -> list[CustomField]:
    """Active definitions of a model in display order. Cached for all processes; one query at most."""
    if not supports(model):
        return []
    label = model._meta.label_lower
    return [definition for definition in _all_definitions() if definition.model == label]


def clean_values(
    model: type[models.Model],
    values: Mapping[str, Any],
    actor: Actor,
    *,
    partial: bool,
    known: Sequence[CustomField] | None = None,
) -> dict[str, Any]:
    """Typed JSON values for storage. ``partial`` leaves absent required fields alone (a change, not a new record).
    ``known`` are the definitions, for callers with many records."""
    found = definitions_for(model) if known is None else known
    definitions = {definition.key: definition for definition in found}
    errors: dict[str, list[str]] = {}
    cleaned: dict[str, Any] = {}
    for key, value in values.items():
        if key not in definitions:
            errors[f"custom.{key}"] = [_("There is no custom field '%(key)s'.") % {"key": key}]
            continue
        try:
            cleaned[key] = _to_json(definitions[key], value, actor)
        except ValueError as exc:
            errors[f"custom.{key}"] = [str(exc)]
    for key, definition in definitions.items():
        given = cleaned.get(key) if key in values else None
        if definition.required and given in (None, "", []) and (key in values or not partial):
            errors.setdefault(f"custom.{key}", [_("This field is required.")])
    if errors:
        raise ValidationFailed(fields=errors)
    return cleaned


def _to_json(definition: CustomField, value: Any, actor: Actor) -> Any:
    if value is None or value == "":
        return None
    kind = definition.type
    types = CustomField.Type
    if kind in (types.TEXT, types.LONG_TEXT):
        text = str(value)
        if kind == types.TEXT and len(text) > 500:
            raise ValueError(_("At most 500 characters."))
        return text
    if kind in (types.INTEGER, types.DECIMAL):
        return _number(kind, value)
    if kind == types.BOOLEAN:
        return _boolean(value)
    if kind in (types.DATE, types.DATETIME):
        return _moment(kind, value)
    if kind in (types.CHOICE, types.TAGS):
        return _choice(definition, value)
    return _record(definition, value, actor)


def _number(kind: str, value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(_("Enter a number."))
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise ValueError(_("Enter a number.")) from None
    if not number.is_finite():
        raise ValueError(_("Enter a number."))
    if kind == CustomField.Type.INTEGER:
        if number != number.to_integral_value():
            raise ValueError(_("Enter a whole number."))
        return int(number)
    # Decimals travel as text so that JSON cannot make floats of them.
    return format(number, "f")


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    known = {"true": True, "1": True, "on": True, "false": False, "0": False, "off": False}
    try:
        return known[str(value).lower()]
    except KeyError:
        raise ValueError(_("Enter true or false.")) from None


def _moment(kind: str, value: Any) -> str:
    if kind == CustomField.Type.DATE:
        if isinstance(value, datetime.datetime):
            value = value.date()
        day = value if isinstance(value, datetime.date) else _parsed(parse_date, value)
        if day is None:
            raise ValueError(_("Enter a date such as 2026-11-20."))
        return str(day.isoformat())
    moment = value if isinstance(value, datetime.datetime) else _parsed(parse_datetime, value)
    if moment is None:
        raise ValueError(_("Enter a date and time such as 2026-11-20T14:30:00Z."))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return str(moment.astimezone(datetime.UTC).isoformat())


def _parsed(parse: Any, value: Any) -> Any:
    try:
        return parse(str(value))
    except ValueError:
        return None


def _choice(definition: CustomField, value: Any) -> Any:
    keys = [str(choice[0]) for choice in definition.choices]
    picked = value if isinstance(value, list | tuple) else [value]
    for item in picked:
        if str(item) not in keys:
            raise ValueError(
                _("'%(value)s' is not one of: %(keys)s.") % {"value": item, "keys": ", ".join(keys)}
            )
    if definition.type == CustomField.Type.CHOICE:
        if len(picked) != 1:
            raise ValueError(_("Choose one value."))
        return str(picked[0])
    return sorted({str(item) for item in picked}, key=keys.index)


def _record(definition: CustomField, value: Any, actor: Actor) -> int:
    from apps.core.rules import visible

    target = apps.get_model(definition.target)
    try:
        pk = int(getattr(value, "pk", value))
    except (TypeError, ValueError):
        raise ValueError(_("Enter the id of a record.")) from None
    if not visible(target, actor).filter(pk=pk).exists():
        raise ValueError(_("There is no such record, or you cannot see it."))
    return pk


def _expression(model: type[models.Model], definition: CustomField) -> str:
    table = model._meta.db_table
    cast = CASTS.get(CustomField.Type(definition.type))
    text = f'("{table}"."custom" ->> \'{definition.key}\')'
    return f"({text})::{cast}" if cast else text


def filter_q(model: type[models.Model], key: str, lookup: str, value: Any, actor: Actor) -> models.Q:
    """A condition on a custom field. ``lookup``: exact, in, gt, gte, lt, lte, contains, isnull. Uses the
    expression index of filterable fields; an unknown or unfilterable field is an error that names it."""
    definition = next((d for d in definitions_for(model) if d.key == key), None)
    if definition is None or not definition.filterable:
        raise ValidationFailed(
            fields={f"custom.{key}": [_("There is no filterable custom field '%(key)s'.") % {"key": key}]}
        )
    expression = _expression(model, definition)
    if lookup == "isnull":
        empty = str(value).lower() in ("1", "true")
        return _raw_q(model, f"({expression}) IS {'' if empty else 'NOT '}NULL", [])
    if definition.type == CustomField.Type.TAGS:
        return models.Q(custom__contains={key: [str(value)]})
    if lookup == "contains":
        return _raw_q(model, f"({expression})::text ILIKE %s", [f"%{value}%"])
    try:
        if lookup == "in":
            items = value if isinstance(value, list | tuple) else str(value).split(",")
            parameters = [_to_json(definition, item, actor) for item in items]
            return _raw_q(model, f"{expression} = ANY(%s)", [parameters])
        parameter = _to_json(definition, value, actor)
    except ValueError as exc:
        raise ValidationFailed(fields={f"custom.{key}": [str(exc)]}) from exc
    if lookup not in LOOKUPS:
        raise ValidationFailed(
            fields={f"custom.{key}": [_("Unknown comparison '%(lookup)s'.") % {"lookup": lookup}]}
        )
    return _raw_q(model, f"{expression} {LOOKUPS[lookup]} %s", [parameter])


def _raw_q(model: type[models.Model], condition: str, parameters: list[Any]) -> models.Q:
    return models.Q(RawSQL(condition, parameters, output_field=models.BooleanField()))  # noqa: S611 - keys are checked


def index_name(definition: CustomField) -> str:
    return f"custom_{definition.pk}_filter"


def sync_index(definition: CustomField) -> None:
    """Create or drop the expression index of a definition, in the transaction of its change."""
    model = apps.get_model(definition.model)
    name = connection.ops.quote_name(index_name(definition))
    with connection.cursor() as cursor:
        cursor.execute(f"DROP INDEX IF EXISTS {name}")
        if definition.filterable and definition.active and definition.type != CustomField.Type.TAGS:
            table = connection.ops.quote_name(model._meta.db_table)
            expression = _expression(model, definition).replace(f'"{model._meta.db_table}".', "")
            cursor.execute(f"CREATE INDEX {name} ON {table} (({expression}))")
    forget_definitions()
