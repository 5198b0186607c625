"""Reading threads: pages, what customers never see, inbox, following."""

from __future__ import annotations

import pytest

from apps.chatter.constants import COMMENT, NOTE
from apps.chatter.models import Follower, Message, Notification, TrackedValue
from apps.chatter.selectors.inbox import failure_count, failures, inbox, unread_by_record, unread_count
from apps.chatter.selectors.subtypes import subtype
from apps.chatter.selectors.threads import followed_pks, message_counts, thread_of
from apps.chatter.services.following import follow, follow_as, unfollow
from apps.chatter.services.inbox import (
    cancel_failures,
    mark_all_read,
    mark_notifications_read,
    mark_thread_read,
    set_delivery,
)
from apps.chatter.services.posting import post_comment, post_note
from apps.chatter.services.writing import write_messages
from apps.chatter.types import MessageDraft, NewFile, RecordRef
from apps.contacts.models import Partner
from apps.core.errors import NotVisible, PermissionDenied, ValidationFailed
from apps.core.rules import visible
from apps.core.testkit import count_queries
from tests.chatter.conftest import World
from tests.chatter.factories import actor_of, make_company, make_partner, make_user, system


def fill(
    record: Partner, number: int, *, subtype_code: str = COMMENT, author: int | None = None
) -> list[Message]:
    ref = RecordRef("contacts.partner", record.pk)
    drafts = [
        MessageDraft(
            ref=ref, body=f"<p>Message {n}</p>", subtype=subtype_code, author_pk=author, notify=False
        )
        for n in range(number)
    ]
    return write_messages(drafts, actor=system())


def test_three_hundred_messages_come_in_pages_without_gap_or_repetition(
    world: World, other_record: Partner
) -> None:
    made = fill(other_record, 299)  # and the entry about the record itself
    actor = world.actor("eve")

    seen: list[int] = []
    sizes = []
    before = None
    while True:
        page = thread_of(other_record, actor, before=before)
        sizes.append(len(page.messages))
        seen += [view.pk for view in page.messages]
        assert page.total == 300
        before = page.older_than
        if before is None:
            break

    assert sizes == [30] * 10
    assert seen == sorted(seen, reverse=True)
    assert len(set(seen)) == 300
    assert {message.pk for message in made} <= set(seen)


def test_a_page_costs_the_same_with_two_and_with_thirty_busy_messages(
    world: World, other_record: Partner, files: object
) -> None:
    actor = world.actor("bob")

    def busy(number: int) -> None:
        for n in range(number):
            post_comment(
                other_record,
                f"m{n}",
                actor=actor,
                recipients=[world.record],
                attachments=[NewFile(f"{n}.txt", b"x")],
            )

    busy(2)
    thread_of(other_record, actor)
    with count_queries() as few:
        thread_of(other_record, actor)
    busy(28)

    with count_queries() as many:
        page = thread_of(other_record, actor)

    assert len(page.messages) == 30
    assert all(view.files and view.deliveries for view in page.messages)
    assert len(many) == len(few) == 5


def test_writing_many_messages_costs_the_same_as_writing_two(world: World, other_record: Partner) -> None:
    follow_as(other_record, [world.partner("ann"), world.record], actor=system())

    def write(number: int) -> int:
        ref = RecordRef("contacts.partner", other_record.pk)
        drafts = [MessageDraft(ref=ref, body="<p>x</p>", subtype=COMMENT) for _n in range(number)]
        with count_queries() as seen:
            write_messages(drafts, actor=system())
        return len(seen)

    write(1)
    assert write(2) == write(50)
    assert Notification.objects.count() == 2 * 53


def test_customers_never_see_notes_log_entries_or_notices(world: World) -> None:
    bob = world.actor("bob")
    comment = post_comment(world.record, "For you", actor=bob)
    note = post_note(world.record, "Not for you", actor=bob, recipients=[world.partner("ann")])
    carl = world.actor("carl")

    page = thread_of(world.record, carl)

    assert [view.pk for view in page.messages] == [comment.pk]
    assert page.total == 1
    assert page.messages[0].deliveries == ()
    assert page.messages[0].author.email == ""
    assert list(visible(Message, carl).values_list("pk", flat=True)) == [comment.pk]
    assert not visible(Notification, carl).filter(message=note).exists()
    assert message_counts(Partner, [world.record.pk], carl) == {world.record.pk: 1}
    assert message_counts(Partner, [world.record.pk], bob) == {world.record.pk: 2}


def test_not_even_when_the_note_names_the_customer_or_its_kind_became_internal(world: World) -> None:
    note = post_note(world.record, "About you", actor=world.actor("bob"))
    note.recipients.add(world.record)
    Message.objects.filter(pk=note.pk).update(author=world.record)
    comment = post_comment(world.record, "Public so far", actor=world.actor("bob"))
    type(comment.subtype).objects.filter(code=COMMENT).update(internal=True)

    assert not visible(Message, world.actor("carl")).exists()
    assert thread_of(world.record, world.actor("carl")).messages == []


def test_the_list_of_messages_follows_the_records(world: World) -> None:
    ours = make_partner("Ours", company=world.company)
    message = post_comment(ours, "Hello", actor=world.actor("bob"))
    stranger = make_user("stranger", "contacts.user", company=make_company("Elsewhere"))

    with count_queries() as seen:
        found = list(visible(Message, world.actor("eve")).filter(pk=message.pk))

    assert found == [message]
    assert not visible(Message, actor_of(stranger)).filter(pk=message.pk).exists()
    assert len(seen.captured_queries) <= 7  # the actor, and one for the messages
    assert sum("chatter_message" in query["sql"] for query in seen.captured_queries) == 1


def test_personal_notices_are_read_by_their_addressee_and_writer_only(
    world: World, other_record: Partner
) -> None:
    from apps.chatter.services.posting import notify_partners

    notice = notify_partners(
        [world.partner("ann")], actor=world.actor("bob"), subject="s", body="<p>b</p>", record=other_record
    )

    who = [
        name
        for name in ("ann", "bob", "eve", "admin", "carl")
        if notice in visible(Message, world.actor(name))
    ]

    assert who == ["ann", "bob"]


def test_tracked_values_are_read_through_their_message(world: World) -> None:
    from apps.core.records import service_for

    ours = make_partner("Ours", company=world.company)
    service_for(Partner).update([ours], {"phone": "1"}, actor=world.actor("bob"))
    stranger = make_user("stranger", "contacts.user", company=make_company("Elsewhere"))
    row = TrackedValue.objects.get(field="phone")

    assert row in visible(TrackedValue, world.actor("eve"))
    assert row not in visible(TrackedValue, actor_of(stranger))
    assert not visible(TrackedValue, world.actor("carl")).exists()


def test_searching_within_a_thread(world: World, other_record: Partner) -> None:
    post_comment(other_record, "About apples", actor=world.actor("bob"))
    wanted = post_comment(other_record, "About pears", actor=world.actor("bob"))

    page = thread_of(other_record, world.actor("eve"), text="PEAR")

    assert [view.pk for view in page.messages] == [wanted.pk]


# ------------------------------------------------------------------------------------------------------------ inbox
def test_inbox_history_and_counters(world: World, other_record: Partner) -> None:
    follow_as(other_record, [world.partner("ann"), world.partner("eve")], actor=system())
    first = post_comment(other_record, "One", actor=world.actor("bob"))
    second = post_comment(other_record, "Two", actor=world.actor("bob"))
    ann = world.actor("ann")

    assert unread_count(ann) == 2
    assert unread_count(world.actor("eve")) == 0  # told by e-mail
    assert unread_by_record(ann, "contacts.Partner", [other_record.pk, world.record.pk]) == {other_record.pk}
    assert [(entry.message.pk, entry.record_name) for entry in inbox(ann)] == [
        (second.pk, "Somebody else"),
        (first.pk, "Somebody else"),
    ]

    mark_notifications_read(
        Notification.objects.filter(message=first, partner=world.partner("ann")), actor=ann
    )
    assert (unread_count(ann), [entry.message.pk for entry in inbox(ann, history=True)]) == (1, [first.pk])
    assert mark_all_read(actor=ann) == 1
    assert (unread_count(ann), len(inbox(ann, history=True))) == (0, 2)


def test_opening_a_thread_reads_its_messages_and_no_others(world: World, other_record: Partner) -> None:
    for record in (other_record, world.record):
        follow_as(record, [world.partner("ann")], actor=system())
        post_comment(record, "Hello", actor=world.actor("bob"))

    assert mark_thread_read(other_record, actor=world.actor("ann")) == 1
    assert unread_count(world.actor("ann")) == 1


def test_nobody_reads_for_somebody_else(world: World, other_record: Partner) -> None:
    follow_as(other_record, [world.partner("ann")], actor=system())
    post_comment(other_record, "Hello", actor=world.actor("bob"))
    row = Notification.objects.get()

    with pytest.raises(PermissionDenied):
        mark_notifications_read([row], actor=world.actor("bob"))  # he sees it as the author
    with pytest.raises(NotVisible):
        mark_notifications_read([row], actor=world.actor("eve"))

    row.refresh_from_db()
    assert row.is_read is False


def test_failures_are_shown_to_the_author_until_he_puts_them_aside(
    world: World, other_record: Partner
) -> None:
    message = post_comment(other_record, "Hello", actor=world.actor("bob"), recipients=[world.record])
    row = Notification.objects.get(message=message)
    set_delivery([row.pk], "bounce", failure_type="mail_bounce", failure_reason="no such mailbox")
    bob = world.actor("bob")

    assert (failure_count(bob), failure_count(world.actor("ann"))) == (1, 0)
    assert [(f["partner"], f["reason"]) for f in failures(bob)] == [("Carl", "no such mailbox")]
    view = next(view for view in thread_of(other_record, bob).messages if view.pk == message.pk)
    assert (view.failed, view.deliveries[0].failure) == (True, "came back")

    assert cancel_failures([message.pk], actor=world.actor("ann")) == 0
    assert cancel_failures([message.pk], actor=bob) == 1
    assert failure_count(bob) == 0


# -------------------------------------------------------------------------------------------------------- following
def test_following_oneself_needs_to_see_others_need_to_change(world: World, other_record: Partner) -> None:
    follow(other_record, actor=world.actor("eve"))
    follow(other_record, [world.record.pk], actor=world.actor("bob"))

    with pytest.raises(PermissionDenied):
        follow(other_record, [world.partner("ann").pk], actor=world.actor("eve"))
    with pytest.raises(NotVisible):
        follow(other_record, actor=world.actor("carl"))

    followers = set(Follower.objects.filter(object_id=other_record.pk).values_list("partner", flat=True))
    assert followers == {world.partner("eve").pk, world.record.pk}
    assert set(followed_pks("contacts.Partner", [world.record.pk]).values_list("object_id", flat=True)) == {
        other_record.pk
    }


def test_following_again_keeps_what_was_chosen_unless_kinds_are_named(
    world: World, other_record: Partner
) -> None:
    ann = world.partner("ann").pk
    follow(other_record, [ann], actor=system(), subtypes=[NOTE])
    follow(other_record, [ann], actor=system())
    kept = Follower.objects.get(partner=ann, object_id=other_record.pk).subtype_pks

    follow(other_record, [ann], actor=system(), subtypes=[COMMENT])
    replaced = Follower.objects.get(partner=ann, object_id=other_record.pk).subtype_pks

    assert kept == [subtype(NOTE).pk]
    assert replaced == [subtype(COMMENT).pk]
    with pytest.raises(ValidationFailed):
        follow(other_record, [ann], actor=system(), subtypes=["nonsense"])


def test_nobody_from_outside_ever_follows_internal_kinds(world: World, other_record: Partner) -> None:
    follow(other_record, [world.record.pk], actor=system(), subtypes=[NOTE, COMMENT])

    assert Follower.objects.get(partner=world.record, object_id=other_record.pk).subtype_pks == [
        subtype(COMMENT).pk
    ]


def test_leaving_is_always_possible_removing_others_needs_the_right(
    world: World, other_record: Partner
) -> None:
    follow_as(other_record, [world.partner("eve"), world.partner("ann")], actor=system())

    with pytest.raises(PermissionDenied):
        unfollow(other_record, [world.partner("ann").pk], actor=world.actor("eve"))

    assert unfollow(other_record, actor=world.actor("eve")) == 1
    assert unfollow(other_record, [world.partner("ann").pk], actor=world.actor("bob")) == 1
    assert not Follower.objects.filter(object_id=other_record.pk).exists()
