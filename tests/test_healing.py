"""Conversations heal themselves: a part that Claude's API would refuse for good is left out or repaired once.

The simulated Claude is as strict as the API. Each test stores what an earlier version, another key, or a change of the
API can leave in a conversation, and then sends two messages: the first one heals, and the second one does not fail first.
"""

from pathlib import Path
from typing import Any

import pytest
from client import Api, Json
from conftest import Staged
from media import image, pdf
from running import execute, running
from scripted import START, Reply, begin, delta, end, finish, says, uses
from test_attachments import uploaded
from test_tools import MODULE

from tertulia.simulator import app as simulated_app
from tertulia.simulator import files as simulated_files
from tertulia.simulator.app import create_simulator

ANSWERS = """query ($id: ID!) { conversation(id: $id) { messages(last: 20) { edges { node { text
  leftOut { reason blocks } generation { stopReason error { message } usage { costUsd } } } } } } }"""
FORK = """mutation ($id: ID!) { forkConversation(input: {messageId: $id}) {
  ... on ConversationPayload { conversation { id } } } }"""
CALLS = "SELECT outcome, input_tokens, amount FROM calls ORDER BY id"


def last(api: Api, conversation_id: str) -> Json:
    edges = api.ask(ANSWERS, id=conversation_id)["conversation"]["messages"]["edges"]
    answer: Json = edges[-1]["node"]
    return answer


def start(api: Api, words: str = "Hello", *attachments: str, **more: Any) -> str:
    sent = api.send(words, attachmentIds=list(attachments), **more)
    assert api.follow(sent["generation"]["id"])[-1]["__typename"] == "GenerationCompleted"
    return str(sent["conversation"]["id"])


def check_heals(api: Api, place: dict[str, Any], conversation_id: str, *, refused: int = 1, **left_out: int) -> None:
    """Send two messages. Check the answers, what they leave out, and that only the first one was refused.

    Args:
        api: The client.
        place: The database.
        conversation_id: The conversation.
        refused: The number of requests that Claude's API refuses before the first answer.
        left_out: The number of parts that are left out, by reason.
    """
    before = len(execute(place, CALLS))
    for words in ("2 + 2?", "3 + 3?"):
        api.answer(words, conversationId=conversation_id)
        answer = last(api, conversation_id)
        assert (answer["generation"]["stopReason"], answer["generation"]["error"]) == ("END_TURN", None)
        assert {item["reason"]: item["blocks"] for item in answer["leftOut"]} == left_out
        assert float(answer["generation"]["usage"]["costUsd"]) > 0
    rows = execute(place, CALLS)[before:]
    assert [row[0] for row in rows] == [*(["failed"] * refused), "completed", "completed"]
    # Refused requests cost nothing.
    assert all((row[1], row[2]) == (0, 0) for row in rows if row[0] == "failed")
    assert all(row[2] > 0 for row in rows if row[0] == "completed")


def damage(folder: Path, content: bytes) -> None:
    """Replace the stored bytes of an attachment."""
    stored = [file for file in folder.rglob("*") if file.is_file() and file.read_bytes() == content]
    assert len(stored) == 1
    stored[0].write_bytes(b"\x89PNG nothing")


def test_a_bad_image_among_good_ones(fresh: Api, place: Any, tmp_path: Path) -> None:
    bad = image(width=20)
    id = start(fresh, "Look", uploaded(fresh, image()), uploaded(fresh, bad, "b.png"), uploaded(fresh, image(width=9)))
    damage(tmp_path, bad)
    check_heals(fresh, place, id, ATTACHMENT_REFUSED=1)


def test_a_bad_document_and_a_bad_image(fresh: Api, place: Any, tmp_path: Path) -> None:
    bad, paper = image(width=20), pdf("Tea")
    id = start(fresh, "Look", uploaded(fresh, bad), uploaded(fresh, image()))
    fresh.answer("Read", conversationId=id, attachmentIds=[uploaded(fresh, paper, "tea.pdf")])
    damage(tmp_path, bad)
    damage(tmp_path, paper)
    check_heals(fresh, place, id, refused=2, ATTACHMENT_REFUSED=2)


def test_too_many_images(fresh: Api, place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    id = start(fresh, "Look", *(uploaded(fresh, image(width=n)) for n in (8, 9, 10)))
    monkeypatch.setattr(simulated_files, "MOST_IMAGES", 2)
    check_heals(fresh, place, id, ATTACHMENT_REFUSED=1)


def test_a_request_that_is_too_large(fresh: Api, place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    large = image(width=1500, height=1500)
    id = start(fresh, "Look", uploaded(fresh, large), uploaded(fresh, image()))
    monkeypatch.setattr(simulated_app, "MAX_BODY", len(large))
    check_heals(fresh, place, id, ATTACHMENT_REFUSED=1)


def test_a_file_that_has_expired(staged: Staged, place: Any) -> None:
    with running(create_simulator(pace=0), lifespan="off") as address:
        api = staged(says("unused"), anthropic_base_url=address).api
        id = start(api, "Read", uploaded(api, pdf("Tea"), "tea.pdf"))
        execute(place, "UPDATE blobs SET file_id = 'file_of_yesterday'")
        check_heals(api, place, id)


def rewrite(place: dict[str, Any], old: str, new: str, table: str = "messages", column: str = "content") -> None:
    """Replace a text in the JSON of rows."""
    execute(place, f"UPDATE {table} SET {column} = replace({column}, '{old}', '{new}')")


def test_thinking_that_is_bound_to_another_conversation(fresh: Api, place: Any) -> None:
    id = start(fresh, "/simulate thinking")
    rewrite(place, "I will count to three", "I will count to four")
    # The API leaves it out itself, and reports it.
    check_heals(fresh, place, id, refused=0, THINKING_REFUSED=1)


def test_thinking_of_a_model_to_which_the_request_is_not_sent_any_more(fresh: Api, place: Any) -> None:
    id = start(fresh, "/simulate thinking", options={"model": "claude-sonnet-5-5"})
    before = len(execute(place, CALLS))
    fresh.answer("2 + 2?", conversationId=id, options={"model": "claude-opus-5-5"})
    assert last(fresh, id)["leftOut"] == [{"reason": "THINKING_OF_ANOTHER_PREFIX", "blocks": 1}]
    assert [row[0] for row in execute(place, CALLS)[before:]] == ["completed"]


TOOL: Json = {"name": "look", "description": "Look.", "inputSchema": {"type": "object", "properties": {"at": {}}}}


def test_the_schema_of_a_tool(fresh: Api, place: Any) -> None:
    id = start(fresh, "Hello", tools={"client": [TOOL, {**TOOL, "name": "seek"}]})
    (stored,) = execute(place, "SELECT tools FROM conversations")[0]
    assert stored.count('"type":"object"') == 2
    damaged = stored.replace('"type":"object"', '"type":"array"', 1)
    execute(place, f"UPDATE conversations SET tools = '{damaged}'")
    check_heals(fresh, place, id, TOOL_REFUSED=1)


def test_equal_ids_of_calls_in_two_answers(staged: Staged, place: Any) -> None:
    stage = staged(
        uses(("who", {})), says("Ada."), uses(("who", {})), says("Ada."), says("4"), says("6"), tools=(MODULE,)
    )
    for reply in (stage.claude.replies[0], stage.claude.replies[2]):
        reply.pieces[1]["content_block"]["id"] = "call_1"
    id = start(stage.api, "Who?")
    stage.api.answer("Who?", conversationId=id)
    check_heals(stage.api, place, id, refused=0)
    blocks = [block for message in stage.claude.requests[-1]["messages"] for block in message["content"]]
    assert [block["id"] for block in blocks if block["type"] == "tool_use"] == ["call_1", "call_1_2"]
    assert [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"] == ["call_1", "call_1_2"]


def test_half_a_surrogate_pair(fresh: Api, place: Any) -> None:
    id = start(fresh, "Hello QQ")
    rewrite(place, "Hello QQ", "Hello \\ud83d")
    check_heals(fresh, place, id, refused=0)


def test_a_message_that_claude_has_declined(fresh: Api, place: Any) -> None:
    id = start(fresh, "/simulate refusal")
    check_heals(fresh, place, id, refused=0, REFUSED=2)


SIGNED = [
    begin(0, type="thinking", thinking="", signature=""),
    delta(0, "thinking_delta", thinking="Hm."),
    delta(0, "signature_delta", signature="c2lnbmVk"),
    finish(0),
]


def refuses(message: str) -> Reply:
    return Reply(status=400, body={"type": "error", "error": {"type": "invalid_request_error", "message": message}})


def test_thinking_of_the_same_answer_in_a_later_round(staged: Staged, place: Any) -> None:
    call = [begin(1, type="tool_use", id="toolu_1", name="who", input={}), finish(1)]
    refused = refuses("messages.1.content.0: Invalid `signature` in `thinking` block.")
    replies = [Reply([START, *SIGNED, *call, *end("tool_use")]), refused, says("Ada."), says("4"), says("6")]
    stage = staged(*replies, tools=(MODULE,))
    id = start(stage.api, "Who?")
    assert last(stage.api, id)["leftOut"] == [{"reason": "THINKING_REFUSED", "blocks": 1}]
    sent = [[block["type"] for block in request["messages"][1]["content"]] for request in stage.claude.requests[1:]]
    assert sent == [["thinking", "tool_use"], ["tool_use"]]
    check_heals(stage.api, place, id, refused=0, THINKING_REFUSED=1)


@pytest.mark.parametrize(
    "words",
    ["thinking.adaptive.block_binding: Extra inputs are not permitted", "anthropic-beta: thinking-binding-controls"],
)
def test_an_api_without_binding_controls_is_asked_without_them(staged: Staged, takes: Any, words: str) -> None:
    stage = staged(refuses(words), says("Hi"), says("4"))
    stage.claude.models = [takes]
    id = start(stage.api)
    stage.api.answer("2 + 2?", conversationId=id)
    bound = ["block_binding" in request["thinking"] for request in stage.claude.requests]
    assert bound == [True, False, False]


def test_words_of_a_user_in_an_error_switch_off_no_feature_of_the_api(staged: Staged, takes: Any) -> None:
    problem = "found using 'type' does not match any of the expected tags"
    quoted = refuses(f"messages.1.content.0: Input tag 'block_binding, diagnostics: Extra inputs' {problem}")
    stage = staged(says("Hi"), quoted, says("4"))
    stage.claude.models = [takes]
    id = start(stage.api)
    assert stage.api.answer("2 + 2?", conversationId=id)["__typename"] == "GenerationFailed"
    stage.api.answer("2 + 2?")
    requests = stage.claude.requests
    assert [("block_binding" in sent["thinking"], "diagnostics" in sent) for sent in requests] == [(True, True)] * 3


@pytest.fixture
def takes() -> Json:
    from scripted import model

    types = {"adaptive": {"supported": True}, "supported": True}
    return {**model("claude-opus-5-5"), "capabilities": {"thinking": {"supported": True, "types": types}}}


def test_a_picture_of_a_tool_that_claude_does_not_accept(staged: Staged, place: Any) -> None:
    refused = refuses("messages.2.content.0.tool_result.content.1.image.source.base64: Could not process image")
    stage = staged(uses(("draw", {})), refused, says("Drawn."), says("4"), says("6"), tools=(MODULE,))
    id = start(stage.api, "Draw")
    assert last(stage.api, id)["leftOut"] == [{"reason": "ATTACHMENT_REFUSED", "blocks": 1}]
    check_heals(stage.api, place, id, refused=0, ATTACHMENT_REFUSED=1)


def test_a_fork_remembers_what_was_refused(fresh: Api, place: Any, tmp_path: Path) -> None:
    bad = image(width=20)
    id = start(fresh, "Look", uploaded(fresh, bad))
    damage(tmp_path, bad)
    fresh.answer("2 + 2?", conversationId=id)
    message = fresh.messages(id)[-1]["id"]
    fork = fresh.ask(
        FORK,
        id=message,
    )["forkConversation"]["conversation"]["id"]
    check_heals(fresh, place, fork, refused=0, ATTACHMENT_REFUSED=1)
