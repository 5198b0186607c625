"""Live notices: published after commit, streamed to who may hear them, replayed to who was away."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import redis
from asgiref.sync import async_to_sync, sync_to_async
from django.db import transaction
from django.test import AsyncClient, Client

from apps.chatter.services.following import follow_as
from apps.chatter.services.notices import public_channel
from apps.chatter.services.posting import post_comment, post_note
from apps.chatter.types import RecordRef
from apps.chatter.views import live as live_view
from apps.core import live
from apps.core.unit_of_work import unit_of_work
from tests.chatter.conftest import World
from tests.chatter.factories import make_company, make_user, system

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _empty_stream() -> None:
    live.client().delete(live.STREAM)


def entries() -> list[tuple[str, str, dict[str, Any]]]:
    rows = live.client().xrange(live.STREAM)
    return [(fields["c"], fields["k"], json.loads(fields["d"])) for _key, fields in rows]  # type: ignore[union-attr]


def in_event_loop(test: Callable[..., Any]) -> Callable[..., None]:
    """Run an async test in an event loop of its own; database work happens in the thread of the fixtures."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        async_to_sync(test)(*args, **kwargs)

    return run


class Listener:
    """A browser on ``/live/``: the events that it got, in order."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self.last_id = ""

    async def next(self, timeout: float = 5) -> dict[str, Any] | None:
        """The next event without the greeting, or ``None`` when nothing came in time."""
        try:
            async with asyncio.timeout(timeout):
                async for chunk in self._chunks:
                    lines = dict(line.split(": ", 1) for line in chunk.decode().splitlines() if ": " in line)
                    self.last_id = lines.get("id", self.last_id)
                    if "data" not in lines:
                        continue
                    event: dict[str, Any] = json.loads(lines["data"])
                    if event["kind"] != "hello":
                        return event
        except TimeoutError:
            return None
        return None


@asynccontextmanager
async def listening(user: Any, query: str = "", **headers: str) -> AsyncIterator[Listener]:
    client = AsyncClient()
    await client.aforce_login(user)
    response = await client.get(f"/live/{query}", headers=headers)
    assert response.status_code == 200, response.content
    assert response["Content-Type"] == "text/event-stream"
    chunks = aiter(response.streaming_content)
    listener = Listener(chunks)
    while not listener.last_id:  # greeted: from here on nothing is missed
        chunk = (await anext(chunks)).decode()
        listener.last_id = next((line[4:] for line in chunk.splitlines() if line.startswith("id: ")), "")
    try:
        yield listener
    finally:
        await chunks.aclose()  # type: ignore[attr-defined]


def in_thread(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return sync_to_async(function)(*args, **kwargs)


# ------------------------------------------------------------------------------------------------------- publishing
def test_nothing_is_published_before_the_commit_nor_after_a_rollback(world: World) -> None:
    live.client().delete(live.STREAM)
    with transaction.atomic():
        live.publish("user:1", "test", {"n": 1})
        inside = entries()
    with transaction.atomic():
        live.publish("user:1", "test", {"n": 2})
        transaction.set_rollback(True)

    assert inside == []
    assert entries() == [("user:1", "test", {"n": 1})]
    assert 0 < live.client().ttl(live.STREAM) <= live.KEEP_SECONDS  # type: ignore[operator]


def test_a_message_tells_watchers_and_addressees_by_number_only(world: World) -> None:
    follow_as(world.record, [world.partner("ann")], actor=system())
    live.client().delete(live.STREAM)

    message = post_comment(world.record, "Secret plans", actor=world.actor("bob"))
    note = post_note(world.record, "More secret", actor=world.actor("bob"))

    ref = RecordRef("contacts.partner", world.record.pk)
    told = entries()
    channels = {(channel, kind) for channel, kind, _data in told}
    assert (f"record:contacts.partner:{ref.pk}", "message.posted") in channels
    assert (f"user:{world.ann.pk}", "inbox.new") in channels
    assert [data["message"] for channel, kind, data in told if channel == public_channel(ref)] == [message.pk]
    assert [data["message"] for channel, _kind, data in told if channel.startswith("record:")] == [
        message.pk,
        note.pk,
    ]
    assert "ecret" not in json.dumps(told)


def test_too_much_is_cut_and_a_dead_redis_is_survived(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    live.client().delete(live.STREAM)
    live.publish("user:1", "big", {"text": "x" * 10_000})
    assert entries() == [("user:1", "big", {"cut": True})]

    def broken() -> redis.Redis:
        return redis.Redis.from_url("redis://127.0.0.1:1/0", socket_connect_timeout=0.2)

    warnings: list[str] = []
    monkeypatch.setattr(live.logger, "warning", lambda text, *values: warnings.append(text % values))
    monkeypatch.setattr(live, "client", broken)
    with unit_of_work(world.actor("bob")):
        message = post_comment(world.record, "Still posted", actor=world.actor("bob"))

    message.refresh_from_db()
    assert message.body == "<p>Still posted</p>"
    assert len(warnings) == 1
    assert "live notices were not sent" in warnings[0]
    poll = Client()
    poll.force_login(world.ann)
    assert poll.get("/live/poll/", {"since": "1-0"}).status_code == 503


# -------------------------------------------------------------------------------------------------------- streaming
@in_event_loop
async def test_a_listener_hears_his_own_channel_and_records_he_may_see(world: World) -> None:
    watch = f"?watch=contacts.partner:{world.record.pk}"
    async with listening(world.eve, watch) as eve, listening(world.ann) as ann:
        message = await in_thread(_comment_to_ann, world)

        heard_by_eve, heard_by_ann = await eve.next(), await ann.next()

    assert heard_by_eve == {
        "channel": f"record:contacts.partner:{world.record.pk}",
        "kind": "message.posted",
        "data": {"model": "contacts.partner", "pk": world.record.pk, "message": message.pk},
    }
    assert heard_by_ann is not None
    assert (heard_by_ann["channel"], heard_by_ann["kind"]) == (f"user:{world.ann.pk}", "inbox.new")


def _comment_to_ann(world: World) -> Any:
    return post_comment(world.record, "Hello", actor=world.actor("bob"), recipients=[world.partner("ann")])


@in_event_loop
async def test_a_customer_does_not_even_hear_that_there_is_a_note(world: World) -> None:
    async with listening(world.carl, f"?watch=contacts.partner:{world.record.pk}") as carl:
        await in_thread(lambda: post_note(world.record, "Psst", actor=world.actor("bob")))
        comment = await in_thread(lambda: post_comment(world.record, "Hello", actor=world.actor("bob")))

        first = await carl.next()

    assert first is not None
    assert first["data"]["message"] == comment.pk


@in_event_loop
async def test_records_out_of_sight_and_other_peoples_channels_stay_silent(world: World) -> None:
    elsewhere = await in_thread(make_company, "Elsewhere")
    stranger = await in_thread(make_user, "stranger", "contacts.user", company=elsewhere)
    await in_thread(
        lambda: type(world.record).objects.filter(pk=world.record.pk).update(company=world.company)
    )
    query = f"?watch=contacts.partner:{world.record.pk}&watch=user:{world.ann.pk}&watch=nonsense&watch=a.b:c"
    async with listening(stranger, query) as listener:
        await in_thread(_comment_to_ann, world)

        heard = await listener.next(timeout=1)

    assert heard is None


@in_event_loop
async def test_who_was_away_gets_what_he_missed(world: World) -> None:
    watch = f"?watch=contacts.partner:{world.record.pk}"
    async with listening(world.eve, watch) as listener:
        first = await in_thread(lambda: post_comment(world.record, "One", actor=world.actor("bob")))
        heard = await listener.next()
        seen = listener.last_id
    second = await in_thread(lambda: post_comment(world.record, "Two", actor=world.actor("bob")))

    async with listening(world.eve, watch, **{"last-event-id": seen}) as again:
        missed = await again.next()
    async with listening(world.eve, f"{watch}&since={seen}") as by_query:
        missed_by_query = await by_query.next()

    assert heard is not None
    assert heard["data"]["message"] == first.pk
    assert missed == missed_by_query
    assert missed is not None
    assert missed["data"]["message"] == second.pk


@in_event_loop
async def test_who_was_away_too_long_is_told_to_load_afresh(world: World) -> None:
    await in_thread(lambda: live.publish("user:0", "other", {}))

    async with listening(world.eve, "", **{"last-event-id": "1000-0"}) as listener:
        told = await listener.next()

    assert told == {"channel": "", "kind": "reset", "data": {}}


@in_event_loop
async def test_a_listener_that_lags_behind_is_told_to_load_afresh() -> None:
    subscription = live.Subscription(["user:1"])
    for number in range(live.QUEUE_SIZE + 5):
        subscription.offer(live.Notice((1, number), "user:1", "test", {"n": number}))

    first = await subscription.next(0.1)

    assert first is not None
    assert first.kind == "reset"


@in_event_loop
async def test_one_reader_serves_all_listeners_and_ends_with_the_last() -> None:
    centre = live.hub()
    streams = [live.listen(["user:1"], since=None, ping=5, lifetime=30) for _n in range(3)]
    greetings = [await anext(stream) for stream in streams]
    during, reader = centre.listeners, centre._reader
    await sync_to_async(live.publish, thread_sensitive=True)("user:1", "test", {"n": 1})
    heard = [await anext(stream) for stream in streams]

    for stream in streams:
        await stream.aclose()

    assert {notice.kind for notice in greetings if notice} == {"hello"}
    assert [notice.data for notice in heard if notice] == [{"n": 1}] * 3
    assert (during, reader is not None) == (3, True)
    assert (centre.listeners, centre._reader) == (0, None)


@in_event_loop
async def test_streams_end_so_that_rights_are_asked_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_view, "LIFETIME", 0.2)
    monkeypatch.setattr(live_view, "PING_SECONDS", 0.05)
    client = AsyncClient()
    await client.aforce_login(world.ann)
    response = await client.get("/live/")

    chunks = [chunk async for chunk in response.streaming_content]

    assert chunks[0] == b"retry: 3000\n\n"
    assert b": ping\n\n" in chunks


@in_event_loop
async def test_streams_are_counted_a_user_and_refused_beyond(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_view, "MAX_STREAMS_OF_USER", 1)
    async with listening(world.ann):
        client = AsyncClient()
        await client.aforce_login(world.ann)
        refused = await client.get("/live/")

    assert refused.status_code == 429
    assert refused["Retry-After"] == "30"


@in_event_loop
async def test_nobody_listens_without_signing_in(world: World) -> None:
    assert (await AsyncClient().get("/live/")).status_code == 401
    assert (await AsyncClient().get(f"/live/?watch=contacts.partner:{world.record.pk}")).status_code == 401


def test_a_worker_that_cannot_stream_says_so_at_once(world: World) -> None:
    client = Client()
    client.force_login(world.ann)

    assert client.get("/live/").status_code == 503


# ------------------------------------------------------------------------------------------------------------ asking
def test_asking_now_and_then_hears_the_same(world: World) -> None:
    client = Client()
    client.force_login(world.eve)
    query = {"watch": f"contacts.partner:{world.record.pk}"}
    start = client.get("/live/poll/", query).json()
    message = post_comment(world.record, "Hello", actor=world.actor("bob"))

    heard = client.get("/live/poll/", {**query, "since": start["last"]}).json()
    nothing = client.get("/live/poll/", {**query, "since": heard["last"]}).json()
    unwatched = client.get("/live/poll/", {"since": start["last"]}).json()

    assert start["events"] == []
    assert [event["data"]["message"] for event in heard["events"]] == [message.pk]
    assert (nothing["events"], unwatched["events"], heard["reset"]) == ([], [], False)
    assert client.get("/live/poll/", {"since": "9999999999999-0"}).json()["reset"] is True
    assert Client().get("/live/poll/").status_code == 401


@pytest.mark.parametrize("text", ["", "x", "1", "1-", "-1", "1-x", "9" * 50 + "-0", "1-0; DROP", "١-٠"])
def test_positions_that_are_none(text: str) -> None:
    assert live.parse_position(text) is None
