"""The context window: how full it is, and how a conversation is compacted when it is nearly full."""

from typing import Any

import pytest
from client import Api, Json
from conftest import Staged
from running import running
from scripted import START, Reply, begin, delta, end, finish, says, text
from test_options import takes

from tertulia.simulator.app import create_simulator

CONTEXT = """query ($id: ID!) { conversation(id: $id) {
  context { usedTokens limit compacts }
  messages(first: 100) { edges { node {
    role leftOut { reason blocks } content { __typename ... on CompactionBlock { summary } ... on TextBlock { text } }
  } } }
} }"""
MODEL = "claude-opus-5-5"
SUMMARY = {"type": "compaction", "content": "They said hello.", "signature": "c2ln", "encrypted_content": "ZW5j"}
COMPACTED = Reply(
    [
        START,
        begin(0, type="compaction", content=None, signature="c2ln"),
        delta(0, "compaction_delta", content="They said hello.", encrypted_content="ZW5j"),
        finish(0),
        *text("Hi again", index=1),
        *end(
            iterations=[
                {"type": "compaction", "input_tokens": 90_000, "output_tokens": 500},
                {"type": "message", "input_tokens": 600, "output_tokens": 7},
            ]
        ),
    ]
)


def compacting(id: str = MODEL, window: int = 100_000) -> Json:
    known = takes(id, ["adaptive"])
    known["capabilities"]["context_management"] = {"supported": True, "compact_20260112": {"supported": True}}
    return {**known, "max_input_tokens": window}


def context(api: Api, id: str) -> Json:
    result: Json = api.ask(CONTEXT, id=id)["conversation"]
    return result


def used(tokens: int) -> Reply:
    usage = {"input_tokens": tokens, "output_tokens": 1}
    return Reply([{**START, "message": {**START["message"], "usage": usage}}, *text("Hi"), *end()])


def test_used_tokens_are_those_of_the_last_answer(staged: Staged) -> None:
    stage = staged(used(1000), used(2000))
    create = "mutation { createConversation(input: {}) { ... on ConversationPayload { conversation { id } } } }"
    id = stage.api.ask(create)["createConversation"]["conversation"]["id"]
    assert context(stage.api, id)["context"] == {"usedTokens": 0, "limit": 1_000_000, "compacts": False}
    for tokens in (1007, 2007):
        stage.api.answer("Hello", conversationId=id)
        assert context(stage.api, id)["context"]["usedTokens"] == tokens


def test_a_failed_answer_does_not_change_the_used_tokens(staged: Staged) -> None:
    refused = Reply(status=400, body={"type": "error", "error": {"type": "invalid_request_error", "message": "no"}})
    stage = staged(used(1000), refused)
    id = stage.api.send("Hello")["conversation"]["id"]
    stage.api.answer("Again", conversationId=id, whenBusy="QUEUE")
    assert context(stage.api, id)["context"]["usedTokens"] == 1007


def test_a_nearly_full_conversation_is_compacted_and_the_summary_is_sent_back_unchanged(staged: Staged) -> None:
    stage = staged(says("Hi"), used(60_000), COMPACTED, says("Bye"))
    stage.claude.models = [compacting()]
    id = stage.api.send("Hello")["conversation"]["id"]
    for message in ("Go on", "And on"):
        stage.api.answer(message, conversationId=id, whenBusy="QUEUE")
    first, second, third = stage.claude.requests
    assert "context_management" not in first
    assert "context_management" not in second
    trigger = {"type": "input_tokens", "value": 80_000}
    assert third["context_management"] == {"edits": [{"type": "compact_20260112", "trigger": trigger}]}
    assert stage.claude.headers[2]["anthropic-beta"] == "compact-2026-01-12,thinking-binding-controls-2026-08-01"
    conversation = context(stage.api, id)
    assert conversation["context"] == {"usedTokens": 607, "limit": 100_000, "compacts": True}
    blocks = conversation["messages"]["edges"][-1]["node"]["content"]
    assert blocks[0] == {"__typename": "CompactionBlock", "summary": "They said hello."}
    usage = stage.api.conversation(id)["usage"]
    assert usage["inputTokens"] == 11 + 60_000 + 11 + 90_000
    stage.api.answer("Bye", conversationId=id)
    last = stage.claude.requests[3]
    assert last["messages"][5]["content"][0] == SUMMARY
    assert "context_management" in last
    assert len(last["messages"]) == 7


def test_a_model_without_compaction_gets_the_whole_history(staged: Staged) -> None:
    stage = staged(used(60_000), COMPACTED, says("Bye"))
    stage.claude.models = [compacting(), {**takes("claude-haiku-5-5", ["adaptive"]), "max_input_tokens": 200_000}]
    id = stage.api.send("Hello")["conversation"]["id"]
    stage.api.answer("Go on", conversationId=id, whenBusy="QUEUE")
    stage.api.answer("Bye", conversationId=id, options={"model": "claude-haiku-5-5"})
    last = stage.claude.requests[2]
    assert "context_management" not in last
    assert "compact" not in stage.claude.headers[2]["anthropic-beta"]
    assert [block["type"] for message in last["messages"] for block in message["content"]] == ["text"] * 5
    left_out = context(stage.api, id)["messages"]["edges"][-1]["node"]["leftOut"]
    assert left_out == [{"reason": "SUMMARY_OF_ANOTHER_MODEL", "blocks": 1}]


@pytest.fixture
def simulated(staged: Staged) -> Any:
    with running(create_simulator(pace=0), lifespan="off") as address:
        yield staged(says("unused"), anthropic_base_url=address).api


def test_a_conversation_can_be_longer_than_the_context_window(simulated: Api) -> None:
    """Eight long messages exceed the 200,000 tokens of this model's window."""
    long = "Many words. " * 16_000
    haiku = {"options": {"model": "claude-haiku-4-5"}}
    id = simulated.send("My name is Ada.", **haiku)["conversation"]["id"]
    used_tokens: list[int] = []
    for _ in range(8):
        ended = simulated.answer(long, conversationId=id, whenBusy="QUEUE", **haiku)
        assert ended["__typename"] == "GenerationCompleted", ended
        used_tokens.append(context(simulated, id)["context"]["usedTokens"])
    contents = [edge["node"]["content"] for edge in context(simulated, id)["messages"]["edges"]]
    summaries = [
        block["summary"] for blocks in contents for block in blocks if block["__typename"] == "CompactionBlock"
    ]
    assert summaries
    assert max(used_tokens) < 200_000
    assert len(contents) == 18
