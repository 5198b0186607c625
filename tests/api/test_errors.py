"""Every answer that is not a success has one shape, and none says too much."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import DataError, OperationalError
from django.test import Client

from apps.core.rules import rule, unregister
from tests.api.support import GadgetResource, Rest, make_gadgets

GADGETS = "test/gadgets/"
SHAPE = {"code", "message", "fields", "trace_id"}


def test_the_shape_of_every_refusal(world: SimpleNamespace, ann: Rest, eve: Rest, anybody: Rest) -> None:
    cases = {
        "anonymous": (anybody.get(GADGETS), 401),
        "bad token": (Rest("nonsense").get(GADGETS), 401),
        "no right": (eve.get(GADGETS), 403),
        "no such record": (ann.get(f"{GADGETS}999/"), 404),
        "a huge id": (ann.get(f"{GADGETS}{'9' * 30}/"), 404),
        "no such address": (ann.get("nothing/here/"), 404),
        "no such address, anonymous": (anybody.post("/api/v2/x", {}), 404),
        "wrong method": (ann.delete(GADGETS), 405),
        "no JSON": (ann.post(GADGETS, "{'name'"), 400),
        "not UTF-8": (ann.post(GADGETS, b'{"name": "\xff"}'), 400),
        "NaN": (ann.post(GADGETS, '{"price": NaN}'), 400),
        "a lone surrogate": (ann.post(GADGETS, '{"name": "\\ud800"}'), 400),
        "a NUL": (ann.post(GADGETS, '{"name": "a\\u0000b"}'), 400),
        "too deep": (ann.post(GADGETS, "[" * 100_000), 400),
        "a text": (ann.post(GADGETS, '"hello"'), 400),
        "unknown query on a record": (ann.get(f"{GADGETS}999/?x=1"), 400),
        "unknown query on a creation": (ann.post(f"{GADGETS}?x=1", {"name": "x"}), 400),
    }

    for name, (response, status) in cases.items():
        assert response.status_code == status, (name, response.content)
        assert response["Content-Type"] == "application/json", name
        assert set(response.data) == SHAPE, name
        assert len(response.data["trace_id"]) >= 8, name
        assert response["X-Request-ID"] == response.data["trace_id"], name
        assert "Traceback" not in response.content.decode()
    assert cases["anonymous"][0]["WWW-Authenticate"] == "Bearer"
    assert cases["wrong method"][0]["Allow"] == "GET, POST, OPTIONS"
    assert "slash" in cases["no such address, anonymous"][0].data["message"]


def test_other_media_types_are_refused(world: SimpleNamespace) -> None:
    response = Client().post(
        f"/api/v1/{GADGETS}",
        "name=x",
        "application/x-www-form-urlencoded",
        HTTP_AUTHORIZATION=f"Bearer {world.tokens['ann']}",
    )

    assert response.status_code == 415
    assert set(response.json()) == SHAPE


def test_a_body_that_is_too_large(world: SimpleNamespace, ann: Rest, settings: Any) -> None:
    settings.API_MAX_BODY = 1000

    response = ann.post(GADGETS, {"name": "x", "note": "y" * 1000})

    assert response.status_code == 413
    assert response.data["code"] == "too_large"


def test_an_unexpected_error_tells_nothing_but_its_trace(
    world: SimpleNamespace, ann: Rest, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def explode(self: Any, actor: Any, op: str = "view") -> Any:
        raise RuntimeError("the password is swordfish")

    monkeypatch.setattr(GadgetResource, "queryset", explode)
    with caplog.at_level(logging.ERROR, "meridian.api"):
        response = ann.get(GADGETS)

    assert response.status_code == 500
    assert response.data["code"] == "internal_error"
    assert b"swordfish" not in response.content
    record = next(r for r in caplog.records if r.name == "meridian.api")
    assert response.data["trace_id"] in record.getMessage()
    assert record.exc_info is not None


@pytest.mark.parametrize(
    ("error", "sqlstate", "status", "code"),
    [
        (OperationalError, "40P01", 409, "busy"),
        (OperationalError, "40001", 409, "busy"),
        (OperationalError, "57014", 503, "unavailable"),
        (OperationalError, "", 503, "unavailable"),
        (DataError, "22003", 400, "invalid"),
    ],
)
def test_database_errors(
    world: SimpleNamespace,
    ann: Rest,
    monkeypatch: pytest.MonkeyPatch,
    error: type[Exception],
    sqlstate: str,
    status: int,
    code: str,
) -> None:
    def explode(self: Any, actor: Any, op: str = "view") -> Any:
        cause = Exception("inner words")
        cause.sqlstate = sqlstate  # type: ignore[attr-defined]
        raise error("inner words") from cause

    monkeypatch.setattr(GadgetResource, "queryset", explode)
    response = ann.get(GADGETS)

    assert (response.status_code, response.data["code"]) == (status, code)
    assert b"inner words" not in response.content
    assert ("Retry-After" in response) == (status in (409, 503))


def test_administrators_are_told_the_rule(world: SimpleNamespace, ann: Rest) -> None:
    from django.db.models import Q
    from meridian_dummy.models import Gadget

    gadget = make_gadgets(world, 1)[0]

    def nobody_changes(actor: Any, op: str) -> Q:
        return Q(pk__in=[])

    rule(Gadget, mandatory=True, ops=("change",))(nobody_changes)
    try:
        told = Rest(world.tokens["adm"]).patch(f"{GADGETS}{gadget.pk}/", {"name": "x"})
        untold = ann.patch(f"{GADGETS}{gadget.pk}/", {"name": "x"})
    finally:
        unregister(nobody_changes)

    assert told.status_code == untold.status_code == 403
    assert "nobody_changes" in told.data["rule"]
    assert "rule" not in untold.data
    assert "nobody_changes" not in untold.content.decode()


def test_a_hidden_and_a_missing_record_look_the_same(world: SimpleNamespace, bob: Rest) -> None:
    hidden = make_gadgets(world, 1)[0]

    first, second = bob.get(f"{GADGETS}{hidden.pk}/"), bob.get(f"{GADGETS}999999/")

    for response in (first, second):
        response.data.pop("trace_id")
    assert first.status_code == second.status_code == 404
    assert first.data == second.data


def test_answers_are_not_cached_and_no_cors(world: SimpleNamespace, ann: Rest) -> None:
    response = ann.get(GADGETS, origin="https://evil.example")

    assert response["Cache-Control"] == "private, no-store"
    assert "Access-Control-Allow-Origin" not in response
