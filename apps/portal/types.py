"""What a module says about its portal pages. No ORM here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Text = Any


@dataclass(frozen=True, slots=True)
class Sort:
    """A sort key: what people read and the fields to order by; a unique last field is added by the list."""

    title: Text
    order: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """A filter: what people read and the condition, ``None`` for no condition."""

    title: Text
    condition: Any = None


@dataclass(frozen=True, slots=True)
class SearchIn:
    """A field to search in: what people read and ``text -> Q``."""

    title: Text
    condition: Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class GroupBy:
    """A grouping: what people read, the order that keeps groups together, and ``row -> heading``."""

    title: Text
    order: tuple[Any, ...] = ()
    heading: Callable[[Any], Any] | None = None


@dataclass(frozen=True)
class PortalList:
    """A list of documents. The first entry of ``sorts``, ``filters``, ``searches`` and ``groups`` is the default; an
    unknown key falls back to it. ``filters`` may be a function of the actor.

    ``rows`` answers the visible rows of an actor, with what the template needs joined or prefetched; plain values
    (``values_list("pk", …, named=True)``) do as well. ``present`` turns the rows of one page into what the template shows.
    """

    key: str
    title: Text
    url: str
    template: str
    rows: Callable[[Any], Any]
    sorts: Mapping[str, Sort]
    filters: Mapping[str, Choice] | Callable[[Any], Mapping[str, Choice]] = field(default_factory=dict)
    searches: Mapping[str, SearchIn] = field(default_factory=dict)
    groups: Mapping[str, GroupBy] = field(default_factory=dict)
    default_group: str = ""
    page_size: int = 80
    created_field: str = "created_at"
    present: Callable[[Sequence[Any]], Sequence[Any]] | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Rows under one heading."""

    heading: str
    rows: Sequence[Any]


@dataclass(frozen=True, slots=True)
class Pager:
    """Numbers and links of a paged list; ``previous`` and ``next`` are empty at the ends."""

    number: int
    count: int
    total: int
    links: tuple[tuple[int, str], ...]
    previous: str
    next: str


@dataclass(frozen=True, slots=True)
class Crumb:
    title: Text
    url: str = ""
