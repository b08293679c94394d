"""Clients of answers without a pace: all at once, or one after another."""

import argparse
import asyncio
import time

from bench.load.answers import Asker, Tally
from bench.measuring import Window, percentile, rss_mb
from bench.wire import Json, Socket, open_sockets


async def flat(options: argparse.Namespace) -> Json:
    """Run all answers without a pace. Measures from the first text to the last end, or for at most `seconds`."""
    tally = Tally()
    clients = await open_sockets(options.ports[:1], options.streams)
    asker = Asker(options.kind, options.ports[0])
    window = Window(options.pids, options.upstream_pid)

    async def whole(sockets: list[Socket]) -> None:
        for answer in await asker.ask("1", f"bench tokens={options.tokens} interval_ms=0", sockets, [tally]):
            await answer.done

    begun = time.monotonic_ns()
    try:
        async with asyncio.timeout(options.seconds):
            await asyncio.gather(*(whole(sockets) for sockets in clients))
    except TimeoutError:
        pass  # Long enough to know the rate of a slow candidate.
    ended = time.monotonic_ns()
    seconds = (ended - (tally.first_text or begun)) / 1e9
    return {
        "tokens": tally.tokens,
        "deltas": tally.deltas,
        "rate": tally.tokens / seconds,
        "cpu_us": 1e6 * sum(window.cpu()) / max(tally.tokens, 1),
        "ended": tally.ended,
        "violations": tally.violations,
        "errors": tally.errors[:3],
        **window.load((ended - begun) / 1e9),
    }


async def first(options: argparse.Namespace) -> Json:
    """Request one answer after another on an open socket. Measures milliseconds from the request to the first text."""
    tally = Tally()
    asker = Asker(options.kind, options.ports[0], connections=1)
    [[socket]] = await open_sockets(options.ports[:1], 1)
    waits: list[float] = []
    for number in range(options.count + 10):
        begun = time.monotonic_ns()
        text = "bench tokens=3 interval_ms=5 at_once=1"
        [answer] = await asker.ask(str(number), text, [socket], [tally])
        waits.append((await answer.text_came - begun) / 1e6)
        await answer.done
    waits = waits[10:]  # The first answers fill caches, once per server.
    return {"p50_ms": percentile(waits, 0.5), "p99_ms": percentile(waits, 0.99), "errors": tally.errors[:3]}


async def turns(options: argparse.Namespace) -> Json:
    """Request one answer after another in each client, until `count` answers are complete."""
    tally = Tally()
    clients = await open_sockets(options.ports[:1], options.streams)
    asker = Asker(options.kind, options.ports[0])
    numbers = iter(range(options.count))
    begun = time.monotonic()

    async def converse(sockets: list[Socket]) -> None:
        for number in numbers:
            text = f"bench tokens={options.tokens} interval_ms=0"
            for answer in await asker.ask(str(number), text, sockets, [tally]):
                await answer.done

    await asyncio.gather(*(converse(sockets) for sockets in clients))
    return {
        "tokens": tally.tokens,
        "ended": tally.ended,
        "seconds": time.monotonic() - begun,
        "rss_mb": [rss_mb(pid) for pid in options.pids],
        "violations": tally.violations,
        "errors": tally.errors[:3],
    }
