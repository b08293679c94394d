"""The simulator's validation of tools, tool calls and tool results, called by the real SDK over HTTP."""

from typing import Any

import anthropic
import pytest
from test_simulator_tools import (
    CODE,
    FETCH,
    FORCED,
    MODEL,
    SEARCH,
    SHAPE,
    TOOLS,
    WEATHER,
    WHO,
    Json,
    answered,
    ask,
    assistant_message,
    claude,
    kinds,
    picture,
    refusal,
    server_tool_result,
    server_tool_use,
    text,
    tool_result,
    tool_use,
    user_message,
)

__all__ = ["claude"]


def without(tool: Json, key: str) -> Json:
    return {name: value for name, value in tool.items() if name != key}


def shaped(schema: Any) -> Json:
    return WEATHER | {"input_schema": schema}


@pytest.mark.parametrize(
    ("tools", "says"),
    [
        ("x", "tools: Input should be a valid list"),
        (["x"], "tools.0: Input should be a valid dictionary"),
        ([without(WEATHER, "input_schema")], "tools.0.custom.input_schema: Field required"),
        ([WHO, without(WEATHER, "name")], "tools.1.custom.name: Field required"),
        ([WEATHER | {"name": "a b"}], "tools.0.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'"),
        ([WEATHER | {"name": "a\n"}], "tools.0.custom.name: String should match pattern"),
        ([WEATHER | {"name": "a" * 129}], "tools.0.custom.name: String should match pattern"),
        ([WEATHER | {"name": 5}], "tools.0.custom.name: Input should be a valid string"),
        ([WEATHER | {"description": 5}], "tools.0.custom.description: Input should be a valid string"),
        ([WEATHER | {"strict": "yes"}], "tools.0.custom.strict: Input should be a valid boolean"),
        ([WEATHER | {"strict": True}], "'additionalProperties' must be explicitly set to false"),
        ([WEATHER | {"colour": "red"}], "tools.0.custom.colour: Extra inputs are not permitted"),
        ([shaped("x")], "tools.0.custom.input_schema: Input should be a valid dictionary"),
        ([shaped({})], "tools.0.custom.input_schema.type: Field required"),
        ([shaped({"type": "string"})], "tools.0.custom.input_schema.type: Input should be 'object'"),
        ([shaped({"type": "object", "properties": {"a": {"type": "strin"}}})], "tools.0.custom.input_schema: JSON schema is invalid."),
        ([shaped({"type": "object", "required": "a"})], "tools.0.custom.input_schema: JSON schema is invalid."),
        ([shaped({"type": "object", "anyOf": [{}]})], "does not support oneOf, allOf, or anyOf at the top level"),
        ([shaped({"type": "object", "properties": {"a b": {}}})], "Property keys should match pattern"),
        ([WEATHER, WEATHER], "tools: Tool names must be unique."),
        ([{"type": "web_search_20991231", "name": "web_search"}], "tools.0: Input tag 'web_search_20991231' found using 'type' does not match any"),
        ([SEARCH | {"name": "search"}], "tools.0.web_search_20260318.name: Input should be 'web_search'"),
        ([without(SEARCH, "name")], "tools.0.web_search_20260318.name: Field required"),
        ([CODE | {"max_uses": 1}], "tools.0.code_execution_20260521.max_uses: Extra inputs are not permitted"),
    ],
)  # fmt: skip
def test_an_invalid_tool_is_refused(claude: anthropic.Anthropic, tools: Any, says: str) -> None:
    assert says in refusal(claude, tools=tools)


def test_tools_of_every_kind_are_accepted(claude: anthropic.Anthropic) -> None:
    more = {
        "allowed_callers": ["direct"],
        "cache_control": {"type": "ephemeral"},
        "strict": False,
        "defer_loading": False,
    }
    draft = {"$schema": "http://json-schema.org/draft-07/schema#", **SHAPE}
    complete = (
        WEATHER
        | more
        | {"type": "custom", "input_examples": [{}], "eager_input_streaming": None, "input_schema": draft}
    )
    old = [
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 3},
        {"type": "bash_20250124", "name": "bash"},
    ]
    for tools in ([complete], TOOLS, old, []):
        assert ask(claude, user_message("Hello"), tools=tools).stop_reason == "end_turn"
    turn: Any = [user_message("Hello")]
    offers: Any = ([], TOOLS)
    counted = [claude.messages.count_tokens(model=MODEL, messages=turn, tools=some).input_tokens for some in offers]
    assert counted[0] < counted[1]


def test_a_model_without_server_tools_refuses_them(claude: anthropic.Anthropic) -> None:
    assert "does not support tool types: web_search_20260318" in refusal(claude, model="claude-haiku-4-5")
    assert ask(claude, user_message("Hello"), tools=[WHO, FETCH], model="claude-haiku-4-5").stop_reason == "end_turn"


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        ("auto", "tool_choice: Input should be a valid dictionary"),
        ({}, "tool_choice: Input tag 'None' found using 'type' does not match any"),
        ({"type": "some"}, "tool_choice: Input tag 'some' found using 'type' does not match any"),
        ({"type": "auto", "name": "who"}, "tool_choice.auto.name: Extra inputs are not permitted"),
        ({"type": "none", "disable_parallel_tool_use": True}, "tool_choice.none.disable_parallel_tool_use: Extra inputs"),
        ({"type": "auto", "disable_parallel_tool_use": "x"}, "disable_parallel_tool_use: Input should be a valid boolean"),
        ({"type": "tool"}, "tool_choice.tool.name: Field required"),
        ({"type": "tool", "name": "nobody"}, "Tool 'nobody' not found in provided tools"),
    ],
)  # fmt: skip
def test_an_invalid_tool_choice_is_refused(claude: anthropic.Anthropic, choice: Any, says: str) -> None:
    assert says in refusal(claude, tool_choice=choice, model=FORCED)


def test_a_tool_choice_needs_tools(claude: anthropic.Anthropic) -> None:
    assert "while providing tools" in refusal(claude, tools=[], tool_choice={"type": "auto"})


@pytest.mark.parametrize("model", ["claude-fable-5-2", "claude-opus-5-5", "claude-sonnet-5-5"])
def test_the_newest_models_refuse_forced_tool_calls(claude: anthropic.Anthropic, model: str) -> None:
    for choice in ({"type": "any"}, {"type": "tool", "name": "who"}):
        assert f"is not supported by {model}" in refusal(claude, model=model, tool_choice=choice)


GO = user_message("Go")


@pytest.mark.parametrize(
    ("messages", "says"),
    [
        ([user_message(tool_use())], "messages.0.content.0: `tool_use` blocks can only be in `assistant` messages"),
        ([user_message(server_tool_use())], "messages.0.content.0: `server_tool_use` blocks can only be in `assistant` messages"),
        ([user_message(server_tool_result())], "messages.0.content.0: `web_search_tool_result` blocks can only be in `assistant` messages"),
        ([GO, assistant_message(tool_result("toolu_1", "x")), GO], "messages.1.content.0: `tool_result` blocks can only be in `user` messages"),
        ([GO, assistant_message(tool_use(), tool_use()), GO], "messages.1.content.1: `tool_use` ids must be unique"),
        ([GO, assistant_message(tool_use()), user_message(tool_result("toolu_1")), assistant_message(tool_use()), user_message(tool_result("toolu_1"))], "`tool_use` ids must be unique"),
        ([GO, assistant_message(tool_use("a b")), GO], "messages.1.content.0.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'"),
        ([GO, assistant_message(tool_use(name="a b")), GO], "messages.1.content.0.tool_use.name: String should match pattern"),
        ([GO, assistant_message(tool_use(input="x")), GO], "messages.1.content.0.tool_use.input: Input should be a valid dictionary"),
        ([GO, assistant_message(without(tool_use(), "input")), GO], "messages.1.content.0.tool_use.input: Field required"),
        ([GO, assistant_message(tool_use(colour=1)), GO], "messages.1.content.0.tool_use.colour: Extra inputs are not permitted"),
        ([GO, assistant_message(tool_use()), GO], "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: toolu_1. Each"),
        ([GO, assistant_message(tool_use("a"), tool_use("b")), user_message(tool_result("b"))], "immediately after: a. Each"),
        ([GO, assistant_message(tool_use()), user_message(text("x"), tool_result("toolu_1"))], "immediately after: toolu_1. Each"),
        ([GO, assistant_message(tool_use()), GO, user_message(tool_result("toolu_1"))], "immediately after: toolu_1. Each"),
        ([GO, assistant_message(tool_use(), server_tool_use())], "messages.1: `tool_use` ids were found without"),
        ([user_message(tool_result("toolu_9"))], "messages.0.content.0: unexpected `tool_use_id` found in `tool_result` blocks: toolu_9. Each `tool_result` block must have a corresponding `tool_use` block in the previous message."),
        ([GO, assistant_message(tool_use()), user_message(tool_result("toolu_1")), assistant_message(text("x")), user_message(tool_result("toolu_1"))], "messages.4.content.0: unexpected `tool_use_id`"),
        ([GO, assistant_message(tool_use()), user_message(tool_result("toolu_1"), tool_result("toolu_1"))], "messages.2.content.1: each tool_use must have a single result."),
        ([GO, assistant_message(tool_use()), user_message(without(tool_result("toolu_1"), "tool_use_id"))], "messages.2.content.0.tool_result.tool_use_id: Field required"),
        ([GO, assistant_message(tool_use()), user_message(tool_result("toolu_1", 5))], "messages.2.content.0.tool_result.content: Input should be"),
        ([GO, assistant_message(tool_use()), user_message(tool_result("toolu_1", is_error="x"))], "tool_result.is_error: Input should be a valid boolean"),
        ([GO, assistant_message(tool_use()), user_message(tool_result("toolu_1", [text("")]))], "text content blocks must be non-empty"),
        ([GO, assistant_message(tool_use()), user_message(tool_result("toolu_1", [text("x") | {"is_json": True}]))], "tool_result.content.0.text.is_json: Extra inputs"),
        ([GO, assistant_message(tool_use()), user_message(tool_result("toolu_1", [tool_use("b")]))], "messages.2.content.0.tool_result.content.0: Input tag 'tool_use'"),
        ([GO, assistant_message(tool_use()), user_message(tool_result("toolu_1", ["x"]))], "Input should be a valid dictionary"),
        ([GO, assistant_message(tool_use()), user_message(tool_result("toolu_1", [picture() | {"source": {"type": "base64", "media_type": "image/png", "data": "eA=="}}]))], "messages.2.content.0.tool_result.content.0.image.source: Could not process image"),
        ([GO, assistant_message(server_tool_use("x")), GO], "messages.1.content.0.server_tool_use.id: String should match pattern '^srvtoolu_[a-zA-Z0-9_]+$'"),
        ([GO, assistant_message(server_tool_use(name="bash")), GO], "messages.1.content.0.server_tool_use.name: Input should be one of"),
        ([GO, assistant_message(server_tool_use(), text("x")), GO], "messages.1: `web_search` tool use with id `srvtoolu_1` was found without a corresponding `web_search_tool_result` block"),
        ([GO, assistant_message(server_tool_result()), GO], "messages.1.content.0: unexpected `tool_use_id` found in `web_search_tool_result` blocks: srvtoolu_1."),
        ([GO, assistant_message(server_tool_use(), server_tool_result(name="web_fetch")), GO], "unexpected `tool_use_id` found in `web_fetch_tool_result` blocks"),
        ([GO, assistant_message(server_tool_use(), without(server_tool_result(), "content")), GO], "web_search_tool_result.content: Field required"),
        ([GO, assistant_message(server_tool_use(), text("x"))], "The conversation must end with a user message."),
        ([GO, assistant_message(text("x"))], "The conversation must end with a user message."),
        ([GO, assistant_message({"name": "x"}), GO], "messages.1.content.0: Unable to extract tag using discriminator 'type'"),
    ],
)  # fmt: skip
def test_calls_and_results_that_do_not_match_are_refused(claude: anthropic.Anthropic, messages: Any, says: str) -> None:
    assert says in refusal(claude, *messages)


def test_calls_and_results_need_tools(claude: anthropic.Anthropic) -> None:
    turns = answered(tool_result("toolu_0", "x"))
    assert "must define tools" in refusal(claude, *turns, tools=[])
    assert (
        ask(
            claude, GO, assistant_message(server_tool_use(), server_tool_result()), user_message("And?"), tools=[]
        ).stop_reason
        == "end_turn"
    )


def test_a_paused_turn_needs_its_tool(claude: anthropic.Anthropic) -> None:
    assert "no `web_search` tool was provided" in refusal(claude, GO, assistant_message(server_tool_use()), tools=[WHO])


def test_results_of_other_server_tools_are_accepted_in_the_history(claude: anthropic.Anthropic) -> None:
    blocks = [server_tool_use("srvtoolu_a", "web_fetch"), server_tool_result("srvtoolu_a", "web_fetch"), text("x")]
    blocks += [
        server_tool_use("srvtoolu_b", "bash_code_execution"),
        server_tool_result("srvtoolu_b", "bash_code_execution"),
        text("y"),
    ]
    assert ask(claude, GO, assistant_message(*blocks), user_message("And?")).stop_reason == "end_turn"
    continued = ask(claude, GO, assistant_message(server_tool_use("srvtoolu_a", "web_fetch")))
    assert kinds(continued) == ["web_fetch_tool_result", "text"]
