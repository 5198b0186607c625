"""``Idempotency-Key``: twice sent, once done, whatever happens in between."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone
from meridian_dummy.models import Gadget

from apps.api.constants import IN_FLIGHT_FOR, KEPT_FOR
from apps.api.models import IdempotentRequest
from apps.api.services import idempotency
from apps.core.errors import Unavailable
from apps.core.models import OutboxEvent
from apps.core.testkit import run_in_threads
from tests.api.support import GadgetResource, Rest, make_gadgets, populate

GADGETS = "test/gadgets/"


@pytest.fixture
def real_world(transactional_db: None, urlconf: ModuleType) -> SimpleNamespace:
    """Like ``world``, with real transactions."""
    from apps.access.services.sync import sync_roles

    sync_roles()  # the flush after other such tests took the declared roles away
    return populate()


def test_the_second_answer_is_the_first(world: SimpleNamespace, ann: Rest) -> None:
    first = ann.post(GADGETS, {"name": "Lamp", "price": "1"}, idempotency_key="k1")
    second = ann.post(GADGETS, '{"price":"1",   "name":"Lamp"}', idempotency_key="k1")

    assert first.status_code == second.status_code == 201
    assert first.content == second.content
    assert second["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first
    assert second["ETag"] == first["ETag"]
    assert second["Location"] == first["Location"]
    assert Gadget.objects.count() == 1


def test_another_body_path_or_company_under_the_key_is_refused(world: SimpleNamespace) -> None:
    admin = Rest(world.tokens["adm"])
    admin.post(GADGETS, {"name": "Lamp"}, idempotency_key="k1")

    answers = [
        admin.post(GADGETS, {"name": "Other"}, idempotency_key="k1"),
        admin.post("test/makers/", {"name": "Lamp"}, idempotency_key="k1"),
        admin.post(GADGETS, {"name": "Lamp"}, idempotency_key="k1", x_company=str(world.b.pk)),
    ]

    assert [answer.status_code for answer in answers] == [422, 422, 422]
    assert answers[0].data["code"] == "idempotency_key_reused"
    assert Gadget.objects.count() == 1


def test_keys_belong_to_users(world: SimpleNamespace, ann: Rest, boss: Rest) -> None:
    ann.post(GADGETS, {"name": "Lamp"}, idempotency_key="k1")

    response = boss.post(GADGETS, {"name": "Lantern"}, idempotency_key="k1")

    assert response.status_code == 201
    assert Gadget.objects.count() == 2


def test_a_refusal_for_good_is_kept(world: SimpleNamespace, ann: Rest) -> None:
    first = ann.post(GADGETS, {"name": "Bomb"}, idempotency_key="k1")
    second = ann.post(GADGETS, {"name": "Bomb"}, idempotency_key="k1")

    assert first.status_code == second.status_code == 400
    assert second["Idempotency-Replayed"] == "true"
    assert first.data["trace_id"] == second.data["trace_id"]


@pytest.mark.parametrize("status", [409, 503, 500, 403])
def test_a_refusal_that_may_pass_is_not_kept(
    world: SimpleNamespace, ann: Rest, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    from apps.core.errors import Conflict, PermissionDenied

    errors: dict[int, Exception] = {
        409: Conflict("busy"),
        503: Unavailable("down"),
        500: RuntimeError("oops"),
        403: PermissionDenied("not yet"),
    }
    plain = GadgetResource.create

    def fail(self: Any, rows: Any, *, actor: Any) -> Any:
        plain(self, rows, actor=actor)
        raise errors[status]

    monkeypatch.setattr(GadgetResource, "create", fail)
    refused = ann.post(GADGETS, {"name": "Lamp"}, idempotency_key="k1")
    assert refused.status_code == status
    assert Gadget.objects.count() == 0
    monkeypatch.setattr(GadgetResource, "create", plain)

    done = ann.post(GADGETS, {"name": "Lamp"}, idempotency_key="k1")

    assert done.status_code == 201
    assert Gadget.objects.count() == 1


def test_actions_take_keys_too(world: SimpleNamespace, ann: Rest) -> None:
    gadget = make_gadgets(world, 1, price="10")[0]
    url = f"{GADGETS}{gadget.pk}/actions/sell/"

    first = ann.post(url, {"discount": 4}, idempotency_key="k1")
    second = ann.post(url, {"discount": 4}, idempotency_key="k1")

    assert (first.status_code, second.status_code) == (200, 200)
    assert first.content == second.content
    assert str(Gadget.objects.get().price) == "6.00"
    assert OutboxEvent.objects.filter(name="dummy.GadgetSold").count() == 1


@pytest.mark.parametrize("key", ["", "x" * 201, "späße", "a\tb"])
def test_the_form_of_a_key(world: SimpleNamespace, ann: Rest, key: str) -> None:
    response = ann.post(GADGETS, {"name": "Lamp"}, idempotency_key=key)

    assert response.status_code == 400
    assert Gadget.objects.count() == 0


def test_a_key_that_died_in_flight_is_free_again(world: SimpleNamespace, ann: Rest) -> None:
    ann.post(GADGETS, {"name": "Lamp"}, idempotency_key="k1")
    Gadget.objects.all().delete()
    row = IdempotentRequest.objects.get()
    IdempotentRequest.objects.filter(pk=row.pk).update(status=None)

    early = ann.post(GADGETS, {"name": "Lamp"}, idempotency_key="k1")
    IdempotentRequest.objects.filter(pk=row.pk).update(
        begun_at=timezone.now() - IN_FLIGHT_FOR - timedelta(seconds=1)
    )
    late = ann.post(GADGETS, {"name": "Lamp"}, idempotency_key="k1")

    assert early.status_code == 409
    assert early.data["code"] == "in_flight"
    assert late.status_code == 201


def test_who_lost_his_key_cannot_finish(world: SimpleNamespace) -> None:
    user = world.users["ann"]
    slow = idempotency.claim(user.pk, "k1", "f" * 64)
    IdempotentRequest.objects.update(begun_at=timezone.now() - IN_FLIGHT_FOR - timedelta(seconds=1))
    taken = idempotency.claim(user.pk, "k1", "f" * 64)

    with pytest.raises(idempotency.InFlight):
        idempotency.finish(slow, status=201, body=b"{}", headers={})
    idempotency.give_back(slow)
    idempotency.finish(taken, status=201, body=b"{}", headers={})

    assert IdempotentRequest.objects.get().status == 201


def test_old_keys_are_forgotten(world: SimpleNamespace, ann: Rest) -> None:
    ann.post(GADGETS, {"name": "old"}, idempotency_key="old")
    ann.post(GADGETS, {"name": "new"}, idempotency_key="new")
    IdempotentRequest.objects.filter(key="old").update(
        begun_at=timezone.now() - KEPT_FOR - timedelta(seconds=1)
    )

    assert idempotency.purge() == 1
    assert list(IdempotentRequest.objects.values_list("key", flat=True)) == ["new"]
    assert idempotency.purge() == 0


def test_at_the_same_moment_it_is_done_once(real_world: SimpleNamespace) -> None:
    """Eight clients send the same creation at once: one is done, the others hear that it is at work or its answer."""
    token = real_world.tokens["ann"]

    def send() -> Any:
        return Rest(token).post(GADGETS, {"name": "Lamp"}, idempotency_key="same")

    answers = run_in_threads([send] * 8)

    statuses = sorted(answer.status_code for answer in answers)
    assert set(statuses) <= {201, 409}, [answer.content for answer in answers]
    assert statuses.count(201) >= 1
    fresh = [a for a in answers if a.status_code == 201 and "Idempotency-Replayed" not in a]
    assert len(fresh) == 1
    assert {a.content for a in answers if a.status_code == 201} == {fresh[0].content}
    assert all(a.data["code"] == "in_flight" for a in answers if a.status_code == 409)
    assert Gadget.objects.count() == 1


def test_while_the_first_is_at_work_the_second_hears_so(
    real_world: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    plain = GadgetResource.create

    def slow(self: Any, rows: Any, *, actor: Any) -> Any:
        begun.set()
        assert go_on.wait(20)
        return plain(self, rows, actor=actor)

    monkeypatch.setattr(GadgetResource, "create", slow)
    token = real_world.tokens["ann"]

    def first() -> Any:
        return Rest(token).post(GADGETS, {"name": "Lamp"}, idempotency_key="same")

    def second() -> Any:
        assert begun.wait(20)
        started = time.monotonic()
        answer = Rest(token).post(GADGETS, {"name": "Lamp"}, idempotency_key="same")
        waited = time.monotonic() - started
        go_on.set()
        return answer, waited

    one, (two, waited) = run_in_threads([first, second])

    assert (one.status_code, two.status_code) == (201, 409)
    assert waited < 5
    assert Gadget.objects.count() == 1
    assert Rest(token).post(GADGETS, {"name": "Lamp"}, idempotency_key="same").content == one.content
