"""What every resource shares: errors, pages, headers, the parameters of lists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apps.api.openapi.schemas import Schema, json_content, query_parameter
from apps.api.paging import DEFAULT_LIMIT, MAX_LIMIT, MAX_OFFSET

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
COMMON_SCHEMAS: Mapping[str, Schema] = {
    "Error": _ERROR,
    "Page": {
        "type": "object",
        "required": ["count", "next", "previous", "results"],
        "properties": {
            "count": {
                "type": ["integer", "null"],
                "description": "All rows that match; null when not counted.",
            },
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
                        "status": {
                            "type": "integer",
                            "description": "As if the action had been called on this id alone.",
                        },
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
PARAMETERS: Mapping[str, Any] = {
    "id": {"name": "id", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 1}},
    "limit": query_parameter(
        "limit",
        {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
        "Rows a page.",
    ),
    "offset": query_parameter(
        "offset", {"type": "integer", "minimum": 0, "maximum": MAX_OFFSET}, "Rows to skip."
    ),
    "cursor": query_parameter(
        "cursor", {"type": "string"}, "Empty to begin, then as in 'next': pages that stay put in long lists."
    ),
    "count": query_parameter(
        "count", {"type": "boolean"}, "Whether to count all rows (default: not with a cursor)."
    ),
    "search": query_parameter("search", {"type": "string"}, "All of these words occur somewhere."),
    "active": query_parameter(
        "active",
        {"type": "string", "enum": ["true", "false", "all"], "default": "true"},
        "Archived records: false or all.",
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
RESPONSES: Mapping[str, Any] = {
    status: {"description": text, "content": json_content({"$ref": "#/components/schemas/Error"})}
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
