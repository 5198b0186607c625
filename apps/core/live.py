"""Live updates: small notices to browsers, after commit, lost without harm.

``publish`` appends to one short Redis stream; each live process tails it and hands every notice to the clients that
listen on its channel. A stream rather than bare publish/subscribe, because its entry ids are the ``Last-Event-ID`` of
server-sent events: a browser or process that was away for less than ``KEEP_SECONDS`` misses nothing, one that was
away for longer is told to load afresh (``reset``).

Notices carry ids and kinds, never content: what a client then reads goes through rules like any other request.
Channels: ``user:<pk>`` and ``record:<app.model>:<pk>``. A Redis that does not answer is logged and nothing else.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

import redis
import redis.asyncio
from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models, transaction

logger = logging.getLogger("meridian.live")

STREAM = "meridian:live"
KEEP_SECONDS = 100
KEEP_ENTRIES = 10_000
MAX_BYTES = 8_192
QUEUE_SIZE = 256  # notices a slow client may lag behind before it is told to load afresh
READ_BATCH = 500
READ_BLOCK_MS = 5_000
RETRY_SECONDS = (1.0, 2.0, 5.0, 10.0)

Position = tuple[int, int]
START: Position = (0, 0)


@dataclass(frozen=True, slots=True)
class Notice:
    """One entry of the stream. ``kind`` ``reset`` stands for "you may have missed some"."""

    position: Position
    channel: str
    kind: str
    data: Mapping[str, Any]

    @property
    def event_id(self) -> str:
        return format_position(self.position)

    def as_json(self) -> str:
        return json.dumps(
            {"channel": self.channel, "kind": self.kind, "data": self.data}, separators=(",", ":")
        )


def user_channel(user_pk: int) -> str:
    return f"user:{user_pk}"


def record_channel(model: type[models.Model] | str, pk: Any) -> str:
    label = model.lower() if isinstance(model, str) else model._meta.label_lower
    return f"record:{label}:{pk}"


def parse_position(text: str) -> Position | None:
    """``1719-0`` as numbers; ``None`` for anything else, because browsers send back whatever they got once."""
    first, _, second = text.partition("-")
    if first.isascii() and first.isdigit() and second.isascii() and second.isdigit() and len(text) < 40:
        return int(first), int(second)
    return None


def format_position(position: Position) -> str:
    return f"{position[0]}-{position[1]}"


# ------------------------------------------------------------------------------------------------------ publishing
@lru_cache(maxsize=1)
def _client(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=0.5, decode_responses=True)


def client() -> redis.Redis:
    """The blocking client of this process, for publishing and polling."""
    return _client(settings.REDIS_URL)


def publish(channel: str, kind: str, data: Mapping[str, Any] | None = None) -> None:
    """Tell the listeners of a channel, once the open transaction has committed."""
    publish_many([(channel, kind, data or {})])


def publish_many(notices: Iterable[tuple[str, str, Mapping[str, Any]]]) -> None:
    """Several notices in one round trip, once the open transaction has committed. Those of calls that follow each other
    in one transaction go together."""
    entries = [_entry(channel, kind, data) for channel, kind, data in notices]
    if not entries:
        return
    waiting = transaction.get_connection().run_on_commit
    if waiting:
        savepoints, function, _robust = waiting[-1]
        if isinstance(function, _Batch) and savepoints == set(transaction.get_connection().savepoint_ids):
            function.entries += entries
            return
    transaction.on_commit(_Batch(entries), robust=True)


@dataclass(slots=True)
class _Batch:
    """Notices that wait for a commit; dropped with the savepoint they were published in."""

    entries: list[dict[str, str]]

    def __call__(self) -> None:
        _send(self.entries)


def _entry(channel: str, kind: str, data: Mapping[str, Any]) -> dict[str, str]:
    text = json.dumps(data, cls=DjangoJSONEncoder, separators=(",", ":"))
    if len(text) > MAX_BYTES:
        logger.error(
            "a live notice '%s' of %s bytes on %s is cut: send ids, not content", kind, len(text), channel
        )
        text = '{"cut":true}'
    return {"c": channel, "k": kind, "d": text}


def _send(entries: list[dict[str, str]]) -> None:
    try:
        with client().pipeline(transaction=False) as pipe:
            for entry in entries:
                pipe.xadd(STREAM, entry, maxlen=KEEP_ENTRIES, approximate=True)  # type: ignore[arg-type]
            pipe.expire(STREAM, KEEP_SECONDS)
            pipe.execute()
    except (redis.RedisError, OSError) as exc:
        logger.warning("%s live notices were not sent: %s", len(entries), exc)


# --------------------------------------------------------------------------------------------------------- reading
def _notice(entry_id: str, fields: Mapping[str, str]) -> Notice:
    position = parse_position(entry_id) or START
    return Notice(position, fields.get("c", ""), fields.get("k", ""), json.loads(fields.get("d") or "{}"))


def _missed(since: Position, first: str | None, last: Position) -> bool:
    """Whether entries after ``since`` may be gone: the stream was trimmed, expired or begun anew."""
    if since > last:
        return True
    if first is None:
        return since != last
    return since < (parse_position(first) or START) and since != START


def read_since(since: Position | None, channels: Iterable[str]) -> tuple[Position, list[Notice], bool]:
    """For polling: the newest position, the notices after ``since`` on ``channels``, and whether some may be missing.

    Raises ``redis.RedisError`` when Redis does not answer.
    """
    newest = client().xrevrange(STREAM, count=1)
    last = parse_position(newest[0][0]) or START if newest else START  # type: ignore[arg-type, index]
    if since is None or since == last:
        return last, [], False
    oldest = client().xrange(STREAM, count=1)
    missed = _missed(since, oldest[0][0] if oldest else None, last)  # type: ignore[arg-type, index]
    wanted = set(channels)
    entries = client().xrange(STREAM, min=f"({format_position(since)}", count=KEEP_ENTRIES)
    found = [_notice(entry_id, fields) for entry_id, fields in entries]  # type: ignore[arg-type, union-attr]
    newest_seen = max([last, *(notice.position for notice in found)])
    return newest_seen, [notice for notice in found if notice.channel in wanted], missed


class Subscription:
    """What one client still has to be told, in order; bounded."""

    def __init__(self, channels: Iterable[str]) -> None:
        self.channels = frozenset(channels)
        self._waiting: asyncio.Queue[Notice] = asyncio.Queue(QUEUE_SIZE)

    def offer(self, notice: Notice) -> None:
        """Never waits: a client that does not keep up gets one ``reset`` in place of what it missed."""
        if self._waiting.full():
            while not self._waiting.empty():
                self._waiting.get_nowait()
            notice = Notice(notice.position, "", "reset", {})
        self._waiting.put_nowait(notice)

    async def next(self, timeout: float) -> Notice | None:
        """The next notice, or ``None`` when nothing came within ``timeout`` seconds."""
        try:
            return await asyncio.wait_for(self._waiting.get(), timeout)
        except TimeoutError:
            return None


class Hub:
    """The one reader of the stream in this process (and event loop); it runs while anybody listens."""

    def __init__(self, url: str) -> None:
        self._redis = redis.asyncio.Redis.from_url(
            url,
            decode_responses=True,
            socket_connect_timeout=2,
            socket_timeout=READ_BLOCK_MS / 1000 + 5,
            max_connections=8,
        )
        self._by_channel: dict[str, set[Subscription]] = {}
        self._reader: asyncio.Task[None] | None = None
        self._position: Position | None = None
        self._placed = asyncio.Event()

    @property
    def listeners(self) -> int:
        return len(set().union(*self._by_channel.values())) if self._by_channel else 0

    @contextmanager
    def subscribe(self, channels: Iterable[str]) -> Iterator[Subscription]:
        """Listen while the block runs. Needs a running event loop."""
        subscription = Subscription(channels)
        for channel in subscription.channels:
            self._by_channel.setdefault(channel, set()).add(subscription)
        if self._reader is None or self._reader.done():
            self._position = None
            self._placed.clear()
            self._reader = asyncio.get_running_loop().create_task(self._read())
        try:
            yield subscription
        finally:
            for channel in subscription.channels:
                rest = self._by_channel.get(channel, set())
                rest.discard(subscription)
                if not rest:
                    self._by_channel.pop(channel, None)
            if not self._by_channel and self._reader is not None:
                self._reader.cancel()
                self._reader = None

    async def position(self, timeout: float = 3) -> Position | None:
        """Where the reader is: whatever comes later reaches a client that subscribed before asking. ``None`` while
        Redis does not answer; the reader tells everybody to load afresh when it does again."""
        try:
            await asyncio.wait_for(self._placed.wait(), timeout)
        except TimeoutError:
            return None
        return self._position

    async def _newest(self) -> Position:
        entries = await self._redis.xrevrange(STREAM, count=1)
        return parse_position(entries[0][0]) or START if entries else START  # type: ignore[arg-type]

    async def replay(self, since: Position, channels: frozenset[str]) -> tuple[list[Notice], bool]:
        """What was published on ``channels`` after ``since``, and whether some of it may be gone."""
        oldest = await self._redis.xrange(STREAM, count=1)
        missed = _missed(since, oldest[0][0] if oldest else None, await self._newest())  # type: ignore[arg-type]
        entries = await self._redis.xrange(STREAM, min=f"({format_position(since)}", count=KEEP_ENTRIES)
        return [n for n in (_notice(key, fields) for key, fields in entries) if n.channel in channels], missed  # type: ignore[arg-type, union-attr]

    async def _read(self) -> None:
        failures = 0
        while True:
            try:
                if self._position is None:
                    self._position = await self._newest()
                    self._placed.set()
                    if failures:
                        self._tell_all(Notice(self._position, "", "reset", {}))
                answer = await self._redis.xread(
                    {STREAM: format_position(self._position)}, count=READ_BATCH, block=READ_BLOCK_MS
                )
                failures = 0
            except (redis.RedisError, OSError) as exc:
                pause = RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)]
                failures += 1
                logger.warning("live notices cannot be read, next try in %s s: %s", pause, exc)
                await asyncio.sleep(pause)
                continue
            for _stream, entries in answer or ():  # type: ignore[str-unpack]
                for entry_id, fields in entries:  # type: ignore[str-unpack, union-attr]
                    self._hand_out(_notice(entry_id, fields))  # type: ignore[arg-type]

    def _hand_out(self, notice: Notice) -> None:
        self._position = notice.position
        for subscription in self._by_channel.get(notice.channel, ()):
            subscription.offer(notice)

    def _tell_all(self, notice: Notice) -> None:
        for subscription in set().union(*self._by_channel.values()):
            subscription.offer(notice)

    async def close(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            self._reader = None
        await self._redis.aclose()


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def hub() -> Hub:
    """The hub of the running event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _hubs:
        _hubs[loop] = Hub(settings.REDIS_URL)
    return _hubs[loop]


async def listen(
    channels: Iterable[str], *, since: Position | None, ping: float, lifetime: float
) -> AsyncGenerator[Notice | None, None]:
    """Notices on ``channels``, what was missed since ``since`` first; ``None`` after ``ping`` quiet seconds.

    Ends after ``lifetime`` seconds, so that a client whose rights were taken away is authorised afresh. The first
    notice is ``hello`` and carries the position from which the client listens.
    """
    loop = asyncio.get_running_loop()
    ends = loop.time() + lifetime
    centre = hub()
    with centre.subscribe(channels) as subscription:
        here = await centre.position() or START
        told = START  # only a replay can overlap with what the reader hands out
        yield Notice(here if since is None else min(since, here), "", "hello", {})
        if since is not None:
            try:
                replayed, missed = await centre.replay(since, subscription.channels)
            except (redis.RedisError, OSError) as exc:
                logger.warning("a live client starts without replay: %s", exc)
                replayed, missed = [], True
            if missed:
                yield Notice(here, "", "reset", {})
            for notice in replayed:
                told = max(told, notice.position)
                yield notice
        while (left := ends - loop.time()) > 0:
            waiting = await subscription.next(min(ping, left))
            if waiting is None:
                yield None
            elif waiting.position > told or waiting.kind == "reset":
                told = max(told, waiting.position)
                yield waiting
