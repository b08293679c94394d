"""The part `providers`: the CPU time of tokens and requests at Anthropic and Amazon Bedrock, in the client of Claude.

The upstream is a process that writes a prepared body. It writes each event separately with a pace, and all at once
without one, so that both the reading and the parsing of an event are measured.
"""

import asyncio
import base64
import json
import os
import struct
import sys
import time
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from anthropic import AsyncAnthropicBedrock

from bench.options import Options
from bench.peers.candidates import Stage
from bench.processes import Process, folder, free_port
from bench.report import Report
from tertulia.claude.client import Claude
from tertulia.claude.providers import Provider

PART = "providers"
TOKENS, REQUESTS = 20_000, 200
PACED_TOKENS, PACE = 1_500, 0.001
MODEL = "global.anthropic.claude-opus-4-6-v1"
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A provider with its credentials, or the SDK's own stream."""

    name: str
    provider: Provider
    variables: dict[str, str]


SIGNED = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "us-east-1"}
ANTHROPIC = Candidate("anthropic", Provider.ANTHROPIC, {})
BEDROCK = Candidate("bedrock", Provider.BEDROCK, SIGNED)
BEARER = Candidate("bedrock, bearer", Provider.BEDROCK, SIGNED | {"AWS_BEARER_TOKEN_BEDROCK": "token"})
SDK = Candidate("SDK on bedrock", Provider.BEDROCK, SIGNED)


class Question:
    """A request that asks for a number of tokens."""

    has_begun = False

    def __init__(self, tokens: int, *, is_paced: bool) -> None:
        self._text = f"{tokens} {int(is_paced)}"

    async def body(self) -> Json:
        return {"model": MODEL, "max_tokens": 1000, "messages": [self.message]}

    async def body_without_refused(self, error: Exception) -> None:
        return None

    @property
    def message(self) -> Json:
        return {"role": "user", "content": [{"type": "text", "text": self._text}]}


def providers(stage: Stage, report: Report, options: Options) -> None:
    """Measure the candidates in turns."""
    port = free_port()
    with folder() as place:
        command = [sys.executable, "-m", "bench.parts.providers", str(port)]
        upstream = Process("providers", command, stage.cores.server, place, {})
        try:
            upstream.listening(port)
            for candidate in options.turns(ANTHROPIC, BEDROCK, BEARER, SDK):
                _measure(candidate, port, report, options)
        finally:
            upstream.kill()


def _measure(candidate: Candidate, port: int, report: Report, options: Options) -> None:
    os.environ.pop("AWS_BEARER_TOKEN_BEDROCK", None)
    os.environ.update(candidate.variables, ANTHROPIC_BEDROCK_BASE_URL=f"http://127.0.0.1:{port}")
    tokens, paced, requests = (options.count(count) for count in (TOKENS, PACED_TOKENS, REQUESTS))

    def add(name: str, value: float, unit: str) -> None:
        report.add(PART, name, candidate.name, value, unit)

    async def measure() -> None:
        claude = Claude(api_key="key", base_url=f"http://127.0.0.1:{port}", provider=candidate.provider)
        sdk = AsyncAnthropicBedrock() if candidate is SDK else None
        try:
            # The first answers import the SDK, and prepare the bodies.
            await _read(claude, sdk, 1, is_paced=False)
            await _read(claude, sdk, tokens, is_paced=False)
            elapsed, cpu = await _read(claude, sdk, tokens, is_paced=False)
            add("without a pace: tokens", tokens / elapsed, "tokens/s")
            add("without a pace: CPU per token", 1e6 * cpu / tokens, "µs")
            _, cpu = await _read(claude, sdk, paced, is_paced=True)
            add("one token at a time: CPU per token", 1e6 * cpu / paced, "µs")
            cpu = sum([(await _read(claude, sdk, 1, is_paced=False))[1] for _ in range(requests)])
            add("a request with one token: CPU", 1e3 * cpu / requests, "ms")
        finally:
            await claude.close()
            if sdk is not None:
                await sdk.close()

    asyncio.run(measure())


async def _read(
    claude: Claude, sdk: AsyncAnthropicBedrock | None, tokens: int, *, is_paced: bool
) -> tuple[float, float]:
    """Read an answer, and return the seconds that it took, and those of this process's CPU time."""
    question, count = Question(tokens, is_paced=is_paced), 0
    begun, cpu = time.perf_counter(), time.process_time()
    if sdk is None:
        async for events in claude.stream(question):
            # Tokens that arrive together are joined.
            deltas = (event["delta"]["text"] for event in events if event["type"] == "content_block_delta")
            count += sum(text.count("word") for text in deltas)
    else:
        stream: Any = await sdk.messages.create(**await question.body(), stream=True)
        async for event in stream:
            count += event.type == "content_block_delta"
    assert count == tokens
    return time.perf_counter() - begun, time.process_time() - cpu


# ---- the upstream ----------------------------------------------------------------------------


def _events(tokens: int) -> Iterable[Json]:
    usage = {"input_tokens": 1, "output_tokens": 1}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": MODEL, "content": [], "usage": usage}
    yield {"type": "message_start", "message": {**message, "stop_reason": None, "stop_sequence": None}}
    yield {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    for number in range(tokens):
        yield {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": f" word{number}"}}
    yield {"type": "content_block_stop", "index": 0}
    yield {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": usage}
    yield {"type": "message_stop"}


def _server_sent(event: Json) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


def _binary(event: Json) -> bytes:
    encoded = base64.b64encode(json.dumps(event).encode()).decode()
    payload = f'{{"bytes":"{encoded}","p":"abcdefghijk"}}'.encode()
    names = {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}
    headers = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for name, value in names.items()
    )
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return message + struct.pack(">I", zlib.crc32(message))


@cache
def _frames(tokens: int, *, is_binary: bool) -> list[bytes]:
    return [(_binary if is_binary else _server_sent)(event) for event in _events(tokens)]


@cache
def _body(tokens: int, *, is_binary: bool) -> bytes:
    return b"".join(_frames(tokens, is_binary=is_binary))


async def _serve(port: int) -> None:
    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
                words = json.loads(await reader.readexactly(length))["messages"][0]["content"][0]["text"]
                tokens, is_paced = map(int, words.split())
                is_binary = head.startswith(b"POST /model/")
                body = _body(tokens, is_binary=is_binary)
                kind = b"application/vnd.amazon.eventstream" if is_binary else b"text/event-stream"
                size = str(len(body)).encode()
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: " + kind + b"\r\ncontent-length: " + size + b"\r\n\r\n")
                for piece in _frames(tokens, is_binary=is_binary) if is_paced else [body]:
                    writer.write(piece)
                    await asyncio.sleep(PACE if is_paced else 0)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(respond, "127.0.0.1", port, limit=2**24)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
