"""JSON in and out: strict reading that keeps decimals exact, fast writing."""

from __future__ import annotations

import datetime
import json
import re
from decimal import Decimal
from typing import Any

import orjson
from django.http import HttpResponse
from django.utils.duration import duration_iso_string
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from apps.core.errors import BusinessError

_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS
# A number that a float or a 64-bit integer may not hold exactly; a false alarm inside a text only costs time.
_INEXACT = re.compile(rb"[0-9][.eE]|[0-9]{18}")


class MalformedJson(BusinessError):
    """The body is no JSON, or holds text that the database cannot store."""

    code = "malformed_json"


def _default(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, Promise):
        return str(value)
    if isinstance(value, datetime.timedelta):
        return duration_iso_string(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no JSON form.")


def dumps(data: Any, *, sort: bool = False) -> bytes:
    """UTF-8 JSON: moments in UTC, decimals as text; ``sort`` orders the keys, for fingerprints."""
    return orjson.dumps(data, _default, _OPTIONS | orjson.OPT_SORT_KEYS if sort else _OPTIONS)


def loads(raw: bytes) -> Any:
    """The value of a JSON document: real numbers as ``Decimal``, NaN and lone surrogates refused."""
    try:
        data = orjson.loads(raw)
        if _INEXACT.search(raw):
            data = json.loads(raw, parse_float=Decimal)
    except (ValueError, RecursionError) as exc:
        raise MalformedJson(_("The body is not valid JSON: %(problem)s.") % {"problem": exc}) from exc
    if b"\\u0000" in raw:
        raise MalformedJson(_("The body holds a NUL character, which cannot be stored."))
    return data


def json_response(data: Any, status: int = 200, headers: dict[str, str] | None = None) -> HttpResponse:
    return HttpResponse(dumps(data), status=status, content_type="application/json", headers=headers)
