"""What PostgreSQL refuses or corrects, whoever writes; attacked with plain SQL."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, connection, transaction

from apps.chatter.constants import COMMENT, NOTE
from apps.chatter.models import ActivityType, Message, Notification, StoredObject, TrackedValue
from apps.chatter.selectors.subtypes import subtype
from apps.chatter.services.posting import post_comment, post_note
from apps.chatter.types import NewFile
from apps.core.records import service_for
from tests.chatter.conftest import World
from tests.chatter.factories import make_partner

INSERT_NOTIFICATION = (
    "INSERT INTO chatter_notification (message_id, partner_id, kind, status, is_read, failure_type, failure_reason) "
    "VALUES (%s, %s, 'email', 'ready', true, '', '')"
)


def run(sql: str, *values: object) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql, values)


@pytest.mark.parametrize("who", ["portal user", "contact without user"])
def test_nobody_but_employees_is_told_about_a_note(world: World, who: str) -> None:
    note = post_note(world.record, "Between us", actor=world.actor("bob"))
    partner = world.record if who == "portal user" else make_partner("No user", email="n@example.com")

    with pytest.raises(IntegrityError) as refused:
        run(INSERT_NOTIFICATION, note.pk, partner.pk)

    assert f"message {note.pk} is for employees; partner {partner.pk} is none" in str(refused.value)
    assert not Notification.objects.filter(message=note, partner=partner).exists()


def test_a_notification_cannot_be_moved_to_a_note_either(world: World) -> None:
    comment = post_comment(world.record, "Hello", actor=world.actor("bob"), recipients=[world.record])
    note = post_note(world.record, "Between us", actor=world.actor("bob"))

    with pytest.raises(IntegrityError):
        run("UPDATE chatter_notification SET message_id = %s WHERE message_id = %s", note.pk, comment.pk)
    run("UPDATE chatter_message SET is_internal = false WHERE id = %s", note.pk)

    note.refresh_from_db()
    assert note.is_internal is True
    assert Notification.objects.get(partner=world.record).message_id == comment.pk


def test_employees_are_told_about_notes(world: World) -> None:
    note = post_note(world.record, "Between us", actor=world.actor("bob"))

    run(INSERT_NOTIFICATION, note.pk, world.partner("eve").pk)

    assert Notification.objects.filter(message=note, partner=world.partner("eve")).exists()


def test_one_notification_a_message_and_partner(world: World) -> None:
    comment = post_comment(world.record, "Hello", actor=world.actor("bob"), recipients=[world.record])

    with pytest.raises(IntegrityError):
        run(INSERT_NOTIFICATION, comment.pk, world.record.pk)

    assert Notification.objects.filter(message=comment, partner=world.record).count() == 1


@pytest.mark.parametrize("kind", ["internal", "none"])
def test_a_message_of_an_internal_or_unknown_kind_is_internal_whatever_the_writer_says(
    world: World, kind: str
) -> None:
    subtype_pk = subtype(NOTE).pk if kind == "internal" else None

    run(
        "INSERT INTO chatter_message (model, object_id, date, message_type, subtype_id, is_internal, subject, body, "
        "email_from, record_name) VALUES ('contacts.partner', %s, now(), 'comment', %s, false, 'forged', '', '', '')",
        world.record.pk,
        subtype_pk,
    )

    assert Message.objects.get(subject="forged").is_internal is True


def test_turning_a_public_message_into_a_note_makes_it_internal(world: World) -> None:
    comment = post_comment(world.record, "Hello", actor=world.actor("bob"))

    run("UPDATE chatter_message SET subtype_id = %s WHERE id = %s", subtype(NOTE).pk, comment.pk)

    comment.refresh_from_db()
    assert comment.is_internal is True


def test_a_note_cannot_become_public_with_another_kind(world: World) -> None:
    note = post_note(world.record, "Between us", actor=world.actor("bob"))

    with pytest.raises(IntegrityError) as refused:
        run(
            "UPDATE chatter_message SET subtype_id = %s, is_internal = false WHERE id = %s",
            subtype(COMMENT).pk,
            note.pk,
        )

    assert "cannot become public" in str(refused.value)
    note.refresh_from_db()
    assert (note.is_internal, note.subtype_id) == (True, subtype(NOTE).pk)


def test_a_message_names_a_whole_record_or_none(world: World) -> None:
    comment = post_comment(world.record, "Hello", actor=world.actor("bob"))

    with pytest.raises(IntegrityError):
        run("UPDATE chatter_message SET object_id = NULL WHERE id = %s", comment.pk)


def test_recorded_changes_are_not_rewritten(world: World) -> None:
    service_for(type(world.record)).update([world.record], {"phone": "123"}, actor=world.actor("bob"))
    row = TrackedValue.objects.get(field="phone")

    with pytest.raises(IntegrityError):
        run("UPDATE chatter_trackedvalue SET new_text = 'forged' WHERE id = %s", row.pk)

    row.refresh_from_db()
    assert row.new_text == "123"


def test_stored_content_keeps_its_checksum(world: World, files: object) -> None:
    post_comment(world.record, "Hello", actor=world.actor("bob"), attachments=[NewFile("a.txt", b"a")])
    row = StoredObject.objects.get()

    with pytest.raises(IntegrityError):
        run("UPDATE chatter_storedobject SET checksum = %s WHERE id = %s", "0" * 64, row.pk)
    with pytest.raises(IntegrityError):
        run("DELETE FROM chatter_storedobject WHERE id = %s; SET CONSTRAINTS ALL IMMEDIATE", row.pk)


def test_types_that_the_program_uses_cannot_be_deleted(world: World) -> None:
    before = ActivityType.objects.count()

    with pytest.raises(IntegrityError):
        run("DELETE FROM chatter_activitytype WHERE code = 'chatter.todo'")

    assert ActivityType.objects.count() == before
