"""Writing to Redis: a stream for each generation, in which an entry's id is the number of its last event.

Events are written in batches, several generations in one round trip, and are shown here only when Redis has them: so
that nobody has seen what is lost when this process is killed. While Redis is away they are shown at once.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha1
from typing import Any
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError

from streams.encoding import encode
from streams.stream import Stream

INTERVAL = 0.04
"""Seconds between two batches: 25 a second is what an eye can tell apart. The first one never waits."""
LIFE_WHILE_WRITTEN = 2 * 3600
"""Longer than an answer waits for the results of tools, unless that is set otherwise."""
LagWatch = Callable[[float], None]
"""Is told of each batch how many seconds its oldest event has waited until everybody could see it."""
AWAY = (RedisError, OSError, TimeoutError)
"""What a Redis that cannot be reached raises."""

APPEND = """
local holder = redis.call('GET', KEYS[2])
if holder and holder ~= ARGV[1] and ARGV[6] == '0' then return -1 end
redis.call('SET', KEYS[2], ARGV[1], 'EX', ARGV[2])
local last = 0
local tail = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
if tail[1] then last = tonumber(string.match(tail[1][1], '^%d+')) end
if last < tonumber(ARGV[3]) then return last end
if tonumber(ARGV[4]) > last then redis.call('XADD', KEYS[1], ARGV[4] .. '-0', 'e', ARGV[5]) end
redis.call('EXPIRE', KEYS[1], ARGV[2])
return tonumber(ARGV[4])
"""
"""Appends one batch where nobody else has taken the stream. Gives the number that the stream ends with: less than the
batch's where something before it is missing, -1 where the writer was replaced."""
SHA = sha1(APPEND.encode(), usedforsecurity=False).hexdigest()

logger = logging.getLogger("tertulia.redis")


def stream_key(generation_id: UUID) -> str:
    """Name a generation's stream; the braces keep its keys on one node of a cluster."""
    return f"tertulia:{{{generation_id}}}:log"


def holder_key(generation_id: UUID) -> str:
    """Name the key that says who may write a stream."""
    return f"tertulia:{{{generation_id}}}:holder"


@dataclass(slots=True)
class _Writing:
    stream: Stream
    sent: int
    taking: bool = True
    flushed: list[asyncio.Future[None]] = field(default_factory=list[asyncio.Future[None]])


class RedisWriter:
    """Carries what this process writes to Redis, and shows it to the readers here when it is there."""

    def __init__(
        self, redis: Redis, holder: UUID, life_after_end: float, show: Callable[[UUID, int], None], lag: LagWatch
    ) -> None:
        """Take the connection, this process's name, what shows a stream here up to a number, and who hears of lag."""
        self._redis = redis
        self._holder = str(holder)
        self._life_after_end = int(life_after_end)
        self._show = show
        self._lag = lag
        self._waits_since: float | None = None
        self._next_since: float | None = None
        self._writing: dict[UUID, _Writing] = {}
        self._waiting: set[UUID] = set()
        self._bell = asyncio.Event()
        self._away = False

    @property
    def waits(self) -> float:
        """For how many seconds the oldest event has been waiting that Redis has not taken."""
        since = self._waits_since or self._next_since
        return 0.0 if since is None else time.monotonic() - since

    def open(self, stream: Stream) -> None:
        """Begin to write behind the events that another process has left in the stream."""
        self._writing[stream.generation_id] = _Writing(stream, stream.last)

    def wrote(self, generation_id: UUID) -> None:
        """Hear that a stream has grown; what is new is shown when Redis has it."""
        writing = self._writing.get(generation_id)
        if writing is None:
            return
        self._next_since = self._next_since or time.monotonic()
        self._waiting.add(generation_id)
        self._bell.set()
        if self._away:
            self._show(generation_id, writing.stream.last)

    async def flush(self, generation_id: UUID) -> None:
        """Wait until Redis has all, or is known to be away."""
        writing = self._writing.get(generation_id)
        if writing is None or writing.sent >= writing.stream.last or self._away:
            return
        flushed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        writing.flushed.append(flushed)
        await flushed

    def release(self, generation_id: UUID) -> None:
        """Write a stream no more."""
        writing = self._writing.pop(generation_id, None)
        if writing is not None:
            _resolve(writing)

    async def run(self) -> None:
        """Write for as long as the process lives."""
        while True:
            await self._bell.wait()
            self._bell.clear()
            waiting, self._waiting = self._waiting, set()
            # What Redis has not taken goes on waiting; what comes while it takes something waits for the next batch.
            since = self._waits_since = self._waits_since or self._next_since
            self._next_since = None
            try:
                sent = await self._write(waiting)
                self._away, self._waits_since = False, None
                if sent and since is not None:
                    self._lag(time.monotonic() - since)
            except AWAY as error:
                self._lost(waiting, error)
            await asyncio.sleep(INTERVAL if not self._away else 10 * INTERVAL)

    async def finish(self) -> None:
        """Write what is left, once."""
        try:
            await self._write({found for found, writing in self._writing.items() if writing.sent < writing.stream.last})
        except AWAY as error:
            logger.warning("Redis did not take the last events: %s", error)

    async def _write(self, waiting: set[UUID]) -> bool:
        """Write what has come of these; say whether there was anything."""
        batches = {found: self._writing[found] for found in waiting if found in self._writing}
        if not batches:
            return False
        ends = {found: writing.stream.last for found, writing in batches.items()}
        results = await self._send(batches, ends)
        if any(isinstance(result, NoScriptError) for result in results):
            await self._redis.script_load(APPEND)
            results = await self._send(batches, ends)
        for (found, writing), result in zip(batches.items(), results, strict=True):
            if isinstance(result, BaseException):
                raise result
            self._written(found, writing, int(result), ends[found])
        return True

    async def _send(self, batches: dict[UUID, _Writing], ends: dict[UUID, int]) -> list[Any]:
        pipeline = self._redis.pipeline(transaction=False)
        for found, writing in batches.items():
            end = ends[found]
            life = self._life_after_end if writing.stream.ended else LIFE_WHILE_WRITTEN
            batch = encode(writing.stream.each(writing.sent, end))
            arguments = (self._holder, life, writing.sent, end, batch, int(writing.taking))
            pipeline.evalsha(SHA, 2, stream_key(found), holder_key(found), *arguments)
        return list(await pipeline.execute(raise_on_error=False))

    def _written(self, found: UUID, writing: _Writing, last: int, end: int) -> None:
        if last < 0:
            # Somebody has taken over; the database tells the same when the lease is renewed.
            logger.warning("Generation %s is written by another process now", found)
            self.release(found)
            return
        writing.taking = False
        writing.sent = min(last, end)
        self._show(found, writing.sent)
        if writing.sent < writing.stream.last:
            self._waiting.add(found)
            self._bell.set()
            return
        _resolve(writing)
        if writing.stream.ended:
            self.release(found)

    def _lost(self, waiting: set[UUID], error: BaseException) -> None:
        if not self._away:
            logger.warning("Redis cannot be reached; readers of other processes see what the database has: %s", error)
        self._away = True
        self._waiting |= waiting
        self._bell.set()
        for found, writing in self._writing.items():
            self._show(found, writing.stream.last)
            _resolve(writing)


def _resolve(writing: _Writing) -> None:
    for flushed in writing.flushed:
        if not flushed.done():
            flushed.set_result(None)
    writing.flushed.clear()
