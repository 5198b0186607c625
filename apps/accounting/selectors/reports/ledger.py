"""General ledger: the items of one account in the order of the books, with the balance after each."""

from __future__ import annotations

import datetime
from collections.abc import Collection
from dataclasses import dataclass

from django.db import connection

from apps.accounting.constants import RESULT_TYPES
from apps.accounting.models import Account
from apps.accounting.selectors.reports.paging import (
    PAGE,
    Page,
    Position,
    Source,
    Window,
    companies_source,
    read_page,
)
from apps.accounting.selectors.reports.scope import DAY, Scope, account_of, check_period, scope_of
from apps.accounting.selectors.reports.sums import cut_list, moves
from apps.accounting.selectors.reports.trial import Figures
from apps.core.actor import Actor
from apps.core.models import Currency


@dataclass(frozen=True, slots=True)
class LedgerPage:
    """A page of an account's ledger. ``figures`` are those of the whole period, equal to the trial balance's."""

    account: Account
    currency: Currency
    date_from: datetime.date
    date_to: datetime.date
    figures: Figures
    page: Page


_FIGURES = """
SELECT round(coalesce(sum(m.debit - m.credit) FILTER (WHERE m.section = 1 OR m.section = 0 AND NOT %(result)s), 0), %(decimals)s),
       round(coalesce(sum(m.debit) FILTER (WHERE m.section = 2), 0), %(decimals)s),
       round(coalesce(sum(m.credit) FILTER (WHERE m.section = 2), 0), %(decimals)s)
FROM moves m
"""


def general_ledger(
    actor: Actor,
    account_pk: int,
    date_from: datetime.date,
    date_to: datetime.date,
    *,
    company_pks: Collection[int] | None = None,
    ledger_group: int | None = None,
    limit: int = PAGE,
    after: Position | None = None,
    before: Position | None = None,
    last: bool = False,
) -> LedgerPage:
    """A page of the items of an account in a period: the first, the one ``after`` or ``before`` a position, or the ``last``.

    The initial balance is carried forward as in the trial balance. At most seven queries, whatever the ledger holds.
    Errors: ``NotVisible`` for an account of other companies; ``ValidationFailed`` for a wrong period or page.
    """
    check_period(date_from, date_to)
    window = Window(date_from, date_to, limit, after, before, last)
    scope = scope_of(actor, company_pks, ledger_group=ledger_group)
    account = account_of(scope, account_pk)
    figures = _figures(scope, account, date_from, date_to)
    return LedgerPage(
        account=account,
        currency=scope.currency,
        date_from=date_from,
        date_to=date_to,
        figures=figures,
        page=read_page(_source(scope, account_pk), window, figures.initial),
    )


def _figures(scope: Scope, account: Account, since: datetime.date, until: datetime.date) -> Figures:
    starts = scope.year_starts(since)
    parameters = {
        **cut_list({pk: (starts[pk], since, until + DAY) for pk in scope.company_pks}).parameters(),
        "tree": scope.tree,
        "account": account.pk,
        "left_out": list(scope.left_out),
        "result": account.type in RESULT_TYPES,
        "decimals": scope.currency.decimals,
    }
    with connection.cursor() as cursor:
        cursor.execute(moves(scope, one_account=True) + _FIGURES, parameters)
        row = cursor.fetchone()
    return Figures(*row) if row else Figures()


def _source(scope: Scope, account_pk: int) -> Source:
    return Source(
        sources=companies_source(scope),
        condition="i.account_id = %(account)s AND i.company_id = s.company",
        parameters={
            "companies": list(scope.company_pks),
            "account": account_pk,
            "left_out": list(scope.left_out),
        },
        more="AND i.journal_id <> ALL(%(left_out)s)" if scope.left_out else "",
        balances="accounting_periodbalance b",
        balances_condition="b.account_id = %(account)s AND b.company_id = ANY(%(companies)s)",
    )
