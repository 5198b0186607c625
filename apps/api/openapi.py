"""The OpenAPI 3.1 document, built from the same plans that the views run on, so that it cannot say anything else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from django.utils.translation import get_language

from apps.api.api import TOKEN_INPUTS
from apps.api.base import CREATE, UPDATE, Endpoint, Input, Route, SubResource
from apps.api.commands import Command
from apps.api.conditions import comparisons_of
from apps.api.encoding import dumps
from apps.api.fields import FieldSpec, spec_of_type
from apps.api.paging import DEFAULT_LIMIT, MAX_LIMIT, MAX_OFFSET, sortable_names
from apps.api.plan import Plan, text_of
from apps.api.registry import RouteInfo, all_routes, plan_of, plans, subresources_of

Schema = dict[str, Any]

_TYPES: Mapping[str, Schema] = {
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
_COMPARISON_TEXTS = {
    "in": "one of these, separated by commas",
    "gt": "greater than",
    "gte": "at least",
    "lt": "less than",
    "lte": "at most",
    "contains": "contains, whatever the case",
    "startswith": "begins with, whatever the case",
    "isnull": "is empty (true) or not (false)",
}
INTRODUCTION = """\
Every resource works in the same way. Ids are integers, amounts and quantities decimal strings, dates ISO 8601.
A list answers `{count, next, previous, results}`; every field is a filter (`<field>=`, `<field>__<comparison>=`), \
`custom.<key>` and `ext.<key>.<field>` included. A JSON list sent to a collection makes all records or none. Actions are \
`POST …/{id}/actions/<name>/`, or `POST …/actions/<name>/` with `ids` for many, which answers per id.
Errors are `{code, message, fields, trace_id}`. `X-Company` picks the company. `Idempotency-Key` makes a POST repeatable, \
`If-Match` with an ETag protects a change from overwriting another."""


def document() -> dict[str, Any]:
    """The whole document in the active language."""
    language = get_language() or "en"
    if language not in _documents:
        _documents[language] = _build()
    return _documents[language]


_documents: dict[str, dict[str, Any]] = {}


def forget_document() -> None:
    """For tests that declare resources of their own."""
    _documents.clear()


def _build() -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for info in all_routes():
        paths.setdefault(info.template, {})[info.method.lower()] = _operation(info)
    parameters = {**_PARAMETERS, **_share_parameters(paths)}
    schemas: dict[str, Schema] = dict(_COMMON_SCHEMAS)
    for plan in plans().values():
        schemas.update(_schemas_of(plan))
    return {
        "openapi": "3.1.0",
        "info": {"title": "Meridian", "version": "1", "description": INTRODUCTION},
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}, {"session": []}],
        "tags": [{"name": name} for name in sorted({plan.app for plan in plans().values()})],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "parameters": parameters,
            "responses": _RESPONSES,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "A token of /api/v1/auth/tokens/."},
                "session": {"type": "apiKey", "in": "cookie", "name": "meridian_session", "description": "A signed-in browser."},
            },
        },
    }


def _share_parameters(paths: dict[str, Any]) -> dict[str, Any]:
    """Describe a parameter that several operations take once, which makes the document a third of its size."""
    operations = [operation for item in paths.values() for operation in item.values()]
    seen = Counter(dumps(p) for operation in operations for p in operation["parameters"] if "$ref" not in p)
    shared: dict[str, Any] = {}
    names: dict[bytes, str] = {}
    for operation in operations:
        for position, parameter in enumerate(operation["parameters"]):
            key = dumps(parameter)
            if seen[key] < 2:
                continue
            if key not in names:
                base = parameter["name"].replace(".", "_")
                taken = sum(1 for name in shared if name.partition("-")[0] == base)
                names[key] = f"{base}-{taken + 1}"
                shared[names[key]] = parameter
            operation["parameters"][position] = {"$ref": f"#/components/parameters/{names[key]}"}
    return shared


# ---------------------------------------------------------------------------------------------------- schemas
def _schema(spec: FieldSpec, *, writing: bool = False) -> Schema:
    schema: Schema = dict(_TYPES[spec.kind])
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
    description = _describe(spec)
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


def _describe(spec: FieldSpec) -> str:
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


def _schemas_of(plan: Plan) -> dict[str, Schema]:
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
            properties[field] = _schema(plan.columns[field])
        elif field in plan.computed:
            properties[field] = _schema(plan.computed[field].spec)
        elif field in plan.nested:
            properties[field] = {"type": "array", "items": _read_schema(plan.nested[field].plan)}
    properties |= _special(plan, writing=False)
    properties["available_actions"] = {
        "type": "array",
        "items": {"type": "string"},
        "description": "Names of the actions that are possible now. In answers about one record.",
    }
    return {"type": "object", "properties": properties, "description": _about(plan)}


def _write_schema(plan: Plan, operation: str) -> Schema:
    properties: dict[str, Schema] = {}
    required = []
    for name, spec in plan.columns.items():
        if not spec.read_only:
            properties[name] = _schema(spec, writing=True)
            if spec.required and operation == CREATE:
                required.append(name)
    for name, (spec, given) in plan.inputs.items():
        if operation in given.operations:
            properties[name] = _schema(spec, writing=True)
            if given.required and operation == CREATE:
                required.append(name)
    for name, nested in plan.nested.items():
        if nested.source.writes != "never":
            item = _write_schema(nested.plan, CREATE)
            item["properties"] = {"id": {"type": "integer", "description": "Of a row that exists."}, **item["properties"]}
            item.pop("required", None)
            properties[name] = {"type": "array", "items": item, "description": text_of(nested.source.help)}
    properties |= _special(plan, writing=True)
    if operation == UPDATE and plan.has_version:
        properties["version"] = {"type": "integer", "description": "The version that was read; another one is refused."}
    schema: Schema = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required
    return schema


def _special(plan: Plan, *, writing: bool) -> dict[str, Schema]:
    found: dict[str, Schema] = {}
    if plan.has_custom:
        found["custom"] = {"type": "object", "description": "End-user fields by key.", "additionalProperties": True}
    if plan.extensions:
        parts = {
            key: {"type": "object", "properties": {n: _schema(s, writing=writing) for n, s in extension.fields.items()}}
            for key, extension in plan.extensions.items()
        }
        found["ext"] = {"type": "object", "properties": parts, "description": "Fields that other modules add, by key."}
    return found


def _about(plan: Plan) -> str:
    own = type(plan.resource).__doc__
    return text_of(own or plan.model.__doc__ or plan.verbose_name_plural)


def _inputs_schema(specs: Iterable[tuple[FieldSpec, bool]]) -> Schema:
    properties, required = {}, []
    for spec, needed in specs:
        properties[spec.name] = _schema(spec, writing=True)
        if needed:
            required.append(spec.name)
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    if required:
        schema["required"] = required
    return schema


def _declared(inputs: Mapping[str, Input]) -> list[tuple[FieldSpec, bool]]:
    return [
        (spec_of_type(n, i.type, many=i.many, help=i.help, nullable=i.nullable), i.required) for n, i in inputs.items()
    ]


def _command_inputs(command: Command) -> list[tuple[FieldSpec, bool]]:
    return [(spec_of_type(i.name, i.type, many=i.many, nullable=i.nullable), i.required) for i in command.inputs]


# ------------------------------------------------------------------------------------------------- operations
def _operation(info: RouteInfo) -> dict[str, Any]:
    kind = info.operation.partition(":")[0]
    path = info.path.replace("{id}", "").strip("/").replace("//", "/")
    words = [*path.replace("-", "_").split("/"), info.method.lower() if kind in ("route", "endpoint") else kind]
    operation: dict[str, Any] = {
        "operationId": "_".join(words),
        "tags": [info.plan.app if info.plan else info.path.partition("/")[0]],
        "parameters": [],
    }
    if "{id}" in info.path:
        operation["parameters"].append({"$ref": "#/components/parameters/id"})
    operation["parameters"].append({"$ref": "#/components/parameters/company"})
    _BUILDERS[kind](operation, info)
    if info.method == "POST" and kind != "sign_in":
        operation["parameters"].append({"$ref": "#/components/parameters/idempotency"})
    for status in ("400", "401", "403", "429") + (("404",) if "{id}" in info.path else ()):
        operation["responses"][status] = {"$ref": f"#/components/responses/{status}"}
    if info.method != "GET":
        operation["responses"]["409"] = {"$ref": "#/components/responses/409"}
    if info.method in ("PATCH", "PUT", "DELETE") or kind == "action":
        operation["parameters"].append({"$ref": "#/components/parameters/if_match"})
        operation["responses"]["412"] = {"$ref": "#/components/responses/412"}
    return operation


def _json(schema: Schema) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _ref(plan: Plan, suffix: str = "") -> Schema:
    return {"$ref": f"#/components/schemas/{schema_name(plan)}{suffix}"}


def _body(schema: Schema, *, required: bool = True) -> dict[str, Any]:
    return {"required": required, "content": _json(schema)}


def _record_answer(plan: Plan, status: str = "200", text: str = "The record.") -> dict[str, Any]:
    headers = {"ETag": {"schema": {"type": "string"}, "description": "For If-Match."}}
    return {status: {"description": text, "headers": headers, "content": _json(_ref(plan))}}


def _page_of(plan: Plan) -> dict[str, Any]:
    schema = {
        "allOf": [
            {"$ref": "#/components/schemas/Page"},
            {"type": "object", "properties": {"results": {"type": "array", "items": _ref(plan)}}},
        ]
    }
    return {"200": {"description": "A page of the list.", "content": _json(schema)}}


def _list(operation: dict[str, Any], info: RouteInfo) -> None:
    plan = _plan(info)
    operation["summary"] = f"List {plan.verbose_name_plural}"
    operation["description"] = _about(plan)
    operation["parameters"] += _list_parameters(plan)
    operation["responses"] = _page_of(plan)


def _list_parameters(plan: Plan) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"$ref": f"#/components/parameters/{name}"} for name in ("limit", "offset", "cursor", "count")
    ]
    found += [{"$ref": "#/components/parameters/search"}] if plan.searchable else []
    found += [{"$ref": "#/components/parameters/active"}] if plan.has_active else []
    sortable = ", ".join(sortable_names(plan, plan.names))
    found.append(_query("ordering", {"type": "string"}, f"Sort keys separated by commas, '-' for descending: {sortable}."))
    found += _shape_parameters(plan)
    for name, (spec, _source) in plan.filters.items():
        found.append(_query(name, _filter_schema(spec, "exact"), _describe(spec) or f"Filter by {name}."))
    for name, spec in plan.columns.items():
        if name == "active" and plan.has_active:
            continue
        for comparison in comparisons_of(spec):
            key = name if comparison == "exact" else f"{name}__{comparison}"
            text = text_of(spec.label).capitalize() or name
            if comparison != "exact":
                text += f": {_COMPARISON_TEXTS[comparison]}"
            found.append(_query(key, _filter_schema(spec, comparison), text + "."))
    return found


def _shape_parameters(plan: Plan) -> list[dict[str, Any]]:
    links = [name for name, spec in plan.columns.items() if spec.target is not None]
    names = ", ".join(plan.names)
    found = [
        _query("fields", {"type": "string"}, f"Show these fields only: {names}."),
        _query("omit", {"type": "string"}, "Leave these fields out."),
    ]
    if links:
        found.append(_query("expand", {"type": "string"}, f"Show these links as {{id, name}}: {', '.join(links)}."))
    return found


def _filter_schema(spec: FieldSpec, comparison: str) -> Schema:
    if comparison == "isnull":
        return {"type": "boolean"}
    if comparison in ("in", "contains", "startswith"):
        return {"type": "string"}
    if spec.kind == "references":
        return {"type": "integer", "minimum": 1}
    schema = dict(_TYPES[spec.kind])
    if spec.choices and comparison == "exact":
        schema["enum"] = [key for key, _text in spec.choices]
    return schema


def _query(name: str, schema: Schema, description: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}


def _create(operation: dict[str, Any], info: RouteInfo) -> None:
    plan = _plan(info)
    one = _ref(plan, ".create")
    operation["summary"] = f"Create {plan.verbose_name_plural}"
    operation["description"] = f"{_about(plan)} An object makes one record; a list makes all of its records or none."
    operation["requestBody"] = _body({"oneOf": [one, {"type": "array", "items": one, "maxItems": 10000}]})
    schema = {"oneOf": [_ref(plan), {"type": "array", "items": _ref(plan)}]}
    operation["responses"] = {"201": {"description": "What was made, in the form it was sent.", "content": _json(schema)}}
    operation["responses"]["422"] = {"$ref": "#/components/responses/422"}


def _detail(operation: dict[str, Any], info: RouteInfo) -> None:
    plan = _plan(info)
    operation["summary"] = f"Read one {plan.verbose_name}"
    operation["description"] = _about(plan)
    operation["parameters"] += _shape_parameters(plan)
    operation["responses"] = _record_answer(plan)


def _update(operation: dict[str, Any], info: RouteInfo) -> None:
    plan = _plan(info)
    whole = info.method == "PUT"
    operation["summary"] = f"{'Replace' if whole else 'Change'} one {plan.verbose_name}"
    operation["description"] = (
        "All required fields are sent." if whole else "Only the fields that are sent change."
    ) + " A stale If-Match or version is refused and nothing is written."
    operation["requestBody"] = _body(_ref(plan, ".change"))
    operation["responses"] = _record_answer(plan)


def _delete(operation: dict[str, Any], info: RouteInfo) -> None:
    plan = _plan(info)
    operation["summary"] = f"Delete one {plan.verbose_name}"
    operation["description"] = "Refused while other records need it."
    operation["responses"] = {"204": {"description": "It is gone."}}


def _action(operation: dict[str, Any], info: RouteInfo) -> None:
    plan, command = _plan(info), info.detail
    operation["summary"] = text_of(command.title)
    operation["description"] = _action_text(command)
    operation["requestBody"] = _body(_inputs_schema(_command_inputs(command)), required=bool(command.inputs))
    operation["responses"] = _record_answer(plan, text="The record afterwards; 'result' holds what the action answers.")


def _bulk(operation: dict[str, Any], info: RouteInfo) -> None:
    command = info.detail
    schema = _inputs_schema(_command_inputs(command))
    ids = {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 10000, "uniqueItems": True}
    schema["properties"] = {"ids": ids, **schema["properties"]}
    schema["required"] = ["ids", *schema.get("required", [])]
    operation["summary"] = f"{text_of(command.title)} (many)"
    operation["description"] = f"{_action_text(command)} Each record on its own account; answers per id."
    operation["requestBody"] = _body(schema)
    results = {"$ref": "#/components/schemas/BulkResult"}
    operation["responses"] = {
        "200": {"description": "Done for every id.", "content": _json(results)},
        "207": {"description": "Done for some ids.", "content": _json(results)},
        "404": {"$ref": "#/components/responses/404"},
    }


def _action_text(command: Command) -> str:
    parts = [text_of(command.help) or text_of(command.title)]
    if command.source is not None:
        parts.append(f"From state: {', '.join(sorted(command.source))}.")
    if command.target is not None:
        parts.append(f"Leads to state: {command.target}.")
    return " ".join(parts)


def _sub(operation: dict[str, Any], info: RouteInfo) -> None:
    plan, rows = _sub_plans(info)
    operation["summary"] = f"{text_of(info.detail.summary) or info.detail.name.capitalize()} of one {plan.verbose_name}"
    operation["description"] = f"Filters, order and pages as in {rows.path}."
    operation["parameters"] += _list_parameters(rows)
    operation["responses"] = _page_of(rows)


def _sub_create(operation: dict[str, Any], info: RouteInfo) -> None:
    plan, rows = _sub_plans(info)
    sub: SubResource = info.detail
    operation["summary"] = f"Add to {sub.name} of one {plan.verbose_name}"
    operation["description"] = f"Makes {rows.verbose_name_plural} that belong to the record."
    schema = _inputs_schema(_declared(sub.inputs))
    content = _json({"oneOf": [schema, {"type": "array", "items": schema}]})
    if sub.files:
        form = dict(schema, properties={"file": {"type": "string", "format": "binary"}, **schema["properties"]})
        content["multipart/form-data"] = {"schema": form}
    operation["requestBody"] = {"required": True, "content": content}
    answer = {"oneOf": [_ref(rows), {"type": "array", "items": _ref(rows)}]}
    operation["responses"] = {"201": {"description": "What was made.", "content": _json(answer)}}


def _sub_plans(info: RouteInfo) -> tuple[Plan, Plan]:
    plan = _plan(info)
    return plan, next(rows for sub, rows in subresources_of(plan) if sub is info.detail)


def _route(operation: dict[str, Any], info: RouteInfo) -> None:
    declared: Route | Endpoint = info.detail
    operation["summary"] = text_of(declared.summary) or info.operation.replace(":", " ")
    help_text = declared.help if isinstance(declared, Endpoint) else ""
    operation["description"] = text_of(help_text) or operation["summary"]
    specs = _declared(declared.inputs)
    if info.method == "GET":
        operation["parameters"] += [
            {**_query(s.name, _filter_schema(s, "in" if s.many else "exact"), _describe(s) or s.name), "required": needed}
            for s, needed in specs
        ]
    else:
        schema = _inputs_schema(specs)
        operation["requestBody"] = _body(schema, required=bool(specs))
        if isinstance(declared, Route) and declared.upload:
            form = {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}, **schema["properties"]}}
            operation["requestBody"]["content"]["multipart/form-data"] = {"schema": form}
    operation["responses"] = {"200": {"description": "The answer.", "content": {declared.produces: {"schema": {}}}}}


def _sign_in(operation: dict[str, Any], info: RouteInfo) -> None:
    operation["security"] = []
    operation["parameters"] = []
    operation["summary"] = "Sign in and make a token"
    operation["description"] = "Accounts with a second factor send a code of it as 'otp'. The token is shown this once."
    operation["requestBody"] = _body(_inputs_schema(_declared(TOKEN_INPUTS)))
    operation["responses"] = {
        "201": {"description": "The token.", "content": _json({"$ref": "#/components/schemas/NewToken"})}
    }


def _plan(info: RouteInfo) -> Plan:
    assert info.plan is not None
    return info.plan


_BUILDERS = {
    "list": _list,
    "create": _create,
    "detail": _detail,
    "update": _update,
    "replace": _update,
    "delete": _delete,
    "action": _action,
    "bulk": _bulk,
    "sub": _sub,
    "sub_create": _sub_create,
    "route": _route,
    "endpoint": _route,
    "sign_in": _sign_in,
}


# ------------------------------------------------------------------------------------------------ common parts
_ERROR: Schema = {
    "type": "object",
    "required": ["code", "message", "fields", "trace_id"],
    "properties": {
        "code": {"type": "string", "description": "Stable name of the problem."},
        "message": {"type": "string", "description": "What to do about it, in the caller's language."},
        "fields": {
            "type": "object",
            "description": "Problems by field; rows of a list as '<row>.<field>'.",
            "additionalProperties": {"type": "array", "items": {"type": "string"}},
        },
        "trace_id": {"type": "string", "description": "Finds the request in the logs."},
    },
}
_COMMON_SCHEMAS: Mapping[str, Schema] = {
    "Error": _ERROR,
    "Page": {
        "type": "object",
        "required": ["count", "next", "previous", "results"],
        "properties": {
            "count": {"type": ["integer", "null"], "description": "All rows that match; null when not counted."},
            "next": {"type": ["string", "null"], "format": "uri"},
            "previous": {"type": ["string", "null"], "format": "uri"},
            "results": {"type": "array", "items": {"type": "object"}},
        },
    },
    "BulkResult": {
        "type": "object",
        "required": ["results"],
        "properties": {
            "results": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["id", "ok", "status"],
                    "properties": {
                        "id": {"type": "integer"},
                        "ok": {"type": "boolean"},
                        "status": {"type": "integer", "description": "As if the action had been called on this id alone."},
                        "result": {"description": "What the action answers."},
                        "error": {
                            "type": "object",
                            "properties": {n: _ERROR["properties"][n] for n in ("code", "message", "fields")},
                        },
                    },
                },
            }
        },
    },
    "NewToken": {
        "type": "object",
        "required": ["token", "expires_at", "id", "prefix"],
        "properties": {
            "token": {"type": "string", "description": "The secret. It is shown this once."},
            "expires_at": {"type": ["string", "null"], "format": "date-time"},
            "id": {"type": "integer"},
            "prefix": {"type": "string", "description": "The beginning, which tells tokens apart in lists."},
            "name": {"type": "string"},
            "scopes": {"type": ["array", "null"], "items": {"type": "string"}},
        },
    },
}
_PARAMETERS: Mapping[str, Any] = {
    "id": {"name": "id", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 1}},
    "limit": _query("limit", {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}, "Rows a page."),
    "offset": _query("offset", {"type": "integer", "minimum": 0, "maximum": MAX_OFFSET}, "Rows to skip."),
    "cursor": _query("cursor", {"type": "string"}, "Empty to begin, then as in 'next': pages that stay put in long lists."),
    "count": _query("count", {"type": "boolean"}, "Whether to count all rows (default: not with a cursor)."),
    "search": _query("search", {"type": "string"}, "All of these words occur somewhere."),
    "active": _query(
        "active", {"type": "string", "enum": ["true", "false", "all"], "default": "true"}, "Archived records: false or all."
    ),
    "company": {
        "name": "X-Company",
        "in": "header",
        "required": False,
        "schema": {"type": "integer"},
        "description": "Id of the company to work in; default the user's own.",
    },
    "idempotency": {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "schema": {"type": "string", "minLength": 1, "maxLength": 200},
        "description": "The same key and request again answers the first answer and does nothing.",
    },
    "if_match": {
        "name": "If-Match",
        "in": "header",
        "required": False,
        "schema": {"type": "string"},
        "description": "The ETag that was read; another one is refused.",
    },
}
_RESPONSES: Mapping[str, Any] = {
    status: {"description": text, "content": _json({"$ref": "#/components/schemas/Error"})}
    for status, text in (
        ("400", "The input is wrong; 'fields' says where."),
        ("401", "No valid token or session."),
        ("403", "The right is missing."),
        ("404", "It does not exist, or is not the caller's to see."),
        ("409", "The state or other data do not allow it."),
        ("412", "Somebody else changed the record in the meantime."),
        ("422", "The Idempotency-Key came before with another request."),
        ("429", "Too many requests."),
    )
}
