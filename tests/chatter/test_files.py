"""Files: stored once, typed by content, readable by right or token, tidied up."""

from __future__ import annotations

import datetime
import io
from pathlib import Path

import pytest
from django.db import transaction
from django.utils import timezone

from apps.chatter.constants import COMMENT
from apps.chatter.models import Attachment, StoredObject
from apps.chatter.selectors.files import read_attachment, readable_attachment
from apps.chatter.services import maintenance, storage
from apps.chatter.services.attachments import (
    attach_files,
    clean_name,
    copy_attachments,
    make_attachments,
    set_field_file,
    upload_pending,
)
from apps.chatter.services.posting import post_comment, post_note
from apps.chatter.sniffing import sniff
from apps.chatter.types import NewFile, RecordRef
from apps.contacts.models import Partner
from apps.core.config import set_setting
from apps.core.errors import NotVisible, PermissionDenied, ValidationFailed
from apps.core.records import service_for
from apps.core.rules import visible
from apps.core.testkit import count_queries, run_in_threads
from tests.chatter.conftest import World
from tests.chatter.factories import PNG, SVG, actor_of, make_company, make_partner, make_user, system

NOW = datetime.timedelta(0)


def stored_files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# --------------------------------------------------------------------------------------------------------- content
def test_the_same_bytes_are_one_object_until_nobody_names_them(world: World, files: Path) -> None:
    first, second = make_attachments([NewFile("a.txt", b"same"), NewFile("b.txt", b"same")], actor=system())
    checksum = "0967115f2813a3541eaef77de9d9d5773f1c0c04314b0bbfe4ff3b3b1c55b5d5"
    assert (first.checksum, first.stored_id) == (checksum, second.stored_id)
    assert stored_files(files) == [f"09/{checksum}"]

    service_for(Attachment).delete([first], actor=system())
    assert maintenance.collect_contents(grace=NOW) == 0
    assert read_attachment(second) == b"same"

    service_for(Attachment).delete([second], actor=system())
    assert maintenance.collect_contents(grace=datetime.timedelta(hours=1)) == 0
    assert stored_files(files) == [f"09/{checksum}"]
    assert maintenance.collect_contents(grace=NOW) == 1
    assert stored_files(files) == []
    assert not StoredObject.objects.exists()


def test_content_that_is_used_again_is_kept(world: World, files: Path) -> None:
    row = make_attachments([NewFile("a.txt", b"text")], actor=system())[0]
    row.delete()
    maintenance.collect_contents(grace=datetime.timedelta(hours=1))

    again = make_attachments([NewFile("b.txt", b"text")], actor=system())[0]
    removed = maintenance.collect_contents(grace=NOW, now=timezone.now() + datetime.timedelta(hours=2))

    assert removed == 0
    assert read_attachment(again) == b"text"
    assert StoredObject.objects.get().unused_since is None


def test_lost_or_truncated_bytes_come_back_with_the_next_upload(world: World, files: Path) -> None:
    row = make_attachments([NewFile("a.txt", b"text")], actor=system())[0]
    (files / row.stored.path).write_bytes(b"te")

    make_attachments([NewFile("a.txt", io.BytesIO(b"text"))], actor=system())

    assert read_attachment(row) == b"text"


def test_bytes_of_an_upload_that_was_rolled_back_are_swept(world: World, files: Path) -> None:
    with transaction.atomic():
        make_attachments([NewFile("a.txt", b"lost")], actor=system())
        transaction.set_rollback(True)
    kept = make_attachments([NewFile("b.txt", b"kept")], actor=system())[0]
    assert len(stored_files(files)) == 2

    young = maintenance.remove_strays(grace=datetime.timedelta(hours=1))
    removed = maintenance.remove_strays(grace=datetime.timedelta(seconds=-1))

    assert (young, removed) == (0, 1)
    assert stored_files(files) == [kept.stored.path]


def test_uploads_that_were_never_sent_are_removed(world: World, files: Path) -> None:
    upload_pending([NewFile("old.txt", b"old")], actor=world.actor("bob"))
    sent = upload_pending([NewFile("sent.txt", b"sent")], actor=world.actor("bob"))[0]
    post_comment(world.record, "x", actor=world.actor("bob"), attachment_pks=[sent.pk])
    Attachment.objects.update(created_at=timezone.now() - datetime.timedelta(days=2))

    maintenance.remove_pending(older_than=datetime.timedelta(days=1))

    assert list(Attachment.objects.values_list("name", flat=True)) == ["sent.txt"]


@pytest.mark.django_db(transaction=True)
def test_ten_uploads_and_cleaning_at_once_lose_nothing(files: Path) -> None:
    def upload() -> Attachment:
        return make_attachments([NewFile("a.txt", b"wanted by many")], actor=system())[0]

    def clean() -> int:
        return maintenance.collect_contents(grace=NOW)

    upload().delete()
    results = run_in_threads([upload, clean, upload, clean, upload, upload, clean, upload])

    rows = [result for result in results if isinstance(result, Attachment)]
    assert [result for result in results if isinstance(result, Exception)] == []
    assert len({row.stored_id for row in rows}) == 1
    assert {read_attachment(row) for row in rows} == {b"wanted by many"}


def test_storing_costs_the_same_for_two_and_for_twelve_files(world: World, files: Path) -> None:
    make_attachments([NewFile("w.txt", b"warm")], actor=system())
    with count_queries() as few:
        make_attachments([NewFile(f"{n}.txt", f"few {n}".encode()) for n in range(2)], actor=system())

    with count_queries() as many:
        make_attachments([NewFile(f"{n}.txt", f"many {n}".encode()) for n in range(12)], actor=system())

    assert len(many) == len(few)


def test_too_large_a_file_is_refused_before_it_is_stored(world: World, files: Path) -> None:
    set_setting("chatter.max_upload_megabytes", 1, actor=system())

    with pytest.raises(ValidationFailed) as refused:
        make_attachments([NewFile("big.bin", io.BytesIO(b"x" * (2**20 + 1)))], actor=system())

    assert refused.value.fields == {"file": ["big.bin is larger than 1 MB."]}
    assert stored_files(files) == []


def test_measuring_reads_a_file_once_and_leaves_it_at_its_beginning() -> None:
    file = io.BytesIO(b"abc" * 1_000_000)

    measured = storage.measure(file)

    assert (measured.size, file.tell()) == (3_000_000, 0)


# ------------------------------------------------------------------------------------------------------------ types
@pytest.mark.parametrize(
    ("name", "content", "kept_as"),
    [
        ("x.svg", SVG, "text/plain"),
        ("x.png", SVG, "text/plain"),
        ("x", b'<?xml version="1.0"?><svg/>', "text/plain"),
        ("page.html", b"<html><script>alert(1)</script>", "text/plain"),
        ("page.txt", b"<!DOCTYPE html><p>", "text/plain"),
        ("x.js", b"alert(1)", "text/plain"),
        ("x.xml", b"<a/>", "text/plain"),
        ("x.xhtml", b"hello", "text/plain"),
        ("x.css", b"body{}", "text/plain"),
        ("x.mht", b"MIME-Version: 1.0", "text/plain"),
        ("photo.txt", PNG, "image/png"),
        ("a.pdf", b"%PDF-1.7 x", "application/pdf"),
        ("a.csv", b"a;b\n1;2\n", "text/csv"),
        ("a.json", b'{"a": 1}', "application/json"),
        ("a.txt", b"plain words", "text/plain"),
        (
            "a.docx",
            b"PK\x03\x04 rest",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        ),
        ("a.html", b"PK\x03\x04 rest", "application/zip"),
        ("a.png", b"\x00\x01\x02 no picture", "application/octet-stream"),
        ("a.html", b"\x00\x01\x02", "application/octet-stream"),
        ("a.exe", b"MZ\x00", "application/vnd.microsoft.portable-executable"),
    ],
)
def test_the_content_decides_and_what_runs_is_kept_as_text(
    world: World, files: Path, name: str, content: bytes, kept_as: str
) -> None:
    row = make_attachments([NewFile(name, content, mimetype="text/html")], actor=world.actor("bob"))[0]

    assert row.mimetype == kept_as
    assert read_attachment(row) == content


def test_what_the_program_made_keeps_its_type(world: World, files: Path) -> None:
    row = make_attachments(
        [NewFile("invoice.xml", b'<?xml version="1.0"?><a/>', trusted=True)], actor=system()
    )[0]

    assert row.mimetype == "application/xml"


def test_an_svg_after_a_comment_is_one() -> None:
    assert sniff(b"<!-- x -->\n<svg xmlns='a'></svg>", "a.txt") == "image/svg+xml"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\a.txt", "a.txt"),
        ("<img src=x>.txt", "_img src=x_.txt"),
        ('a"\r\nX: y.txt', "a___X_ y.txt"),
        ("exe\u202etxt.pdf", "exe_txt.pdf"),
        ("...", "file"),
        ("", "file"),
        ("é" * 300 + ".pdf", "é" * 251 + ".pdf"),
    ],
)
def test_names_are_cleaned(given: str, kept: str) -> None:
    assert clean_name(given) == kept


# ----------------------------------------------------------------------------------------------------------- rights
def test_employees_read_files_of_records_they_see_and_nobody_of_another_company(
    world: World, files: Path
) -> None:
    record = make_partner("Ours", company=world.company)
    file = attach_files(record, [NewFile("a.txt", b"a")], actor=world.actor("bob"))[0]
    stranger = make_user("stranger", "contacts.user", company=make_company("Elsewhere"))

    assert readable_attachment(file.pk, world.actor("eve")) == file
    with pytest.raises(NotVisible):
        readable_attachment(file.pk, actor_of(stranger))
    with pytest.raises(NotVisible):
        readable_attachment(file.pk + 1000, actor_of(stranger))


def test_a_customer_reads_files_of_public_messages_only(world: World, files: Path) -> None:
    bob = world.actor("bob")
    public = post_comment(world.record, "see", actor=bob, attachments=[NewFile("public.txt", b"1")])
    note = post_note(world.record, "hm", actor=bob, attachments=[NewFile("internal.txt", b"2")])
    attach_files(world.record, [NewFile("loose.txt", b"3")], actor=bob)

    seen = list(visible(Attachment, world.actor("carl")).values_list("name", flat=True))

    assert seen == ["public.txt"]
    assert readable_attachment(public.attachments.get().pk, world.actor("carl")).name == "public.txt"
    with pytest.raises(NotVisible):
        readable_attachment(note.attachments.get().pk, world.actor("carl"))


@pytest.mark.parametrize("token", ["", "shared", "0", "null", "true", "[]", "\ud800", "other"])
def test_only_the_files_own_token_opens_it(world: World, files: Path, token: str) -> None:
    mine, other = make_attachments([NewFile("a.txt", b"a"), NewFile("b.txt", b"b")], actor=system())
    given = other.access_token if token == "other" else token

    with pytest.raises(NotVisible):
        readable_attachment(mine.pk, world.actor("carl"), token=given)
    with pytest.raises(NotVisible):
        readable_attachment(mine.pk, world.actor("carl"), token=mine.access_token[:-1])
    assert readable_attachment(mine.pk, world.actor("carl"), token=mine.access_token) == mine


def test_pending_uploads_are_their_makers_alone(world: World, files: Path) -> None:
    file = upload_pending([NewFile("draft.txt", b"d")], actor=world.actor("bob"))[0]

    assert readable_attachment(file.pk, world.actor("bob")) == file
    with pytest.raises(NotVisible):
        readable_attachment(file.pk, world.actor("admin"))
    with pytest.raises(NotVisible):
        post_comment(world.record, "mine now", actor=world.actor("ann"), attachment_pks=[file.pk])

    assert Attachment.objects.get(pk=file.pk).model == ""


def test_files_of_another_record_cannot_be_sent_along(
    world: World, other_record: Partner, files: Path
) -> None:
    file = attach_files(other_record, [NewFile("a.txt", b"a")], actor=world.actor("bob"))[0]

    with pytest.raises(NotVisible):
        post_comment(world.record, "look", actor=world.actor("bob"), attachment_pks=[file.pk])


def test_deleting_needs_the_right_to_write(world: World, files: Path) -> None:
    file = attach_files(world.record, [NewFile("a.txt", b"a")], actor=world.actor("bob"))[0]

    with pytest.raises(PermissionDenied):
        service_for(Attachment).delete([file], actor=world.actor("eve"))
    with pytest.raises(NotVisible):
        service_for(Attachment).delete([file], actor=world.actor("carl"))
    assert Attachment.objects.filter(pk=file.pk).exists()

    service_for(Attachment).delete([file], actor=world.actor("ann"))
    assert not Attachment.objects.filter(pk=file.pk).exists()


def test_only_administrators_open_a_file_to_everybody(world: World, files: Path) -> None:
    file = attach_files(world.record, [NewFile("a.txt", b"a")], actor=world.actor("bob"))[0]

    with pytest.raises(PermissionDenied):
        service_for(Attachment).update([file], {"public": True}, actor=world.actor("bob"))

    file.refresh_from_db()
    assert file.public is False


def test_the_value_of_a_field_is_one_file_and_not_among_the_records_files(world: World, files: Path) -> None:
    set_field_file(world.record, "image", NewFile("old.png", PNG), actor=system())
    made = set_field_file(world.record, "image", NewFile("new.png", PNG), actor=system())

    rows = Attachment.objects.filter(model="contacts.partner", object_id=world.record.pk, field="image")
    assert list(rows) == [made]
    assert not Attachment.objects.of_record("contacts.partner", world.record.pk).exists()


def test_copies_share_their_content(world: World, other_record: Partner, files: Path) -> None:
    file = attach_files(world.record, [NewFile("a.txt", b"a")], actor=world.actor("bob"))[0]

    copy = copy_attachments([file], ref=RecordRef("contacts.partner", other_record.pk), actor=system())[0]

    assert (copy.stored_id, copy.object_id) == (file.stored_id, other_record.pk)
    assert copy.access_token != file.access_token
    assert len(stored_files(files)) == 1


def test_files_through_the_service(world: World, files: Path) -> None:
    service = service_for(Attachment)
    rows = [
        {"name": "a.txt", "content": "aGVsbG8=", "model": "contacts.Partner", "object_id": world.record.pk}
    ]

    made = service.create(rows, actor=world.actor("bob"))[0]

    assert (made.model, made.object_id, read_attachment(made)) == (
        "contacts.partner",
        world.record.pk,
        b"hello",
    )
    for wrong in (
        {"name": "a.txt", "content": "no base64!"},
        {"name": "a.txt"},
        {"content": "aGVsbG8="},
        {"name": "a", "content": "aGVsbG8=", "mimetype": "text/html"},
    ):
        with pytest.raises(ValidationFailed):
            service.create([wrong], actor=world.actor("bob"))
    with pytest.raises(PermissionDenied):
        service.create(rows, actor=world.actor("eve"))
    assert Attachment.objects.count() == 1


def test_a_pending_file_joins_its_message_and_record(world: World, files: Path) -> None:
    file = upload_pending([NewFile("a.txt", b"a")], actor=world.actor("bob"))[0]

    message = post_comment(world.record, "see file", actor=world.actor("bob"), attachment_pks=[file.pk])

    file.refresh_from_db()
    assert list(message.attachments.all()) == [file]
    assert (file.model, file.object_id) == ("contacts.partner", world.record.pk)
    assert message.subtype.code == COMMENT
