"""Slots for the long-lived connections of each user, over all processes. An open connection occupies one slot."""

import time
from collections import Counter
from contextlib import suppress
from typing import Protocol
from uuid import UUID

SLOT_SECONDS = 90.0
"""The time in seconds after which a slot expires. Open connections renew their slots earlier."""
ACQUIRE = """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])
local new = redis.call('ZSCORE', KEYS[1], ARGV[3]) == false
if new and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[4]) then return 0 end
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[3])
redis.call('PEXPIRE', KEYS[1], 200000)
return 1
"""


class ConnectionSlots(Protocol):
    """Counts the open connections of each subject."""

    async def acquire(self, subject: UUID, slot_id: UUID, limit: int) -> bool:
        """Acquire or renew a slot. Return False if all slots are in use, and True while Redis is unavailable."""
        ...

    async def release(self, subject: UUID, slot_id: UUID) -> None:
        """Release a slot."""
        ...

    async def count(self, subject: UUID) -> int:
        """Return how many slots are in use."""
        ...


class LocalConnectionSlots:
    """Slots for the connections of this process."""

    def __init__(self) -> None:
        """Initialize without connections."""
        self._subjects: dict[UUID, UUID] = {}
        self._counts = Counter[UUID]()

    async def acquire(self, subject: UUID, slot_id: UUID, limit: int) -> bool:
        """Acquire or renew a slot."""
        if slot_id in self._subjects:
            return True
        if self._counts[subject] >= limit:
            return False
        self._subjects[slot_id] = subject
        self._counts[subject] += 1
        return True

    async def release(self, subject: UUID, slot_id: UUID) -> None:
        """Release a slot."""
        if self._subjects.pop(slot_id, None) is not None:
            self._counts[subject] -= 1
            if not self._counts[subject]:
                del self._counts[subject]

    async def count(self, subject: UUID) -> int:
        """Return how many slots are in use."""
        return self._counts[subject]


class RedisConnectionSlots:
    """Slots for the connections of all processes that share a Redis."""

    def __init__(self, url: str) -> None:
        """Create a client for a Redis URL, without connecting."""
        from tertulia.redis_client import AWAY, connect_redis

        self._errors = AWAY
        self._redis = connect_redis(url, socket_connect_timeout=1.0, socket_timeout=1.0)
        self._acquire = self._redis.register_script(ACQUIRE)

    async def acquire(self, subject: UUID, slot_id: UUID, limit: int) -> bool:
        """Acquire or renew a slot."""
        timestamp = time.time()
        with suppress(*self._errors):
            result = await self._acquire(
                keys=[_key(subject)], args=[timestamp, timestamp + SLOT_SECONDS, slot_id.hex, limit]
            )
            return bool(result)
        return True

    async def release(self, subject: UUID, slot_id: UUID) -> None:
        """Release a slot."""
        with suppress(*self._errors):
            await self._redis.zrem(_key(subject), slot_id.hex)

    async def count(self, subject: UUID) -> int:
        """Return how many slots are in use."""
        with suppress(*self._errors):
            return int(await self._redis.zcount(_key(subject), time.time(), "+inf"))
        return 0

    async def close(self) -> None:
        """Close the connections to Redis."""
        from tertulia.redis_client import close_redis

        await close_redis(self._redis)


def _key(subject: UUID) -> str:
    return f"tertulia:open:{subject.hex}"
