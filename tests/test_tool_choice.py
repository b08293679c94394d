"""Whether Claude must, may or must not call tools: `options.toolChoice`."""

from pathlib import Path
from typing import Any

import anthropic
import pytest
from client import Json
from conftest import Staged
from scripted import says, uses
from test_assistants import write
from test_generation_input import build, user
from test_simulator_tools import claude, refusal
from test_tools import MODULE, answer, served
from test_transfer import export, imported, without_ids

from tertulia.claude.models import Model
from tertulia.claude.prompt import Turn, build_request, with_answer_so_far
from tertulia.claude.tool_choice import supports_forced_calls

__all__ = ["claude"]

HAIKU = "claude-haiku-5-5"
WHO: Json = {"mode": "TOOL", "name": "who"}


def choices(staged: Staged, choice: Json | None, *replies: Any, **more: Any) -> list[Any]:
    """Send a message with a choice of tools; return `tool_choice` of each request to Claude."""
    stage = staged(*replies, tools=(MODULE,), **more)
    stage.api.answer("Hi", options={"model": HAIKU} | ({} if choice is None else {"toolChoice": choice}))
    return [request.get("tool_choice") for request in stage.claude.requests]


def test_a_call_is_forced_in_the_first_request_only(staged: Staged) -> None:
    assert choices(staged, WHO, uses(("who", {})), says("Hi")) == [{"type": "tool", "name": "who"}, {"type": "auto"}]
    alone = {"disable_parallel_tool_use": True}
    sent = choices(staged, {"mode": "ANY", "parallel": False}, uses(("who", {})), says("Hi"))
    assert sent == [{"type": "any", **alone}, {"type": "auto", **alone}]


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        (None, None),
        ({"mode": "AUTO"}, None),
        ({"parallel": False}, {"type": "auto", "disable_parallel_tool_use": True}),
        ({"mode": "NONE", "parallel": False}, {"type": "none"}),
    ],
)
def test_a_choice_that_forces_nothing_is_sent_with_every_request(
    staged: Staged, choice: Json | None, sent: Any
) -> None:
    assert choices(staged, choice, uses(("who", {})), says("Hi")) == [sent, sent]


def test_a_continuation_after_a_call_forces_no_other_call() -> None:
    turns = [Turn("user", [{"type": "text", "text": "Hi"}])]
    tools: list[Json] = [{"name": "who", "input_schema": {"type": "object"}}]
    options = {"tool_choice": {"mode": "tool", "name": "who", "parallel": True}}
    body, _ = build_request(
        model="m", max_output_tokens=None, system_prompt=None, options=options, forms=None, turns=turns, tools=tools
    )
    begun: list[Json] = [{"type": "text", "text": "It be"}]
    called: list[Json] = [
        {"type": "tool_use", "id": "1", "name": "who", "input": {}},
        {"type": "tool_result", "tool_use_id": "1"},
    ]
    assert with_answer_so_far(body, begun, is_interrupted=True)["tool_choice"]["type"] == "tool"
    assert with_answer_so_far(body, [*called, *begun], is_interrupted=True)["tool_choice"] == {"type": "auto"}


def test_a_fallback_model_is_not_forced_to_call_a_tool_if_it_refuses_that() -> None:
    work = build(user("Hi"), tool_choice={"mode": "any"})
    opus, haiku = (Model(id, id, default=False, simulated=True) for id in ("claude-opus-5-5", HAIKU))
    assert "tool_choice" not in work.for_fallback(opus).options
    assert "tool_choice" in work.for_fallback(haiku).options


def test_the_last_round_calls_no_tools_even_if_a_call_was_forced(staged: Staged) -> None:
    assert choices(staged, {"mode": "ANY"}, uses(("who", {})), says("Hi"), tool_rounds=1)[1] == {"type": "none"}


def test_a_forced_call_is_made_without_thinking(tmp_path: Path) -> None:
    with served(tmp_path) as api:
        options = {"model": "claude-sonnet-5", "toolChoice": WHO}
        _, done = answer(api, "Hello", options=options)
    assert done["__typename"] == "GenerationCompleted"
    kinds = [block["__typename"] for block in done["generation"]["message"]["content"]]
    assert kinds == ["ToolUseBlock", "ToolResultBlock", "TextBlock"]


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"model": HAIKU, "toolChoice": {"mode": "TOOL"}}, "options.toolChoice.name"),
        ({"model": HAIKU, "toolChoice": {"mode": "TOOL", "name": "a b"}}, "options.toolChoice.name"),
        ({"model": HAIKU, "toolChoice": {"mode": "ANY", "name": "who"}}, "options.toolChoice.name"),
        ({"model": HAIKU, "toolChoice": {"mode": "TOOL", "name": "nobody"}}, "options.toolChoice.name"),
        ({"model": "claude-opus-5-5", "toolChoice": WHO}, "options.toolChoice.mode"),
        ({"model": "claude-opus-5-5", "toolChoice": {"mode": "ANY"}}, "options.toolChoice.mode"),
    ],
)
def test_an_invalid_choice_is_refused_with_its_field(staged: Staged, options: Json, field: str) -> None:
    stage = staged(says("Hi"), tools=(MODULE,))
    refused = stage.api.try_send("Hi", options=options)
    assert (refused["__typename"], refused["field"]) == ("InvalidInput", field)


def test_the_models_that_refuse_forced_calls_are_known() -> None:
    refusing = ("claude-fable-5-1", "claude-fable-5-2", "claude-opus-5-5", "anthropic.claude-sonnet-5-5-v1:0")
    assert [supports_forced_calls(id) for id in refusing] == [False] * 4
    assert all(map(supports_forced_calls, ("claude-opus-5", "claude-haiku-5-5", "claude-fable-5", "claude-opus-5-50")))


def test_an_assistant_chooses_for_its_answers(staged: Staged, tmp_path: Path) -> None:
    folder = write(
        tmp_path, helper=f"---\nmodel: {HAIKU}\ntools: [who]\ntool_choice: who\nparallel_tools: false\n---\nBe brief."
    )
    stage = staged(uses(("who", {})), says("Hi"), tools=(MODULE,), assistants=str(folder))
    stage.api.answer("Hi", assistantId="helper")
    forced = {"type": "tool", "name": "who", "disable_parallel_tool_use": True}
    assert stage.claude.requests[0]["tool_choice"] == forced
    refused = stage.api.try_send("Hi", assistantId="helper", options={"toolChoice": {"mode": "NONE"}})
    assert (refused["__typename"], refused["field"]) == ("InvalidInput", "options.toolChoice")


def test_a_conversation_stores_exports_and_imports_its_choice(staged: Staged) -> None:
    stage = staged(says("Hi"))
    create = """mutation ($input: CreateConversationInput!) { createConversation(input: $input) {
      ... on ConversationPayload { conversation { id options { toolChoice { mode name parallel } } } } ... on Error { message } } }"""
    options = {"toolChoice": {"mode": "NONE"}}
    created = stage.api.ask(create, input={"options": options})["createConversation"]["conversation"]
    assert created["options"]["toolChoice"] == {"mode": "NONE", "name": None, "parallel": True}
    lines = without_ids(export(stage.api))
    assert lines[0]["options"]["tool_choice"] == {"mode": "none", "name": None, "parallel": True}
    imported(stage.api, export(stage.api))
    assert [line["options"] for line in without_ids(export(stage.api))] == [lines[0]["options"]] * 2
    stage.api.answer("Hi", conversationId=created["id"])
    assert "tool_choice" not in stage.claude.requests[0]


@pytest.mark.parametrize(
    ("model", "thinking"),
    [("claude-opus-5", {"type": "adaptive"}), ("claude-haiku-4-5", {"type": "enabled", "budget_tokens": 1024})],
)
def test_the_simulated_claude_refuses_thinking_before_a_forced_call(
    claude: anthropic.Anthropic, model: str, thinking: Any
) -> None:
    who = [{"name": "who", "input_schema": {"type": "object"}}]
    says = refusal(claude, model=model, thinking=thinking, max_tokens=2000, tools=who, tool_choice={"type": "any"})
    assert "Thinking may not be enabled when tool_choice forces tool use." in says
