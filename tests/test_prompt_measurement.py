"""Prompts near a limit are counted by Claude's API before they are sent."""

import asyncio
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from client import Api, Json, wait_until
from running import running, tertulia
from scripted import model, says, scripted
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tertulia.claude.client import Claude
from tertulia.claude.token_counts import MAX_BYTES, TokenCounter

BODY: Json = {
    "model": "claude-opus-5-5",
    "max_tokens": 10,
    "betas": ["compact-2026-01-12"],
    "metadata": {"user_id": "x"},
    "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
}


class Counts:
    """The route of a Messages API that counts tokens."""

    def __init__(self) -> None:
        self.requests: list[Json] = []
        self.betas: list[str | None] = []
        self.status = 200
        self.body: Any = {"input_tokens": 42}

    async def count(self, request: Request) -> Response:
        self.requests.append(await request.json())
        self.betas.append(request.headers.get("anthropic-beta"))
        return JSONResponse(self.body, self.status)


def count(counts: Counts, *bodies: Json) -> list[int | None]:
    async def run(address: str) -> list[int | None]:
        claude = Claude(api_key="k", base_url=address)
        counter = TokenCounter(claude)
        try:
            return [await counter.count(body) for body in bodies]
        finally:
            await claude.close()

    app = Starlette(routes=[Route("/v1/messages/count_tokens", counts.count, methods=["POST"])])
    with running(app, lifespan="off") as address:
        return asyncio.run(run(address))


def test_the_same_prompt_is_counted_once() -> None:
    counts = Counts()
    other = BODY | {"system": "Be brief."}
    assert count(counts, BODY, BODY | {"max_tokens": 99}, other) == [42, 42, 42]
    assert [request.keys() for request in counts.requests] == [{"model", "messages"}, {"model", "messages", "system"}]
    assert counts.betas == ["compact-2026-01-12"] * 2


@pytest.mark.parametrize(("status", "body"), [(404, {}), (500, {}), (200, {"input_tokens": -1}), (200, {})])
def test_a_count_that_fails_is_not_known(status: int, body: Json) -> None:
    counts = Counts()
    counts.status, counts.body = status, body
    assert count(counts, BODY) == [None]


def test_a_request_that_is_too_large_to_be_sent_twice_is_not_counted() -> None:
    counts = Counts()
    assert count(counts, BODY | {"system": "x" * MAX_BYTES}) == [None]
    assert counts.requests == []


def test_after_a_failure_no_count_is_requested_for_a_while() -> None:
    counts = Counts()
    counts.status = 404
    assert count(counts, BODY, BODY | {"system": "Be brief."}) == [None, None]
    assert len(counts.requests) == 1


def test_a_reservation_is_lowered_to_the_counted_size_of_the_prompt(tmp_path: Path) -> None:
    # 100,000 digits are 33,333 tokens by the guess, and 25,000 by the simulated Claude's count: $0.167 and $0.125.
    with tertulia(tmp_path, monthly_budget_usd="0.140", simulator_pace=1) as address, Api(address) as api:
        sent = api.send("/simulate slow-start 90 " + "1" * 100_000, options={"maxTokens": 100})

        def reserved() -> Decimal:
            return Decimal(api.ask("{ viewer { budget { reservedUsd } } }")["viewer"]["budget"]["reservedUsd"])

        wait_until(lambda: reserved() < Decimal("0.130"), "the lower reservation", seconds=60)
        assert reserved() > Decimal("0.125")
        api.stop(sent["generation"]["id"])


def compacting(tokens: int | None) -> Json:
    """Return the request for a message of 1,100 tokens by the guess, to a model with a window of 2,000."""
    support = {"supported": True}
    capabilities = {"context_management": {**support, "compact_20260112": support}}
    with scripted(says("Hello")) as claude, TemporaryDirectory() as folder:
        claude.tokens = tokens
        claude.models = [model("claude-opus-5-5") | {"max_input_tokens": 2000, "capabilities": capabilities}]
        options = {"anthropic_api_key": "k", "anthropic_base_url": claude.address}
        with tertulia(Path(folder), **options) as address, Api(address) as api:
            api.answer("1" * 3300)
        assert len(claude.counted) == 1
        request: Json = claude.requests[0]
        return request


def test_a_prompt_that_is_counted_below_the_trigger_is_not_summarized() -> None:
    assert "context_management" not in compacting(tokens=900)


def test_a_prompt_that_is_counted_near_the_end_of_the_window_may_be_summarized() -> None:
    assert compacting(tokens=1000)["context_management"]["edits"][0]["type"] == "compact_20260112"


def test_without_a_count_the_guess_decides_whether_a_prompt_may_be_summarized() -> None:
    assert "context_management" in compacting(tokens=None)
