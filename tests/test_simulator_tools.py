"""The simulator's tool calls and its answers to tool results, called by the real SDK over HTTP."""

import base64
import json
from collections.abc import Generator
from typing import Any

import anthropic
import pytest
from anthropic.types import Message
from media import image
from running import running

from tertulia.simulator.app import create_simulator

Json = dict[str, Any]

MODEL = "claude-opus-5-5"
FORCED = "claude-haiku-5-5"
SHAPE = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}
WEATHER: Json = {"name": "weather", "description": "Tells the weather.", "input_schema": SHAPE}
WHO: Json = {"name": "who", "input_schema": {"type": "object"}}
SEARCH: Json = {"type": "web_search_20260318", "name": "web_search", "allowed_callers": ["direct"]}
FETCH: Json = {"type": "web_fetch_20260318", "name": "web_fetch", "allowed_callers": ["direct"]}
CODE: Json = {"type": "code_execution_20260521", "name": "code_execution"}
TOOLS = [WEATHER, WHO, SEARCH, FETCH, CODE]


@pytest.fixture(scope="module")
def claude() -> Generator[anthropic.Anthropic]:
    with running(create_simulator(pace=0), lifespan="off") as address:
        client = anthropic.Anthropic(api_key="anything", base_url=address, max_retries=0)
        with client:
            yield client


def user_message(*content: Any) -> Json:
    """Return a user's message with a text, or with blocks."""
    return {"role": "user", "content": content[0] if isinstance(content[0], str) else list(content)}


def assistant_message(*content: Any) -> Json:
    return {"role": "assistant", "content": [as_sent(block) for block in content]}


def as_sent(block: Any) -> Any:
    return block if isinstance(block, dict) else block.model_dump(mode="json", exclude_none=True)


def tool_use(id: str = "toolu_1", name: str = "weather", **more: Any) -> Json:
    return {"type": "tool_use", "id": id, "name": name, "input": {}, **more}


def tool_result(id: str, content: Any = None, **more: Any) -> Json:
    block: Json = {"type": "tool_result", "tool_use_id": id, **more}
    return block if content is None else block | {"content": content}


def server_tool_use(id: str = "srvtoolu_1", name: str = "web_search", **more: Any) -> Json:
    return {"type": "server_tool_use", "id": id, "name": name, "input": {"query": "x"}, **more}


def server_tool_result(id: str = "srvtoolu_1", name: str = "web_search", content: Any = ()) -> Json:
    return {"type": f"{name}_tool_result", "tool_use_id": id, "content": content or []}


def text(words: str) -> Json:
    return {"type": "text", "text": words}


def picture() -> Json:
    data = base64.b64encode(image()).decode()
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}


def ask(claude: anthropic.Anthropic, *messages: Any, **more: Any) -> Message:
    body: Json = {"model": MODEL, "max_tokens": 1000, "messages": list(messages), "tools": TOOLS}
    whole: Message = claude.messages.create(**(body | more))
    return whole


def stream(claude: anthropic.Anthropic, *messages: Any, **more: Any) -> list[Json]:
    body: Json = {"model": MODEL, "max_tokens": 1000, "messages": list(messages), "tools": TOOLS, "stream": True}
    events: Any = claude.messages.create(**(body | more))
    return [event.model_dump(mode="json", exclude_unset=True) for event in events]


def streamed_message(claude: anthropic.Anthropic, *messages: Any, **more: Any) -> Message:
    body: Json = {"model": MODEL, "max_tokens": 1000, "messages": list(messages), "tools": TOOLS}
    with claude.messages.stream(**(body | more)) as events:
        message: Message = events.get_final_message()
    return message


def id_of(message: Message, place: int = 0) -> str:
    block: Any = message.content[place]
    return str(block.id)


def words(message: Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def kinds(message: Message) -> list[str]:
    return [block.type for block in message.content]


def without_ids(message: Message) -> Any:
    blocks = [as_sent(block) for block in message.content]
    return [{key: value for key, value in block.items() if key not in ("id", "tool_use_id")} for block in blocks]


def calls(message: Message) -> list[tuple[str, Any]]:
    return [(block.name, block.input) for block in message.content if block.type == "tool_use"]


def refusal(claude: anthropic.Anthropic, *messages: Any, **more: Any) -> str:
    with pytest.raises(anthropic.BadRequestError) as refused:
        ask(claude, *(messages or [user_message("Hello")]), **more)
    body: Any = refused.value.body
    assert body["error"]["type"] == "invalid_request_error"
    return str(body["error"]["message"])


# ---- calls ---------------------------------------------------------------------------------------------------


def test_the_named_tool_is_called_with_the_given_input(claude: anthropic.Anthropic) -> None:
    message = ask(claude, user_message('/simulate call who {"greeting": "Hi", "n": [1, {"a": "}"}]} please'))
    assert (kinds(message), message.stop_reason) == (["tool_use"], "tool_use")
    assert calls(message) == [("who", {"greeting": "Hi", "n": [1, {"a": "}"}]})]
    assert message.usage.output_tokens > 3


def test_without_an_input_an_example_of_the_tools_schema_is_used(claude: anthropic.Anthropic) -> None:
    assert calls(ask(claude, user_message("/simulate call weather"))) == [("weather", {"city": "example", "days": 1})]
    assert calls(ask(claude, user_message("/simulate call"))) == [("weather", {"city": "example", "days": 1})]


def test_a_tool_that_is_not_in_the_request_can_be_called(claude: anthropic.Anthropic) -> None:
    assert calls(ask(claude, user_message("/simulate call no_such_tool"))) == [("no_such_tool", {})]
    assert calls(ask(claude, user_message("/simulate call alone"), tools=[])) == [("alone", {})]


def test_several_lines_make_several_calls_in_one_turn(claude: anthropic.Anthropic) -> None:
    lines = '/simulate call who {"a": 1}\n/simulate call weather {\n  "city": "Cadiz"\n}\n/simulate call who'
    message = ask(claude, user_message(lines))
    assert calls(message) == [("who", {"a": 1}), ("weather", {"city": "Cadiz"}), ("who", {})]
    assert len({block.id for block in message.content if block.type == "tool_use"}) == 3
    only = ask(claude, user_message(lines), tool_choice={"type": "auto", "disable_parallel_tool_use": True})
    assert calls(only) == [("who", {"a": 1})]


@pytest.mark.parametrize(
    "broken", ["this is no json", '{"city": "Ca', "[1, 2]", '{"a": NaN}', '{"a":' * 3000]
)  # fmt: skip
def test_input_that_is_not_a_json_object_is_streamed_unchanged(claude: anthropic.Anthropic, broken: str) -> None:
    events = stream(claude, user_message(f"/simulate call who {broken}"))
    parts = [event["delta"]["partial_json"] for event in events if event["type"] == "content_block_delta"]
    assert "".join(parts) == broken[: len("".join(parts))]
    assert "content_block_stop" in [event["type"] for event in events]
    assert calls(ask(claude, user_message(f"/simulate call who {broken}"))) == [("who", {})]


def test_a_streamed_call_has_exactly_the_apis_form(claude: anthropic.Anthropic) -> None:
    events = stream(claude, user_message('/simulate call who {"greeting": "Good morning to you"}'))
    assert [event["type"] for event in events[:1]] == ["message_start"]
    start, empty, *remaining = events[1:]
    assert start["content_block"] == {**start["content_block"], "type": "tool_use", "name": "who", "input": {}}
    assert empty["delta"] == {"type": "input_json_delta", "partial_json": ""}
    *deltas, stop, ended, _ = remaining
    assert len(deltas) > 1
    assert json.loads("".join(event["delta"]["partial_json"] for event in deltas)) == {
        "greeting": "Good morning to you"
    }
    assert (stop["type"], stop["index"]) == ("content_block_stop", 0)
    assert ended["delta"]["stop_reason"] == "tool_use"
    assert ended["usage"]["output_tokens"] == len(deltas)


@pytest.mark.parametrize(
    "asked", ['/simulate call who {"a": 1}', "/simulate tool-use", "/simulate web-search the sea", "/simulate code",
              "/simulate pause", "/simulate thinking\n/simulate call who", "/simulate call who\n/simulate web-search x"],
)  # fmt: skip
def test_streamed_and_whole_answers_are_equal(claude: anthropic.Anthropic, asked: str) -> None:
    streamed, whole = streamed_message(claude, user_message(asked)), ask(claude, user_message(asked))
    assert without_ids(streamed) == without_ids(whole)
    assert streamed.stop_reason == whole.stop_reason
    assert streamed.usage.output_tokens == whole.usage.output_tokens
    assert streamed.usage.server_tool_use == whole.usage.server_tool_use
    assert (streamed.container is None) == (whole.container is None)


def test_a_call_cut_off_by_max_tokens_has_that_stop_reason(claude: anthropic.Anthropic) -> None:
    question = user_message('/simulate call who {"a": "one two three four five"}\n/simulate call who')
    events = stream(claude, question, max_tokens=3)
    parts = "".join(event["delta"]["partial_json"] for event in events if event["type"] == "content_block_delta")
    assert parts == '{"a": "one two'
    message = ask(claude, question, max_tokens=3)
    assert (message.stop_reason, calls(message), message.usage.output_tokens) == ("max_tokens", [("who", {})], 3)


def test_thinking_precedes_calls_on_request_and_is_accepted_back(claude: anthropic.Anthropic) -> None:
    question = user_message("/simulate thinking\n/simulate rounds 2")
    messages: list[Any] = [question]
    for _ in range(2):
        message = ask(claude, *messages)
        assert kinds(message) == ["thinking", "tool_use"]
        messages += [assistant_message(*message.content), user_message(tool_result(id_of(message, 1), "well"))]
    assert kinds(ask(claude, *messages)) == ["text"]
    assert "signature" in refusal(claude, *messages, tools=[WHO])


def test_the_rounds_scenario_calls_tools_in_that_many_rounds(claude: anthropic.Anthropic) -> None:
    messages: list[Any] = [user_message("Hello"), assistant_message(text("Hi")), user_message("/simulate rounds 3")]
    for _ in range(3):
        message = ask(claude, *messages)
        assert calls(message) == [("weather", {"city": "example", "days": 1})]
        messages += [assistant_message(*message.content), user_message(tool_result(id_of(message), "rain"))]
    assert words(ask(claude, *messages)) == 'The tool returned: "rain".'
    assert ask(claude, *messages[:5], tool_choice={"type": "none"}).stop_reason == "end_turn"


# ---- results -------------------------------------------------------------------------------------------------


def answered(*results: Any, asked: str = "/simulate call weather") -> list[Json]:
    used = [tool_use(f"toolu_{number}") for number, result in enumerate(results) if result["type"] == "tool_result"]
    return [user_message(asked), assistant_message(*used), user_message(*results)]


def test_the_answer_reports_each_result_in_order(claude: anthropic.Anthropic) -> None:
    results = [
        tool_result("toolu_0", "sunny"),
        tool_result("toolu_1", "no network", is_error=True),
        tool_result("toolu_2", [text("two"), picture()]),
        tool_result("toolu_3"),
        tool_result("toolu_4", "x" * 300),
        tool_result("toolu_5", ""),
    ]
    assert words(ask(claude, *answered(*results))) == (
        'The tool returned: "sunny". The tool failed: "no network". The tool returned: "two" and a picture. '
        f'The tool returned: nothing. The tool returned: "{"x" * 200}". The tool returned: nothing.'
    )


def test_the_answer_reports_a_picture_next_to_results(claude: anthropic.Anthropic) -> None:
    assert words(ask(claude, *answered(tool_result("toolu_0", "here"), picture()))) == (
        'The tool returned: "here". There is also a picture.'
    )


def test_results_do_not_count_as_the_users_words(claude: anthropic.Anthropic) -> None:
    turns = [
        user_message("I am Ada"),
        assistant_message(text("Hi")),
        *answered(tool_result("toolu_0", "my name is Bob")),
    ]
    turns += [assistant_message(text("Well")), user_message("What is my name? Who said first?")]
    assert words(ask(claude, *turns)) == "Your name is Ada."
    assert "turn 3" in words(ask(claude, *turns[:-1], user_message("And now?")))


def test_text_after_results_is_answered_and_can_request_more_calls(claude: anthropic.Anthropic) -> None:
    spoken = words(ask(claude, *answered(tool_result("toolu_0", "sunny"), text("Thank you"))))
    assert spoken.startswith('The tool returned: "sunny".')
    assert "Thank you" in spoken
    again = ask(claude, *answered(tool_result("toolu_0", "sunny"), text("/simulate call who")))
    assert calls(again) == [("who", {})]


def test_results_in_separate_messages_form_one_turn(claude: anthropic.Anthropic) -> None:
    turns = [user_message("Go"), assistant_message(tool_use("toolu_1")), assistant_message(tool_use("toolu_2"))]
    turns += [user_message(tool_result("toolu_1", "one")), user_message(tool_result("toolu_2", "two"))]
    assert words(ask(claude, *turns)) == 'The tool returned: "one". The tool returned: "two".'


def test_structured_output_is_written_after_the_results(claude: anthropic.Anthropic) -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "integer"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    more = {"output_config": {"format": {"type": "json_schema", "schema": schema}}}
    assert calls(ask(claude, user_message("/simulate call who"), **more)) == [("who", {})]
    assert json.loads(words(ask(claude, *answered(tool_result("toolu_0", "x")), **more))) == {"a": 1}
    assert json.loads(words(ask(claude, user_message("/simulate web-search x"), **more))) == {"a": 1}


def test_tool_choice_none_prevents_calls(claude: anthropic.Anthropic) -> None:
    for scenario in ("call who", "tool-use", "rounds 2", "web-search x", "code", "pause"):
        message = ask(claude, user_message(f"/simulate {scenario}"), tool_choice={"type": "none"})
        assert (kinds(message), message.stop_reason) == (["text"], "end_turn")
    message = ask(claude, *answered(tool_result("toolu_0", "sunny")), tool_choice={"type": "none"})
    assert words(message) == 'The tool returned: "sunny".'


def test_tool_choice_any_or_tool_forces_a_call(claude: anthropic.Anthropic) -> None:
    free = ask(claude, user_message("Hello"), tool_choice={"type": "any"}, model=FORCED)
    assert calls(free) == [("weather", {"city": "example", "days": 1})]
    named = ask(claude, user_message("Hello"), tool_choice={"type": "tool", "name": "who"}, model=FORCED)
    assert calls(named) == [("who", {})]
    own = ask(claude, user_message("Hello"), tool_choice={"type": "tool", "name": "code_execution"}, model=FORCED)
    assert kinds(own) == ["server_tool_use", "code_execution_tool_result", "text"]
