"""The portal in a real browser: usable by everybody, on a phone, in the dark, and with forms that arrive."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from apps.chatter.constants import COMMENT
from apps.chatter.models import Message
from apps.chatter.services.posting import post_message
from apps.contacts.models import Partner
from apps.portal.tokens import link
from apps.projects.models import Task
from tests.backoffice.e2e.conftest import DESKTOP, PHONE, chromium, open_page
from tests.e2e.looks import fault_free, keep
from tests.portal.conftest import PASSWORD

__all__ = ["chromium", "open_page"]  # fixtures
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.django_db(transaction=True),
    pytest.mark.xdist_group("e2e"),
]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_pages_are_usable_by_everybody(
    open_page: Callable[..., Any], world: SimpleNamespace, more: Any, size: tuple[int, int], dark: bool
) -> None:
    more(3)
    Task.objects.filter(pk=world.task.pk).update(
        name="A task with an exceptionallylongwordthatmustnotpushthepageapart" * 2
    )
    post_message(world.task, actor=world.ann, body="<p>We will call you</p>", subtype=COMMENT)
    page = open_page(world.users.pia, size=size, dark=dark)

    for name, path in (
        ("home", "/my"),
        ("list", "/my/samples?groupby=stage"),
        ("document", f"/my/samples/{world.task.pk}"),
        ("account", "/my/account"),
        ("leaving", "/my/deactivate_account"),
    ):
        answer = page.goto(path)
        assert answer.status == 200, path
        keep(page, f"{name}-{size[0]}-{'dark' if dark else 'light'}")
        fault_free(page)


def test_the_bearer_of_a_link_writes(open_page: Callable[..., Any], world: SimpleNamespace) -> None:
    page = open_page()
    page.goto(link(world.task, f"/my/samples/{world.task.pk}", partner_pk=world.partner.pk))

    page.get_by_label("Your message").fill("It still does not work")
    page.get_by_role("button", name="Send").click()
    page.get_by_text("It still does not work").wait_for()

    message = Message.objects.filter(body__contains="It still does not work").get()
    assert message.author_id == world.partner.pk


def test_a_customer_changes_his_details(
    open_page: Callable[..., Any], world: SimpleNamespace, land: SimpleNamespace
) -> None:
    page = open_page(world.users.pia)
    page.goto("/my/account")

    for label, text in (("Phone", "+49 89 1234567"), ("Street *", "Main street 1"), ("City", "Munich")):
        page.get_by_label(label, exact=label.endswith("*")).first.fill(text)
    with page.expect_response("**/my/account/states*"):
        page.get_by_label("Country").select_option(str(land.first.pk))
    page.get_by_label("State").select_option(str(land.state.pk))
    page.get_by_role("button", name="Save").click()
    page.wait_for_url("**/my")

    assert Partner.objects.get(pk=world.partner.pk).state_id == land.state.pk


def test_a_customer_signs_in_and_lands_where_he_wanted_to(
    open_page: Callable[..., Any], world: SimpleNamespace
) -> None:
    page = open_page()
    page.goto(f"/my/samples/{world.task.pk}")  # not his before he signs in: home, and from there to the login
    page.goto("/my/samples?sortby=name")

    page.locator("input[name=login]").fill("pia")
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("input[name=password]").press("Enter")
    page.wait_for_url("**/my/samples?sortby=name")

    assert page.get_by_role("link", name="Pia").is_visible()
