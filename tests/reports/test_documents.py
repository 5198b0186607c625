"""Asking for documents, rendering them, serving what is ready."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pypdfium2
import pytest
from django.utils import timezone
from meridian_dummy.models import Gadget

from apps.chatter.models import Attachment
from apps.chatter.selectors.files import read_attachment
from apps.core.errors import NotVisible, PermissionDenied, Unavailable, ValidationFailed
from apps.core.records import service_for
from apps.core.testkit import run_in_threads
from apps.reports.models import RenderedDocument
from apps.reports.services import rendering
from apps.reports.services.rendering import purge, render, render_again, request_document, wait_for
from tests.reports import conftest
from tests.reports.conftest import build_world

State = RenderedDocument.State


def text_of(pdf: bytes) -> str:
    return "\n".join(page.get_textpage().get_text_bounded() for page in pypdfium2.PdfDocument(pdf))


def served(gadget: Gadget, actor: Any, code: str = "dummy.gadget") -> bytes:
    return read_attachment(wait_for(request_document(code, [gadget.pk], actor=actor), seconds=0))


def test_a_document_is_ordered_and_rendered_by_a_worker(
    world: SimpleNamespace, gadget: Gadget, ordered: list[int]
) -> None:
    document = request_document("dummy.gadget", [gadget.pk], actor=world.ann)
    with pytest.raises(Unavailable, match="still being rendered"):
        wait_for(document, seconds=0)

    state = render(document.pk)

    assert (ordered, state) == ([document.pk], "ready")
    document.refresh_from_db()
    assert (document.model, document.pks, document.filename) == (
        "dummy.gadget",
        [gadget.pk],
        f"gadget-{gadget.pk}.pdf",
    )
    assert (document.state, document.error) == (State.READY, "")
    assert document.seconds is not None
    assert document.seconds > 0
    file = wait_for(document, seconds=0)
    assert file.mimetype == "application/pdf"
    assert (file.model, file.object_id) == ("reports.rendereddocument", document.pk)
    assert read_attachment(file).startswith(b"%PDF-")
    assert "Lamp" in text_of(read_attachment(file))
    assert "10.00" in text_of(read_attachment(file))


def test_the_same_document_is_rendered_once_and_served_byte_for_byte(
    world: SimpleNamespace, gadget: Gadget, at_once: None
) -> None:
    first = served(gadget, world.ann)

    again = served(gadget, world.ann)

    assert again == first
    assert RenderedDocument.objects.count() == 1


def test_who_has_the_same_view_shares_the_document(
    world: SimpleNamespace, gadget: Gadget, at_once: None
) -> None:
    first = served(gadget, world.ann)

    assert served(gadget, world.max) == first
    assert RenderedDocument.objects.count() == 1


def test_a_changed_record_gives_a_new_document(world: SimpleNamespace, gadget: Gadget, at_once: None) -> None:
    old = served(gadget, world.ann)
    service_for(Gadget).update([gadget], {"name": "Lantern"}, actor=world.ann)

    new = served(gadget, world.ann)

    assert "Lantern" not in text_of(old)
    assert "Lantern" in text_of(new)
    assert RenderedDocument.objects.count() == 2


def test_language_and_time_zone_give_documents_of_their_own(
    world: SimpleNamespace, gadget: Gadget, at_once: None, declare: Callable[..., Any]
) -> None:
    from dataclasses import replace

    declare("facts")
    german = replace(world.ann, language="de")

    texts = [text_of(served(gadget, actor, "dummy.test")) for actor in (world.ann, german)]

    assert texts[0].strip() == f"system Ann {world.alpha.pk} en"
    assert texts[1].strip() == f"system Ann {world.alpha.pk} de"
    request_document("dummy.test", [gadget.pk], actor=replace(world.ann, timezone="Asia/Tokyo"))
    assert RenderedDocument.objects.count() == 3


def test_the_letterhead_is_that_of_the_records_company(
    world: SimpleNamespace, gadget: Gadget, at_once: None, declare: Callable[..., Any]
) -> None:
    from dataclasses import replace

    declare("facts")
    both = replace(world.ann, company_pk=world.omega.pk, company_pks=(world.omega.pk, world.alpha.pk))

    text = text_of(served(gadget, both, "dummy.test"))

    assert text.strip() == f"system Ann {world.alpha.pk} en"


@pytest.mark.parametrize("name", ["otto", "eve", "pia"])
def test_records_that_are_not_the_askers_give_no_document(
    name: str, world: SimpleNamespace, gadget: Gadget, ordered: list[int]
) -> None:
    with pytest.raises(NotVisible):
        request_document("dummy.gadget", [gadget.pk], actor=getattr(world, name))

    assert ordered == []
    assert not RenderedDocument.objects.exists()


def test_one_forbidden_record_among_others_refuses_all(
    world: SimpleNamespace, gadget: Gadget, ordered: list[int]
) -> None:
    foreign = service_for(Gadget).create_one({"name": "Foreign"}, actor=world.otto)

    for pks in ([gadget.pk, foreign.pk], [gadget.pk, foreign.pk + 1], []):
        with pytest.raises(NotVisible):
            request_document("dummy.gadget", pks, actor=world.ann)

    assert not RenderedDocument.objects.exists()


def test_customers_get_only_documents_meant_for_them(
    world: SimpleNamespace, gadget: Gadget, ordered: list[int], declare: Callable[..., Any]
) -> None:
    with pytest.raises(NotVisible):
        request_document("dummy.gadget", [gadget.pk], actor=world.pia, trusted=True)
    declare("facts", portal=True)

    document = request_document("dummy.test", [gadget.pk], actor=world.pia, trusted=True)

    assert document.actor["internal"] is False
    with pytest.raises(NotVisible):
        request_document("dummy.test", [gadget.pk], actor=world.pia)


def test_customers_and_employees_never_share_a_document(
    world: SimpleNamespace, gadget: Gadget, ordered: list[int], declare: Callable[..., Any]
) -> None:
    declare("facts", portal=True)

    inner = request_document("dummy.test", [gadget.pk], actor=world.ann)
    outer = request_document("dummy.test", [gadget.pk], actor=world.pia, trusted=True)

    assert inner.key != outer.key


def test_unknown_reports_and_too_many_records_are_refused(world: SimpleNamespace, db: None) -> None:
    with pytest.raises(ValidationFailed, match=r"There is no report 'dummy\.missing'"):
        request_document("dummy.missing", [1], actor=world.ann)
    with pytest.raises(ValidationFailed, match="at most 200 records"):
        request_document("dummy.gadget", list(range(1, 202)), actor=world.ann)


def test_a_failing_builder_keeps_its_error_and_can_be_retried(
    world: SimpleNamespace, gadget: Gadget, at_once: None, declare: Callable[..., Any], monkeypatch: Any
) -> None:
    declare("failing")
    monkeypatch.setitem(conftest.broken, "reason", "the constraint")

    with pytest.raises(Unavailable, match="could not be rendered"):
        served(gadget, world.ann, "dummy.test")

    document = RenderedDocument.objects.get()
    assert document.state == State.FAILED
    assert document.error.startswith("IntegrityError")
    assert "dummy_gadget_price_positive" in document.error
    assert document.attachment is None
    assert render(document.pk) == "failed", "a repeated delivery does not try again by itself"
    monkeypatch.setitem(conftest.broken, "reason", "")
    render_again([document], actor=world.ann)
    document.refresh_from_db()
    assert (document.state, document.error) == (State.READY, "")


def test_asking_again_for_a_failed_document_tries_again(
    world: SimpleNamespace, gadget: Gadget, at_once: None, declare: Callable[..., Any], monkeypatch: Any
) -> None:
    declare("failing")
    monkeypatch.setitem(conftest.broken, "reason", "the constraint")
    with pytest.raises(Unavailable):
        served(gadget, world.ann, "dummy.test")
    monkeypatch.setitem(conftest.broken, "reason", "")

    assert "Lamp" in text_of(served(gadget, world.ann, "dummy.test"))


def test_rendering_again_takes_the_right_to(
    world: SimpleNamespace, gadget: Gadget, ordered: list[int]
) -> None:
    document = request_document("dummy.gadget", [gadget.pk], actor=world.ann)
    RenderedDocument.objects.update(state=State.FAILED, error="broken")
    ordered.clear()

    with pytest.raises((PermissionDenied, NotVisible)):
        render_again([document], actor=world.max)

    document.refresh_from_db()
    assert (document.state, document.error, ordered) == (State.FAILED, "broken", [])


def test_a_lost_file_is_made_again(world: SimpleNamespace, gadget: Gadget, at_once: None) -> None:
    served(gadget, world.ann)
    Attachment.objects.filter(model="reports.rendereddocument").delete()

    assert "Lamp" in text_of(served(gadget, world.ann))
    assert RenderedDocument.objects.count() == 1


def test_old_documents_are_removed_with_their_files(
    world: SimpleNamespace, gadget: Gadget, at_once: None
) -> None:
    served(gadget, world.ann)
    service_for(Gadget).update([gadget], {"name": "Lantern"}, actor=world.ann)
    served(gadget, world.ann)
    old = RenderedDocument.objects.order_by("pk").first()
    assert old is not None
    RenderedDocument.objects.filter(pk=old.pk).update(updated_at=timezone.now() - timedelta(days=31))

    removed = purge()

    assert removed == 1
    kept = RenderedDocument.objects.get()
    assert kept.pk != old.pk
    assert list(Attachment.objects.values_list("object_id", flat=True)) == [kept.pk]


def test_a_document_that_is_gone_is_no_failure(db: None) -> None:
    assert render(4_000_000_000) == "gone"


@pytest.mark.django_db(transaction=True)
def test_two_workers_render_a_document_once(monkeypatch: pytest.MonkeyPatch, files: Path) -> None:
    world = build_world()
    gadget = service_for(Gadget).create_one({"name": "Lamp"}, actor=world.ann)
    monkeypatch.setattr(rendering, "enqueue_on_commit", lambda *args, **kwargs: None)
    document = request_document("dummy.gadget", [gadget.pk], actor=world.ann)
    calls: list[str] = []
    real = rendering.render_pdf

    def counted(html: str) -> bytes:
        calls.append(html)
        return real(html)

    monkeypatch.setattr(rendering, "render_pdf", counted)

    states = run_in_threads([lambda: render(document.pk)] * 3)

    assert len(calls) == 1
    assert "ready" in states
    assert set(states) <= {"ready", "rendering"}
    assert Attachment.objects.filter(model="reports.rendereddocument").count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_who_ask_at_once_get_one_document(monkeypatch: pytest.MonkeyPatch, files: Path) -> None:
    world = build_world()
    gadget = service_for(Gadget).create_one({"name": "Lamp"}, actor=world.ann)
    monkeypatch.setattr(rendering, "enqueue_on_commit", lambda *args, **kwargs: None)

    found = run_in_threads([lambda: request_document("dummy.gadget", [gadget.pk], actor=world.ann).pk] * 4)

    assert RenderedDocument.objects.count() == 1
    assert set(found) == {RenderedDocument.objects.get().pk}


@pytest.mark.django_db(transaction=True)
def test_a_document_whose_worker_died_is_rendered_by_the_next(
    monkeypatch: pytest.MonkeyPatch, files: Path
) -> None:
    world = build_world()
    gadget = service_for(Gadget).create_one({"name": "Lamp"}, actor=world.ann)
    monkeypatch.setattr(rendering, "enqueue_on_commit", lambda *args, **kwargs: None)
    document = request_document("dummy.gadget", [gadget.pk], actor=world.ann)

    class Killed(BaseException):
        """As if the process had been killed in the middle."""

    def die(html: str) -> bytes:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(rendering, "render_pdf", die)
        with pytest.raises(Killed):
            render(document.pk)
    document.refresh_from_db()
    assert document.state == State.RENDERING

    assert render(document.pk) == "ready"
