"""The simulated Claude's words at its own pace, over the cheap wire of upstream.py; it remembers what it wrote when.

It runs inside of the load, so that the load knows of each character when Claude wrote it, on one clock, without a
stamp in the text. It also plays the identity provider whose tokens the people of the load bear.
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
from tertulia.simulator.request_rules import check
from tertulia.simulator.scenarios import plan
from tertulia.simulator.script import Plan, Step
from tertulia.simulator.turns import last_words

Json = dict[str, Any]

LAST_CHUNK = b"0\r\n\r\n"
KEY = re.compile(r"#\d+\.\d+")
"""What stands in each message of the load's, so that its answer is found again."""
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
class Told:
    """What Claude has written of one answer. Moments are nanoseconds of time.monotonic_ns()."""

    asked: int
    pieces: list[str] = field(default_factory=list[str])
    ends: "array[int]" = field(default_factory=lambda: array("q", [0]))
    """Where each piece ends, in UTF-16 code units; the first is 0."""
    moments: "array[int]" = field(default_factory=lambda: array("q"))

    def write(self, piece: str) -> None:
        """Note a piece of text, now."""
        self.pieces.append(piece)
        self.ends.append(self.ends[-1] + units(piece))
        self.moments.append(time.monotonic_ns())

    def moments_of(self, offset: int, length: int) -> "array[int]":
        """Give when each token was written that begins in this stretch of the text."""
        return self.moments[bisect_left(self.ends, offset) : bisect_left(self.ends, offset + length)]


class Claude:
    """What all connections share."""

    def __init__(self, pace: float) -> None:
        """`pace` scales the simulator's delays: 1 is a person's, 0 none."""
        self.pace = pace
        self.wheel, self.counts = Wheel(), Counts()
        self.told: dict[str, Told] = {}
        """By the key that stands in the message; whoever asked takes it out."""
        self.address = ""
        self._key = Ed25519PrivateKey.generate()

    async def listen(self) -> None:
        """Serve on a free port of loopback, until the loop ends."""
        make = asyncio.get_running_loop().create_server(lambda: _Teller(self), "127.0.0.1", 0, backlog=2048)
        server = await make
        self.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    def token(self, subject: str) -> str:
        """Sign a token for somebody."""
        moment = int(time.time())
        claims = {"iss": self.address, "aud": AUDIENCE, "sub": subject, "iat": moment, "exp": moment + HOURS * 3600}
        return jwt.encode(claims, self._key, "EdDSA", headers={"kid": "load"})

    def documents(self) -> dict[bytes, Json]:
        """Give an identity provider's documents by their paths."""
        shown: Json = orjson.loads(OKPAlgorithm.to_jwk(self._key.public_key()))
        return {
            b"/.well-known/openid-configuration": {"issuer": self.address, "jwks_uri": f"{self.address}/keys"},
            b"/keys": {"keys": [{**shown, "kid": "load", "use": "sig", "alg": "EdDSA"}]},
        }


class _Teller(Connection):
    """One connection of the server's."""

    def __init__(self, claude: Claude) -> None:
        super().__init__(claude.wheel, claude.counts)
        self._claude = claude
        self._plan = Plan()
        self._place = 0
        self._told = Told(0)

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
            self._tell(orjson.loads(body))
        else:
            super()._answer(head, body)

    def _tell(self, body: Json) -> None:
        self._told = Told(time.monotonic_ns())
        for key in KEY.findall(last_words(body))[-1:]:
            self._claude.told[key] = self._told
        check(body)
        self._plan, self._place, self._streaming = plan(body), 0, True
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
        """Write the next token, and what comes with it; give the milliseconds to the one behind it."""
        if not self._streaming:
            return 0
        steps, pace, due = self._plan.steps, self._claude.pace, bytearray()
        while self._place < len(steps):
            due += self._event(steps[self._place])
            self._place += 1
            if self._place < len(steps) and steps[self._place].delay * pace > 0:
                self._write(bytes(due))
                return max(1, round(1000 * steps[self._place].delay * pace))
        self._end()
        usage = {**USAGE, "output_tokens": self._plan.output_tokens}
        ended = {"stop_reason": self._plan.stop_reason, "stop_sequence": self._plan.stop_sequence}
        self._write(bytes(due) + sse("message_delta", delta=ended, usage=usage) + sse("message_stop") + LAST_CHUNK)
        return 0

    def _event(self, step: Step) -> bytes:
        event = step.event
        if event["type"] == "content_block_delta" and event["delta"]["type"] == "text_delta":
            self._told.write(event["delta"]["text"])
            self._counts.tokens += 1
        return sse(event["type"], **{name: value for name, value in event.items() if name != "type"})
