"""Pages in a browser: accessible, within the policy, fitting a phone, readable in the dark; and what scripts do."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from apps.access.models import User
from apps.chatter.models import Activity, ActivityType
from apps.contacts.models import Partner
from apps.core.models import Country, Currency, JobRun, Sequence
from tests.backoffice.e2e.conftest import DESKTOP, PHONE

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.e2e,
    pytest.mark.xdist_group("e2e"),
]
OpenPage = Callable[..., Any]
SERIOUS = {"serious", "critical"}


@pytest.fixture
def partner(boss: User) -> Partner:
    return Partner.objects.create(name="Aurora Lighting", is_company=True)


@pytest.fixture
def addresses(boss: User, partner: Partner) -> dict[str, str]:
    """One page of each kind, with something on it."""
    run = JobRun.objects.create(
        kind="background", task="tests.none", title="Import", user=boss, state="failed", log="a\n"
    )
    Sequence.objects.create(code="tests.a", title="Alpha", company=boss.company)
    kind = ActivityType.objects.filter(active=True).first()
    if kind is not None:
        Activity.objects.create(
            model="contacts.partner", object_id=partner.pk, type=kind, summary="Call them", deadline="2020-01-01",
            assignee=boss, record_name=str(partner),
        )  # fmt: skip
    return {
        "dashboard": "/admin/",
        "list": "/admin/contacts/partner/",
        "empty list": "/admin/core/sequence/?q=nothingofthatname",
        "form with thread": f"/admin/contacts/partner/{partner.pk}/change/",
        "new record": "/admin/core/customfield/add/",
        "read-only form": f"/admin/core/jobrun/{run.pk}/change/",
        "inbox": "/admin/inbox/",
        "activities": "/admin/activities/",
        "export": "/admin/core/currency/export/",
        "settings": "/admin/settings/",
        "modules": "/admin/modules/",
        "refusal": "/admin/core/currency/987654/change/",
        "deletion": f"/admin/contacts/partner/{partner.pk}/delete/",
    }


def serious(page: Any) -> list[str]:
    """Findings of axe-core that keep somebody from using the page: rule and the first elements."""
    found = Axe().run(page).response["violations"]
    return [
        f"{item['id']}: {'; '.join(node['html'][:160] for node in item['nodes'][:3])}"
        for item in found
        if item["impact"] in SERIOUS
    ]


@pytest.mark.parametrize(("size", "dark"), [(DESKTOP, False), (DESKTOP, True), (PHONE, False)])
def test_no_serious_accessibility_fault_and_no_sideways_scrolling(
    size: tuple[int, int], dark: bool, open_page: OpenPage, boss: User, addresses: dict[str, str]
) -> None:
    faults: dict[str, list[str]] = {}
    page = open_page(boss, size=size, dark=dark)
    for name, address in addresses.items():
        page.goto(address)
        page.wait_for_load_state("networkidle")
        found = serious(page)
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > size[0]:
            found.append(f"the page is {width} px wide")
        if found:
            faults[name] = found

    assert faults == {}


def test_the_sign_in_page_is_accessible(open_page: OpenPage, boss: User) -> None:
    page = open_page(None, size=PHONE)
    page.goto("/admin/")

    assert "/web/login" in page.url
    assert serious(page) == []


def test_signing_in_leads_to_the_page_that_was_wanted(open_page: OpenPage, boss: User) -> None:
    page = open_page(None)
    page.goto("/admin/core/currency/")
    page.fill("input[name=login]", "boss")
    page.fill("input[name=password]", "secret-boss")
    page.click("button[type=submit]")
    page.wait_for_url(re.compile(r"/admin/core/currency/$"))

    assert page.locator("h1").inner_text().startswith("Currencies")


def test_a_record_is_edited_with_a_link_chosen_from_the_search_box(open_page: OpenPage, boss: User) -> None:
    euro = Currency.objects.get(code="EUR")
    country = Country.objects.filter(currency=None).first() or Country.objects.create(
        code="QX", name="Testland"
    )
    Country.objects.filter(pk=country.pk).update(currency=None)
    page = open_page(boss)
    page.goto(f"/admin/core/country/{country.pk}/change/")

    page.locator(".field-currency .select2-selection").click()
    page.locator(".select2-search__field").last.fill("eur")
    page.locator(".select2-results__option", has_text="EUR").click()
    page.click("button[name=_save]")
    page.wait_for_url(re.compile(r"/admin/core/country/(\?.*)?$"))

    country.refresh_from_db()
    assert country.currency_id == euro.pk


def test_the_palette_opens_with_the_keyboard_and_leads_to_a_screen(open_page: OpenPage, boss: User) -> None:
    page = open_page(boss)
    page.goto("/admin/")
    page.wait_for_load_state("networkidle")
    page.keyboard.press("Control+k")
    page.locator("#search-input-command").press_sequentially("outbox")
    page.locator("#command-results-list li").first.wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("outboxevent"))

    assert "/admin/core/outboxevent/" in page.url


def test_a_bulk_action_from_the_list(open_page: OpenPage, boss: User) -> None:
    for title in ("Alpha", "Beta"):
        Sequence.objects.create(code=f"tests.{title.lower()}", title=title, company=boss.company)
    page = open_page(boss)
    page.goto("/admin/core/sequence/?q=tests.")
    page.wait_for_load_state("networkidle")
    for box in page.locator("input.action-select").all()[-2:]:
        box.check()
    page.locator("#changelist-actions select[name=action]").select_option("archive")
    page.locator("#changelist-actions button[name=index]").click()
    page.get_by_text("Archive: 2 records.").wait_for()

    assert Sequence.objects.filter(code__startswith="tests.", active=True).count() == 0


def test_a_note_is_written_from_the_form(open_page: OpenPage, boss: User, partner: Partner) -> None:
    page = open_page(boss)
    page.goto(f"/admin/contacts/partner/{partner.pk}/change/")
    page.get_by_role("button", name="Log note").click()
    page.locator("[data-composer] textarea").fill("Prefers calls in the morning")
    page.locator(
        "[data-composer] [data-send], [data-composer] button[type=submit], [data-composer] .chatter-primary"
    ).first.click()
    page.locator(".chatter-message", has_text="Prefers calls in the morning").wait_for()


def test_an_activity_is_done_without_leaving_the_page(
    open_page: OpenPage, boss: User, addresses: dict[str, str]
) -> None:
    page = open_page(boss)
    page.goto("/admin/activities/")
    page.wait_for_load_state("networkidle")
    page.locator("[data-bo-row]").get_by_role("button", name="Done").click()
    page.locator("[data-bo-row]").wait_for(state="detached")

    assert not Activity.objects.filter(active=True, assignee=boss).exists()


def test_the_filters_open_and_narrow_the_list(open_page: OpenPage, boss: User) -> None:
    page = open_page(boss)
    page.goto("/admin/core/currency/?archived=all")
    page.wait_for_load_state("networkidle")
    page.get_by_role("button", name="Filters").click()
    page.locator("#filter-form").wait_for()
    page.locator("#filter-form select[name=archived]").evaluate("element => { element.value = 'yes' }")
    page.locator("#filter-form button[type=submit]").click()
    page.wait_for_url(re.compile("archived=yes"))

    assert page.locator("#result_list").count() == (
        1 if Currency.objects.filter(active=False).exists() else 0
    )
