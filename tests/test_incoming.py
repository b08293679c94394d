"""Malformed responses of a Messages API server: null, missing fields, wrong types, and values of any size."""

from typing import Any

import pytest
from client import Json
from conftest import Staged
from scripted import START, STOP, Reply, begin, delta, end, finish, model, says, text


def message_end(reason: Any) -> Json:
    return {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 1}}


HUGE = "x" * 1_000_000
READABLE: dict[str, tuple[list[Any], str]] = {
    "text that starts with null": ([START, begin(0, type="text", text=None), *text("x")[1:], *end()], "x"),
    "text that starts without text": ([START, begin(0, type="text"), *text("x")[1:], *end()], "x"),
    "a delta of null": ([START, *text("x")[:2], delta(0, "text_delta", text=None), finish(0), *end()], "x"),
    "citations of null": ([START, begin(0, type="text", text="", citations=None), *text("x")[1:], *end()], "x"),
    "a start without a message": ([{"type": "message_start", "message": None}, *text("x"), *end()], "x"),
    "usage of null": ([START, *text("x"), {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": None}, STOP], "x"),
    "counts too large for a column": ([START, *text("x"), *end(output_tokens=10**30, input_tokens=2**40)], "x"),
    "counts of other types": ([START, *text("x"), *end(output_tokens="7", input_tokens=-1, server_tool_use=[1])], "x"),
    "iterations of null": ([START, *text("x"), *end(iterations=[None, {"type": None, "input_tokens": None}])], "x"),
    "a reason with U+0000": ([START, *text("x"), *end("end\0turn")], "x"),
    "a reason of 10 kB": ([START, *text("x"), *end("y" * 10_000)], "x"),
    "an unknown reason": ([START, *text("x"), *end("sudden_insight")], "x"),
    "an object as the reason": ([START, *text("x"), message_end({"a": 1}), STOP], "x"),
    "a list as the container": ([START, *text("x"), {"type": "message_delta", "delta": {"stop_reason": "end_turn", "container": [1]}}, STOP], "x"),
}  # fmt: skip
UNREADABLE: dict[str, list[Any]] = {
    "text of a number": [START, begin(0, type="text", text=5), *end()],
    "a block of null": [START, {"type": "content_block_start", "index": 0, "content_block": None}, *end()],
    "a block without a kind": [START, begin(0, type=None), *end()],
    "an index of null": [START, {**begin(0, type="text", text=""), "index": None}, *end()],
    "an index too large for a column": [START, begin(10**30, type="text", text=""), *end()],
    "a call without an id": [START, begin(0, type="tool_use", name="look", input={}), finish(0), *end("tool_use")],
    "a call with an id of one megabyte": [START, begin(0, type="tool_use", id=HUGE, name="look", input={}), *end()],
    "a call with an invalid tool name": [START, begin(0, type="tool_use", id="a", name="\0", input={}), *end()],
    "a citation of null": [START, *text("x")[:2], delta(0, "citations_delta", citation=None), *end()],
    "a citation beyond 32 bits": [START, *text("x")[:2], delta(0, "citations_delta", citation={"start_char_index": 2**31}), *end()],
    "an event that is a list": [START, b"data: [1]\n\n", *end()],
    "an event that never ends": [START, *[b"data: " + b"y" * 1_000_000] * 40],
}  # fmt: skip


@pytest.mark.both
def test_null_and_missing_values_are_read_as_empty_and_invalid_values_are_ignored(staged: Staged) -> None:
    stage = staged(*[Reply(pieces) for pieces, _ in READABLE.values()])
    for case, (_, expected) in READABLE.items():
        ended = stage.api.answer("Hello")
        result = ended["__typename"], ended["generation"]["message"]["text"]
        assert result == ("GenerationCompleted", expected), case


def test_an_unreadable_response_fails_only_its_own_answer(staged: Staged) -> None:
    stage = staged(*[reply for pieces in UNREADABLE.values() for reply in (Reply(pieces), says("well"))])
    for case in UNREADABLE:
        sent = stage.api.send("Hello", options={"continueInterrupted": False})
        ended = stage.api.follow(sent["generation"]["id"])[-1]
        assert (ended["__typename"], ended["error"]["code"]) == ("GenerationFailed", "API_ERROR"), case
        after = stage.api.answer("Again", conversationId=sent["conversation"]["id"])
        assert after["generation"]["message"]["text"] == "well", case


MODELS = "{ models { id displayName maxInputTokens } }"


def test_a_malformed_model_does_not_affect_the_others(staged: Staged) -> None:
    stage = staged(says("well"))
    odd: list[Json] = [{"id": None}, {}, {**model("m-1"), "max_input_tokens": "many", "capabilities": 5}]
    stage.claude.models = [*odd, {**model("m-2"), "display_name": None}, model("claude-opus-5-5")]
    listed = {listed_model["id"]: listed_model for listed_model in stage.api.ask(MODELS)["models"]}
    assert set(listed) == {"claude-opus-5-5", "m-1", "m-2"}
    assert (listed["m-1"]["maxInputTokens"], listed["m-2"]["displayName"]) == (None, "m-2")
    assert stage.api.answer("Hello")["generation"]["status"] == "COMPLETED"


@pytest.mark.parametrize("listed", [None, 5, [None], [[]]])
def test_with_a_malformed_list_of_models_the_default_model_still_answers(staged: Staged, listed: Any) -> None:
    stage = staged(says("well"))
    stage.claude.models = listed
    assert stage.api.ask(MODELS)["models"][0]["id"] == "claude-opus-5-5"
    assert stage.api.answer("Hello")["generation"]["status"] == "COMPLETED"


@pytest.mark.parametrize(
    "title",
    [None, [], {"content": None}, {"content": [None, {"type": "text", "text": None}], "usage": 5}, {"content": 3, "stop_reason": {}}],
)  # fmt: skip
def test_an_unreadable_title_leaves_the_conversation_without_a_title(staged: Staged, title: Any) -> None:
    stage = staged(says("well"), Reply(body=title), says("still well"), title_model="claude-haiku-5-5")
    sent = stage.api.send("Hello")
    assert stage.api.follow(sent["generation"]["id"])[-1]["generation"]["status"] == "COMPLETED"
    assert stage.api.conversation(sent["conversation"]["id"])["title"] is None
