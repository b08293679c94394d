"""Measure the writes of many answers to a Redis Cluster of three nodes, with Tertulia's log.

python -m bench.redis_cost.cluster               150 answers of 160 tokens, in batches of two
"""

import asyncio
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import redis.asyncio

from bench.processes import free_port, redis_server
from tertulia.streams.events import TextDelta
from tertulia.streams.lease import Lease
from tertulia.streams.redis.batch import STORE_SECONDS
from tertulia.streams.redis.log import RedisLog

NODES, ANSWERS, TOKENS, BATCH = 3, 150, 160, 2
START_SECONDS = 20.0


def node_port() -> int:
    """Return a free port for a node, which also uses the port 10,000 above it."""
    while (port := free_port()) + 10_000 >= 1 << 16:
        pass
    return port


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


@dataclass(frozen=True, slots=True)
class Usage:
    """The CPU that a node has used, and the commands that it has processed."""

    seconds: float
    commands: int


async def usage(node: Any) -> Usage:
    """Return the usage of a node."""
    info = await node.info()
    return Usage(info["used_cpu_user"] + info["used_cpu_sys"], info["total_commands_processed"])


async def write(ports: list[int]) -> None:
    """Write all answers, and print the measurements."""
    nodes: list[Any] = [redis.asyncio.Redis(port=port) for port in ports]
    names = [uuid4() for _ in range(ANSWERS)]
    log = RedisLog(f"redis+cluster://127.0.0.1:{ports[0]}", uuid4())
    await log.start()
    for name in names:
        lease = Lease(None)
        lease.never_expire()
        log.open(name, lease)
    before = [await usage(one) for one in nodes]
    for last in range(0, TOKENS, BATCH):
        for name in names:
            log.append(
                name, [TextDelta(name, last + one, 0, 6 * (last + one), " words") for one in range(1, BATCH + 1)]
            )
        await asyncio.gather(*(log.flush(name) for name in names))
    after = [await usage(one) for one in nodes]
    spent = sum(end.seconds - begin.seconds for begin, end in zip(before, after, strict=True))
    commands = sum(end.commands - begin.commands for begin, end in zip(before, after, strict=True))
    await asyncio.sleep(2 * STORE_SECONDS)
    shares = [len(await one.keys("tertulia:*:log")) for one in nodes]
    sizes = [await one.memory_usage(key) for one in nodes for key in await one.keys("tertulia:*:log")]
    print(
        f"{NODES} nodes hold {shares} of {ANSWERS} answers; {sum(sizes) / ANSWERS / TOKENS:.0f} bytes per token, "
        f"{sum(sizes) / ANSWERS / 1000:.1f} KB per answer; {1e6 * spent / ANSWERS / TOKENS:.1f} µs CPU per token, "
        f"{commands / ANSWERS / TOKENS:.2f} commands"
    )
    await log.close()
    for one in nodes:
        await one.aclose()


def main() -> int:
    """Start the cluster and measure."""
    with TemporaryDirectory() as name, ExitStack() as stack:
        ports = [node_port() for _ in range(NODES)]
        for port in ports:
            process = node(Path(name) / str(port), port)
            stack.callback(process.wait)
            stack.callback(process.kill)
        asyncio.run(join(ports))
        asyncio.run(write(ports))
    return 0


if __name__ == "__main__":
    sys.exit(main())
