"""Measure the writes of many answers to a Redis Cluster of three nodes, with Tertulia's script.

python -m bench.redis_cost.cluster               150 answers of 160 tokens, in batches of two
"""

import asyncio
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID, uuid4

import redis.asyncio

from bench.processes import free_port, redis_server
from tertulia.streams.codec import encode
from tertulia.streams.events import TextDelta
from tertulia.streams.redis.scripts import APPEND, holder_key, partition_tags, stream_key

NODES, ANSWERS, TOKENS, BATCH = 3, 150, 160, 2
LIFE = 900
TAGS = partition_tags()
START_SECONDS = 20.0


def node(folder: Path, port: int) -> "subprocess.Popen[bytes]":
    """Start one node."""
    folder.mkdir()
    options = [
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--cluster-enabled",
        "yes",
        "--save",
        "",
        "--dir",
        str(folder),
    ]
    return subprocess.Popen([redis_server(), *options], stdout=subprocess.DEVNULL)


async def join(ports: list[int]) -> None:
    """Distribute the slots among the nodes, and wait until all nodes are connected."""
    nodes: list[Any] = [redis.asyncio.Redis(port=port) for port in ports]
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            for one in nodes:
                await one.ping()
            break
        except redis.ConnectionError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)
    for number, one in enumerate(nodes):
        slots = range(16384 * number // NODES, 16384 * (number + 1) // NODES)
        await one.execute_command("CLUSTER", "ADDSLOTS", *slots)
        await one.execute_command("CLUSTER", "MEET", "127.0.0.1", ports[0])
    while not all([await is_connected(one) for one in nodes]):
        if time.monotonic() > deadline:
            raise RuntimeError(f"the nodes did not form a cluster within {START_SECONDS:.0f} seconds")
        await asyncio.sleep(0.05)
    for one in nodes:
        await one.aclose()


async def is_connected(one: Any) -> bool:
    """Return whether a node knows all nodes and their slots."""
    info: bytes = await one.execute_command("CLUSTER", "INFO")
    return b"cluster_state:ok" in info and b"cluster_known_nodes:%d" % NODES in info


def tag_of(generation_id: UUID) -> str:
    """Return the hash tag of an answer's partition."""
    return TAGS[generation_id.int % len(TAGS)]


async def write(ports: list[int]) -> None:
    """Write all answers, and print the measurements."""
    nodes: list[Any] = [redis.asyncio.Redis(port=port) for port in ports]
    cluster: Any = redis.asyncio.RedisCluster(host="127.0.0.1", port=ports[0])
    script = cluster.register_script(APPEND)
    names, holder = [uuid4() for _ in range(ANSWERS)], str(uuid4())
    before = [await one.info("cpu") for one in nodes]
    for last in range(0, TOKENS, BATCH):
        for name in names:
            events = [TextDelta(name, last + one, 0, 6 * (last + one), " words") for one in range(1, BATCH + 1)]
            keys = [stream_key(name, tag_of(name)), holder_key(name, tag_of(name))]
            await script(keys, [holder, LIFE, 0, last, last + BATCH, encode(events), int(not last)])
    batches = ANSWERS * TOKENS // BATCH
    after = [await one.info("cpu") for one in nodes]
    spent = [sum(b[k] - a[k] for k in ("used_cpu_user", "used_cpu_sys")) for a, b in zip(before, after, strict=True)]
    shares = [await one.dbsize() for one in nodes]
    sizes = [await cluster.memory_usage(stream_key(name, tag_of(name))) for name in names]
    print(
        f"{NODES} nodes hold {shares} keys of {ANSWERS} answers; {sum(sizes) / ANSWERS / TOKENS:.0f} bytes per token, "
        f"{sum(sizes) / ANSWERS / 1000:.1f} KB per answer; {1e6 * sum(spent) / batches:.0f} µs CPU for {BATCH} tokens"
    )
    await cluster.aclose()
    for one in nodes:
        await one.aclose()


def main() -> int:
    """Start the cluster and measure."""
    with TemporaryDirectory() as name, ExitStack() as stack:
        ports = [free_port() for _ in range(NODES)]
        for port in ports:
            process = node(Path(name) / str(port), port)
            stack.callback(process.wait)
            stack.callback(process.kill)
        asyncio.run(join(ports))
        asyncio.run(write(ports))
    return 0


if __name__ == "__main__":
    sys.exit(main())
