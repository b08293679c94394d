"""Limits: on the rate of a viewer's calls over all replicas, and on the concurrent subscriptions of one server."""

import asyncio
import logging
import math
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from graphql import GraphQLError

from tertulia.ratelimit.errors import RateLimited
from tertulia.ratelimit.memory import LocalWindows, Windows
from tertulia.ratelimit.slots import SLOT_SECONDS, ConnectionSlots

if TYPE_CHECKING:
    from limits import RateLimitItem
    from redis.asyncio import ConnectionPool

MEGABYTE = 1 << 20
STORE_PATIENCE = 0.5
"""Timeout of the store that counts calls, in seconds."""
STORE_REST = 2.0
"""Seconds for which a store that failed is not used."""

logger = logging.getLogger("tertulia.limits")


class Rate:
    """A number of calls per time, such as `60/minute`. A number without a unit is per minute."""

    def __init__(self, name: str, notation: str) -> None:
        """Parse the notation of the library `limits`. `name` is shown to clients. Raises ValueError."""
        from limits import parse

        self.name = name
        self.item: RateLimitItem = parse(f"{notation}/minute" if notation.strip().isdecimal() else notation)

    @property
    def amount(self) -> int:
        """The number of calls."""
        return self.item.amount

    @property
    def seconds(self) -> int:
        """The length of the window in seconds."""
        return self.item.get_expiry()


@dataclass(frozen=True, slots=True)
class Window:
    """A viewer's use of a rate: how much remains, and in how many seconds more is available."""

    rate: Rate
    remaining: int
    resets_in: float


class Rates:
    """Counts calls in moving windows. While the store is unavailable, all calls are allowed and an error is logged."""

    def __init__(self, redis_url: str | None) -> None:
        """Count in Redis, for all replicas, or in this process."""
        self._pool: ConnectionPool | None = None
        self._windows: Windows = LocalWindows()
        self._errors: tuple[type[Exception], ...] = (OSError, TimeoutError)
        self._not_before = 0.0
        if redis_url is not None:
            from redis.exceptions import RedisError

            self._pool, self._windows = _in_redis(redis_url)
            self._errors = (RedisError, *self._errors)

    async def hit(self, rate: Rate, key: str, amount: int = 1) -> float | None:
        """Count `amount`. Return None if it is within the rate, else the seconds after which it would be."""
        if time.monotonic() < self._not_before:
            return None
        try:
            async with asyncio.timeout(STORE_PATIENCE):
                if await self._windows.hit(rate.item, rate.name, key, cost=amount):
                    return None
                stats = await self._windows.get_window_stats(rate.item, rate.name, key)
        except self._errors as error:
            self._failed(error)
            return None
        return max(stats.reset_time - time.time(), 0.01)

    async def window(self, rate: Rate, key: str) -> Window:
        """Return the use of a rate without counting a call."""
        if time.monotonic() < self._not_before:
            return Window(rate, rate.amount, 0.0)
        try:
            async with asyncio.timeout(STORE_PATIENCE):
                stats = await self._windows.get_window_stats(rate.item, rate.name, key)
        except self._errors as error:
            self._failed(error)
            return Window(rate, rate.amount, 0.0)
        resets_in = max(stats.reset_time - time.time(), 0.0) if stats.remaining < rate.amount else 0.0
        return Window(rate, stats.remaining, resets_in)

    async def close(self) -> None:
        """Close all connections to Redis."""
        if self._pool is not None:
            await self._pool.aclose()

    def _failed(self, error: Exception) -> None:
        self._not_before = time.monotonic() + STORE_REST
        logger.error("Limits are not held, because their store is away: %s", error)


@dataclass(frozen=True, slots=True)
class Limit:
    """A viewer's use of a limit. Only rates have `window_seconds` and `resets_in_seconds`."""

    name: str
    limit: int
    remaining: int
    window_seconds: int | None = None
    resets_in_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of each viewer; None means unlimited.

    `on_refused` is called with the name of the limit for each request that is refused.
    """

    rates: Rates
    connection_slots: ConnectionSlots
    requests: Rate | None = None
    sends: Rate | None = None
    uploads: Rate | None = None
    generations: int | None = None
    sockets: int | None = None
    on_refused: Callable[[str], None] = lambda _: None

    async def check_request(self, viewer_id: UUID) -> None:
        """Count a request; raise RateLimited."""
        await self._check(self.requests, viewer_id, 1, "requests")

    async def check_send(self, viewer_id: UUID) -> None:
        """Count a sent message, or another call that creates something; raise RateLimited."""
        await self._check(self.sends, viewer_id, 1, "messages")

    async def check_upload(self, viewer_id: UUID, size_bytes: int) -> None:
        """Count an upload in megabytes, rounded up; raise RateLimited."""
        await self._check(self.uploads, viewer_id, math.ceil(size_bytes / MEGABYTE), "megabytes of uploads")

    async def _check(self, rate: Rate | None, viewer_id: UUID, amount: int, things: str) -> None:
        seconds = None if rate is None else await self.rates.hit(rate, str(viewer_id), amount)
        if rate is not None and seconds is not None:
            self.on_refused(rate.name)
            words = f"{rate.amount:,} {things} in {rate.seconds:,} s"
            raise RateLimited(seconds, f"At most {words}: come back in {math.ceil(seconds):,} s.")

    @asynccontextmanager
    async def seated(self, viewer_id: UUID) -> AsyncGenerator[None]:
        """Hold a slot for a long connection. Raise RateLimited if the viewer has too many."""
        if self.sockets is None:
            yield
            return
        slot_id, limit = uuid4(), self.sockets
        if not await self.connection_slots.acquire(viewer_id, slot_id, limit):
            self.on_refused("sockets")
            raise RateLimited(SLOT_SECONDS, f"At most {limit:,} sockets and streams at once: close one first.")
        renewal = asyncio.create_task(self._renew_slot(viewer_id, slot_id, limit))
        try:
            yield
        finally:
            renewal.cancel()
            await self.connection_slots.release(viewer_id, slot_id)

    async def _renew_slot(self, viewer_id: UUID, slot_id: UUID, limit: int) -> None:
        while True:
            await asyncio.sleep(SLOT_SECONDS / 3)
            await self.connection_slots.acquire(viewer_id, slot_id, limit)

    async def windows(self, viewer_id: UUID) -> list[Window]:
        """Return the viewer's use of the rates of requests and of sends."""
        rates = [rate for rate in (self.requests, self.sends) if rate is not None]
        return [await self.rates.window(rate, str(viewer_id)) for rate in rates]

    async def standing(self, viewer_id: UUID, running: int) -> list[Limit]:
        """Return the viewer's use of each limit. `running` is the number of their running generations."""
        limits: list[Limit] = []
        for rate in (self.requests, self.sends, self.uploads):
            if rate is not None:
                window = await self.rates.window(rate, str(viewer_id))
                limits.append(Limit(rate.name, rate.amount, window.remaining, rate.seconds, window.resets_in))
        if self.generations is not None:
            limits.append(Limit("generations", self.generations, max(self.generations - running, 0)))
        if self.sockets is not None:
            open_connections = await self.connection_slots.count(viewer_id)
            limits.append(Limit("sockets", self.sockets, max(self.sockets - open_connections, 0)))
        return limits


def _in_redis(redis_url: str) -> "tuple[ConnectionPool, Windows]":
    from limits.aio.storage import RedisStorage
    from limits.aio.strategies import MovingWindowRateLimiter
    from redis.asyncio import ConnectionPool

    client: Any = ConnectionPool
    pool: ConnectionPool = client.from_url(redis_url)
    # Otherwise the library would open its own connections. Its address only selects the kind of Redis.
    options: dict[str, Any] = {"connection_pool": pool}
    return pool, MovingWindowRateLimiter(RedisStorage("async+redis://", implementation="redispy", **options))


@dataclass(slots=True)
class Subscriptions:
    """Counts the open subscriptions of this process, over all transports."""

    per_socket: int
    at_once: int
    open: int = 0
    _ending: int = 0
    _none: asyncio.Event = field(default_factory=asyncio.Event)

    @contextmanager
    def one(self, *, ends: bool = False) -> Generator[None]:
        """Count a subscription, or raise an error with the code RATE_LIMITED. `ends`: it ends when an answer does."""
        if self.open >= self.at_once:
            raise too_many(f"This server follows at most {self.at_once:,} subscriptions at once; come back later.")
        self.open += 1
        self._ending += ends
        try:
            yield
        finally:
            self.open -= 1
            self._ending -= ends
            if not self._ending:
                self._none.set()

    async def told(self, patience: float) -> None:
        """Wait until the subscriptions that end with an answer have ended, for `patience` seconds at most."""
        self._none.clear()
        with suppress(TimeoutError):
            if self._ending:
                await asyncio.wait_for(self._none.wait(), patience)


def too_many(message: str) -> GraphQLError:
    """Return the error of a limit that is reached."""
    return GraphQLError(message, extensions={"code": "RATE_LIMITED"})
