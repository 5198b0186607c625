"""Currencies that are in use, and their exchange rates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext as _

from apps.access.models import Company
from apps.contacts.models import CurrencyRate
from apps.core.actor import Actor
from apps.core.errors import Conflict, ValidationFailed
from apps.core.links import pk_of
from apps.core.models import Country, Currency
from apps.core.records import RecordService, service
from apps.core.unit_of_work import unit_of_work

Values = dict[str, Any]
PLACEHOLDERS = frozenset(
    [
        "street",
        "street2",
        "zip",
        "city",
        "state_code",
        "state_name",
        "country_name",
        "country_code",
        "company_name",
    ]
)


@service(Currency)
class CurrencyService(RecordService[Currency]):
    """The currency of a company stays active."""

    def prepare_update(self, records: Sequence[Currency], values: Values, actor: Actor) -> None:
        if values.get("active") is False:
            names = list(
                Company.objects.active()
                .filter(currency__in=records)
                .order_by("name")
                .values_list("name", flat=True)
            )
            if names:
                raise Conflict(
                    _("It is the currency of %(companies)s and stays active.")
                    % {"companies": ", ".join(names)},
                    code="currency_in_use",
                )


@service(Country)
class CountryService(RecordService[Country]):
    """Address formats have known placeholders only."""

    def validate(self, records: Sequence[Country], actor: Actor) -> None:
        for country in records:
            unknown = sorted(set(_placeholders(country.address_format)) - PLACEHOLDERS)
            if unknown:
                raise ValidationFailed(
                    fields={
                        "address_format": [
                            _("'%(name)s' is no placeholder. Known: %(known)s.")
                            % {"name": unknown[0], "known": ", ".join(sorted(PLACEHOLDERS))}
                        ]
                    }
                )


def _placeholders(template: str) -> list[str]:
    names, rest = [], template
    while "{" in rest:
        name, closed, rest = rest.partition("{")[2].partition("}")
        names.append(name if closed else "{")
    return names


@service(CurrencyRate)
class CurrencyRateService(RecordService[CurrencyRate]):
    """Rates are per unit of the company's currency; a shared one without a base is per unit of the actor's."""

    def prepare_create(self, rows: list[Values], actor: Actor) -> None:
        asked = {pk_of(row.get("company")) for row in rows} | {actor.company_pk}
        pks = [int(pk) for pk in asked if pk is not None]
        currencies: dict[Any, int] = dict(Company.objects.filter(pk__in=pks).values_list("pk", "currency_id"))
        for row in rows:
            company = pk_of(row.get("company"))
            if row.get("base") is None:
                row["base"] = currencies.get(company if company is not None else actor.company_pk)

    def validate(self, records: Sequence[CurrencyRate], actor: Actor) -> None:
        companies = Company.objects.in_bulk({rate.company_id for rate in records if rate.company_id})
        for rate in records:
            company = companies.get(rate.company_id)
            if company is not None and company.parent_id is not None:
                raise ValidationFailed(fields={"company": [_("A branch uses the rates of its company.")]})
            if company is not None and company.currency_id != rate.base_id:
                raise ValidationFailed(
                    fields={"base": [_("The rates of a company are per unit of its own currency.")]}
                )
            if rate.currency_id == rate.base_id and rate.rate != 1:
                raise ValidationFailed(fields={"rate": [_("A currency is worth exactly one of itself.")]})
            if rate.rate is not None and rate.rate <= 0:
                raise ValidationFailed(fields={"rate": [_("A rate is greater than zero.")]})


def set_rates(
    rates: Sequence[tuple[Currency, Any, Any]], *, company: Company | None, base: Currency, actor: Actor
) -> int:
    """Enter or correct many rates at once: ``(currency, date, rate)``; repeating it changes nothing. For providers."""
    actor.require(CurrencyRate, "add")
    rows = [
        CurrencyRate(
            currency=currency,
            date=date,
            rate=rate,
            base=base,
            company=company,
            created_by_id=actor.user_pk,
            updated_by_id=actor.user_pk,
        )
        for currency, date, rate in rates
    ]
    keys = {(row.currency_id, row.date) for row in rows}
    held = {
        (rate.currency_id, rate.date): rate
        for rate in CurrencyRate.objects.filter(
            company=company, currency_id__in={key[0] for key in keys}, date__in={key[1] for key in keys}
        )
    }
    fresh = [row for row in rows if (row.currency_id, row.date) not in held]
    changed = []
    for row in rows:
        known = held.get((row.currency_id, row.date))
        if known is not None and (known.rate != row.rate or known.base_id != row.base_id):
            known.rate, known.base_id, known.version = row.rate, row.base_id, known.version + 1
            changed.append(known)
    with unit_of_work(actor):
        CurrencyRate.objects.bulk_create(fresh)
        CurrencyRate.objects.bulk_update(changed, ["rate", "base", "version"])
    return len(fresh) + len(changed)
