"""What an app writes to appear in REST: one ``Resource`` class a model, in its ``api.py``.

    @resource("projects/tasks")                     # → /api/v1/projects/tasks/
    class TaskResource(Resource):
        model = Task

That alone gives list (filters, search, ordering, paging), detail, create (one or many), change, delete, archive,
every declared action alone and in bulk, and the OpenAPI description. Rights and rows come from the actor and the
record rules, writes go through the model's ``RecordService``; a resource adds neither.

This module holds declarations only and is safe to import anywhere; views are built from them with the URLs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from django.db import models
from django.db.models import Model, QuerySet

from apps.core.actor import Actor
from apps.core.records import service_for
from apps.core.rules import visible

if TYPE_CHECKING:
    from rest_framework.request import Request

R = TypeVar("R", bound="type[Resource]")

LIST, DETAIL, CREATE, UPDATE, DELETE = "list", "detail", "create", "update", "delete"
ALL_OPERATIONS = (LIST, DETAIL, CREATE, UPDATE, DELETE)
READ_ONLY = (LIST, DETAIL)


@dataclass(frozen=True, slots=True)
class Computed:
    """A value that is shown but not stored. Give exactly one of:

    * ``expression``: a Django expression over the model's queryset (or ``callable(actor) -> expression``); it comes
      with the rows, costs no query and can be sorted by (``?ordering=``);
    * ``batch``: ``(pks: Sequence[int], *, actor) -> Mapping[pk, value]``, called once a page;
    * ``row``: ``(row: Mapping[str, Any], *, actor) -> value`` over the raw columns, without queries; the columns that
      it reads are named in ``needs`` (attribute names such as ``project_id``).

    ``type`` is the Python type of the value (``str int bool Decimal date datetime dict list``). ``in_list`` and
    ``in_answers`` say whether lists show it unasked, and whether the answers to writes and actions do.
    """

    expression: Any = None
    batch: Callable[..., Mapping[Any, Any]] | None = None
    row: Callable[..., Any] | None = None
    needs: tuple[str, ...] = ()
    type: Any = str
    nullable: bool = True
    help: Any = ""
    in_list: bool = True
    in_answers: bool = True

    def __post_init__(self) -> None:
        given = [part for part in (self.expression, self.batch, self.row) if part is not None]
        if len(given) != 1:
            raise ValueError("A computed field has exactly one of expression, batch and row.")


@dataclass(frozen=True, slots=True)
class Input:
    """A value that may be sent though it is no field of the model; it is handed to ``Resource.create`` and
    ``Resource.update`` with the others. ``type`` as in actions: a plain type or a model class; ``many`` for lists."""

    type: Any = str
    many: bool = False
    required: bool = False
    nullable: bool = False
    default: Any = None
    help: Any = ""
    operations: tuple[str, ...] = (CREATE, UPDATE)


@dataclass(frozen=True, slots=True)
class Filter:
    """An extra filter: ``path`` leads through relations (``project__customer``), or ``apply`` is
    ``(value, *, actor) -> Q``. ``type`` is the Python type (or model class) of the value."""

    path: str = ""
    apply: Callable[..., models.Q] | None = None
    type: Any = str
    help: Any = ""

    def __post_init__(self) -> None:
        if bool(self.path) == bool(self.apply):
            raise ValueError("An extra filter has either a path or a function.")


@dataclass(frozen=True, slots=True)
class NestedSpec:
    """Rows that belong to a document and travel with it, such as invoice lines.

    ``link`` is the child's foreign key to the document. Reading costs one query a page. On create the rows are made with
    the document; on change the given list replaces the stored one (rows with ``id`` are kept and changed, others made,
    missing ones deleted), in the same transaction. With ``writes="service"`` the list is handed to the document's own
    service as the value ``<name>`` instead.
    """

    model: type[Model]
    link: str
    fields: tuple[str, ...] | None = None
    read_only: tuple[str, ...] = ()
    computed: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Input] = field(default_factory=dict)
    ordering: tuple[str, ...] = ("pk",)
    writes: str = "children"  # children | service | never
    required: bool = False
    in_list: bool = False
    help: Any = ""
    currency: str = "currency"  # as in ``Resource``
    currencies: Mapping[str, str] = field(default_factory=dict)
    #: Whoever sees the document and may view rows of the kind sees all of its rows: no rule narrows them further.
    with_document: bool = False

    def __post_init__(self) -> None:
        if self.writes not in ("children", "service", "never"):
            raise ValueError(f"NestedSpec.writes is children, service or never, not {self.writes!r}.")


@dataclass(frozen=True, slots=True)
class Route:
    """An extra URL of a resource, made by ``@route``."""

    name: str
    methods: tuple[str, ...]
    detail: bool
    permission: str
    function: str
    summary: Any
    inputs: Mapping[str, Input]
    produces: str
    upload: bool


F = TypeVar("F", bound=Callable[..., Any])


def route(
    name: str,
    *,
    methods: Iterable[str] = ("GET",),
    detail: bool = True,
    permission: str = "view",
    summary: Any = "",
    inputs: Mapping[str, Input] | None = None,
    produces: str = "application/json",
    upload: bool = False,
) -> Callable[[F], F]:
    """Mark a method of a resource as an extra URL, ``…/{id}/<name>/`` (or ``…/<name>/`` with ``detail=False``).

    ``method(self, request, record, **inputs)`` (without ``record`` for ``detail=False``) is called after the model
    permission and, for ``detail``, the record rule for ``permission`` were checked; ``request.actor`` is the actor.
    It answers a Django response, or plain data that becomes JSON. ``inputs`` types the JSON body (or the query of a
    GET). ``upload`` takes ``multipart/form-data``; the files are in ``request.FILES``.
    """

    def mark(function: F) -> F:
        function.rest_route = Route(  # type: ignore[attr-defined]
            name=name,
            methods=tuple(method.upper() for method in methods),
            detail=detail,
            permission=permission,
            function=function.__name__,
            summary=summary or (function.__doc__ or "").strip().split("\n")[0],
            inputs=dict(inputs or {}),
            produces=produces,
            upload=upload,
        )
        return function

    return mark


class Resource:
    """A collection of records in REST. Everything but ``model`` has a default that suits most models."""

    model: ClassVar[type[Model]]
    path: ClassVar[str] = ""  # set by @resource

    # Shown fields in order; default: all concrete and many-to-many fields, never secrets or binary columns.
    fields: ClassVar[tuple[str, ...] | None] = None
    exclude: ClassVar[tuple[str, ...]] = ()
    # What a portal user is shown at most; ``None``: the same. Record rules and field roles hold in any case.
    portal_fields: ClassVar[tuple[str, ...] | None] = None
    # Heavy fields that lists leave out unless ``?fields=`` names them.
    detail_only: ClassVar[tuple[str, ...]] = ()
    # Fields that this resource shows but does not take, although the model's service would.
    read_only: ClassVar[tuple[str, ...]] = ()
    # A Django expression, a batch function ``(pks, *, actor) -> {pk: value}`` or a ``Computed`` a name.
    computed: ClassVar[Mapping[str, Any]] = {}
    inputs: ClassVar[Mapping[str, Input]] = {}
    nested: ClassVar[Mapping[str, NestedSpec]] = {}

    # Extra filters: name → relation path, ``Filter``, or function ``(value, *, actor) -> Q``.
    filters: ClassVar[Mapping[str, Any]] = {}
    search: ClassVar[bool] = True
    ordering: ClassVar[tuple[str, ...]] = ()  # default order; the model's own when empty
    orderings: ClassVar[Mapping[str, str]] = {}  # extra sort keys: name → relation path
    # Relations that ``available_actions`` or overridden methods touch; joined when one record is read.
    prefetch: ClassVar[tuple[str, ...]] = ()
    # Relation path to the ``core.Currency`` in which the money fields are; found by itself when called so.
    currency: ClassVar[str] = "currency"
    # Those of single money fields that are in another one, such as the company's.
    currencies: ClassVar[Mapping[str, str]] = {}

    operations: ClassVar[tuple[str, ...]] = ALL_OPERATIONS
    collection_view: ClassVar[Any] = None  # a view class of its own for the collection; rarely needed
    summary: ClassVar[Any] = ""

    # ------------------------------------------------------------------ seams
    def queryset(self, actor: Actor, op: str = "view") -> QuerySet[Any]:
        """The rows that exist for the actor. Overriding may only narrow."""
        return visible(self.model, actor, op)

    def create(self, rows: Sequence[Mapping[str, Any]], *, actor: Actor) -> list[Any]:
        """Make all of ``rows`` or none; values are typed and named like the model's fields and ``inputs``."""
        return service_for(self.model).create(rows, actor=actor)

    def reveal(self, record: Any) -> Mapping[str, Any]:
        """Values that are shown once, in the answer that makes the record, such as a generated secret."""
        return {}

    def update(
        self, record: Any, values: Mapping[str, Any], *, actor: Actor, expected_version: int | None = None
    ) -> Any:
        changed = service_for(self.model).update(
            [record], values, actor=actor, expected_version=expected_version
        )
        return changed[0] if changed else record

    def delete(self, record: Any, *, actor: Actor) -> None:
        service_for(self.model).delete([record], actor=actor)


@dataclass(frozen=True)
class SubResource:
    """A collection below a record of many kinds, such as the messages of any thread: ``…/{id}/<name>/``.

    * ``applies(model)`` says below which models it exists;
    * ``model`` is what the rows are; they look and filter as in that model's own resource;
    * ``rows(parent, *, actor, queryset) -> queryset`` narrows the visible rows to those of the parent;
    * ``create(parent, rows, *, actor) -> list`` makes them (``None``: reading only); ``inputs`` types what is sent;
      ``files`` says that ``multipart/form-data`` is taken too, each file being handed on as ``rows[i]["file"]``;
    * ``permission`` is what the actor needs on the parent to create, besides seeing it.
    """

    name: str
    model: str
    applies: Callable[[type[Model]], bool]
    rows: Callable[..., QuerySet[Any]]
    create: Callable[..., Sequence[Any]] | None = None
    inputs: Mapping[str, Input] = field(default_factory=dict)
    files: bool = False
    permission: str = "view"
    ordering: tuple[str, ...] = ()
    summary: Any = ""


@dataclass(frozen=True)
class Endpoint:
    """A URL that is no collection of records, such as a report. Made by ``@endpoint``."""

    path: str
    methods: tuple[str, ...]
    function: Callable[..., Any]
    model: str
    permission: str
    inputs: Mapping[str, Input]
    summary: Any
    help: str
    produces: str
    where: str


_resources: dict[str, type[Resource]] = {}
_subresources: dict[str, SubResource] = {}
_endpoints: dict[str, Endpoint] = {}


def resource(path: str) -> Callable[[R], R]:
    """Publish a ``Resource`` class below ``/api/v1/<path>/``."""
    path = path.strip("/")

    def add(cls: R) -> R:
        known = _resources.get(path)
        if known is not None and known is not cls:
            raise ValueError(
                f"Two resources are called '{path}': {known.__qualname__} and {cls.__qualname__}."
            )
        taken = next((c for c in _resources.values() if c.model is cls.model and c is not cls), None)
        if taken is not None:
            raise ValueError(f"{cls.model._meta.label} is published already, as '{taken.path}'.")
        cls.path = path
        _resources[path] = cls
        return cls

    return add


def endpoint(
    path: str,
    *,
    model: str,
    permission: str = "view",
    methods: Iterable[str] = ("GET",),
    inputs: Mapping[str, Input] | None = None,
    summary: Any = "",
    produces: str = "application/json",
) -> Callable[[F], F]:
    """Publish ``function(request, **inputs)`` at ``/api/v1/<path>/``.

    Called after the right ``permission`` on ``model`` (a label) was checked; rows are the function's own business and
    start from ``visible(...)`` with ``request.actor``. ``inputs`` types the query of a GET and the body of a POST.
    Answers a Django response, or plain data that becomes JSON.
    """
    path = path.strip("/")

    def add(function: F) -> F:
        text = (function.__doc__ or "").strip()
        where = f"{function.__module__}.{function.__qualname__}"
        known = _endpoints.get(path)
        if known is not None and known.where != where:
            raise ValueError(f"Two endpoints are called '{path}': {known.where} and {where}.")
        _endpoints[path] = Endpoint(
            path=path,
            methods=tuple(method.upper() for method in methods),
            function=function,
            model=model,
            permission=permission,
            inputs=dict(inputs or {}),
            summary=summary or text.split("\n")[0],
            help=text,
            produces=produces,
            where=where,
        )
        return function

    return add


def register_subresource(name: str, **declaration: Any) -> SubResource:
    """Publish a ``SubResource`` below every record that it applies to. See ``SubResource`` for the arguments."""
    if name in _subresources:
        raise ValueError(f"A sub-resource called '{name}' exists already.")
    _subresources[name] = SubResource(name=name, **declaration)
    return _subresources[name]


def declared_resources() -> dict[str, type[Resource]]:
    return dict(sorted(_resources.items()))


def declared_subresources() -> list[SubResource]:
    return [_subresources[name] for name in sorted(_subresources)]


def declared_endpoints() -> list[Endpoint]:
    return [_endpoints[path] for path in sorted(_endpoints)]


def request_actor(request: Request) -> Actor:
    """The actor of a REST request."""
    return request.actor  # type: ignore[attr-defined, no-any-return]
