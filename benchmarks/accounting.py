"""The ledger: reports over a ledger of a size, invoices and payments one by one through REST and set-based.

`--size l` has 1,000,000 items over three years, 200 accounts and 5,000 partners, 85 % settled; `m` 200,000, `s` 20,000.
Filling it goes through the door of the ledger and takes some minutes, once. Invoices have five lines with a tax of 15 % each.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

from . import Figure, percentile, workload
from .system import Client, System

ONE_BY_ONE = 100
WARM = 5


def inside(system: System, name: str) -> list[Figure]:
    return [Figure(**figure) for figure in system.inside(name, system.size)]


def _post(client: Client, path: str, body: Any) -> Any:
    status, answer = client.request("POST", path, json.dumps(body).encode())
    if status not in (200, 201):
        raise RuntimeError(f"{path} answered {status}: {answer[:500]!r}")
    return json.loads(answer)


def _caller(system: System) -> tuple[Client, dict[str, Any]]:
    given = system.inside("caller", system.size)
    client = system.client()
    client.headers |= {"Content-Type": "application/json", "Authorization": f"Bearer {given['token']}"}
    return client, given


@workload("ledger")
def ledger(system: System) -> Sequence[Figure]:
    """Trial balance, aged reports and ledgers, in a process of their own; then the trial balance over HTTP."""
    figures = inside(system, "reports")
    client, _given = _caller(system)
    times = []
    for number in range(WARM + 30):
        started = time.perf_counter()
        status, body = client.get("/api/v1/accounting/reports/trial-balance/")
        if status != 200:
            raise RuntimeError(f"the trial balance answered {status}: {body[:300]!r}")
        if number >= WARM:
            times.append((time.perf_counter() - started) * 1000)
    return [*figures, Figure("trial balance over REST p50", percentile(times, 0.5), "ms")]


@workload("ledger proofs")
def proofs(system: System) -> Sequence[Figure]:
    """The hash chains walked and the balances proved, over the whole ledger."""
    return inside(system, "proofs")


@workload("invoices")
def invoices(system: System) -> Sequence[Figure]:
    """Create and post through REST, two requests an invoice; then set-based, and one with 2,000 lines."""
    client, given = _caller(system)
    partners = given["partners"]

    def one(number: int) -> None:
        body = {**given["invoice"], "partner": partners[number % len(partners)]}
        made = _post(client, "/api/v1/accounting/invoices/", body)
        posted = _post(client, f"/api/v1/accounting/invoices/{made['id']}/actions/post/", {})
        if posted["state"] != "posted" or not posted["number"]:
            raise RuntimeError(f"invoice {made['id']} was not posted: {posted}")

    for number in range(WARM):
        one(number)
    started = time.perf_counter()
    for number in range(ONE_BY_ONE):
        one(number)
    alone = ONE_BY_ONE / (time.perf_counter() - started)
    figures = inside(system, "invoices")
    together = next(f.value for f in figures if f.name == "invoices created and posted together")
    return [
        Figure(
            "invoices through REST, one by one", alone, "1/s", "created and posted", lower_is_better=False
        ),
        *figures,
        Figure("invoices together, times faster", together / alone, "×", lower_is_better=False),
    ]


@workload("payments")
def payments(system: System) -> Sequence[Figure]:
    """Payments registered with their entries and matched: one by one, and many in one call."""
    return inside(system, "payments")
