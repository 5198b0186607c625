"""Every refusal and failure as ``{code, message, fields, trace_id}``, whoever raised it.

Unexpected errors are logged with the trace id and answered with that id and nothing else.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import DataError, IntegrityError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from django.utils.translation import gettext as _
from rest_framework import exceptions

from apps.api.encoding import json_response
from apps.core.actor import Actor
from apps.core.errors import BusinessError, PermissionDenied, Throttled, ValidationFailed
from apps.core.integrity import translate

logger = logging.getLogger("meridian.api")

# SQLSTATE of what may well succeed when tried again.
BUSY = {"40001", "40P01", "55P03"}
CANCELED = "57014"
CODES: Mapping[int, str] = {
    400: "invalid",
    401: "not_authenticated",
    403: "permission_denied",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    413: "too_large",
    415: "unsupported_media_type",
    429: "throttled",
}


class TooLarge(BusinessError):
    code = "too_large"
    status = 413


def trace_id_of(request: Any) -> str:
    found = getattr(request, "trace_id", None) or getattr(
        getattr(request, "_request", None), "trace_id", None
    )
    return str(found) if found else uuid.uuid4().hex


def problem(
    request: HttpRequest,
    status: int,
    code: str,
    message: str,
    fields: Mapping[str, Any] | None = None,
    headers: dict[str, str] | None = None,
    **more: Any,
) -> HttpResponse:
    body = {
        "code": code,
        "message": message,
        "fields": dict(fields or {}),
        "trace_id": trace_id_of(request),
        **more,
    }
    return json_response(body, status, headers)


def answer(request: HttpRequest, exc: Exception, actor: Actor | None = None) -> HttpResponse:
    """The response to any exception. Never raises; unknown ones are logged and become a bare 500."""
    if isinstance(exc, IntegrityError):
        exc = translate(exc)
    if isinstance(exc, BusinessError):
        return _business(request, exc, actor)
    if isinstance(exc, exceptions.APIException):
        return _framework(request, exc)
    if isinstance(exc, Http404):
        return problem(request, 404, "not_found", _("There is nothing at this address."))
    if isinstance(exc, DjangoPermissionDenied):
        return problem(
            request, 403, "permission_denied", str(exc) or _("You do not have the right to do this.")
        )
    if isinstance(exc, DjangoValidationError):
        fields = exc.message_dict if hasattr(exc, "error_dict") else {"__all__": exc.messages}
        return _business(request, ValidationFailed(fields=fields), actor)
    if isinstance(exc, RequestDataTooBig):
        return problem(request, 413, "too_large", _("The body is too large."))
    if isinstance(exc, (SuspiciousOperation, UnreadablePostError)):
        return problem(request, 400, "bad_request", _("The request cannot be read."))
    known = _database(request, exc)
    if known is not None:
        return known
    logger.error("unexpected error, trace %s", trace_id_of(request), exc_info=exc)
    return problem(request, 500, "internal_error", _("Something went wrong on our side. Quote the trace id."))


def _business(request: HttpRequest, exc: BusinessError, actor: Actor | None) -> HttpResponse:
    headers = {}
    if isinstance(exc, Throttled):
        headers["Retry-After"] = str(exc.retry_after)
    if exc.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    more: dict[str, Any] = {}
    if isinstance(exc, PermissionDenied) and exc.rule and actor is not None and actor.is_admin:
        more["rule"] = exc.rule
    return problem(request, exc.status, exc.code, exc.message, exc.fields, headers, **more)


def _framework(request: HttpRequest, exc: exceptions.APIException) -> HttpResponse:
    headers = {}
    if exc.status_code == 401:
        headers["WWW-Authenticate"] = "Bearer"
    wait = getattr(exc, "wait", None)
    if wait:
        headers["Retry-After"] = str(int(wait))
    code = CODES.get(exc.status_code, "error")
    if isinstance(exc, exceptions.MethodNotAllowed):
        message = _("This address does not take the method %(method)s.") % {"method": request.method}
    else:
        message = str(exc.detail) if isinstance(exc.detail, str) else _("The request was refused.")
    return problem(request, exc.status_code, code, message, None, headers)


def _database(request: HttpRequest, exc: Exception) -> HttpResponse | None:
    """Answers to database errors that are about the request or the moment rather than about us."""
    state = getattr(exc.__cause__, "sqlstate", None) or ""
    if isinstance(exc, DataError):
        logger.info("value refused by the database, trace %s: %s", trace_id_of(request), exc)
        return problem(request, 400, "invalid", _("A value is too long, too large or cannot be stored."))
    if isinstance(exc, OperationalError) and state in BUSY:
        return problem(
            request,
            409,
            "busy",
            _("Somebody else is changing the same records. Try again."),
            None,
            {"Retry-After": "1"},
        )
    if isinstance(exc, (OperationalError, InterfaceError)):
        logger.error("database error, trace %s: %s", trace_id_of(request), exc)
        message = (
            _("This took too long.")
            if state == CANCELED
            else _("The database does not answer. Try again later.")
        )
        return problem(request, 503, "unavailable", message, None, {"Retry-After": "5"})
    return None
