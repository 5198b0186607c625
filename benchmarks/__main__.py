"""`make bench`: start the system on data of a known size, run the workloads, print and keep the figures."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import pkgutil
import platform
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import benchmarks

from . import WORKLOADS, Figure
from .system import ROOT, System

_HELPERS = {"system", "soak", "inside", "ledger_data", "__main__"}


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "--size", choices=("s", "m", "l"), default="l", help="data: s, m, or l (100,000 tasks)"
    )
    parser.add_argument("--only", nargs="+", default=[], help="names of workloads")
    parser.add_argument("--fresh", action="store_true", help="do not reuse the data of an earlier run")
    return parser.parse_args(arguments)


def prepare(system: System, size: str) -> list[Figure]:
    """Two starts and the wished amount of data; what an earlier run has loaded is taken as it is."""
    figures = []
    marker = system.folder / f"seeded-{size}"
    fresh = not (system.folder / "services.json").exists()
    first = system.start()
    if fresh:
        figures.append(Figure("first start", first, "s", "empty folder to /readyz, demo data included"))
    if not marker.exists():
        started = time.perf_counter()
        done = system.manage("seed", "--size", size)
        if done.returncode != 0:
            raise RuntimeError(f"seed failed: {done.stderr.decode()[-1000:]}")
        figures.append(Figure(f"seed {size}", time.perf_counter() - started, "s"))
        marker.touch()
    system.stop()
    figures.append(Figure("second start", system.start(), "s", "stopped system to /readyz"))
    return figures


def run(system: System, wanted: Sequence[str]) -> tuple[list[Figure], list[str]]:
    figures, failures = [], []
    for name in wanted:
        print(f"  {name} …", file=sys.stderr, flush=True)
        try:
            figures += list(WORKLOADS[name](system))
        except (RuntimeError, OSError) as error:
            failures.append(f"{name}: {error}")
    return figures, failures


def show(figures: Sequence[Figure]) -> None:
    width = max(len(figure.name) for figure in figures)
    for figure in figures:
        number = f"{figure.value:,.0f}" if figure.value >= 1000 else f"{figure.value:,.1f}"
        print(f"{figure.name:<{width}}  {number:>10} {figure.unit:<5} {figure.note}".rstrip())


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    for module in pkgutil.iter_modules(benchmarks.__path__):
        if module.name not in _HELPERS:
            importlib.import_module(f"benchmarks.{module.name}")
    unknown = set(options.only) - set(WORKLOADS)
    if unknown:
        print(
            f"no such workload: {', '.join(sorted(unknown))}; there are {', '.join(WORKLOADS)}",
            file=sys.stderr,
        )
        return 2
    folder = ROOT / "build" / "bench"
    if options.fresh:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    system = System(folder, options.size)
    try:
        figures = prepare(system, options.size)
        measured, failures = run(system, options.only or list(WORKLOADS))
        figures += measured
        figures += [
            Figure(f"memory {name}", value, "MB", "proportional") for name, value in system.memory().items()
        ]
    finally:
        system.stop()
    keep(figures)
    show(figures)
    for failure in failures:
        print(f"FAILED {failure}", file=sys.stderr)
    return 1 if failures else 0


def keep(figures: Sequence[Figure]) -> Path:
    path = ROOT / "build" / "bench.json"
    path.write_text(
        json.dumps(
            {
                "machine": {
                    "system": platform.platform(),
                    "cores": os.cpu_count(),
                    "python": platform.python_version(),
                },
                "load_before_the_end": os.getloadavg(),
                "figures": [
                    {
                        "name": figure.name,
                        "value": round(figure.value, 3),
                        "unit": figure.unit,
                        "note": figure.note,
                    }
                    for figure in figures
                ],
            },
            indent=2,
        )
    )
    return path


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
