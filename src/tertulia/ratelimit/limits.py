"""Limits: on what one viewer does in a time, over all replicas, and on how much one server follows at once."""

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
from tertulia.ratelimit.slots import LASTS, ConnectionSlots

if TYPE_CHECKING:
    from limits import RateLimitItem
    from redis.asyncio import ConnectionPool

MEGABYTE = 1 << 20
STORE_PATIENCE = 0.5
"""Seconds that the store of limits may take to answer."""
STORE_REST = 2.0
"""Seconds for which a store that failed is not asked."""

logger = logging.getLogger("tertulia.limits")


class Rate:
    """So much in so long, as `60/minute`; a number alone is for a minute."""

    def __init__(self, name: str, notation: str) -> None:
        """Take the name that clients see, and the notation of the library `limits`; raise ValueError for another."""
        from limits import parse

        self.name = name
        self.item: RateLimitItem = parse(f"{notation}/minute" if notation.strip().isdecimal() else notation)

    @property
    def amount(self) -> int:
        """How much."""
        return self.item.amount

    @property
    def seconds(self) -> int:
        """In how long."""
        return self.item.get_expiry()


@dataclass(frozen=True, slots=True)
class Window:
    """How a viewer stands with a rate: what is left, and when there is more, in seconds."""

    rate: Rate
    remaining: int
    resets_in: float


class Rates:
    """Counts what somebody does within moving windows. A store that is down lets everything pass, and is logged."""

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
        """Count `amount`; None where that is within the rate, else the seconds after which it would be."""
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
        """Say how somebody stands, without counting anything."""
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
    """How a viewer stands with a limit; `window_seconds` and `resets_in_seconds` are those of rates."""

    name: str
    limit: int
    remaining: int
    window_seconds: int | None = None
    resets_in_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What each viewer may do; None where something has no limit.

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
        """Count a send, or another that makes something; raise RateLimited."""
        await self._check(self.sends, viewer_id, 1, "messages")

    async def check_upload(self, viewer_id: UUID, size_bytes: int) -> None:
        """Count an upload, in megabytes that are begun; raise RateLimited."""
        await self._check(self.uploads, viewer_id, math.ceil(size_bytes / MEGABYTE), "megabytes of uploads")

    async def _check(self, rate: Rate | None, viewer_id: UUID, amount: int, things: str) -> None:
        seconds = None if rate is None else await self.rates.hit(rate, str(viewer_id), amount)
        if rate is not None and seconds is not None:
            self.on_refused(rate.name)
            words = f"{rate.amount:,} {things} in {rate.seconds:,} s"
            raise RateLimited(seconds, f"At most {words}: come back in {math.ceil(seconds):,} s.")

    @asynccontextmanager
    async def seated(self, viewer_id: UUID) -> AsyncGenerator[None]:
        """Hold a place for a long connection; raise RateLimited where the viewer has too many."""
        if self.sockets is None:
            yield
            return
        place, most = uuid4(), self.sockets
        if not await self.connection_slots.take(viewer_id, place, most):
            self.on_refused("sockets")
            raise RateLimited(LASTS, f"At most {most:,} sockets and streams at once: close one first.")
        holding = asyncio.create_task(self._hold(viewer_id, place, most))
        try:
            yield
        finally:
            holding.cancel()
            await self.connection_slots.leave(viewer_id, place)

    async def _hold(self, viewer_id: UUID, place: UUID, most: int) -> None:
        while True:
            await asyncio.sleep(LASTS / 3)
            await self.connection_slots.take(viewer_id, place, most)

    async def windows(self, viewer_id: UUID) -> list[Window]:
        """Say how a viewer stands with the rates of requests and of sends."""
        rates = [rate for rate in (self.requests, self.sends) if rate is not None]
        return [await self.rates.window(rate, str(viewer_id)) for rate in rates]

    async def standing(self, viewer_id: UUID, running: int) -> list[Limit]:
        """Say how a viewer stands with each limit; `running`: their answers that are being written."""
        found: list[Limit] = []
        for rate in (self.requests, self.sends, self.uploads):
            if rate is not None:
                window = await self.rates.window(rate, str(viewer_id))
                found.append(Limit(rate.name, rate.amount, window.remaining, rate.seconds, window.resets_in))
        if self.generations is not None:
            found.append(Limit("generations", self.generations, max(self.generations - running, 0)))
        if self.sockets is not None:
            taken = await self.connection_slots.count(viewer_id)
            found.append(Limit("sockets", self.sockets, max(self.sockets - taken, 0)))
        return found


def _in_redis(redis_url: str) -> "tuple[ConnectionPool, Windows]":
    from limits.aio.storage import RedisStorage
    from limits.aio.strategies import MovingWindowRateLimiter
    from redis.asyncio import ConnectionPool

    client: Any = ConnectionPool
    pool: ConnectionPool = client.from_url(redis_url)
    # The library would keep connections of its own open. Its address only chooses the kind of Redis.
    options: dict[str, Any] = {"connection_pool": pool}
    return pool, MovingWindowRateLimiter(RedisStorage("async+redis://", implementation="redispy", **options))


@dataclass(slots=True)
class Subscriptions:
    """Counts the subscriptions that are open in this process, whatever carries them."""

    per_socket: int
    at_once: int
    open: int = 0
    _ending: int = 0
    _none: asyncio.Event = field(default_factory=asyncio.Event)

    @contextmanager
    def one(self, *, ends: bool = False) -> Generator[None]:
        """Count one more, or raise an error with the code RATE_LIMITED; `ends`: it ends by itself with an answer."""
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
        """Wait until those who follow answers have been told their ends, for `patience` seconds at most."""
        self._none.clear()
        with suppress(TimeoutError):
            if self._ending:
                await asyncio.wait_for(self._none.wait(), patience)


def too_many(message: str) -> GraphQLError:
    """Make the error of a limit that is reached."""
    return GraphQLError(message, extensions={"code": "RATE_LIMITED"})
