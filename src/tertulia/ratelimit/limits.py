"""Limits on the rate of a viewer's calls to all replicas, on connections, and on the subscriptions of a process."""

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

MEGABYTE = 1 << 20
STORE_PATIENCE = 0.5
"""The timeout in seconds of the store that counts calls."""
STORE_REST = 2.0
"""The time in seconds for which a store is not used after a failure."""

logger = logging.getLogger("tertulia.limits")


class Rate:
    """A number of calls in a period, such as `60/minute`. Without a period, it is a number per minute."""

    def __init__(self, name: str, notation: str) -> None:
        """Parse a rate.

        Args:
            name: The name of the limit, which is shown to clients.
            notation: The rate in the notation of the library `limits`.

        Raises:
            ValueError: The notation is not valid.
        """
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
    """A viewer's use of a rate: the remaining calls, and the time in seconds until there are more."""

    rate: Rate
    remaining: int
    resets_in: float


class Rates:
    """Counts calls in moving windows. While the store is unavailable, an error is logged and all calls are allowed."""

    def __init__(self, redis_url: str | None) -> None:
        """Count the calls to all replicas in Redis, or those to this process if `redis_url` is None."""
        self._redis: Any = None
        self._windows: Windows = LocalWindows()
        self._errors: tuple[type[Exception], ...] = (OSError, TimeoutError)
        self._not_before = 0.0
        if redis_url is not None:
            from tertulia.ratelimit.redis_windows import redis_windows
            from tertulia.redis_client import AWAY, connect_redis

            self._redis = connect_redis(redis_url)
            self._windows, self._errors = redis_windows(self._redis), AWAY

    async def hit(self, rate: Rate, key: str, amount: int = 1) -> float | None:
        """Count calls.

        Args:
            rate: The rate.
            key: The id of the viewer.
            amount: The number of calls.

        Returns:
            None if the calls are within the rate, else the time in seconds after which they would be.
        """
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
        """Return the use of a rate, without counting a call."""
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
        if self._redis is not None:
            from tertulia.redis_client import close_redis

            await close_redis(self._redis)

    def _failed(self, error: Exception) -> None:
        self._not_before = time.monotonic() + STORE_REST
        logger.error("Limits are not counted, because Redis is unavailable: %r", error)


@dataclass(frozen=True, slots=True)
class Limit:
    """A viewer's use of a limit. `window_seconds` and `resets_in_seconds` are None for limits that are not rates."""

    name: str
    limit: int
    remaining: int
    window_seconds: int | None = None
    resets_in_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of each viewer. A limit that is None does not apply.

    `on_refused` is called for each refused call, with the name of the limit and the id of the user. The limit
    `shares` has no users.
    """

    rates: Rates
    connection_slots: ConnectionSlots
    requests: Rate | None = None
    sends: Rate | None = None
    uploads: Rate | None = None
    shares: Rate | None = None
    generations: int | None = None
    sockets: int | None = None
    on_refused: Callable[[str, UUID | None], None] = lambda _limit, _user_id: None

    async def check_request(self, viewer_id: UUID) -> None:
        """Count a request. Raise RateLimited above the limit."""
        await self._check(self.requests, viewer_id, 1, "requests")

    async def check_send(self, viewer_id: UUID) -> None:
        """Count a sent message, or another call that creates an object. Raise RateLimited above the limit."""
        await self._check(self.sends, viewer_id, 1, "messages")

    async def check_upload(self, viewer_id: UUID, size_bytes: int) -> None:
        """Count the megabytes of an upload, rounded up. Raise RateLimited above the limit."""
        await self._check(self.uploads, viewer_id, math.ceil(size_bytes / MEGABYTE), "megabytes of uploads")

    async def check_share(self, address: str) -> None:
        """Count a request for a shared conversation from a network address. Raise RateLimited above the limit."""
        await self._check(self.shares, address, 1, "requests for shared conversations")

    async def _check(self, rate: Rate | None, key: UUID | str, amount: int, unit: str) -> None:
        seconds = None if rate is None else await self.rates.hit(rate, str(key), amount)
        if rate is not None and seconds is not None:
            self.on_refused(rate.name, key if isinstance(key, UUID) else None)
            limit = f"{rate.amount:,} {unit} in {rate.seconds:,} seconds"
            raise RateLimited(seconds, f"At most {limit} are allowed. Try again in {math.ceil(seconds):,} seconds.")

    @asynccontextmanager
    async def connection_slot(self, viewer_id: UUID) -> AsyncGenerator[None]:
        """Occupy a connection slot of the viewer. Raise RateLimited if all slots are in use."""
        if self.sockets is None:
            yield
            return
        slot_id, limit = uuid4(), self.sockets
        if not await self.connection_slots.acquire(viewer_id, slot_id, limit):
            self.on_refused("sockets", viewer_id)
            raise RateLimited(
                SLOT_SECONDS, f"At most {limit:,} sockets and streams can be open at the same time. Close one first."
            )
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
        """Return the viewer's use of the rates of requests and of messages."""
        rates = [rate for rate in (self.requests, self.sends) if rate is not None]
        return [await self.rates.window(rate, str(viewer_id)) for rate in rates]

    async def status(self, viewer_id: UUID, running: int) -> list[Limit]:
        """Return the viewer's use of each limit.

        Args:
            viewer_id: The viewer.
            running: The number of the viewer's running generations.
        """
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


@dataclass(slots=True)
class Subscriptions:
    """Counts the open subscriptions of this process, on all transports."""

    per_socket: int
    at_once: int
    open: int = 0
    _ending: int = 0
    _all_ended: asyncio.Event = field(default_factory=asyncio.Event)

    @contextmanager
    def slot(self, *, ends: bool = False) -> Generator[None]:
        """Count a subscription while the block runs.

        Args:
            ends: Whether the subscription ends when an answer ends.

        Raises:
            GraphQLError: The limit is reached; the code is RATE_LIMITED.
        """
        if self.open >= self.at_once:
            raise too_many(
                f"This server allows at most {self.at_once:,} subscriptions at the same time. Try again later."
            )
        self.open += 1
        self._ending += ends
        try:
            yield
        finally:
            self.open -= 1
            self._ending -= ends
            if not self._ending:
                self._all_ended.set()

    async def wait_until_ended(self, seconds: float) -> None:
        """Wait until all subscriptions that end with an answer have ended, at most `seconds` seconds."""
        self._all_ended.clear()
        with suppress(TimeoutError):
            if self._ending:
                await asyncio.wait_for(self._all_ended.wait(), seconds)


def too_many(message: str) -> GraphQLError:
    """Return the GraphQL error of a limit that is reached."""
    return GraphQLError(message, extensions={"code": "RATE_LIMITED"})
