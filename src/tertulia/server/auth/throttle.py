"""Slow down password guessing, without locking out the user whose password is guessed.

Failures are counted by pair of name and address, which has to wait longer after each of them, and by name, which only
delays the response: the right password from another address is accepted within seconds.
"""

import asyncio
import hashlib
import ipaddress
import logging
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Protocol

FREE_FAILURES = 10
"""Wrong passwords for a name from one address before that address has to wait."""
LONGEST_WAIT = 60.0
"""Seconds."""
FORGOTTEN_AFTER = 900.0
"""Seconds from the last failure to when the count is cleared."""
FREE_FAILURES_FROM_ANYWHERE = 20
"""Wrong passwords for a name from any addresses before responses are delayed."""
DELAY_PER_FAILURE, LONGEST_DELAY = 0.05, 2.0
"""Seconds by which each further failure for a name delays the responses to all attempts."""
MOST_KEPT = 100_000
"""Counts that one process keeps in memory. Those with the oldest failures are dropped first."""
REDIS_PATIENCE = 0.5
"""Seconds for a response of Redis."""
IPV6_NETWORK = 64
"""Bits of the IPv6 prefix that a network provider assigns to one customer."""

logger = logging.getLogger("tertulia.limits")


@dataclass(frozen=True, slots=True)
class Failures:
    """The number of failures, and the seconds since the last one."""

    count: int = 0
    age: float = 0.0


class FailureStore(Protocol):
    """Counts failures; each count is forgotten some time after its last failure."""

    async def get(self, key: str) -> Failures:
        """Return the failures of a key."""
        ...

    async def add(self, key: str) -> None:
        """Count a failure."""
        ...

    async def forget(self, key: str) -> None:
        """Forget the failures of a key."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


class LocalFailures:
    """Counts in the memory of this process."""

    def __init__(self) -> None:
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    async def get(self, key: str) -> Failures:
        """Return the failures of a key."""
        count, last_failure = self._failures.get(key, (0, 0.0))
        age = time.monotonic() - last_failure
        return Failures(count, age) if count and age < FORGOTTEN_AFTER else Failures()

    async def add(self, key: str) -> None:
        """Count a failure."""
        previous = await self.get(key)
        self._failures[key] = (previous.count + 1, time.monotonic())
        self._failures.move_to_end(key)
        if len(self._failures) > MOST_KEPT:
            self._failures.popitem(last=False)

    async def forget(self, key: str) -> None:
        """Forget the failures of a key."""
        self._failures.pop(key, None)

    async def close(self) -> None:
        """Do nothing."""


class RedisFailures:
    """Counts in Redis, for all replicas; in this process while Redis is unreachable."""

    def __init__(self, url: str) -> None:
        from tertulia.redis_client import AWAY, connect_redis

        self._errors = AWAY
        self._redis = connect_redis(url, socket_connect_timeout=REDIS_PATIENCE, socket_timeout=REDIS_PATIENCE)
        self._local = LocalFailures()

    async def get(self, key: str) -> Failures:
        """Return the failures of a key."""
        try:
            async with asyncio.timeout(REDIS_PATIENCE), self._redis.pipeline(transaction=True) as pipeline:
                count, ttl_ms = await pipeline.get(_redis_key(key)).pttl(_redis_key(key)).execute()
        except self._errors as error:
            logger.warning("Redis is unreachable, so each process counts failed sign-ins by itself: %r", error)
            return await self._local.get(key)
        return Failures(int(count), max(FORGOTTEN_AFTER - ttl_ms / 1000, 0.0)) if count else Failures()

    async def add(self, key: str) -> None:
        """Count a failure."""
        await self._local.add(key)
        try:
            async with asyncio.timeout(REDIS_PATIENCE), self._redis.pipeline(transaction=True) as pipeline:
                pipeline.incr(_redis_key(key)).pexpire(_redis_key(key), int(FORGOTTEN_AFTER * 1000))
                await pipeline.execute()
        except self._errors:
            return

    async def forget(self, key: str) -> None:
        """Forget the failures of a key."""
        await self._local.forget(key)
        try:
            async with asyncio.timeout(REDIS_PATIENCE):
                await self._redis.delete(_redis_key(key))
        except self._errors:
            return

    async def close(self) -> None:
        """Close all connections."""
        from tertulia.redis_client import close_redis

        await close_redis(self._redis)


class SignInThrottle:
    """Decides how long a sign-in attempt has to wait. Failures are counted in `store`."""

    def __init__(self, store: FailureStore) -> None:
        self._store = store

    async def wait(self, name: str, address: str) -> float:
        """Return the seconds after which this address may try the name again; 0 for now."""
        failures = await self._store.get(_pair(name, address))
        if failures.count < FREE_FAILURES:
            return 0.0
        wait = min(2.0 ** min(failures.count - FREE_FAILURES + 1, 10), LONGEST_WAIT)
        return max(wait - failures.age, 0.0)

    async def delay(self, name: str) -> None:
        """Sleep, up to 2 seconds: the longer, the more wrong passwords were tried for the name from any addresses."""
        failures = await self._store.get(_anywhere(name))
        excess = failures.count - FREE_FAILURES_FROM_ANYWHERE
        if excess > 0:
            await asyncio.sleep(min(excess * DELAY_PER_FAILURE, LONGEST_DELAY))

    async def failed(self, name: str, address: str) -> None:
        """Count a wrong password."""
        await self._store.add(_pair(name, address))
        await self._store.add(_anywhere(name))

    async def succeeded(self, name: str, address: str) -> None:
        """Forget the failures from this address. The name's failures from other addresses still count."""
        await self._store.forget(_pair(name, address))

    async def close(self) -> None:
        """Close all connections."""
        await self._store.close()


def network_of(address: str) -> str:
    """Return the network of one client: an IPv4 address, or the /64 network of an IPv6 address."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, IPV6_NETWORK), strict=False))
    return str(parsed)


def _pair(name: str, address: str) -> str:
    return f"pair\n{name}\n{network_of(address)}"


def _anywhere(name: str) -> str:
    return f"name\n{name}"


def _redis_key(key: str) -> str:
    return f"tertulia:failures:{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"
