"""Read from Redis with one connection per process, whatever the number of followers.

One blocking command reads all streams that this process follows, the journals of the processes that write them, and
the signals of all processes. On a cluster, each partition with followers has its own. Streams are mirrored in memory,
so that a second follower of a generation costs no read.

A stream has the events of a journal at most a second later. The newest entry of the stream names the entry of the
journal after which later events are; the journal is read from there.
"""

import asyncio
import logging
import time
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
from tertulia.streams.redis.scripts import (
    UNREADABLE,
    Origin,
    extend,
    extend_by_line,
    journal_key,
    journal_lines,
    origin_of,
    signals_key,
    stream_key,
    wake_key,
)
from tertulia.streams.stream import Follower, Stream

LAST_SIGNALS_SECONDS = 1.0
"""The seconds that pending signals may take at shutdown."""
KEPT_SIGNALS = 1000
"""The number of signals that Redis keeps."""
BLOCK_MS = 5_000
STREAMS_MS = 500
"""The interval in milliseconds of reading streams whose journal is read: another process may write them now. Redis
needs about ten microseconds for each stream of a blocking command, whenever the command returns."""
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
    is_new: bool = True
    """Whether the newest entry of the stream in Redis has not been looked up."""
    is_read: bool = False
    """Whether the stream in Redis has been read, so that its journal has all that follows."""
    origin: Origin | None = None
    """The origin of the newest entry of the stream in Redis."""
    journal: str | None = None
    """The process whose journal extends it. None if events may be missing before those in the journal."""

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
            self.origin = extend(stream, entries) if entries else self.origin
        except UNREADABLE as error:
            self._cannot_be_read(error)

    def extend_by_line(self, last: int, line: bytes) -> None:
        """Add the events of a line of a journal, whose last number is `last`."""
        if last <= self.stream.last or not self.expects_more:
            return
        try:
            if not extend_by_line(self.stream, line):
                # The stream will have the missing events.
                self.origin = self.journal = None
        except UNREADABLE as error:
            self._cannot_be_read(error)

    def restart(self) -> Stream:
        """Replace the stream by an empty one, into which all events are read again. Return the former stream."""
        former, self.stream = self.stream, Stream(self.stream.generation_id)
        self.origin = self.journal = None
        self.is_read = False
        return former

    def give_up(self) -> None:
        """Stop reading the stream. Its followers read the database."""
        self.unreadable = True
        self.stream.wake()

    def _cannot_be_read(self, error: Exception) -> None:
        generation_id = self.stream.generation_id
        logger.error(
            "The log of generation %s cannot be read; its followers read the database", generation_id, exc_info=error
        )
        self.give_up()


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
        self._streams_at = 0.0
        """When the streams whose journals are read are read again."""
        self._journals: dict[str, int] = {}
        """The last entry that was read of the journal of each process."""
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
                    if mirror.origin is not None and mirror.expects_more:
                        await self._read_journal(generation_id, mirror, mirror.origin)
            except AWAY as error:
                logger.warning(
                    "Redis is unavailable, so the log of generation %s cannot be read: %r", generation_id, error
                )
        return mirror.stream if mirror.stream.begins_at_one and not mirror.unreadable else None

    async def _read_journal(self, generation_id: UUID, mirror: _Mirror, origin: Origin) -> None:
        """Add the events that only the journal has."""
        is_followed = mirror.journal == origin.process
        after = self._journals.get(origin.process, origin.number) if is_followed else origin.number
        entries = await self._redis.xrange(journal_key(origin.process, self._tag), min=f"{after + 1}-0")
        name = str(generation_id).encode()
        for _, fields in entries:
            for line_of, last, line in journal_lines(fields):
                if line_of == name:
                    mirror.extend_by_line(last, line)

    async def follow(self, generation_id: UUID, follower: Follower) -> AsyncGenerator[Sequence[GenerationEvent]]:
        """Yield the events after `follower.after`, then new events; empty batches after silence or without Redis."""
        is_new = generation_id not in self._mirrors
        mirror = self._mirrors.setdefault(generation_id, _Mirror(Stream(generation_id, before=follower.after)))
        if follower.after < mirror.stream.before:
            # The mirror lacks events that this follower needs, so it is recreated, without effect on other followers.
            mirror.restart().close()
            is_new = True
        mirror.followers += 1
        self._is_needed.set()
        if is_new:
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
                elif not await self._has_news(mirror, follower):
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
        await self._look_up_new_mirrors()
        reads_all = time.monotonic() >= self._streams_at
        if reads_all:
            self._streams_at = time.monotonic() + STREAMS_MS / 1000
        ids_by_key = {
            stream_key(generation_id, self._tag): generation_id
            for generation_id, mirror in self._mirrors.items()
            if mirror.expects_more and (reads_all or mirror.journal is None or not mirror.is_read)
        }
        last_by_key = {key: self._mirrors[generation_id].stream.last for key, generation_id in ids_by_key.items()}
        processes = {mirror.journal for mirror in self._mirrors.values() if mirror.journal and mirror.expects_more}
        self._journals = {process: last for process, last in self._journals.items() if process in processes}
        journals_by_key = {journal_key(process, self._tag): process for process in self._journals}
        positions: dict[Any, Any] = {} if self._signals is None else {self._signals: self._last_signal_id}
        positions[self._wake] = self._last_wake_id
        positions |= {key: f"{last}-0" for key, last in last_by_key.items()}
        # After the streams, because they have all events that are in the reply's journals before those of a mirror.
        positions |= {key: f"{self._journals[process]}-0" for key, process in journals_by_key.items()}
        block = BLOCK_MS if reads_all or not self._journals else min(BLOCK_MS, STREAMS_MS)
        streams = [(self._mirrors[id], self._mirrors[id].stream) for id in ids_by_key.values()]
        for key, entries in await self._redis.xread(positions, block=block) or ():
            name = key.decode()
            if name == self._signals:
                self._receive_signals(entries)
            elif name == self._wake:
                self._last_wake_id = entries[-1][0]
            elif name in journals_by_key:
                self._receive_lines(journals_by_key[name], entries)
            elif (mirror := self._mirrors.get(ids_by_key[name])) is not None:
                with MIRRORS.guarded(ids_by_key[name], mirror.give_up):
                    mirror.extend(entries, last_by_key[name])
        for mirror, stream in streams:
            mirror.is_read = mirror.is_read or mirror.stream is stream
        self._follow_journals()

    async def _look_up_new_mirrors(self) -> None:
        """Read which journals extend new mirrors, whose followers may have all events of the streams already."""
        mirrors = [mirror for mirror in self._mirrors.values() if mirror.is_new]
        if not mirrors:
            return
        pipeline = self._redis.pipeline(transaction=False)
        for mirror in mirrors:
            pipeline.xrevrange(stream_key(mirror.stream.generation_id, self._tag), count=1)
        for mirror, entries in zip(mirrors, await pipeline.execute(raise_on_error=False), strict=True):
            mirror.is_new = False
            with MIRRORS.guarded(mirror.stream.generation_id, mirror.give_up):
                for _, fields in entries:
                    mirror.origin = origin_of(fields)
        self._follow_journals()

    def _receive_lines(self, process: str, entries: Sequence[Any]) -> None:
        mirrors = {str(id).encode(): mirror for id, mirror in self._mirrors.items() if mirror.journal == process}
        for entry, fields in entries:
            self._journals[process] = int(entry.partition(b"-")[0])
            for name, last, line in journal_lines(fields):
                mirror = mirrors.get(name)
                if mirror is not None:
                    with MIRRORS.guarded(mirror.stream.generation_id, mirror.give_up):
                        mirror.extend_by_line(last, line)

    def _follow_journals(self) -> None:
        """Read the journals of mirrors that do not follow one yet from where their streams end."""
        for mirror in self._mirrors.values():
            origin = mirror.origin
            if origin is not None and mirror.journal != origin.process and mirror.expects_more:
                mirror.journal = origin.process
                self._journals[origin.process] = min(self._journals.get(origin.process, origin.number), origin.number)

    def _receive_signals(self, entries: Sequence[Any]) -> None:
        self._last_signal_id = entries[-1][0]
        for entry, fields in entries:
            SIGNALLED.attempt_now(entry, partial(self._signal, fields))

    def _signal(self, fields: Mapping[bytes, bytes]) -> None:
        for name, subject in fields.items():
            self.handlers.send(name.decode(), UUID(subject.decode()))

    async def _has_news(self, mirror: _Mirror, follower: Follower) -> bool:
        """Wait for new events. Return False if there are none for SILENCE seconds, or none can be read."""
        previous_after = follower.after
        with mirror.stream.notifications_for(follower) as notification:
            try:
                # Python 3.11's `wait_for` ignores a cancellation that arrives together with the notification.
                async with asyncio.timeout(SILENCE / 5 if self.away else SILENCE):
                    await notification
            except TimeoutError:
                # Events that were pushed meanwhile count as new events.
                return follower.after > previous_after
        return not (self.away or mirror.unreadable)

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
