"""What the simulated Claude refuses of tools, asked by the real SDK over real HTTP."""

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
    claude,
    gave,
    kinds,
    picture,
    refusal,
    said,
    serve,
    served,
    text,
    use,
    wrote,
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
def test_a_tool_that_is_none_is_refused(claude: anthropic.Anthropic, tools: Any, says: str) -> None:
    assert says in refusal(claude, tools=tools)


def test_tools_of_every_kind_are_taken(claude: anthropic.Anthropic) -> None:
    more = {
        "allowed_callers": ["direct"],
        "cache_control": {"type": "ephemeral"},
        "strict": False,
        "defer_loading": False,
    }
    draft = {"$schema": "http://json-schema.org/draft-07/schema#", **SHAPE}
    full = (
        WEATHER
        | more
        | {"type": "custom", "input_examples": [{}], "eager_input_streaming": None, "input_schema": draft}
    )
    old = [
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 3},
        {"type": "bash_20250124", "name": "bash"},
    ]
    for tools in ([full], TOOLS, old, []):
        assert ask(claude, said("Hello"), tools=tools).stop_reason == "end_turn"
    turn: Any = [said("Hello")]
    offers: Any = ([], TOOLS)
    counted = [claude.messages.count_tokens(model=MODEL, messages=turn, tools=some).input_tokens for some in offers]
    assert counted[0] < counted[1]


def test_a_model_without_tools_of_claudes_own_refuses_them(claude: anthropic.Anthropic) -> None:
    assert "does not support tool types: web_search_20260318" in refusal(claude, model="claude-haiku-4-5")
    assert ask(claude, said("Hello"), tools=[WHO, FETCH], model="claude-haiku-4-5").stop_reason == "end_turn"


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
def test_a_choice_that_is_none_is_refused(claude: anthropic.Anthropic, choice: Any, says: str) -> None:
    assert says in refusal(claude, tool_choice=choice, model=FORCED)


def test_a_choice_needs_tools(claude: anthropic.Anthropic) -> None:
    assert "while providing tools" in refusal(claude, tools=[], tool_choice={"type": "auto"})


@pytest.mark.parametrize("model", ["claude-fable-5-2", "claude-opus-5-5", "claude-sonnet-5-5"])
def test_the_newest_models_cannot_be_made_to_call(claude: anthropic.Anthropic, model: str) -> None:
    for choice in ({"type": "any"}, {"type": "tool", "name": "who"}):
        assert f"is not supported by {model}" in refusal(claude, model=model, tool_choice=choice)


GO = said("Go")


@pytest.mark.parametrize(
    ("messages", "says"),
    [
        ([said(use())], "messages.0.content.0: `tool_use` blocks can only be in `assistant` messages"),
        ([said(serve())], "messages.0.content.0: `server_tool_use` blocks can only be in `assistant` messages"),
        ([said(served())], "messages.0.content.0: `web_search_tool_result` blocks can only be in `assistant` messages"),
        ([GO, wrote(gave("toolu_1", "x")), GO], "messages.1.content.0: `tool_result` blocks can only be in `user` messages"),
        ([GO, wrote(use(), use()), GO], "messages.1.content.1: `tool_use` ids must be unique"),
        ([GO, wrote(use()), said(gave("toolu_1")), wrote(use()), said(gave("toolu_1"))], "`tool_use` ids must be unique"),
        ([GO, wrote(use("a b")), GO], "messages.1.content.0.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'"),
        ([GO, wrote(use(name="a b")), GO], "messages.1.content.0.tool_use.name: String should match pattern"),
        ([GO, wrote(use(input="x")), GO], "messages.1.content.0.tool_use.input: Input should be a valid dictionary"),
        ([GO, wrote(without(use(), "input")), GO], "messages.1.content.0.tool_use.input: Field required"),
        ([GO, wrote(use(colour=1)), GO], "messages.1.content.0.tool_use.colour: Extra inputs are not permitted"),
        ([GO, wrote(use()), GO], "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: toolu_1. Each"),
        ([GO, wrote(use("a"), use("b")), said(gave("b"))], "immediately after: a. Each"),
        ([GO, wrote(use()), said(text("x"), gave("toolu_1"))], "immediately after: toolu_1. Each"),
        ([GO, wrote(use()), GO, said(gave("toolu_1"))], "immediately after: toolu_1. Each"),
        ([GO, wrote(use(), serve())], "messages.1: `tool_use` ids were found without"),
        ([said(gave("toolu_9"))], "messages.0.content.0: unexpected `tool_use_id` found in `tool_result` blocks: toolu_9. Each `tool_result` block must have a corresponding `tool_use` block in the previous message."),
        ([GO, wrote(use()), said(gave("toolu_1")), wrote(text("x")), said(gave("toolu_1"))], "messages.4.content.0: unexpected `tool_use_id`"),
        ([GO, wrote(use()), said(gave("toolu_1"), gave("toolu_1"))], "messages.2.content.1: each tool_use must have a single result."),
        ([GO, wrote(use()), said(without(gave("toolu_1"), "tool_use_id"))], "messages.2.content.0.tool_result.tool_use_id: Field required"),
        ([GO, wrote(use()), said(gave("toolu_1", 5))], "messages.2.content.0.tool_result.content: Input should be"),
        ([GO, wrote(use()), said(gave("toolu_1", is_error="x"))], "tool_result.is_error: Input should be a valid boolean"),
        ([GO, wrote(use()), said(gave("toolu_1", [text("")]))], "text content blocks must be non-empty"),
        ([GO, wrote(use()), said(gave("toolu_1", [text("x") | {"is_json": True}]))], "tool_result.content.0.text.is_json: Extra inputs"),
        ([GO, wrote(use()), said(gave("toolu_1", [use("b")]))], "messages.2.content.0.tool_result.content.0: Input tag 'tool_use'"),
        ([GO, wrote(use()), said(gave("toolu_1", ["x"]))], "Input should be a valid dictionary"),
        ([GO, wrote(use()), said(gave("toolu_1", [picture() | {"source": {"type": "base64", "media_type": "image/png", "data": "eA=="}}]))], "messages.2.content.0.tool_result.content.0.image.source: Could not process image"),
        ([GO, wrote(serve("x")), GO], "messages.1.content.0.server_tool_use.id: String should match pattern '^srvtoolu_[a-zA-Z0-9_]+$'"),
        ([GO, wrote(serve(name="bash")), GO], "messages.1.content.0.server_tool_use.name: Input should be one of"),
        ([GO, wrote(serve(), text("x")), GO], "messages.1: `web_search` tool use with id `srvtoolu_1` was found without a corresponding `web_search_tool_result` block"),
        ([GO, wrote(served()), GO], "messages.1.content.0: unexpected `tool_use_id` found in `web_search_tool_result` blocks: srvtoolu_1."),
        ([GO, wrote(serve(), served(name="web_fetch")), GO], "unexpected `tool_use_id` found in `web_fetch_tool_result` blocks"),
        ([GO, wrote(serve(), without(served(), "content")), GO], "web_search_tool_result.content: Field required"),
        ([GO, wrote(serve(), text("x"))], "The conversation must end with a user message."),
        ([GO, wrote(text("x"))], "The conversation must end with a user message."),
        ([GO, wrote({"name": "x"}), GO], "messages.1.content.0: Unable to extract tag using discriminator 'type'"),
    ],
)  # fmt: skip
def test_calls_and_results_that_do_not_fit_are_refused(claude: anthropic.Anthropic, messages: Any, says: str) -> None:
    assert says in refusal(claude, *messages)


def test_calls_and_results_need_tools(claude: anthropic.Anthropic) -> None:
    turns = answered(gave("toolu_0", "x"))
    assert "must define tools" in refusal(claude, *turns, tools=[])
    assert ask(claude, GO, wrote(serve(), served()), said("And?"), tools=[]).stop_reason == "end_turn"


def test_a_paused_turn_needs_the_tool_that_it_waits_for(claude: anthropic.Anthropic) -> None:
    assert "no `web_search` tool was provided" in refusal(claude, GO, wrote(serve()), tools=[WHO])


def test_what_other_tools_of_its_own_gave_is_taken_back(claude: anthropic.Anthropic) -> None:
    blocks = [serve("srvtoolu_a", "web_fetch"), served("srvtoolu_a", "web_fetch"), text("x")]
    blocks += [serve("srvtoolu_b", "bash_code_execution"), served("srvtoolu_b", "bash_code_execution"), text("y")]
    assert ask(claude, GO, wrote(*blocks), said("And?")).stop_reason == "end_turn"
    rest = ask(claude, GO, wrote(serve("srvtoolu_a", "web_fetch")))
    assert kinds(rest) == ["web_fetch_tool_result", "text"]
