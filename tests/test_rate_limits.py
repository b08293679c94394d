"""The rate limits of the Claude account: the server reads them from responses, shows them, and waits before it meets them."""

import asyncio
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from client import Api
from running import tertulia

from tertulia.claude.rate_limits import MAX_DELAY, MAX_MODELS, RateLimits

MODEL = "claude-opus-5-5"
REQUESTS = "query ($id: ID!) { generation(id: $id) { status requests { status } } }"


def headers(kind: str = "requests", *, limit: Any = 60, remaining: Any = 0, reset: float = 60.0) -> dict[str, str]:
    time = datetime.fromtimestamp(reset, UTC).isoformat().replace("+00:00", "Z")
    names = {"limit": limit, "remaining": remaining, "reset": time}
    return {f"anthropic-ratelimit-{kind}-{name}": str(value) for name, value in names.items()}


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def limits_after(*responses: dict[str, str]) -> tuple[RateLimits, Clock]:
    clock = Clock()
    limits = RateLimits(clock)
    for response in responses:
        asyncio.run(limits.wait(MODEL, has_begun=True))
        limits.finish(MODEL, response)
    return limits, clock


def test_a_request_waits_until_the_bucket_has_room_for_it() -> None:
    limits, clock = limits_after(headers(limit=60, remaining=0, reset=60.0))
    assert limits.delay(MODEL) == 1.0
    clock.now = 0.5
    assert limits.delay(MODEL) == 0.5
    clock.now = 5.0
    assert limits.delay(MODEL) == 0.0


def test_concurrent_requests_wait_one_after_the_other() -> None:
    limits, _ = limits_after(headers(limit=60, remaining=2, reset=58.0))
    delays: list[float] = []
    for _ in range(4):
        delays.append(limits.delay(MODEL))
        asyncio.run(limits.wait(MODEL, has_begun=True))
    assert delays == [0.0, 0.0, 1.0, 2.0]


def test_many_requests_do_not_wait_while_there_are_enough_tokens() -> None:
    limits, _ = limits_after(headers("input-tokens", limit=1000, remaining=900, reset=1.0))
    for _ in range(500):
        asyncio.run(limits.wait(MODEL, has_begun=True))
    assert limits.delay(MODEL) == 0.0


def test_a_request_waits_when_almost_no_tokens_are_left() -> None:
    limits, _ = limits_after(headers("input-tokens", limit=1000, remaining=0, reset=100.0))
    assert limits.delay(MODEL) == pytest.approx(1.0)


def test_no_request_waits_for_long() -> None:
    limits, _ = limits_after(headers(limit=1, remaining=0, reset=3600.0))
    assert limits.delay(MODEL) == MAX_DELAY


def test_the_limits_of_one_model_do_not_delay_another() -> None:
    limits, _ = limits_after(headers())
    assert limits.delay("claude-haiku-5-5") == 0.0


def test_an_answer_that_has_begun_never_waits() -> None:
    limits, _ = limits_after(headers(limit=1, remaining=0, reset=3600.0))
    asyncio.run(limits.wait(MODEL, has_begun=True))
    assert limits.waits == 0


@pytest.mark.parametrize("kind", ["requests", "input-tokens"])
def test_a_cancelled_wait_does_not_delay_other_requests(kind: str) -> None:
    limits, _ = limits_after(headers(kind, limit=60, remaining=0, reset=60.0))
    delay = limits.delay(MODEL)
    assert delay > 0

    async def cancel() -> None:
        waiting = asyncio.create_task(limits.wait(MODEL, has_begun=False))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    asyncio.run(cancel())
    assert (limits.waits, limits.delay(MODEL)) == (1, delay)


@pytest.mark.parametrize(
    "response",
    [
        {},
        headers(limit="many"),
        headers(limit=-1),
        headers(remaining=10**20),
        headers() | {"anthropic-ratelimit-requests-reset": "soon"},
    ],
)
def test_invalid_headers_are_ignored(response: dict[str, str]) -> None:
    limits, _ = limits_after(response)
    assert list(limits) == []
    assert limits.delay(MODEL) == 0.0


def test_the_number_of_models_is_limited() -> None:
    limits = RateLimits(Clock())
    for number in range(MAX_MODELS + 10):
        asyncio.run(limits.wait(f"model-{number}", has_begun=True))
        limits.finish(f"model-{number}", headers())
    assert len(list(limits)) == MAX_MODELS


@pytest.fixture
def simulated(tmp_path: Path) -> Generator[Api]:
    with tertulia(tmp_path) as address, Api(address) as api:
        yield api


def test_the_next_message_waits_for_the_limit_instead_of_meeting_it(simulated: Api) -> None:
    sent = simulated.send("/simulate near-limit 1")
    simulated.follow(sent["generation"]["id"])
    next_one = simulated.send("Hi", conversationId=sent["conversation"]["id"])["generation"]["id"]
    assert simulated.follow(next_one)[-1]["__typename"] == "GenerationCompleted"
    # A request that meets the limit is refused and retried, and has a row of its own.
    assert simulated.ask(REQUESTS, id=next_one)["generation"]["requests"] == [{"status": "COMPLETED"}]
    metrics = simulated.http.get("/metrics").text
    assert f'tertulia_claude_rate_limit_limit{{kind="requests",model="{MODEL}"}} 4000.0' in metrics
    assert f'tertulia_claude_rate_limit_remaining{{kind="input_tokens",model="{MODEL}"}} 1.999999e+06' in metrics
    assert "tertulia_claude_rate_limit_waits_total 1.0" in metrics
