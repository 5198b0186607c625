"""The views behind every resource: parse, authenticate, call, answer. Rights, rows and rules are the kernel's."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.translation import gettext as _
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from apps.api import encoding, problems
from apps.api.authentication import BearerAuthentication, SessionAuthentication, actor_of
from apps.api.base import CREATE, DELETE, DETAIL, LIST, UPDATE, Resource
from apps.api.bodies import (
    read_create,
    read_object,
    read_update,
    require_nested_rights,
    split_nested,
    write_nested,
)
from apps.api.commands import Command, available_names
from apps.api.conditions import narrow, unknown_parameter
from apps.api.encoding import json_response
from apps.api.idempotency import replayable
from apps.api.output import Row, Selection, annotated, answered, render_found
from apps.api.paging import ListRequest, answer, read_ordering, read_page
from apps.api.plan import Plan
from apps.api.throttling import TokenRateThrottle
from apps.core.actor import Actor
from apps.core.errors import NotVisible, StaleVersion, ValidationFailed
from apps.core.records import service_for
from apps.core.rows import read_by_key
from apps.core.unit_of_work import unit_of_work

_ETAG = re.compile(r'(?:W/)?"([^"]*)"')
SHAPE = frozenset({"fields", "omit", "expand"})


class StrictJsonParser(BaseParser):
    """JSON up to ``API_MAX_BODY`` bytes; an empty body is an empty object."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        limit = int(getattr(settings, "API_MAX_BODY", 10 * 1024 * 1024))
        raw = stream.read(limit + 1)
        if len(raw) > limit:
            raise problems.TooLarge(_("The body is larger than %(limit)s bytes.") % {"limit": limit})
        return encoding.loads(raw) if raw.strip() else {}


class OnlyJson(BaseContentNegotiation):
    """Answers are JSON whatever ``Accept`` says, as every error answer must be."""

    def select_parser(self, request: Request, parsers: Iterable[Any]) -> Any:
        wanted = (request.content_type or "application/json").partition(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == wanted), None)

    def select_renderer(self, request: Request, renderers: Iterable[Any], format_suffix: Any = None) -> Any:
        first = next(iter(renderers))
        return first, first.media_type


class ApiView(APIView):
    """Base of all REST views: authenticates, builds the actor, maps errors. Handlers answer Django responses."""

    authentication_classes: Sequence[Any] = (BearerAuthentication, SessionAuthentication)
    permission_classes: Sequence[Any] = ()
    throttle_classes: Sequence[Any] = (TokenRateThrottle,)
    parser_classes: Sequence[Any] = (StrictJsonParser,)
    renderer_classes: Sequence[Any] = (JSONRenderer,)
    content_negotiation_class = OnlyJson
    public: ClassVar[bool] = False

    actor: Actor

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if not self.public:
            self.actor = actor_of(request)
            request.actor = self.actor  # type: ignore[attr-defined]

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = super().dispatch(request, *args, **kwargs)
        if "Cache-Control" not in response:
            response["Cache-Control"] = "private, no-store"
        return response

    def handle_exception(self, exc: Exception) -> HttpResponse:  # type: ignore[override]
        response = problems.answer(self.request, exc, getattr(self, "actor", None))
        if response.status_code == 405:
            response["Allow"] = ", ".join(self.allowed_methods)
        return response

    def options(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:  # type: ignore[override]
        return HttpResponse(status=204, headers={"Allow": ", ".join(self.allowed_methods)})

    def query(self) -> dict[str, list[str]]:
        """Query parameters in order, each with all its values."""
        found = dict(self.request.GET.lists())
        if any("\0" in text for key, texts in found.items() for text in (key, *texts)):
            raise ValidationFailed(_("The query holds a NUL character."), code="invalid_query")
        return found

    def refuse_query(self, *but: str) -> None:
        """Name query parameters that mean nothing here."""
        unknown = {key: [unknown_parameter(key)] for key in self.query() if key not in but}
        if unknown:
            raise ValidationFailed(_("The query is wrong."), code="invalid_query", fields=unknown)


class ResourceView(ApiView):
    """Base of the views of one resource; ``plan`` is set when URLs are built."""

    plan: Plan = None  # type: ignore[assignment]

    @property
    def allowed_methods(self) -> list[str]:
        return [*(m.upper() for m in ("get", "post", "put", "patch", "delete") if self._takes(m)), "OPTIONS"]

    operations: ClassVar[Mapping[str, str]] = {}

    def _takes(self, method: str) -> bool:
        if not hasattr(self, method):
            return False
        operation = self.operations.get(method)
        return operation is None or operation in self.plan.resource.operations

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        method = (request.method or "").lower()
        if method != "options" and not self._takes("get" if method == "head" else method):
            self.http_method_not_allowed(request)

    # ------------------------------------------------------------------ shape of the answer
    def selection(self, default: Sequence[str]) -> Selection:
        """The fields that ``?fields=``, ``?omit=`` and ``?expand=`` ask for."""
        plan, query = self.plan, self.query()
        readable = plan.readable(self.actor)
        errors: dict[str, list[str]] = {}

        def listed(name: str, known: Sequence[str]) -> list[str]:
            names = [part.strip() for text in query.get(name, ()) for part in text.split(",") if part.strip()]
            unknown = [part for part in names if part not in known]
            if unknown:
                errors[name] = [_("There is no field %(names)s here.") % {"names": ", ".join(unknown)}]
            return names

        wanted = listed("fields", readable)
        omitted = listed("omit", readable)
        links = [n for n in readable if n in plan.columns and plan.columns[n].target is not None]
        expand = listed("expand", links)
        if errors:
            raise ValidationFailed(_("The query is wrong."), code="invalid_query", fields=errors)
        chosen = set(wanted) | {"id"} if wanted else set(default)
        names = tuple(n for n in readable if n in chosen and (n not in omitted or n == "id"))
        return Selection(names, frozenset(expand) & set(names))

    def one(self, record: models.Model) -> HttpResponse:
        """The answer that shows one record, with its ETag."""
        row = self.represent([record])[0]
        return json_response(row, 200, {"ETag": etag(self.plan, row)})

    def represent(self, records: Sequence[models.Model], *, selection: Selection | None = None) -> list[Row]:
        """The records as they are in the database now, in the given order. One that the actor may write but not see is
        reduced to its id."""
        selection = selection or answered(self.plan, self.actor)
        rows = self.plan.resource.queryset(self.actor).filter(pk__in=[record.pk for record in records])
        rows = annotated(self.plan, rows, selection.names, self.actor)
        found = render_found(self.plan, rows, selection, self.actor)
        shown = []
        for record in records:
            row = found.get(record.pk, {"id": record.pk})
            if len(row) > 1:
                row["available_actions"] = available_names(self.plan, record, self.actor)
            shown.append(row)
        return shown

    def record(self, pk: int, op: str = "view") -> Any:
        """The record, or 403 without the right on this kind of record, or 404 when it is not the actor's to see."""
        self.actor.require(self.plan.model, "view")
        self.actor.require(self.plan.model, op)
        rows = self.plan.resource.queryset(self.actor)
        if self.plan.resource.prefetch:
            rows = rows.select_related(*self.plan.resource.prefetch)
        found = rows.filter(pk=pk).first()
        if found is None:
            raise NotVisible()
        return found

    def require_record(self, pk: int) -> None:
        """What ``record`` raises, without reading the record."""
        self.actor.require(self.plan.model, "view")
        if not self.plan.resource.queryset(self.actor).filter(pk=pk).exists():
            raise NotVisible()

    def present(self, pk: int) -> Any | None:
        """The record as it is now, whoever may see it: for callers that show it with ``represent``."""
        if self.plan.resource.prefetch:
            rows = self.plan.model._base_manager.select_related(*self.plan.resource.prefetch)
            return rows.filter(pk=pk).first()
        return read_by_key(self.plan.model, [pk]).get(pk)

    def _if_match(self) -> str:
        """The ``If-Match`` header, empty where it would match anything."""
        header = self.request.headers.get("If-Match", "").strip()
        return "" if header == "*" else header

    def expected_version(self, record: models.Model) -> int | None:
        """The version that ``If-Match`` asks for. Raises ``StaleVersion`` when the header cannot match any more."""
        header = self._if_match()
        if not header:
            return None
        tags = _ETAG.findall(header)
        if not self.plan.has_version:
            current = _fingerprint(self.plan, record)
            if current not in tags:
                raise StaleVersion()
            return None
        versions = [int(tag) for tag in tags if tag.isascii() and tag.isdigit()]
        if not versions:
            raise StaleVersion()
        current_version = int(record.version)  # type: ignore[attr-defined]
        return current_version if current_version in versions else versions[0]


def etag(plan: Plan, row: Row) -> str:
    """Weak: two answers with one tag may differ in what is computed, never in what is stored."""
    if plan.has_version and "version" in row:
        return f'W/"{row["version"]}"'
    record = plan.model._base_manager.filter(pk=row["id"]).first()
    return f'W/"{_fingerprint(plan, record)}"' if record is not None else 'W/"gone"'


def _fingerprint(plan: Plan, record: models.Model) -> str:
    values = [str(getattr(record, f.attname)) for f in plan.model._meta.concrete_fields]
    return hashlib.blake2s("\x1f".join(values).encode(), digest_size=8).hexdigest()


class CollectionView(ResourceView):
    """``/api/v1/<path>/``: list and create."""

    operations: ClassVar[Mapping[str, str]] = {"get": LIST, "post": CREATE}

    def get(self, request: Request) -> HttpResponse:
        plan, query = self.plan, self.query()
        self.actor.require(plan.model, "view")
        readable = plan.readable(self.actor)
        heavy = set(plan.resource.detail_only)
        heavy |= {name for name, nested in plan.nested.items() if not nested.source.in_list}
        heavy |= {name for name, computed in plan.computed.items() if not computed.source.in_list}
        selection = self.selection([name for name in readable if name not in heavy])
        asked = ListRequest(
            plan=plan,
            queryset=narrow(plan, plan.resource.queryset(self.actor), query, self.actor),
            selection=selection,
            terms=read_ordering(plan, query["ordering"][-1] if "ordering" in query else None, self.actor),
            page=read_page(query),
            actor=self.actor,
            url=request.build_absolute_uri(request.path),
            parameters=query,
        )
        return json_response(answer(asked))

    @replayable
    def post(self, request: Request) -> HttpResponse:
        plan = self.plan
        self.refuse_query()
        self.actor.require(plan.model, "add")
        rows, many = read_create(plan, request.data, self.actor)
        split = [split_nested(plan, row) for row in rows]
        for _own, nested in split:
            require_nested_rights(plan, nested, self.actor)
        has_nested = any(nested for _own, nested in split)
        # A service opens a unit of work of its own; more than one write, as a resource's own ``create`` may make, needs one around.
        alone = not has_nested and type(plan.resource).create is Resource.create
        with nullcontext() if alone else unit_of_work(self.actor):
            records = plan.resource.create([own for own, _nested in split], actor=self.actor)
            if has_nested:
                write_nested(plan, records, [nested for _own, nested in split], self.actor)
        rows_shown = self.represent(records)
        for row, record in zip(rows_shown, records, strict=True):
            row.update(plan.resource.reveal(record))
        if many:
            return json_response(rows_shown, 201)
        location = request.build_absolute_uri(f"{request.path}{records[0].pk}/")
        return json_response(rows_shown[0], 201, {"ETag": etag(plan, rows_shown[0]), "Location": location})


class DetailView(ResourceView):
    """``/api/v1/<path>/{id}/``: read, change, delete."""

    operations: ClassVar[Mapping[str, str]] = {
        "get": DETAIL,
        "patch": UPDATE,
        "put": UPDATE,
        "delete": DELETE,
    }

    def get(self, request: Request, pk: int) -> HttpResponse:
        self.refuse_query(*SHAPE)
        record = self.record(pk)
        selection = self.selection(self.plan.readable(self.actor))
        names = selection.names
        if self.plan.has_version and "version" not in names:
            selection = Selection((*names, "version"), selection.expand)
        row = self.represent([record], selection=selection)[0]
        headers = {"ETag": etag(self.plan, row)}
        return json_response(
            {n: v for n, v in row.items() if n in names or n == "available_actions"}, 200, headers
        )

    def patch(self, request: Request, pk: int) -> HttpResponse:
        return self._change(request, pk, complete=False)

    def put(self, request: Request, pk: int) -> HttpResponse:
        return self._change(request, pk, complete=True)

    def _change(self, request: Request, pk: int, *, complete: bool) -> HttpResponse:
        plan = self.plan
        self.refuse_query()
        record = self.record(pk, "change")
        expected = self.expected_version(record)
        current = self.represent([record])[0]
        values, version = read_update(plan, request.data, self.actor, current=current, complete=complete)
        if version is not None and expected is not None and version != expected:
            raise StaleVersion()
        own, nested = split_nested(plan, values)
        require_nested_rights(plan, nested, self.actor)
        with unit_of_work(self.actor):
            self._guard(record)
            record = plan.resource.update(
                record, own, actor=self.actor, expected_version=version if version is not None else expected
            )
            if nested:
                write_nested(plan, [record], [nested], self.actor)
        return self.one(record)

    def delete(self, request: Request, pk: int) -> HttpResponse:
        self.refuse_query()
        record = self.record(pk, "delete")
        expected = self.expected_version(record)
        with unit_of_work(self.actor):
            if expected is not None:
                locked = service_for(self.plan.model).lock([record.pk], self.actor, "delete")
                if locked[0].version != expected:  # type: ignore[attr-defined]
                    raise StaleVersion()
            self._guard(record)
            self.plan.resource.delete(record, actor=self.actor)
        return HttpResponse(status=204)

    def _guard(self, record: models.Model) -> None:
        """``If-Match`` for records without a version: compared again once nobody else can write."""
        header = self._if_match()
        if self.plan.has_version or not header:
            return
        locked = self.plan.model._base_manager.select_for_update().filter(pk=record.pk).first()
        if locked is None or _fingerprint(self.plan, locked) not in _ETAG.findall(header):
            raise StaleVersion()


class ActionView(ResourceView):
    """``…/{id}/actions/<name>/`` on one record."""

    command: Command = None  # type: ignore[assignment]

    @replayable
    def post(self, request: Request, pk: int) -> HttpResponse:
        self.refuse_query()
        command, actor = self.command, self.actor
        command.require(actor)
        record = self.record(pk) if self._if_match() else None
        if record is None:
            self.require_record(pk)
        inputs = command.read(read_object(request.data), actor)
        expected = self.expected_version(record) if record is not None else None
        result = command.run([pk], actor=actor, expected_version=expected, inputs=inputs)
        fresh = self.present(pk)
        shown = self.represent([fresh])[0] if fresh is not None else {}
        seen = len(shown) > 1
        row: Row = shown if seen else {"id": pk}
        if result is not None:
            row["result"] = result
        return json_response(row, 200, {"ETag": etag(self.plan, row)} if seen else None)


class BulkActionView(ResourceView):
    """``…/actions/<name>/`` on many records: ``{"ids": […], …}``, answering per id."""

    command: Command = None  # type: ignore[assignment]

    @replayable
    def post(self, request: Request) -> HttpResponse:
        self.refuse_query()
        command, actor = self.command, self.actor
        command.require(actor)
        body = dict(read_object(request.data))
        pks = _read_ids(body.pop("ids", None))
        inputs = command.read(body, actor)
        outcome = command.run_each(self.plan.resource.queryset(actor), pks, actor=actor, inputs=inputs)
        results = [{"id": pk, **_outcome(outcome[pk])} for pk in pks]
        failed = [row for row in results if not row["ok"]]
        if not failed:
            return json_response({"results": results})
        if len(failed) < len(results):
            return json_response({"results": results}, 207)
        first = failed[0]["error"]
        status = failed[0]["status"] if len({row["status"] for row in failed}) == 1 else 409
        return problems.problem(
            request, status, first["code"], first["message"], first["fields"], None, results=results
        )


def _outcome(answered: tuple[Any, Exception | None]) -> dict[str, Any]:
    result, error = answered
    if error is None:
        return {"ok": True, "status": 200} | ({"result": result} if result is not None else {})
    return {"ok": False, "status": error.status, "error": error.as_dict()}  # type: ignore[attr-defined]


def _read_ids(given: Any) -> list[int]:
    good = isinstance(given, list) and all(
        isinstance(pk, int) and not isinstance(pk, bool) and 0 < pk < 2**63 for pk in given
    )
    if not good or not given or len(given) > 10_000:
        raise ValidationFailed(fields={"ids": [_("Send a list of 1 to 10000 ids.")]})
    return list(dict.fromkeys(given))


class UnknownAddress(ApiView):
    """Anything else below ``/api/``: 404 in the shape of all errors."""

    public = True
    authentication_classes = ()
    throttle_classes = ()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        message = _("There is nothing at this address.")
        if not request.path.endswith("/"):
            message += " " + _("Addresses of this interface end with a slash.")
        raise NotVisible(message)
