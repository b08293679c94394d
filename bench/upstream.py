"""Plays Claude: a Messages API server that writes tokens at a given pace, as cheaply as Python can.

Fair because every candidate asks the same process, in the same words, and is answered in the API's own form: one
server-sent event a token, each in a chunk of its own. What it writes is asked for in the last message's text:

    bench tokens=500 interval_ms=20 at_once=0 hang=0

`interval_ms=0` writes as fast as the reader takes. `at_once=1` writes the first token without waiting for its turn;
otherwise streams are spread over the interval, so that they do not tick in step. `hang=1` falls silent behind the last
token. A token's text is STAMP_DIGITS digits of time.monotonic_ns() and a word: WIDTH characters. GET /stats counts.
"""

import argparse
import asyncio
import gc
import json
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import orjson
import uvloop

STAMP_DIGITS = 18
WORD = " tokens "
WIDTH = STAMP_DIGITS + len(WORD)
"""Characters of one token."""
MODEL = "claude-opus-5-5"
TICK = 0.001
"""Seconds; intervals are whole numbers of it."""
BATCH = 50
"""Tokens that a stream without a pace writes before the next one has its turn."""
LAST_CHUNK = b"0\r\n\r\n"
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
    b"request-id: req_bench\r\ntransfer-encoding: chunked\r\n\r\n"
)


def sse(name: str, **fields: object) -> bytes:
    """Give one event of the stream, as one chunk of HTTP."""
    body = b"event: %s\ndata: %s\n\n" % (name.encode(), json.dumps({"type": name, **fields}).encode())
    return b"%x\r\n%s\r\n" % (len(body), body)


def _delta() -> tuple[bytes, bytes]:
    mark = "0" * STAMP_DIGITS
    whole = sse("content_block_delta", index=0, delta={"type": "text_delta", "text": mark + WORD})
    before, _, behind = whole.partition(mark.encode())
    return before, behind


BEFORE_STAMP, BEHIND_STAMP = _delta()
USAGE = {"input_tokens": 12, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
BEGINNING = sse(
    "message_start",
    message={
        "id": "msg_bench", "type": "message", "role": "assistant", "model": MODEL, "content": [],
        "stop_reason": None, "stop_sequence": None, "usage": {**USAGE, "output_tokens": 1},
    },
) + sse("content_block_start", index=0, content_block={"type": "text", "text": ""})  # fmt: skip
MODELS = {
    "data": [
        {
            "id": MODEL, "type": "model", "display_name": "Claude Opus 5.5", "created_at": "2026-09-01T00:00:00Z",
            "max_input_tokens": 1_000_000, "max_tokens": 128_000,
        }
    ],
    "has_more": False,
    "first_id": MODEL,
    "last_id": MODEL,
}  # fmt: skip


def token() -> bytes:
    """Give the event of one token, stamped now."""
    return b"%s%018d%s" % (BEFORE_STAMP, time.monotonic_ns(), BEHIND_STAMP)


def ending(tokens: int) -> bytes:
    """Give what stands behind the last token."""
    return (
        sse("content_block_stop", index=0)
        + sse(
            "message_delta",
            delta={"stop_reason": "end_turn", "stop_sequence": None},
            usage={**USAGE, "output_tokens": tokens},
        )
        + sse("message_stop")
        + LAST_CHUNK
    )


@dataclass(slots=True)
class Counts:
    """What GET /stats tells."""

    connections: int = 0
    requests: int = 0
    open_streams: int = 0
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Ask:
    """What a message's text asks for."""

    tokens: int = 20
    interval_ms: int = 0
    at_once: bool = False
    hang: bool = False


def read_ask(body: bytes) -> Ask:
    """Read the last message's text."""
    content = orjson.loads(body)["messages"][-1]["content"]
    text: str = content if isinstance(content, str) else content[-1]["text"]
    given = dict(word.split("=", 1) for word in text.split() if "=" in word)
    return Ask(
        int(given.get("tokens", 20)),
        int(given.get("interval_ms", 0)),
        given.get("at_once") == "1",
        given.get("hang") == "1",
    )


class Wheel:
    """One timer for all streams: each tick writes what is due in its slot."""

    def __init__(self, slots: int = 1024) -> None:
        """Make the slots; an interval is shorter than all of them together."""
        self._slots: list[deque[Callable[[], int]]] = [deque() for _ in range(slots)]
        self._place = 0
        self._waiting = 0
        self._begun = 0
        self._next = 0.0

    def add(self, due: Callable[[], int], interval: int) -> None:
        """Call `due` every so many ticks as it returns, and no more when that is 0; the first time in turn."""
        self._begun += 1
        turn = 1 + int(self._begun * 0.6180339887 * interval) % interval
        self._slots[(self._place + turn) % len(self._slots)].append(due)
        self._waiting += 1
        if self._waiting == 1:
            loop = asyncio.get_running_loop()
            self._next = loop.time() + TICK
            loop.call_later(TICK, self._tick)

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        while self._next <= loop.time() and self._waiting:
            self._place = (self._place + 1) % len(self._slots)
            slot, self._slots[self._place] = self._slots[self._place], deque()
            for due in slot:
                again = due()
                if again:
                    self._slots[(self._place + again) % len(self._slots)].append(due)
                else:
                    self._waiting -= 1
            self._next += TICK
        if self._waiting:
            # uvloop's clock has whole milliseconds: a shorter wait would be none, and the loop would spin.
            loop.call_later(TICK, self._tick)


class Connection(asyncio.Protocol):
    """One kept-alive connection; one request at a time."""

    def __init__(self, wheel: Wheel, counts: Counts) -> None:
        """Take what all connections share."""
        self._wheel = wheel
        self._counts = counts
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._paused = False
        self._ask = Ask()
        self._left = 0
        self._streaming = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self._counts.connections += 1

    def connection_lost(self, exc: Exception | None) -> None:
        """End the stream that runs."""
        self._transport = None
        self._counts.connections -= 1
        self._end()

    def pause_writing(self) -> None:
        """Stop a stream without a pace; a paced one goes on, as time does."""
        self._paused = True

    def resume_writing(self) -> None:
        """Go on."""
        self._paused = False
        if self._streaming and not self._ask.interval_ms:
            self._pour()

    def data_received(self, data: bytes) -> None:
        """Answer a request when it is whole."""
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        if len(rest) >= length:
            self._buffer = rest[length:]
            self._answer(head, rest[:length])

    def _answer(self, head: bytes, body: bytes) -> None:
        self._counts.requests += 1
        if head.startswith(b"POST /v1/messages"):
            self._stream(read_ask(body))
        elif head.startswith(b"GET /v1/models"):
            self._respond(b"200 OK", MODELS)
        elif head.startswith(b"GET /stats"):
            self._respond(b"200 OK", self._counts)
        else:
            self._respond(b"404 Not Found", {"type": "error", "error": {"type": "not_found_error", "message": "?"}})

    def _respond(self, status: bytes, body: object) -> None:
        text = orjson.dumps(body)
        self._write(
            b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (status, len(text), text)
        )

    def _stream(self, ask: Ask) -> None:
        self._ask, self._left, self._streaming = ask, ask.tokens, True
        self._counts.open_streams += 1
        self._write(STREAM_HEAD + BEGINNING)
        if not ask.interval_ms:
            self._pour()
        elif not ask.at_once or self._due():
            self._wheel.add(self._due, ask.interval_ms)

    def _due(self) -> int:
        """Write one token; give the milliseconds to the next one."""
        if not self._streaming:
            return 0
        self._write(token())
        self._counts.tokens += 1
        self._left -= 1
        if self._left:
            return self._ask.interval_ms
        self._finish()
        return 0

    def _pour(self) -> None:
        """Write until the reader takes no more; others have their turn in between."""
        if self._paused or not self._streaming:
            return
        count = min(BATCH, self._left)
        self._write(b"".join([token() for _ in range(count)]))
        self._counts.tokens += count
        self._left -= count
        if self._left:
            asyncio.get_running_loop().call_soon(self._pour)
        else:
            self._finish()

    def _finish(self) -> None:
        if not self._ask.hang:
            self._end()
            self._write(ending(self._ask.tokens))

    def _end(self) -> None:
        self._counts.open_streams -= self._streaming
        self._streaming = False

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)


async def serve(port: int) -> None:
    """Serve until killed."""
    wheel, counts = Wheel(), Counts()
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(wheel, counts), "127.0.0.1", port, backlog=2048
    )
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    # Its own collections must not show in the candidates' latencies.
    gc.disable()
    uvloop.run(serve(arguments.port))
