"""From a figure to its items: conditions on journal items whose sum is the figure."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from apps.accounting.constants import RESULT_TYPES
from apps.accounting.models import Account, JournalItem
from apps.accounting.selectors.reports.paging import Position
from apps.accounting.selectors.reports.scope import Scope, check_period, scope_of
from apps.core.actor import Actor
from apps.core.errors import ValidationFailed
from apps.core.rules import visible

INITIAL, MOVED, END, UNALLOCATED = "initial", "moved", "end", "unallocated"
PUBLIC = {"account__type__in": "account_types"}  # names in REST
FIGURES = (INITIAL, MOVED, END, UNALLOCATED)


@dataclass(frozen=True, slots=True)
class Drill:
    """The items behind a figure, as alternatives: an item belongs to it when one of ``filters`` holds. Companies whose
    fiscal years begin together share one."""

    filters: tuple[Mapping[str, Any], ...]
    left_out: tuple[int, ...] = ()

    @property
    def condition(self) -> Q:
        found = Q(pk__in=())
        for filters in self.filters:
            found |= Q(**filters)
        return found & ~Q(journal__in=self.left_out) if self.left_out else found

    def items(self, actor: Actor, *, after: Position | None = None) -> QuerySet[JournalItem]:
        """The items themselves, as far as the actor sees them, the oldest first; those after a position."""
        found = visible(JournalItem, actor).filter(self.condition).order_by("date", "pk")
        if after is not None:
            found = found.filter(Q(date__gt=after[0]) | Q(date=after[0], pk__gt=after[1]))
        return found

    @property
    def queries(self) -> list[str]:
        """The same as query strings of ``/api/v1/accounting/journal-items/``, one an alternative."""
        return [
            urlencode({PUBLIC.get(name, name): _text(value) for name, value in filters.items()})
            for filters in self.filters
        ]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def drill(
    actor: Actor,
    figure: str,
    date_from: datetime.date,
    date_to: datetime.date,
    *,
    account_pk: int | None = None,
    partner_pk: int | None = None,
    types: Collection[str] = (),
    company_pks: Collection[int] | None = None,
    ledger_group: int | None = None,
) -> Drill:
    """The items behind ``initial``, ``moved`` (debit and credit of the period), ``end`` or ``unallocated``.

    Of an account (trial balance, general ledger), or with ``types`` of a partner on accounts of those types (partner ledger;
    ``partner_pk`` ``None`` is nobody). ``unallocated`` needs neither.
    """
    if figure not in FIGURES:
        raise ValidationFailed(fields={"figure": [", ".join(FIGURES)]})
    check_period(date_from, date_to)
    scope = scope_of(actor, company_pks, ledger_group=ledger_group)
    common: dict[str, Any] = {"posted": True}
    carried = True
    if figure == UNALLOCATED:
        common["account__type__in"] = sorted(str(kind) for kind in RESULT_TYPES)
    elif types:
        common["account__type__in"] = sorted(types)
        common |= {"partner": partner_pk} if partner_pk is not None else {"partner__isnull": True}
    else:
        if account_pk is None:
            raise ValidationFailed(fields={"account": [_("Name the account.")]})
        common["account"] = account_pk
        kind = Account.objects.filter(pk=account_pk).values_list("type", flat=True).first()
        carried = kind not in RESULT_TYPES
    dates = {
        INITIAL: {"date__lt": date_from},
        MOVED: {"date__gte": date_from, "date__lte": date_to},
        END: {"date__lte": date_to},
        UNALLOCATED: {},
    }[figure]
    groups = _by_year_start(scope, date_from) if not carried or figure == UNALLOCATED else {}
    if not groups or figure == MOVED:
        return Drill(({**common, "company__in": list(scope.company_pks), **dates},), scope.left_out)
    return Drill(
        tuple(
            {
                **common,
                "company__in": companies,
                **({"date__lt": start} if figure == UNALLOCATED else {"date__gte": start}),
                **dates,
            }
            for start, companies in sorted(groups.items())
        ),
        scope.left_out,
    )


def _by_year_start(scope: Scope, day: datetime.date) -> dict[datetime.date, list[int]]:
    groups: dict[datetime.date, list[int]] = {}
    for pk, start in scope.year_starts(day).items():
        groups.setdefault(start, []).append(pk)
    return groups
