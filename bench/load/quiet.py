"""Clients without answers: idle subscriptions, and successive requests."""

import argparse
import asyncio
import json
import time

from bench.load.answers import FOLLOW, IDLE, Answer, Asker, Tally
from bench.measuring import Window, percentile, rss_mb
from bench.wire import OPENING, Http, Json, Socket, gather_limited, get, open_socket, post

PATIENCE = 120.0
"""Seconds within which a subscription must have sent its first event."""


async def idle(options: argparse.Namespace) -> Json:
    """Open idle subscriptions, each on its own socket, and measure the memory that they take.

    The CPU of opening and closing all of them is measured too.
    """
    tally = Tally()
    before = [rss_mb(pid) for pid in options.pids]
    generation = ""
    if options.kind == "tertulia":
        generation = await Asker("tertulia", options.ports[0], 1).send("bench tokens=3 interval_ms=20 hang=1")
    query, variables = (FOLLOW, {"id": generation}) if generation else (IDLE, {})

    async def hold() -> Socket:
        socket = await open_socket(options.ports[0])
        answer = Answer(tally)
        socket.subscribe("1", query, variables, answer.take)
        await asyncio.wait_for(answer.text_came, PATIENCE)
        return socket

    window = Window(options.pids)
    sockets = await gather_limited(OPENING, [hold] * options.streams)
    opened = sum(window.cpu())
    await asyncio.sleep(options.warm)
    after = [rss_mb(pid) for pid in options.pids]
    window = Window(options.pids)
    for socket in sockets:
        socket.close()
    await asyncio.sleep(options.warm)
    return {
        "before_mb": before,
        "after_mb": after,
        "begun": tally.begun,
        "errors": tally.errors[:3],
        "open_cpu_ms": 1000 * opened,
        "close_cpu_ms": 1000 * sum(window.cpu()),
    }


async def requests(options: argparse.Namespace) -> Json:
    """Repeat a request, one at a time per client. Measures the CPU per request, and requests per second."""
    request = post(options.path, json.loads(options.body)) if options.body else get(options.path)
    connections = [Http(options.ports[0]) for _ in range(options.streams)]
    sizes = [len(await connection.send(request)) for connection in connections]
    waits: list[int] = []

    async def work(connection: Http, until: float) -> None:
        while time.monotonic() < until:
            begun = time.monotonic_ns()
            await connection.send(request)
            waits.append(time.monotonic_ns() - begun)

    async def work_for(seconds: float) -> None:
        until = time.monotonic() + seconds
        await asyncio.gather(*(work(connection, until) for connection in connections))

    await work_for(options.warm)
    waits.clear()
    window, begun = Window(options.pids, options.upstream_pid), time.monotonic()
    await work_for(options.seconds)
    seconds = time.monotonic() - begun
    return {
        "requests": len(waits),
        "rate": len(waits) / seconds,
        "cpu_us": 1e6 * sum(window.cpu()) / max(len(waits), 1),
        "p50_ms": percentile(waits, 0.5) / 1e6,
        "p99_ms": percentile(waits, 0.99) / 1e6,
        "bytes": sizes[0],
        **window.load(seconds),
    }
