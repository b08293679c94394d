"""Writing to Redis: a stream for each generation, in which an entry's id is the number of its last event.

Events are written in batches, several generations in one round trip. Readers of this process see an event when Redis
has it, or, while Redis is away, when the generation's row has it: nobody has seen what is lost when the process dies.

A batch is sent only while the lease holds, and Redis refuses it after the lease's end: Redis may run a command long
after it was sent, when another process has taken the generation over.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from math import isinf
from typing import Any
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError

from tertulia.backoff import Backoff
from tertulia.failpoints import Failpoint
from tertulia.isolation import ItemLoop
from tertulia.streams.codec import encode
from tertulia.streams.lease import Lease, clock
from tertulia.streams.memory import MemoryLog
from tertulia.streams.redis.scripts import (
    APPEND,
    APPEND_SHA,
    LATE,
    REPLACED,
    TAKE,
    UNREADABLE,
    extend,
    holder_key,
    stream_key,
)
from tertulia.streams.stream import Stream

INTERVAL = 0.04
"""Seconds between two batches: 25 a second is what an eye can tell apart. The first one never waits."""
LIFE_WHILE_WRITTEN = 2 * 3600
"""Longer than an answer waits for the results of tools, unless that is set otherwise."""
LagWatch = Callable[[float], None]
"""Is told of each batch how many seconds its oldest event has waited until everybody could see it."""
AWAY = (RedisError, OSError, TimeoutError)
"""What a Redis that cannot be reached raises."""
BATCHES, RESULTS = ItemLoop("redis.batches"), ItemLoop("redis.results")
SENDING, SENT = Failpoint("redis.sending"), Failpoint("redis.sent")
TAKING, TAKEN = Failpoint("redis.taking"), Failpoint("redis.taken")

logger = logging.getLogger("tertulia.redis")


@dataclass(slots=True)
class _Writing:
    stream: Stream
    sent: int = 0
    taking: bool = True
    """Whether the next batch replaces what is stored under its id."""
    flushed: list[asyncio.Future[None]] = field(default_factory=list[asyncio.Future[None]])

    @property
    def may_be_sent(self) -> bool:
        return self.sent < self.stream.last and self.stream.is_held


class RedisWriter:
    """Carries what this process writes to Redis, and shows it to the readers here when it is there."""

    def __init__(self, redis: Redis, holder: UUID, life_after_end: float, memory: MemoryLog, lag: LagWatch) -> None:
        """Take the connection, this process's name, the log that shows streams here, and who hears of lag."""
        self._redis = redis
        self._holder = str(holder)
        self._life_after_end = int(life_after_end)
        self._memory = memory
        self._lag = lag
        self._waits_since: float | None = None
        self._next_since: float | None = None
        self._writing: dict[UUID, _Writing] = {}
        self._waiting: set[UUID] = set()
        self._notification = asyncio.Event()
        self._away = False
        self._ahead: float | None = None
        """By how many seconds Redis's clock is ahead of ours, at least; None before it was asked."""

    @property
    def waits(self) -> float:
        """For how many seconds the oldest event has been waiting that Redis has not taken."""
        since = self._waits_since or self._next_since
        return 0.0 if since is None else time.monotonic() - since

    def open(self, stream: Stream) -> None:
        """Begin to write a stream; it replaces what is stored under its id."""
        self._writing[stream.generation_id] = _Writing(stream)

    def wrote(self, generation_id: UUID) -> None:
        """Note that a stream has grown, or may be sent again; what is new is shown when Redis has it."""
        writing = self._writing.get(generation_id)
        if writing is not None and writing.may_be_sent:
            self._next_since = self._next_since or time.monotonic()
            self._waiting.add(generation_id)
            self._notification.set()

    async def flush(self, generation_id: UUID) -> None:
        """Wait until Redis has all, or cannot get it for now."""
        writing = self._writing.get(generation_id)
        if writing is None or self._away or not writing.may_be_sent:
            return
        flushed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        writing.flushed.append(flushed)
        await flushed

    def release(self, generation_id: UUID, lease: Lease | None = None) -> None:
        """Write a stream no more; with `lease`, only if it was opened with this one."""
        writing = self._writing.get(generation_id)
        if writing is not None and (lease is None or writing.stream.lease is lease):
            del self._writing[generation_id]
            _resolve(writing)

    async def take(self, generation_id: UUID, lease: Lease) -> Stream | None:
        """Lock out the former writer of a stream, and return what it has left; None where that cannot be read.

        Raises one of `AWAY` where Redis does not answer, or answers after the lease has ended.
        """
        await TAKING.reach(generation_id)
        if self._ahead is None:
            await self._ask_time()
        pipeline = self._redis.pipeline(transaction=False)
        stream, holder = stream_key(generation_id), holder_key(generation_id)
        # Redis runs them in this order: nobody else appends after the first, and the second reads all before it.
        pipeline.eval(TAKE, 2, stream, holder, self._holder, LIFE_WHILE_WRITTEN, self._deadline(lease))
        pipeline.xrange(stream)
        (code, _), entries = await pipeline.execute()
        await TAKEN.reach(generation_id)
        if int(code) == LATE:
            raise RedisError(f"the lease of generation {generation_id} had ended")
        found = Stream(generation_id)
        try:
            extend(found, entries)
        except UNREADABLE:
            logger.exception("The log of generation %s cannot be read", generation_id)
            return None
        return found if found.begins_at_one or not entries else None

    async def run(self) -> None:
        """Write for as long as the process lives."""
        backoff = Backoff(10 * INTERVAL, 20 * INTERVAL)
        while True:
            await self._notification.wait()
            self._notification.clear()
            waiting, self._waiting = self._waiting, set()
            # What Redis has not taken goes on waiting; what comes while it takes something waits for the next batch.
            since = self._waits_since = self._waits_since or self._next_since
            self._next_since = None
            try:
                sent = await self._write(waiting)
                self._away, self._waits_since = False, None
                if sent and since is not None:
                    self._lag(time.monotonic() - since)
            except Exception as error:  # noqa: BLE001 - all answers of this process wait for this loop
                self._lost(waiting, error)
            if not self._away:
                backoff.reset()
            await asyncio.sleep(backoff.next() if self._away else INTERVAL)

    async def finish(self) -> None:
        """Write what is left, once."""
        try:
            await self._write(set(self._writing))
        except Exception as error:  # noqa: BLE001 - the process ends, whatever it is
            logger.warning("Redis did not take the last events: %s", error)

    async def _write(self, waiting: set[UUID]) -> bool:
        """Write what has come of these; say whether there was anything."""
        found = {id: self._writing[id] for id in waiting if id in self._writing}
        # The others wait until their row tells whether this process still holds them.
        batches = {id: writing for id, writing in found.items() if writing.may_be_sent}
        for id in found.keys() - batches.keys():
            _resolve(found[id])
        if not batches:
            return False
        if self._ahead is None:
            await self._ask_time()
        ends = {id: writing.stream.last for id, writing in batches.items()}
        arguments: dict[UUID, tuple[Any, ...]] = {}
        for id, writing in batches.items():
            with BATCHES.guarded(id, partial(self._release, id)):
                arguments[id] = self._arguments(writing, ends[id])
        results = await self._send(arguments)
        if any(isinstance(result, NoScriptError) for result in results):
            await self._redis.script_load(APPEND)
            results = await self._send(arguments)
        refused: BaseException | None = None
        for id, result in zip(arguments, results, strict=True):
            if isinstance(result, BaseException):
                refused = result
                continue
            code, now = result
            self._ahead = int(now) / 1000 - clock()
            with RESULTS.guarded(id, partial(self._release, id)):
                self._written(id, batches[id], int(code), ends[id])
        if refused is not None:
            raise refused
        return True

    async def _send(self, arguments: Mapping[UUID, tuple[Any, ...]]) -> list[Any]:
        pipeline = self._redis.pipeline(transaction=False)
        for id, own in arguments.items():
            pipeline.evalsha(APPEND_SHA, 2, stream_key(id), holder_key(id), *own)
        await SENDING.reach()
        results = list(await pipeline.execute(raise_on_error=False))
        await SENT.reach()
        return results

    def _arguments(self, writing: _Writing, end: int) -> tuple[Any, ...]:
        stream = writing.stream
        life = self._life_after_end if stream.ended else LIFE_WHILE_WRITTEN
        batch = encode(stream.each(writing.sent, end))
        return self._holder, life, self._deadline(stream.lease), writing.sent, end, batch, int(writing.taking)

    def _release(self, id: UUID) -> None:
        """Write a stream no more, here or in Redis; its readers see the row."""
        self.release(id)
        self._memory.release(id)

    def _written(self, id: UUID, writing: _Writing, code: int, end: int) -> None:
        if self._writing.get(id) is not writing:
            return
        if code == LATE:
            # The lease was renewed in the meantime, or its row tells soon that it is lost.
            self.wrote(id)
            if not writing.may_be_sent:
                _resolve(writing)
            return
        if code == REPLACED:
            # The database tells the same when the lease is renewed.
            logger.warning("Generation %s is written by another process now", id)
            self.release(id)
            self._memory.release(id)
            return
        writing.taking = False
        writing.sent = min(code, end)
        self._memory.show(id, writing.sent)
        if writing.sent < writing.stream.last:
            self.wrote(id)
            return
        _resolve(writing)
        if writing.stream.ended:
            self.release(id)

    def _lost(self, waiting: set[UUID], error: BaseException) -> None:
        if not self._away:
            logger.warning("Redis cannot be reached; readers see what the database has: %s", error)
        self._away, self._ahead = True, None
        self._waiting |= waiting
        self._notification.set()
        for writing in self._writing.values():
            _resolve(writing)

    async def _ask_time(self) -> None:
        redis: Any = self._redis
        seconds, microseconds = await redis.time()
        # Too little where the reply has taken long: a deadline may be too early, and is never too late.
        self._ahead = seconds + microseconds / 1_000_000 - clock()

    def _deadline(self, lease: Lease | None) -> int:
        """Return the lease's end in milliseconds of Redis's clock; 0 where it has none."""
        if lease is None or self._ahead is None:
            raise ValueError(lease)
        return 0 if isinf(lease.until) else int((lease.until + self._ahead) * 1000)


def _resolve(writing: _Writing) -> None:
    for flushed in writing.flushed:
        if not flushed.done():
            flushed.set_result(None)
    writing.flushed.clear()
