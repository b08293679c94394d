"""Moving windows in Redis, with the scripts of the library `limits`, which touch one key each."""

from typing import Any

from limits.aio.storage import RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter

from tertulia.ratelimit.memory import Windows


def redis_windows(redis: Any) -> Windows:
    """Return windows that are counted with a client of Redis, for all processes."""

    def client(_is_readonly: object) -> Any:
        return redis

    # The library can use a pool, but not an existing client of a cluster. It connects when it counts.
    storage = RedisStorage("async+redis://", implementation="redispy")
    bridge: Any = storage.bridge
    bridge.storage, bridge.connection_getter = redis, client
    bridge.register_scripts()
    return MovingWindowRateLimiter(storage)
