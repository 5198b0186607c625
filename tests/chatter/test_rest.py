"""Threads and files through REST: the same rights as everywhere else."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

from django.test import Client

from apps.access.models import User
from apps.chatter.models import Message
from apps.chatter.services.activities import plan_activity
from apps.chatter.services.posting import post_comment, post_note
from apps.chatter.types import NewFile
from tests.chatter.conftest import World

API = "/api/v1"


def rest(user: User) -> Any:
    client = Client()
    client.force_login(user)

    def call(method: str, path: str, body: Any = None) -> tuple[int, Any]:
        kwargs = {"data": json.dumps(body), "content_type": "application/json"} if body is not None else {}
        answer = getattr(client, method)(f"{API}/{path}", **kwargs)
        return answer.status_code, json.loads(answer.content) if answer.content else None

    call.client = client  # type: ignore[attr-defined]
    return call


def test_the_thread_of_a_record(world: World) -> None:
    note = post_note(world.record, "Secret", actor=world.actor("bob"))
    comment = post_comment(world.record, "Public", actor=world.actor("bob"))
    path = f"contacts/partners/{world.record.pk}/messages/"

    status, listed = rest(world.eve)("get", path)
    made_status, made = rest(world.bob)(
        "post", path, {"body": "<p>Hi<script>x</script></p>", "subtype": "chatter.comment"}
    )
    refused, _body = rest(world.eve)("post", path, {"body": "Hi"})

    assert status == 200
    assert {note.pk, comment.pk} <= {row["id"] for row in listed["results"]}
    assert made_status == 201
    assert Message.objects.get(pk=made["id"]).body == "<p>Hi</p>"
    assert refused == 403


def test_customers_see_public_messages_only(world: World) -> None:
    note = post_note(world.record, "Secret", actor=world.actor("bob"))
    comment = post_comment(world.record, "Public", actor=world.actor("bob"))
    call = rest(world.carl)

    status, listed = call("get", "chatter/messages/")
    hidden, _body = call("get", f"chatter/messages/{note.pk}/")
    thread_status, thread = call("get", f"contacts/partners/{world.record.pk}/messages/")

    if status == 200:
        assert [row["id"] for row in listed["results"]] == [comment.pk]
    if thread_status == 200:
        assert [row["id"] for row in thread["results"]] == [comment.pk]
    assert hidden in (403, 404)
    assert "Secret" not in json.dumps([listed, thread])


def test_files_of_a_record(world: World, files: Path) -> None:
    path = f"contacts/partners/{world.record.pk}/attachments/"
    call = rest(world.bob)

    made_status, made = call("post", path, {"name": "a.txt", "content": base64.b64encode(b"hello").decode()})
    upload = call.client.post(f"{API}/{path}", {"file": io.BytesIO(b"<svg></svg>"), "name": "x.svg"})
    listed_status, listed = call("get", path)

    assert (made_status, made["mimetype"], made["size"]) == (201, "text/plain", 5)
    assert "access_token" not in made
    assert upload.status_code == 201
    assert json.loads(upload.content)["mimetype"] == "text/plain"
    assert (listed_status, len(listed["results"])) == (200, 2)
    assert b"".join(Client().get(made["url"]).streaming_content) == b"hello"


def test_activities_and_their_actions(world: World) -> None:
    activity = plan_activity(world.record, actor=world.actor("bob"), summary="Call")
    before = Message.objects.count()

    listed_status, listed = rest(world.bob)("get", "chatter/activities/")
    refused, _body = rest(world.eve)(
        "post", f"chatter/activities/{activity.pk}/actions/done/", {"feedback": "x"}
    )
    done, _body = rest(world.bob)(
        "post", f"chatter/activities/{activity.pk}/actions/done/", {"feedback": "yes"}
    )

    assert (listed_status, [row["id"] for row in listed["results"]]) == (200, [activity.pk])
    assert refused == 403
    assert done in (200, 204)
    assert Message.objects.count() == before + 1


def test_a_message_shows_its_files_and_changes(world: World, files: Path) -> None:
    message = post_comment(world.record, "x", actor=world.actor("bob"), attachments=[NewFile("a.txt", b"a")])

    status, shown = rest(world.bob)("get", f"chatter/messages/{message.pk}/")

    assert status == 200
    assert shown["attachments"] == [message.attachments.get().pk]
    assert shown["tracked"] == []
