"""Home, counters, lists and what every page has in common."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from apps.access.models import Company
from apps.chatter.services.attachments import make_attachments
from apps.chatter.types import NewFile
from apps.core.declarations import PortalCard
from apps.core.modules import running
from apps.core.rules import visible
from apps.core.testkit import count_queries
from apps.projects.models import Task
from tests.portal.conftest import signed_in
from tests.projects.factories import follows, make_project, make_task, stages_of, system
from tests.reports.test_engine import png


def tasks_of(actor: Any) -> int:
    return visible(Task, actor).count()


def nothing_of(actor: Any) -> int:
    return 0


@pytest.fixture
def cards() -> Iterator[None]:
    """Two cards, as a module declares them: one with documents behind it, one without."""
    config = next(config for config in running() if config.key == "dummy")
    config.portal_cards = (
        PortalCard("sample_count", "Samples", "/my/samples", f"{__name__}.tasks_of", sequence=1),
        PortalCard("empty_count", "Emptiness", "/my/empty", f"{__name__}.nothing_of", sequence=2),
    )
    yield
    config.portal_cards = ()


# ------------------------------------------------------------------------------------------------------------- home
@pytest.mark.parametrize("path", ["/my", "/my/home", "/my/account", "/my/samples", "/my/deactivate_account"])
def test_visitors_sign_in_and_come_back(path: str, visitor: Client, db: None) -> None:
    response = visitor.get(f"{path}?x=1")

    assert response.status_code == 303
    assert response["Location"] == f"/web/login?redirect={path.replace('/', '%2F')}%3Fx%3D1"


def test_home_shows_cards_with_something_behind_them(pia: Client, cards: None) -> None:
    for path in ("/my", "/my/home"):
        html = pia.get(path).content.decode()
        assert re.search(r'href="/my/samples"><span class="figure">1</span>', html)
        assert "Emptiness" not in html


def test_the_home_page_with_a_slash_leads_to_the_home_page(pia: Client) -> None:
    assert pia.get("/my/?a=1")["Location"] == "/my?a=1"


def test_security_leads_to_the_page_of_passwords_and_sessions(pia: Client) -> None:
    response = pia.get("/my/security", follow=True)

    assert response.redirect_chain == [("/web/security", 302)]
    assert response.status_code == 200


def counters(client: Client, body: Any, **headers: Any) -> Any:
    text = body if isinstance(body, str) else json.dumps(body)
    return client.post("/my/counters", text, content_type="application/json", headers=headers)


def test_counters_answer_what_is_asked_for(pia: Client, cards: None) -> None:
    asked = {"jsonrpc": "2.0", "id": 7, "method": "call"}

    response = counters(
        pia, {**asked, "params": {"counters": ["sample_count", "empty_count", "unknown", 3, None]}}
    )

    assert response.status_code == 200
    assert response.json() == {"jsonrpc": "2.0", "id": 7, "result": {"sample_count": 1, "empty_count": 0}}
    assert counters(pia, {"counters": ["sample_count"]}).json()["result"] == {"sample_count": 1}
    assert counters(pia, {"params": {}}).json()["result"] == {}


@pytest.mark.parametrize(
    "body", ["{", "[]", "3", "null", '{"params": 3}', '{"params": {"counters": 3}}', "[" * 100_000]
)
def test_counters_refuse_what_they_cannot_read(body: str, pia: Client, cards: None) -> None:
    response = counters(pia, body)

    assert response.status_code == 400
    assert response.json()["code"] == "invalid"


def test_counters_need_a_login_and_the_forgery_token(
    world: SimpleNamespace, visitor: Client, cards: None
) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(world.users.pia)

    assert counters(visitor, {"counters": ["sample_count"]})["Location"].startswith("/web/login")
    assert counters(strict, {"counters": ["sample_count"]}).status_code == 403
    assert signed_in(world.users.pia).get("/my/counters").status_code == 405


# ------------------------------------------------------------------------------------------------------------ brand
def test_the_head_names_the_customers_company(pia: Client, world: SimpleNamespace) -> None:
    Company.objects.filter(pk=world.company.pk).update(
        email="hello@alpha.example", website="javascript:alert(1)"
    )

    html = pia.get("/my").content.decode()

    assert '<a class="brand" href="/my">Alpha Ltd</a>' in html
    assert "mailto:hello@alpha.example" in html
    assert "javascript:" not in html


def test_the_head_shows_the_logo(pia: Client, visitor: Client, world: SimpleNamespace) -> None:
    logo = make_attachments([NewFile("logo.png", png())], actor=system())[0]
    Company.objects.filter(pk=world.company.pk).update(logo_attachment=logo.pk)

    found = re.search(r'<img src="([^"]+)" alt="Alpha Ltd"', pia.get("/my").content.decode())

    assert found is not None
    assert visitor.get(found[1].replace("&amp;", "&"))["Content-Type"] == "image/png"


def test_pages_are_in_the_language_of_the_user(pia: Client, world: SimpleNamespace) -> None:
    world.users.pia.language = "de"
    world.users.pia.save(update_fields=["language"])

    assert '<html lang="de">' in pia.get("/my").content.decode()


def test_refusals_are_pages(pia: Client) -> None:
    response = pia.get("/my/refused")

    assert response.status_code == 409
    assert "This is settled already." in response.content.decode()


# ------------------------------------------------------------------------------------------------------------ lists
def shown(client: Client, query: str = "", page: str = "") -> list[str]:
    response = client.get(f"/my/samples{page}{query}")
    assert response.status_code == 200
    return [record.name for record in response.context["records"]]


def test_a_list_holds_what_the_customer_may_see(pia: Client, world: SimpleNamespace) -> None:
    assert shown(pia) == ["Fix the form"]
    assert shown(signed_in(world.users.rob)) == ["Rival's secret"]
    assert "Rival" not in pia.get("/my/samples").content.decode()


@pytest.mark.parametrize(
    "query",
    [
        "sortby=nonsense", "filterby=nonsense", "groupby=nonsense", "search_in=nonsense", "filterby=999999",
        "sortby=", "groupby=%00", "sortby[]=name", "date_begin=x&date_end=y", "date_begin=2026-13-45&date_end=2026-01-01",
        "search=&search_in=content",
    ],
)  # fmt: skip
def test_unknown_keys_fall_back_to_the_default(query: str, pia: Client) -> None:
    assert shown(pia, f"?{query}") == ["Fix the form"]


def test_an_unknown_place_to_search_in_is_the_default_one(pia: Client, more: Any) -> None:
    more(2)

    assert shown(pia, "?search=task+001&search_in=content") == ["Task 001"]


def test_sorting_filtering_and_searching(pia: Client, world: SimpleNamespace, more: Any) -> None:
    more(2)
    other = make_project("Intranet", privacy="portal", company=world.company)
    elsewhere = make_task(other, "Elsewhere")
    follows(other, world.users.pia)
    follows(elsewhere, world.users.pia)

    assert shown(pia) == ["Elsewhere", "Task 001", "Task 000", "Fix the form"]
    assert shown(pia, "?sortby=name") == ["Elsewhere", "Fix the form", "Task 000", "Task 001"]
    assert shown(pia, f"?filterby={other.pk}") == ["Elsewhere"]
    assert shown(pia, "?search=TASK&sortby=name") == ["Task 000", "Task 001"]
    assert shown(pia, "?search=%25") == []
    assert shown(pia, "?search=prime&search_in=customer") == []


def test_grouping_keeps_groups_together(pia: Client, world: SimpleNamespace, more: Any) -> None:
    tasks = more(2)
    stages = stages_of(world.project)
    Task.objects.filter(pk=tasks[0].pk).update(stage=stages[1])

    groups = pia.get("/my/samples?groupby=stage&sortby=name").context["groups"]

    found = [(group.heading, [row.name for row in group.rows]) for group in groups]
    assert found == [("To do", ["Fix the form", "Task 001"]), ("Doing", ["Task 000"])]


def test_creation_dates_count_from_after_the_first_to_the_last(
    pia: Client, world: SimpleNamespace, more: Any
) -> None:
    Task.objects.filter(pk=world.task.pk).update(created_at=datetime(2026, 1, 1, 12, tzinfo=UTC))
    for task, day in zip(more(3), (10, 11, 12), strict=True):
        Task.objects.filter(pk=task.pk).update(created_at=datetime(2026, 3, day, 23, 59, tzinfo=UTC))

    assert shown(pia, "?date_begin=2026-03-10&date_end=2026-03-12&sortby=name") == ["Task 001", "Task 002"]
    assert shown(pia, "?date_begin=2026-03-09&date_end=2026-03-11&sortby=name") == ["Task 000", "Task 001"]
    assert len(shown(pia, "?date_begin=2026-03-10")) == 4
    assert len(shown(pia, "?date_end=2026-03-10")) == 4
    assert shown(pia, "?date_begin=2026-03-12&date_end=2026-03-10") == []


@pytest.fixture
def five_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from tests.portal import pages

    monkeypatch.setattr(pages, "TASKS", replace(pages.TASKS, page_size=5))


def test_pages_are_clamped_and_keep_what_was_chosen(pia: Client, more: Any, five_a_page: None) -> None:
    more(31)  # with the one that is there: 32, seven pages
    query = "sortby=name&search=&filterby=all&groupby=none"

    def pager(number: str) -> Any:
        return pia.get(f"/my/samples/page/{number}?{query}").context["pager"]

    assert [pager(number).number for number in ("1", "2", "7", "8", "0", "9" * 30)] == [1, 2, 7, 7, 1, 7]
    assert pager("1").previous == ""
    assert pager("2").previous == "/my/samples?sortby=name&filterby=all&search_in=name&groupby=none"
    assert pager("2").next == "/my/samples/page/3?sortby=name&filterby=all&search_in=name&groupby=none"
    assert pager("7").next == ""
    assert [number for number, _url in pager("1").links] == [1, 2, 3, 4, 5]
    assert [number for number, _url in pager("4").links] == [2, 3, 4, 5, 6]
    assert [number for number, _url in pager("7").links] == [3, 4, 5, 6, 7]
    assert pia.get("/my/samples/page/-1").status_code == 404
    assert shown(pia, "?sortby=name", "/page/7") == ["Task 029", "Task 030"]


def test_all_pages_together_show_each_record_once(pia: Client, more: Any, five_a_page: None) -> None:
    more(11)
    Task.objects.update(created_at=timezone.now())  # a sort key that cannot tell them apart

    found = [name for page in (1, 2, 3) for name in shown(pia, "", f"/page/{page}")]

    assert sorted(found) == sorted(["Fix the form", *(f"Task {number:03}" for number in range(11))])


def test_a_list_takes_as_many_queries_for_two_rows_as_for_twelve(pia: Client, more: Any) -> None:
    more(1)
    pia.get("/my/samples")
    with count_queries() as few:
        assert len(shown(pia, "?groupby=stage")) == 2
    taken = len(few)  # the next request empties the log that it counts in
    more(10)
    pia.get("/my/samples?groupby=stage")  # the session now holds the new list

    with count_queries() as many:
        assert len(shown(pia, "?groupby=stage")) == 12

    assert len(many) == taken, "\n".join(query["sql"][:120] for query in many.captured_queries)
    assert 0 < taken <= 8


def test_looking_at_the_same_list_again_writes_nothing(pia: Client) -> None:
    pia.get("/my/samples")

    with count_queries() as seen:
        pia.get("/my/samples")

    writes = [q["sql"] for q in seen.captured_queries if not q["sql"].lstrip().upper().startswith("SELECT")]
    assert writes == []
