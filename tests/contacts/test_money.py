"""Exchange rates by date, conversion to the cent, and a rate that is never guessed."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from apps.access.models import Company
from apps.contacts.models import CurrencyRate
from apps.contacts.selectors import MissingRate, convert, jump_warning, rate_on, rates_on
from apps.contacts.services import set_rates, sync_reference_data
from apps.core.actor import Actor, system_actor
from apps.core.errors import Conflict, ValidationFailed
from apps.core.models import Country, CountryState, Currency
from apps.core.records import service_for
from apps.core.testkit import count_queries

pytestmark = pytest.mark.django_db
DAY = datetime.date(2026, 11, 20)


def currency(code: str) -> Currency:
    return Currency.objects.get(code=code)


def enter(actor: Actor, code: str, rate: str, *, date: datetime.date = DAY, **values: Any) -> CurrencyRate:
    row = {"currency": currency(code), "date": date, "rate": Decimal(rate), **values}
    return service_for(CurrencyRate).create_one(row, actor=actor)


@pytest.fixture
def books(company: Company) -> Actor:
    """Somebody who keeps the rates of a company in euro."""
    return system_actor(company_pk=company.pk)


def test_the_amounts_of_the_specification(company: Company, books: Actor) -> None:
    enter(books, "USD", "1.10")
    enter(books, "GBP", "0.85")
    usd, gbp, eur = currency("USD"), currency("GBP"), currency("EUR")

    assert convert(Decimal(100), usd, eur, company=company, date=DAY) == Decimal("90.91")
    assert convert(Decimal(100), gbp, usd, company=company, date=DAY) == Decimal("129.41")
    assert convert(Decimal("1.005"), eur, eur, company=company, date=DAY) == Decimal("1.01")


def test_the_latest_rate_on_or_before_the_date_counts(company: Company, books: Actor) -> None:
    enter(books, "USD", "1.10", date=DAY)
    enter(books, "USD", "1.20", date=DAY + datetime.timedelta(days=10))
    usd = currency("USD")

    assert rate_on(usd, DAY, company) == Decimal("1.10")
    assert rate_on(usd, DAY + datetime.timedelta(days=9), company) == Decimal("1.10")
    assert rate_on(usd, DAY + datetime.timedelta(days=10), company) == Decimal("1.20")
    assert rate_on(currency("EUR"), DAY, company) == 1


def test_without_a_rate_there_is_a_clear_refusal(company: Company, books: Actor) -> None:
    enter(books, "USD", "1.10")
    before = DAY - datetime.timedelta(days=1)

    with pytest.raises(MissingRate) as refusal:
        rate_on(currency("USD"), before, company)
    with pytest.raises(MissingRate):
        convert(Decimal(1), currency("GBP"), currency("EUR"), company=company, date=DAY)

    assert refusal.value.code == "missing_rate"
    assert "USD on or before 2026-11-19 for Alpha" in refusal.value.message


def test_the_companys_own_rate_comes_before_the_shared_one(company: Company, books: Actor) -> None:
    enter(books, "USD", "1.10")
    enter(books, "USD", "1.15", date=DAY - datetime.timedelta(days=30), company=company.pk)

    assert rate_on(currency("USD"), DAY, company) == Decimal("1.15")


def test_shared_rates_serve_companies_of_other_currencies_through_their_base(
    company: Company, other_company: Company, books: Actor
) -> None:
    enter(books, "USD", "1.25")
    enter(books, "GBP", "0.85")

    assert rate_on(currency("GBP"), DAY, other_company) == Decimal("0.68")  # 0.85 / 1.25
    assert rate_on(currency("EUR"), DAY, other_company) == Decimal("0.8")
    assert convert(
        Decimal(100), currency("EUR"), currency("USD"), company=other_company, date=DAY
    ) == Decimal("125.00")


def test_a_shared_rate_of_another_base_without_the_own_is_refused(
    other_company: Company, company: Company, books: Actor
) -> None:
    enter(books, "GBP", "0.85")

    with pytest.raises(MissingRate):
        rate_on(currency("GBP"), DAY, other_company)


def test_branches_use_the_rates_of_their_company(
    company: Company, make_company: Callable[..., Company], books: Actor
) -> None:
    branch = make_company("Alpha North", parent=company)
    enter(books, "USD", "1.10", company=company.pk)

    assert rate_on(currency("USD"), DAY, branch) == Decimal("1.10")
    with pytest.raises(ValidationFailed) as refusal:
        enter(books, "GBP", "0.85", company=branch.pk)
    assert list(refusal.value.fields) == ["company"]


def test_two_rates_on_one_day_and_a_rate_of_zero_are_refused(company: Company, books: Actor) -> None:
    enter(books, "USD", "1.10")

    with pytest.raises(Conflict) as twice:
        enter(books, "USD", "1.11")
    with pytest.raises(ValidationFailed):
        enter(books, "GBP", "0")
    with pytest.raises(IntegrityError, match="contacts_rate_positive"), transaction.atomic():
        CurrencyRate.objects.create(currency=currency("GBP"), base=currency("EUR"), date=DAY, rate=0)
    with pytest.raises(IntegrityError, match="contacts_rate_once"), transaction.atomic():
        CurrencyRate.objects.create(currency=currency("USD"), base=currency("EUR"), date=DAY, rate=2)

    assert twice.value.message == "This currency has a rate for that day already."
    assert CurrencyRate.objects.count() == 1


def test_postgres_keeps_the_base_of_a_companys_rates(company: Company) -> None:
    with pytest.raises(IntegrityError, match="own currency"), transaction.atomic():
        CurrencyRate.objects.create(
            currency=currency("GBP"), base=currency("USD"), date=DAY, rate=1, company=company
        )
    with pytest.raises(IntegrityError, match="contacts_rate_of_base_is_one"), transaction.atomic():
        CurrencyRate.objects.create(currency=currency("USD"), base=currency("USD"), date=DAY, rate=2)


def test_many_rates_in_one_query(company: Company, books: Actor) -> None:
    for code, rate in (("USD", "1.1"), ("GBP", "0.85"), ("CHF", "0.95")):
        enter(books, code, rate)
    currencies = [currency(code) for code in ("USD", "GBP", "CHF", "EUR")]

    with count_queries() as seen:
        rates = rates_on(currencies, DAY, company)

    assert [rates[c.pk] for c in currencies] == [Decimal("1.1"), Decimal("0.85"), Decimal("0.95"), 1]
    assert len(seen) == 1


def test_entering_rates_again_changes_nothing(company: Company, books: Actor) -> None:
    rates = [(currency("USD"), DAY, Decimal("1.1")), (currency("GBP"), DAY, Decimal("0.85"))]

    first = set_rates(rates, company=None, base=currency("EUR"), actor=books)
    again = set_rates(rates, company=None, base=currency("EUR"), actor=books)
    changed = set_rates(
        [(currency("USD"), DAY, Decimal("1.2"))], company=None, base=currency("EUR"), actor=books
    )

    assert (first, again, changed, CurrencyRate.objects.count()) == (2, 0, 1, 2)
    assert rate_on(currency("USD"), DAY, company) == Decimal("1.2")


def test_a_jump_is_worth_a_warning(company: Company, books: Actor) -> None:
    enter(books, "USD", "1.00", date=DAY - datetime.timedelta(days=1))

    small = enter(books, "USD", "1.20")
    large = enter(books, "USD", "1.50", date=DAY + datetime.timedelta(days=1))

    assert jump_warning(small) == ""
    assert "+25.0 %" in jump_warning(large)


def test_the_currency_of_a_company_stays_active(company: Company, system: Actor) -> None:
    with pytest.raises(Conflict) as refusal:
        service_for(Currency).update([currency("EUR")], {"active": False}, actor=system)
    with pytest.raises(IntegrityError, match="currency of a company"), transaction.atomic():
        Currency.objects.filter(code="EUR").update(active=False)

    assert refusal.value.message == "It is the currency of Alpha and stays active."
    service_for(Currency).update([currency("USD")], {"active": False}, actor=system)
    assert not currency("USD").active


# ------------------------------------------------------------------------------------------------ reference data
def test_the_world_is_loaded() -> None:
    assert Currency.objects.count() > 140
    assert Country.objects.count() == 250
    yen, dinar, franc = (currency(code) for code in ("JPY", "KWD", "CHF"))
    assert (yen.decimals, yen.rounding, dinar.decimals, franc.symbol_before) == (0, 1, 3, True)
    assert (currency("EUR").symbol, currency("EUR").unit_name, currency("EUR").symbol_before) == (
        "€",
        "euro",
        False,
    )
    netherlands = Country.objects.select_related("currency").get(code="NL")
    assert (
        netherlands.currency.code,
        netherlands.phone_code,
        netherlands.is_eu,
        netherlands.tax_id_label,
    ) == (  # type: ignore[union-attr]
        "EUR",
        31,
        True,
        "VAT",
    )
    assert Country.objects.filter(is_eu=True).count() == 27
    assert CountryState.objects.filter(country__code="US").count() == 56
    assert set(Currency.objects.filter(active=True).values_list("code", flat=True)) == {"EUR", "USD"}


def test_loading_again_reads_thrice_and_writes_nothing() -> None:
    with count_queries() as seen:
        written = sync_reference_data()

    assert written == {"currencies": 0, "countries": 0, "states": 0}
    assert len(seen) == 3


def test_what_is_missing_comes_back_and_what_was_changed_stays() -> None:
    Country.objects.filter(code="NL").update(name="Holland")
    CountryState.objects.filter(country__code="CH").delete()
    Country.objects.filter(code="TV").delete()

    written = sync_reference_data()

    assert written == {"currencies": 0, "countries": 1, "states": 26}
    assert Country.objects.get(code="NL").name == "Holland"


def test_address_formats_have_known_placeholders_only(system: Actor) -> None:
    country = Country.objects.get(code="NL")

    for template in ("{street}\n{password}", "{street", "{}"):
        with pytest.raises(ValidationFailed):
            service_for(Country).update([country], {"address_format": template}, actor=system)

    assert "password" not in Country.objects.get(code="NL").address_format
