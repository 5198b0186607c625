"""Threads and files in the browser: fragments, buttons, downloads, and what strangers get."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from PIL import Image

from apps.access.models import User
from apps.chatter.constants import COMMENT, NOTE
from apps.chatter.hooks import collect_token_access
from apps.chatter.models import Activity, Attachment, Follower, Message
from apps.chatter.services.attachments import attach_files, make_attachments, set_field_file, upload_pending
from apps.chatter.services.following import follow_as
from apps.chatter.services.posting import post_comment, post_note
from apps.chatter.types import NewFile, TokenAccess
from apps.contacts.models import Partner
from apps.core.testkit import count_queries
from tests.chatter.conftest import World
from tests.chatter.factories import PNG, SVG, make_company, make_user, system

TOKEN = "11111111-2222-4333-8444-555555555555"


def client_of(user: User | None, **options: Any) -> Client:
    client = Client(**options)
    if user is not None:
        client.force_login(user)
    return client


def url_of(record: Partner, rest: str = "") -> str:
    return f"/chatter/contacts.partner/{record.pk}/{rest}"


def body_of(response: Any) -> bytes:
    """The whole answer; a file that is read to its end is closed."""
    return b"".join(response.streaming_content) if response.streaming else response.content


@pytest.fixture
def link(world: World) -> Iterator[dict[str, str]]:
    """A link that opens the customer's record; with ``pid`` its bearer is the customer."""

    def opens(record: Any, params: Mapping[str, str]) -> TokenAccess | None:
        if record.pk != world.record.pk or params.get("access_token") != TOKEN:
            return None
        proven = params.get("pid") == str(world.record.pk) and params.get("hash") == "proof"
        return TokenAccess(world.record.pk if proven else None, may_post=proven)

    collect_token_access.register(opens)
    yield {"access_token": TOKEN, "pid": str(world.record.pk), "hash": "proof"}
    collect_token_access.unregister(opens)


# -------------------------------------------------------------------------------------------------------- fragments
def test_an_employee_gets_the_whole_panel(world: World, files: Path) -> None:
    bob = world.actor("bob")
    follow_as(world.record, [world.record], actor=system())
    post_note(world.record, "Only <b>us</b>", actor=bob, attachments=[NewFile("plan.txt", b"x")])
    post_comment(world.record, "Hello", actor=bob)

    html = client_of(world.ann).get(url_of(world.record)).content.decode()

    assert "Only &lt;b&gt;us&lt;/b&gt;" in html
    assert "Internal note" in html
    assert "plan.txt" in html
    assert "Log note" in html
    assert "Followers are told, also outside the company: Carl" in html
    assert "<script" not in html


def test_a_customer_gets_public_messages_and_nothing_of_the_house(world: World, files: Path) -> None:
    bob = world.actor("bob")
    follow_as(world.record, [world.partner("ann")], actor=system())
    post_note(world.record, "Secret words", actor=bob, attachments=[NewFile("secret.txt", b"x")])
    post_comment(world.record, "Public words", actor=bob)
    client = client_of(world.carl)

    html = client.get(url_of(world.record)).content.decode()
    found = client.get(url_of(world.record, "messages/"), {"q": "Secret"}).content.decode()

    assert "Public words" in html
    for word in (
        "Secret",
        "secret.txt",
        "Internal note",
        "Contact created",
        "Ann",
        "bob@example.com",
        "Log note",
    ):
        assert word not in html, word
    assert "Secret words" not in found
    assert client.get(url_of(world.record, "people/")).status_code == 404
    assert client.get(url_of(world.record, "activities/form/")).status_code == 404


@pytest.mark.parametrize("who", ["nobody", "stranger", "other company"])
@pytest.mark.parametrize("rest", ["", "messages/", "people/", "activities/form/"])
def test_strangers_get_the_same_answer_as_for_nothing(world: World, who: str, rest: str) -> None:
    post_comment(world.record, "Words", actor=world.actor("bob"))
    Partner.objects.filter(pk=world.record.pk).update(company=world.company)
    user = None
    if who == "stranger":
        user = make_user("stranger", company=world.company, kind="portal")
    elif who == "other company":
        user = make_user("stranger", "contacts.user", company=make_company("Elsewhere"))
    client = client_of(user)

    real = client.get(url_of(world.record, rest))
    missing = client.get(f"/chatter/contacts.partner/999999/{rest}")
    no_thread = client.get(f"/chatter/core.country/1/{rest}")

    bodies = [{**json.loads(r.content), "trace_id": ""} for r in (real, missing, no_thread)]
    assert {real.status_code, missing.status_code, no_thread.status_code} == {404}
    assert bodies[0] == bodies[1] == bodies[2]


def test_the_panel_costs_the_same_with_few_and_with_many(world: World, files: Path) -> None:
    client = client_of(world.ann)
    bob = world.actor("bob")

    def grow(number: int) -> None:
        for n in range(number):
            post_comment(world.record, f"m{n}", actor=bob, attachments=[NewFile(f"{n}.txt", b"x")])
            follow_as(world.record, [make_user(company=world.company).partner], actor=system())

    grow(2)
    client.get(url_of(world.record))
    with count_queries() as few:
        client.get(url_of(world.record))
    grow(10)

    with count_queries() as many:
        client.get(url_of(world.record))

    assert len(many) == len(few)


# ---------------------------------------------------------------------------------------------------------- writing
def test_posting_with_files_from_the_panel(world: World, files: Path) -> None:
    client = client_of(world.bob)

    uploaded = client.post(url_of(world.record, "files/"), {"file": [io.BytesIO(SVG)]}).json()["files"][0]
    answer = client.post(
        url_of(world.record, "post/"),
        {"kind": "note", "body": "See <file>", "attachment": f"{uploaded['pk']}:{uploaded['access_token']}"},
    )

    message = Message.objects.get(pk=answer.json()["message"])
    assert (answer.status_code, message.body, message.subtype.code) == (201, "<p>See &lt;file&gt;</p>", NOTE)
    assert uploaded["mimetype"] == "text/plain"
    assert [row.pk for row in message.attachments.all()] == [uploaded["pk"]]


def test_refusals_say_what_is_wrong(world: World, files: Path) -> None:
    readonly, writer = client_of(world.eve), client_of(world.bob)

    denied = readonly.post(url_of(world.record, "post/"), {"body": "Hello"})
    empty = writer.post(url_of(world.record, "post/"), {"body": " "})
    nonsense = writer.post(url_of(world.record, "post/"), {"body": "x", "attachment": "1 OR 1"})
    no_file = writer.post(url_of(world.record, "files/"), {})

    assert (denied.status_code, denied.json()["code"]) == (403, "permission_denied")
    assert (empty.status_code, list(empty.json()["fields"])) == (400, ["body"])
    assert (nonsense.status_code, list(nonsense.json()["fields"])) == (400, ["attachment"])
    assert no_file.status_code == 400
    assert not Message.objects.filter(message_type="comment").exists()


def test_requests_without_the_forgery_token_are_refused(world: World) -> None:
    client = client_of(world.bob, enforce_csrf_checks=True)

    answer = client.post(url_of(world.record, "post/"), {"body": "Hello"})

    assert answer.status_code == 403
    assert not Message.objects.filter(message_type="comment").exists()


def test_a_customer_writes_comments_only(world: World, open_threads: None) -> None:
    client = client_of(world.carl)

    comment = client.post(url_of(world.record, "post/"), {"body": "When?"})
    note = client.post(url_of(world.record, "post/"), {"body": "Hm", "kind": "note"})

    assert (comment.status_code, note.status_code) == (201, 403)
    assert [m.author for m in Message.objects.filter(message_type="comment")] == [world.record]


def test_editing_and_removing_ones_own_words(world: World) -> None:
    message = post_comment(world.record, "Helo", actor=world.actor("bob"))
    mine, others = client_of(world.bob), client_of(world.ann)

    assert others.post(f"/chatter/messages/{message.pk}/edit/", {"body": "x"}).status_code == 403
    assert client_of(None).post(f"/chatter/messages/{message.pk}/edit/", {"body": "x"}).status_code == 401
    assert mine.post(f"/chatter/messages/{message.pk}/edit/", {"body": "Hello"}).status_code == 200
    message.refresh_from_db()
    assert message.body == "<p>Hello</p>"

    assert mine.post(f"/chatter/messages/{message.pk}/remove/").status_code == 200
    assert "This message has been removed." in mine.get(url_of(world.record)).content.decode()


def test_following_and_activities_from_the_panel(world: World) -> None:
    client = client_of(world.ann)
    kind = Activity._meta.get_field("type").related_model.objects.get(code="chatter.call")

    client.post(url_of(world.record, "follow/"))
    form = client.get(url_of(world.record, "activities/form/"))
    planned = client.post(
        url_of(world.record, "activities/"),
        {"type": kind.pk, "summary": "Ask", "deadline": "2026-03-01", "assignee": world.ann.pk},
    )
    shown = client.get(url_of(world.record)).content.decode()
    pk = planned.json()["activities"][0]
    refused = client_of(world.eve).post(f"/chatter/activities/{pk}/done/")
    done = client.post(f"/chatter/activities/{pk}/done/", {"feedback": "Yes"})
    wrong = client.post(url_of(world.record, "activities/"), {"type": kind.pk, "deadline": "2026-02-31"})

    assert Follower.objects.filter(partner=world.partner("ann"), object_id=world.record.pk).exists()
    assert form.status_code == 200
    assert "Call: Ask" in shown
    assert re.search(r"\d+ days overdue", shown)
    assert (refused.status_code, done.status_code, wrong.status_code) == (403, 200, 400)
    assert not Activity.objects.exists()


def test_the_inbox_of_the_signed_in_user(world: World) -> None:
    follow_as(world.record, [world.partner("ann")], actor=system())
    post_comment(world.record, "Look here", actor=world.actor("bob"))
    client = client_of(world.ann)

    assert client.get("/chatter/inbox/state/").json() == {"unread": 1, "failed": 0, "due": 0}
    assert "Look here" in client.get("/chatter/inbox/").content.decode()
    assert client.post("/chatter/inbox/read/").json() == {"unread": 0}
    assert "Look here" in client.get("/chatter/inbox/", {"history": "1"}).content.decode()
    assert client_of(None).get("/chatter/inbox/state/").status_code == 401


# ------------------------------------------------------------------------------------------------ links with a token
def test_a_link_opens_the_public_part_and_lets_its_proven_bearer_write(
    world: World, link: dict[str, str], files: Path
) -> None:
    bob = world.actor("bob")
    post_note(world.record, "Secret words", actor=bob)
    post_comment(world.record, "Public words", actor=bob)
    client = client_of(None)

    html = client.get(url_of(world.record), link).content.decode()
    file = client.post(url_of(world.record, "files/"), {**link, "file": [io.BytesIO(b"hello")]}).json()[
        "files"
    ][0]
    named = f"{file['pk']}:{file['access_token']}"
    answer = client.post(url_of(world.record, "post/"), {**link, "body": "Thanks", "attachment": named})

    assert "Public words" in html
    assert "Secret" not in html
    message = Message.objects.get(pk=answer.json()["message"])
    assert (message.author, message.author_user_id, message.subtype.code) == (world.record, None, COMMENT)
    assert message.attachments.get().pk == file["pk"]


@pytest.mark.parametrize("given", ["", "0", "null", "shared", TOKEN[:-1] + "4", TOKEN.upper() + "x"])
def test_other_tokens_open_nothing(world: World, link: dict[str, str], given: str) -> None:
    post_comment(world.record, "Public words", actor=world.actor("bob"))

    answer = client_of(None).get(url_of(world.record), {**link, "access_token": given})

    assert answer.status_code == 404
    assert b"Public words" not in answer.content


def test_a_link_without_proof_reads_only(world: World, link: dict[str, str], files: Path) -> None:
    client = client_of(None)
    unproven = {"access_token": TOKEN}
    foreign = make_attachments([NewFile("other.txt", b"x")], actor=system())[0]

    reading = client.get(url_of(world.record), unproven)
    writing = client.post(url_of(world.record, "post/"), {**unproven, "body": "Me?"})
    uploading = client.post(url_of(world.record, "files/"), {**unproven, "file": [io.BytesIO(b"x")]})
    forged = client.post(url_of(world.record, "post/"), {**link, "hash": "forged", "body": "Me?"})
    taking = client.post(url_of(world.record, "post/"), {**link, "body": "x", "attachment": str(foreign.pk)})

    assert reading.status_code == 200
    assert b"data-composer" not in reading.content
    assert (writing.status_code, uploading.status_code, forged.status_code) == (403, 403, 403)
    assert taking.status_code == 404
    assert not Message.objects.filter(message_type="comment").exists()
    assert Attachment.objects.count() == 1


# ------------------------------------------------------------------------------------------------------------ files
def test_a_file_is_served_in_the_least_harmful_way(world: World, files: Path) -> None:
    svg, pdf = attach_files(
        world.record, [NewFile("x.svg", SVG), NewFile('a"b.pdf', b"%PDF-1.7 x")], actor=world.actor("bob")
    )
    client = client_of(world.bob)

    as_svg, as_pdf = client.get(f"/web/content/{svg.pk}"), client.get(f"/web/content/{pdf.pk}/any.html")
    download = client.get(f"/web/content/{pdf.pk}", {"download": "true"})

    assert (as_svg["Content-Type"], body_of(as_svg)) == ("text/plain; charset=utf-8", SVG)
    assert as_svg["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert (as_pdf["Content-Type"], as_pdf["Content-Security-Policy"]) == (
        "application/pdf",
        "default-src 'none'",
    )
    assert as_pdf["Content-Disposition"] == 'inline; filename="any.html"'
    assert download["Content-Disposition"] == 'attachment; filename="a_b.pdf"'
    for answer in (as_svg, as_pdf, download):
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert answer["Referrer-Policy"] == "no-referrer"
        assert "private" in answer["Cache-Control"]
    assert (body_of(as_pdf), body_of(download)) == (b"%PDF-1.7 x", b"%PDF-1.7 x")


@pytest.mark.parametrize("name", ["data.csv", "a.json", "a.docx", "a.bin", "a.zip"])
def test_what_need_not_be_shown_is_downloaded(world: World, files: Path, name: str) -> None:
    content = (
        b"PK\x03\x04" if name.endswith(("docx", "zip")) else b"\x00\x01" if name.endswith("bin") else b"[1]"
    )
    row = attach_files(world.record, [NewFile(name, content)], actor=world.actor("bob"))[0]

    answer = client_of(world.bob).get(f"/web/content/{row.pk}")

    assert (answer["Content-Disposition"], body_of(answer)) == (f'attachment; filename="{name}"', content)


def test_ranges_and_etags(world: World, files: Path) -> None:
    row = attach_files(world.record, [NewFile("a.txt", b"0123456789")], actor=world.actor("bob"))[0]
    client = client_of(world.bob)
    url = f"/web/content/{row.pk}"
    etag = f'"{row.checksum}"'

    def part(value: str, **headers: str) -> tuple[int, bytes, str]:
        answer = client.get(url, headers={"range": value, **headers})
        return answer.status_code, body_of(answer), answer.get("Content-Range", "")

    assert part("bytes=2-4") == (206, b"234", "bytes 2-4/10")
    assert part("bytes=7-") == (206, b"789", "bytes 7-9/10")
    assert part("bytes=-3") == (206, b"789", "bytes 7-9/10")
    assert part("bytes=0-99") == (206, b"0123456789", "bytes 0-9/10")
    assert part("bytes=10-") == (416, b"", "bytes */10")
    assert part("bytes=1-2,4-5") == (200, b"0123456789", "")
    assert part("bytes=2-4", **{"if-range": '"old"'}) == (200, b"0123456789", "")
    assert part("bytes=2-4", **{"if-range": etag})[0] == 206
    unchanged = client.get(url, headers={"if-none-match": f'W/"x", {etag}'})
    assert (unchanged.status_code, unchanged["ETag"], unchanged.content) == (304, etag, b"")
    whole = client.get(url, {"unique": "1"})
    assert (whole["Content-Length"], whole["Accept-Ranges"], "immutable" in whole["Cache-Control"]) == (
        "10",
        "bytes",
        True,
    )
    assert body_of(whole) == b"0123456789"


def test_without_a_right_there_is_no_file(world: World, files: Path) -> None:
    internal = post_note(
        world.record, "hm", actor=world.actor("bob"), attachments=[NewFile("n.txt", b"note")]
    )
    public = post_comment(
        world.record, "see", actor=world.actor("bob"), attachments=[NewFile("p.txt", b"public")]
    )
    pending = upload_pending([NewFile("d.txt", b"draft")], actor=world.actor("bob"))[0]
    note_file, public_file = internal.attachments.get(), public.attachments.get()
    carl, nobody = client_of(world.carl), client_of(None)

    def status(client: Client, row: Attachment, **query: str) -> int:
        answer = client.get(f"/web/content/{row.pk}", query)
        body_of(answer)
        return answer.status_code

    assert [status(carl, row) for row in (public_file, note_file, pending)] == [200, 404, 404]
    assert [status(nobody, row) for row in (public_file, note_file, pending)] == [404, 404, 404]
    assert status(nobody, public_file, access_token=public_file.access_token) == 200
    assert status(nobody, public_file, access_token=note_file.access_token) == 404
    assert status(nobody, public_file, access_token=public_file.access_token[:-1] + "x") == 404
    assert client_of(world.admin).get(f"/web/content/{pending.pk}").status_code == 404
    missing = nobody.get("/web/content/99999999")
    refused = nobody.get(f"/web/content/{note_file.pk}")
    assert (missing.status_code, refused.status_code, missing.content == refused.content) == (404, 404, True)


def test_bytes_that_are_lost_are_not_found_and_logged(
    world: World, files: Path, caplog: pytest.LogCaptureFixture
) -> None:
    row = attach_files(world.record, [NewFile("a.txt", b"text")], actor=world.actor("bob"))[0]
    (files / row.stored.path).unlink()

    answer = client_of(world.bob).get(f"/web/content/{row.pk}")

    assert answer.status_code == 404
    assert "cannot be read" in caplog.text


def test_pictures_are_scaled_and_never_enlarged(world: World, files: Path) -> None:
    big = io.BytesIO()
    Image.new("RGB", (800, 400), "red").save(big, "JPEG")
    photo, broken = attach_files(
        world.record,
        [NewFile("photo.jpg", big.getvalue()), NewFile("broken.png", PNG[:30])],
        actor=world.actor("bob"),
    )
    client = client_of(world.bob)

    def size(query: str) -> tuple[int, int]:
        return Image.open(io.BytesIO(body_of(client.get(f"/web/image/{photo.pk}{query}")))).size

    assert size("") == (800, 400)
    assert size("/200x200") == (200, 100)
    assert size("?width=100") == (100, 50)
    assert size("/100x100?crop=true") == (100, 100)
    assert size("/1900x1900") == (800, 400)
    scaled = client.get(f"/web/image/{photo.pk}/200x200")
    assert scaled["ETag"] == f'"{photo.checksum}-200x200"'
    assert scaled["X-Content-Type-Options"] == "nosniff"
    assert body_of(client.get(f"/web/image/{broken.pk}/50x50")) == PNG[:30]
    assert client_of(None).get(f"/web/image/{photo.pk}/50x50").status_code == 404


def test_the_value_of_a_field_has_an_address_of_its_own(world: World, files: Path) -> None:
    set_field_file(world.record, "image", NewFile("me.png", PNG), actor=system())
    url = f"/web/image/contacts.partner/{world.record.pk}/image"

    assert body_of(client_of(world.eve).get(url)) == PNG
    assert client_of(None).get(url).status_code == 404
    assert (
        client_of(world.eve).get(f"/web/content/contacts.partner/{world.record.pk}/nothing").status_code
        == 404
    )
    assert client_of(world.eve).get("/web/content/access.user/1/password").status_code == 404


# ------------------------------------------------------------------------------------------------------------- tags
def test_tags_render_the_panel_for_each_audience(
    world: World, link: dict[str, str], files: Path, rf: Any
) -> None:
    from django.contrib.auth.models import AnonymousUser
    from django.template import Context, Template

    from apps.access.selectors.actors import public_actor

    post_note(world.record, "Secret words", actor=world.actor("bob"))
    post_comment(world.record, "Public words", actor=world.actor("bob"))

    def show(tag: str, actor: Any, query: dict[str, str]) -> str:
        request = rf.get("/x", query)
        request.actor, request.user = actor, AnonymousUser()
        template = Template("{% load chatter %}" + tag)
        return template.render(Context({"request": request, "record": world.record, "token": TOKEN}))

    panel = show("{% chatter_panel record %}", world.actor("bob"), {})
    lazy = show("{% chatter_panel record lazy=True %}", world.actor("bob"), {})
    by_link = show("{% portal_thread record token %}", public_actor(), link)
    preview = show("{% portal_thread record %}", world.actor("bob"), {})
    closed = show("{% portal_thread record %}", public_actor(), {})

    assert "Secret words" in panel
    assert "Secret words" not in lazy
    assert "data-lazy" in lazy
    for html in (by_link, preview):
        assert "Public words" in html
        assert "Secret" not in html
    assert f"access_token={TOKEN}" in by_link
    assert closed == ""
    assert not re.search(r"<script(?! src=)| on[a-z]+=|style=", panel + by_link)
