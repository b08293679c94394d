"""The simulator, called by the real SDK over HTTP: answers, validation, models, token counts and scenarios."""

from collections.abc import Generator
from typing import Any

import anthropic
import httpx2
import pytest
from running import running

from tertulia.simulator.app import create_simulator

MODEL = "claude-opus-5-5"


@pytest.fixture(scope="module")
def claude() -> Generator[anthropic.Anthropic]:
    with running(create_simulator(pace=0), lifespan="off") as address:
        client = anthropic.Anthropic(api_key="anything", base_url=address, max_retries=0)
        with client:
            yield client


def say(claude: anthropic.Anthropic, *turns: str, **more: Any) -> anthropic.types.Message:
    roles = ("user", "assistant")
    messages: Any = [{"role": roles[number % 2], "content": turn} for number, turn in enumerate(turns)]
    body: dict[str, Any] = {"model": MODEL, "max_tokens": 1000, "messages": messages}
    message: anthropic.types.Message = claude.messages.create(**(body | more))
    return message


def words(message: anthropic.types.Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def test_an_answer_that_is_not_streamed_uses_the_history(claude: anthropic.Anthropic) -> None:
    assert "Ada" in words(say(claude, "My name is Ada", "Hello!", "What is my name?"))


def test_a_streamed_answer_equals_the_whole_one(claude: anthropic.Anthropic) -> None:
    turn: Any = [{"role": "user", "content": "/simulate thinking"}]
    with claude.messages.stream(model=MODEL, max_tokens=1000, messages=turn) as stream:
        streamed = stream.get_final_message()
    assert [block.type for block in streamed.content] == ["thinking", "text"]
    assert words(streamed) == words(say(claude, "/simulate thinking"))
    assert streamed.usage.output_tokens > 0


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"max_tokens": 0}, "max_tokens"), ({"max_tokens": -1}, "max_tokens"), ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": ""}]}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": " "}]}]}, "text"),
        ({"messages": [{"role": "assistant", "content": "hi"}]}, "messages"),
        ({"messages": [{"role": "nobody", "content": "hi"}]}, "role"),
        ({"thinking": {"type": "enabled", "budget_tokens": 5}}, "budget_tokens"),
    ],
)  # fmt: skip
def test_requests_that_the_api_refuses_are_refused(claude: anthropic.Anthropic, change: Any, says: str) -> None:
    with pytest.raises(anthropic.BadRequestError) as refused:
        say(claude, "Hello", **change)
    assert says in str(refused.value)
    assert refused.value.request_id


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"5", b"{}", b'{"model": "claude-opus-5-5"}', b'{"model": 5, "max_tokens": 1, "messages": []}',
     b'{"model": "claude-opus-5-5", "max_tokens": "x", "messages": []}',
     b'{"model": "claude-opus-5-5", "max_tokens": 1, "messages": "x"}',
     b'{"model": "claude-opus-5-5", "max_tokens": 1, "messages": ["x"]}',
     b'{"model": "claude-opus-5-5", "max_tokens": 1, "messages": [{"role": "user", "content": 5}]}',
     b'{"model": "claude-opus-5-5", "max_tokens": 1, "messages": [{"role": "user", "content": ["x"]}]}',
     b'{"model": "claude-opus-5-5", "max_tokens": 1, "messages": [{"role": "user", "content": [{"type": "text"}]}]}',
     b'{"model": "claude-opus-5-5", "max_tokens": 1, "thinking": "x", "messages": [{"role": "user", "content": "x"}]}',
     b'{"model": "claude-opus-5-5", "max_tokens": 1, "messages": [{"role": "user", "content": "half: \\ud83d"}]}'],
)  # fmt: skip
def test_a_malformed_body_is_an_invalid_request(claude: anthropic.Anthropic, body: bytes) -> None:
    headers = {"authorization": "Bearer anything", "anthropic-version": "2026-10-21"}
    for path in ("v1/messages", "v1/messages/count_tokens"):
        response = httpx2.post(str(claude.base_url.join(path)), content=body, headers=headers)
        assert response.status_code in (400, 404)
        assert response.json()["type"] == "error"
        assert response.json()["request_id"] == response.headers["request-id"]


def test_an_unknown_model_is_not_found(claude: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError, match="gpt-4"):
        say(claude, "Hello", model="gpt-4")


def test_an_invalid_api_key_is_refused(claude: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.AuthenticationError):
        say(claude.with_options(api_key="sk-ant-invalid"), "Hello")


def test_models_are_listed(claude: anthropic.Anthropic) -> None:
    listed = [model.id for model in claude.models.list()]
    assert MODEL in listed
    assert claude.models.retrieve(MODEL).max_tokens


def test_tokens_are_counted(claude: anthropic.Anthropic) -> None:
    short: Any = [{"role": "user", "content": "Hello"}]
    long: Any = [{"role": "user", "content": "Hello " * 500}]
    counts = [claude.messages.count_tokens(model=MODEL, messages=turn).input_tokens for turn in (short, long)]
    assert counts[0] < counts[1]


@pytest.mark.parametrize(
    ("scenario", "error", "status"),
    [("rate-limit 7", anthropic.RateLimitError, 429), ("overloaded", anthropic.APIStatusError, 529),
     ("server-error", anthropic.InternalServerError, 500)],
)  # fmt: skip
def test_failing_scenarios_have_the_apis_status(
    claude: anthropic.Anthropic, scenario: str, error: type[anthropic.APIStatusError], status: int
) -> None:
    with pytest.raises(error) as failed:
        say(claude, f"/simulate {scenario}")
    assert failed.value.status_code == status
    if status == 429:
        assert failed.value.response.headers["retry-after"] == "7"


def test_a_scenario_can_fail_a_few_times_and_then_succeed(claude: anthropic.Anthropic) -> None:
    for _ in range(2):
        with pytest.raises(anthropic.APIStatusError):
            say(claude, "/simulate overloaded 2")
    assert words(say(claude, "/simulate overloaded 2"))


def test_the_tool_use_scenario_calls_the_given_tool(claude: anthropic.Anthropic) -> None:
    shape = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}
    message = say(claude, "/simulate tool-use", tools=[{"name": "weather", "input_schema": shape}])
    call = message.content[0]
    assert message.stop_reason == "tool_use"
    assert call.type == "tool_use"
    assert call.input == {"city": "example", "days": 1}


@pytest.mark.parametrize(("scenario", "reason"), [("max-tokens", "max_tokens"), ("refusal", "refusal")])
def test_scenarios_end_with_their_stop_reason(claude: anthropic.Anthropic, scenario: str, reason: str) -> None:
    assert say(claude, f"/simulate {scenario}").stop_reason == reason


CALL = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "There."}
EXCHANGE = [
    {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": [CALL]},
    {"role": "user", "content": [RESULT]},
]
LOOK = {"name": "look", "input_schema": {"type": "object"}}


def test_with_a_budget_tool_results_need_the_thinking_before_their_call(claude: anthropic.Anthropic) -> None:
    budget: Any = {"type": "enabled", "budget_tokens": 1024}
    more: Any = {"model": "claude-haiku-4-5", "max_tokens": 2000, "messages": EXCHANGE, "tools": [LOOK]}
    with pytest.raises(anthropic.BadRequestError, match="must start with a thinking block"):
        claude.messages.create(**more, thinking=budget)
    assert claude.messages.create(**more, thinking={"type": "disabled"}).stop_reason


FALLBACKS, CREDIT = "server-side-fallback-2026-07-01", "fallback-credit-2026-07-01"


@pytest.mark.parametrize(
    ("betas", "fields", "says"),
    [
        ("", {"fallbacks": [{"model": "claude-opus-5"}]}, "fallbacks: Extra inputs"),
        (FALLBACKS, {"fallbacks": [{"model": "claude-haiku-5-5"}]}, "not an allowed fallback"),
        (FALLBACKS, {"fallbacks": [{"model": "claude-opus-5", "tools": []}]}, "tools: Extra inputs"),
        (FALLBACKS, {"fallbacks": [{"model": "claude-opus-5", "max_tokens": "x"}]}, "valid dictionary"),
        (CREDIT, {"fallback_credit_token": {"mode": "strict"}}, "valid dictionary"),
        (CREDIT, {"fallback_credit_token": "fct_unknown"}, "does not match"),
        (f"{CREDIT},{FALLBACKS}", {"fallback_credit_token": "x", "fallbacks": "default"}, "cannot be combined"),
    ],
)
def test_wrong_fallbacks_are_refused(claude: anthropic.Anthropic, betas: str, fields: Any, says: str) -> None:
    with pytest.raises(anthropic.BadRequestError, match=says):
        say(claude, "Hello", extra_body=fields, extra_headers={"anthropic-beta": betas})
