"""The event log in Redis. Logs that this process writes are read from memory, and others from Redis."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from tertulia.backoff import Backoff
from tertulia.redis_client import AWAY, close_redis, connect_redis, is_cluster
from tertulia.streams.events import GenerationEvent
from tertulia.streams.lease import Lease, clock
from tertulia.streams.memory import LIFE_AFTER_END, MemoryLog
from tertulia.streams.redis.reader import BLOCK_MS, RedisReader
from tertulia.streams.redis.scripts import holder_key, partition_tags, stream_key
from tertulia.streams.redis.writer import LagWatch, RedisWriter
from tertulia.streams.stream import Follower, Stream

CONNECT_SECONDS = 2.0
RESPONSE_SECONDS = 5.0
CANCEL_AGAIN = 0.1
"""The seconds after which a cancellation is repeated."""
TAKEOVER_SECONDS, TAKEOVER_DELAY = 5.0, 0.2
"""The seconds for which taking over a log is retried, and the first bound of the delay between attempts."""

logger = logging.getLogger("tertulia.redis")


@dataclass(frozen=True, slots=True)
class _Partition:
    """The writer and the reader of a share of the generations, with their hash tag on a cluster.

    A node that fails affects only its partitions.
    """

    tag: str | None
    writer: RedisWriter
    reader: RedisReader


class RedisLog:
    """The EventLog and the Signals of any number of processes that share a Redis."""

    def __init__(
        self, url: str, process: UUID, life_after_end: float = LIFE_AFTER_END, *, lag: LagWatch = lambda _: None
    ) -> None:
        """Create clients for the address, without connecting yet.

        Args:
            url: The address of Redis.
            process: The id of this process.
            life_after_end: The seconds for which a finished log is kept.
            lag: Called for each batch (see `LagWatch`).
        """
        # A batch is not retried on another node of a cluster: its deadline is a time of the clock of the first node.
        self._redis = _connect(url, RESPONSE_SECONDS, cluster_retries=0)
        self._blocking = _connect(url, BLOCK_MS / 1000 + RESPONSE_SECONDS)
        self._memory = MemoryLog(life_after_end=life_after_end)
        self._partitions = [
            _Partition(
                tag,
                RedisWriter(self._redis, process, life_after_end, self._memory, lag, tag),
                RedisReader(self._blocking, process, tag, signals=number == 0),
            )
            for number, tag in enumerate(partition_tags() if is_cluster(url) else [None])
        ]
        self._signals = self._partitions[0].reader
        self._running: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start writing and reading, also if Redis is unavailable."""
        work = [run() for each in self._partitions for run in (each.writer.run, each.reader.run)]
        self._running = [asyncio.create_task(one) for one in work]

    async def close(self) -> None:
        """Write the remaining events, and close the connections."""
        await asyncio.gather(*(each.writer.finish() for each in self._partitions))
        running = set(self._running)
        while running:
            # Repeated, because a cancellation that coincides with a reply of Redis may get lost.
            for task in running:
                task.cancel()
            _, running = await asyncio.wait(running, timeout=CANCEL_AGAIN)
        await asyncio.gather(*(each.reader.close() for each in self._partitions))
        await close_redis(self._redis)
        await close_redis(self._blocking)

    async def check(self) -> None:
        """Raise if Redis does not respond."""
        await self._redis.ping()

    @property
    def longest_wait(self) -> float:
        """The seconds for which the oldest event has been waiting for Redis."""
        return max(each.writer.longest_wait for each in self._partitions)

    def open(self, generation_id: UUID, lease: Lease, events: Sequence[GenerationEvent] = ()) -> None:
        """Open a log for writing in this process."""
        self._partition(generation_id).writer.open(self._memory.open(generation_id, lease, events))

    def append(self, generation_id: UUID, events: Sequence[GenerationEvent]) -> None:
        """Append events. Readers see them when Redis has accepted them."""
        self._memory.append_hidden(generation_id, events)
        self._partition(generation_id).writer.schedule(generation_id)

    def mark_saved(self, generation_id: UUID, sequence: int) -> None:
        """Show the events up to `sequence`, also while Redis is unavailable, and send buffered events."""
        self._memory.show(generation_id, sequence)
        self._partition(generation_id).writer.schedule(generation_id)

    async def flush(self, generation_id: UUID) -> None:
        """Wait until all readers can see all events."""
        await self._partition(generation_id).writer.flush(generation_id)

    async def flush_all(self, seconds: float) -> None:
        """Wait until all readers can see all events, but at most for `seconds`."""
        batches = [batch for each in self._partitions if (batch := each.writer.next_batch()) is not None]
        if batches:
            await asyncio.wait(batches, timeout=seconds)

    def suspend(self, generation_id: UUID, lease: Lease) -> None:
        """Stop writing until a process opens the log again."""
        self.release(generation_id, lease)

    def release(self, generation_id: UUID, lease: Lease | None = None) -> None:
        """Stop writing a log in this process."""
        self._partition(generation_id).writer.release(generation_id, lease)
        self._memory.release(generation_id, lease)

    async def discard(self, generation_id: UUID) -> None:
        """Remove a log in all processes."""
        self.release(generation_id)
        tag = self._partition(generation_id).tag
        with suppress(*AWAY):
            await self._redis.delete(stream_key(generation_id, tag), holder_key(generation_id, tag))

    async def take_over(self, generation_id: UUID, lease: Lease) -> Stream | None:
        """Lock out the former writer, and return all its events. This is retried while Redis is unavailable."""
        give_up_at, backoff = clock() + TAKEOVER_SECONDS, Backoff(TAKEOVER_DELAY, 4 * TAKEOVER_DELAY)
        while lease.holds and clock() < give_up_at:
            try:
                async with asyncio.timeout(lease.seconds_left / 3):
                    return await self._partition(generation_id).writer.take_over(generation_id, lease)
            except AWAY as error:
                logger.warning(
                    "Redis is unavailable; retrying to take over the log of generation %s: %s",
                    generation_id,
                    error,
                )
            await asyncio.sleep(backoff.next())
        return None

    async def read(self, generation_id: UUID) -> Stream | None:
        """Return all events so far, from memory or from Redis."""
        local = self._memory.local_stream(generation_id)
        return local if local is not None else await self._partition(generation_id).reader.read(generation_id)

    async def follow(self, generation_id: UUID, follower: Follower) -> AsyncGenerator[Sequence[GenerationEvent]]:
        """Follow a log in memory if this process writes it, or else in Redis."""
        is_local = self._memory.local_stream(generation_id) is not None
        source = self._memory if is_local else self._partition(generation_id).reader
        stream = source.follow(generation_id, follower)
        try:
            async for batch in stream:
                yield batch
                if is_local and not batch:
                    # The log was released, so another process may write it now. The caller calls `follow` again.
                    return
        finally:
            await stream.aclose()

    def send(self, name: str, subject: UUID) -> None:
        """Send a signal to every process."""
        self._signals.signal(name, subject)

    def on(self, name: str, handler: Callable[[UUID], None]) -> None:
        """Call a handler with the subject of each signal of that name."""
        self._signals.handlers.on(name, handler)

    def _partition(self, generation_id: UUID) -> _Partition:
        return self._partitions[generation_id.int % len(self._partitions)]


def _connect(url: str, timeout: float, *, cluster_retries: int = 1) -> Any:
    return connect_redis(
        url, cluster_retries=cluster_retries, socket_connect_timeout=CONNECT_SECONDS, socket_timeout=timeout
    )
