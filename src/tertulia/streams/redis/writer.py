"""Write to Redis: one entry of this process's journal for each batch, and later a stream per generation.

In a stream, the id of an entry is the number of its last event. Readers of this process see an event when it is in
Redis, or in the database while Redis is unavailable. So no event that was seen is lost in a crash.

A batch is sent only while the leases hold, and Redis refuses it after the end of a lease, because Redis may run a
command long after it was sent, when another process has taken over the generation.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from math import isinf
from typing import Any
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError

from tertulia.backoff import Backoff
from tertulia.failpoints import Failpoint
from tertulia.isolation import ItemLoop
from tertulia.streams.lease import Lease, clock
from tertulia.streams.memory import MemoryLog
from tertulia.streams.redis.batch import Journal, Part, Writing, make_part
from tertulia.streams.redis.scripts import (
    CHANGED,
    CLOCK,
    LATE,
    LIFE_WHILE_WRITTEN,
    MISSING,
    REPLACED,
    TAKE,
    UNREADABLE,
    WRITE,
    WRITE_SHA,
    extend,
    holder_key,
    journal_key,
    stream_key,
)
from tertulia.streams.stream import Stream

INTERVAL, LONGEST_INTERVAL = 0.015, 0.025
"""The seconds between the beginnings of two batches, and at most if the process or Redis is busy. The first batch after
a pause is sent at once."""
BUSY_FACTOR = 3
"""A batch that takes longer is followed by a longer pause, so that batches use a third of the time. LONGEST_INTERVAL
limits the pause."""
MOST_AT_ONCE = 250
"""The maximum number of answers in a batch. Redis runs nothing else meanwhile, and Lua limits the number of keys."""
TAKEOVERS = 3
"""The maximum number of attempts to take over a stream that other processes write meanwhile."""
SOON = 0.05
"""The seconds after which events that could not be stored are tried again."""
LagWatch = Callable[[float], None]
"""Called for each batch with the seconds for which its oldest event waited until all readers could see it."""
BATCHES, RESULTS = ItemLoop("redis.batches"), ItemLoop("redis.results")
SENDING, SENT = Failpoint("redis.sending"), Failpoint("redis.sent")
TAKING, TAKEN = Failpoint("redis.taking"), Failpoint("redis.taken")

logger = logging.getLogger("tertulia.redis")


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
        self._writing: dict[UUID, Writing] = {}
        self._waiting: set[UUID] = set()
        self._notification = asyncio.Event()
        self._next_batch: asyncio.Future[None] | None = None
        self._journal = Journal(self._holder, tag)
        self._one_batch = asyncio.Lock()
        self._timer: asyncio.TimerHandle | None = None
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
        self._writing[stream.generation_id] = Writing(stream, self._tag)

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

    def next_batch(self) -> asyncio.Future[None] | None:
        """Return a future that ends with the next batch, which has all events so far.

        Returns:
            None if no events wait, or if Redis is unavailable.
        """
        if self._away or (self._waits_since or self._next_since) is None:
            return None
        if self._next_batch is None:
            self._next_batch = asyncio.get_running_loop().create_future()
            self._notification.set()
        return self._next_batch

    def release(self, generation_id: UUID, lease: Lease | None = None) -> None:
        """Stop writing a stream. With `lease`, this has an effect only if the stream was opened with that lease."""
        writing = self._writing.get(generation_id)
        if writing is not None and (lease is None or writing.stream.lease is lease):
            del self._writing[generation_id]
            self._journal.release(generation_id, time.monotonic())
            writing.resolve()

    async def take_over(self, generation_id: UUID, lease: Lease) -> Stream | None:
        """Lock out the former writer of a stream, and return its events; None if they are incomplete or unreadable.

        Raises one of `AWAY` if Redis does not respond, or responds after the end of the lease.
        """
        await TAKING.reach(generation_id)
        entries = await self._take(generation_id, lease)
        await TAKEN.reach(generation_id)
        former_log = Stream(generation_id)
        try:
            extend(former_log, entries)
        except UNREADABLE:
            logger.exception("The log of generation %s cannot be read, so its answer is not continued", generation_id)
            return None
        return former_log if former_log.begins_at_one or not entries else None

    async def _take(self, generation_id: UUID, lease: Lease) -> Sequence[Any]:
        """Lock out the former writer of a stream, and return the entries of the stream, with those of its journal."""
        stream_name, holder_name = stream_key(generation_id, self._tag), holder_key(generation_id, self._tag)
        if self._ahead is None:
            await self._read_clock(stream_name)
        former = ""
        for _ in range(TAKEOVERS):
            keys = [stream_name, holder_name, *([journal_key(former, self._tag)] if former else [])]
            own = self._holder, LIFE_WHILE_WRITTEN, self._deadline(lease)
            pipeline = self._redis.pipeline(transaction=False)
            # Redis runs these in order. After the first, no other process can append, so the second reads all events.
            pipeline.eval(TAKE, len(keys), *keys, *own, former, str(generation_id))
            pipeline.xrange(stream_name)
            (code, _, *writer), entries = await pipeline.execute()
            if int(code) == LATE:
                # The clock is wrong if this process was frozen before it handled the reply that the clock is from.
                self._ahead = None
                raise RedisError(f"The lease of generation {generation_id} has ended.")
            if int(code) != CHANGED:
                return list(entries)
            former = writer[0].decode()
        raise RedisError(f"Other processes write generation {generation_id}.")

    async def run(self) -> None:
        """Write until cancelled."""
        backoff = Backoff(10 * LONGEST_INTERVAL, 20 * LONGEST_INTERVAL)
        while True:
            await self._notification.wait()
            self._notification.clear()
            waiting, self._waiting = self._waiting, set()
            batch, self._next_batch = self._next_batch, None
            # Events that Redis has not accepted keep waiting. Those that arrive during a write wait for the next batch.
            since = self._waits_since = self._waits_since or self._next_since
            self._next_since = None
            begun = time.monotonic()
            try:
                sent = await self._write(waiting)
                self._away, self._waits_since = False, None
                if sent and since is not None:
                    self._lag(time.monotonic() - since)
            except Exception as error:  # noqa: BLE001 - all answers of this process depend on this loop
                self._handle_failure(waiting, error)
            if batch is not None:
                batch.set_result(None)
            if not self._away:
                backoff.reset()
            self._set_timer()
            await asyncio.sleep(backoff.next() if self._away else _pause(time.monotonic() - begun))

    async def finish(self) -> None:
        """Write the remaining events, unless an attempt fails."""
        try:
            # Once more for events that Redis has lost.
            while await self._write(set(self._writing)):
                pass
        except Exception as error:  # noqa: BLE001 - the process ends in any case
            logger.warning(
                "The last events could not be written to Redis; readers see the state in the database: %s", error
            )

    async def _write(self, waiting: set[UUID]) -> bool:
        """Write the new events of these generations, and store what is due. Return whether there was anything."""
        async with self._one_batch:
            due = self._journal.due(time.monotonic())
            pending = {id: self._writing[id] for id in (*waiting, *due) if id in self._writing}
            # The others wait for the renewal of their leases, which shows whether this process still holds them.
            batches = [
                id for id, writing in pending.items() if writing.may_be_sent or (id in due and writing.stream.is_held)
            ]
            for id in pending.keys() - batches:
                pending[id].resolve()
            for begin in range(0, len(batches), MOST_AT_ONCE):
                await self._write_batch(batches[begin : begin + MOST_AT_ONCE], set(due))
            return bool(batches)

    async def _write_batch(self, ids: Sequence[UUID], due: AbstractSet[UUID]) -> None:
        if self._ahead is None:
            await self._read_clock(self._journal.key)
        now = time.monotonic()
        parts: dict[UUID, Part] = {}
        for id in ids:
            writing = self._writing.get(id)
            if writing is not None:
                with BATCHES.guarded(id, partial(self._release, id)):
                    parts[id] = make_part(id, writing, now, self._life_after_end, is_due=id in due)
        # The stored ones come first. A failed one was released.
        remaining = [part for id, part in parts.items() if id in self._writing]
        batch = sorted(remaining, key=_is_not_stored)
        if batch:
            deadlines = [self._deadline(part.writing.stream.lease) for part in batch]
            deadline = min(filter(None, deadlines), default=0)
            arguments = self._journal.arguments(batch, deadline, now)
            reply = await self._send("EVALSHA", WRITE_SHA, arguments)
            if isinstance(reply, NoScriptError):
                # This also loads the script.
                reply = await self._send("EVAL", WRITE, arguments)
            if isinstance(reply, BaseException):
                raise reply
            self._handle_reply(batch, reply, now)

    async def _send(self, command: str, script: str, arguments: Sequence[Any]) -> Any:
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.execute_command(command, script, *arguments)
        await SENDING.reach()
        (reply,) = await pipeline.execute(raise_on_error=False)
        await SENT.reach()
        return reply

    def _handle_reply(self, batch: Sequence[Part], reply: Sequence[Any], now: float) -> None:
        code, redis_now, *results = reply
        self._ahead = int(redis_now) / 1000 - clock()
        if code == LATE:
            # Either the leases were renewed meanwhile, or their next renewal will fail.
            self._try_again(batch)
        elif code == REPLACED:
            for id in [batch[int(index) - 1].id for index in results]:
                # The next renewal of the lease fails for the same reason.
                logger.warning("Another process has taken over generation %s, which this process stops writing", id)
                self._release(id)
            self._try_again(batch)
        elif code == MISSING:
            self._send_again_after(int(results[0]), batch)
        else:
            self._handle_results(batch, results, now)

    def _handle_results(self, batch: Sequence[Part], results: Sequence[Any], now: float) -> None:
        self._journal.note_written(batch, now)
        refused: list[bytes] = []
        # A batch begins with the stored answers.
        for part, result in zip(batch, (*results, *([None] * (len(batch) - len(results)))), strict=True):
            if isinstance(result, bytes):
                refused.append(result)
                continue
            with RESULTS.guarded(part.id, partial(self._release, part.id)):
                self._handle_result(part, result, now)
        if refused:
            raise RedisError(refused[0].decode(errors="replace"))

    def _try_again(self, batch: Sequence[Part]) -> None:
        for part in batch:
            self.schedule(part.id)
            if not part.writing.may_be_sent:
                part.writing.resolve()

    def _send_again_after(self, number: int, batch: Sequence[Part]) -> None:
        """Send what may be missing in Redis, which has lost entries, or has written a batch without replying."""
        self._journal.resume_after(number)
        for id, writing in self._writing.items():
            writing.is_unsure = True
            writing.sent = min(writing.sent, writing.stored)
            self.schedule(id)
        self._try_again(batch)

    def _release(self, id: UUID) -> None:
        """Stop writing a stream. Its readers read the database."""
        self.release(id)
        self._memory.release(id)

    def _handle_result(self, part: Part, last_stored: int | None, now: float) -> None:
        """Show the events of an answer that Redis has. `last_stored` is the last number in its stream if known."""
        id, writing = part.id, part.writing
        if last_stored is None:
            self._journal.note_tail(id, now)
        if self._writing.get(id) is not writing:
            self._journal.release(id, now)
            return
        if last_stored is None:
            writing.sent = part.end
        else:
            self._journal.forget_tail(id)
            writing.note_stored(min(last_stored, part.end), part, now)
        self._memory.show(id, writing.sent)
        if writing.sent < writing.stream.last:
            self.schedule(id)
            return
        writing.resolve()
        if writing.stream.ended:
            self.release(id)

    def _set_timer(self) -> None:
        """Wake the loop when events must be stored."""
        if self._timer is not None:
            self._timer.cancel()
        delay = self._journal.seconds_until_due(time.monotonic())
        self._timer = (
            None if delay is None else asyncio.get_running_loop().call_later(max(delay, SOON), self._notification.set)
        )

    def _handle_failure(self, waiting: set[UUID], error: BaseException) -> None:
        if not self._away:
            logger.warning("Redis is unavailable; readers see events when they are saved in the database: %s", error)
        self._away, self._ahead = True, None
        self._waiting |= waiting
        self._notification.set()
        for writing in self._writing.values():
            writing.resolve()

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


def _is_not_stored(part: Part) -> bool:
    return part.store is None


def _pause(took: float) -> float:
    """Return the seconds after a batch that took so long until the next one."""
    return max(max(INTERVAL, min(BUSY_FACTOR * took, LONGEST_INTERVAL)) - took, 0.0)
