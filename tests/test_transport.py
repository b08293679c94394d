"""The way to Claude: the SDK's requests over aiohttp, through proxies and encodings, and slower where we are late."""

import asyncio
import gzip
import socket
import time
from typing import Any

import pytest
from scripted import START, Gate, Reply, ScriptedClaude, end, says, scripted, sse, text

from tertulia.claude.backpressure import LATE, LONGEST, Backpressure
from tertulia.claude.client import Claude, Deadlines
from tertulia.claude.errors import ErrorCode, describe


class Hello:
    """Asks for an answer, and for nothing else instead."""

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


def hold_the_loop() -> None:
    time.sleep(10 * LATE)


def written(found: list[list[Any]]) -> str:
    deltas = [event["delta"] for events in found for event in events if event["type"] == "content_block_delta"]
    return "".join(delta["text"] for delta in deltas)


def test_an_answer_that_a_proxy_has_compressed_is_understood() -> None:
    body = gzip.compress(b"".join(sse(event) for event in [START, *text(*PIECES), *end()]))
    cut = [body[place : place + 7] for place in range(0, len(body), 7)]
    with scripted(Reply(cut, headers={"content-encoding": "gzip"})) as claude:
        assert written(asyncio.run(batches(claude.address))) == "".join(PIECES)


def test_the_environments_proxy_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(says("through the proxy")) as proxy:
        monkeypatch.setenv("http_proxy", proxy.address)
        assert written(asyncio.run(batches("http://claude.invalid"))) == "through the proxy"
        assert proxy.headers[0]["host"] == "claude.invalid"


def test_the_environments_proxy_is_not_asked_for_what_it_leaves_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(says("directly")) as claude, scripted(says("through the proxy")) as proxy:
        monkeypatch.setenv("http_proxy", proxy.address)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert written(asyncio.run(batches(claude.address))) == "directly"


def test_nobody_at_the_address_is_a_lost_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(Exception, match="onnection") as raised:
            asyncio.run(batches(address))
    assert describe(raised.value).code is ErrorCode.CONNECTION


def test_a_connection_is_used_again_for_the_next_answer() -> None:
    async def several(claude: ScriptedClaude) -> None:
        asked = Claude(api_key="sk-ant-test", base_url=claude.address)
        for _ in range(5):
            assert written([events async for events in asked.stream(REQUEST)]) == "again"
        await asked.close()

    with scripted(says("again")) as claude:
        asyncio.run(several(claude))
        # An answer's last bytes may come behind its end, and then the connection is not free yet.
        assert len(set(claude.clients)) < 5


def test_what_comes_in_a_pause_comes_together_and_whole() -> None:
    async def held_back(claude: ScriptedClaude, gate: Gate) -> list[list[Any]]:
        asked = Claude(api_key="sk-ant-test", base_url=claude.address)
        found: list[list[Any]] = []
        async for events in asked.stream(REQUEST):
            found.append(events)
            # Behind the first piece, the pause outlasts all the others.
            asked.backpressure.delay = 0.5 if len(found) == 1 else 0.0
            gate.open.set()
        await asked.close()
        return found

    gate = Gate()
    with scripted(Reply([START, gate, *text(*PIECES), *end()])) as claude:
        found = asyncio.run(held_back(claude, gate))
    assert written(found) == "".join(PIECES)
    assert len(found) < len(PIECES) / 2


def test_a_pause_grows_above_4_milliseconds_shrinks_below_2_and_stays_in_between() -> None:
    backpressure, delays = Backpressure(), list[float]()
    for late in (0.0041, 0.0039, 0.0021, 0.0019, 0.0041):
        backpressure.adapt(late)
        delays.append(backpressure.delay)
    assert delays == pytest.approx([0.005, 0.005, 0.005, 0.004, 0.009])


def test_a_pause_begins_where_the_loop_is_late_and_ends_where_it_is_in_time() -> None:
    async def late() -> float:
        backpressure = Backpressure()
        watching = asyncio.create_task(backpressure.watch())
        while not backpressure.delay:
            hold_the_loop()
            await asyncio.sleep(0)
        watching.cancel()
        return backpressure.delay

    assert asyncio.run(late()) > 0
    backpressure = Backpressure()
    for _ in range(1000):
        backpressure.adapt(10 * LATE)
    assert backpressure.delay == LONGEST
    for _ in range(1000):
        backpressure.adapt(0)
    assert backpressure.delay == 0
