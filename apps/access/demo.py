"""Demo data: two sister companies and the people who work for them. Each login is its own password.

Noordlicht Instruments in Utrecht builds laboratory instruments and keeps its books in euro; Harbor & Pine in
Portland sells and services them in the United States, in dollars.
"""

from __future__ import annotations

from typing import Any

from apps.access.constants import UserKind
from apps.access.models import Company, Role, User
from apps.access.services.users import create_user
from apps.core.actor import Actor
from apps.core.models import Country, CountryState, Currency
from apps.core.records import service_for

EUROPE = "Noordlicht Instruments"
AMERICA = "Harbor & Pine"

COMPANIES: tuple[dict[str, Any], ...] = (
    {
        "name": EUROPE,
        "currency": "EUR",
        "country": "NL",
        "street": "Biltstraat 101",
        "zip": "3572 AP",
        "city": "Utrecht",
        "email": "hello@noordlicht.example",
        "phone": "+31 30 555 0142",
        "website": "https://noordlicht.example",
        "tax_id": "NL004495445B01",
        "registry": "30114920",
        "timezone": "Europe/Amsterdam",
        "primary_color": "#1f4e79",
        "secondary_color": "#c77d2e",
        "report_header": "Instruments for laboratories that look closely",
        "sequence": 1,
    },
    {
        "name": AMERICA,
        "currency": "USD",
        "country": "US",
        "state": "OR",
        "street": "2210 NW Thurman Street",
        "zip": "97210",
        "city": "Portland",
        "email": "hello@harborpine.example",
        "phone": "+1 503 555 0117",
        "website": "https://harborpine.example",
        "timezone": "America/Los_Angeles",
        "primary_color": "#2f5d50",
        "secondary_color": "#8a5a44",
        "report_header": "Sales and service of Noordlicht instruments",
        "sequence": 2,
    },
)

# login, name, companies (the first is the default), roles; roles of modules that do not run are left out.
STAFF: tuple[tuple[str, str, tuple[str, ...], tuple[str, ...]], ...] = (
    (
        "admin",
        "Ada Vermeer",
        (EUROPE, AMERICA),
        ("access.administrator", "projects.manager", "contacts.user"),
    ),
    ("petra", "Petra de Wit", (EUROPE, AMERICA), ("projects.manager", "contacts.user", "access.export")),
    ("jonas", "Jonas Lindqvist", (EUROPE,), ("projects.user", "contacts.user")),
    ("mei", "Mei Tanaka", (EUROPE,), ("projects.user",)),
    ("carlos", "Carlos Ortega", (AMERICA,), ("projects.manager", "contacts.user")),
    ("dana", "Dana Whitfield", (AMERICA,), ("projects.user",)),
    ("guest", "Gus Treadwell", (EUROPE,), ()),
)


def load(size: str, *, actor: Actor) -> None:
    """Companies and staff that are not there yet; nothing that is there changes."""
    companies = _companies(actor)
    _staff(companies, actor)


def _companies(actor: Actor) -> dict[str, Company]:
    held = {company.name: company for company in Company.objects.all()}
    for values in COMPANIES:
        if values["name"] in held:
            continue
        country = Country.objects.get(code=values["country"])
        row = {
            **values,
            "currency": Currency.objects.get(code=values["currency"]).pk,
            "country": country.pk,
        }
        if "state" in values:
            row["state"] = CountryState.objects.get(country=country, code=values["state"]).pk
        held[values["name"]] = service_for(Company).create_one(row, actor=actor)
    return held


def _staff(companies: dict[str, Company], actor: Actor) -> None:
    held = set(User.objects.values_list("login", flat=True))
    known = set(Role.objects.filter(missing=False).values_list("code", flat=True))
    for login, name, where, roles in STAFF:
        if login in held:
            continue
        company = companies[where[0]]
        domain = "noordlicht.example" if where[0] == EUROPE else "harborpine.example"
        user = create_user(
            login,
            name=name,
            kind=UserKind.INTERNAL,
            email=f"{login}@{domain}",
            company=company,
            companies=[companies[item].pk for item in where],
            roles=[code for code in roles if code in known],
            timezone=company.timezone,
            notification="inbox" if login == "admin" else "email",
            actor=actor,
        )
        set_demo_password(user)


def set_demo_password(user: User) -> None:
    """The login as password, past the policy: demo data is refused in production."""
    user.set_password(user.login)
    user.save(update_fields=["password"])
