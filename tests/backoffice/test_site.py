"""The site: who gets in, menus, search, autocomplete, refusals, headers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.access.models import Company, User
from apps.backoffice.hooks import collect_buttons, collect_cards, collect_counters, collect_tabs
from apps.backoffice.types import Button, Card, Counter, Tab
from apps.core.models import Country, CountryState, Currency, Sequence
from apps.core.rules import rule, unregister
from tests.backoffice.conftest import SPARE_CODES

pytestmark = pytest.mark.django_db


# ----------------------------------------------------------------------------------------------------- getting in
def test_a_stranger_is_sent_to_sign_in_and_back(client: Client) -> None:
    response = client.get("/admin/core/currency/?q=eur")

    assert response.status_code == 302
    assert response["Location"] == "/web/login?redirect=%2Fadmin%2Fcore%2Fcurrency%2F%3Fq%3Deur"


@pytest.mark.parametrize(
    ("wanted", "target"),
    [("/admin/core/currency/", "%2Fadmin%2Fcore%2Fcurrency%2F"), ("https://evil.example/", "%2Fadmin%2F"),
     ("//evil.example/", "%2Fadmin%2F"), ("", "%2Fadmin%2F")],
)  # fmt: skip
def test_the_login_address_leads_to_the_one_sign_in(client: Client, wanted: str, target: str) -> None:
    response = client.get("/admin/login/", {"next": wanted})

    assert response["Location"] == f"/web/login?redirect={target}"


def test_a_portal_user_stays_out(make_user: Callable[..., User], sign_in: Callable[[User], Client]) -> None:
    browser = sign_in(make_user(kind="portal"))

    response = browser.get("/admin/")

    assert response.status_code == 403
    assert "The back office is for employees." in response.content.decode()
    assert browser.get(reverse("admin:core_currency_changelist")).status_code == 403
    assert browser.get(reverse("admin:autocomplete"), {"target": "core.currency"}).status_code == 403


def test_the_dashboard_opens_with_its_policy(admin: Client) -> None:
    response = admin.get("/admin/")

    assert response.status_code == 200
    assert "script-src 'self' 'unsafe-eval'" in response["Content-Security-Policy"]
    assert "no-store" in response["Cache-Control"] or "no-cache" in response["Cache-Control"]


# ---------------------------------------------------------------------------------------------------------- menus
def links(browser: Client) -> dict[str, list[str]]:
    groups = browser.get("/admin/").context["sidebar_navigation"]
    return {str(group["title"]): [item["link"] for item in group["items"]] for group in groups}


def test_the_menu_holds_what_one_may_view(
    admin: Client, make_user: Callable[..., User], sign_in: Callable[[User], Client]
) -> None:
    reader = sign_in(make_user({"core.sequence": "view"}))

    assert reverse("admin:core_outboxevent_changelist") in links(admin)["Technical"]
    assert reverse("admin:core_sequence_changelist") in links(reader)["Technical"]
    assert reverse("admin:core_outboxevent_changelist") not in links(reader)["Technical"]
    assert reverse("admin:modules") not in links(reader)["Technical"]


def test_every_menu_entry_opens(admin: Client) -> None:
    # An entry may lead on, such as to the one record of its kind.
    opened = {
        link: admin.get(link, follow=True).status_code for group in links(admin).values() for link in group
    }

    assert len(opened) > 5
    assert set(opened.values()) == {200}, opened


def test_technical_pages_need_their_role(
    admin: Client, make_user: Callable[..., User], sign_in: Callable[[User], Client]
) -> None:
    nobody = sign_in(make_user())

    assert (admin.get("/admin/modules/").status_code, nobody.get("/admin/modules/").status_code) == (200, 403)
    assert (admin.get("/admin/settings/").status_code, nobody.get("/admin/settings/").status_code) == (
        200,
        403,
    )


# ------------------------------------------------------------------------------------------------------- refusals
def test_a_script_that_asks_for_json_is_refused_in_json(
    client: Client, make_user: Callable[..., User], sign_in: Callable[[User], Client]
) -> None:
    url = reverse("admin:core_sequence_changelist")
    asked = {"Accept": "application/json"}

    stranger = client.get(url, headers=asked)
    customer = sign_in(make_user(kind="portal")).get(url, headers=asked)
    clerk = sign_in(make_user()).get(url, headers=asked)

    assert [(answer.status_code, answer.json()["code"]) for answer in (stranger, customer, clerk)] == [
        (401, "not_authenticated"),
        (403, "permission_denied"),
        (403, "permission_denied"),
    ]
    assert clerk.json()["message"] and clerk.json()["fields"] == {}


def test_a_refusal_names_kind_and_operation_and_to_administrators_the_rule(
    admin: Client,
    boss: User,
    company: Company,
    make_user: Callable[..., User],
    sign_in: Callable[[User], Client],
) -> None:
    kept = Sequence.objects.create(code="tests.kept", title="Kept", company=company)

    @rule(Sequence, mandatory=True, ops=("change",))
    def nobody_changes(actor: Any, op: str) -> Any:
        from django.db.models import Q

        return ~Q(pk=kept.pk)

    try:
        url = reverse("admin:core_sequence_change", args=[kept.pk])
        by_boss = admin.post(url, {"title": "x"})
        by_clerk = sign_in(make_user({"core.sequence": "view change"})).post(url, {"title": "x"})
    finally:
        unregister(nobody_changes)

    kept.refresh_from_db()
    assert kept.title == "Kept"
    assert (by_boss.status_code, by_clerk.status_code) == (403, 403)
    assert "right &#x27;change&#x27; on this sequence" in by_clerk.content.decode()
    assert "nobody_changes" in by_boss.content.decode()
    assert "nobody_changes" not in by_clerk.content.decode()


def test_nonsense_in_the_address_is_no_server_error(admin: Client) -> None:
    base = reverse("admin:core_sequence_changelist")
    seen = {
        path: admin.get(path).status_code
        for path in (
            f"{base}abc/change/",
            f"{base}99999999999999999999999999/change/",
            f"{base}?company__nothing=1",
            f"{base}?p=x",
            f"{base}?o=99.-1.x",
            f"{base}?company__id__exact=abc",
            f"{base}?q=%00",
            f"{base}1/actions/nothing/",
            f"{base}?_to_field=password",
            reverse("admin:autocomplete") + "?target=nothing.there",
            reverse("admin:autocomplete") + "?target=core.currency&page=abc&term=%25",
        )
    }

    assert all(status < 500 for status in seen.values()), seen


# --------------------------------------------------------------------------------------------------- autocomplete
def offered(browser: Client, **query: str) -> Any:
    response = browser.get(reverse("admin:autocomplete"), query)
    return (
        response
        if response.status_code != 200
        else [row["text"] for row in json.loads(response.content)["results"]]
    )


def test_autocomplete_offers_what_one_may_see(
    company: Company,
    other_company: Company,
    make_user: Callable[..., User],
    sign_in: Callable[[User], Client],
) -> None:
    Sequence.objects.create(code="tests.mine", title="Mine", company=company)
    Sequence.objects.create(code="tests.theirs", title="Theirs", company=other_company)
    Sequence.objects.create(code="tests.gone", title="Gone", company=company, active=False)
    browser = sign_in(make_user({"core.sequence": "view"}))

    assert offered(browser, target="core.sequence", term="tests.") == ["Mine"]
    assert offered(browser, target="core.sequence", term="theirs") == []


def test_autocomplete_refuses_kinds_one_may_not_view(
    make_user: Callable[..., User], sign_in: Callable[[User], Client]
) -> None:
    browser = sign_in(make_user())

    assert offered(browser, target="core.outboxevent").status_code == 403
    assert (
        offered(browser, app_label="core", model_name="outboxdelivery", field_name="event").status_code == 403
    )
    assert offered(browser, app_label="access", model_name="user", field_name="password").status_code == 404


def test_autocomplete_searches_and_pages(admin: Client) -> None:
    for number in range(25):
        Country.objects.create(code=SPARE_CODES[number], name=f"Land of {number:02}")

    first = json.loads(
        admin.get(reverse("admin:autocomplete"), {"target": "core.country", "term": "land of"}).content
    )
    second = json.loads(
        admin.get(
            reverse("admin:autocomplete"), {"target": "core.country", "term": "land of", "page": "2"}
        ).content
    )

    assert (len(first["results"]), first["pagination"]["more"]) == (20, True)
    assert (len(second["results"]), second["pagination"]["more"]) == (5, False)
    assert offered(admin, source="core.countrystate.country", term="land of 07") == ["Land of 07"]


# ---------------------------------------------------------------------------------------------------------- search
def test_the_palette_finds_screens_and_only_what_one_may_see(
    admin: Client, make_user: Callable[..., User], sign_in: Callable[[User], Client]
) -> None:
    page = admin.get(reverse("admin:search"), {"s": "sequen"}).content.decode()
    reader = sign_in(make_user()).get(reverse("admin:search"), {"s": "sequen"}).content.decode()

    assert reverse("admin:core_sequence_changelist") in page
    assert reverse("admin:core_sequence_changelist") not in reader
    assert admin.get(reverse("admin:search"), {"s": " "}).content == b""


# ----------------------------------------------------------------------------------------------------------- hooks
def test_modules_add_tabs_buttons_cards_and_counters(admin: Client, euro: Currency) -> None:
    def tab(model: Any, record: Any, actor: Any) -> Tab | None:
        return (
            Tab(key="extra", title="Extra tab", html="<p>Inside</p>", count=3) if model is Currency else None
        )

    def button(model: Any, record: Any, actor: Any) -> list[Button]:
        return [Button(key="go", title="Go there", url="/admin/?x=1", count=7)]

    def card(actor: Any) -> Card:
        return Card(key="tests", title="Test card", value=42)

    def counter(actor: Any) -> Counter:
        return Counter(key="tests", title="Test things", url="/admin/", icon="inbox", value=5)

    hooks = (
        (collect_tabs, tab),
        (collect_buttons, button),
        (collect_cards, card),
        (collect_counters, counter),
    )
    for hook, handler in hooks:
        hook.register(handler)
    try:
        form = admin.get(reverse("admin:core_currency_change", args=[euro.pk])).content.decode()
        home = admin.get("/admin/").content.decode()
        counters = admin.get(reverse("admin:counters")).content.decode()
    finally:
        for hook, handler in hooks:
            hook.unregister(handler)

    assert "Extra tab" in form
    assert "<p>Inside</p>" in form
    assert "Go there" in form
    assert "Test card" in home
    assert "42" in home
    assert "Test things" in counters
    assert ">5<" in counters


# -------------------------------------------------------------------------------------------------- hidden linked records
def test_a_linked_record_one_may_not_see_is_not_named(
    euro: Currency, make_user: Callable[..., User], sign_in: Callable[[User], Client]
) -> None:
    hidden = Country.objects.create(code="QH", name="Hiddenland", currency=euro)
    state = CountryState.objects.create(country=hidden, code="N", name="North Hidden")

    @rule(Country, mandatory=True)
    def not_the_hidden_one(actor: Any, op: str) -> Any:
        from django.db.models import Q

        return ~Q(pk=hidden.pk)

    try:
        editor = sign_in(make_user({"core.countrystate": "view change export", "core.country": "view"}))
        reader = sign_in(make_user({"core.countrystate": "view", "core.country": "view"}))
        url = reverse("admin:core_countrystate_change", args=[state.pk])
        pages = [
            editor.get(reverse("admin:core_countrystate_changelist") + "?q=North+Hidden").content.decode(),
            editor.get(url).content.decode(),
            reader.get(url).content.decode(),
            b"".join(
                editor.post(
                    reverse("admin:core_countrystate_export"), {"field": ["name", "country"], "format": "csv"}
                ).streaming_content
            ).decode(),
        ]
        saved = editor.post(url, {"country": str(hidden.pk), "code": "N", "name": "Far North"})
    finally:
        unregister(not_the_hidden_one)

    state.refresh_from_db()
    assert ["Hiddenland" in page for page in pages] == [False] * 4
    assert ["a record you cannot see" in page for page in pages] == [True] * 4
    assert saved.status_code == 302
    assert (state.name, state.country_id) == ("Far North", hidden.pk)
