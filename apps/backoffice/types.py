"""What modules hand to the back office: tabs, cards, buttons, counters. Plain values, no ORM."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# ``str`` or a gettext_lazy proxy.
Text = Any


@dataclass(frozen=True, slots=True)
class Tab:
    """A tab on a record's form. ``template`` is rendered with ``context`` plus ``record``, ``actor`` and ``tab``;
    or ``html`` (already safe) is shown as it is. ``count`` appears behind the title when it is given."""

    key: str
    title: Text
    template: str = ""
    context: Mapping[str, Any] = field(default_factory=dict)
    html: str = ""
    count: int | None = None
    sequence: int = 10


@dataclass(frozen=True, slots=True)
class Button:
    """A link above a record's form, such as "Tasks 12". ``post`` makes it a form with the CSRF token."""

    key: str
    title: Text
    url: str
    icon: str = ""
    count: int | None = None
    primary: bool = False
    post: bool = False
    new_window: bool = False
    sequence: int = 10


@dataclass(frozen=True, slots=True)
class CardLine:
    """One line of a dashboard card: a text that may lead somewhere and a short note at its right."""

    text: Text
    url: str = ""
    note: Text = ""
    tone: str = ""  # "", info, success, warning or danger


@dataclass(frozen=True, slots=True)
class Card:
    """A card on the dashboard: a figure, some lines, or both; ``template`` replaces the body."""

    key: str
    title: Text
    icon: str = ""
    value: Any = None
    url: str = ""
    lines: tuple[CardLine, ...] = ()
    empty: Text = ""
    tone: str = ""
    template: str = ""
    context: Mapping[str, Any] = field(default_factory=dict)
    wide: bool = False
    sequence: int = 10


@dataclass(frozen=True, slots=True)
class Counter:
    """An icon with a number in the header. All are counted again after a live notice to the user."""

    key: str
    title: Text
    url: str
    icon: str
    value: int = 0
    sequence: int = 10
