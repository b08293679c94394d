"""How many long connections somebody holds open, over all processes: places that are taken, and given back."""

import time
from collections import Counter
from contextlib import suppress
from typing import Any, Protocol
from uuid import UUID

LASTS = 90.0
"""Seconds for which a place is held; whoever still sits there takes it again before. So a process that died frees its
places."""
TAKE = """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])
local new = redis.call('ZSCORE', KEYS[1], ARGV[3]) == false
if new and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[4]) then return 0 end
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[3])
redis.call('PEXPIRE', KEYS[1], 200000)
return 1
"""


class ConnectionSlots(Protocol):
    """Counts places."""

    async def take(self, subject: UUID, place: UUID, most: int) -> bool:
        """Take a place, or hold one that was taken; False where all are taken. While Redis is away there is room."""
        ...

    async def leave(self, subject: UUID, place: UUID) -> None:
        """Give a place back."""
        ...

    async def count(self, subject: UUID) -> int:
        """Say how many are taken."""
        ...


class LocalConnectionSlots:
    """Places in this process."""

    def __init__(self) -> None:
        """Begin with none taken."""
        self._taken: dict[UUID, UUID] = {}
        self._counts = Counter[UUID]()

    async def take(self, subject: UUID, place: UUID, most: int) -> bool:
        """Take a place, or hold one that was taken."""
        if place in self._taken:
            return True
        if self._counts[subject] >= most:
            return False
        self._taken[place] = subject
        self._counts[subject] += 1
        return True

    async def leave(self, subject: UUID, place: UUID) -> None:
        """Give a place back."""
        if self._taken.pop(place, None) is not None:
            self._counts[subject] -= 1
            if not self._counts[subject]:
                del self._counts[subject]

    async def count(self, subject: UUID) -> int:
        """Say how many are taken."""
        return self._counts[subject]


class RedisConnectionSlots:
    """Places in all processes that share a Redis."""

    def __init__(self, url: str) -> None:
        """Take the address; nothing is opened yet."""
        from redis.asyncio import Redis
        from redis.exceptions import RedisError

        self._errors = (RedisError, OSError, TimeoutError)
        client: Any = Redis
        self._redis = client.from_url(url, socket_connect_timeout=1.0, socket_timeout=1.0)
        self._take = self._redis.register_script(TAKE)

    async def take(self, subject: UUID, place: UUID, most: int) -> bool:
        """Take a place, or hold one that was taken."""
        moment = time.time()
        with suppress(*self._errors):
            taken = await self._take(keys=[_key(subject)], args=[moment, moment + LASTS, place.hex, most])
            return bool(taken)
        return True

    async def leave(self, subject: UUID, place: UUID) -> None:
        """Give a place back."""
        with suppress(*self._errors):
            await self._redis.zrem(_key(subject), place.hex)

    async def count(self, subject: UUID) -> int:
        """Say how many are taken."""
        with suppress(*self._errors):
            return int(await self._redis.zcount(_key(subject), time.time(), "+inf"))
        return 0

    async def close(self) -> None:
        """Close the connection."""
        await self._redis.aclose()


def _key(subject: UUID) -> str:
    return f"tertulia:open:{subject.hex}"
