"""Write to Redis: one stream per generation, in which the id of an entry is the number of its last event.

Events are written in batches, with several generations in one round trip. Readers of this process see an event when it
is in Redis, or in the database while Redis is unavailable. So no event that was seen is lost in a crash.

A batch is sent only while the lease holds, and Redis refuses it after the end of the lease, because Redis may run a
command long after it was sent, when another process has taken over the generation.
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
    CLOCK,
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
"""The seconds between two batches: more than 25 per second are not noticeable. The first batch is sent at once."""
LIFE_WHILE_WRITTEN = 2 * 3600
"""The seconds for which Redis keeps a stream after the last write. They exceed the default wait for tool results."""
LagWatch = Callable[[float], None]
"""Called for each batch with the seconds for which its oldest event waited until all readers could see it."""
BATCHES, RESULTS = ItemLoop("redis.batches"), ItemLoop("redis.results")
SENDING, SENT = Failpoint("redis.sending"), Failpoint("redis.sent")
TAKING, TAKEN = Failpoint("redis.taking"), Failpoint("redis.taken")

logger = logging.getLogger("tertulia.redis")


@dataclass(slots=True)
class _Writing:
    stream: Stream
    sent: int = 0
    replaces: bool = True
    """Whether the next batch replaces the stream in Redis."""
    flushed: list[asyncio.Future[None]] = field(default_factory=list[asyncio.Future[None]])

    @property
    def may_be_sent(self) -> bool:
        return self.sent < self.stream.last and self.stream.is_held


class RedisWriter:
    """Writes the events of this process to Redis, and then shows them to the readers of this process."""

    def __init__(
        self,
        redis: Redis,
        holder: UUID,
        life_after_end: float,
        memory: MemoryLog,
        lag: LagWatch,
        tag: str | None = None,
    ) -> None:
        """Create a writer for one process.

        Args:
            redis: The client that writes.
            holder: The id of this process.
            life_after_end: The seconds for which Redis keeps a finished stream.
            memory: The log for the readers of this process.
            lag: Called for each batch (see `LagWatch`).
            tag: The hash tag of the partition that it writes on a cluster.
        """
        # Any, because the client's types are partly unknown.
        self._redis: Any = redis
        self._tag = tag
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
        """The seconds, at least, by which Redis's clock is ahead of the clock of this process; None if unknown."""

    @property
    def longest_wait(self) -> float:
        """The seconds for which the oldest event has been waiting for Redis; 0 if none waits."""
        since = self._waits_since or self._next_since
        return 0.0 if since is None else time.monotonic() - since

    def open(self, stream: Stream) -> None:
        """Start writing a stream, which replaces the stream in Redis."""
        self._writing[stream.generation_id] = _Writing(stream)

    def schedule(self, generation_id: UUID) -> None:
        """Schedule the new events of a stream for writing. They become visible when Redis has accepted them."""
        writing = self._writing.get(generation_id)
        if writing is not None and writing.may_be_sent:
            self._next_since = self._next_since or time.monotonic()
            self._waiting.add(generation_id)
            self._notification.set()

    async def flush(self, generation_id: UUID) -> None:
        """Wait until Redis has all events of a stream. Return at once if it is unavailable."""
        writing = self._writing.get(generation_id)
        if writing is None or self._away or not writing.may_be_sent:
            return
        flushed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        writing.flushed.append(flushed)
        await flushed

    def release(self, generation_id: UUID, lease: Lease | None = None) -> None:
        """Stop writing a stream. With `lease`, this has an effect only if the stream was opened with that lease."""
        writing = self._writing.get(generation_id)
        if writing is not None and (lease is None or writing.stream.lease is lease):
            del self._writing[generation_id]
            _resolve(writing)

    async def take_over(self, generation_id: UUID, lease: Lease) -> Stream | None:
        """Lock out the former writer of a stream, and return its events; None if they are incomplete or unreadable.

        Raises one of `AWAY` if Redis does not respond, or responds after the end of the lease.
        """
        await TAKING.reach(generation_id)
        stream_name, holder_name = stream_key(generation_id, self._tag), holder_key(generation_id, self._tag)
        if self._ahead is None:
            await self._read_clock(stream_name)
        pipeline = self._redis.pipeline(transaction=False)
        # Redis runs these in order. After the first, no other process can append, so the second reads all events.
        pipeline.eval(TAKE, 2, stream_name, holder_name, self._holder, LIFE_WHILE_WRITTEN, self._deadline(lease))
        pipeline.xrange(stream_name)
        (code, _), entries = await pipeline.execute()
        await TAKEN.reach(generation_id)
        if int(code) == LATE:
            raise RedisError(f"The lease of generation {generation_id} has ended.")
        former_log = Stream(generation_id)
        try:
            extend(former_log, entries)
        except UNREADABLE:
            logger.exception("The log of generation %s cannot be read, so its answer is not continued", generation_id)
            return None
        return former_log if former_log.begins_at_one or not entries else None

    async def run(self) -> None:
        """Write until cancelled."""
        backoff = Backoff(10 * INTERVAL, 20 * INTERVAL)
        while True:
            await self._notification.wait()
            self._notification.clear()
            waiting, self._waiting = self._waiting, set()
            # Events that Redis has not accepted keep waiting. Those that arrive during a write wait for the next batch.
            since = self._waits_since = self._waits_since or self._next_since
            self._next_since = None
            try:
                sent = await self._write(waiting)
                self._away, self._waits_since = False, None
                if sent and since is not None:
                    self._lag(time.monotonic() - since)
            except Exception as error:  # noqa: BLE001 - all answers of this process depend on this loop
                self._handle_failure(waiting, error)
            if not self._away:
                backoff.reset()
            await asyncio.sleep(backoff.next() if self._away else INTERVAL)

    async def finish(self) -> None:
        """Try once to write the remaining events."""
        try:
            await self._write(set(self._writing))
        except Exception as error:  # noqa: BLE001 - the process ends in any case
            logger.warning(
                "The last events could not be written to Redis; readers see the state in the database: %s", error
            )

    async def _write(self, waiting: set[UUID]) -> bool:
        """Write the new events of these generations. Return whether there were any."""
        pending = {id: self._writing[id] for id in waiting if id in self._writing}
        # The others wait for the renewal of their leases, which shows whether this process still holds them.
        batches = {id: writing for id, writing in pending.items() if writing.may_be_sent}
        for id in pending.keys() - batches.keys():
            _resolve(pending[id])
        if not batches:
            return False
        if self._ahead is None:
            await self._read_clock(stream_key(next(iter(batches)), self._tag))
        ends = {id: writing.stream.last for id, writing in batches.items()}
        arguments: dict[UUID, tuple[Any, ...]] = {}
        for id, writing in batches.items():
            with BATCHES.guarded(id, partial(self._release, id)):
                arguments[id] = self._arguments(writing, ends[id])
        results = await self._send(arguments)
        if any(isinstance(result, NoScriptError) for result in results):
            # This also loads the script.
            results = await self._send(arguments, script=APPEND)
        refused: BaseException | None = None
        for id, result in zip(arguments, results, strict=True):
            if isinstance(result, BaseException):
                refused = result
                continue
            code, now = result
            self._ahead = int(now) / 1000 - clock()
            with RESULTS.guarded(id, partial(self._release, id)):
                self._handle_result(id, batches[id], int(code), ends[id])
        if refused is not None:
            raise refused
        return True

    async def _send(self, arguments: Mapping[UUID, tuple[Any, ...]], script: str | None = None) -> list[Any]:
        pipeline = self._redis.pipeline(transaction=False)
        command = ("EVALSHA", APPEND_SHA) if script is None else ("EVAL", script)
        for id, own in arguments.items():
            pipeline.execute_command(*command, 2, stream_key(id, self._tag), holder_key(id, self._tag), *own)
        await SENDING.reach()
        results = list(await pipeline.execute(raise_on_error=False))
        await SENT.reach()
        return results

    def _arguments(self, writing: _Writing, end: int) -> tuple[Any, ...]:
        stream = writing.stream
        life = self._life_after_end if stream.ended else LIFE_WHILE_WRITTEN
        batch = encode(stream.iter_events(writing.sent, end))
        return self._holder, life, self._deadline(stream.lease), writing.sent, end, batch, int(writing.replaces)

    def _release(self, id: UUID) -> None:
        """Stop writing a stream. Its readers read the database."""
        self.release(id)
        self._memory.release(id)

    def _handle_result(self, id: UUID, writing: _Writing, code: int, end: int) -> None:
        if self._writing.get(id) is not writing:
            return
        if code == LATE:
            # Either the lease was renewed meanwhile, or its next renewal will fail.
            self.schedule(id)
            if not writing.may_be_sent:
                _resolve(writing)
            return
        if code == REPLACED:
            # The next renewal of the lease fails for the same reason.
            logger.warning("Another process has taken over generation %s, which this process stops writing", id)
            self.release(id)
            self._memory.release(id)
            return
        writing.replaces = False
        writing.sent = min(code, end)
        self._memory.show(id, writing.sent)
        if writing.sent < writing.stream.last:
            self.schedule(id)
            return
        _resolve(writing)
        if writing.stream.ended:
            self.release(id)

    def _handle_failure(self, waiting: set[UUID], error: BaseException) -> None:
        if not self._away:
            logger.warning("Redis is unavailable; readers see events when they are saved in the database: %s", error)
        self._away, self._ahead = True, None
        self._waiting |= waiting
        self._notification.set()
        for writing in self._writing.values():
            _resolve(writing)

    async def _read_clock(self, key: str) -> None:
        """Read the clock of the node that has a key."""
        seconds, microseconds = map(int, await self._redis.eval(CLOCK, 1, key))
        # If the reply is slow, this is too small. So a deadline may be too early, but never too late.
        self._ahead = seconds + microseconds / 1_000_000 - clock()

    def _deadline(self, lease: Lease | None) -> int:
        """Return the lease's end in milliseconds of Redis's clock; 0 if it never ends."""
        if lease is None or self._ahead is None:
            raise ValueError(lease)
        return 0 if isinf(lease.until) else int((lease.until + self._ahead) * 1000)


def _resolve(writing: _Writing) -> None:
    for flushed in writing.flushed:
        if not flushed.done():
            flushed.set_result(None)
    writing.flushed.clear()
