"""What the reports of the ledger read from a query and how they answer: cursors, decimal strings, CSV."""

from __future__ import annotations

import csv
import datetime
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django.http import HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounting.selectors.reports import (
    MOST,
    AgedItem,
    Figures,
    Line,
    Totals,
    previous_periods,
    same_period_last_years,
    scope_of,
)
from apps.core.actor import Actor
from apps.core.errors import ValidationFailed

JSON, CSV = "json", "csv"
PREVIOUS, LAST_YEAR = "previous", "last_year"
MOST_COMPARISONS = 12


# ------------------------------------------------------------------------------------------------------------ inputs
def read_period(
    actor: Actor, date_from: datetime.date | None, date_to: datetime.date | None
) -> tuple[datetime.date, datetime.date]:
    until = date_to or timezone.localdate()
    if date_from is None:
        date_from = min(scope_of(actor).year_starts(until).values())
    return date_from, until


def read_comparisons(
    compare: str | None, count: int, since: datetime.date, until: datetime.date
) -> Sequence[tuple[datetime.date, datetime.date]]:
    if compare is None:
        return ()
    makers = {PREVIOUS: previous_periods, LAST_YEAR: same_period_last_years}
    if compare not in makers or not 1 <= count <= MOST_COMPARISONS:
        text = _("Compare with previous or last_year, at most %(most)s periods.") % {"most": MOST_COMPARISONS}
        raise ValidationFailed(fields={"compare": [text]})
    return makers[compare](since, until, count)


def read_limit(limit: int) -> int:
    if not 1 <= limit <= MOST:
        raise ValidationFailed(fields={"limit": [_("Ask for 1 to %(most)s rows at once.") % {"most": MOST}]})
    return limit


def read_position(cursor: str | None, name: str) -> tuple[datetime.date, int] | None:
    if cursor is None:
        return None
    day, _colon, pk = cursor.partition(":")
    try:
        return (datetime.date.fromisoformat(day), int(pk))
    except ValueError:
        raise ValidationFailed(fields={name: [_("This is no cursor of a page.")]}) from None


def read_name_position(cursor: str | None) -> tuple[str, int] | None:
    if cursor is None:
        return None
    pk, _colon, name = cursor.partition(":")
    if not pk.isdecimal():
        raise ValidationFailed(fields={"after": [_("This is no cursor of a page.")]})
    return (name, int(pk))


def wants_csv(form: str) -> bool:
    if form not in (JSON, CSV):
        raise ValidationFailed(fields={"format": [_("Choose json or csv.")]})
    return form == CSV


# ----------------------------------------------------------------------------------------------------------- answers
def shower(decimals: int) -> Callable[[Decimal], str]:
    def show(value: Decimal) -> str:
        return f"{value:.{decimals}f}"

    return show


def plain(value: Decimal) -> str:
    """A decimal as text, without the zeros that only the column adds beyond two decimals."""
    text = f"{value:f}"
    whole, _point, fraction = text.partition(".")
    return f"{whole}.{fraction.rstrip('0').ljust(min(len(fraction), 2), '0')}" if fraction else whole


def head_of(currency: str, since: datetime.date, until: datetime.date) -> dict[str, Any]:
    return {"currency": currency, "date_from": since, "date_to": until}


def figures_of(figures: Figures, show: Callable[[Decimal], str]) -> dict[str, Any]:
    return {
        "initial": show(figures.initial),
        "initial_debit": show(figures.initial_debit),
        "initial_credit": show(figures.initial_credit),
        "debit": show(figures.debit),
        "credit": show(figures.credit),
        "end": show(figures.end),
        "end_debit": show(figures.end_debit),
        "end_credit": show(figures.end_credit),
    }


def totals_of(totals: Totals, show: Callable[[Decimal], str]) -> dict[str, Any]:
    return {
        "initial_debit": show(totals.initial_debit),
        "initial_credit": show(totals.initial_credit),
        "debit": show(totals.debit),
        "credit": show(totals.credit),
        "end_debit": show(totals.end_debit),
        "end_credit": show(totals.end_credit),
    }


def line_of(line: Line, show: Callable[[Decimal], str]) -> dict[str, Any]:
    return {
        "id": line.pk,
        "date": line.date,
        "entry": line.entry_pk,
        "number": line.number,
        "journal": line.journal_code,
        "account": line.account_pk,
        "partner": line.partner_pk,
        "partner_name": line.partner_name,
        "name": line.name,
        "debit": show(line.debit),
        "credit": show(line.credit),
        "balance": show(line.balance),
        "currency": line.currency_code,
        "amount_currency": f"{line.amount_currency:f}",
        "date_maturity": line.date_maturity,
        "residual": show(line.residual),
        "matching_number": line.matching_number,
        "company": line.company_pk,
    }


def aged_item_of(item: AgedItem, show: Callable[[Decimal], str]) -> dict[str, Any]:
    return {
        "id": item.pk,
        "entry": item.entry_pk,
        "number": item.number,
        "invoice": item.invoice_pk,
        "account": item.account_pk,
        "partner": item.partner_pk,
        "company": item.company_pk,
        "date": item.date,
        "due": item.due,
        "days": item.days,
        "bucket": item.bucket,
        "amount": show(item.amount),
        "residual": show(item.residual),
        "currency": item.currency_code,
        "residual_currency": f"{item.residual_currency:f}",
    }


def cursor_of(position: tuple[datetime.date, int] | None) -> str | None:
    return f"{position[0].isoformat()}:{position[1]}" if position else None


def partner_cursor(position: tuple[str | Decimal, int] | None) -> str | None:
    return f"{position[1]}:{position[0]}" if position else None


def cursors_of(
    request: Any, after: tuple[datetime.date, int] | None, before: tuple[datetime.date, int] | None
) -> dict[str, Any]:
    forward, back = cursor_of(after), cursor_of(before)
    return {
        "after": forward,
        "before": back,
        "next": link_to(request, after=forward),
        "previous": link_to(request, before=back),
    }


def link_to(request: Any, **cursor: str | None) -> str | None:
    """The same request at another page; ``None`` when there is none."""
    ((name, value),) = cursor.items()
    if value is None:
        return None
    kept = {k: v for k, v in request.GET.items() if k not in ("after", "before", "last")}
    return request.build_absolute_uri(f"{request.path}?{urlencode({**kept, name: value})}")


TEXTS = frozenset({"name", "partner_name", "code", "number", "matching_number"})


def csv_answer(name: str, rows: Iterable[Mapping[str, Any]]) -> HttpResponse:
    """Rows as a file: a column a key, comparisons side by side, text that a spreadsheet would run made harmless."""
    flat = [_flat(row) for row in rows]
    buffer = io.StringIO()
    if flat:
        writer = csv.DictWriter(buffer, fieldnames=list(flat[0]), lineterminator="\r\n")
        writer.writeheader()
        writer.writerows(flat)
    response = HttpResponse("\ufeff" + buffer.getvalue(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return response


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in row.items():
        if key == "comparisons":
            for number, figures in enumerate(value, 1):
                made |= {f"{name}_{number}": text for name, text in figures.items()}
        else:
            made[key] = _harmless(value) if key in TEXTS else value
    return made


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
