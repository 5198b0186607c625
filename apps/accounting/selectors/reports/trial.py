"""Trial balance: what every account held before a period, moved in it and holds after it."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.db import connection
from django.utils.translation import gettext as _

from apps.accounting.constants import RESULT_TYPES, AccountType
from apps.accounting.models import Account
from apps.accounting.selectors.reports.scope import DAY, Scope, check_period, scope_of
from apps.accounting.selectors.reports.sums import Cuts, cut_list, in_order, moves, next_month
from apps.core.actor import Actor
from apps.core.models import Currency

ZERO = Decimal(0)
ACCOUNT, UNALLOCATED = "account", "unallocated"
Period = tuple[datetime.date, datetime.date]


@dataclass(frozen=True, slots=True)
class Figures:
    """One row in one period. ``initial`` is signed (debit positive); ``debit`` and ``credit`` are what moved."""

    initial: Decimal = ZERO
    debit: Decimal = ZERO
    credit: Decimal = ZERO

    @property
    def balance(self) -> Decimal:
        """What the period changed."""
        return self.debit - self.credit

    @property
    def end(self) -> Decimal:
        return self.initial + self.debit - self.credit

    @property
    def initial_debit(self) -> Decimal:
        return max(self.initial, ZERO)

    @property
    def initial_credit(self) -> Decimal:
        return max(-self.initial, ZERO)

    @property
    def end_debit(self) -> Decimal:
        return max(self.end, ZERO)

    @property
    def end_credit(self) -> Decimal:
        return max(-self.end, ZERO)


NOTHING = Figures()


@dataclass(frozen=True, slots=True)
class TrialRow:
    """An account, or ``kind="unallocated"``: the results of earlier fiscal years that no entry has allocated, shown under
    the account of current year earnings. ``figures`` has one element a period."""

    kind: str
    account_pk: int | None
    code: str
    name: str
    type: str
    figures: tuple[Figures, ...]


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over the rows of one period, each side by itself; debit equals credit in every pair."""

    initial_debit: Decimal
    initial_credit: Decimal
    debit: Decimal
    credit: Decimal
    end_debit: Decimal
    end_credit: Decimal


@dataclass(frozen=True, slots=True)
class TrialBalance:
    """``periods[0]`` is the one asked for, the others those compared with it."""

    periods: tuple[Period, ...]
    currency: Currency
    rows: tuple[TrialRow, ...]
    totals: tuple[Totals, ...]


_STATEMENT = """
SELECT a.id, a.code, a.name, a.type,
       round(coalesce(sum(m.debit - m.credit) FILTER (WHERE m.section = 1 OR m.section = 0 AND NOT r.result), 0), %(decimals)s),
       round(coalesce(sum(m.debit) FILTER (WHERE m.section = 2), 0), %(decimals)s),
       round(coalesce(sum(m.credit) FILTER (WHERE m.section = 2), 0), %(decimals)s),
       round(coalesce(sum(m.debit - m.credit) FILTER (WHERE m.section = 0 AND r.result), 0), %(decimals)s)
FROM moves m
JOIN accounting_account a ON a.id = m.account_id
CROSS JOIN LATERAL (SELECT a.type = ANY(%(result_types)s) AS result) AS r
GROUP BY a.id
ORDER BY a.code, a.id
"""


def trial_balance(
    actor: Actor,
    date_from: datetime.date,
    date_to: datetime.date,
    *,
    company_pks: Collection[int] | None = None,
    ledger_group: int | None = None,
    comparisons: Sequence[Period] = (),
) -> TrialBalance:
    """The trial balance of a period, with those of other periods beside it.

    Accounts of the balance sheet carry their balance forward; income and expenses start at zero with the fiscal year that
    holds ``date_from``, and what earlier years left is the row ``unallocated``. Accounts without any figure are left out.
    Reads balances and the items of partial months; with a ledger group also the items of the journals left out. Four
    queries, one more a comparison. Errors: see ``scope_of``; ``ValidationFailed`` for a period that ends before it begins.
    """
    periods = ((date_from, date_to), *comparisons)
    for since, until in periods:
        check_period(since, until)
    scope = scope_of(actor, company_pks, ledger_group=ledger_group)
    found: dict[int, tuple[str, str, str]] = {}
    figures: dict[int, list[Figures]] = {}
    earlier: list[Decimal] = []
    for number, (since, until) in enumerate(periods):
        starts = scope.year_starts(since)
        rows = _rows(scope, {pk: (starts[pk], since, until + DAY) for pk in scope.company_pks})
        before = ZERO
        for pk, code, name, kind, initial, debit, credit, unallocated in rows:
            before += unallocated
            if initial or debit or credit:
                found[pk] = (code, name, kind)
                figures.setdefault(pk, [NOTHING] * len(periods))[number] = Figures(initial, debit, credit)
        earlier.append(before)
    made = [TrialRow(ACCOUNT, pk, *found[pk], tuple(figures[pk])) for pk in found]
    if any(earlier):
        made.append(_unallocated(scope, earlier))
    made.sort(key=lambda row: (row.code, row.kind, row.account_pk or 0))
    return TrialBalance(
        periods=periods,
        currency=scope.currency,
        rows=tuple(made),
        totals=tuple(_totals([row.figures[number] for row in made]) for number in range(len(periods))),
    )


def _rows(
    scope: Scope, cuts: dict[int, Cuts]
) -> list[tuple[int, str, str, str, Decimal, Decimal, Decimal, Decimal]]:
    parameters = {
        **cut_list(cuts).parameters(),
        "tree": scope.tree,
        "left_out": list(scope.left_out),
        "decimals": scope.currency.decimals,
        "result_types": in_order(RESULT_TYPES),
    }
    with connection.cursor() as cursor:
        cursor.execute(moves(scope) + _STATEMENT, parameters)
        return cursor.fetchall()


def _unallocated(scope: Scope, earlier: Sequence[Decimal]) -> TrialRow:
    """The row of earlier results, under the account that is to take them if the companies have one in common."""
    accounts = list(
        Account.objects.filter(company__in=scope.tree, type=AccountType.EQUITY_UNAFFECTED)
        .order_by("code", "pk")
        .values_list("pk", "code")
    )
    pk, code = accounts[0] if len(accounts) == 1 else (None, "")
    return TrialRow(
        kind=UNALLOCATED,
        account_pk=pk,
        code=code,
        name=_("Results of earlier years, not allocated"),
        type=AccountType.EQUITY_UNAFFECTED.value,
        figures=tuple(Figures(initial=amount) for amount in earlier),
    )


def _totals(figures: Sequence[Figures]) -> Totals:
    return Totals(
        initial_debit=sum((f.initial_debit for f in figures), ZERO),
        initial_credit=sum((f.initial_credit for f in figures), ZERO),
        debit=sum((f.debit for f in figures), ZERO),
        credit=sum((f.credit for f in figures), ZERO),
        end_debit=sum((f.end_debit for f in figures), ZERO),
        end_credit=sum((f.end_credit for f in figures), ZERO),
    )


# --------------------------------------------------------------------------------------------------- balance sheet
@dataclass(frozen=True, slots=True)
class BalanceSheet:
    """The sides of the balance sheet on a day, each positive in its usual case. Equity includes the result of the year and
    the results of earlier years that were not allocated; accounts off balance belong to neither side."""

    assets: Decimal
    liabilities: Decimal
    equity: Decimal
    result: Decimal  # of the fiscal year, part of equity


def balance_sheet(
    actor: Actor, on: datetime.date, *, company_pks: Collection[int] | None = None
) -> BalanceSheet:
    """Assets, liabilities and equity at the end of a day. In sound books assets = liabilities + equity."""
    scope = scope_of(actor, company_pks)
    starts = scope.year_starts(on)
    assets = liabilities = equity = result = ZERO
    rows = _rows(scope, {pk: (starts[pk], on + DAY, on + DAY) for pk in scope.company_pks})
    for _pk, _code, _name, kind, initial, _debit, _credit, earlier in rows:
        if kind.startswith("asset"):
            assets += initial
        elif kind.startswith("liability"):
            liabilities -= initial
        elif kind in RESULT_TYPES:
            result -= initial
            equity -= initial + earlier
        elif kind != AccountType.OFF_BALANCE:
            equity -= initial
    return BalanceSheet(assets, liabilities, equity, result)


# ------------------------------------------------------------------------------------------------------ comparisons
def previous_periods(date_from: datetime.date, date_to: datetime.date, count: int) -> list[Period]:
    """The periods before one, the latest first: as many whole months where it is whole months, else as many days."""
    whole = date_from.day == 1 and (date_to + DAY).day == 1
    months = (date_to.year - date_from.year) * 12 + date_to.month - date_from.month + 1
    length = date_to - date_from + DAY
    made = []
    for number in range(1, count + 1):
        if whole:
            made.append(
                (_shifted(date_from, -months * number), _shifted(next_month(date_to), -months * number) - DAY)
            )
        else:
            made.append((date_from - length * number, date_to - length * number))
    return made


def same_period_last_years(date_from: datetime.date, date_to: datetime.date, count: int) -> list[Period]:
    """The same days one, two, … years earlier; the end of February stays the end of February."""
    made = []
    for number in range(1, count + 1):
        end = _shifted(date_to + DAY, -12 * number) - DAY if (date_to + DAY).day == 1 else None
        made.append((_shifted(date_from, -12 * number), end or _shifted(date_to, -12 * number)))
    return made


def _shifted(day: datetime.date, months: int) -> datetime.date:
    """A day some months later or earlier; the last day of the month where the month is shorter."""
    number = day.year * 12 + day.month - 1 + months
    first = datetime.date(number // 12, number % 12 + 1, 1)
    return min(first + (day.day - 1) * DAY, next_month(first) - DAY)
