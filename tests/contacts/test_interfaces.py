"""Contacts in REST and the back office."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client as Browser

from apps.access.models import User
from apps.access.services import make_token
from apps.contacts.models import BankAccount, CurrencyRate, Partner
from apps.contacts.services import merge_partners
from apps.core.actor import Actor
from apps.core.models import Country, Currency
from apps.core.records import service_for

pytestmark = pytest.mark.django_db
Make = Callable[..., Partner]


@pytest.fixture
def clerk(make_user: Callable[..., User]) -> User:
    return make_user(
        "keeper@example.com", roles=["contacts.user", "contacts.rates", "contacts.bank_validator"]
    )


@pytest.fixture
def rest(clerk: User) -> Browser:
    secret, _token = make_token(clerk, name="test")
    return Browser(headers={"authorization": f"Bearer {secret}"})


def post(rest: Browser, path: str, data: Any, **extra: Any) -> Any:
    return rest.post(f"/api/v1/{path}", data, content_type="application/json", **extra)


def test_a_partner_through_rest(rest: Browser) -> None:
    made = post(
        rest,
        "contacts/partners/",
        {
            "name": "Acme",
            "is_company": True,
            "tax_id": "123456782B90",
            "country": Country.objects.get(code="NL").pk,
            "phone": "030 555 0142",
        },
    )
    wrong = post(
        rest,
        "contacts/partners/",
        {"name": "Bad", "tax_id": "NL1", "country": Country.objects.get(code="NL").pk},
    )

    body = made.json()
    assert made.status_code == 201
    assert (body["tax_id"], body["phone_e164"], body["complete_name"]) == (
        "NL123456782B90",
        "+31305550142",
        "Acme",
    )
    assert "phone_digits" not in body
    assert wrong.status_code == 400
    assert "NL123456782B90" in wrong.json()["fields"]["tax_id"][0]
    stale = rest.patch(
        f"/api/v1/contacts/partners/{body['id']}/",
        {"name": "X", "version": 99},
        content_type="application/json",
    )
    assert stale.status_code == 412
    found = rest.get("/api/v1/contacts/partners/?search=0142").json()
    assert [row["id"] for row in found["results"]] == [body["id"]]


def test_many_partners_or_none(rest: Browser) -> None:
    refused = post(rest, "contacts/partners/", [{"name": "One"}, {"name": ""}])
    made = post(rest, "contacts/partners/", [{"name": "One"}, {"name": "Two"}])

    assert refused.status_code == 400
    assert made.status_code == 201
    assert Partner.objects.filter(name__in=["One", "Two"]).count() == 2


def test_an_account_through_rest(rest: Browser, make_partner: Make) -> None:
    acme = make_partner("Acme")
    values = {"partner": acme.pk, "number": "BE68 5390 0754 7034"}

    made = post(rest, "contacts/bank-accounts/", values)
    twice = post(rest, "contacts/bank-accounts/", {**values, "number": "BE68539007547034"})
    wrong = post(rest, "contacts/bank-accounts/", {**values, "number": "BE68539007547035"})
    trusted = post(rest, f"contacts/bank-accounts/{made.json()['id']}/actions/trust/", {})

    assert (made.status_code, made.json()["kind"]) == (201, "iban")
    assert (twice.status_code, wrong.status_code) == (409, 400)
    assert trusted.status_code == 200
    assert BankAccount.objects.get().trusted


def test_a_rate_through_rest(rest: Browser) -> None:
    usd = Currency.objects.get(code="USD")

    made = post(rest, "contacts/currency-rates/", {"currency": usd.pk, "date": "2026-11-20", "rate": "1.10"})
    twice = post(rest, "contacts/currency-rates/", {"currency": usd.pk, "date": "2026-11-20", "rate": "1.20"})
    zero = post(rest, "contacts/currency-rates/", {"currency": usd.pk, "date": "2026-11-21", "rate": "0"})

    assert made.status_code == 201
    assert made.json()["base"] == Currency.objects.get(code="EUR").pk
    assert (twice.status_code, zero.status_code) == (409, 400)
    assert CurrencyRate.objects.count() == 1


def test_merging_and_taking_back_through_rest(rest: Browser, make_partner: Make) -> None:
    a, b = make_partner("A"), make_partner("B")

    merged = post(rest, "contacts/partners/actions/merge/", {"ids": [a.pk, b.pk], "destination": b.pk})
    if merged.status_code == 200 and Partner.objects.filter(pk=a.pk).exists():
        pytest.fail(f"bulk actions run one by one: {merged.json()}")

    assert merged.status_code == 200, merged.content
    assert not Partner.objects.filter(pk=a.pk).exists()


def test_duplicates_addresses_and_vcards_through_rest(rest: Browser, make_partner: Make) -> None:
    acme = make_partner("Acme", is_company=True, tax_id="NL123456782B90")
    twin = make_partner("Acme BV", is_company=True, tax_id="NL123456782B90")
    depot = make_partner("", parent=acme, type="delivery", street="Dock 4")
    card = b"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Ann\r\nEMAIL:ann@x.example\r\nEND:VCARD\r\n"

    duplicates = rest.get(f"/api/v1/contacts/partners/{acme.pk}/duplicates/")
    addresses = rest.get(f"/api/v1/contacts/partners/{acme.pk}/addresses/")
    vcard = rest.get(f"/api/v1/contacts/partners/{acme.pk}/vcard/")
    first = rest.post("/api/v1/contacts/partners/import-vcards/", {"file": SimpleUploadedFile("a.vcf", card)})
    again = rest.post("/api/v1/contacts/partners/import-vcards/", {"file": SimpleUploadedFile("a.vcf", card)})
    nothing = rest.post("/api/v1/contacts/partners/import-vcards/", {})

    assert duplicates.json() == [{"id": twin.pk, "complete_name": "Acme BV", "field": "tax_id"}]
    assert addresses.json()["delivery"] == depot.pk
    assert addresses.json()["invoice"] == acme.pk
    assert vcard["Content-Type"].startswith("text/vcard")
    assert b"FN:Acme" in vcard.content
    assert Partner.objects.get(pk=first.json()["ids"][0]).email == "ann@x.example"
    assert (again.json(), nothing.status_code) == ({"ids": [], "known": ["Ann"]}, 400)


def test_nobody_without_right_writes(make_user: Callable[..., User], make_partner: Make) -> None:
    secret, _token = make_token(make_user("reader@example.com"), name="test")
    reader = Browser(headers={"authorization": f"Bearer {secret}"})
    acme = make_partner("Acme")

    assert reader.get(f"/api/v1/contacts/partners/{acme.pk}/").status_code == 200
    assert post(reader, "contacts/partners/", {"name": "X"}).status_code == 403
    assert post(reader, "contacts/partners/actions/merge/", {"ids": [acme.pk]}).status_code == 403
    assert reader.post("/api/v1/contacts/partners/import-vcards/", {}).status_code == 403
    assert Browser().get("/api/v1/contacts/partners/").status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        "contacts/partner",
        "contacts/bankaccount",
        "contacts/partnertag",
        "contacts/industry",
        "contacts/currencyrate",
        "contacts/partnermerge",
    ],
)
def test_the_screens_open(
    path: str, client: Browser, clerk: User, make_partner: Make, clerk_actor: Actor
) -> None:
    merge_partners([make_partner("A"), make_partner("B")], actor=clerk_actor)
    client.force_login(clerk)

    assert client.get(f"/admin/{path}/").status_code == 200
    added = client.get(f"/admin/{path}/add/").status_code
    assert added == (403 if path.endswith("merge") else 200)


def test_a_partner_through_the_back_office(
    client: Browser, clerk: User, make_partner: Make, system: Actor
) -> None:
    acme = make_partner("Acme", is_company=True, tax_id="NL123456782B90")
    make_partner("Bob", parent=acme)
    service_for(BankAccount).create_one({"partner": acme.pk, "number": "1234567"}, actor=system)
    client.force_login(clerk)

    page = client.get(f"/admin/contacts/partner/{acme.pk}/change/")
    listed = client.get("/admin/contacts/partner/?q=acm")

    assert page.status_code == 200
    assert b"NL123456782B90" in page.content
    assert b"Acme, Bob" in listed.content
