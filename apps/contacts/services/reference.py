"""Loading currencies, countries and states into the tables of the kernel, after ``migrate``.

Names, symbols and which money is used where come from the CLDR data in Babel, telephone codes from libphonenumber,
the rest from ``apps.contacts.world``. Only missing rows are added: what somebody changed stays changed.
"""

from __future__ import annotations

import datetime
from decimal import Decimal
from functools import cache, lru_cache
from typing import Any

import phonenumbers
from babel import Locale, UnknownLocaleError
from babel.core import get_global
from babel.languages import get_official_languages
from babel.numbers import get_currency_symbol
from django.db import connections, transaction

from apps.contacts import world
from apps.contacts.identifiers import EU_COUNTRIES
from apps.core.models import Country, CountryState, Currency

SYNC_LOCK = 0x636F6E74


@lru_cache(maxsize=1)
def _tender() -> dict[str, str]:
    """Country -> the currency that is money there today (CLDR)."""
    today = datetime.datetime.now(datetime.UTC).timetuple()[:3]
    found: dict[str, str] = {}
    for territory, entries in get_global("territory_currencies").items():
        for code, start, end, tender in reversed(entries):  # the latest first
            if tender and (end is None or tuple(end) >= today) and (start is None or tuple(start) <= today):
                found[territory] = code
                break
    return found


def currency_codes() -> list[str]:
    """Every currency that is legal tender somewhere today."""
    return sorted(set(_tender().values()))


@cache
def currency_row(code: str) -> dict[str, Any]:
    """What is known of one currency. The first look at one reads a locale, so only missing ones are looked at."""
    english = Locale.parse("en")
    digits = world.MINOR_UNITS.get(code, 2)
    return {
        "name": english.currencies.get(code, code),
        "symbol": get_currency_symbol(code, "en")[:8],
        "symbol_before": _symbol_before(code),
        "decimals": digits,
        "rounding": Decimal(1).scaleb(-digits),
        "unit_name": english._data["currency_names_plural"].get(code, {}).get("one", "")[:40],
        "subunit_name": world.SUBUNITS.get(code, ""),
        "active": code in world.ACTIVE_CURRENCIES,
    }


def _symbol_before(code: str) -> bool:
    """As it is written in the country of the currency."""
    home = world.CURRENCY_HOME.get(code, code[:2])
    languages = get_official_languages(home, de_facto=True) or ("en",)
    try:
        pattern = Locale.parse(f"{languages[0]}_{home}").currency_formats["standard"].pattern
    except (UnknownLocaleError, ValueError):
        return True
    return pattern.index("¤") < pattern.index("0")


@lru_cache(maxsize=1)
def country_rows() -> dict[str, dict[str, Any]]:
    """Every country of ISO 3166 (and Kosovo), by code; ``currency`` is a code."""
    default = Country._meta.get_field("address_format").default
    rows = {}
    for code, name in Locale.parse("en").territories.items():
        if len(code) != 2 or not code.isalpha() or code in world.NOT_COUNTRIES:
            continue
        rows[code] = {
            "name": name[:80],
            "currency": _tender().get(code),
            "phone_code": phonenumbers.country_code_for_region(code) or None,
            "address_format": world.ADDRESS_FORMATS.get(code, default),
            "state_required": code in world.STATE_REQUIRED,
            "zip_required": code in world.ZIP_REQUIRED,
            "tax_id_label": world.TAX_ID_LABELS.get(code, ""),
            "is_eu": code in EU_COUNTRIES,
        }
    return rows


def sync_reference_data(*, using: str = "default") -> dict[str, int]:
    """Add what is missing; answers how many rows of each. Three reads when nothing is."""
    known_currencies = dict(Currency.objects.using(using).values_list("code", "pk"))
    known_countries = dict(Country.objects.using(using).values_list("code", "pk"))
    known_states = set(CountryState.objects.using(using).values_list("country__code", "code"))
    new_currencies = [code for code in currency_codes() if code not in known_currencies]
    new_countries = [code for code in country_rows() if code not in known_countries]
    new_states = [
        (country, code, name)
        for country, listed in world.states().items()
        for code, name in listed
        if (country, code) not in known_states
    ]
    if not (new_currencies or new_countries or new_states):
        return {"currencies": 0, "countries": 0, "states": 0}
    with transaction.atomic(using=using):
        with connections[using].cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [SYNC_LOCK])
        Currency.objects.using(using).bulk_create(
            [Currency(code=code, **currency_row(code)) for code in new_currencies], ignore_conflicts=True
        )
        currencies = dict(Currency.objects.using(using).values_list("code", "pk"))
        Country.objects.using(using).bulk_create(
            [
                Country(
                    code=code,
                    currency_id=currencies.get(country_rows()[code]["currency"] or ""),
                    **_plain(code),
                )
                for code in new_countries
            ],
            ignore_conflicts=True,
        )
        countries = dict(Country.objects.using(using).values_list("code", "pk"))
        CountryState.objects.using(using).bulk_create(
            [
                CountryState(country_id=countries[country], code=code, name=name)
                for country, code, name in new_states
            ],
            ignore_conflicts=True,
        )
    return {"currencies": len(new_currencies), "countries": len(new_countries), "states": len(new_states)}


def _plain(code: str) -> dict[str, Any]:
    return {name: value for name, value in country_rows()[code].items() if name != "currency"}


def sync_after_migrate(*, using: str = "default", **_kwargs: Any) -> None:
    """Receiver of ``post_migrate``; does nothing while the tables are not there."""
    connection = connections[using]
    with connection.cursor() as cursor:
        tables = set(connection.introspection.table_names(cursor))
    if {model._meta.db_table for model in (Currency, Country, CountryState)} <= tables:
        sync_reference_data(using=using)
