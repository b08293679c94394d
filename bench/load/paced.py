"""Clients of answers that are written at a given pace, measured while all of them run."""

import argparse
import asyncio
import json
import time
from functools import partial
from itertools import count

from bench.load.answers import DIRECT, FOLLOW, Answer, Asker, Tally
from bench.measuring import Window, percentile, rss_mb
from bench.wire import OPENING, Json, Socket, gather_limited, open_sockets

RAMP_SECONDS = 30.0
"""How long the start of all answers may take. Answers that have not begun by then are reported."""


class Clients:
    """Clients that each follow a running answer, and request another one when it ends."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self.rate = 1000 / options.interval_ms
        """Tokens per second of one answer."""
        self.tallies = [Tally() for _ in options.ports]
        self._asker = Asker(options.kind, options.ports[0])
        self._sockets: list[list[Socket]] = []
        self._followups: list[asyncio.Task[None]] = []

    async def begin(self) -> None:
        """Open the sockets and start the answers. An overloaded candidate may not start all of them in time."""
        self._sockets = await open_sockets(self._options.ports, self._options.streams)
        try:
            async with asyncio.timeout(RAMP_SECONDS):
                await gather_limited(OPENING, [partial(self._begin, number) for number in range(len(self._sockets))])
        except TimeoutError:
            pass  # `begun` reports how many run.

    def end(self) -> None:
        """Close all connections."""
        for task in self._followups:
            task.cancel()
        for sockets in self._sockets:
            for socket in sockets:
                socket.close()

    def _tokens(self, number: int) -> int:
        """Return the length of a client's first answer. Lengths differ, so that answers end at different times."""
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
            self._followups.append(asyncio.create_task(self._continue(number, answers)))

    async def _continue(self, number: int, answers: list[Answer]) -> None:
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
    """Run answers at a pace, and measure an interval in which all of them run."""
    clients = Clients(options)
    await clients.begin()
    await asyncio.sleep(options.warm)
    result = await _measure(options, clients.tallies)
    clients.end()
    return {**result, "offered": clients.rate * options.streams}


async def followers(options: argparse.Namespace) -> Json:
    """Follow one answer with all clients, and measure like `steady`. A token counts once for each follower."""
    tally, rate = Tally(), 1000 / options.interval_ms
    clients = await open_sockets(options.ports[:1], options.streams)
    tokens = int(rate * (RAMP_SECONDS + options.warm + options.seconds))
    text = f"bench tokens={tokens} interval_ms={options.interval_ms}"
    if options.kind == "tertulia":
        query, variables = FOLLOW, {"id": await Asker(options.kind, options.ports[0], 1).send(text)}
    else:
        query, variables = DIRECT, {"text": text}
    answers = [Answer(tally) for _ in clients]
    for [socket], answer in zip(clients, answers, strict=True):
        socket.subscribe("1", query, variables, answer.take)
    async with asyncio.timeout(RAMP_SECONDS):
        await asyncio.gather(*(answer.text_came for answer in answers))
    await asyncio.sleep(options.warm)
    result = await _measure(options, [tally])
    for [socket] in clients:
        socket.close()
    return {**result, "offered": rate * options.streams}


async def _measure(options: argparse.Namespace, tallies: list[Tally]) -> Json:
    before = [(tally.tokens, tally.deltas) for tally in tallies]
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
    counts = [tally.tokens - tokens for tally, (tokens, _) in zip(tallies, before, strict=True)]
    deltas = tallies[0].deltas - before[0][1]
    return {
        "tokens": counts[0],
        "deltas": deltas,
        "delivered": counts[0] / seconds,
        "cpu_us": 1e6 * sum(cpu) / max(counts[0], 1),
        "frame_us": 1e6 * sum(cpu) / max(deltas, 1),
        "cpu_share": sum(cpu) / seconds,
        "rss_mb": [rss_mb(pid) for pid in options.pids],
        "window": [begun, ended],
        "readers": [_reader_result(tally, count) for tally, count in zip(tallies, counts, strict=True)],
        **load,
    }


def _reader_result(tally: Tally, tokens: int) -> Json:
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
