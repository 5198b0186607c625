"""What `make bench` measures: the running system, from outside, on data of a known size.

A workload is a function registered with `@workload(...)` in a module of this package. It is given the running
`System` and returns figures. Nothing is mocked: pages are fetched over HTTP from `manage.py up`, mails go through
`manage.py mailgate`. Times are wall time on whatever machine this is; compare runs of one machine only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .system import System


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number. `lower_is_better` tells a comparison which way is progress."""

    name: str
    value: float
    unit: str
    note: str = ""
    lower_is_better: bool = True


Workload = Callable[["System"], Sequence[Figure]]
WORKLOADS: dict[str, Workload] = {}


def workload(name: str) -> Callable[[Workload], Workload]:
    """Register a workload under a name that `make bench ARGS="--only NAME"` picks."""

    def register(function: Workload) -> Workload:
        if name in WORKLOADS:
            raise ValueError(f"two workloads are called '{name}'")
        WORKLOADS[name] = function
        return function

    return register


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0..1) of the values lie, by nearest rank."""
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, round(share * len(ordered) + 0.5) - 1))]
