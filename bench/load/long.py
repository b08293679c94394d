"""Messages in one long conversation, while other clients follow their own answers."""

import argparse
import asyncio
import time

import orjson

from bench.load.answers import FOLLOW, Answer, Tally
from bench.load.paced import Clients
from bench.measuring import Window, percentile
from bench.wire import Http, Json, open_sockets, post

SEND = """mutation ($text: String!, $conversation: ID!) {
  sendMessage(input: { text: $text, conversationId: $conversation }) {
    ... on SendMessagePayload { generation { id } }
    ... on Error { message }
  } }"""
CONVERSATION = "{ conversations(first: 1, order: OLDEST) { edges { node { id } } } }"
WARM = 3
"""Messages before measuring."""


async def long(options: argparse.Namespace) -> Json:
    """Send messages into the oldest conversation, first alone, and then while `streams` other answers run."""
    http = Http(options.ports[0])
    found = orjson.loads(await http.send(post("/graphql", {"query": CONVERSATION})))
    conversation = found["data"]["conversations"]["edges"][0]["node"]["id"]
    await _sends(options, http, conversation, WARM)
    window = Window(options.pids)
    posts, firsts = await _sends(options, http, conversation, options.count)
    cpu = sum(window.cpu())
    clients = Clients(options)
    await clients.begin()
    tally = clients.tallies[0]
    before = await _lateness(options, http, conversation, tally, 0)
    during = await _lateness(options, http, conversation, tally, options.count)
    clients.end()
    http.close()
    return {
        "post_ms": percentile(posts, 0.5),
        "first_ms": percentile(firsts, 0.5),
        "cpu_ms": 1e3 * cpu / options.count,
        "before_ms": before,
        "during_ms": during,
        "errors": tally.errors[:3],
    }


async def _lateness(options: argparse.Namespace, http: Http, conversation: str, tally: Tally, count: int) -> Json:
    """Return how late the tokens of the other answers were while messages were sent, or for a second without any."""
    del tally.latencies[:]
    tally.measuring = True
    if count:
        await _sends(options, http, conversation, count)
    else:
        await asyncio.sleep(options.seconds)
    tally.measuring = False
    milliseconds = [latency / 1e6 for latency in tally.latencies]
    return {"p50": percentile(milliseconds, 0.5), "p99": percentile(milliseconds, 0.99), "max": max(milliseconds)}


async def _sends(
    options: argparse.Namespace, http: Http, conversation: str, count: int
) -> tuple[list[float], list[float]]:
    """Send messages one after another. Return the milliseconds to each response, and to each first text."""
    posts: list[float] = []
    firsts: list[float] = []
    [[socket]] = await open_sockets(options.ports[:1], 1)
    for number in range(count):
        begun = time.monotonic_ns()
        variables = {"text": "bench tokens=3 interval_ms=5 at_once=1", "conversation": conversation}
        sent = orjson.loads(await http.send(post("/graphql", {"query": SEND, "variables": variables})))
        posts.append((time.monotonic_ns() - begun) / 1e6)
        answer = Answer(Tally())
        generation = sent["data"]["sendMessage"]["generation"]["id"]
        socket.subscribe(str(number), FOLLOW, {"id": generation}, answer.take)
        firsts.append((await answer.text_came - begun) / 1e6)
        await answer.done
    socket.close()
    return posts, firsts
