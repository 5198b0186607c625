"""Exchange rates on a date, and converting amounts with them. A rate that is not there is never guessed."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Any

from django.db import connection
from django.db.models import Q
from django.utils.translation import gettext as _

from apps.access.models import Company
from apps.access.selectors import root_of
from apps.contacts.constants import RATE_JUMP
from apps.contacts.models import CurrencyRate
from apps.core.errors import ValidationFailed
from apps.core.models import Currency
from apps.core.money import convert as convert_amount

PLACES = Decimal(1).scaleb(-15)


class MissingRate(ValidationFailed):
    """There is no rate of this currency on or before the date; the message says what to enter."""

    code = "missing_rate"


def rate_on(currency: Currency, date: datetime.date, company: Company) -> Decimal:
    """How many units of ``currency`` one unit of the company's own is worth on ``date``. One query at most (two for
    a branch).

    The latest rate on or before the date counts: the company's own first, then the shared one. Raises
    ``MissingRate``; it never answers 1 for a foreign currency without a rate.
    """
    return rates_on([currency], date, company)[currency.pk]


def rates_on(currencies: Iterable[Currency], date: datetime.date, company: Company) -> dict[int, Decimal]:
    """``rate_on`` for several currencies by primary key, in one query."""
    wanted = {currency.pk: currency for currency in currencies}
    answer = {company.currency_id: Decimal(1)} if company.currency_id in wanted else {}
    foreign = set(wanted) - set(answer)
    if not foreign:
        return answer
    own, shared = _latest(foreign | {company.currency_id}, date, company)
    for pk in foreign:
        if pk in own:
            answer[pk] = own[pk]
            continue
        rate = _through_base(shared, pk, company.currency_id)
        if rate is None:
            raise _missing(wanted[pk], date, company)
        answer[pk] = rate
    return answer


def rates_on_days(
    wanted: Iterable[tuple[Currency, datetime.date]], company: Company
) -> dict[tuple[int, datetime.date], Decimal]:
    """``rate_on`` for many currencies and days by (primary key, day), in one query whatever their number."""
    asked = {(currency.pk, day): currency for currency, day in wanted}
    found = known_rates_on_days([(currency, day) for (_pk, day), currency in asked.items()], company)
    for (pk, day), currency in asked.items():
        if (pk, day) not in found:
            raise _missing(currency, day, company)
    return found


def known_rates_on_days(
    wanted: Iterable[tuple[Currency, datetime.date]], company: Company
) -> dict[tuple[int, datetime.date], Decimal]:
    """``rates_on_days`` without those that have no rate."""
    asked = {(currency.pk, day): currency for currency, day in wanted}
    answer = {key: Decimal(1) for key in asked if key[0] == company.currency_id}
    foreign = [key for key in asked if key not in answer]
    if not foreign:
        return answer
    days = sorted({day for _pk, day in foreign})
    root = root_of(company) if company.parent_id else company
    own: dict[datetime.date, dict[int, Decimal]] = {day: {} for day in days}
    shared: dict[datetime.date, dict[int, tuple[int, Decimal]]] = {day: {} for day in days}
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT d.day, s.company, c.id, r.base_id, r.rate
            FROM unnest(%s::date[]) AS d(day) CROSS JOIN unnest(%s::bigint[]) AS c(id)
            CROSS JOIN (VALUES (%s::bigint), (NULL)) AS s(company)
            CROSS JOIN LATERAL (
                SELECT base_id, rate FROM contacts_currencyrate r
                WHERE r.currency_id = c.id AND r.company_id IS NOT DISTINCT FROM s.company AND r.date <= d.day
                ORDER BY r.date DESC LIMIT 1
            ) AS r
            """,
            [days, sorted({pk for pk, _day in foreign} | {company.currency_id}), root.pk],
        )
        for day, owner, currency_pk, base_pk, rate in cursor.fetchall():
            if owner is not None:
                own[day][currency_pk] = rate
            else:
                shared[day][currency_pk] = (base_pk, rate)
    for key in foreign:
        pk, day = key
        found = own[day].get(pk)
        rate = found if found is not None else _through_base(shared[day], pk, company.currency_id)
        if rate is not None:
            answer[key] = rate
    return answer


def _missing(currency: Currency, date: datetime.date, company: Company) -> MissingRate:
    return MissingRate(
        _(
            "There is no exchange rate of %(currency)s on or before %(date)s for %(company)s. "
            "Enter one under Contacts › Exchange rates."
        )
        % {"currency": currency.code, "date": date.isoformat(), "company": company.name},
        fields={"currency": [_("No exchange rate for this date.")]},
    )


def _latest(
    currency_pks: set[int], date: datetime.date, company: Company
) -> tuple[dict[int, Decimal], dict[int, tuple[int, Decimal]]]:
    """The company's own latest rates, and the latest shared ones with their base."""
    root = root_of(company) if company.parent_id else company
    rows = (
        CurrencyRate.objects.filter(
            Q(company_id=root.pk) | Q(company__isnull=True), currency_id__in=currency_pks, date__lte=date
        )
        .order_by("company_id", "currency_id", "-date")
        .distinct("company_id", "currency_id")
        .values_list("company_id", "currency_id", "base_id", "rate")
    )
    own: dict[int, Decimal] = {}
    shared: dict[int, tuple[int, Decimal]] = {}
    for company_pk, currency_pk, base_pk, rate in rows:
        if company_pk is not None:
            own[currency_pk] = rate
        else:
            shared[currency_pk] = (base_pk, rate)
    return own, shared


def _through_base(
    shared: dict[int, tuple[int, Decimal]], currency_pk: int, company_currency: int
) -> Decimal | None:
    """A shared rate as units per unit of the company's currency. It may be per unit of another base, and then needs
    the rate of the company's currency to the same base."""
    if currency_pk not in shared:
        # The foreign currency may itself be the base of the company's: EUR for a company in USD with USD rates in EUR.
        base, rate = shared.get(company_currency, (None, None))
        return _quotient(Decimal(1), rate) if base == currency_pk and rate is not None else None
    base, rate = shared[currency_pk]
    if base == company_currency:
        return rate
    home = shared.get(company_currency)
    if home is None or home[0] != base:
        return None
    return _quotient(rate, home[1])


def _quotient(left: Decimal, right: Decimal) -> Decimal:
    ratio = Fraction(left) / Fraction(right)
    return (Decimal(ratio.numerator) / Decimal(ratio.denominator)).quantize(PLACES)


def convert(
    amount: Any, source: Currency, target: Currency, *, company: Company, date: datetime.date
) -> Decimal:
    """``amount`` of ``source`` in ``target``, rounded once to the target's step. Raises ``MissingRate``.

    ``a × rate(target) ÷ rate(source)``, both per unit of the company's currency: with books in EUR, USD 1.10 and GBP
    0.85, 100 USD are 90.91 EUR and 100 GBP are 129.41 USD. One query.
    """
    if source.pk == target.pk:
        return convert_amount(amount, rate_from=1, rate_to=1, target_currency=target)
    rates = rates_on([source, target], date, company)
    return convert_amount(
        amount, rate_from=rates[source.pk], rate_to=rates[target.pk], target_currency=target
    )


def jump_warning(rate: CurrencyRate) -> str:
    """Words of warning when a rate differs by more than a fifth from the one before; empty otherwise."""
    before = (
        CurrencyRate.objects.filter(
            currency_id=rate.currency_id, company=rate.company_id, base_id=rate.base_id, date__lt=rate.date
        )
        .order_by("-date")
        .first()
    )
    if before is None:
        return ""
    change = (rate.rate / before.rate - 1) * 100
    if abs(change) <= RATE_JUMP:
        return ""
    return _("%(currency)s changes by %(percent)s %% against the rate of %(date)s. Is the rate right?") % {
        "currency": rate.currency.code,
        "percent": f"{change:+.1f}",
        "date": before.date.isoformat(),
    }
