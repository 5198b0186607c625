"""Posting messages: who may, who is told, what is stored."""

from __future__ import annotations

import base64
import re

import pytest

from apps.chatter.constants import COMMENT, NOTE
from apps.chatter.models import Attachment, Follower, Message, Notification
from apps.chatter.selectors.subtypes import subtype
from apps.chatter.services.following import follow, follow_as
from apps.chatter.services.messages import edit_message, post_values, remove_message
from apps.chatter.services.posting import notify_partners, post_comment, post_message, post_note
from apps.chatter.types import NewFile
from apps.contacts.models import Partner
from apps.core.errors import Conflict, NotVisible, PermissionDenied, ValidationFailed
from apps.core.models import Country, OutboxEvent
from apps.core.testkit import count_queries
from tests.chatter.conftest import World
from tests.chatter.factories import PNG, actor_of, make_partner, make_user, system


def told(message: Message) -> dict[str, tuple[str, str]]:
    rows = Notification.objects.filter(message=message).select_related("partner")
    return {row.partner.name: (row.kind, row.status) for row in rows}


def test_a_comment_tells_followers_each_in_his_way_and_not_its_author(world: World) -> None:
    follow_as(world.record, [world.partner("ann"), world.partner("bob"), world.record], actor=system())

    message = post_comment(world.record, "Hello <all>", actor=world.actor("bob"))

    assert told(message) == {"Ann": ("inbox", "sent"), "Carl": ("email", "ready")}
    assert message.body == "<p>Hello &lt;all&gt;</p>"
    assert message.is_internal is False
    assert message.author == world.partner("bob")
    assert message.author_user_id == world.bob.pk
    assert message.email_from == "Bob <bob@example.com>"
    assert re.fullmatch(
        rf"<[0-9a-f]{{24}}\.\d+\.{world.record.pk}\.contacts\.partner@localhost>", message.message_id
    )


def test_a_note_reaches_employees_only(world: World) -> None:
    note_pk = _subtype_pk(NOTE)
    follow_as(world.record, [world.partner("ann"), world.record], actor=system())
    Follower.objects.update(subtype_pks=[note_pk])  # even somebody who was wrongly subscribed

    message = post_note(world.record, "Between us", actor=world.actor("bob"))

    assert told(message) == {"Ann": ("inbox", "sent")}
    assert message.is_internal is True


def test_one_notification_a_partner_whatever_he_is(world: World) -> None:
    follow_as(world.record, [world.partner("ann")], actor=system())

    message = post_comment(
        world.record, "Twice named", actor=world.actor("bob"), recipients=[world.partner("ann"), world.record]
    )

    assert told(message) == {"Ann": ("inbox", "sent"), "Carl": ("email", "ready")}
    assert set(message.recipients.all()) == {world.partner("ann"), world.record}


def test_archived_contacts_are_not_told_and_missing_addresses_are_failures(world: World) -> None:
    gone, silent = make_partner("Gone", email="gone@example.com"), make_partner("Silent")
    follow_as(world.record, [gone, silent], actor=system())
    Partner.objects.filter(pk=gone.pk).update(active=False)

    message = post_comment(world.record, "Hello", actor=world.actor("bob"))

    assert told(message) == {"Silent": ("email", "exception")}
    assert Notification.objects.get(message=message).failure_type == "mail_email_missing"


def test_the_author_follows_what_he_writes_in(world: World) -> None:
    post_comment(world.record, "Hello", actor=world.actor("bob"))

    rows = Follower.objects.filter(
        model="contacts.partner", object_id=world.record.pk, partner=world.partner("bob")
    )
    assert rows.get().subtype_pks == [_subtype_pk(COMMENT)]


def test_who_may_only_read_the_record_cannot_write_but_a_follower_can(world: World) -> None:
    before = Message.objects.count()

    with pytest.raises(PermissionDenied) as refused:
        post_comment(world.record, "Hello", actor=world.actor("eve"))

    assert refused.value.rule == "post access 'change' on contacts.Partner"
    assert Message.objects.count() == before

    follow(world.record, actor=world.actor("eve"))
    message = post_comment(world.record, "Hello", actor=world.actor("eve"))
    assert message.author == world.partner("eve")


def test_a_record_out_of_sight_has_no_thread(world: World) -> None:
    stranger = make_user("stranger", company=world.company, kind="portal")
    before = Message.objects.count()

    with pytest.raises(NotVisible):
        post_comment(world.record, "Hello", actor=actor_of(stranger))

    assert Message.objects.count() == before


def test_a_customer_comments_on_what_he_sees_but_writes_no_notes(world: World, open_threads: None) -> None:
    carl = world.actor("carl")
    message = post_comment(world.record, "When?", actor=carl)
    victim = make_partner("Victim", email="v@example.com")
    before = Message.objects.count()

    with pytest.raises(PermissionDenied):
        post_note(world.record, "Hm", actor=carl)
    with pytest.raises(ValidationFailed):
        post_comment(world.record, "Spam", actor=carl, recipients=[victim])
    with pytest.raises(PermissionDenied):
        post_comment(world.record, "As Bob", actor=carl, author_partner=world.partner("bob"))

    assert (message.is_internal, message.subtype.code) == (False, COMMENT)
    assert Message.objects.count() == before


def test_a_record_without_thread_is_refused(world: World) -> None:
    country = Country.objects.order_by("pk").first() or Country.objects.create(code="XX", name="Nowhere")

    with pytest.raises(ValidationFailed):
        post_comment(country, "Hello", actor=system())


def test_what_runs_is_taken_out_of_a_body(world: World) -> None:
    message = post_message(
        world.record,
        actor=world.actor("bob"),
        subtype=COMMENT,
        body='<p onclick="x()">Hi<script>alert(1)</script><img src=x onerror=alert(1)></p>',
    )

    assert message.body == '<p>Hi<img src="x"></p>'


def test_an_empty_comment_is_refused(world: World) -> None:
    with pytest.raises(ValidationFailed) as refused:
        post_comment(world.record, "  \n ", actor=world.actor("bob"))

    assert list(refused.value.fields) == ["body"]


def test_embedded_and_inline_pictures_become_files_of_the_record(world: World, files: object) -> None:
    embedded = base64.b64encode(PNG).decode()
    message = post_message(
        world.record,
        actor=system(),
        author_partner=world.record,
        message_type="email",
        subtype=COMMENT,
        body=f'<p><img src="data:image/png;base64,{embedded}"><img src="cid:logo@x"><img src="cid:lost@x">'
        '<img alt="a" data-cid="logo@x"></p>',
        attachments=[NewFile("logo.png", PNG, content_id="<logo@x>"), NewFile("a.txt", b"text")],
    )

    sources = re.findall(r'src="([^"]+)"', message.body)
    rows = {
        row.name: row
        for row in Attachment.objects.filter(object_id=world.record.pk, model="contacts.partner")
    }
    assert sorted(rows) == ["a.txt", "image1.png", "logo.png"]
    assert sources == [
        f"/web/image/{rows['image1.png'].pk}?access_token={rows['image1.png'].access_token}",
        f"/web/image/{rows['logo.png'].pk}?access_token={rows['logo.png'].access_token}",
        "cid:lost@x",
        f"/web/image/{rows['logo.png'].pk}?access_token={rows['logo.png'].access_token}",
    ]
    assert rows["image1.png"].stored_id == rows["logo.png"].stored_id


def test_answers_hang_on_the_first_message(world: World) -> None:
    bob = world.actor("bob")
    first = post_comment(world.record, "One", actor=bob)
    second = post_comment(world.record, "Two", actor=bob, parent=first)
    third = post_comment(world.record, "Three", actor=bob, parent=second.pk)

    assert (first.parent_id, second.parent_id, third.parent_id) == (None, first.pk, first.pk)


def test_a_parent_in_another_thread_is_refused(world: World, other_record: Partner) -> None:
    elsewhere = post_comment(other_record, "There", actor=world.actor("bob"))

    with pytest.raises(NotVisible):
        post_comment(world.record, "Here", actor=world.actor("bob"), parent=elsewhere)


def test_a_mail_in_answer_to_a_note_stays_internal(world: World) -> None:
    note = post_note(world.record, "Between us", actor=world.actor("bob"))

    answer = post_message(
        world.record,
        actor=system(),
        author_partner=world.partner("ann"),
        message_type="email",
        subtype=COMMENT,
        body="<p>Yes</p>",
        parent=note,
    )

    assert (answer.is_internal, answer.subtype.code) == (True, NOTE)


def test_the_same_message_id_comes_in_once(world: World) -> None:
    options = {"actor": system(), "subtype": COMMENT, "message_type": "email", "email_from": "x@example.com"}
    post_message(world.record, body="<p>a</p>", message_id="<a@x>", **options)
    before = Message.objects.count()

    with pytest.raises(Conflict):
        post_message(world.record, body="<p>a</p>", message_id="<a@x>", **options)

    assert Message.objects.count() == before


def test_nobody_is_no_author(world: World) -> None:
    with pytest.raises(ValidationFailed):
        post_message(world.record, actor=system(), subtype=COMMENT, body="<p>x</p>")


def test_a_note_to_a_customer_is_refused_for_people_and_kept_from_him_for_the_gateway(world: World) -> None:
    with pytest.raises(ValidationFailed) as refused:
        post_note(world.record, "Psst", actor=world.actor("bob"), recipients=[world.record])
    message = post_note(
        world.record, "Psst", actor=system(), author_partner=world.partner("bob"), recipients=[world.record]
    )

    assert list(refused.value.fields) == ["recipients"]
    assert told(message) == {}
    assert not message.recipients.exists()


def test_personal_notices_are_in_nobodys_thread(world: World) -> None:
    message = notify_partners(
        [world.partner("ann")], actor=system(), subject="Look", body="<p>Look</p>", record=world.record
    )

    assert told(message) == {"Ann": ("inbox", "sent")}
    assert message not in Message.objects.of_record("contacts.partner", world.record.pk)


def test_posting_announces_the_message_once_and_log_entries_not_at_all(world: World) -> None:
    OutboxEvent.objects.all().delete()

    message = post_comment(world.record, "Hello", actor=world.actor("bob"))

    rows = list(OutboxEvent.objects.filter(name="chatter.MessagePosted").values_list("payload", flat=True))
    assert rows == [{"pks": [message.pk]}]


def test_posting_costs_the_same_however_many_follow(world: World) -> None:
    bob = world.actor("bob")
    follow_as(world.record, [make_partner(email=f"a{n}@example.com") for n in range(2)], actor=system())
    post_comment(world.record, "warm", actor=bob)
    with count_queries() as few:
        post_comment(world.record, "few", actor=bob)
    follow_as(world.record, [make_partner(email=f"b{n}@example.com") for n in range(20)], actor=system())

    with count_queries() as many:
        message = post_comment(world.record, "many", actor=bob)

    assert len(told(message)) == 22
    assert len(many) == len(few)
    assert len(few) <= 14


# --------------------------------------------------------------------------------------------------- own words
def test_an_author_changes_his_words_and_nobody_is_told_again(world: World) -> None:
    follow_as(world.record, [world.record], actor=system())
    message = post_comment(world.record, "Helo", actor=world.actor("bob"))
    before = Notification.objects.count()

    edit_message(message, "<p>Hello<script>x</script></p>", actor=world.actor("bob"))

    message.refresh_from_db()
    assert message.body == "<p>Hello</p>"
    assert message.edited_at is not None
    assert Notification.objects.count() == before


@pytest.mark.parametrize("who", ["ann", "eve", "carl"])
def test_nobody_else_changes_or_removes_them(world: World, who: str) -> None:
    message = post_comment(world.record, "Mine", actor=world.actor("bob"))

    with pytest.raises(PermissionDenied):
        edit_message(message, "<p>Yours</p>", actor=world.actor(who))
    with pytest.raises(PermissionDenied):
        remove_message(message, actor=world.actor(who))

    message.refresh_from_db()
    assert (message.body, message.removed_at) == ("<p>Mine</p>", None)


def test_removing_empties_the_message_and_leaves_that_it_was_there(world: World, files: object) -> None:
    message = post_comment(
        world.record, "Oops", actor=world.actor("bob"), attachments=[NewFile("secret.txt", b"secret")]
    )

    remove_message(message, actor=world.actor("bob"))

    message.refresh_from_db()
    assert (message.body, message.subject) == ("", "")
    assert message.removed_at is not None
    assert not Attachment.objects.filter(name="secret.txt").exists()


def test_log_entries_cannot_be_rewritten(world: World) -> None:
    log = Message.objects.filter(model="contacts.partner", object_id=world.record.pk).first()
    assert log is not None
    assert log.message_type == "notification"

    with pytest.raises(PermissionDenied):
        edit_message(log, "<p>Nothing happened</p>", actor=world.actor("admin"))


def test_plain_values_of_interfaces(world: World) -> None:
    posted = post_values(world.record, {"body": "a < b", "body_format": "text"}, actor=world.actor("bob"))

    with pytest.raises(ValidationFailed) as unknown_field:
        post_values(world.record, {"body": "x", "is_internal": False}, actor=world.actor("bob"))
    with pytest.raises(ValidationFailed) as unknown_kind:
        post_values(world.record, {"body": "x", "subtype": "nonsense"}, actor=world.actor("bob"))

    assert (posted.body, posted.is_internal) == ("<p>a &lt; b</p>", True)
    assert list(unknown_field.value.fields) == ["is_internal"]
    assert list(unknown_kind.value.fields) == ["subtype"]


def _subtype_pk(code: str) -> int:
    return subtype(code).pk
