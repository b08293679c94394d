"""A second implementation of the load `steady`, with other libraries, to verify the measurements of the first.

It shares only the GraphQL documents, the format of a token and the source of the CPU time with the first: aiohttp sends
and receives, and the standard library parses. It needs more CPU, so use it with few streams.
"""

import argparse
import asyncio
import statistics
import time
from typing import Any

import aiohttp

from bench.load.answers import DIRECT, FOLLOW, SEND
from bench.measuring import cpu_seconds
from bench.upstream import STAMP_DIGITS, WIDTH

Json = dict[str, Any]
START_SECONDS = 30


class Reader:
    """One client: an HTTP request for the answer if the server needs one, and a WebSocket that follows it."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._address = f"http://127.0.0.1:{options.ports[0]}/graphql"
        self.arrivals: list[tuple[int, str]] = []
        """The time.monotonic_ns() of each delta's arrival, and its text."""
        self.problems: list[str] = []
        self.first = asyncio.Event()

    async def run(self) -> None:
        """Follow one answer until cancelled."""
        options = self._options
        seconds = START_SECONDS + options.warm + options.seconds
        text = f"bench tokens={int(1000 * seconds / options.interval_ms)} interval_ms={options.interval_ms}"
        async with aiohttp.ClientSession() as session:
            query, variables = DIRECT, {"text": text}
            if options.kind == "tertulia":
                body = {"query": SEND, "variables": variables}
                async with session.post(self._address, json=body) as response:
                    sent = (await response.json())["data"]["sendMessage"]
                query, variables = FOLLOW, {"id": sent["generation"]["id"]}
            async with session.ws_connect(self._address, protocols=("graphql-transport-ws",), max_msg_size=0) as socket:
                await socket.send_json({"type": "connection_init"})
                await socket.receive_json()
                payload = {"query": query, "variables": variables}
                await socket.send_json({"id": "a", "type": "subscribe", "payload": payload})
                await self._follow(socket)

    async def _follow(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        written = 0
        while True:
            message = await socket.receive_json()
            now = time.monotonic_ns()
            event: Json = ((message.get("payload") or {}).get("data") or {}).get("events") or {}
            text = event["message"]["text"] if "message" in event else event.get("text")
            if message["type"] == "ping":
                await socket.send_json({"type": "pong"})
            elif message["type"] != "next" or event.get("__typename") == "GenerationFailed":
                self.problems.append(str(message)[:300])
            elif text:
                if event.get("offset", written) != written:
                    self.problems.append(f"offset {event['offset']} after {written} characters")
                written += len(text)
                self.arrivals.append((now, text))
                self.first.set()


async def second(options: argparse.Namespace) -> Json:
    """Follow answers at a pace, and measure an interval in which all of them run."""
    readers = [Reader(options) for _ in range(options.streams)]
    tasks = [asyncio.create_task(reader.run()) for reader in readers]
    async with asyncio.timeout(START_SECONDS):
        await asyncio.gather(*(reader.first.wait() for reader in readers))
    await asyncio.sleep(options.warm)
    cpu, begun = sum(map(cpu_seconds, options.pids)), time.monotonic_ns()
    await asyncio.sleep(options.seconds)
    ended = time.monotonic_ns()
    spent = sum(map(cpu_seconds, options.pids)) - cpu
    for task in tasks:
        task.cancel()
    failed = [
        repr(error) for error in await asyncio.gather(*tasks, return_exceptions=True) if isinstance(error, Exception)
    ]
    arrivals = [(at, text) for reader in readers for at, text in reader.arrivals if begun <= at < ended]
    tokens = sum(len(text) for _, text in arrivals) // WIDTH
    delays = [
        (at - int(text[start : start + STAMP_DIGITS])) / 1e6
        for at, text in arrivals
        for start in range(0, len(text), WIDTH)
    ]
    percentiles = statistics.quantiles(delays or [0.0, 0.0], n=100)
    problems = [problem for reader in readers for problem in reader.problems] + failed
    return {
        "tokens": tokens,
        "deltas": len(arrivals),
        "delivered": 1e9 * tokens / (ended - begun),
        "offered": 1000 / options.interval_ms * options.streams,
        "cpu_us": 1e6 * spent / max(tokens, 1),
        "frame_us": 1e6 * spent / max(len(arrivals), 1),
        "p50_ms": percentiles[49],
        "p99_ms": percentiles[98],
        "problems": problems[:3],
    }
