"""Rows as JSON values: columns read straight from the database, no instance and no serializer between.

The number of queries depends on the fields that are shown, never on the rows: one for the rows, one for all
many-to-many fields, and one for each batch, nested list and expanded link that is shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import connection, models
from django.db.models import Model, QuerySet

from apps.api.fields import FieldSpec, plain_decimal
from apps.api.plan import ComputedField, Plan
from apps.core.actor import PORTAL, PUBLIC, Actor
from apps.core.custom_fields import definitions_for
from apps.core.models import Currency
from apps.core.rows import read_by_key, read_values
from apps.core.rules import visible

Row = dict[str, Any]
Links = dict[Any, list[Any]]


@dataclass(frozen=True)
class Selection:
    """The names of a plan that one request shows, and which links are shown as ``{id, name}``."""

    names: tuple[str, ...]
    expand: frozenset[str] = frozenset()


def answered(plan: Plan, actor: Actor) -> Selection:
    """What the answer to a write shows: all that the actor may read, but what only those who ask want to pay for."""
    names = plan.readable(actor)
    costly = {name for name, computed in plan.computed.items() if not computed.source.in_answers}
    return Selection(tuple(name for name in names if name not in costly) if costly else names)


def annotated(plan: Plan, queryset: QuerySet[Any], names: Iterable[str], actor: Actor) -> QuerySet[Any]:
    """The queryset with the annotations behind the computed fields among ``names``."""
    for name in names:
        computed = plan.computed.get(name)
        if computed is None or computed.source.expression is None:
            continue
        expression = computed.source.expression
        if not hasattr(expression, "resolve_expression"):
            expression = expression(actor)
        queryset = queryset.annotate(**{computed.alias: expression})
    return queryset


def render(plan: Plan, queryset: QuerySet[Any], selection: Selection, actor: Actor) -> list[Row]:
    """JSON-ready dicts of the queryset's rows, in its order. ``queryset`` carries the annotations already."""
    return [item for _row, item in render_pairs(plan, queryset, selection, actor)]


def render_found(plan: Plan, queryset: QuerySet[Any], selection: Selection, actor: Actor) -> dict[Any, Row]:
    """``render`` for a few rows that are known by their keys: by primary key, in no order."""
    pk_name = plan.model._meta.pk.attname
    pairs = render_pairs(plan, queryset.order_by(), selection, actor, few=True)
    return {row[pk_name]: item for row, item in pairs}


def render_pairs(
    plan: Plan,
    queryset: QuerySet[Any],
    selection: Selection,
    actor: Actor,
    *,
    also: Sequence[str] = (),
    few: bool = False,
) -> list[tuple[Row, Row]]:
    """Pairs of the columns as read (with those named in ``also``) and the JSON-ready dict. ``few``: the statement may cost
    more than its rows, so it is to be written cheaply."""
    names = selection.names
    extensions = _shown_extensions(plan, actor) if "ext" in names else {}
    paths = _paths(plan, names, extensions, also)
    read = read_values(queryset, paths) if few else queryset.values_list(*paths)
    raw = [dict(zip(paths, values, strict=True)) for values in read]
    pk_name = plan.model._meta.pk.attname
    pks = [row[pk_name] for row in raw]
    parts = _parts(plan, names, pks, raw, actor)
    dumps = _dumps(plan, names)
    money = _money_dump(plan, names, raw)
    custom_keys = [d.key for d in definitions_for(plan.model)] if "custom" in names else []
    shown = [
        (name, plan.columns[name].column)
        for name in names
        if name in plan.columns and plan.columns[name].column
    ]
    results: list[Row] = []
    for row in raw:
        item: Row = {name: row[column] for name, column in shown}
        for name, dump in dumps:
            if item[name] is not None:
                item[name] = dump(item[name])
        if money is not None:
            money(item, row)
        pk = row[pk_name]
        for name, (values, empty) in parts.items():
            item[name] = values.get(pk, empty) if empty is None else values.get(pk) or []
        if "custom" in names:
            stored = row["custom"] or {}
            item["custom"] = {key: stored.get(key) for key in custom_keys}
        if extensions:
            item["ext"] = _extension_values(plan, row, extensions)
        results.append(item)
    _expand(plan, results, selection.expand, actor)
    if parts:
        results = [{name: item[name] for name in names if name in item} for item in results]
    return list(zip(raw, results, strict=True))


def _paths(
    plan: Plan, names: Sequence[str], extensions: Mapping[str, Mapping[str, FieldSpec]], also: Sequence[str]
) -> list[str]:
    """Everything that must be read from the database, each once."""
    wanted: dict[str, None] = dict.fromkeys((plan.model._meta.pk.attname, *also))
    for name in names:
        if name in plan.columns and plan.columns[name].column:
            wanted[plan.columns[name].column] = None
            if name in plan.currency_columns:
                wanted[plan.currency_columns[name]] = None
        elif name in plan.computed:
            computed = plan.computed[name]
            for needed in computed.source.needs:
                wanted[needed] = None
            if computed.source.expression is not None:
                wanted[computed.alias] = None
        elif name == "custom":
            wanted["custom"] = None
    for key, specs in extensions.items():
        accessor = plan.extensions[key].accessor
        wanted[f"{accessor}__base_id"] = None
        for spec in specs.values():
            wanted[f"{accessor}__{spec.column}"] = None
    return list(wanted)


def _dumps(plan: Plan, names: Sequence[str]) -> list[tuple[str, Any]]:
    return [
        (name, plan.columns[name].dump)
        for name in names
        if name in plan.columns and plan.columns[name].column and plan.columns[name].dump is not None
    ]


def _parts(
    plan: Plan, names: Sequence[str], pks: Sequence[Any], raw: Sequence[Row], actor: Actor
) -> dict[str, tuple[Mapping[Any, Any], Any]]:
    """What does not come with the row: name → (values by primary key, value of a row without one)."""
    parts: dict[str, tuple[Mapping[Any, Any], Any]] = {}
    many = [name for name in names if name in plan.columns and not plan.columns[name].column]
    links = linked_pks(plan.model, many, pks, actor)
    for name in names:
        if name in links:
            parts[name] = (links[name], [])
        elif name in plan.computed:
            parts[name] = (_computed_values(plan, plan.computed[name], pks, raw, actor), None)
        elif name in plan.nested:
            parts[name] = (nested_rows(plan, name, pks, actor), [])
    return parts


def _computed_values(
    plan: Plan, computed: ComputedField, pks: Sequence[Any], raw: Sequence[Row], actor: Actor
) -> Mapping[Any, Any]:
    source, pk_name = computed.source, plan.model._meta.pk.attname
    if source.batch is not None:
        values = source.batch(pks, actor=actor) if pks else {}
    elif source.row is not None:
        values = {row[pk_name]: source.row(row, actor=actor) for row in raw}
    else:
        values = {row[pk_name]: row[computed.alias] for row in raw}
    if computed.spec.kind == "decimal":
        return {pk: plain_decimal(v) if isinstance(v, Decimal) else v for pk, v in values.items()}
    return values


def linked_pks(
    model: type[Model], names: Sequence[str], pks: Sequence[Any], actor: Actor
) -> dict[str, Links]:
    """Primary keys at the other end of many-to-many fields, sorted, by field and owner; one query for all fields.

    People from outside get only those of records that they may see, which takes a query a field.
    """
    found: dict[str, Links] = {name: {} for name in names}
    if not names or not pks:
        return found
    if actor.kind in (PORTAL, PUBLIC):
        for name in names:
            for owner, pk in _visible_links(model, name, pks, actor):
                found[name].setdefault(owner, []).append(pk)
        return found
    quote = connection.ops.quote_name
    parts = []
    for number, name in enumerate(names):
        field: Any = model._meta.get_field(name)
        source, target = quote(field.m2m_column_name()), quote(field.m2m_reverse_name())
        table = quote(field.m2m_db_table())
        parts.append(f"SELECT {number}, {source}, {target} FROM {table} WHERE {source} = ANY(%s)")  # noqa: S608 - names of models
    with connection.cursor() as cursor:
        # Written by hand: for eighty owners the ORM spends more time on the query than PostgreSQL on the answer.
        cursor.execute(" UNION ALL ".join(parts) + " ORDER BY 1, 2, 3", [list(pks)] * len(parts))
        for number, owner, pk in cursor.fetchall():
            found[names[number]].setdefault(owner, []).append(pk)
    return found


def _visible_links(model: type[Model], name: str, pks: Sequence[Any], actor: Actor) -> QuerySet[Any, Any]:
    field: Any = model._meta.get_field(name)
    through = field.remote_field.through
    source, target = field.m2m_field_name(), field.m2m_reverse_field_name()
    seen = visible(field.related_model, actor).values("pk")
    rows = through._base_manager.filter(**{f"{source}__in": pks, f"{target}__in": seen})
    return rows.order_by(f"{target}_id").values_list(f"{source}_id", f"{target}_id")  # type: ignore[no-any-return]


def nested_rows(plan: Plan, name: str, pks: Sequence[Any], actor: Actor) -> dict[Any, list[Row]]:
    """The rows of a nested list, by document."""
    nested = plan.nested[name]
    link = nested.source.model._meta.get_field(nested.source.link).attname  # type: ignore[union-attr]
    names = nested.plan.readable(actor)
    found: dict[Any, list[Row]] = {}
    if not pks:
        return found
    if nested.source.with_document and actor.can(nested.source.model, "view"):
        rows = nested.source.model._base_manager.filter(**{f"{link}__in": pks})
    else:
        rows = visible(nested.source.model, actor).filter(**{f"{link}__in": pks})
    rows = rows.order_by(link, *nested.source.ordering)
    rows = annotated(nested.plan, rows, names, actor)
    for row, item in render_pairs(nested.plan, rows, Selection(names), actor, also=(link,), few=True):
        found.setdefault(row[link], []).append(item)
    return found


def _shown_extensions(plan: Plan, actor: Actor) -> dict[str, dict[str, FieldSpec]]:
    shown = {}
    for key, extension in plan.extensions.items():
        hidden = extension.hidden(actor)
        shown[key] = {name: spec for name, spec in extension.fields.items() if name not in hidden}
    return shown


def _extension_values(
    plan: Plan, row: Row, extensions: Mapping[str, Mapping[str, FieldSpec]]
) -> dict[str, dict[str, Any]]:
    values: dict[str, dict[str, Any]] = {}
    for key, specs in extensions.items():
        accessor = plan.extensions[key].accessor
        present = row[f"{accessor}__base_id"] is not None
        values[key] = {}
        for name, spec in specs.items():
            value = row[f"{accessor}__{spec.column}"] if present else spec.model_field.get_default()
            dump = spec.dump
            values[key][name] = dump(value) if dump is not None and value is not None else value
    return values


def _money_dump(plan: Plan, names: Sequence[str], raw: Sequence[Row]) -> Any:
    """A function writing the money fields of a row with the decimals of its currency; two where it is unknown."""
    fields = [
        (name, plan.columns[name].column, plan.currency_columns.get(name))
        for name in names
        if name in plan.columns and plan.columns[name].money
    ]
    if not fields:
        return None
    columns = {column for _name, _attribute, column in fields if column}
    pks = {row[column] for row in raw for column in columns} - {None}
    decimals = {pk: currency.decimals for pk, currency in read_by_key(Currency, pks).items()}

    def dump(item: Row, row: Row) -> None:
        for name, attribute, column in fields:
            value = row[attribute]
            places = decimals.get(row[column], 2) if column else 2
            item[name] = None if value is None else plain_decimal(value, places)

    return dump


def _expand(plan: Plan, results: list[Row], names: Iterable[str], actor: Actor) -> None:
    """Replace primary keys by ``{id, name}``; the name of a record that the actor cannot see is ``null``."""
    for name in sorted(names):
        spec = plan.columns[name]
        assert spec.target is not None
        if spec.many:
            pks = {pk for item in results for pk in item[name]}
        else:
            pks = {item[name] for item in results} - {None}
        titles = titles_of(spec.target, pks, actor)
        for item in results:
            value = item[name]
            if spec.many:
                item[name] = [{"id": pk, "name": titles.get(pk)} for pk in value]
            elif value is not None:
                item[name] = {"id": value, "name": titles.get(value)}


def titles_of(model: type[Model], pks: Iterable[Any], actor: Actor) -> dict[Any, str]:
    """What visible records are called. One query."""
    wanted = list(pks)
    if not wanted:
        return {}
    key = model._meta.pk.name
    rows = visible(model, actor, queryset=model._base_manager.all()).filter(**{f"{key}__in": wanted})
    return {record.pk: str(record) for record in rows}


def result_value(value: Any) -> Any:
    """What an action's body answered, as JSON: records as links, sets of them as lists."""
    if isinstance(value, models.Model):
        return {"id": value.pk, "name": str(value), "model": value._meta.label_lower}
    if isinstance(value, Mapping):
        return {str(key): result_value(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset, QuerySet)):
        return [result_value(item) for item in value]
    if value is None or isinstance(value, (str, int, float, bool, Decimal)) or hasattr(value, "isoformat"):
        return value
    return str(value)
