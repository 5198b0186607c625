"""Order and pages of a list.

Two ways through a list: ``limit``/``offset`` for screens, and ``cursor`` for programs that read everything. A
cursor remembers the sort values of the last row seen, so the thousandth page costs what the first did and rows
that are added or removed meanwhile shift nothing.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import orjson
from django.core.exceptions import FieldDoesNotExist
from django.db.models import F, OrderBy, Q, QuerySet
from django.utils.translation import gettext as _

from apps.api.fields import field_kind, load_text, parse_flag, spec_of_type
from apps.api.output import Selection, annotated, render, render_pairs
from apps.api.plan import COMPUTED_PREFIX, Plan
from apps.core.actor import Actor
from apps.core.errors import ValidationFailed

DEFAULT_LIMIT = 80
MAX_LIMIT = 1000
MAX_OFFSET = 1_000_000


@dataclass(frozen=True, slots=True)
class Term:
    """One sort key: an ORM path, its direction, and whether it can be empty (then PostgreSQL's order holds: empty
    ones last when ascending, first when descending)."""

    path: str
    descending: bool
    nullable: bool
    kind: str

    def order(self) -> OrderBy:
        return OrderBy(F(self.path), descending=self.descending)


@dataclass(frozen=True, slots=True)
class Page:
    """What the query asks for."""

    limit: int
    offset: int
    cursor: str | None  # None: by offset; "": from the beginning
    counted: bool


def read_page(parameters: Mapping[str, Sequence[str]]) -> Page:
    errors: dict[str, list[str]] = {}

    def number(name: str, default: int, least: int, most: int) -> int:
        text = parameters.get(name, [str(default)])[-1]
        if not (text.isascii() and text.isdigit() and len(text) < 12 and least <= int(text) <= most):
            errors[name] = [
                _("Send a whole number from %(least)s to %(most)s.") % {"least": least, "most": most}
            ]
            return default
        return int(text)

    limit = number("limit", DEFAULT_LIMIT, 1, MAX_LIMIT)
    offset = number("offset", 0, 0, MAX_OFFSET)
    cursor = parameters["cursor"][-1] if "cursor" in parameters else None
    counted = cursor is None
    if "count" in parameters:
        try:
            counted = parse_flag(parameters["count"][-1])
        except ValueError as exc:
            errors["count"] = [str(exc)]
    if cursor is not None and "offset" in parameters:
        errors["cursor"] = [_("Send either a cursor or an offset.")]
    if errors:
        raise ValidationFailed(_("The query is wrong."), code="invalid_query", fields=errors)
    return Page(limit, offset, cursor, counted)


# -------------------------------------------------------------------------------------------------- ordering
def read_ordering(plan: Plan, text: str | None, actor: Actor) -> list[Term]:
    """The sort keys of ``?ordering=-priority,name`` or the default ones; the primary key always ends them."""
    terms: list[Term] = []
    if text is None:
        for given in plan.resource.ordering or plan.model._meta.ordering or ("pk",):
            term = _default_term(plan, given)
            if term is not None:
                terms.append(term)
    else:
        unknown = []
        for part in filter(None, (item.strip() for item in text.split(","))):
            name = part.removeprefix("-")
            found = _named_term(plan, name, part.startswith("-"), actor)
            if found is None:
                unknown.append(name)
            else:
                terms.append(found)
        if unknown:
            message = _("It cannot be sorted by: %(names)s.") % {"names": ", ".join(unknown)}
            raise ValidationFailed(
                _("The query is wrong."), code="invalid_query", fields={"ordering": [message]}
            )
    return _completed(plan, terms)


def _completed(plan: Plan, terms: list[Term]) -> list[Term]:
    key = plan.model._meta.pk
    unique: dict[str, Term] = {}
    for term in terms:
        unique.setdefault(term.path, term)
        if term.path == key.attname:
            break
    if key.attname not in unique:
        descending = bool(terms) and all(term.descending for term in terms)
        unique[key.attname] = Term(key.attname, descending, False, field_kind(key) or "integer")
    return list(unique.values())


def sortable_names(plan: Plan, names: Sequence[str]) -> list[str]:
    """The names among ``names`` that ``ordering`` takes, and the resource's own sort keys."""
    plain = [
        n for n in names if n in plan.columns and plan.columns[n].kind not in ("references", "json", "file")
    ]
    expressions = [n for n in names if n in plan.computed and plan.computed[n].source.expression is not None]
    return [*plain, *expressions, *plan.resource.orderings]


def _named_term(plan: Plan, name: str, descending: bool, actor: Actor) -> Term | None:
    if name in plan.resource.orderings and plan.offers(name, actor):
        return _path_term(plan, plan.resource.orderings[name], descending)
    if name in plan.resource.orderings or name not in sortable_names(plan, plan.readable(actor)):
        return None
    if name in plan.computed:
        computed = plan.computed[name]
        return Term(computed.alias, descending, computed.spec.nullable, computed.spec.kind)
    spec = plan.columns[name]
    return Term(spec.column, descending, spec.nullable, "integer" if spec.kind == "reference" else spec.kind)


def _default_term(plan: Plan, given: Any) -> Term | None:
    """A key of the model's or resource's own order. Expressions other than fields cannot page; they are left out."""
    inner = given.expression if isinstance(given, OrderBy) else given
    if isinstance(inner, F):
        return _path_term(plan, str(inner.name), isinstance(given, OrderBy) and given.descending)  # type: ignore[attr-defined]
    if not isinstance(given, str) or given == "?":
        return None
    return _path_term(plan, given.removeprefix("-"), given.startswith("-"))


def _path_term(plan: Plan, path: str, descending: bool) -> Term | None:
    if path in plan.computed and plan.computed[path].source.expression is not None:
        computed = plan.computed[path]
        return Term(computed.alias, descending, computed.spec.nullable, computed.spec.kind)
    model: Any = plan.model
    nullable, parts, field = False, path.split("__"), None
    for part in parts:
        try:
            field = model._meta.pk if part == "pk" else model._meta.get_field(part)
        except FieldDoesNotExist:
            by_column = [f for f in model._meta.concrete_fields if f.attname == part]
            if not by_column:
                return None
            field = by_column[0]
        nullable = nullable or bool(getattr(field, "null", False))
        model = field.related_model or model
    kind = field_kind(field) if field is not None else None
    if kind is None or field is None:
        return None
    if kind == "reference":
        parts[-1], kind = field.attname, "integer"
    elif parts[-1] == "pk":
        parts[-1] = field.attname
    return Term("__".join(parts), descending, nullable, kind)


# ---------------------------------------------------------------------------------------------------- cursors
def _signature(terms: Sequence[Term]) -> str:
    """Ties a cursor to its order, so that one of another order is refused rather than misread."""
    text = ",".join(f"{'-' if t.descending else ''}{t.path}" for t in terms)
    return hashlib.blake2s(text.encode(), digest_size=4).hexdigest()


def encode_cursor(terms: Sequence[Term], values: Sequence[Any], *, backwards: bool = False) -> str:
    plain = [_plain(value) for value in values]
    raw = orjson.dumps([_signature(terms), int(backwards), *plain])
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    return str(value) if isinstance(value, uuid.UUID) else value


def decode_cursor(terms: Sequence[Term], cursor: str) -> tuple[list[Any], bool]:
    """Values of the last row seen, and whether to go backwards."""
    try:
        raw = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        signature, backwards, *values = raw
        if signature != _signature(terms) or len(values) != len(terms) or len(cursor) > 4000:
            raise ValueError(signature)
        return [_typed(term, value) for term, value in zip(terms, values, strict=True)], bool(backwards)
    except (ValueError, TypeError, binascii.Error):
        message = _("This cursor does not belong to this list and order. Begin again with an empty one.")
        raise ValidationFailed(
            _("The query is wrong."), code="invalid_query", fields={"cursor": [message]}
        ) from None


def _typed(term: Term, value: Any) -> Any:
    if value is None:
        return None
    if term.kind == "duration":
        return datetime.timedelta(seconds=float(value))
    if isinstance(value, str):
        python = {"string": str, "decimal": Decimal, "date": datetime.date, "datetime": datetime.datetime}
        python |= {"time": datetime.time, "uuid": uuid.UUID}
        if term.kind not in python:
            raise ValueError(value)
        return load_text(spec_of_type(term.path, python[term.kind]), value)
    if isinstance(value, bool) != (term.kind == "boolean") or not isinstance(value, (int, float)):
        raise ValueError(value)
    return value


def after(terms: Sequence[Term], values: Sequence[Any]) -> Q:
    """Rows that come after the row with these sort values."""
    condition = Q()
    for term, value in reversed(list(zip(terms, values, strict=True))):
        path, further = term.path, "lt" if term.descending else "gt"
        if value is None:
            here = Q(**{f"{path}__isnull": True}) & condition if condition else Q(pk__in=[])
            beyond = Q(**{f"{path}__isnull": False}) if term.descending else Q(pk__in=[])
            condition = here | beyond
            continue
        beyond = Q(**{f"{path}__{further}": value})
        if term.nullable and not term.descending:
            beyond |= Q(**{f"{path}__isnull": True})
        if not condition:
            condition = beyond
        elif term.nullable:
            condition = beyond | (Q(**{path: value}) & condition)
        else:
            # The outer bound is implied by the rest, but lets PostgreSQL start in the middle of an index.
            condition = Q(**{f"{path}__{further}e": value}) & (beyond | (Q(**{path: value}) & condition))
    return condition


def _flipped(terms: Sequence[Term]) -> list[Term]:
    return [replace(term, descending=not term.descending) for term in terms]


# ------------------------------------------------------------------------------------------------------ pages
@dataclass(frozen=True)
class ListRequest:
    """A list that was asked for: whose rows, which fields, in which order, which page."""

    plan: Plan
    queryset: QuerySet[Any]
    selection: Selection
    terms: Sequence[Term]
    page: Page
    actor: Actor
    url: str
    parameters: Mapping[str, Sequence[str]]

    def rows(self) -> QuerySet[Any]:
        """The rows with the annotations that are shown or sorted by."""
        sorted_by = {term.path.removeprefix(COMPUTED_PREFIX) for term in self.terms}
        names = dict.fromkeys((*self.selection.names, *sorted(sorted_by)))
        return annotated(self.plan, self.queryset, names, self.actor)

    def link(self, **changed: Any) -> str:
        kept = [
            (key, value) for key, values in self.parameters.items() if key not in changed for value in values
        ]
        return f"{self.url}?{urlencode([*kept, *changed.items()])}"

    def count(self) -> int:
        return self.queryset.order_by().count()


def answer(asked: ListRequest) -> dict[str, Any]:
    """``{count, next, previous, results}``: one query for the rows, one to count unless the page tells."""
    return _by_offset(asked) if asked.page.cursor is None else _by_cursor(asked)


def _by_offset(asked: ListRequest) -> dict[str, Any]:
    page = asked.page
    ordered = asked.rows().order_by(*(term.order() for term in asked.terms))
    found = render(
        asked.plan, ordered[page.offset : page.offset + page.limit + 1], asked.selection, asked.actor
    )
    more, results = len(found) > page.limit, found[: page.limit]
    count: int | None = None
    if page.counted:
        complete = not more and (results or page.offset == 0)
        count = page.offset + len(results) if complete else asked.count()
    following = asked.link(offset=page.offset + page.limit) if more else None
    previous = asked.link(offset=max(page.offset - page.limit, 0)) if page.offset else None
    return {"count": count, "next": following, "previous": previous, "results": results}


def _by_cursor(asked: ListRequest) -> dict[str, Any]:
    page, terms = asked.page, asked.terms
    rows, backwards = asked.rows(), False
    if page.cursor:
        values, backwards = decode_cursor(terms, page.cursor)
        walked = _flipped(terms) if backwards else terms
        rows = rows.filter(after(walked, values))
    else:
        walked = terms
    ordered = rows.order_by(*(term.order() for term in walked))[: page.limit + 1]
    keys = [term.path for term in terms]
    pairs = render_pairs(asked.plan, ordered, asked.selection, asked.actor, also=keys)
    more, pairs = len(pairs) > page.limit, pairs[: page.limit]
    if backwards:
        pairs.reverse()
    has_next, has_previous = (True, more) if backwards else (more, bool(page.cursor))

    def edge(position: int, *, back: bool) -> str:
        row = pairs[position][0]
        return asked.link(cursor=encode_cursor(terms, [row[key] for key in keys], backwards=back))

    return {
        "count": asked.count() if page.counted else None,
        "next": edge(-1, back=False) if has_next and pairs else None,
        "previous": edge(0, back=True) if has_previous and pairs else None,
        "results": [item for _row, item in pairs],
    }
