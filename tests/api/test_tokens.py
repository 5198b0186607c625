"""Signing in: tokens, scopes, browser sessions with CSRF, rate limits."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from apps.access.models import ApiToken
from apps.core.config import set_setting
from tests.api.support import Rest, make_gadgets

TOKENS = "auth/tokens/"
GADGETS = "test/gadgets/"


@pytest.fixture
def password(world: SimpleNamespace) -> str:
    user = world.users["ann"]
    user.set_password("correct horse")
    user.save(update_fields=["password"])
    return "correct horse"


def test_sign_in_and_use_the_token(world: SimpleNamespace, anybody: Rest, password: str) -> None:
    made = anybody.post(
        TOKENS, {"username": "ann", "password": password, "name": "laptop", "expires_in": 3600}
    )

    assert made.status_code == 201, made.content
    assert set(made.data) == {"token", "expires_at", "id", "prefix", "name", "scopes"}
    left = parse_datetime(made.data["expires_at"]) - timezone.now()  # type: ignore[operator]
    assert timedelta(minutes=59) < left <= timedelta(hours=1)
    raw = made.data["token"]
    assert raw.startswith(made.data["prefix"])
    assert Rest(raw).get(GADGETS).status_code == 200
    assert not ApiToken.objects.filter(digest=raw).exists()


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"password": "wrong"}, 401),
        ({"username": "nobody"}, 401),
        ({"password": None}, 400),
        ({"name": ""}, 400),
        ({"scopes": ["what is this"]}, 400),
        ({"scopes": "read"}, 400),
        ({"expires_in": -5}, 400),
        ({"expires_in": 10**12}, 400),
        ({"expires": 5}, 400),
        ({"username": ["ann"]}, 400),
    ],
)
def test_refused_sign_ins(
    world: SimpleNamespace, anybody: Rest, password: str, change: dict[str, Any], status: int
) -> None:
    before = ApiToken.objects.count()

    response = anybody.post(TOKENS, {"username": "ann", "password": password, "name": "x", **change})

    assert response.status_code == status, response.content
    assert ApiToken.objects.count() == before


def test_an_unknown_login_answers_like_a_wrong_password(
    world: SimpleNamespace, anybody: Rest, password: str
) -> None:
    wrong = anybody.post(TOKENS, {"username": "ann", "password": "no", "name": "x"}).data
    unknown = anybody.post(TOKENS, {"username": "nobody", "password": "no", "name": "x"}).data

    assert {**wrong, "trace_id": ""} == {**unknown, "trace_id": ""}


def test_guessing_is_slowed_down(world: SimpleNamespace, anybody: Rest, password: str) -> None:
    for _attempt in range(5):
        assert anybody.post(TOKENS, {"username": "ann", "password": "no", "name": "x"}).status_code == 401

    right = anybody.post(TOKENS, {"username": "ann", "password": password, "name": "x"})

    assert right.status_code == 429
    assert int(right["Retry-After"]) > 0


def test_a_bad_header_does_not_stop_signing_in(world: SimpleNamespace, password: str) -> None:
    made = Rest("expired").post(TOKENS, {"username": "ann", "password": password, "name": "x"})

    assert made.status_code == 201


def test_list_and_revoke(world: SimpleNamespace, ann: Rest, boss: Rest, anybody: Rest, password: str) -> None:
    raw = anybody.post(TOKENS, {"username": "ann", "password": password, "name": "second"}).data
    listed = ann.get(TOKENS).data["results"]

    assert [row["name"] for row in listed] == ["second", "test"]
    assert "digest" not in listed[0]
    assert boss.delete(f"{TOKENS}{raw['id']}/").status_code == 404
    assert ann.delete(f"{TOKENS}{raw['id']}/").status_code == 204
    assert Rest(raw["token"]).get(GADGETS).status_code == 401
    assert [row["name"] for row in ann.get(TOKENS).data["results"]] == ["test"]
    assert anybody.get(TOKENS).status_code == 401


@pytest.mark.parametrize("what", ["revoked", "expired", "archived", "empty", "cut", "basic"])
def test_tokens_that_do_not_count(world: SimpleNamespace, what: str) -> None:
    raw = world.tokens["ann"]
    tokens = ApiToken.objects.filter(user=world.users["ann"])
    if what == "revoked":
        tokens.update(revoked_at=timezone.now())
    elif what == "expired":
        tokens.update(expires_at=timezone.now() - timedelta(seconds=1))
    elif what == "archived":
        type(world.users["ann"]).objects.filter(login="ann").update(active=False)
    header = {"empty": "Bearer ", "cut": f"Bearer {raw[:-1]}", "basic": f"Basic {raw}"}.get(
        what, f"Bearer {raw}"
    )

    response = Client().get(f"/api/v1/{GADGETS}", HTTP_AUTHORIZATION=header)

    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Bearer"
    assert response.json()["code"] == "invalid_token"


def test_scopes_narrow(world: SimpleNamespace, anybody: Rest, password: str) -> None:
    def token(*scopes: str) -> Rest:
        body = {"username": "ann", "password": password, "name": "x", "scopes": list(scopes)}
        return Rest(anybody.post(TOKENS, body).data["token"])

    gadget = make_gadgets(world, 1)[0]
    reader, narrow, other = (
        token("dummy:read"),
        token("dummy.gadget:sell", "dummy.gadget:read"),
        token("contacts"),
    )

    assert reader.get(GADGETS).status_code == 200
    assert reader.post(GADGETS, {"name": "x"}).status_code == 403
    assert other.get(GADGETS).status_code == 403
    assert narrow.post(GADGETS, {"name": "x"}).status_code == 403
    assert narrow.post(f"{GADGETS}{gadget.pk}/actions/sell/").status_code == 200


def test_a_browser_session_needs_its_csrf_token(world: SimpleNamespace) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(world.users["ann"])

    read = browser.get(f"/api/v1/{GADGETS}")
    without = browser.post(f"/api/v1/{GADGETS}", {"name": "x"}, content_type="application/json")
    browser.cookies["csrftoken"] = "a" * 32
    with_token = browser.post(
        f"/api/v1/{GADGETS}", {"name": "x"}, content_type="application/json", HTTP_X_CSRFTOKEN="a" * 32
    )

    assert read.status_code == 200
    assert without.status_code == 403
    assert "CSRF" in without.json()["message"]
    assert with_token.status_code == 201


def test_a_token_sets_no_cookie(world: SimpleNamespace, ann: Rest) -> None:
    assert not ann.get(GADGETS).cookies


def test_requests_a_minute(
    world: SimpleNamespace,
    ann: Rest,
    boss: Rest,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Any,
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        set_setting("api.requests_per_minute", 3, actor=world.system)
    monkeypatch.setattr("apps.api.throttling.time.time", lambda: 1_800_000_000.0)

    statuses = [ann.get(GADGETS).status_code for _request in range(4)]
    refused = ann.get(GADGETS)

    assert statuses == [200, 200, 200, 429]
    assert refused.data["code"] == "throttled"
    assert 0 < int(refused["Retry-After"]) <= 60
    assert boss.get(GADGETS).status_code == 200
