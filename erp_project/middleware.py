"""Middleware that belongs to the installation rather than to a module."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable

import structlog
from csp.middleware import CSPMiddleware, PolicyParts
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from prometheus_client import Counter, Histogram

from apps.core.views_health import healthz, metrics, readyz

REQUEST_ID_HEADER = "X-Request-ID"
_PLAIN_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_QUIET_PATHS = ("/static/",)

REQUESTS = Counter("meridian_requests", "Requests answered", ["process", "method", "status"])
SECONDS = Histogram(
    "meridian_request_seconds",
    "Time to answer a request, by the first segment of its path",
    ["process", "area"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

log = structlog.get_logger("request")


def _area(request: HttpRequest) -> str:
    """First path segment of a route that exists; anything else would let visitors make up label values."""
    if getattr(request, "resolver_match", None) is None:
        return "other"
    return request.path_info.split("/", 2)[1] or "root"


class HealthMiddleware:
    """Answers the health checks before anything else looks at the request.

    Probes come from inside, by address and without TLS: no host name to allow, no redirect, no session.
    """

    VIEWS = {"/healthz": healthz, "/readyz": readyz, "/metrics": metrics}

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        view = self.VIEWS.get(request.path_info)
        return view(request) if view else self.get_response(request)


class RequestContextMiddleware:
    """Gives every request an id, puts it on every log line and on the answer, and logs one line a request.

    An id from a proxy is kept when it is short and plain; anything else could forge log lines.
    The id is also `request.trace_id`, which error answers of the API carry.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        given = request.headers.get(REQUEST_ID_HEADER, "")
        trace_id = given if _PLAIN_ID.fullmatch(given) else uuid.uuid4().hex
        request.trace_id = trace_id  # type: ignore[attr-defined]
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=trace_id)
        started = time.perf_counter()
        try:
            response = self.get_response(request)
            response[REQUEST_ID_HEADER] = trace_id
            self._record(request, response, time.perf_counter() - started)
        finally:
            structlog.contextvars.clear_contextvars()
        return response

    def _record(self, request: HttpRequest, response: HttpResponseBase, seconds: float) -> None:
        method = request.method if request.method in _METHODS else "OTHER"
        REQUESTS.labels(settings.ERP_PROCESS, method, str(response.status_code)).inc()
        SECONDS.labels(settings.ERP_PROCESS, _area(request)).observe(seconds)
        if settings.LOG_REQUESTS and not request.path.startswith(_QUIET_PATHS):
            log.info(
                "request",
                method=request.method,
                path=request.path,
                status=response.status_code,
                ms=round(seconds * 1000, 1),
            )


class ContentSecurityPolicyMiddleware(CSPMiddleware):
    """The strict policy everywhere; under /admin/ the one the admin theme can work with.

    A view that sets its own policy through django-csp's decorators keeps it.
    """

    def get_policy_parts(
        self, request: HttpRequest, response: HttpResponseBase, report_only: bool = False
    ) -> PolicyParts:
        parts = super().get_policy_parts(request, response, report_only)
        if not report_only and parts.config is None and request.path_info.startswith("/admin/"):
            parts.config = settings.CSP_BACKOFFICE_DIRECTIVES
        return parts
