"""From a message in a thread to the customer's mailbox and back, over a real mail server."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from types import SimpleNamespace

import pytest
from django.conf import settings
from meridian_dummy.models import Gadget

from apps.chatter.models import Message, Notification
from apps.chatter.services.following import add_followers
from apps.chatter.services.posting import notify_partners, post_comment, post_message, post_note
from apps.chatter.types import NewFile, RecordRef
from apps.contacts.models import Partner
from apps.core.config import set_setting
from apps.core.records import service_for
from apps.core.testkit import count_queries, drain_outbox
from apps.mail.ids import read_thread_mark
from apps.mail.models import AddressHealth, AliasDomain, OutgoingMail
from apps.mail.services.intake import receive
from apps.mail.services.outgoing import mail_messages
from apps.mail.services.sending import send_queue
from apps.mail.services.transport import display_address, wire_address
from apps.portal import base as portal_base
from apps.projects.models import Task
from apps.projects.services.aliases import give_alias
from tests.mail.support import mail_server
from tests.projects.factories import (
    actor_of,
    make_company,
    make_partner,
    make_project,
    make_task,
    make_user,
    system,
)


@pytest.fixture
def desk(db: None) -> SimpleNamespace:
    """Ann answers on a task whose project has the address help@example.com; the customer Carla follows."""
    company = make_company("Alpha Ltd")
    AliasDomain.objects.create(name="example.com", company=None)
    ann = make_user("ann", "projects.manager", company=company)
    project = make_project("Repairs", actor=system(company), company=company)
    give_alias(project, "help", policy="everyone", actor=system(company))
    carla = make_partner("Carla Customer", email="carla@customer.example")
    task = make_task(project, "Broken lamp", actor=system(company), partner=carla)
    follow(task, carla)
    drain_outbox()
    return SimpleNamespace(company=company, ann=actor_of(ann), project=project, carla=carla, task=task)


def follow(record: object, *partners: Partner) -> None:
    ref = RecordRef(record._meta.label_lower, record.pk)  # type: ignore[attr-defined]
    add_followers([(ref, partner.pk) for partner in partners])


def answer_to(mail: object, *, sender: str, message_id: str, drop_ids: bool = False) -> bytes:
    """What a mail program makes of the button *Reply*."""
    original = mail["Message-ID"]  # type: ignore[index]
    references = mail["References"]  # type: ignore[index]
    known = f"{references} <rewritten@provider.example>" if drop_ids else f"{references} {original}"
    lines = [
        f"From: {sender}",
        f"To: {mail['Reply-To']}",  # type: ignore[index]
        f"Subject: Re: {mail['Subject']}",  # type: ignore[index]
        f"Message-ID: {message_id}",
        f"References: {known}",
        *([] if drop_ids else [f"In-Reply-To: {original}"]),
        "Content-Type: text/plain; charset=utf-8",
        "",
        "Thank you, that helped.",
    ]
    return "\r\n".join(lines).encode()


def test_customer_gets_the_answer_and_answers_into_the_same_thread(
    desk: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(portal_base._portal_urls, "projects.task", lambda task: f"/my/tasks/{task.pk}")
    message = post_message(
        desk.task,
        actor=desk.ann,
        body="<p>We <b>look</b> into it.</p>",
        subtype="chatter.comment",
        attachments=[NewFile("offer.txt", b"ten euros", mimetype="text/plain")],
    )
    with mail_server() as server:
        drain_outbox()
        assert send_queue() == 1

    queued = OutgoingMail.objects.get()
    sent = server.mail_to("carla@customer.example")
    assert (queued.state, queued.attempts, queued.failure_type) == ("sent", 1, "")
    assert sent["Message-ID"] == message.message_id
    assert sent["From"] == "Ann <notifications@example.com>"
    assert sent["To"] == "Carla Customer <carla@customer.example>"
    assert sent["Reply-To"] == "Alpha Ltd Broken lamp <help@example.com>"
    assert server.envelopes[0].mail_from == "bounce@example.com"
    assert sent["Auto-Submitted"] == "auto-generated"
    marks = [read_thread_mark(part) for part in sent["References"].split()]
    assert RecordRef("projects.task", desk.task.pk) in marks
    html, text = sent.get_body(("html",)), sent.get_body(("plain",))
    assert "We <b>look</b> into it." in html.get_content()
    assert "We look into it." in text.get_content()
    files = [(part.get_filename(), part.get_content()) for part in sent.iter_attachments()]
    assert files == [("offer.txt", "ten euros")]
    desk.task.refresh_from_db()
    link = f"{settings.PUBLIC_URL}/my/tasks/{desk.task.pk}?access_token={desk.task.access_token}"
    assert link in html.get_content()
    assert "/admin/" not in html.get_content()
    assert Notification.objects.get(message=message, partner=desk.carla).status == "sent"

    receipt = receive(answer_to(sent, sender="carla@customer.example", message_id="<re1@customer.example>"))

    answer = Message.objects.get(message_id="<re1@customer.example>")
    assert receipt.state == "accepted"
    assert Task.objects.count() == 1
    assert (answer.model, answer.object_id) == ("projects.task", desk.task.pk)
    assert (answer.author_id, answer.is_internal, answer.subtype.code) == (
        desk.carla.pk,
        False,
        "chatter.comment",
    )


def test_answer_finds_back_when_the_provider_replaced_the_message_id(desk: SimpleNamespace) -> None:
    post_comment(desk.task, "We look into it.", actor=desk.ann)
    with mail_server() as server:
        drain_outbox()
        send_queue()

    raw = answer_to(
        server.mails()[0], sender="carla@customer.example", message_id="<re2@customer.example>", drop_ids=True
    )
    receive(raw)

    answer = Message.objects.get(message_id="<re2@customer.example>")
    assert (answer.object_id, Task.objects.count()) == (desk.task.pk, 1)


def test_record_without_an_address_is_answered_to_the_catchall(desk: SimpleNamespace) -> None:
    give_alias(desk.project, "", policy="everyone", actor=system(desk.company))

    post_comment(desk.task, "Hello", actor=desk.ann)
    drain_outbox()

    mail = OutgoingMail.objects.get()
    assert mail.reply_to == "Alpha Ltd Broken lamp <catchall@example.com>"


def test_a_fresh_system_makes_its_mail_domain_with_the_first_mail(desk: SimpleNamespace) -> None:
    give_alias(desk.project, "", policy="everyone", actor=system(desk.company))
    AliasDomain.objects.all().delete()

    post_comment(desk.task, "Hello", actor=desk.ann)
    drain_outbox()

    domain, mail = AliasDomain.objects.get(), OutgoingMail.objects.get()
    assert (domain.name, domain.company_id) == (settings.MAIL_DOMAIN, None)
    assert mail.reply_to.endswith(f"<catchall@{settings.MAIL_DOMAIN}>")
    assert mail.return_path == f"bounce@{settings.MAIL_DOMAIN}"


def test_company_with_a_domain_of_its_own_writes_from_there(desk: SimpleNamespace) -> None:
    AliasDomain.objects.create(name="alpha.example", company=desk.company)
    give_alias(desk.project, "", policy="everyone", actor=system(desk.company))

    post_comment(desk.task, "Hello", actor=desk.ann)
    drain_outbox()

    mail = OutgoingMail.objects.get()
    assert mail.from_address == "Ann <notifications@alpha.example>"
    assert mail.return_path == "bounce@alpha.example"


def test_employee_gets_a_link_to_the_back_office(desk: SimpleNamespace) -> None:
    bob = make_user("bob", "projects.user", company=desk.company)
    type(bob).objects.filter(pk=bob.pk).update(notification="email")
    gadget = service_for(Gadget).create_one({"name": "Lamp"}, actor=system(desk.company))
    follow(gadget, bob.partner, desk.carla)

    post_message(
        gadget,
        body="Hello",
        subtype="chatter.comment",
        actor=system(desk.company),
        email_from="desk@example.com",
    )
    drain_outbox()

    to_bob = OutgoingMail.objects.get(to_address__contains="bob@")
    to_carla = OutgoingMail.objects.get(to_address__contains="carla@")
    assert f'href="{settings.PUBLIC_URL}/admin/dummy/gadget/{gadget.pk}/change/"' in to_bob.body_html
    assert "access_token" not in to_bob.body_html
    assert "/admin/" not in to_carla.body_html


def test_notes_are_never_mailed_outside(desk: SimpleNamespace) -> None:
    pia = make_user("pia", kind="portal", company=desk.company)
    bob = make_user("bob", "projects.user", company=desk.company)
    type(bob).objects.filter(pk=bob.pk).update(notification="email")
    follow(desk.task, pia.partner)

    post_note(desk.task, "The customer is difficult.", actor=desk.ann, recipients=[bob.partner])
    drain_outbox()

    mail = OutgoingMail.objects.get()
    assert mail.to_address == "Bob <bob@example.com>"


def test_one_person_is_mailed_once(desk: SimpleNamespace) -> None:
    twin = make_partner("Carla (private)", email="CARLA@customer.example")
    follow(desk.task, twin)

    message = post_comment(desk.task, "Hello", actor=desk.ann, recipients=[desk.carla])
    drain_outbox()
    mail_messages([message.pk])
    drain_outbox()

    assert OutgoingMail.objects.get().partner_id == desk.carla.pk
    second = Notification.objects.get(message=message, partner=twin)
    assert (second.status, second.failure_type) == ("canceled", "")


def test_who_has_the_mail_from_its_sender_is_not_sent_it_again(desk: SimpleNamespace) -> None:
    dora = make_partner("Dora", email="dora@customer.example")
    follow(desk.task, dora)
    emil = make_partner("Emil", email="emil@customer.example")
    follow(desk.task, emil)
    sent = post_comment(desk.task, "Hello", actor=desk.ann, notify=False)

    raw = (
        "From: carla@customer.example\r\nTo: help@example.com\r\nCc: Dora <dora@customer.example>\r\n"
        f"Message-ID: <cc@customer.example>\r\nIn-Reply-To: {sent.message_id}\r\nSubject: Re\r\n\r\nFine.\r\n"
    )
    receive(raw.encode())
    drain_outbox()

    message = Message.objects.get(message_id="<cc@customer.example>")
    mailed = sorted(mail.to_address for mail in OutgoingMail.objects.all())
    assert mailed == ["Ann <ann@example.com>", "Emil <emil@customer.example>"]
    assert Notification.objects.get(message=message, partner=dora).status == "sent"
    assert dora in message.recipients.all()


def test_statements_do_not_depend_on_the_number_of_recipients(desk: SimpleNamespace) -> None:
    def statements(number: int) -> int:
        task = make_task(desk.project, f"Task for {number}", actor=system(desk.company))
        follow(task, *(make_partner(f"P{i}", email=f"p{number}.{i}@x.example") for i in range(number)))
        drain_outbox()
        files = [NewFile("a.txt", b"a"), NewFile("b.txt", b"b")]
        message = post_comment(task, "Hello", actor=desk.ann, attachments=files)
        with count_queries() as seen:
            assert mail_messages([message.pk]) == number
        return len(seen)

    statements(1)

    assert statements(40) == statements(2) <= 25


def test_contacts_that_cannot_be_written_to_are_shown_as_failed(desk: SimpleNamespace) -> None:
    nobody = make_partner("No Address")
    blocked = make_partner("Blocked", email="blocked@x.example")
    broken = make_partner("Broken", email="broken@x.example")
    Partner.objects.filter(pk=broken.pk).update(email="not an address")
    AddressHealth.objects.create(address="blocked@x.example", blocked=True)
    follow(desk.task, nobody, blocked, broken)

    message = post_comment(desk.task, "Hello", actor=desk.ann)
    drain_outbox()

    failures = {
        row.partner_id: (row.status, row.failure_type) for row in Notification.objects.filter(message=message)
    }
    assert failures == {
        desk.carla.pk: ("process", ""),
        nobody.pk: ("exception", "mail_email_missing"),
        blocked.pk: ("exception", "mail_email_invalid"),
        broken.pk: ("exception", "mail_email_invalid"),
    }
    assert OutgoingMail.objects.get().partner_id == desk.carla.pk


def test_large_files_become_links(
    desk: SimpleNamespace, django_capture_on_commit_callbacks: Callable[..., AbstractContextManager[object]]
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        set_setting("mail.max_files_megabytes", 1, actor=system())

    post_comment(
        desk.task,
        "Plans",
        actor=desk.ann,
        attachments=[NewFile("small.txt", b"s"), NewFile("large.bin", bytes(1024 * 1024 + 1))],
    )
    drain_outbox()

    mail = OutgoingMail.objects.get()
    assert [file.name for file in mail.attachments.all()] == ["small.txt"]
    assert "large.bin?access_token=" in mail.body_html
    assert f"{settings.PUBLIC_URL}/web/content/" in mail.body_html


def test_personal_notice_reaches_an_employee_by_mail(desk: SimpleNamespace) -> None:
    bob = make_user("bob", "projects.user", company=desk.company)
    type(bob).objects.filter(pk=bob.pk).update(notification="email")

    notify_partners([bob.partner], actor=desk.ann, subject="Look", body="<p>here</p>", record=desk.task)
    drain_outbox()

    mail = OutgoingMail.objects.get()
    assert (mail.subject, mail.to_address) == ("Look", "Bob <bob@example.com>")


def test_changes_of_fields_that_are_not_public_are_not_mailed_to_customers(desk: SimpleNamespace) -> None:
    from apps.chatter.models import TrackedValue

    message = post_comment(desk.task, "Hello", actor=desk.ann)
    TrackedValue.objects.create(
        message=message,
        field="priority",
        label="Priority",
        kind="text",
        old_text="low",
        new_text="secret-value",
    )
    drain_outbox()

    assert "secret-value" not in OutgoingMail.objects.get().body_html


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Ann", "Ann <ann@x.example>"),
        ("Müller, Änne", '"Müller, Änne" <ann@x.example>'),
        ('say "hi" \\', '"say \\"hi\\" \\\\" <ann@x.example>'),
        ("Eve\r\nBcc: all@x.example", '"Eve Bcc: all@x.example" <ann@x.example>'),
        ("", "ann@x.example"),
        ("A" * 400, f"{'A' * 150} <ann@x.example>"),
        ("\x01\x7f\u202e", "ann@x.example"),
    ],
)
def test_names_in_headers(name: str, shown: str) -> None:
    assert display_address(name, "ann@x.example") == shown
    assert wire_address(shown) == "ann@x.example"


@pytest.mark.parametrize(
    ("text", "wire"),
    [
        ("Ann.B@Müller.example", "Ann.B@xn--mller-kva.example"),
        ("jürgen@müller.example", "jürgen@xn--mller-kva.example"),
        ("a@x.example\r\nRCPT TO:<b@x.example>", ""),
        ("nobody", ""),
        ("", ""),
    ],
)
def test_addresses_on_the_wire(text: str, wire: str) -> None:
    assert wire_address(text) == wire
