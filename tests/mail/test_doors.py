"""The doors of the gateway: HTTP, the pipe, folders and mboxes, the back office's quarantine, word to administrators."""

from __future__ import annotations

import json
import mailbox
import os
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.test import Client, override_settings
from meridian_dummy.models import Gadget

from apps.access.models import User
from apps.chatter.models import Message, Notification
from apps.contacts.models import Partner
from apps.core.events import JobFailed
from apps.core.testkit import drain_outbox
from apps.core.unit_of_work import emit
from apps.mail import views
from apps.mail.models import IncomingMail
from apps.mail.services.intake import receive

SECRET = "inbound-secret"
MAIL = b"From: a@x.com\r\nTo: support@example.com\r\nSubject: By HTTP\r\nMessage-ID: <h@x>\r\n\r\nHello\r\n"
LOST = b"From: a@x.com\r\nTo: nobody@elsewhere.org\r\nSubject: Lost <b>\r\nMessage-ID: <l@x>\r\n\r\nHello\r\n"
ROOT = Path(__file__).resolve().parents[2]


def post(raw: bytes, *, timestamp: str | None = None, signature: str | None = None) -> Any:
    when = timestamp if timestamp is not None else str(int(time.time()))
    return Client().post(
        "/mail/inbound/",
        raw,
        content_type="message/rfc822",
        headers={
            "X-Meridian-Timestamp": when,
            "X-Meridian-Signature": signature if signature is not None else views.sign(SECRET, when, raw),
        },
    )


@override_settings(MAIL_INBOUND_SECRET=SECRET)
def test_signed_mail_is_taken_over(world: SimpleNamespace) -> None:
    response = post(MAIL)

    gadget = Gadget.objects.get()
    assert response.status_code == 200
    assert response.json()["state"] == "accepted"
    assert response.json()["records"] == [f"dummy.gadget:{gadget.pk}"]
    assert post(MAIL).json()["state"] == "duplicate"


@override_settings(MAIL_INBOUND_SECRET=SECRET)
@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"signature": ""}, 401, "bad_signature"),
        ({"signature": "0" * 64}, 401, "bad_signature"),
        ({"signature": "ü"}, 401, "bad_signature"),
        ({"timestamp": ""}, 401, "stale"),
        ({"timestamp": "soon"}, 401, "stale"),
        ({"timestamp": "1700000000"}, 401, "stale"),
        ({"timestamp": "9" * 30}, 401, "stale"),
    ],
)
def test_unsigned_and_stale_mail_is_refused(
    world: SimpleNamespace, changes: dict[str, str], status: int, code: str
) -> None:
    response = post(MAIL, **changes)

    assert (response.status_code, response.json()["code"]) == (status, code)
    assert not IncomingMail.objects.exists()


@override_settings(MAIL_INBOUND_SECRET=SECRET)
def test_signature_is_for_these_bytes(world: SimpleNamespace) -> None:
    when = str(int(time.time()))

    response = post(MAIL + b"more", timestamp=when, signature=views.sign(SECRET, when, MAIL))

    assert response.status_code == 401
    assert not IncomingMail.objects.exists()


@override_settings(MAIL_INBOUND_SECRET=SECRET)
def test_too_large_a_mail_is_refused(world: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "MAX_MAIL_BYTES", 50)

    assert post(MAIL).status_code == 413
    assert not IncomingMail.objects.exists()


@override_settings(MAIL_INBOUND_SECRET=SECRET)
def test_mail_to_nobody_is_kept_and_said_so(world: SimpleNamespace) -> None:
    response = post(LOST)

    assert (response.status_code, response.json()["state"]) == (422, "quarantined")


@override_settings(MAIL_INBOUND_SECRET="")
def test_the_door_is_shut_without_a_secret(world: SimpleNamespace) -> None:
    assert post(MAIL).status_code == 404
    assert Client().get("/mail/inbound/").status_code == 405


def mailgate(raw: bytes, **environment: str) -> subprocess.CompletedProcess[bytes]:
    database = connection.settings_dict
    url = f"postgresql://{database['USER']}:{database['PASSWORD']}@{database['HOST']}:{database['PORT']}"
    return subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "mailgate", "--json"],
        input=raw,
        capture_output=True,
        timeout=120,
        check=False,
        env={**os.environ, "DATABASE_URL": f"{url}/{database['NAME']}", **environment},
    )


@pytest.mark.django_db(transaction=True)
def test_exit_codes_of_the_pipe() -> None:
    lost, empty = mailgate(LOST), mailgate(b"\n")
    again = mailgate(LOST)
    down = mailgate(MAIL, DATABASE_URL="postgresql://nobody:none@127.0.0.1:9/none")

    assert (lost.returncode, empty.returncode, again.returncode, down.returncode) == (67, 65, 0, 75), (
        down.stderr
    )
    assert json.loads(lost.stdout)["state"] == "quarantined"
    assert IncomingMail.objects.get().subject == "Lost <b>"


def test_folders_and_mboxes(world: SimpleNamespace, tmp_path: Path) -> None:
    folder, box = tmp_path / "in", tmp_path / "box"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.eml").write_bytes(
            MAIL.replace(b"<h@x>", f"<{number}@x>".encode()).replace(b"By HTTP", f"Mail {number}".encode())
        )
    kept = mailbox.mbox(box)
    for number in range(3, 5):
        kept.add(
            MAIL.replace(b"<h@x>", f"<{number}@x>".encode()).replace(b"By HTTP", f"Mail {number}".encode())
        )
    kept.close()
    out = StringIO()

    call_command("mailgate", str(folder), json=True, stdout=out)
    call_command("mailgate", str(box), mbox=True, json=True, stdout=out)

    states = [json.loads(line)["state"] for line in out.getvalue().splitlines()]
    assert states == ["accepted"] * 5
    assert sorted(Gadget.objects.values_list("name", flat=True)) == [f"Mail {n}" for n in range(5)]


@pytest.fixture
def boss(world: SimpleNamespace) -> User:
    with transaction.atomic():
        user = User.objects.create_superuser("boss", "secret-boss", name="Ada Boss", company=world.company)
    User.objects.filter(pk=user.pk).update(notification="inbox")
    Partner.objects.update_or_create(user=user, defaults={"name": "Ada Boss", "email": "boss@example.com"})
    return user


def test_administrators_hear_of_quarantine_once_an_hour(world: SimpleNamespace, boss: User) -> None:
    receive(LOST)
    receive(LOST.replace(b"<l@x>", b"<l2@x>"))

    drain_outbox()

    notice = Notification.objects.get(partner__user=boss)
    kept = IncomingMail.objects.order_by("pk").first()
    assert (notice.kind, notice.message.subject) == ("inbox", "A mail waits in quarantine")
    assert "Lost &lt;b&gt;" in notice.message.body
    assert (notice.message.model, notice.message.object_id) == ("mail.incomingmail", kept.pk if kept else 0)


def test_administrators_hear_of_failing_jobs(world: SimpleNamespace, boss: User) -> None:
    emit(JobFailed(job="mail.fetch", error="Traceback <x>", failures=5, deactivated=True), actor=world.actor)

    drain_outbox()

    message = Message.objects.get(notifications__partner__user=boss)
    assert "switched off after 5 failures" in message.subject
    assert "Traceback &lt;x&gt;" in message.body


def test_quarantine_in_the_back_office(world: SimpleNamespace, boss: User) -> None:
    receive(LOST)
    kept = IncomingMail.objects.get()
    browser = Client()
    browser.force_login(boss)

    page = browser.get(f"/admin/mail/incomingmail/{kept.pk}/change/")
    listed = browser.get("/admin/mail/incomingmail/?state__exact=quarantined")

    assert (page.status_code, listed.status_code) == (200, 200)
    shown = page.content.decode()
    assert "Message-ID: &lt;l@x&gt;" in shown
    assert "Try again" in shown
    assert "Throw away" in shown
    assert "No possible route found" in listed.content.decode()


@pytest.mark.parametrize("resource", ["domains", "aliases", "incoming", "outgoing", "addresses"])
def test_resources(world: SimpleNamespace, boss: User, resource: str) -> None:
    receive(LOST)
    browser = Client()
    browser.force_login(boss)

    response = browser.get(f"/api/v1/mail/{resource}/")

    assert response.status_code == 200, response.content
    assert (
        "raw" not in response.json()["results"][0]
        if resource == "incoming"
        else response.json()["count"] >= 0
    )
