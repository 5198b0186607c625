"""Bodies: from JSON to the values that services and actions take, with every fault named in one answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import models
from django.utils.translation import gettext as _

from apps.api.base import CREATE, UPDATE, Input
from apps.api.encoding import dumps, loads
from apps.api.fields import FieldSpec, load, load_text, spec_of_type
from apps.api.output import Row
from apps.api.plan import AUDIT, NestedField, Plan
from apps.core.actions import InputSpec
from apps.core.actor import Actor
from apps.core.errors import PermissionDenied, ValidationFailed
from apps.core.records import service_for
from apps.core.rules import visible

MAX_ROWS = 10_000
Values = dict[str, Any]
Errors = dict[str, list[str]]


def read_object(data: Any) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise ValidationFailed(_("Send a JSON object."))
    return data


def read_create(plan: Plan, data: Any, actor: Actor) -> tuple[list[Values], bool]:
    """Typed rows of a body that makes records, and whether it was a list."""
    many = isinstance(data, list)
    given = data if many else [data]
    if len(given) > MAX_ROWS:
        raise ValidationFailed(_("Send at most %(count)s records at once.") % {"count": MAX_ROWS})
    rows: list[Values] = []
    errors: Errors = {}
    for number, item in enumerate(given):
        prefix = f"{number}." if len(given) > 1 else ""
        if not isinstance(item, dict):
            errors[f"{number}" if many else "__all__"] = [_("Send a JSON object.")]
            continue
        values, found = read_values(plan, item, actor, CREATE)
        errors.update({prefix + name: texts for name, texts in found.items()})
        rows.append(values)
    if errors:
        raise ValidationFailed(fields=errors)
    return rows, many


def read_update(
    plan: Plan, data: Any, actor: Actor, *, current: Row, complete: bool
) -> tuple[Values, int | None]:
    """Typed values of a change, and the ``version`` that the client saw. Fields that cannot be written are taken when
    they are sent back unchanged, so that what was read can be sent whole; who wrote when is ignored. ``complete`` (PUT) asks for all required."""
    body = dict(read_object(data))
    version = _version(body.pop("version", None)) if plan.has_version else None
    writable = plan.writable(actor, UPDATE)
    shown = loads(dumps(current))
    for name in [name for name in body if name not in writable and name not in plan.nested]:
        if name in shown and (name in AUDIT or body[name] == shown[name]) and name not in ("custom", "ext"):
            del body[name]
    body.pop("available_actions", None)
    values, errors = read_values(plan, body, actor, UPDATE)
    if complete:
        for name, spec in writable.items():
            if spec.required and name not in body and name in plan.columns:
                errors[name] = [_("This field is required.")]
    if errors:
        raise ValidationFailed(fields=errors)
    return values, version


def _version(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValidationFailed(fields={"version": [_("Send the version that you read.")]})
    return value


def read_values(plan: Plan, body: Mapping[str, Any], actor: Actor, operation: str) -> tuple[Values, Errors]:
    """Typed values and the faults found. Links stay primary keys, extra inputs become what they are declared as."""
    writable = plan.writable(actor, operation)
    readable = plan.readable(actor)
    values: Values = {}
    errors: Errors = {}
    for name, value in body.items():
        if name in writable:
            try:
                values[name] = load(writable[name], value)
            except ValueError as exc:
                errors[name] = [str(exc)]
        elif name == "custom" and plan.has_custom and isinstance(value, dict):
            values["custom"] = value
        elif name == "ext" and plan.extensions and isinstance(value, dict):
            values["ext"] = _read_extensions(plan, value, actor, errors)
        elif name in plan.nested and plan.nested[name].source.writes != "never" and name in readable:
            values[name] = _read_nested(plan.nested[name], value, actor, errors)
        elif name in readable or (name in plan.columns and name in readable):
            errors[name] = [_("This field cannot be written.")]
        else:
            errors[name] = [_("There is no field '%(name)s' here.") % {"name": name}]
    extra = {name: spec for name, (spec, given) in plan.inputs.items() if operation in given.operations}
    values |= _resolve(extra, values, actor, errors)
    for name, spec in extra.items():
        if spec.required and operation == CREATE and name not in body:
            errors[name] = [_("This field is required.")]
        elif name not in body and operation == CREATE and plan.inputs[name][1].default is not None:
            values[name] = plan.inputs[name][1].default
    return values, errors


def _resolve(
    specs: Mapping[str, FieldSpec], values: Mapping[str, Any], actor: Actor, errors: Errors
) -> Values:
    """Links among extra inputs as records that the actor can see; one query an input."""
    found: Values = {}
    for name, spec in specs.items():
        if spec.target is None or values.get(name) is None:
            continue
        try:
            found[name] = _records(spec, values[name], actor)
        except ValueError as exc:
            errors[name] = [str(exc)]
    return found


def _records(spec: FieldSpec, value: Any, actor: Actor) -> Any:
    assert spec.target is not None
    pks = list(dict.fromkeys(value)) if spec.many else [value]
    rows: models.QuerySet[Any] = visible(spec.target, actor, queryset=spec.target._base_manager.all())
    known = {record.pk: record for record in rows.filter(pk__in=pks)}
    missing = [str(pk) for pk in pks if pk not in known]
    if missing:
        raise ValueError(
            _("There is no %(kind)s %(pks)s, or you cannot see it.")
            % {"kind": spec.target._meta.verbose_name, "pks": ", ".join(missing)}
        )
    return [known[pk] for pk in pks] if spec.many else known[value]


def _read_extensions(plan: Plan, value: Mapping[str, Any], actor: Actor, errors: Errors) -> Values:
    read: Values = {}
    for key, given in value.items():
        extension = plan.extensions.get(key)
        if extension is None or not isinstance(given, dict):
            errors[f"ext.{key}"] = [_("There is no extension '%(key)s' here.") % {"key": key}]
            continue
        hidden = extension.hidden(actor)
        read[key] = {}
        for name, item in given.items():
            spec = extension.fields.get(name)
            if spec is None or name in hidden:
                errors[f"ext.{key}.{name}"] = [_("There is no field '%(name)s' here.") % {"name": name}]
                continue
            try:
                if spec.read_only:
                    raise ValueError(_("This field cannot be written."))
                loaded = load(spec, item)
                read[key][name] = (
                    _records(spec, loaded, actor).pk if spec.target and loaded is not None else loaded
                )
            except ValueError as exc:
                errors[f"ext.{key}.{name}"] = [str(exc)]
    return read


def _read_nested(nested: NestedField, value: Any, actor: Actor, errors: Errors) -> list[Values]:
    if not isinstance(value, list):
        errors[nested.name] = [_("Send a list.")]
        return []
    rows: list[Values] = []
    for number, item in enumerate(value):
        prefix = f"{nested.name}.{number}."
        if not isinstance(item, dict):
            errors[prefix.rstrip(".")] = [_("Send a JSON object.")]
            continue
        body = dict(item)
        pk = body.pop("id", None)
        unwritable = {name for name in nested.plan.columns if nested.plan.columns[name].read_only}
        for name in [*unwritable, *(set(nested.plan.computed) - set(nested.plan.inputs))]:
            if pk is not None:  # a row sent back as it was read
                body.pop(name, None)
        values, found = read_values(nested.plan, body, actor, CREATE if pk is None else UPDATE)
        errors.update({prefix + name: texts for name, texts in found.items()})
        if pk is not None:
            if isinstance(pk, bool) or not isinstance(pk, int):
                errors[f"{prefix}id"] = [_("Send the id of a record.")]
                continue
            values["id"] = pk
        rows.append(values)
    return rows


def split_nested(plan: Plan, values: Values) -> tuple[Values, dict[str, list[Values]]]:
    """The document's own values and the nested lists that REST itself writes."""
    own = {n for n, nested in plan.nested.items() if nested.source.writes == "children"}
    return {n: v for n, v in values.items() if n not in own}, {n: v for n, v in values.items() if n in own}


def write_nested(
    plan: Plan, owners: Sequence[Any], lists: Sequence[Mapping[str, list[Values]]], actor: Actor
) -> None:
    """Bring the nested rows of the documents in line with what was sent, through the children's own service.

    Called inside the unit of work of the documents. A row id that is not one of the document's is an error.
    """
    for name in sorted({name for sent in lists for name in sent}):
        nested = plan.nested[name]
        link, writer = nested.source.link, service_for(nested.source.model)
        rows = visible(nested.source.model, actor)
        fresh: list[Values] = []
        for owner, sent in zip(owners, lists, strict=True):
            if name not in sent:
                continue
            held = {record.pk: record for record in rows.filter(**{link: owner})}
            kept = set()
            for number, values in enumerate(sent[name]):
                draft = dict(values)
                pk = draft.pop("id", None)
                if pk is None:
                    fresh.append({**draft, link: owner.pk})
                elif pk not in held:
                    raise ValidationFailed(
                        fields={f"{name}.{number}.id": [_("This row is not of this document.")]}
                    )
                else:
                    kept.add(pk)
                    if draft:
                        writer.update([held[pk]], draft, actor=actor)
            gone = [record for pk, record in held.items() if pk not in kept]
            if gone:
                writer.delete(gone, actor=actor)
        if fresh:
            writer.create(fresh, actor=actor)


def read_inputs(specs: Iterable[InputSpec], body: Mapping[str, Any], actor: Actor) -> Values:
    """Typed inputs of an action; unknown and missing ones are named. Links become records."""
    known = {spec.name: spec for spec in specs}
    errors: Errors = {
        n: [_("There is no input '%(name)s' here.") % {"name": n}] for n in body if n not in known
    }
    values: Values = {}
    for name, spec in known.items():
        if name not in body:
            if spec.required:
                errors[name] = [_("This input is required.")]
            continue
        field = spec_of_type(name, spec.type, many=spec.many, nullable=spec.nullable)
        try:
            values[name] = _input(field, body[name], actor)
        except ValueError as exc:
            errors[name] = [str(exc)]
    if errors:
        raise ValidationFailed(fields=errors)
    return values


def _input(field: FieldSpec, value: Any, actor: Actor) -> Any:
    if value is None:
        if not field.nullable:
            raise ValueError(_("This input is required."))
        return None
    loaded = load(field, value)
    if field.kind == "json" and not field.many and not isinstance(loaded, dict):
        raise ValueError(_("Send a JSON object."))
    return _records(field, loaded, actor) if field.target is not None else loaded


def read_declared(
    inputs: Mapping[str, Input], body: Mapping[str, Any], actor: Actor, *, text: bool = False
) -> Values:
    """Typed values of declared inputs, from a JSON body or (``text``) from query parameters or a form."""
    errors: Errors = {
        n: [_("There is no input '%(name)s' here.") % {"name": n}] for n in body if n not in inputs
    }
    values: Values = {}
    for name, given in inputs.items():
        field = spec_of_type(name, given.type, many=given.many, nullable=given.nullable)
        if name not in body:
            if given.required:
                errors[name] = [_("This input is required.")]
            else:
                values[name] = given.default
            continue
        try:
            sent = _from_text(field, body[name]) if text else body[name]
            values[name] = _input(field, sent, actor)
        except ValueError as exc:
            errors[name] = [str(exc)]
    if errors:
        raise ValidationFailed(fields=errors)
    return values


def _from_text(field: FieldSpec, value: Any) -> Any:
    """What a query parameter or form field would be in JSON, so that one path checks both."""
    if field.many:
        items = value.split(",") if isinstance(value, str) else value
        single = spec_of_type(field.name, field.target or str) if field.target else field
        return [_from_text_one(single, item.strip()) for item in items if item.strip()]
    return _from_text_one(field, value)


def _from_text_one(field: FieldSpec, value: str) -> Any:
    if field.kind in ("boolean", "integer", "number", "reference", "references"):
        return load_text(field, value)
    return value


def require_nested_rights(plan: Plan, lists: Mapping[str, Any], actor: Actor) -> None:
    """A person without rights on the children cannot send them along with the document."""
    for name in lists:
        model = plan.nested[name].source.model
        if not actor.can(model, "add") and not actor.can(model, "change"):
            raise PermissionDenied(fields={name: [_("You may not write these rows.")]})
