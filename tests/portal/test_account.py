"""One's own details, and the end of one's own login."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client

from apps.access.models import User, UserSession
from apps.access.services import allow
from apps.contacts.models import Partner
from apps.portal.hooks import collect_frozen_account_fields
from tests.portal.conftest import PASSWORD, signed_in


@pytest.fixture
def filled(world: SimpleNamespace, land: SimpleNamespace) -> dict[str, Any]:
    return {
        "name": "Pia Prime",
        "email": "pia@prime.example",
        "phone": "+49 89 1234567",
        "street": "Main street 1",
        "street2": "",
        "zipcode": "80331",
        "city": "Munich",
        "country_id": str(land.first.pk),
        "state_id": str(land.state.pk),
        "version": str(Partner.objects.get(pk=world.partner.pk).version),
    }


def unchanged(world: SimpleNamespace) -> bool:
    now = Partner.objects.get(pk=world.partner.pk)
    return (now.name, now.email, now.city, now.street) == ("Pia", "pia@example.com", "", "")


def texts(response: Any) -> list[str]:
    found = list(response.context["errors"])
    return found + [text for errors in response.context["form"].errors.values() for text in errors]


def test_the_page_shows_what_is_known(pia: Client) -> None:
    response = pia.get("/my/account")

    assert response.status_code == 200
    assert response["X-Frame-Options"] == "SAMEORIGIN"
    assert "frame-ancestors 'self'" in response["Content-Security-Policy"]
    assert response.context["form"].initial["email"] == "pia@example.com"


def test_a_customer_changes_his_details(pia: Client, world: SimpleNamespace, filled: dict[str, Any]) -> None:
    response = pia.post("/my/account", filled)

    assert (response.status_code, response["Location"]) == (303, "/my")
    now = Partner.objects.get(pk=world.partner.pk)
    assert (now.name, now.email, now.street, now.zip, now.city) == (
        "Pia Prime", "pia@prime.example", "Main street 1", "80331", "Munich",
    )  # fmt: skip
    assert (str(now.country_id), str(now.state_id)) == (filled["country_id"], filled["state_id"])
    assert now.updated_by_id == world.users.pia.pk


def test_the_login_and_the_address_of_password_mails_never_change(
    pia: Client, world: SimpleNamespace, filled: dict[str, Any]
) -> None:
    pia.post("/my/account", filled)

    user = User.objects.get(pk=world.users.pia.pk)
    assert (user.login, user.email, user.name) == ("pia", "pia@example.com", "Pia Prime")


@pytest.mark.parametrize("field", ["name", "email", "phone", "street", "city", "country_id"])
def test_mandatory_fields(field: str, pia: Client, world: SimpleNamespace, filled: dict[str, Any]) -> None:
    for data in ({**filled, field: ""}, {key: value for key, value in filled.items() if key != field}):
        response = pia.post("/my/account", data)
        assert response.status_code == 400
        assert field in response.context["form"].errors

    assert unchanged(world)


@pytest.mark.parametrize(
    "field", ["login", "user", "parent", "is_company", "credit_limit", "id", "pk", "company", "active"]
)
def test_unknown_fields_are_refused_by_name(
    field: str, pia: Client, world: SimpleNamespace, filled: dict[str, Any]
) -> None:
    response = pia.post("/my/account", {**filled, field: "1"})

    assert response.status_code == 400
    assert texts(response) == [f"Unknown field: {field}"]
    assert unchanged(world)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "not an address"),
        ("email", "a@b@c.example"),
        ("country_id", "999999999"),
        ("country_id", "x"),
        ("country_id", "9" * 40),
        ("state_id", "999999999"),
        ("name", "x" * 201),
        ("version", "x"),
        ("version", "²"),
    ],
)
def test_values_that_cannot_be_are_refused(
    field: str, value: str, pia: Client, world: SimpleNamespace, filled: dict[str, Any]
) -> None:
    response = pia.post("/my/account", {**filled, field: value})

    assert response.status_code == 400
    assert texts(response)
    assert unchanged(world)


def test_a_state_lies_in_its_country(
    pia: Client, world: SimpleNamespace, filled: dict[str, Any], land: SimpleNamespace
) -> None:
    response = pia.post("/my/account", {**filled, "state_id": str(land.other_state.pk)})

    assert response.status_code == 400
    assert "state_id" in response.context["form"].errors
    assert unchanged(world)


def test_states_follow_the_country(pia: Client, visitor: Client, land: SimpleNamespace) -> None:
    found = pia.get(f"/my/account/states?country={land.second.pk}").json()["states"]

    assert {"pk": land.other_state.pk, "name": land.other_state.name} in found
    assert land.state.pk not in [state["pk"] for state in found]
    for nonsense in ("", "x", "²", "9" * 40):
        assert pia.get("/my/account/states", {"country": nonsense}).json() == {"states": []}
    assert visitor.get("/my/account/states").status_code == 303


def test_somebody_else_was_faster(pia: Client, world: SimpleNamespace, filled: dict[str, Any]) -> None:
    pia.post("/my/account", filled)

    late = pia.post("/my/account", {**filled, "city": "Berlin"})

    assert late.status_code == 400
    assert texts(late)
    assert Partner.objects.get(pk=world.partner.pk).city == "Munich"


def test_the_tax_id_belongs_to_the_organisation(
    pia: Client, world: SimpleNamespace, filled: dict[str, Any]
) -> None:
    assert pia.get("/my/account").context["form"].fields["vat"].disabled

    response = pia.post("/my/account", {**filled, "vat": "DE136695976"})

    assert response.status_code == 400
    assert texts(response) == ["Tax id cannot be changed here."]
    assert unchanged(world)


def test_a_person_without_an_organisation_has_his_own_tax_id(
    pia: Client, world: SimpleNamespace, filled: dict[str, Any]
) -> None:
    Partner.objects.filter(pk=world.partner.pk).update(parent=None)
    filled["version"] = str(Partner.objects.get(pk=world.partner.pk).version)

    bad = pia.post("/my/account", {**filled, "vat": "DE136695977"})
    good = pia.post("/my/account", {**filled, "vat": "DE136695976", "company_name": "Pia's shop"})

    assert (bad.status_code, good.status_code) == (400, 303)
    assert "vat" in bad.context["form"].errors
    now = Partner.objects.get(pk=world.partner.pk)
    assert (now.tax_id, now.company_name) == ("DE136695976", "Pia's shop")


def test_other_modules_hold_on_to_fields(pia: Client, world: SimpleNamespace, filled: dict[str, Any]) -> None:
    def invoiced(*, partner: Partner, actor: Any) -> set[str]:
        return {"name"}

    collect_frozen_account_fields.register(invoiced)
    try:
        refused = pia.post("/my/account", filled)
        allowed = pia.post("/my/account", {**filled, "name": "Pia"})
    finally:
        collect_frozen_account_fields.unregister(invoiced)

    assert texts(refused) == ["Name cannot be changed here."]
    assert allowed.status_code == 303
    now = Partner.objects.get(pk=world.partner.pk)
    assert (now.name, now.city) == ("Pia", "Munich")


AWAY = [
    "https://evil.example/", "//evil.example", "/\\evil.example", "\\\\evil.example", "///evil.example", "javascript:alert(1)",
    "http:evil.example", "/\t/evil.example", "/\n/evil.example", "http://testserver@evil.example/", " //evil.example",
    "%2f%2fevil.example", "evil.example", "http://testserver/my", "/my\r\nSet-Cookie: a=b",
]  # fmt: skip


@pytest.mark.parametrize("wanted", AWAY)
def test_redirects_stay_on_this_site(wanted: str, pia: Client, filled: dict[str, Any]) -> None:
    response = pia.post("/my/account", {**filled, "redirect": wanted})

    assert (response.status_code, response["Location"]) == (303, "/my")
    assert pia.get("/my/account", {"redirect": wanted}).context["redirect"] == ""


def test_a_local_redirect_is_honoured(pia: Client, filled: dict[str, Any]) -> None:
    response = pia.post("/my/account", {**filled, "redirect": "/my/samples?sortby=name"})

    assert (response.status_code, response["Location"]) == (303, "/my/samples?sortby=name")


def test_forged_requests_change_nothing(world: SimpleNamespace, filled: dict[str, Any]) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(world.users.pia)

    assert strict.post("/my/account", filled).status_code == 403
    assert (
        strict.post("/my/deactivate_account", {"validation": "pia", "password": PASSWORD}).status_code == 403
    )
    assert unchanged(world)
    assert User.objects.get(pk=world.users.pia.pk).active


# ---------------------------------------------------------------------------------------------------------- leaving
def leave(client: Client, **given: str) -> Any:
    return client.post("/my/deactivate_account", {"validation": "pia", "password": PASSWORD, **given})


def test_a_customer_closes_his_account(world: SimpleNamespace) -> None:
    here, elsewhere = Client(), Client()
    for client in (here, elsewhere):
        client.post("/web/login", {"login": "pia", "password": PASSWORD})
        assert client.get("/my").status_code == 200

    response = leave(here)

    assert response.status_code == 200
    assert "Your account is closed" in response.content.decode()
    user = User.objects.get(pk=world.users.pia.pk)
    assert not user.active
    assert user.login.startswith(f"__deleted_user_{user.pk}_")
    assert not user.has_usable_password() or not user.check_password(PASSWORD)
    assert not UserSession.objects.filter(user=user).exists()
    for client in (here, elsewhere):
        assert client.get("/my")["Location"] == "/web/login?redirect=%2Fmy"
    again = Client()
    again.post("/web/login", {"login": "pia", "password": PASSWORD})
    assert again.get("/my").status_code == 303
    assert Partner.objects.filter(pk=world.partner.pk).exists(), "the contact stays with the company"


@pytest.mark.parametrize(
    "given",
    [
        {"validation": "rob"},
        {"validation": ""},
        {"password": "wrong"},
        {"password": ""},
        {"validation": "Pia"},
    ],
)
def test_leaving_takes_login_and_password(given: dict[str, str], pia: Client, world: SimpleNamespace) -> None:
    response = leave(pia, **given)

    gone = given == {"validation": "Pia"}  # logins do not care about capitals
    assert response.status_code == (200 if gone else 400)
    assert User.objects.get(pk=world.users.pia.pk).active is not gone


def test_guessing_the_password_is_slowed_down(pia: Client, world: SimpleNamespace) -> None:
    for _attempt in range(10):
        assert allow("deactivate", str(world.users.pia.pk), limit=10, seconds=3600)

    response = leave(pia)

    assert response.status_code == 429
    assert User.objects.get(pk=world.users.pia.pk).active


def test_employees_do_not_close_accounts_of_the_company(world: SimpleNamespace) -> None:
    world.users.ann.set_password(PASSWORD)
    world.users.ann.save(update_fields=["password"])
    client = signed_in(world.users.ann)

    response = client.post("/my/deactivate_account", {"validation": "ann", "password": PASSWORD})

    assert response.status_code == 409
    user = User.objects.get(pk=world.users.ann.pk)
    assert (user.active, user.login) == (True, "ann")
    assert client.get("/my").status_code == 200
