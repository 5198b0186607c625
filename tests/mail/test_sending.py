"""The outgoing queue: what a mail server says, and what becomes of the mail."""

from __future__ import annotations

import datetime
import socket
from types import SimpleNamespace
from typing import Any

import pytest
from django.core import mail as django_mail
from django.test import override_settings
from django.utils import timezone

from apps.chatter.models import Notification
from apps.chatter.services.posting import post_message
from apps.contacts.models import Partner
from apps.core.config import set_setting
from apps.core.errors import BusinessError
from apps.core.records import service_for
from apps.core.testkit import drain_outbox, run_in_threads
from apps.mail.constants import RETRY_PAUSES
from apps.mail.models import OutgoingMail
from apps.mail.services.outgoing import queue_mails
from apps.mail.services.queue_actions import cancel_mails, retry_mails
from apps.mail.services.sending import _claim, release_stuck, send_queue
from tests.mail.support import mail_server


def queued(to: str = "ann@x.example", **values: Any) -> OutgoingMail:
    values = {
        "from_address": "Desk <desk@example.com>",
        "return_path": "bounce@example.com",
        "subject": "Hello",
        "body_text": "text",
        "body_html": "<p>html</p>",
        "rfc_id": "<one@example.com>",
        **values,
    }
    return queue_mails([OutgoingMail(to_address=to, **values)])[0]


def due_now() -> None:
    OutgoingMail.objects.filter(state="outgoing").update(scheduled_at=timezone.now())


def test_retry_schedule_of_temporary_refusals(db: None) -> None:
    mail = queued()
    pauses = []
    with mail_server() as server:
        server.answers["ann@x.example"] = "451 greylisted"
        for _try in range(6):
            before = timezone.now()
            assert send_queue() == 1
            mail.refresh_from_db()
            if mail.state == "outgoing":
                pauses.append(round((mail.scheduled_at - before).total_seconds() / 60))
                assert send_queue() == 0  # not before its time
            due_now()

        assert pauses == [1, 5, 30, 120, 720] == [p.total_seconds() / 60 for p in RETRY_PAUSES]
        assert (mail.state, mail.attempts, mail.failure_type) == ("exception", 6, "mail_smtp")
        assert mail.failure_reason == "451 greylisted"

        del server.answers["ann@x.example"]
        retry_mails([mail], actor=system())
        send_queue()

    mail.refresh_from_db()
    assert (mail.state, mail.attempts, mail.failure_reason) == ("sent", 1, "")
    assert server.recipients == ["ann@x.example"]


def system() -> Any:
    from apps.core.actor import system_actor

    return system_actor()


def test_a_refused_recipient_fails_for_good_and_stops_nobody(world: SimpleNamespace) -> None:
    from meridian_dummy.models import Gadget

    gadget = service_for(Gadget).create_one({"name": "Lamp"}, actor=world.actor)
    good, bad = (
        service_for(Partner).create_one({"name": n, "email": f"{n}@x.example"}, actor=world.actor)
        for n in ("good", "bad")
    )
    message = post_message(
        gadget,
        actor=world.actor,
        body="<p>hi</p>",
        subtype="chatter.comment",
        recipients=[good, bad],
        email_from="desk@example.com",
    )
    drain_outbox()

    with mail_server() as server:
        server.answers["bad@x.example"] = "550 5.1.1 no such user"
        assert send_queue() == 2

    states = dict(OutgoingMail.objects.values_list("partner__name", "state"))
    told = {n.partner.name: (n.status, n.failure_type) for n in Notification.objects.filter(message=message)}
    assert server.recipients == ["good@x.example"]
    assert states == {"good": "sent", "bad": "exception"}
    assert told == {"good": ("sent", ""), "bad": ("exception", "mail_email_invalid")}
    assert "no such user" in OutgoingMail.objects.get(partner=bad).failure_reason


def test_a_refused_content_is_no_wrong_address(db: None) -> None:
    mail = queued()

    with mail_server() as server:
        server.after_data = "554 spam"
        send_queue()

    mail.refresh_from_db()
    assert (mail.state, mail.failure_type, mail.failure_reason) == ("exception", "mail_smtp", "554 spam")


def test_server_that_is_down_costs_one_try_of_one_batch(db: None) -> None:
    for number in range(60):
        queued(f"p{number}@x.example", rfc_id=f"<{number}@example.com>")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]

    with override_settings(
        EMAIL_BACKEND="django.core.mail.backends.smtp.EmailBackend", EMAIL_HOST="127.0.0.1", EMAIL_PORT=port
    ):
        assert send_queue() == 50

    assert OutgoingMail.objects.filter(state="outgoing").count() == 60
    assert OutgoingMail.objects.filter(attempts=1, scheduled_at__gt=timezone.now()).count() == 50
    assert OutgoingMail.objects.filter(attempts=0).count() == 10
    with mail_server() as server:
        due_now()
        send_queue()
    assert len(server.envelopes) == 60


def test_server_that_says_goodbye_is_called_again(db: None) -> None:
    for number in range(3):
        queued(f"p{number}@x.example", rfc_id=f"<{number}@example.com>")

    with mail_server() as server:
        server.answers["p0@x.example"] = "421 too many"
        assert send_queue() == 3

    assert server.recipients == ["p1@x.example", "p2@x.example"]
    assert server.connections == 2
    assert OutgoingMail.objects.get(to_address="p0@x.example").state == "outgoing"


def test_a_mail_whose_worker_died_is_shown_and_not_repeated(db: None) -> None:
    mail = queued()
    assert [row.pk for row in _claim(10)] == [mail.pk]

    with mail_server() as server:
        assert send_queue() == 0  # a quarter of an hour is not over: it may still be under way
        long_ago = timezone.now() - datetime.timedelta(minutes=16)
        OutgoingMail.objects.update(claimed_at=long_ago)
        assert send_queue() == 0

    mail.refresh_from_db()
    assert (mail.state, mail.failure_type, server.envelopes) == ("exception", "unknown", [])
    assert release_stuck() == 0


def test_a_worker_that_was_too_slow_leaves_its_mail_alone(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from apps.mail.services import sending

    mail = queued()
    batch = _claim(10)
    OutgoingMail.objects.update(state="exception", claimed_at=None)

    with mail_server() as server:
        sending._send_batch(batch)

    mail.refresh_from_db()
    assert (mail.state, server.envelopes) == ("exception", [])


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_send_every_mail_once() -> None:
    for number in range(120):
        queued(f"p{number}@x.example", rfc_id=f"<{number}@example.com>")

    with mail_server() as server:
        counts = run_in_threads([send_queue, send_queue, send_queue])

    assert sum(counts) == 120, counts
    assert server.recipients == sorted(f"p{n}@x.example" for n in range(120))
    assert OutgoingMail.objects.filter(state="sent").count() == 120


def test_nothing_leaves_when_sending_is_off(db: None) -> None:
    mail = queued()
    set_setting("mail.sending", False, actor=system())

    with mail_server() as server:
        assert send_queue() == 0

    mail.refresh_from_db()
    assert (mail.state, mail.attempts, server.envelopes) == ("outgoing", 0, [])


def test_cancelled_mail_is_not_sent_and_sent_mail_not_cancelled(db: None) -> None:
    first, second = queued(), queued("bob@x.example", rfc_id="<two@example.com>")
    cancel_mails([first], actor=system())

    with mail_server() as server:
        send_queue()
    with pytest.raises(BusinessError):
        cancel_mails([second], actor=system())

    assert server.recipients == ["bob@x.example"]
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.state, second.state) == ("cancelled", "sent")


def test_refusals_have_the_null_sender(db: None) -> None:
    queued(return_path="<>", from_address="MAILER-DAEMON <bounce@example.com>")

    with mail_server() as server:
        send_queue()

    assert server.envelopes[0].mail_from == "<>"
    assert server.mails()[0]["From"] == "MAILER-DAEMON <bounce@example.com>"


@pytest.mark.parametrize("field", ["subject", "from_address", "reply_to", "to_address"])
def test_line_breaks_in_stored_values_make_no_headers(db: None, field: str) -> None:
    clean = {
        "subject": "Hi",
        "from_address": "D <d@example.com>",
        "reply_to": "R <r@example.com>",
        "to_address": "A <ann@x.example>",
    }
    evil = {**clean, field: f"x\r\nBcc: victim@x.example\r\n\r\n {clean[field]}"}
    queued(evil.pop("to_address"), headers={"References": "<a@x>\r\nX-Evil: 1"}, **evil)

    with mail_server() as server:
        send_queue()

    assert "victim@x.example" not in server.recipients
    for mail in server.mails():
        assert mail["Bcc"] is None
        assert mail["X-Evil"] is None


def test_addresses_and_names_outside_ascii(db: None) -> None:
    queued(
        "Jürgen Übel <jürgen@müller.example>",
        from_address='"Änne, M." <desk@example.com>',
        subject="Grüße 🎉",
    )

    with mail_server() as server:
        send_queue()

    sent = server.mails()[0]
    assert server.recipients == ["jürgen@xn--mller-kva.example"]
    assert (sent["Subject"], sent["From"]) == ("Grüße 🎉", '"Änne, M." <desk@example.com>')
    assert OutgoingMail.objects.get().state == "sent"


def test_server_without_utf8_addresses_is_not_given_any(db: None) -> None:
    mail = queued("jürgen@x.example")

    with mail_server(utf8=False) as server:
        send_queue()

    mail.refresh_from_db()
    assert (mail.state, mail.failure_type, server.envelopes) == ("exception", "mail_email_invalid", [])


@pytest.mark.parametrize("backend", ["locmem", "filebased", "console"])
def test_other_backends_of_django_work(db: None, backend: str, tmp_path: Any, capsys: Any) -> None:
    mail = queued("Bob <bob@x.example>", from_address="Änne <desk@example.com>")

    with override_settings(
        EMAIL_BACKEND=f"django.core.mail.backends.{backend}.EmailBackend", EMAIL_FILE_PATH=str(tmp_path)
    ):
        assert send_queue() == 1

    mail.refresh_from_db()
    written = {
        "locmem": lambda: django_mail.outbox[0].message().as_string(),
        "filebased": lambda: next(tmp_path.iterdir()).read_text(),
        "console": lambda: capsys.readouterr().out,
    }[backend]()
    assert mail.state == "sent"
    assert "To: Bob <bob@x.example>" in written
    assert "Message-ID: <one@example.com>" in written
