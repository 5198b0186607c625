"""REST: the reports of the ledger, as JSON with decimal strings or as CSV. Imported by ``api``.

The companies are the actor's (``X-Company``); they must share one currency. Every figure can be drilled down:
``…/reports/items/`` answers the items behind it.
"""

from __future__ import annotations

import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from django.http import HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounting.constants import PARTNER_TYPES
from apps.accounting.models import Account, Journal, LedgerGroup
from apps.accounting.report_shapes import (
    CSV,
    JSON,
    MOST_COMPARISONS,
    aged_item_of,
    csv_answer,
    cursor_of,
    cursors_of,
    figures_of,
    head_of,
    line_of,
    link_to,
    partner_cursor,
    plain,
    read_comparisons,
    read_limit,
    read_name_position,
    read_period,
    read_position,
    shower,
    totals_of,
    wants_csv,
)
from apps.accounting.selectors.chain import PROBLEMS, verify_journals
from apps.accounting.selectors.reports import (
    MOST,
    PAGE,
    aged,
    aged_items,
    balance_sheet,
    drill,
    general_ledger,
    partner_ledger,
    partner_lines,
    scope_of,
    trial_balance,
)
from apps.accounting.selectors.reports.aged import DUE, NAME, PAYABLE, RECEIVABLE, TOTAL, TYPES
from apps.api.base import Input, endpoint
from apps.contacts.models import Partner
from apps.core.actor import Actor
from apps.core.errors import ValidationFailed
from apps.core.rules import visible

Answer = dict[str, Any] | HttpResponse
TYPES_BY_NAME = {"": PARTNER_TYPES, **{name: frozenset({kind}) for name, kind in TYPES.items()}}

FORMAT = Input(str, default=JSON, help="json or csv")
DATE_FROM = Input(
    datetime.date, nullable=True, help="first day; default: the first of the fiscal year of date_to"
)
DATE_TO = Input(datetime.date, nullable=True, help="last day, included; default: today")
GROUP = Input(LedgerGroup, nullable=True, help="leave out the journals of this ledger group")
PERIOD = {"date_from": DATE_FROM, "date_to": DATE_TO, "format": FORMAT}
AFTER = Input(str, nullable=True, help="the cursor 'after' of the page before")
PAGING = {
    "limit": Input(int, default=PAGE, help=f"rows a page, at most {MOST}"),
    "after": AFTER,
    "before": Input(str, nullable=True, help="the cursor 'before' of the page after"),
    "last": Input(bool, default=False, help="the last page"),
}


# ------------------------------------------------------------------------------------------------------ the reports
@endpoint(
    "accounting/reports/trial-balance",
    model="accounting.JournalItem",
    summary="Trial balance",
    inputs={
        **PERIOD,
        "ledger_group": GROUP,
        "compare": Input(
            str, nullable=True, help="previous: earlier periods; last_year: the same of earlier years"
        ),
        "comparisons": Input(int, default=1, help=f"how many to compare with, at most {MOST_COMPARISONS}"),
    },
)
def trial_balance_report(
    request: Any,
    *,
    date_from: datetime.date | None = None,
    date_to: datetime.date | None = None,
    format: str = JSON,  # noqa: A002 - the public name
    ledger_group: LedgerGroup | None = None,
    compare: str | None = None,
    comparisons: int = 1,
) -> Answer:
    """What every account held before the period, moved in it and holds after it.

    Balance sheet accounts carry forward, income and expenses start with the fiscal year; the row of kind `unallocated` is what
    earlier years left. `totals` are equal on both sides.
    """
    actor: Actor = request.actor
    since, until = read_period(actor, date_from, date_to)
    report = trial_balance(
        actor,
        since,
        until,
        ledger_group=ledger_group.pk if ledger_group else None,
        comparisons=read_comparisons(compare, comparisons, since, until),
    )
    show = shower(report.currency.decimals)
    rows = []
    for row in report.rows:
        first, *others = row.figures
        item: dict[str, Any] = {
            "kind": row.kind,
            "account": row.account_pk,
            "code": row.code,
            "name": row.name,
            "type": row.type,
        }
        item |= figures_of(first, show)
        if others:
            item["comparisons"] = [figures_of(figures, show) for figures in others]
        rows.append(item)
    if wants_csv(format):
        return csv_answer("trial-balance", rows)
    first_total, *other_totals = report.totals
    answer = head_of(report.currency.code, since, until)
    answer |= {"rows": rows, "totals": totals_of(first_total, show)}
    if other_totals:
        answer["comparisons"] = [
            {"date_from": period[0], "date_to": period[1], "totals": totals_of(totals, show)}
            for period, totals in zip(report.periods[1:], other_totals, strict=True)
        ]
    return answer


@endpoint(
    "accounting/reports/general-ledger",
    model="accounting.JournalItem",
    summary="General ledger",
    inputs={
        **PERIOD,
        **PAGING,
        "account": Input(Account, nullable=True, help="show the items of this account; else all accounts"),
        "ledger_group": GROUP,
    },
)
def general_ledger_report(
    request: Any,
    *,
    date_from: datetime.date | None = None,
    date_to: datetime.date | None = None,
    format: str = JSON,  # noqa: A002 - the public name
    account: Account | None = None,
    ledger_group: LedgerGroup | None = None,
    limit: int = PAGE,
    after: str | None = None,
    before: str | None = None,
    last: bool = False,
) -> Answer:
    """The accounts with their figures, or a page of one account's items with the balance after each.

    Pages follow each other by `after` and `before`; `opening` is the balance before the first row of the page.
    """
    actor: Actor = request.actor
    since, until = read_period(actor, date_from, date_to)
    group = ledger_group.pk if ledger_group else None
    if account is None:
        return _accounts(actor, since, until, group, format)
    found = general_ledger(
        actor,
        account.pk,
        since,
        until,
        ledger_group=group,
        limit=limit,
        after=read_position(after, "after"),
        before=read_position(before, "before"),
        last=last,
    )
    show = shower(found.currency.decimals)
    rows = [line_of(line, show) for line in found.page.lines]
    if wants_csv(format):
        return csv_answer(f"general-ledger-{account.code}", rows)
    return {
        **head_of(found.currency.code, since, until),
        "account": {"id": account.pk, "code": account.code, "name": account.name, "type": account.type},
        **figures_of(found.figures, show),
        "opening": show(found.page.opening),
        **cursors_of(request, found.page.after, found.page.before),
        "rows": rows,
    }


def _accounts(
    actor: Actor, since: datetime.date, until: datetime.date, group: int | None, form: str
) -> Answer:
    report = trial_balance(actor, since, until, ledger_group=group)
    show = shower(report.currency.decimals)
    rows = [
        {
            "kind": row.kind,
            "account": row.account_pk,
            "code": row.code,
            "name": row.name,
            "type": row.type,
            **figures_of(row.figures[0], show),
        }
        for row in report.rows
    ]
    if wants_csv(form):
        return csv_answer("general-ledger", rows)
    head = head_of(report.currency.code, since, until)
    return {**head, "rows": rows, "totals": totals_of(report.totals[0], show)}


@endpoint(
    "accounting/reports/partner-ledger",
    model="accounting.JournalItem",
    summary="Partner ledger",
    inputs={
        **PERIOD,
        **PAGING,
        "partner": Input(Partner, nullable=True, help="show the items of this partner"),
        "unknown": Input(bool, default=False, help="show the items without a partner"),
        "kind": Input(str, nullable=True, help="receivable or payable; default: both"),
        "open_only": Input(bool, default=False, help="with a partner: leave out what is settled"),
    },
)
def partner_ledger_report(
    request: Any,
    *,
    date_from: datetime.date | None = None,
    date_to: datetime.date | None = None,
    format: str = JSON,  # noqa: A002 - the public name
    partner: Partner | None = None,
    unknown: bool = False,
    kind: str | None = None,
    open_only: bool = False,
    limit: int = PAGE,
    after: str | None = None,
    before: str | None = None,
    last: bool = False,
) -> Answer:
    """The partners with what they owe (positive) or are owed, or a page of one partner's items with the balance after each."""
    actor: Actor = request.actor
    since, until = read_period(actor, date_from, date_to)
    types = TYPES_BY_NAME.get(kind or "")
    if types is None:
        raise ValidationFailed(fields={"kind": [_("Choose receivable or payable.")]})
    if partner is None and not unknown:
        return _partners(request, since, until, types, format, limit, after)
    found = partner_lines(
        actor,
        partner.pk if partner else None,
        since,
        until,
        types=types,
        open_only=open_only,
        limit=limit,
        after=read_position(after, "after"),
        before=read_position(before, "before"),
        last=last,
    )
    show = shower(found.currency.decimals)
    rows = [line_of(line, show) for line in found.page.lines]
    if wants_csv(format):
        return csv_answer(f"partner-ledger-{partner.pk if partner else 'unknown'}", rows)
    return {
        **head_of(found.currency.code, since, until),
        "partner": {"id": partner.pk, "name": partner.complete_name} if partner else None,
        **figures_of(found.figures, show),
        "opening": show(found.page.opening),
        **cursors_of(request, found.page.after, found.page.before),
        "rows": rows,
    }


def _partners(
    request: Any,
    since: datetime.date,
    until: datetime.date,
    types: frozenset[Any],
    form: str,
    limit: int,
    after: str | None,
) -> Answer:
    report = partner_ledger(
        request.actor,
        since,
        until,
        types=types,
        limit=None if form == CSV else read_limit(limit),
        after=read_name_position(after),
    )
    show = shower(report.currency.decimals)
    rows = [
        {"partner": row.partner_pk, "name": row.name, **figures_of(row.figures, show)} for row in report.rows
    ]
    if wants_csv(form):
        return csv_answer("partner-ledger", rows)
    return {
        **head_of(report.currency.code, since, until),
        "count": report.count,
        "after": partner_cursor(report.after),
        "next": link_to(request, after=partner_cursor(report.after)),
        "rows": rows,
        "totals": figures_of(report.total, show),
    }


AGED = {
    "date_from": Input(
        datetime.date, nullable=True, help="without effect; the report is of the end of date_to"
    ),
    "date_to": Input(datetime.date, nullable=True, help="as of the end of this day; default: today"),
    "format": FORMAT,
    "by": Input(str, default=DUE, help="due: from the due date; invoice: from the date of the invoice"),
    "days": Input(int, default=30, help="length of a bucket"),
    "non_trade": Input(bool, default=False, help="with the accounts that are not from trade"),
    "order": Input(str, default=TOTAL, help="total: the largest first; name: by name"),
    "limit": Input(int, default=PAGE, help=f"rows a page, at most {MOST}"),
    "after": AFTER,
    "partner": Input(Partner, nullable=True, help="show the open items of this partner"),
    "unknown": Input(bool, default=False, help="show the open items without a partner"),
    "bucket": Input(
        int, nullable=True, help="with partner or unknown: only this bucket, 0 (not due) to 5 (older)"
    ),
}


@endpoint(
    "accounting/reports/aged-receivable",
    model="accounting.JournalItem",
    summary="Aged receivable",
    inputs=AGED,
)
def aged_receivable_report(request: Any, **inputs: Any) -> Answer:
    """What customers owe at the end of a day, by how late it is; with `partner`, the items behind it."""
    return _aged(request, RECEIVABLE, **inputs)


@endpoint(
    "accounting/reports/aged-payable",
    model="accounting.JournalItem",
    summary="Aged payable",
    inputs=AGED,
)
def aged_payable_report(request: Any, **inputs: Any) -> Answer:
    """What vendors are owed at the end of a day, by how late it is; with `partner`, the items behind it."""
    return _aged(request, PAYABLE, **inputs)


def _aged(
    request: Any,
    kind: str,
    *,
    date_from: datetime.date | None = None,
    date_to: datetime.date | None = None,
    format: str = JSON,  # noqa: A002 - the public name
    by: str = DUE,
    days: int = 30,
    non_trade: bool = False,
    order: str = TOTAL,
    limit: int = PAGE,
    after: str | None = None,
    partner: Partner | None = None,
    unknown: bool = False,
    bucket: int | None = None,
) -> Answer:
    on = date_to or timezone.localdate()
    name = f"aged-{kind}-{on}"
    common: dict[str, Any] = {"by": by, "days": days, "non_trade": non_trade}
    if partner is not None or unknown:
        items = aged_items(
            request.actor,
            kind,
            on,
            partner_pk=partner.pk if partner else None,
            bucket=bucket,
            limit=read_limit(limit),
            after=read_position(after, "after"),
            **common,
        )
        currency = scope_of(request.actor).currency
        rows = [aged_item_of(item, shower(currency.decimals)) for item in items]
        if wants_csv(format):
            return csv_answer(name, rows)
        follows = cursor_of((items[-1].due, items[-1].pk)) if len(items) == limit else None
        return {
            "date": on,
            "currency": currency.code,
            "after": follows,
            "next": link_to(request, after=follows),
            "rows": rows,
        }
    report = aged(
        request.actor,
        kind,
        on,
        order=order,
        limit=None if format == CSV else read_limit(limit),
        after=_partner_position(after, order),
        **common,
    )
    show = shower(report.currency.decimals)
    rows = [
        {
            "partner": row.partner_pk,
            "name": row.name,
            **dict(zip(report.labels, map(show, row.amounts), strict=True)),
            "total": show(row.total),
            "currency": row.currency_code,
            "amount_currency": None if row.amount_currency is None else plain(row.amount_currency),
        }
        for row in report.rows
    ]
    if wants_csv(format):
        return csv_answer(name, rows)
    totals = {**dict(zip(report.labels, map(show, report.totals), strict=True)), "total": show(report.total)}
    return {
        "date": on,
        "currency": report.currency.code,
        "buckets": list(report.labels),
        "count": report.count,
        "after": partner_cursor(report.after),
        "next": link_to(request, after=partner_cursor(report.after)),
        "rows": rows,
        "totals": totals,
    }


def _partner_position(cursor: str | None, order: str) -> tuple[str | Decimal, int] | None:
    position = read_name_position(cursor)
    if position is None or order == NAME:
        return position
    try:
        return (Decimal(position[0]), position[1])
    except InvalidOperation:
        raise ValidationFailed(fields={"after": [_("This is no cursor of a page.")]}) from None


@endpoint(
    "accounting/reports/items",
    model="accounting.JournalItem",
    summary="Items behind a figure",
    inputs={
        "figure": Input(str, required=True, help="initial, moved, end or unallocated"),
        "date_from": DATE_FROM,
        "date_to": DATE_TO,
        "account": Input(Account, nullable=True),
        "partner": Input(Partner, nullable=True),
        "unknown": Input(bool, default=False, help="of no partner"),
        "kind": Input(str, nullable=True, help="with a partner: receivable or payable; default: both"),
        "ledger_group": GROUP,
        "limit": PAGING["limit"],
        "after": AFTER,
    },
)
def items_report(
    request: Any,
    *,
    figure: str,
    date_from: datetime.date | None = None,
    date_to: datetime.date | None = None,
    account: Account | None = None,
    partner: Partner | None = None,
    unknown: bool = False,
    kind: str | None = None,
    ledger_group: LedgerGroup | None = None,
    limit: int = PAGE,
    after: str | None = None,
) -> Answer:
    """The journal items whose sum is a figure of the trial balance, general ledger or partner ledger, oldest first.

    `filters` holds the same conditions as queries of `accounting/journal-items`.
    """
    actor: Actor = request.actor
    since, until = read_period(actor, date_from, date_to)
    types = TYPES_BY_NAME.get(kind or "")
    if types is None:
        raise ValidationFailed(fields={"kind": [_("Choose receivable or payable.")]})
    found = drill(
        actor,
        figure,
        since,
        until,
        account_pk=account.pk if account else None,
        partner_pk=partner.pk if partner else None,
        types=types if partner or unknown else (),
        ledger_group=ledger_group.pk if ledger_group else None,
    )
    limit = read_limit(limit)
    fields = ("pk", "date", "entry", "entry__number", "account", "partner", "name", "debit", "credit")
    items = found.items(actor, after=read_position(after, "after")).values(*fields)[: limit + 1]
    rows = [
        {
            "id": item["pk"],
            "date": item["date"],
            "entry": item["entry"],
            "number": item["entry__number"],
            "account": item["account"],
            "partner": item["partner"],
            "name": item["name"],
            "debit": plain(item["debit"]),
            "credit": plain(item["credit"]),
        }
        for item in items
    ]
    more = len(rows) > limit
    rows = rows[:limit]
    follows = cursor_of((rows[-1]["date"], rows[-1]["id"])) if more else None
    return {
        "filters": found.queries,
        "after": follows,
        "next": link_to(request, after=follows),
        "rows": rows,
    }


@endpoint(
    "accounting/reports/balance-sheet",
    model="accounting.JournalItem",
    summary="Balance sheet",
    inputs={
        "date_to": Input(datetime.date, nullable=True, help="at the end of this day; default: today"),
    },
)
def balance_sheet_report(request: Any, *, date_to: datetime.date | None = None) -> Answer:
    """Assets, liabilities and equity at the end of a day; `result`, what the fiscal year has brought so far, is part of equity.
    In sound books assets = liabilities + equity."""
    on = date_to or timezone.localdate()
    currency = scope_of(request.actor).currency
    sheet = balance_sheet(request.actor, on)
    show = shower(currency.decimals)
    return {
        "date": on,
        "currency": currency.code,
        "assets": show(sheet.assets),
        "liabilities": show(sheet.liabilities),
        "equity": show(sheet.equity),
        "result": show(sheet.result),
    }


@endpoint(
    "accounting/reports/integrity",
    model="accounting.JournalChain",
    summary="Proof of the ledger",
    inputs={"journal": Input(Journal, nullable=True, help="only this journal")},
)
def integrity_report(request: Any, *, journal: Journal | None = None) -> Answer:
    """Every journal's hash chain walked again: how many entries it has, the first and last number and hash, and the first entry
    that is not as it was posted."""
    journals = [journal.pk] if journal else visible(Journal, request.actor).values_list("pk", flat=True)
    proofs = verify_journals(list(journals))
    return {
        "sound": all(proof.sound for proof in proofs),
        "rows": [
            {
                "journal": proof.journal_pk,
                "code": proof.code,
                "name": proof.name,
                "entries": proof.entries,
                "first_number": proof.first_number,
                "first_hash": proof.first_hash,
                "last_number": proof.last_number,
                "last_hash": proof.last_hash,
                "sound": proof.sound,
                "problem": proof.problem or None,
                "why": str(PROBLEMS[proof.problem]) if proof.problem else None,
                "broken": proof.broken,
                "broken_entry": proof.broken_pk,
                "broken_number": proof.broken_number or None,
            }
            for proof in proofs
        ],
    }
