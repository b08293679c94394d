"""Requests to Claude and the handling of each of its failures, with the real SDK over real HTTP."""

from typing import Any

import pytest
from client import Api, Json
from conftest import SECRET, Staged
from scripted import EVERYTHING, START, Cut, Reply, begin, delta, end, finish, says, sse, text


def failure(kind: str, message: str = "as the test wants") -> Json:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_body"}


@pytest.mark.parametrize(
    ("status", "kind", "code", "retryable"),
    [
        (400, "invalid_request_error", "INVALID_REQUEST", False),
        (401, "authentication_error", "AUTHENTICATION", False),
        (402, "billing_error", "BILLING", False),
        (403, "permission_error", "PERMISSION", False),
        (404, "not_found_error", "NOT_FOUND", False),
        (413, "request_too_large", "REQUEST_TOO_LARGE", False),
        (429, "rate_limit_error", "RATE_LIMITED", True),
        (500, "api_error", "API_ERROR", True),
        (504, "timeout_error", "TIMEOUT", True),
        (529, "overloaded_error", "OVERLOADED", True),
    ],
)
def test_each_failure_of_claude_has_its_typed_error_and_the_next_send_works(
    staged: Staged, status: int, kind: str, code: str, *, retryable: bool
) -> None:
    failing = Reply(status=status, body=failure(kind), headers={"x-should-retry": "false"})
    stage = staged(failing, says("well again"))
    sent = stage.api.send("Hello")
    ended = stage.api.follow(sent["generation"]["id"])[-1]
    error = ended["generation"]["error"]
    assert (ended["__typename"], error["code"], error["retryable"]) == ("GenerationFailed", code, retryable)
    assert error["message"] == "as the test wants"
    assert error["requestId"] == "req_scripted"
    again = stage.api.answer("Again", conversationId=sent["conversation"]["id"])
    assert again["generation"]["message"]["text"] == "well again"


def test_a_long_retry_after_is_reported_instead_of_waited_for(staged: Staged) -> None:
    stage = staged(Reply(status=429, body=failure("rate_limit_error"), headers={"retry-after": "3600"}))
    error = stage.api.answer("Hello")["generation"]["error"]
    assert (error["code"], error["retryAfterSeconds"]) == ("RATE_LIMITED", 3600)
    assert len(stage.claude.requests) == 1


@pytest.mark.parametrize("body", [b"<html>Bad gateway</html>", b"", b"null", b"[]", b'{"error": "text"}', b"\xff"])
def test_an_error_page_of_a_proxy_is_an_api_error_that_does_not_quote_it(staged: Staged, body: bytes) -> None:
    stage = staged(Reply(status=502, body=body, headers={"x-should-retry": "false"}))
    error = stage.api.answer("Hello")["generation"]["error"]
    assert error["code"] == "API_ERROR"
    assert "html" not in error["message"]


HALF = [START, begin(0, type="text", text=""), delta(0, "text_delta", text="half")]


@pytest.mark.parametrize(
    ("pieces", "code"),
    [
        ([*HALF, Cut], "CONNECTION"),
        ([*HALF], "CONNECTION"),
        ([*HALF, finish(0), end()[0]], "CONNECTION"),
        ([*HALF, failure("overloaded_error")], "OVERLOADED"),
        ([*HALF, b"event: error\ndata: nonsense\n\n"], "API_ERROR"),
        ([*HALF, failure("a_new_kind_of_error")], "API_ERROR"),
        ([*HALF, b"event: content_block_delta\ndata: {not json\n\n"], "API_ERROR"),
        ([*HALF, b'event: content_block_delta\ndata: {"type": "content_block_delta"}\n\n'], "API_ERROR"),
        ([*HALF, b"event: content_block_delta\ndata: 5\n\n"], "API_ERROR"),
        ([*HALF, delta(7, "text_delta", text="no such block")], "API_ERROR"),
    ],
)  # fmt: skip
def test_a_broken_stream_keeps_its_text_and_reports_the_reason(staged: Staged, pieces: list[Any], code: str) -> None:
    stage = staged(Reply(pieces), says("and on"))
    sent = stage.api.send("Hello", options={"continueInterrupted": False})
    ended = stage.api.follow(sent["generation"]["id"])[-1]
    assert (ended["__typename"], ended["error"]["code"]) == ("GenerationFailed", code)
    assert ended["generation"]["message"]["text"] == "half"
    stage.api.answer("Go on", conversationId=sent["conversation"]["id"])
    assert [turn["content"][0]["text"] for turn in stage.claude.requests[1]["messages"]] == ["Hello", "half", "Go on"]


@pytest.mark.both
def test_unknown_kinds_of_events_and_blocks_are_ignored(staged: Staged) -> None:
    odd: list[Any] = [
        {"type": "a_new_event", "x": 1},
        begin(0, type="a_new_block", x=1),
        delta(0, "a_new_delta", x=1),
        finish(0),
        b": a comment\n\n",
        {"type": "ping"},
    ]
    stage = staged(Reply([START, *odd, *text("words", index=1), *end()]))
    assert stage.api.answer("Hello")["generation"]["message"]["text"] == "words"


def test_an_answer_that_arrives_byte_by_byte_is_parsed(staged: Staged) -> None:
    whole = b"".join(sse(event) for event in [START, *text("é😀", "!"), *end()])
    stage = staged(Reply([bytes([byte]) for byte in whole]))
    assert stage.api.answer("Hello")["generation"]["message"]["text"] == "é😀!"


def test_deltas_in_one_packet_are_merged_and_those_after_an_invalid_one_are_dropped(staged: Staged) -> None:
    pieces = [delta(0, "text_delta", text=piece) for piece in ("to", "get", "her")]
    bad = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": 5}}
    together = b"".join(sse(event) for event in [START, begin(0, type="text", text=""), *pieces, bad, *pieces])
    stage = staged(Reply([together]))
    ended = stage.api.answer("Hello")
    assert (ended["error"]["code"], ended["generation"]["message"]["text"]) == ("API_ERROR", "together")
    polled = (
        "query ($id: ID!) { generation(id: $id) { events { edges { node { ... on TextDelta { offset text } } } } } }"
    )
    events = stage.api.ask(polled, id=ended["generation"]["id"])["generation"]["events"]["edges"]
    assert [edge["node"] for edge in events if edge["node"]] == [{"offset": 0, "text": "together"}]


@pytest.mark.both
def test_half_a_surrogate_pair_from_claude_is_replaced(staged: Staged) -> None:
    broken = (
        b'event: content_block_delta\ndata: {"type": "content_block_delta", "index": 0, '
        b'"delta": {"type": "text_delta", "text": "\\ud83d"}}\n\n'
    )
    stage = staged(Reply([START, begin(0, type="text", text=""), broken, finish(0), *end()]), says("on"))
    sent = stage.api.send("Hello")
    assert stage.api.follow(sent["generation"]["id"])[-1]["generation"]["message"]["text"] == "\ufffd"
    assert stage.api.answer("Go on", conversationId=sent["conversation"]["id"])["generation"]["message"]["text"] == "on"


def test_the_api_key_is_sent_in_the_header(staged: Staged) -> None:
    stage = staged(says("hello"))
    stage.api.answer("Hello")
    headers = stage.claude.headers[0]
    assert SECRET in (headers.get("x-api-key", "") + headers.get("authorization", ""))
    assert headers["anthropic-version"]


@pytest.mark.both
def test_usage_stop_reason_and_request_id_are_stored(staged: Staged) -> None:
    stage = staged(Reply([START, *text("words"), *end("stop_sequence", cache_read_input_tokens=3)]))
    sent = stage.api.send("Hello")
    stage.api.follow(sent["generation"]["id"])
    conversation = stage.api.conversation(sent["conversation"]["id"])
    assert conversation["messages"]["edges"][1]["node"]["generation"]["stopReason"] == "STOP_SEQUENCE"
    usage = conversation["usage"]
    assert (usage["inputTokens"], usage["outputTokens"], usage["cacheReadTokens"]) == (11, 7, 3)


def test_system_prompt_model_and_options_reach_claude(staged: Staged) -> None:
    stage = staged(says("hello"))
    create = """mutation { createConversation(input: { systemPrompt: "Be brief.", model: "claude-haiku-5-5" }) {
      ... on ConversationPayload { conversation { id } } } }"""
    conversation_id = stage.api.ask(create)["createConversation"]["conversation"]["id"]
    options = {"maxTokens": 500, "effort": "XHIGH", "thinking": {"enabled": True}}
    stage.api.answer("Hello", conversationId=conversation_id, options=options)
    request = stage.claude.requests[0]
    assert request["system"] == "Be brief."
    assert request["model"] == "claude-haiku-5-5"
    assert (request["max_tokens"], request["stream"]) == (500, True)
    assert request["output_config"] == {"effort": "xhigh"}
    assert request["thinking"]["type"] == "adaptive"


def test_thinking_of_another_model_is_left_out(staged: Staged) -> None:
    thought = [
        begin(0, type="thinking", thinking="", signature=""),
        delta(0, "thinking_delta", thinking="hm"),
        delta(0, "signature_delta", signature="s"),
        finish(0),
    ]
    stage = staged(Reply([START, *thought, *text("words", index=1), *end()]), says("other"))
    sent = stage.api.send("Hello")
    stage.api.follow(sent["generation"]["id"])
    stage.api.answer("Go", conversationId=sent["conversation"]["id"], options={"model": "claude-haiku-5-5"})
    assert stage.claude.requests[1]["messages"][1]["content"] == [{"type": "text", "text": "words"}]


def test_thinking_that_claude_refuses_is_left_out_of_one_retry(staged: Staged) -> None:
    message = (
        "messages.1.content.0: Invalid `signature` in `thinking` block. The block is bound to another conversation."
    )
    refused = Reply(status=400, body=failure("invalid_request_error", message))
    stage = staged(Reply(EVERYTHING), refused, says("well again"))
    sent = stage.api.send("Hello")
    stage.api.follow(sent["generation"]["id"])
    ended = stage.api.answer("Go on", conversationId=sent["conversation"]["id"])
    assert ended["generation"]["message"]["text"] == "well again"
    blocks = [[block["type"] for block in request["messages"][1]["content"]] for request in stage.claude.requests[1:]]
    assert blocks == [["thinking", "text", "tool_use"], ["text", "tool_use"]]


def test_other_invalid_requests_are_not_retried(staged: Staged) -> None:
    refused = Reply(status=400, body=failure("invalid_request_error", "messages: too many"))
    stage = staged(Reply(EVERYTHING), refused, says("never"))
    sent = stage.api.send("Hello")
    stage.api.follow(sent["generation"]["id"])
    ended = stage.api.answer("Go on", conversationId=sent["conversation"]["id"])
    assert (ended["error"]["code"], len(stage.claude.requests)) == ("INVALID_REQUEST", 2)


def test_a_tool_use_without_a_result_is_sent_back_with_an_error_result(staged: Staged) -> None:
    stage = staged(Reply(EVERYTHING), says("well"))
    sent = stage.api.send("Hello")
    stage.api.follow(sent["generation"]["id"])
    stage.api.answer("Go on", conversationId=sent["conversation"]["id"])
    result, message = stage.claude.requests[1]["messages"][2]["content"]
    assert (result["type"], result["tool_use_id"], result["is_error"]) == ("tool_result", "toolu_1", True)
    assert message == {"type": "text", "text": "Go on"}


@pytest.mark.both
def test_an_answer_without_text_leaves_the_conversation_usable(staged: Staged) -> None:
    stage = staged(Reply([START, *end("refusal")]), says("on"))
    sent = stage.api.send("Hello")
    assert stage.api.follow(sent["generation"]["id"])[-1]["generation"]["stopReason"] == "REFUSAL"
    assert stage.api.answer("Go on", conversationId=sent["conversation"]["id"])["generation"]["message"]["text"] == "on"
    assert all(turn["content"] for turn in stage.claude.requests[1]["messages"])


MODELS = "{ models { id displayName default simulated maxInputTokens maxOutputTokens } }"


def test_models_come_from_the_models_api(staged: Staged) -> None:
    stage = staged(says("hello"))
    assert stage.api.ask(MODELS)["models"][0] == {
        "id": "claude-opus-5-5",
        "displayName": "The claude-opus-5-5",
        "default": True,
        "simulated": False,
        "maxInputTokens": 1_000_000,
        "maxOutputTokens": 128_000,
    }


def test_the_allow_list_narrows_the_models(staged: Staged) -> None:
    stage = staged(says("hello"), default_model="claude-haiku-5-5", models=("claude-haiku-5-5",))
    assert [model["id"] for model in stage.api.ask(MODELS)["models"]] == ["claude-haiku-5-5"]
    refused = stage.api.try_send("Hello", options={"model": "claude-opus-5-5"})
    assert refused["field"] == "options.model"


def test_if_the_models_api_fails_the_default_model_is_listed(staged: Staged) -> None:
    stage = staged(says("hello"))
    stage.claude.models = 401
    assert [model["id"] for model in stage.api.ask(MODELS)["models"]] == ["claude-opus-5-5"]
    assert stage.api.answer("Hello")["__typename"] == "GenerationCompleted"


def test_simulated_models_are_marked_as_simulated(api: Api) -> None:
    models = api.ask(MODELS)["models"]
    assert all(model["simulated"] and "simulated" in model["displayName"] for model in models)


def test_a_turn_that_claude_refused_is_left_out_of_later_requests(staged: Staged) -> None:
    refused = Reply([START, *text("I would"), *end("refusal")])
    stage = staged(says("well"), refused, says("well again"))
    sent = stage.api.send("First")
    stage.api.follow(sent["generation"]["id"])
    conversation_id = sent["conversation"]["id"]
    ended = stage.api.answer("Something refused", conversationId=conversation_id)["generation"]
    assert (ended["stopReason"], ended["message"]["text"]) == ("REFUSAL", "I would")
    answered = stage.api.answer("Something else", conversationId=conversation_id)["generation"]
    assert answered["message"]["text"] == "well again"
    asked = [message["content"][0]["text"] for message in stage.claude.requests[-1]["messages"]]
    assert asked == ["First", "well", "Something else"]
    query = "query($id: ID!) { generation(id: $id) { message { leftOut { reason blocks } } } }"
    left_out = stage.api.ask(query, id=answered["id"])["generation"]["message"]["leftOut"]
    assert left_out == [{"reason": "REFUSED", "blocks": 2}]


def test_a_refused_message_is_sent_again_when_its_answer_is_regenerated(staged: Staged) -> None:
    stage = staged(Reply([START, *end("refusal")]), says("well"))
    sent = stage.api.send("Something refused")
    stage.api.follow(sent["generation"]["id"])
    messages = stage.api.messages(sent["conversation"]["id"])
    regenerate = """mutation($id: ID!) { regenerateMessage(input: {messageId: $id}) {
        ... on SendMessagePayload { generation { id } } } }"""
    again = stage.api.ask(regenerate, id=messages[-1]["id"])["regenerateMessage"]
    stage.api.follow(again["generation"]["id"])
    assert [message["content"][0]["text"] for message in stage.claude.requests[-1]["messages"]] == ["Something refused"]


@pytest.mark.parametrize(
    ("key", "message", "shown"),
    [
        ("a", "a bad key", "a bad key"),
        ("any", "many companies; any key", "many companies; any key"),
        ("local-key", "the key local-key; local-keys", "the key [the API key]; local-keys"),
        ("sk-ant-" + "x" * 20, f"key=sk-ant-{'x' * 20}.", "key=[the API key]."),
    ],
)
def test_a_key_is_masked_in_error_messages_but_not_inside_other_words(
    staged: Staged, key: str, message: str, shown: str
) -> None:
    body = {"type": "error", "error": {"type": "invalid_request_error", "message": message}}
    stage = staged(Reply(status=400, body=body), anthropic_api_key=key)
    assert stage.api.answer("Hello")["error"]["message"] == shown
