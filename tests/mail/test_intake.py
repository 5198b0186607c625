"""The gateway: the acceptance list of mail in, one after the other."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from meridian_dummy.models import Gadget

from apps.chatter.models import Message, Notification
from apps.chatter.services.posting import post_message
from apps.contacts.models import Partner
from apps.core.records import service_for
from apps.core.testkit import drain_outbox, run_in_threads
from apps.mail.ids import read_thread_mark, thread_mark
from apps.mail.models import AddressHealth, Alias, IncomingMail, OutgoingMail
from apps.mail.services.intake import receive
from apps.mail.services.sending import send_queue

Subject = "Lamp is broken"


def mail(
    to: str = "support@example.com",
    sender: str = "Ann <a@x.com>",
    subject: str = Subject,
    message_id: str = "<1@x.com>",
    body: str = "It does not light.",
    **headers: str,
) -> bytes:
    lines = [f"From: {sender}", f"To: {to}", f"Subject: {subject}", f"Message-ID: {message_id}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    lines += ["Date: Fri, 20 Nov 2026 10:00:00 +0000", "Content-Type: text/plain; charset=utf-8", "", body]
    return "\r\n".join(lines).encode()


def test_new_mail_becomes_a_record_with_its_sender_as_contact(world: SimpleNamespace) -> None:
    receipt = receive(mail())

    gadget = Gadget.objects.get()
    contact = Partner.objects.get(email_normalized="a@x.com")
    message = Message.objects.get(message_type="email")
    assert receipt.state == "accepted"
    assert receipt.exit_code == 0
    assert (gadget.name, gadget.customer_id, gadget.company_id) == (Subject, contact.pk, world.company.pk)
    assert (message.model, message.object_id, message.author_id) == ("dummy.gadget", gadget.pk, contact.pk)
    assert message.message_id == "<1@x.com>"
    assert "does not light" in message.body
    assert not message.is_internal
    world.alias.refresh_from_db()
    assert world.alias.status == "valid"


def test_the_same_bytes_again_do_nothing(world: SimpleNamespace) -> None:
    receive(mail())

    again = receive(mail())
    other_mailbox = receive(mail().replace(b"\r\n", b"\n"))

    assert again.state == "duplicate"
    assert again.exit_code == 0
    assert other_mailbox.state == "duplicate"
    assert Gadget.objects.count() == 1
    assert Message.objects.filter(message_type="email").count() == 1


def test_mail_without_a_message_id_is_known_by_its_bytes(world: SimpleNamespace) -> None:
    raw = mail().replace(b"Message-ID: <1@x.com>\r\n", b"")

    receive(raw)
    receive(raw)

    assert Gadget.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_four_copies_at_the_same_moment_make_one_record(world: SimpleNamespace) -> None:
    results = run_in_threads([lambda: receive(mail()) for _ in range(4)])

    assert sorted(r.state for r in results) == ["accepted", "duplicate", "duplicate", "duplicate"]
    assert Gadget.objects.count() == 1


@pytest.mark.parametrize(
    ("policy", "known"), [("partners", False), ("followers", False), ("followers", True)]
)
def test_policy_refuses_and_tells_the_sender(world: SimpleNamespace, policy: str, known: bool) -> None:
    owner = service_for(Gadget).create_one({"name": "owner"}, actor=world.actor)
    Alias.objects.update(policy=policy, owner_model="dummy.gadget", owner_pk=owner.pk)
    if known:
        service_for(Partner).create_one({"name": "Ann", "email": "a@x.com"}, actor=world.actor)

    receipt = receive(mail())

    refusal = OutgoingMail.objects.get()
    assert receipt.state == "bounced"
    assert Gadget.objects.count() == 1
    assert (refusal.to_address, refusal.from_address) == ("a@x.com", "MAILER-DAEMON <bounce@example.com>")
    assert "It does not light" in refusal.body_text
    assert Partner.objects.filter(email_normalized="a@x.com").exists() == known


def test_policy_partners_admits_known_contacts(world: SimpleNamespace) -> None:
    Alias.objects.update(policy="partners")
    service_for(Partner).create_one({"name": "Ann", "email": "A@X.com"}, actor=world.actor)

    assert receive(mail()).state == "accepted"


def test_answer_finds_its_thread_by_message_id(world: SimpleNamespace) -> None:
    receive(mail())
    gadget = Gadget.objects.get()
    sent = post_message(
        gadget,
        actor=world.actor,
        body="<p>We look into it</p>",
        subtype="chatter.comment",
        email_from="desk@example.com",
    )

    receipt = receive(
        mail(
            to="catchall@example.com", subject="Re: Lamp", message_id="<2@x.com>", In_Reply_To=sent.message_id
        )
    )

    answer = Message.objects.get(message_id="<2@x.com>")
    assert receipt.state == "accepted"
    assert Gadget.objects.count() == 1
    assert (answer.object_id, answer.subtype.code) == (gadget.pk, "chatter.comment")


def test_answer_finds_its_thread_by_the_mark_when_a_provider_changed_the_id(world: SimpleNamespace) -> None:
    receive(mail())
    gadget = Gadget.objects.get()
    from apps.chatter.types import RecordRef

    mark = thread_mark(RecordRef("dummy.gadget", gadget.pk), "example.com")
    receive(
        mail(
            to="catchall@example.com",
            message_id="<3@x.com>",
            References=f"{mark} <rewritten@provider.example>",
        )
    )

    assert Message.objects.get(message_id="<3@x.com>").object_id == gadget.pk
    forged = mark.replace(f".{gadget.pk}.", f".{gadget.pk + 1}.")
    assert read_thread_mark(forged) is None


def test_answer_to_a_note_stays_internal(world: SimpleNamespace) -> None:
    receive(mail())
    gadget = Gadget.objects.get()
    note = post_message(gadget, actor=world.actor, body="<p>careful</p>", email_from="desk@example.com")

    receive(mail(to="catchall@example.com", message_id="<4@x.com>", In_Reply_To=note.message_id))

    assert Message.objects.get(message_id="<4@x.com>").is_internal
    assert not Notification.objects.filter(message__message_id="<4@x.com>").exists()


@pytest.mark.parametrize("to", ["catchall@example.com", "catchall@example.com, nobody@example.com"])
def test_catchall_without_a_thread_is_sent_back(world: SimpleNamespace, to: str) -> None:
    receipt = receive(mail(to=to))

    assert receipt.state == "bounced"
    assert OutgoingMail.objects.count() == 1
    assert not Gadget.objects.exists()


def test_unknown_address_waits_in_quarantine_and_says_so(world: SimpleNamespace) -> None:
    receipt = receive(mail(to="nobody@elsewhere.org"))

    kept = IncomingMail.objects.get()
    assert (receipt.state, receipt.exit_code) == ("quarantined", 67)
    assert bytes(kept.raw) == mail(to="nobody@elsewhere.org")


@pytest.mark.parametrize("raw", [b"\x00\x01\x02\xff", b"just some words\n", b"\x89PNG\r\n\x1a\n" * 50])
def test_what_is_no_mail_waits_in_quarantine(world: SimpleNamespace, raw: bytes) -> None:
    receipt = receive(raw)

    assert receipt.state == "quarantined"
    assert bytes(IncomingMail.objects.get().raw) == raw


def test_nothing_at_all_is_refused(world: SimpleNamespace) -> None:
    assert receive(b" \n").exit_code == 65
    assert not IncomingMail.objects.exists()


def test_a_domain_that_fails_leaves_nothing_behind_and_the_mail_in_quarantine(
    world: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from apps.mail.targets import mail_targets

    target: Any = mail_targets.get("dummy.gadget")

    def fail(*args: Any, **kwargs: Any) -> None:
        raise ZeroDivisionError("surprise")

    monkeypatch.setattr(target, "after_message", fail)
    receipt = receive(mail())

    kept = IncomingMail.objects.get()
    assert receipt.state == "quarantined"
    assert "surprise" in kept.reason
    assert not Gadget.objects.exists()
    assert not Partner.objects.filter(email_normalized="a@x.com").exists()

    monkeypatch.undo()
    from apps.mail.services.quarantine import replay_mails

    replay_mails([kept], actor=world.actor)
    kept.refresh_from_db()
    assert (kept.state, kept.raw) == ("accepted", None)
    assert Gadget.objects.count() == 1


def test_wrong_defaults_mark_the_alias_and_make_no_half_record(world: SimpleNamespace) -> None:
    Alias.objects.update(defaults={"maker": 999999})

    receipt = receive(mail())

    world.alias.refresh_from_db()
    assert receipt.state == "bounced"
    assert world.alias.status == "invalid"
    assert "maker" in world.alias.status_reason
    assert not Gadget.objects.exists()
    assert not Partner.objects.filter(email_normalized="a@x.com").exists()


def test_loop_guard_stops_after_twenty_and_tells_once(world: SimpleNamespace) -> None:
    states = [
        receive(mail(sender="bot@x.com", subject=f"alarm {n}", message_id=f"<{n}@bot>")).state
        for n in range(23)
    ]

    assert states == ["accepted"] * 20 + ["ignored"] * 3
    assert Gadget.objects.count() == 20
    notice = OutgoingMail.objects.get()
    answer = receive(
        mail(sender="bot@x.com", message_id="<auto@bot>", References=notice.headers["References"])
    )
    assert answer.state == "ignored"
    assert Gadget.objects.count() == 20


def test_allowed_sender_is_not_stopped(world: SimpleNamespace) -> None:
    AddressHealth.objects.create(address="bot@x.com", allow_many=True)

    for n in range(22):
        receive(mail(sender="bot@x.com", subject=f"alarm {n}", message_id=f"<{n}@bot>"))

    assert Gadget.objects.count() == 22


@pytest.mark.parametrize(
    "headers", [{"Auto_Submitted": "auto-replied"}, {"Precedence": "auto_reply"}, {"X_Autoreply": "yes"}]
)
def test_automatic_answers_open_no_record(world: SimpleNamespace, headers: dict[str, str]) -> None:
    assert receive(mail(**headers)).state == "ignored"
    assert not Gadget.objects.exists()
    assert not OutgoingMail.objects.exists()


def test_no_refusal_is_sent_to_machines(world: SimpleNamespace) -> None:
    Alias.objects.update(policy="partners")

    receive(mail(List_Id="<news.x.com>"))

    assert not OutgoingMail.objects.exists()


def dsn(recipient: str, original: str) -> bytes:
    return (
        "From: MAILER-DAEMON@mx.example.com\r\nTo: bounce@example.com\r\nSubject: Undelivered Mail\r\n"
        "Message-ID: <dsn@mx>\r\nMIME-Version: 1.0\r\nReturn-Path: <>\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/plain\r\n\r\nIt did not work.\r\n"
        "--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx\r\n\r\n"
        f"Final-Recipient: rfc822; {recipient}\r\nAction: failed\r\nStatus: 5.1.1\r\n"
        "Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n\r\n"
        f"--b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: {original}\r\n\r\n--b--\r\n"
    ).encode()


def test_bounce_marks_the_notification_and_counts(world: SimpleNamespace) -> None:
    gadget = service_for(Gadget).create_one({"name": "Lamp"}, actor=world.actor)
    carl = service_for(Partner).create_one({"name": "Carl", "email": "c@y.com"}, actor=world.actor)
    message = post_message(
        gadget,
        actor=world.actor,
        body="<p>hello</p>",
        subtype="chatter.comment",
        recipients=[carl],
        email_from="desk@example.com",
    )
    drain_outbox()
    send_queue()

    receipt = receive(dsn("c@y.com", message.message_id))

    told = Notification.objects.get(message=message, partner=carl)
    assert receipt.state == "report"
    assert Gadget.objects.count() == 1
    assert (told.status, told.failure_type) == ("bounce", "mail_bounce")
    assert "no such user" in told.failure_reason
    assert AddressHealth.objects.get(address="c@y.com").bounces == 1

    receive(mail(sender="Carl <C@Y.com>", message_id="<alive@y>"))
    assert AddressHealth.objects.get(address="c@y.com").bounces == 0


def test_attachments_and_inline_pictures(world: SimpleNamespace) -> None:
    png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    raw = (
        "From: a@x.com\r\nTo: support@example.com\r\nSubject: pictures\r\nMessage-ID: <pic@x>\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/mixed; boundary="m"\r\n\r\n--m\r\nContent-Type: multipart/related; boundary="r"\r\n\r\n'
        '--r\r\nContent-Type: text/html\r\n\r\n<p>see <img src="cid:one"></p><script>alert(1)</script>\r\n'
        "--r\r\nContent-Type: image/png\r\nContent-ID: <one>\r\nContent-Disposition: inline; filename=one.png\r\n"
        f"Content-Transfer-Encoding: base64\r\n\r\n{png}\r\n--r--\r\n"
        "--m\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename=notes.txt\r\n\r\nnotes\r\n"
        "--m\r\nContent-Type: application/pdf; name=a.pdf\r\nContent-Disposition: attachment; filename=../../a.pdf\r\n"
        "Content-Transfer-Encoding: base64\r\n\r\nJVBERi0xLjQK\r\n--m--\r\n"
    ).encode()

    receive(raw)

    message = Message.objects.get(message_type="email")
    names = sorted(message.attachments.values_list("name", flat=True))
    assert names == ["a.pdf", "notes.txt", "one.png"]
    assert "cid:" not in message.body.replace("data-cid", "")
    assert "/web/image/" in message.body
    assert "<script" not in message.body


def test_a_mail_to_two_aliases_makes_two_records(world: SimpleNamespace) -> None:
    service_for(Alias).create_one(
        {
            "local_part": "sales",
            "target": "dummy.gadget",
            "company": world.company,
            "domain": world.domain,
            "defaults": {"note": "by sales"},
        },
        actor=world.actor,
    )
    # Both gadgets would bear the same name, so the second alias names it otherwise.
    Alias.objects.filter(local_part="sales").update(defaults={"note": "by sales", "name": "for sales"})

    receipt = receive(mail(to="support@example.com, sales@example.com"))

    assert receipt.state == "accepted"
    assert sorted(Gadget.objects.values_list("name", flat=True)) == [Subject, "for sales"]
    assert Message.objects.filter(message_type="email").count() == 2


def test_the_database_guards_reserved_and_doubled_addresses(world: SimpleNamespace) -> None:
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE mail_alias SET local_part = 'bounce'")
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE mail_aliasdomain SET catchall = 'support'")
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO mail_incomingmail (digest, message_id, received_at, source, sender, recipients, subject, size,"
            " state, reason, target, records, created_record, authentication, attempts)"
            " VALUES ('x', '', now(), '', '', '', '', 0, 'quarantined', '', '', '[]', false, '', 1)"
        )

    assert Alias.objects.get().local_part == "support"


def test_statements_per_mail_do_not_grow_with_what_is_there(world: SimpleNamespace) -> None:
    from apps.core.testkit import count_queries

    receive(mail(message_id="<w@x>", subject="warm"))
    with count_queries() as few:
        receive(mail(message_id="<f@x>", subject="few"))
    for n in range(8):
        receive(mail(message_id=f"<m{n}@x>", subject=f"m{n}", sender=f"p{n}@x.com"))
    with count_queries() as many:
        receive(mail(message_id="<g@x>", subject="many"))

    assert len(few) == len(many)


def test_shared_corpus_goes_through_without_loss(world: SimpleNamespace, shared_data: Any) -> None:
    files = sorted((shared_data / "mail").rglob("*.eml"))
    assert len(files) >= 250
    for path in files[::9]:
        receipt = receive(path.read_bytes(), source=path.name)
        assert receipt.exit_code in (0, 67), (path, receipt)
        assert receipt.log_pk is not None

    assert not IncomingMail.objects.filter(state="quarantined", raw__isnull=True).exists()


def test_command_takes_a_mail_from_its_input(world: SimpleNamespace) -> None:
    from io import BytesIO, StringIO, TextIOWrapper

    from django.core.management import call_command

    keep = sys.stdin
    sys.stdin = TextIOWrapper(BytesIO(mail()))
    try:
        out = StringIO()
        call_command("mailgate", json=True, stdout=out)
    finally:
        sys.stdin = keep

    assert '"state": "accepted"' in out.getvalue()
    assert Gadget.objects.count() == 1
    assert subprocess  # the pipe itself is tried by the end-to-end test
