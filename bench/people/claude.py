"""A Claude for the load: the simulator's answers over the fast transport of upstream.py, with the time of each token.

It runs in the process of the load, which therefore knows when each character was written, on one clock and without a
time in the text. It also simulates the identity provider whose tokens the people of the load use.
"""

import asyncio
import re
import time
from array import array
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Any

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

from bench.people.checker import units
from bench.upstream import MODEL, STREAM_HEAD, USAGE, Connection, Counts, Wheel, sse
from tertulia.simulator.answers import plan
from tertulia.simulator.request_rules import check
from tertulia.simulator.script import Plan, Step
from tertulia.simulator.turns import last_words

Json = dict[str, Any]

LAST_CHUNK = b"0\r\n\r\n"
KEY = re.compile(r"#\d+\.\d+")
"""The key in each message of the load, by which its answer is identified."""
AUDIENCE = "tertulia-load"
HOURS = 6
BEGINNING = sse(
    "message_start",
    message={
        "id": "msg_load", "type": "message", "role": "assistant", "model": MODEL, "content": [],
        "stop_reason": None, "stop_sequence": None, "usage": {**USAGE, "output_tokens": 1},
    },
)  # fmt: skip


@dataclass(slots=True)
class WrittenAnswer:
    """The text that Claude has written for one answer. Times are those of time.monotonic_ns()."""

    asked: int
    pieces: list[str] = field(default_factory=list[str])
    ends: "array[int]" = field(default_factory=lambda: array("q", [0]))
    """The end of each piece in UTF-16 code units, after a first 0."""
    times: "array[int]" = field(default_factory=lambda: array("q"))

    def write(self, piece: str) -> None:
        """Add a piece of text with the current time."""
        self.pieces.append(piece)
        self.ends.append(self.ends[-1] + units(piece))
        self.times.append(time.monotonic_ns())

    def times_of(self, offset: int, length: int) -> "array[int]":
        """Return the times at which the tokens that begin in this range of the text were written."""
        return self.times[bisect_left(self.ends, offset) : bisect_left(self.ends, offset + length)]


class Claude:
    """The state that all connections share."""

    def __init__(self, pace: float) -> None:
        """Scale the simulator's delays by `pace`: 1 for a person's reading speed, 0 for no delays."""
        self.pace = pace
        self.wheel, self.counts = Wheel(), Counts()
        self.answers: dict[str, WrittenAnswer] = {}
        """By the key in the message. The person who sent the message removes its entry."""
        self.address = ""
        self._key = Ed25519PrivateKey.generate()

    async def listen(self) -> None:
        """Serve on a free port of the loopback interface until the event loop ends."""
        make = asyncio.get_running_loop().create_server(lambda: _ClaudeConnection(self), "127.0.0.1", 0, backlog=2048)
        server = await make
        self.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    def token(self, subject: str) -> str:
        """Return a signed token for a person."""
        now = int(time.time())
        claims = {"iss": self.address, "aud": AUDIENCE, "sub": subject, "iat": now, "exp": now + HOURS * 3600}
        return jwt.encode(claims, self._key, "EdDSA", headers={"kid": "load"})

    def documents(self) -> dict[bytes, Json]:
        """Return the identity provider's documents by their paths."""
        shown: Json = orjson.loads(OKPAlgorithm.to_jwk(self._key.public_key()))
        return {
            b"/.well-known/openid-configuration": {"issuer": self.address, "jwks_uri": f"{self.address}/keys"},
            b"/keys": {"keys": [{**shown, "kid": "load", "use": "sig", "alg": "EdDSA"}]},
        }


class _ClaudeConnection(Connection):
    """One connection from the server."""

    def __init__(self, claude: Claude) -> None:
        super().__init__(claude.wheel, claude.counts)
        self._claude = claude
        self._plan = Plan()
        self._next_step = 0
        self._written = WrittenAnswer(0)

    def _answer(self, head: bytes, body: bytes) -> None:
        method, path, *_ = head.split(b" ", 2)
        document = self._claude.documents().get(path) if method == b"GET" else None
        if document is not None:
            self._respond(b"200 OK", document)
        elif path == b"/v1/traces":
            self._respond(b"200 OK", {})
        elif b"count_tokens" in path:
            self._respond(b"200 OK", {"input_tokens": 100})
        elif method == b"POST":
            self._counts.requests += 1
            self._start(orjson.loads(body))
        else:
            super()._answer(head, body)

    def _start(self, body: Json) -> None:
        self._written = WrittenAnswer(time.monotonic_ns())
        for key in KEY.findall(last_words(body))[-1:]:
            self._claude.answers[key] = self._written
        check(body)
        self._plan, self._next_step, self._streaming = plan(body), 0, True
        self._counts.open_streams += 1
        asyncio.get_running_loop().call_later(self._plan.first_delay * self._claude.pace, self._open)

    def _open(self) -> None:
        if not self._streaming:
            return
        self._write(STREAM_HEAD + BEGINNING)
        again = self._due()
        if again:
            self._wheel.add(self._due, again)

    def _due(self) -> int:
        """Write the next token with its events. Returns the milliseconds until the following token; 0 at the end."""
        if not self._streaming:
            return 0
        steps, pace, due = self._plan.steps, self._claude.pace, bytearray()
        while self._next_step < len(steps):
            due += self._event(steps[self._next_step])
            self._next_step += 1
            if self._next_step < len(steps) and steps[self._next_step].delay * pace > 0:
                self._write(bytes(due))
                return max(1, round(1000 * steps[self._next_step].delay * pace))
        self._end()
        usage = {**USAGE, "output_tokens": self._plan.output_tokens}
        ended = {"stop_reason": self._plan.stop_reason, "stop_sequence": self._plan.stop_sequence}
        self._write(bytes(due) + sse("message_delta", delta=ended, usage=usage) + sse("message_stop") + LAST_CHUNK)
        return 0

    def _event(self, step: Step) -> bytes:
        event = step.event
        if event["type"] == "content_block_delta" and event["delta"]["type"] == "text_delta":
            self._written.write(event["delta"]["text"])
            self._counts.tokens += 1
        return sse(event["type"], **{name: value for name, value in event.items() if name != "type"})
