"""One operation a route: what it does, takes and answers."""

from __future__ import annotations

from typing import Any

from apps.api.base import Endpoint, Route, SubResource
from apps.api.commands import Command
from apps.api.conditions import comparisons_of
from apps.api.fields import FieldSpec
from apps.api.openapi.schemas import (
    TYPES,
    Schema,
    about,
    command_inputs,
    declared_inputs,
    describe,
    inputs_schema,
    json_content,
    query_parameter,
    schema_name,
)
from apps.api.paging import sortable_names
from apps.api.plan import Plan, text_of
from apps.api.registry import RouteInfo, subresources_of
from apps.api.tokens import TOKEN_INPUTS

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


def operation_of(info: RouteInfo) -> dict[str, Any]:
    kind = info.operation.partition(":")[0]
    path = info.path.replace("{id}", "").strip("/").replace("//", "/")
    words = [
        *path.replace("-", "_").split("/"),
        info.method.lower() if kind in ("route", "endpoint") else kind,
    ]
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


def _ref(plan: Plan, suffix: str = "") -> Schema:
    return {"$ref": f"#/components/schemas/{schema_name(plan)}{suffix}"}


def _body(schema: Schema, *, required: bool = True) -> dict[str, Any]:
    return {"required": required, "content": json_content(schema)}


def _record_answer(plan: Plan, status: str = "200", text: str = "The record.") -> dict[str, Any]:
    headers = {"ETag": {"schema": {"type": "string"}, "description": "For If-Match."}}
    return {status: {"description": text, "headers": headers, "content": json_content(_ref(plan))}}


def _page_of(plan: Plan) -> dict[str, Any]:
    schema = {
        "allOf": [
            {"$ref": "#/components/schemas/Page"},
            {"type": "object", "properties": {"results": {"type": "array", "items": _ref(plan)}}},
        ]
    }
    return {"200": {"description": "A page of the list.", "content": json_content(schema)}}


def _list(operation: dict[str, Any], info: RouteInfo) -> None:
    plan = _plan(info)
    operation["summary"] = f"List {plan.verbose_name_plural}"
    operation["description"] = about(plan)
    operation["parameters"] += _list_parameters(plan)
    operation["responses"] = _page_of(plan)


def _list_parameters(plan: Plan) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"$ref": f"#/components/parameters/{name}"} for name in ("limit", "offset", "cursor", "count")
    ]
    found += [{"$ref": "#/components/parameters/search"}] if plan.searchable else []
    found += [{"$ref": "#/components/parameters/active"}] if plan.has_active else []
    sortable = ", ".join(sortable_names(plan, plan.names))
    found.append(
        query_parameter(
            "ordering", {"type": "string"}, f"Sort keys separated by commas, '-' for descending: {sortable}."
        )
    )
    found += _shape_parameters(plan)
    for name, (spec, _source) in plan.filters.items():
        found.append(
            query_parameter(name, _filter_schema(spec, "exact"), describe(spec) or f"Filter by {name}.")
        )
    for name, spec in plan.columns.items():
        if name == "active" and plan.has_active:
            continue
        for comparison in comparisons_of(spec):
            key = name if comparison == "exact" else f"{name}__{comparison}"
            text = text_of(spec.label).capitalize() or name
            if comparison != "exact":
                text += f": {_COMPARISON_TEXTS[comparison]}"
            found.append(query_parameter(key, _filter_schema(spec, comparison), text + "."))
    return found


def _shape_parameters(plan: Plan) -> list[dict[str, Any]]:
    links = [name for name, spec in plan.columns.items() if spec.target is not None]
    names = ", ".join(plan.names)
    found = [
        query_parameter("fields", {"type": "string"}, f"Show these fields only: {names}."),
        query_parameter("omit", {"type": "string"}, "Leave these fields out."),
    ]
    if links:
        found.append(
            query_parameter(
                "expand", {"type": "string"}, f"Show these links as {{id, name}}: {', '.join(links)}."
            )
        )
    return found


def _filter_schema(spec: FieldSpec, comparison: str) -> Schema:
    if comparison == "isnull":
        return {"type": "boolean"}
    if comparison in ("in", "contains", "startswith"):
        return {"type": "string"}
    if spec.kind == "references":
        return {"type": "integer", "minimum": 1}
    schema = dict(TYPES[spec.kind])
    if spec.choices and comparison == "exact":
        schema["enum"] = [key for key, _text in spec.choices]
    return schema


def _create(operation: dict[str, Any], info: RouteInfo) -> None:
    plan = _plan(info)
    one = _ref(plan, ".create")
    operation["summary"] = f"Create {plan.verbose_name_plural}"
    operation["description"] = (
        f"{about(plan)} An object makes one record; a list makes all of its records or none."
    )
    operation["requestBody"] = _body({"oneOf": [one, {"type": "array", "items": one, "maxItems": 10000}]})
    schema = {"oneOf": [_ref(plan), {"type": "array", "items": _ref(plan)}]}
    operation["responses"] = {
        "201": {"description": "What was made, in the form it was sent.", "content": json_content(schema)}
    }
    operation["responses"]["422"] = {"$ref": "#/components/responses/422"}


def _detail(operation: dict[str, Any], info: RouteInfo) -> None:
    plan = _plan(info)
    operation["summary"] = f"Read one {plan.verbose_name}"
    operation["description"] = about(plan)
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
    operation["requestBody"] = _body(inputs_schema(command_inputs(command)), required=bool(command.inputs))
    operation["responses"] = _record_answer(
        plan, text="The record afterwards; 'result' holds what the action answers."
    )


def _bulk(operation: dict[str, Any], info: RouteInfo) -> None:
    command = info.detail
    schema = inputs_schema(command_inputs(command))
    ids = {
        "type": "array",
        "items": {"type": "integer"},
        "minItems": 1,
        "maxItems": 10000,
        "uniqueItems": True,
    }
    schema["properties"] = {"ids": ids, **schema["properties"]}
    schema["required"] = ["ids", *schema.get("required", [])]
    operation["summary"] = f"{text_of(command.title)} (many)"
    operation["description"] = f"{_action_text(command)} Each record on its own account; answers per id."
    operation["requestBody"] = _body(schema)
    results = {"$ref": "#/components/schemas/BulkResult"}
    operation["responses"] = {
        "200": {"description": "Done for every id.", "content": json_content(results)},
        "207": {"description": "Done for some ids.", "content": json_content(results)},
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
    operation["summary"] = (
        f"{text_of(info.detail.summary) or info.detail.name.capitalize()} of one {plan.verbose_name}"
    )
    operation["description"] = f"Filters, order and pages as in {rows.path}."
    operation["parameters"] += _list_parameters(rows)
    operation["responses"] = _page_of(rows)


def _sub_create(operation: dict[str, Any], info: RouteInfo) -> None:
    plan, rows = _sub_plans(info)
    sub: SubResource = info.detail
    operation["summary"] = f"Add to {sub.name} of one {plan.verbose_name}"
    operation["description"] = f"Makes {rows.verbose_name_plural} that belong to the record."
    schema = inputs_schema(declared_inputs(sub.inputs))
    content = json_content({"oneOf": [schema, {"type": "array", "items": schema}]})
    if sub.files:
        form = dict(
            schema, properties={"file": {"type": "string", "format": "binary"}, **schema["properties"]}
        )
        content["multipart/form-data"] = {"schema": form}
    operation["requestBody"] = {"required": True, "content": content}
    answer = {"oneOf": [_ref(rows), {"type": "array", "items": _ref(rows)}]}
    operation["responses"] = {"201": {"description": "What was made.", "content": json_content(answer)}}


def _sub_plans(info: RouteInfo) -> tuple[Plan, Plan]:
    plan = _plan(info)
    return plan, next(rows for sub, rows in subresources_of(plan) if sub is info.detail)


def _route(operation: dict[str, Any], info: RouteInfo) -> None:
    declared: Route | Endpoint = info.detail
    operation["summary"] = text_of(declared.summary) or info.operation.replace(":", " ")
    help_text = declared.help if isinstance(declared, Endpoint) else ""
    operation["description"] = text_of(help_text) or operation["summary"]
    specs = declared_inputs(declared.inputs)
    if info.method == "GET":
        operation["parameters"] += [
            {
                **query_parameter(
                    s.name, _filter_schema(s, "in" if s.many else "exact"), describe(s) or s.name
                ),
                "required": needed,
            }
            for s, needed in specs
        ]
    else:
        schema = inputs_schema(specs)
        operation["requestBody"] = _body(schema, required=bool(specs))
        if isinstance(declared, Route) and declared.upload:
            form = {
                "type": "object",
                "properties": {"file": {"type": "string", "format": "binary"}, **schema["properties"]},
            }
            operation["requestBody"]["content"]["multipart/form-data"] = {"schema": form}
    operation["responses"] = {
        "200": {"description": "The answer.", "content": {declared.produces: {"schema": {}}}}
    }


def _sign_in(operation: dict[str, Any], info: RouteInfo) -> None:
    operation["security"] = []
    operation["parameters"] = []
    operation["summary"] = "Sign in and make a token"
    operation["description"] = (
        "Accounts with a second factor send a code of it as 'otp'. The token is shown this once."
    )
    operation["requestBody"] = _body(inputs_schema(declared_inputs(TOKEN_INPUTS)))
    operation["responses"] = {
        "201": {
            "description": "The token.",
            "content": json_content({"$ref": "#/components/schemas/NewToken"}),
        }
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
