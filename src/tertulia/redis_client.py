"""Clients of Redis, for one server or for a Redis Cluster.

The address says which: detecting it at the start would not work while Redis is unreachable, and replicas that disagree
about it would use different keys.
"""

import asyncio
from contextlib import suppress
from typing import Any

from redis.asyncio import ConnectionPool, Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import AbstractConnection, SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisClusterException, RedisError

AWAY = (RedisError, RedisClusterException, OSError, TimeoutError)
"""The errors of an unavailable Redis."""
CLUSTER = "+cluster://"
"""Follows `redis` or `rediss` in the address of a cluster."""
MOST_CONNECTIONS = 1_000
"""Connections of a client to each node of a cluster. Opening too many is an error."""
MODE_SECONDS = 2.0
"""Seconds within which Redis must report its mode; otherwise it counts as unreachable."""


def is_cluster(url: str) -> bool:
    """Return whether an address is that of a Redis Cluster."""
    return CLUSTER in url.partition("?")[0]


def node_addresses(url: str) -> list[str]:
    """Return one plain address for each node that the address of a cluster names, or else the address itself."""
    if not is_cluster(url):
        return [url]
    scheme, _, rest = url.partition(CLUSTER)
    end = min((rest.find(mark) for mark in "/?#" if mark in rest), default=len(rest))
    user, at, nodes = rest[:end].rpartition("@")
    return [f"{scheme}://{user}{at}{node}{rest[end:]}" for node in nodes.split(",")]


def connect_redis(url: str, *, cluster_retries: int = 1, **options: Any) -> Any:
    """Return a client without connecting yet. End it with `close_redis`.

    Any, because the client's types are partly unknown, and it types replies as a union over all commands.

    Args:
        url: The address, as in REDIS_URL.
        cluster_retries: How often a command to a cluster is retried after a lost connection, with the new topology.
        options: Options of connections, such as timeouts.
    """
    if not is_cluster(url):
        pool: Any = _Pool
        return Redis.from_pool(pool.from_url(url, **options))
    parsed: list[dict[str, Any]] = [{**parse_url(address)} for address in node_addresses(url)]
    common = options | parsed[0]
    common["ssl"] = common.pop("connection_class", None) is SSLConnection
    for name in ("host", "port"):
        common.pop(name, None)
    common.setdefault("max_connections", MOST_CONNECTIONS)
    nodes = [ClusterNode(node["host"], node.get("port", 6379)) for node in parsed]
    # A moved slot replaces one entry of the topology. With steps, some of them would close all connections.
    return _Cluster(startup_nodes=nodes, retry=Retry(NoBackoff(), cluster_retries), reinitialize_steps=0, **common)


async def close_redis(client: Any) -> None:
    """Close the connections of a client, which opens no other ones, whatever still uses it."""
    if isinstance(client, _Cluster):
        client.is_closed = True
    # It closes all connections even if waiting for the end of one of them times out.
    with suppress(*AWAY):
        await client.aclose()


async def find_wrong_mode(url: str) -> str | None:
    """Return what is wrong if Redis runs in another mode than the address says; None also if it cannot be reached."""
    plain: Any = connect_redis(node_addresses(url)[0], retry=Retry(NoBackoff(), 0))
    try:
        async with asyncio.timeout(MODE_SECONDS):
            enabled = bool((await plain.info("cluster"))["cluster_enabled"])
    except (*AWAY, KeyError):
        return None
    finally:
        await close_redis(plain)
    if enabled == is_cluster(url):
        return None
    if enabled:
        return "this is a node of a Redis Cluster, whose address must be redis+cluster://... or rediss+cluster://..."
    return "this Redis is not a cluster, so its address must be redis://... or rediss://..."


def _refuse() -> RedisConnectionError:
    return RedisConnectionError("This client of Redis is closed.")


class _Pool(ConnectionPool):
    """A pool that stays closed: a task that still runs cannot open connections that nobody closes."""

    is_closed = False

    async def get_connection(self, *args: Any, **options: Any) -> AbstractConnection:
        if self.is_closed:
            raise _refuse()
        base: Any = super()
        connection: AbstractConnection = await base.get_connection(*args, **options)
        return connection

    async def release(self, connection: AbstractConnection) -> None:
        await super().release(connection)
        if self.is_closed:
            # It was opened while the pool was closed, or again by a command that was retried.
            await connection.disconnect()

    async def aclose(self) -> None:
        self.is_closed = True
        await super().aclose()


class _Cluster(RedisCluster):
    """A client of a cluster. The base class closes all connections when the topology changes, and opens them again."""

    is_closed = False

    async def initialize(self, *args: Any, **options: Any) -> "RedisCluster":
        if self.is_closed:
            raise _refuse()
        await super().initialize(*args, **options)
        if self.is_closed:
            await self.aclose()
            raise _refuse()
        return self

    async def ping(self, **options: Any) -> Any:
        """Raise if a primary does not respond. Replicas may be away."""
        base: Any = super()
        return await base.ping(target_nodes=self.PRIMARIES, **options)

    async def _determine_slot(self, command: str, *args: Any) -> int:
        # The base class would ask a node for the keys of each XREAD.
        if command == "XREAD":
            return self.keyslot(args[args.index(b"STREAMS") + 1])
        return await super()._determine_slot(command, *args)
