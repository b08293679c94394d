"""Answers are processed in the turn in which their bytes arrive, with the same result as when a task reads them."""

import asyncio
import gzip
import json
import random
import socket
import ssl
import struct
import zlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvloop
from aiohttp.client_proto import ResponseHandler
from client import WAIT
from postgres_tls import make_certificate
from scripted import EVERYTHING, START, begin, delta, end, sse, text

from tertulia.claude.client import Claude
from tertulia.claude.connections import Deadlines
from tertulia.claude.deltas import merge_deltas
from tertulia.claude.errors import ErrorCode, describe, request_errors
from tertulia.claude.receiver import Receiver
from tertulia.claude.transport import BODY, LARGE, Body, Transport

Json = dict[str, Any]
HEAD = b"HTTP/1.1 200 OK\r\nrequest-id: req_1\r\ncontent-type: text/event-stream\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n"
WORDS = [f" word{number}" for number in range(40)]
ANSWER = b"".join(map(sse, [*EVERYTHING[:-2], *text(*WORDS, index=3), *end()]))
UNFINISHED = b"".join(map(sse, [START, *text(*WORDS)]))
Script = Callable[[asyncio.StreamWriter], Awaitable[None]]


def chunked(body: bytes, sizes: range = range(1, 200), seed: int = 1) -> bytes:
    dice, chunks = random.Random(seed), list[bytes]()
    while body:
        chunk, body = body[: (size := dice.choice(sizes))], body[size:]
        chunks.append(b"%x\r\n%b\r\n" % (len(chunk), chunk))
    return HEAD + b"transfer-encoding: chunked\r\n\r\n" + b"".join(chunks) + b"0\r\n\r\n"


def one_chunk(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(body), body)


def measured(body: bytes) -> bytes:
    return HEAD + b"content-length: %d\r\n\r\n" % len(body) + body


def until_closed(body: bytes) -> bytes:
    return HEAD + b"\r\n" + body


def compressed(body: bytes) -> bytes:
    return chunked(gzip.compress(body)).replace(b"\r\n\r\n", b"\r\ncontent-encoding: gzip\r\n\r\n", 1)


def in_pieces(response: bytes, seed: int) -> Script:
    """Return a script that writes a response in pieces of random sizes, with and without time between them."""

    async def write(writer: asyncio.StreamWriter) -> None:
        dice = random.Random(seed)
        cuts = sorted(dice.sample(range(1, len(response)), dice.randint(1, 30)))
        for start, stop in pairwise([0, *cuts, len(response)]):
            writer.write(response[start:stop])
            await asyncio.sleep(dice.choice([0, 0, 0.001]))

    return write


def events_of(body: bytes) -> list[bytes]:
    return [event + b"\n\n" for event in body.split(b"\n\n")[:-1]]


def halves(body: bytes) -> list[bytes]:
    """Return each event of a body in two pieces, the first events together."""
    first, *events = body.split(b"\n\n")[:-1]
    return [
        first + b"\n\n",
        *(piece for event in events for piece in (event[: len(event) // 2], event[len(event) // 2 :] + b"\n\n")),
    ]


def partly_compressed(body: bytes) -> list[bytes]:
    """Return chunks of a body in gzip's format, whose first half is stored as it is."""
    half = len(body) // 2
    stored, compressed = zlib.compressobj(0, wbits=-15), zlib.compressobj(9, wbits=-15)
    encoded = stored.compress(body[:half]) + stored.flush(zlib.Z_SYNC_FLUSH)
    encoded = gzip.compress(b"")[:10] + encoded + compressed.compress(body[half:]) + compressed.flush()
    encoded += struct.pack("<II", zlib.crc32(body), len(body))
    return [encoded[start : start + 100] for start in range(0, len(encoded), 100)]


def chunk_by_chunk(chunks: list[bytes], head: bytes = CHUNKED) -> Script:
    """Return a script that writes each chunk alone, as servers do that send one for each event."""

    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + head + b"\r\n")
        for chunk in [*chunks, b""]:
            await asyncio.sleep(0.001)
            writer.write(one_chunk(chunk))

    return write


@dataclass
class Upstream:
    """A server that runs one script for each request."""

    scripts: list[Script]
    address: str = ""
    connections: int = 0
    requests: int = 0
    lost: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
                await reader.readexactly(int(length.split(b":")[1]))
                script = self.scripts[min(self.requests, len(self.scripts) - 1)]
                self.requests += 1
                await script(writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.lost.set()
        finally:
            writer.close()


@asynccontextmanager
async def serving(*scripts: Script, tls: ssl.SSLContext | None = None) -> AsyncGenerator[Upstream]:
    upstream = Upstream(list(scripts))
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0, ssl=tls)
    scheme = "http" if tls is None else "https"
    upstream.address = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield upstream


class Hello:
    has_begun = False

    async def body(self) -> Json:
        return {"model": "claude-opus-5-5", "max_tokens": 100, "messages": [{"role": "user", "content": "Hello"}]}

    async def body_without_refused(self, error: Exception) -> None:
        return None


@dataclass
class Result:
    """All events that a client has received, merged, and the code of the error that ended them."""

    events: list[Json]
    error: ErrorCode | None = None
    pushed: int = 0


@asynccontextmanager
async def connected(upstream: Upstream, **deadlines: float) -> AsyncGenerator[Claude]:
    claude = Claude(api_key="sk-ant-test", base_url=upstream.address, deadlines=Deadlines(**deadlines))
    try:
        yield claude
    finally:
        await claude.close()


async def received(claude: Claude, accepts: Callable[[], bool] = lambda: True) -> Result:
    """Receive an answer. `accepts` decides for each batch whether it is processed at once."""
    events, pushed = list[Json](), 0

    def push(batch: list[Json]) -> bool:
        nonlocal pushed
        if not accepts():
            return False
        events.extend(batch)
        pushed += 1
        return True

    error = None
    try:
        async for batch in claude.stream(Hello(), push=push):
            await asyncio.sleep(0)
            events.extend(batch)
    except request_errors() as raised:
        error = describe(raised).code
    return Result(list(merge_deltas(events)), error, pushed)


async def received_from(script: Script, accepts: Callable[[], bool] = lambda: True, **deadlines: float) -> Result:
    async with serving(script) as upstream, connected(upstream, **deadlines) as claude:
        return await received(claude, accepts)


def of_both_ways(run: Callable[[], Awaitable[Result]], monkeypatch: pytest.MonkeyPatch) -> tuple[Result, Result]:
    async def limited() -> Result:
        async with asyncio.timeout(WAIT):
            return await run()

    at_once = asyncio.run(limited())
    with monkeypatch.context() as patch:
        patch.setattr(Body, "receive", Body.receive_by_reading)
        return at_once, asyncio.run(limited())


def record_receivers(patch: pytest.MonkeyPatch) -> list[Receiver]:
    """Return a list that receives each receiver when it begins."""
    receivers = list[Receiver]()
    receive = Receiver.receive

    async def recorded(self: Receiver) -> bool:
        receivers.append(self)
        return await receive(self)

    patch.setattr(Receiver, "receive", recorded)
    return receivers


@pytest.mark.parametrize("framing", [chunked, measured, until_closed, compressed])
@pytest.mark.parametrize("seed", range(3))
def test_both_ways_receive_the_same_events_in_pieces_of_any_size(
    framing: Callable[[bytes], bytes], seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run() -> Awaitable[Result]:
        dice = random.Random(seed)
        return received_from(in_pieces(framing(ANSWER), seed), lambda: seed == 0 or dice.random() < 0.7)

    at_once, by_reading = of_both_ways(run, monkeypatch)
    assert at_once.events == by_reading.events
    assert "".join(WORDS) in json.dumps(at_once.events)
    assert at_once.error is by_reading.error is None
    assert at_once.pushed > 0


AS_BODY = b"content-length: %d\r\n" % sum(len(one_chunk(chunk)) for chunk in [*halves(ANSWER), b""])


@pytest.mark.parametrize(
    "script",
    [
        chunk_by_chunk(halves(ANSWER)),
        # The first half has the same size when it is decoded.
        chunk_by_chunk(partly_compressed(ANSWER), CHUNKED + b"content-encoding: gzip\r\n"),
        # Not chunks, but a body with the same bytes.
        chunk_by_chunk(halves(ANSWER), AS_BODY),
    ],
)
def test_both_ways_receive_the_same_events_in_single_chunks(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once, by_reading = of_both_ways(lambda: received_from(script, silence=0.5), monkeypatch)
    assert at_once.events == by_reading.events
    assert at_once.error is by_reading.error


@asynccontextmanager
async def requested(upstream: Upstream, content: bytes = b"{}", silence: float = WAIT) -> AsyncGenerator[Body]:
    """Send a request, and yield the body of its response."""
    transport = Transport()
    request = httpx2.Request("POST", upstream.address, content=content, extensions={"timeout": {"read": silence}})
    response = await transport.handle_async_request(request)
    try:
        yield response.extensions[BODY]
    finally:
        await response.aclose()
        await transport.aclose()


FEW_WORDS = b"a few words " * 20


def in_one_piece(response: bytes) -> Script:
    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(response)

    return write


def in_two_pieces(framing: Callable[[bytes], bytes]) -> Script:
    async def write(writer: asyncio.StreamWriter) -> None:
        response = framing(FEW_WORDS)
        writer.write(response[:150])
        await asyncio.sleep(0.02)
        writer.write(response[150:])
        await writer.drain()
        if framing is until_closed:
            writer.close()

    return write


@pytest.mark.parametrize(
    "script",
    [
        *map(in_two_pieces, [chunked, measured, until_closed]),
        # The last chunk arrives alone too.
        chunk_by_chunk([FEW_WORDS[start : start + 40] for start in range(0, len(FEW_WORDS), 40)]),
    ],
)
def test_the_end_of_a_body_is_not_the_stop_that_the_function_asks_for(script: Script) -> None:
    async def run(stops_after: int) -> tuple[bytes, bool]:
        pieces = list[bytes]()

        def take(piece: bytes) -> bool:
            pieces.append(piece)
            return len(pieces) < stops_after

        async with asyncio.timeout(WAIT), serving(script) as upstream, requested(upstream) as body:
            stopped = await body.receive(take)
            return b"".join(pieces), stopped

    assert asyncio.run(run(100)) == (FEW_WORDS, False)
    start, stopped = asyncio.run(run(1))
    assert stopped
    assert len(start) < len(FEW_WORDS)


@pytest.mark.parametrize("stops", [(), (1,), (1, 3), range(1, 100)])
def test_a_body_that_is_decompressed_in_parts_is_received_once(stops: Sequence[int]) -> None:
    text = b"".join(b"%d" % digit * 300_000 for digit in range(10))
    response = HEAD + b"content-encoding: gzip\r\n" + measured(gzip.compress(text))[len(HEAD) :]

    async def run() -> list[bytes]:
        pieces = list[bytes]()

        def take(piece: bytes) -> bool:
            pieces.append(piece)
            return len(pieces) not in stops

        async with (
            asyncio.timeout(WAIT),
            serving(in_one_piece(response)) as upstream,
            requested(upstream) as body,
        ):
            while await body.receive(take):
                assert len(pieces) in stops
                # Meanwhile, all bytes arrive.
                await asyncio.sleep(0.02)
        return pieces

    pieces = asyncio.run(run())
    assert b"".join(pieces) == text
    assert len(pieces) > 3


def test_invalid_http_after_a_piece_that_must_wait_is_a_failed_connection() -> None:
    async def write(writer: asyncio.StreamWriter) -> None:
        *beginning, last = events_of(UNFINISHED)
        writer.write(HEAD + CHUNKED + b"\r\n" + one_chunk(b"".join(beginning)))
        await asyncio.sleep(0.02)
        writer.write(one_chunk(last) + b"no number\r\n")
        await asyncio.sleep(WAIT)

    result = asyncio.run(received_from(write, lambda: False, silence=WAIT))
    assert result.error is ErrorCode.CONNECTION
    assert "".join(WORDS) in json.dumps(result.events)


def test_a_body_that_was_received_in_part_is_read_within_the_same_deadline() -> None:
    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(until_closed(b"a few"))
        await asyncio.sleep(0.02)
        writer.write(b" words")
        await asyncio.sleep(WAIT)

    async def run() -> None:
        async with asyncio.timeout(WAIT), serving(write) as upstream, requested(upstream, silence=0.1) as body:
            assert await body.receive(lambda piece: piece != b" words")
            with pytest.raises(httpx2.ReadTimeout):
                await body.read()

    asyncio.run(run())


def test_a_large_request_is_written_to_its_end_at_the_pace_of_the_server_while_the_answer_is_received(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # More than the buffers of the kernel.
    receivers, content, buffered = record_receivers(monkeypatch), bytes(64 * LARGE), list[int]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(until_closed(b"begun"))
        await received_first.wait()
        await reader.readexactly(len(content) // 2)
        await asyncio.sleep(0.05)
        buffered.append(receivers[0]._transport.get_write_buffer_size())
        await reader.readexactly(len(content) // 2)
        writer.write(b"ended")
        writer.close()

    async def run() -> bytes:
        pieces = list[bytes]()

        def take(piece: bytes) -> bool:
            pieces.append(piece)
            received_first.set()
            return True

        listener = socket.create_server(("127.0.0.1", 0))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, LARGE)
        server = await asyncio.start_server(serve, sock=listener)
        upstream = Upstream([], f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        async with asyncio.timeout(WAIT), server, requested(upstream, content) as body:
            assert not await body.receive(take)
        return b"".join(pieces)

    received_first = asyncio.Event()
    assert asyncio.run(run()) == b"begunended"
    assert buffered[0] < len(content) // 8


async def cut(writer: asyncio.StreamWriter) -> None:
    writer.write(chunked(UNFINISHED)[:-40])
    await asyncio.sleep(0.02)
    writer.close()


async def reset(writer: asyncio.StreamWriter) -> None:
    writer.write(chunked(UNFINISHED)[:-40])
    await asyncio.sleep(0.02)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def end_early(writer: asyncio.StreamWriter) -> None:
    await in_pieces(chunked(UNFINISHED), 1)(writer)


async def close_early(writer: asyncio.StreamWriter) -> None:
    await in_pieces(until_closed(UNFINISHED), 1)(writer)
    writer.close()


async def break_framing(writer: asyncio.StreamWriter) -> None:
    writer.write(chunked(UNFINISHED)[:-5])
    await asyncio.sleep(0.02)
    writer.write(b"no number\r\n")


async def break_compression(writer: asyncio.StreamWriter) -> None:
    response = compressed(UNFINISHED)
    writer.write(response[:-60])
    await asyncio.sleep(0.02)
    writer.write(b"\x00" * 60)


async def send_an_error(writer: asyncio.StreamWriter) -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "later"}}
    await in_pieces(chunked(UNFINISHED + sse(error) + ANSWER), 1)(writer)


async def send_no_json(writer: asyncio.StreamWriter) -> None:
    await in_pieces(chunked(UNFINISHED + b"data: {\n\n" + ANSWER), 1)(writer)


async def fall_silent(writer: asyncio.StreamWriter) -> None:
    writer.write(chunked(UNFINISHED)[:-40])
    await asyncio.sleep(WAIT)


@pytest.mark.parametrize(
    ("script", "code"),
    [
        (cut, ErrorCode.CONNECTION),
        (reset, ErrorCode.CONNECTION),
        (end_early, ErrorCode.CONNECTION),
        (close_early, ErrorCode.CONNECTION),
        (break_compression, ErrorCode.API_ERROR),
        (send_an_error, ErrorCode.OVERLOADED),
        (send_no_json, ErrorCode.API_ERROR),
        (fall_silent, ErrorCode.TIMEOUT),
    ],
)
def test_both_ways_report_the_same_failure_after_the_same_events(
    script: Script, code: ErrorCode, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once, by_reading = of_both_ways(lambda: received_from(script, silence=0.2), monkeypatch)
    assert at_once.error is by_reading.error is code
    assert at_once.events == by_reading.events
    assert " word20" in json.dumps(at_once.events)


def test_a_response_that_is_not_valid_http_fails_at_once() -> None:
    result = asyncio.run(received_from(break_framing, silence=WAIT))
    assert result.error is ErrorCode.CONNECTION
    assert " word30" in json.dumps(result.events)


def test_the_deadline_for_silence_counts_also_between_batches_that_must_wait() -> None:
    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b"\r\n")
        for piece in halves(UNFINISHED):
            await asyncio.sleep(0.001)
            writer.write(piece)
        await asyncio.sleep(WAIT)

    assert asyncio.run(received_from(write, lambda: False, silence=0.2)).error is ErrorCode.TIMEOUT


def test_no_task_is_woken_for_a_token_and_the_context_is_that_of_the_task(monkeypatch: pytest.MonkeyPatch) -> None:
    name, tasks, names = ContextVar("name", default=""), list[Any](), list[str]()
    parsed, parse = list[bytes](), ResponseHandler.data_received

    def recorded(self: ResponseHandler, data: bytes) -> None:
        parsed.append(data)
        parse(self, data)

    monkeypatch.setattr(ResponseHandler, "data_received", recorded)

    async def run() -> None:
        gates = [asyncio.Event() for _ in WORDS]

        async def write(writer: asyncio.StreamWriter) -> None:
            writer.write(HEAD + CHUNKED + b"\r\n")
            writer.write(one_chunk(sse(START) + sse(begin(0, type="text", text=""))))
            for word, gate in zip(WORDS, gates, strict=True):
                writer.write(one_chunk(sse(delta(0, "text_delta", text=word))))
                await gate.wait()
            writer.write(one_chunk(b"".join(map(sse, text()[1:] + end()))) + b"0\r\n\r\n")

        def push(_batch: list[Json]) -> bool:
            tasks.append(asyncio.current_task())
            names.append(name.get())
            gates[min(len(tasks), len(gates)) - 1].set()
            return True

        async with serving(in_pieces(chunked(ANSWER), 1), write) as upstream, connected(upstream) as claude:
            # The callbacks of a connection have the context in which it was opened.
            await received(claude)
            await asyncio.sleep(0.01)
            name.set("the generation")
            parsed.clear()
            async for _ in claude.stream(Hello(), push=push):
                pass
            assert upstream.connections == 1

    asyncio.run(run())
    assert len(tasks) >= len(WORDS)
    assert not any(tasks[1:])
    assert set(names) == {"the generation"}
    # aiohttp parses the head and what arrives with it, but not the chunks that arrive alone.
    assert len(parsed) < len(WORDS) / 2


@pytest.mark.parametrize("error", [ValueError("a fault"), TimeoutError("of a hook")])
@pytest.mark.parametrize("script", [in_pieces(chunked(ANSWER), 1), chunk_by_chunk(events_of(ANSWER))])
def test_an_error_in_the_processing_ends_the_answer_unchanged(script: Script, error: Exception) -> None:
    async def run() -> None:
        batches = list[list[Json]]()

        def push(batch: list[Json]) -> bool:
            batches.append(batch)
            if len(batches) > 1:
                raise error
            return True

        async with asyncio.timeout(WAIT), serving(script) as upstream, connected(upstream) as claude:
            with pytest.raises(type(error)) as raised:
                async for _ in claude.stream(Hello(), push=push):
                    pass
            assert raised.value is error
            await asyncio.wait_for(upstream.lost.wait(), WAIT)

    asyncio.run(run())


def test_nothing_is_processed_after_a_cancellation_and_the_connection_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    receivers, batches, begun = record_receivers(monkeypatch), list[list[Json]](), asyncio.Event()

    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + CHUNKED + b"\r\n")
        for chunk in halves(UNFINISHED):
            await asyncio.sleep(0.001)
            writer.write(one_chunk(chunk))
        begun.set()
        await asyncio.sleep(WAIT)

    def push(batch: list[Json]) -> bool:
        batches.append(batch)
        return True

    async def run() -> None:
        async def answer() -> None:
            async for _ in claude.stream(Hello(), push=push):
                pass

        async with serving(write) as upstream, connected(upstream) as claude:
            answering = asyncio.create_task(answer())
            await asyncio.wait_for(begun.wait(), WAIT)
            await asyncio.sleep(0.02)
            pushed = len(batches)
            answering.cancel()
            # These bytes arrive before the task runs.
            receivers[0].data_received(one_chunk(sse(delta(0, "text_delta", text=" more"))))
            receivers[0].data_received(one_chunk(sse(delta(0, "text_delta", text=" more"))) * 2)
            await asyncio.wait([answering], timeout=WAIT)
            assert answering.cancelled()
            assert len(batches) == pushed > 1

    asyncio.run(run())


def test_the_deadline_for_silence_counts_from_the_last_byte() -> None:
    async def write(writer: asyncio.StreamWriter) -> None:
        response = until_closed(UNFINISHED)
        for start in range(0, len(response), len(response) // 8):
            writer.write(response[start : start + len(response) // 8])
            await asyncio.sleep(0.1)
        writer.write(b"".join(map(sse, end())))
        await asyncio.sleep(WAIT)

    result = asyncio.run(received_from(write, silence=0.4))
    assert result.error is None
    assert result.events[-1] == end()[-1]


def test_a_connection_is_reused_and_aiohttp_waits_on_it_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    receivers = record_receivers(monkeypatch)

    async def last(writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b"transfer-encoding: chunked\r\n\r\n")
        await asyncio.sleep(WAIT)

    async def run() -> None:
        answer = in_pieces(chunked(ANSWER), 3)
        async with serving(answer, answer, answer, last) as upstream, connected(upstream, silence=0.3) as claude:
            # The last time for longer than a response may be silent.
            for seconds in (0.01, 0.01, 0.4):
                assert (await received(claude)).error is None
                await asyncio.sleep(seconds)
            assert (await received(claude)).error is ErrorCode.TIMEOUT
            assert upstream.connections == 1

    asyncio.run(run())
    assert len(receivers) == 4


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_answers_over_tls_are_processed_at_once_also_during_pauses_and_their_connection_is_reused(
    run: Callable[[Awaitable[None]], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    receivers = record_receivers(monkeypatch)
    certificate, key = make_certificate(tmp_path, "localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, key)

    async def answers() -> None:
        single = chunk_by_chunk(events_of(ANSWER))
        async with (
            asyncio.timeout(WAIT),
            serving(in_pieces(chunked(ANSWER), 3), single, tls=tls) as upstream,
            connected(upstream) as claude,
        ):
            results = [await received(claude)]
            for delay in (0.0, 0.02):
                await asyncio.sleep(0.02)
                claude.backpressure.delay = delay
                results.append(await received(claude))
            assert [result.error for result in results] == [None] * 3
            assert results[0].events == results[1].events == results[2].events
            # The last chunk of the second answer arrives after its last event, so its connection is not free yet.
            assert upstream.connections == 2

    run(answers())
    assert len(receivers) == 3


@pytest.mark.parametrize("cancelled", [False, True])
def test_pieces_that_arrive_during_a_pause_are_processed_together(*, cancelled: bool) -> None:
    async def run() -> None:
        batches, all_written = list[list[Json]](), asyncio.Event()

        async def write(writer: asyncio.StreamWriter) -> None:
            writer.write(until_closed(b"".join(map(sse, [START, begin(0, type="text", text="")]))))
            await asyncio.sleep(0.02)
            for word in WORDS:
                writer.write(sse(delta(0, "text_delta", text=word)))
                await asyncio.sleep(0.001)
            writer.write(b"".join(map(sse, text()[1:] + end())))
            await writer.drain()
            all_written.set()

        def push(batch: list[Json]) -> bool:
            batches.append(batch)
            claude.backpressure.delay = WAIT if len(batches) == 2 and cancelled else 0.3 if len(batches) == 2 else 0.0
            return True

        async def answer() -> None:
            async for _ in claude.stream(Hello(), push=push):
                pass

        async with serving(write) as upstream, connected(upstream) as claude:
            answering = asyncio.create_task(answer())
            await asyncio.wait_for(all_written.wait(), WAIT)
            if cancelled:
                answering.cancel()
                await asyncio.wait_for(upstream.lost.wait(), WAIT)
            else:
                await asyncio.wait_for(answering, WAIT)
                assert len(batches) == 3
                assert list(merge_deltas([*chain(*batches)]))[2] == delta(0, "text_delta", text="".join(WORDS))

    asyncio.run(run())
