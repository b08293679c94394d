"""Request and follow an answer: with Tertulia's mutation and subscription, or with one subscription."""

import asyncio
import time
from array import array
from dataclasses import dataclass, field

import orjson

from bench.upstream import STAMP_DIGITS, WIDTH
from bench.wire import Http, Json, Socket, post

EVENTS = """{
  __typename
  sequence
  ... on MessageSnapshot { message { text } }
  ... on ContentBlockStarted { index }
  ... on TextDelta { index offset text }
  ... on ContentBlockFinished { index }
  ... on GenerationCompleted { generation { status stopReason usage { inputTokens outputTokens } } }
  ... on GenerationFailed { error { code message } }
}"""
SEND = """mutation ($text: String!) { sendMessage(input: { text: $text }) {
  ... on SendMessagePayload { conversation { id } generation { id } }
  ... on Error { message }
} }"""
FOLLOW = f"subscription ($id: ID!) {{ events: generationEvents(generationId: $id) {EVENTS} }}"
DIRECT = f"subscription ($text: String!) {{ events: answer(text: $text) {EVENTS} }}"
IDLE = f"subscription {{ events: idle {EVENTS} }}"
FAILED = ("error", "lost")


@dataclass(slots=True)
class Tally:
    """The measurements of all clients that follow answers on one server."""

    tokens: int = 0
    deltas: int = 0
    begun: int = 0
    ended: int = 0
    violations: int = 0
    first_text: int = 0
    measuring: bool = False
    latencies: "array[int]" = field(default_factory=lambda: array("q"))
    """Nanoseconds from the upstream's write to the arrival, for each token that arrived during the measurement."""
    errors: list[str] = field(default_factory=list[str])


class Answer:
    """Follow one answer to its end."""

    def __init__(self, tally: Tally) -> None:
        loop = asyncio.get_running_loop()
        self.text_came: asyncio.Future[int] = loop.create_future()
        self.done: asyncio.Future[None] = loop.create_future()
        self._tally = tally
        self._written = 0

    def take(self, message: Json, now: int) -> None:
        """Handle a message of the subscription. `now` is the `time.monotonic_ns()` of its arrival."""
        if message["type"] != "next":
            self._end(message)
            return
        data = message["payload"].get("data")
        if data is None:
            self._end({"type": "error", "payload": message["payload"]})
            return
        event = data["events"]
        text: str | None = event.get("text")
        if text is None:
            if event["__typename"] == "MessageSnapshot":
                self._written = 0
                self._add(event["message"]["text"], 0, now)
            elif event["__typename"] == "GenerationFailed":
                self._tally.errors.append(str(event))
        else:
            self._add(text, event["offset"], now)

    def _add(self, text: str, offset: int, now: int) -> None:
        if not text:
            return
        tally = self._tally
        tally.violations += offset != self._written
        self._written += len(text)
        tally.tokens += len(text) // WIDTH
        tally.deltas += 1
        if not self.text_came.done():
            self.text_came.set_result(now)
            tally.begun += 1
            tally.first_text = tally.first_text or now
        if tally.measuring:
            for start in range(0, len(text), WIDTH):
                tally.latencies.append(now - int(text[start : start + STAMP_DIGITS]))

    def _end(self, message: Json) -> None:
        if message["type"] in FAILED:
            self._tally.errors.append(str(message)[:300])
        else:
            self._tally.ended += 1
        if not self.done.done():
            self.done.set_result(None)
        if not self.text_came.done():
            self.text_came.set_result(time.monotonic_ns())


class Asker:
    """Request answers: from Tertulia by a mutation on a pool of HTTP connections, from peers by the subscription."""

    def __init__(self, kind: str, port: int, connections: int = 32) -> None:
        self._kind = kind
        self._pool: asyncio.LifoQueue[Http] = asyncio.LifoQueue()
        for _ in range(connections):
            self._pool.put_nowait(Http(port))

    async def send(self, text: str) -> str:
        """Send a message, and return the generation's id."""
        http = await self._pool.get()
        try:
            body = await http.send(post("/graphql", {"query": SEND, "variables": {"text": text}}))
        finally:
            self._pool.put_nowait(http)
        try:
            return str(orjson.loads(body)["data"]["sendMessage"]["generation"]["id"])
        except (KeyError, TypeError):
            raise ConnectionError(f"sendMessage: {body[:300]!r}") from None

    async def ask(self, id: str, text: str, sockets: list[Socket], tallies: list[Tally]) -> list[Answer]:
        """Request an answer, and follow it on each of the sockets."""
        answers = [Answer(tally) for tally in tallies]
        if self._kind == "tertulia":
            generation = await self.send(text)
            for socket, answer in zip(sockets, answers, strict=True):
                socket.subscribe(id, FOLLOW, {"id": generation}, answer.take)
        else:
            sockets[0].subscribe(id, DIRECT, {"text": text}, answers[0].take)
        return answers
