"""How long a page of a long list takes. Run by `make bench`; prints the figures and fails when far off."""

from __future__ import annotations

import statistics
import time
from types import SimpleNamespace

import pytest
from django.db import connection

from tests.api.support import Rest

ROWS = 100_000
FILL = """
INSERT INTO dummy_gadget (version, created_at, updated_at, active, company_id, custom, name, number, note, state,
                          price, cost, pin, created_by_id, updated_by_id)
SELECT 1, now(), now(), n %% 50 <> 0, %(company)s, '{}', 'gadget ' || lpad(n::text, 7, '0'), '', '', 'draft', n, 0, '',
       %(user)s, %(user)s
FROM generate_series(1, %(rows)s) n
"""


def p50(rest: Rest, path: str, times: int = 40) -> float:
    """Median milliseconds of a request, the whole of the server's side included."""
    taken = []
    for _request in range(times):
        started = time.perf_counter()
        response = rest.get(path)
        taken.append((time.perf_counter() - started) * 1000)
        assert response.status_code == 200
    return statistics.median(taken[5:])


@pytest.mark.bench
def test_lists_of_a_hundred_thousand(
    world: SimpleNamespace, boss: Rest, ann: Rest, capsys: pytest.CaptureFixture[str]
) -> None:
    user = world.users["ann"].pk
    with connection.cursor() as cursor:
        cursor.execute(FILL, {"company": world.a.pk, "user": user, "rows": ROWS})
        cursor.execute("ANALYZE dummy_gadget")
    asked = {
        "80 rows, counted": "test/gadgets/?limit=80",
        "80 rows, not counted": "test/gadgets/?limit=80&count=0",
        "80 rows by cursor": "test/gadgets/?limit=80&cursor=",
        "80 rows far behind": "test/gadgets/?limit=80&offset=90000",
        "80 rows of 5 fields": "test/gadgets/?limit=80&fields=name,price,state,maker,company&count=0",
        "filtered by price": "test/gadgets/?limit=80&price__gte=99000",
    }

    figures = {name: p50(boss, path) for name, path in asked.items()}
    figures["80 rows, counted, by somebody with a narrower rule"] = p50(ann, asked["80 rows, counted"])

    with capsys.disabled():
        for name, milliseconds in figures.items():
            print(f"\n{name:55} p50 {milliseconds:6.1f} ms", end="")
    assert figures["80 rows, not counted"] < 100
    assert figures["80 rows, counted"] < 200
