"""The log in Redis, for several processes: what this one writes is read from memory, all else from Redis."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

from redis.asyncio import Redis

from tertulia.backoff import Backoff
from tertulia.streams.events import GenerationEvent
from tertulia.streams.lease import Lease, clock
from tertulia.streams.memory import LIFE_AFTER_END, MemoryLog
from tertulia.streams.redis.reader import BLOCK_MS, RedisReader
from tertulia.streams.redis.scripts import holder_key, stream_key
from tertulia.streams.redis.writer import AWAY, LagWatch, RedisWriter
from tertulia.streams.stream import Follower, Stream

CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 5.0
CANCEL_AGAIN = 0.1
"""Seconds."""
TAKE_SECONDS, TAKE_PAUSE = 5.0, 0.2
"""For how many seconds a Redis that is away is asked again for the log of an answer that is taken over."""

logger = logging.getLogger("tertulia.redis")


class RedisLog:
    """An EventLog and the Signals for any number of processes that share a Redis."""

    def __init__(
        self, url: str, process: UUID, life_after_end: float = LIFE_AFTER_END, *, lag: LagWatch = lambda _: None
    ) -> None:
        """Take the address, this process's name, the seconds for which a finished log is kept, and who hears of lag."""
        self._redis: Any = _connect(url, ANSWER_SECONDS)
        self._blocking = _connect(url, BLOCK_MS / 1000 + ANSWER_SECONDS)
        self._memory = MemoryLog(life_after_end=life_after_end)
        self._writer = RedisWriter(self._redis, process, life_after_end, self._memory, lag)
        self._reader = RedisReader(self._blocking, process)
        self._running: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to write and to read; a Redis that is away is waited for."""
        self._running = [asyncio.create_task(self._writer.run()), asyncio.create_task(self._reader.run())]

    async def close(self) -> None:
        """Write what is left, and let go."""
        await self._writer.finish()
        going = set(self._running)
        while going:
            # Again and again: a cancellation that meets Redis's answer may get lost on its way.
            for task in going:
                task.cancel()
            _, going = await asyncio.wait(going, timeout=CANCEL_AGAIN)
        await self._reader.close()
        await self._redis.aclose()
        await self._blocking.aclose()

    async def check(self) -> None:
        """Raise where Redis does not answer."""
        await self._redis.ping()

    @property
    def waits(self) -> float:
        """For how many seconds the oldest event waits for Redis."""
        return self._writer.waits

    def open(self, generation_id: UUID, lease: Lease, events: Sequence[GenerationEvent] = ()) -> None:
        """Begin to write a log here."""
        self._writer.open(self._memory.open(generation_id, lease, events))

    def append(self, generation_id: UUID, events: Sequence[GenerationEvent]) -> None:
        """Keep events; their readers see them when Redis has them."""
        if self._memory.keep(generation_id, events):
            self._writer.wrote(generation_id)

    def saved(self, generation_id: UUID, sequence: int) -> None:
        """Show what the row has, also while Redis is away; send what was kept while the lease had lapsed."""
        self._memory.show(generation_id, sequence)
        self._writer.wrote(generation_id)

    async def flush(self, generation_id: UUID) -> None:
        """Wait until everybody can see all."""
        await self._writer.flush(generation_id)

    def suspend(self, generation_id: UUID, lease: Lease) -> None:
        """Leave it to whichever process goes on."""
        self.release(generation_id, lease)

    def release(self, generation_id: UUID, lease: Lease | None = None) -> None:
        """Write it no longer here."""
        self._writer.release(generation_id, lease)
        self._memory.release(generation_id, lease)

    async def discard(self, generation_id: UUID) -> None:
        """Forget it everywhere."""
        self.release(generation_id)
        with suppress(*AWAY):
            await self._redis.delete(stream_key(generation_id), holder_key(generation_id))

    async def take(self, generation_id: UUID, lease: Lease) -> Stream | None:
        """Lock out the former writer, and return what it has left; a Redis that is away is asked again."""
        give_up_at, backoff = clock() + TAKE_SECONDS, Backoff(TAKE_PAUSE, 4 * TAKE_PAUSE)
        while lease.holds and clock() < give_up_at:
            try:
                async with asyncio.timeout(lease.seconds_left / 3):
                    return await self._writer.take(generation_id, lease)
            except AWAY as error:
                logger.warning("Redis cannot be reached to take over generation %s: %s", generation_id, error)
            await asyncio.sleep(backoff.next())
        return None

    async def read(self, generation_id: UUID) -> Stream | None:
        """Return all events so far, whichever process writes them."""
        mine = self._memory.held(generation_id)
        return mine if mine is not None else await self._reader.read(generation_id)

    async def follow(self, generation_id: UUID, follower: Follower) -> AsyncGenerator[Sequence[GenerationEvent]]:
        """Follow in memory what is written here, all else in Redis."""
        mine = self._memory.held(generation_id) is not None
        stream = (self._memory if mine else self._reader).follow(generation_id, follower)
        try:
            async for batch in stream:
                yield batch
                if mine and not batch:
                    # Released: another process writes it now. What it has is asked for again by the caller.
                    return
        finally:
            await stream.aclose()

    def send(self, name: str, subject: UUID) -> None:
        """Ring in every process."""
        self._reader.signal(name, subject)

    def on(self, name: str, handler: Callable[[UUID], None]) -> None:
        """Call a handler for each ring of that name."""
        self._reader.handlers.on(name, handler)


def _connect(url: str, patience: float) -> Any:
    # The client's own types are unknown in part, and its replies are anything that any command may give.
    client: Any = Redis
    return client.from_url(url, socket_connect_timeout=CONNECT_SECONDS, socket_timeout=patience)
