"""Connections to Redis are closed at the end, whatever still uses them or fails then."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
import redis as redis_client
from client import wait_until
from redis.exceptions import TimeoutError as RedisTimeoutError
from servers import Servers

from tertulia.ratelimit.limits import Rate, Rates
from tertulia.ratelimit.slots import RedisConnectionSlots
from tertulia.server.auth.throttle import RedisFailures
from tertulia.streams.redis.log import RedisLog


@pytest.fixture
def url(servers: Servers) -> str:
    return servers.redis_url()


def assert_no_connections(url: str) -> None:
    """Wait until Redis has no connection to the database of the address, except the one that asks."""
    with redis_client.Redis.from_url(url) as client:
        number = str(client.connection_pool.connection_kwargs["db"])

        def others() -> bool:
            return len([one for one in client.client_list() if one["db"] == number]) == 1

        wait_until(others, "the end of all connections")


CLIENTS: dict[str, Callable[[str], Any]] = {"rates": Rates, "slots": RedisConnectionSlots, "failures": RedisFailures}


@pytest.mark.parametrize("name", CLIENTS)
def test_what_still_uses_redis_at_the_end_leaves_no_connection_open(url: str, name: str) -> None:
    async def work() -> None:
        client = CLIENTS[name](url)

        async def use() -> None:
            if isinstance(client, Rates):
                await client.hit(Rate("x", "2/minute"), "ada")
            elif isinstance(client, RedisConnectionSlots):
                await client.release(uuid4(), uuid4())
            else:
                await client.get("ada")

        connecting = [asyncio.create_task(use()) for _ in range(4)]
        await asyncio.sleep(0)
        await client.close()
        await asyncio.gather(*connecting)
        await use()
        # The event loop is still running, so nothing but the client itself has closed its connections.
        await asyncio.to_thread(assert_no_connections, url)

    asyncio.run(work())


def test_a_log_whose_connections_close_slowly_leaves_none_open(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        log = RedisLog(url, uuid4())
        await log.start()
        heard = asyncio.Event()
        log.on("heard", lambda _: heard.set())
        while not heard.is_set():
            log.send("heard", uuid4())
            await asyncio.sleep(0.005)
        await log.check()
        pool = log._redis.connection_pool
        disconnect = pool.disconnect

        async def disconnect_slowly() -> None:
            await disconnect()
            raise RedisTimeoutError("Timed out closing connection")

        monkeypatch.setattr(pool, "disconnect", disconnect_slowly)
        await log.close()
        log.send("late", uuid4())
        await asyncio.sleep(0)
        await asyncio.to_thread(assert_no_connections, url)

    asyncio.run(work())
