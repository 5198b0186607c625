"""``/reports/<code>/<pks>/`` and what the back office shows of documents."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import settings as live_settings
from django.test import Client
from meridian_dummy.models import Gadget

from apps.core.records import service_for
from apps.reports.admin import print_buttons
from apps.reports.models import RenderedDocument
from apps.reports.services import rendering
from apps.reports.services.rendering import request_document
from apps.reports.views import page_response
from tests.reports.conftest import build_world


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def body_of(response: Any) -> bytes:
    return b"".join(response.streaming_content)


def test_an_employee_saves_the_document(world: SimpleNamespace, gadget: Gadget, at_once: None) -> None:
    response = signed_in(world.users.ann).get(f"/reports/dummy.gadget/{gadget.pk}/")

    assert response.status_code == 200
    assert response["Content-Type"] == "application/pdf"
    assert response["Content-Disposition"] == f'attachment; filename="gadget-{gadget.pk}.pdf"'
    assert response["X-Content-Type-Options"] == "nosniff"
    body = body_of(response)
    assert body.startswith(b"%PDF-")
    assert int(response["Content-Length"]) == len(body)
    shown = signed_in(world.users.max).get(f"/reports/dummy.gadget/{gadget.pk}/?inline=1")
    assert shown["Content-Disposition"] == f'inline; filename="gadget-{gadget.pk}.pdf"'
    assert body_of(shown) == body


def test_several_records_make_one_document(world: SimpleNamespace, gadget: Gadget, at_once: None) -> None:
    other = service_for(Gadget).create_one({"name": "Bell"}, actor=world.ann)

    response = signed_in(world.users.ann).get(f"/reports/dummy.gadget/{gadget.pk},{other.pk}/")

    assert response.status_code == 200
    assert f"gadget-{gadget.pk}_and_1_more.pdf" in response["Content-Disposition"]
    assert RenderedDocument.objects.get().pks == [gadget.pk, other.pk]


def test_visitors_sign_in_first(gadget: Gadget, ordered: list[int]) -> None:
    path = f"/reports/dummy.gadget/{gadget.pk}/?inline=1"

    response = Client().get(path)

    assert response.status_code == 302
    assert (
        response["Location"] == f"/web/login?redirect=%2Freports%2Fdummy.gadget%2F{gadget.pk}%2F%3Finline%3D1"
    )
    assert ordered == []


@pytest.mark.parametrize("name", ["otto", "eve", "pia"])
def test_foreign_and_missing_records_look_the_same(
    name: str, world: SimpleNamespace, gadget: Gadget, ordered: list[int]
) -> None:
    client = signed_in(getattr(world.users, name))

    forbidden = client.get(f"/reports/dummy.gadget/{gadget.pk}/")
    missing = client.get("/reports/dummy.gadget/999999999999999999/")
    mixed = client.get(f"/reports/dummy.gadget/{gadget.pk},999999/")

    assert (forbidden.status_code, missing.status_code, mixed.status_code) == (404, 404, 404)
    assert forbidden.content == missing.content == mixed.content
    assert not RenderedDocument.objects.exists()


def test_unknown_reports_and_bad_keys(world: SimpleNamespace, gadget: Gadget) -> None:
    client = signed_in(world.users.ann)

    assert client.get(f"/reports/dummy.none/{gadget.pk}/").status_code == 400
    for keys in ("abc", "1;2", "1,,2", "-1", "9" * 19):
        assert client.get(f"/reports/dummy.gadget/{keys}/").status_code == 404
    assert client.post(f"/reports/dummy.gadget/{gadget.pk}/").status_code == 405


def test_a_document_that_is_not_ready_asks_to_come_back(
    world: SimpleNamespace, gadget: Gadget, ordered: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rendering, "get_setting", lambda key: 0)

    response = signed_in(world.users.ann).get(f"/reports/dummy.gadget/{gadget.pk}/")

    assert response.status_code == 503
    assert response["Retry-After"] == "3"
    assert len(ordered) == 1


def test_the_page_of_a_document_runs_nothing(
    world: SimpleNamespace, gadget: Gadget, declare: Callable[..., Any]
) -> None:
    service_for(Gadget).update([gadget], {"name": "<script>alert(1)</script>"}, actor=world.ann)

    page = page_response("dummy.gadget", [gadget.pk], actor=world.ann)
    plain = page_response("dummy.gadget", [gadget.pk], actor=world.ann, plain=True)

    assert b"&lt;script&gt;alert(1)" in page.content
    assert b"<script" not in page.content
    assert "default-src 'none'" in page["Content-Security-Policy"]
    assert "sandbox" in page["Content-Security-Policy"]
    assert plain["Content-Type"] == "text/plain; charset=utf-8"
    assert "10.00" in plain.content.decode()
    assert not RenderedDocument.objects.exists()


def test_the_back_office_offers_the_documents_of_a_record(world: SimpleNamespace, gadget: Gadget) -> None:
    buttons = print_buttons(model=Gadget, record=gadget, actor=world.ann)

    assert [(button.key, button.url) for button in buttons] == [
        ("print-dummy.gadget", f"/reports/dummy.gadget/{gadget.pk}/")
    ]
    page = signed_in(world.users.ann).get(f"/admin/dummy/gadget/{gadget.pk}/change/")
    assert f"/reports/dummy.gadget/{gadget.pk}/" in page.content.decode()


def test_administrators_of_documents_see_what_failed(
    world: SimpleNamespace, gadget: Gadget, ordered: list[int]
) -> None:
    document = request_document("dummy.gadget", [gadget.pk], actor=world.ann)
    RenderedDocument.objects.update(state="failed", error="The printer is on fire")

    response = signed_in(world.users.ann).get("/admin/reports/rendereddocument/")
    refused = signed_in(world.users.max).get("/admin/reports/rendereddocument/")

    assert response.status_code == 200
    assert "The printer is on fire" in response.content.decode()
    assert document.filename in response.content.decode()
    assert refused.status_code in (302, 403, 404)
    assert "The printer is on fire" not in refused.content.decode()


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_worker_renders_what_a_browser_asks_for(files: Any, tmp_path: Any) -> None:
    world = build_world()
    gadget = service_for(Gadget).create_one({"name": "Lamp"}, actor=world.ann)
    worker = start_worker(tmp_path)
    try:
        wait_until_ready(worker, tmp_path / "worker.log")
        response = signed_in(world.users.ann).get(f"/reports/dummy.gadget/{gadget.pk}/")
        body = body_of(response) if response.status_code == 200 else response.content
        assert response.status_code == 200, f"{body!r}\n{(tmp_path / 'worker.log').read_text()}"
    finally:
        worker.terminate()
        worker.wait(timeout=30)

    assert body.startswith(b"%PDF-")
    assert RenderedDocument.objects.get().state == "ready"


def wait_until_ready(worker: subprocess.Popen[bytes], log: Path, *, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while "ready." not in log.read_text():
        assert worker.poll() is None, f"the worker ended:\n{log.read_text()}"
        assert time.monotonic() < deadline, f"the worker was not ready within {seconds} s:\n{log.read_text()}"
        time.sleep(0.2)


def start_worker(tmp_path: Any) -> subprocess.Popen[bytes]:
    """A Celery worker of its own process on the test database, store and broker."""
    database = live_settings.DATABASES["default"]
    code = f"""
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "erp_project.settings.test"
from django.conf import settings
settings.DATABASES["default"]["NAME"] = {database["NAME"]!r}
settings.STORAGES["default"]["OPTIONS"]["location"] = {live_settings.STORAGES["default"]["OPTIONS"]["location"]!r}
from erp_project.celery import app
app.worker_main(["worker", "--queues", "render", "--pool", "solo", "--loglevel", "INFO", "--without-gossip"])
"""
    with (tmp_path / "worker.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-c", code], stdout=log, stderr=subprocess.STDOUT, env={**os.environ}
        )
