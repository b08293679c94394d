"""Clients of answers that Claude writes at a pace: measured in the middle, when all of them run."""

import argparse
import asyncio
import json
import time
from functools import partial
from itertools import count

from bench.load.answers import Answer, Asker, Tally
from bench.measuring import Window, percentile, rss_mb
from bench.wire import OPENING, Json, Socket, open_sockets, side_by_side

RAMP_SECONDS = 30.0
"""How long beginning may take; what has not begun by then is reported, not waited for."""


class Clients:
    """So many clients, each with an answer that runs; where answers have an end, another one follows."""

    def __init__(self, options: argparse.Namespace) -> None:
        """Open nothing yet."""
        self._options = options
        self.rate = 1000 / options.interval_ms
        """Tokens a second of one answer."""
        self.tallies = [Tally() for _ in options.ports]
        self._asker = Asker(options.kind, options.ports[0])
        self._sockets: list[list[Socket]] = []
        self._going_on: list[asyncio.Task[None]] = []

    async def begin(self) -> None:
        """Open the sockets and begin the answers; an overloaded candidate does not get as far with all of them."""
        self._sockets = await open_sockets(self._options.ports, self._options.streams)
        try:
            async with asyncio.timeout(RAMP_SECONDS):
                await side_by_side(OPENING, [partial(self._begin, number) for number in range(len(self._sockets))])
        except TimeoutError:
            pass  # `begun` says how many of them run.

    def end(self) -> None:
        """Cut all connections."""
        for task in self._going_on:
            task.cancel()
        for sockets in self._sockets:
            for socket in sockets:
                socket.close()

    def _tokens(self, number: int) -> int:
        """Give the length of a client's first answer: ends of answers are spread over time."""
        options, whole = self._options, int(self._options.answer_tokens)
        if whole:
            return max(whole * (number + 1) // int(options.streams), 1)
        return int(self.rate * (RAMP_SECONDS + options.warm + options.seconds + 10))

    async def _begin(self, number: int) -> None:
        try:
            answers = await self._ask(number, "first", self._tokens(number))
            for answer in answers:
                await answer.text_came
        except ConnectionError as error:
            self.tallies[0].errors.append(str(error))
            return
        if self._options.answer_tokens:
            self._going_on.append(asyncio.create_task(self._go_on(number, answers)))

    async def _go_on(self, number: int, answers: list[Answer]) -> None:
        try:
            for turn in count():
                for answer in answers:
                    await answer.done
                answers = await self._ask(number, str(turn), self._options.answer_tokens)
        except ConnectionError as error:
            self.tallies[0].errors.append(str(error))

    async def _ask(self, number: int, id: str, tokens: int) -> list[Answer]:
        text = f"bench tokens={tokens} interval_ms={self._options.interval_ms}"
        return await self._asker.ask(id, text, self._sockets[number], self.tallies)


async def steady(options: argparse.Namespace) -> Json:
    """Let answers run at a pace, and measure a stretch in the middle of all of them."""
    clients = Clients(options)
    await clients.begin()
    await asyncio.sleep(options.warm)
    result = await _measure(options, clients.tallies)
    clients.end()
    return {**result, "offered": clients.rate * options.streams, "streams": options.streams}


async def _measure(options: argparse.Namespace, tallies: list[Tally]) -> Json:
    before = [tally.tokens for tally in tallies]
    for tally in tallies:
        tally.measuring = True
    window, begun = Window(options.pids, options.upstream_pid), time.monotonic_ns()
    print(json.dumps({"phase": "window"}), flush=True)
    await asyncio.sleep(options.seconds)
    ended = time.monotonic_ns()
    seconds = (ended - begun) / 1e9
    cpu, load = window.cpu(), window.load(seconds)
    for tally in tallies:
        tally.measuring = False
    counts = [tally.tokens - earlier for tally, earlier in zip(tallies, before, strict=True)]
    return {
        "tokens": counts[0],
        "delivered": counts[0] / seconds,
        "cpu_us": 1e6 * sum(cpu) / max(counts[0], 1),
        "cpu_share": sum(cpu) / seconds,
        "rss_mb": [rss_mb(pid) for pid in options.pids],
        "window": [begun, ended],
        "readers": [_seen(tally, count) for tally, count in zip(tallies, counts, strict=True)],
        **load,
    }


def _seen(tally: Tally, tokens: int) -> Json:
    milliseconds = [latency / 1e6 for latency in tally.latencies]
    return {
        "tokens": tokens,
        "begun": tally.begun,
        "p50_ms": percentile(milliseconds, 0.5),
        "p99_ms": percentile(milliseconds, 0.99),
        "max_ms": max(milliseconds, default=0.0),
        "violations": tally.violations,
        "errors": tally.errors[:3],
    }
