"""Signing in: one answer for every refusal, pauses after failures, sessions that end when they should."""

from __future__ import annotations

import datetime
from collections.abc import Callable

import pytest
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.test import Client as Browser
from django.utils import timezone

from apps.access.models import AuditEntry, Company, User, UserSession
from apps.access.selectors import actor_for
from apps.access.services import archive_users, check_login, revoke_sessions, set_password
from apps.access.services.sessions import describe_agent
from apps.access.types import Client
from apps.core.actor import Actor
from apps.core.errors import NotAuthenticated, Throttled
from apps.core.testkit import count_queries

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"
HERE = Client(ip="192.0.2.7", channel="test")
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def sign_in(browser: Browser, login: str, password: str = PASSWORD, **data: str):
    return browser.post(
        "/web/login", {"login": login, "password": password, **data}, headers={"user-agent": FIREFOX}
    )


# ------------------------------------------------------------------------------------------------- the service
def test_the_right_password_signs_in_whatever_the_capitals_of_the_login(
    make_user: Callable[..., User],
) -> None:
    user = make_user()

    assert check_login(" Ann@Example.com ", PASSWORD, client=HERE) == user


@pytest.mark.parametrize("case", ["unknown", "wrong", "archived", "no_password", "system"])
def test_every_refusal_sounds_the_same(case: str, make_user: Callable[..., User], system: Actor) -> None:
    user = make_user(password=None if case == "no_password" else PASSWORD)
    if case == "archived":
        archive_users([user], actor=system)
    login = {"unknown": "nobody@example.com", "system": "__system__"}.get(case, user.login)

    with pytest.raises(NotAuthenticated) as refusal:
        check_login(login, "wrong" if case == "wrong" else PASSWORD, client=HERE)

    assert refusal.value.as_dict() == {
        "code": "wrong_credentials",
        "message": "Wrong login or password.",
        "fields": {},
    }
    assert AuditEntry.objects.filter(kind="login_failed", user_name=login, ip=HERE.ip).count() == 1


def test_an_unknown_login_costs_one_hash_like_a_known_one(
    make_user: Callable[..., User], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_user()
    hashed: list[str] = []
    from django.contrib.auth.hashers import MD5PasswordHasher

    verify = MD5PasswordHasher.verify
    monkeypatch.setattr(
        MD5PasswordHasher,
        "verify",
        lambda self, password, encoded: hashed.append(password) or verify(self, password, encoded),
    )

    for login in ("ann@example.com", "nobody@example.com"):
        with pytest.raises(NotAuthenticated):
            check_login(login, "wrong", client=HERE)

    assert hashed == ["wrong", "wrong"]


def test_five_failures_make_a_minutes_pause(make_user: Callable[..., User]) -> None:
    user = make_user()
    for number in range(5):
        with pytest.raises(NotAuthenticated):
            check_login(f"guess{number}@example.com", "wrong", client=HERE)

    with pytest.raises(Throttled):
        check_login(user.login, PASSWORD, client=HERE)
    elsewhere = check_login(user.login, PASSWORD, client=Client(ip="198.51.100.1"))
    cache.delete("access:throttle:ip:192.0.2.7:pause")  # the minute is over
    after = check_login(user.login, PASSWORD, client=HERE)

    assert elsewhere == after == user
    with pytest.raises(NotAuthenticated):  # success cleared the count
        check_login(user.login, "wrong", client=HERE)
    assert check_login(user.login, PASSWORD, client=HERE) == user


def test_the_pause_lasts_sixty_seconds_of_the_last_failure(make_user: Callable[..., User]) -> None:
    make_user()
    for _number in range(5):
        with pytest.raises(NotAuthenticated):
            check_login("ann@example.com", "wrong", client=HERE)

    seconds = (
        cache._cache.get_client(None, write=False).pttl(cache.make_key("access:throttle:ip:192.0.2.7:pause"))
        / 1000
    )  # type: ignore[attr-defined]

    assert 55 <= seconds <= 60


def test_an_account_pauses_whatever_the_address_and_whether_or_not_it_exists(
    make_user: Callable[..., User],
) -> None:
    make_user()
    for login in ("ann@example.com", "nobody@example.com"):
        for number in range(10):
            with pytest.raises(NotAuthenticated):
                check_login(login, "wrong", client=Client(ip=f"198.51.100.{number}"))
        with pytest.raises(Throttled):
            check_login(login, PASSWORD, client=Client(ip="203.0.113.9"))


# --------------------------------------------------------------------------------------------------- the pages
def test_the_login_page_signs_in_and_goes_where_it_was_asked(
    client: Browser, make_user: Callable[..., User]
) -> None:
    user = make_user()
    shown = client.get("/web/login?redirect=/admin/core/")
    planted = client.session.session_key

    answer = sign_in(client, user.login, redirect="/admin/core/")

    assert shown.status_code == 200
    assert b'name="password"' in shown.content
    assert (answer.status_code, answer["Location"]) == (302, "/admin/core/")
    assert client.session.session_key != planted
    row = UserSession.objects.get(user=user)
    assert (row.browser, row.platform, row.session_key) == ("Firefox", "Linux", client.session.session_key)
    assert AuditEntry.objects.filter(kind="login", user_pk=user.pk).count() == 1


@pytest.mark.parametrize(
    "target",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/a\r\nX: y", ""],
)
def test_only_paths_of_this_site_are_gone_to(
    client: Browser, make_user: Callable[..., User], target: str
) -> None:
    answer = sign_in(client, make_user().login, redirect=target)

    assert (answer.status_code, answer["Location"]) == (302, "/admin/")


def test_portal_users_come_to_the_portal(client: Browser, portal_user: User) -> None:
    assert sign_in(client, portal_user.login)["Location"] == "/my"


def test_a_wrong_password_shows_the_form_again(client: Browser, make_user: Callable[..., User]) -> None:
    answer = sign_in(client, make_user().login, "wrong")

    assert answer.status_code == 401
    assert b"Wrong login or password." in answer.content
    assert "_auth_user_id" not in client.session


def test_forms_need_their_token(make_user: Callable[..., User]) -> None:
    strict = Browser(enforce_csrf_checks=True)

    assert sign_in(strict, make_user().login).status_code == 403


def test_signing_out_is_a_post(client: Browser, make_user: Callable[..., User]) -> None:
    user = make_user()
    sign_in(client, user.login)
    key = client.session.session_key

    asked = client.get("/web/logout")
    still = client.get("/web/security")
    client.post("/web/logout")

    assert (asked.status_code, still.status_code) == (200, 200)
    assert client.get("/web/security").status_code == 302
    assert not UserSession.objects.filter(session_key=key).exists()
    assert not Session.objects.filter(session_key=key).exists()
    assert AuditEntry.objects.filter(kind="logout", user_pk=user.pk).exists()


def test_changing_the_password_ends_other_sessions_and_keeps_this_one(make_user: Callable[..., User]) -> None:
    user = make_user()
    here, there = Browser(), Browser()
    for browser in (here, there):
        sign_in(browser, user.login)

    answer = here.post(
        "/web/change_password",
        {"old_password": PASSWORD, "new_password": "brand new phrase", "new_password2": "brand new phrase"},
    )

    assert answer.status_code == 302
    assert here.get("/web/security").status_code == 200
    assert there.get("/web/security").status_code == 302
    assert UserSession.objects.filter(user=user).count() == 1
    assert User.objects.get(pk=user.pk).check_password("brand new phrase")


def test_the_old_password_is_needed(client: Browser, make_user: Callable[..., User]) -> None:
    user = make_user()
    sign_in(client, user.login)

    answer = client.post(
        "/web/change_password",
        {"old_password": "wrong", "new_password": "brand new phrase", "new_password2": "brand new phrase"},
    )

    assert answer.status_code == 400
    assert b"This is not your password." in answer.content
    assert User.objects.get(pk=user.pk).check_password(PASSWORD)


def test_one_session_can_be_ended_by_itself(make_user: Callable[..., User]) -> None:
    user = make_user()
    here, there = Browser(), Browser()
    for browser in (here, there):
        sign_in(browser, user.login)
    row = UserSession.objects.get(session_key=there.session.session_key)

    revoke_sessions([row], actor=actor_for(user))

    assert there.get("/web/security").status_code == 302
    assert here.get("/web/security").status_code == 200


def test_archiving_signs_out(client: Browser, make_user: Callable[..., User], system: Actor) -> None:
    user = make_user()
    sign_in(client, user.login)

    archive_users([user], actor=system)

    assert client.get("/web/security").status_code == 302


def test_a_password_set_by_an_administrator_must_be_replaced(
    client: Browser, make_user: Callable[..., User], admin_actor: Actor
) -> None:
    user = make_user()
    set_password([user], actor=admin_actor, password="set by the boss")
    sign_in(client, user.login, "set by the boss")

    kept_away = client.get("/admin/")
    client.post(
        "/web/change_password",
        {
            "old_password": "set by the boss",
            "new_password": "all my own words",
            "new_password2": "all my own words",
        },
    )

    assert kept_away["Location"].startswith("/web/change_password")
    assert User.objects.get(pk=user.pk).must_change_password is False
    assert client.get("/web/security").status_code == 200


def test_last_seen_is_written_hourly(client: Browser, make_user: Callable[..., User]) -> None:
    sign_in(client, make_user().login)
    client.get("/web/security")
    with count_queries() as between:
        client.get("/web/security")

    session = client.session
    session["seen_at"] = 0
    session.save()
    old = timezone.now() - datetime.timedelta(days=1)
    UserSession.objects.update(last_seen_at=old)
    client.get("/web/security")

    assert not [q for q in between.captured_queries if q["sql"].startswith(("UPDATE", "INSERT"))]
    assert UserSession.objects.get().last_seen_at > old


def test_the_company_is_chosen_in_the_session_or_the_header(
    client: Browser,
    make_user: Callable[..., User],
    company: Company,
    other_company: Company,
    make_company: Callable[..., Company],
) -> None:
    user = make_user(companies=[company.pk, other_company.pk])
    strange = make_company("Gamma")
    sign_in(client, user.login)

    chosen = client.post(
        "/web/company",
        {"company": other_company.pk, "companies": [company.pk]},
        headers={"accept": "application/json"},
    )
    refused = client.post("/web/company", {"company": strange.pk})

    assert chosen.json() == {"company": other_company.pk, "companies": [other_company.pk, company.pk]}
    assert refused.status_code == 403
    assert client.session["companies"] == [other_company.pk, company.pk]


def test_user_agents_are_told_apart() -> None:
    assert describe_agent(FIREFOX) == ("Firefox", "Linux")
    assert describe_agent("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0) Version/18.0 Mobile Safari/604.1") == (
        "Safari",
        "iOS",
    )
    assert describe_agent("curl/8.5.0") == ("curl", "")
    assert describe_agent("") == ("", "")
