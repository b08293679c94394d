"""Reading from Redis: one connection for the process, however many follow.

It reads all streams that somebody here follows in one blocking command, and the signals of all processes with them.
What it reads is mirrored, so that a second follower of the same generation costs nothing.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from redis.asyncio import Redis

from tertulia.backoff import Backoff
from tertulia.isolation import ItemLoop
from tertulia.streams.events import GenerationEvent
from tertulia.streams.log import SILENCE, LocalSignals
from tertulia.streams.redis.scripts import UNREADABLE, extend, stream_key
from tertulia.streams.redis.writer import AWAY
from tertulia.streams.stream import Follower, Stream

SIGNALS = "tertulia:signals"
LAST_SIGNALS = 1.0
"""Seconds that signals may take to go out at the end."""
KEPT_SIGNALS = 1000
BLOCK_MS = 5_000
READ_SECONDS = 2.0
"""How long a new reader waits for Redis before it is served what the database has."""
FIRST_RETRY, LONGEST_RETRY = 0.1, 0.6
"""The bounds of the delays between attempts to read while Redis is away, in seconds."""

logger = logging.getLogger("tertulia.redis")


@dataclass(slots=True)
class _Mirror:
    stream: Stream
    followers: int = 0
    unreadable: bool = False

    @property
    def wanted(self) -> bool:
        """Whether more of it may come."""
        return not (self.stream.ended or self.unreadable)

    def take(self, entries: Sequence[Any], after: int) -> None:
        """Add what Redis has after a number; a mirror that has begun again since it was asked would have a hole."""
        stream = self.stream
        # It may have grown in the meantime, by what `read` has found.
        if not stream.before <= after <= stream.last:
            return
        try:
            extend(stream, entries)
        except UNREADABLE:
            # Its followers see the row.
            logger.exception("The log of generation %s cannot be read", stream.generation_id)
            self.unreadable = True

    def give_up(self) -> None:
        """Read no more of it; its followers see the row."""
        self.unreadable = True
        self.stream.wake()


MIRRORS, SIGNALLED = ItemLoop("redis.mirrors"), ItemLoop("redis.signals")


class RedisReader:
    """Follows other processes' streams, and hears their signals."""

    def __init__(self, redis: Redis, process: UUID) -> None:
        """Take a connection of its own: it blocks."""
        # Its replies are typed as anything that any command may give.
        self._redis: Any = redis
        self._wake = f"tertulia:wake:{process}"
        self._mirrors: dict[UUID, _Mirror] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._heard = b"0-0"
        self._woken = b"0-0"
        self.handlers = LocalSignals()
        self.away = False

    async def read(self, generation_id: UUID) -> Stream | None:
        """Return all events so far; None where the stream is gone, does not begin at 1, or cannot be read."""
        mirror = self._mirrors.get(generation_id)
        if mirror is None or not mirror.stream.begins_at_one:
            # A mirror may begin where its first follower asked for, or have nothing yet.
            mirror = _Mirror(Stream(generation_id))
        last = mirror.stream.last
        if not self.away and not mirror.stream.ended:
            try:
                # Also of a mirror: others may have seen already what is still on its way to it.
                async with asyncio.timeout(READ_SECONDS):
                    newer = await self._redis.xrange(stream_key(generation_id), min=f"{last + 1}-0")
                mirror.take(newer, last)
            except AWAY as error:
                logger.warning("The log of generation %s cannot be read: %r", generation_id, error)
        return mirror.stream if mirror.stream.begins_at_one and not mirror.unreadable else None

    async def follow(self, generation_id: UUID, follower: Follower) -> AsyncGenerator[Sequence[GenerationEvent]]:
        """Give what is behind the follower's number, then what comes; empty batches after silence, or without Redis."""
        mirror = self._mirrors.setdefault(generation_id, _Mirror(Stream(generation_id, before=follower.after)))
        if follower.after < mirror.stream.before:
            # The mirror began later than this follower asks for: it begins again, and the others see no difference.
            before, mirror.stream = mirror.stream, Stream(generation_id)
            before.close()
        mirror.followers += 1
        self.wake()
        try:
            while True:
                stream = mirror.stream
                if stream.shown > follower.after:
                    batch = stream.behind(follower.after)
                    follower.after = stream.shown
                    yield batch
                elif stream.over and stream.last <= follower.after:
                    return
                elif not await self._rings(stream, follower):
                    yield []
        finally:
            mirror.followers -= 1
            if not mirror.followers and self._mirrors.get(generation_id) is mirror:
                del self._mirrors[generation_id]

    def wake(self) -> None:
        """Let the blocking command begin again, with what is followed now."""
        self._spawn(self._add(self._wake, {"w": "1"}, 1))

    def signal(self, name: str, subject: UUID) -> None:
        """Ring in every process."""
        self._spawn(self._add(SIGNALS, {name: str(subject)}, KEPT_SIGNALS))

    async def run(self) -> None:
        """Read for as long as the process lives."""
        await self._catch_up()
        backoff = Backoff(FIRST_RETRY, LONGEST_RETRY)
        while True:
            try:
                await self._read_once()
                self.away = False
                backoff.reset()
            except Exception as error:  # noqa: BLE001 - all who follow in this process wait for this loop
                if not self.away:
                    logger.warning("Redis cannot be read: %s", error)
                self.away = True
                for mirror in list(self._mirrors.values()):
                    mirror.stream.wake()
                await asyncio.sleep(backoff.next())

    async def close(self) -> None:
        """Let the last signals out, end what else was begun, and leave no key behind."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=LAST_SIGNALS)
        for task in self._tasks:
            task.cancel()
        try:
            await self._redis.delete(self._wake)
        except AWAY:
            return

    async def _catch_up(self) -> None:
        """Find the place from which signals are heard."""
        try:
            newest = await self._redis.xrevrange(SIGNALS, count=1)
        except AWAY:
            return
        if newest:
            self._heard = newest[0][0]

    async def _read_once(self) -> None:
        followed = {stream_key(found): found for found, mirror in self._mirrors.items() if mirror.wanted}
        reached = {key: self._mirrors[found].stream.last for key, found in followed.items()}
        places: dict[Any, Any] = {SIGNALS: self._heard, self._wake: self._woken}
        places |= {key: f"{last}-0" for key, last in reached.items()}
        for key, entries in await self._redis.xread(places, block=BLOCK_MS) or ():
            name = key.decode()
            if name == SIGNALS:
                self._hear(entries)
            elif name == self._wake:
                self._woken = entries[-1][0]
            elif (mirror := self._mirrors.get(followed[name])) is not None:
                with MIRRORS.guarded(followed[name], mirror.give_up):
                    mirror.take(entries, reached[name])

    def _hear(self, entries: Sequence[Any]) -> None:
        self._heard = entries[-1][0]
        for entry, fields in entries:
            SIGNALLED.attempt_now(entry, partial(self._signal, fields))

    def _signal(self, fields: Mapping[bytes, bytes]) -> None:
        for name, subject in fields.items():
            self.handlers.send(name.decode(), UUID(subject.decode()))

    async def _rings(self, stream: Stream, follower: Follower) -> bool:
        """Wait for news; False after silence, or where there can be none."""
        begun = follower.after
        with stream.followed(follower) as notification:
            try:
                await asyncio.wait_for(notification, SILENCE / 5 if self.away else SILENCE)
            except TimeoutError:
                # What was pushed in the meantime was no silence.
                return follower.after > begun
        return not self.away

    async def _add(self, key: str, fields: dict[Any, Any], kept: int) -> None:
        try:
            await self._redis.xadd(key, fields, maxlen=kept)
            if key == self._wake:
                await self._redis.expire(key, 3600)
        except AWAY:
            return

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
