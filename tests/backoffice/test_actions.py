"""Declared actions as buttons, with inputs and confirmation, and over many records with a result for each."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.access.models import Company, User
from apps.access.selectors import actor_for
from apps.backoffice import actions as backoffice_actions
from apps.backoffice.services import plain, typed
from apps.core import actions as core_actions
from apps.core.actions import action
from apps.core.actor import Actor
from apps.core.errors import ValidationFailed
from apps.core.jobs import engine
from apps.core.models import Currency, JobRun, OutboxEvent
from apps.core.models import Sequence as Numbering

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def declared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three actions on numberings, for these tests only."""
    known = dict(core_actions._actions.get(Numbering, {}))
    monkeypatch.setitem(core_actions._actions, Numbering, known)

    @action(Numbering, name="shout", permission="change", title="Shout")
    def shout(records: Sequence[Numbering], *, actor: Actor) -> None:
        for record in records:
            if record.title == "Mute":
                raise ValidationFailed("It cannot speak.")
            record.title = record.title.upper()
            record.save(update_fields=["title"])

    @action(Numbering, name="pad", permission="change", title="Pad")
    def pad(
        records: Sequence[Numbering],
        *,
        actor: Actor,
        digits: int,
        currency: Currency | None = None,
        share: Decimal = Decimal(1),
    ) -> None:
        if digits > 20:
            raise ValidationFailed(fields={"digits": ["At most 20."]})
        for record in records:
            record.padding = digits
            record.suffix = currency.code if currency else ""
            record.save(update_fields=["padding", "suffix"])

    @action(
        Numbering,
        name="erase",
        permission="delete",
        title="Erase",
        dangerous=True,
        condition=lambda r, a: r.title != "Kept",
    )
    def erase(records: Sequence[Numbering], *, actor: Actor) -> None:
        for record in records:
            record.title = "erased"
            record.save(update_fields=["title"])


@pytest.fixture
def numbering(company: Company) -> Numbering:
    return Numbering.objects.create(code="tests.n", title="quiet", company=company)


def do(record: Any, name: str) -> str:
    return reverse("admin:core_sequence_do", args=[record.pk, name])


def page_of(browser: Client, record: Any) -> str:
    return browser.get(reverse("admin:core_sequence_change", args=[record.pk])).content.decode()


def test_available_actions_are_buttons_on_the_form(admin: Client, numbering: Numbering) -> None:
    page = page_of(admin, numbering)

    assert do(numbering, "shout") in page
    assert do(numbering, "pad") in page
    assert do(numbering, "erase") in page


def test_an_action_that_is_not_available_has_no_button(admin: Client, numbering: Numbering) -> None:
    Numbering.objects.filter(pk=numbering.pk).update(title="Kept")

    assert do(numbering, "erase") not in page_of(admin, numbering)


def test_a_plain_action_runs_at_once(admin: Client, numbering: Numbering) -> None:
    response = admin.post(do(numbering, "shout"), {"version": "1"})

    numbering.refresh_from_db()
    assert response.status_code == 302
    assert (numbering.title, numbering.version) == ("QUIET", 2)


def test_a_button_pressed_on_an_old_page_is_refused(admin: Client, numbering: Numbering) -> None:
    Numbering.objects.filter(pk=numbering.pk).update(version=5)

    response = admin.post(do(numbering, "shout"), {"version": "1"}, follow=True)

    numbering.refresh_from_db()
    assert "Somebody else changed this record" in response.content.decode()
    assert (numbering.title, numbering.version) == ("quiet", 5)


def test_reading_the_address_of_an_action_runs_nothing(admin: Client, numbering: Numbering) -> None:
    response = admin.get(do(numbering, "shout"))

    numbering.refresh_from_db()
    assert response.status_code == 200
    assert numbering.title == "quiet"


def test_a_dangerous_action_asks_first(admin: Client, numbering: Numbering) -> None:
    asked = admin.post(do(numbering, "erase"), {"version": "1"})
    numbering.refresh_from_db()
    before = numbering.title

    confirmed = admin.post(do(numbering, "erase"), {"version": "1", "_confirmed": "1"})

    numbering.refresh_from_db()
    assert asked.status_code == 200
    assert "This cannot be undone" in asked.content.decode()
    assert before == "quiet"
    assert confirmed.status_code == 302
    assert numbering.title == "erased"


def test_inputs_are_asked_for_and_typed(admin: Client, numbering: Numbering, euro: Currency) -> None:
    asked = admin.get(do(numbering, "pad"))
    response = admin.post(
        do(numbering, "pad"),
        {"_confirmed": "1", "version": "1", "in-digits": "8", "in-currency": str(euro.pk), "in-share": ""},
    )

    numbering.refresh_from_db()
    assert 'name="in-digits"' in asked.content.decode()
    assert response.status_code == 302
    assert (numbering.padding, numbering.suffix) == (8, "EUR")


@pytest.mark.parametrize(
    ("digits", "message"),
    [("", "This field is required."), ("21", "At most 20."), ("x", "Enter a whole number.")],
)
def test_wrong_inputs_are_told_at_their_field(
    admin: Client, numbering: Numbering, digits: str, message: str
) -> None:
    response = admin.post(do(numbering, "pad"), {"_confirmed": "1", "in-digits": digits})

    numbering.refresh_from_db()
    assert response.status_code == 200
    assert message in response.content.decode()
    assert (numbering.padding, numbering.version) == (5, 1)


def test_without_the_right_there_is_neither_button_nor_call(
    numbering: Numbering, make_user: Callable[..., User], sign_in: Callable[[User], Client]
) -> None:
    browser = sign_in(make_user({"core.sequence": "view"}))

    page = page_of(browser, numbering)
    called = browser.post(do(numbering, "shout"), {"version": "1"})
    bulk = browser.post(reverse("admin:core_sequence_bulk", args=["shout"]), {"selection": str(numbering.pk)})

    numbering.refresh_from_db()
    assert do(numbering, "shout") not in page
    assert (called.status_code, bulk.status_code) == (403, 403)
    assert numbering.title == "quiet"


# ----------------------------------------------------------------------------------------------------------- bulk
def run_bulk(browser: Client, name: str, records: list[Any], **more: Any) -> Any:
    data = {
        "action": name,
        "index": "0",
        "select_across": "0",
        "_selected_action": [r.pk for r in records],
        **more,
    }
    return browser.post(reverse("admin:core_sequence_changelist"), data, follow=True)


def test_bulk_runs_on_all_selected(admin: Client, company: Company) -> None:
    records = [Numbering.objects.create(code=f"tests.n{i}", title=f"n{i}", company=company) for i in range(3)]

    response = run_bulk(admin, "do:shout", records[:2])

    assert "Shout: 2 records." in response.content.decode()
    titles = (
        Numbering.objects.filter(code__startswith="tests.n").order_by("code").values_list("title", flat=True)
    )
    assert list(titles) == ["N0", "N1", "n2"]


def test_bulk_reports_each_record_when_some_are_refused(admin: Client, company: Company) -> None:
    records = [
        Numbering.objects.create(code=f"tests.n{title}", title=title, company=company)
        for title in ("ann", "Mute", "bob")
    ]

    response = run_bulk(admin, "do:shout", records)

    page = response.content.decode()
    assert response.status_code == 200
    assert "2 records were dealt with." in page
    assert "1 was refused." in page
    assert "It cannot speak." in page
    titles = (
        Numbering.objects.filter(code__startswith="tests.n").order_by("code").values_list("title", flat=True)
    )
    assert list(titles) == ["Mute", "ANN", "BOB"]


def test_bulk_with_inputs_asks_once_and_runs_on_the_selection(admin: Client, company: Company) -> None:
    records = [Numbering.objects.create(code=f"tests.n{i}", title=f"n{i}", company=company) for i in range(3)]

    asked = run_bulk(admin, "do:pad", records[:2])
    done = admin.post(
        reverse("admin:core_sequence_bulk", args=["pad"]),
        {"_confirmed": "1", "selection": f"{records[0].pk},{records[1].pk}", "in-digits": "9"},
        follow=True,
    )

    assert reverse("admin:core_sequence_bulk", args=["pad"]) in asked.content.decode()
    assert "Pad: 2 records." in done.content.decode()
    assert list(
        Numbering.objects.filter(code__startswith="tests.n")
        .order_by("code")
        .values_list("padding", flat=True)
    ) == [9, 9, 5]


def test_bulk_reaches_only_what_the_actor_may_see(
    company: Company,
    other_company: Company,
    make_user: Callable[..., User],
    sign_in: Callable[[User], Client],
) -> None:
    mine = Numbering.objects.create(code="tests.mine", title="mine", company=company)
    theirs = Numbering.objects.create(code="tests.theirs", title="theirs", company=other_company)
    browser = sign_in(make_user({"core.sequence": "view change"}))

    run_bulk(browser, "do:shout", [mine, theirs])
    browser.post(
        reverse("admin:core_sequence_bulk", args=["pad"]), {"selection": str(theirs.pk), "in-digits": "9"}
    )

    theirs.refresh_from_db()
    mine.refresh_from_db()
    assert mine.title == "MINE"
    assert (theirs.title, theirs.padding) == ("theirs", 5)


def test_bulk_archive_and_delete(admin: Client, company: Company) -> None:
    records = [Numbering.objects.create(code=f"tests.n{i}", title=f"n{i}", company=company) for i in range(2)]

    run_bulk(admin, "archive", records[:1])
    asked = run_bulk(admin, "delete", records[1:])
    still_there = Numbering.objects.filter(pk=records[1].pk).exists()
    admin.post(reverse("admin:core_sequence_bulk", args=["delete"]), {"selection": str(records[1].pk)})

    assert "This cannot be undone" in asked.content.decode()
    assert still_there
    assert not Numbering.objects.filter(pk=records[1].pk).exists()
    records[0].refresh_from_db()
    assert records[0].active is False


def test_bulk_with_an_unknown_action_changes_nothing(admin: Client, numbering: Numbering) -> None:
    response = run_bulk(admin, "do:nothing", [numbering])

    assert response.status_code == 200
    assert "No action selected." in response.content.decode()


def test_many_records_go_to_a_background_run_that_tells_what_was_refused(
    admin: Client, boss: User, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoffice_actions, "AT_ONCE", 2)
    titles = ("ann", "Mute", "bob")
    records = [Numbering.objects.create(code=f"tests.n{t}", title=t, company=company) for t in titles]

    response = run_bulk(admin, "do:shout", records)
    run = JobRun.objects.get()
    waiting = list(Numbering.objects.filter(code__startswith="tests.n").values_list("title", flat=True))
    engine.run_background(run.pk)

    run.refresh_from_db()
    assert "3 records are being dealt with in the background." in response.content.decode()
    assert set(waiting) == set(titles)
    assert (run.user_id, run.state, run.done, run.total) == (boss.pk, "done", 3, 3)
    assert run.result == {"done": 2, "refused": [[records[1].pk, "It cannot speak."]], "refused_count": 1}
    assert "It cannot speak." in run.log
    assert {r.title for r in Numbering.objects.filter(code__startswith="tests.n")} == {"ANN", "Mute", "BOB"}


def test_inputs_survive_the_way_to_the_background(boss: User, company: Company, euro: Currency) -> None:
    declared = core_actions.get_action(Numbering, "pad")
    assert declared is not None
    given = {"digits": 7, "currency": euro, "share": Decimal("0.10")}
    acting = actor_for(boss)

    stored = json.loads(json.dumps({name: plain(value) for name, value in given.items()}))

    assert {spec.name: typed(spec, stored[spec.name], acting) for spec in declared.inputs} == given


# -------------------------------------------------------------------------------------------------- kernel records
def test_a_given_up_event_is_delivered_again_from_its_page(admin: Client) -> None:
    event = OutboxEvent.objects.create(
        name="tests.Event", payload={}, actor={}, dead=True, attempts=9, error="boom"
    )
    page = admin.get(reverse("admin:core_outboxevent_change", args=[event.pk]))

    response = admin.post(reverse("admin:core_outboxevent_do", args=[event.pk, "retry"]))

    event.refresh_from_db()
    assert "boom" in page.content.decode()
    assert response.status_code == 302
    assert (event.dead, event.attempts) == (False, 0)


def test_a_run_shows_its_log_and_nobody_edits_it(admin: Client, boss: User) -> None:
    run = JobRun.objects.create(
        kind="background",
        task="tests.none",
        title="Import",
        user=boss,
        state="failed",
        log="line one\n",
        error="<b>boom</b>",
    )
    url = reverse("admin:core_jobrun_change", args=[run.pk])

    page = admin.get(url).content.decode()

    assert "line one" in page
    assert "&lt;b&gt;boom&lt;/b&gt;" in page
    assert admin.post(url, {"title": "x"}).status_code == 403
    assert admin.get(reverse("admin:core_jobrun_add")).status_code == 403
    assert admin.post(reverse("admin:core_jobrun_delete", args=[run.pk])).status_code == 403
