"""The transport to Claude: requests over aiohttp, proxies, compression, connection reuse and backpressure."""

import asyncio
import gzip
import socket
import time
from typing import Any

import pytest
from scripted import START, Gate, Reply, ScriptedClaude, end, says, scripted, sse, text

from tertulia.claude.backpressure import LATE, Backpressure
from tertulia.claude.client import Claude
from tertulia.claude.connections import Deadlines
from tertulia.claude.errors import ErrorCode, describe


class Hello:
    """A request without an alternative if Claude refuses it."""

    has_begun = False

    async def body(self) -> dict[str, Any]:
        hello = [{"role": "user", "content": "Hello"}]
        return {"model": "claude-opus-5-5", "max_tokens": 100, "messages": hello}

    async def body_without_refused(self, error: Exception) -> None:
        return None


REQUEST = Hello()
PIECES = [str(number) for number in range(100)]


async def batches(address: str, pause: float = 0.0) -> list[list[Any]]:
    claude = Claude(api_key="sk-ant-test", base_url=address, deadlines=Deadlines(silence=10))
    claude.backpressure.delay = pause
    try:
        return [events async for events in claude.stream(REQUEST)]
    finally:
        await claude.close()


def block_the_loop() -> None:
    time.sleep(10 * LATE)


def text_of(batches: list[list[Any]]) -> str:
    deltas = [event["delta"] for events in batches for event in events if event["type"] == "content_block_delta"]
    return "".join(delta["text"] for delta in deltas)


def test_an_answer_compressed_by_a_proxy_is_decoded() -> None:
    body = gzip.compress(b"".join(sse(event) for event in [START, *text(*PIECES), *end()]))
    chunks = [body[start : start + 7] for start in range(0, len(body), 7)]
    with scripted(Reply(chunks, headers={"content-encoding": "gzip"})) as claude:
        assert text_of(asyncio.run(batches(claude.address))) == "".join(PIECES)


def test_the_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(says("through the proxy")) as proxy:
        monkeypatch.setenv("http_proxy", proxy.address)
        assert text_of(asyncio.run(batches("http://claude.invalid"))) == "through the proxy"
        assert proxy.headers[0]["host"] == "claude.invalid"


def test_the_proxy_is_not_used_for_hosts_in_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(says("directly")) as claude, scripted(says("through the proxy")) as proxy:
        monkeypatch.setenv("http_proxy", proxy.address)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert text_of(asyncio.run(batches(claude.address))) == "directly"


def test_a_refused_connection_is_reported_as_a_connection_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(Exception, match="onnection") as raised:
            asyncio.run(batches(address))
    assert describe(raised.value).code is ErrorCode.CONNECTION


def test_a_connection_is_reused_for_the_next_answer() -> None:
    async def several(claude: ScriptedClaude) -> None:
        client = Claude(api_key="sk-ant-test", base_url=claude.address)
        for _ in range(5):
            assert text_of([events async for events in client.stream(REQUEST)]) == "again"
        await client.close()

    with scripted(says("again")) as claude:
        asyncio.run(several(claude))
        # The last bytes of a response may arrive after its end, and then its connection is not free yet.
        assert len(set(claude.clients)) < 5


def test_events_that_arrive_during_a_delay_are_delivered_together() -> None:
    async def held_back(claude: ScriptedClaude, gate: Gate) -> list[list[Any]]:
        client = Claude(api_key="sk-ant-test", base_url=claude.address)
        received: list[list[Any]] = []
        async for events in client.stream(REQUEST):
            received.append(events)
            # After the first batch, the delay lasts until all other events have arrived.
            client.backpressure.delay = 0.5 if len(received) == 1 else 0.0
            gate.open.set()
        await client.close()
        return received

    gate = Gate()
    with scripted(Reply([START, gate, *text(*PIECES), *end()])) as claude:
        received = asyncio.run(held_back(claude, gate))
    assert text_of(received) == "".join(PIECES)
    assert len(received) < len(PIECES) / 2


def test_the_delay_begins_when_the_loop_is_late_all_the_time() -> None:
    async def late() -> float:
        backpressure = Backpressure()
        watching = asyncio.create_task(backpressure.watch())
        while not backpressure.delay:
            block_the_loop()
            await asyncio.sleep(0)
        watching.cancel()
        return backpressure.delay

    assert asyncio.run(late()) > 0
