"""Plain values that ``projects`` hands around."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class TaskCounts:
    """How many tasks of something there are, and how many of them are closed (done or cancelled)."""

    total: int = 0
    closed: int = 0

    @property
    def open(self) -> int:
        return self.total - self.closed

    @property
    def completion(self) -> float:
        """Share of closed tasks, 0 to 1; 0 without tasks."""
        return self.closed / self.total if self.total else 0.0


@dataclass(frozen=True, slots=True)
class MilestoneFigures:
    """How far a project is by its milestones. ``progress`` is a whole percentage, rounded down."""

    total: int = 0
    reached: int = 0
    next_pk: int | None = None
    next_name: str = ""
    next_deadline: datetime.date | None = None
    exceeded: bool = False

    @property
    def progress(self) -> int:
        return 100 * self.reached // self.total if self.total else 0


@dataclass(frozen=True, slots=True)
class QuickTask:
    """What was read from a line of quick entry. Tags and users are words, still to be looked up."""

    name: str
    hours: Decimal = Decimal(0)
    tags: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    urgent: bool = False
