"""Simulate Claude for the benchmarks: a Messages API server that writes tokens at a given pace with little CPU.

All candidates send the same requests to the same process, and receive the API's form: one server-sent event per token,
each in its own chunk. The text of the last message determines the answer:

    bench tokens=500 interval_ms=20 at_once=0 hang=0

`interval_ms=0` writes as fast as the client reads. `at_once=1` writes the first token at once; otherwise streams start
spread over the interval, so that their tokens are not written at the same time. `hang=1` sends nothing after the last
token. A token's text is STAMP_DIGITS digits of time.monotonic_ns() and a word: WIDTH characters. GET /stats returns
counters.
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
"""Seconds. Intervals are multiples of it."""
BATCH = 50
"""Tokens that a stream without a pace writes before the next stream continues."""
LAST_CHUNK = b"0\r\n\r\n"
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
    b"request-id: req_bench\r\ntransfer-encoding: chunked\r\n\r\n"
)


def sse(name: str, **fields: object) -> bytes:
    """Return one event of the stream, as one HTTP chunk."""
    body = b"event: %s\ndata: %s\n\n" % (name.encode(), json.dumps({"type": name, **fields}).encode())
    return b"%x\r\n%s\r\n" % (len(body), body)


def _delta() -> tuple[bytes, bytes]:
    mark = "0" * STAMP_DIGITS
    whole = sse("content_block_delta", index=0, delta={"type": "text_delta", "text": mark + WORD})
    before, _, after = whole.partition(mark.encode())
    return before, after


BEFORE_STAMP, AFTER_STAMP = _delta()
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
    """Return the event of one token with the current time."""
    return b"%s%018d%s" % (BEFORE_STAMP, time.monotonic_ns(), AFTER_STAMP)


def ending(tokens: int) -> bytes:
    """Return the events after the last token."""
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
    """The counters that GET /stats returns."""

    connections: int = 0
    requests: int = 0
    open_streams: int = 0
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Ask:
    """The answer that the text of a message requests."""

    tokens: int = 20
    interval_ms: int = 0
    at_once: bool = False
    hang: bool = False


def read_ask(body: bytes) -> Ask:
    """Parse the text of the last message."""
    content = orjson.loads(body)["messages"][-1]["content"]
    text: str = content if isinstance(content, str) else content[-1]["text"]
    options = dict(word.split("=", 1) for word in text.split() if "=" in word)
    return Ask(
        int(options.get("tokens", 20)),
        int(options.get("interval_ms", 0)),
        options.get("at_once") == "1",
        options.get("hang") == "1",
    )


class Wheel:
    """One timer for all streams. Each tick calls the functions in its slot."""

    def __init__(self, slots: int = 1024) -> None:
        """Create the slots. Intervals must be shorter than `slots` ticks."""
        self._slots: list[deque[Callable[[], int]]] = [deque() for _ in range(slots)]
        self._slot = 0
        self._waiting = 0
        self._begun = 0
        self._next = 0.0

    def add(self, due: Callable[[], int], interval: int) -> None:
        """Call `due` repeatedly. It returns the ticks until its next call, or 0. First calls are spread over time."""
        self._begun += 1
        turn = 1 + int(self._begun * 0.6180339887 * interval) % interval
        self._slots[(self._slot + turn) % len(self._slots)].append(due)
        self._waiting += 1
        if self._waiting == 1:
            loop = asyncio.get_running_loop()
            self._next = loop.time() + TICK
            loop.call_later(TICK, self._tick)

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        while self._next <= loop.time() and self._waiting:
            self._slot = (self._slot + 1) % len(self._slots)
            slot, self._slots[self._slot] = self._slots[self._slot], deque()
            for due in slot:
                again = due()
                if again:
                    self._slots[(self._slot + again) % len(self._slots)].append(due)
                else:
                    self._waiting -= 1
            self._next += TICK
        if self._waiting:
            # uvloop's clock has whole milliseconds. A shorter delay would be 0, and the loop would spin.
            loop.call_later(TICK, self._tick)


class Connection(asyncio.Protocol):
    """One keep-alive connection, with one request at a time."""

    def __init__(self, wheel: Wheel, counts: Counts) -> None:
        self._wheel = wheel
        self._counts = counts
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._paused = False
        self._ask = Ask()
        self._remaining = 0
        self._streaming = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)
        self._counts.connections += 1

    def connection_lost(self, exc: Exception | None) -> None:
        """End the running stream."""
        self._transport = None
        self._counts.connections -= 1
        self._end()

    def pause_writing(self) -> None:
        """Pause a stream without a pace. A paced stream continues."""
        self._paused = True

    def resume_writing(self) -> None:
        """Continue a stream without a pace."""
        self._paused = False
        if self._streaming and not self._ask.interval_ms:
            self._pour()

    def data_received(self, data: bytes) -> None:
        """Answer a request when it is complete."""
        self._buffer += data
        head, separator, received = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        length = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        if len(received) >= length:
            self._buffer = received[length:]
            self._answer(head, received[:length])

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
        self._ask, self._remaining, self._streaming = ask, ask.tokens, True
        self._counts.open_streams += 1
        self._write(STREAM_HEAD + BEGINNING)
        if not ask.interval_ms:
            self._pour()
        elif not ask.at_once or self._due():
            self._wheel.add(self._due, ask.interval_ms)

    def _due(self) -> int:
        """Write one token, and return the milliseconds until the next one; 0 after the last."""
        if not self._streaming:
            return 0
        self._write(token())
        self._counts.tokens += 1
        self._remaining -= 1
        if self._remaining:
            return self._ask.interval_ms
        self._finish()
        return 0

    def _pour(self) -> None:
        """Write tokens until the client's buffer is full. Other streams run between the batches."""
        if self._paused or not self._streaming:
            return
        count = min(BATCH, self._remaining)
        self._write(b"".join([token() for _ in range(count)]))
        self._counts.tokens += count
        self._remaining -= count
        if self._remaining:
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
    # Garbage collections of this process would appear in the candidates' latencies.
    gc.disable()
    uvloop.run(serve(arguments.port))
