"""What is measured within one process, without HTTP: `python -m benchmarks.inside NAME SIZE`, figures as JSON on the last line.

The process and its database session are kept on a core each where the system lets them, as the targets are worded: one
core for the database, one for the application. The ledger of the size is filled first (`ledger_data`). Each time is the
median; `machine` says how fast this machine was in the same minute, so that figures of a busy machine can be judged.
"""

from __future__ import annotations

import datetime
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import django

django.setup()

from django.db import connection  # noqa: E402  (needs the setup above)
from django.test.utils import CaptureQueriesContext  # noqa: E402

from apps.access.constants import UserKind  # noqa: E402
from apps.access.models import User  # noqa: E402
from apps.access.services import create_user  # noqa: E402
from apps.access.services.tokens import make_token  # noqa: E402
from apps.accounting.constants import ROLE_ADVISER  # noqa: E402
from apps.accounting.models import Invoice, JournalItem, Tax  # noqa: E402
from apps.accounting.selectors.balances import differences  # noqa: E402
from apps.accounting.selectors.chain import verify_journals  # noqa: E402
from apps.accounting.selectors.reports import (  # noqa: E402
    aged,
    general_ledger,
    partner_ledger,
    trial_balance,
)
from apps.accounting.services.balances import fold  # noqa: E402
from apps.accounting.services.posting import post_invoices  # noqa: E402
from apps.accounting.services.register import register_payment  # noqa: E402
from apps.core.actor import system_actor  # noqa: E402
from apps.core.records import service_for  # noqa: E402
from benchmarks import ledger_data  # noqa: E402

Figures = list[dict[str, Any]]
TOGETHER = {"s": 300, "m": 2_000, "l": 5_000}
PAID_TOGETHER = {"s": 100, "m": 500, "l": 1_000}
PAID_ALONE = 60
LINES = 2_000
DAY = datetime.timedelta(days=1)


def figure(
    name: str, value: float, unit: str, note: str = "", *, lower_is_better: bool = True
) -> dict[str, Any]:
    return {"name": name, "value": value, "unit": unit, "note": note, "lower_is_better": lower_is_better}


def spread_over_cores() -> str:
    """One core for this process, one for its database session."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        return "one core for both"
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (backend,) = cursor.fetchone()
    try:
        os.sched_setaffinity(backend, {cores[0]})
        os.sched_setaffinity(0, {cores[1]})
    except OSError:
        return "no core of their own"
    return "a core each"


def milliseconds(work: Callable[[], Any], repeats: int = 15) -> float:
    work()
    times = []
    for _number in range(repeats):
        started = time.perf_counter()
        work()
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)


def machine() -> list[dict[str, Any]]:
    def count() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM generate_series(1, 1000000)")
            cursor.fetchall()

    def loop() -> None:
        sum(number * number for number in range(1_000_000))

    return [
        figure(
            "machine: PostgreSQL counts a million",
            milliseconds(count, 5),
            "ms",
            "about 60 when idle and fast",
        ),
        figure("machine: Python adds a million", milliseconds(loop, 5), "ms", "about 60 when idle and fast"),
    ]


# ----------------------------------------------------------------------------------------------------------- reports
def reports(books: ledger_data.Books) -> Figures:
    actor = books.actor
    while fold():
        pass
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE) accounting_periodbalance, accounting_partnerbalance")
    today = datetime.datetime.now(tz=datetime.UTC).date()
    start, first = today.replace(month=1, day=1), today - ledger_data.DAYS * DAY
    account, company = books.receivable, books.company.pk
    count = JournalItem.objects.filter(company=company).count()
    of_account = JournalItem.objects.filter(account=account, company=company).count()

    def every_item() -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT account_id, sum(debit), sum(credit) FROM accounting_journalitem "
                "WHERE posted AND company_id = %s GROUP BY 1",
                [company],
            )
            cursor.fetchall()

    trial = milliseconds(lambda: trial_balance(actor, start, today))
    brute = milliseconds(every_item, 3)
    middle = general_ledger(actor, account, first, today, limit=1).page.after
    ledger = f"an account of {of_account:,} items"
    return [
        figure("items of the ledger", count, "rows", lower_is_better=False),
        figure("trial balance, year to date", trial, "ms", "200 accounts"),
        figure(
            "trial balance, both days within months",
            milliseconds(lambda: trial_balance(actor, start + 44 * DAY, today - 40 * DAY)),
            "ms",
            "worst case: half a month of items at three edges",
        ),
        figure("sum over all items, for comparison", brute, "ms"),
        figure("trial balance, times faster than that", brute / trial, "×", lower_is_better=False),
        figure(
            "aged receivable, today, 80 partners",
            milliseconds(lambda: aged(actor, "receivable", today, limit=80)),
            "ms",
        ),
        figure(
            "aged receivable, today, all partners",
            milliseconds(lambda: aged(actor, "receivable", today)),
            "ms",
        ),
        figure(
            "aged receivable, a month ago",
            milliseconds(lambda: aged(actor, "receivable", today - 30 * DAY, limit=80), 7),
            "ms",
        ),
        figure(
            "general ledger, first 80 rows",
            milliseconds(lambda: general_ledger(actor, account, start, today)),
            "ms",
            ledger,
        ),
        figure(
            "general ledger, last 80 rows",
            milliseconds(lambda: general_ledger(actor, account, start, today, last=True)),
            "ms",
            ledger,
        ),
        figure(
            "general ledger, 10,000 rows",
            milliseconds(lambda: general_ledger(actor, account, first, today, limit=10_000, after=middle), 7),
            "ms",
            ledger,
        ),
        figure(
            "partner ledger, 80 partners",
            milliseconds(lambda: partner_ledger(actor, start, today, limit=80), 5),
            "ms",
            f"of {len(books.partners):,}",
        ),
    ]


def proofs(books: ledger_data.Books) -> Figures:
    journals = [books.sale.pk, books.purchase.pk, books.bank.pk, books.general.pk]
    started = time.perf_counter()
    found = verify_journals(journals)
    seconds = time.perf_counter() - started
    if not all(proof.sound for proof in found):
        raise RuntimeError("the ledger of measuring does not verify")
    started = time.perf_counter()
    if differences():
        raise RuntimeError("balances differ from their items")
    entries = sum(proof.entries for proof in found)
    return [
        figure("verify the hash chains", seconds, "s", f"{entries:,} entries"),
        figure("prove the balances", time.perf_counter() - started, "s", "all items of the database"),
    ]


# ---------------------------------------------------------------------------------------------- invoices and payments
def _rows(books: ledger_data.Books, count: int, lines: int = 5) -> list[dict[str, Any]]:
    """Customer invoices of today with a 15 % tax on every line."""
    tax = Tax.objects.get(company=books.company)
    today = datetime.datetime.now(tz=datetime.UTC).date()
    return [
        {
            "type": "customer_invoice",
            "partner": books.partners[number * 7 % len(books.partners)],
            "date": today,
            "journal": books.sale.pk,
            "currency": books.euro,
            "lines": [
                {
                    "description": f"Work of week {place}",
                    "quantity": Decimal(place % 7 + 1),
                    "unit_price": Decimal("33.33"),
                    "account": books.income[place % len(books.income)],
                    "taxes": [tax.pk],
                }
                for place in range(lines)
            ],
        }
        for number in range(count)
    ]


def _made(books: ledger_data.Books, count: int, lines: int = 5) -> tuple[list[Invoice], float]:
    started = time.perf_counter()
    made = service_for(Invoice).create(_rows(books, count, lines), actor=books.actor)
    post_invoices(made, actor=books.actor)
    return made, time.perf_counter() - started


def invoices(books: ledger_data.Books, size: str) -> Figures:
    _made(books, 5)
    count = TOGETHER[size]
    started = time.perf_counter()
    drafts = service_for(Invoice).create(_rows(books, count), actor=books.actor)
    created = time.perf_counter() - started
    started = time.perf_counter()
    post_invoices(drafts, actor=books.actor)
    posted = time.perf_counter() - started
    _large, large = _made(books, 1, LINES)
    statements = []
    for lines in (5, 500):
        draft = service_for(Invoice).create(_rows(books, 1, lines), actor=books.actor)
        with CaptureQueriesContext(connection) as captured:
            post_invoices(draft, actor=books.actor)
        statements.append(len(captured))
    if statements[0] != statements[1]:
        raise RuntimeError(f"posting 5 lines took {statements[0]} statements, 500 lines {statements[1]}")
    return [
        figure(
            "invoices created and posted together",
            count / (created + posted),
            "1/s",
            f"{count:,} at once, 5 lines, 15 % tax; {created:.1f} s to create, {posted:.1f} s to post",
            lower_is_better=False,
        ),
        figure(f"invoice of {LINES:,} lines, created and posted", large, "s"),
        figure("statements to post an invoice", statements[0], "", "of 5 lines and of 500"),
    ]


def payments(books: ledger_data.Books, size: str) -> Figures:
    one_by_one, _seconds = _made(books, PAID_ALONE)
    started = time.perf_counter()
    for invoice in one_by_one:
        register_payment([invoice.pk], actor=books.actor, journal=books.bank)
    alone = PAID_ALONE / (time.perf_counter() - started)
    count = PAID_TOGETHER[size]
    many, _seconds = _made(books, count)
    started = time.perf_counter()
    register_payment([invoice.pk for invoice in many], actor=books.actor, journal=books.bank)
    together = time.perf_counter() - started
    pks = [invoice.pk for invoice in (*one_by_one, *many)]
    unpaid = Invoice.objects.filter(pk__in=pks).exclude(residual_amount=0).count()
    if unpaid:
        raise RuntimeError(f"{unpaid} invoices are still open after their payment")
    return [
        figure("payments one by one", alone, "1/s", "with entry and matching", lower_is_better=False),
        figure(f"{count:,} payments together", together, "s", "each with its entry, matched"),
        figure("payments together, times faster", count / together / alone, "×", lower_is_better=False),
    ]


def caller(books: ledger_data.Books) -> dict[str, Any]:
    """What a program needs to write invoices into the ledger of measuring over REST."""
    login = f"bench{books.company.pk}"
    actor = system_actor(company_pk=books.company.pk, channel="command")
    user = User.objects.filter(login=login).first() or create_user(
        login,
        name="Measuring",
        kind=UserKind.INTERNAL,
        company=books.company,
        companies=[books.company],
        roles=[ROLE_ADVISER],
        actor=actor,
    )
    (row,) = _rows(books, 1)
    row["lines"] = [
        {**line, "quantity": str(line["quantity"]), "unit_price": str(line["unit_price"])}
        for line in row["lines"]
    ]
    return {
        "token": make_token(user, name="measuring")[0],
        "partners": books.partners[:500],
        "invoice": {**row, "date": row["date"].isoformat(), "currency": "EUR"},
        "journal": books.bank.pk,
    }


def main(arguments: Sequence[str]) -> None:
    name, size = arguments
    books = ledger_data.fill(size, tell=lambda text: print(text, file=sys.stderr))
    if name == "caller":
        print(json.dumps(caller(books)))
        return
    cores = spread_over_cores()
    works: dict[str, Callable[[], Figures]] = {
        "reports": lambda: reports(books),
        "proofs": lambda: proofs(books),
        "invoices": lambda: invoices(books, size),
        "payments": lambda: payments(books, size),
    }
    found = [*machine(), *works[name]()]
    found[0]["note"] += f"; {cores}; load {Path('/proc/loadavg').read_text().split()[0]}"
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])
