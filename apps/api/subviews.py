"""Views of what hangs below a resource: its extra routes, and the collections that other apps attach to records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpResponse, HttpResponseBase
from django.utils.translation import gettext as _
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.request import Request

from apps.api.base import Endpoint, Route, SubResource
from apps.api.bodies import MAX_ROWS, read_declared, read_object
from apps.api.conditions import narrow
from apps.api.encoding import json_response
from apps.api.idempotency import replayable
from apps.api.output import result_value
from apps.api.paging import ListRequest, answer, read_ordering, read_page
from apps.api.plan import Plan
from apps.api.views import ApiView, ResourceView, StrictJsonParser
from apps.core.errors import PermissionDenied, ValidationFailed
from apps.core.rules import visible
from apps.core.unit_of_work import unit_of_work

UPLOAD_PARSERS = (StrictJsonParser, MultiPartParser, FormParser)


class SubCollectionView(ResourceView):
    """``…/{id}/<name>/``: rows of another resource that belong to this record."""

    sub: SubResource = None  # type: ignore[assignment]
    rows_plan: Plan = None  # type: ignore[assignment]
    parser_classes = UPLOAD_PARSERS

    def _takes(self, method: str) -> bool:
        return method in ("get", "options") or (method == "post" and self.sub.create is not None)

    def get(self, request: Request, pk: int) -> HttpResponse:
        parent, plan, actor, query = self.record(pk), self.rows_plan, self.actor, self.query()
        actor.require(plan.model, "view")
        own, self.plan = self.plan, plan
        try:
            selection = self.selection(plan.readable(actor))
        finally:
            self.plan = own
        rows = self.sub.rows(parent, actor=actor, queryset=plan.resource.queryset(actor))
        ordering = query["ordering"][-1] if "ordering" in query else ",".join(self.sub.ordering) or None
        asked = ListRequest(
            plan=plan,
            queryset=narrow(plan, rows, query, actor),
            selection=selection,
            terms=read_ordering(plan, ordering, actor),
            page=read_page(query),
            actor=actor,
            url=request.build_absolute_uri(request.path),
            parameters=query,
        )
        return json_response(answer(asked))

    @replayable
    def post(self, request: Request, pk: int) -> HttpResponse:
        assert self.sub.create is not None
        self.refuse_query()
        actor = self.actor
        parent = self.record(pk, self.sub.permission)
        rows, many = self._read(request)
        with unit_of_work(actor):
            made = list(self.sub.create(parent, rows, actor=actor))
        self.plan = self.rows_plan
        # What was made may be hidden from its author (a note by somebody from outside, say): then only its id shows.
        shown = self.represent(made)
        return json_response(shown if many else shown[0], 201)

    def _read(self, request: Any) -> tuple[list[dict[str, Any]], bool]:
        files = list(request.FILES.values()) if request.FILES else []
        if files and not self.sub.files:
            raise ValidationFailed(_("Files cannot be sent here."))
        if files or hasattr(request.data, "getlist"):
            form = {name: request.data.get(name) for name in request.data if name not in request.FILES}
            values = read_declared(self.sub.inputs, form, self.actor, text=True)
            if self.sub.files:
                if not files:
                    raise ValidationFailed(fields={"file": [_("Send at least one file.")]})
                return [{**values, "file": file} for file in files], len(files) > 1
            return [values], False
        many = isinstance(request.data, list)
        given = request.data if many else [request.data]
        if len(given) > MAX_ROWS:
            raise ValidationFailed(_("Send at most %(count)s records at once.") % {"count": MAX_ROWS})
        return [read_declared(self.sub.inputs, read_object(item), self.actor) for item in given], many


class RouteView(ResourceView):
    """An extra URL of a resource, ``@route``."""

    route: Route = None  # type: ignore[assignment]

    def get_parsers(self) -> list[Any]:
        return [cls() for cls in (UPLOAD_PARSERS if self.route.upload else (StrictJsonParser,))]

    def _takes(self, method: str) -> bool:
        return method.upper() in (*self.route.methods, "OPTIONS")

    @property
    def allowed_methods(self) -> list[str]:
        return [*self.route.methods, "OPTIONS"]

    def get(self, request: Request, **kwargs: Any) -> HttpResponseBase:
        self._require()
        return self._call(
            request, read_declared(self.route.inputs, self._query_inputs(), self.actor, text=True), **kwargs
        )

    def _require(self) -> None:
        """The right comes before the inputs: who has none learns nothing about them."""
        self.actor.require(self.plan.model, self.route.permission)

    @replayable
    def post(self, request: Request, **kwargs: Any) -> HttpResponseBase:
        return self._write(request, **kwargs)

    def put(self, request: Request, **kwargs: Any) -> HttpResponseBase:
        return self._write(request, **kwargs)

    def patch(self, request: Request, **kwargs: Any) -> HttpResponseBase:
        return self._write(request, **kwargs)

    def delete(self, request: Request, **kwargs: Any) -> HttpResponseBase:
        return self._write(request, **kwargs)

    def _query_inputs(self) -> dict[str, str]:
        return {key: values[-1] for key, values in self.query().items()}

    def _write(self, request: Any, **kwargs: Any) -> HttpResponseBase:
        self._require()
        self.refuse_query()
        form = hasattr(request.data, "getlist")
        body: Mapping[str, Any] = (
            {name: request.data.get(name) for name in request.data if name not in request.FILES}
            if form
            else read_object(request.data)
        )
        return self._call(request, read_declared(self.route.inputs, body, self.actor, text=form), **kwargs)

    def _call(self, request: Request, inputs: Mapping[str, Any], pk: int | None = None) -> HttpResponseBase:
        function = getattr(self.plan.resource, self.route.function)
        if pk is None:
            result = function(request, **inputs)
        else:
            record = self.record(pk, self.route.permission)
            if not visible(self.plan.model, self.actor, self.route.permission).filter(pk=pk).exists():
                raise PermissionDenied()
            result = function(request, record, **inputs)
        return result if isinstance(result, HttpResponseBase) else json_response(result_value(result))


class EndpointView(ApiView):
    """A URL made by ``@endpoint``."""

    endpoint: Endpoint = None  # type: ignore[assignment]

    @property
    def allowed_methods(self) -> list[str]:
        return [*self.endpoint.methods, "OPTIONS"]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.method not in self.allowed_methods:
            self.http_method_not_allowed(request)

    def get(self, request: Request) -> HttpResponseBase:
        self._require()
        given = {key: values[-1] for key, values in self.query().items()}
        return self._call(request, read_declared(self.endpoint.inputs, given, self.actor, text=True))

    @replayable
    def post(self, request: Request) -> HttpResponseBase:
        self._require()
        self.refuse_query()
        return self._call(request, read_declared(self.endpoint.inputs, read_object(request.data), self.actor))

    def _require(self) -> None:
        """The right comes before the inputs: who may not ask is not told what to ask."""
        self.actor.require(self.endpoint.model, self.endpoint.permission)

    def _call(self, request: Request, inputs: Mapping[str, Any]) -> HttpResponseBase:
        result = self.endpoint.function(request, **inputs)
        return result if isinstance(result, HttpResponseBase) else json_response(result_value(result))
