"""Demo data: customers of the two companies, their people, and those who sign in to the portal.

Each portal login is its own password. ``portal`` is Ingrid of the university hospital, who writes to support.
"""

from __future__ import annotations

import datetime
from decimal import Decimal

from apps.access.constants import UserKind
from apps.access.models import Company, User
from apps.access.services.users import create_user
from apps.contacts.models import CurrencyRate, Partner
from apps.core.actor import Actor
from apps.core.models import Country, Currency
from apps.core.records import service_for

EUROPE = "Noordlicht Instruments"
AMERICA = "Harbor & Pine"

# name, company that knows it, country, city, e-mail, phone; its people: name, e-mail, job, portal login
CUSTOMERS: tuple[tuple[str, str, str, str, str, str, tuple[tuple[str, str, str, str], ...]], ...] = (
    (
        "Universitair Ziekenhuis Lelie",
        EUROPE,
        "NL",
        "Leiden",
        "inkoop@lelie.example",
        "+31 71 555 0101",
        (
            ("Ingrid Bakker", "ingrid@lelie.example", "Head of the laboratory", "portal"),
            ("Thijs Mulder", "thijs@lelie.example", "Technician", "thijs"),
        ),
    ),
    (
        "Brouwerij De Haan",
        EUROPE,
        "BE",
        "Gent",
        "info@dehaan.example",
        "+32 9 555 01 22",
        (("Lieve Claes", "lieve@dehaan.example", "Quality", "lieve"),),
    ),
    (
        "Färberei Lindner",
        EUROPE,
        "DE",
        "Augsburg",
        "kontakt@lindner.example",
        "+49 821 555 0133",
        (("Jürgen Lindner", "juergen@lindner.example", "Owner", ""),),
    ),
    (
        "Cascade Water Authority",
        AMERICA,
        "US",
        "Salem",
        "office@cascadewater.example",
        "+1 503 555 0144",
        (("Ruth Okafor", "ruth@cascadewater.example", "Field services", "ruth"),),
    ),
    (
        "Blue Heron Labs",
        AMERICA,
        "US",
        "Eugene",
        "hello@blueheron.example",
        "+1 541 555 0155",
        (("Sam Whitlock", "sam@blueheron.example", "Purchasing", ""),),
    ),
)
RATES = (("USD", "1.0850"), ("GBP", "0.8420"), ("CHF", "0.9510"))


def load(size: str, *, actor: Actor) -> None:
    """Contacts, portal users and a first rate a currency; nothing that is there changes."""
    companies = {company.name: company for company in Company.objects.filter(name__in=(EUROPE, AMERICA))}
    for name, owner, country, city, email, phone, people in CUSTOMERS:
        if Partner.objects.filter(name=name, is_company=True).exists():
            continue
        company = companies[owner]
        entity = service_for(Partner).create_one(
            {
                "name": name,
                "is_company": True,
                "company": company,
                "country": Country.objects.get(code=country),
                "city": city,
                "street": "Main street 1" if country == "US" else "Marktplein 1",
                "email": email,
                "phone": phone,
                "customer_rank": 1,
            },
            actor=actor,
        )
        _people(entity, company, people, actor)
    _rates(companies[EUROPE], actor)


def _people(
    entity: Partner, company: Company, people: tuple[tuple[str, str, str, str], ...], actor: Actor
) -> None:
    from apps.access.demo import set_demo_password

    for name, email, job, login in people:
        person = service_for(Partner).create_one(
            {"name": name, "email": email, "job_position": job, "parent": entity, "company": company},
            actor=actor,
        )
        if login and not User.objects.filter(login=login).exists():
            user = create_user(
                login,
                name=name,
                kind=UserKind.PORTAL,
                email=email,
                company=company,
                companies=[company.pk],
                timezone=company.timezone,
                links={"partner": person.pk},
                actor=actor,
            )
            set_demo_password(user)


def _rates(company: Company, actor: Actor) -> None:
    start = datetime.date(2026, 1, 1)
    for code, rate in RATES:
        currency = Currency.objects.get(code=code)
        if not CurrencyRate.objects.filter(currency=currency, date=start).exists():
            service_for(CurrencyRate).create_one(
                {"currency": currency, "base": company.currency_id, "date": start, "rate": Decimal(rate)},
                actor=actor,
            )
