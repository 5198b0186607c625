"""The whole document, put together and kept per language."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.utils.translation import get_language

from apps.api.encoding import dumps
from apps.api.openapi.operations import operation_of
from apps.api.openapi.parts import COMMON_SCHEMAS, PARAMETERS, RESPONSES
from apps.api.openapi.schemas import Schema, schemas_of
from apps.api.registry import all_routes, plans

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
        paths.setdefault(info.template, {})[info.method.lower()] = operation_of(info)
    parameters = {**PARAMETERS, **_share_parameters(paths)}
    schemas: dict[str, Schema] = dict(COMMON_SCHEMAS)
    for plan in plans().values():
        schemas.update(schemas_of(plan))
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
            "responses": RESPONSES,
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token of /api/v1/auth/tokens/.",
                },
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "meridian_session",
                    "description": "A signed-in browser.",
                },
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
