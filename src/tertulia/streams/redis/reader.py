"""Read from Redis with one connection per process, whatever the number of followers.

One blocking command reads all streams that this process follows, and the signals of all processes. On a cluster, each
partition with followers has its own. Streams are mirrored in memory, so that a second follower of a generation costs no
read.
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
from tertulia.redis_client import AWAY
from tertulia.streams.events import GenerationEvent
from tertulia.streams.log import SILENCE, LocalSignals
from tertulia.streams.redis.scripts import UNREADABLE, extend, signals_key, stream_key, wake_key
from tertulia.streams.stream import Follower, Stream

LAST_SIGNALS_SECONDS = 1.0
"""The seconds that pending signals may take at shutdown."""
KEPT_SIGNALS = 1000
"""The number of signals that Redis keeps."""
BLOCK_MS = 5_000
NO_ENTRY = b"0-0"
"""The id before the first entry of a stream."""
READ_SECONDS = 2.0
"""The seconds for which a new reader waits for Redis. Then it reads the database."""
FIRST_RETRY, LONGEST_RETRY = 0.1, 0.6
"""The bounds of the delay between attempts to read while Redis is unavailable, in seconds."""

logger = logging.getLogger("tertulia.redis")


@dataclass(slots=True)
class _Mirror:
    stream: Stream
    followers: int = 0
    unreadable: bool = False

    @property
    def expects_more(self) -> bool:
        """Whether more events may follow."""
        return not (self.stream.ended or self.unreadable)

    def extend(self, entries: Sequence[Any], after: int) -> None:
        """Add the entries after the number `after`, unless that would leave a gap in a recreated mirror."""
        stream = self.stream
        # `read` may have extended it meanwhile.
        if not stream.before <= after <= stream.last:
            return
        try:
            extend(stream, entries)
        except UNREADABLE:
            # Its followers read the database.
            logger.exception(
                "The log of generation %s cannot be read; its followers read the database", stream.generation_id
            )
            self.unreadable = True

    def give_up(self) -> None:
        """Stop reading the stream. Its followers read the database."""
        self.unreadable = True
        self.stream.wake()


MIRRORS, SIGNALLED = ItemLoop("redis.mirrors"), ItemLoop("redis.signals")


class RedisReader:
    """Follows the streams of other processes, and receives their signals."""

    def __init__(self, redis: Redis, process: UUID, tag: str | None = None, *, signals: bool = True) -> None:
        """Initialize with a separate client, because the read command blocks its connection.

        Args:
            redis: The client.
            process: The id of this process.
            tag: The hash tag of the partition that it reads on a cluster.
            signals: Whether it receives signals. If not, it reads only while there are followers.
        """
        # Any, because the client types replies as a union over all commands.
        self._redis: Any = redis
        self._tag = tag
        self._signals = signals_key(tag) if signals else None
        self._wake = wake_key(process, tag)
        self._has_key = False
        self._is_needed = asyncio.Event()
        if signals:
            self._is_needed.set()
        self._mirrors: dict[UUID, _Mirror] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._last_signal_id = NO_ENTRY
        self._last_wake_id = NO_ENTRY
        self.handlers = LocalSignals()
        self.away = False

    async def read(self, generation_id: UUID) -> Stream | None:
        """Return all events so far; None if the stream was removed, does not begin at 1, or cannot be read."""
        mirror = self._mirrors.get(generation_id)
        if mirror is None or not mirror.stream.begins_at_one:
            # A mirror begins after the first follower's `after`, and may be empty.
            mirror = _Mirror(Stream(generation_id))
        last = mirror.stream.last
        if not self.away and not mirror.stream.ended:
            try:
                # Other readers may have seen events that the mirror has not received yet.
                async with asyncio.timeout(READ_SECONDS):
                    newer = await self._redis.xrange(stream_key(generation_id, self._tag), min=f"{last + 1}-0")
                mirror.extend(newer, last)
            except AWAY as error:
                logger.warning(
                    "Redis is unavailable, so the log of generation %s cannot be read: %r", generation_id, error
                )
        return mirror.stream if mirror.stream.begins_at_one and not mirror.unreadable else None

    async def follow(self, generation_id: UUID, follower: Follower) -> AsyncGenerator[Sequence[GenerationEvent]]:
        """Yield the events after `follower.after`, then new events; empty batches after silence or without Redis."""
        mirror = self._mirrors.setdefault(generation_id, _Mirror(Stream(generation_id, before=follower.after)))
        if follower.after < mirror.stream.before:
            # The mirror lacks events that this follower needs, so it is recreated, without effect on other followers.
            before, mirror.stream = mirror.stream, Stream(generation_id)
            before.close()
        mirror.followers += 1
        self._is_needed.set()
        self.wake()
        try:
            while True:
                stream = mirror.stream
                if stream.last_visible > follower.after:
                    batch = stream.events_after(follower.after)
                    follower.after = stream.last_visible
                    yield batch
                elif stream.is_over and stream.last <= follower.after:
                    return
                elif not await self._has_news(stream, follower):
                    yield []
        finally:
            mirror.followers -= 1
            if not mirror.followers and self._mirrors.get(generation_id) is mirror:
                del self._mirrors[generation_id]
                if not self._mirrors and self._signals is None:
                    self._is_needed.clear()

    def wake(self) -> None:
        """Make the blocking command return, so that it is repeated with the streams that are followed now."""
        self._has_key = True
        self._spawn(self._add(self._wake, {"w": "1"}, 1))

    def signal(self, name: str, subject: UUID) -> None:
        """Send a signal to every process."""
        self._spawn(self._add(signals_key(self._tag), {name: str(subject)}, KEPT_SIGNALS))

    async def run(self) -> None:
        """Read until cancelled."""
        if self._signals is not None:
            await self._catch_up(self._signals)
        backoff = Backoff(FIRST_RETRY, LONGEST_RETRY)
        while True:
            if not self._is_needed.is_set():
                self.away = False
                await self._is_needed.wait()
            try:
                await self._read_once()
                self.away = False
                backoff.reset()
            except Exception as error:  # noqa: BLE001 - all followers in this process depend on this loop
                if not self.away:
                    logger.warning(
                        "Redis is unavailable, so events of other processes are read from the database: %s", error
                    )
                self.away = True
                for mirror in list(self._mirrors.values()):
                    mirror.stream.wake()
                await asyncio.sleep(backoff.next())

    async def close(self) -> None:
        """Send the pending signals, and delete the key of this process."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=LAST_SIGNALS_SECONDS)
        for task in self._tasks:
            task.cancel()
        if not self._has_key:
            return
        try:
            await self._redis.delete(self._wake)
        except AWAY:
            return

    async def _catch_up(self, signals: str) -> None:
        """Set the entry after which signals are read to the newest entry."""
        try:
            newest = await self._redis.xrevrange(signals, count=1)
        except AWAY:
            return
        if newest:
            self._last_signal_id = newest[0][0]

    async def _read_once(self) -> None:
        ids_by_key = {
            stream_key(generation_id, self._tag): generation_id
            for generation_id, mirror in self._mirrors.items()
            if mirror.expects_more
        }
        last_by_key = {key: self._mirrors[generation_id].stream.last for key, generation_id in ids_by_key.items()}
        positions: dict[Any, Any] = {} if self._signals is None else {self._signals: self._last_signal_id}
        positions[self._wake] = self._last_wake_id
        positions |= {key: f"{last}-0" for key, last in last_by_key.items()}
        for key, entries in await self._redis.xread(positions, block=BLOCK_MS) or ():
            name = key.decode()
            if name == self._signals:
                self._receive_signals(entries)
            elif name == self._wake:
                self._last_wake_id = entries[-1][0]
            elif (mirror := self._mirrors.get(ids_by_key[name])) is not None:
                with MIRRORS.guarded(ids_by_key[name], mirror.give_up):
                    mirror.extend(entries, last_by_key[name])

    def _receive_signals(self, entries: Sequence[Any]) -> None:
        self._last_signal_id = entries[-1][0]
        for entry, fields in entries:
            SIGNALLED.attempt_now(entry, partial(self._signal, fields))

    def _signal(self, fields: Mapping[bytes, bytes]) -> None:
        for name, subject in fields.items():
            self.handlers.send(name.decode(), UUID(subject.decode()))

    async def _has_news(self, stream: Stream, follower: Follower) -> bool:
        """Wait for new events. Return False if there are none for SILENCE seconds, or if Redis is unavailable."""
        previous_after = follower.after
        with stream.notifications_for(follower) as notification:
            try:
                await asyncio.wait_for(notification, SILENCE / 5 if self.away else SILENCE)
            except TimeoutError:
                # Events that were pushed meanwhile count as new events.
                return follower.after > previous_after
        return not self.away

    async def _add(self, key: str, fields: dict[Any, Any], max_length: int) -> None:
        try:
            await self._redis.xadd(key, fields, maxlen=max_length)
            if key == self._wake:
                await self._redis.expire(key, 3600)
        except AWAY:
            return

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
