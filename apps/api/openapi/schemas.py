"""JSON Schema of what travels: values, records, bodies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from apps.api.base import CREATE, UPDATE, Input
from apps.api.commands import Command
from apps.api.fields import FieldSpec, spec_of_type
from apps.api.plan import Plan, text_of
from apps.api.registry import plan_of

Schema = dict[str, Any]

TYPES: Mapping[str, Schema] = {
    "integer": {"type": "integer", "format": "int64"},
    "number": {"type": "number"},
    "decimal": {"type": "string", "format": "decimal", "examples": ["12.50"]},
    "string": {"type": "string"},
    "boolean": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "datetime": {"type": "string", "format": "date-time"},
    "time": {"type": "string", "format": "time"},
    "duration": {"type": "string", "format": "duration"},
    "uuid": {"type": "string", "format": "uuid"},
    "json": {},
    "file": {"type": "string"},
    "reference": {"type": "integer", "format": "int64", "minimum": 1},
    "references": {"type": "array", "items": {"type": "integer", "format": "int64", "minimum": 1}},
}


def value_schema(spec: FieldSpec, *, writing: bool = False) -> Schema:
    schema: Schema = dict(TYPES[spec.kind])
    if spec.many and spec.kind != "references":
        schema = {"type": "array", "items": schema}
    if spec.format:
        schema["format"] = spec.format
    if spec.max_length and writing:
        schema["maxLength"] = spec.max_length
    if spec.choices:
        schema = {"enum": [key for key, _text in spec.choices]}
        if all(isinstance(key, str) for key in schema["enum"]):
            schema["type"] = "string"
        blank = spec.model_field is not None and spec.model_field.blank
        if blank and "" not in schema["enum"] and schema.get("type") == "string":
            schema["enum"].append("")
    if spec.kind == "decimal" and writing:
        schema = {"type": ["string", "number"], "format": "decimal", "examples": ["12.50"]}
    if spec.nullable:
        schema = _nullable(schema)
    description = describe(spec)
    if description:
        schema["description"] = description
    return schema


def _nullable(schema: Schema) -> Schema:
    if "enum" in schema:
        schema["enum"] = [*schema["enum"], None]
    kind = schema.get("type")
    if kind is not None:
        schema["type"] = [*(kind if isinstance(kind, list) else [kind]), "null"]
    return schema


def describe(spec: FieldSpec) -> str:
    parts = [text_of(spec.label).capitalize(), text_of(spec.help)]
    if spec.target is not None:
        published = plan_of(spec.target)
        what = published.path if published is not None else spec.target._meta.label_lower
        parts.append(f"{'Ids' if spec.many else 'Id'} of {what}")
    if spec.choices:
        parts.append("; ".join(f"{key}: {text}" for key, text in spec.choices[:40]))
    return ". ".join(part.rstrip(".") for part in parts if part)


def schema_name(plan: Plan) -> str:
    """One schema a resource; names come from the path, because a model may be shown below another's."""
    return plan.path.replace("/", ".").replace("-", "_")


def schemas_of(plan: Plan) -> dict[str, Schema]:
    name = schema_name(plan)
    found = {name: _read_schema(plan)}
    if CREATE in plan.resource.operations:
        found[f"{name}.create"] = _write_schema(plan, CREATE)
    if UPDATE in plan.resource.operations:
        found[f"{name}.change"] = _write_schema(plan, UPDATE)
    return found


def _read_schema(plan: Plan) -> Schema:
    properties: dict[str, Schema] = {}
    for field in plan.names:
        if field in plan.columns:
            properties[field] = value_schema(plan.columns[field])
        elif field in plan.computed:
            properties[field] = value_schema(plan.computed[field].spec)
        elif field in plan.nested:
            properties[field] = {"type": "array", "items": _read_schema(plan.nested[field].plan)}
    properties |= _special(plan, writing=False)
    properties["available_actions"] = {
        "type": "array",
        "items": {"type": "string"},
        "description": "Names of the actions that are possible now. In answers about one record.",
    }
    return {"type": "object", "properties": properties, "description": about(plan)}


def _write_schema(plan: Plan, operation: str) -> Schema:
    properties: dict[str, Schema] = {}
    required = []
    for name, spec in plan.columns.items():
        if not spec.read_only:
            properties[name] = value_schema(spec, writing=True)
            if spec.required and operation == CREATE:
                required.append(name)
    for name, (spec, given) in plan.inputs.items():
        if operation in given.operations:
            properties[name] = value_schema(spec, writing=True)
            if given.required and operation == CREATE:
                required.append(name)
    for name, nested in plan.nested.items():
        if nested.source.writes != "never":
            item = _write_schema(nested.plan, CREATE)
            item["properties"] = {
                "id": {"type": "integer", "description": "Of a row that exists."},
                **item["properties"],
            }
            item.pop("required", None)
            properties[name] = {"type": "array", "items": item, "description": text_of(nested.source.help)}
    properties |= _special(plan, writing=True)
    if operation == UPDATE and plan.has_version:
        properties["version"] = {
            "type": "integer",
            "description": "The version that was read; another one is refused.",
        }
    schema: Schema = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required
    return schema


def _special(plan: Plan, *, writing: bool) -> dict[str, Schema]:
    found: dict[str, Schema] = {}
    if plan.has_custom:
        found["custom"] = {
            "type": "object",
            "description": "End-user fields by key.",
            "additionalProperties": True,
        }
    if plan.extensions:
        parts = {
            key: {
                "type": "object",
                "properties": {n: value_schema(s, writing=writing) for n, s in extension.fields.items()},
            }
            for key, extension in plan.extensions.items()
        }
        found["ext"] = {
            "type": "object",
            "properties": parts,
            "description": "Fields that other modules add, by key.",
        }
    return found


def about(plan: Plan) -> str:
    own = type(plan.resource).__doc__
    return text_of(own or plan.model.__doc__ or plan.verbose_name_plural)


def inputs_schema(specs: Iterable[tuple[FieldSpec, bool]]) -> Schema:
    properties, required = {}, []
    for spec, needed in specs:
        properties[spec.name] = value_schema(spec, writing=True)
        if needed:
            required.append(spec.name)
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    if required:
        schema["required"] = required
    return schema


def declared_inputs(inputs: Mapping[str, Input]) -> list[tuple[FieldSpec, bool]]:
    return [
        (spec_of_type(n, i.type, many=i.many, text=i.help, nullable=i.nullable), i.required)
        for n, i in inputs.items()
    ]


def command_inputs(command: Command) -> list[tuple[FieldSpec, bool]]:
    return [
        (spec_of_type(i.name, i.type, many=i.many, nullable=i.nullable), i.required) for i in command.inputs
    ]


def json_content(schema: Schema) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def query_parameter(name: str, schema: Schema, description: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}
